"""`Server`: the result of `start_server()`, the same on every loop and every Python."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

from . import _tls
from ._acceptor import Acceptor
from ._protocol import ClientConnected, ReceivingProtocol
from ._reader import StreamReader
from ._waiters import Waiters, wake

# Servers that listen. uvloop's listeners on Unix sockets are closed when nobody refers to them.
_listening: set[Server] = set()

# Connections under way. Loops refer to their tasks only weakly.
_connecting: set[asyncio.Task[Any]] = set()


class Server(asyncio.Server):
    """A listening server and its connections (asyncio-eventloop, "Server objects", 3.15).

    It is an `asyncio.Server` by type, as the streams page says, and stands on the loop's own
    server, which need not be one. Private attributes that it lacks are those of the loop's.

    It is an asynchronous context manager that closes the server at the end and waits for it.
    """

    def __init__(
        self,
        client_connected_cb: ClientConnected,
        limit: int,
        loop: asyncio.AbstractEventLoop,
        tls: dict[str, Any] | None,
    ) -> None:
        """Prepare to serve each client with *client_connected_cb*; see `start_server()`.

        *tls* are the arguments of the handshake, if the server speaks TLS.
        """
        self._client_connected_cb = client_connected_cb
        # A coroutine function runs in its task, which has a context of its own.
        self._needs_context = not inspect.iscoroutinefunction(client_connected_cb)
        self._limit = limit
        self._loop = loop
        self._tls = tls
        self._connections: set[_ClientProtocol] = set()  # also those that are not made yet
        self._closed = False
        self._waiting = Waiters()  # waits until the clients of a closed server are gone
        self._serving_forever_fut: asyncio.Future[None] | None = None
        self._protocol = _Factory(self)
        self._listener: Any
        self._backlog: int
        self._accepts = False  # itself, and not through the loop's server
        self._accepting = False
        # The loop holds them. If the server held them too, and nobody closed it, only a garbage
        # collection would free it and its port with its loop.
        self._acceptors: WeakSet[Acceptor] = WeakSet()
        self._cleanup: Callable[[], None] | None

    async def _begin(
        self,
        listener: Any,
        cleanup: Callable[[], None] | None,
        *,
        backlog: int = 100,
        start_serving: bool = True,
    ) -> Server:
        """Take the loop's server, which does not serve yet; call *cleanup* when it closes."""
        self._listener = listener
        self._cleanup = cleanup
        self._backlog = backlog
        # asyncio's proactor loop cannot watch whether a socket is readable.
        if isinstance(listener, asyncio.Server) and isinstance(
            self._loop, asyncio.SelectorEventLoop
        ):
            self._accepts = True
            self._protocol.server = None  # as with the acceptors
        else:
            _listening.difference_update([one for one in _listening if one._loop.is_closed()])
            _listening.add(self)
        if start_serving:
            try:
                await self.start_serving()
            except BaseException:
                self.close()  # a caller that is cancelled here gets no server to close
                raise
        return self

    def _accepted(self, connection: socket.socket) -> None:
        """Make a client of an accepted connection."""
        client = _ClientProtocol(self)
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(lambda: client, connection)
        )
        _connecting.add(task)
        task.add_done_callback(partial(client._taken, connection))

    def __getattr__(self, name: str) -> Any:
        """Return the private attribute *name* of the loop's server."""
        if not name.startswith("_") or name == "_listener":
            raise AttributeError(name)
        return getattr(self._listener, name)

    def _start_serving(self) -> None:
        if self._accepts:
            self._accept()
        else:
            self._listener._start_serving()

    def _accept(self) -> None:
        if not self._accepting:
            self._accepting = True
            for sock in self._listener.sockets:
                acceptor = Acceptor(self._loop, sock, self._backlog, self._accepted)
                acceptor.start()
                self._acceptors.add(acceptor)

    def __repr__(self) -> str:
        """Show the listening sockets."""
        return f"<{type(self).__name__} sockets={self.sockets!r}>"

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets; none once closed."""
        return () if self._closed else tuple(self._listener.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Return whether new connections are accepted."""
        return not self._closed and bool(self._accepting or self._listener.is_serving())

    async def start_serving(self) -> None:
        """Start accepting connections, if that has not begun.

        Raises:
            RuntimeError: the server is closed.
        """
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        if self._accepts:
            self._accept()
        else:
            await self._listener.start_serving()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled, then close the server and its connections.

        Raises:
            RuntimeError: the server is closed, or another task is in here.
            asyncio.CancelledError: also when the server is closed by `close()`, which leaves the
                connections open.
        """
        if self._serving_forever_fut is not None and not self._closed:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        self._serving_forever_fut = self._loop.create_future()
        try:
            await self.start_serving()  # may take a turn, in which it can be cancelled
            await self._serving_forever_fut
        finally:
            if not self._closed:
                # A user who interrupts a program does not want to wait for its clients.
                self.close()
                self.close_clients()

    def close(self) -> None:
        """Stop accepting connections; those that there are stay open."""
        if self._closed:
            return  # a file at the path of a Unix socket is no longer this server's
        self._closed = True
        _listening.discard(self)
        if self._cleanup is not None:
            self._cleanup()
        for acceptor in self._acceptors:
            acceptor.stop()
        self._acceptors.clear()
        self._listener.close()
        if self._serving_forever_fut is not None:
            self._serving_forever_fut.cancel()

    def close_clients(self) -> None:
        """Close every connection, as its writer's `close()` would."""
        for client in tuple(self._connections):
            client._end()

    def abort_clients(self) -> None:
        """Close every connection now, without sending the buffered data."""
        for client in tuple(self._connections):
            client._end(abort=True)

    async def wait_closed(self) -> None:
        """Wait until `close()` was called and every connection is closed."""
        await self._listener.wait_closed()
        if self._connections:  # once closed, Python 3.11's and uvloop's do not wait
            await self._waiting.wait(self._loop)


