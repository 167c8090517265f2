"""Calls work again and again: flow control in each direction, many calls, many bytes in all."""

import asyncio
from typing import Any

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, Some, clause
from conformance.harness.expect import expect, expect_done, expect_error, expect_pending
from conformance.harness.expectations import expect_drain_does_not_yield, expect_drain_waits
from conformance.harness.patterns import KIB, fill, overfill
from conformance.harness.reading import take
from conformance.harness.trial import Trial
from conformance.networks.wire import Wire

IN_MEMORY = Some(("memory",), "how often it is done makes no difference to the network")

TIMES = 4


# Writing.


@clause("drain.waits")
async def test_drain_waits_again(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    for _ in range(TIMES if trial.network.in_memory else 2):
        await expect_drain_waits(trial, writer, wire)


@clause("drain.does-not-yield", networks=IN_MEMORY)
async def test_drain_does_not_yield_below_the_mark(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    await writer_drained(trial, writer, wire, len(data))
    writer.transport.set_write_buffer_limits(high=4 * len(data))
    writer.write(overfill(trial))
    await expect_drain_does_not_yield(trial, writer)


async def writer_drained(trial: Trial, writer: Any, wire: Any, size: int) -> None:
    """Let a drain() wait until `size` bytes have been received."""
    draining = trial.start(writer.drain())
    await wire.settle()
    await wire.receive(size)
    await draining


@clause("drain.marks.high", networks=IN_MEMORY)
async def test_marks_that_change(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    for high in (2 * len(data), 64 * KIB, 3 * len(data), 32 * KIB):
        writer.transport.set_write_buffer_limits(high=high)
        await fill(trial, writer)
        draining = trial.start(writer.drain())
        await wire.settle()
        judge = expect_done if high > len(data) else expect_pending
        judge(draining, f"drain() with a mark of {high} and {len(data)} bytes to send")
        expect(await wire.receive(len(data)), data, "bytes:")
        await draining


@clause("wait_closed.several")
async def test_many(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    waiting = [trial.start(writer.wait_closed()) for _ in range(100)]
    await trial.turns()
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await asyncio.gather(*waiting)


@clause("drain.concurrent", networks=IN_MEMORY)
async def test_many_drains(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    drains = [trial.start(writer.drain()) for _ in range(100)]
    await wire.receive(len(data))
    await asyncio.gather(*drains)


@clause("write.many-small", networks=IN_MEMORY)
async def test_more_writes_than_a_short_counts(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    for _ in range(70):
        for _ in range(1000):
            writer.write(b"x")
        expect(await wire.receive(1000), b"x" * 1000, "bytes:")


# Reading.


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_pauses_again(trial: Trial) -> None:
    transport = Pausable()
    reader = by_hand(trial, 16, "set_transport")
    reader.set_transport(transport)  # type: ignore[arg-type]  # all of one that a reader needs
    for _ in range(100):
        for _ in range(4):
            reader.feed_data(b"x" * 16)
        expect(transport.paused, True, "paused with 64 bytes unread:")
        expect(await take(reader, 64), b"x" * 64)
        expect(transport.paused, False, "paused with nothing unread:")


class Pausable:
    """As much of a transport as a reader needs to hold its peer back."""

    paused = False

    def pause_reading(self) -> None:
        """Pause."""
        self.paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self.paused = False

    def is_closing(self) -> bool:
        """Return False."""
        return False


@clause("reader.flow.peer-is-held-back", networks=IN_MEMORY)
async def test_peer_is_held_back_after_write_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect(limit=64 * KIB)
    writer.write_eof()
    data = bytes(2 * trial.network.unread_capacity)
    sending = trial.start(wire.send(data))
    await trial.turns(2 * len(data) // (64 * KIB))
    expect_pending(sending, f"sending {len(data)} bytes to a reader that nobody reads from")
    for _ in range(len(data) // (64 * KIB)):
        await reader.readexactly(64 * KIB)
    await sending


@clause("reader.flow.peer-is-held-back", networks=IN_MEMORY)
async def test_peer_is_held_back_by_a_slow_program(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=KIB)
    data = bytes(4 * trial.network.unread_capacity)
    sending = trial.start(wire.send(data))
    for _ in range(200):
        await reader.readexactly(1)
        await trial.turns(2)
    expect_pending(sending, f"sending {len(data)} bytes to a program that has read 200")
    sending.cancel()


async def overrun(trial: Trial, reader: asyncio.StreamReader, wire: Wire) -> None:
    """Let a readuntil() meet the limit of 16 bytes."""
    await wire.send(bytes(20))
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))


async def cancel_a_read(trial: Trial, reader: asyncio.StreamReader, wire: Wire) -> None:
    """Cancel a read that waits for more than has come."""
    reading = trial.start(reader.readexactly(1024 * KIB))
    await wire.send(bytes(20))
    await wire.settle()
    reading.cancel()
    await asyncio.wait([reading])


async def nothing(trial: Trial, reader: asyncio.StreamReader, wire: Wire) -> None:
    """Do nothing."""


@clause("reader.flow.peer-is-held-back", networks=IN_MEMORY)
async def test_peer_is_held_back_whatever_came_before(trial: Trial) -> None:
    for prepare, limit in ((overrun, 16), (cancel_a_read, 16), (nothing, 1024 * KIB)):
        reader, _, wire = await trial.connect(limit=limit)
        await prepare(trial, reader, wire)
        data = bytes(4 * limit + 2 * trial.network.unread_capacity)
        sending = trial.start(wire.send(data))
        await trial.turns(2 * len(data) // (64 * KIB))
        what = f"sending {len(data)} bytes to a reader with a limit of {limit} bytes"
        expect_pending(sending, f"{what}, after {prepare.__name__}(),")
        sending.cancel()


@clause("read.n.every-byte-in-order", roles=BY_HAND)
async def test_more_reads_than_a_short_counts(trial: Trial) -> None:
    reader = by_hand(trial)
    piece = bytes(range(250))
    for _ in range(280):
        reader.feed_data(piece)
        got = b"".join([await reader.read(1) for _ in piece])
        expect(got, piece, "bytes:")


@clause("read.n.every-byte-in-order", networks=IN_MEMORY)
async def test_much_in_the_end(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    piece = bytes(1024 * KIB)
    for _ in range(64):
        writer.write(piece)
        receiving = trial.start(wire.receive(len(piece)))
        expect(len(await receiving), len(piece), "bytes received:")
        sending = trial.start(wire.send(piece))
        expect(len(await reader.readexactly(len(piece))), len(piece), "bytes read:")
        await sending
