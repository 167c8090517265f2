"""The values that an argument takes: far apart, and of every kind."""

import asyncio
import enum
import functools
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from conformance.errors import Deviation, NotApplicable, described
from conformance.harness.addresses import (
    DUAL_STACK,
    accepted,
    bound,
    carrier,
    free_port,
    listening,
    own_hosts,
)
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import (
    BY_HAND,
    CLIENT,
    COUNTED,
    HALF_CLOSED,
    INTERNET,
    RESETTABLE,
    SERVER,
    UPGRADED,
    clause,
)
from conformance.harness.expect import (
    expect,
    expect_done,
    expect_error,
    expect_pending,
    expect_that,
)
from conformance.harness.expectations import expect_limit, expect_served, expect_talk
from conformance.harness.patterns import fill
from conformance.harness.reading import take
from conformance.harness.resolving import NAME, resolving, tried
from conformance.harness.trial import Served, Trial
from conformance.harness.upgrading import upgraded

MEGABYTES = 20_000_000  # bytes

# Ports and hosts, as getaddrinfo() takes them.


@clause("connecting.port.string", networks=INTERNET, roles=CLIENT)
async def test_port_of_digits(trial: Trial) -> None:
    for host in ("127.0.0.1", "localhost"):
        await expect_connected(trial, host, str)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_port_of_digits_with_happy_eyeballs(trial: Trial) -> None:
    await expect_as_without_happy_eyeballs(trial, "127.0.0.1", str)


@clause("connecting.port.string", networks=INTERNET, roles=CLIENT)
async def test_port_of_digits_in_local_addr(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, (sock,)):
        free = free_port(trial, "127.0.0.1")
        _, writer = await trial.streams.open_connection(
            "127.0.0.1", port, local_addr=("127.0.0.1", str(free))
        )
        with closing(writer):
            connection, peer = sock.accept()
            connection.close()
            expect(peer, ("127.0.0.1", free), "where the connection comes from:")


@clause("connecting.port.string", networks=INTERNET, roles=CLIENT)
async def test_port_of_a_service(trial: Trial) -> None:
    with a_service(trial) as (name, sock):
        sock.listen()
        _, writer = await trial.streams.open_connection("127.0.0.1", name)
        writer.close()  # first, or the port would linger
        await writer.wait_closed()
        expect(accepted([sock]), 0, f"index of the listener connected to, by {name!r}:")


@clause("connecting.host.bytes", networks=INTERNET, roles=CLIENT)
async def test_host_of_bytes(trial: Trial) -> None:
    for host in (b"127.0.0.1", b"localhost"):
        await expect_connected(trial, host, int)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_host_of_bytes_with_happy_eyeballs(trial: Trial) -> None:
    await expect_as_without_happy_eyeballs(trial, b"localhost", int)


async def expect_connected(
    trial: Trial, host: str | bytes, kind: type[str] | type[int], **options: float
) -> None:
    """Expect a connection to `host`, of this machine, with a port of that type."""
    with listening(trial, "127.0.0.1") as (port, sockets):
        _, writer = await trial.streams.open_connection(host, kind(port), **options)
        with closing(writer):
            expect(accepted(sockets), 0, "index of the listener connected to:")


async def expect_as_without_happy_eyeballs(
    trial: Trial, host: str | bytes, kind: type[str] | type[int]
) -> None:
    """Expect a connection to `host` with Happy Eyeballs, if there is one without.

    Raises:
        NotApplicable: there is none, which other clauses check.
    """
    try:
        await expect_connected(trial, host, kind)
    except Exception as error:
        raise NotApplicable("it takes no such address") from error
    await expect_connected(trial, host, kind, happy_eyeballs_delay=0.25)


@contextmanager
def a_service(trial: Trial) -> Iterator[tuple[str, socket.socket]]:
    """Bind a socket to the port of a service that this machine knows and does not use.

    Yields:
        The service's name, and the socket, non-blocking.

    Raises:
        NotApplicable: the machine knows no such service.
    """
    for name in ("postgresql", "mysql", "amqp", "ircd", "socks", "x11", "openvpn", "radius"):
        with carrier(trial).socket(socket.AF_INET) as sock:
            try:
                sock.bind(("127.0.0.1", socket.getservbyname(name, "tcp")))
            except OSError:
                continue
            yield name, sock
            return
    raise NotApplicable("this machine knows no service whose port is free")


