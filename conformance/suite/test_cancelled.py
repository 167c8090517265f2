"""Cancelling each call that waits: by timeouts, twice, again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from conformance.harness.addresses import bound, stall
from conformance.harness.clause import (
    CLIENT,
    HOSTS,
    IN_VIRTUAL_TIME,
    INTERNET,
    SERVED,
    SERVER,
    TLS,
    UNIX,
    UPGRADED,
    clause,
)
from conformance.harness.expect import expect, expect_pending, expect_that
from conformance.harness.patterns import fill
from conformance.harness.reading import next_line, take
from conformance.harness.trial import Trial
from conformance.harness.upgrading import arguments
from conformance.networks.tls import TlsNetwork
from conformance.networks.wire import moved
from conformance.suite.test_reader import READS

Waits = dict[str, Callable[[], Awaitable[object]]]

DATA = b"abc;def\n"


async def waiting_calls(trial: Trial) -> Waits:
    """Return a call of each kind that waits: reads, drain() and wait_closed()."""
    reader, _, _ = await trial.connect()
    _, writer, _ = await trial.connect()
    await fill(trial, writer)
    calls: Waits = {"drain()": writer.drain, "wait_closed()": writer.wait_closed}
    for name, read in READS.items():
        calls[name] = lambda read=read: read(reader)  # type: ignore[misc]
    return calls


# By whom it is cancelled.


@clause("async.cancelled.counts")
async def test_cancelled_by_another_task(trial: Trial) -> None:
    for name, call in (await waiting_calls(trial)).items():
        seen = await cancelling_in(trial, call)
        expect(seen, 1, f"cancelling() of a task that was cancelled in {name}:")


@clause("async.cancelled.counts", networks=IN_VIRTUAL_TIME)
async def test_timeouts(trial: Trial) -> None:
    for limited in (by_timeout, by_wait_for):
        for name, call in (await waiting_calls(trial)).items():
            ended = trial.start(limited(call))
            await asyncio.wait([ended])
            moved()
            kind = type(ended.exception()).__name__
            expect(kind, "TimeoutError", f"{name} with {limited.__name__[3:]}():")


async def by_timeout(call: Callable[[], Awaitable[object]]) -> None:
    """Wait for a second, by asyncio.timeout() within another."""
    async with asyncio.timeout(5):
        async with asyncio.timeout(1):
            await call()


async def by_wait_for(call: Callable[[], Awaitable[object]]) -> None:
    """Wait for a second, by asyncio.wait_for()."""
    await asyncio.wait_for(call(), 1)


async def cancelling_in(
    trial: Trial, call: Callable[[], Awaitable[object]], turns: int = 50
) -> int:
    """Return cancelling() of a task that is cancelled in a call; -1 if it raises nothing.

    Args:
        trial: the trial.
        call: the call.
        turns: the turns of the loop after which the task is cancelled.
    """

    async def counted() -> int:
        task = asyncio.current_task()
        assert task is not None
        try:
            await call()
        except asyncio.CancelledError:
            return task.cancelling()
        return -1

    waiting = trial.start(counted())
    await trial.turns(turns)
    waiting.cancel()
    return await waiting


@clause("async.cancelled.counts", networks=HOSTS, roles=SERVER)
async def test_calls_of_a_server_cancelled(trial: Trial) -> None:
    for name in ("wait_closed", "serve_forever"):
        server = (await trial.serve()).server
        seen = await cancelling_in(trial, getattr(server, name))
        expect(seen, 1, f"cancelling() of a task that was cancelled in {name}() of a server:")


@clause("async.cancelled.counts", networks=SERVED, roles=SERVER)
async def test_start_of_a_server_cancelled(trial: Trial) -> None:
    for turns in range(1, 8):  # a start that has ended raises nothing
        seen = await cancelling_in(trial, trial.serve, turns)
        expect_that(seen != 0, f"a task that is being cancelled, after {turns} turns", "none")


@clause("async.cancelled.counts", networks=INTERNET, roles=CLIENT)
async def test_connecting_cancelled(trial: Trial) -> None:
    with ExitStack() as stack:
        port, (silent,) = stack.enter_context(bound(trial, "127.0.0.1"))
        await stall(trial, silent, stack)
        several: tuple[dict[str, Any], ...] = ({}, {"happy_eyeballs_delay": 1000.0})
        for options in several:
            seen = await cancelling_in(
                trial, partial(trial.streams.open_connection, "127.0.0.1", port, **options)
            )
            expect(seen, 1, "cancelling() of a task that was cancelled in open_connection():")


@clause("async.cancelled.counts", networks=TLS, roles=CLIENT)
async def test_handshake_cancelled(trial: Trial) -> None:
    listener = await trial.listen()
    seen = await cancelling_in(trial, lambda: trial.network.open(trial.streams, listener))
    expect(seen, 1, "cancelling() of a task that was cancelled in a handshake:")


@clause("async.cancelled.counts", networks=UNIX, roles=CLIENT)
async def test_unix_handshake_cancelled(trial: Trial) -> None:
    network = TlsNetwork(trial.network)
    with closing(await network.listen()) as listener:
        seen = await cancelling_in(trial, lambda: network.open(trial.streams, listener))
    expect(seen, 1, "cancelling() of a task that was cancelled in a handshake:")


@clause("async.cancelled.counts", networks=UPGRADED)
async def test_upgrade_cancelled(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    seen = await cancelling_in(trial, lambda: writer.start_tls(**arguments(trial)))
    expect(seen, 1, "cancelling() of a task that was cancelled in start_tls():")


# Twice.


async def cancel_twice(trial: Trial, task: "asyncio.Task[object]", turns: int) -> None:
    """Cancel a task, and again that many turns of the loop later if it has not ended."""
    task.cancel()
    await trial.turns(turns)
    task.cancel()
    await asyncio.wait([task])


@clause("reader.cancelled.raises")
async def test_reads_cancelled_twice(trial: Trial) -> None:
    for name, read in READS.items():
        for turns in range(3):
            reader, _, wire = await trial.connect()
            for _ in range(2):
                reading = trial.start(read(reader))
                await trial.turns()
                await cancel_twice(trial, reading, turns)
                expect(reading.cancelled(), True, f"{name} cancelled:")
            await wire.send(DATA)
            expect(await take(reader, len(DATA)), DATA, f"after {name} was cancelled twice:")


@clause("drain.cancelled.loses-nothing")
async def test_drain_cancelled_twice(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    for turns in range(3):
        draining = trial.start(writer.drain())
        await trial.turns()
        await cancel_twice(trial, draining, turns)
        expect(draining.cancelled(), True, "drain() cancelled:")
    draining = trial.start(writer.drain())
    await wire.settle()
    expect_pending(draining, "drain(), after others were cancelled,")
    expect(await wire.receive(len(data)), data, "bytes:")
    await draining


@clause("wait_closed.cancelled.later-calls")
async def test_wait_closed_cancelled_twice(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    for is_closed in (False, True):
        if is_closed:
            writer.close()
        for turns in range(3):
            waiting = trial.start(writer.wait_closed())
            await wire.settle()
            await cancel_twice(trial, waiting, turns)
            expect(waiting.cancelled(), True, "wait_closed() cancelled:")
    waiting = trial.start(writer.wait_closed())
    await wire.settle()
    expect_pending(waiting, "wait_closed(), after others were cancelled,")
    expect(await wire.receive_rest(), data, "bytes:")
    await wire.close()
    await waiting


# In the midst of a loop.


@clause("reader.iteration.left-and-resumed")
async def test_loop_cancelled(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for _ in range(3):
        seen: asyncio.Queue[bytes] = asyncio.Queue()
        looping = trial.start(lines(reader, seen))
        await wire.send(b"line\n")
        expect(await seen.get(), b"line\n", "a line:")
        await trial.turns()
        looping.cancel()
        await asyncio.wait([looping])
        expect(looping.cancelled(), True, "the loop cancelled:")
    await wire.send(b"next\nlast\n")
    expect(await next_line(reader), b"next\n", "the next line:")
    expect(await next_line(reader), b"last\n", "the next line:")


async def lines(reader: asyncio.StreamReader, seen: "asyncio.Queue[bytes]") -> None:
    """Loop over the lines until the end, and put them into the queue."""
    async for line in reader:
        seen.put_nowait(line)
