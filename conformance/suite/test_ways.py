"""An argument means the same in each way to connect or to serve, and at each value."""

import asyncio
import contextvars
import os
import socket
import struct
import uuid
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from conformance.harness.addresses import (
    BACKLOGS,
    address_of,
    bound,
    bound_socket,
    carrier,
    carrier_of,
    connected_socket,
    free_path,
    stall,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import (
    CLIENT,
    HOSTS,
    IN_VIRTUAL_TIME,
    INTERNET,
    SERVER,
    TLS,
    UNIX,
    VIRTUAL,
    clause,
)
from conformance.harness.expect import expect, expect_that
from conformance.harness.expectations import (
    expect_done_after,
    expect_keep_alive,
    expect_limit,
    unanswered,
)
from conformance.harness.leaks import expect_no_new_socket, open_sockets
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.base import ClientOptions, Listener, Network
from conformance.networks.sockets import SocketWire
from conformance.networks.tls import (
    HOST_NAME,
    TlsNetwork,
    TlsWire,
    client_context,
    server_context,
    trusted_by_the_system,
)
from conformance.suite.arguments import LIMITS, SECONDS

FEW, MANY = 3, 100  # seconds, or bytes, or connections


# The limit.


async def expect_limit_kept(
    trial: Trial, open_: Callable[..., Awaitable[Any]], **options: Any
) -> None:
    """Expect connections that `open_` makes to a listener to have the limits that it is given."""
    for limit in LIMITS:
        listener = await trial.listen()
        reader, writer = await open_(listener, limit=limit, **options)
        with closing(writer):
            async with closing_wire(await listener.accept()) as wire:
                await expect_limit(trial, Connection(reader, writer, wire), limit)


@clause("connecting.limit.given", networks=INTERNET, roles=CLIENT)
async def test_limit_with_an_address(trial: Trial) -> None:
    await expect_limit_kept(trial, partial(trial.network.open, trial.streams))


@clause("unix.open.limit.given", networks=UNIX, roles=CLIENT)
async def test_unix_limit_with_a_path(trial: Trial) -> None:
    await expect_limit_kept(trial, partial(trial.network.open, trial.streams))


@clause("connecting.limit.given", networks=INTERNET, roles=CLIENT)
async def test_limit_with_a_socket(trial: Trial) -> None:
    async def open_(listener: Listener, **options: Any) -> Any:
        sock = await connected_socket(trial, listener)
        return await trial.streams.open_connection(sock=sock, **options)

    await expect_limit_kept(trial, open_)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_limit_with_happy_eyeballs(trial: Trial) -> None:
    async def open_(listener: Listener, **options: Any) -> Any:
        return await trial.network.open(trial.streams, listener, **options)

    await expect_limit_kept(trial, open_, happy_eyeballs_delay=0.25)


@clause("unix.open.limit.given", networks=UNIX, roles=CLIENT)
async def test_unix_limit_with_a_socket(trial: Trial) -> None:
    async def open_(listener: Listener, **options: Any) -> Any:
        sock = await connected_socket(trial, listener)
        return await trial.streams.open_unix_connection(sock=sock, **options)

    await expect_limit_kept(trial, open_)


@clause("connecting.limit.given", networks=TLS, roles=CLIENT)
async def test_limit_with_tls_over_a_socket(trial: Trial) -> None:
    async def open_(listener: Listener, **options: Any) -> Any:
        sock = await connected_socket(trial, listener)
        return await trial.streams.open_connection(
            sock=sock, ssl=client_context(), server_hostname=HOST_NAME, **options
        )

    await expect_limit_with_tls(trial, open_)


@clause("connecting.limit.given", networks=TLS, roles=CLIENT)
async def test_limit_with_tls(trial: Trial) -> None:
    await expect_limit_with_tls(trial, partial(trial.network.open, trial.streams))


@clause("connecting.happy-eyeballs.other-arguments", networks=TLS, roles=CLIENT)
async def test_limit_with_tls_and_happy_eyeballs(trial: Trial) -> None:
    await expect_limit_with_tls(
        trial, partial(trial.network.open, trial.streams, happy_eyeballs_delay=0.25)
    )


@clause("unix.open.limit.given", networks=UNIX, roles=CLIENT)
async def test_unix_limit_with_tls(trial: Trial) -> None:
    network = TlsNetwork(trial.network)

    async def by_path(listener: Listener, **options: Any) -> Any:
        return await network.open(trial.streams, listener, **options)

    async def by_socket(listener: Listener, **options: Any) -> Any:
        sock = await connected_socket(trial, listener)
        return await trial.streams.open_unix_connection(
            sock=sock, ssl=client_context(), server_hostname=HOST_NAME, **options
        )

    for open_ in (by_path, by_socket):
        await expect_limit_with_tls(trial, open_, network)


async def expect_limit_with_tls(
    trial: Trial, open_: Callable[..., Awaitable[Any]], network: Network | None = None
) -> None:
    """Expect connections that `open_` makes to a TLS listener to have the given limits."""
    for limit in LIMITS:
        with closing(await (network or trial.network).listen()) as listener:
            accepting = trial.start(listener.accept())
            reader, writer = await open_(listener, limit=limit)
            with closing(writer):
                async with closing_wire(await accepting) as wire:
                    await expect_limit(trial, Connection(reader, writer, wire), limit)


async def expect_server_limit_kept(trial: Trial, serve: Callable[..., Awaitable[Any]]) -> None:
    """Expect a server on a socket that was given to have the limits that it is given."""
    for limit in LIMITS:
        served, sock = Served(), bound_socket(trial)
        family, address = sock.family, sock.getsockname()
        with closing(await serve(served.accepted, sock=sock, limit=limit)):
            async with closing_wire(await carrier(trial).connected(family, address)) as wire:
                reader, writer = await served.pairs.get()
                with closing(writer):
                    await expect_limit(trial, Connection(reader, writer, wire), limit)


@clause("serving.limit.given", networks=INTERNET, roles=SERVER)
async def test_server_limit_with_a_socket(trial: Trial) -> None:
    await expect_server_limit_kept(trial, trial.streams.start_server)


@clause("unix.serve.limit.given", networks=UNIX, roles=SERVER)
async def test_unix_server_limit_with_a_socket(trial: Trial) -> None:
    await expect_server_limit_kept(trial, trial.streams.start_unix_server)


@clause("unix.serve.limit.given", networks=UNIX, roles=SERVER)
async def test_unix_server_limit_with_a_path(trial: Trial) -> None:
    for limit in LIMITS:
        await expect_limit(trial, await trial.connect(limit=limit), limit)


@clause("serving.limit.given", networks=HOSTS, roles=SERVER)
async def test_server_limit_with_an_address(trial: Trial) -> None:
    for limit in LIMITS:
        await expect_limit(trial, await trial.connect(limit=limit), limit)


@clause("serving.limit.given", networks=TLS, roles=SERVER)
async def test_server_limit_with_tls_on_a_socket(trial: Trial) -> None:
    await expect_server_limit_with_tls(trial, trial.streams.start_server)


@clause("unix.serve.limit.given", networks=UNIX, roles=SERVER)
async def test_unix_server_limit_with_tls(trial: Trial) -> None:
    async def by_path(callback: Any, sock: socket.socket, **options: Any) -> Any:
        path = sock.getsockname()
        sock.close()
        os.unlink(path)
        return await trial.streams.start_unix_server(callback, path, **options)

    for serve in (by_path, trial.streams.start_unix_server):
        await expect_server_limit_with_tls(trial, serve)


async def expect_server_limit_with_tls(trial: Trial, serve: Callable[..., Awaitable[Any]]) -> None:
    """Expect servers that `serve` makes of a bound socket to have the limits that it is given."""
    for limit in LIMITS:
        served, sock = Served(), bound_socket(trial)
        family, address = sock.family, sock.getsockname()
        starting = serve(served.accepted, sock=sock, limit=limit, ssl=server_context())
        with closing(await starting):
            async with closing_wire(await carrier(trial).connected(family, address)) as below:
                wire = TlsWire(
                    below, client_context(), server_side=False, server_hostname=HOST_NAME
                )
                await wire.handshake()
                reader, writer = await served.pairs.get()
                with closing(writer):
                    await expect_limit(trial, Connection(reader, writer, wire), limit)


# The backlog.


def backlog(sock: socket.socket) -> int:
    """Return the argument of listen(), as Linux reports it for a listening TCP socket."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    assert isinstance(info, bytes)
    waiting_at_most: int
    (waiting_at_most,) = struct.unpack_from("I", info, 28)  # tcpi_sacked
    return waiting_at_most


@clause("serving.backlog.given", networks=INTERNET, roles=SERVER)
async def test_backlog_in_each_way(trial: Trial) -> None:
    start = trial.streams.start_server
    for given in BACKLOGS:
        for way in (
            {"host": ["127.0.0.2", "127.0.0.3"], "port": 0},
            {"sock": bound_socket(trial)},
            {"host": "127.0.0.1", "port": 0, "reuse_address": False},
        ):
            with closing(await start(Served().accepted, backlog=given, **way)) as server:
                for sock in server.sockets:
                    expect(backlog(sock), given, f"backlog with {', '.join(way)}:")


@clause("serving.backlog.given", networks=TLS, roles=SERVER)
async def test_backlog_with_tls(trial: Trial) -> None:
    for given in BACKLOGS:
        for address in ({"sock": bound_socket(trial)}, {"host": "127.0.0.1", "port": 0}):
            starting = trial.streams.start_server(
                Served().accepted, ssl=server_context(), backlog=given, **address
            )
            with closing(await starting) as server:
                expect(backlog(server.sockets[0]), given, "backlog with ssl:")


@clause("serving.backlog.given", networks=INTERNET, roles=SERVER)
async def test_backlog_of_a_server_started_later(trial: Trial) -> None:
    for given in BACKLOGS:
        for method in ("start_serving", "serve_forever"):
            served = await trial.serve(backlog=given, start_serving=False)
            starting = trial.start(getattr(served.server, method)())
            await trial.turns()
            expect(backlog(served.server.sockets[0]), given, f"backlog of {method}():")
            starting.cancel()
            await asyncio.wait([starting])


# With other arguments.


async def started_later(start: Callable[..., Awaitable[Any]], **options: Any) -> Any:
    """Return a server that was started after it was made."""
    server = await start(start_serving=False, **options)
    await server.start_serving()
    return server


@clause("serving.limit.given", networks=INTERNET, roles=SERVER)
async def test_limit_of_a_server_started_later(trial: Trial) -> None:
    await expect_limit_kept_later(trial, trial.streams.start_server)


@clause("unix.serve.limit.given", networks=UNIX, roles=SERVER)
async def test_limit_of_a_unix_server_started_later(trial: Trial) -> None:
    await expect_limit_kept_later(trial, trial.streams.start_unix_server)


async def expect_limit_kept_later(trial: Trial, start: Callable[..., Awaitable[Any]]) -> None:
    """Expect a server that is started later to have the limits that it was given."""

    async def serve(callback: Any, **options: Any) -> Any:
        return await started_later(partial(start, callback), **options)

    await expect_server_limit_kept(trial, serve)


@clause("serving.keep-alive", networks=INTERNET, roles=SERVER)
async def test_keep_alive_in_each_way(trial: Trial) -> None:
    for wanted in (True, False):
        served = Served()
        start = partial(trial.streams.start_server, served.accepted, keep_alive=wanted)
        for what, starting in (
            ("several hosts", start(["127.0.0.1", "127.0.0.2"], 0)),
            ("started later", started_later(start, host="127.0.0.1", port=0)),
            ("limit and backlog", start("127.0.0.1", 0, limit=FEW, backlog=FEW)),
        ):
            with closing(await starting) as server:
                for sock in server.sockets:
                    await expect_keep_alive_on(trial, served, sock, wanted, what)


async def expect_keep_alive_on(
    trial: Trial, served: Served, sock: Any, wanted: bool, what: str
) -> None:
    """Expect SO_KEEPALIVE of a connection that a server accepts on `sock` to be as `wanted`."""
    async with closing_wire(await carrier(trial).connected(sock.family, sock.getsockname())):
        _, writer = await served.pairs.get()
        with closing(writer):
            expect_keep_alive(writer, wanted, f"SO_KEEPALIVE set, with {what}:")


@clause("serving.keep-alive.sock", networks=INTERNET, roles=SERVER)
async def test_keep_alive_with_a_socket(trial: Trial) -> None:
    for wanted in (True, False):
        served = Served()
        starting = trial.streams.start_server(
            served.accepted, sock=bound_socket(trial), keep_alive=wanted
        )
        with closing(await starting) as server:
            await expect_keep_alive_on(trial, served, server.sockets[0], wanted, "sock")


# Starting later.


async def expect_starts_later(trial: Trial, serve: Callable[..., Awaitable[Any]]) -> None:
    """Expect a server on a socket that was given not to serve before it is started."""
    served, sock = Served(), bound_socket(trial)
    sock.listen()
    family, address = sock.family, sock.getsockname()
    async with closing_wire(await carrier(trial).connected(family, address)):
        with closing(await serve(served.accepted, sock=sock, start_serving=False)) as server:
            await trial.turns()
            expect(served.pairs.qsize(), 0, "clients before the server was started:")
            expect(server.is_serving(), False, "is_serving() before the server was started:")
            await server.start_serving()
            _, writer = await served.pairs.get()
            writer.close()


@clause("serving.start-serving.false", networks=INTERNET, roles=SERVER)
async def test_socket_that_starts_later(trial: Trial) -> None:
    await expect_starts_later(trial, trial.streams.start_server)


@clause("unix.serve.start-serving.false", networks=UNIX, roles=SERVER)
async def test_unix_socket_that_starts_later(trial: Trial) -> None:
    await expect_starts_later(trial, trial.streams.start_unix_server)


# Timeouts: in seconds, few and many.


@clause("connecting.ssl.handshake-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_handshake_timeouts(trial: Trial) -> None:
    for seconds in SECONDS:
        plainly = ClientOptions(ssl_handshake_timeout=seconds)
        for more in ({}, {"happy_eyeballs_delay": 0.25}, {"ssl": True}):
            listener = await trial.listen()
            opening = trial.start(trial.network.open(trial.streams, listener, **plainly, **more))
            await expect_silence_ended(trial, listener, opening, seconds)


@clause("connecting.ssl.handshake-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_handshake_timeouts_with_a_socket(trial: Trial) -> None:
    for seconds in SECONDS:
        for tls in (client_context(), True):
            listener = await trial.listen()
            opening = trial.start(
                trial.streams.open_connection(
                    sock=await connected_socket(trial, listener),
                    ssl=tls,
                    server_hostname=HOST_NAME,
                    ssl_handshake_timeout=seconds,
                )
            )
            await expect_silence_ended(trial, listener, opening, seconds)


async def expect_silence_ended(
    trial: Trial, listener: Listener, opening: "asyncio.Task[Any]", seconds: float
) -> None:
    """Expect an opening to fail after that many seconds in which the far end sends nothing."""
    async with closing_wire(await carrier_of(listener).accept()):
        await expect_done_after(trial, seconds, opening)
        expect_that(opening.exception() is not None, "the opening to fail", "a connection")


@clause("serving.ssl.handshake-timeout", networks=VIRTUAL, roles=SERVER)
async def test_server_handshake_timeouts(trial: Trial) -> None:
    for seconds in SECONDS:
        served = await trial.serve(ssl_handshake_timeout=seconds)
        async with closing_wire(await carrier(trial).dial(served.server)) as silent:
            await expect_done_after(trial, seconds, trial.start(silent.receive_to_end()))


@clause("serving.ssl.handshake-timeout", networks=VIRTUAL, roles=SERVER)
async def test_server_handshake_timeouts_in_each_way(trial: Trial) -> None:
    for seconds in SECONDS:
        start = partial(
            trial.streams.start_server,
            Served().accepted,
            ssl=server_context(),
            ssl_handshake_timeout=seconds,
        )
        for starting in (
            start(sock=bound_socket(trial)),
            start(host=["127.0.0.2", "127.0.0.3"], port=0),
            started_later(start, host="127.0.0.2", port=0),
        ):
            with closing(await starting) as server:
                for sock in server.sockets:
                    at = sock.getsockname()
                    async with closing_wire(
                        await carrier(trial).connected(socket.AF_INET, at)
                    ) as it:
                        await expect_done_after(trial, seconds, trial.start(it.receive_to_end()))


async def expect_shutdown_timeouts(trial: Trial) -> None:
    """Expect a closed connection whose far end does not answer to last as long as given."""
    for seconds in SECONDS:
        _, writer, wire = await trial.connect(ssl_shutdown_timeout=seconds)
        assert isinstance(wire, TlsWire)
        writer.close()
        await expect_done_after(trial, seconds, await unanswered(trial, wire.carrier))


@clause("connecting.ssl.shutdown-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_shutdown_timeouts(trial: Trial) -> None:
    await expect_shutdown_timeouts(trial)


@clause("connecting.ssl.shutdown-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_shutdown_timeouts_in_each_way(trial: Trial) -> None:
    async def hurrying(listener: Listener, seconds: float) -> Any:
        tls = ClientOptions(ssl_shutdown_timeout=seconds, happy_eyeballs_delay=0.25)
        return await trial.network.open(trial.streams, listener, **tls)

    async def by_default(listener: Listener, seconds: float) -> Any:
        tls = ClientOptions(ssl_shutdown_timeout=seconds, ssl=True)
        with trusted_by_the_system():
            return await trial.network.open(trial.streams, listener, **tls)

    async def by_socket(listener: Listener, seconds: float) -> Any:
        return await trial.streams.open_connection(
            sock=await connected_socket(trial, listener),
            ssl=client_context(),
            server_hostname=HOST_NAME,
            ssl_shutdown_timeout=seconds,
        )

    for open_ in (hurrying, by_default, by_socket):
        for seconds in SECONDS:
            listener = await trial.listen()
            accepting = trial.start(listener.accept())
            _, writer = await open_(listener, seconds)
            wire = await accepting
            assert isinstance(wire, TlsWire)
            async with closing_wire(wire.carrier) as below:
                writer.close()
                await expect_done_after(trial, seconds, await unanswered(trial, below))


@clause("serving.ssl.shutdown-timeout", networks=VIRTUAL, roles=SERVER)
async def test_server_shutdown_timeouts_in_each_way(trial: Trial) -> None:
    for seconds in SECONDS:
        served = Served()
        start = partial(
            trial.streams.start_server,
            served.accepted,
            ssl=server_context(),
            ssl_shutdown_timeout=seconds,
        )
        for starting in (
            start(sock=bound_socket(trial)),
            start(host=["127.0.0.2", "127.0.0.3"], port=0),
            started_later(start, host="127.0.0.2", port=0),
        ):
            with closing(await starting) as server:
                for sock in server.sockets:
                    await expect_shut_down_after(trial, seconds, served, sock.getsockname())


async def expect_shut_down_after(
    trial: Trial, seconds: float, served: Served, address: tuple[str, int]
) -> None:
    """Expect a server to drop a client that does not answer after that many seconds."""
    async with closing_wire(await carrier(trial).connected(socket.AF_INET, address)) as below:
        wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
        await wire.handshake()
        _, writer = await served.pairs.get()
        writer.close()
        await expect_done_after(trial, seconds, await unanswered(trial, below))


@clause("serving.ssl.shutdown-timeout", networks=VIRTUAL, roles=SERVER)
async def test_server_shutdown_timeouts(trial: Trial) -> None:
    await expect_shutdown_timeouts(trial)


def upgrade(trial: Trial, connection: Connection, **options: Any) -> tuple[Any, TlsWire]:
    """Return an upgrade that has not begun, and its far end."""
    if trial.role == "client":
        wire = TlsWire(connection.wire, server_context(), server_side=True)
        options |= {"sslcontext": client_context(), "server_hostname": HOST_NAME}
    else:
        wire = TlsWire(
            connection.wire, client_context(), server_side=False, server_hostname=HOST_NAME
        )
        options |= {"sslcontext": server_context()}
    return connection.writer.start_tls(**options), wire


@clause("start_tls.handshake-timeout", networks=IN_VIRTUAL_TIME)
async def test_upgrade_handshake_timeouts(trial: Trial) -> None:
    for seconds in SECONDS:
        starting, _ = upgrade(trial, await trial.connect(), ssl_handshake_timeout=seconds)
        task = trial.start(starting)
        await expect_done_after(trial, seconds, task)
        expect_that(task.exception() is not None, "start_tls() to fail", "an upgrade")


@clause("start_tls.shutdown-timeout", networks=IN_VIRTUAL_TIME)
async def test_upgrade_shutdown_timeouts(trial: Trial) -> None:
    for seconds in SECONDS:
        connection = await trial.connect()
        starting, wire = upgrade(trial, connection, ssl_shutdown_timeout=seconds)
        task = trial.start(starting)
        await trial.turns()  # no handshake before it is expected
        await wire.handshake()
        await task
        connection.writer.close()
        await expect_done_after(trial, seconds, await unanswered(trial, wire.carrier))


async def expect_long_timeout_waited_for(trial: Trial, task: "asyncio.Task[Any]") -> None:
    """Expect a timeout of many seconds not to have passed after many milliseconds."""
    await asyncio.sleep(MANY / 1000)
    expect(task.done(), False, f"given up after {MANY} ms:")
    task.cancel()
    await asyncio.wait([task])


@clause("unix.open.ssl.handshake-timeout", networks=UNIX, roles=CLIENT)
async def test_unix_handshake_timeout_of_minutes(trial: Trial) -> None:
    listener = await trial.listen()
    tls = ClientOptions(ssl=client_context(), server_hostname=HOST_NAME, ssl_handshake_timeout=MANY)
    opening = trial.start(trial.network.open(trial.streams, listener, **tls))
    async with closing_wire(await listener.accept()):
        await expect_long_timeout_waited_for(trial, opening)


@clause("unix.serve.ssl.handshake-timeout", networks=UNIX, roles=SERVER)
async def test_unix_server_handshake_timeout_of_minutes(trial: Trial) -> None:
    served = await trial.serve(ssl=server_context(), ssl_handshake_timeout=MANY)
    silent = await trial.dial(served.server)
    await expect_long_timeout_waited_for(trial, trial.start(silent.receive_to_end()))


# The same for Unix sockets, over the network of hosts and ports in memory.


def free_unix_path() -> str:
    """Return an unused path on the network in memory."""
    return f"/tmp/streams-{uuid.uuid4()}"


def unix_socket(trial: Trial) -> socket.socket:
    """Return a Unix socket that is bound to a free path."""
    sock = carrier(trial).socket(socket.AF_UNIX)
    sock.bind(free_unix_path())
    return sock


async def unix_client(
    trial: Trial, by_path: bool, **options: Any
) -> tuple["asyncio.Task[asyncio.StreamWriter]", SocketWire]:
    """Return a future TLS connection over a Unix socket, and the far end that carries it."""
    with unix_socket(trial) as listening:
        listening.listen()
        path = listening.getsockname()
        address: dict[str, Any] = {"path": path}
        if not by_path:
            sock = carrier(trial).socket(socket.AF_UNIX)
            await trial.loop.sock_connect(sock, path)
            address = {"sock": sock}

        async def open_() -> asyncio.StreamWriter:
            _, writer = await trial.streams.open_unix_connection(
                ssl=client_context(), server_hostname=HOST_NAME, **address, **options
            )
            return writer

        opening = trial.start(open_())
        theirs, _ = await trial.loop.sock_accept(listening)
        return opening, SocketWire(theirs)


async def unix_server(
    trial: Trial, by_path: bool, **options: Any
) -> tuple["asyncio.Task[asyncio.StreamWriter]", SocketWire]:
    """Return a future TLS connection that a Unix server accepts, and its far end."""
    served, path = Served(), free_unix_path()
    address: dict[str, Any] = {"path": path}
    if not by_path:
        given = unix_socket(trial)
        path, address = given.getsockname(), {"sock": given}
    server = await trial.streams.start_unix_server(
        served.accepted, ssl=server_context(), **address, **options
    )
    sock = carrier(trial).socket(socket.AF_UNIX)
    await trial.loop.sock_connect(sock, path)
    await trial.turns()
    server.close()

    async def serve() -> asyncio.StreamWriter:
        _, writer = await served.pairs.get()
        return writer

    return trial.start(serve()), SocketWire(sock)


async def expect_unix_handshake_timeouts(trial: Trial) -> None:
    """Expect a far end that sends nothing to be dropped after the given time."""
    make = unix_client if trial.role == "client" else unix_server
    for by_path in (True, False):
        for seconds in SECONDS:
            opening, wire = await make(trial, by_path, ssl_handshake_timeout=seconds)
            async with closing_wire(wire):
                await expect_done_after(trial, seconds, trial.start(wire.receive_to_end()))
            opening.cancel()


async def expect_unix_shutdown_timeouts(trial: Trial) -> None:
    """Expect a closed connection whose far end does not answer to last as long as given."""
    is_client = trial.role == "client"
    make = unix_client if is_client else unix_server
    for by_path in (True, False):
        for seconds in SECONDS:
            opening, below = await make(trial, by_path, ssl_shutdown_timeout=seconds)
            async with closing_wire(below):
                wire = TlsWire(
                    below,
                    server_context() if is_client else client_context(),
                    server_side=is_client,
                    server_hostname=None if is_client else HOST_NAME,
                )
                await wire.handshake()
                (await opening).close()
                await expect_done_after(trial, seconds, await unanswered(trial, below))


@clause("unix.open.ssl.handshake-timeout", networks=IN_VIRTUAL_TIME, roles=CLIENT)
async def test_unix_handshake_timeouts(trial: Trial) -> None:
    await expect_unix_handshake_timeouts(trial)


@clause("unix.serve.ssl.handshake-timeout", networks=IN_VIRTUAL_TIME, roles=SERVER)
async def test_unix_server_handshake_timeouts(trial: Trial) -> None:
    await expect_unix_handshake_timeouts(trial)


@clause("unix.open.ssl.shutdown-timeout", networks=IN_VIRTUAL_TIME, roles=CLIENT)
async def test_unix_shutdown_timeouts(trial: Trial) -> None:
    await expect_unix_shutdown_timeouts(trial)


@clause("unix.serve.ssl.shutdown-timeout", networks=IN_VIRTUAL_TIME, roles=SERVER)
async def test_unix_server_shutdown_timeouts(trial: Trial) -> None:
    await expect_unix_shutdown_timeouts(trial)


# Happy Eyeballs' delay.


@clause("connecting.happy-eyeballs.delay", networks=IN_VIRTUAL_TIME, roles=CLIENT)
async def test_happy_eyeballs_delays(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    for silent in (1, 2):
        for seconds in (0, 0.25, FEW, MANY // silent):  # in two minutes the kernel gives up
            with ExitStack() as stack:
                tried = hosts[: silent + 1]
                port, (*stalled, answering) = stack.enter_context(bound(trial, *tried))
                for each in stalled:
                    await stall(trial, each, stack)
                answering.listen()
                stack.enter_context(resolving(trial, *tried))
                opening = trial.start(
                    trial.streams.open_connection(NAME, port, happy_eyeballs_delay=seconds)
                )
                await expect_done_after(trial, silent * seconds, opening)
                _, writer = await opening
                writer.close()


# Cancelled in the handshake.


async def expect_cancelled_cleanly(
    trial: Trial, listener: Listener, open_: Callable[..., Awaitable[Any]]
) -> None:
    """Expect an opening that is cancelled in the handshake to leave no connection."""
    before = open_sockets(trial)

    async def opened() -> None:
        await open_(ssl=client_context(), server_hostname=HOST_NAME)

    opening = trial.start(opened())
    async with closing_wire(await listener.accept()) as wire:
        await wire.receive_some()  # the handshake has begun
        opening.cancel()
        await asyncio.wait([opening])
        expect(opening.cancelled(), True, "cancelled:")
        await wire.receive_to_end()  # hangs if the connection is left open
    await expect_no_new_socket(trial, before)


@clause("connecting.cancelled.in-the-handshake", networks=INTERNET, roles=CLIENT)
async def test_cancelled_with_a_socket(trial: Trial) -> None:
    listener = await trial.listen()

    async def open_(**options: Any) -> None:
        sock = await connected_socket(trial, listener)
        await trial.streams.open_connection(sock=sock, **options)

    await expect_cancelled_cleanly(trial, listener, open_)


@clause("connecting.happy-eyeballs.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_cancelled_with_happy_eyeballs(trial: Trial) -> None:
    listener = await trial.listen()

    async def open_(**options: Any) -> None:
        await trial.network.open(trial.streams, listener, happy_eyeballs_delay=0.25, **options)

    await expect_cancelled_cleanly(trial, listener, open_)


@clause("unix.open.cancelled", networks=UNIX, roles=CLIENT)
async def test_unix_cancelled_in_the_handshake(trial: Trial) -> None:
    listener = await trial.listen()

    async def by_path(**options: Any) -> None:
        await trial.network.open(trial.streams, listener, **options)

    async def by_socket(**options: Any) -> None:
        sock = await connected_socket(trial, listener)
        await trial.streams.open_unix_connection(sock=sock, **options)

    for open_ in (by_path, by_socket):
        await expect_cancelled_cleanly(trial, listener, open_)


@clause("unix.open.cancelled", networks=UNIX, roles=CLIENT)
async def test_unix_cancelled_at_any_moment(trial: Trial) -> None:
    for moment in range(8):
        listener = await trial.listen()
        before = open_sockets(trial)
        opening = await trial.cancelled(trial.network.open(trial.streams, listener), moment)
        if not opening.cancelled():
            _, writer = await opening
            writer.close()
        await expect_no_new_socket(trial, before)


# Paths.


class PathLike:
    """A path-like object that is not one of pathlib's."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        """Return the path."""
        return self.path


@clause("unix.open.path.path-like", networks=UNIX, roles=CLIENT)
async def test_open_any_path_like(trial: Trial) -> None:
    listener = await trial.listen()
    path = address_of(listener)
    for like in (PathLike(path), PathLike(os.fsencode(path))):
        _, writer = await trial.streams.open_unix_connection(like)
        with closing(writer):
            await (await listener.accept()).close()


@clause("unix.serve.path.path-like", networks=UNIX, roles=SERVER)
async def test_serve_any_path_like(trial: Trial) -> None:
    for encode in (os.fsdecode, os.fsencode):
        served = Served()
        path = free_path(trial)
        with closing(
            await trial.streams.start_unix_server(served.accepted, PathLike(encode(path)))
        ):
            async with closing_wire(await carrier(trial).connected(socket.AF_UNIX, path)):
                _, writer = await served.pairs.get()
                writer.close()


@clause("unix.cleanup-socket.at-close", networks=UNIX, roles=SERVER)
async def test_cleanup_does_not_wait(trial: Trial) -> None:
    served = await trial.serve()
    path = served.server.sockets[0].getsockname()
    await trial.accept(served)  # it stays
    served.server.close()

    def is_there() -> bool:
        return os.path.exists(path)

    async def gone() -> bool:
        return not is_there()

    expect_that(await trial.soon(gone), "the socket to be gone after close()", "it is there")


# Context variables.

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="the default")


@clause("handlers.context", roles=SERVER)
async def test_context_of_handlers(trial: Trial) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.put_nowait(VARIABLE.get())
        writer.close()

    async def coroutine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain(reader, writer)
        VARIABLE.set("by another handler")  # that of a plain one is for another clause

    for handler in (plain, coroutine):
        VARIABLE.set("as the server was started")
        served = await trial.serve(handler)
        VARIABLE.set("later")
        for _ in range(2):
            await trial.dial(served.server)
            expect(await seen.get(), "as the server was started", "the handler's variable:")
