"""What programs annotated with asyncio's types do, with streams of the reference.

It is read by type checkers, and run by nobody. See test_types.py.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import reference_impl as asyncio_streams


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Handle a client, as it is written for asyncio."""
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Handle a client without a coroutine."""
    writer.close()


async def with_ours(
    reader: asyncio_streams.StreamReader, writer: asyncio_streams.StreamWriter
) -> None:
    """Handle a client, as it is written for the reference."""
    await greet(reader, writer)


class Application:
    """Handlers that are methods, objects and partials."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a client."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a client."""

    async def named(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Handle a client."""


async def serve(context: ssl.SSLContext) -> None:
    """Start servers in every way."""
    application = Application()
    server: asyncio.Server = await asyncio_streams.start_server(greet, "127.0.0.1", 0, limit=1000)
    plain: asyncio.AbstractServer = await asyncio_streams.start_server(plainly, port=0)
    await asyncio_streams.start_server(with_ours, None, 0, ssl=context, start_serving=False)
    await asyncio_streams.start_server(application, "::1", 0)
    await asyncio_streams.start_server(application.handle, ["127.0.0.1", "::1"], 0)
    await asyncio_streams.start_server(functools.partial(application.named, "a"), port=0)
    await asyncio_streams.start_server(lambda reader, writer: writer.close(), port=0)
    unix: asyncio.Server = await asyncio_streams.start_unix_server(greet, "/tmp/a.socket")
    async with server, unix:
        for sock in server.sockets:
            sock.getsockname()
        await server.start_serving()
        await server.serve_forever()
    plain.close()


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(context: ssl.SSLContext) -> Pair:
    """Return streams of the reference as asyncio's."""
    reader, writer = await asyncio_streams.open_connection("localhost", 7, ssl=context)
    mine: asyncio.StreamReader = reader
    ours: asyncio.StreamWriter = writer
    await greet(mine, ours)
    await ours.start_tls(context, server_hostname="localhost")
    pair: Pair = await asyncio_streams.open_unix_connection("/tmp/a.socket", limit=1000)
    connects: Callable[[str, int], Awaitable[Pair]] = asyncio_streams.open_connection
    return pair or await connects("localhost", 7)


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Read in every way."""
    async for line in reader:
        yield line
    yield await reader.read()
    yield await reader.readexactly(5)
    yield await reader.readuntil(b"\r\n")


async def separators(reader: asyncio_streams.StreamReader) -> bytes:
    """Read until one of several, which asyncio can from Python 3.13 on."""
    return await reader.readuntil((b"\r", b"\n"))


class Reader(asyncio_streams.StreamReader):
    """A reader that counts."""

    count = 0

    async def read(self, n: int = -1) -> bytes:
        """Read and count."""
        data = await super().read(n)
        self.count += len(data)
        return data


class Protocol(asyncio_streams.StreamReaderProtocol):
    """A protocol that is told when the connection is lost."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Be told so."""
        super().connection_lost(exc)


async def by_hand() -> asyncio.StreamWriter:
    """Make streams from their parts."""
    loop = asyncio.get_running_loop()
    reader = Reader(limit=1000, loop=loop)
    protocol: asyncio.StreamReaderProtocol = Protocol(reader, greet)
    transport, _ = await loop.create_connection(lambda: protocol, "localhost", 7)
    reader.feed_data(b"data")
    reader.feed_eof()
    error: Exception | None = reader.exception()
    if error is not None:
        reader.set_exception(error)
    return asyncio_streams.StreamWriter(transport, protocol, reader, loop)


async def standard_output() -> asyncio.StreamWriter:
    """Write to a pipe."""
    loop = asyncio.get_running_loop()
    mixin = asyncio_streams.FlowControlMixin
    transport, protocol = await loop.connect_write_pipe(mixin, sys.stdout)
    return asyncio_streams.StreamWriter(transport, protocol, None, loop)


def installed() -> None:
    """Put it in place."""
    with asyncio_streams.install():
        asyncio.run(by_hand())
