"""Reading by `read(n)` alone, the one read that tests of everything else trust.

So a read of another kind that is broken fails the clauses about it, and not those for which
somebody has to read.
"""

import asyncio

from conformance.networks.wire import give_way, moved

PIECE = 64 * 1024  # bytes

SHORT_READS = 4096
"""Bytes after which the event loop gets a turn, where they come one at a time."""


async def take(reader: asyncio.StreamReader, count: int) -> bytes:
    """Return the next `count` bytes of the stream; fewer if it ends before."""
    taken = bytearray()
    while len(taken) < count and (piece := await reader.read(count - len(taken))):
        taken += piece
        moved()
        if len(taken) % SHORT_READS == 0:
            await give_way()  # a reader that gives a byte at a time need not wait for any
    return bytes(taken)


async def next_line(reader: asyncio.StreamReader) -> bytes:
    """Return what `async for` gives next."""
    return await anext(aiter(reader))


async def take_rest(reader: asyncio.StreamReader) -> bytes:
    """Return all until the end of the stream."""
    taken = bytearray()
    while piece := await reader.read(PIECE):
        taken += piece
        moved()
    return bytes(taken)
