"""The methods of a loop that act on sockets: `sock_*()`, `add_reader()` and the like."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable
from typing import Any, Protocol, TypeVarTuple, Unpack

from fakes._asyncio.names import Names
from fakes._asyncio.transport_socket import TransportSocket
from fakes._kernel.arguments import writable_view
from fakes._kernel.readiness import Pollable, Watch
from fakes._kernel.socket import Socket
from fakes._kernel.stream_socket import StreamSocket

Ts = TypeVarTuple("Ts")


class Watched(Protocol):
    """An object that can be watched: a socket, or a stand-in for another open file."""

    def fileno(self) -> int:
        """Return its number, or -1 when closed."""

    @property
    def pollable(self) -> Pollable:
        """The object to watch."""

    def watch_reading(self, watch: Watch | None) -> bool:
        """Set or remove the callback for readability; return whether there was one."""

    def watch_writing(self, watch: Watch | None) -> bool:
        """Set or remove the callback for writability; return whether there was one."""


class SockMethods(Names):
    """`sock_*()`, `add_reader()` and their kin."""

    def _nonblocking(self, sock: Any) -> Any:
        """As `_simulated()`.

        Raises:
            ValueError: in debug mode if the socket may block.
        """
        found = self._simulated(sock)
        if found is not None and self.get_debug() and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
        return found

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a simulated socket; names are resolved.

        On `fakes.Loop`, a real socket that is not connected stands for a simulated one, which
        `create_connection(sock=...)` finds again. As on Linux, an attempt after a refused one fails
        with ECONNABORTED, and only the next one is made.
        """
        real, sock = sock, self._nonblocking(sock)
        if sock is None:
            return await super().sock_connect(real, address)
        if sock.family == socket.AF_UNIX:
            if sock.type == socket.SOCK_STREAM:
                self.network.connect_path(sock, address)
            else:
                sock.connect(address)
            return await asyncio.sleep(0)
        address = (await self._resolve(address, sock.family))[0][4]
        if sock.type == socket.SOCK_DGRAM:
            sock.connect(address)
            return None
        if not sock.begin_connecting(address):
            return None
        future: asyncio.Future[None] = self.create_future()

        def done(exc: OSError | None) -> None:
            if future.done():
                return
            if exc is None:
                future.set_result(None)
            else:
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # which clears it
                future.set_exception(OSError(exc.errno, f"Connect call failed {address}"))

        self.network.connect(sock, address, done)
        return await future

    async def sock_accept(self, sock: Any) -> tuple[Any, Any]:
        """Wait for a connection to a listening simulated socket; return it and its address."""
        listening: StreamSocket | None = self._nonblocking(sock)
        if listening is None:
            return await super().sock_accept(sock)
        while True:
            try:
                return listening.accept()
            except BlockingIOError:
                await self._wait_readable(listening)

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, waiting until there are some; empty at EOF."""
        simulated: StreamSocket | None = self._nonblocking(sock)
        if simulated is None:
            return await super().sock_recv(sock, nbytes)
        while True:
            try:
                return simulated.recv(nbytes)
            except BlockingIOError:
                await self._wait_readable(simulated)

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        """Receive into a buffer; return how many bytes."""
        if self._simulated(sock) is None:
            return await super().sock_recv_into(sock, buf)
        with writable_view(buf) as view:
            data = await self.sock_recv(sock, len(view))
            view[: len(data)] = data
        return len(data)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """Send all of `data`, waiting for room."""
        simulated: StreamSocket | None = self._nonblocking(sock)
        if simulated is None:
            return await super().sock_sendall(sock, data)
        try:
            sent = simulated.send(data)  # even if it is empty: there may be no connection
        except BlockingIOError:
            sent = 0
        with memoryview(data).cast("B") as view:
            while sent < len(view):
                await self._wait_writable(simulated)
                with contextlib.suppress(BlockingIOError):
                    sent += simulated.send(view[sent:])
        return None

    async def sock_recvfrom(self, sock: Any, bufsize: int) -> tuple[bytes, Any]:
        """Return the next datagram and its source, waiting until there is one."""
        simulated: Socket | None = self._nonblocking(sock)
        if simulated is None:
            return await super().sock_recvfrom(sock, bufsize)
        while True:
            try:
                return simulated.recvfrom(bufsize)
            except BlockingIOError:
                await self._wait_readable(simulated)

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        """As `sock_recvfrom()`, into a buffer; return the number of bytes, and their source."""
        if self._simulated(sock) is None:
            return await super().sock_recvfrom_into(sock, buf, nbytes)
        with writable_view(buf) as view:
            data, address = await self.sock_recvfrom(sock, nbytes or len(view))
            view[: len(data)] = data
        return len(data), address

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> int:
        """Send a datagram; return how many bytes."""
        simulated: Socket | None = self._nonblocking(sock)
        if simulated is None:
            return await super().sock_sendto(sock, data, address)
        while True:
            try:
                return simulated.sendto(data, address)
            except BlockingIOError:
                await self._wait_writable(simulated)

    def _watched(self, fd: Any) -> Watched:
        """Return the simulated socket that `fd` means: a socket, its number, or a transport's
        number.

        Raises:
            ValueError: it is closed.
            RuntimeError: a transport uses it.
        """
        sock: Socket
        if isinstance(fd, int):
            sock = self.network.descriptors[fd]
        else:
            sock = fd.simulated if isinstance(fd, TransportSocket) else fd
        if sock.fileno() == -1:
            raise ValueError("Invalid file descriptor: -1")
        transport = sock.transport()
        if transport is not None and not transport.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")
        return sock

    def _is_watchable(self, fd: Any) -> bool:
        """Whether this network watches `fd`, and not the loop underneath."""
        if isinstance(fd, TransportSocket) or (
            isinstance(fd, int) and fd in self.network.descriptors
        ):
            return True
        return self._simulated(fd) is not None

    def add_reader(self, fd: Any, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Call back whenever a simulated socket, or that of a number, can be read."""
        if not self._is_watchable(fd):
            return super().add_reader(fd, callback, *args)
        sock = self._watched(fd)
        called = self._watch_callback(sock, callback, args)
        sock.watch_reading(Watch(sock.pollable, True, called, self))
        return None

    def remove_reader(self, fd: Any) -> bool:
        """End what `add_reader()` began; return whether it had."""
        if not self._is_watchable(fd):
            return super().remove_reader(fd)
        return self._watched(fd).watch_reading(None)

    def add_writer(self, fd: Any, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Call back whenever a simulated socket, or that of a number, can be written."""
        if not self._is_watchable(fd):
            return super().add_writer(fd, callback, *args)
        sock = self._watched(fd)
        called = self._watch_callback(sock, callback, args)
        sock.watch_writing(Watch(sock.pollable, False, called, self))
        return None

    def remove_writer(self, fd: Any) -> bool:
        """End what `add_writer()` began; return whether it had."""
        if not self._is_watchable(fd):
            return super().remove_writer(fd)
        return self._watched(fd).watch_writing(None)

    def _watch_callback(
        self, sock: Watched, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Callable[[], object]:
        """Return the callback of a watch on a socket: a subclass can observe each call."""
        return functools.partial(callback, *args)

    async def _wait_readable(self, sock: Socket) -> None:
        future: asyncio.Future[None] = self.create_future()
        watched = self._watched(sock)
        watched.watch_reading(Watch(watched.pollable, True, lambda: _set(future), self))
        try:
            await future
        finally:
            watched.watch_reading(None)

    async def _wait_writable(self, sock: Socket) -> None:
        future: asyncio.Future[None] = self.create_future()
        watched = self._watched(sock)
        watched.watch_writing(Watch(watched.pollable, False, lambda: _set(future), self))
        try:
            await future
        finally:
            watched.watch_writing(None)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