@clause("serving.port.string", networks=INTERNET, roles=SERVER)
async def test_server_port_of_digits(trial: Trial) -> None:
    one, other = own_hosts()
    for hosts in (one, [one, other]):
        with bound(trial, one, other) as (port, _):
            pass
        served = Served()
        starting = trial.streams.start_server(served.accepted, hosts, str(port))
        with closing(await starting) as server:
            for sock in server.sockets:
                expect(sock.getsockname()[1], port, "port")
                await expect_served(trial, served, sock.getsockname())


@clause("serving.port.string", networks=INTERNET, roles=SERVER)
async def test_server_port_of_a_service(trial: Trial) -> None:
    with a_service(trial) as (name, sock):
        _, port = sock.getsockname()
        host, _ = own_hosts()
        served = Served()
        with closing(await trial.streams.start_server(served.accepted, host, name)):
            await expect_served(trial, served, (host, port))


# Names without an address.


@clause("connecting.addresses.none", networks=INTERNET, roles=CLIENT)
async def test_lookup_that_finds_nothing(trial: Trial) -> None:
    with resolving(trial):
        await expect_error(OSError, trial.streams.open_connection(NAME, 1))


@clause("connecting.addresses.none", networks=INTERNET, roles=CLIENT)
async def test_lookup_with_happy_eyeballs_that_finds_nothing(trial: Trial) -> None:
    with resolving(trial):
        opening = trial.streams.open_connection(NAME, 1, happy_eyeballs_delay=0.25)
        await expect_error(OSError, opening)


@clause("connecting.addresses.none", networks=INTERNET, roles=CLIENT)
async def test_lookup_of_local_addr_that_finds_nothing(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, sockets):
        with resolving(trial):
            opening = trial.streams.open_connection("127.0.0.1", port, local_addr=(NAME, 0))
            await expect_error(OSError, opening)
        expect(accepted(sockets), None, "connection made:")


@clause("serving.addresses.none", networks=INTERNET, roles=SERVER)
async def test_server_on_a_name_without_address(trial: Trial) -> None:
    with resolving(trial):
        for hosts in (NAME, ["127.0.0.2", NAME]):
            starting = trial.streams.start_server(Served().accepted, hosts, 0)
            await expect_error(OSError, starting)


# Interleaving.

FIVE = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6")


