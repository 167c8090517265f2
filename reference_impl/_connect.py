"""The four functions that streams come from."""

from __future__ import annotations

import asyncio
from typing import Any

from ._protocol import ClientConnected, StreamReaderProtocol
from ._reader import DEFAULT_LIMIT, StreamReader
from ._writer import StreamWriter


async def open_connection(
    host: str | None = None,
    port: int | str | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> tuple[StreamReader, StreamWriter]:
    """Connect over TCP."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(path=None, *, limit=DEFAULT_LIMIT, **kwds):
    """Connect over a Unix socket."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(client_connected_cb: ClientConnected, host=None, port=None, *, limit=DEFAULT_LIMIT, **kwds):
    """Serve over TCP."""
    loop = asyncio.get_running_loop()

    def factory():
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)

    return await loop.create_server(factory, host, port, **kwds)


async def start_unix_server(client_connected_cb: ClientConnected, path=None, *, limit=DEFAULT_LIMIT, **kwds):
    """Serve over a Unix socket."""
    loop = asyncio.get_running_loop()

    def factory():
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)

    return await loop.create_unix_server(factory, path, **kwds)
