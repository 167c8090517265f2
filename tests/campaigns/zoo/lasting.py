"""Connections that give up by themselves after a long wait, and that keep the bytes that passed."""

import asyncio
from typing import Any

from ..lookalikes.plain import Store
from .sound import Protocol, StreamReader, StreamWriter
from .specimen import specimen

# Time.


@specimen(
    "A read gives up after five minutes.",
    "read.n.waits-for-a-byte",
    "readline.waits-for-newline",
    "readexactly.waits-for-n-bytes",
    seen="TimeoutError",
    basic=True,
)
class ReadsForFiveMinutes(StreamReader):
    async def _wait(self) -> None:
        async with asyncio.timeout(300):
            await super()._wait()


@specimen(
    "read() takes silence of half an hour for the end of the stream.",
    "read.all.waits-for-eof",
    basic=True,
)
class TakesSilenceForTheEnd(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        try:
            async with asyncio.timeout(1800):
                return await super().read(n)
        except TimeoutError:
            return self._received.take(len(self._received))


@specimen("drain() returns after 30 seconds.", "drain.waits", basic=True)
class DrainsForHalfAMinute(StreamWriter):
    async def drain(self) -> None:
        try:
            async with asyncio.timeout(30):
                await super().drain()
        except TimeoutError:
            pass


@specimen(
    "wait_closed() returns after a minute.",
    "wait_closed.waits-until-sent",
    "wait_closed.waits-while-open",
    basic=True,
)
class WaitsForAMinute(StreamWriter):
    async def wait_closed(self) -> None:
        try:
            async with asyncio.timeout(60):
                await super().wait_closed()
        except TimeoutError:
            pass


@specimen(
    "Bytes that are not sent a minute after close() are dropped.",
    "close.sends-first",
    "wait_closed.waits-until-sent",
    basic=True,
)
class LingersForAMinute(StreamWriter):
    def close(self) -> None:
        if not self.is_closing():
            self._loop.call_later(60, self.transport.abort)
        super().close()


@specimen(
    "A connection that has been idle for a quarter of an hour is closed.",
    "is_closing.open",
    "start_tls.stays-open",
    basic=True,
)
class ClosesTheIdle(Protocol):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch = self.loop.call_later(900, self._close_the_idle)

    def _close_the_idle(self) -> None:
        self.transport.close()

    def receive(self, data: Any) -> None:
        self._watch.cancel()
        self._watch = self.loop.call_later(900, self._close_the_idle)
        super().receive(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(error)


@specimen(
    "A connection that is open in one direction is closed after five minutes.",
    "write.after-peer-eof",
    "write_eof.reading-goes-on",
    basic=True,
)
class ClosesHalvesInTime(Protocol):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        sound = transport.write_eof

        def write_eof() -> None:
            sound()
            self.loop.call_later(300, transport.close)

        transport.write_eof = write_eof

    def eof_received(self) -> bool:
        self.loop.call_later(300, self.transport.close)
        return super().eof_received()


@specimen("write_eof() takes effect 10 ms later.", "costs.delays", basic=True)
class EndsALittleLater(StreamWriter):
    def write_eof(self) -> None:
        if self.can_write_eof() and not self._has_written_eof and not self.is_closing():
            self._has_written_eof = True
            self._loop.call_later(0.01, self.transport.write_eof)


@specimen("wait_closed() waits 250 ms before it raises.", "costs.delays", basic=True)
class RestsBeforeItRaises(StreamWriter):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except Exception:
            await asyncio.sleep(0.25)
            raise


class _Forgetful(Store):
    def find(self, separator: bytes) -> int:
        if any(self._bytes.endswith(separator[:size]) for size in range(1, len(separator))):
            self._searched.clear()
        return super().find(separator)


@specimen(
    "After a false start of a separator all unread bytes are searched again.",
    "costs.searching",
    "costs.searching.several",
    basic=True,
)
class SearchesAnewAfterFalseStarts(StreamReader):
    store = _Forgetful


# Memory.


@specimen("Bytes that read(n) returned are kept.", "costs.memory.received", basic=True)
class KeepsWhatWasRead(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n > 0:
            self.__dict__.setdefault("pieces", []).append(data)
        return data


@specimen(
    "The bytes that read() returned at the end are kept.", "costs.memory.received", basic=True
)
class KeepsTheWhole(StreamReader):
    whole = b""

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n < 0 and data:
            self.whole = data
        return data


@specimen("The last error of readexactly() is kept.", "costs.memory.received", basic=True)
class KeepsTheLastError(StreamReader):
    error: Exception | None = None

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError as error:
            self.error = error
            raise


@specimen(
    "Bytes that readuntil() returned for one of several separators are kept.",
    "costs.memory.received",
    basic=True,
)
class KeepsWhatTuplesFound(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        data = await super().readuntil(separator)
        if isinstance(separator, tuple):
            self.__dict__.setdefault("pieces", []).append(data)
        return data


@specimen(
    "Bytes that the network does not take immediately are kept.", "costs.memory.written", basic=True
)
class KeepsWhatHadToWait(StreamWriter):
    def write(self, data: Any) -> None:
        if not self.is_closing() and self.transport.get_write_buffer_size():
            self.__dict__.setdefault("pieces", []).append(bytes(memoryview(data)))
        super().write(data)


@specimen("Each drain() leaves a future.", "costs.memory.calls", basic=True)
class NotesDrains(StreamWriter):
    async def drain(self) -> None:
        self.__dict__.setdefault("drains", []).append(self._loop.create_future())
        await super().drain()


@specimen("Each read that was refused leaves its error.", "costs.memory.calls", basic=True)
class NotesTheRefused(StreamReader):
    def _refuse(self) -> None:
        try:
            super()._refuse()
        except RuntimeError as error:
            self.__dict__.setdefault("errors", []).append(error)
            raise


@specimen("Each readexactly() that was cancelled leaves a note.", "costs.memory.calls", basic=True)
class NotesTheCancelled(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.CancelledError:
            self.__dict__.setdefault("cancelled", []).append({"n": n})
            raise
