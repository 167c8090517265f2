"""`StreamReader`, fed by hand."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_impl
from reference_impl import IncompleteReadError, LimitOverrunError, StreamReader


def reader_with(data: bytes = b"", *, eof: Any = False, **options: Any) -> Any:
    reader = StreamReader(**options)
    if data:
        reader.feed_data(data)
    if eof:
        reader.feed_eof()
    return reader


class Transport(asyncio.Transport):
    """Records pauses and resumptions of reading."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


# What reads return.


async def test_read_returns_what_there_is() -> None:
    reader = reader_with(b"abcdef")
    assert await reader.read(4) == b"abcd"
    assert await reader.read(100) == b"ef"
    assert await reader.read(0) == b""
    reader.feed_eof()
    assert await reader.read(100) == b""
    assert await reader.read() == b""


@pytest.mark.parametrize("n", [-1, -7])
async def test_read_all_waits_for_eof(settle: Callable[..., Awaitable[None]], n: Any) -> None:
    reader = reader_with(b"ab")
    task = asyncio.create_task(reader.read(n))
    await settle()
    reader.feed_data(b"cd")
    await settle()
    assert not task.done()
    reader.feed_eof()
    assert await task == b"abcd"


async def test_readexactly() -> None:
    reader = reader_with(b"abcdef")
    assert await reader.readexactly(0) == b""
    assert await reader.readexactly(2) == b"ab"
    assert await reader.readexactly(4) == b"cdef"
    reader.feed_data(b"xy")
    reader.feed_eof()
    with pytest.raises(IncompleteReadError) as caught:
        await reader.readexactly(3)
    assert (caught.value.partial, caught.value.expected) == (b"xy", 3)
    with pytest.raises(IncompleteReadError) as caught:
        await reader.readexactly(1)
    assert caught.value.partial == b""


async def test_lines() -> None:
    reader = reader_with(b"a\n\nbc", eof=True)
    assert await reader.readline() == b"a\n"
    assert await reader.readline() == b"\n"
    assert await reader.readline() == b"bc"
    assert await reader.readline() == b""


async def test_iteration() -> None:
    assert [line async for line in reader_with(b"a\n\nbc", eof=True)] == [b"a\n", b"\n", b"bc"]


@pytest.mark.parametrize(
    ("separator", "expected"),
    [
        (b"b", b"ab"),
        (b"bc", b"abc"),
        (bytearray(b"b"), b"ab"),
        (memoryview(b"b"), b"ab"),
        ((b"c", b"b"), b"ab"),
        ((b"c", b"bc"), b"abc"),
        ((b"abcd", b"b"), b"ab"),
        ((bytearray(b"c"),), b"abc"),
    ],
)
async def test_readuntil(separator: Any, expected: Any) -> None:
    reader = reader_with(b"abcd")
    assert await reader.readuntil(separator) == expected
    assert await reader.readexactly(4 - len(expected)) == b"abcd"[len(expected) :]


async def test_readuntil_looks_at_a_changed_bytearray_again() -> None:
    reader = reader_with(b"a1b2")
    separator = bytearray(b"1")
    assert await reader.readuntil(separator) == b"a1"
    separator[:] = b"2"
    assert await reader.readuntil(separator) == b"b2"


async def test_readuntil_at_eof_gives_what_is_left() -> None:
    reader = reader_with(b"abc\r", eof=True)
    with pytest.raises(IncompleteReadError) as caught:
        await reader.readuntil(b"\r\n")
    assert (caught.value.partial, caught.value.expected) == (b"abc\r", None)
    assert reader.at_eof()


async def test_at_eof() -> None:
    reader = reader_with(b"a")
    assert not reader.at_eof()
    reader.feed_eof()
    assert not reader.at_eof()
    await reader.read()
    assert reader.at_eof()


# The limit.


@pytest.mark.parametrize(
    ("limit", "separator", "consumed"),
    [
        (5, b"gh", 6),
        (6, b"gh", None),
        (6, b"xy", 7),
        (5, (b"xy", b"xyz"), 6),
        (6, (b"gh", b"h"), 7),
        (7, (b"gh", b"h"), None),
    ],
)
async def test_limit(limit: int, separator: Any, consumed: Any) -> None:
    reader = reader_with(b"abcdefgh", limit=limit)
    if consumed is None:
        assert await reader.readuntil(separator) == b"abcdefgh"
        return
    for _ in range(2):
        with pytest.raises(LimitOverrunError) as caught:
            await reader.readuntil(separator)
        assert caught.value.consumed == consumed
    assert await reader.readexactly(8) == b"abcdefgh"


