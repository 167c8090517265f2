"""docs/certify.md: its files and commands do what it says.

`tox -e readme` follows it literally, from an empty folder. Here are what is not run there, and what
is the quickest to tell that the page is wrong.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import guide
import pytest

ONCE = pytest.mark.pythons("3.14", why="once is enough, and 3.15 has enough to do")


def streamcert(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_page_has_what_is_tested_here() -> None:
    assert guide.FILES.keys() == {
        *("mystreams.py", "known.toml", "tox.ini", ".github/workflows/certify.yml"),
        *("myobject.py", "myreader.py", "mypair.py"),
    }
    assert len(guide.COMMANDS) == 11
    assert len(guide.OUTPUT) == 2


@ONCE
def test_the_deviation_is_explained(tmp_path: Path) -> None:
    guide.write(tmp_path, "mystreams.py")
    (command,) = (each for each in guide.COMMANDS if "explain" in each)
    _, *arguments = shlex.split(command)
    process = streamcert(tmp_path, *arguments)
    assert process.returncode == 1, process.stderr
    assert "What crossed the wire (as client on memory):" in process.stdout


@ONCE
@pytest.mark.parametrize(
    ("name", "network", "section", "other"),
    [
        ("myobject:streams", "memory", "Connecting: open_connection", "Serving: start_server"),
        ("myreader:Reader", "reader", "StreamReader.readexactly", "StreamReader.readuntil"),
        ("mypair:Pair", "pair", "StreamWriter: drain", "Client handlers"),
    ],
)
def test_an_example(name: str, network: str, section: str, other: str, tmp_path: Path) -> None:
    guide.write(tmp_path, f"{name.partition(':')[0]}.py")
    options = [f"--network={network}", "-n0", "--json=certificate.json"]
    process = streamcert(tmp_path, "certify", name, *options)
    assert process.returncode == 0, process.stdout + process.stderr
    certificate: dict[str, Any] = json.loads((tmp_path / "certificate.json").read_text())
    verdicts: dict[str, set[str]] = {section: set(), other: set()}
    for each in certificate["clauses"]:
        verdicts.setdefault(each["section"], set()).add(each["verdict"])
    assert "passed" in verdicts[section]
    assert verdicts[other] == {"not_applicable"}


def test_the_workflow_runs_what_the_page_has_run() -> None:
    workflow = guide.FILES[".github/workflows/certify.yml"]
    runs = re.findall("- run: (.*)", workflow)
    commands = [each.replace(".venv/bin/", "").replace(" --quiet", "") for each in guide.COMMANDS]
    assert runs == ["pip install tox", "mkdir public", "tox -e certify"]
    assert set(runs) <= set(commands)
    assert workflow.count("path: public") == 3
