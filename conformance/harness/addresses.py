"""Addresses of a test's far ends: ports, listeners and raw sockets."""

import asyncio
import contextlib
import errno
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.clause import INTERNET, Some
from conformance.harness.trial import Trial
from conformance.networks.base import Listener
from conformance.networks.kernel import UnixNetwork
from conformance.networks.sockets import SocketListener, SocketNetwork, SocketWire
from conformance.networks.tls import TlsListener, TlsNetwork, TlsWire
from conformance.networks.wire import Wire


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


DUAL_STACK = Some(INTERNET if _has_ipv6_loopback() else ("memory",), INTERNET.why)
"""The networks with loopback addresses of both families."""


def _most_waiting() -> int:
    """Return the longest backlog that Linux keeps: it lowers longer ones."""
    try:
        return min(int(Path("/proc/sys/net/core/somaxconn").read_text()), 60_000)
    except OSError:
        return 120


BACKLOGS = (0, 1, _most_waiting())
"""No backlog, the smallest, and the largest that the kernel allows."""


def address_of(listener: Listener) -> Any:
    """Return where `listener` listens: a host and a port, or a path; below TLS, if it is TLS."""
    listener = carrier_of(listener) if isinstance(listener, TlsListener) else listener
    assert isinstance(listener, SocketListener)
    return listener.address


def place_before_the_start(server: asyncio.Server) -> tuple[int, Any]:
    """Return the family and the address of a server that was not started yet.

    Raises:
        NotApplicable: it does not list its sockets. The page says that it lists those that it
            listens on, so it may list none.
    """
    if not server.sockets:
        raise NotApplicable("the server lists its sockets only while it listens on them")
    sock = server.sockets[0]
    return sock.family, sock.getsockname()


def address_of_wire(trial: Trial, wire: Wire) -> Any:
    """Return the address of the far end `wire`, as its own socket gives it."""
    carrier(trial)  # an adapter's ends have none
    below = wire.carrier if isinstance(wire, TlsWire) else wire
    assert isinstance(below, SocketWire)
    return below.sock.getsockname()


def address_seen_by(trial: Trial, wire: Wire) -> Any:
    """Return the implementation's address, as the far end `wire` sees it."""
    carrier(trial)  # an adapter's ends have none
    below = wire.carrier if isinstance(wire, TlsWire) else wire
    assert isinstance(below, SocketWire)
    return below.sock.getpeername()


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
    """Close `wire`, which the trial does not know, when the block ends."""
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


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of a numeric host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def family_at(address: Any) -> socket.AddressFamily:
    """Return the family of a socket's address: a Unix path, or a numeric host and a port."""
    return socket.AF_UNIX if isinstance(address, str | bytes) else family_of(address[0])


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
                    each.close()  # another process has that port on one of the hosts: take another
            else:
                break
        yield port, sockets


async def stall(trial: Trial, sock: socket.socket, stack: ExitStack) -> None:
    """Let `sock`, which is bound, listen with a full queue: a client that connects to it waits.

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


def own_hosts() -> tuple[str, str]:
    """Return two addresses of this machine, on which no other process runs a test."""
    number = os.getpid()
    rest = f"{number >> 8 & 255}.{number & 255}"
    return f"127.{64 + (number >> 16) % 64}.{rest}", f"127.{128 + (number >> 16) % 64}.{rest}"


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


def free_path(trial: Trial) -> str:
    """Return a path that nothing is at, for a trial on Unix sockets."""
    assert isinstance(trial.network, UnixNetwork)
    return trial.network.free_path()


def bound_socket(trial: Trial) -> socket.socket:
    """Return a non-blocking socket that is bound to a free address of the trial's network."""
    network = carrier(trial)
    if isinstance(network, UnixNetwork):
        sock = network.socket(socket.AF_UNIX)
        sock.bind(network.free_path())
    else:
        sock = network.socket(socket.AF_INET)
        sock.bind(("127.0.0.1", 0))
    return sock


async def connected_socket(trial: Trial, listener: Listener) -> socket.socket:
    """Return a non-blocking socket that is connected to `listener`."""
    address = address_of(listener)
    return (await carrier(trial).connected(family_at(address), address)).sock


def let_block(sock: socket.socket, seconds: float | None = None) -> None:
    """Put `sock` into blocking mode, as the socket module makes them; simulated ones have none.

    Args:
        sock: the socket.
        seconds: its timeout, such as socket.create_connection() sets; by default none.
    """
    with contextlib.suppress(ValueError):
        sock.settimeout(seconds)
