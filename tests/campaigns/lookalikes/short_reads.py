"""A lookalike whose read(n) returns one byte, however many there are: "at most n"."""

import operator

from .plain import StreamReader, Streams


class Short(StreamReader):
    """A reader whose read(n) returns one byte."""

    async def read(self, n: int = -1) -> bytes:
        n = operator.index(n)
        return await super().read(min(n, 1))


streams = Streams(Short)
