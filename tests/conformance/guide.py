"""What docs/certify.md tells its reader to write and to run."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "certify.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

FILES = {
    found[1]: text
    for _, text in BLOCKS
    if (found := re.match(r"# (\S+\.(?:py|toml|ini|yml))\n", text))
}
"""The files, by name."""

COMMANDS = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
"""The commands, in their order."""

OUTPUT = [text for kind, text in BLOCKS if kind == "text"]
"""What the page says that is printed."""


def write(folder: Path, *names: str) -> None:
    """Write these of the files into `folder`."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FILES[name], encoding="utf-8")
