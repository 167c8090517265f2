"""The README's first command, from a fresh clone and an empty environment: `tox -e readme`.

Not among the project's ordinary tests, since it downloads packages.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = next(
    line
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    if line.endswith("streamcert certify reference_impl")
)


def test_the_first_command(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    process = subprocess.run(
        ["bash", "-c", COMMAND],
        cwd=clone,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "reference_impl conforms to specification 3.15" in process.stdout
