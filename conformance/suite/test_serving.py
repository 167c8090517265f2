"""`start_server()`: its arguments except those for TLS."""

import asyncio
import errno
import socket
import struct
from contextlib import ExitStack, closing, suppress

from conformance.harness.addresses import DUAL_STACK, address_of, bound, carrier, free_port
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import HOSTS, INTERNET, SERVER, Some, clause
from conformance.harness.expect import expect, expect_error, expect_raises, expect_that
from conformance.harness.expectations import (
    expect_keep_alive,
    expect_limit,
    expect_nodelay,
    expect_not_served,
    expect_served,
    expect_server_never_blocks,
    expect_talk,
)
from conformance.harness.leaks import expect_given_socket_closed, expect_no_new_socket, open_sockets
from conformance.harness.reading import take
from conformance.harness.trial import Served, Trial
from conformance.networks.base import ServerOptions
from conformance.networks.sockets import SocketWire

OF_THE_KERNEL = Some(("tcp",), "in memory nobody connects in the midst of a turn of the loop")


@clause("serving.accepts-clients", networks=HOSTS, roles=SERVER)
async def test_accepts_clients(trial: Trial) -> None:
    await expect_talk(await trial.connect())


@clause("serving.several-servers", networks=HOSTS, roles=SERVER)
async def test_several_servers(trial: Trial) -> None:
    first, second = await trial.serve(), await trial.serve()
    connections = [await trial.accept(each) for each in (second, first, second)]
    for number, (reader, _, wire) in enumerate(connections):
        await wire.send(b"%d" % number)
        expect(await take(reader, 1), b"%d" % number)


@clause("serving.arguments.positional-or-keyword", networks=INTERNET, roles=SERVER)
async def test_arguments_in_order(trial: Trial) -> None:
    served = Served()
    port = 0
    with closing(await trial.streams.start_server(served.accepted, "127.0.0.1", port)) as server:
        await expect_served(trial, served, server.sockets[0].getsockname())


@clause("serving.arguments.positional-or-keyword", networks=INTERNET, roles=SERVER)
async def test_arguments_by_name(trial: Trial) -> None:
    served = Served()
    starting = trial.streams.start_server(
        port=0, host="127.0.0.1", client_connected_cb=served.accepted
    )
    with closing(await starting) as server:
        await expect_served(trial, served, server.sockets[0].getsockname())


@clause("serving.options.keyword-only", networks=INTERNET, roles=SERVER)
async def test_options_keyword_only(trial: Trial) -> None:
    with expect_raises(TypeError):
        server = await trial.streams.start_server(Served().accepted, "127.0.0.1", 0, 1024)
        server.close()


@clause("serving.callback.not-callable", networks=INTERNET, roles=SERVER)
async def test_callback_not_callable(trial: Trial) -> None:
    with expect_raises(TypeError):
        server = await trial.streams.start_server("callback", "127.0.0.1", 0)
        server.close()


@clause("serving.limit.default", networks=HOSTS, roles=SERVER)
async def test_limit_default(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(), 64 * 1024)


@clause("serving.limit.given", networks=HOSTS, roles=SERVER)
async def test_limit_given(trial: Trial) -> None:
    served = await trial.serve(limit=100)
    for _ in range(2):
        await expect_limit(trial, await trial.accept(served), 100)


@clause("serving.limit.given", networks=HOSTS, roles=SERVER)
async def test_limit_above_the_default(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=100_000), 100_000)


@clause("serving.limit.not-positive", networks=INTERNET, roles=SERVER)
async def test_limit_not_positive(trial: Trial) -> None:
    for limit in (0, -1):
        with expect_raises(ValueError):
            await trial.serve(limit=limit)


# Hosts and ports.


@clause("serving.host.string", networks=INTERNET, roles=SERVER)
async def test_host_string(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "127.0.0.2", 0)) as server:
        expect(len(server.sockets), 1, "number of listening sockets:")
        host, port = server.sockets[0].getsockname()
        expect(host, "127.0.0.2", "the host of the listening socket:")
        await expect_served(trial, served, (host, port))
        await expect_not_served(trial, socket.AF_INET, ("127.0.0.3", port))


