"""`StreamReader.read()`."""

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle

from conformance.harness.clause import RESETTABLE, clause
from conformance.harness.expect import (
    expect,
    expect_bytes,
    expect_error,
    expect_pending,
    expect_that,
)
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Trial

LIMIT = 64  # bytes; data beyond a multiple of it is held back until the reader reads


async def read_to_end(trial: Trial, *n: int) -> None:
    """Check that `read(*n)` gives the whole of a stream that ends while it waits."""
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(*n))
    await wire.send(b"abc")
    await wire.settle()
    await wire.send(b"def")
    await wire.send_eof()
    expect(await reading, b"abcdef")


@clause("read.all.n-omitted")
async def test_all_with_n_omitted(trial: Trial) -> None:
    await read_to_end(trial)


@clause("read.all.n-minus-one")
async def test_all_with_n_minus_one(trial: Trial) -> None:
    await read_to_end(trial, -1)


@clause("read.all.waits-for-eof")
async def test_all_waits_for_eof(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.settle()
    reading = trial.start(reader.read(-1))
    await wire.send(b"def")
    await wire.settle()
    expect_pending(reading, "read(), before the end,")
    await wire.send_eof()
    await reading


@clause("read.all.nothing-left")
async def test_all_of_an_empty_stream(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send_eof()
    expect(await reader.read(-1), b"")


@clause("read.all.nothing-left")
async def test_all_of_what_was_read_before(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    expect(await take(reader, 3), b"abc")
    await wire.send_eof()
    expect(await reader.read(-1), b"")


@clause("read.all.more-than-limit")
async def test_all_of_more_than_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = bytes(range(256)) * 4096  # more than a transport receives in one go
    sending = trial.start(wire.send(data))
    await trial.turns()  # all of it is held back or buffered before the read begins
    reading = trial.start(reader.read(-1))
    await sending
    await wire.send_eof()
    expect(await reading, data)


@clause("read.all.other-negatives")
async def test_all_with_other_negatives(trial: Trial) -> None:
    for n in (-2, -65536):
        await read_to_end(trial, n)


@clause("read.all.cancelled-loses-nothing")
async def test_cancelled_read_of_all(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(-1))
    for piece in (b"abc", b"def"):
        await wire.send(piece)
        await wire.settle()
    reading.cancel()
    got = b""
    with suppress(CancelledError):
        got = await reading
    await wire.send(b"ghi")
    await wire.send_eof()
    expect(got + await take_rest(reader), b"abcdefghi")


@clause("read.zero.returns-nothing")
async def test_zero_returns_nothing(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    expect(await reader.read(0), b"")
    await wire.send(b"abc")
    await wire.settle()
    expect(await reader.read(0), b"")
    await wire.send_eof()
    await take_rest(reader)
    expect(await reader.read(0), b"")


@clause("read.zero.does-not-wait")
async def test_zero_does_not_wait(trial: Trial) -> None:
    # A wait here would never end: the wire sends nothing.
    reader, _, _ = await trial.connect()
    expect(await reader.read(0), b"")


@clause("read.zero.does-not-wait")
async def test_zero_while_another_read_waits(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(1))
    await trial.turns()
    expect(await reader.read(0), b"")
    await wire.send(b"a")
    expect(await reading, b"a", "the other read:")


@clause("read.zero.consumes-nothing")
async def test_zero_consumes_nothing(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.settle()
    await reader.read(0)
    expect(await take(reader, 3), b"abc")


@clause("read.zero.lost", networks=RESETTABLE)
async def test_zero_when_lost(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.reset()
    await trial.turns()
    expect(await reader.read(0), b"")


@clause("read.n.at-most-n")
async def test_at_most_n(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdef")
    await wire.settle()
    for n in (1, 2):
        data = await reader.read(n)
        expect_that(len(data) <= n, f"at most {n} bytes from read({n})", data)


@clause("read.n.does-not-wait-for-n")
async def test_does_not_wait_for_n(trial: Trial) -> None:
    # A wait for more would never end: the wire sends nothing more.
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(100))
    await wire.send(b"a")
    expect(await reading, b"a")
    await wire.send(b"b")
    await wire.settle()
    expect(await reader.read(100), b"b")


@clause("read.n.waits-for-a-byte")
async def test_waits_for_a_byte(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(3))
    await wire.settle()
    expect_pending(reading, "read(3), before anything was sent,")
    await wire.send(b"abc")
    expect_that(bool(await reading), "at least one byte", b"")


@clause("read.n.waits-for-a-byte")
async def test_waits_after_everything_was_read(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reads: dict[str, Callable[[], Awaitable[bytes]]] = {
        "read(4)": lambda: reader.read(4),
        "readexactly(4)": lambda: reader.readexactly(4),
        "readline()": lambda: reader.readline(),
        "readuntil()": lambda: reader.readuntil(b"\n"),
    }
    for name, read in reads.items():
        await wire.send(b"abc\n")
        await wire.settle()
        left = 4
        while left > 0:  # read(4) may return less
            left -= len(await read())
        reading = trial.start(reader.read(3))
        await wire.settle()
        expect_pending(reading, f"read(3), after {name} took all that was sent,")
        reading.cancel()
        await trial.turns()


@clause("read.n.not-an-integer")
async def test_not_an_integer(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"a")
    await wire.settle()
    for n in (2.5, "1", b"1"):
        await expect_error(TypeError, reader.read(n))  # type: ignore[arg-type]  # the mistake
    expect(await reader.readexactly(1), b"a")


@clause("read.n.every-byte-in-order")
async def test_every_byte_in_order(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    data = bytes(range(256)) * 4

    async def send() -> None:
        for start in range(0, len(data), 100):
            await wire.send(data[start : start + 100])
            await wire.arrived()
            await trial.turns(3)
        await wire.send_eof()

    sending = trial.start(send())
    got = b""
    sizes = cycle((1, 2, 3, 7, 64, 100, 129, 1000))
    while len(got) < len(data) and (piece := await reader.read(next(sizes))):
        got += piece
    expect(got, data)
    await sending


@clause("read.n.every-byte-in-order")
async def test_every_byte_of_pieces_that_wait(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    data = bytes(range(256)) * 4
    for start in range(0, len(data), 100):
        await wire.send(data[start : start + 100])
        await wire.settle()
    await wire.send_eof()
    got = b""
    for n in cycle((1, 2, 3, 7, 64, 100, 129, 1000)):
        piece = await reader.read(n)
        got += piece
        if not piece or len(got) >= len(data):
            break
    expect(got, data)


@clause("read.n.data-before-eof")
async def test_data_before_eof(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdef")
    await wire.send_eof()
    await wire.settle()
    got = b""
    while data := await reader.read(4):
        got += data
    expect(got, b"abcdef", "read before b'':")


@clause("read.n.empty-at-eof")
async def test_empty_at_eof(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(3))
    await wire.settle()
    await wire.send_eof()
    expect(await reading, b"")


@clause("read.n.larger-than-limit")
async def test_larger_than_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = bytes(range(256)) * 40

    async def send() -> None:
        await wire.send(data)
        await wire.send_eof()

    sending = trial.start(send())
    got = b""
    while len(got) < len(data) and (piece := await reader.read(100 * LIMIT)):
        got += piece
    expect(got, data)
    await sending


@clause("read.n.cancelled-loses-nothing")
async def test_cancelled(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(3))
    await wire.settle()
    reading.cancel()
    await asyncio.wait([reading])
    await wire.send(b"abc")
    expect(await take(reader, 3), b"abc")


@clause("read.n.cancelled-loses-nothing")
async def test_cancelled_while_bytes_arrive(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    got = b""
    for turns in range(10):  # cancelled somewhere between their arrival and its return
        reading = trial.start(reader.read(3))
        await trial.turns(2)
        await wire.send(b"abc")
        await trial.turns(turns)
        reading.cancel()
        with suppress(CancelledError):
            got += await reading
    await wire.send_eof()
    got += await take_rest(reader)
    expect(got, b"abc" * 10)


@clause("read.n-by-keyword")
async def test_n_by_keyword(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    expect(await reader.read(n=1), b"a")


@clause("read.eof.repeats")
async def test_eof_repeats(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    await take_rest(reader)
    for n in (1, -1, 100, -1):
        expect(await reader.read(n), b"")


@clause("read.returns-bytes")
async def test_returns_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdef")
    await wire.send_eof()
    for n in (0, 1, 2, -1, 1, -1):
        with suppress(EOFError):  # whether it returns is irrelevant here
            expect_bytes(await reader.read(n), f"read({n})")
