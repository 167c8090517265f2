"""The costs of streams: how time and memory grow with the data that passes through them."""

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.addresses import bound
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, CLIENT, IN_VIRTUAL_TIME, SERVER, Some, clause
from conformance.harness.costs import (
    expect_calls_keep_nothing,
    expect_measured_proportion,
    expect_nothing_kept,
    expect_proportion,
    expect_quiet,
    seconds,
    taken,
    tracing,
)
from conformance.harness.expect import expect, expect_that
from conformance.harness.patterns import KIB, fill, pattern
from conformance.harness.reading import next_line, take
from conformance.harness.trial import Trial
from conformance.networks.wire import Wire, moved

TWO = Some(("memory", "tcp"), "what it costs does not depend on the network")
BY_A_KERNEL = Some(("tcp", "unix", "tls"), "a network in memory keeps what a kernel would")


ANY_LIMIT = 2**30  # bytes, more than a test has


# Reading.

PIECE = pattern(KIB).replace(b"\n", b"x").replace(b"\r", b"x").replace(b"\0", b"x")


async def read_all(reader: asyncio.StreamReader, _: int) -> bytes:
    return await reader.read(-1)


async def read_exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    return await reader.readexactly(size)


async def read_line(reader: asyncio.StreamReader, _: int) -> bytes:
    return await reader.readline()


async def read_until(reader: asyncio.StreamReader, _: int) -> bytes:
    return await reader.readuntil(b"\r\n\r\n\n")


@clause("costs.received-in-pieces", networks=TWO, roles=BY_HAND)
async def test_received_in_pieces(trial: Trial) -> None:
    end = b"\r\n\r\n\n"
    for read, limit in (
        *((each, ANY_LIMIT) for each in (read_all, read_exactly, read_line, read_until)),
        *((each, KIB) for each in (read_all, read_exactly)),  # to which the limit does not apply
    ):

        async def work(pieces: int, read: Any = read, limit: int = limit) -> None:
            reader = by_hand(trial, limit)
            for _ in range(pieces):
                reader.feed_data(PIECE)
            reader.feed_data(end)
            reader.feed_eof()
            size = pieces * len(PIECE) + len(end)
            data = await read(reader, size)
            expect_that(len(data) >= pieces * len(PIECE), "all of it", f"{len(data)} bytes")

        await expect_proportion(work, 500, f"{read.__name__}() with a limit of {limit}")


LARGER = PIECE * 8


async def until_one_of(reader: Any) -> bytes:
    data: bytes = await reader.readuntil((b"\r\n", b"\0"))
    return data


@clause("costs.searching", networks=TWO, roles=BY_HAND)
async def test_searching(trial: Trial) -> None:
    await expect_no_search_anew(trial, b"\n", lambda reader: reader.readline())
    await expect_no_search_anew(trial, b"\r\n\r\n", lambda reader: reader.readuntil(b"\r\n\r\n"))


@clause("costs.searching.several", networks=TWO, roles=BY_HAND)
async def test_searching_for_several(trial: Trial) -> None:
    await expect_no_search_anew(trial, b"\r\n", until_one_of)


async def expect_no_search_anew(
    trial: Trial, end: bytes, read: Callable[[asyncio.StreamReader], Any]
) -> None:
    """Expect `read` to find the `end` after many pieces that arrive while it waits."""

    async def work(pieces: int) -> None:
        reader = by_hand(trial, ANY_LIMIT)
        reading = trial.start(read(reader))
        for _ in range(pieces):
            reader.feed_data(LARGER)
            moved()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        reader.feed_data(end)
        expect(len(await reading), pieces * len(LARGER) + len(end), "bytes:")

    await expect_proportion(work, 150, f"waiting for {end!r}")


