"""Arguments that are given together: each means what it means alone.

An argument can be lost in one way to connect or to serve. This file tests arguments that are not
numbers, together with `ssl`, several hosts and `start_serving=False`. The effect below TLS can be
seen before its handshake.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import Any

from conformance.harness.addresses import (
    DUAL_STACK,
    accepted,
    bound,
    bound_socket,
    carrier,
    family_at,
    free_path,
    free_port,
    listening,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, INTERNET, SERVER, TLS, UNIX, Some, clause
from conformance.harness.expect import expect, expect_error, expect_that
from conformance.harness.expectations import expect_keep_alive, expect_limit
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context
from conformance.networks.wire import Wire

TLS_DUAL_STACK = Some(
    tuple(name for name in TLS if name.endswith("memory") or "tcp" in DUAL_STACK), DUAL_STACK.why
)

# Connecting, with TLS: the result of the handshake does not matter.


@asynccontextmanager
async def opening(
    trial: Trial, host: str, port: int, **options: Any
) -> AsyncIterator["asyncio.Task[Any]"]:
    """Let open_connection() with `ssl` be under way, to a host that does not speak TLS."""

    async def open_() -> None:
        _, writer = await trial.streams.open_connection(
            host, port, ssl=client_context(), server_hostname=HOST_NAME, **options
        )
        writer.close()

    task = trial.start(open_())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def reached(
    trial: Trial, sockets: list[socket.socket], task: "asyncio.Task[Any]"
) -> int | None:
    """Return the index of the listening socket that `task` connects to first, if it does."""
    found: list[int | None] = [None]

    async def one() -> bool:
        found[0] = accepted(sockets)
        return found[0] is not None or task.done()

    await trial.soon(one)
    return found[0]


@clause("connecting.local-addr", networks=TLS, roles=CLIENT)
async def test_local_addr_with_tls(trial: Trial) -> None:
    await expect_from_local_addr(trial)


@clause("connecting.local-addr", networks=TLS, roles=CLIENT)
async def test_local_addr_with_tls_and_happy_eyeballs(trial: Trial) -> None:
    await expect_from_local_addr(trial, happy_eyeballs_delay=0.25)


async def expect_from_local_addr(trial: Trial, **options: float) -> None:
    """Expect a TLS connection to come from its `local_addr`."""
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        local = ("127.0.0.2", free_port(trial, "127.0.0.2"))
        async with opening(trial, "127.0.0.1", port, local_addr=local, **options):
            connection, peer = await trial.loop.sock_accept(sock)
            connection.close()
            expect(peer, local, "where the connection comes from:")


@clause("connecting.family", networks=TLS_DUAL_STACK, roles=CLIENT)
async def test_family_with_tls(trial: Trial) -> None:
    hosts = ("127.0.0.1", "::1")
    for index, family in enumerate((socket.AF_INET, socket.AF_INET6)):
        with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            async with opening(trial, NAME, port, family=family) as task:
                seen = await reached(trial, sockets, task)
                expect(seen, index, f"with {family.name}, index in {hosts}:")


@clause("connecting.proto", networks=TLS, roles=CLIENT)
async def test_proto_with_tls(trial: Trial) -> None:
    await expect_no_address(trial, proto=socket.IPPROTO_UDP)


@clause("connecting.flags", networks=TLS, roles=CLIENT)
async def test_flags_with_tls(trial: Trial) -> None:
    await expect_no_address(trial, flags=socket.AI_NUMERICHOST)


async def expect_no_address(trial: Trial, **options: Any) -> None:
    """Expect "localhost" to have no address with these options: there is no connection to it."""
    with listening(trial, "127.0.0.1") as (port, sockets):
        async with opening(trial, "localhost", port, **options) as task:
            expect(await reached(trial, sockets, task), None, "connection made:")
            await expect_error(Exception, task)


@clause("connecting.addresses.next-after-refusal", networks=TLS, roles=CLIENT)
async def test_next_address_with_tls(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3")
    with bound(trial, *hosts) as (port, (_, other)), resolving(trial, *hosts):
        other.listen()
        async with opening(trial, NAME, port) as task:
            expect(await reached(trial, [other], task), 0, "index of the listener connected to:")


@clause("connecting.interleave.by-family", networks=TLS_DUAL_STACK, roles=CLIENT)
async def test_interleave_with_tls(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "::1")
    for lead, index in ((2, 3), (3, 2)):
        with bound(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            # Of the two that answer, the first in the new order is the third or the fourth.
            answering = [sockets[2], sockets[3]]
            for each in answering:
                each.listen()
            async with opening(trial, NAME, port, interleave=lead) as task:
                seen = await reached(trial, answering, task)
                expect(seen, index - 2, f"which of the last two of {hosts}, with {lead}:")


@clause("connecting.happy-eyeballs", networks=TLS, roles=CLIENT)
async def test_happy_eyeballs_with_tls(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3")
    with bound(trial, *hosts) as (port, (silent, answering)), resolving(trial, *hosts):
        silent.listen(0)
        async with closing_wire(
            await carrier(trial).connected(socket.AF_INET, silent.getsockname())
        ):
            answering.listen()
            async with opening(trial, NAME, port, happy_eyeballs_delay=0.01) as task:
                seen = await reached(trial, [answering], task)
                expect(seen, 0, "index of the listener connected to:")


# Serving. A way makes a server with a callback, at an address of some kind.

Serving = Callable[..., Awaitable[asyncio.Server]]


async def at_hosts(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve at two hosts."""
    return await trial.streams.start_server(callback, ["127.0.0.2", "127.0.0.3"], 0, **options)


