"""Connections and servers that have ended leave neither a task nor a timer on the event loop."""

import asyncio
from contextlib import suppress
from typing import Any

from conformance.harness.addresses import carrier_of, listening
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, SERVER, UPGRADED, Some, clause
from conformance.harness.costs import expect_nothing_left
from conformance.harness.expect import expect, expect_error
from conformance.harness.patterns import fill
from conformance.harness.reading import take
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import arguments

WHY = "only the loop in virtual time tells what is left on it"
ANY = Some(("memory", "tls-memory"), WHY)
TLS_ONLY = Some(("tls-memory",), f"it is about TLS; and {WHY}")
PLAIN_ONLY = Some(("memory",), WHY)
UPGRADED_ONLY = Some(("memory",), f"{UPGRADED.why}; and {WHY}")


async def use_and_end(trial: Trial, connection: Connection) -> None:
    """Let each side send, and each call wait; end the connection on both sides."""
    reader, writer, wire = connection
    reading = trial.start(take(reader, 5))
    await trial.turns()
    await wire.send(b"hello")
    expect(await reading, b"hello")
    data = await fill(trial, writer)
    draining = trial.start(writer.drain())
    await wire.settle()
    expect(len(await wire.receive(len(data))), len(data), "bytes:")
    await draining
    waiting = trial.start(writer.wait_closed())
    await trial.turns()
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await waiting


@clause("costs.left-behind", networks=ANY)
async def test_a_connection(trial: Trial) -> None:
    async def use() -> None:
        await use_and_end(trial, await trial.connect())

    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=ANY)
async def test_a_connection_that_was_reset(trial: Trial) -> None:
    async def use() -> None:
        reader, writer, wire = await trial.connect()
        await wire.reset()
        await expect_error(Exception, reader.read(1))
        writer.close()
        with suppress(Exception):
            await writer.wait_closed()

    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=ANY)
async def test_a_connection_whose_calls_were_cancelled(trial: Trial) -> None:
    async def use() -> None:
        reader, writer, wire = await trial.connect()
        await fill(trial, writer)
        tasks: list[asyncio.Task[Any]] = [
            *(trial.start(reader.read(1)), trial.start(writer.drain())),
        ]
        await trial.turns()
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        writer.close()
        await wire.receive_to_end()
        await wire.close()
        await writer.wait_closed()

    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=UPGRADED_ONLY)
async def test_an_upgrade_that_failed(trial: Trial) -> None:
    async def use() -> None:
        _, writer, wire = await trial.connect()
        starting = trial.start(writer.start_tls(**arguments(trial)))
        await trial.turns()
        await wire.close()
        await asyncio.wait([starting])
        starting.exception()
        writer.transport.abort()  # how wait_closed() ends is for other clauses to mind
        await trial.pass_time(1)

    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=PLAIN_ONLY, roles=CLIENT)
async def test_happy_eyeballs(trial: Trial) -> None:
    async def use() -> None:
        with listening(trial, *hosts) as (port, _), resolving(trial, *hosts):
            _, writer = await trial.streams.open_connection(NAME, port, happy_eyeballs_delay=10.0)
        writer.close()
        with suppress(Exception):
            await writer.wait_closed()

    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=TLS_ONLY, roles=CLIENT)
async def test_an_attempt_that_failed(trial: Trial) -> None:
    listener = await trial.listen()

    async def use() -> None:
        opening = trial.start(trial.network.open(trial.streams, listener))
        async with closing_wire(await carrier_of(listener).accept()):
            await trial.turns()
        await asyncio.wait([opening])
        expect(isinstance(opening.exception(), OSError), True, "open_connection() failed:")

    await expect_nothing_left(trial, use)


# Servers.


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send five bytes back, and close."""
    writer.write(await reader.readexactly(5))
    writer.close()
    await writer.wait_closed()


@clause("costs.left-behind", networks=ANY, roles=SERVER)
async def test_a_server(trial: Trial) -> None:
    async def use() -> None:
        served = await trial.serve()
        await use_and_end(trial, await trial.accept(served))
        served.server.close()
        await served.server.wait_closed()

    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=ANY, roles=SERVER)
async def test_a_server_whose_serving_was_cancelled(trial: Trial) -> None:
    async def use() -> None:
        server = (await trial.serve(answer)).server
        serving = trial.start(server.serve_forever())
        wire = await trial.dial(server)
        await wire.send(b"hello")
        expect(await wire.receive_rest(), b"hello")
        await wire.close()
        serving.cancel()
        await asyncio.wait([serving])
        await server.wait_closed()

    await expect_nothing_left(trial, use)


@clause("costs.left-behind", networks=PLAIN_ONLY, roles=SERVER)
async def test_a_server_that_could_not_start(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, _):

        async def use() -> None:
            starting = trial.streams.start_server(answer, "127.0.0.1", port)
            await expect_error(OSError, starting)

        await expect_nothing_left(trial, use)
