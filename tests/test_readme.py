"""Every snippet of the README runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
PROGRAMS = [text for language, text in SNIPPETS if language == "python"]
COMMANDS = [
    line for language, text in SNIPPETS if language == "console" for line in text.splitlines()
]
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install --quiet tox && .venv/bin/tox"


def test_there_are_snippets_of_both_kinds() -> None:
    assert len(PROGRAMS) == 2
    assert len(COMMANDS) == 10
    assert {language for language, _ in SNIPPETS} == {"python", "console"}


@pytest.mark.parametrize(
    ("program", "output"),
    list(zip(PROGRAMS, ["Hello, streams\n\n", "b'ping\\n' after 60.0 seconds\n"], strict=True)),
)
def test_a_program_runs(program: str, output: str) -> None:
    process = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.stderr == ""
    assert process.stdout == output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one_that_there_is(command: str, tmp_path: Path) -> None:
    """Run each command as far as its arguments are checked.

    What the commands do is tested elsewhere; the first two, from an empty environment on, by
    `tox -e readme` and by continuous integration.
    """
    words = shlex.split(command.split("&& ")[-1].removeprefix(".venv/bin/"))
    if words[0] == "tox":
        assert "[testenv:certify]" in (ROOT / "tox.ini").read_text(encoding="utf-8")
        return
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "streams.py").write_text("from asyncio.streams import *\n")
    runs = {"streamcert": "conformance", "pytest": "pytest"}[words[0]]
    process = subprocess.run(
        [sys.executable, "-m", runs, *words[1:], "--help"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    assert TEST_COMMAND in COMMANDS
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_certify_command_opens_the_readme() -> None:
    assert COMMANDS[0].startswith("python3 -m venv .venv && ")
    assert COMMANDS[0].endswith(" && .venv/bin/streamcert certify reference_impl")
