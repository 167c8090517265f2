"""The receive buffer, against a model that is one ``bytes`` object."""

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_impl import _buffer
from reference_impl._buffer import Buffer


def earliest(data: bytes, separators: Any) -> Any:
    """The match that ends first; of those, the shortest: by trying every end."""
    for end in range(len(data) + 1):
        for separator in sorted(separators, key=len):
            if data[:end].endswith(separator):
                return end - len(separator), end
    return None


def find(buffer: Any, *separators: Any) -> Any:
    return buffer.find(separators, max(map(len, separators)))


def splits(data: bytes) -> Iterator[Any]:
    """Every way to cut *data* into pieces that are not empty."""
    for count in range(len(data)):
        for cuts in itertools.combinations(range(1, len(data)), count):
            ends = (*cuts, len(data))
            yield [data[a:b] for a, b in zip((0, *cuts), ends, strict=True)]


@pytest.fixture(params=["as built", "small pieces", "one byte each"])
def sizes(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the thresholds so small that a few bytes meet them all."""
    values = {"as built": (), "small pieces": (2, 3, 2), "one byte each": (1, 1, 1)}
    for name, value in zip(("SMALL", "BLOCK", "WINDOW"), values[request.param], strict=False):
        monkeypatch.setattr(_buffer, name, value)


@pytest.mark.parametrize(
    "separators",
    [(b"\n",), (b"ab",), (b"aab",), (b"b", b"ab"), (b"abb", b"b\n"), (b"aabab", b"bb", b"a\n")],
)
@pytest.mark.usefixtures("sizes")
def test_finds_a_separator_wherever_the_pieces_are_cut(separators: Any) -> None:
    data = b"aaabab\na"
    expected = earliest(data, separators)
    for pieces in splits(data):
        searched_once, searched_always = Buffer(), Buffer()
        for piece in pieces:
            searched_once.feed(piece)
            searched_always.feed(piece)
            seen = find(searched_always, *separators)
            if seen:
                assert seen == expected, pieces
        assert find(searched_once, *separators) == expected, pieces
        assert find(searched_always, *separators) == expected, pieces


@pytest.mark.usefixtures("sizes")
def test_takes_any_sizes_of_any_pieces() -> None:
    data = b"0123456"
    for pieces in splits(data):
        for takes in splits(data):
            buffer = Buffer()
            for piece in pieces:
                buffer.feed(piece)
            assert [buffer.take(len(part)) for part in takes] == takes
            assert buffer.size == 0


SMALL_BYTES = st.text("ab\n", min_size=1, max_size=9).map(str.encode)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), SMALL_BYTES),
        st.tuples(st.just("take"), st.integers(0, 12)),
        st.tuples(st.just("take at once"), st.integers(1, 12)),
        st.tuples(st.just("take the whole"), st.none()),
        st.tuples(st.just("wait"), st.none()),
        st.tuples(st.just("gather"), st.lists(SMALL_BYTES, max_size=5)),
        st.tuples(st.just("find"), st.lists(SMALL_BYTES, min_size=1, max_size=3).map(tuple)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=400)
@given(OPERATIONS, st.integers(1, 4), st.integers(1, 8), st.integers(1, 5))
def test_behaves_like_one_bytes_object(
    operations: Any, small: Any, block: Any, window: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SMALL": small, "BLOCK": block, "WINDOW": window}.items():
            patch.setattr(_buffer, name, value)
        buffer, model = Buffer(), b""
        for operation, argument in operations:
            if operation == "feed":
                model += argument
                assert buffer.feed(argument) == len(model)
            elif operation == "take":
                count = min(argument, len(model))
                assert buffer.take(count) == model[:count]
                model = model[count:]
            elif operation == "take at once":  # as the reader does
                start, stop = buffer.start, buffer.start + argument
                if stop <= buffer.ready and stop < len(buffer.head):
                    buffer.start = stop
                    assert buffer.head[start:stop] == model[:argument]
                    model = model[argument:]
            elif operation == "take the whole":  # likewise
                if buffer.whole > 0:
                    assert buffer.head == model
                    assert buffer.whole == len(model)
                    buffer.head, model = b"", b""
                    buffer.sealed = buffer.whole = buffer.searched = 0
            elif operation == "wait":
                buffer.ready = 0
            elif operation == "gather":  # as a read does that is given up, or is ended by EOF
                buffer.ready = 0
                buffer.gather(len(model) + 10)
                for piece in argument:
                    model += piece
                    assert buffer.feed(piece) == len(model)
                if len(argument) % 2:
                    buffer.settle()
                else:
                    buffer.spread()
            else:
                assert find(buffer, *argument) == earliest(model, argument)
            if operation in ("wait", "gather"):
                assert buffer.ready == 0
            assert buffer.size == len(model)
            assert buffer.ready in (0, len(buffer.head))
            assert buffer.whole in (-1, len(model))
            if buffer.whole > 0:
                assert buffer.head == model
                assert (buffer.start, buffer.ready) == (0, 0)
            assert bool(buffer.head) == bool(model)
        assert buffer.take(buffer.size) == model


def test_one_piece_is_returned_as_it_came() -> None:
    buffer = Buffer()
    piece = bytes(_buffer.BLOCK)
    buffer.feed(piece)
    assert buffer.take(_buffer.BLOCK) is piece


def test_a_large_piece_that_may_change_is_copied() -> None:
    buffer = Buffer()
    piece = bytearray(b"x" * (3 * _buffer.BLOCK))
    buffer.feed(memoryview(piece))
    piece[:] = bytes(len(piece))
    assert buffer.take(len(piece)) == b"x" * len(piece)


def footprint(buffer: Any) -> Any:
    pieces = [buffer.head, *(buffer._more or ()), buffer.gathered]
    return sum(map(sys.getsizeof, pieces)) + sys.getsizeof(buffer._more)


@pytest.mark.parametrize("size", [1, 3, 1000, 5000])
def test_memory_is_what_is_held_and_a_constant(size: int) -> None:
    buffer = Buffer()
    count = 1_000_000
    for _ in range(count // size):
        buffer.feed(bytes(size))
    assert footprint(buffer) < count * 1.02 + _buffer.BLOCK
    while buffer.size > 20_000:
        buffer.take(777)
        assert footprint(buffer) < buffer.size * 1.02 + _buffer.BLOCK + 10_000


def test_a_huge_piece_is_released_as_it_is_read() -> None:
    buffer = Buffer()
    buffer.feed(bytes(10_000_000))
    buffer.take(9_000_000)
    assert footprint(buffer) < 1_000_000 + 2 * _buffer.BLOCK


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Count the bytes that searches look at."""
    counted = [0]
    search = _buffer.first_match

    def counting(piece: Any, begin: Any, separators: Any, longest: Any) -> Any:
        found = search(piece, begin, separators, longest)
        counted[0] += (found[1] if found else len(piece)) - begin
        return found

    monkeypatch.setattr(_buffer, "first_match", counting)
    return counted


@pytest.mark.parametrize("separators", [(b"\n",), (b"\r\n",), (b"\r\n", b"\0")])
@pytest.mark.parametrize("size", [3, 4096])
def test_a_search_goes_on_where_the_last_one_ended(work: Any, separators: Any, size: int) -> None:
    buffer = Buffer()
    count = 600_000 // size
    for _ in range(count):
        buffer.feed(b"." * size)
        assert find(buffer, *separators) is None
    # Each byte once, and around each piece what could be the beginning of a separator.
    assert work[0] <= count * (size + 4)


def test_many_short_matches_cost_no_more_than_they_are_long(work: Any) -> None:
    buffer = Buffer()
    buffer.feed(b"short\r\n" * 30_000)
    while buffer.size:
        found = find(buffer, b"\r\n", b"\n")
        buffer.take(found[1])
    assert work[0] <= 30_000 * 8


def test_an_absent_separator_is_not_searched_for_far_beyond_a_match() -> None:
    class Watched(bytes):
        def find(self, separator: Any, begin: Any = 0, end: Any = sys.maxsize) -> Any:
            stops.append(end - begin)
            return super().find(separator, begin, end)

    stops: list[int] = []
    data = Watched(b"a\n" + bytes(100_000))
    assert _buffer.first_match(data, 0, (b"absent", b"\n"), 6) == (1, 2)
    assert max(stops) <= _buffer.WINDOW
