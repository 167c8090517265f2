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
PROGRAMS = [
    (text, SNIPPETS[index + 1][1])
    for index, (language, text) in enumerate(SNIPPETS)
    if language == "python" and not text.startswith("# ")
]
"""Each program, with what it prints."""
MODULE = next(text for language, text in SNIPPETS if text.startswith("# mystreams.py"))
SAMPLE = next(text for language, text in SNIPPETS if text.startswith("✗"))
"""A part of what certifying the module prints."""
COMMANDS = [
    line for language, text in SNIPPETS if language == "console" for line in text.splitlines()
]
CERTIFY_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install --quiet '.[certify,uvloop]'"
    " && .venv/bin/streamcert certify reference_impl"
)
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install --quiet tox && .venv/bin/tox"

pytestmark = pytest.mark.pythons("oldest", "newest", why="commands are the same on every Python")


def test_there_are_snippets_of_each_kind() -> None:
    assert len(PROGRAMS) == 2
    assert len(COMMANDS) == 10
    assert {language for language, _ in SNIPPETS} == {"python", "console", "text"}


@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_a_program_prints_what_the_page_says(program: str, output: str) -> None:
    process = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.stderr == ""
    assert process.stdout == output


def test_the_sample_of_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "mystreams.py").write_text(MODULE)
    process = subprocess.run(
        [
            *(sys.executable, "-m", "conformance", "certify", "mystreams", "-n0"),
            *("--network=memory", "--clause=connecting.limit.default"),
        ],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1, process.stderr
    printed = "\n".join(line.rstrip() for line in process.stdout.splitlines())
    assert SAMPLE in printed


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
    (tmp_path / "mystreams.py").write_text(MODULE)
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


def test_the_readme_certifies_the_reference_in_one_command() -> None:
    assert CERTIFY_COMMAND in COMMANDS
