"""Broken readers as a whole: their ends, iteration, flow control, errors, several tasks."""

import asyncio
import weakref
from collections.abc import Iterator
from typing import Any

from .sound import Protocol, StreamReader, twin
from .specimen import specimen

# at_eof(), feed_eof(), async for.


@specimen(
    "at_eof() is True as soon as the stream has ended, even if bytes are left to read.",
    "reader.at-eof.false-while-bytes-remain",
    "reader.feed-eof.keeps-what-was-fed",
    seen={
        "reader.at-eof.false-while-bytes-remain": "at_eof() with bytes unread: True",
        "reader.feed-eof.keeps-what-was-fed": "at_eof() with bytes unread: True",
    },
)
class AtEofTooEarly(StreamReader):
    def at_eof(self) -> bool:
        return self._ended


@specimen(
    "at_eof() is True whenever there is nothing to read.",
    "reader.at-eof.false-at-first",
    "reader.by-hand.feed-data.nothing",
    seen="at_eof() of a new connection: True",
)
class AtEofWhenEmpty(StreamReader):
    def at_eof(self) -> bool:
        return not len(self._received)


@specimen(
    "at_eof() is True only after a read has met EOF.",
    "reader.feed-eof.at-eof",
    seen="at_eof() after feed_eof(): False",
)
class AtEofTooLate(StreamReader):
    met = False

    async def _wait(self) -> None:
        await super()._wait()
        self.met = self._ended

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.met = self.met or (self._ended and n != 0 and (n < 0 or not data))
        return data

    async def readline(self) -> bytes:
        data = await super().readline()
        self.met = self.met or (self._ended and not data.endswith(b"\n"))
        return data

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError:
            self.met = True
            raise

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError:
            self.met = True
            raise

    def at_eof(self) -> bool:
        return self.met and super().at_eof()


@specimen(
    "A second feed_eof() raises.",
    "reader.feed-eof.twice",
    seen="RuntimeError: feed_eof() was called",
)
class EofOnlyOnce(StreamReader):
    fed = False

    def feed_eof(self) -> None:
        if self._ended and not self._transport:
            raise RuntimeError("feed_eof() was called before")
        super().feed_eof()


@specimen(
    "feed_eof() does not wake the read that waits.",
    "reader.feed-eof.ends-reads",
    basic=True,
    seen="a hang",
)
class EofWakesNobody(StreamReader):
    def feed_eof(self) -> None:
        self._ended = True


@specimen(
    "Bytes that arrive after the program's feed_eof() are an error, as for a reader fed by hand.",
    "reader.feed-eof.late-bytes",
    seen="AssertionError: feed_data after feed_eof",
)
class FeedsAfterEof(Protocol):
    def receive(self, data: Any) -> None:
        if self.reader.ended():
            raise AssertionError("feed_data after feed_eof")
        super().receive(data)


@specimen(
    "`async for` reads the whole stream first, and then yields its lines.",
    "reader.iteration.as-lines-come",
    "reader.iteration.limit",
    "reader.iteration.left-and-resumed",
    seen={
        "reader.iteration.as-lines-come": "a hang",
        "reader.iteration.limit": "ValueError: the separator comes too late",
        "reader.iteration.left-and-resumed": "b''",
    },
)
class IteratesAtTheEnd(StreamReader):
    lines: Iterator[bytes] | None = None

    async def __anext__(self) -> bytes:
        if self.lines is None:
            lines = []
            while line := await self.readline():
                lines.append(line)
            self.lines = iter(lines)
        for line in self.lines:
            return line
        raise StopAsyncIteration


@specimen(
    "EOF throws away the unread data.",
    "reader.closed-in-order.keeps-data",
    basic=True,
    seen="b''",
)
class EndsAtOnce(StreamReader):
    def feed_eof(self) -> None:
        self._received.take(len(self._received))
        super().feed_eof()


@specimen(
    "Data that is unread when the connection ends is thrown away.",
    "reader.own-close.keeps-data",
    seen="b''",
)
class DropsTheUnread(Protocol):
    def connection_lost(self, exc: Exception | None) -> None:
        reader = self.reader
        reader._received.take(len(reader._received))
        super().connection_lost(exc)


# Flow control.


@specimen(
    "A reader that has paused its transport does not resume it until everything is read.",
    "reader.flow.goes-on",
    "readexactly.held-back-peer",
    seen={"reader.flow.goes-on": "a hang", "readexactly.held-back-peer": "a hang"},
    # The kernel's peer, which is gone, answers with a reset.
)
class ResumesWhenEmpty(StreamReader):
    def _let_go_on(self) -> None:
        if not len(self._received):
            super()._let_go_on()


