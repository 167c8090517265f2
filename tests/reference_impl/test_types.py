"""Type checkers take the reference's streams for asyncio's: see typed_uses.py."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.pythons("newest", why="the checkers get the version as an option")

USES = Path(__file__).with_name("typed_uses.py")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("python", ["3.11", "3.15"])
def test_mypy(python: Any, tmp_path: Path) -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", f"--python-version={python}"),
            *(f"--cache-dir={tmp_path}", "--config-file=", str(USES)),
        ],
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(ROOT)},
    )
    assert checked.stdout == "Success: no issues found in 1 source file\n"


@pytest.mark.parametrize("python", ["3.14"])
def test_pyright(python: Any, tmp_path: Path) -> None:
    # basedpyright is pyright with what it needs from npm in the wheel, and stricter by default.
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps(
            {
                "include": [str(USES)],
                "extraPaths": [str(ROOT)],
                "pythonVersion": python,
                "typeCheckingMode": "strict",
            }
        )
    )
    checked = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    found = json.loads(checked.stdout)
    assert [each["message"] for each in found["generalDiagnostics"]] == []
    assert found["summary"]["filesAnalyzed"] == 1


MISTAKES = """
import reference_impl


async def main() -> None:
    await reference_impl.open_connection("localhost", 7, server_hostnme="localhost")  # wrong
    await reference_impl.start_server(print, "localhost", 7, backlog="100")  # wrong
    await reference_impl.open_unix_connection("/path", happy_eyeballs_delay=0.1)  # wrong
    await reference_impl.start_unix_server(print, "/path", backlog=100, start_serving=False)
    await reference_impl.open_connection("localhost", 7, ssl=True, happy_eyeballs_delay=0.25)
"""
WRONG = {number for number, line in enumerate(MISTAKES.splitlines(), 1) if line.endswith("# wrong")}


def test_mypy_finds_mistakes_in_arguments(tmp_path: Path) -> None:
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}"),
            *("--config-file=", str(tmp_path / "mistakes.py")),
        ],
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(ROOT)},
    )
    assert {int(n) for n in re.findall(r"mistakes.py:(\d+): error", checked.stdout)} == WRONG


def test_pyright_finds_mistakes_in_arguments(tmp_path: Path) -> None:
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"include": ["mistakes.py"], "extraPaths": [str(ROOT)]})
    )
    checked = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    found = json.loads(checked.stdout)["generalDiagnostics"]
    errors = [each for each in found if each["severity"] == "error"]
    assert {each["range"]["start"]["line"] + 1 for each in errors} == WRONG