async def test_a_line_over_the_limit_is_dropped_up_to_its_end() -> None:
    reader = reader_with(b"0123456789\nnext\n", limit=4)
    with pytest.raises(ValueError, match="Separator is found, but chunk is longer than limit"):
        await reader.readline()
    assert await reader.readline() == b"next\n"


async def test_a_line_over_the_limit_without_an_end_is_dropped() -> None:
    reader = reader_with(b"0123456789", limit=4)
    with pytest.raises(ValueError, match="Separator is not found, and chunk exceed the limit"):
        await reader.readline()
    reader.feed_data(b"x\n")
    assert await reader.readline() == b"x\n"


async def test_the_limit_counts_a_line_that_arrives_in_pieces(
    settle: Callable[..., Awaitable[None]],
) -> None:
    reader = StreamReader(limit=10)
    task = asyncio.create_task(reader.readuntil())
    for _ in range(10):
        reader.feed_data(b".")
        await settle()
    assert not task.done()
    reader.feed_data(b".")
    with pytest.raises(LimitOverrunError) as caught:
        await task
    assert caught.value.consumed == 11


# Wrong arguments: the error, and nothing is consumed.


@pytest.mark.parametrize("fed", [b"", b"abc"])
@pytest.mark.parametrize(
    ("method", "argument", "error"),
    [
        ("readexactly", -1, ValueError),
        *(
            (method, wrong, TypeError)
            for method in ("read", "readexactly")
            for wrong in (1.5, "1", None)
        ),
        *(
            ("readuntil", wrong, ValueError)
            for wrong in (b"", (), (b"",), (b"a", b""), bytearray(), memoryview(b""))
        ),
        *(("readuntil", wrong, TypeError) for wrong in ("a", 5, None, [b"a"], {b"a"}, (b"a", "b"))),
    ],
)
async def test_wrong_arguments(fed: Any, method: Any, argument: Any, error: Any) -> None:
    reader = reader_with(fed)
    with pytest.raises(error):
        await getattr(reader, method)(argument)
    reader.feed_data(b"\n")
    assert await reader.readuntil() == fed + b"\n"


@pytest.mark.parametrize("limit", [0, -1])
async def test_the_limit_is_positive(limit: int) -> None:
    with pytest.raises(ValueError, match="Limit cannot be <= 0"):
        StreamReader(limit=limit)


