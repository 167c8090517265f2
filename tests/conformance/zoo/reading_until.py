"""Broken `StreamReader.readuntil()`s."""

import asyncio
from typing import Any

from reference_impl import StreamReader

from .reading import ANY_PROGRAM
from .specimen import specimen

Separators = tuple[bytes, ...]

UNTIL_ANY_PROGRAM = ("readuntil.any-program", "readuntil.tuple.any-program", *ANY_PROGRAM)


class PlainReader(StreamReader):
    """A `readuntil()` without any cleverness, in steps that specimens get wrong.

    It is right itself: see `Plain`.
    """

    def held(self) -> bytes:
        """Return all that is unread, without taking it."""
        data = self._take(self._buffer.size)
        if data:
            self._buffer.feed(data)
        return data

    def separators(self, separator: Any) -> Separators:
        """Return the separators given, as a tuple."""
        given = separator if isinstance(separator, tuple) else (separator,)
        if not given or not all(given):
            raise ValueError("an empty separator")
        return given

    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        """Return where the separator that ends first begins and ends; the shortest of several."""
        found = [(at + len(each), len(each)) for each in separators if (at := held.find(each)) >= 0]
        if not found:
            return None
        end, length = min(found)
        return end - length, end

    def clear(self, held: bytes, separators: Separators) -> int:
        """Return how many bytes of what is held can be no part of a separator."""
        return len(held) + 1 - max(map(len, separators))

    def is_too_long(self, length: int) -> bool:
        """Return whether so many bytes before the separator are too many."""
        return length > self._limit

    def overrun(self, consumed: int) -> Exception:
        """Return what to raise when they are."""
        return asyncio.LimitOverrunError("longer than the limit", consumed)

    def incomplete(self) -> Exception:
        """Return what to raise at the end of the stream."""
        return asyncio.IncompleteReadError(self._take(self._buffer.size), None)

    def result(self, begin: int, end: int) -> bytes:
        """Take the data, and return it with its separator."""
        return self._take(end)

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """Read up to and including a separator."""
        separators = self.separators(separator)
        self._refuse("readuntil")
        while (found := self.find(held := self.held(), separators)) is None:
            if self.is_too_long(clear := self.clear(held, separators)):
                raise self.overrun(clear)
            if self._eof and self._exception is None:
                raise self.incomplete()
            await self._wait(len(held) + 1)
        if self.is_too_long(found[0]):
            raise self.overrun(found[0])
        return self.result(*found)


@specimen("None: it shows that `PlainReader` breaks nothing by itself.")
class Plain(PlainReader):
    pass


# What it returns and takes.


# The separator.


@specimen("readuntil() calls its argument `sep`.", "readuntil.separator-by-keyword")
class NamesItSep(PlainReader):
    async def readuntil(self, sep: Any = b"\n") -> bytes:
        return await super().readuntil(sep)


@specimen(
    "readuntil() takes bytes only for a separator, and no bytearray.",
    "readuntil.separator.bytes-like",
)
class BytesOnly(PlainReader):
    def separators(self, separator: Any) -> Separators:
        for each in super().separators(separator):
            if type(each) is not bytes:
                raise TypeError("a separator is bytes")
        return super().separators(separator)


# The limit.


# The end of the stream.


# Several separators.
