"""Faults that were reported of real implementations."""

import asyncio
import contextvars
import socket
from collections.abc import Callable
from typing import Any

from reference_impl import StreamReaderProtocol, _compat, _tls
from reference_impl._acceptor import Acceptor
from reference_impl._server import Server, _ClientProtocol

from .sound import (
    Protocol,
    StreamWriter,
    open_connection,
    open_unix_connection,
)
from .sound import (
    Server as PlainServer,
)
from .specimen import specimen

# Accepting.

_lost: list[socket.socket] = []


@specimen(
    "A connection that was accepted when the server is closed is neither served nor ended.",
    "server.close.client-under-way",
    seen="a hang",
)
class LosesTheLastAccepted(Server):
    def _accepted(self, connection: socket.socket) -> None:
        self._loop.call_soon(self._accepted_a_turn_ago, connection)

    def _accepted_a_turn_ago(self, connection: socket.socket) -> None:
        if self._closed:
            _lost.append(connection)
        else:
            super()._accepted(connection)


@specimen(
    "close_clients() and abort_clients() miss a connection that was accepted a moment ago.",
    "server.close-clients.under-way",
    "server.serve-forever.cancelled.under-way",
    seen={
        "server.close-clients.under-way": "a hang",
        "server.serve-forever.cancelled.under-way": "a hang",
    },
)
class ForgetsTheLastAccepted(_ClientProtocol):
    def _end(self, *, abort: bool = False) -> None:
        if self._connected:
            super()._end(abort=abort)


@specimen(
    "close_clients() and abort_clients() miss a connection in its handshake.",
    "server.close-clients.under-way",
    "server.serve-forever.cancelled.under-way",
)
class ForgetsHandshakes(_ClientProtocol):
    def _end(self, *, abort: bool = False) -> None:
        shaking = self._server._tls and self._transport.get_extra_info("ssl_object") is None
        if not self._connected or not shaking:
            super()._end(abort=abort)


@specimen(
    "A start_server() that is cancelled in its last turn goes on listening.",
    "serving.cancelled.at-any-moment",
    "unix.serve.cancelled.at-any-moment",
    seen={
        "serving.cancelled.at-any-moment": "a connection",
        "unix.serve.cancelled.at-any-moment": "a connection",
    },
)
class ListensWithoutAnOwner(Server):
    async def _begin(
        self, listener: Any, cleanup: Callable[[], None] | None, **serving: Any
    ) -> Server:
        server = await super()._begin(listener, cleanup, **serving)
        await asyncio.sleep(0)
        return server


@specimen(
    "Each failed handshake is reported.",
    "serving.ssl.failed-handshake-reports-nothing",
    seen="reported of a client that did",
)
class ReportsFailedHandshakes(_ClientProtocol):
    async def _secure(self, handler: Any, tls: dict[str, Any]) -> None:
        try:
            await _tls.upgrade(
                self._loop, self._transport, self, self._stream_reader, server_side=True, **tls
            )
        except OSError as error:
            self._loop.call_exception_handler({"message": "it failed", "exception": error})
        else:
            StreamReaderProtocol._reference_serve(self, handler)


@specimen(
    "All plain callbacks are called in one context.",
    "handlers.plain.context",
    seen="what the calls see: ['nothing', 'what one",
)
class SharesAContext(PlainServer):
    shared = contextvars.copy_context()

    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        if asyncio.iscoroutinefunction(callback):
            return callback(reader, writer)
        return self.shared.run(callback, reader, writer)


# Descriptors.


@specimen(
    "A server without descriptors tries again immediately, and reports each failure.",
    "serving.descriptors.reported-once",
    seen="49 reports",
)
class KeepsTrying(Acceptor):
    def _wait(self, error: OSError) -> None:
        self._loop.call_exception_handler({"message": "no descriptors", "exception": error})


@specimen(
    "A server that once had no descriptors serves nobody afterwards.",
    "serving.descriptors.served-again",
    seen="a hang",
)
class GivesUp(Acceptor):
    def _wait(self, error: OSError) -> None:
        self._loop.remove_reader(self._sock)