@pytest.mark.parametrize("waits", [True, False])
async def test_after_small_pieces_comes_any(waits: bool) -> None:
    reader = StreamReader(limit=2**20)
    reading = asyncio.ensure_future(reader.readexactly(10**6)) if waits else None
    await asyncio.sleep(0)
    expected = b""
    for piece in (b"abcdefghij", b"abcd", b"abcd"):
        reader.feed_data(piece)
        expected += piece
    with pytest.raises(TypeError):
        reader.feed_data("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        reader.feed_data([1, 2])  # type: ignore[arg-type]
    large = bytes(range(256)) * 1000
    other: Any
    for other in (bytearray(b"e"), memoryview(b"f-g-h")[::2], b"", large, memoryview(large), b"i"):
        reader.feed_data(other)
        expected += bytes(other)
    reader.feed_eof()
    if reading is not None:
        with pytest.raises(asyncio.IncompleteReadError) as raised:
            await reading
        assert raised.value.partial == expected
    else:
        assert await reader.readexactly(12) == expected[:12]
        assert await reader.read() == expected[12:]


async def test_feeding() -> None:
    reader = StreamReader()
    reader.feed_data(b"")
    changing = bytearray(b"a")
    reader.feed_data(changing)
    changing[0] = 0
    reader.feed_data(memoryview(b"bc"))
    wrong: Any
    for wrong in ("x", 5):
        with pytest.raises(TypeError):
            reader.feed_data(wrong)
    assert await reader.read(10) == b"abc"
    reader.feed_eof()
    with pytest.raises(AssertionError):
        reader.feed_data(b"x")


# Cancellation and other readers.

READS: dict[str, Callable[[StreamReader], Awaitable[bytes]]] = {
    "read": lambda reader: reader.read(5),
    "read all": lambda reader: reader.read(),
    "readexactly": lambda reader: reader.readexactly(100),
    "readline": lambda reader: reader.readline(),
    "readuntil": lambda reader: reader.readuntil((b"\r\n", b"\0")),
    "async for": lambda reader: anext(reader),
}
read_of_every_kind = pytest.mark.parametrize("read", READS.values(), ids=READS)


@read_of_every_kind
async def test_a_cancelled_read_loses_nothing(
    read: Any, cancelled: Callable[[Awaitable[Any]], Awaitable[None]]
) -> None:
    reader = StreamReader()
    await cancelled(read(reader))
    reader.feed_data(b"abc")
    assert await reader.read(1) == b"a"
    if read is not READS["read"]:
        await cancelled(read(reader))
    assert await reader.read(100) == b"bc"


@read_of_every_kind
async def test_a_read_that_is_cancelled_once_it_could_go_on_loses_nothing(
    read: Any, settle: Callable[..., Awaitable[None]]
) -> None:
    reader = StreamReader()
    task = asyncio.create_task(read(reader))
    await settle()
    reader.feed_data(b"abcdefgh\r\n" * 20)
    reader.feed_eof()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reader.read() == b"abcdefgh\r\n" * 20


@read_of_every_kind
async def test_a_closed_coroutine_frees_the_reader(read: Any) -> None:
    reader = StreamReader()
    coroutine = read(reader).__await__()
    next(coroutine)
    coroutine.close()
    reader.feed_data(b"x")
    assert await reader.read(1) == b"x"


@pytest.mark.parametrize("fed", [b"", b"some"])
@read_of_every_kind
async def test_a_second_read_is_refused_and_does_no_harm(
    read: Any, fed: Any, settle: Callable[..., Awaitable[None]]
) -> None:
    reader = StreamReader()
    reader.feed_data(fed)
    first = asyncio.create_task(reader.readexactly(10))
    await settle()
    with pytest.raises(RuntimeError, match="called while another coroutine is already waiting"):
        await read(reader)
    assert await reader.read(0) == b""
    reader.feed_data(b"0123456789"[len(fed) :])
    # The first could go on now but has not: what it needs is not for others to take.
    with pytest.raises(RuntimeError, match="called while another coroutine is already waiting"):
        await read(reader)
    assert await first == fed + b"0123456789"[len(fed) :]


async def test_a_read_may_follow_a_cancelled_one_at_once(
    settle: Callable[..., Awaitable[None]],
) -> None:
    reader = StreamReader()
    first = asyncio.create_task(reader.readline())
    await settle()
    first.cancel()
    second = asyncio.create_task(reader.readline())
    await settle()
    assert first.cancelled()
    third = asyncio.create_task(reader.readline())
    await settle()
    with pytest.raises(RuntimeError):
        await third
    reader.feed_data(b"x\n")
    assert await second == b"x\n"


# Exceptions.


async def test_what_was_received_can_be_read_before_the_exception() -> None:
    reader = reader_with(b"one\ntwo\nthree")
    reader.set_exception(ConnectionResetError("lost"))
    assert await reader.readline() == b"one\n"
    for name, *arguments in (("readexactly", 100), ("read",), ("readuntil", b"#")):
        with pytest.raises(ConnectionResetError):
            await getattr(reader, name)(*arguments)
    assert await reader.readline() == b"two\n"
    assert await reader.read(100) == b"three"
    for _ in range(2):
        for read in READS.values():
            with pytest.raises(ConnectionResetError):
                await read(reader)


@read_of_every_kind
async def test_an_exception_ends_a_waiting_read(
    read: Any, settle: Callable[..., Awaitable[None]]
) -> None:
    reader = StreamReader()
    task = asyncio.create_task(read(reader))
    await settle()
    reader.set_exception(ConnectionResetError("lost"))
    with pytest.raises(ConnectionResetError, match="lost"):
        await task


async def test_each_raise_has_its_own_exception() -> None:
    cause = ValueError("cause")
    error: Any = ConnectionResetError(104, "lost")
    error.__cause__ = cause
    error.detail = "kept"
    reader = StreamReader()
    reader.set_exception(error)
    assert reader.exception() is error
    seen: list[Any] = []
    for _ in range(3):
        with pytest.raises(ConnectionResetError) as caught:
            await reader.read(1)
        seen.append(caught.value)
    assert len({id(one) for one in (error, *seen)}) == 4
    assert len({len(traceback.extract_tb(one.__traceback__)) for one in seen}) == 1
    kept: Any = error
    assert kept.__traceback__ is None
    for one in seen:
        assert (one.errno, one.strerror, one.detail) == (104, "lost", "kept")
        assert one.__cause__ is cause


async def test_an_exception_that_cannot_be_copied_is_raised_itself() -> None:
    class Odd(Exception):
        def __init__(self, one: Any, two: Any) -> None:
            super().__init__(one)

    reader = StreamReader()
    error = Odd(1, 2)
    reader.set_exception(error)
    with pytest.raises(Odd) as caught:
        await reader.read(1)
    assert caught.value is error


async def test_an_exception_after_eof_is_raised() -> None:
    reader = reader_with(b"x", eof=True)
    reader.set_exception(ConnectionResetError())
    assert await reader.read(1) == b"x"
    for read in READS.values():
        with pytest.raises(ConnectionResetError):
            await read(reader)


# Flow control.


async def test_reading_pauses_above_twice_the_limit_and_resumes_at_the_limit() -> None:
    reader, transport = StreamReader(limit=4), Transport()
    reader.set_transport(transport)
    with pytest.raises(AssertionError):
        reader.set_transport(Transport())
    reader.feed_data(b".\n" * 4)
    assert transport.calls == []
    reader.feed_data(b".")
    assert transport.calls == ["pause"]
    reader.feed_data(b".")
    assert transport.calls == ["pause"]
    assert await reader.readline() == b".\n"
    assert await reader.readexactly(3) == b".\n."
    assert transport.calls == ["pause"]
    assert await reader.read(1) == b"\n"
    assert transport.calls == ["pause", "resume"]
    assert await reader.read(10) == b".\n.."
    assert transport.calls == ["pause", "resume"]


@pytest.mark.parametrize("read", ["read", "readexactly", "readline", "readuntil"])
async def test_each_kind_of_read_resumes_exactly_at_the_limit(read: Any) -> None:
    reader, transport = StreamReader(limit=4), Transport()
    reader.set_transport(transport)
    reader.feed_data(b"\n" * 20)
    arguments = (1,) if read in ("read", "readexactly") else ()
    for held in range(19, 0, -1):
        assert await getattr(reader, read)(*arguments) == b"\n"
        assert transport.calls == (["pause"] if held > 4 else ["pause", "resume"])


@pytest.mark.parametrize("count", [13, 100])
async def test_a_read_of_more_than_is_held_resumes(
    count: int, settle: Callable[..., Awaitable[None]]
) -> None:
    reader, transport = StreamReader(limit=4), Transport()
    reader.set_transport(transport)
    reader.feed_data(b"0123456789")
    assert transport.calls == ["pause"]
    task = asyncio.create_task(reader.readexactly(count))
    await settle()
    assert transport.calls == ["pause", "resume"]
    for _ in range(count - 11):
        reader.feed_data(b".")
    assert transport.calls == ["pause", "resume"], "a read still needs more"
    reader.feed_data(b".")
    assert len(await task) == count


async def test_a_cancelled_read_of_more_than_is_held_pauses_again(
    cancelled: Callable[[Awaitable[Any]], Awaitable[None]],
) -> None:
    reader, transport = StreamReader(limit=4), Transport()
    reader.set_transport(transport)
    reader.feed_data(b"0123456789")
    await cancelled(reader.readexactly(100))
    assert transport.calls == ["pause", "resume"]
    reader.feed_data(b".")
    assert transport.calls == ["pause", "resume", "pause"]
    assert await reader.readexactly(11) == b"0123456789."
    assert transport.calls == ["pause", "resume", "pause", "resume"]


async def test_reading_pauses_when_no_read_waits_for_more(
    settle: Callable[..., Awaitable[None]],
) -> None:
    reader, transport = StreamReader(limit=4), Transport()
    reader.set_transport(transport)
    task = asyncio.create_task(reader.readline())
    await settle()
    reader.feed_data(b"a\nb\nc\nd\ne\nf\n")
    # asyncio's loops let the read go on before they receive again.
    in_turns = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    assert transport.calls == ([] if in_turns else ["pause"])
    assert await task == b"a\n"
    reader.feed_data(b"g\n")
    assert transport.calls == ["pause"]
    for line in (b"b\n", b"c\n", b"d\n", b"e\n"):
        assert await reader.readline() == line
    assert transport.calls == ["pause", "resume"]


async def test_a_transport_that_cannot_pause() -> None:
    reader = StreamReader(limit=4)
    reader.set_transport(asyncio.Transport())
    reader.feed_data(b"0123456789")
    reader.feed_data(b"0123456789")
    assert await reader.readexactly(20) == b"0123456789" * 2


# Construction and repr.


def test_without_a_loop() -> None:
    asyncio.run(asyncio.sleep(0))  # leaves none
    with pytest.raises(RuntimeError):
        StreamReader()


def test_with_a_loop_that_does_not_run() -> None:
    loop = asyncio.new_event_loop()
    try:
        reader = StreamReader(limit=10, loop=loop)
        reader.feed_data(b"abc")
        assert loop.run_until_complete(reader.read(10)) == b"abc"
    finally:
        loop.close()


async def test_repr(settle: Callable[..., Awaitable[None]]) -> None:
    assert repr(StreamReader()) == "<StreamReader>"
    assert repr(reader_with(b"abc", eof=True, limit=5)) == "<StreamReader 3 bytes eof limit=5>"
    reader = reader_with(b"abc")
    reader.set_exception(ValueError("x"))
    assert repr(reader) == "<StreamReader 3 bytes exception=ValueError('x')>"
    reader = StreamReader(limit=1)
    reader.set_transport(Transport())
    reader.feed_data(b"abc")
    assert "transport=<" in repr(reader)
    assert repr(reader).endswith("paused>")
    task = asyncio.create_task(reader.read())
    await settle()
    assert "waiter=<Future pending" in repr(reader)
    reader.feed_eof()
    await task


# Everything at once, against a model.

PIECES = st.lists(st.text("ab\n", min_size=1, max_size=6).map(str.encode), max_size=12)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 8)),
        st.tuples(st.just("readexactly"), st.integers(0, 8)),
        st.tuples(st.just("readline")),
        st.tuples(st.just("readuntil"), st.sampled_from([b"a", b"ab", (b"b\n", b"ba"), (b"a",)])),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=80)
