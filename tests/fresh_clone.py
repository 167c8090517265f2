"""The README's commands, from a fresh clone and an empty environment: `tox -e readme`.

Not among the project's ordinary tests, since it downloads packages and certifies for real. The
first command certifies the reference by every clause on every network; the others have an option
more that makes them shorter. The commands that start tox are left to continuous integration, and to
`tox` itself.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if "tox" not in line
]
SHORTER = {
    "certify mystreams": " --network unix --clause 'r*'",
    "asyncio --loop uvloop": " --network tcp --clause 'read.*'",
    "--json certificate.json": " --clause 'c*'",
    "known-deviations known.toml": " --clause 'd*'",
}
"""What a command gets, by a part of it."""
FIRST = next(line for line in COMMANDS if line.startswith("python3 -m venv"))
OTHERS = [line for line in COMMANDS if line != FIRST]
MODULE = re.findall(r"```python\n(# mystreams.py\n.*?)```", README, flags=re.DOTALL)[0]


def run(command: str, clone: Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{clone}/.venv/bin:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env={"PATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed."""
    clone = tmp_path_factory.mktemp("fresh") / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    return clone


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the reader's own, in which the other commands are given."""
    project = tmp_path_factory.mktemp("project")
    (project / "mystreams.py").write_text(MODULE)
    (project / "mypackage").mkdir()
    (project / "mypackage" / "streams.py").write_text("from reference_impl import *\n")
    return project


@pytest.fixture(scope="module")
def installed(clone: Path) -> "subprocess.CompletedProcess[str]":
    """The first command, which sets everything up."""
    return run(FIRST, clone, clone)


def test_the_first_command(installed: "subprocess.CompletedProcess[str]") -> None:
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "reference_impl conforms to specification 3.15" in installed.stdout


@pytest.mark.parametrize("command", OTHERS)
def test_another_command(
    command: str, clone: Path, project: Path, installed: "subprocess.CompletedProcess[str]"
) -> None:
    shorter = command + "".join(more for part, more in SHORTER.items() if part in command)
    process = run(shorter, clone, project)
    if "certify" in command or "--streams" in command:
        names = ("mypackage.streams", "mystreams", "asyncio")
        implementation = next(name for name in names if name in command)
        assert process.returncode in (0, 1), process.stdout + process.stderr
        assert re.search(f"{implementation} (conforms|deviates|does not deviate)", process.stdout)
        if "mypackage" in command:
            assert process.returncode == 0, process.stdout
    else:  # explain, with status 1 where the clause failed
        assert process.returncode in (0, 1), process.stdout + process.stderr
