"""Event loops in debug mode, or with a task factory: streams do the same on them."""

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.addresses import (
    bound,
    carrier_of,
    connected_socket,
    let_block,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, INTERNET, SERVED, SERVER, TLS, UPGRADED, clause
from conformance.harness.expect import expect, expect_error, expect_pending, expect_that
from conformance.harness.expectations import (
    collected,
    expect_drain_does_not_yield,
    expect_nothing_reported,
    expect_talk,
)
from conformance.harness.handshakes import speak_no_tls
from conformance.harness.modes import each_mode
from conformance.harness.reading import take
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import arguments, upgraded


async def expect_works(connection: Connection, trial: Trial, mode: str) -> None:
    """Expect a connection to carry bytes, to lose none to a cancelled read, and to end."""
    reader, writer, wire = connection
    await expect_talk(connection)
    reading = trial.start(reader.readexactly(5))
    await trial.turns()
    await wire.send(b"kept")
    await wire.settle()
    reading.cancel()
    await asyncio.wait([reading])
    expect(await take(reader, 4), b"kept", f"after a cancelled read, with {mode}:")
    writer.close()
    expect(await wire.receive_rest(), b"", f"before the end, with {mode}:")
    await wire.close()
    await writer.wait_closed()
    expect([each["message"] for each in trial.reported], [], f"reported with {mode}:")


@clause("connecting.loop-modes", roles=CLIENT)
async def test_open(trial: Trial) -> None:
    async for mode in each_mode(trial):
        await expect_works(await trial.connect(), trial, mode)


@clause("connecting.loop-modes", networks=INTERNET, roles=CLIENT)
async def test_open_by_socket(trial: Trial) -> None:
    async for mode in each_mode(trial):
        listener = await trial.listen()
        sock = await connected_socket(trial, listener)
        let_block(sock)
        accepting = trial.start(listener.accept())
        reader, writer = await trial.streams.open_connection(sock=sock)
        async with closing_wire(await accepting) as wire:
            await expect_works(Connection(reader, writer, wire), trial, mode)


@clause("connecting.loop-modes", networks=INTERNET, roles=CLIENT)
async def test_refused(trial: Trial) -> None:
    async for mode in each_mode(trial):
        with bound(trial, "127.0.0.2") as (port, _):
            await expect_error(OSError, trial.streams.open_connection("127.0.0.2", port))
        await expect_nothing_reported(trial, f"reported with {mode}:")


@clause("start_tls.loop-modes", networks=UPGRADED)
async def test_upgrade(trial: Trial) -> None:
    async for mode in each_mode(trial):
        await expect_works(await upgraded(trial), trial, mode)


@clause("connecting.loop-modes", networks=TLS, roles=CLIENT)
async def test_failed_handshake(trial: Trial) -> None:
    async for mode in each_mode(trial):
        listener = await trial.listen()
        opening = trial.start(trial.network.open(trial.streams, listener))
        async with closing_wire(await carrier_of(listener).accept()) as below:
            await speak_no_tls(below)
            await expect_error(Exception, opening)
        await expect_nothing_reported(trial, f"reported with {mode}:")


@clause("start_tls.loop-modes", networks=UPGRADED)
async def test_failed_upgrade(trial: Trial) -> None:
    async for mode in each_mode(trial):
        _, writer, wire = await trial.connect()
        starting = trial.start(writer.start_tls(**arguments(trial)))
        await trial.turns()
        await speak_no_tls(wire)
        await expect_error(Exception, starting)
        await expect_nothing_reported(trial, f"reported with {mode}:")


@clause("server.loop-modes", networks=SERVED, roles=SERVER)
async def test_server(trial: Trial) -> None:
    async for mode in each_mode(trial):
        served = await trial.serve()
        connection = await trial.accept(served)
        waiting = trial.start(served.server.wait_closed())
        await trial.turns()
        expect_pending(waiting, f"wait_closed(), with {mode},")
        served.server.close()
        await trial.turns()
        expect_pending(waiting, f"wait_closed(), while a client is connected, with {mode},")
        await expect_works(connection, trial, mode)
        await waiting


@clause("server.loop-modes", networks=SERVED, roles=SERVER)
async def test_serve_forever(trial: Trial) -> None:
    async for mode in each_mode(trial):
        served = await trial.serve(start_serving=False)
        serving = trial.start(served.server.serve_forever())
        await trial.turns()
        expect_pending(serving, f"serve_forever(), with {mode},")
        await expect_works(await trial.accept(served), trial, mode)
        serving.cancel()
        await asyncio.wait([serving])  # hangs if it goes on
        expect(served.server.is_serving(), False, f"is_serving() at the end, with {mode}:")


@clause("drain.does-not-yield")
async def test_drain(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    async for _ in each_mode(trial):
        await expect_drain_does_not_yield(trial, writer)


@clause("handlers.loop-modes", networks=SERVED, roles=SERVER)
async def test_plain_handler(trial: Trial) -> None:
    async for mode in each_mode(trial):
        await expect_works(await trial.connect(), trial, mode)


@clause("handlers.loop-modes", roles=SERVER)
async def test_coroutine_handler(trial: Trial) -> None:
    async def echo(reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.closing(writer):
            writer.write(await take(reader, 5))
            await writer.drain()

    async def greet(_: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"hello")  # it ends before it has waited for anything
        writer.close()

    async for mode in each_mode(trial):
        for handler in (echo, greet):
            served = await trial.serve(handler)
            wires = [await trial.dial(served.server) for _ in range(2)]
            for wire in wires:
                if handler is echo:
                    await wire.send(b"hello")
                expect(await wire.receive_rest(), b"hello", f"the answer with {mode}:")
                await wire.close()
            served.server.close()
            await served.server.wait_closed()
        expect([each["message"] for each in trial.reported], [], f"reported with {mode}:")


@clause("handlers.loop-modes", roles=SERVER)
async def test_failing_handler(trial: Trial) -> None:
    async def at_once(_: StreamReader, __: StreamWriter) -> None:
        raise LookupError

    async def later(reader: StreamReader, _: StreamWriter) -> None:
        await take(reader, 5)
        raise LookupError

    def plain(_: StreamReader, __: StreamWriter) -> None:
        raise LookupError

    async for mode in each_mode(trial):
        for handler in (at_once, later, plain):
            served = await trial.serve(handler)
            wire = await trial.dial(served.server)
            if handler is later:
                await wire.send(b"hello")
            await wire.receive_to_end()  # a hang where it is left open
            await wire.close()
            served.server.close()
            await served.server.wait_closed()
            await collected(trial)
            seen = [type(each.get("exception")).__name__ for each in trial.reported]
            expect(seen, ["LookupError"], f"reported with {mode}:")
            trial.reported.clear()


@clause("handlers.loop-modes", roles=SERVER)
async def test_cancelled_handler(trial: Trial) -> None:
    if not await ends_when_cancelled(trial):
        raise NotApplicable("a connection whose handler is cancelled is left open in any mode")
    trial.reported.clear()
    async for mode in each_mode(trial):
        what = f"the connection of a cancelled handler to end, with {mode}"
        expect_that(await ends_when_cancelled(trial), what, "it is left open")
        await expect_nothing_reported(trial, f"reported with {mode}:")


async def ends_when_cancelled(trial: Trial) -> bool:
    """Return whether the connection of a handler ends soon that is cancelled."""
    tasks: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(reader: StreamReader, _: StreamWriter) -> None:
        tasks.put_nowait(asyncio.current_task())
        await take(reader, 1)

    served = await trial.serve(handler)
    wire = await trial.dial(served.server)
    (await tasks.get()).cancel()
    ending = trial.start(wire.receive_to_end())

    async def ended() -> bool:
        return ending.done()

    does = await trial.soon(ended)
    ending.cancel()
    await asyncio.wait([ending])
    served.server.close()
    return does
