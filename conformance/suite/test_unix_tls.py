"""`open_unix_connection()` and `start_unix_server()`: their arguments for TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import Any

from conformance.harness.addresses import (
    abstract_name,
    address_of,
    bound_socket,
    carrier,
    connected_socket,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, SERVER, UNIX, clause
from conformance.harness.clock import Clock
from conformance.harness.expect import expect, expect_error, expect_that
from conformance.harness.expectations import expect_talk, unanswered
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.base import Listener
from conformance.networks.tls import (
    HOST_NAME,
    OTHER_HOST_NAME,
    TlsListener,
    TlsNetwork,
    TlsWire,
    client_context,
    server_context,
)
from conformance.networks.wire import Wire


@asynccontextmanager
async def connected(trial: Trial, **options: Any) -> AsyncIterator[Connection]:
    """Connect the implementation, in the trial's role, with a far end, over TLS."""
    network = TlsNetwork(trial.network)
    if trial.role == "client":
        with closing(await network.listen()) as listener:
            accepting = trial.start(listener.accept())
            reader, writer = await network.open(trial.streams, listener, **options)
            wire: Wire = await accepting
    else:
        served = Served()
        with closing(await network.serve(trial.streams, served.accepted, **options)) as server:
            wire = await network.dial(server)
            reader, writer = await served.pairs.get()
    async with closing_wire(wire):
        try:
            yield Connection(reader, writer, wire)
        finally:
            with suppress(Exception):  # closing, also twice, has clauses of its own
                writer.close()


@clause("unix.open.ssl", networks=UNIX, roles=CLIENT)
async def test_open_ssl(trial: Trial) -> None:
    async with connected(trial, ssl=client_context(), server_hostname=HOST_NAME) as connection:
        await expect_talk(connection)


@clause("unix.open.ssl", networks=UNIX, roles=CLIENT)
async def test_open_ssl_for_another_name(trial: Trial) -> None:
    network = TlsNetwork(trial.network)
    with closing(await network.listen()) as listener:
        accepting = trial.start(listener.accept())
        opening = network.open(trial.streams, listener, server_hostname=OTHER_HOST_NAME)
        await expect_error(Exception, trial.start(opening))  # which ends if the loop cannot open it
        try:
            await (await accepting).receive_to_end()  # in TLS 1.3 the far end learns of it here
        except (ssl.SSLError, ConnectionError):
            pass
        else:
            expect_that(False, "the certificate to be refused", "a connection")


@clause("unix.open.path.abstract", networks=UNIX, roles=CLIENT)
async def test_open_ssl_on_an_abstract_socket(trial: Trial) -> None:
    below = carrier(trial).listening(socket.AF_UNIX, abstract_name())
    with closing(TlsListener(below)) as listener:
        accepting = trial.start(listener.accept())
        reader, writer = await TlsNetwork(trial.network).open(trial.streams, listener)
        with closing(writer):
            async with closing_wire(await accepting) as wire:
                await expect_talk(Connection(reader, writer, wire))


@clause("unix.open.ssl.server-hostname.required", networks=UNIX, roles=CLIENT)
async def test_open_server_hostname_required(trial: Trial) -> None:
    path = address_of(await trial.listen())
    context = client_context()
    context.check_hostname = False
    await expect_error(ValueError, trial.streams.open_unix_connection(path, ssl=context))


@clause("unix.open.ssl.server-hostname.required-to-check", networks=UNIX, roles=CLIENT)
async def test_open_server_hostname_required_to_check(trial: Trial) -> None:
    path = address_of(await trial.listen())
    await expect_error(ValueError, trial.streams.open_unix_connection(path, ssl=client_context()))


@clause("unix.open.ssl.server-hostname.without-ssl", networks=UNIX, roles=CLIENT)
async def test_open_server_hostname_without_ssl(trial: Trial) -> None:
    path = address_of(await trial.listen())
    await expect_error(
        ValueError, trial.streams.open_unix_connection(path, server_hostname=HOST_NAME)
    )


@clause("unix.open.ssl.handshake-timeout", networks=UNIX, roles=CLIENT)
async def test_open_handshake_timeout(trial: Trial) -> None:
    listener = await trial.listen()
    opening = trial.start(_open(trial, address_of(listener), ssl_handshake_timeout=0.05))
    async with closing_wire(await listener.accept()) as silent:
        await expect_error(Exception, opening)
        await silent.receive_to_end()  # hangs if the connection is left open


@clause("unix.open.ssl.shutdown-timeout", networks=UNIX, roles=CLIENT)
async def test_open_shutdown_timeout(trial: Trial) -> None:
    await expect_shutdown_timeout(trial)


async def _open(trial: Trial, path: str, **options: Any) -> None:
    """Connect, and expect an error."""
    _, writer = await trial.streams.open_unix_connection(
        path, ssl=client_context(), server_hostname=HOST_NAME, **options
    )
    writer.close()


@clause("unix.serve.ssl", networks=UNIX, roles=SERVER)
async def test_serve_ssl(trial: Trial) -> None:
    async with connected(trial) as connection:
        await expect_talk(connection)