@clause("serving.host.name", networks=INTERNET, roles=SERVER)
async def test_host_name(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "localhost", 0)) as server:
        await expect_served(trial, served, server.sockets[0].getsockname())


@clause("serving.host.ipv6", networks=DUAL_STACK, roles=SERVER)
async def test_host_ipv6(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "::1", 0)) as server:
        await expect_served(trial, served, server.sockets[0].getsockname()[:2])


@clause("serving.host.sequence", networks=INTERNET, roles=SERVER)
async def test_host_sequence(trial: Trial) -> None:
    for hosts in (["127.0.0.2", "127.0.0.3"], ("127.0.0.2", "127.0.0.3")):
        served = Served()
        with closing(await trial.streams.start_server(served.accepted, hosts, 0)) as server:
            addresses = [sock.getsockname() for sock in server.sockets]
            expect(sorted(host for host, _ in addresses), list(hosts), "listening on")
            for address in addresses:
                await expect_served(trial, served, address)


@clause("serving.host.sequence", networks=INTERNET, roles=SERVER)
async def test_host_sequence_with_one_port(trial: Trial) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    with bound(trial, *hosts) as (port, _):
        pass
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, hosts, port)):
        for host in hosts:
            await expect_served(trial, served, (host, port))


@clause("serving.host.sequence.empty", networks=INTERNET, roles=SERVER)
async def test_host_sequence_empty(trial: Trial) -> None:
    with expect_raises(Exception):
        server = await trial.streams.start_server(Served().accepted, [], 0)
        server.close()


@clause("serving.host.none-or-empty", networks=INTERNET, roles=SERVER)
async def test_all_interfaces(trial: Trial) -> None:
    for host in (None, ""):
        served = Served()
        with closing(await trial.streams.start_server(served.accepted, host, 0)) as server:
            port = port_for(server, socket.AF_INET)
            for interface in ("127.0.0.1", "127.0.0.2"):
                await expect_served(trial, served, (interface, port))


@clause("serving.host.none-or-empty", networks=DUAL_STACK, roles=SERVER)
async def test_all_interfaces_of_both_families(trial: Trial) -> None:
    for host in (None, ""):
        served = Served()
        with closing(await trial.streams.start_server(served.accepted, host, 0)) as server:
            await expect_served(trial, served, ("127.0.0.1", port_for(server, socket.AF_INET)))
            await expect_served(trial, served, ("::1", port_for(server, socket.AF_INET6)))


def port_for(server: asyncio.Server, family: int) -> int:
    """Return the port at which a server on all interfaces serves a family.

    "Most likely" it has a socket for each family, says the page: one may serve both.
    """
    ports: dict[int, int] = {sock.family: sock.getsockname()[1] for sock in server.sockets}
    return ports.get(family, next(iter(ports.values())))


@clause("serving.port.given", networks=INTERNET, roles=SERVER)
async def test_port_given(trial: Trial) -> None:
    served = Served()
    port = free_port(trial, "127.0.0.2")
    with closing(await trial.streams.start_server(served.accepted, "127.0.0.2", port)):
        await expect_served(trial, served, ("127.0.0.2", port))


@clause("serving.port.zero-or-none", networks=INTERNET, roles=SERVER)
async def test_port_zero(trial: Trial) -> None:
    with ExitStack() as stack:
        addresses = []
        for _ in range(2):
            served = Served()
            server = await trial.streams.start_server(served.accepted, "127.0.0.1", port=0)
            stack.enter_context(closing(server))
            addresses.append(server.sockets[0].getsockname())
            await expect_served(trial, served, addresses[-1])
        expect_that(addresses[0] != addresses[1], "different ports", addresses)


@clause("serving.port.zero-or-none", networks=INTERNET, roles=SERVER)
async def test_port_none(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "127.0.0.1", None)) as server:
        await expect_served(trial, served, server.sockets[0].getsockname())


