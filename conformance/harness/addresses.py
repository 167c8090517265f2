"""What tests on connecting and serving arrange: addresses of every kind, resolvers, raw sockets."""

import asyncio
import contextlib
import errno
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from conformance.errors import NotApplicable
from conformance.expect import expect, expect_error, expect_that, shown
from conformance.networks.network import Listener
from conformance.networks.sockets import SocketListener, SocketNetwork, SocketWire
from conformance.networks.tls import TlsListener, TlsNetwork, TlsWire
from conformance.networks.wire import Wire
from conformance.payload import overfill
from conformance.taking import take
from conformance.trial import Connection, Served, Trial

NAME = "streams.test"
"""A host name that nothing but `resolving()` knows."""


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


DUAL_STACK: tuple[str, ...] = ("memory", "tcp") if _has_ipv6_loopback() else ("memory",)
"""The networks with loopback addresses of both families."""


# Listeners and what they listen on.


def address_of(listener: Listener) -> Any:
    """Return where `listener` listens: a host and a port, or a path; below TLS, if it is TLS."""
    listener = carrier_of(listener) if isinstance(listener, TlsListener) else listener
    assert isinstance(listener, SocketListener)
    return listener.address


def address_of_wire(trial: Trial, wire: Wire) -> Any:
    """Return the address of the far end `wire`, as its own socket tells it."""
    carrier(trial)  # an adapter's ends have none
    below = wire.carrier if isinstance(wire, TlsWire) else wire
    assert isinstance(below, SocketWire)
    return below.sock.getsockname()


def carrier_of(listener: Listener) -> Listener:
    """Return the listener below the TLS of `listener`."""
    assert isinstance(listener, TlsListener)
    return listener.carrier


def carrier(trial: Trial) -> SocketNetwork:
    """Return the trial's network, or the one below its TLS: far ends that are plain sockets."""
    if trial.streams.adapter is not None:
        raise NotApplicable("an adapter's ends are on no network")
    network = trial.network
    network = network.carrier if isinstance(network, TlsNetwork) else network
    assert isinstance(network, SocketNetwork)
    return network


@contextlib.asynccontextmanager
async def closing(wire: Wire) -> AsyncIterator[Wire]:
    """Close `wire`, which the trial does not know of, when the block ends."""
    try:
        yield wire
    finally:
        await wire.close()


class SecureListener(TlsListener):
    """A far end that waits for TLS connections with TLS settings of the test's own.

    Args:
        listener: the TLS network's listener.
        context: the settings.
    """

    def __init__(self, listener: Listener, context: Any) -> None:
        super().__init__(carrier_of(listener))
        self.context = context

    async def accept(self) -> TlsWire:
        """Return the far end of the next connection, its handshake done."""
        wire = TlsWire(await self.carrier.accept(), self.context, server_side=True)
        await wire.handshake()
        return wire


# Addresses on the trial's network.


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of a numeric host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextmanager
def listening(trial: Trial, *hosts: str) -> Iterator[tuple[int, list[socket.socket]]]:
    """Listen on the same port of several numeric hosts.

    Yields:
        The port, and the listening sockets, non-blocking.
    """
    with bound(trial, *hosts) as (port, sockets):
        for each in sockets:
            each.listen()
        yield port, sockets


@contextmanager
def bound(trial: Trial, *hosts: str) -> Iterator[tuple[int, list[socket.socket]]]:
    """Take the same port of several numeric hosts, without listening: connecting is refused.

    Yields:
        The port, and the bound sockets, non-blocking.
    """
    with ExitStack() as stack:
        while True:
            port, sockets = 0, []
            try:
                for host in hosts:
                    sock = carrier(trial).socket(family_of(host))
                    sockets.append(stack.enter_context(sock))
                    sock.bind((host, port))
                    port = sock.getsockname()[1]
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                for each in sockets:
                    each.close()  # somebody has that port on one of the hosts: take another
            else:
                break
        yield port, sockets


