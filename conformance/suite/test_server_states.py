"""A server's connections in each state that they can be in, and the servers themselves."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

from conformance.harness.addresses import DUAL_STACK, carrier, family_at, place_before_the_start
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import HALF_CLOSED, INTERNET, PLAIN, SERVER, TLS, UNIX, clause
from conformance.harness.expect import expect, expect_pending, expect_raises, expect_that
from conformance.harness.expectations import (
    close_server,
    collected,
    expect_drain_waits,
    expect_limit,
    expect_not_served,
    expect_talk,
)
from conformance.harness.patterns import fill, overfill, pattern
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Served, Trial


def close_clients(server: Any) -> None:
    """Close a server, and its clients' connections."""
    server.close()
    server.close_clients()


def abort_clients(server: Any) -> None:
    """Close a server, and abort its clients' connections."""
    server.close()
    server.abort_clients()


# Connections with one direction ended, or with clients that back pressure has stopped.


async def half_closed(trial: Trial, served: Served) -> Connection:
    """Return a connection whose client has half-closed it."""
    reader, _, wire = connection = await trial.accept(served)
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    return connection


async def half_closed_here(trial: Trial, served: Served) -> Connection:
    """Return a connection whose handler has half-closed it."""
    _, writer, wire = connection = await trial.accept(served)
    writer.write_eof()
    expect(await wire.receive_rest(), b"")
    return connection


async def held_back(trial: Trial, served: Served) -> Connection:
    """Return a connection with much more unread than the limit, of ten bytes."""
    reader, _, wire = connection = await trial.accept(served)
    for _ in range(2):
        await wire.send(pattern(1000))
        await wire.settle()
    await reader.readexactly(1)
    await wire.settle()
    return connection


async def closed_here(trial: Trial, served: Served) -> Connection:
    """Return a connection that its handler has closed, and whose client does not answer."""
    _, writer, wire = connection = await trial.accept(served)
    writer.close()
    await wire.settle()
    return connection


State = Callable[[Trial, Served], Any]

HALVES: tuple[State, ...] = (half_closed, half_closed_here)


@clause("server.wait-closed.waits-for-connections", networks=HALF_CLOSED, roles=SERVER)
async def test_wait_closed_waits_for_halves(trial: Trial) -> None:
    for state in HALVES:
        served = await trial.serve()
        _, writer, wire = await state(trial, served)
        served.server.close()
        waiting = trial.start(served.server.wait_closed())
        await wire.settle()
        expect_pending(waiting, "wait_closed(), while half of a connection is open,")
        writer.close()
        await wire.close()
        await waiting


async def expect_ended(trial: Trial, end: Callable[[Any], None], *states: State) -> None:
    """Expect the connections to be ended in each of these states."""
    for state in states:
        served = await trial.serve(limit=10)
        await end_all(served, [await state(trial, served) for _ in range(2)], end)


async def end_all(
    served: Served, connections: list[Connection], end: Callable[[Any], None]
) -> None:
    """End the connections of a server, and expect each to have ended."""
    end(served.server)
    for _, _, wire in connections:
        await wire.receive_to_end()  # hangs if it is left open
        await wire.close()
    await served.server.wait_closed()


@clause("server.close-clients.closes", networks=HALF_CLOSED, roles=SERVER)
async def test_close_clients_in_each_state(trial: Trial) -> None:
    await expect_ended(trial, close_clients, half_closed, held_back)


