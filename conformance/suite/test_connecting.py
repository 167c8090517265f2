"""`open_connection()`: its result, and its arguments except those for TLS."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.addresses import (
    DUAL_STACK,
    accepted,
    address_of,
    bound,
    carrier,
    carrier_of,
    connected_socket,
    free_port,
    listening,
    stall,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, HOSTS, INTERNET, TLS, Some, clause
from conformance.harness.expect import (
    expect,
    expect_error,
    expect_pending,
    expect_raises,
    expect_that,
)
from conformance.harness.expectations import (
    expect_client_never_blocks,
    expect_limit,
    expect_nodelay,
    expect_talk,
)
from conformance.harness.leaks import expect_given_socket_closed, expect_no_new_socket, open_sockets
from conformance.harness.reading import take
from conformance.harness.resolving import NAME, Lookups, resolving, tried
from conformance.harness.trial import Trial
from conformance.networks.base import Listener
from conformance.networks.tls import TlsWire, server_context
from conformance.networks.wire import Wire


@clause("connecting.returns-a-pair", networks=HOSTS, roles=CLIENT)
async def test_returns_a_pair(trial: Trial) -> None:
    listener = await trial.listen()
    accepting = trial.start(listener.accept())
    pair = await trial.network.open(trial.streams, listener)
    with closing(pair[1]):
        expect(len(pair), 2, "number of objects returned:")
        expect_that(hasattr(pair[0], "read"), "the first to be a reader", pair[0])
        expect_that(hasattr(pair[1], "write"), "the second to be a writer", pair[1])
    await (await accepting).close()


@clause("connecting.reader-class", networks=HOSTS, roles=CLIENT)
async def test_reader_is_a_stream_reader(trial: Trial) -> None:
    reader, _, _ = await trial.connect()
    kind = trial.streams.StreamReader
    expect_that(isinstance(reader, kind), "an instance of StreamReader", type(reader))


@clause("connecting.writer-class", networks=HOSTS, roles=CLIENT)
async def test_writer_is_a_stream_writer(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    kind = trial.streams.StreamWriter
    expect_that(isinstance(writer, kind), "an instance of StreamWriter", type(writer))


@clause("connecting.joins-the-two-ends", networks=HOSTS, roles=CLIENT)
async def test_joins_the_two_ends(trial: Trial) -> None:
    await expect_talk(await trial.connect())


@clause("connecting.each-call-connects-anew", networks=HOSTS, roles=CLIENT)
async def test_each_call_connects_anew(trial: Trial) -> None:
    listener = await trial.listen()
    connections = [await trial.open(listener) for _ in range(3)]
    for number, (_, writer, wire) in enumerate(connections):
        writer.write(b"up %d" % number)
        await wire.send(b"down %d" % number)
    for number, (reader, _, wire) in enumerate(connections):
        expect(await take(reader, 6), b"down %d" % number)
        expect(await wire.receive(4), b"up %d" % number)


@clause("connecting.host-and-port.positional-or-keyword", networks=INTERNET, roles=CLIENT)
async def test_host_and_port_in_order(trial: Trial) -> None:
    listener = await trial.listen()
    host, port = address_of(listener)
    _, writer = await trial.streams.open_connection(host, port)
    with closing(writer):
        await (await listener.accept()).close()


@clause("connecting.host-and-port.positional-or-keyword", networks=INTERNET, roles=CLIENT)
async def test_host_and_port_by_name(trial: Trial) -> None:
    listener = await trial.listen()
    host, port = address_of(listener)
    _, writer = await trial.streams.open_connection(port=port, host=host)
    with closing(writer):
        await (await listener.accept()).close()


@clause("connecting.options.keyword-only", networks=INTERNET, roles=CLIENT)
async def test_options_keyword_only(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    with expect_raises(TypeError):
        _, writer = await trial.streams.open_connection(host, port, 1024)
        writer.close()


@clause("connecting.limit.default", networks=HOSTS, roles=CLIENT)
async def test_limit_default(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(), 64 * 1024)


@clause("connecting.limit.given", networks=HOSTS, roles=CLIENT)
async def test_limit_given(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=100), 100)


@clause("connecting.limit.given", networks=HOSTS, roles=CLIENT)
async def test_limit_above_the_default(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=100_000), 100_000)


@clause("connecting.limit.not-positive", networks=INTERNET, roles=CLIENT)
async def test_limit_not_positive(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, sockets):
        for limit in (0, -1):
            await expect_error(
                ValueError, trial.streams.open_connection("127.0.0.1", port, limit=limit)
            )
        await trial.turns()
        expect(accepted(sockets), None, "connection made with a limit that was refused:")


@clause("connecting.host.name", networks=INTERNET, roles=CLIENT)
async def test_host_name(trial: Trial) -> None:
    listener = await trial.listen()
    _, port = address_of(listener)
    _, writer = await trial.streams.open_connection("localhost", port)
    with closing(writer):
        await (await listener.accept()).close()


@clause("connecting.host.ipv6", networks=DUAL_STACK, roles=CLIENT)
async def test_host_ipv6(trial: Trial) -> None:
    with listening(trial, "::1") as (port, sockets):
        _, writer = await trial.streams.open_connection("::1", port)
        with closing(writer):
            expect(accepted(sockets), 0, "index of the listener connected to:")


@clause("connecting.host.none", networks=INTERNET, roles=CLIENT)
async def test_port_without_a_host(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, sockets):
        for address in ({"port": port}, {"host": None, "port": port, "family": socket.AF_INET}):
            _, writer = await trial.streams.open_connection(**address)
            with closing(writer):
                expect(accepted(sockets), 0, "index of the listener connected to:")


@clause("connecting.no-address", networks=INTERNET, roles=CLIENT)
async def test_no_address(trial: Trial) -> None:
    await expect_error(ValueError, trial.streams.open_connection())


@clause("connecting.refused", networks=INTERNET, roles=CLIENT)
async def test_refused(trial: Trial) -> None:
    with bound(trial, "127.0.0.1") as (port, _):
        await expect_error(Exception, trial.streams.open_connection("127.0.0.1", port))


@clause("connecting.refused.class", networks=INTERNET, roles=CLIENT)
async def test_class_of_a_refusal(trial: Trial) -> None:
    await expect_class_of_refusal(trial)


@clause("connecting.refused.class", networks=INTERNET, roles=CLIENT)
async def test_class_of_a_refusal_with_happy_eyeballs(trial: Trial) -> None:
    await expect_class_of_refusal(trial, happy_eyeballs_delay=0.01)


async def expect_class_of_refusal(trial: Trial, **options: float) -> None:
    """Expect ConnectionRefusedError from an address that refuses."""
    with bound(trial, "127.0.0.1") as (port, _):
        opening = trial.streams.open_connection("127.0.0.1", port, **options)
        await expect_error(ConnectionRefusedError, opening)


@clause("connecting.refused.class", networks=DUAL_STACK, roles=CLIENT)
async def test_class_of_several_refusals(trial: Trial) -> None:
    await expect_class_of_refusals(trial)


@clause("connecting.refused.class", networks=DUAL_STACK, roles=CLIENT)
async def test_class_of_several_refusals_with_happy_eyeballs(trial: Trial) -> None:
    await expect_class_of_refusals(trial, happy_eyeballs_delay=0.01)


async def expect_class_of_refusals(trial: Trial, **options: float) -> None:
    """Expect OSError from two addresses that refuse."""
    hosts = ("127.0.0.1", "::1")
    with bound(trial, *hosts) as (port, _), resolving(trial, *hosts):
        await expect_error(OSError, trial.streams.open_connection(NAME, port, **options))


@clause("connecting.refused.several-addresses", networks=DUAL_STACK, roles=CLIENT)
async def test_refused_by_several_addresses(trial: Trial) -> None:
    hosts = ("127.0.0.1", "::1")
    with bound(trial, *hosts) as (port, _), resolving(trial, *hosts):
        error = await expect_error(Exception, trial.streams.open_connection(NAME, port))
        expect(isinstance(error, BaseExceptionGroup), False, "a group of exceptions:")


@clause("connecting.refused.several-addresses.messages", networks=DUAL_STACK, roles=CLIENT)
async def test_messages_of_several_addresses(trial: Trial) -> None:
    await expect_messages(trial)


@clause("connecting.happy-eyeballs.refused", networks=DUAL_STACK, roles=CLIENT)
async def test_messages_of_happy_eyeballs(trial: Trial) -> None:
    await expect_messages(trial, happy_eyeballs_delay=0.01)


async def expect_messages(trial: Trial, **options: float) -> None:
    """Expect the error for several refusing addresses to contain the messages of all."""
    hosts = ("127.0.0.1", "::1", "127.0.0.2")
    with bound(trial, *hosts) as (port, _), resolving(trial, *hosts):
        alone = [
            str(await expect_error(Exception, trial.streams.open_connection(host, port, **options)))
            for host in hosts
        ]
        error = await expect_error(Exception, trial.streams.open_connection(NAME, port, **options))
    for message in alone:
        expect_that(message in str(error), f"an error that says {message}", str(error))


@clause("connecting.refused.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_refused_leaves_nothing_open(trial: Trial) -> None:
    with bound(trial, "127.0.0.1") as (port, _):
        before = open_sockets(trial)
        for _ in range(3):
            await expect_error(OSError, trial.streams.open_connection("127.0.0.1", port))
        await expect_no_new_socket(trial, before)


@clause("connecting.family", networks=DUAL_STACK, roles=CLIENT)
async def test_family(trial: Trial) -> None:
    hosts = ("127.0.0.1", "::1")
    for index, family in enumerate((socket.AF_INET, socket.AF_INET6)):
        with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            _, writer = await trial.streams.open_connection(NAME, port, family=family)
            with closing(writer):
                expect(accepted(sockets), index, f"with {family.name}, index in {hosts}:")


@clause("connecting.family", networks=INTERNET, roles=CLIENT)
async def test_family_as_a_number(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, sockets):
        _, writer = await trial.streams.open_connection(
            "127.0.0.1",
            port,
            family=int(socket.AF_INET),
            proto=int(socket.IPPROTO_TCP),
            flags=int(socket.AI_NUMERICHOST),
        )
        with closing(writer):
            expect(accepted(sockets), 0, "index of the listener connected to:")


@clause("connecting.family.no-such-address", networks=INTERNET, roles=CLIENT)
async def test_family_without_address(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    await expect_error(Exception, trial.streams.open_connection(host, port, family=socket.AF_INET6))


@clause("connecting.proto", networks=INTERNET, roles=CLIENT)
async def test_proto_of_streams(trial: Trial) -> None:
    listener = await trial.listen()
    await expect_talk(await trial.open(listener, proto=socket.IPPROTO_TCP))


@clause("connecting.proto", networks=INTERNET, roles=CLIENT)
async def test_proto_of_datagrams(trial: Trial) -> None:
    _, port = address_of(await trial.listen())
    await expect_error(
        Exception, trial.streams.open_connection("localhost", port, proto=socket.IPPROTO_UDP)
    )


@clause("connecting.flags", networks=INTERNET, roles=CLIENT)
async def test_flags_that_the_host_satisfies(trial: Trial) -> None:
    listener = await trial.listen()
    await expect_talk(await trial.open(listener, flags=socket.AI_NUMERICHOST))


@clause("connecting.flags", networks=INTERNET, roles=CLIENT)
async def test_flags_that_exclude_the_host(trial: Trial) -> None:
    _, port = address_of(await trial.listen())
    await expect_error(
        Exception, trial.streams.open_connection("localhost", port, flags=socket.AI_NUMERICHOST)
    )


@clause("connecting.unresolved.class", networks=INTERNET, roles=CLIENT)
async def test_class_of_a_failed_lookup(trial: Trial) -> None:
    await expect_class_of_failed_lookup(trial)


@clause("connecting.unresolved.class", networks=INTERNET, roles=CLIENT)
async def test_class_of_a_failed_lookup_with_happy_eyeballs(trial: Trial) -> None:
    await expect_class_of_failed_lookup(trial, happy_eyeballs_delay=1000.0)


async def expect_class_of_failed_lookup(trial: Trial, **more: float) -> None:
    """Expect gaierror for a name that has no address of the wanted kind."""
    _, port = address_of(await trial.listen())
    for options in ({"proto": socket.IPPROTO_UDP}, {"flags": socket.AI_NUMERICHOST}):
        opening = trial.streams.open_connection("localhost", port, **options, **more)
        await expect_error(socket.gaierror, opening)


@clause("connecting.sock.is-used", networks=INTERNET, roles=CLIENT)
async def test_sock_is_used(trial: Trial) -> None:
    listener = await trial.listen()
    sock = await connected_socket(trial, listener)
    reader, writer = await trial.streams.open_connection(sock=sock)
    with closing(writer):
        wire = await listener.accept()
        await wire.send(b"to the socket")
        expect(await take(reader, 13), b"to the socket")
        writer.write(b"from the socket")
        expect(await wire.receive(15), b"from the socket")
        await wire.close()


@clause("connecting.sock.is-used", networks=INTERNET, roles=CLIENT)
async def test_sock_of_a_pair(trial: Trial) -> None:
    ours, theirs = carrier(trial).socketpair()
    with theirs:
        reader, writer = await trial.streams.open_connection(sock=ours)
        with closing(writer):
            theirs.send(b"abc")
            expect(await take(reader, 3), b"abc")


@clause("connecting.sock.blocking", networks=INTERNET, roles=CLIENT)
async def test_sock_in_blocking_mode(trial: Trial) -> None:
    await expect_client_never_blocks(trial, trial.streams.open_connection)


@clause("connecting.sock.blocking", networks=INTERNET, roles=CLIENT)
async def test_sock_with_a_timeout(trial: Trial) -> None:
    await expect_client_never_blocks(trial, trial.streams.open_connection, seconds=30.0)


@clause("connecting.sock.blocking", networks=INTERNET, roles=CLIENT)
async def test_sock_in_blocking_mode_with_tls(trial: Trial) -> None:
    await expect_client_never_blocks(trial, trial.streams.open_connection, is_tls=True)


@clause("connecting.sock.closed-with-the-writer", networks=INTERNET, roles=CLIENT)
async def test_sock_closed_with_the_writer(trial: Trial) -> None:
    listener = await trial.listen()
    sock = await connected_socket(trial, listener)
    before = open_sockets(trial)
    _, writer = await trial.streams.open_connection(sock=sock)
    wire = await listener.accept()
    writer.close()
    # EOF arrives only when no object holds the connection any more.
    expect(await wire.receive_rest(), b"", "before the end:")
    await wire.close()
    await writer.wait_closed()
    await expect_given_socket_closed(trial, sock)
    await expect_no_new_socket(trial, before)


@clause("connecting.sock.excludes-an-address", networks=INTERNET, roles=CLIENT)
async def test_sock_excludes_an_address(trial: Trial) -> None:
    listener = await trial.listen()
    host, port = address_of(listener)
    with await connected_socket(trial, listener) as sock:
        for address in ({"host": host}, {"port": port}, {"host": host, "port": port}):
            await expect_error(ValueError, trial.streams.open_connection(sock=sock, **address))


@clause("connecting.sock.stream-only", networks=INTERNET, roles=CLIENT)
async def test_sock_stream_only(trial: Trial) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 1))
        sock.setblocking(False)
        await expect_error(ValueError, trial.streams.open_connection(sock=sock))


@clause("connecting.local-addr", networks=INTERNET, roles=CLIENT)
async def test_local_addr(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        local = ("127.0.0.2", free_port(trial, "127.0.0.2"))
        _, writer = await trial.streams.open_connection("127.0.0.1", port, local_addr=local)
        with closing(writer):
            connection, peer = sock.accept()
            connection.close()
            expect(peer, local, "where the connection comes from:")


@clause("connecting.local-addr", networks=INTERNET, roles=CLIENT)
async def test_local_addr_after_refusals(trial: Trial) -> None:
    await expect_local_addr_after_refusals(trial)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_local_addr_after_refusals_with_happy_eyeballs(trial: Trial) -> None:
    await expect_local_addr_after_refusals(trial, happy_eyeballs_delay=1000.0)


async def expect_local_addr_after_refusals(trial: Trial, **options: float) -> None:
    """Expect each address of a host to be connected to from the local address that is given."""
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    for refusing in range(len(hosts)):
        with bound(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            sockets[refusing].listen()
            _, writer = await trial.streams.open_connection(
                NAME, port, local_addr=("127.0.0.5", 0), **options
            )
            with closing(writer):
                connection, (peer, _) = sockets[refusing].accept()
                connection.close()
                expect(peer, "127.0.0.5", f"from where, after {refusing} refusals:")


@clause("connecting.local-addr.name", networks=INTERNET, roles=CLIENT)
async def test_local_addr_name(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        # Connections come from its address by default, but not from its port.
        free = free_port(trial, "127.0.0.1")
        _, writer = await trial.streams.open_connection(
            "127.0.0.1", port, local_addr=("localhost", free)
        )
        with closing(writer):
            connection, peer = sock.accept()
            connection.close()
            expect(peer, ("127.0.0.1", free), "where the connection comes from:")


@clause("connecting.local-addr.name", networks=DUAL_STACK, roles=CLIENT)
async def test_local_addr_of_several_families(trial: Trial) -> None:
    # Of its addresses, that of the family of the host's is where the connection comes from.
    for host, local in (("127.0.0.1", "127.0.0.2"), ("::1", "::1")):
        with listening(trial, host) as (port, (sock,)), resolving(trial, "::1", "127.0.0.2"):
            _, writer = await trial.streams.open_connection(host, port, local_addr=(NAME, 0))
            with closing(writer):
                connection, peer = sock.accept()
                connection.close()
                expect(peer[0], local, f"where the connection to {host} comes from:")


@clause("connecting.local-addr.unusable", networks=INTERNET, roles=CLIENT)
async def test_local_addr_unusable(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        # An address of TEST-NET-3, which no interface has.
        await expect_error(
            OSError,
            trial.streams.open_connection("127.0.0.1", port, local_addr=("203.0.113.1", 0)),
        )
        expect(accepted([sock]), None, "connection made from elsewhere:")


# Several addresses of one host.


@clause("connecting.addresses.in-order", networks=DUAL_STACK, roles=CLIENT)
async def test_addresses_in_order(trial: Trial) -> None:
    for hosts in (("127.0.0.1", "::1"), ("::1", "127.0.0.1")):
        with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            _, writer = await trial.streams.open_connection(NAME, port)
            with closing(writer):
                expect(accepted(sockets), 0, f"index in {hosts} of the address connected to:")


@clause("connecting.addresses.next-after-refusal", networks=DUAL_STACK, roles=CLIENT)
async def test_next_address_after_refusal(trial: Trial) -> None:
    for refusing in (0, 1):  # one of the two is the first
        hosts = ("127.0.0.1", "::1")
        with bound(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            other = sockets[1 - refusing]
            other.listen()
            other.setblocking(False)
            _, writer = await trial.streams.open_connection(NAME, port)
            with closing(writer):
                expect(accepted([other]), 0, "index of the listener connected to:")


@clause("connecting.addresses.next-after-refusal", networks=DUAL_STACK, roles=CLIENT)
async def test_next_address_after_one_that_cannot_be_used(trial: Trial) -> None:
    # The first cannot be connected to from the local address, which is of the other family.
    for hosts in (("::1", "127.0.0.1"), ("127.0.0.1", "::1")):
        for delay in (None, 1000.0):
            with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
                _, writer = await trial.streams.open_connection(
                    NAME, port, local_addr=(hosts[1], 0), happy_eyeballs_delay=delay
                )
                with closing(writer):
                    expect(accepted(sockets), 1, f"index in {hosts} of the address connected to:")


@clause("connecting.interleave.zero", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_zero(trial: Trial) -> None:
    for options in ({"interleave": 0}, {"happy_eyeballs_delay": None}):
        order = await tried(trial, "127.0.0.2", "127.0.0.3", "::1", **options)
        expect(order, ["127.0.0.2", "127.0.0.3", "::1"], "addresses tried:")


@clause("connecting.interleave.zero", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_zero_with_happy_eyeballs(trial: Trial) -> None:
    order = await tried(
        trial, "127.0.0.2", "127.0.0.3", "::1", interleave=0, happy_eyeballs_delay=5.0
    )
    expect(order, ["127.0.0.2", "127.0.0.3", "::1"], "addresses tried:")


@clause("connecting.interleave.by-family", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_one(trial: Trial) -> None:
    order = await tried(trial, "127.0.0.2", "127.0.0.3", "::1", interleave=1)
    expect(order, ["127.0.0.2", "::1", "127.0.0.3"], "addresses tried:")


@clause("connecting.interleave.by-family", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_two(trial: Trial) -> None:
    order = await tried(trial, "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1", interleave=2)
    expect(order, ["127.0.0.2", "127.0.0.3", "::1", "127.0.0.4"], "addresses tried:")


@clause("connecting.interleave.by-family", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_more_than_there_are(trial: Trial) -> None:
    for hosts in (("127.0.0.2", "127.0.0.3", "::1"), ("::1", "127.0.0.2", "127.0.0.3")):
        order = await tried(trial, *hosts, interleave=4)
        expect(order, [*hosts], "addresses tried:")


@clause("connecting.interleave.by-family", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_begins_with_the_first_family(trial: Trial) -> None:
    order = await tried(trial, "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1", interleave=1)
    expect(order, ["127.0.0.2", "::1", "127.0.0.3", "127.0.0.4"], "addresses tried:")


@clause("connecting.interleave.default-with-happy-eyeballs", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_default_with_happy_eyeballs(trial: Trial) -> None:
    order = await tried(trial, "127.0.0.2", "127.0.0.3", "::1", happy_eyeballs_delay=5.0)
    expect(order, ["127.0.0.2", "::1", "127.0.0.3"], "addresses tried:")


@asynccontextmanager
async def one_silent(trial: Trial) -> AsyncIterator[tuple[int, socket.socket, Lookups]]:
    """Let `NAME` have two addresses, of which the first does not answer.

    Yields:
        Their port; the listening socket of the second, non-blocking; the lookups.
    """
    hosts = ("127.0.0.2", "127.0.0.3")
    with ExitStack() as stack:
        port, (silent, answering) = stack.enter_context(bound(trial, *hosts))
        await stall(trial, silent, stack)
        answering.listen()
        lookups = stack.enter_context(resolving(trial, *hosts))
        yield port, answering, lookups


@clause("connecting.happy-eyeballs", networks=INTERNET, roles=CLIENT)
async def test_happy_eyeballs(trial: Trial) -> None:
    async with one_silent(trial) as (port, answering, _):
        await _open(trial, port, NAME, happy_eyeballs_delay=0.01)
        expect(accepted([answering]), 0, "index of the listener connected to:")


@clause("connecting.happy-eyeballs", networks=DUAL_STACK, roles=CLIENT)
async def test_happy_eyeballs_of_both_families(trial: Trial) -> None:
    hosts = ("127.0.0.1", "::1")
    with ExitStack() as stack:
        port, (silent, answering) = stack.enter_context(bound(trial, *hosts))
        await stall(trial, silent, stack)
        answering.listen()
        stack.enter_context(resolving(trial, *hosts))
        await _open(trial, port, NAME, happy_eyeballs_delay=0.01)
        expect(accepted([answering]), 0, "index of the listener connected to:")


@clause("connecting.happy-eyeballs.eager-tasks", networks=INTERNET, roles=CLIENT)
async def test_happy_eyeballs_with_eager_tasks(trial: Trial) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        raise NotApplicable("there are no eager tasks before Python 3.12")
    trial.loop.set_task_factory(factory)
    beginning = asyncio.sleep(0)
    try:
        await trial.loop.create_task(beginning)
    except TypeError:  # uvloop on Python 3.13
        beginning.close()
        trial.loop.set_task_factory(None)
        raise NotApplicable("this event loop makes no eager tasks") from None
    async with one_silent(trial) as (port, answering, _):
        await _open(trial, port, NAME, happy_eyeballs_delay=0.01)
        expect(accepted([answering]), 0, "index of the listener connected to:")


@clause("connecting.happy-eyeballs.waits", networks=INTERNET, roles=CLIENT)
async def test_happy_eyeballs_waits(trial: Trial) -> None:
    async with one_silent(trial) as (port, answering, lookups):
        connecting = trial.start(_open(trial, port, NAME, happy_eyeballs_delay=1000.0))
        await lookups.first(connecting)
        await trial.turns()
        expect(accepted([answering]), None, "connection to the next address, before its time:")
        expect_pending(connecting, "open_connection()")
        connecting.cancel()
        await asyncio.wait([connecting])


@clause("connecting.happy-eyeballs.goes-on", networks=INTERNET, roles=CLIENT)
async def test_happy_eyeballs_goes_on(trial: Trial) -> None:
    async with one_silent(trial) as (port, refusing, lookups):
        host, _ = refusing.getsockname()
        refusing.close()
        connecting = trial.start(_open(trial, port, NAME, happy_eyeballs_delay=0.0))
        await lookups.first(connecting)
        await trial.turns()
        # The kernel and a loop's threads may be slow: later lookups end later.
        again = _open(trial, port, host, happy_eyeballs_delay=0.0)
        await asyncio.gather(again, return_exceptions=True)
        await trial.turns()
        expect_pending(connecting, "open_connection(), while an address may still answer,")
        connecting.cancel()
        await asyncio.wait([connecting])


@clause("connecting.happy-eyeballs.after-a-failure", networks=INTERNET, roles=CLIENT)
async def test_happy_eyeballs_after_a_failure(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3")
    with bound(trial, *hosts) as (port, (_, answering)), resolving(trial, *hosts):
        answering.listen()
        # Hangs if the implementation waits for the time.
        await _open(trial, port, NAME, happy_eyeballs_delay=1000.0)
        expect(accepted([answering]), 0, "index of the listener connected to:")


@clause("connecting.happy-eyeballs.refused", networks=DUAL_STACK, roles=CLIENT)
async def test_happy_eyeballs_refused(trial: Trial) -> None:
    hosts = ("127.0.0.1", "::1")
    with bound(trial, *hosts) as (port, _), resolving(trial, *hosts):
        opening = trial.streams.open_connection(NAME, port, happy_eyeballs_delay=0.01)
        error = await expect_error(Exception, opening)
        expect(isinstance(error, BaseExceptionGroup), False, "a group of exceptions:")


@clause("connecting.happy-eyeballs.refused", networks=INTERNET, roles=CLIENT)
async def test_the_only_address_refuses_with_happy_eyeballs(trial: Trial) -> None:
    with bound(trial, "127.0.0.1") as (port, _):
        opening = trial.streams.open_connection("127.0.0.1", port, happy_eyeballs_delay=0.01)
        await expect_error(Exception, opening)


@clause("connecting.happy-eyeballs.loser-is-closed", networks=INTERNET, roles=CLIENT)
async def test_loser_is_closed(trial: Trial) -> None:
    async with one_silent(trial) as (port, answering, _):
        before = open_sockets(trial)
        await _open(trial, port, NAME, happy_eyeballs_delay=0.01)
        accepted([answering])
        await expect_no_new_socket(trial, before)


@clause("connecting.happy-eyeballs.loser-is-closed", networks=INTERNET, roles=CLIENT)
async def test_second_to_connect_is_closed(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
        before = open_sockets(trial)
        _, writer = await trial.streams.open_connection(NAME, port, happy_eyeballs_delay=0.0)
        writer.close()
        for each in sockets:
            accepted([each])
        await expect_no_new_socket(trial, before)


@clause("connecting.happy-eyeballs.other-arguments", networks=DUAL_STACK, roles=CLIENT)
async def test_family_with_happy_eyeballs(trial: Trial) -> None:
    hosts = ("127.0.0.1", "::1")
    for index, family in enumerate((socket.AF_INET, socket.AF_INET6)):
        with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            _, writer = await trial.streams.open_connection(
                NAME, port, family=family, happy_eyeballs_delay=1000.0
            )
            with closing(writer):
                expect(accepted(sockets), index, f"with {family.name}, index in {hosts}:")


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_proto_with_happy_eyeballs(trial: Trial) -> None:
    _, port = address_of(await trial.listen())
    opening = trial.streams.open_connection(
        "localhost", port, proto=socket.IPPROTO_UDP, happy_eyeballs_delay=1000.0
    )
    await expect_error(Exception, opening)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_flags_with_happy_eyeballs(trial: Trial) -> None:
    _, port = address_of(await trial.listen())
    opening = trial.streams.open_connection(
        "localhost", port, flags=socket.AI_NUMERICHOST, happy_eyeballs_delay=1000.0
    )
    await expect_error(Exception, opening)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_local_addr_with_happy_eyeballs(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        local = ("127.0.0.2", free_port(trial, "127.0.0.2"))
        _, writer = await trial.streams.open_connection(
            "127.0.0.1", port, local_addr=local, happy_eyeballs_delay=1000.0
        )
        with closing(writer):
            connection, peer = sock.accept()
            connection.close()
            expect(peer, local, "where the connection comes from:")


@clause("connecting.happy-eyeballs.other-arguments", networks=DUAL_STACK, roles=CLIENT)
async def test_local_addr_of_one_family_with_happy_eyeballs(trial: Trial) -> None:
    for index, local in enumerate(("127.0.0.1", "::1")):
        hosts = ("127.0.0.1", "::1")
        with listening(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            _, writer = await trial.streams.open_connection(
                NAME, port, local_addr=(local, 0), happy_eyeballs_delay=0.01
            )
            with closing(writer):
                expect(accepted(sockets), index, f"from {local}, index of the address:")


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_local_addr_unusable_with_happy_eyeballs(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        for local in ("203.0.113.1", "::1"):  # an address that no interface has, of another family
            opening = trial.streams.open_connection(
                "127.0.0.1", port, local_addr=(local, 0), happy_eyeballs_delay=1000.0
            )
            await expect_error(Exception, opening)
        expect(accepted([sock]), None, "connection made from elsewhere:")


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_flags_for_local_addr_with_happy_eyeballs(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    opening = trial.streams.open_connection(
        host,
        port,
        local_addr=("localhost", 0),
        flags=socket.AI_NUMERICHOST,
        happy_eyeballs_delay=1000.0,
    )
    await expect_error(Exception, opening)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_family_without_address_with_happy_eyeballs(trial: Trial) -> None:
    with resolving(trial, "127.0.0.1"):  # with no error of its own for a host without addresses
        opening = trial.streams.open_connection(
            NAME, 1, family=socket.AF_INET6, happy_eyeballs_delay=1000.0
        )
        await expect_error(Exception, opening)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_no_address_with_happy_eyeballs(trial: Trial) -> None:
    await expect_error(Exception, trial.streams.open_connection(happy_eyeballs_delay=0.01))


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_sock_and_an_address_with_happy_eyeballs(trial: Trial) -> None:
    listener = await trial.listen()
    host, port = address_of(listener)
    with await connected_socket(trial, listener) as sock:
        opening = trial.streams.open_connection(host, port, sock=sock, happy_eyeballs_delay=0.01)
        await expect_error(Exception, opening)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_no_sock_with_happy_eyeballs(trial: Trial) -> None:
    async with one_silent(trial) as (port, answering, _):
        await _open(trial, port, NAME, sock=None, happy_eyeballs_delay=0.01)
        expect(accepted([answering]), 0, "index of the listener connected to:")


@clause("connecting.happy-eyeballs.nothing-left-open", networks=DUAL_STACK, roles=CLIENT)
async def test_refused_with_happy_eyeballs_leaves_nothing_open(trial: Trial) -> None:
    with bound(trial, "127.0.0.1", "::1") as (port, _):
        before = open_sockets(trial)
        for delay in (0.0, 0.01):
            connecting = trial.start(_open(trial, port, None, happy_eyeballs_delay=delay))
            await asyncio.wait([connecting])
            expect_that(connecting.exception() is not None, "a failure", "a connection")
        await expect_no_new_socket(trial, before)


@clause("connecting.happy-eyeballs.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_wrong_arguments_with_happy_eyeballs_leave_nothing_open(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        before = open_sockets(trial)
        connecting = trial.start(  # with an argument that is for TLS only
            _open(trial, port, happy_eyeballs_delay=0.01, ssl_handshake_timeout=5.0)
        )
        await expect_error(Exception, connecting)
        accepted([sock])
        await expect_no_new_socket(trial, before)


@clause("connecting.happy-eyeballs.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_cancelled_while_several_connect(trial: Trial) -> None:
    hosts = ("127.0.0.2", "127.0.0.3")
    with ExitStack() as stack:
        port, silent = stack.enter_context(bound(trial, *hosts))
        for each in silent:
            await stall(trial, each, stack)
        lookups = stack.enter_context(resolving(trial, *hosts))
        before = open_sockets(trial)
        connecting = trial.start(_open(trial, port, NAME, happy_eyeballs_delay=0.0))
        await lookups.first(connecting)
        await trial.turns()
        connecting.cancel()
        await asyncio.wait([connecting])
        expect(connecting.cancelled(), True, "cancelled:")
        await expect_no_new_socket(trial, before)


# The connection itself.


@clause("connecting.nodelay", networks=HOSTS, roles=CLIENT)
async def test_nodelay(trial: Trial) -> None:
    _, writer, _ = await trial.open(await trial.listen())
    expect_nodelay(writer)


@clause("connecting.nodelay", networks=HOSTS, roles=CLIENT)
async def test_nodelay_with_happy_eyeballs(trial: Trial) -> None:
    _, writer, _ = await trial.open(await trial.listen(), happy_eyeballs_delay=0.25)
    expect_nodelay(writer)


@clause("connecting.nodelay", networks=DUAL_STACK, roles=CLIENT)
async def test_nodelay_over_ipv6(trial: Trial) -> None:
    with listening(trial, "::1") as (port, _):
        _, writer = await trial.streams.open_connection("::1", port)
        with closing(writer):
            expect_nodelay(writer)


@clause("connecting.nodelay", networks=INTERNET, roles=CLIENT)
async def test_nodelay_of_a_given_socket(trial: Trial) -> None:
    listener = await trial.listen()
    _, writer = await trial.streams.open_connection(sock=await connected_socket(trial, listener))
    with closing(writer):
        expect_nodelay(writer)
        await (await listener.accept()).close()


@clause("connecting.in-the-background", networks=INTERNET, roles=CLIENT)
async def test_in_the_background(trial: Trial) -> None:
    with ExitStack() as stack:
        port, (silent,) = stack.enter_context(bound(trial, "127.0.0.1"))
        await stall(trial, silent, stack)
        connecting = trial.start(_open(trial, port))
        await trial.turns()  # an implementation that blocks never gets here
        await expect_talk(await trial.connect())
        expect_pending(connecting, "open_connection(), while the peer does not answer,")
        connecting.cancel()
        await asyncio.wait([connecting])


@clause("connecting.in-the-background", networks=TLS, roles=CLIENT)
async def test_handshake_in_the_background(trial: Trial) -> None:
    listener = await trial.listen()
    connecting = trial.start(trial.network.open(trial.streams, listener))
    async with closing_wire(await carrier_of(listener).accept()):
        await expect_talk(await trial.connect())  # hangs if it waits for the first
        expect_pending(connecting, "open_connection(), while the peer does not answer,")
        connecting.cancel()
        await asyncio.wait([connecting])


@clause("connecting.cancelled.while-connecting", networks=INTERNET, roles=CLIENT)
async def test_cancelled_while_connecting(trial: Trial) -> None:
    with ExitStack() as stack:
        port, (silent,) = stack.enter_context(bound(trial, "127.0.0.1"))
        await stall(trial, silent, stack)
        before = open_sockets(trial)
        connecting = await trial.cancelled(_open(trial, port))
        expect(connecting.cancelled(), True, "cancelled:")
        await expect_no_new_socket(trial, before)


@clause("connecting.cancelled.while-connecting", networks=INTERNET, roles=CLIENT)
async def test_cancelled_with_another_address_left(trial: Trial) -> None:
    for delay in (None, 1000.0):
        async with one_silent(trial) as (port, answering, lookups):
            before = open_sockets(trial)
            connecting = trial.start(_open(trial, port, NAME, happy_eyeballs_delay=delay))
            await lookups.first(connecting)
            await trial.turns()
            connecting.cancel()
            await asyncio.wait([connecting])
            expect(connecting.cancelled(), True, "cancelled:")
            expect(accepted([answering]), None, "connection to the next address:")
            await expect_no_new_socket(trial, before)


IN_COUNTED_TURNS = Some(
    ("memory", "tls-memory"), "over the kernel, the number of turns that it takes to connect varies"
)


@clause("connecting.cancelled.at-any-moment", networks=IN_COUNTED_TURNS, roles=CLIENT)
async def test_cancelled_at_any_moment_up_to_the_end(trial: Trial) -> None:
    await expect_cancelled_at_any_moment(trial)


@clause("connecting.happy-eyeballs.nothing-left-open", networks=IN_COUNTED_TURNS, roles=CLIENT)
async def test_cancelled_at_any_moment_with_happy_eyeballs(trial: Trial) -> None:
    await expect_cancelled_at_any_moment(trial, happy_eyeballs_delay=0.25)


MOST_TURNS = 300
"""More turns of the loop than it takes to connect."""


async def expect_cancelled_at_any_moment(trial: Trial, **options: Any) -> None:
    """Expect an open_connection() to leave nothing open, however many turns before it ends.

    The far end answers, and does its part of the handshake.

    Args:
        trial: the trial.
        options: passed to `open_connection()`.
    """
    for moment in range(MOST_TURNS):
        listener = await trial.listen()
        before = open_sockets(trial)
        wires: list[Wire] = []
        answering = trial.start(answer(trial, listener, wires))
        connecting = trial.start(trial.network.open(trial.streams, listener, **options))
        await trial.turns(moment)
        has_ended = connecting.done()
        connecting.cancel()
        await asyncio.wait([connecting])
        await trial.turns()
        answering.cancel()
        await asyncio.wait([answering])
        if not connecting.cancelled():
            _, writer = await connecting
            writer.close()
        for wire in wires:
            await wire.receive_to_end()  # a hang where it is left open
            await wire.close()
        await expect_no_new_socket(trial, before)
        if has_ended:
            return


async def answer(trial: Trial, listener: Listener, wires: list[Wire]) -> None:
    """Accept a connection, put its far end into `wires`, and shake hands."""
    if trial.network.name not in TLS:
        wires.append(await listener.accept())
        return
    below = await carrier_of(listener).accept()
    wire = TlsWire(below, server_context(), server_side=True)
    wires.append(wire)
    with suppress(OSError):  # the connection may end
        await wire.handshake()


@clause("connecting.cancelled.at-any-moment", networks=HOSTS, roles=CLIENT)
async def test_cancelled_at_any_moment(trial: Trial) -> None:
    for moment in range(12):
        listener = await trial.listen()  # the kernel connects; nobody answers a handshake
        before = open_sockets(trial)
        connecting = await trial.cancelled(trial.network.open(trial.streams, listener), moment)
        if not connecting.cancelled():
            _, writer = await connecting
            writer.close()
        await expect_no_new_socket(trial, before)


@clause("connecting.cancelled.at-any-moment", networks=HOSTS, roles=CLIENT)
async def test_cancelled_soon_after_it_is_accepted(trial: Trial) -> None:
    await expect_cancelled_when_accepted(trial)


@clause("connecting.happy-eyeballs.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_cancelled_with_happy_eyeballs_soon_after_it_is_accepted(trial: Trial) -> None:
    await expect_cancelled_when_accepted(trial, happy_eyeballs_delay=0.25)


async def expect_cancelled_when_accepted(trial: Trial, **options: Any) -> None:
    """Expect an open_connection() to leave nothing open that is cancelled when it has connected.

    The far end's acceptance tells that it has, also over the kernel; over TLS, nobody answers the
    handshake.
    """
    for moment in range(8):
        listener = await trial.listen()
        before = open_sockets(trial)
        connecting = trial.start(trial.network.open(trial.streams, listener, **options))
        below = carrier_of(listener) if trial.network.name in TLS else listener
        async with closing_wire(await below.accept()) as wire:
            await trial.turns(moment)
            connecting.cancel()
            await asyncio.wait([connecting])
            if not connecting.cancelled():
                _, writer = await connecting
                writer.close()
            await wire.receive_to_end()  # a hang where it is left open
        await expect_no_new_socket(trial, before)


@clause("connecting.cancelled.at-any-moment", networks=INTERNET, roles=CLIENT)
async def test_cancelled_at_any_moment_with_a_socket(trial: Trial) -> None:
    for moment in range(1, 12):  # before it has begun, the socket is the program's
        listener = await trial.listen()
        before = open_sockets(trial)
        sock = await connected_socket(trial, listener)
        connecting = await trial.cancelled(trial.streams.open_connection(sock=sock), moment)
        if not connecting.cancelled():
            _, writer = await connecting
            writer.close()
        await expect_no_new_socket(trial, before)


async def _open(
    trial: Trial, port: int, host: str | None = "127.0.0.1", **options: float | None
) -> None:
    _, writer = await trial.streams.open_connection(host, port, **options)
    writer.close()