async def stall(trial: Trial, sock: socket.socket, stack: ExitStack) -> None:
    """Let `sock`, which is bound, listen with a full queue: who connects to it waits.

    Args:
        trial: the trial.
        sock: the bound socket.
        stack: closes the connection that fills the queue.
    """
    sock.listen(0)
    filler = await carrier(trial).connected(sock.family, sock.getsockname())
    stack.callback(filler.sock.close)


def free_port(trial: Trial, host: str) -> int:
    """Return a port of a numeric host that nothing uses."""
    with bound(trial, host) as (port, _):
        return port


def accepted(sockets: Sequence[socket.socket]) -> int | None:
    """Return the index of the listening socket that has a connection, or `None`; close it."""
    for index, sock in enumerate(sockets):
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            continue
        connection.close()
        return index
    return None


def abstract_name() -> str:
    """Return a name in Linux's abstract namespace, which the whole machine shares."""
    return f"\0streams-{uuid.uuid4()}"


async def connected_socket(trial: Trial, listener: Listener) -> socket.socket:
    """Return a non-blocking socket that is connected to `listener`."""
    address = address_of(listener)
    family = socket.AF_UNIX if isinstance(address, str | bytes) else family_of(address[0])
    return (await carrier(trial).connected(family, address)).sock


# Names.


@contextmanager
def resolving(trial: Trial, *hosts: str) -> Iterator[None]:
    """Let `NAME` resolve to the numeric `hosts`, in that order, whoever asks.

    An implementation asks the loop's `getaddrinfo()`, or the socket module's; any other name is
    theirs to answer.
    """
    ask_loop: Any = trial.loop.getaddrinfo
    ask_module: Callable[..., Any] = socket.getaddrinfo

    def answer(port: Any, family: int) -> list[Any]:
        return [
            (
                family_of(host),
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, int(port or 0), 0, 0) if ":" in host else (host, int(port or 0)),
            )
            for host in hosts
            if family in (0, family_of(host))
        ]

    async def from_loop(host: Any, port: Any, *, family: int = 0, **options: int) -> Any:
        if host == NAME:
            return answer(port, family)
        return await ask_loop(host, port, family=family, **options)

    def from_module(host: Any, port: Any, family: int = 0, *options: int, **more: int) -> Any:
        if host == NAME:
            return answer(port, family)
        return ask_module(host, port, family, *options, **more)

    with (
        mock.patch.object(trial.loop, "getaddrinfo", from_loop),
        mock.patch.object(socket, "getaddrinfo", from_module),
    ):
        yield


# Connections that are lost.


async def lost(trial: Trial, connection: Connection) -> BaseException | None:
    """Reset the connection and let the implementation notice.

    Returns:
        What a read that waited raised; `None` if it raised nothing, or waits on: that is for the
        clauses on reading to mind.
    """
    await connection.wire.reset()
    reading = trial.start(connection.reader.read(5))

    async def noticed() -> bool:
        return reading.done()

    await trial.soon(noticed)
    reading.cancel()
    await asyncio.wait([reading])
    return None if reading.cancelled() else reading.exception()


# What is logged.


class Log(logging.Handler):
    """Keeps what asyncio's logger is told, from warnings up.

    Attributes:
        messages: the messages.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(record.getMessage())

    def __enter__(self) -> "Log":
        """Begin."""
        logging.getLogger("asyncio").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        logging.getLogger("asyncio").removeHandler(self)


# What is left open.


def open_sockets(trial: Trial) -> set[str]:
    """Return the sockets of the trial's network that are open."""
    return carrier(trial).open_sockets()


async def expect_no_new_socket(trial: Trial, before: set[str]) -> None:
    """Expect that soon no socket is open that was not open `before`."""

    async def closed() -> bool:
        return open_sockets(trial) <= before

    if not await trial.soon(closed):
        expect(len(open_sockets(trial) - before), 0, "sockets left open:")


