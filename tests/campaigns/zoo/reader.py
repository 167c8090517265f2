"""Broken readers as a whole: their ends, iteration, flow control, errors, several tasks at once."""

import asyncio
import weakref
from typing import Any

from conformance.marks import PLAIN, TLS, VIRTUAL
from reference_impl import StreamReader, StreamReaderProtocol
from reference_impl._errors import fresh

from .specimen import specimen

# at_eof(), feed_eof(), async for.


@specimen(
    "at_eof() is True as soon as the stream has ended, whatever is left to read.",
    "reader.at-eof.false-while-bytes-remain",
    "reader.feed-eof.keeps-what-was-fed",
)
class AtEofTooEarly(StreamReader):
    def at_eof(self) -> bool:
        return self._eof


@specimen(
    "at_eof() is True whenever nothing is there to be read.",
    "reader.at-eof.false-at-first",
    "reader.by-hand.feed-data.nothing",
)
class AtEofWhenEmpty(StreamReader):
    def at_eof(self) -> bool:
        return not self._buffer.size


@specimen(
    "at_eof() is True only after a read has met the end of the stream.",
    "reader.feed-eof.at-eof",
)
class AtEofTooLate(StreamReader):
    met = False

    async def _wait(self, wanted: int) -> None:
        await super()._wait(wanted)
        self.met = self._eof

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.met = self.met or (self._eof and n != 0 and (n < 0 or not data))
        return data

    async def readline(self) -> bytes:
        data = await super().readline()
        self.met = self.met or (self._eof and not data.endswith(b"\n"))
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
)
class EofOnlyOnce(StreamReader):
    fed = False

    def feed_eof(self) -> None:
        if self._eof and not self._transport:
            raise RuntimeError("feed_eof() was called before")
        super().feed_eof()


@specimen(
    "feed_eof() does not wake the read that waits.",
    "reader.feed-eof.ends-reads",
    basic=True,
)
class EofWakesNobody(StreamReader):
    def feed_eof(self) -> None:
        self._eof = True


@specimen(
    "Bytes that come after the program's feed_eof() are fed all the same.",
    "reader.feed-eof.late-bytes",
)
class FeedsAfterEof(StreamReaderProtocol):
    def data_received(self, data: bytes) -> None:
        self._stream_reader.feed_data(data)


@specimen(
    "`async for` reads the whole stream first, and then yields its lines.",
    "reader.iteration.as-lines-come",
    "reader.iteration.limit",
    "reader.iteration.left-and-resumed",
)
class IteratesAtTheEnd(StreamReader):
    lines: Any = None

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
    "The end of the stream throws away what is unread.",
    "reader.closed-in-order.keeps-data",
    networks=PLAIN,
    basic=True,
)
class EndsAtOnce(StreamReader):
    def feed_eof(self) -> None:
        self._buffer.take(self._buffer.size)
        super().feed_eof()


@specimen(
    "What is unread when the connection is gone is thrown away.",
    "reader.own-close.keeps-data",
    only_on={
        TLS: (
            # There the peer's end is that of the connection.
            "read.n.data-before-eof",
            "readexactly.eof.after-n-bytes",
            "reader.at-eof.false-while-bytes-remain",
            "reader.iteration.whole-stream",
        )
    },
)
class DropsTheUnread(StreamReaderProtocol):
    def connection_lost(self, exc: BaseException | None) -> None:
        reader = self._stream_reader
        reader._buffer.take(reader._buffer.size)
        super().connection_lost(exc)


# Flow control.


@specimen(
    "A reader that has paused its transport does not resume it until it is all read.",
    "reader.flow.goes-on",
    "read.all.more-than-limit",
    "readexactly.held-back-peer",
    # The kernel's peer, which is gone, answers with a reset.
    only_on={VIRTUAL: ("close.unread.tls", "server.close-clients.closes")},
)
class ResumesWhenEmpty(StreamReader):
    def _resume(self) -> None:
        if not self._buffer.size:
            super()._resume()


@specimen(
    "A reader that has paused its transport never resumes it.",
    "reader.flow.goes-on",
    "read.all.more-than-limit",
    "readexactly.held-back-peer",
    "readuntil.limit.fits",
    "readuntil.limit.separator-not-counted",
    "reader.by-hand.transport",
    "start_tls.reader-flow-control",
    # The kernel's peer, which is gone, answers with a reset.
    only_on={VIRTUAL: ("close.unread.tls", "server.close-clients.closes")},
)
class NeverResumes(StreamReader):
    def _resume(self) -> None:
        pass


@specimen(
    "A reader never pauses its transport.",
    "reader.flow.peer-is-held-back",
    "reader.by-hand.transport",
    "reader.by-hand.transport-once",
    "start_tls.peer-is-held-back",
)
class NeverPauses(StreamReader):
    def _pause(self) -> None:
        pass


@specimen(
    "A reader that has paused its TLS transport resumes the one of before start_tls().",
    "start_tls.reader-flow-control",
)
class ResumesTheOldTransport(StreamReader):
    first: Any = None

    def set_transport(self, transport: Any) -> None:
        super().set_transport(transport)
        self.first = transport

    def _resume(self) -> None:
        self._paused = False
        self._buffer.reserve(0)
        self.first.resume_reading()


# Errors.


@specimen(
    "A reset is told to the reader as the end of the stream.",
    "reader.reset.waiting-read",
    "reader.reset.later-reads",
    "reader.reset.is-not-eof",
    "reader.reset.exception",
    "reader.reset.own-exception",
)
class ResetIsEof(StreamReader):
    def set_exception(self, exc: BaseException) -> None:
        if isinstance(exc, ConnectionResetError) and self._transport is not None:
            self.feed_eof()
        else:
            super().set_exception(exc)


