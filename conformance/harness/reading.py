"""Reading with `read(n)` alone, the one read that tests of everything else trust.

So a broken read of another kind fails the clauses about it, and no others.
"""

import asyncio

from conformance.networks.wire import give_way, moved

PIECE = 64 * 1024  # bytes

SHORT_READS = 4096
"""Bytes after which the event loop gets a turn, if they arrive one at a time."""


async def take(reader: asyncio.StreamReader, count: int) -> bytes:
    """Return the next `count` bytes of the stream; fewer if it ends before."""
    taken = bytearray()
    while len(taken) < count and (piece := await reader.read(count - len(taken))):
        taken += piece
        moved()
        if len(taken) % SHORT_READS == 0:
            await give_way()  # a reader that gives single bytes may never wait
    return bytes(taken)


async def next_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next item of `async for`."""
    return await anext(aiter(reader))


async def take_rest(reader: asyncio.StreamReader) -> bytes:
    """Return all bytes until EOF."""
    taken = bytearray()
    while piece := await reader.read(PIECE):
        taken += piece
        moved()
    return bytes(taken)