@clause("costs.taken-in-pieces", networks=TWO, roles=BY_HAND)
async def test_taken_in_pieces(trial: Trial) -> None:
    line = PIECE[:-1] + b"\n"

    async def read_before_the_end(reader: asyncio.StreamReader) -> bytes:
        expect(reader.at_eof(), False, "at_eof()")
        return await reader.readline()

    for name, read in {
        "read(n)": lambda reader: reader.read(len(line)),
        "readexactly()": lambda reader: reader.readexactly(len(line)),
        "readline()": lambda reader: reader.readline(),
        "readuntil()": lambda reader: reader.readuntil(b"\n"),
        "async for": next_line,
        "at_eof() and readline()": read_before_the_end,
    }.items():
        for limit in (ANY_LIMIT, KIB):

            async def work(pieces: int, read: Any = read, limit: int = limit) -> None:
                reader = by_hand(trial, limit)
                reader.feed_data(line * pieces)
                reader.feed_eof()
                for _ in range(pieces):
                    data = await read(reader)
                    # read(n) may return less: the end of a line, and the next one's beginning.
                    expect_that(data and data in line + line, "a line's length, or less", data)

            await expect_proportion(work, 500, f"{name} with a limit of {limit}")


# Writing.


@clause("costs.written-in-pieces", networks=TWO)
async def test_written_at_once(trial: Trial) -> None:
    async def measure(pieces: int) -> float:
        _, writer, wire = await trial.connect()

        async def work() -> None:
            writer.writelines([PIECE] * pieces)
            await wire.receive(pieces * len(PIECE))

        taken = await seconds(work())
        writer.close()
        return taken

    await expect_measured_proportion(measure, 500, "writelines()")


# Time that passes.


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays(trial: Trial) -> None:
    begin = trial.loop.time()
    reader, writer, wire = await trial.connect()
    reads: tuple[Callable[[], Awaitable[bytes]], ...] = (
        lambda: take(reader, 5),
        lambda: reader.readexactly(5),
        lambda: reader.readuntil(b"\n"),
        reader.readline,
        lambda: next_line(reader),
    )
    for read in reads:
        reading = trial.start(read())
        await trial.turns()
        await wire.send(b"line\n")
        expect(await reading, b"line\n")
    data = await fill(trial, writer)
    draining = trial.start(writer.drain())
    await wire.receive(len(data))
    await draining
    writer.write(b"the last words")
    writer.close()
    closing = trial.start(writer.wait_closed())
    await wire.receive_rest()
    await wire.close()
    await closing
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


# Waiting.


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_waiting_for_a_stream(trial: Trial) -> None:
    reader, writer, _ = await trial.connect()
    other, _, _ = await trial.connect()
    await fill(trial, writer)
    await expect_quiet(
        trial,
        reader.readline(),
        other.readexactly(5),
        writer.drain(),
        writer.wait_closed(),
    )


@clause("costs.waiting", networks=IN_VIRTUAL_TIME, roles=SERVER)
async def test_waiting_for_a_server(trial: Trial) -> None:
    served = await trial.serve()
    await trial.accept(served)
    another = await trial.serve()
    await trial.accept(another)
    another.server.close()
    await expect_quiet(trial, served.server.serve_forever(), another.server.wait_closed())


# Memory.


BLOCK = pattern(16 * KIB)
LARGE = 1 << 26  # bytes


@clause("costs.memory.not-yet", networks=TWO)
async def test_nothing_is_taken_in_advance(trial: Trial) -> None:
    reads: tuple[Callable[[Any], Any], ...] = (
        lambda reader: reader.read(LARGE),
        lambda reader: reader.readexactly(LARGE),
    )
    for read in reads:
        with tracing():
            before = taken()
            tracemalloc.reset_peak()
            reader, writer, wire = await trial.connect(limit=LARGE)
            reading = trial.start(read(reader))
            await trial.turns()
            await wire.send(b"hello")
            await wire.close()
            await asyncio.wait([reading])
            writer.close()
            _, peak = tracemalloc.get_traced_memory()
        grown = (peak - before) // KIB
        expect_that(grown < LARGE // KIB // 4, "memory for what has come", f"{grown} KiB more")


@clause("costs.memory.calls", networks=TWO)
async def test_calls_are_not_kept(trial: Trial) -> None:
    reader, writer, wire = await trial.connect(limit=16)
    data = await fill(trial, writer)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read()": reader.read,
        "readline()": reader.readline,
        "readuntil()": reader.readuntil,
        "drain()": writer.drain,
        "wait_closed()": writer.wait_closed,
    }
    for name, call in calls.items():

        async def cancel(call: Callable[[], Awaitable[object]] = call) -> None:
            await trial.cancelled(call(), turns=1)

        await expect_calls_keep_nothing(cancel, f"calls: {name}, cancelled")
    await wire.receive(len(data))
    await wire.send(bytes(100))

    async def overrun() -> None:
        with suppress(trial.streams.LimitOverrunError):
            await reader.readuntil(b"separator")

    await expect_calls_keep_nothing(overrun, "overruns")


