"""The server objects of the simulated network."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import ssl
import sys
from collections.abc import Callable
from typing import Any

from fakes._asyncio.in_order import WeakInOrder
from fakes._asyncio.tls import TLSTimeouts, wrap
from fakes._asyncio.transport import SocketTransport
from fakes._asyncio.transport_socket import TransportSocket
from fakes._kernel.readiness import Watch
from fakes._kernel.stream_socket import StreamSocket
from fakes._public import public


@public
class Server(asyncio.AbstractServer):
    """The server that `create_server()` and `create_unix_server()` return.

    It has the methods of `asyncio.Server` of Python 3.15 on every Python. Each method behaves as on
    the running Python, so that a test does not fail if the program works.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: list[StreamSocket],
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sslcontext: ssl.SSLContext | None,
        backlog: int,
        timeouts: TLSTimeouts,
        cleanup_path: bool = False,
    ) -> None:
        self._loop = loop
        self._sockets: list[StreamSocket] | None = sockets
        self._protocol_factory = protocol_factory
        self._sslcontext = sslcontext
        self._backlog = backlog
        self._timeouts = timeouts
        self._cleanup_path = cleanup_path
        self._serving = False
        self._serving_forever: asyncio.Future[None] | None = None
        self._clients: WeakInOrder[asyncio.Transport] = WeakInOrder()
        self._waiters: list[asyncio.Future[None]] | None = []
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        """Show the sockets that it listens on."""
        return f"<fakes.Server sockets={self.sockets!r}>"

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """The sockets that the server listens on; empty when it is closed."""
        return tuple(TransportSocket(sock) for sock in self._sockets or ())

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the server."""
        return self._loop

    def is_serving(self) -> bool:
        """Return whether new connections are accepted."""
        return self._serving

    async def start_serving(self) -> None:
        """Accept connections from now on; idempotent.

        Raises:
            TypeError: when closed.
        """
        self._start_serving()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Accept connections until cancelled, then close the server, from 3.13 on its connections.

        Raises:
            RuntimeError: the server is closed, or served by another call.
        """
        if self._serving_forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._start_serving()
        self._serving_forever = self._loop.create_future()
        try:
            await self._serving_forever
        except asyncio.CancelledError:
            self.close()
            if sys.version_info >= (3, 13):
                self.close_clients()
            await self.wait_closed()
            raise
        finally:
            self._serving_forever = None

    def close(self) -> None:
        """Stop listening; connections stay open. Idempotent."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        for sock in sockets:
            if self._cleanup_path:
                sock.unlink()
            sock.close()
        self._serving = False
        if self._serving_forever is not None and not self._serving_forever.done():
            self._serving_forever.cancel()
            self._serving_forever = None
        self._wake_if_done()

    def close_clients(self) -> None:
        """Call `close()` on the transports of all connections."""
        for transport in list(self._clients):
            transport.close()

    def abort_clients(self) -> None:
        """Call `abort()` on the transports of all connections."""
        for transport in list(self._clients):
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its last connection has ended.

        On Python 3.11 it does not wait for the connections if the server is closed already, as
        asyncio's does not.
        """
        at_once = sys.version_info < (3, 12) and self._sockets is None
        if self._waiters is not None and not at_once:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    # --- connections --------------------------------------------------------------------------

    def _attach(self, transport: asyncio.Transport) -> None:
        self._clients.add(transport)

    def _detach(self, transport: asyncio.Transport) -> None:
        self._clients.discard(transport)
        self._wake_if_done()

    def _wake_if_done(self) -> None:
        if self._sockets is None and not self._clients and self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _start_serving(self) -> None:
        if self._serving:
            return
        self._serving = True
        for sock in self._sockets:  # type: ignore[union-attr]  # closed: a TypeError, as asyncio's
            sock.listen(self._backlog)
            listener = sock.listener
            assert listener is not None
            listener.reader = Watch(
                listener, True, functools.partial(self._accept, sock), self._loop, self._context
            )
            listener.check_readable()

    def _accept(self, sock: StreamSocket) -> None:
        for _ in range(self._backlog + 1):
            try:
                conn, peername = sock.accept()
            except BlockingIOError:
                return
            context = self._context.copy()
            self._loop.call_soon(self._accepted, conn, peername, context, context=context)

    def _accepted(self, conn: StreamSocket, peername: Any, context: contextvars.Context) -> None:
        protocol: asyncio.BaseProtocol | None = None
        try:
            protocol = self._protocol_factory()
            if self._sslcontext is None:
                SocketTransport(
                    self._loop, conn, protocol, peername=peername, server=self, context=context
                )
                return
            waiter = self._loop.create_future()
            tls = wrap(
                self._loop,
                protocol,
                self._sslcontext,
                waiter,
                server_side=True,
                timeouts=self._timeouts,
            )
            transport = SocketTransport(
                self._loop, conn, tls, peername=peername, server=self, context=context
            )
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            conn.close()
            self._report(exc, protocol)
            return

        def handshake_done(waiter: asyncio.Future[None]) -> None:
            if not waiter.cancelled() and (exc := waiter.exception()) is not None:
                transport.close()
                self._report(exc, protocol, transport)

        waiter.add_done_callback(handshake_done)

    def _report(
        self,
        exc: BaseException,
        protocol: asyncio.BaseProtocol | None,
        transport: asyncio.Transport | None = None,
    ) -> None:
        # As in asyncio: errors before a connection exists are reported only in debug mode.
        if self._loop.get_debug():
            details = {"protocol": protocol, "transport": transport}
            self._loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": exc,
                    **{key: value for key, value in details.items() if value is not None},
                }
            )
