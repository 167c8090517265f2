"""aiohttp's StreamReader, which a response's `content` is, fed by hand.

streamcert certify aiohttp_reader:Reader
"""

import asyncio

from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from conformance import ReaderAdapter


class Reader(ReaderAdapter):
    """Readers of a protocol whose transport does nothing."""

    distribution = "aiohttp"
    # Each call sets its own limit, in `max_line_length`.
    without = frozenset({"limit", "StreamReader.readuntil.tuple", "StreamReader.set_transport"})

    def reader(self, limit: int) -> StreamReader:
        """Make a reader."""
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)
        protocol.connection_made(asyncio.Transport())
        return StreamReader(protocol, limit, loop=loop)

    def feed_data(self, reader: StreamReader, data: bytes) -> None:
        """Feed a piece."""
        reader.feed_data(data)

    def feed_eof(self, reader: StreamReader) -> None:
        """Feed the end."""
        reader.feed_eof()
