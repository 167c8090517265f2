"""Servers that go wrong with connections in one state, of one socket, or when they are closed."""

import asyncio
import contextvars
import socket
from typing import Any

from .sound import Protocol, Server, StreamWriter
from .specimen import specimen


def is_half(connection: Any) -> bool:
    """Return whether the client has half-closed."""
    return bool(connection.reader.ended()) and not connection.is_tls


@specimen(
    "A client that has half-closed does not count as a connection any more.",
    "server.close-clients.closes",
    basic=True,
)
class ForgetsHalves(Protocol):
    def eof_received(self) -> bool:
        keeps = super().eof_received()
        if self.server is not None and keeps:
            self.server.forget(self)
        return keeps


@specimen(
    "close_clients() passes over clients that have half-closed.",
    "server.close-clients.closes",
    basic=True,
)
class PassesOverHalves(Server):
    def close_clients(self) -> None:
        for each in list(self._connections):
            if not is_half(each):
                each.close()


@specimen(
    "close_clients() passes over clients that back pressure has stopped.",
    "server.close-clients.closes",
    basic=True,
)
class PassesOverHeldBack(Server):
    def close_clients(self) -> None:
        for each in list(self._connections):
            if not each.reader._holding_back:
                each.close()


@specimen(
    "abort_clients() passes over clients that back pressure has stopped.",
    "server.abort-clients.ends-at-once",
    basic=True,
)
class AbortsNoHeldBack(Server):
    def abort_clients(self) -> None:
        for each in list(self._connections):
            if not each.reader._holding_back:
                each.abort()


@specimen(
    "close_clients() passes over IPv6 clients.",
    "server.close-clients.closes",
    basic=True,
)
class PassesOverIPv6(Server):
    def close_clients(self) -> None:
        for each in list(self._connections):
            if each.socket().family != socket.AF_INET6:
                each.close()


class OfItsFirstSocket(Server):
    """A server that knows which clients its first socket accepted."""

    first: Any = None

    def begin(self, accepting: Any, *arguments: Any) -> Server:
        self.first = accepting.sockets[0].getsockname()
        return super().begin(accepting, *arguments)

    def of_the_first(self) -> list[Any]:
        return [
            each
            for each in self._connections
            if each.transport.get_extra_info("sockname") == self.first
        ]


@specimen(
    "close_clients() closes only the connections of the first socket.",
    "server.close-clients.closes",
    basic=True,
)
class ClosesClientsOfTheFirst(OfItsFirstSocket):
    def close_clients(self) -> None:
        for each in self.of_the_first():
            each.close()


@specimen(
    "abort_clients() aborts only the connections of the first socket.",
    "server.abort-clients.ends-at-once",
    basic=True,
)
class AbortsClientsOfTheFirst(OfItsFirstSocket):
    def abort_clients(self) -> None:
        for each in self.of_the_first():
            each.abort()


@specimen(
    "Server.sockets lists only the first socket.",
    "server.sockets.listening",
    basic=True,
)
class ListsTheFirst(Server):
    @property
    def sockets(self) -> Any:
        return tuple(super().sockets)[:1]


@specimen(
    "`async with` does not close the server when it is cancelled.",
    "server.async-with.exception",
    basic=True,
)
class StaysOpenWhenCancelledInside(Server):
    async def __aexit__(self, *exc: Any) -> None:
        if exc[0] is None or issubclass(exc[0], Exception):
            self.close()
            await self.wait_closed()


