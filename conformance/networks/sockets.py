"""Wires that are a non-blocking socket and nothing else: no transport, no stream, and no help from
the event loop under test.

The kernel's networks and the memory network share them; they differ in where sockets come from.
"""

import asyncio
import errno
import os
import socket
import struct
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from conformance.networks.base import ClientOptions, Listener, Network, ServerOptions
from conformance.networks.wire import CHUNK, Wire, attempt

if TYPE_CHECKING:
    from conformance.subject.implementation import Implementation, Pair

SocketPair = tuple[socket.socket, socket.socket]


class SocketWire(Wire):
    """The far end of a connection over a socket.

    Args:
        sock: the connected socket, non-blocking.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, data: bytes) -> None:
        """Send `data`; see `Wire.send()`."""
        rest = memoryview(data)
        while rest:
            sent = await attempt(partial(self.sock.send, rest))
            rest = rest[sent:]

    async def receive_some(self) -> bytes:
        """Return the next bytes; see `Wire.receive_some()`."""
        return await attempt(partial(self.sock.recv, CHUNK))

    async def send_eof(self) -> None:
        """Shut the sending direction down."""
        self.sock.shutdown(socket.SHUT_WR)

    async def reset(self) -> None:
        """Close with a linger time of zero, which makes TCP send a reset.

        A Unix socket cannot send one: there the implementation sees a reset only if the far end
        closes with data unread, so a test that resets does not run on that network.
        """
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def close(self) -> None:
        """Close the socket."""
        self.sock.close()


class SocketListener(Listener):
    """A far end that waits for connections on a listening socket.

    Args:
        sock: the listening socket, non-blocking.
        wire: makes the wire of an accepted socket.
    """

    def __init__(self, sock: socket.socket, wire: type[SocketWire]) -> None:
        self.sock = sock
        self.wire = wire

    @property
    def address(self) -> Any:
        """Where it listens: `(host, port)`, or the path of a Unix socket."""
        name = self.sock.getsockname()
        return name if self.sock.family == socket.AF_UNIX else name[:2]

    async def accept(self) -> SocketWire:
        """Return the far end of the next connection."""
        sock, _ = await attempt(self.sock.accept)
        sock.setblocking(False)
        return self.wire(sock)

    def close(self) -> None:
        """Stop listening."""
        self.sock.close()


class SocketNetwork(Network):
    """A network on which far ends are sockets.

    Attributes:
        wire: the class of its wires.
    """

    wire: type[SocketWire] = SocketWire

    @abstractmethod
    def socket(self, family: int) -> socket.socket:
        """Return a new stream socket of this network, non-blocking."""

    @abstractmethod
    def socketpair(self) -> SocketPair:
        """Return two connected stream sockets of this network, non-blocking."""

    @abstractmethod
    def open_sockets(self) -> set[str]:
        """Return names for the sockets that are open on this network, on either side."""

    def listening(self, family: int, address: Any) -> SocketListener:
        """Return a far end that listens on `address`."""
        sock = self.socket(family)
        sock.bind(address)
        sock.listen()
        return SocketListener(sock, self.wire)

    async def connected(self, family: int, address: Any) -> SocketWire:
        """Return a far end that has connected to `address`.

        Raises:
            OSError: nobody listens there.
        """
        sock = self.socket(family)
        try:
            error = sock.connect_ex(address)
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
            await attempt(partial(_check_connected, sock))
        except BaseException:
            sock.close()
            raise
        return self.wire(sock)


def _check_connected(sock: socket.socket) -> None:
    """Return when a connection attempt has succeeded; `BlockingIOError` while it is under way."""
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))
    try:
        sock.getpeername()
    except OSError as not_yet:
        raise BlockingIOError from not_yet


class InternetNetwork(SocketNetwork):
    """A network of hosts and ports, on which everyone is 127.0.0.1."""

    hosts = True

    async def listen(self) -> SocketListener:
        """Return a far end that listens on a free port."""
        return self.listening(socket.AF_INET, ("127.0.0.1", 0))

    async def open(
        self, streams: "Implementation", listener: Listener, **options: Unpack[ClientOptions]
    ) -> "Pair":
        """Let the implementation connect to `listener` with `open_connection()`."""
        assert isinstance(listener, SocketListener)
        return await streams.open_connection(*listener.address, **options)

    async def serve(
        self, streams: "Implementation", callback: object, **options: Unpack[ServerOptions]
    ) -> asyncio.Server:
        """Let the implementation serve with `start_server()`."""
        return await streams.start_server(callback, "127.0.0.1", 0, **options)

    async def dial(self, server: asyncio.Server) -> SocketWire:
        """Connect a far end to the implementation's `server`."""
        return await self.connected(socket.AF_INET, server.sockets[0].getsockname())
