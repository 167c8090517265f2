"""The examples of docs/fakes.md, docs/searching.md and docs/libraries.md run as they stand."""

import re
import runpy
from pathlib import Path

import pytest

import fakes
from fakes._kernel import options

# Python 3.11 may fail to parse a module in the middle of a collection; so all are imported now.
for name in fakes.__all__:
    getattr(fakes, name)

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[2] / "docs"


def examples(page: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


EXAMPLES = examples("fakes.md") + examples("searching.md")
OF_LIBRARIES = examples("libraries.md")
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
    for plugin in ("randomly", "asyncio", "aiohttp"):
        options += ["-p", f"no:{plugin}"]
    # In a process of its own: what it leaves to the collector stays there.
    result = pytester.runpytest_subprocess(*options, "-q")
    assert result.ret == 0


@pytest.mark.filterwarnings("default::DeprecationWarning")  # of what they import
@pytest.mark.parametrize("number", range(len(OF_LIBRARIES)))
def test_of_a_library(number: int, tmp_path: Path) -> None:
    """Each is shorter than 30 lines, and passes."""
    text = OF_LIBRARIES[number]
    program = tmp_path / "example.py"
    program.write_text(text)
    try:
        names = runpy.run_path(str(program))
    except ModuleNotFoundError as exc:
        pytest.skip(f"the library is not installed: {exc.name}")
    tests = [test for name, test in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()
    assert len(text.splitlines()) < 30


def test_there_are_examples() -> None:
    assert len(PROGRAMS) >= 14
    assert len(SUITES) == 2
    assert len(OF_LIBRARIES) == 5


def test_every_socket_option_that_is_taken_is_listed() -> None:
    taken = [options.name_of(option) for option in options.KEPT | dict.fromkeys(options.EFFECTIVE)]
    text = (DOCS / "fakes.md").read_text()
    assert [name for name in taken if name is not None and f"`{name}`" not in text] == []
