"""The clauses and the suite belong together: neither has anything that the other lacks."""

import importlib
import pkgutil
import re

import pytest

from conformance import suite
from conformance.clauses import DECISIVE, LEVELS, Clause, clauses, version
from conformance.harness.clause import BOTH, EVERY, Some
from conformance.subject.implementation import NEWEST_SPEC
from conformance.suite.reach import blanks, marks, reach, reasons


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


def test_what_a_test_leaves_out_it_says_why() -> None:
    for name, mark in marks():
        for some, all_ in ((mark.networks, EVERY), (mark.roles, BOTH)):
            assert set(some) == set(all_) or isinstance(some, Some), f"{name}: {some}"


@pytest.mark.parametrize("clause", clauses())
def test_a_clause_is_tested_everywhere_or_there_is_a_reason(clause: str) -> None:
    found = [mark for _, mark in marks() if mark.clause == clause]
    assert reasons(found) or not blanks(found)


def test_the_reach_has_a_row_for_each_clause() -> None:
    first, _, _ = reach().partition("# The values")
    rows = [line for line in first.splitlines() if line.startswith("| `")]
    assert len(rows) == len(clauses())


@pytest.mark.parametrize("clause", clauses().values(), ids=lambda clause: clause.id)
def test_a_clause_is_well_formed(clause: Clause) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", clause.id)
    assert clause.level in LEVELS
    assert clause.why.startswith("Otherwise "), clause.why
    assert clause.why.endswith(".")
    assert bool(clause.quote) == (clause.level in DECISIVE), clause.quote
    assert version("3.4") <= version(clause.since) <= version(NEWEST_SPEC)
    assert clause.text.endswith(".")
    assert clause.link or clause.source == "CPython", clause.source
    if clause.level == "documented":
        assert clause.source.startswith("asyncio-stream#")
    if clause.level == "inherited":
        assert re.match(r"asyncio-(exceptions|protocol|eventloop)#", clause.source)
