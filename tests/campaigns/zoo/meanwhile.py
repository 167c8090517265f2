"""Faults that show when a call meets something else: another call, connection, end or type."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from ..lookalikes.plain import Store
from . import upgraded
from .sound import Protocol, StreamReader, StreamWriter, twin
from .specimen import specimen

# Connections side by side.


class SharingStore(Store):
    """A store that shares with all others what it has searched."""

    shared: ClassVar[dict[bytes, int]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._searched = self.shared


@specimen(
    "Up to where a separator was looked for is one note for all readers.",
    "readuntil.separator.changes",
    basic=True,
    seen="a hang",
)
class SearchesForAll(StreamReader):
    store = SharingStore


@specimen(
    "The limit of the reader that was made last is that of all readers.",
    "reader.by-hand.limit-and-loop",
    basic=True,
    seen="LimitOverrunError: the separator comes too late",
)
class HasTheLastLimit(StreamReader):
    def __init__(self, limit: int = 2**16, loop: Any = None) -> None:
        super().__init__(limit, loop)
        del self._limit
        HasTheLastLimit.broken._limit = limit  # type: ignore[attr-defined]  # of the class


@specimen(
    "All connections have one list of waiting drains, which go on when one of them has room.",
    "drain.waits",
    basic=True,
    seen="it returned None",
)
class DrainsForAll(StreamWriter):
    waiting: ClassVar[list[asyncio.Future[None]]] = []

    async def drain(self) -> None:
        protocol = self._protocol
        if not protocol.is_full or protocol.is_lost or self.is_closing():
            await super().drain()
            return
        protocol.resume_writing = lambda: self.go_on(protocol)  # type: ignore[method-assign]
        future = self._loop.create_future()
        self.waiting.append(future)
        await future

    def go_on(self, protocol: Any) -> None:
        """Let all drains return."""
        type(protocol).resume_writing(protocol)
        while self.waiting:
            future = self.waiting.pop()
            if not future.done() and not future.get_loop().is_closed():
                future.set_result(None)


# State that lasts.


@specimen(
    "The pattern of each separator is kept.",
    "costs.memory.calls",
    basic=True,
    seen="KiB more in use",
)
class KeepsPatterns(StreamReader):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.patterns: dict[bytes, Any] = {}

    def _found(self, separators: list[bytes]) -> tuple[int, int] | None:
        for each in separators:
            if each not in self.patterns:
                self.patterns[each] = (re.compile(re.escape(each)), bytearray(200))
        return super()._found(separators)


@specimen(
    "LimitOverrunError.consumed leaves room for the longest separator that was ever looked for.",
    "readuntil.limit.consumed-without-separator",
    basic=True,
    seen="consumed 24",
)
class RemembersLongSeparators(StreamReader):
    longest = 1

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            if isinstance(separator, bytes):
                self.longest = max(self.longest, len(separator))
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError as error:
            if isinstance(separator, bytes) and self._found([separator]) is None:
                error.consumed = max(1, len(self._received) - self.longest + 1)
            raise


@specimen(
    "Each readline() that is cancelled lowers the limit by a byte.",
    "reader.by-hand.limit-and-loop",
    basic=True,
    seen="ValueError: the separator comes too late",
)
class LowersTheLimit(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await super().readline()
        except asyncio.CancelledError:
            self._limit = max(1, self._limit - 1)
            raise


@specimen(
    "All readexactly() that find nothing left raise one exception object.",
    "reader.reset.own-exception",
    basic=True,
    seen="one that several raised",
)
class RaisesOneError(StreamReader):
    error: asyncio.IncompleteReadError | None = None

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            self.error = self.error or error
            self.error.expected = n
            raise self.error from None


@specimen(
    "drain() of a connection that is lost raises the exception object itself.",
    "drain.reset.own-exception",
    basic=True,
    seen="one ConnectionResetError raised by both",
)
class RaisesTheReadersError(StreamWriter):
    async def drain(self) -> None:
        if error := self._protocol.reader.exception():
            raise error
        await super().drain()


@specimen(
    "Exceptions are made again from their class and arguments, and lack other attributes.",
    "reader.by-hand.set-exception",
    basic=True,
    seen="an attribute that the program set, and its note: (None, None)",
    replaces=twin,
)
def makes_errors_again(error: BaseException) -> BaseException:
    try:
        like = type(error)(*error.args)
    except Exception:
        return error
    if like.args != error.args:
        return error
    like.__context__ = error.__context__
    like.__cause__, like.__suppress_context__ = error.__cause__, error.__suppress_context__
    return like


# Flow control of a slow program.


@specimen(
    "Flow control counts the bytes that have come since the last read.",
    "reader.flow.peer-is-held-back",
    "reader.by-hand.transport",
    basic=True,
    seen={"reader.by-hand.transport": "False"},
)
class CountsFromTheLastRead(StreamReader):
    count = 0

    def feed_data(self, data: Any) -> None:
        self.count += len(data)
        super().feed_data(data)

    def _hold_back(self) -> None:
        if self.count > 2 * self._limit:
            super()._hold_back()

    async def _got(self, attempt: Callable[[], bytes | None]) -> bytes:
        data = await super()._got(attempt)
        self.count = 0
        self._let_go_on()
        return data


@specimen(
    "Each read resumes the transport, however much is left.",
    "reader.flow.peer-is-held-back",
    "reader.by-hand.transport",
    basic=True,
    seen={"reader.by-hand.transport": "False"},
)
class ResumesAtEachRead(StreamReader):
    async def _got(self, attempt: Callable[[], bytes | None]) -> bytes:
        data = await super()._got(attempt)
        self._let_go_on()
        return data


# Types.


@specimen(
    "readuntil() takes no separator of a class derived from bytes.",
    "readuntil.returns-through-separator",
    "readuntil.tuple.any-of-them",
    basic=True,
    seen="TypeError: bytes are needed",
)
class TakesSeparatorsByTheClassItself(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        several = separator if isinstance(separator, tuple) else (separator,)
        if any(type(each) not in (bytes, bytearray) for each in several):
            raise TypeError("bytes are needed")
        return await super().readuntil(separator)


@specimen(
    "feed_data() takes as many bytes of a memoryview as it has items.",
    "reader.by-hand.feed-data.bytes-like",
    basic=True,
    seen="b'ab'",
)
class CountsItemsThatAreFed(StreamReader):
    def feed_data(self, data: Any) -> None:
        super().feed_data(bytes(data)[: len(data)])


@specimen(
    "A memoryview that is written while much is unsent is kept as it is, until there is room.",
    "write.bytearray.later-changes",
    basic=True,
    seen="BufferError: Existing exports of data",
)
class KeepsViews(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, memoryview) and self._protocol.is_full and not self.is_closing():
            self._loop.call_soon(super().write, data[:])
        else:
            super().write(data)


@specimen(
    "A timeout of start_tls() is a number of milliseconds that has 32 bits.",
    "start_tls.handshake-timeout",
    basic=True,
    seen="OverflowError: too long",
)
class CountsMilliseconds(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            if (options.get(name) or 0) * 1000 >= 2**31:
                raise OverflowError("too long")
        await super().start_tls(*arguments, **options)


# Reads.


@specimen(
    "read(0) is refused while another read waits.",
    "read.zero.does-not-wait",
    basic=True,
    seen="RuntimeError: another read is waiting already",
)
class RefusesNothingMeanwhile(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        self._refuse()
        return await super().read(n)


@specimen(
    "A read begins when it is called, and not when it is awaited.",
    "async.returns-a-coroutine",
    basic=True,
    seen="RuntimeError: another read is waiting already",
)
class BeginsWhenCalled(StreamReader):
    has_begun = False

    def readexactly(self, n: int) -> Any:
        self.has_begun = True
        return self.go_on(super().readexactly(n))

    async def go_on(self, reading: Awaitable[bytes]) -> bytes:
        """Go on with a read that has begun."""
        self.has_begun = False
        return await reading

    def _refuse(self) -> None:
        if self.has_begun:
            raise RuntimeError("another read is waiting already")
        super()._refuse()


@specimen(
    "When the stream has ended, what has no separator is not measured against the limit.",
    "readuntil.limit.exceeded-without-separator",
    "readline.limit.exceeded-without-newline",
    basic=True,
    seen={"readline.limit.exceeded-without-newline": "returned"},
)
class MeasuresNoRest(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError:
            if self._is_over() and separator not in bytes(self._received._bytes):
                rest = self._received.take(len(self._received))
                raise asyncio.IncompleteReadError(rest, None) from None
            raise


@specimen(
    "A reader that has got an error is never at EOF.",
    "reader.feed-eof.at-eof",
    basic=True,
    seen="at_eof() after feed_eof() and set_exception(): False",
)
class ForgetsTheEndForAnError(StreamReader):
    def at_eof(self) -> bool:
        return super().at_eof() and self._error is None


@specimen(
    "Its own close() makes a waiting read drop the part that it has got.",
    "close.ends-reads",
    basic=True,
    seen="b''",
)
class LosesPartsAtClose(StreamReader):
    def let_close(self) -> None:
        if self._readers:
            self._received.take(len(self._received))
        super().let_close()


@specimen(
    "abort() makes a waiting read drop the part that it has got.",
    "transport.abort.ends-reads",
    basic=True,
    seen="b''",
)
class LosesPartsAtAbort(Protocol):
    def connection_lost(self, error: Exception | None) -> None:
        if self.reader._readers and error is None:
            self.reader._received.take(len(self.reader._received))
        super().connection_lost(error)


@specimen(
    "write_eof() ends a read that waits.",
    "write_eof.reading-goes-on",
    basic=True,
    seen="it returned b''",
)
class EndsReadsWithItsEof(StreamWriter):
    def write_eof(self) -> None:
        super().write_eof()
        reader = self._protocol.reader
        reader._ended = True
        reader._readers.wake()
        self._loop.call_soon(self._loop.call_soon, setattr, reader, "_ended", False)


# drain(), wait_closed() and the ends of a stream.


@specimen(
    "The peer's half-close ends the drains that wait.",
    "drain.waits",
    basic=True,
    seen="it returned None",
)
class EndsDrainsWithThePeersEof(Protocol):
    def eof_received(self) -> bool:
        stays = super().eof_received()
        if self.is_full:
            self.resume_writing()
            self.loop.call_soon(self.loop.call_soon, self.pause_writing)
        return stays


@specimen(
    "A wait_closed() that waits returns when the peer half-closes.",
    "wait_closed.waits-while-open",
    basic=True,
    seen="it returned None",
)
class IsClosedByThePeersEof(StreamWriter):
    async def wait_closed(self) -> None:
        protocol = self._protocol
        if not protocol.is_lost:
            received = protocol.eof_received

            def eof_received() -> bool:
                protocol.end.wake()
                return received()

            protocol.eof_received = eof_received  # type: ignore[method-assign]
            await protocol.end.wait()
        if protocol.error is not None:
            raise twin(protocol.error)


@specimen(
    "write() sends nothing once wait_closed() was called.",
    "wait_closed.waits-while-open",
    basic=True,
    seen="a hang",
)
class WritesNothingMeanwhile(StreamWriter):
    waits = False

    async def wait_closed(self) -> None:
        self.waits = True
        await super().wait_closed()

    def write(self, data: Any) -> None:
        if not self.waits:
            super().write(data)


@specimen(
    "write_eof() that is not supported raises, and no more can be written.",
    "can_write_eof.false.raises",
    basic=True,
    seen="RuntimeError: write() after write_eof()",
)
class EndsWhatCannotHalfClose(StreamWriter):
    def write_eof(self) -> None:
        self._has_written_eof, had = True, self._has_written_eof
        if self.can_write_eof():
            self._has_written_eof = had
        super().write_eof()


class Forgives(Protocol):
    """A protocol that takes a reset for an end in order, in some states."""

    def forgives(self) -> bool:
        """Return whether it does so now."""
        raise NotImplementedError

    def connection_lost(self, error: Exception | None) -> None:
        is_reset = isinstance(error, ConnectionError)
        super().connection_lost(None if is_reset and self.forgives() else error)


@specimen(
    "A reset after the peer's EOF is an end in order.",
    "wait_closed.after-reset.raises",
    basic=True,
    seen="None returned",
)
class ForgivesAfterThePeersEof(Forgives):
    def forgives(self) -> bool:
        return self.reader.ended()


@specimen(
    "A reset after close() is an end in order, even if bytes are unsent.",
    "wait_closed.after-reset.raises",
    basic=True,
    seen="None returned",
)
class ForgivesAfterClose(Forgives):
    def forgives(self) -> bool:
        return bool(self.transport.is_closing() and self.has_closed)

    has_closed = False

    def close(self) -> None:
        self.has_closed = True
        super().close()


@specimen(
    "can_write_eof() raises when the connection has ended.",
    "is_closing.returns-bool",
    basic=True,
    seen="RuntimeError: the connection has ended",
)
class CannotTellAtTheEnd(StreamWriter):
    def can_write_eof(self) -> bool:
        if self._protocol.is_lost:
            raise RuntimeError("the connection has ended")
        return super().can_write_eof()


@specimen(
    "get_extra_info() ignores its default when the connection has ended.",
    "get_extra_info.default",
    basic=True,
    seen="None",
)
class DropsTheDefaultAtTheEnd(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return super().get_extra_info(name, None if self._protocol.is_lost else default)


# Upgraded connections.


@specimen(
    "A read(n) that is cancelled on an upgraded connection takes the bytes that come next.",
    "read.n.cancelled-loses-nothing",
    basic=True,
)
class TakesAfterCancellingWhenUpgraded(upgraded.Reader):
    async def read(self, n: int = -1) -> bytes:
        reading = super().read(n)
        return await (
            asyncio.shield(asyncio.ensure_future(reading)) if self.is_upgraded else reading
        )


@specimen(
    "wait_closed() of an upgraded connection hides the error of a reset.",
    "wait_closed.after-reset.raises",
    basic=True,
    seen="None returned",
)
class HidesErrorsWhenUpgraded(upgraded.Writer):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except ConnectionError:
            if not self.is_upgraded:
                raise


@specimen(
    "drain() goes on 10 ms later on an upgraded connection.",
    "costs.delays",
    basic=True,
    seen="seconds passed: 0.01",
)
class RestsAfterUpgradedDrains(upgraded.Writer):
    async def drain(self) -> None:
        has_waited = self._protocol.is_full
        await super().drain()
        if has_waited and self.is_upgraded:
            await asyncio.sleep(0.01)