@clause("costs.memory.calls", networks=TWO)
async def test_what_is_written_too_late_is_not_kept(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()

    async def write() -> None:
        with suppress(Exception):  # the clauses on writing check whether it may raise
            writer.write(bytes(bytearray(BLOCK)))

    # asyncio's log has a line for each, which a test's report keeps.
    await expect_calls_keep_nothing(write, "writes to a closed stream", 2 * KIB)


@clause("costs.memory.calls", networks=TWO, roles=CLIENT)
async def test_refused_connections_are_not_kept(trial: Trial) -> None:
    with bound(trial, "127.0.0.1") as (port, _):

        async def connect() -> None:
            with suppress(OSError):
                await trial.streams.open_connection("127.0.0.1", port)

        await expect_calls_keep_nothing(connect, "refused connections")


@clause("costs.memory.calls", networks=TWO, roles=SERVER)
async def test_closed_servers_are_not_kept(trial: Trial) -> None:
    async def serve() -> None:
        server = await trial.streams.start_server(print, "127.0.0.1", 0)
        server.close()
        await server.wait_closed()

    await expect_calls_keep_nothing(serve, "closed servers")


@clause("costs.memory.received", networks=TWO)
async def test_received_is_not_kept(trial: Trial) -> None:
    reader, _, wire = await trial.connect()

    async def receive(size: int) -> None:
        for _ in range(size // len(BLOCK)):
            await wire.send(BLOCK)
            expect(len(await reader.readexactly(len(BLOCK))), len(BLOCK), "bytes:")

    await expect_nothing_kept(receive)


@clause("costs.memory.written", networks=TWO)
async def test_written_is_not_kept(trial: Trial) -> None:
    _, writer, wire = await trial.connect()

    async def send(size: int) -> None:
        for _ in range(size // len(BLOCK)):
            writer.write(bytes(bytearray(BLOCK)))  # an object of its own each time
            await writer.drain()
            await wire.receive(len(BLOCK))

    await expect_nothing_kept(send)


Connecting = Callable[[], Awaitable[tuple[Any, Any, Wire]]]


async def connecting(trial: Trial) -> Connecting:
    """Return a function that connects to one server or listener, and keeps no connection."""
    if trial.role == "server":
        pairs: asyncio.Queue[Any] = asyncio.Queue()
        served = await trial.serve(lambda *pair: pairs.put_nowait(pair))

        async def connect() -> tuple[Any, Any, Wire]:
            wire = await trial.network.dial(served.server)
            return (*await pairs.get(), wire)
    else:
        listener = await trial.listen()

        async def connect() -> tuple[Any, Any, Wire]:
            accepting = asyncio.ensure_future(listener.accept())  # the trial keeps none
            return (*await trial.network.open(trial.streams, listener), await accepting)

    return connect


async def connect_and_end(connect: Connecting) -> list[weakref.ref[Any]]:
    """Make a connection, use it and end it; return references to the objects that it dropped."""
    reader, writer, wire = await connect()
    await wire.send(b"hello")
    expect(await take(reader, 5), b"hello")
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()
    try:
        return [weakref.ref(reader), weakref.ref(writer)]
    except TypeError:
        raise NotApplicable("nothing can refer to these objects weakly") from None


@clause("costs.memory.connections")
async def test_ended_connections_are_not_kept(trial: Trial) -> None:
    connect = await connecting(trial)
    references = [each for _ in range(3) for each in await connect_and_end(connect)]

    async def gone() -> bool:
        gc.collect()
        return all(each() is None for each in references)

    if not await trial.soon(gone):
        left = sum(each() is not None for each in references)
        expect(left, 0, "readers and writers kept of 3 connections:")


@clause("costs.memory.connections", networks=BY_A_KERNEL)
async def test_nothing_of_ended_connections_is_kept(trial: Trial) -> None:
    connect = await connecting(trial)
    await expect_calls_keep_nothing(lambda: connect_and_end(connect), "connections")