async def at_host(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve at one host."""
    return await trial.streams.start_server(callback, "127.0.0.2", 0, **options)


async def at_socket(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve on a socket that is bound already."""
    return await trial.streams.start_server(callback, sock=bound_socket(trial), **options)


async def at_both_families(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve at a host of each family."""
    return await trial.streams.start_server(callback, ["127.0.0.2", "::1"], 0, **options)


def secure(serve: Serving) -> Serving:
    """Return that way with TLS."""
    return partial(serve, ssl=server_context())


def later(serve: Serving) -> Serving:
    """Return that way with a start of its own."""
    return partial(serve, start_serving=False)


@asynccontextmanager
async def client(trial: Trial, address: Any, is_tls: bool) -> AsyncIterator[Wire]:
    """Connect to a server's address."""
    async with closing_wire(await carrier(trial).connected(family_at(address), address)) as below:
        if not is_tls:
            yield below
            return
        wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
        await wire.handshake()
        yield wire


async def expect_kept_alive(trial: Trial, serve: Serving, is_tls: bool) -> None:
    """Expect the connections of each of a server's sockets to have SO_KEEPALIVE as given."""
    for wanted in (True, False):
        served = Served()
        with closing(await serve(trial, served.accepted, keep_alive=wanted)) as server:
            for sock in server.sockets:
                async with client(trial, sock.getsockname(), is_tls):
                    _, writer = await served.pairs.get()
                    with closing(writer):
                        expect_keep_alive(writer, wanted)


@clause("serving.keep-alive", networks=TLS, roles=SERVER)
async def test_keep_alive_with_tls(trial: Trial) -> None:
    for serve in (at_host, at_hosts):
        await expect_kept_alive(trial, secure(serve), True)


@clause("serving.keep-alive.sock", networks=TLS, roles=SERVER)
async def test_keep_alive_with_tls_on_a_socket(trial: Trial) -> None:
    await expect_kept_alive(trial, secure(at_socket), True)


@clause("serving.keep-alive", networks=DUAL_STACK, roles=SERVER)
async def test_keep_alive_of_both_families(trial: Trial) -> None:
    await expect_kept_alive(trial, at_both_families, False)


@clause("serving.limit.given", networks=DUAL_STACK, roles=SERVER)
async def test_limit_of_both_families(trial: Trial) -> None:
    await expect_limits(trial, at_both_families, False)


@clause("serving.limit.given", networks=TLS_DUAL_STACK, roles=SERVER)
async def test_limit_of_both_families_with_tls(trial: Trial) -> None:
    await expect_limits(trial, secure(at_both_families), True)


@clause("serving.limit.given", networks=INTERNET, roles=SERVER)
async def test_limit_with_several_hosts(trial: Trial) -> None:
    await expect_limits(trial, at_hosts, False)


@clause("serving.limit.given", networks=TLS, roles=SERVER)
async def test_limit_with_several_hosts_and_tls(trial: Trial) -> None:
    await expect_limits(trial, secure(at_hosts), True)


async def expect_limits(trial: Trial, serve: Serving, is_tls: bool) -> None:
    """Expect each reader to have the given limit, whichever client it belongs to."""
    served = Served()
    with closing(await serve(trial, served.accepted, limit=10)) as server:
        for sock in [*server.sockets, *server.sockets]:
            async with client(trial, sock.getsockname(), is_tls) as wire:
                reader, writer = await served.pairs.get()
                with closing(writer):
                    await expect_limit(trial, Connection(reader, writer, wire), 10)


async def expect_reuse(trial: Trial, wanted: bool, *ways: Serving, **told: Any) -> None:
    """Expect SO_REUSEADDR of each socket of a server to be set, or not to be."""
    for serve in ways:
        with closing(await serve(trial, Served().accepted, **told)) as server:
            await server.start_serving()  # it may list its sockets only then
            for sock in server.sockets:
                seen = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
                expect(bool(seen), wanted, "SO_REUSEADDR set:")


@clause("serving.reuse-address.default", networks=INTERNET, roles=SERVER)
async def test_reuse_address_in_each_way(trial: Trial) -> None:
    await expect_reuse(trial, True, at_hosts, later(at_host), later(at_hosts))


@clause("serving.reuse-address.default", networks=TLS, roles=SERVER)
async def test_reuse_address_with_tls(trial: Trial) -> None:
    await expect_reuse(trial, True, secure(at_host), secure(at_hosts))


@clause("serving.reuse-address.false", networks=INTERNET, roles=SERVER)
async def test_no_reuse_of_addresses_in_each_way(trial: Trial) -> None:
    ways = (at_hosts, later(at_host), later(at_hosts))
    await expect_reuse(trial, False, *ways, reuse_address=False)


@clause("serving.reuse-address.false", networks=TLS, roles=SERVER)
async def test_no_reuse_of_addresses_with_tls(trial: Trial) -> None:
    await expect_reuse(trial, False, secure(at_host), secure(at_hosts), reuse_address=False)


async def expect_ports_shared(trial: Trial, serve: Serving) -> None:
    """Expect two servers with `reuse_port` to listen on the same ports, and to be two."""
    hosts = ["127.0.0.2", "127.0.0.3"]
    with bound(trial, *hosts) as (port, _):
        pass
    for address in (hosts, hosts[1]):
        first = await serve(trial, Served().accepted, host=address, port=port)
        with closing(first):
            await first.start_serving()
            second = await serve(trial, Served().accepted, host=address, port=port)
            with closing(second):
                await second.start_serving()


async def sharing(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve at ports that other servers may share."""
    return await trial.streams.start_server(callback, reuse_port=True, **options)


@clause("serving.reuse-port", networks=INTERNET, roles=SERVER)
async def test_reuse_port_with_several_hosts(trial: Trial) -> None:
    await expect_ports_shared(trial, sharing)


@clause("serving.reuse-port", networks=INTERNET, roles=SERVER)
async def test_reuse_port_of_a_server_that_starts_later(trial: Trial) -> None:
    await expect_ports_shared(trial, later(sharing))


@clause("serving.reuse-port", networks=TLS, roles=SERVER)
async def test_reuse_port_with_tls(trial: Trial) -> None:
    await expect_ports_shared(trial, secure(sharing))


@clause("serving.flags", networks=INTERNET, roles=SERVER)
async def test_flags_with_several_hosts(trial: Trial) -> None:
    await expect_flags_kept(trial, ["127.0.0.2", "localhost"])


@clause("serving.flags", networks=TLS, roles=SERVER)
async def test_server_flags_with_tls(trial: Trial) -> None:
    await expect_flags_kept(trial, "localhost", ssl=server_context())


async def expect_flags_kept(trial: Trial, host: Any, **options: Any) -> None:
    """Expect a name among the hosts not to be resolved with AI_NUMERICHOST."""
    flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    starting = trial.streams.start_server(Served().accepted, host, 0, flags=flags, **options)
    await expect_error(Exception, starting)


@clause("serving.family", networks=DUAL_STACK, roles=SERVER)
async def test_family_with_several_hosts(trial: Trial) -> None:
    with resolving(trial, "127.0.0.2", "::1"):
        await expect_family_kept(trial, [NAME])


@clause("serving.family", networks=TLS_DUAL_STACK, roles=SERVER)
async def test_server_family_with_tls(trial: Trial) -> None:
    await expect_family_kept(trial, None, ssl=server_context())


async def expect_family_kept(trial: Trial, host: Any, **options: Any) -> None:
    """Expect a server to listen only on addresses of the given family."""
    for family in (socket.AF_INET, socket.AF_INET6):
        starting = trial.streams.start_server(Served().accepted, host, 0, family=family, **options)
        with closing(await starting) as server:
            expect({sock.family for sock in server.sockets}, {family}, "families:")


# Starting later.


async def expect_started_later(trial: Trial, serve: Serving, is_tls: bool) -> None:
    """Expect a server not to serve before it is started, and then on each of its sockets."""
    served = Served()
    with closing(await serve(trial, served.accepted, start_serving=False)) as server:
        expect(server.is_serving(), False, "is_serving() before the start:")
        for sock in server.sockets or ():  # it may list none of them before the start
            with suppress(ConnectionRefusedError):  # or it waits: both are allowed
                wire = await carrier(trial).connected(sock.family, sock.getsockname())
                await wire.close()
        await trial.turns()
        expect(served.pairs.qsize(), 0, "clients before the start:")
        await server.start_serving()
        for sock in server.sockets:
            async with client(trial, sock.getsockname(), is_tls):
                _, writer = await served.pairs.get()
                writer.close()


@clause("serving.start-serving.false", networks=INTERNET, roles=SERVER)
async def test_several_hosts_that_start_later(trial: Trial) -> None:
    await expect_started_later(trial, at_hosts, False)


@clause("serving.start-serving.false", networks=TLS, roles=SERVER)
async def test_tls_that_starts_later(trial: Trial) -> None:
    for serve in (at_host, at_hosts, at_socket):
        await expect_started_later(trial, secure(serve), True)


async def at_path(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve at a path."""
    return await trial.network.serve(trial.streams, callback, **options)


async def at_unix_socket(trial: Trial, callback: Any, **options: Any) -> Any:
    """Serve on a Unix socket that is bound already."""
    return await trial.streams.start_unix_server(callback, sock=bound_socket(trial), **options)


@clause("unix.serve.start-serving.false", networks=UNIX, roles=SERVER)
async def test_unix_that_starts_later(trial: Trial) -> None:
    for serve in (at_path, at_unix_socket):
        await expect_started_later(trial, serve, False)
        await expect_started_later(trial, secure(serve), True)


@clause("unix.cleanup-socket.false", networks=UNIX, roles=SERVER)
async def test_no_cleanup_in_each_way(trial: Trial) -> None:
    await expect_cleanup(trial, False)


@clause("unix.cleanup-socket.default", networks=UNIX, roles=SERVER)
async def test_cleanup_in_each_way(trial: Trial) -> None:
    await expect_cleanup(trial, True)


async def expect_cleanup(trial: Trial, wanted: bool) -> None:
    """Expect a server's socket to be removed or not, with TLS, unstarted, and however it ends."""
    ways: tuple[dict[str, Any], ...] = (
        {},
        {"ssl": server_context()},
        {"start_serving": False},
        {"limit": 10, "backlog": 1},
    )
    for options in ways:
        for end in (close, leave, stop_serving):
            path = free_path(trial)
            server = await trial.streams.start_unix_server(
                Served().accepted, path, cleanup_socket=wanted, **options
            )
            await end(trial, server)
            what = f"{'a' if wanted else 'no'} socket to be removed by {end.__name__}()"
            expect_that(is_there(path) != wanted, f"{what}, with {[*options]}", "the opposite")


def is_there(path: str) -> bool:
    """Return whether there is something at `path`."""
    return os.path.exists(path)


async def close(_: Trial, server: Any) -> None:
    """Close a server."""
    server.close()
    await server.wait_closed()


async def leave(_: Trial, server: Any) -> None:
    """Leave a server's `async with` statement."""
    async with server:
        pass


async def stop_serving(trial: Trial, server: Any) -> None:
    """Cancel serve_forever()."""
    await trial.cancelled(server.serve_forever())
    await server.wait_closed()