@specimen(
    "Data that a handler wrote before it failed is dropped.",
    "handlers.coroutine.failure.closes",
    basic=True,
)
class DropsAfterAFailure(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        super()._failed(connection, error)
        connection.abort()


@specimen(
    "Data that a handler wrote before it was cancelled is dropped.",
    "handlers.coroutine.cancelled.closes",
    basic=True,
)
class DropsAfterCancelling(Server):
    def _handled(self, connection: Any, task: "asyncio.Task[Any]") -> None:
        if task.cancelled():
            connection.abort()
        super()._handled(connection, task)


@specimen(
    "Handlers that fail after their server was closed are not reported.",
    "handlers.coroutine.failure.reported-once",
    basic=True,
)
class FailsInSilenceWhenClosed(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        if self._is_closed:
            connection.close()
        else:
            super()._failed(connection, error)


@specimen(
    "wait_closed() of a server that was not started returns.",
    "server.wait-closed.waits-for-close",
    basic=True,
)
class WaitsForStartedOnly(Server):
    async def wait_closed(self) -> None:
        if self._is_closed or self.is_serving():
            await super().wait_closed()


@specimen(
    "A serve_forever() that is refused makes the server forget the first one.",
    "server.serve-forever.ends-on-close",
    basic=True,
)
class ForgetsTheFirstToServe(Server):
    async def serve_forever(self) -> None:
        try:
            await super().serve_forever()
        except RuntimeError:
            self._forever = None
            raise


@specimen(
    "Once the server is closed, a client's half-close ends its connection.",
    "server.close.connections-stay",
    basic=True,
)
class ClosesHalvesWhenClosed(Protocol):
    def eof_received(self) -> bool:
        return super().eof_received() and not (self.server is not None and self.server._is_closed)


@specimen(
    "Once the server is closed, drain() does not wait.",
    "server.close.connections-stay",
    basic=True,
)
class DrainsNothingWhenClosed(StreamWriter):
    async def drain(self) -> None:
        server = self._protocol.server
        if server is None or not server._is_closed:
            await super().drain()


@specimen(
    "Plain callbacks of a TLS server run in a context in which nothing is set.",
    "handlers.context",
    basic=True,
)
class RunsTlsInAnEmptyContext(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        if asyncio.iscoroutinefunction(callback) or not writer._protocol.is_tls:
            return callback(reader, writer)
        return contextvars.Context().run(callback, reader, writer)


@specimen(
    "A TLS server serves three clients at a time, and closes others.",
    "handlers.coroutine.concurrently",
    basic=True,
)
class HasThreeSeatsForTls(Server):
    def run(self, connection: Any, handling: Any) -> None:
        if connection.is_tls and len(self._handlers) > 2:
            handling.close()
            connection.close()
        else:
            super().run(connection, handling)


@specimen(
    "Only the first two clients of a server get its limit.",
    "serving.limit.given",
    "unix.serve.limit.given",
    basic=True,
)
class LimitsTwo(Server):
    count = 0

    def protocol(self) -> Any:
        self.count += 1
        if self.count > 2:
            self.limit = 64 * 1024
        return super().protocol()


@specimen(
    "In debug mode, close() closes the connections, too.",
    "server.loop-modes",
    seen="it returned None",
    basic=True,
)
class ClosesAllInDebugMode(Server):
    def close(self) -> None:
        super().close()
        if self._loop.get_debug():
            self.close_clients()


# Servers that are closed, and connections that are closed in some state.


@specimen(
    "A server that is closed closes the clients that back pressure has stopped.",
    "server.close.connections-stay",
    seen="with much unread: True",
    basic=True,
)
class ClosesTheHeldBack(Server):
    def close(self) -> None:
        super().close()
        for each in [each for each in self._connections if each.reader._holding_back]:
            each.close()


@specimen(
    "A server that is closed closes the clients that have not read everything.",
    "server.close.connections-stay",
    seen="with much unsent: True",
    basic=True,
)
class ClosesTheSlow(Server):
    def close(self) -> None:
        super().close()
        for each in [each for each in self._connections if each.is_full]:
            each.close()


@specimen(
    "close() does nothing while the program has paused the transport.",
    "close.ends-the-stream",
    seen="a hang",
    basic=True,
)
class StaysOpenWhenPaused(Protocol):
    def close(self) -> None:
        if self.transport.is_reading() or self.reader._holding_back:
            super().close()


@specimen(
    "A reset while close() sends the rest is reported to the loop's exception handler.",
    "close.peer-ends.reports-nothing",
    seen="lost after close()",
    basic=True,
)
class ReportsLateResets(Protocol):
    has_closed = False

    def close(self) -> None:
        self.has_closed = True
        super().close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.has_closed and error is not None:
            report = {"message": "lost after close()", "exception": error}
            self.loop.call_exception_handler(report)
        super().connection_lost(error)
