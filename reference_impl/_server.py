"""`Server`: what `start_server()` returns, the same on every loop and every Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ._errors import Waiters
from ._protocol import ClientConnected, StreamReaderProtocol
from ._reader import StreamReader

# Servers that listen. uvloop's listeners on Unix sockets are closed when nobody refers to them.
_listening: set[Server] = set()


class Server(asyncio.AbstractServer):
    """A listening server and its connections (asyncio-eventloop, "Server objects", 3.15).

    It is an asynchronous context manager that closes the server at the end and waits for it.
    """

    def __init__(
        self, client_connected_cb: ClientConnected, limit: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Prepare to serve each client with *client_connected_cb*; see `start_server()`."""
        self._client_connected_cb = client_connected_cb
        self._limit = limit
        self._loop = loop
        self._clients: set[_ClientProtocol] = set()
        self._closed = False
        self._waiting = Waiters(loop)  # for the clients of a closed server to be gone
        self._serving: asyncio.Future[None] | None = None
        self._listener: Any
        self._cleanup: Callable[[], None] | None

    def _listen(self, listener: Any, cleanup: Callable[[], None] | None = None) -> Server:
        """Take the loop's server; call *cleanup* when it closes."""
        self._listener = listener
        self._cleanup = cleanup
        if not isinstance(listener, asyncio.Server):  # asyncio's loops refer to theirs
            _listening.difference_update([one for one in _listening if one._loop.is_closed()])
            _listening.add(self)
        return self

    def _protocol(self) -> _ClientProtocol:
        """Make the protocol of a new connection."""
        return _ClientProtocol(self)

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
        return not self._closed and bool(self._listener.is_serving())

    async def start_serving(self) -> None:
        """Start accepting connections, if that has not begun.

        Raises:
            RuntimeError: the server is closed.

        """
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        await self._listener.start_serving()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled, then close the server and its connections.

        Raises:
            RuntimeError: the server is closed, or another task is in here.
            asyncio.CancelledError: also when the server is closed by `close()`, which leaves the
                connections open.

        """
        await self.start_serving()
        if self._serving is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        self._serving = self._loop.create_future()
        try:
            await self._serving
        finally:
            if not self._closed:
                # Whoever interrupts a program does not want to wait for its clients.
                self.close()
                self.close_clients()

    def close(self) -> None:
        """Stop accepting connections; those that there are stay open."""
        if self._closed:
            return  # whatever is at the path of a Unix socket by now is not this server's
        self._closed = True
        _listening.discard(self)
        if self._cleanup is not None:
            self._cleanup()
        self._listener.close()
        if self._serving is not None:
            self._serving.cancel()

    def close_clients(self) -> None:
        """Close every connection, as its writer's `close()` would."""
        for client in tuple(self._clients):
            client._close()

    def abort_clients(self) -> None:
        """Close every connection now, without sending what was written."""
        for client in tuple(self._clients):
            client._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until `close()` was called and every connection is closed."""
        await self._listener.wait_closed()
        if self._clients:  # once closed, Python 3.11's and uvloop's wait for none
            await self._waiting.add()


class _ClientProtocol(StreamReaderProtocol):
    """The protocol of a connection that a server accepted."""

    def __init__(self, server: Server) -> None:
        loop = server._loop
        super().__init__(StreamReader(server._limit, loop), server._client_connected_cb, loop)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server._clients.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._server._clients.discard(self)
        if not self._server._clients:
            self._server._waiting.wake()
