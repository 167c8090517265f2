"""What an adapter's ends become in a trial: parts that are offered or not, and far ends."""

from typing import Any, NoReturn

from conformance.adapters import ReaderAdapter
from conformance.errors import NotApplicable
from conformance.networks.wire import CHUNK, Wire


class Missing:
    """Stands for a part that an adapter does not offer: what uses it is not applicable."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __getattr__(self, name: str) -> NoReturn:
        """Say so."""
        raise NotApplicable(f"{self.what} is not offered")


class Part:
    """A reader or a writer, less the attributes that it is said not to offer.

    Args:
        kind: `"StreamReader"` or `"StreamWriter"`.
        whole: the reader or writer.
        without: what it does not offer.
    """

    def __init__(self, kind: str, whole: Any, without: frozenset[str]) -> None:
        self.kind = kind
        self.whole = whole
        self.without = without

    def __getattr__(self, name: str) -> Any:
        """Return the attribute, if it is offered."""
        if f"{self.kind}.{name}" in self.without:
            raise NotApplicable(f"{self.kind}.{name} is not offered")
        return getattr(self.whole, name)

    def __aiter__(self) -> Any:
        """Iterate, if that is offered."""
        if f"{self.kind}.__aiter__" in self.without:
            raise NotApplicable(f"{self.kind}.__aiter__ is not offered")
        return aiter(self.whole)


def offered(kind: str, whole: Any, without: frozenset[str]) -> Any:
    """Return a reader or writer as far as it is offered."""
    return Part(kind, whole, without) if without else whole


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
