"""Broken reads: one by one, what `StreamReader` has for reading."""

import asyncio
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


@specimen("read(n) with n below -1 raises ValueError.", "read.all.other-negatives")
class OnlyMinusOne(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n < -1:
            raise ValueError("n must be -1, zero or positive")
        return await super().read(n)


# readline()


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


@specimen("readline() counts the newline towards the limit.", "readline.limit.newline-not-counted")
class CountsTheNewline(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        if len(line) > self._limit:
            raise ValueError("line is too long")
        return line


# readexactly()


@specimen("readexactly() of a negative number returns b''.", "readexactly.negative")
class NegativeIsNothing(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        return await super().readexactly(max(n, 0))
