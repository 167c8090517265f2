"""Connections side by side: what happens to one of them has no effect on another."""

import asyncio

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, RESETTABLE, clause
from conformance.harness.expect import expect, expect_error, expect_pending
from conformance.harness.expectations import expect_talk, lost
from conformance.harness.patterns import fill
from conformance.harness.trial import Trial


@clause("readuntil.separator.changes", roles=BY_HAND)
async def test_searches(trial: Trial) -> None:
    one, other = by_hand(trial), by_hand(trial)
    one.feed_data(b"x" * 100)
    reading = trial.start(one.readuntil(b";"))
    await trial.turns()
    other.feed_data(b"short;" + b"x" * 200)
    expect(await other.readuntil(b";"), b"short;", "while another reader looks for the same:")
    one.feed_data(b";")
    expect(await reading, b"x" * 100 + b";")


@clause("reader.by-hand.limit-and-loop", roles=BY_HAND)
async def test_limits(trial: Trial) -> None:
    limits = (200, 8, 50)
    readers = [by_hand(trial, limit) for limit in limits]
    for reader, limit in zip(readers, limits, strict=True):
        line = b"x" * (limit - 1) + b"\n"
        reader.feed_data(line + b"x" + line + b"\n")
        expect(await reader.readuntil(b"\n"), line, f"one of {len(limits)} readers:")
        reader.feed_data(b"x" * limit)
        await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))


@clause("reader.by-hand.exception", roles=BY_HAND)
async def test_exceptions(trial: Trial) -> None:
    one, other = by_hand(trial), by_hand(trial)
    one.set_exception(LookupError("no more"))
    expect(other.exception(), None, "exception() of another reader:")
    other.feed_data(b"line\n")
    for _ in range(2):
        other.feed_eof()
    expect([line async for line in other], [b"line\n"], "lines of another reader:")


@clause("reader.reset.exception", networks=RESETTABLE)
async def test_reset(trial: Trial) -> None:
    one, other = await trial.connect(), await trial.connect()
    reading = trial.start(other.reader.read(100))
    closing = trial.start(other.writer.wait_closed())
    await lost(trial, one)
    expect(other.reader.exception(), None, "exception() of another connection:")
    expect_pending(reading, "read(100) of another connection")
    expect_pending(closing, "wait_closed() of another connection")
    reading.cancel()
    await asyncio.wait([reading])
    await expect_talk(other)


@clause("drain.waits")
async def test_drains(trial: Trial) -> None:
    one, other = await trial.connect(), await trial.connect()
    data = await fill(trial, one.writer)
    await fill(trial, other.writer)
    drains = [trial.start(each.writer.drain()) for each in (one, other)]
    await one.wire.settle()
    expect(await one.wire.receive(len(data)), data, "bytes:")
    await drains[0]
    await one.wire.settle()
    expect_pending(drains[1], "drain(), while only the peer of another connection has read,")


@clause("wait_closed.waits-while-open")
async def test_closing(trial: Trial) -> None:
    one, other = await trial.connect(), await trial.connect()
    reading = trial.start(other.reader.read(100))
    waiting = trial.start(other.writer.wait_closed())
    await trial.turns()
    one.writer.close()
    await one.wire.receive_rest()
    await one.wire.close()
    await one.writer.wait_closed()
    await trial.turns()
    expect_pending(reading, "read(100) of another connection")
    expect_pending(waiting, "wait_closed() of another connection")
    expect(other.writer.is_closing(), False, "is_closing() of another connection:")
