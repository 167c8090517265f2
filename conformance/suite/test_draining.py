"""`StreamWriter.drain()`."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from conformance.harness.clause import COUNTED, HALF_CLOSED, RESETTABLE, Some, clause
from conformance.harness.expect import expect, expect_error, expect_pending, expect_that
from conformance.harness.expectations import lost
from conformance.harness.patterns import KIB, fill, overfill, pattern
from conformance.harness.trial import Connection, Trial

IN_MEMORY = Some(("memory",), "the network of a kernel takes more bytes when it likes")

LOST = (ConnectionResetError, BrokenPipeError)

Waiting = list["asyncio.Task[None]"]


async def waiting_drains(trial: Trial, connection: Connection, count: int) -> Waiting:
    """Fill the network, whose far end reads nothing; return `count` drains that wait."""
    await fill(trial, connection.writer)
    drains = [trial.start(connection.writer.drain()) for _ in range(count)]
    await connection.wire.settle()
    expect_waiting(drains)
    return drains


def expect_waiting(drains: Waiting) -> None:
    """Expect that none of the drains has ended."""
    for each in drains:
        expect_pending(each, "drain()")


@clause("drain.nothing-to-wait-for")
async def test_nothing_to_wait_for(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    await writer.drain()
    writer.write(b"little")
    await writer.drain()
    expect(await wire.receive(6), b"little")
    await writer.drain()


@clause("drain.does-not-yield")
async def test_does_not_yield(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    others: list[str] = []
    trial.loop.call_soon(others.append, "another callback ran")
    await writer.drain()
    for _ in range(10):
        writer.write(b"little")
        await writer.drain()
    expect(others, [], "meanwhile:")


@clause("drain.waits")
async def test_waits(trial: Trial) -> None:
    await waiting_drains(trial, await trial.connect(), 1)


@clause("drain.waits", networks=HALF_CLOSED)
async def test_waits_after_write_eof(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    writer.write_eof()
    draining = trial.start(writer.drain())
    await wire.settle()
    expect_waiting([draining])
    expect(await wire.receive_rest(), data, "bytes:")
    await draining


@clause("drain.waits.one-write")
async def test_waits_after_one_write(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(overfill(trial))
    draining = trial.start(writer.drain())
    await wire.settle()
    expect_waiting([draining])


@clause("drain.waits.after-writelines")
async def test_waits_after_writelines(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    for start in range(0, len(data), 64 * KIB):
        writer.writelines([data[start : start + 64 * KIB]])
        await trial.turns(1)
    draining = trial.start(writer.drain())
    await wire.settle()
    expect_waiting([draining])


@clause("drain.resumes")
async def test_resumes(trial: Trial) -> None:
    connection = await trial.connect()
    (draining,) = await waiting_drains(trial, connection, 1)
    await connection.wire.receive(len(overfill(trial)))
    await draining
    await connection.writer.drain()  # hangs if the peer resumes only the first


# High-water and low-water marks. overfill() leaves at least 1 MiB unsent, so a mark just below that
# is crossed while there is still much to send. TLS transports count what they hold in other ways:
# plain ones only.
MARK = KIB * KIB - 1


@clause("drain.low-water.not-before", networks=COUNTED)
async def test_not_before_the_low_water_mark(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.transport.set_write_buffer_limits(high=MARK, low=KIB)

    async def left_after_drain() -> int:
        await writer.drain()
        return writer.transport.get_write_buffer_size()

    writer.write(overfill(trial))
    draining = trial.start(left_after_drain())
    received = 0
    while not draining.done() and received < len(overfill(trial)):
        received += len(await wire.receive_some())
        await trial.turns(1)
    left = await draining
    expect_that(left <= KIB, f"at most {KIB} bytes to send when drain() returned", f"{left}")


@clause("drain.low-water.not-later", networks=COUNTED)
async def test_not_later_than_the_low_water_mark(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    # At the mark, more is left than the network takes after the far end has read everything.
    mark = len(overfill(trial)) + MARK
    writer.transport.set_write_buffer_limits(high=mark, low=mark)
    for _ in range(2):
        await fill(trial, writer)
    draining = trial.start(writer.drain())
    await wire.settle()
    expect_waiting([draining])
    # A transport may check the mark after each piece that it was given: hence the distance.
    while writer.transport.get_write_buffer_size() > mark - MARK // 2:
        await wire.receive_some()
        await trial.turns(1)
    await draining


@clause("drain.marks.high", networks=COUNTED)
async def test_a_higher_mark(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    writer.transport.set_write_buffer_limits(high=2 * len(data))
    writer.write(data)
    await writer.drain()  # hangs if the default mark is kept
    expect(await wire.receive(len(data)), data, "bytes:")


async def filled_to(trial: Trial, connection: Connection, more: int) -> None:
    """Write, and set the high-water mark, so that `more` bytes above the mark wait to be sent."""
    _, writer, wire = connection
    transport = writer.transport
    transport.set_write_buffer_limits(high=2 * len(overfill(trial)))
    writer.write(overfill(trial))
    await wire.settle()
    left = transport.get_write_buffer_size()
    transport.set_write_buffer_limits(high=left + KIB)
    writer.write(bytes(KIB + more))  # transports look at the mark when something is written


@clause("drain.marks.high", networks=COUNTED)
async def test_just_below_the_mark(trial: Trial) -> None:
    connection = await trial.connect()
    await filled_to(trial, connection, -1)
    await connection.writer.drain()  # hangs if it waits below the mark


@clause("drain.waits", networks=IN_MEMORY)
async def test_just_above_the_mark(trial: Trial) -> None:
    connection = await trial.connect()
    await filled_to(trial, connection, 1)
    draining = trial.start(connection.writer.drain())
    await connection.wire.settle()
    expect_waiting([draining])


@clause("drain.marks.zero", networks=COUNTED)
async def test_a_mark_of_zero(trial: Trial) -> None:
    await expect_drained(trial, overfill(trial), high=0)


@clause("drain.marks.low-zero", networks=COUNTED)
async def test_a_low_mark_of_zero(trial: Trial) -> None:
    # So much that any fraction of the high-water mark is more than a far end reads at a time.
    data = overfill(trial) + pattern(7 * KIB * KIB)
    await expect_drained(trial, data, high=8 * MARK, low=0)


async def expect_drained(trial: Trial, data: bytes, **marks: int) -> None:
    """Expect drain() after `data`, with these marks, to wait until all of it is sent."""
    _, writer, wire = await trial.connect()
    writer.transport.set_write_buffer_limits(**marks)
    writer.write(data)

    async def left_after_drain() -> int:
        await writer.drain()
        return writer.transport.get_write_buffer_size()

    draining = trial.start(left_after_drain())
    received = 0
    while not draining.done() and received < len(data):
        received += len(await wire.receive_some())
        await trial.turns(1)
    expect(await draining, 0, "bytes to send when drain() returned:")


@clause("drain.marks.zero.nothing-left")
async def test_a_mark_of_zero_with_nothing_left(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.transport.set_write_buffer_limits(high=0)
    for _ in range(3):
        writer.write(b"x")
        await wire.receive(1)
        await wire.settle()
        await writer.drain()  # hangs if a pause is never ended


@clause("drain.concurrent")
async def test_concurrent(trial: Trial) -> None:
    connection = await trial.connect()
    drains = await waiting_drains(trial, connection, 5)
    await connection.wire.receive(len(overfill(trial)))
    await asyncio.gather(*drains)


@clause("drain.cancelled.raises")
async def test_cancelled_raises(trial: Trial) -> None:
    (draining,) = await waiting_drains(trial, await trial.connect(), 1)
    draining.cancel()
    await asyncio.wait([draining])
    expect(draining.cancelled(), True, "drain() cancelled:")


@clause("drain.cancelled.leaves-others")
async def test_cancelled_leaves_others(trial: Trial) -> None:
    connection = await trial.connect()
    first, cancelled, last = await waiting_drains(trial, connection, 3)
    cancelled.cancel()
    await connection.wire.settle()
    expect_waiting([first, last])
    await connection.wire.receive(len(overfill(trial)))
    await asyncio.gather(first, last)


@clause("drain.cancelled.leaves-others")
async def test_cancelled_as_the_connection_is_lost(trial: Trial) -> None:
    connection = await trial.connect()
    first, cancelled, last = await waiting_drains(trial, connection, 3)
    connection.writer.transport.abort()
    cancelled.cancel()
    await asyncio.wait([first, last])  # hangs if only the cancelled one is woken
    expect(trial.reported, [], "reported:")


@clause("drain.cancelled.leaves-others")
async def test_cancelled_as_the_peer_reads(trial: Trial) -> None:
    connection = await trial.connect()
    *cancelled, last = await waiting_drains(trial, connection, 50)
    receiving = trial.start(connection.wire.receive(len(overfill(trial))))
    for each in cancelled:  # one in each turn: one of them in that in which all are woken
        each.cancel()
        await trial.turns(1)
    await asyncio.gather(receiving, last)
    expect(trial.reported, [], "reported:")


@clause("drain.cancelled.loses-nothing")
async def test_cancelled_loses_nothing(trial: Trial) -> None:
    connection = await trial.connect()
    _, writer, wire = connection
    (draining,) = await waiting_drains(trial, connection, 1)
    draining.cancel()
    await trial.turns()
    writer.write(b"the end")
    again = trial.start(writer.drain())
    received = await wire.receive(len(overfill(trial)) + 7)
    expect(received, overfill(trial) + b"the end", "bytes:")
    await again


async def write_and_drain(writer: asyncio.StreamWriter, pause: float | None = None) -> None:
    """Write and drain until drain() raises; return if it does not after so many times.

    Args:
        writer: the writer of a connection that is lost.
        pause: seconds between two writes; by default the loop gets no turn but those that drain()
            gives.
    """
    for _ in range(10_000):
        with suppress(Exception):  # write() may refuse: this test is about drain()
            writer.write(b"anybody there?")
        await writer.drain()
        if pause is not None:
            await asyncio.sleep(pause)


@clause("drain.reset", networks=RESETTABLE)
async def test_reset(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    await wire.reset()
    await expect_error(LOST, write_and_drain(writer, pause=0.001))  # the reset may take its time


@clause("drain.reset", networks=RESETTABLE)
async def test_reset_in_a_loop_of_nothing_else(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    await expect_error(LOST, write_and_drain(connection.writer))


@clause("drain.abort.loop")
async def test_loop_after_abort(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.transport.abort()
    await expect_error(ConnectionError, write_and_drain(writer))


@clause("drain.reset.waiting", networks=RESETTABLE)
async def test_reset_while_waiting(trial: Trial) -> None:
    connection = await trial.connect()
    drains = await waiting_drains(trial, connection, 3)
    await connection.wire.reset()
    for each in drains:
        await expect_error(LOST, each)


async def expect_two(*drains: Awaitable[None]) -> None:
    """Expect each of two drains to raise an exception of its own, if it raises."""
    one, two = await asyncio.gather(*drains, return_exceptions=True)
    expect_that(
        one is None or one is not two,
        "an exception for each drain()",
        f"one {type(one).__name__} raised by both",
    )


@clause("drain.reset.own-exception", networks=RESETTABLE)
async def test_own_exception(trial: Trial) -> None:
    connection = await trial.connect()
    drains = await waiting_drains(trial, connection, 2)
    await connection.wire.reset()
    await expect_two(*drains)


@clause("drain.reset.own-exception", networks=RESETTABLE)
async def test_own_exception_of_later_drains(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    await expect_two(connection.writer.drain(), connection.writer.drain())


@clause("drain.reader-exception")
async def test_reader_exception(trial: Trial) -> None:
    reader, writer, _ = await trial.connect()
    reader.set_exception(LookupError("no", "more"))
    error = await expect_error(LookupError, writer.drain())
    expect(error.args, ("no", "more"), "args")


@clause("drain.abort.waiting")
async def test_abort_while_waiting(trial: Trial) -> None:
    connection = await trial.connect()
    drains = await waiting_drains(trial, connection, 2)
    connection.writer.transport.abort()
    await asyncio.wait(drains)


@clause("drain.abort.raises")
async def test_abort_raises(trial: Trial) -> None:
    connection = await trial.connect()
    (draining,) = await waiting_drains(trial, connection, 1)
    connection.writer.transport.abort()
    await expect_error(ConnectionError, draining)


@clause("drain.close.waiting")
async def test_close_while_waiting(trial: Trial) -> None:
    connection = await trial.connect()
    _, writer, wire = connection
    drains = await waiting_drains(trial, connection, 2)
    writer.close()
    await wire.settle()
    expect_waiting(drains)
    expect(len(await wire.receive_rest()), len(overfill(trial)), "bytes that arrived:")
    await wire.close()
    await asyncio.wait(drains)


@clause("drain.closed")
async def test_closed(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    expect(await wire.receive_rest(), b"")
    await wire.close()
    await writer.wait_closed()
    await expect_error(ConnectionResetError, writer.drain())