@clause("server.close-clients.closes", networks=HALF_CLOSED, roles=SERVER)
async def test_close_clients_after_write_eof(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await half_closed_here(trial, served)
    close_clients(served.server)
    expect(writer.is_closing(), True, "is_closing() after close_clients():")
    await wire.close()
    await served.server.wait_closed()


@clause("server.abort-clients.ends-at-once", networks=HALF_CLOSED, roles=SERVER)
async def test_abort_clients_in_each_state(trial: Trial) -> None:
    await expect_ended(trial, abort_clients, half_closed, held_back)


@clause("server.abort-clients.ends-at-once", networks=TLS, roles=SERVER)
async def test_abort_clients_in_each_state_of_tls(trial: Trial) -> None:
    await expect_ended(trial, abort_clients, held_back, closed_here)


@clause("server.abort-clients.ends-at-once", networks=PLAIN, roles=SERVER)
async def test_abort_clients_that_were_closed_with_much_unsent(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    data = await fill(trial, writer)
    writer.close()
    await wire.settle()
    abort_clients(served.server)
    await served.server.wait_closed()  # hangs if it waits for the client
    received, _ = await wire.receive_to_end()
    expect_that(len(received) < len(data), "a part to be dropped", "all that was written")


# Connections in all states, together.


async def closed_with_much_unsent(trial: Trial, served: Served) -> Connection:
    """Return a connection that its handler has closed, with more written than the network takes."""
    _, writer, _ = connection = await trial.accept(served)
    await fill(trial, writer)
    writer.close()
    return connection


async def full(trial: Trial, served: Served) -> Connection:
    """Return a connection with more written than the network takes."""
    _, writer, _ = connection = await trial.accept(served)
    await fill(trial, writer)
    return connection


async def idle(trial: Trial, served: Served) -> Connection:
    """Return a connection on which nothing has happened."""
    return await trial.accept(served)


MIXED: tuple[State, ...] = (
    *(idle, half_closed, held_back, full, idle),
    *(closed_with_much_unsent, idle, full, half_closed, idle),
)


async def expect_mixed_ended(trial: Trial, end: Callable[[Any], None]) -> None:
    """Expect all connections of one server to be ended, whatever the state of those before."""
    served = await trial.serve(limit=10)
    await end_all(served, [await state(trial, served) for state in MIXED], end)


@clause("server.close-clients.closes", networks=HALF_CLOSED, roles=SERVER)
async def test_close_clients_in_all_states_at_once(trial: Trial) -> None:
    await expect_mixed_ended(trial, close_clients)


@clause("server.abort-clients.ends-at-once", networks=HALF_CLOSED, roles=SERVER)
async def test_abort_clients_in_all_states_at_once(trial: Trial) -> None:
    await expect_mixed_ended(trial, abort_clients)


# Handlers that end the clients, their own among them.

CLIENTS = 2


async def expect_all_ended_by_a_handler(trial: Trial, end: Callable[[Any], object]) -> None:
    """Expect `end`, called by a handler of any kind, to end all connections, with its own."""

    async def coroutine(*pair: object) -> None:
        kept.append(pair)
        if len(kept) == CLIENTS:
            end(servers[-1])
        await trial.loop.create_future()

    def plain(*pair: object) -> None:
        kept.append(pair)
        if len(kept) == CLIENTS:
            end(servers[-1])

    for handler in (coroutine, plain):
        kept: list[object] = []
        servers = [(await trial.serve(handler)).server]
        wires = [await trial.dial(servers[-1]) for _ in range(CLIENTS)]
        for wire in wires:
            await wire.receive_to_end()  # hangs if it is left open
            await wire.close()
        servers[-1].close()
        await servers[-1].wait_closed()


@clause("server.close-clients.closes", networks=PLAIN, roles=SERVER)
async def test_close_clients_in_a_handler(trial: Trial) -> None:
    await expect_all_ended_by_a_handler(trial, lambda server: server.close_clients())


@clause("server.abort-clients.ends-at-once", networks=PLAIN, roles=SERVER)
async def test_abort_clients_in_a_handler(trial: Trial) -> None:
    await expect_all_ended_by_a_handler(trial, lambda server: server.abort_clients())


# Connections of all sockets.


async def expect_all_ended(trial: Trial, end: Callable[[Any], None], hosts: list[str]) -> None:
    """Expect the connections of each of a server's sockets to be ended."""
    served = Served()
    served.server = await trial.streams.start_server(served.accepted, hosts, 0)
    with closing(served.server):
        connections = []
        for sock in served.server.sockets:
            wire = await carrier(trial).connected(sock.family, sock.getsockname()[:2])
            connections.append((*await served.pairs.get(), wire))
        end(served.server)
        for _, _, wire in connections:
            async with closing_wire(wire):
                await wire.receive_to_end()  # hangs if it is left open


@clause("server.close-clients.closes", networks=INTERNET, roles=SERVER)
async def test_close_clients_of_several_sockets(trial: Trial) -> None:
    for end in (close_clients, lambda server: server.close_clients()):
        await expect_all_ended(trial, end, ["127.0.0.2", "127.0.0.3"])


@clause("server.close-clients.closes", networks=DUAL_STACK, roles=SERVER)
async def test_close_clients_of_several_families(trial: Trial) -> None:
    await expect_all_ended(trial, close_clients, ["127.0.0.2", "::1"])


@clause("server.abort-clients.ends-at-once", networks=DUAL_STACK, roles=SERVER)
async def test_abort_clients_of_several_sockets(trial: Trial) -> None:
    for end in (abort_clients, lambda server: server.abort_clients()):
        await expect_all_ended(trial, end, ["127.0.0.2", "127.0.0.3", "::1"])


@clause("server.sockets.listening", networks=INTERNET, roles=SERVER)
async def test_several_sockets(trial: Trial) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    for starts in (True, False):
        starting = trial.streams.start_server(print, hosts, 0, start_serving=starts)
        with closing(await starting) as server:
            if not starts:
                await server.start_serving()
            seen = sorted(sock.getsockname()[0] for sock in server.sockets)
            expect(seen, hosts, f"listening on, started when it was made: {starts}:")


# The connections of a closed server are streams like any others.


async def stayed(trial: Trial) -> Connection:
    """Return a connection whose server is closed."""
    served = await trial.serve()
    connection = await trial.accept(served)
    served.server.close()
    await connection.wire.settle()
    return connection


@clause("server.close.connections-stay", roles=SERVER)
async def test_drain_goes_on(trial: Trial) -> None:
    _, writer, wire = await stayed(trial)
    await expect_drain_waits(trial, writer, wire)


@clause("server.close.connections-stay", networks=HALF_CLOSED, roles=SERVER)
async def test_half_close_goes_on(trial: Trial) -> None:
    reader, writer, wire = await stayed(trial)
    await wire.send(b"the question")
    await wire.send_eof()
    expect(await take_rest(reader), b"the question")
    await wire.settle()
    writer.write(b"the answer")
    writer.write_eof()
    expect(await wire.receive_rest(), b"the answer")


@clause("server.close.connections-stay", roles=SERVER)
async def test_many_connections_stay(trial: Trial) -> None:
    served = await trial.serve()
    connections = [await trial.accept(served) for _ in range(5)]
    await connections[2].wire.close()
    connections[2].writer.close()
    served.server.close()
    for connection in (*connections[:2], *connections[3:]):
        await expect_talk(connection)


# Handlers.


@clause("handlers.coroutine.failure.closes", roles=SERVER)
async def test_what_was_written_before_a_failure_is_sent(trial: Trial) -> None:
    data = overfill(trial)

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        raise LookupError

    wire = await trial.dial((await trial.serve(handler)).server)
    expect(await wire.receive_rest(), data, "bytes:")


@clause("handlers.coroutine.cancelled.closes", roles=SERVER)
async def test_what_was_written_before_cancelling_is_sent(trial: Trial) -> None:
    data = overfill(trial)

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        raise asyncio.CancelledError

    wire = await trial.dial((await trial.serve(handler)).server)
    expect(await wire.receive_rest(), data, "bytes:")


@clause("handlers.coroutine.failure.reported-once", roles=SERVER)
async def test_failure_after_the_server_is_closed(trial: Trial) -> None:
    called = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        called.set()
        await take(reader, 1)
        raise LookupError

    served = await trial.serve(handler)
    wire = await trial.dial(served.server)
    await called.wait()
    served.server.close()
    await wire.send(b"!")
    await wire.receive_to_end()
    await collected(trial)
    seen = [type(each.get("exception")).__name__ for each in trial.reported]
    expect(seen, ["LookupError"], "reported:")


@clause("handlers.coroutine.concurrently", roles=SERVER)
async def test_several_at_once(trial: Trial) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await take(reader, 1))
        writer.close()

    served = await trial.serve(echo)
    wires = [await trial.dial(served.server) for _ in range(8)]
    for number, wire in reversed([*enumerate(wires)]):
        await wire.send(b"%d" % number)
        expect(await wire.receive_rest(), b"%d" % number, f"the answer to client {number}")


@clause("unix.serve.limit.given", networks=UNIX, roles=SERVER)
async def test_limit_of_several_clients(trial: Trial) -> None:
    served = await trial.serve(limit=10)
    for _ in range(4):
        await expect_limit(trial, await trial.accept(served), 10)


# Servers.


@clause("server.async-with.exception", networks=PLAIN, roles=SERVER)
async def test_async_with_any_exception(trial: Trial) -> None:
    for error in (
        asyncio.CancelledError,
        GeneratorExit,
        SystemExit,
        ExceptionGroup("", [OSError()]),
    ):
        served = await trial.serve()
        address = served.server.sockets[0].getsockname()
        kind = type(error) if isinstance(error, Exception) else error
        with expect_raises(kind):
            async with served.server:
                raise error
        expect(served.server.is_serving(), False, f"is_serving() after {kind.__name__}:")
        await expect_not_served(trial, family_at(address), address)


@clause("server.wait-closed.waits-for-close", networks=PLAIN, roles=SERVER)
async def test_wait_closed_before_the_start(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    waiting = trial.start(served.server.wait_closed())
    await trial.turns()
    expect_pending(waiting, "wait_closed(), before the start,")
    await served.server.start_serving()
    await trial.turns()
    expect_pending(waiting, "wait_closed(), before close(),")
    served.server.close()
    await waiting


@clause("server.start-serving.starts", networks=PLAIN, roles=SERVER)
async def test_start_after_a_start_that_was_cancelled(trial: Trial) -> None:
    for turns in range(5):
        served = await trial.serve(start_serving=False)
        await trial.cancelled(served.server.start_serving(), turns)
        await served.server.start_serving()
        expect(served.server.is_serving(), True, "is_serving()")
        await expect_talk(await trial.accept(served))


@clause("serving.start-serving.false", networks=INTERNET, roles=SERVER)
async def test_async_with_starts_nothing(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    async with served.server:
        await trial.turns()
        is_serving = served.server.is_serving()
        expect(is_serving, False, "is_serving() before the program has started it:")
        await served.server.start_serving()
        connection = await trial.accept(served)
        await expect_talk(connection)
        connection.writer.close()
        await connection.wire.close()


@clause("server.wait-closed.several-waiters", roles=SERVER)
async def test_several_wait_for_the_last_client(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    waiting = [trial.start(served.server.wait_closed()) for _ in range(2)]
    await trial.turns()
    served.server.close()
    await trial.turns()
    waiting += [trial.start(served.server.wait_closed()) for _ in range(2)]
    await trial.turns()
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await asyncio.wait(waiting)  # hangs if one is left waiting


@clause("server.wait-closed.cancelled.raises", roles=SERVER)
async def test_wait_closed_cancelled_leaves_connections(trial: Trial) -> None:
    served = await trial.serve()
    connection = await trial.accept(served)
    for is_closed in (False, True):
        if is_closed:
            served.server.close()
        await trial.cancelled(served.server.wait_closed())
        await connection.wire.settle()
        await expect_talk(connection)


@clause("server.serve-forever.ends-on-close", roles=SERVER)
async def test_the_first_serve_forever_ends(trial: Trial) -> None:
    served = await trial.serve()
    first = trial.start(served.server.serve_forever())
    await trial.turns()
    second = trial.start(served.server.serve_forever())
    await asyncio.wait([second])
    expect_that(second.exception() is not None, "the second to be refused", "no exception")
    expect_pending(first, "the first serve_forever()")
    served.server.close()
    await asyncio.wait([first])  # hangs if the second one has replaced it


# The methods of a server in each of its states.


async def not_started(_: Trial, server: Any) -> None:
    """Leave a server as it was made."""


async def started(_: Trial, server: Any) -> None:
    """Start a server."""
    await server.start_serving()


async def serving_forever(trial: Trial, server: Any) -> None:
    """Let a server serve forever."""
    trial.start(server.serve_forever())
    await trial.turns()


async def closed(_: Trial, server: Any) -> None:
    """Close a server."""
    server.close()


async def closed_when_started(_: Trial, server: Any) -> None:
    """Start a server, close it, and wait until it is closed."""
    await server.start_serving()
    server.close()
    await server.wait_closed()


async def stopped(trial: Trial, server: Any) -> None:
    """Cancel a server's serve_forever()."""
    await trial.cancelled(server.serve_forever())


OPEN = (not_started, started, serving_forever)
SERVER_STATES = (*OPEN, closed, closed_when_started, stopped)


@clause("server.get-loop", networks=PLAIN, roles=SERVER)
async def test_loop_in_each_state(trial: Trial) -> None:
    for bring in SERVER_STATES:
        server = (await trial.serve(start_serving=False)).server
        await bring(trial, server)
        seen = server.get_loop()
        running = asyncio.get_running_loop()
        expect_that(seen is running, f"the running loop, when {bring.__name__}", seen)
        server.close()


@clause("server.close-clients.nobody", networks=PLAIN, roles=SERVER)
async def test_close_and_abort_nobody(trial: Trial) -> None:
    for bring in SERVER_STATES:
        for name in ("close_clients", "abort_clients"):
            server: Any = (await trial.serve(start_serving=False)).server
            await bring(trial, server)
            serves = server.is_serving()
            for _ in range(2):
                getattr(server, name)()
                expect(server.is_serving(), serves, f"is_serving() when {bring.__name__}:")
            server.close()
            await server.wait_closed()


@clause("server.async-with.closes", networks=PLAIN, roles=SERVER)
async def test_async_with_in_each_state(trial: Trial) -> None:
    for bring in SERVER_STATES:
        server = (await trial.serve(start_serving=False)).server
        family, address = place_before_the_start(server)
        async with server:
            await bring(trial, server)
        expect(server.is_serving(), False, f"is_serving() when it was {bring.__name__}:")
        expect(list(server.sockets or ()), [], f"sockets when it was {bring.__name__}:")
        await expect_not_served(trial, family, address)


@clause("server.close.stops-listening", networks=PLAIN, roles=SERVER)
async def test_close_in_each_state(trial: Trial) -> None:
    for bring in SERVER_STATES:
        server = (await trial.serve(start_serving=False)).server
        family, address = place_before_the_start(server)
        await bring(trial, server)
        for _ in range(2):
            await close_server(trial, server)
            expect(server.is_serving(), False, f"is_serving() when it was {bring.__name__}:")
            expect(list(server.sockets or ()), [], f"sockets when it was {bring.__name__}:")
        await server.wait_closed()
        await expect_not_served(trial, family, address)
