"""A server's connections: with coroutine handlers, upgraded ones, those of several sockets."""

import asyncio
import socket
from contextlib import closing
from typing import Any

from conformance.harness.addresses import carrier, place_before_the_start
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import BOTH, INTERNET, PLAIN, SERVER, UPGRADED, clause
from conformance.harness.expect import expect, expect_pending, expect_that
from conformance.harness.expectations import (
    close_server,
    expect_limit,
    expect_not_served,
    expect_talk,
)
from conformance.harness.patterns import fill
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context
from conformance.networks.wire import Wire

# Coroutine handlers.


class Echo:
    """A coroutine handler that sends back what it receives.

    Attributes:
        ended: how each of its tasks has ended: "at the end of the stream", or "cancelled".
    """

    def __init__(self) -> None:
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client."""
        try:
            while data := await reader.read(100):
                writer.write(data)
        except asyncio.CancelledError:
            self.ended.put_nowait("cancelled")
            raise
        else:
            self.ended.put_nowait("at the end of the stream")
        finally:
            writer.close()


async def expect_echo(wire: Wire) -> None:
    """Expect the handler to be running."""
    await wire.send(b"anybody there?")
    expect(await wire.receive(14), b"anybody there?")


async def with_echo(trial: Trial) -> tuple[Served, Echo, Wire]:
    """Return a server, its handler, which is running, and the far end of its client."""
    echo = Echo()
    served = await trial.serve(echo.__call__)
    wire = await trial.dial(served.server)
    await expect_echo(wire)
    return served, echo, wire


@clause("server.close.connections-stay", roles=SERVER)
async def test_coroutine_handlers_go_on(trial: Trial) -> None:
    served, echo, wire = await with_echo(trial)
    served.server.close()
    await wire.settle()
    await expect_echo(wire)
    expect(echo.ended.qsize(), 0, "handlers that ended:")


@clause("server.close.connections-stay.after-serve-forever", roles=SERVER)
async def test_coroutine_handlers_go_on_after_serve_forever(trial: Trial) -> None:
    echo = Echo()
    served = await trial.serve(echo.__call__)
    serving = trial.start(served.server.serve_forever())
    wire = await trial.dial(served.server)
    await expect_echo(wire)
    served.server.close()
    await wire.settle()
    await expect_echo(wire)
    expect(echo.ended.qsize(), 0, "handlers that ended:")
    serving.cancel()


@clause("server.close-clients.handlers-go-on", roles=SERVER)
async def test_close_clients_cancels_no_handler(trial: Trial) -> None:
    served, echo, wire = await with_echo(trial)
    served.server.close()
    served.server.close_clients()  # type: ignore[attr-defined]  # since 3.13
    await wire.receive_to_end()
    await wire.close()
    expect(await echo.ended.get(), "at the end of the stream", "the handler ended")


@clause("server.close-clients.handlers-go-on", roles=SERVER)
async def test_abort_clients_cancels_no_handler(trial: Trial) -> None:
    served, echo, wire = await with_echo(trial)
    served.server.abort_clients()  # type: ignore[attr-defined]  # since 3.13
    await wire.receive_to_end()
    expect(await echo.ended.get(), "at the end of the stream", "the handler ended")


# Handlers that have returned, and connections that go on.


async def with_handler_returned(trial: Trial) -> tuple[Served, Connection]:
    """Return a server, and a connection whose coroutine handler has returned."""
    pairs: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(*pair: object) -> None:
        pairs.put_nowait(pair)

    served = await trial.serve(handler)
    wire = await trial.dial(served.server)
    reader, writer = await pairs.get()
    await trial.turns()
    return served, Connection(reader, writer, wire)


@clause("server.wait-closed.waits-for-connections", roles=SERVER)
async def test_wait_closed_waits_after_the_handler(trial: Trial) -> None:
    served, connection = await with_handler_returned(trial)
    served.server.close()
    waiting = trial.start(served.server.wait_closed())
    await connection.wire.settle()
    expect_pending(waiting, "wait_closed(), with a connection left,")
    connection.writer.close()
    await connection.wire.receive_to_end()
    await connection.wire.close()
    await waiting


@clause("server.wait-closed.waits-for-connections", roles=SERVER)
async def test_wait_closed_while_the_handler_returns(trial: Trial) -> None:
    pairs: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    may_return = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pairs.put_nowait((reader, writer))
        await may_return.wait()

    served = await trial.serve(handle)
    wire = await trial.dial(served.server)
    _, writer = await pairs.get()
    served.server.close()
    waiting = trial.start(served.server.wait_closed())
    await trial.turns()
    may_return.set()
    await wire.settle()
    expect_pending(waiting, "wait_closed(), when the handler has left its connection open,")
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await waiting


@clause("server.wait-closed.waits-for-connections", roles=SERVER)
async def test_wait_closed_waits_for_what_is_sent(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    data = await fill(trial, writer)
    writer.close()
    served.server.close()
    waiting = trial.start(served.server.wait_closed())
    await wire.settle()
    expect_pending(waiting, "wait_closed(), while a closed connection has data to send,")
    expect(len(await wire.receive_rest()), len(data), "bytes:")
    await wire.close()
    await waiting


@clause("server.wait-closed.returns", roles=SERVER)
async def test_wait_closed_is_not_for_handlers(trial: Trial) -> None:
    may_end = asyncio.Event()

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await may_end.wait()

    served = await trial.serve(handler)
    wire = await trial.dial(served.server)
    await wire.receive_to_end()
    await wire.close()
    served.server.close()
    await served.server.wait_closed()  # hangs if it waits for the handler
    may_end.set()


@clause("server.close-clients.closes", networks=PLAIN, roles=SERVER)
async def test_close_clients_after_the_handler(trial: Trial) -> None:
    served, connection = await with_handler_returned(trial)
    served.server.close_clients()  # type: ignore[attr-defined]  # since 3.13
    expect(await connection.wire.receive_rest(), b"", "before the end:")


@clause("server.abort-clients.ends-at-once", roles=SERVER)
async def test_abort_clients_after_the_handler(trial: Trial) -> None:
    served, connection = await with_handler_returned(trial)
    served.server.abort_clients()  # type: ignore[attr-defined]  # since 3.13
    await connection.wire.receive_to_end()  # hangs if it is left open


@clause("server.abort-clients.ends-at-once", roles=SERVER)
async def test_abort_clients_again(trial: Trial) -> None:
    served = await trial.serve()
    for _ in range(3):
        connection = await trial.accept(served)
        served.server.abort_clients()  # type: ignore[attr-defined]  # since 3.13
        await connection.wire.receive_to_end()  # hangs if it is left open


# Connections that were upgraded.


async def upgraded(trial: Trial, served: Served) -> Connection:
    """Return a connection of the server that was upgraded."""
    reader, writer, below = await trial.accept(served)
    wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
    starting = trial.start(writer.start_tls(server_context()))
    await trial.turns()  # no handshake before it is expected
    await wire.handshake()
    await starting
    return Connection(reader, writer, wire)


@clause("handlers.called-once-for-each-connection", networks=UPGRADED, roles=SERVER)
async def test_not_called_again_by_an_upgrade(trial: Trial) -> None:
    served = await trial.serve()
    connection = await upgraded(trial, served)
    await expect_talk(connection)
    await connection.wire.settle()
    expect(served.pairs.qsize(), 0, "further calls after the upgrade:")


@clause("handlers.coroutine.concurrently", networks=UPGRADED, roles=SERVER)
async def test_an_upgrade_that_stalls_holds_up_no_other(trial: Trial) -> None:
    served = await trial.serve()
    _, stalling, _ = await trial.accept(served)
    starting = trial.start(stalling.start_tls(server_context()))
    await trial.turns()
    await expect_talk(await upgraded(trial, served))
    expect_pending(starting, "an upgrade that its client does not answer")
    starting.cancel()
    await asyncio.wait([starting])
    stalling.close()


@clause("server.wait-closed.upgraded", networks=UPGRADED, roles=SERVER)
async def test_wait_closed_waits_for_upgraded_connections(trial: Trial) -> None:
    served = await trial.serve()
    connection = await upgraded(trial, served)
    served.server.close()
    waiting = trial.start(served.server.wait_closed())
    await connection.wire.settle()
    expect_pending(waiting, "wait_closed(), with a connection left,")
    await expect_talk(connection)
    connection.writer.close()
    await connection.wire.close()
    await waiting


@clause("server.close-clients.upgraded", networks=UPGRADED, roles=SERVER)
async def test_close_clients_closes_upgraded_connections(trial: Trial) -> None:
    served = await trial.serve()
    connection = await upgraded(trial, served)
    served.server.close()
    served.server.close_clients()  # type: ignore[attr-defined]  # since 3.13
    await connection.wire.receive_to_end()  # hangs if it is left open
    await connection.wire.close()
    await served.server.wait_closed()


@clause("server.abort-clients.upgraded", networks=UPGRADED, roles=SERVER)
async def test_abort_clients_aborts_upgraded_connections(trial: Trial) -> None:
    served = await trial.serve()
    connection = await upgraded(trial, served)
    served.server.close()
    served.server.abort_clients()  # type: ignore[attr-defined]  # since 3.13
    await connection.wire.receive_to_end()  # hangs if it is left open
    await served.server.wait_closed()


@clause("start_tls.limit", networks=UPGRADED, roles=BOTH)
async def test_limit_outlives_the_upgrade(trial: Trial) -> None:
    reader, writer, below = await trial.connect(limit=100)
    if trial.role == "client":
        wire = TlsWire(below, server_context(), server_side=True)
        upgrade = writer.start_tls(client_context(), server_hostname=HOST_NAME)
    else:
        wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
        upgrade = writer.start_tls(server_context())
    starting = trial.start(upgrade)
    await trial.turns()
    await wire.handshake()
    await starting
    await expect_limit(trial, Connection(reader, writer, wire), 100)


# Several sockets.

HOSTS = ["127.0.0.2", "127.0.0.3"]


async def start_on_hosts(trial: Trial, served: Served, **options: Any) -> list[Any]:
    """Serve on several hosts; return the addresses."""
    served.server = await trial.streams.start_server(served.accepted, HOSTS, 0, **options)
    return addresses_of(served)


def addresses_of(served: Served) -> list[Any]:
    """Return the addresses that a server listens on, which it may list only when it does."""
    return [sock.getsockname() for sock in served.server.sockets or ()]


async def dial(trial: Trial, served: Served, address: Any) -> Connection:
    """Return a connection to an address of the server."""
    wire = await carrier(trial).connected(socket.AF_INET, address)
    return Connection(*await served.pairs.get(), wire)


async def expect_served_at_each(trial: Trial, served: Served, addresses: list[Any]) -> None:
    """Expect the server to serve at each of the addresses."""
    expect(len(addresses), len(HOSTS), "number of sockets:")
    for address in addresses:
        reader, writer, wire = await dial(trial, served, address)
        with closing(writer):
            async with closing_wire(wire):
                await expect_talk(Connection(reader, writer, wire))


@clause("server.several-sockets.starts", networks=INTERNET, roles=SERVER)
async def test_start_serving_on_several_sockets(trial: Trial) -> None:
    served = Served()
    await start_on_hosts(trial, served, start_serving=False)
    with closing(served.server):
        await served.server.start_serving()
        await expect_served_at_each(trial, served, addresses_of(served))


@clause("server.several-sockets.starts", networks=INTERNET, roles=SERVER)
async def test_serve_forever_on_several_sockets(trial: Trial) -> None:
    served = Served()
    await start_on_hosts(trial, served, start_serving=False)
    with closing(served.server):
        serving = trial.start(served.server.serve_forever())
        await trial.turns()
        await expect_served_at_each(trial, served, addresses_of(served))
        serving.cancel()
        await asyncio.wait([serving])


@clause("server.several-sockets.closes", networks=INTERNET, roles=SERVER)
async def test_close_several_sockets(trial: Trial) -> None:
    served = Served()
    addresses = await start_on_hosts(trial, served)
    served.server.close()
    for address in addresses:
        await expect_not_served(trial, socket.AF_INET, address)


@clause("server.several-sockets.clients", networks=INTERNET, roles=SERVER)
async def test_clients_of_several_sockets(trial: Trial) -> None:
    served = Served()
    addresses = await start_on_hosts(trial, served)
    with closing(served.server):
        connections = [await dial(trial, served, address) for address in addresses]
        served.server.close()
        waiting = trial.start(served.server.wait_closed())
        for _, writer, wire in connections:
            await wire.settle()
            expect_pending(waiting, "wait_closed(), with a connection left,")
            writer.close()
            await wire.receive_to_end()
            await wire.close()
        await waiting


# Servers that are closed before they are started.


@clause("server.close.not-started", networks=PLAIN, roles=SERVER)
async def test_close_before_the_start(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    family, address = place_before_the_start(served.server)
    await close_server(trial, served.server)
    expect(served.server.is_serving(), False, "is_serving()")
    expect(list(served.server.sockets or ()), [], "sockets")
    await expect_not_served(trial, family, address)
    waiting = trial.start(served.server.wait_closed())
    await waiting  # hangs if it waits for a start


@clause("server.close.not-started", networks=PLAIN, roles=SERVER)
async def test_close_before_the_start_frees_the_address(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    family, address = place_before_the_start(served.server)
    async with served.server:
        pass
    await expect_not_served(trial, family, address)
    with carrier(trial).socket(family) as another:
        if family == socket.AF_INET:
            another.bind(address)
            another.listen()
            expect_that(another.getsockname() == address, "the address to be free", "another one")
