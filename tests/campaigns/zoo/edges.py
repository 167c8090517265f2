"""Faults at the edges: in what comes after the end, at one size, beside one more argument."""

import asyncio
import ssl
import warnings
from typing import Any

from .sound import (
    Protocol,
    Server,
    StreamReader,
    StreamWriter,
    open_connection,
    start_server,
)
from .specimen import specimen

# After the end.


@specimen(
    "A forgotten writer gives a warning, and drops what is unsent.",
    "write.without-drain",
    basic=True,
)
class DropsWhenForgotten(StreamWriter):
    def __del__(self) -> None:
        if not self.is_closing() and not self._loop.is_closed():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2)
            self.transport.abort()


@specimen(
    "Each call asks the socket for the connection's own address, even after the socket is closed.",
    "get_extra_info.lost",
    seen="OSError: bad file descriptor",
    basic=True,
)
class HasNoAddressWhenClosed(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sockname" and self._protocol.is_lost:
            raise OSError("bad file descriptor")
        return super().get_extra_info(name, default)


@specimen(
    "Each call asks TLS for the certificate, even after the connection is closed.",
    "get_extra_info.lost",
    seen="ValueError: handshake not done yet",
    basic=True,
)
class HasNoCertificateWhenClosed(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peercert" and self.is_closing():
            raise ValueError("handshake not done yet")
        return super().get_extra_info(name, default)


@specimen("The third close() drops what is unsent.", "close.twice", basic=True)
class DropsAtTheThirdClose(StreamWriter):
    times = 0

    def close(self) -> None:
        self.times += 1
        if self.times > 2:
            self.transport.abort()
        else:
            super().close()


@specimen("A second write_eof() drops what is unsent.", "write_eof.twice", basic=True)
class DropsAtTheSecondEof(StreamWriter):
    def write_eof(self) -> None:
        if self._has_written_eof and self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().write_eof()


@specimen("can_write_eof() is False after write_eof().", "can_write_eof.plain", basic=True)
class CannotEndAgain(StreamWriter):
    def can_write_eof(self) -> bool:
        return super().can_write_eof() and not self._has_written_eof

    def write_eof(self) -> None:
        if not self._has_written_eof:
            super().write_eof()


# Separators and limits.


@specimen("A tuple of one separator has no limit.", "readuntil.tuple.one", basic=True)
class HasNoLimitForATuple(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        limit = self._limit
        if isinstance(separator, tuple) and len(separator) == 1:
            self._limit = 2**40
        try:
            return await super().readuntil(separator)
        finally:
            self._limit = limit


@specimen("A bytearray as a separator has no limit.", "readuntil.separator.bytes-like", basic=True)
class HasNoLimitForABytearray(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        limit = self._limit
        if isinstance(separator, bytearray):
            self._limit = 2**40
        try:
            return await super().readuntil(separator)
        finally:
            self._limit = limit


@specimen(
    "Of several separators, none may be a bytearray.", "readuntil.separator.bytes-like", basic=True
)
class TakesNoBytearrayAmongSeveral(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        if isinstance(separator, tuple) and not all(isinstance(each, bytes) for each in separator):
            raise TypeError("a separator must be bytes")
        return await super().readuntil(separator)


class SometimesHoldsBack(StreamReader):
    """A reader that pauses its transport no more, once it `is_lax`."""

    is_lax = False

    def _hold_back(self) -> None:
        if not self.is_lax:
            super()._hold_back()


@specimen(
    "A reader whose limit was exceeded holds nobody back.",
    "reader.flow.peer-is-held-back",
    basic=True,
)
class IsLaxAfterAnOverrun(SometimesHoldsBack):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError:
            self.is_lax = True
            raise


@specimen(
    "A reader holds nobody back after a read that was cancelled.",
    "reader.flow.peer-is-held-back",
    basic=True,
)
class IsLaxAfterACancellation(SometimesHoldsBack):
    async def _wait(self) -> None:
        try:
            await super()._wait()
        except asyncio.CancelledError:
            self.is_lax = True
            raise


@specimen(
    "A reader with a limit above 512 KiB holds nobody back.",
    "reader.flow.peer-is-held-back",
    basic=True,
)
class IsLaxWithALargeLimit(SometimesHoldsBack):
    def feed_data(self, data: Any) -> None:
        self.is_lax = self._limit > 2**19
        super().feed_data(data)


# Sizes and marks.


@specimen("write() of exactly 256 KiB loses a byte.", "write.sends", "write.bytearray", basic=True)
class LosesAByteOfABuffer(StreamWriter):
    def write(self, data: Any) -> None:
        data = bytes(memoryview(data))
        super().write(data[:-1] if len(data) == 2**18 else data)


@specimen(
    "write() of one byte more than a TLS record loses it.",
    "write.sends",
    "write.memoryview",
    basic=True,
)
class LosesTheByteAfterARecord(StreamWriter):
    def write(self, data: Any) -> None:
        data = bytes(memoryview(data))
        super().write(data[:-1] if len(data) == 2**14 + 1 else data)


@specimen(
    "write() of a view into a bytearray sends the bytearray's beginning.",
    "write.memoryview",
    basic=True,
)
class SendsTheBeginning(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, memoryview) and isinstance(data.obj, bytearray):
            data = bytes(data.obj[: data.nbytes])
        super().write(data)


@specimen(
    "drain() waits from nine tenths of the high-water mark on.", "drain.marks.high", basic=True
)
class WaitsBelowTheMark(StreamWriter):
    async def drain(self) -> None:
        _, high = self.transport.get_write_buffer_limits()
        while (
            0 < 0.9 * high < self.transport.get_write_buffer_size() and not self._protocol.is_lost
        ):
            await asyncio.sleep(0.001)
        await super().drain()


@specimen("drain() waits from a tenth above the high-water mark on.", "drain.waits", basic=True)
class WaitsAboveTheMark(StreamWriter):
    async def drain(self) -> None:
        _, high = self.transport.get_write_buffer_limits()
        if self.is_closing() or self.transport.get_write_buffer_size() > 1.1 * high:
            await super().drain()


# Servers whose handlers have returned, or go on.


class KnowsTheServed(Server):
    """A server that knows the connections whose coroutine handlers have returned."""

    def _handled(self, connection: Any, task: "asyncio.Task[Any]") -> None:
        super()._handled(connection, task)
        connection.is_served = True
        self._over.wake()

    def being_served(self) -> list[Any]:
        """Return the other connections."""
        return [each for each in self._connections if not hasattr(each, "is_served")]


@specimen(
    "close_clients() passes over clients whose handlers have returned.",
    "server.close-clients.closes",
    basic=True,
)
class LeavesTheServedOpen(KnowsTheServed):
    def close_clients(self) -> None:
        for each in self.being_served():
            each.close()


@specimen(
    "abort_clients() passes over clients whose handlers have returned.",
    "server.abort-clients.ends-at-once",
    basic=True,
)
class LeavesTheServedAlone(KnowsTheServed):
    def abort_clients(self) -> None:
        for each in self.being_served():
            each.abort()


@specimen(
    "A server's wait_closed() waits for handlers, not for their connections.",
    "server.wait-closed.waits-for-connections",
    basic=True,
)
class WaitsForTheUnserved(KnowsTheServed):
    async def wait_closed(self) -> None:
        while not self._is_closed or self.being_served():
            await self._over.wait()


@specimen(
    "A server's wait_closed() does not wait for connections that are closing.",
    "server.wait-closed.waits-for-connections",
    basic=True,
)
class WaitsForTheOpen(Server):
    async def wait_closed(self) -> None:
        while not self._is_closed or any(
            not each.transport.is_closing() for each in self._connections
        ):
            await self._over.wait()


@specimen(
    "A server's wait_closed() also waits for handlers whose connections have ended.",
    "server.wait-closed.returns",
    basic=True,
)
class WaitsForHandlers(Server):
    async def wait_closed(self) -> None:
        await super().wait_closed()
        while others := self._handlers - {asyncio.current_task()}:
            await asyncio.wait(others)


@specimen("abort_clients() works once.", "server.abort-clients.ends-at-once", basic=True)
class AbortsOnce(Server):
    has_aborted = False

    def abort_clients(self) -> None:
        if not self.has_aborted:
            self.has_aborted = True
            super().abort_clients()


@specimen(
    "abort_clients() cancels the coroutine handlers.",
    "server.close-clients.handlers-go-on",
    seen="cancelled",
    basic=True,
)
class CancelsTheAborted(Server):
    def abort_clients(self) -> None:
        super().abort_clients()
        for each in self._handlers:
            each.cancel()


@specimen(
    "Handlers that fail because of the limit, or of TLS, are not reported: blame the client.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
    basic=True,
)
class BlamesTheClient(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        if isinstance(error, asyncio.LimitOverrunError | ssl.SSLError):
            connection.close()
        else:
            super()._failed(connection, error)


@specimen(
    "A handler that fails, and has left something unread, drops what it wrote.",
    "handlers.coroutine.failure.closes",
    basic=True,
)
class AbortsWhatIsUnread(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        super()._failed(connection, error)
        if len(connection.reader._received):
            connection.abort()


# Waiting.


@specimen("drain() polls after write_eof().", "costs.waiting", basic=True)
class PollsAfterItsEof(StreamWriter):
    async def drain(self) -> None:
        protocol = self._protocol
        while self._has_written_eof and protocol.is_full and not protocol.is_lost:
            await asyncio.sleep(0)
        await super().drain()


@specimen("drain() polls when the peer has half-closed.", "costs.waiting", basic=True)
class PollsAfterThePeersEof(StreamWriter):
    async def drain(self) -> None:
        protocol = self._protocol
        while protocol.reader.ended() and protocol.is_full and not protocol.is_lost:
            await asyncio.sleep(0)
        await super().drain()


@specimen("All drains but the first poll.", "costs.waiting", basic=True)
class PollsBehindTheFirst(StreamWriter):
    waiting = 0

    async def drain(self) -> None:
        self.waiting += 1
        try:
            while self.waiting > 1 and self._protocol.is_full and not self._protocol.is_lost:
                await asyncio.sleep(0)
            await super().drain()
        finally:
            self.waiting -= 1


@specimen("wait_closed() polls once the connection is closing.", "costs.waiting", basic=True)
class PollsForTheEnd(StreamWriter):
    async def wait_closed(self) -> None:
        while self.is_closing() and not self._protocol.is_lost:
            await asyncio.sleep(0)
        await super().wait_closed()


@specimen("A server's wait_closed() polls until close() is called.", "costs.waiting", basic=True)
class PollsForClose(Server):
    async def wait_closed(self) -> None:
        while not self._is_closed:
            await asyncio.sleep(0)
        await super().wait_closed()


@specimen("A read that has got a part polls for the rest.", "costs.waiting", basic=True)
class PollsForTheRest(StreamReader):
    async def _wait(self) -> None:
        if count := len(self._received):
            while len(self._received) == count and not self._ended and self._error is None:
                await asyncio.sleep(0)
        else:
            await super()._wait()


# Tasks and timers left behind.


@specimen(
    "Each connection has a task that ends a minute later.",
    "costs.left-behind",
    seen="sleep",
    basic=True,
)
class LeavesATask(Protocol):
    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.later = self.loop.create_task(asyncio.sleep(60))


@specimen(
    "The timer for the end of a connection is not cancelled when it has ended.",
    "costs.left-behind",
    seen="due in [30",
    basic=True,
)
class LeavesATimer(Protocol):
    def close(self) -> None:
        super().close()
        self.loop.call_later(30, self.abort)


@specimen(
    "The timer for the handshake of start_tls() is not cancelled.",
    "costs.left-behind",
    seen="due in [60",
    basic=True,
)
class LeavesTheHandshakesTimer(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        self._loop.call_later(60, getattr, self, "is_secure", None)
        await super().start_tls(*arguments, **options)


@specimen(
    "The timer of happy_eyeballs_delay is not cancelled.",
    "costs.left-behind",
    seen="due in [10",
    basic=True,
    replaces=open_connection,
)
async def leaves_the_delay(host: Any = None, port: Any = None, **options: Any) -> Any:
    if delay := options.get("happy_eyeballs_delay"):
        asyncio.get_running_loop().call_later(delay, int)
    return await open_connection(host, port, **options)


@specimen(
    "open_connection() leaves a task when the handshake fails.",
    "costs.left-behind",
    seen="sleep",
    basic=True,
    replaces=open_connection,
)
async def leaves_a_task(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError:
        asyncio.get_running_loop().create_task(asyncio.sleep(60))
        raise


@specimen(
    "Half a minute after it was closed, a server aborts the connections that are left.",
    "costs.left-behind",
    seen="due in [30",
    basic=True,
)
class LooksBackAtItsClients(Server):
    def close(self) -> None:
        super().close()
        self._loop.call_later(30, self.abort_clients)


@specimen(
    "A task that watches over serve_forever() outlives it.",
    "costs.left-behind",
    seen="sleep",
    basic=True,
)
class WatchesOverServing(Server):
    async def serve_forever(self) -> None:
        self.watching = self._loop.create_task(asyncio.sleep(3600))
        await super().serve_forever()


@specimen(
    "A start_server() that fails leaves a timer.",
    "costs.left-behind",
    seen="due in [5",
    basic=True,
    replaces=start_server,
)
async def leaves_a_timer_when_refused(*arguments: Any, **options: Any) -> Any:
    try:
        return await start_server(*arguments, **options)
    except OSError:
        asyncio.get_running_loop().call_later(5, int)
        raise


# Errors that are set by hand.


@specimen("A second set_exception() is ignored.", "reader.by-hand.exception", basic=True)
class KeepsTheFirstError(StreamReader):
    def set_exception(self, error: BaseException) -> None:
        if self._error is None:
            super().set_exception(error)


@specimen(
    "Data that arrives after an error takes the error back.",
    "reader.by-hand.set-exception",
    "reader.by-hand.exception",
    basic=True,
)
class TakesTheErrorBack(StreamReader):
    def feed_data(self, data: Any) -> None:
        self._error = None
        super().feed_data(data)


@specimen(
    "IncompleteReadError.partial of readuntil() is no longer than the limit.",
    "readuntil.eof.partial-has-piece-of-separator",
    basic=True,
)
class CutsThePartial(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError as error:
            error.partial = error.partial[: self._limit]
            raise


@specimen("write() refuses subclasses of bytearray.", "write.bytearray", basic=True)
class TakesBytearraysOnly(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, bytearray) and type(data) is not bytearray:
            raise TypeError("a bytearray itself")
        super().write(data)


@specimen(
    "A start_tls() that refuses its arguments drops what is unread.",
    "start_tls.timeouts.refused",
    "start_tls.context.refused",
    basic=True,
)
class DropsWhatIsUnread(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        try:
            await super().start_tls(sslcontext, **options)
        except (TypeError, ValueError):
            self._protocol.reader.take_back()
            raise


@specimen(
    "After write_eof(), abort() waits for what is unsent.", "transport.abort.at-once", basic=True
)
class SendsBeforeItAborts(StreamWriter):
    def write_eof(self) -> None:
        super().write_eof()
        self.transport.abort = self.transport.close


# Beside something else.


@specimen(
    "The peer's half-close ends a connection that has something to send, once it is sent.",
    "write.after-peer-eof",
    basic=True,
)
class EndsWithThePeer(Protocol):
    def eof_received(self) -> bool:
        return super().eof_received() and not self.transport.get_write_buffer_size()


@specimen(
    "Server.sockets is empty only when the last client has left.",
    "server.sockets.none-after-close",
    basic=True,
)
class ListsItsSocketsForClients(Server):
    last: Any = ()

    def close(self) -> None:
        self.last = self.sockets
        super().close()

    @property
    def sockets(self) -> Any:
        return self.last if self._is_closed and self._connections else super().sockets


@specimen("A server's wait_closed() returns three times.", "server.wait-closed.returns", basic=True)
class ReturnsThreeTimes(Server):
    times = 0

    async def wait_closed(self) -> None:
        self.times += 1
        await super().wait_closed()
        if self.times > 3:
            await self._loop.create_future()
