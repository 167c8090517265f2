"""Wires over the kernel's own sockets: TCP on the loopback interface, and Unix sockets.

The far end is a non-blocking socket and nothing else: no transport, no stream, no help from the
event loop under test.
"""

import asyncio
import fcntl
import os
import shutil
import socket
import struct
import tempfile
from abc import abstractmethod
from functools import partial

from conformance.implementation import Implementation, Pair
from conformance.networks.network import Listener, Network, Options, ServerOptions
from conformance.networks.wire import CHUNK, Wire, attempt, turns

SIOCOUTQ = 0x5411  # Linux: bytes sent and not yet acknowledged by the other end's kernel
FAR_END_RECEIVE_BUFFER = 64 * 1024  # bytes; small, so that a far end that does not read is felt


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
        return await attempt(lambda: self.sock.recv(CHUNK))

    async def send_eof(self) -> None:
        """Shut the sending direction down."""
        self.sock.shutdown(socket.SHUT_WR)

    async def reset(self) -> None:
        """Close with a linger time of zero, which makes TCP send a reset.

        A Unix socket has no such thing: there the implementation sees a reset only if the far end
        closes with data unread, so a test that resets does not run on that network.
        """
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    async def arrived(self) -> None:
        """Wait until the other kernel end has acknowledged everything (TCP).

        Over a Unix socket a send is an arrival.
        """
        if self.sock.family == socket.AF_UNIX or self.sock.fileno() == -1:
            return
        while struct.unpack("i", fcntl.ioctl(self.sock, SIOCOUTQ, b"\0\0\0\0"))[0]:
            await turns(1)


class SocketListener(Listener):
    """A far end that waits for connections on a listening socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that it listens on."""
        host, port = self.sock.getsockname()[:2]
        return host, port

    async def accept(self) -> SocketWire:
        """Return the far end of the next connection."""
        sock, _ = await attempt(self.sock.accept)
        sock.setblocking(False)
        return SocketWire(sock)

    def close(self) -> None:
        """Stop listening."""
        self.sock.close()


class KernelNetwork(Network):
    """What the kernel's networks share: listening, and dialling with a socket."""

    unread_capacity = 8 * 1024 * 1024

    async def dial_address(self, family: int, address: object) -> SocketWire:
        """Connect a far end to `address`."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FAR_END_RECEIVE_BUFFER)
        sock.setblocking(False)
        try:
            sock.connect(address)  # type: ignore[arg-type]  # a tuple or a path, by the family
        except BlockingIOError:
            await attempt(lambda: _connected(sock))
        except BaseException:
            sock.close()
            raise
        return SocketWire(sock)

    def listening(self, family: int, address: object) -> SocketListener:
        """Return a far end that listens on `address`."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FAR_END_RECEIVE_BUFFER)
        sock.bind(address)  # type: ignore[arg-type]  # a tuple or a path, by the family
        sock.listen()
        sock.setblocking(False)
        return SocketListener(sock)

    @abstractmethod
    async def listen(self) -> SocketListener:
        """Return a far end that listens."""


def _connected(sock: socket.socket) -> None:
    """Return when a connection attempt has succeeded; `BlockingIOError` while it is under way."""
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        sock.close()
        raise OSError(error, os.strerror(error))
    try:
        sock.getpeername()
    except OSError as not_yet:
        raise BlockingIOError from not_yet


class TcpNetwork(KernelNetwork):
    """TCP over the loopback interface."""

    name = "tcp"

    async def listen(self) -> SocketListener:
        """Return a far end that listens on a free port."""
        return self.listening(socket.AF_INET, ("127.0.0.1", 0))

    async def open(self, streams: Implementation, listener: Listener, **options: Options) -> Pair:
        """Let the implementation connect to `listener` with `open_connection()`."""
        assert isinstance(listener, SocketListener)
        return await streams.open_connection(*listener.address, **options)

    async def serve(
        self, streams: Implementation, callback: object, **options: ServerOptions
    ) -> asyncio.Server:
        """Let the implementation serve with `start_server()`."""
        return await streams.start_server(callback, "127.0.0.1", 0, **options)

    async def dial(self, server: asyncio.Server) -> SocketWire:
        """Connect a far end to the implementation's `server`."""
        return await self.dial_address(socket.AF_INET, server.sockets[0].getsockname())


class UnixNetwork(KernelNetwork):
    """Unix sockets, in a directory of their own."""

    name = "unix"

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="streams-")
        self.paths = 0

    def free_path(self) -> str:
        """Return a path that nothing is at."""
        self.paths += 1
        return os.path.join(self.directory, f"s{self.paths}")

    async def listen(self) -> SocketListener:
        """Return a far end that listens on a free path."""
        return self.listening(socket.AF_UNIX, self.free_path())

    async def open(self, streams: Implementation, listener: Listener, **options: Options) -> Pair:
        """Let the implementation connect to `listener` with `open_unix_connection()`."""
        assert isinstance(listener, SocketListener)
        return await streams.open_unix_connection(listener.sock.getsockname(), **options)

    async def serve(
        self, streams: Implementation, callback: object, **options: ServerOptions
    ) -> asyncio.Server:
        """Let the implementation serve with `start_unix_server()`."""
        return await streams.start_unix_server(callback, self.free_path(), **options)

    async def dial(self, server: asyncio.Server) -> SocketWire:
        """Connect a far end to the implementation's `server`."""
        return await self.dial_address(socket.AF_UNIX, server.sockets[0].getsockname())

    def close(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.directory)
