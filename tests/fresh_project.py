"""docs/certify.md followed literally, from an empty folder: `tox -e readme`.

A clone of what is committed stands in for the published package.
"""

import subprocess
import sys
from pathlib import Path

import guide

ROOT = Path(__file__).parents[1]

AFTER = {
    "--write-known-deviations": ["known.toml", "tox.ini", ".github/workflows/certify.yml"],
}
"""The files that are written when a command has been run, by a part of the command."""


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
    for command in guide.COMMANDS:
        process = subprocess.run(
            ["bash", "-c", command.replace("streamcert[certify]", f"{clone}[certify]")],
            cwd=project,
            env={"PATH": path, "COLUMNS": "200"},
            capture_output=True,
            text=True,
        )
        said = f"{command}\n{process.stdout}{process.stderr}"
        assert process.returncode in statuses(command), said
        for part, names in AFTER.items():
            if part in command:
                guide.write(project, *names)
                tox = project / "tox.ini"
                tox.write_text(tox.read_text().replace("streamcert[", f"{clone}["))
    assert {file.name for file in (project / "public").iterdir()} == {
        *("badge.svg", "certificate.html", "certificate.json", "certificate.xml", "matrix.html")
    }
