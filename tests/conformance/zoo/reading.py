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
    "read() answers a cancellation with b''.",
    "reader.cancelled.raises",
)
class SwallowsCancellation(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        try:
            return await super().read(n)
        except asyncio.CancelledError:
            return b""


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