@specimen(
    "Once an error came every read raises it, although bytes are there.",
    "reader.reset.received-bytes-first",
    "reader.reset.read-all-keeps-bytes",
    "read.zero.lost",
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
        if self._exception is not None:
            raise fresh(self._exception)


@specimen(
    "exception() of a reader returns None.",
    "reader.by-hand.exception",
    "reader.reset.exception",
    "drain.reader-exception",
)
class NeverTellsTheError(StreamReader):
    def exception(self) -> BaseException | None:
        return None


@specimen(
    "Every read raises the same exception object.",
    "reader.reset.own-exception",
    "drain.reset.own-exception",
    "wait_closed.after-reset.own-exception",
    "wait_closed.after-reset.leaves-traceback",
    replaces=fresh,
)
def the_same_exception(error: Any) -> Any:
    return error


@specimen(
    "set_exception() does not wake the read that waits.",
    "reader.by-hand.set-exception",
    "reader.reset.waiting-read",
    "reader.reset.later-reads",
    "reader.reset.is-not-eof",
    "reader.reset.exception",
    "reader.reset.read-all-keeps-bytes",
    "reader.reset.own-exception",
    "write_eof.after-reset",
    "tls.cut-off",
    "tls.garbage",
)
class ErrorWakesNobody(StreamReader):
    def set_exception(self, exc: BaseException) -> None:
        self._exception = exc


# Several tasks.


@specimen(
    "A second read takes the place of the first, which is never woken.",
    "reader.concurrent.refused",
    "reader.concurrent.first-unharmed",
    "reader.concurrent.takes-nothing",
)
class SecondReadTakesOver(StreamReader):
    def _refuse(self, name: str) -> None:
        pass


@specimen(
    "A read that was cancelled is in the way of the next until the loop has run.",
    "reader.concurrent.after-cancelling",
)
class CancelledReadIsInTheWay(StreamReader):
    def _refuse(self, name: str) -> None:
        if self._waiter is not None:
            raise RuntimeError(f"{name}() called while another coroutine is waiting")


@specimen(
    "A read cancelled in the turn in which its bytes arrive has taken them already.",
    "reader.cancelled.as-bytes-arrive",
)
class TakesThenYields(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n > 0:
            await asyncio.sleep(0)
        return data


@specimen(
    "A read that was woken is not reckoned to be in progress, nor does it look again.",
    "reader.concurrent.no-false-eof",
    "reader.by-hand.set-exception",
    "reader.reset.own-exception",
    "reader.reset.exception",
    "reader.reset.waiting-read",
)
class WokenTooSoon(StreamReader):
    def _refuse(self, name: str) -> None:
        if self._waiter is None or not self._waiter.done():
            super()._refuse(name)

    async def read(self, n: int = -1) -> bytes:
        if not isinstance(n, int) or n <= 0:
            return await super().read(n)
        self._refuse("read")
        if not self._buffer.size and (self._exception is not None or not self._eof):
            await self._wait(1)
        return self._take(min(n, self._buffer.size))


@specimen(
    "A connection refers to its reader only weakly.",
    "reader.waiting.kept-alive",
    basic=True,
)
class RefersWeakly(StreamReaderProtocol):
    reference: Any = None

    @property
    def _stream_reader(self) -> Any:
        return self.reference() or StreamReader(loop=self._loop)

    @_stream_reader.setter
    def _stream_reader(self, reader: Any) -> None:
        self.reference = weakref.ref(reader)


# By hand.


@specimen(
    "StreamReader takes a limit of zero.",
    "reader.by-hand.limit-is-positive",
    "connecting.limit.not-positive",
    "serving.limit.not-positive",
)
class TakesNoLimit(StreamReader):
    def __init__(self, limit: int = 65536, loop: Any = None) -> None:
        super().__init__(max(limit, 1), loop)


@specimen(
    "StreamReader() has a limit of 4 KiB.",
    "reader.by-hand.running-loop",
)
class SmallByDefault(StreamReader):
    def __init__(self, limit: int = 4096, loop: Any = None) -> None:
        super().__init__(limit, loop)


@specimen(
    "feed_data(b'') is the end of the stream.",
    "reader.by-hand.feed-data.nothing",
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
)
class HasNoName(StreamReader):
    def __repr__(self) -> str:
        return f"<stream at {id(self):#x}>"


@specimen(
    "feed_data() after feed_eof() adds to the stream.",
    "reader.by-hand.feed-data.after-eof",
)
class FeedsBehindTheEnd(StreamReader):
    def feed_data(self, data: Any) -> None:
        ended, self._eof = self._eof, False
        super().feed_data(data)
        self._eof = ended


@specimen(
    "set_exception() after feed_eof() is ignored: the stream has ended already.",
    "reader.by-hand.set-exception.after-eof",
)
class EndComesFirst(StreamReader):
    def set_exception(self, exc: BaseException) -> None:
        if not self._eof:
            super().set_exception(exc)


@specimen(
    "A second set_transport() takes the place of the first.",
    "reader.by-hand.transport-once",
)
class ChangesTransports(StreamReader):
    def set_transport(self, transport: Any) -> None:
        self._transport = transport


@specimen(
    "A transport that cannot be paused makes feed_data() fail.",
    "reader.by-hand.transport-that-cannot-pause",
)
class MustPause(StreamReader):
    def _pause(self) -> None:
        before = self._transport
        super()._pause()
        if self._transport is not before:
            raise NotImplementedError("the transport cannot be paused")
