"""A broken implementation of the zoo is caught by the clauses that it states, and by no others.

On the cheapest network on which it shows, without the clauses that are searches; `tox -e zoo` does
it on all networks, with all clauses.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from zoo import SPECIMENS, Specimen, kept
from zoo.forked import ForkedSuite, Result, is_search
from zoo.kept import Kept

from conformance.clauses import clauses
from conformance.errors import CannotRun

pytestmark = pytest.mark.pythons("newest", why="what the suite catches is the same on every Python")


@pytest.fixture(scope="module")
def suite() -> Iterator[ForkedSuite]:
    with ForkedSuite() as suite:
        yield suite


# All of them take long: every twentieth is tried here, every one by `tox -e zoo`.
CHOSEN = dict(list(SPECIMENS.items())[::20])


@pytest.mark.parametrize("specimen", CHOSEN.values(), ids=CHOSEN)
def test_a_specimen_fails_the_clauses_that_name_its_fault(
    specimen: Specimen, suite: ForkedSuite
) -> None:
    network = specimen.networks[0]
    result = suite.certify(specimen.name, network, searching=False, asked=specimen.asked)
    assert specimen.differences(result) == []
    assert result.failures or not specimen.fails


def test_a_search_over_the_kernel_ends_with_a_read_that_never_does(suite: ForkedSuite) -> None:
    search = "reader.any-program"
    result = suite.certify("zoo.reading:WaitsForAll", "tcp", asked=frozenset({search}))
    assert "saw still waiting" in result.failures[search]


def test_every_clause_is_stated_by_a_specimen() -> None:
    stated = set[str]().union(*(each.fails for each in SPECIMENS.values()))
    # A search finds many faults of reading, each of which is a clause's of its own.
    assert {each for each in clauses() if each not in stated and not is_search(each)} == set()


def test_a_specimen_states_clauses_that_there_are() -> None:
    for each in SPECIMENS.values():
        assert each.fails <= clauses().keys(), each.name
        assert not any(each.everywhere.intersection(ids) for ids in each.only_on.values()), (
            each.name
        )


def test_a_result_is_kept_until_something_else_could_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specimen = next(each for each in SPECIMENS.values() if not each.is_basic)
    result = Result("memory", ["read.all"], {"read.all": "something else"})
    Kept(tmp_path).keep(specimen, result)
    assert Kept(tmp_path).result(specimen, "memory") == result
    assert Kept(tmp_path).result(specimen, "tcp") is None
    monkeypatch.setattr(specimen, "is_basic", True)  # asked for other clauses
    assert Kept(tmp_path).result(specimen, "memory") is None
    monkeypatch.undo()
    monkeypatch.setattr(kept, "_packages", lambda: "changed")
    assert Kept(tmp_path).result(specimen, "memory") is None


def test_what_is_no_implementation_is_said(suite: ForkedSuite) -> None:
    with pytest.raises(CannotRun, match=r"cannot find .*zoo:nothing"):
        suite.certify("zoo:nothing", "memory")


def test_a_crash_costs_its_own_certification_only(suite: ForkedSuite) -> None:
    with pytest.raises(CannotRun, match="the interpreter ended with status"):
        suite.certify("plugged.misbehaving:crashing", "tls")
    assert suite.certify("reference_impl", "tls").failures == {}


def test_a_specimen_of_which_nothing_is_tested_on_a_network_fails_nothing(
    suite: ForkedSuite,
) -> None:
    result = suite.certify(
        "zoo.reader:EndsAtOnce", "tls", asked=frozenset({"reader.closed-in-order.keeps-data"})
    )
    assert result == Result("tls", [], {})
