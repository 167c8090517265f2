"""The words of failures, which a reader has to act on, and of the project's own texts."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns._shared.forked_suite import ForkedSuite, Request
from campaigns.zoo import SPECIMENS
from campaigns.zoo.certified import PLAIN
from campaigns.zoo.words import says_little
from conformance.clauses.description import description

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
"""The pages that are written by hand."""

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


# The words of the project's own texts: CONTRIBUTING.md, "The words".

UNPLAIN = {
    r"(?<!-)\bwater ?marks?": "high-water mark, low-water mark",
    r"\btime-outs?\b": "timeout",
    r"\bfor ever\b": "forever",
    r"\bback-?pressure\b": "back pressure",
    r"\bmended\b": "fixed",
    r"\bbefalls?\b": "happens to",
    r"\banew\b": "again",
    r"\bat once\b": "immediately; at the same time; in one go",
    r"\bin vain\b": "without a match, without effect",
    r"\bin the midst\b": "in the middle",
    r"\bby way of\b": "through, with",
    r"\blets? go on\b": "resume, wake",
    r"\b(came|comes|became|becomes) of\b": "the outcome, the result",
    r"\b[Ww]ho(so)?ever\b": "any task, any caller: a noun",
    r"\b(is|are|was|were) (told|said|asked)\b": "say who acts",
    r"(?:^|[.:;] )(?:What|Who)\b(?![^.]*\?)": "a noun as the subject",
}
"""Words that a reader has to read twice, as regular expressions, and better ones."""


def unplain(text: str) -> list[str]:
    """Return the words of a text that are not plain, each with better ones."""
    words = re.sub(r"\s+(?:# )?", " ", text).strip()
    found = ((re.search(pattern, words), better) for pattern, better in UNPLAIN.items())
    return [
        f"…{words[max(0, m.start() - 30) : m.end() + 30]}… ({better})" for m, better in found if m
    ]


def texts_of_code(file: Path) -> Iterator[str]:
    """Yield the comments of a Python file, block by block, and its docstrings."""
    source = file.read_text(encoding="utf-8")
    block, last = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield block
                block = ""
            block, last = f"{block} {token.string.lstrip('# ')}", token.start[0]
    yield block
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            # Each paragraph, and each entry of `Args:`, has a subject of its own.
            yield from re.split(r"\n\s*\n|\n\s+\w+: ", str(node.value.value))


@pytest.mark.parametrize("folder", ["reference_impl", "fakes", "conformance", "tests/campaigns"])
def test_comments_and_docstrings_are_plain(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    found = {
        f"{file.relative_to(ROOT)}: {words}"
        for file in files
        if file != Path(__file__)
        for text in texts_of_code(file)
        for words in unplain(text)
    }
    assert files
    assert found == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "…", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = text.partition("## The words")[0]  # which names them
    assert [words for paragraph in text.split("\n\n") for words in unplain(paragraph)] == []


def test_reasons_are_plain() -> None:
    files = sorted((ROOT / "tests" / "campaigns").rglob("*.toml"))
    texts = [text for file in files for text in strings(tomllib.loads(file.read_text("utf-8")))]
    assert texts
    assert [words for text in texts for words in unplain(text)] == []


def strings(value: object) -> Iterator[str]:
    """Yield the strings in a value of TOML; mutants' keys and patterns are single words."""
    if isinstance(value, str) and value.count(" ") > 3:
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)


def test_clauses_are_plain() -> None:
    whole = description()
    texts = [text for each in whole.clauses for text in (each.text, each.why)]
    texts += [text for each in whole.untestable for text in (each.sentence, each.reason)]
    assert [words for text in texts for words in unplain(text)] == []


def test_the_faults_of_specimens_are_plain() -> None:
    assert [words for each in SPECIMENS.values() for words in unplain(each.fault)] == []


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("The high-water mark, the low-water mark and a timeout.", True),
        ("The water mark of a transport.", False),
        ("Without a time-out it waits.", False),
        ("It says what the peer sent.", True),
        ("What the peer sends is lost.", False),
        ("It is lost: what the peer sends.", True),
        ("Who closes? What is left?", True),
        ("Whoever waits goes on.", False),
        ("The reader is told of the end.", False),
        ("The reader is\n    # told of it.", False),
    ],
)
def test_words_that_are_not_plain_are_found(text: str, *, is_plain: bool) -> None:
    assert (unplain(text) == []) is is_plain