@given(PIECES, CALLS, st.integers(1, 12), st.booleans())
def test_every_byte_is_returned_once_and_in_order(
    pieces: Any, calls: Any, limit: int, give_up: Any
) -> None:
    async def scenario() -> None:
        reader, transport = StreamReader(limit=limit), Transport()
        reader.set_transport(transport)
        supply = iter(pieces)
        got = b""

        def feed() -> Any:
            if transport.calls[-1:] == ["pause"]:
                return False
            piece = next(supply, None)
            if piece is None:
                reader.feed_eof()
            else:
                reader.feed_data(piece)
            return piece is not None

        for name, *arguments in calls:
            while True:
                task = asyncio.create_task(getattr(reader, name)(*arguments))
                await asyncio.sleep(0)
                while not task.done():
                    feed()
                    if give_up:
                        task.cancel()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                if not task.cancelled():
                    break
            try:
                got += task.result()
            except IncompleteReadError as error:
                got += error.partial
            except LimitOverrunError as error:
                got += await reader.readexactly(error.consumed)
            except ValueError:
                return  # a line over the limit, of which bytes are dropped
        while not reader.at_eof():
            while feed():
                pass
            got += await reader.read(3)
        assert got == b"".join(pieces)

    asyncio.run(scenario())


async def test_a_read_that_takes_all_there_is_leaves_nothing_ready(cancelled: Any) -> None:
    reader = StreamReader()
    reads: list[Callable[[], Awaitable[bytes]]] = [
        lambda: reader.read(3),
        lambda: reader.readexactly(1),
        lambda: reader.readline(),
    ]
    for read in reads:
        reader.feed_data(b"\n")
        assert await read() == b"\n"
        await cancelled(read())
        assert reader.at_eof() is False


async def test_a_piece_shorter_than_the_separator_is_not_taken_for_it(settle: Any) -> None:
    reader = StreamReader()
    task = asyncio.create_task(reader.readuntil(b"aab"))
    for piece in (b"a", b"a", b"b"):
        assert not task.done()
        reader.feed_data(piece)
        await settle()
    assert await task == b"aab"


def test_public_names() -> None:
    for name in reference_impl.__all__:
        assert hasattr(reference_impl, name)
