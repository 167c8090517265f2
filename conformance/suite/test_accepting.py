"""Clients that are being accepted when something else happens to their server."""

import asyncio
import contextvars
import gc
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from conformance.harness.addresses import bound_socket, carrier, free_path, free_port
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import INTERNET, SERVER, TLS, UNIX, UPGRADED, clause
from conformance.harness.expect import expect, expect_pending, expect_that
from conformance.harness.expectations import collected, expect_not_served, expect_talk
from conformance.harness.leaks import expect_no_new_socket, open_sockets
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context
from conformance.networks.wire import Wire

MOMENTS = range(7)
"""The turns of the loop after which the other event happens: accepting takes no more."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch off garbage collection, so that it does not end a wait by chance."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def first(trial: Trial, *awaitables: Any) -> int:
    """Return which of `awaitables` ends first; cancel the others."""
    tasks = [trial.start(each) for each in awaitables]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(tasks)
    return min(tasks.index(each) for each in done)


# close().


@clause("server.close.client-under-way", roles=SERVER)
async def test_close_while_a_client_is_accepted(trial: Trial) -> None:
    with uncollected():
        for turns in MOMENTS:
            served = await trial.serve()
            async with closing_wire(await carrier(trial).dial(served.server)) as below:
                await trial.turns(turns)
                served.server.close()
                await expect_served_or_ended(trial, served, below)
        expect([each["message"] for each in trial.reported], [], "reported:")


async def expect_served_or_ended(trial: Trial, served: Served, below: Wire) -> None:
    """Expect a client to reach the callback, or its connection to end, soon."""
    wire = below
    if trial.network.name in TLS:
        tls = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
        try:
            await tls.handshake()  # hangs if it is left waiting
        except (ConnectionError, ssl.SSLError):
            return
        wire = tls
    # Hangs if it is left waiting.
    if await first(trial, served.pairs.get(), wire.receive_to_end()) == 0:
        await trial.turns()


# close_clients(), abort_clients(), and a serve_forever() that is cancelled.


@clause("server.close-clients.under-way", roles=SERVER)
async def test_close_clients_under_way(trial: Trial) -> None:
    await expect_all_ended(trial, lambda server: server.close_clients())


@clause("server.close-clients.under-way", roles=SERVER)
async def test_abort_clients_under_way(trial: Trial) -> None:
    await expect_all_ended(trial, lambda server: server.abort_clients())


async def expect_all_ended(trial: Trial, end: Callable[[Any], object]) -> None:
    """Expect `end` to end each connection of a closed server, however far it has come."""
    with uncollected():
        for turns in (*MOMENTS, 50):
            served = await trial.serve()
            async with closing_wire(await carrier(trial).dial(served.server)) as below:
                await trial.turns(turns)  # over TLS, the handshake is under way
                served.server.close()
                end(served.server)
                await below.receive_to_end()  # hangs if it is left open
                await served.server.wait_closed()
        expect([each["message"] for each in trial.reported], [], "reported:")


@clause("server.close-clients.under-way", networks=UPGRADED, roles=SERVER)
async def test_end_clients_in_an_upgrade(trial: Trial) -> None:
    ends: tuple[Callable[[Any], object], ...] = (
        lambda server: server.close_clients(),
        lambda server: server.abort_clients(),
    )
    for end in ends:
        served = await trial.serve()
        _, writer, below = await trial.accept(served)
        starting = trial.start(writer.start_tls(server_context()))
        await trial.turns()
        served.server.close()
        waiting = trial.start(served.server.wait_closed())
        await trial.turns()
        expect_pending(waiting, "wait_closed(), while a connection is upgraded,")
        end(served.server)
        await below.receive_to_end()  # hangs if it is left open
        await waiting
        await asyncio.wait([starting])  # hangs if it goes on


@clause("server.serve-forever.cancelled.under-way", roles=SERVER)
async def test_serve_forever_cancelled_under_way(trial: Trial) -> None:
    closes_clients = await cancelled_serve_forever_closes_clients(trial)
    with uncollected():
        for turns in (*MOMENTS, 50):
            served = await trial.serve()
            serving = trial.start(served.server.serve_forever())
            await trial.turns()
            async with closing_wire(await carrier(trial).dial(served.server)) as below:
                await trial.turns(turns)
                serving.cancel()
                await asyncio.wait([serving])
                expect(serving.cancelled(), True, "cancelled:")
                if closes_clients:
                    await below.receive_to_end()  # hangs if it is left open


async def cancelled_serve_forever_closes_clients(trial: Trial) -> bool:
    """Return whether a serve_forever() that is cancelled ends the existing connections."""
    served = await trial.serve()
    serving = trial.start(served.server.serve_forever())
    connection = await trial.accept(served)
    serving.cancel()
    ending = trial.start(connection.wire.receive_to_end())

    async def ended() -> bool:
        return ending.done()

    closes = await trial.soon(ended)
    ending.cancel()
    connection.writer.close()
    await asyncio.wait([ending])
    return closes


# Servers that are cancelled before they exist.


async def cancel_start(trial: Trial, starting: Awaitable[asyncio.Server], turns: int) -> None:
    """Cancel the start of a server after some turns; close the server if it was quicker."""
    task = await trial.cancelled(starting, turns)
    if not task.cancelled():
        (await task).close()


@clause("serving.cancelled.at-any-moment", networks=INTERNET, roles=SERVER)
async def test_start_server_cancelled(trial: Trial) -> None:
    for turns in range(10):
        before = open_sockets(trial)
        address = ("127.0.0.1", free_port(trial, "127.0.0.1"))
        await cancel_start(trial, trial.streams.start_server(Served().accepted, *address), turns)
        await expect_not_served(trial, socket.AF_INET, address)
        await expect_no_new_socket(trial, before)


@clause("serving.cancelled.at-any-moment", networks=INTERNET, roles=SERVER)
async def test_start_server_cancelled_in_each_way(trial: Trial) -> None:
    ways: tuple[dict[str, Any], ...] = (
        *({"start_serving": False}, {"ssl": server_context()}),
        *({"host": ["127.0.0.1", "127.0.0.2"]}, {"host": None}),
    )
    for way in ways:
        for turns in range(10):
            before = open_sockets(trial)
            arguments = {"host": "127.0.0.1", "port": 0, **way}
            starting = trial.streams.start_server(Served().accepted, **arguments)
            await cancel_start(trial, starting, turns)
            await expect_no_new_socket(trial, before)


@clause("serving.cancelled.at-any-moment", networks=INTERNET, roles=SERVER)
async def test_start_server_cancelled_with_a_socket(trial: Trial) -> None:
    for turns in range(10):
        with bound_socket(trial) as sock:
            address = sock.getsockname()
            starting = trial.streams.start_server(Served().accepted, sock=sock)
            await cancel_start(trial, starting, turns)
            await expect_not_served(trial, socket.AF_INET, address)


@clause("unix.serve.cancelled.at-any-moment", networks=UNIX, roles=SERVER)
async def test_start_unix_server_cancelled(trial: Trial) -> None:
    for turns in range(6):
        before = open_sockets(trial)
        path = free_path(trial)
        starting = trial.streams.start_unix_server(Served().accepted, path)
        await cancel_start(trial, starting, turns)
        await expect_not_served(trial, socket.AF_UNIX, path)
        await expect_no_new_socket(trial, before)


# Handshakes that fail.


@clause("serving.ssl.failed-handshake-reports-nothing", networks=TLS, roles=SERVER)
async def test_failed_handshakes_report_nothing(trial: Trial) -> None:
    served = await trial.serve(ssl_handshake_timeout=0.05)
    for fail in (speak_no_tls, leave, reset, leave_in_the_middle, trust_nobody, say_nothing):
        async with closing_wire(await carrier(trial).dial(served.server)) as below:
            await fail(below)
            await trial.turns()
        await trial.turns()
        gc.collect()  # a task that failed is reported when it is collected
        reported = [each["message"] for each in trial.reported]
        expect(reported, [], f"reported of a client that did {fail.__name__}():")
    expect(served.pairs.qsize(), 0, "clients after failed handshakes:")


@clause("unix.serve.ssl.failed-handshake", networks=UNIX, roles=SERVER)
async def test_failed_handshakes_harm_nobody_on_unix_sockets(trial: Trial) -> None:
    # Enough for the handshakes that are to succeed, also on a busy machine.
    served = await trial.serve(ssl=server_context(), ssl_handshake_timeout=0.3)
    for fail in (speak_no_tls, leave, leave_in_the_middle, trust_nobody, say_nothing):
        async with closing_wire(await trial.network.dial(served.server)) as below:
            await fail(below)
        expect(served.pairs.qsize(), 0, f"clients after one that did {fail.__name__}():")
        async with closing_wire(await trial.network.dial(served.server)) as below:
            wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
            await wire.handshake()
            reader, writer = await served.pairs.get()
            with closing(writer):
                await expect_talk(Connection(reader, writer, wire))
        await collected(trial)
        reported = [each["message"] for each in trial.reported]
        expect(reported, [], f"reported of a client that did {fail.__name__}():")


async def speak_no_tls(below: Wire) -> None:
    """Send bytes that are not TLS."""
    await below.send(b"GET / HTTP/1.0\r\n\r\n")
    await below.receive_to_end()


async def say_nothing(below: Wire) -> None:
    """Say nothing, and wait until the server has had enough."""
    await below.receive_to_end()


async def leave(below: Wire) -> None:
    """Leave without having sent anything."""
    await below.settle()
    await below.close()


async def reset(below: Wire) -> None:
    """Send nothing, and reset the connection."""
    await below.settle()
    await below.reset()


async def leave_in_the_middle(below: Wire) -> None:
    """Close when the server has answered."""
    wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
    with suppress(ssl.SSLWantReadError):
        wire.tls.do_handshake()
    await below.send(wire.outgoing.read())
    await below.receive_some()
    await below.close()


async def trust_nobody(below: Wire) -> None:
    """Refuse the server's certificate."""
    distrustful = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # In TLS 1.3 the client's refusal comes after the server's part is done.
    distrustful.maximum_version = ssl.TLSVersion.TLSv1_2
    wire = TlsWire(below, distrustful, server_side=False, server_hostname=HOST_NAME)
    try:
        await wire.handshake()
    except ssl.SSLError:
        await below.receive_to_end()


# Contexts.


@clause("handlers.plain.context", roles=SERVER)
async def test_a_context_for_each_call(trial: Trial) -> None:
    variable = contextvars.ContextVar("variable", default="nothing")
    seen = []

    def callback(_: StreamReader, writer: StreamWriter) -> None:
        seen.append(variable.get())
        variable.set("what one client has left")
        writer.close()

    served = await trial.serve(callback)
    for _ in range(3):
        wire = await trial.dial(served.server)
        await wire.receive_to_end()
        await wire.close()
    expect(seen, ["nothing"] * 3, "what the calls see:")
    expect_that(variable.get() == "nothing", "nothing to be left for the program", variable.get())