@specimen(
    "A reader that has paused its transport never resumes it.",
    "reader.flow.goes-on",
    seen="a hang",
    # The kernel's peer, which is gone, answers with a reset.
)
class NeverResumes(StreamReader):
    def _let_go_on(self) -> None:
        pass


@specimen(
    "A reader never pauses its transport.",
    "reader.flow.peer-is-held-back",
    "start_tls.peer-is-held-back",
    seen={
        "reader.flow.peer-is-held-back": "it returned None",
        "start_tls.peer-is-held-back": "it returned None",
    },
)
class NeverPauses(StreamReader):
    def _hold_back(self) -> None:
        pass


@specimen(
    "A reader that has paused its TLS transport resumes the transport from before start_tls().",
    "start_tls.reader-flow-control",
    seen="a hang",
)
class ResumesTheOldTransport(StreamReader):
    first: Any = None

    def set_transport(self, transport: Any) -> None:
        super().set_transport(transport)
        self.first = transport

    def _let_go_on(self) -> None:
        if self._holding_back:
            self._holding_back = False
            self.first.resume_reading()


# Errors.


@specimen(
    "The reader takes a reset for EOF.",
    "reader.reset.waiting-read",
    "reader.reset.later-reads",
    "reader.reset.is-not-eof",
    seen={
        "reader.reset.waiting-read": "b'' returned",
        "reader.reset.later-reads": "b'' returned",
        "reader.reset.is-not-eof": "b'abc' returned",
    },
)
class ResetIsEof(StreamReader):
    def set_exception(self, exc: BaseException) -> None:
        if isinstance(exc, ConnectionResetError) and self._transport is not None:
            self.feed_eof()
        else:
            super().set_exception(exc)


