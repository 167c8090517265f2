"""A lookalike that cuts its data: each write into pieces, each read(n) at any length.

Its reads return a class of its own, which is a subclass of bytes.
"""

import operator
import random
from typing import Any

from .plain import Store, StreamReader, Streams, StreamWriter

CHANCE = random.Random(1)


class Chunk(bytes):
    """Some received bytes."""


class Chunks(Store):
    """Gives out chunks."""

    def take(self, count: int) -> bytes:
        return Chunk(super().take(count))


class Reader(StreamReader):
    """A reader that returns at most n bytes, and mostly fewer."""

    store = Chunks

    async def read(self, n: int = -1) -> bytes:
        n = operator.index(n)
        return await super().read(CHANCE.randint(n // 2 or 1, n) if n > 0 else n)


class Writer(StreamWriter):
    """A writer that hands on at most half of the rest."""

    def write(self, data: Any) -> None:
        rest = bytes(memoryview(data))
        while len(rest) > 1:
            size = CHANCE.randint(1, len(rest) // 2)
            super().write(rest[:size])
            rest = rest[size:]
        super().write(rest)

    def writelines(self, data: Any) -> None:
        for line in [bytes(memoryview(each)) for each in data]:
            self.write(line)


streams = Streams(Reader)
streams.StreamWriter = Writer
