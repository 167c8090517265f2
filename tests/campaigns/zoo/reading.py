"""Broken reads: one by one, what `StreamReader` has for reading."""

import asyncio
import sys
from typing import Any

from reference_impl import StreamReader

from .specimen import specimen

ANY_PROGRAM = ("reader.any-program", "reader.any-program.with-cancellation")
"""Programs of reads of every kind: what breaks a read for any argument breaks some of them."""


async def partial_at_eof(reading: Any) -> bytes:
    """Return what a read returns, or has read when the stream ends before it is done."""
    try:
        return await reading
    except asyncio.IncompleteReadError as error:
        return error.partial


# read()


@specimen(
    "read(n) waits until n bytes are there.",
    "read.n.does-not-wait-for-n",
)
class WaitsForAll(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n <= 0:
            return await super().read(n)
        return await partial_at_eof(self.readexactly(n))


@specimen(
    "read() returns what is there, as recv() does, and does not wait for the end of the stream.",
    "read.all.n-omitted",
    "read.all.n-minus-one",
    "read.all.waits-for-eof",
    "read.all.more-than-limit",
    "read.all.other-negatives",
    "reader.reset.is-not-eof",
    "reader.reset.read-all-keeps-bytes",
    "reader.by-hand.feed-data",
)
class ReadAllIsImpatient(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return await super().read(sys.maxsize if n < 0 else n)


@specimen(
    "read() returns at most as many bytes as the limit.",
    "read.all.more-than-limit",
)
class ReadAllIsLimited(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n < 0:
            return await partial_at_eof(self.readexactly(self._limit))
        return await super().read(n)


@specimen(
    "read() collects what comes in a list of its own, which is gone when it is cancelled.",
    "read.all.cancelled-loses-nothing",
    "reader.reset.read-all-keeps-bytes",
)
class ReadAllForgetsWhenCancelled(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n >= 0:
            return await super().read(n)
        pieces = []
        while piece := await super().read(self._limit):
            pieces.append(piece)
        return b"".join(pieces)


@specimen(
    "read(0) waits until something is there.",
    "read.zero.returns-nothing",
    "read.zero.does-not-wait",
    "read.zero.lost",
)
class ReadZeroWaits(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n == 0:
            while not self._buffer.size and not self._eof:
                await self._wait(1)
        return await super().read(n)


@specimen(
    "read(0) is taken for read(): `if n <= 0`.",
    "read.zero.returns-nothing",
    "read.zero.does-not-wait",
    "read.zero.consumes-nothing",
    "read.zero.lost",
)
class ReadZeroReadsAll(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return await super().read(n if n > 0 else -1)


@specimen(
    "read(n) with n below -1 raises ValueError.",
    "read.all.other-negatives",
)
class OnlyMinusOne(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n < -1:
            raise ValueError("n must be -1, zero or positive")
        return await super().read(n)


@specimen(
    "read() calls its argument `size`.",
    "read.n-by-keyword",
)
class NamesItSize(StreamReader):
    async def read(self, size: int = -1) -> bytes:
        return await super().read(size)


@specimen(
    "read() returns a bytearray.",
    "read.returns-bytes",
    "reader.by-hand.feed-data.bytes-like",
)
class ReturnsBytearray(StreamReader):
    async def read(self, n: int = -1) -> Any:
        return bytearray(await super().read(n))


@specimen(
    "read() is a task of its own, which goes on when the read is cancelled and takes what comes.",
    "read.n.cancelled-loses-nothing",
    "read.n.waits-for-a-byte",
    "read.all.cancelled-loses-nothing",
    "reader.cancelled.as-bytes-arrive",
    "reader.concurrent.after-cancelling",
)
class ReadsInATask(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return await asyncio.shield(self._loop.create_task(super().read(n)))


@specimen(
    "read() answers a cancellation with b''.",
    "reader.cancelled.raises",
)
class SwallowsCancellation(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        try:
            return await super().read(n)
        except asyncio.CancelledError:
            return b""


@specimen(
    "read() raises IncompleteReadError where the stream has ended and nothing is left.",
    "read.all.nothing-left",
    "read.eof.repeats",
)
class ReadAllMindsNothing(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n < 0 and not data:
            raise asyncio.IncompleteReadError(data, None)
        return data


@specimen(
    "read(n) returns all that is there: n is a hint.",
    "read.n.at-most-n",
    basic=True,
)
class TakesNForAHint(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        return data + self._take(self._buffer.size) if n > 0 else data


@specimen(
    "read(n) returns b'' when nothing is there, as a non-blocking recv() fails.",
    "read.n.waits-for-a-byte",
    basic=True,
)
class ReadsWithoutWaiting(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        await asyncio.sleep(0)
        return await super().read(n) if n < 0 or self._buffer.size else b""


@specimen(
    "read(n) takes whatever int() takes for n.",
    "read.n.not-an-integer",
)
class ReadsAnyNumber(StreamReader):
    async def read(self, n: Any = -1) -> bytes:
        return await super().read(int(n))


@specimen(
    "A byte is lost where a piece arrives while another is unread.",
    "read.n.every-byte-in-order",
    "readexactly.any-split",
    "readline.any-split",
    basic=True,
)
class LosesAByteAtASplit(StreamReader):
    def feed_data(self, data: Any) -> None:
        super().feed_data(data[bool(self._buffer.size) :])


@specimen(
    "read(n) returns b'' once the end of the stream has come, whatever is left.",
    "read.n.data-before-eof",
    basic=True,
)
class EndsTooEarly(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return b"" if n > 0 and self._eof else await super().read(n)


@specimen(
    "read(n) raises IncompleteReadError at the end of the stream, as readexactly(n) does.",
    "read.n.empty-at-eof",
    basic=True,
)
class ReadRaisesAtTheEnd(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n > 0 and not data:
            raise asyncio.IncompleteReadError(data, n)
        return data


@specimen(
    "read(n) refuses an n above the limit.",
    "read.n.larger-than-limit",
    basic=True,
)
class ReadRefusesLargeN(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n > self._limit:
            raise ValueError("n is above the limit")
        return await super().read(n)


@specimen(
    "read() and read(n) tell the end of the stream once, and then raise EOFError.",
    "read.eof.repeats",
    "reader.feed-eof.twice",
    "tls.close_notify.is-the-end",
)
class TellsTheEndOnce(StreamReader):
    told = False

    async def read(self, n: int = -1) -> bytes:
        if self.told and n:
            raise EOFError
        data = await super().read(n)
        self.told = not data and n != 0
        return data


# readline()


@specimen(
    "readline() empties the buffer when it is cancelled.",
    "readline.cancelled-loses-nothing",
    "reader.cancelled.as-bytes-arrive",
)
class ForgetsTheLineWhenCancelled(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await super().readline()
        except asyncio.CancelledError:
            self._take(self._buffer.size)
            raise


@specimen(
    "readline() drops what the stream ends with if that is no whole line.",
    "readline.eof.returns-partial",
    "reader.feed-eof.keeps-what-was-fed",
    "reader.iteration.whole-stream",
    "reader.iteration.last-line",
)
class DropsLastLine(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        return line if line.endswith(b"\n") else b""


@specimen(
    "readline() raises IncompleteReadError at the end of the stream.",
    "readline.eof.nothing-left",
    "readline.limit.peer-goes-on",
    "readline.cancelled-loses-nothing",
    "readline.returns-bytes",
    "reader.iteration.whole-stream",
    "reader.iteration.lines",
    "reader.iteration.last-line",
    "reader.iteration.left-and-resumed",
)
class RaisesAtTheEnd(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        if not line:
            raise asyncio.IncompleteReadError(line, None)
        return line


@specimen(
    "readline() cuts a line that is too long instead of raising ValueError.",
    "readline.limit.exceeded",
    "readline.limit.exceeded-without-newline",
    "readline.limit.next-line-follows",
    "readline.limit.discards-what-came",
    "reader.iteration.limit",
)
class CutsLongLines(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await partial_at_eof(self.readuntil())
        except asyncio.LimitOverrunError:
            return await self.readexactly(self._limit)


@specimen(
    "readline() lets LimitOverrunError through, which is no ValueError.",
    "readline.limit.exceeded",
    "readline.limit.exceeded-without-newline",
    "readline.limit.next-line-follows",
    "readline.limit.discards-what-came",
    "readline.limit.peer-goes-on",
    "reader.iteration.limit",
)
class LetsTheOverrunThrough(StreamReader):
    async def readline(self) -> bytes:
        return await partial_at_eof(self.readuntil())


@specimen(
    "readline() throws away all that was received, also the lines after the one too long.",
    "readline.limit.next-line-follows",
)
class ThrowsTheRestAway(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await partial_at_eof(self.readuntil())
        except asyncio.LimitOverrunError as error:
            self._take(self._buffer.size)
            raise ValueError(str(error)) from None


@specimen(
    "readline() counts the newline towards the limit.",
    "readline.limit.newline-not-counted",
)
class CountsTheNewline(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        if len(line) > self._limit:
            raise ValueError("line is too long")
        return line


@specimen(
    "readline() returns the line without its newline.",
    "readline.returns-a-line",
    "readline.empty-line",
    "readline.waits-for-newline",
    "readline.leaves-the-rest",
    "readline.any-split",
    "readline.only-newline-ends-a-line",
    "readline.eof.returns-partial",
    "readline.eof.nothing-left",
    "readline.limit.fits",
    "readline.limit.newline-not-counted",
    "readline.limit.next-line-follows",
    "readline.limit.discards-what-came",
    "readline.cancelled-loses-nothing",
    "reader.iteration.whole-stream",
    "reader.iteration.lines",
    "reader.iteration.as-lines-come",
    "reader.iteration.last-line",
    "reader.iteration.left-and-resumed",
    "reader.iteration.limit",
    "reader.flow.goes-on",
    "reader.closed-in-order.keeps-data",
    "reader.reset.received-bytes-first",
    "reader.concurrent.takes-nothing",
    "reader.cancelled.as-bytes-arrive",
    "reader.by-hand.limit-and-loop",
    "reader.by-hand.running-loop",
    "reader.by-hand.feed-data",
    "reader.by-hand.transport",
)
class StripsTheNewline(StreamReader):
    async def readline(self) -> bytes:
        return (await super().readline()).removesuffix(b"\n")


@specimen(
    "readline() returns what is there, although the newline has not come.",
    "readline.waits-for-newline",
    "readline.any-split",
    "readline.cancelled-loses-nothing",
    "reader.reset.is-not-eof",
    "reader.concurrent.takes-nothing",
    "reader.by-hand.feed-data",
)
class LineIsImpatient(StreamReader):
    async def readline(self) -> bytes:
        self._refuse("readline")
        if not self._buffer.size and not self._eof:
            await self._wait(1)
        size = self._buffer.size
        if 0 < size <= self._limit and self._buffer.find((b"\n",), 1) is None:
            return self._take(size)
        return await super().readline()


@specimen(
    "readline() throws away what came with the line.",
    "readline.leaves-the-rest",
    "readline.returns-a-line",
    "readline.any-split",
    "readline.empty-line",
    "readline.eof.returns-partial",
    "readline.limit.fits",
    "readline.cancelled-loses-nothing",
    "reader.iteration.whole-stream",
    "reader.iteration.lines",
    "reader.iteration.last-line",
    "reader.iteration.left-and-resumed",
    "reader.iteration.limit",
    "reader.flow.goes-on",
    "reader.closed-in-order.keeps-data",
    "reader.by-hand.transport",
)
class DropsWhatFollows(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        self._take(self._buffer.size)
        return line


@specimen(
    "readline() takes the carriage return for the end of a line, too.",
    "readline.only-newline-ends-a-line",
    "readline.empty-line",
    "reader.iteration.lines",
)
class CarriageReturnEndsALine(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await partial_at_eof(self.readuntil((b"\r", b"\n")))
        except asyncio.LimitOverrunError:
            return await super().readline()


@specimen(
    "readline() skips lines without content.",
    "readline.empty-line",
    "readline.any-split",
    "reader.iteration.whole-stream",
    "reader.iteration.lines",
    "reader.iteration.left-and-resumed",
)
class SkipsEmptyLines(StreamReader):
    async def readline(self) -> bytes:
        while (line := await super().readline()) == b"\n":
            pass
        return line


@specimen(
    "readline() refuses a line that is, with its newline, as long as the limit.",
    "readline.limit.fits",
    "readline.limit.newline-not-counted",
    "reader.flow.goes-on",
    "reader.by-hand.running-loop",
)
class LineLimitIsOneLess(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        if len(line) >= self._limit:
            raise ValueError("line is too long")
        return line


# readexactly()


@specimen(
    "readexactly() of a negative number returns b''.",
    "readexactly.negative",
)
class NegativeIsNothing(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        return await super().readexactly(max(n, 0))


@specimen(
    "read(0) raises the error that the connection was lost with.",
    "read.zero.lost",
)
class ZeroFails(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n == 0 and self._exception is not None:
            raise self._exception
        return await super().read(n)


@specimen(
    "readexactly(n) is read(n): it returns what is there.",
    "readexactly.waits-for-n-bytes",
    "readexactly.any-split",
    "readexactly.held-back-peer",
    "readexactly.eof.raises",
    "readexactly.cancelled-loses-nothing",
    "reader.reset.is-not-eof",
    "reader.concurrent.takes-nothing",
    "reader.errors.pickle",
    "reader.by-hand.feed-data",
    only_on={
        # By TLS over the kernel the end comes together with the last bytes.
        ("memory", "tls-memory", "tcp", "unix"): (
            "readexactly.eof.partial",
            "readexactly.eof.partial-is-bytes",
            "readexactly.eof.expected",
            "readexactly.eof.partial-is-consumed",
        )
    },
)
class ExactlyIsAtMost(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        data = await self.read(n) if n > 0 else b""
        if len(data) < n and self._eof and not self._buffer.size:
            raise asyncio.IncompleteReadError(data, n)
        return data if n >= 0 else await super().readexactly(n)


@specimen(
    "readexactly(n) returns n bytes, and throws away what came with them.",
    "readexactly.returns-n-bytes",
    "readexactly.any-split",
    "readexactly.held-back-peer",
    "readexactly.returns-bytes",
    "readuntil.leaves-the-rest",
    "readuntil.limit.consume-and-go-on",
    "readuntil.tuple.limit.consume-and-go-on",
    "reader.flow.goes-on",
    "reader.closed-in-order.keeps-data",
    "reader.by-hand.transport",
)
class ExactlyDropsTheRest(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        data = await super().readexactly(n)
        self._take(self._buffer.size if data else 0)
        return data


@specimen(
    "readexactly(0) waits until something is there.",
    "readexactly.zero",
)
class ExactlyZeroWaits(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n == 0 and not self._buffer.size and not self._eof:
            await self._wait(1)
        return await super().readexactly(n)


@specimen(
    "readexactly(0) raises at the end of the stream, as for any other number.",
    "readexactly.zero",
)
class ExactlyZeroRaises(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n == 0 and self.at_eof():
            raise asyncio.IncompleteReadError(b"", n)
        return await super().readexactly(n)


@specimen(
    "readexactly(n) takes whatever int() takes for n.",
    "readexactly.not-an-integer",
)
class ExactlyAnyNumber(StreamReader):
    async def readexactly(self, n: Any) -> bytes:
        return await super().readexactly(int(n))


@specimen(
    "readexactly(n) refuses an n above the limit.",
    "readexactly.more-than-limit",
    "readexactly.held-back-peer",
    "readexactly.eof.partial",
    "readuntil.limit.consume-and-go-on",
    "readuntil.tuple.limit.consume-and-go-on",
    "reader.flow.goes-on",
    "reader.flow.goes-on-after-cancelled-read",
    "reader.errors.pickle",
)
class ExactlyRefusesLargeN(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n > self._limit:
            raise ValueError("n is above the limit")
        return await super().readexactly(n)


@specimen(
    "readexactly(n) returns what there is when the stream ends before n bytes.",
    "readexactly.eof.raises",
    "readexactly.eof.partial",
    "readexactly.eof.partial-is-empty",
    "readexactly.eof.partial-is-bytes",
    "readexactly.eof.expected",
    "readexactly.eof.partial-is-consumed",
    "reader.errors.incomplete-is-eof-error",
    "reader.errors.pickle",
)
class ExactlyReturnsLess(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        return await partial_at_eof(super().readexactly(n))


@specimen(
    "readexactly(n) raises when the stream has ended, although it ended right after n bytes.",
    "readexactly.eof.after-n-bytes",
)
class ExactlyWantsMore(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if self._eof and 0 < n == self._buffer.size:
            raise asyncio.IncompleteReadError(self._take(n), n)
        return await super().readexactly(n)


class OwnPartial(StreamReader):
    """Fails at the end of the stream in a step that specimens get wrong."""

    async def readexactly(self, n: int) -> bytes:
        """Read exactly n bytes."""
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError as error:
            raise self.incomplete(error.partial, n) from None

    def incomplete(self, partial: bytes, n: int) -> Exception:
        """Return what to raise."""
        return asyncio.IncompleteReadError(partial, n)


@specimen(
    "IncompleteReadError.partial of readexactly() is empty: the bytes are lost.",
    "readexactly.eof.partial",
    "reader.feed-eof.keeps-what-was-fed",
    "reader.errors.pickle",
)
class ExactlyDropsThePartial(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return asyncio.IncompleteReadError(b"", n)


@specimen(
    "readexactly() raises a plain EOFError where nothing was left.",
    "readexactly.eof.partial-is-empty",
    "readexactly.eof.partial-is-bytes",
    "readexactly.eof.expected",
)
class ExactlyNothingIsPlain(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return super().incomplete(partial, n) if partial else EOFError("nothing is left")


@specimen(
    "IncompleteReadError.partial of readexactly() is a bytearray.",
    "readexactly.eof.partial-is-bytes",
)
class ExactlyPartialIsBytearray(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return asyncio.IncompleteReadError(bytearray(partial), n)  # type: ignore[arg-type]


@specimen(
    "IncompleteReadError.expected of readexactly(n) is how many bytes were missing.",
    "readexactly.eof.expected",
    "reader.errors.pickle",
)
class ExpectedIsWhatIsMissing(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return asyncio.IncompleteReadError(partial, n - len(partial))


@specimen(
    "What readexactly() gives as IncompleteReadError.partial stays in the buffer.",
    "readexactly.eof.partial-is-consumed",
    "reader.at-eof.true-at-the-end",
)
class ExactlyPartialStays(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        if partial:
            self._buffer.feed(partial)
        return super().incomplete(partial, n)


@specimen(
    "readexactly() calls its argument `size`.",
    "readexactly.n-by-keyword",
)
class ExactlyNamesItSize(StreamReader):
    async def readexactly(self, size: int) -> bytes:
        return await super().readexactly(size)


@specimen(
    "readexactly() returns a bytearray.",
    "readexactly.returns-bytes",
)
class ExactlyReturnsBytearray(StreamReader):
    async def readexactly(self, n: int) -> Any:
        return bytearray(await super().readexactly(n))


@specimen(
    "readexactly(n) collects what comes in a list of its own, which is gone when it is cancelled.",
    "readexactly.cancelled-loses-nothing",
)
class ExactlyForgetsWhenCancelled(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n <= 0:
            return await super().readexactly(n)
        pieces = b""
        while len(pieces) < n:
            piece = await self.read(n - len(pieces))
            if not piece:
                raise asyncio.IncompleteReadError(pieces, n)
            pieces += piece
        return pieces
