"""Broken `StreamReader.readuntil()`s."""

import asyncio
import re
from typing import Any

from .reading import ANY_PROGRAM
from .sound import StreamReader
from .specimen import specimen

Separators = tuple[bytes, ...]

UNTIL_ANY_PROGRAM = ("readuntil.any-program", "readuntil.tuple.any-program", *ANY_PROGRAM)


class PlainReader(StreamReader):
    """A `readuntil()` without any cleverness, in steps that specimens get wrong.

    It is right itself: see `Plain`.
    """

    def held(self) -> bytes:
        """Return all that is unread, without taking it."""
        data = self._received.take(len(self._received))
        self._received.add(data)
        return data

    def separators(self, separator: Any) -> Separators:
        """Return the separators given, as a tuple."""
        given = separator if isinstance(separator, tuple) else (separator,)
        if not given or not all(len(each) for each in given):
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
        """Return how many of the bytes held cannot be part of a separator."""
        return len(held) + 1 - max(map(len, separators))

    def is_too_long(self, length: int) -> bool:
        """Return whether that many bytes before the separator are too many."""
        return length > self._limit

    def overrun(self, consumed: int) -> Exception:
        """Return the exception to raise when they are."""
        return asyncio.LimitOverrunError("longer than the limit", consumed)

    def incomplete(self) -> Exception:
        """Return the exception to raise at EOF."""
        return asyncio.IncompleteReadError(self._take(len(self._received)), None)

    def result(self, begin: int, end: int) -> bytes:
        """Take the data, and return it with its separator."""
        return self._take(end)

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """Read up to and including a separator."""
        separators = self.separators(separator)
        self._refuse()
        while (found := self.find(held := self.held(), separators)) is None:
            if self.is_too_long(clear := self.clear(held, separators)):
                raise self.overrun(clear)
            if self._ended and self._error is None:
                raise self.incomplete()
            await self._wait()
        if self.is_too_long(found[0]):
            raise self.overrun(found[0])
        return self.result(*found)


@specimen(
    "None: it shows that `PlainReader` breaks nothing by itself.",
)
class Plain(PlainReader):
    pass


# Result and argument.


@specimen(
    "readuntil() returns the data without the separator.",
    "readuntil.returns-through-separator",
    seen="b'one'",
)
class StripsTheSeparator(PlainReader):
    def result(self, begin: int, end: int) -> bytes:
        return super().result(begin, end)[:begin]


@specimen(
    "readuntil() leaves the separator in the buffer.",
    "readuntil.returns-through-separator",
    "readuntil.removes-separator",
    basic=True,
    seen={
        "readuntil.returns-through-separator": "b'one'",
        "readuntil.removes-separator": "b'--tw'",
    },
)
class LeavesTheSeparator(PlainReader):
    def result(self, begin: int, end: int) -> bytes:
        return self._take(begin)


@specimen(
    "readuntil() throws away the bytes that arrived with the separator.",
    "readuntil.leaves-the-rest",
    seen="a hang",
)
class UntilDropsTheRest(PlainReader):
    def result(self, begin: int, end: int) -> bytes:
        return self._take(len(self._received))[:end]


@specimen(
    "readuntil() reads until CR LF by default.",
    "readuntil.default-separator",
    seen="a hang",
)
class UntilCrLfByDefault(PlainReader):
    async def readuntil(self, separator: Any = b"\r\n") -> bytes:
        return await super().readuntil(separator)