@clause("unix.serve.ssl.handshake-timeout", networks=UNIX, roles=SERVER)
async def test_serve_handshake_timeout(trial: Trial) -> None:
    served = Served()
    network = TlsNetwork(trial.network)
    starting = network.serve(trial.streams, served.accepted, ssl_handshake_timeout=0.05)
    with closing(await starting) as server:
        async with closing_wire(await trial.network.dial(server)) as silent:
            await silent.receive_to_end()  # hangs if the timeout has no effect
            expect(served.pairs.qsize(), 0, "clients without a handshake:")


@clause("unix.serve.ssl.shutdown-timeout", networks=UNIX, roles=SERVER)
async def test_serve_shutdown_timeout(trial: Trial) -> None:
    await expect_shutdown_timeout(trial)


async def expect_shutdown_timeout(trial: Trial) -> None:
    """Expect ssl_shutdown_timeout to end a connection whose far end does not answer."""
    async with connected(trial, ssl_shutdown_timeout=0.05) as connection:
        assert isinstance(connection.wire, TlsWire)
        connection.writer.close()
        await connection.wire.carrier.receive_to_end()  # hangs if it has no effect


# The default timeouts, in each way. An explicit one shows whether the implementation uses the
# loop's clock.

Way = Callable[..., Any]


async def by_path(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect to a path."""
    return await trial.streams.open_unix_connection(address_of(listener), **options)


async def by_socket(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect with a socket."""
    sock = await connected_socket(trial, listener)
    return await trial.streams.open_unix_connection(sock=sock, **options)


async def at_path(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve at a path."""
    return await trial.network.serve(trial.streams, callback, **options)


async def at_socket(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve on a socket."""
    return await trial.streams.start_unix_server(callback, sock=bound_socket(trial), **options)


async def expect_handshake_given_up(
    trial: Trial, way: Way, more: dict[str, Any], judge: Callable[[Any], Awaitable[None]]
) -> None:
    """Let `judge` judge when a handshake that nobody answers is given up."""
    if trial.role == "client":
        listener = await trial.listen()
        tls: dict[str, Any] = {"ssl": client_context(), "server_hostname": HOST_NAME}
        opening = trial.start(way(trial, listener, **tls, **more))
        async with closing_wire(await listener.accept()):
            await trial.turns()
            await judge(opening)
            await expect_error(Exception, opening)
        return
    with closing(await way(trial, Served().accepted, ssl=server_context(), **more)) as server:
        async with closing_wire(await trial.network.dial(server)) as silent:
            await trial.turns()
            await judge(trial.start(silent.receive_to_end()))


async def expect_shutdown_given_up(
    trial: Trial, way: Way, more: dict[str, Any], judge: Callable[[Any], Awaitable[None]]
) -> None:
    """Let `judge` judge when a connection ends that was closed, and whose far end says nothing."""
    async with secured(trial, way, more) as (writer, below):
        writer.close()
        await judge(await unanswered(trial, below))


@asynccontextmanager
async def secured(
    trial: Trial, way: Way, more: dict[str, Any]
) -> AsyncIterator[tuple[asyncio.StreamWriter, Wire]]:
    """Yield the writer of a TLS connection, and its far end without TLS."""
    if trial.role == "client":
        listener = await trial.listen()
        tls: dict[str, Any] = {"ssl": client_context(), "server_hostname": HOST_NAME}
        opening = trial.start(way(trial, listener, **tls, **more))
        async with closing_wire(await listener.accept()) as below:
            await TlsWire(below, server_context(), server_side=True).handshake()
            yield (await opening)[1], below
        return
    served = Served()
    with closing(await way(trial, served.accepted, ssl=server_context(), **more)) as server:
        async with closing_wire(await trial.network.dial(server)) as below:
            wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
            await wire.handshake()
            yield (await served.pairs.get())[1], below


async def expect_defaults(
    trial: Trial, ways: tuple[Way, ...], expect_given_up: Callable[..., Any], name: str, by: int
) -> None:
    """Expect what `expect_given_up` lets be judged to be over after `by` seconds by default."""
    clock = Clock(trial)
    told = by // 2
    await expect_given_up(trial, ways[0], {name: told}, partial(clock.expect_kept, told))
    for way in ways:
        await expect_given_up(trial, way, {}, partial(clock.expect_done_after, by))


@clause("unix.open.ssl.handshake-timeout.default", networks=UNIX, roles=CLIENT)
async def test_open_handshake_timeout_default(trial: Trial) -> None:
    ways = (by_path, by_socket)
    await expect_defaults(trial, ways, expect_handshake_given_up, "ssl_handshake_timeout", 60)


@clause("unix.open.ssl.shutdown-timeout.default", networks=UNIX, roles=CLIENT)
async def test_open_shutdown_timeout_default(trial: Trial) -> None:
    ways = (by_path, by_socket)
    await expect_defaults(trial, ways, expect_shutdown_given_up, "ssl_shutdown_timeout", 30)


@clause("unix.serve.ssl.handshake-timeout.default", networks=UNIX, roles=SERVER)
async def test_serve_handshake_timeout_default(trial: Trial) -> None:
    ways = (at_path, at_socket)
    await expect_defaults(trial, ways, expect_handshake_given_up, "ssl_handshake_timeout", 60)


@clause("unix.serve.ssl.shutdown-timeout.default", networks=UNIX, roles=SERVER)
async def test_serve_shutdown_timeout_default(trial: Trial) -> None:
    ways = (at_path, at_socket)
    await expect_defaults(trial, ways, expect_shutdown_given_up, "ssl_shutdown_timeout", 30)
