"""The examples of docs/fakes.md run as they stand."""

import re
import runpy
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "fakes.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
SUITES = [example for example in EXAMPLES if example.startswith("# test_")]
PROGRAMS = [example for example in EXAMPLES if not example.startswith("# test_")]


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "example.py"
    program.write_text(PROGRAMS[number])
    runpy.run_path(str(program), run_name="__main__")


@pytest.mark.parametrize("number", range(len(SUITES)))
def test_suite(number: int, pytester: pytest.Pytester, request: pytest.FixtureRequest) -> None:
    pytester.makepyfile(test_example=SUITES[number])
    loaded = request.config.pluginmanager.has_plugin("fakes")
    options = [] if loaded else ["-p", "fakes.pytest_plugin"]
    # In a process of its own: what it leaves to the collector stays there.
    result = pytester.runpytest_subprocess(*options, "-p", "no:randomly", "-p", "no:asyncio", "-q")
    assert result.ret == 0


def test_there_are_examples() -> None:
    assert len(PROGRAMS) >= 8
    assert len(SUITES) == 1