@clause("serving.port.zero-or-none", networks=INTERNET, roles=SERVER)
async def test_port_left_out(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "127.0.0.1")) as server:
        await expect_served(trial, served, server.sockets[0].getsockname())


@clause("serving.port.random-for-each-interface", networks=INTERNET, roles=SERVER)
async def test_port_random_for_each_interface(trial: Trial) -> None:
    seen = []
    for _ in range(4):  # the kernel may choose the same number twice, but not four times
        starting = trial.streams.start_server(Served().accepted, ["127.0.0.2", "127.0.0.3"], 0)
        with closing(await starting) as server:
            seen.append([sock.getsockname()[1] for sock in server.sockets])
    expect_that(any(a != b for a, b in seen), "different ports on different interfaces", seen)


@clause("serving.port.in-use", networks=INTERNET, roles=SERVER)
async def test_port_in_use(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    error = await expect_error(OSError, trial.streams.start_server(Served().accepted, host, port))
    expect(error.errno, errno.EADDRINUSE, "errno")


@clause("serving.failed.nothing-left-listening", networks=INTERNET, roles=SERVER)
async def test_nothing_left_listening(trial: Trial) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    with bound(trial, *hosts) as (port, (free, taken)):
        free.close()
        taken.listen()
        before = open_sockets(trial)
        await expect_error(OSError, trial.streams.start_server(Served().accepted, hosts, port))
        await trial.turns()
        await expect_not_served(trial, socket.AF_INET, ("127.0.0.2", port))
        await expect_no_new_socket(trial, before)


@clause("serving.family", networks=DUAL_STACK, roles=SERVER)
async def test_family(trial: Trial) -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        starting = trial.streams.start_server(Served().accepted, None, 0, family=family)
        with closing(await starting) as server:
            expect({sock.family for sock in server.sockets}, {family}, "families:")


@clause("serving.flags.no-host", networks=INTERNET, roles=SERVER)
async def test_flags_without_passive(trial: Trial) -> None:
    starting = trial.streams.start_server(
        Served().accepted, None, 0, flags=0, family=socket.AF_INET
    )
    with closing(await starting) as server:
        expect([sock.getsockname()[0] for sock in server.sockets], ["127.0.0.1"], "listening on")


@clause("serving.flags", networks=INTERNET, roles=SERVER)
async def test_flags_that_exclude_the_host(trial: Trial) -> None:
    await expect_error(
        Exception,
        trial.streams.start_server(
            Served().accepted, "localhost", 0, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        ),
    )


# Sockets.


@clause("serving.sock.is-used", networks=INTERNET, roles=SERVER)
async def test_bound_sock_is_used(trial: Trial) -> None:
    served = Served()
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    with closing(await trial.streams.start_server(served.accepted, sock=sock)):
        await expect_served(trial, served, address)


@clause("serving.sock.is-used", networks=INTERNET, roles=SERVER)
async def test_listening_sock_is_used(trial: Trial) -> None:
    served = Served()
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    address = sock.getsockname()
    async with closing_wire(await carrier(trial).connected(socket.AF_INET, address)):
        with closing(await trial.streams.start_server(served.accepted, sock=sock)):
            _, writer = await served.pairs.get()  # a client from before the server
            writer.close()
            await expect_served(trial, served, address)


@clause("serving.sock.blocking", networks=INTERNET, roles=SERVER)
async def test_sock_in_blocking_mode(trial: Trial) -> None:
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    await expect_server_never_blocks(trial, trial.streams.start_server, sock)


@clause("serving.sock.blocking", networks=INTERNET, roles=SERVER)
async def test_sock_with_a_timeout(trial: Trial) -> None:
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    await expect_server_never_blocks(trial, trial.streams.start_server, sock, seconds=30.0)


@clause("serving.sock.blocking", networks=INTERNET, roles=SERVER)
async def test_sock_in_blocking_mode_with_tls(trial: Trial) -> None:
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    await expect_server_never_blocks(trial, trial.streams.start_server, sock, is_tls=True)


@clause("serving.sock.closed-with-the-server", networks=INTERNET, roles=SERVER)
async def test_sock_closed_with_the_server(trial: Trial) -> None:
    before = open_sockets(trial)
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    server = await trial.streams.start_server(Served().accepted, sock=sock)
    server.close()
    # First: if the socket is closed a little later, a client could still connect.
    await expect_given_socket_closed(trial, sock)
    await expect_no_new_socket(trial, before)
    await expect_not_served(trial, socket.AF_INET, address)


@clause("serving.sock.excludes-an-address", networks=INTERNET, roles=SERVER)
async def test_sock_excludes_an_address(trial: Trial) -> None:
    with bound(trial, "127.0.0.1") as (_, (sock,)):
        for address in ({"host": "127.0.0.1"}, {"port": 0}, {"host": "127.0.0.1", "port": 0}):
            await expect_error(
                ValueError, trial.streams.start_server(Served().accepted, sock=sock, **address)
            )


@clause("serving.sock.stream-only", networks=INTERNET, roles=SERVER)
async def test_sock_stream_only(trial: Trial) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        await expect_error(ValueError, trial.streams.start_server(Served().accepted, sock=sock))


@clause("serving.backlog.given", networks=INTERNET, roles=SERVER)
async def test_backlog_given(trial: Trial) -> None:
    served = await trial.serve(backlog=7)
    expect(backlog(served), 7, "backlog")


@clause("serving.backlog.default", networks=INTERNET, roles=SERVER)
async def test_backlog_default(trial: Trial) -> None:
    expect(backlog(await trial.serve()), 100, "backlog")


def backlog(served: Served) -> int:
    """Return the argument of listen(), as Linux reports it for a listening TCP socket."""
    info = served.server.sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    assert isinstance(info, bytes)
    waiting_at_most: int
    (waiting_at_most,) = struct.unpack_from("I", info, 28)  # tcpi_sacked
    return waiting_at_most


@clause("serving.reuse-address.default", networks=INTERNET, roles=SERVER)
async def test_reuse_address_default(trial: Trial) -> None:
    (sock,) = (await trial.serve()).server.sockets
    seen = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    expect(bool(seen), True, "SO_REUSEADDR set:")


@clause("serving.reuse-address.default", networks=INTERNET, roles=SERVER)
async def test_address_of_lingering_connections(trial: Trial) -> None:
    served = await trial.serve()
    host, port = served.server.sockets[0].getsockname()
    _, writer, wire = await trial.accept(served)
    writer.close()  # first: then this side's end of the connection lingers
    expect(await wire.receive_rest(), b"")
    await wire.close()
    await writer.wait_closed()
    served.server.close()
    await expect_not_served(trial, socket.AF_INET, (host, port))
    with closing(await trial.streams.start_server(served.accepted, host, port)):
        await expect_served(trial, served, (host, port))


@clause("serving.reuse-address.false", networks=INTERNET, roles=SERVER)
async def test_reuse_address_false(trial: Trial) -> None:
    (sock,) = (await trial.serve(reuse_address=False)).server.sockets
    seen = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    expect(bool(seen), False, "SO_REUSEADDR set:")


@clause("serving.reuse-port", networks=INTERNET, roles=SERVER)
async def test_reuse_port(trial: Trial) -> None:
    first = await trial.serve(reuse_port=True)
    host, port = first.server.sockets[0].getsockname()
    served = Served()
    starting = trial.streams.start_server(served.accepted, host, port, reuse_port=True)

    async def reached() -> bool:
        with suppress(ConnectionError):  # of the first server, which may close a little later
            async with closing_wire(await carrier(trial).connected(socket.AF_INET, (host, port))):
                await trial.turns()
        return not served.pairs.empty()

    with closing(await starting):
        first.server.close()
        reaches = await trial.soon(reached)
        expect_that(reaches, "connections to reach the second server", "none does")
        served.pairs.get_nowait()[1].close()


@clause("serving.reuse-port.not-given", networks=INTERNET, roles=SERVER)
async def test_reuse_port_not_given(trial: Trial) -> None:
    not_given, given = ServerOptions(), ServerOptions(reuse_port=True)
    for first, second in ((not_given, not_given), (not_given, given), (given, not_given)):
        server = (await trial.serve(None, **first)).server
        host, port = server.sockets[0].getsockname()
        starting = trial.streams.start_server(Served().accepted, host, port, **second)
        await expect_error(Exception, starting)


@clause("serving.reset-before-accept", networks=INTERNET, roles=SERVER)
async def test_reset_before_accept(trial: Trial) -> None:
    served = Served()
    sock = carrier(trial).socket(socket.AF_INET)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    address = sock.getsockname()
    await (await carrier(trial).connected(socket.AF_INET, address)).reset()
    with closing(await trial.streams.start_server(served.accepted, sock=sock)):
        await trial.turns()
        async with closing_wire(await carrier(trial).connected(socket.AF_INET, address)) as wire:
            await wire.send(b"next")
            received = b""
            while received != b"next":  # a server may hand the first one over all the same
                reader, writer = await served.pairs.get()
                with suppress(Exception), closing(writer):
                    received = await take(reader, 4)


@clause("serving.keep-alive", networks=INTERNET, roles=SERVER)
async def test_keep_alive(trial: Trial) -> None:
    for wanted in (True, False):
        _, writer, _ = await trial.accept(await trial.serve(keep_alive=wanted))
        expect_keep_alive(writer, wanted)


@clause("serving.keep-alive", networks=OF_THE_KERNEL, roles=SERVER)
async def test_keep_alive_of_the_first_client(trial: Trial) -> None:
    served, port = Served(), free_port(trial, "127.0.0.1")
    dialling = trial.start(dial_at_once(trial, ("127.0.0.1", port)))
    starting = trial.streams.start_server(served.accepted, "127.0.0.1", port, keep_alive=True)
    with closing(await starting):
        async with closing_wire(await dialling):
            _, writer = await served.pairs.get()
            with closing(writer):
                expect_keep_alive(writer, True)


@clause("serving.keep-alive", networks=DUAL_STACK, roles=SERVER)
async def test_keep_alive_with_other_arguments(trial: Trial) -> None:
    for wanted in (True, False):
        for family in (socket.AF_INET, socket.AF_INET6):
            served = Served()
            starting = trial.streams.start_server(
                served.accepted, port=0, family=family, keep_alive=wanted, start_serving=False
            )
            with closing(await starting) as server:
                expect(server.is_serving(), False, "serving:")
                await server.start_serving()
                expect({sock.family for sock in server.sockets}, {family}, "families:")
                await expect_served(trial, served, server.sockets[0].getsockname())


async def dial_at_once(trial: Trial, address: tuple[str, int]) -> SocketWire:
    """Return the far end of a connection to `address`; try until a server listens there."""
    while True:
        sock = carrier(trial).socket(socket.AF_INET)
        sock.bind(("127.0.0.2", 0))  # not the same address, or it might connect to itself
        if sock.connect_ex(address) in (0, errno.EINPROGRESS):
            await trial.turns(1)
            with suppress(OSError):
                sock.getpeername()
                return SocketWire(sock)
        sock.close()
        await trial.turns(1)


@clause("serving.nodelay", networks=HOSTS, roles=SERVER)
async def test_nodelay(trial: Trial) -> None:
    _, writer, _ = await trial.accept(await trial.serve())
    expect_nodelay(writer)


@clause("serving.nodelay", networks=DUAL_STACK, roles=SERVER)
async def test_nodelay_over_ipv6(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "::1", 0)) as server:
        at = server.sockets[0].getsockname()
        async with closing_wire(await carrier(trial).connected(socket.AF_INET6, at)):
            _, writer = await served.pairs.get()
            with closing(writer):
                expect_nodelay(writer)


@clause("serving.start-serving.false", networks=INTERNET, roles=SERVER)
async def test_start_serving_false(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    if served.server.sockets:  # it need not list those on which it does not listen yet
        with suppress(ConnectionRefusedError):  # it may be refused or wait
            await trial.dial(served.server)
    await trial.turns()
    expect(served.pairs.qsize(), 0, "clients before the server was started:")
    await served.server.start_serving()
    await trial.accept(served)