@specimen(
    "A server without descriptors tries again even after it is closed.",
    "serving.descriptors.closed",
    seen="reported when it was closed: ['Exception",
)
class TriesAgainWhenClosed(Acceptor):
    def stop(self) -> None:
        self._retry = None
        super().stop()


# Connecting.


@specimen(
    "A Unix socket whose server has no room is taken for a connection.",
    "unix.open.backlog-full",
    replaces=_compat.create_unix_connection,
    seen="OSError: [Errno 22] Invalid argument",
)
async def takes_any_socket_for_connected(
    loop: asyncio.AbstractEventLoop, make: Callable[[], Any], path: Any, **kwds: Any
) -> Any:
    ends = make()
    transport, _ = await loop.create_unix_connection(lambda: ends[1], path, **kwds)
    return transport, ends


@specimen(
    "happy_eyeballs_delay assumes that a new task has not begun.",
    "connecting.happy-eyeballs.eager-tasks",
    replaces=open_connection,
    seen="AssertionError",
)
async def connects_in_a_lazy_task(host: Any = None, port: Any = None, **options: Any) -> Any:
    begun = False

    async def connect() -> Any:
        nonlocal begun
        begun = True
        return await open_connection(host, port, **options)

    if options.get("happy_eyeballs_delay") is None:
        return await connect()
    task = asyncio.get_running_loop().create_task(connect())
    assert not begun
    return await task


@specimen(
    "open_connection() waits for an hour when the peer leaves in the handshake.",
    "connecting.ssl.peer-leaves",
    replaces=open_connection,
    seen="ended when the peer had left: False",
)
async def waits_for_the_peer_to_come_back(
    host: Any = None, port: Any = None, **options: Any
) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ConnectionResetError:
        await asyncio.sleep(3600)
        raise


@specimen(
    "open_unix_connection() waits for an hour when the peer leaves in the handshake.",
    "unix.open.ssl.peer-leaves",
    replaces=open_unix_connection,
    seen="a hang",
)
async def waits_for_the_unix_peer_to_come_back(path: Any = None, **options: Any) -> Any:
    try:
        return await open_unix_connection(path, **options)
    except ConnectionResetError:
        await asyncio.sleep(3600)
        raise


# The end of a connection.


@specimen(
    "Only a ConnectionError is an error: a connection lost with another one ended normally.",
    "reader.lost.other-errors",
    "tls.fatal-alert",
    seen={"reader.lost.other-errors": "b'' returned", "tls.fatal-alert": "b'' returned"},
)
class TakesOtherErrorsForTheEnd(Protocol):
    def connection_lost(self, exc: Any) -> None:
        super().connection_lost(exc if isinstance(exc, ConnectionError) else None)


@specimen(
    "write_eof() raises if the peer's reset has arrived and the loop has not noticed it.",
    "write_eof.after-reset.not-noticed",
    seen="OSError: [Errno 107] Transport endpoint",
)
class TellsOfAResetThatNobodyNoticed(StreamWriter):
    def write_eof(self) -> None:
        if self._protocol.transport.is_closing():
            super().write_eof()
        else:
            self._protocol.transport.write_eof()


@specimen(
    "write_eof() on a closed connection raises RuntimeError.",
    "write_eof.after-close",
    seen="RuntimeError: it is closed",
)
class NothingEndsTwice(StreamWriter):
    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()

    def write_eof(self) -> None:
        if self.closed:
            raise RuntimeError("it is closed")
        super().write_eof()


@specimen(
    "start_tls() returns as if it had succeeded when this side ends the connection meanwhile.",
    "start_tls.own-end",
    seen="None returned",
)
class ReturnsFromItsOwnEnd(StreamWriter):
    upgrading = False

    def close(self) -> None:
        self.upgrading = False
        super().close()

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        self.upgrading = True
        try:
            await super().start_tls(*arguments, **options)
        except ConnectionResetError:
            if self.upgrading:
                raise
