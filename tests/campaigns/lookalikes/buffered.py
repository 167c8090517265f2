"""A lookalike whose connections are `BufferedProtocol`s: the transport fills a buffer of theirs."""

import asyncio

from .plain import Connection, Server, StreamReader, Streams

SIZE = 8 * 1024


class Buffered(Connection, asyncio.BufferedProtocol):
    """Lends the transport the same buffer again and again."""

    def __init__(self, reader: StreamReader, server: Server | None = None) -> None:
        super().__init__(reader, server)
        self.buffer = bytearray(SIZE)

    def get_buffer(self, sizehint: int) -> memoryview:
        # Not the bytearray itself: of that, asyncio's TLS fills a copy when records come together.
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.receive(self.buffer[:nbytes])


streams = Streams(protocol=Buffered)
