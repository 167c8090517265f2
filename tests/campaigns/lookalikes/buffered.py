"""A lookalike whose connections are `BufferedProtocol`s: the transport fills their buffer."""

import asyncio

from .plain import Connection, Server, StreamReader, Streams

SIZE = 8 * 1024


class Buffered(Connection, asyncio.BufferedProtocol):
    """Lends the transport the same buffer again and again."""

    def __init__(self, reader: StreamReader, server: Server | None = None) -> None:
        super().__init__(reader, server)
        self.buffer = bytearray(SIZE)

    def get_buffer(self, sizehint: int) -> memoryview:
        # Not the bytearray itself: asyncio's TLS fills a copy of it when records arrive together.
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.receive(self.buffer[:nbytes])


streams = Streams(protocol=Buffered)
