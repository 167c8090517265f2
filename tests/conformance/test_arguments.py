"""Each argument that is a number is tried at values far apart, in each way to call its function."""

import inspect
import json
import math
import os
import subprocess
import sys
import typing
from collections import defaultdict
from importlib import resources
from pathlib import Path

import pytest

import reference_impl
from conformance.harness.addresses import BACKLOGS
from conformance.suite.arguments import NONE, TABLE, WAYS, Tried
from conformance.suite.reach import marks
from reference_impl import _options

PLUGGED = Path(__file__).parent / "plugged"

OPTIONS = {
    "open_connection": _options.OpenOptions,
    "open_unix_connection": _options.OpenUnixOptions,
    "start_server": _options.ServeOptions,
    "start_unix_server": _options.ServeUnixOptions,
}

CHOICES = {"family", "proto", "flags", "cleanup_socket", "start_serving"}
"""Numbers that are no quantities."""


def is_quantity(hint: object) -> bool:
    """Return whether an argument of that type is a number."""
    return bool({int, float} & {hint, *typing.get_args(hint)})


def arguments() -> set[str]:
    """Return the arguments of the page that are numbers, as the reference is annotated."""
    found = {
        f"{function}.{name}"
        for function, options in OPTIONS.items()
        for name, hint in {"limit": int, **typing.get_type_hints(options)}.items()
        if is_quantity(hint)
    }
    for owner in (reference_impl.StreamReader, reference_impl.StreamWriter):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if name.startswith("_"):
                continue
            hints = inspect.signature(method).parameters
            for argument, parameter in hints.items():
                if parameter.annotation in {"int", "float", "float | None", "int | None"}:
                    found.add(f"{name}.{argument}")
    return {each for each in found if each.partition(".")[2] not in CHOICES}


def test_the_arguments_are_found() -> None:
    assert {"read.n", "readexactly.n", "open_connection.limit"} <= arguments()
    assert {"start_tls.ssl_handshake_timeout", "start_server.backlog"} <= arguments()


@pytest.mark.parametrize("argument", sorted(arguments()))
def test_each_argument_is_tried_in_each_way(argument: str) -> None:
    function = argument.partition(".")[0]
    ways = [way + tls for way in WAYS.get(function, ("",)) for tls in ("", " with TLS")]
    if function not in WAYS:
        ways = [""]
    there = {each.way for each in TABLE if each.argument == argument}
    excused = {way for name, way in NONE if name == argument}
    assert there | excused == set(ways)
    assert not there & excused


@pytest.mark.parametrize("tried", TABLE, ids=lambda each: f"{each.argument} {each.way}")
def test_its_values_are_far_apart(tried: Tried) -> None:
    assert len(tried.values) >= 2
    assert max(tried.values) >= 3 * max(1, min(tried.values))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], set[float]]:
    """Return the values that each test gave each argument in each way."""
    file = tmp_path_factory.mktemp("record") / "record.jsonl"
    names = sorted({test.partition(":")[2] for each in TABLE for test in each.tests})
    suite = resources.files("conformance.suite")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(suite), f"--config-file={suite / 'pytest.ini'}"),
            *(f"--rootdir={suite}", "--streams=recording:streams", "-q", "-p", "no:cacheprovider"),
            "--streams-network=memory,tls-memory,unix",
            *("-k", " or ".join(f"test_{name}" for name in names)),
        ],
        cwd=PLUGGED,  # not where `conformance` may lie beside what is installed
        env=os.environ | {"PYTHONPATH": str(PLUGGED), "RECORD": str(file)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    seen = defaultdict(set)
    for line in file.read_text(encoding="utf-8").splitlines():
        test, argument, way, value = json.loads(line)
        seen[test.removeprefix("test_"), argument, way].add(value)
    return seen


@pytest.mark.pythons("newest", why="the tests try the same on every Python")
@pytest.mark.parametrize("tried", TABLE, ids=lambda each: f"{each.argument} {each.way}")
def test_the_tests_try_these_values(
    tried: Tried, recorded: dict[tuple[str, str, str], set[float]]
) -> None:
    known = {name.rpartition(".")[2] for name, _ in marks()}
    assert {f"test_{test.partition(':')[2]}" for test in tried.tests} <= known
    seen = set[float]().union(
        *(recorded[test.partition(":")[2], tried.argument, tried.way] for test in tried.tests)
    )
    if tried.argument == "start_unix_server.backlog" and not seen:
        pytest.skip("this kernel tells no backlog of Unix servers")
    values = {BACKLOGS[1] if value == math.inf else value for value in tried.values}
    assert values <= seen
