"""A broken implementation of the zoo is caught by the clauses that it states.

Every twentieth, by these clauses alone, on the networks that zoo.lock names; `tox -e zoo` does it
for all, with what is recorded besides, on all networks.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns._shared import result_cache
from campaigns._shared.forked_suite import Answer, Failure, ForkedSuite, Request, is_search
from campaigns._shared.result_cache import ResultCache
from campaigns.zoo import SPECIMENS, Specimen, certified, lock
from campaigns.zoo.certified import PLAIN, Certifier, problems, request
from campaigns.zoo.sound import StreamReader
from campaigns.zoo.specimen import specimen as make_specimen
from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.results.certificate import Variant

pytestmark = pytest.mark.pythons("newest", why="what the suite catches is the same on every Python")

PLUGGED = Path(__file__).parents[1] / "conformance" / "plugged"


@pytest.fixture(scope="module")
def suite() -> Iterator[ForkedSuite]:
    with ForkedSuite(PLAIN, folders=[PLUGGED]) as suite:
        yield suite


# The trial kept its tasks alive, so that nothing failed it.
TIMED = {
    # A hang or milliseconds: the seen value depends on the machine.
    *("costs.received-in-pieces", "costs.taken-in-pieces", "costs.written-in-pieces"),
    *("costs.searching", "costs.searching.several"),
}

CHOSEN = dict(list(SPECIMENS.items())[::20])
LOCK = lock.read()


@pytest.mark.parametrize("specimen", CHOSEN.values(), ids=CHOSEN)
def test_a_specimen_fails_the_clauses_that_name_its_fault(
    specimen: Specimen, suite: ForkedSuite
) -> None:
    failed = LOCK[specimen.name]
    networks = tuple(each for each in failed if set(specimen.fails) & set(failed[each])) or ("tcp",)
    answer = suite.certify(request(specimen, networks, only_these=True))
    assert answer.tests
    assert problems(specimen, answer) == []


def test_a_search_over_the_kernel_ends_with_a_read_that_never_does(suite: ForkedSuite) -> None:
    search = "reader.any-program"
    answer = suite.certify(
        Request(streams="campaigns.zoo.reading:WaitsForAll", networks=("tcp",), clauses=(search,))
    )
    assert {certified.variant_of(each) for each in answer.failures} == {
        Variant(search, "tcp", role) for role in ("client", "server")
    }
    for each in answer.failures:
        assert re.fullmatch(r"read\(\d+\) to end", each.expected)
        assert each.seen.startswith("a hang")


# Statements and records.


def test_every_clause_is_failed_by_a_specimen() -> None:
    failed = {clause for each in LOCK.values() for clauses in each.values() for clause in clauses}
    # A search finds many faults of reading, and each of them has a clause of its own.
    without = {each for each in clauses() if each not in failed and not is_search(each)}
    assert not without


def test_what_is_recorded_is_what_is_stated_and_more() -> None:
    assert LOCK.keys() == SPECIMENS.keys()
    for name, specimen in SPECIMENS.items():
        failed = set[str]().union(*LOCK[name].values())
        assert set(specimen.fails) <= failed, name
        assert failed <= clauses().keys(), name
        assert specimen.fails or not failed, name


def test_what_is_seen_is_stated_of_every_clause() -> None:
    seen = set[str]().union(*(each.seen for each in SPECIMENS.values()))
    without = {each for each in clauses() if each not in seen and not is_search(each)}
    assert without <= TIMED


def test_a_specimen_states_few_clauses() -> None:
    with pytest.raises(ValueError, match="4 clauses; the 3 that name it are enough"):
        make_specimen("It is wrong.", "a", "b", "c", "d")
    with pytest.raises(ValueError, match="a clause that is not stated"):
        make_specimen("It is wrong.", "a", seen={"b": "text"})


def test_an_answer_is_compared_with_what_is_stated() -> None:
    class Broken(StreamReader):
        pass

    def answer(*seen: str) -> Answer:
        test = "test_read.py::test_all[read.all:memory:client]"
        failures = tuple(Failure(test, "this", each) for each in seen)
        return Answer(1, failures, (("read.all", "memory"),))

    made = make_specimen("It is wrong.", "read.all", seen="b'that'")(Broken)
    del SPECIMENS[made.name]
    assert problems(made, answer("b'that' returned")) == []
    assert problems(made, answer()) == ["keeps read.all"]
    assert problems(made, answer("other")) == ["read.all says 'other', not \"b'that'\""]
    control = make_specimen("None.")(Broken)
    del SPECIMENS[control.name]
    assert problems(control, answer("b'that'")) == ["is right, and fails read.all"]


def test_a_specimen_runs_only_what_it_can_change() -> None:
    reading = SPECIMENS["campaigns.zoo.reading:OnlyMinusOne"]
    ((file, first, last),) = reading.reach() or ()
    assert file.endswith("plain.py")
    text = "".join(Path(file).read_text().splitlines(keepends=True)[first - 1 : last])
    assert "operator.index(n)" in text
    assert "def readline" not in text
    assert SPECIMENS["campaigns.zoo.reader:HasNoName"].reach() is None  # `object` has its repr


def test_the_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    recorded = {"b": {"tcp": ["x"], "memory": ["y", "x"]}, "a": {"memory": list[str]()}}
    file = tmp_path / "zoo.lock"
    lock.write(recorded, file)
    assert file.read_text().splitlines()[1:] == [
        "a memory []",
        'b memory ["x", "y"]',
        'b tcp ["x"]',
    ]
    assert lock.read(file)["b"] == {"memory": ["x", "y"], "tcp": ["x"]}
    assert lock.differences("b", recorded["b"], {"tcp": ["z"]}) == [
        "tcp: no longer fails x",
        "tcp: also fails z",
    ]
    assert lock.differences("c", None, {}) == ["is not recorded yet"]


# The fork server and its cache.


def test_what_is_kept_is_not_asked_again(
    suite: ForkedSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specimen = SPECIMENS["campaigns.zoo.reading:EndsTooEarly"]  # asked for its own clauses only
    file = tmp_path / "results.jsonl"
    first = Certifier(suite, ResultCache(file)).certify(specimen, ("memory",))
    assert [each.test for each in first.failures]

    class Unasked:
        def certify(self, request: Request) -> None:
            raise AssertionError("it is kept")

    again: Certifier = Certifier(Unasked(), ResultCache(file))  # type: ignore[arg-type]
    assert again.certify(specimen, ("memory",)) == first
    with pytest.raises(AssertionError, match="it is kept"):
        again.certify(specimen, ("tcp",))
    monkeypatch.setattr(certified, "suite", lambda: "changed")
    with pytest.raises(AssertionError, match="it is kept"):
        again.certify(specimen, ("memory",))


def test_results_are_kept_by_state(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    cache = result_cache.ResultCache(file)
    cache.keep("a", "1", {"b": [1]})
    file.write_text(file.read_text() + '["a", "2"')  # the run was ended here
    again = result_cache.ResultCache(file)
    assert again.get("a", "1") == {"b": [1]}
    assert again.get("a", "2") is None
    assert again.last("a") == {"b": [1]}
    assert again.last("c") is None


def test_what_is_no_implementation_is_said(suite: ForkedSuite) -> None:
    with pytest.raises(CannotRun, match=r"cannot find .*campaigns\.zoo:nothing"):
        suite.certify(Request(streams="campaigns.zoo:nothing", clauses=("read.n-by-keyword",)))


def test_a_crash_costs_its_own_certification_only(suite: ForkedSuite) -> None:
    asked = ("readexactly.returns-n-bytes",)
    crashed = suite.certify(
        Request(streams="misbehaving:crashing", networks=("tls",), clauses=asked)
    )
    assert "the process ended with" in crashed.failures[-1].seen
    sound = Request(streams=PLAIN.streams, networks=("tls",), clauses=asked)
    assert suite.certify(sound).failures == ()


def test_where_nothing_is_tested_nothing_fails(suite: ForkedSuite) -> None:
    asked = ("reader.closed-in-order.keeps-data",)
    answer = suite.certify(
        Request(streams="campaigns.zoo.reader:EndsAtOnce", networks=("tls",), clauses=asked)
    )
    assert answer == Answer(0, ())