@clause("connecting.interleave.by-family", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_of_many(trial: Trial) -> None:
    for lead in (1, 4):
        order = await tried(trial, *FIVE, "::1", interleave=lead)
        expect(order, [*FIVE[:lead], "::1", *FIVE[lead:]], f"addresses tried with {lead}:")


@clause("connecting.interleave.by-family", networks=DUAL_STACK, roles=CLIENT)
async def test_interleave_of_many_with_happy_eyeballs(trial: Trial) -> None:
    for lead in (1, 4):
        order = await tried(trial, *FIVE, "::1", interleave=lead, happy_eyeballs_delay=5.0)
        expect(order, [*FIVE[:lead], "::1", *FIVE[lead:]], f"addresses tried with {lead}:")


# Integers of other classes than int, and large ones.


class Size(enum.IntEnum):
    """Numbers with names."""

    THREE = 3


@functools.total_ordering
class Number:
    """An integer that is not an `int`, like numpy's."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        """Return the number as an int."""
        return self.value

    __int__ = __index__

    def __eq__(self, other: Any) -> bool:
        """Compare with a number."""
        return self.value == int(other)

    def __lt__(self, other: Any) -> bool:
        """Compare with a number."""
        return self.value < int(other)

    def __hash__(self) -> int:
        """Return the attribute of the number as an int."""
        return hash(self.value)

    def __bool__(self) -> bool:
        """Return whether it is not zero."""
        return bool(self.value)

    def __add__(self, other: Any) -> "Number":
        """Add a number."""
        return Number(self.value + int(other))

    def __sub__(self, other: Any) -> "Number":
        """Subtract a number."""
        return Number(self.value - int(other))

    def __rsub__(self, other: Any) -> "Number":
        """Subtract it from a number."""
        return Number(int(other) - self.value)

    def __mul__(self, other: Any) -> "Number":
        """Multiply with a number."""
        return Number(self.value * int(other))

    __radd__, __rmul__ = __add__, __mul__


def number(value: int) -> Any:
    """Return a `Number` where the types expect an int."""
    return Number(value)


@clause("read.n.at-most-n")
async def test_at_most_a_named_number(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcd")
    await take(reader, 1)
    await wire.settle()
    for n, most in ((Size.THREE, 3), (True, 1)):
        seen = await reader.read(n)
        expect_that(1 <= len(seen) <= most, f"1 to {most} bytes", seen)
        await wire.send(b"efgh")
        await wire.settle()


@clause("readexactly.returns-n-bytes")
async def test_exactly_a_named_number(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcd")
    expect(await reader.readexactly(Size.THREE), b"abc")
    expect(await reader.readexactly(True), b"d")


@clause("read.n.other-integers")
async def test_numbers_of_another_class(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdefg")
    seen = b""
    while len(seen) < 4:
        piece = await reader.read(number(2))
        expect_that(1 <= len(piece) <= 2, "1 or 2 bytes", piece)
        seen += piece
    expect(seen, b"abcdefg"[: len(seen)])
    expect(await reader.read(number(0)), b"")
    await wire.send_eof()
    expect(await reader.read(number(-1)), b"abcdefg"[len(seen) :])


@clause("readexactly.other-integers")
async def test_exact_numbers_of_another_class(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdefg")
    expect(await reader.readexactly(number(4)), b"abcd")
    expect(await reader.readexactly(number(0)), b"")
    await expect_error(Exception, reader.readexactly(number(-1)))
    await wire.send_eof()
    error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(number(4)))
    expect(error.partial, b"efg", "partial")


HUGE = (2**31, sys.maxsize)
"""Numbers beyond C's `int`; the second is the greatest size that anything in Python has."""


@clause("read.n.at-most-n")
async def test_at_most_a_huge_number(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for n in HUGE:
        await wire.send(b"a")
        expect(await reader.read(n), b"a", f"read({n})")


@clause("readexactly.eof.expected")
async def test_exactly_a_huge_number(trial: Trial) -> None:
    for n in HUGE:
        reader, _, wire = await trial.connect()
        await wire.send(b"abc")
        await wire.send_eof()
        error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(n))
        expect((error.partial, error.expected), (b"abc", n), "partial and expected")


@clause("connecting.limit.given", networks=INTERNET, roles=CLIENT)
async def test_huge_limits(trial: Trial) -> None:
    await expect_huge_limits(trial)


@clause("serving.limit.given", networks=INTERNET, roles=SERVER)
async def test_huge_limits_of_a_server(trial: Trial) -> None:
    await expect_huge_limits(trial)


async def expect_huge_limits(trial: Trial) -> None:
    """Expect a reader to take any limit, and lines."""
    for limit in HUGE:
        reader, _, wire = await trial.connect(limit=limit)
        await wire.send(b"line\n")
        expect(await reader.readuntil(b"\n"), b"line\n", f"with a limit of {limit}:")


@clause("readuntil.tuple.any-of-them", roles=BY_HAND)
async def test_separators_that_are_the_same(trial: Trial) -> None:
    reader = by_hand(trial, 100)
    reader.feed_data(b"one;two\n")
    separators: Any = (b";", b"\n", b";")
    expect(await reader.readuntil(separators), b"one;")
    expect(await reader.readuntil(separators), b"two\n")


# Buffers, of which the program disposes after the call.


@clause("write.memoryview")
async def test_views_are_the_programs(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    view = memoryview(bytearray(b"twice,"))
    writer.write(view)
    writer.writelines([view])
    expect(await wire.receive(12), b"twice,twice,")
    view.release()


@clause("write.bytearray.later-changes")
async def test_buffers_are_the_programs(trial: Trial) -> None:
    await expect_resizable(trial, lambda writer, buffer: writer.write(buffer))


@clause("writelines.later-changes")
async def test_buffers_of_lines_are_the_programs(trial: Trial) -> None:
    await expect_resizable(trial, lambda writer, buffer: writer.writelines([buffer]))


def through_a_view(write: Callable[[memoryview], None], buffer: bytearray) -> None:
    """Write what a memoryview of the buffer shows, and release the view."""
    with memoryview(buffer) as view:
        write(view)


@clause("write.bytearray.later-changes")
async def test_buffers_behind_views_are_the_programs(trial: Trial) -> None:
    await expect_resizable(trial, lambda writer, buffer: through_a_view(writer.write, buffer))


@clause("writelines.later-changes")
async def test_buffers_behind_views_of_lines_are_the_programs(trial: Trial) -> None:
    def write(writer: asyncio.StreamWriter, buffer: bytearray) -> None:
        through_a_view(lambda view: writer.writelines([view]), buffer)

    await expect_resizable(trial, write)


async def expect_resizable(trial: Trial, write: Callable[[Any, bytearray], None]) -> None:
    """Expect a bytearray to be free to grow and shrink once it was written."""
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    buffer = bytearray(b"as it was")
    try:
        write(writer, buffer)
        buffer.clear()
        buffer.extend(b"another")
    except BufferError as error:
        raise Deviation("a bytearray that can grow and shrink", described(error)) from error
    received = await wire.receive(len(data) + 9)
    expect(received[len(data) :], b"as it was")


@clause("connecting.limit.given", networks=INTERNET, roles=CLIENT)
async def test_limit_with_a_name(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=Size.THREE), 3)


@clause("serving.limit.given", networks=INTERNET, roles=SERVER)
async def test_server_limit_with_a_name(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=Size.THREE), 3)


