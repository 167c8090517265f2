"""The clauses and the suite belong together: neither has anything that the other lacks."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

from conformance import suite
from conformance.clauses import LEVELS, Clause, clauses, version
from conformance.implementation import NEWEST_SPEC
from conformance.marks import EVERY, ClauseMark


def marks() -> Iterator[tuple[str, ClauseMark]]:
    """Yield the name and the mark of each test of the suite."""
    for module in pkgutil.iter_modules(suite.__path__, f"{suite.__name__}."):
        for name, function in vars(importlib.import_module(module.name)).items():
            for mark in getattr(function, "pytestmark", []):
                if mark.name == "streams_clause":
                    yield f"{module.name}.{name}", mark.args[0]


def test_every_test_checks_a_clause_that_there_is() -> None:
    unknown = {name: mark.clause for name, mark in marks() if mark.clause not in clauses()}
    assert unknown == {}


def test_every_test_function_of_the_suite_is_marked() -> None:
    marked = {name for name, _ in marks()}
    functions = {
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(suite.__path__, f"{suite.__name__}.")
        for name in vars(importlib.import_module(module.name))
        if name.startswith("test_")
    }
    assert functions - marked == set()


def test_every_clause_has_a_test() -> None:
    tested = {mark.clause for _, mark in marks()}
    assert clauses().keys() - tested == set()


def test_every_test_runs_somewhere() -> None:
    for name, mark in marks():
        assert mark.networks, name
        assert set(mark.networks) <= set(EVERY), name
        assert mark.roles, name


@pytest.mark.parametrize("clause", clauses().values(), ids=lambda clause: clause.id)
def test_a_clause_is_well_formed(clause: Clause) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", clause.id)
    assert clause.level in LEVELS
    assert version("3.4") <= version(clause.since) <= version(NEWEST_SPEC)
    assert clause.text.endswith(".")
    assert clause.why.endswith(".")
    assert clause.link or clause.source == "CPython", clause.source
    if clause.level == "documented":
        assert clause.source.startswith("asyncio-stream#")
    if clause.level == "inherited":
        assert re.match(r"asyncio-(exceptions|protocol|eventloop)#", clause.source)
