"""A call that has ended leaves nothing in memory, be it that it succeeded or failed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, Some, clause
from conformance.harness.costs import (
    expect_calls_keep_nothing,
    expect_little_kept,
    taken,
    tracing,
)
from conformance.harness.expect import expect, expect_that
from conformance.harness.patterns import KIB, fill
from conformance.harness.reading import next_line, take
from conformance.harness.trial import Trial

TWO = Some(("memory", "tcp"), "what it costs does not depend on the network")
IN_MEMORY = Some(("memory",), TWO.why)

MANY = 400  # calls
LITTLE = 64  # bytes that each may leave: an interpreter's own tables grow by tens of KiB at times

SIZE = 1024 * KIB  # bytes
PIECE = 64 * KIB

Call = Callable[[], object]


async def expect_kept_by_none(calls: dict[str, Call], *, enough: int = LITTLE) -> None:
    """Expect memory not to grow by the number of calls of each kind."""
    for name, call in calls.items():

        async def ended(call: Call = call) -> None:
            with suppress(Exception):  # whether it may raise is for other clauses to mind
                result = call()
                if isinstance(result, Awaitable):
                    await result

        await expect_calls_keep_nothing(ended, f"calls: {name}", enough, MANY)


@clause("costs.memory.calls", networks=IN_MEMORY, roles=BY_HAND)
async def test_reads_of_what_is_there_are_not_kept(trial: Trial) -> None:
    line = b"x" * 63 + b"\n"
    reader = by_hand(trial, KIB)
    iterator = aiter(reader)  # one: of several, the loop has to end each, which takes it a while

    def reading(read: Callable[[], Awaitable[bytes]]) -> Call:
        async def call() -> None:
            reader.feed_data(line)
            expect(await read(), line)

        return call

    numbers = count()

    async def until_another() -> None:
        data = b"%d" % next(numbers)
        reader.feed_data(data)
        expect(await reader.readuntil(data), data)

    await expect_kept_by_none(
        {
            "readuntil(), each with another separator": until_another,
            "read(n)": reading(lambda: take(reader, 64)),
            "readline()": reading(lambda: reader.readline()),
            "readexactly()": reading(lambda: reader.readexactly(64)),
            "readuntil()": reading(lambda: reader.readuntil(b"x\n")),
            "async for": reading(lambda: anext(iterator)),
            "read(0)": lambda: reader.read(0),
            "readexactly(0)": lambda: reader.readexactly(0),
            "at_eof()": lambda: reader.at_eof(),
        }
    )


@clause("costs.memory.calls", networks=IN_MEMORY, roles=BY_HAND)
async def test_reads_that_fail_are_not_kept(trial: Trial) -> None:
    reader = by_hand(trial, 16)
    wrong: Any = "x"

    async def overrun() -> None:
        reader.feed_data(b"x" * 20)
        await reader.readline()

    await expect_kept_by_none(
        {
            "a line that is too long": overrun,
            "read('x')": lambda: reader.read(wrong),
            "readuntil(b'')": lambda: reader.readuntil(b""),
            "readexactly(-1)": lambda: reader.readexactly(-1),
        }
    )
    waiting = trial.start(reader.readexactly(8))
    await trial.turns()
    await expect_kept_by_none(
        {
            "read(n), while another waits": lambda: reader.read(8),
            "readline(), while another waits": lambda: reader.readline(),
            "readexactly(), while another waits": lambda: reader.readexactly(8),
        }
    )
    waiting.cancel()
    await asyncio.wait([waiting])
    reader.feed_eof()
    await expect_kept_by_none(
        {
            "read() at the end": lambda: reader.read(),
            "read(n) at the end": lambda: reader.read(8),
            "readline() at the end": lambda: reader.readline(),
            "readexactly() at the end": lambda: reader.readexactly(8),
            "readuntil() at the end": lambda: reader.readuntil(b"\n"),
            "async for, at the end": lambda: next_line(reader),
        }
    )


@clause("costs.memory.calls", networks=IN_MEMORY, roles=BY_HAND)
async def test_reads_that_are_cancelled_are_not_kept(trial: Trial) -> None:
    reader = by_hand(trial, 16)
    cancelled = partial(trial.cancelled, turns=1)
    await expect_kept_by_none(
        {
            "read(), cancelled": lambda: cancelled(reader.read()),
            "read(n), cancelled": lambda: cancelled(reader.read(8)),
            "readline(), cancelled": lambda: cancelled(reader.readline()),
            "readexactly(), cancelled": lambda: cancelled(reader.readexactly(8)),
            "readuntil(), cancelled": lambda: cancelled(reader.readuntil(b"\r\n")),
            "async for, cancelled": lambda: cancelled(next_line(reader)),
        }
    )


@clause("costs.memory.calls", networks=IN_MEMORY)
async def test_calls_of_a_writer_are_not_kept(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    cancelled = partial(trial.cancelled, turns=1)
    wrong: Any = "x"

    def pause_and_resume() -> None:
        transport: Any = writer.transport
        transport.pause_reading()
        transport.resume_reading()

    await expect_kept_by_none(
        {
            "drain()": lambda: writer.drain(),
            "write(b'')": lambda: writer.write(b""),
            "writelines([])": lambda: writer.writelines([]),
            "write('x')": lambda: writer.write(wrong),
            "writelines(['x'])": lambda: writer.writelines([wrong]),
            "is_closing()": lambda: writer.is_closing(),
            "can_write_eof()": lambda: writer.can_write_eof(),
            "get_extra_info()": lambda: writer.get_extra_info("peername"),
            "transport": lambda: writer.transport,
            "pause_reading() and resume_reading()": pause_and_resume,
            "set_write_buffer_limits()": lambda: writer.transport.set_write_buffer_limits(high=9),
        }
    )
    await fill(trial, writer)
    await expect_kept_by_none({"drain(), cancelled": lambda: cancelled(writer.drain())})
    writer.close()
    await expect_kept_by_none({"close()": lambda: writer.close()})
    writer.transport.abort()
    await writer.wait_closed()
    await expect_kept_by_none(
        {
            "drain() of a closed stream": lambda: writer.drain(),
            "wait_closed() of a closed stream": lambda: writer.wait_closed(),
        }
    )
    _, other, _ = await trial.connect()
    await expect_kept_by_none({"wait_closed(), cancelled": lambda: cancelled(other.wait_closed())})


# Bytes that pass only at the end, or only when much waits.


@clause("costs.memory.received", networks=TWO)
async def test_what_the_last_read_returned_is_not_kept(trial: Trial) -> None:
    reads: dict[str, Callable[[Any], Awaitable[bytes]]] = {
        "read()": lambda reader: reader.read(),
        "readexactly()": lambda reader: reader.readexactly(2 * SIZE),
        "readuntil()": lambda reader: reader.readuntil(b"\n"),
        "readline()": lambda reader: reader.readline(),
    }
    for name, read in reads.items():

        async def grown(size: int, name: str = name, read: Any = read) -> int:
            reader, writer, wire = await trial.connect(limit=2 * SIZE)
            before = taken()
            reading = trial.start(ended(trial, read(reader)))
            await trial.turns()
            await wire.send(b"x" * size)
            await wire.send_eof()
            expect(await reading, size, f"bytes of {name}:")
            del reading
            kept = taken() - before
            writer.close()
            return kept

        with tracing():
            # The least of several: an interpreter may take some MiB for itself at times.
            kept = min([await grown(SIZE) for _ in range(3)])
        expect_that(
            kept < SIZE // 2,
            f"nothing to be kept of {SIZE // KIB} KiB that {name} returned",
            f"{kept // KIB} KiB more in use",
        )


async def ended(trial: Trial, reading: Awaitable[bytes]) -> int:
    """Return how many bytes a read that meets the end of the stream returned, or has in partial."""
    try:
        return len(await reading)
    except trial.streams.IncompleteReadError as error:
        return len(error.partial)


@clause("costs.memory.received", networks=IN_MEMORY, roles=BY_HAND)
async def test_what_a_read_discards_is_not_kept(trial: Trial) -> None:
    reader = by_hand(trial, KIB)

    async def discard(size: int) -> None:
        for _ in range(size // PIECE):
            reader.feed_data(b"x" * PIECE)
            try:
                await reader.readline()
            except ValueError:
                pass
            except Exception as error:
                raise NotApplicable("readline() raises no ValueError") from error

    with tracing():
        await discard(PIECE)
        before = taken()
        await discard(SIZE)
        expect_little_kept(before, SIZE, "bytes of lines that were too long")


@clause("costs.memory.written", networks=TWO)
async def test_what_had_to_wait_is_not_kept(trial: Trial) -> None:
    await expect_sent_not_kept(trial, lambda writer, data: writer.write(data))
    await expect_sent_not_kept(trial, lambda writer, data: writer.writelines([data]))


async def expect_sent_not_kept(
    trial: Trial, write: Callable[[asyncio.StreamWriter, bytes], None]
) -> None:
    """Expect the connection to keep no bytes that had to wait for the network."""
    _, writer, wire = await trial.connect()
    pieces = (trial.network.unread_capacity + SIZE) // PIECE

    async def send(pieces: int) -> None:
        for _ in range(pieces):
            write(writer, bytes(bytearray(PIECE)))  # an object of its own each time
            await trial.turns(1)
        await wire.receive(pieces * PIECE)
        await writer.drain()

    with tracing():
        await send(1)
        before = taken()
        await send(pieces)
        expect_little_kept(before, SIZE, "bytes that had to wait")
    writer.close()
