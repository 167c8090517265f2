"""Networks of adapters: their ends, which have their own way to connect, and far ends."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.errors import NotApplicable, described
from conformance.networks.base import Network
from conformance.networks.memory import MemoryNetwork
from conformance.networks.wire import CHUNK, Wire, moved

if TYPE_CHECKING:
    from conformance.subject.event_loop import Loop


class AdapterNetwork(Network):
    """Where an adapter's ends meet: nothing can listen there, or connect.

    Args:
        virtual_time: whether they work on the fakes' loop.
        unread_capacity: see `Network`.
    """

    resets = False

    def __init__(self, virtual_time: bool, unread_capacity: int) -> None:
        self.below = MemoryNetwork() if virtual_time else None
        self.unread_capacity = unread_capacity

    @property
    def virtual_time(self) -> bool:
        """Whether the loop is the fakes' own."""
        return self.below is not None and self.below.virtual_time

    def new_loop(self, loop: "Loop") -> asyncio.AbstractEventLoop:
        """Return a new event loop for the ends."""
        return loop.factory() if self.below is None else self.below.new_loop(loop)

    def start_trace(self) -> None:
        """Record the segments on the fakes' network, if the ends use it."""
        if self.below is not None:
            self.below.start_trace()

    def trace(self) -> str:
        """Return the record."""
        return "" if self.below is None else self.below.trace()

    async def listen(self) -> NoReturn:
        """Not applicable."""
        raise NotApplicable("an adapter's ends are on no network")

    async def open(self, *_: object, **__: object) -> NoReturn:
        """Not applicable."""
        raise NotApplicable("an adapter's ends are on no network")

    async def serve(self, *_: object, **__: object) -> NoReturn:
        """Not applicable."""
        raise NotApplicable("an adapter's ends are on no network")

    async def dial(self, *_: object) -> NoReturn:
        """Not applicable."""
        raise NotApplicable("an adapter's ends are on no network")


class ReaderNetwork(AdapterNetwork):
    """Readers that are fed by hand."""

    name = ReaderAdapter.network


class PairNetwork(AdapterNetwork):
    """Pairs of ends."""

    name = PairAdapter.network


def network_of(adapter: ReaderAdapter | PairAdapter) -> AdapterNetwork:
    """Return a new network for the ends that `adapter` makes."""
    if isinstance(adapter, ReaderAdapter):
        return ReaderNetwork(True, PairAdapter.unread_capacity)
    return PairNetwork(adapter.virtual_time, adapter.unread_capacity)


class FeedingWire(Wire):
    """A far end that feeds a reader by hand."""

    def __init__(self, adapter: ReaderAdapter, reader: Any) -> None:
        self.adapter = adapter
        self.reader = reader

    async def send(self, data: bytes) -> None:
        """Feed the reader one piece."""
        if data:
            self.adapter.feed_data(self.reader, data)
            moved()

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
    """A far end that is the other end of a pair.

    Args:
        reader: its reader.
        writer: its writer.
        is_prompt: whether the loop can tell that nothing is on its way.
    """

    def __init__(self, reader: Any, writer: Any, *, is_prompt: bool) -> None:
        self.reader = reader
        self.writer = writer
        self.is_prompt = is_prompt

    async def received(self) -> None:
        """Settle, if the loop can tell that nothing is on its way.

        Another program may carry a pair's bytes.
        """
        if not self.is_prompt:
            raise NotApplicable("when a pair's bytes have arrived cannot be known")
        await self.settle()

    async def send(self, data: bytes) -> None:
        """Write one piece; a large one in parts, so that its progress can be seen."""
        for start in range(0, len(data), CHUNK):
            try:
                self.writer.write(data[start : start + CHUNK])
                await self.writer.drain()
            except Exception as error:
                self._raise_if_lost(error)
                raise
            moved()

    def _raise_if_lost(self, error: Exception) -> None:
        """Raise the error that tests know the loss of a connection by, if `error` is about it.

        No page names the classes of such errors, so an end may have its own.
        """
        is_closing = False
        with suppress(NotApplicable):
            is_closing = self.writer.is_closing()
        if is_closing:
            raise ConnectionResetError(f"the far end has lost it: {described(error)}") from error

    async def send_eof(self) -> None:
        """Close the sending direction."""
        self.writer.write_eof()

    async def receive_some(self) -> bytes:
        """Read the bytes that have arrived."""
        try:
            received = bytes(await self.reader.read(CHUNK))
        except Exception as error:
            self._raise_if_lost(error)
            raise
        moved()
        return received

    async def reset(self) -> None:
        """Not applicable: no call of one end is defined to make the other see a reset."""
        raise NotApplicable("a reset by the far end is not offered")

    async def close(self) -> None:
        """Close the other end."""
        self.writer.close()
