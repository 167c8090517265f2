"""The data in one direction of a connection, and the right result of each read."""

from __future__ import annotations

import random
from functools import lru_cache

from .program import SEPARATORS

ALPHABET = bytes(set(range(256)) - set(b"".join(SEPARATORS)))
SURE = 16  # bytes that occur nowhere twice


@lru_cache(maxsize=64)
def content(seed: str, size: int) -> bytes:
    """Return *size* bytes: irregular, with separators at distances of every magnitude."""
    chance = random.Random(seed)
    noise = chance.randbytes(size).translate(bytes(ALPHABET[i % len(ALPHABET)] for i in range(256)))
    pieces: list[bytes] = []
    at = total = 0
    while total < size:
        length = int(chance.choice((1, 10, 100, 1000, 20_000)) * chance.random())
        pieces += noise[at : at + length], chance.choice(SEPARATORS)
        at += length
        total += len(pieces[-2]) + len(pieces[-1])
    return b"".join(pieces)[:size]


class Direction:
    """One direction: the data to write, the written part, and the read part.

    Arguments:
        data: all the data to write.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.written = 0
        self.read = 0
        # Read since an unknown number of bytes was discarded; None if the position is known.
        self.unplaced: bytes | None = None

    def write(self, size: int) -> bytes:
        """Return the next bytes to write, and count them as written."""
        data = self.data[self.written : self.written + size]
        self.written += size
        return data

    def take(self, data: bytes) -> str | None:
        """Count bytes as read; return their fault, if there is one."""
        if self.unplaced is not None:
            return self._place(self.unplaced + data)
        begin, end = self.read, self.read + len(data)
        if data != self.data[begin : min(end, self.written)]:
            return f"read {shown(data)} at byte {begin}, where {self._expected(begin)} was written"
        self.read = end
        return None

    def _place(self, data: bytes) -> str | None:
        at = self.data.find(data, self.read, self.written)
        if at < 0:
            return f"read {shown(data)}, which was not written after byte {self.read}"
        if len(data) < SURE:
            self.unplaced = data
        else:
            self.unplaced = None
            self.read = at + len(data)
        return None

    def _expected(self, begin: int) -> str:
        return shown(self.data[begin : min(begin + SURE, self.written)])

    def ended(self) -> str | None:
        """Return the fault if the stream has ended here normally; None if there is none."""
        if self.unplaced is not None:
            if not self.data[: self.written].endswith(self.unplaced):
                return f"the stream ended after {shown(self.unplaced)}, but that was not the end"
            return None
        if self.read != self.written:
            return f"the stream ended after {self.read} of {self.written} bytes"
        return None

    def incomplete(self) -> str | None:
        """Return the missing part when everything should have arrived; None if there is none."""
        total = len(self.data)
        if self.written != total:
            return f"{self.written} of {total} bytes were written"
        return self.ended()

    def match(self, separators: tuple[bytes, ...]) -> tuple[int, int] | None:
        """Return where the separator that is complete first begins and ends, after what was read.

        Of those that end together it is the shortest, as the description has it.
        """
        found = [
            (begin + len(separator), -begin)
            for separator in separators
            if (begin := self.data.find(separator, self.read)) >= 0
        ]
        if not found:
            return None
        end, begin = min(found)
        return -begin - self.read, end - self.read


def shown(data: bytes) -> str:
    """Return bytes, shortened."""
    return repr(data) if len(data) <= 40 else f"{data[:40]!r}... ({len(data)} bytes)"
