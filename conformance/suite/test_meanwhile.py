"""Calls that wait while the program or its peer does something; resets after an end."""

import asyncio
from collections.abc import Awaitable, Callable

from conformance.harness.clause import HALF_CLOSED, PLAIN, RESETTABLE, Some, clause
from conformance.harness.expect import expect, expect_error, expect_pending
from conformance.harness.expectations import expect_talk
from conformance.harness.patterns import fill
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Trial
from conformance.suite.test_reader import DATA, READS, outcome

PLAIN_AND_RESET = Some(
    (each for each in PLAIN if each in RESETTABLE), f"{HALF_CLOSED.why}, and {RESETTABLE.why}"
)
LOST = (ConnectionResetError, BrokenPipeError)

# A read that waits.


@clause("write_eof.reading-goes-on", networks=HALF_CLOSED)
async def test_write_eof_while_a_read_waits(trial: Trial) -> None:
    for name, read in READS.items():
        reader, writer, wire = await trial.connect()
        reading = trial.start(outcome(trial, read(reader)))
        await trial.turns()
        writer.write_eof()
        expect(await wire.receive_rest(), b"", "bytes:")
        await trial.turns()
        expect_pending(reading, f"{name}, when write_eof() was called,")
        await wire.send(DATA)
        await wire.send_eof()
        got = await reading
        expect(got + await take_rest(reader), DATA, f"{name} and the rest:")


@clause("close.ends-reads")
async def test_close_while_a_read_has_a_part(trial: Trial) -> None:
    async def close_(connection: Connection) -> None:
        await close(connection)
        await connection.wire.receive_to_end()
        await connection.wire.close()

    await expect_part(trial, close_)


@clause("transport.abort.ends-reads")
async def test_abort_while_a_read_has_a_part(trial: Trial) -> None:
    async def abort(connection: Connection) -> None:
        connection.writer.transport.abort()

    await expect_part(trial, abort)


async def expect_part(trial: Trial, end: Callable[[Connection], Awaitable[None]]) -> None:
    """Expect a read that waits for more to return what had arrived when `end` was called."""
    for name, read in READS.items():
        if name == "read(8)":
            continue  # it does not wait for more
        connection = await trial.connect()
        await connection.wire.send(b"?some")
        expect(await take(connection.reader, 1), b"?")
        reading = trial.start(outcome(trial, read(connection.reader)))
        await connection.wire.received()
        await end(connection)
        expect(await reading, b"some", f"{name}:")
        expect(connection.reader.at_eof(), True, "at_eof()")


# A wait_closed() that waits.


@clause("wait_closed.waits-while-open", networks=HALF_CLOSED)
async def test_both_directions_end_while_wait_closed_waits(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    waiting = trial.start(writer.wait_closed())
    await trial.turns()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    await wire.settle()
    expect_pending(waiting, "wait_closed(), when the peer has half-closed,")
    writer.write_eof()
    expect(await wire.receive_rest(), b"", "bytes:")
    await wire.settle()
    expect_pending(waiting, "wait_closed(), when both directions have ended,")
    writer.close()
    await waiting


@clause("wait_closed.waits-while-open")
async def test_stream_goes_on_while_wait_closed_waits(trial: Trial) -> None:
    connection = await trial.connect()
    waiting = trial.start(connection.writer.wait_closed())
    await trial.turns()
    await expect_talk(connection)
    expect_pending(waiting, "wait_closed()")


# A drain() that waits.


async def drains(trial: Trial, connection: Connection) -> "tuple[bytes, asyncio.Task[None]]":
    """Return what was written and not read by the peer, and a drain() that waits."""
    data = await fill(trial, connection.writer)
    draining = trial.start(connection.writer.drain())
    await connection.wire.settle()
    expect_pending(draining, "drain()")
    return data, draining


@clause("drain.waits", networks=HALF_CLOSED)
async def test_write_eof_while_a_drain_waits(trial: Trial) -> None:
    connection = await trial.connect()
    data, draining = await drains(trial, connection)
    connection.writer.write_eof()
    await connection.wire.settle()
    expect_pending(draining, "drain(), when write_eof() was called,")
    expect(await connection.wire.receive_rest(), data, "bytes:")
    await draining


@clause("drain.waits", networks=HALF_CLOSED)
async def test_peer_half_closes_while_a_drain_waits(trial: Trial) -> None:
    connection = await trial.connect()
    data, draining = await drains(trial, connection)
    await connection.wire.send_eof()
    await connection.wire.settle()
    expect_pending(draining, "drain(), when the peer has half-closed,")
    expect(await connection.wire.receive(len(data)), data, "bytes:")
    await draining


# A reset when something has ended before.


async def say_eof(connection: Connection) -> None:
    """End this side's direction."""
    connection.writer.write_eof()


async def hear_eof(connection: Connection) -> None:
    """End the peer's direction."""
    await connection.wire.send_eof()


async def close(connection: Connection) -> None:
    """Close this side, which waits for the peer to read."""
    connection.writer.close()


ENDS = (say_eof, hear_eof, close)


@clause("wait_closed.after-reset.raises", networks=PLAIN_AND_RESET)
async def test_wait_closed_after_a_reset_after_an_end(trial: Trial) -> None:
    for end in ENDS:
        connection = await trial.connect()
        waiting = await reset_after(trial, connection, end, connection.writer.wait_closed)
        connection.writer.close()
        await expect_error(LOST, waiting)
        await expect_error(LOST, connection.writer.wait_closed())


@clause("drain.reset.waiting", networks=PLAIN_AND_RESET)
async def test_drain_at_a_reset_after_an_end(trial: Trial) -> None:
    for end in ENDS:
        connection = await trial.connect()
        await expect_error(LOST, await reset_after(trial, connection, end, connection.writer.drain))


async def reset_after(
    trial: Trial,
    connection: Connection,
    end: Callable[[Connection], Awaitable[None]],
    call: Callable[[], Awaitable[None]],
) -> "asyncio.Task[None]":
    """Return a call that waits as the peer resets a connection with much unsent, after `end`."""
    await fill(trial, connection.writer)

    async def wait() -> None:
        await call()

    waiting = trial.start(wait())
    await connection.wire.settle()
    await end(connection)
    await connection.wire.settle()
    expect_pending(waiting, "what waits, before the reset,")
    await connection.wire.reset()
    return waiting
