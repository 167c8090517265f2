"""Correct implementations whose time or memory grows with the data that passes."""

import asyncio
from typing import Any

from .sound import Protocol, Server, StreamReader, StreamWriter
from .specimen import specimen

_kept: list[Any] = []


@specimen(
    "Each piece that arrives is joined to a copy of all the unread data.",
    "costs.received-in-pieces",
    "costs.searching",
    "costs.searching.several",
)
class JoinsAnew(StreamReader):
    joined = b""

    def feed_data(self, data: Any) -> None:
        if not self._received:
            self.joined = b""
        self.joined = self.joined + bytes(data)
        super().feed_data(data)


@specimen(
    "Each read leaves a copy of the rest.",
    "costs.taken-in-pieces",
)
class CopiesTheRest(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        _copy(self)
        return await super().read(n)

    async def readline(self) -> bytes:
        _copy(self)
        return await super().readline()


def _copy(reader: StreamReader) -> None:
    reader.__dict__["rest"] = bytes(bytearray(len(reader._received)))


@specimen(
    "A read that waits for a separator searches all the unread data again with each piece.",
    "costs.searching",
)
class SearchesAnew(StreamReader):
    def feed_data(self, data: Any) -> None:
        super().feed_data(data)
        held = self._received.take(len(self._received))  # forgets which bytes it has searched
        self._received.add(held)
        held.find(b"no separator")


@specimen(
    "Each write is joined to a copy of all the unsent data.",
    "costs.written-in-pieces",
)
class JoinsTheUnsent(StreamWriter):
    unsent = b""

    def write(self, data: Any) -> None:
        super().write(data)
        waiting = self._protocol.transport.get_write_buffer_size()
        self.unsent = self.unsent + bytes(data) if waiting else b""


@specimen(
    "A loop over a reader copies the rest with each line.",
    "costs.taken-in-pieces",
)
class CopiesTheRestInALoop(StreamReader):
    async def __anext__(self) -> bytes:
        _copy(self)
        return await super().__anext__()


@specimen(
    "writelines() joins each item to a copy of those before.",
    "costs.written-in-pieces",
)
class JoinsLinesAnew(StreamWriter):
    def writelines(self, data: Any) -> None:
        joined = (b"",)
        for each in data:
            joined = (joined[0] + bytes(each),)
        self.write(joined[0])


@specimen(
    "A read that has waited goes on 10 ms later, in case there is more.",
    "costs.delays",
    seen="seconds passed: 0.0",
)
class WaitsForMore(StreamReader):
    async def _wait(self) -> None:
        await super()._wait()
        await asyncio.sleep(0.01)


@specimen(
    "start_tls() gives the peer 50 ms to be ready.",
    "costs.delays",
    seen="seconds passed: 0.05",
)
class GivesThePeerTime(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        await asyncio.sleep(0.05)


@specimen("drain() polls.", "costs.waiting", seen="timers")
class LooksAgain(StreamWriter):
    async def drain(self) -> None:
        while self._protocol.is_full and not self.is_closing():
            if self._protocol.is_lost:
                break
            await asyncio.sleep(0.001)
        await super().drain()


@specimen("All received data is kept.", "costs.memory.received", seen="KiB more in use")
class KeepsReceived(StreamReader):
    def feed_data(self, data: Any) -> None:
        self.__dict__.setdefault("received", []).append(bytes(data))
        super().feed_data(data)


@specimen("All written data is kept.", "costs.memory.written", seen="KiB more in use")
class KeepsWritten(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data)
        self.__dict__.setdefault("written", []).append(bytes(data))


@specimen("Every reader is kept.", "costs.memory.connections", seen="readers and writers kept")
class KeepsReaders(Protocol):
    def connection_made(self, transport: Any) -> None:
        _kept.append(self.reader)
        super().connection_made(transport)


@specimen(
    "A reader allocates as much memory as its limit.",
    "costs.memory.not-yet",
    seen="KiB more",
)
class TakesRoomForTheLimit(StreamReader):
    def __init__(self, limit: int = 2**16, loop: Any = None) -> None:
        super().__init__(limit, loop)
        self.room = bytearray(limit)


@specimen(
    "readexactly(n) allocates n bytes when it begins.",
    "costs.memory.not-yet",
    seen="KiB more",
)
class TakesRoomForAll(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        room = bytearray(max(n, 0))
        data = await super().readexactly(n)
        room[:] = data
        return bytes(room)


@specimen(
    "Data that is written after close() is kept.",
    "costs.memory.calls",
    seen="KiB more in use",
)
class KeepsWhatComesTooLate(StreamWriter):
    def write(self, data: Any) -> None:
        if self._protocol.is_lost:
            self.__dict__.setdefault("late", []).append(bytes(data))
        super().write(data)


@specimen(
    "Each read that was cancelled leaves a record.",
    "costs.memory.calls",
    seen="KiB more in use",
)
class KeepsNotesOfTheCancelled(StreamReader):
    async def _wait(self) -> None:
        try:
            await super()._wait()
        except asyncio.CancelledError:
            self.__dict__.setdefault("notes", []).append(bytearray(10_000))
            raise


@specimen(
    "A server keeps a record of each client that it had.",
    "costs.memory.connections",
    seen="KiB more in use",
)
class KeepsRecords(Server):
    def forget(self, connection: Any) -> None:
        super().forget(connection)
        self.__dict__.setdefault("records", []).append(bytearray(10_000))


@specimen(
    "Closed servers are kept, with all that belongs to them.",
    "costs.memory.calls",
    seen="KiB more in use",
)
class IsKept(Server):
    def close(self) -> None:
        if not self._is_closed:
            _kept.append((self, bytearray(10_000)))
        super().close()