@clause("read.n.at-most-n")
async def test_at_most_far_apart(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=2_000_000)
    most = 1_000_000
    sending = trial.start(wire.send(bytes(most + 2)))
    expect(await reader.read(1), b"\0")
    rest = most + 1
    while rest:
        seen = len(await reader.read(most))
        expect_that(1 <= seen <= most, f"1 to {most} bytes", seen)
        rest -= seen
    await sending


@clause("readexactly.more-than-limit")
async def test_exactly_far_apart(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    data = b"1" + bytes(3_000_000)
    sending = trial.start(wire.send(data))
    expect(await reader.readexactly(1), b"1")
    expect(len(await reader.readexactly(len(data) - 1)), len(data) - 1, "number of bytes:")
    await sending


@clause("reader.by-hand.limit-and-loop", roles=BY_HAND)
async def test_limits_far_apart(trial: Trial) -> None:
    for limit in (1, MEGABYTES):
        reader = by_hand(trial, limit)
        reader.feed_data(b"x" * (limit - 1) + b"\n")
        expect(len(await reader.readuntil(b"\n")), limit, "bytes of the longest line:")
        reader.feed_data(b"x" * (limit + 1) + b"\n")
        await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"\n"))


@clause("start_tls.handshake-timeout", networks=UPGRADED)
async def test_timeout_of_months(trial: Trial) -> None:
    await expect_talk(await upgraded(trial, ssl_handshake_timeout=10_000_000))


# High-water and low-water marks.


@clause("transport.limits.set")
async def test_limits_far_apart_are_set(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    for low, high in ((0, 1), (MEGABYTES, 2 * MEGABYTES), (1, MEGABYTES)):
        writer.transport.set_write_buffer_limits(high=high, low=low)
        expect(writer.transport.get_write_buffer_limits(), (low, high))


@clause("drain.marks.high", networks=COUNTED)
async def test_high_marks_far_apart(trial: Trial) -> None:
    for high in (MEGABYTES, 1):
        _, writer, wire = await trial.connect()
        writer.transport.set_write_buffer_limits(high=high)
        data = await fill(trial, writer)
        draining = trial.start(writer.drain())
        await wire.settle()
        judge = expect_done if high > len(data) else expect_pending
        judge(draining, f"drain() with a mark of {high} and {len(data)} bytes to send")
        await wire.receive(len(data))
        await draining


# Sequences: after a cancellation, or after the program itself has ended something.


@clause("drain.cancelled.loses-nothing")
async def test_close_after_a_cancelled_drain(trial: Trial) -> None:
    await expect_end_after_a_cancelled_drain(trial, "close")


@clause("drain.cancelled.loses-nothing", networks=HALF_CLOSED)
async def test_write_eof_after_a_cancelled_drain(trial: Trial) -> None:
    await expect_end_after_a_cancelled_drain(trial, "write_eof", "close")


async def expect_end_after_a_cancelled_drain(trial: Trial, *calls: str) -> None:
    """Expect all that was written to arrive, and wait_closed() to return, after these calls."""
    for at_once in (True, False):
        _, writer, wire = await trial.connect()
        data = await fill(trial, writer)
        draining = trial.start(writer.drain())
        await wire.settle()
        draining.cancel()
        if not at_once:
            await asyncio.wait([draining])
        for name in calls:
            getattr(writer, name)()
        expect(await wire.receive_rest(), data, "bytes:")
        await wire.close()
        await writer.wait_closed()


@clause("reader.feed-eof.peer-leaves", networks=RESETTABLE)
async def test_peer_that_leaves_after_feed_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    is_closing = writer.is_closing  # a reader fed by hand has no peer: not applicable to one
    reader.feed_eof()
    await wire.settle()
    await wire.reset()

    async def closing_() -> bool:
        return is_closing()

    expect(await trial.soon(closing_), True, "is_closing() after the peer's reset:")


@clause("reader.feed-eof.peer-leaves")
async def test_close_after_feed_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    close = writer.close
    reader.feed_eof()
    writer.write(b"the end")
    close()
    expect(await wire.receive_rest(), b"the end", "bytes:")
    await wire.close()
    await writer.wait_closed()
