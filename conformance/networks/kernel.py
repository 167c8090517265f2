"""The kernel's own networks: TCP on the loopback interface, and Unix sockets."""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import socket
import struct
import tempfile
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Unpack

from conformance.networks.base import ClientOptions, Listener, ServerOptions
from conformance.networks.sockets import (
    InternetNetwork,
    SocketListener,
    SocketNetwork,
    SocketPair,
    SocketWire,
)
from conformance.networks.wire import SETTLING_TURNS, turns

if TYPE_CHECKING:
    from conformance.subject.implementation import Implementation, Pair

SIOCOUTQ = termios.TIOCOUTQ  # of a socket: bytes sent that the other end has not acknowledged
FAR_END_RECEIVE_BUFFER = 64 * 1024  # bytes; small, so that it fills soon
KERNEL_CAPACITY = 8 * 1024 * 1024  # bytes; above what Linux lets one connection hold by default


def kernel_socket(family: int) -> socket.socket:
    """Return a new stream socket of the kernel's, non-blocking."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FAR_END_RECEIVE_BUFFER)
    sock.setblocking(False)
    return sock


def bytes_in_kernel() -> bytes:
    """Return a digest of how many bytes wait in each descriptor of this process, both ways.

    A change shows that bytes move, in any thread or process. A digest, because a trial keeps it
    while tests measure memory, and a process may have any number of descriptors.
    """
    found = hashlib.blake2b(digest_size=16)
    names: list[str] = []
    with suppress(OSError):  # a test has left no descriptor to list them with
        names = os.listdir("/proc/self/fd")
    for name in names:
        unread, unsent = bytes(4), bytes(4)
        with suppress(OSError):  # closed meanwhile, or nothing that has a queue
            unread = fcntl.ioctl(int(name), termios.FIONREAD, unread)
            unsent = fcntl.ioctl(int(name), termios.TIOCOUTQ, unsent)
        found.update(b"%b %b %b" % (os.fsencode(name), unread, unsent))
    return found.digest()


def open_kernel_sockets() -> set[str]:
    """Return the sockets that this process has open, as the kernel names them.

    Pairs of nameless Unix sockets do not count: loops wake themselves through them, and may open
    them at any time.
    """
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            descriptor = os.dup(int(number))  # no thread of the implementation can close it
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            continue  # closed meanwhile, like the descriptor of the listing itself
        target = os.readlink(f"/proc/self/fd/{descriptor}")
        if not target.startswith("socket:"):
            os.close(descriptor)
            continue
        with socket.socket(fileno=descriptor) as sock:
            if not _is_nameless_pair(sock):
                found.add(target)
    return found


def _is_nameless_pair(sock: socket.socket) -> bool:
    try:
        return not sock.getsockname() and not sock.getpeername()
    except OSError:  # not connected
        return False


class TcpWire(SocketWire):
    """The far end of a TCP connection.

    Its data is sent immediately: otherwise the kernel holds a small piece back until the one before
    is acknowledged.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    async def arrived(self) -> None:
        """Wait until the other end's kernel has acknowledged everything.

        An implementation that does not read, or has reset the connection, never lets it do so; then
        wait until nothing more is acknowledged for some turns.
        """
        unacknowledged, quiet = -1, 0
        while unacknowledged != 0 and quiet < SETTLING_TURNS and self.sock.fileno() != -1:
            before = unacknowledged
            (unacknowledged,) = struct.unpack("i", fcntl.ioctl(self.sock, SIOCOUTQ, bytes(4)))
            quiet = quiet + 1 if unacknowledged == before else 0
            await turns(1)


class KernelNetwork(SocketNetwork):
    """A network of the kernel's sockets."""

    unread_capacity = KERNEL_CAPACITY

    def socket(self, family: int) -> socket.socket:
        """Return a new socket, non-blocking."""
        return kernel_socket(family)

    def socketpair(self) -> SocketPair:
        """Return two connected sockets, non-blocking."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        return ours, theirs

    def open_sockets(self) -> set[str]:
        """Return the sockets that this process has open."""
        return open_kernel_sockets()


class TcpNetwork(KernelNetwork, InternetNetwork):
    """TCP over the loopback interface."""

    name = "tcp"
    wire = TcpWire


class UnixNetwork(KernelNetwork):
    """Unix sockets, in a directory of their own."""

    name = "unix"
    paths = True
    resets = False  # a Unix socket cannot be reset

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="streams-")
        self.taken = 0

    def free_path(self) -> str:
        """Return a path at which there is no file."""
        self.taken += 1
        return os.path.join(self.directory, f"s{self.taken}")

    async def listen(self) -> SocketListener:
        """Return a far end that listens on a free path."""
        return self.listening(socket.AF_UNIX, self.free_path())

    async def open(
        self, streams: "Implementation", listener: Listener, **options: Unpack[ClientOptions]
    ) -> "Pair":
        """Let the implementation connect to `listener` with `open_unix_connection()`."""
        assert isinstance(listener, SocketListener)
        return await streams.open_unix_connection(listener.address, **options)

    async def serve(
        self, streams: "Implementation", callback: object, **options: Unpack[ServerOptions]
    ) -> asyncio.Server:
        """Let the implementation serve with `start_unix_server()`."""
        return await streams.start_unix_server(callback, self.free_path(), **options)

    async def dial(self, server: asyncio.Server) -> SocketWire:
        """Connect a far end to the implementation's `server`."""
        return await self.connected(socket.AF_UNIX, server.sockets[0].getsockname())

    def close(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.directory)