@specimen('readuntil(()) returns b"" immediately.', "readuntil.tuple.empty", seen="b'' returned")
class UntilNothing(PlainReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        return b"" if separator == () else await super().readuntil(separator)


@specimen(
    "readuntil() skips a separator that nothing precedes.",
    "readuntil.nothing-before-separator",
    "readuntil.limit.fits",
    seen={
        "readuntil.nothing-before-separator": "a hang after 20 s without progress",
        "readuntil.limit.fits": "a hang",
    },
)
class SkipsWhatIsEmpty(PlainReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        while (data := await super().readuntil(separator)) == separator:
            pass
        return data


@specimen(
    "readuntil() returns a bytearray.",
    "readuntil.returns-bytes",
    seen="<class 'bytearray'>",
)
class UntilReturnsBytearray(PlainReader):
    def result(self, begin: int, end: int) -> Any:
        return bytearray(super().result(begin, end))


@specimen(
    "readuntil() collects the pieces in a list of its own, which is lost when it is cancelled.",
    "readuntil.cancelled-loses-nothing",
    "readuntil.separator.changes",
    "reader.cancelled.as-bytes-arrive",
    seen="b'wo--=--'",
)
class UntilForgetsWhenCancelled(PlainReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.CancelledError:
            self._take(len(self._received))
            raise


# The separator.


@specimen(
    "readuntil() calls its argument `sep`.",
    "readuntil.separator-by-keyword",
    seen="TypeError: NamesItSep.readuntil() got an",
)
class NamesItSep(PlainReader):
    async def readuntil(self, sep: Any = b"\n") -> bytes:
        return await super().readuntil(sep)


@specimen(
    "readuntil() takes only bytes as a separator, not a bytearray.",
    "readuntil.separator.bytes-like",
    "readuntil.separator.changes",
    seen="TypeError: a separator is bytes",
)
class BytesOnly(PlainReader):
    def separators(self, separator: Any) -> Separators:
        for each in super().separators(separator):
            if type(each) is not bytes:
                raise TypeError("a separator is bytes")
        return super().separators(separator)


@specimen(
    "readuntil() searches only the new bytes, and misses a separator that was cut in two.",
    "readuntil.separator.any-split",
    "readuntil.waits-for-separator",
    "readuntil.tuple.any-split",
    seen={
        "readuntil.separator.any-split": "a hang",
        "readuntil.waits-for-separator": "a hang",
        "readuntil.tuple.any-split": "a hang",
    },
)
class MissesASplitSeparator(PlainReader):
    seen = 0

    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        found = super().find(held[self.seen :], separators)
        if found is None:
            self.seen = len(held)
            return None
        begin, end = found[0] + self.seen, found[1] + self.seen
        self.seen = 0
        return begin, end


@specimen(
    "readuntil() goes on where the last search ended, although that was for another separator.",
    "readuntil.separator.changes",
    seen="a hang",
)
class KeepsItsPlace(PlainReader):
    searched = 0

    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        start = min(self.searched, len(held))
        found = super().find(held[start:], separators)
        self.searched = 0 if found else max(0, self.clear(held, separators))
        return (found[0] + start, found[1] + start) if found else None


@specimen(
    "readuntil() compares byte by byte, and after a partial match goes on behind it.",
    "readuntil.separator.self-overlapping",
    seen="a hang",
)
class ForgetsFalseStarts(PlainReader):
    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        found = []
        for each in separators:
            matched = 0
            for at, byte in enumerate(held):
                if byte == each[matched]:
                    matched += 1
                    if matched == len(each):
                        found.append((at + 1, matched))
                        break
                else:
                    matched = 0
        if not found:
            return None
        end, length = min(found)
        return end - length, end


@specimen(
    "readuntil() takes the separator for a regular expression.",
    "readuntil.separator.any-bytes",
    seen="b'a'",
)
class TakesItForAPattern(PlainReader):
    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        try:
            match = re.search(b"|".join(separators), held)
        except re.error:
            return super().find(held, separators)
        return match.span() if match else None


@specimen(
    "readuntil() takes separators of up to 255 bytes.",
    "readuntil.separator.any-length",
    "readuntil.tuple.any-of-them",
    seen="ValueError: the separator is too long",
)
class TakesShortSeparators(PlainReader):
    def separators(self, separator: Any) -> Separators:
        if any(len(each) > 255 for each in super().separators(separator)):
            raise ValueError("the separator is too long")
        return super().separators(separator)


@specimen(
    "readuntil(b'') returns b'' immediately: the empty separator is found at the beginning.",
    "readuntil.separator.empty",
    "readuntil.tuple.with-empty-separator",
    seen="b'' returned",
)
class FindsNothing(PlainReader):
    def separators(self, separator: Any) -> Separators:
        given = separator if isinstance(separator, tuple) else (separator,)
        return given or super().separators(separator)


# The limit.


@specimen(
    "readuntil() counts the separator towards the limit.",
    "readuntil.limit.separator-not-counted",
    "reader.by-hand.transport",
    seen={
        "readuntil.limit.separator-not-counted": "LimitOverrunError: longer than the limit",
        "reader.by-hand.transport": "LimitOverrunError: longer than the limit",
    },
)
class CountsTheSeparator(PlainReader):
    def result(self, begin: int, end: int) -> bytes:
        if end > self._limit:
            raise self.overrun(begin)
        return super().result(begin, end)


@specimen(
    "readuntil() refuses data that is exactly as long as the limit: `>=`.",
    "readuntil.limit.separator-not-counted",
    "readuntil.limit.reached-without-separator",
    seen={
        "readuntil.limit.separator-not-counted": "LimitOverrunError: longer than the limit",
        "readuntil.limit.reached-without-separator": "it raised LimitOverrunError: longer than",
    },
)
class LimitIsOneLess(PlainReader):
    def is_too_long(self, length: int) -> bool:
        return length >= self._limit


@specimen(
    "readuntil() ignores the limit.",
    "readuntil.limit.exceeded-before-separator",
    "reader.by-hand.limit-and-loop",
    seen={
        "readuntil.limit.exceeded-before-separator": "b'aaaaaaaaaaaaaaaaa--' returned",
        "reader.by-hand.limit-and-loop": "b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    },
)
class IgnoresTheLimit(PlainReader):
    def is_too_long(self, length: int) -> bool:
        return False


@specimen(
    "readuntil() checks the limit only when the separator has arrived.",
    "readuntil.limit.exceeded-without-separator",
    "readuntil.tuple.limit.exceeded",
    seen={
        "readuntil.limit.exceeded-without-separator": "a hang",
        "readuntil.tuple.limit.exceeded": "a hang",
    },
)
class LooksAtTheLimitLate(PlainReader):
    def clear(self, held: bytes, separators: Separators) -> int:
        return 0


@specimen(
    "readuntil() throws away the data when it is too long.",
    "readuntil.limit.data-is-kept",
    "readuntil.limit.other-separator",
    seen={"readuntil.limit.data-is-kept": "a hang", "readuntil.limit.other-separator": "a hang"},
)
class ForgetsAfterAnOverrun(PlainReader):
    def overrun(self, consumed: int) -> Exception:
        self._take(len(self._received))
        return super().overrun(consumed)


@specimen(
    "LimitOverrunError.consumed is always 0.",
    "readuntil.limit.consumed-is-a-count",
    seen="consumed 0",
)
class ConsumedIsZero(PlainReader):
    def overrun(self, consumed: int) -> Exception:
        return super().overrun(0)


@specimen(
    "LimitOverrunError.consumed is the limit.",
    "readuntil.limit.consumed-up-to-separator",
    "readuntil.limit.consumed-without-separator",
    "readuntil.tuple.limit.consumed",
    seen={
        "readuntil.limit.consumed-up-to-separator": "consumed 16",
        "readuntil.tuple.limit.consumed": "consumed 16",
    },
)
class ConsumedIsTheLimit(PlainReader):
    def overrun(self, consumed: int) -> Exception:
        return super().overrun(self._limit)


@specimen(
    "LimitOverrunError.consumed without a separator is the whole buffer, although its end may "
    "begin a separator.",
    "readuntil.limit.consumed-without-separator",
    "readuntil.limit.consume-and-go-on",
    "readuntil.tuple.limit.consume-and-go-on",
    seen={
        "readuntil.limit.consumed-without-separator": "consumed 33",
        "readuntil.limit.consume-and-go-on": "IncompleteReadError: 1 bytes read on a",
    },
)
class ConsumedIsAllThatIsHeld(PlainReader):
    def overrun(self, consumed: int) -> Exception:
        return super().overrun(consumed)

    def clear(self, held: bytes, separators: Separators) -> int:
        clear = super().clear(held, separators)
        return len(held) if self.is_too_long(clear) else clear


# EOF.


@specimen(
    "readuntil() returns the rest when the stream ends, as readline() does.",
    "readuntil.eof.raises",
    "readuntil.eof.partial-is-empty",
    "reader.errors.incomplete-is-eof-error",
    seen={
        "readuntil.eof.raises": "b'two' returned",
        "readuntil.eof.partial-is-empty": "b'' returned",
        "reader.errors.incomplete-is-eof-error": "b'' returned",
    },
)
class ReturnsWhatIsLeft(PlainReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError as error:
            return error.partial


@specimen(
    "IncompleteReadError.partial of readuntil() is empty: the bytes are lost.",
    "readuntil.eof.partial",
    seen="partial b''",
)
class UntilDropsThePartial(PlainReader):
    def incomplete(self) -> Exception:
        self._take(len(self._received))
        return asyncio.IncompleteReadError(b"", None)


@specimen(
    "The bytes that readuntil() gives as IncompleteReadError.partial stay in the buffer.",
    "readuntil.eof.buffer-is-reset",
    "reader.at-eof.true-at-the-end",
    seen="at_eof(): False",
)
class UntilPartialStays(PlainReader):
    def incomplete(self) -> Exception:
        return asyncio.IncompleteReadError(self.held(), None)


@specimen(
    "IncompleteReadError.partial of readuntil() lacks last bytes that may begin a separator.",
    "readuntil.eof.partial-has-piece-of-separator",
    "readuntil.tuple.eof",
    seen={
        "readuntil.eof.partial-has-piece-of-separator": "partial b'one'",
        "readuntil.tuple.eof": "partial b'one'",
    },
)
class CutsThePieceOfSeparatorOff(PlainReader):
    tried: Separators = ()

    def separators(self, separator: Any) -> Separators:
        self.tried = super().separators(separator)
        return self.tried

    def incomplete(self) -> Exception:
        partial = self._take(len(self._received))
        for each in self.tried:
            for length in range(len(each) - 1, 0, -1):
                if partial.endswith(each[:length]):
                    return asyncio.IncompleteReadError(partial[:-length], None)
        return asyncio.IncompleteReadError(partial, None)


# Several separators.


@specimen(
    "With a tuple, readuntil() prefers the first separator to the others.",
    "readuntil.tuple.any-of-them",
    "readuntil.tuple.suffixes-of-each-other",
    seen={
        "readuntil.tuple.any-of-them": "b'one;two--three,'",
        "readuntil.tuple.suffixes-of-each-other": "b'two\\nthree\\r\\n'",
    },
)
class FirstMatchWins(PlainReader):
    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        for each in separators:
            if (at := held.find(each)) >= 0:
                return at, at + len(each)
        return None


@specimen(
    "With a tuple, readuntil() takes the separator that begins first.",
    "readuntil.tuple.overlapping",
    "readuntil.tuple.any-order",
    seen={
        "readuntil.tuple.overlapping": "b'xabcdef'",
        "readuntil.tuple.any-order": "until (b'abcd', b'bc', b'd'): b'oneabcd'",
    },
)
class FirstToBegin(PlainReader):
    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        found = [(at, len(each)) for each in separators if (at := held.find(each)) >= 0]
        if not found:
            return None
        begin, length = min(found)
        return begin, begin + length


@specimen(
    "If several separators begin at the same place, readuntil() takes the longest.",
    "readuntil.tuple.prefixes-of-each-other",
    "readuntil.tuple.overlapping",
    seen="b'one\\r\\n'",
)
class LongestOfAll(PlainReader):
    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        found = super().find(held, separators)
        if found:
            for each in sorted(separators, key=len, reverse=True):
                if held.startswith(each, found[0]):
                    return found[0], found[0] + len(each)
        return found


@specimen(
    "Of separators with the same end, readuntil() applies the limit up to the longest.",
    "readuntil.tuple.limit.shortest-matched",
    "readuntil.tuple.limit.consumed",
    seen="b'aaaaaaaaaaaaaaaaxx\\n' returned",
)
class MeasuresByTheLongest(PlainReader):
    def find(self, held: bytes, separators: Separators) -> tuple[int, int] | None:
        found = super().find(held, separators)
        if found:
            longest = max(len(each) for each in separators if held[: found[1]].endswith(each))
            return found[1] - longest, found[1]
        return found


@specimen(
    "The shortest separator in a tuple decides how many bytes cannot be part of a separator.",
    "readuntil.tuple.limit.consume-and-go-on",
    seen="IncompleteReadError: 1 bytes read on a",
)
class ClearByTheShortest(PlainReader):
    def clear(self, held: bytes, separators: Separators) -> int:
        return len(held) + 1 - min(map(len, separators))


@specimen(
    "readuntil() leaves an empty separator out of a tuple.",
    "readuntil.tuple.with-empty-separator",
    seen="b'abc' returned",
)
class SkipsEmptySeparators(PlainReader):
    def separators(self, separator: Any) -> Separators:
        if isinstance(separator, tuple) and any(separator):
            separator = tuple(filter(None, separator))
        return super().separators(separator)


@specimen(
    "readuntil() takes no tuple, as in Python 3.12.",
    "readuntil.tuple.any-of-them",
    "readuntil.tuple.one",
    seen={
        "readuntil.tuple.any-of-them": "TypeError: a separator is bytes",
        "readuntil.tuple.one": "TypeError: a separator is bytes",
    },
)
class TakesNoTuple(PlainReader):
    def separators(self, separator: Any) -> Separators:
        if isinstance(separator, tuple):
            raise TypeError("a separator is bytes")
        return super().separators(separator)
