"""The far ends of what an adapter makes."""

from typing import Any

from conformance.adapters import ReaderAdapter
from conformance.errors import NotApplicable
from conformance.networks.wire import CHUNK, Wire


class FeedingWire(Wire):
    """A far end that feeds a reader by hand."""

    def __init__(self, adapter: ReaderAdapter, reader: Any) -> None:
        self.adapter = adapter
        self.reader = reader

    async def send(self, data: bytes) -> None:
        """Feed the reader one piece."""
        if data:
            self.adapter.feed_data(self.reader, data)

    async def send_eof(self) -> None:
        """Feed the end."""
        self.adapter.feed_eof(self.reader)

    async def receive_some(self) -> bytes:
        """Not applicable: a reader sends nothing."""
        raise NotApplicable("a reader alone sends nothing")

    async def reset(self) -> None:
        """Not applicable: a reader has no connection."""
        raise NotApplicable("a reader alone has no connection")

    async def close(self) -> None:
        """Feed the end: that is what a reader sees of an orderly close."""
        self.adapter.feed_eof(self.reader)


class PeerWire(Wire):
    """A far end that is the other end of a pair."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write one piece."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_eof(self) -> None:
        """Close the sending direction."""
        self.writer.write_eof()

    async def receive_some(self) -> bytes:
        """Read what there is."""
        return bytes(await self.reader.read(CHUNK))

    async def reset(self) -> None:
        """Not applicable: what one end could do to make the other see a reset is not defined."""
        raise NotApplicable("a reset by the far end is not offered")

    async def close(self) -> None:
        """Close the other end."""
        self.writer.close()
