"""Certificates to show: what matters of them is what is in them, not how they came about."""

import pytest

from conformance.clauses import LEVELS, clauses
from conformance.results.certificate import Certificate, Finding, Record, Variant
from conformance.results.known_deviations import KnownDeviations

HOSTILE = "<script>alert('&')</script> \x00 " + "x" * 200
"""What an implementation may make the suite say: markup, what XML cannot hold, one long word."""


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def by_level() -> dict[str, list[str]]:
    """The ids of the clauses of each level."""
    return {
        level: [each.id for each in clauses().values() if each.level == level] for level in LEVELS
    }


@pytest.fixture
def conforming() -> Certificate:
    """One in which everything passed on one network."""
    record = Record("some.streams", "asyncio", "3.15", ("memory",))
    for id_ in clauses():
        record.add(f"file.py::test[{Variant(id_, 'memory', 'client').id}]", None)
    return record.certificate()


@pytest.fixture
def deviating(by_level: dict[str, list[str]]) -> Certificate:
    """One with each verdict: two failures (one of them decides), a known deviation, the rest."""
    failing, passing = by_level["documented"][:2]
    robust = by_level["robust"][0]
    known = by_level["inherited"][0]
    record = Record("other.streams:<b>", "uvloop", "3.12", ("tcp", "unix"))
    for id_, network, finding in (
        (
            failing,
            "tcp",
            Finding("one thing", HOSTILE, "conformance/suite/test_read.py", 86, "test_it"),
        ),
        (failing, "unix", None),
        (robust, "tcp", Finding("this", "that")),
        (known, "tcp", Finding("these", "those")),
        (passing, "tcp", None),
    ):
        record.add(f"file.py::test[{Variant(id_, network, 'client').id}]", finding)
    return KnownDeviations({known: "on the list"}).marked(record.certificate())
