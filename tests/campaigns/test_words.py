"""The words of failures: what was expected and seen, so that a reader can act on it."""

import re
from collections.abc import Iterator

import pytest

from campaigns._shared.forked_suite import ForkedSuite, Request
from campaigns.zoo.certified import PLAIN
from campaigns.zoo.words import says_little

pytestmark = pytest.mark.pythons("newest", why="the words are the same on every Python")


@pytest.fixture(scope="module")
def suite() -> Iterator[ForkedSuite]:
    with ForkedSuite(PLAIN) as suite:
        yield suite


def said(specimen: str, clause: str, suite: ForkedSuite) -> list[str]:
    """Return the messages of a clause's tests about a specimen that they fail."""
    streams = f"campaigns.zoo.{specimen}"
    answer = suite.certify(Request(streams=streams, networks=("memory",), clauses=(clause,)))
    return [f"expected {each.expected}; saw {each.seen}" for each in answer.failures]


@pytest.mark.parametrize(
    ("specimen", "clause", "words"),
    [
        (
            "closing:CloseAborts",
            "close.sends-first",
            r"expected the number of bytes that arrived: 9437184; saw"
            r" the number of bytes that arrived: \d+",
        ),
        (
            "closing:CloseAborts",
            "wait_closed.waits-until-sent",
            r"expected wait_closed\(\), while the peer does not read, to keep waiting; saw"
            r" it returned None",
        ),
        (
            "closing:CloseOnce",
            "close.twice",
            r"expected no exception at `writer.close\(\)`; saw"
            r" RuntimeError: the stream is closed already, raised in campaigns/.*",
        ),
        (
            "closing:CloseLeavesReads",
            "transport.abort.ends-reads",
            r"expected StreamReader.read\(\) to return; saw"
            r" a hang after 20 s without progress: StreamReader.read\(\) waits in .*",
        ),
        (
            "classes:refuses_otherwise",
            "connecting.refused.class",
            r"expected ConnectionRefusedError to be raised; saw"
            r" ConnectionError: \[Errno 111\] .*",
        ),
        (
            "reading:WaitsForAll",
            "read.n.does-not-wait-for-n",
            r"expected WaitsForAll.read\(\) to return; saw"
            r" a hang after 20 s without progress: WaitsForAll.read\(\) waits in campaigns/.*",
        ),
        (
            "reading:ReadAllIsImpatient",
            "read.all.waits-for-eof",
            r"expected read\(\), before the end, to keep waiting; saw it returned b'.*'",
        ),
    ],
)
def test_a_failure_says_what_was_expected_and_seen(
    specimen: str, clause: str, words: str, suite: ForkedSuite
) -> None:
    assert re.fullmatch(words, said(specimen, clause, suite)[0])


@pytest.mark.parametrize(
    ("specimen", "clause", "words"),
    [
        (
            "reading:EndsTooEarly",
            "read.any-program",
            r"expected (read\(1\): returned b'a'; saw returned|b'a' to be left; saw) b'', in .*",
        ),
        (
            "reading:StripsTheNewline",
            "readline.any-program",
            r"expected readline\(\): returned b'\\n'; saw returned b'', in the program .*",
        ),
        (
            "reading:ExactlyReturnsLess",
            "readexactly.any-program",
            r"expected readexactly\(5\): IncompleteReadError b''; saw returned b'', in .*",
        ),
        (
            "reading_until:StripsTheSeparator",
            "readuntil.any-program",
            r"expected readuntil\(b'b'\): returned b'b'; saw returned b'', in the program .*",
        ),
        (
            "reading_until:LongestOfAll",
            "readuntil.tuple.any-program",
            r"expected readuntil\(\(b'ab', b'aba'\)\): returned b'ab'; saw returned b'aba', in .*",
        ),
    ],
)
def test_a_search_says_what_a_program_did_and_should_have(
    specimen: str, clause: str, words: str, suite: ForkedSuite
) -> None:
    found = said(specimen, clause, suite)
    assert any(re.fullmatch(words, each) for each in found), found


@pytest.mark.parametrize(
    "detail",
    [
        "expected what the clause says; saw a hang (client on tcp)",
        "expected True; saw False (client on tcp)",
        "expected drains done: False; saw drains done: True (client on tcp)",
        "expected the test to end; saw a hang (client on tcp)",
    ],
)
def test_words_that_leave_open_what_was_expected_are_found(detail: str) -> None:
    good = "expected drain() to keep waiting; saw it returned None (client on tcp)"
    assert says_little(f"{good}\n{detail}") == [detail]