async def expect_given_socket_closed(trial: Trial, sock: socket.socket) -> None:
    """Expect that soon `sock` is closed, which the test gave away."""

    async def closed() -> bool:
        return sock.fileno() == -1

    expect_that(await trial.soon(closed), "the socket given to be closed", "it is open")


# What takes its time.


async def expect_done_after(trial: Trial, seconds: int, task: "asyncio.Task[Any]") -> None:
    """Expect `task` to end when simulated `seconds` have passed, and not a second before."""
    await trial.pass_time(seconds - 1)
    expect(task.done(), False, f"ended before {seconds} s:")
    await trial.pass_time(2)
    expect(task.done(), True, f"ended after {seconds} s:")


# What both sides have in common.


async def expect_limit(trial: Trial, connection: Connection, limit: int) -> None:
    """Expect the connection's reader to take lines up to `limit` bytes, and no longer ones."""
    reader, _, wire = connection
    line = b"x" * (limit - 1) + b"\n"
    await wire.send(line)
    await reader.readuntil(b"\n")
    await wire.send(b"x" * (limit + 1) + b"\n")
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"\n"))


async def expect_talk(connection: Connection) -> None:
    """Expect bytes to pass both ways, and to be the same at the other end."""
    reader, writer, wire = connection
    writer.write(b"from the implementation")
    await writer.drain()
    expect(await wire.receive(23), b"from the implementation")
    await wire.send(b"from the far end")
    expect(await take(reader, 16), b"from the far end")


def let_block(sock: socket.socket) -> None:
    """Put `sock` into blocking mode, as the socket module makes them; simulated ones have none."""
    with contextlib.suppress(ValueError):
        sock.setblocking(True)


async def expect_client_never_blocks(trial: Trial, open_: Callable[..., Any]) -> None:
    """Expect what `open_` makes of a connected socket in blocking mode not to stop the loop."""
    listener = await trial.listen()
    sock = await connected_socket(trial, listener)
    let_block(sock)
    reader, writer = await open_(sock=sock)
    with contextlib.closing(writer):
        async with closing(await listener.accept()) as wire:
            await _expect_not_blocking(trial, Connection(reader, writer, wire))


async def expect_server_never_blocks(
    trial: Trial, start: Callable[..., Any], sock: socket.socket
) -> None:
    """Expect what `start` makes of a bound `sock` in blocking mode not to stop the loop."""
    served, address = Served(), sock.getsockname()
    let_block(sock)
    with contextlib.closing(await start(served.accepted, sock=sock)):
        async with closing(await carrier(trial).connected(sock.family, address)) as wire:
            reader, writer = await served.pairs.get()
            with contextlib.closing(writer):
                await _expect_not_blocking(trial, Connection(reader, writer, wire))


async def _expect_not_blocking(trial: Trial, connection: Connection) -> None:
    """Expect neither a read of nothing nor a write of too much to stop the event loop."""
    reader, writer, wire = connection
    reading = trial.start(take(reader, 4))
    await trial.turns()
    data = overfill(trial)
    writer.write(data)
    received = await wire.receive(len(data))
    expect(received == data, True, "the bytes that were written:")
    await wire.send(b"read")
    expect(await reading, b"read")


async def expect_served(trial: Trial, served: Served, address: Any) -> None:
    """Expect a connection to `address`, of the Internet, to reach the server's callback."""
    family = family_of(address[0])
    async with closing(await carrier(trial).connected(family, address)):
        _, writer = await served.pairs.get()
        writer.close()


async def expect_not_served(trial: Trial, family: int, address: Any) -> None:
    """Expect that soon nobody listens at `address`: a server is closed asynchronously."""

    async def refused() -> bool:
        try:
            wire = await carrier(trial).connected(family, address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except ConnectionResetError:
            return False  # the server closed in the midst of it
        await wire.close()
        return False

    what = f"a connection to {shown(address)} to be refused"
    expect_that(await trial.soon(refused), what, "a connection")