class _Factory:
    """Makes the protocols of the connections that the loop's server accepts.

    Attributes:
        server: the server of the protocols; None if the loop's server accepts none.
    """

    def __init__(self, server: Server) -> None:
        """Make protocols for *server*."""
        self.server: Server | None = server

    def __call__(self) -> _ClientProtocol:
        """Make a protocol."""
        assert self.server is not None
        return _ClientProtocol(self.server)


class _ClientProtocol(ReceivingProtocol):
    """The protocol of a connection that a server accepted."""

    def __init__(self, server: Server) -> None:
        loop = server._loop
        super().__init__(StreamReader(server._limit, loop), server._client_connected_cb, loop)
        self._server = server
        self._unwanted = server._closed  # to be ended as soon as there is a connection
        server._connections.add(self)

    @property
    def _connected(self) -> bool:
        """Whether there is, or was, a connection."""
        return self._transport is not None or self._connection_lost

    def _taken(self, connection: socket.socket, task: asyncio.Task[Any]) -> None:
        """Drop a connection that the loop did not take, because it is gone or the program ends."""
        _connecting.discard(task)
        if not self._connected:
            if not task.cancelled():
                task.exception()
            connection.close()
            self._gone()

    def _reference_serve(self, handler: ClientConnected) -> None:
        server = self._server
        if self._unwanted:
            self._transport.abort()
        elif server._tls is not None:
            self._transport.pause_reading()  # TLS reads the next bytes
            _keep(self._loop.create_task(self._secure(handler, server._tls)))
        elif server._needs_context:
            super()._reference_serve(handler)
        else:
            self._reference_call(handler)

    async def _secure(self, handler: ClientConnected, tls: dict[str, Any]) -> None:
        """Serve when the handshake is done.

        We do the handshake, because a loop's server does not know a connection in the middle of it.
        """
        try:
            await _tls.upgrade(
                self._loop, self._transport, self, self._stream_reader, server_side=True, **tls
            )
        except OSError:
            return  # the client's failure, which is not reported
        super()._reference_serve(handler)

    def _end(self, *, abort: bool = False) -> None:
        """Close the connection, even if it is not made yet."""
        if not self._connected:
            self._unwanted = True
        elif abort:
            self._transport.abort()
        else:
            self._reference_close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone()

    def _gone(self) -> None:
        server = self._server
        server._connections.discard(self)
        if server._waiting and not server._connections:
            wake(server._waiting)


def _keep(task: asyncio.Task[Any]) -> None:
    _connecting.add(task)
    task.add_done_callback(_connecting.discard)