@specimen(
    "After an error, every read raises it, even if bytes are left.",
    "reader.reset.received-bytes-first",
    "reader.reset.read-all-keeps-bytes",
    "read.zero.lost",
    seen={
        "reader.reset.received-bytes-first": "ConnectionResetError: reset",
        "reader.reset.read-all-keeps-bytes": "ConnectionResetError: reset",
    },
)
class ErrorComesFirst(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        self.check()
        return await super().read(n)

    async def readline(self) -> bytes:
        self.check()
        return await super().readline()

    async def readexactly(self, n: int) -> bytes:
        self.check()
        return await super().readexactly(n)

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        self.check()
        return await super().readuntil(separator)

    def check(self) -> None:
        if self._error is not None:
            raise twin(self._error)


@specimen(
    "exception() of a reader returns None.",
    "reader.by-hand.exception",
    "reader.reset.exception",
    "drain.reader-exception",
    seen={
        "reader.by-hand.exception": "None",
        "reader.reset.exception": "None",
        "drain.reader-exception": "None returned",
    },
)
class NeverTellsTheError(StreamReader):
    def exception(self) -> BaseException | None:
        return None


@specimen(
    "Every read raises the same exception object.",
    "reader.reset.own-exception",
    "wait_closed.after-reset.leaves-traceback",
    replaces=twin,
    seen={
        "reader.reset.own-exception": "frames after other reads",
        "wait_closed.after-reset.leaves-traceback": "functions in the read's traceback",
    },
)
def the_same_exception(error: Any) -> Any:
    return error


@specimen(
    "set_exception() does not wake the read that waits.",
    "reader.by-hand.set-exception",
    "write_eof.after-reset",
    "tls.cut-off",
    seen={
        "reader.by-hand.set-exception": "a hang",
        "write_eof.after-reset": "a hang",
        "tls.cut-off": "a hang",
    },
)
class ErrorWakesNobody(StreamReader):
    def set_exception(self, exc: BaseException) -> None:
        self._error = exc


# Several tasks.


@specimen(
    "A second read takes the place of the first, which is never woken.",
    "reader.concurrent.refused",
    "reader.concurrent.first-unharmed",
    "reader.concurrent.takes-nothing",
    seen={
        "reader.concurrent.refused": "a hang",
        "reader.concurrent.first-unharmed": "a hang",
        "reader.concurrent.takes-nothing": "a hang",
    },
)
class SecondReadTakesOver(StreamReader):
    def _refuse(self) -> None:
        if self._readers:
            self._readers = self.waiters(self._loop)


@specimen(
    "A cancelled read blocks the next one until the loop has run.",
    "reader.concurrent.after-cancelling",
    seen="RuntimeError: another read is waiting",
)
class CancelledReadIsInTheWay(StreamReader):
    def _refuse(self) -> None:
        if self._readers._waiting:
            raise RuntimeError("another read is waiting already")


@specimen(
    "A read cancelled in the turn in which its bytes arrive loses them.",
    "reader.cancelled.as-bytes-arrive",
    seen="read(8) cancelled, and read(): b''",
)
class TakesThenYields(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n > 0:
            await asyncio.sleep(0)
        return data


@specimen(
    "A read that was woken no longer counts as in progress, and does not check the buffer again.",
    "reader.concurrent.no-false-eof",
    seen="b'' returned",
)
class WokenTooSoon(StreamReader):
    def _refuse(self) -> None:
        if not all(each.done() for each in self._readers._waiting):
            super()._refuse()

    async def read(self, n: int = -1) -> bytes:
        if not isinstance(n, int) or n <= 0:
            return await super().read(n)
        self._refuse()
        if not self._received and (self._error is not None or not self._ended):
            await self._wait()
        return self._take(min(n, len(self._received)))


# By hand.


@specimen(
    "StreamReader takes a limit of zero.",
    "reader.by-hand.limit-is-positive",
    "connecting.limit.not-positive",
    "serving.limit.not-positive",
    seen={
        "reader.by-hand.limit-is-positive": "no exception",
        "serving.limit.not-positive": "no exception",
    },
)
class TakesNoLimit(StreamReader):
    def __init__(self, limit: int = 65536, loop: Any = None) -> None:
        super().__init__(max(limit, 1), loop)


@specimen(
    "StreamReader() has a limit of 4 KiB.",
    "reader.by-hand.running-loop",
    seen="ValueError: the separator comes too late",
)
class SmallByDefault(StreamReader):
    def __init__(self, limit: int = 4096, loop: Any = None) -> None:
        super().__init__(limit, loop)


@specimen(
    "feed_data(b'') is taken for EOF.",
    "reader.by-hand.feed-data.nothing",
    seen="it returned b''",
)
class NothingIsEof(StreamReader):
    def feed_data(self, data: Any) -> None:
        if not data:
            self.feed_eof()
        else:
            super().feed_data(data)


@specimen(
    "The repr of a reader is that of an object.",
    "repr.names-the-class",
    seen="<stream at",
)
class HasNoName(StreamReader):
    def __repr__(self) -> str:
        return f"<stream at {id(self):#x}>"


@specimen(
    "feed_data() after feed_eof() adds to the stream.",
    "reader.by-hand.feed-data.after-eof",
    seen="b'abcd'",
)
class FeedsBehindTheEnd(StreamReader):
    def feed_data(self, data: Any) -> None:
        ended, self._ended = self._ended, False
        super().feed_data(data)
        self._ended = ended


@specimen(
    "set_exception() after feed_eof() is ignored: the stream has ended already.",
    "reader.by-hand.set-exception.after-eof",
    seen="b'' returned",
)
class EndComesFirst(StreamReader):
    def set_exception(self, exc: BaseException) -> None:
        if not self._ended:
            super().set_exception(exc)


@specimen(
    "A second set_transport() takes the place of the first.",
    "reader.by-hand.transport-once",
    seen="the first transport paused: False",
)
class ChangesTransports(StreamReader):
    def set_transport(self, transport: Any) -> None:
        self._transport = transport


@specimen(
    "A transport that cannot be paused makes feed_data() fail.",
    "reader.by-hand.transport-that-cannot-pause",
    seen="NotImplementedError: the transport cannot",
)
class MustPause(StreamReader):
    def _hold_back(self) -> None:
        super()._hold_back()
        if len(self._received) > 2 * self._limit and self._transport and not self._holding_back:
            raise NotImplementedError("the transport cannot be paused")


@specimen(
    "feed_data() takes only bytes, not a bytearray.",
    "reader.by-hand.feed-data.bytes-like",
    seen="bytes are needed",
)
class FedBytesOnly(StreamReader):
    def feed_data(self, data: Any) -> None:
        if not isinstance(data, bytes):
            raise TypeError("bytes are needed")
        super().feed_data(data)


@specimen(
    "A connection does not keep its reader alive, nor a task that waits in it.",
    "reader.waiting.kept-alive",
    seen="b''",
)
class LetsItsReaderGo(Protocol):
    _kept: Any = None  # until the program has it
    _reader: Any = staticmethod(lambda: None)

    @property
    def reader(self) -> StreamReader:
        return self._kept or self._reader() or StreamReader(loop=self.loop)

    @reader.setter
    def reader(self, reader: StreamReader) -> None:
        self._kept, self._reader = reader, weakref.ref(reader)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._kept = None
