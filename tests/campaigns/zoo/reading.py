"""Broken reads: one by one, the methods of `StreamReader` for reading."""

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

from .sound import StreamReader
from .specimen import specimen

ANY_PROGRAM = ("reader.any-program", "reader.any-program.with-cancellation")
"""Programs of reads of every kind: a fault of a read with any argument breaks some of them."""


async def partial_at_eof(reading: Awaitable[bytes]) -> bytes:
    """Return the result of a read, or the bytes that it has read when the stream ends too early."""
    try:
        return await reading
    except asyncio.IncompleteReadError as error:
        return error.partial


# read()


@specimen(
    "read(n) waits until n bytes are there.",
    "read.n.does-not-wait-for-n",
    seen="a hang",
)
class WaitsForAll(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n <= 0:
            return await super().read(n)
        return await partial_at_eof(self.readexactly(n))


@specimen(
    "read() returns the bytes that have arrived, as recv() does, and does not wait for EOF.",
    "read.all.n-omitted",
    "read.all.n-minus-one",
    "read.all.waits-for-eof",
    seen={
        "read.all.n-omitted": "b'abc'",
        "read.all.n-minus-one": "b'abc'",
        "read.all.waits-for-eof": "it returned b'abc'",
    },
)
class ReadAllIsImpatient(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return await super().read(sys.maxsize if n < 0 else n)


@specimen(
    "read() returns at most as many bytes as the limit.",
    "read.all.more-than-limit",
    seen="a hang after 1 s without progress",
)
class ReadAllIsLimited(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n < 0:
            return await partial_at_eof(self.readexactly(self._limit))
        return await super().read(n)


@specimen(
    "read() collects the pieces in a list of its own, which is lost when it is cancelled.",
    "read.all.cancelled-loses-nothing",
    "reader.reset.read-all-keeps-bytes",
    seen="b'ghi'",
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
    "read(0) waits until something has arrived.",
    "read.zero.returns-nothing",
    "read.zero.does-not-wait",
    "read.zero.lost",
    seen={"read.zero.returns-nothing": "a hang", "read.zero.does-not-wait": "a hang"},
)
class ReadZeroWaits(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n == 0:
            while not len(self._received) and not self._ended:
                await self._wait()
        return await super().read(n)


@specimen(
    "read(0) is taken for read(): `if n <= 0`.",
    "read.zero.returns-nothing",
    "read.zero.consumes-nothing",
    seen={"read.zero.returns-nothing": "a hang", "read.zero.consumes-nothing": "a hang"},
)
class ReadZeroReadsAll(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return await super().read(n if n > 0 else -1)


@specimen(
    "read(n) with n below -1 raises ValueError.",
    "read.all.other-negatives",
    seen="ValueError: n must be -1, zero or",
)
class OnlyMinusOne(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n < -1:
            raise ValueError("n must be -1, zero or positive")
        return await super().read(n)


@specimen(
    "read() calls its argument `size`.",
    "read.n-by-keyword",
    seen="TypeError: NamesItSize.read() got an",
)
class NamesItSize(StreamReader):
    async def read(self, size: int = -1) -> bytes:
        return await super().read(size)


@specimen(
    "read() returns a bytearray.",
    "read.returns-bytes",
    seen="read(0) of type <class 'bytearray'>",
)
class ReturnsBytearray(StreamReader):
    async def read(self, n: int = -1) -> Any:
        return bytearray(await super().read(n))


@specimen(
    "read() is a task of its own, which goes on after a cancellation and takes the next bytes.",
    "read.n.cancelled-loses-nothing",
    seen="RuntimeError: another read is waiting",
)
class ReadsInATask(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return await asyncio.shield(self._loop.create_task(super().read(n)))


@specimen(
    "read() answers a cancellation with b''.",
    "reader.cancelled.raises",
    seen="read() cancelled: False",
)
class SwallowsCancellation(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        try:
            return await super().read(n)
        except asyncio.CancelledError:
            return b""


@specimen(
    "read() raises IncompleteReadError if the stream has ended and nothing is left.",
    "read.all.nothing-left",
    "read.eof.repeats",
    seen="IncompleteReadError: 0 bytes read on a",
)
class ReadAllMindsNothing(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n < 0 and not data:
            raise asyncio.IncompleteReadError(data, None)
        return data


@specimen(
    "read(n) returns everything that has arrived: n is a hint.",
    "read.n.at-most-n",
    basic=True,
    seen="b'abcdef'",
)
class TakesNForAHint(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        return data + self._take(len(self._received)) if n > 0 else data


@specimen(
    "read(n) returns b'' when nothing has arrived, where a non-blocking recv() fails.",
    "read.n.waits-for-a-byte",
    basic=True,
    seen="it returned b''",
)
class ReadsWithoutWaiting(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        await asyncio.sleep(0)
        return await super().read(n) if n < 0 or len(self._received) else b""


@specimen(
    "read(n) takes anything that int() takes.",
    "read.n.not-an-integer",
    seen="b'a' returned",
)
class ReadsAnyNumber(StreamReader):
    async def read(self, n: Any = -1) -> bytes:
        return await super().read(int(n))


@specimen(
    "A byte is lost when a piece arrives while another is unread.",
    "read.n.every-byte-in-order",
    "readexactly.any-split",
    "readline.any-split",
    basic=True,
    seen={
        "read.n.every-byte-in-order": "a hang",
        "readexactly.any-split": "a hang",
        "readline.any-split": "[b'a\\n', b'\\n', b'c\\n']",
    },
)
class LosesAByteAtASplit(StreamReader):
    def feed_data(self, data: Any) -> None:
        super().feed_data(data[bool(len(self._received)) :])


@specimen(
    "read(n) returns b'' after EOF, even if bytes are left.",
    "read.n.data-before-eof",
    basic=True,
    seen="read before b'': b''",
)
class EndsTooEarly(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        return b"" if n > 0 and self._ended else await super().read(n)


@specimen(
    "read(n) raises IncompleteReadError at EOF, as readexactly(n) does.",
    "read.n.empty-at-eof",
    basic=True,
    seen="IncompleteReadError: 0 bytes read on a",
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
    seen="ValueError: n is above the limit",
)
class ReadRefusesLargeN(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n > self._limit:
            raise ValueError("n is above the limit")
        return await super().read(n)


@specimen(
    "read() and read(n) return b'' once at EOF, and then raise EOFError.",
    "read.eof.repeats",
    "reader.feed-eof.twice",
    "tls.close_notify.is-the-end",
    seen="EOFError",
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
    seen="[b'e\\n', b'\\n']",
)
class ForgetsTheLineWhenCancelled(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await super().readline()
        except asyncio.CancelledError:
            self._take(len(self._received))
            raise


@specimen(
    "readline() drops the last line if it has no newline.",
    "readline.eof.returns-partial",
    "reader.iteration.whole-stream",
    "reader.iteration.last-line",
    seen={
        "readline.eof.returns-partial": "b''",
        "reader.iteration.whole-stream": "b'one\\n\\ntwo\\r\\n'",
        "reader.iteration.last-line": "[b'one\\n']",
    },
)
class DropsLastLine(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        return line if line.endswith(b"\n") else b""


@specimen(
    "readline() raises IncompleteReadError at EOF.",
    "readline.eof.nothing-left",
    "readline.returns-bytes",
    seen={
        "readline.eof.nothing-left": "IncompleteReadError: 0 bytes read on a",
        "readline.returns-bytes": "IncompleteReadError: 0 bytes read on a",
    },
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
    "readline.limit.discards-what-came",
    seen={
        "readline.limit.exceeded": "b'xxxxxxxxxxxxxxxx' returned",
        "readline.limit.exceeded-without-newline": "b'xxxxxxxxxxxxxxxx' returned",
        "readline.limit.discards-what-came": "b'xxxxxxxxxxxxxxxx' returned",
    },
)
class CutsLongLines(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await partial_at_eof(self.readuntil())
        except asyncio.LimitOverrunError:
            return await self.readexactly(self._limit)


@specimen(
    "readline() lets LimitOverrunError through, which is not a ValueError.",
    "readline.limit.exceeded",
    seen="LimitOverrunError: the separator comes",
)
class LetsTheOverrunThrough(StreamReader):
    async def readline(self) -> bytes:
        return await partial_at_eof(self.readuntil())


@specimen(
    "After a line that was too long, nothing more is received.",
    "readline.limit.peer-goes-on",
    seen="a hang",
)
class StaysPausedAfterALongLine(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await super().readline()
        except ValueError:
            self._holding_back = False  # so that nobody lets it go on
            if self._transport is not None:
                self._transport.pause_reading()
            raise


@specimen(
    "readline() throws away all received data, even the lines after the one that is too long.",
    "readline.limit.next-line-follows",
    seen="a hang",
)
class ThrowsTheRestAway(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await partial_at_eof(self.readuntil())
        except asyncio.LimitOverrunError as error:
            self._take(len(self._received))
            raise ValueError(str(error)) from None


@specimen(
    "readline() counts the newline towards the limit.",
    "readline.limit.newline-not-counted",
    seen="ValueError: line is too long",
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
    seen="b'one'",
)
class StripsTheNewline(StreamReader):
    async def readline(self) -> bytes:
        return (await super().readline()).removesuffix(b"\n")


@specimen(
    "readline() returns the bytes that have arrived, even without a newline.",
    "readline.waits-for-newline",
    "reader.by-hand.feed-data",
    seen={
        "readline.waits-for-newline": "it returned b'one'",
        "reader.by-hand.feed-data": "readline(): b'a'",
    },
)
class LineIsImpatient(StreamReader):
    async def readline(self) -> bytes:
        self._refuse()
        if not self._received and not self._ended:
            await self._wait()
        size = len(self._received)
        if 0 < size <= self._limit and self._received.find(b"\n") < 0:
            return self._take(size)
        return await super().readline()


@specimen(
    "readline() throws away the bytes that arrived with the line.",
    "readline.leaves-the-rest",
    seen="a hang",
)
class DropsWhatFollows(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        self._take(len(self._received))
        return line


@specimen(
    "readline() takes a carriage return for the end of a line, too.",
    "readline.only-newline-ends-a-line",
    "readline.empty-line",
    "reader.iteration.lines",
    seen={
        "readline.only-newline-ends-a-line": "13 bytes, with the end at 13",
        "reader.iteration.lines": "[b'one\\n', b'\\n', b'two\\r', b'\\n']",
    },
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
    seen="b'\\r\\n'",
)
class SkipsEmptyLines(StreamReader):
    async def readline(self) -> bytes:
        while (line := await super().readline()) == b"\n":
            pass
        return line


@specimen(
    "readline() refuses a line that is, with its newline, as long as the limit.",
    "readline.limit.fits",
    seen="ValueError: line is too long",
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
    seen="b'' returned",
)
class NegativeIsNothing(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        return await super().readexactly(max(n, 0))


@specimen(
    "read(0) raises the error with which the connection was lost.",
    "read.zero.lost",
    seen="ConnectionResetError: [Errno 104]",
)
class ZeroFails(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n == 0 and self._error is not None:
            raise self._error
        return await super().read(n)


@specimen(
    "readexactly(n) is read(n): it returns the bytes that have arrived.",
    "readexactly.waits-for-n-bytes",
    seen="it returned b'abc'",
)
class ExactlyIsAtMost(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        data = await self.read(n) if n > 0 else b""
        if len(data) < n and self._ended and not len(self._received):
            raise asyncio.IncompleteReadError(data, n)
        return data if n >= 0 else await super().readexactly(n)


@specimen(
    "readexactly(n) returns n bytes, and throws away the bytes that arrived with them.",
    "readexactly.returns-n-bytes",
    seen="a hang",
)
class ExactlyDropsTheRest(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        data = await super().readexactly(n)
        self._take(len(self._received) if data else 0)
        return data


@specimen(
    "readexactly(0) waits until something has arrived.",
    "readexactly.zero",
    seen="a hang",
)
class ExactlyZeroWaits(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n == 0 and not len(self._received) and not self._ended:
            await self._wait()
        return await super().readexactly(n)


@specimen(
    "readexactly(0) raises at EOF, as for any other number.",
    "readexactly.zero",
    seen="IncompleteReadError: 0 bytes read on a",
)
class ExactlyZeroRaises(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n == 0 and self.at_eof():
            raise asyncio.IncompleteReadError(b"", n)
        return await super().readexactly(n)


@specimen(
    "readexactly(n) takes anything that int() takes.",
    "readexactly.not-an-integer",
    seen="b'aa' returned",
)
class ExactlyAnyNumber(StreamReader):
    async def readexactly(self, n: Any) -> bytes:
        return await super().readexactly(int(n))


@specimen(
    "readexactly(n) refuses an n above the limit.",
    "readexactly.more-than-limit",
    "reader.flow.goes-on-after-cancelled-read",
    seen={
        "readexactly.more-than-limit": "ValueError: n is above the limit",
        "reader.flow.goes-on-after-cancelled-read": "ValueError: n is above the limit",
    },
)
class ExactlyRefusesLargeN(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n > self._limit:
            raise ValueError("n is above the limit")
        return await super().readexactly(n)


@specimen(
    "readexactly(n) returns the bytes that have arrived when the stream ends before n bytes.",
    "readexactly.eof.raises",
    seen="b'abc' returned",
)
class ExactlyReturnsLess(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        return await partial_at_eof(super().readexactly(n))


@specimen(
    "readexactly(n) raises when the stream has ended, although it ended right after n bytes.",
    "readexactly.eof.after-n-bytes",
    seen="IncompleteReadError: 3 bytes read on a",
)
class ExactlyWantsMore(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if self._ended and 0 < n == len(self._received):
            raise asyncio.IncompleteReadError(self._take(n), n)
        return await super().readexactly(n)


class OwnPartial(StreamReader):
    """Fails at EOF in a step that specimens get wrong."""

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
    seen="partial",
)
class ExactlyDropsThePartial(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return asyncio.IncompleteReadError(b"", n)


@specimen(
    "readexactly() raises a plain EOFError if nothing was left.",
    "readexactly.eof.partial-is-empty",
    "readexactly.eof.partial-is-bytes",
    "readexactly.eof.expected",
    seen="EOFError: nothing is left",
)
class ExactlyNothingIsPlain(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return super().incomplete(partial, n) if partial else EOFError("nothing is left")


@specimen(
    "IncompleteReadError.partial of readexactly() is a bytearray.",
    "readexactly.eof.partial-is-bytes",
    seen="partial of type <class 'bytearray'>",
)
class ExactlyPartialIsBytearray(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return asyncio.IncompleteReadError(bytearray(partial), n)  # type: ignore[arg-type]


@specimen(
    "IncompleteReadError.expected of readexactly(n) is the number of missing bytes.",
    "readexactly.eof.expected",
    "reader.errors.pickle",
    seen="IncompleteReadError.expected: 1",
)
class ExpectedIsWhatIsMissing(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        return asyncio.IncompleteReadError(partial, n - len(partial))


@specimen(
    "The bytes that readexactly() gives as IncompleteReadError.partial stay in the buffer.",
    "readexactly.eof.partial-is-consumed",
    "reader.at-eof.true-at-the-end",
    seen={
        "readexactly.eof.partial-is-consumed": "b'abc'",
        "reader.at-eof.true-at-the-end": "at_eof() at the end: False",
    },
)
class ExactlyPartialStays(OwnPartial):
    def incomplete(self, partial: bytes, n: int) -> Exception:
        if partial:
            self._received.add(partial)
        return super().incomplete(partial, n)


@specimen(
    "readexactly() calls its argument `size`.",
    "readexactly.n-by-keyword",
    seen="TypeError: ExactlyNamesItSize.readexactly",
)
class ExactlyNamesItSize(StreamReader):
    async def readexactly(self, size: int) -> bytes:
        return await super().readexactly(size)


@specimen(
    "readexactly() returns a bytearray.",
    "readexactly.returns-bytes",
    seen="<class 'bytearray'>",
)
class ExactlyReturnsBytearray(StreamReader):
    async def readexactly(self, n: int) -> Any:
        return bytearray(await super().readexactly(n))


@specimen(
    "readexactly(n) collects the pieces in a list of its own, which is lost when it is cancelled.",
    "readexactly.cancelled-loses-nothing",
    seen="a hang",
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
