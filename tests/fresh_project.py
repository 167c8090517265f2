"""docs/certify.md followed literally, from an empty folder: `tox -e readme`.

A clone of what is committed stands in for the published package. One command certifies by every
clause, in memory; the others that certify have an option more that makes them shorter.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import guide

ROOT = Path(__file__).parents[1]

AFTER = {
    "--write-known-deviations": ["known.toml", "tox.ini", ".github/workflows/certify.yml"],
}
"""The files that are written when a command has been run, by a part of the command."""

SHORTER = {
    "--write-known-deviations": " --network tls --clause 'connecting.*'",
    " --known-deviations": " --clause 'd*' --clause 'connecting.*'",
    "tox -e certify": " -- --network tcp --clause 'r*' --clause 'connecting.*'",
    "SelectorEventLoop": " --clause 'd*'",
}
"""What a command gets, by a part of it."""


def statuses(command: str) -> set[int]:
    """Return the exit statuses that the page tells of."""
    if "SelectorEventLoop" in command:
        return {0, 1}  # asyncio conforms or deviates: it depends on the Python
    known = "--known-deviations" in command
    fails = "streamcert certify" in command or "streamcert explain" in command
    return {1} if fails and not known else {0}


def test_the_page_can_be_followed(tmp_path: Path) -> None:
    clone = tmp_path / "streamcert"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    project = tmp_path / "project"
    guide.write(project, "mystreams.py")
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    said = {}
    for command in guide.COMMANDS:
        shorter = command + "".join(more for part, more in SHORTER.items() if part in command)
        process = subprocess.run(
            ["bash", "-c", shorter.replace("streamcert[certify]", f"{clone}[certify]")],
            cwd=project,
            env={"PATH": path, "COLUMNS": "200"},
            capture_output=True,
            text=True,
        )
        said[command] = re.sub(" +\n", "\n", process.stdout)
        assert process.returncode in statuses(command), (
            f"{shorter}\n{process.stdout}{process.stderr}"
        )
        if "--write-known-deviations" in command:
            known = tomllib.loads((project / "known.toml").read_text(encoding="utf-8"))
            assert known == {"connecting.limit.default": {"reason": "not looked into yet"}}
            assert tomllib.loads(guide.FILES["known.toml"]).keys() == known.keys()
        for part, names in AFTER.items():
            if part in command:
                guide.write(project, *names)
                tox = project / "tox.ini"
                tox.write_text(tox.read_text().replace("streamcert[", f"{clone}["))
    whole = next(text for command, text in said.items() if command.endswith("--network memory"))
    for text in guide.OUTPUT:
        assert text in whole
    with_reasons = next(text for command, text in said.items() if "tox -e certify" in command)
    assert "the lines of our protocol have up to a megabyte" in with_reasons
    assert {file.name for file in (project / "public").iterdir()} == {
        *("badge.svg", "certificate.html", "certificate.json", "certificate.xml", "matrix.html")
    }
