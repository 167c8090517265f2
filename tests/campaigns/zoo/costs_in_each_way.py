"""Faults that cost time or memory in one way of using streams, and in no other."""

import asyncio
import ssl as ssl_module
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .sound import Protocol, Server, StreamReader, StreamWriter, open_connection
from .specimen import specimen
from .upgraded import Reader, Writer

_kept: list[Any] = []


@specimen("Each line that readline() returned is kept.", "costs.memory.received", basic=True)
class KeepsLines(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        self.__dict__.setdefault("lines", []).append(line)
        return line


@specimen("Data that writelines() sent is kept.", "costs.memory.written", basic=True)
class KeepsWhatLinesSay(StreamWriter):
    def writelines(self, data: Any) -> None:
        lines = b"".join(bytes(memoryview(each)) for each in data)
        self.__dict__.setdefault("lines", []).append(lines)
        super().write(lines)


@specimen("Data that an upgraded connection received is kept.", "costs.memory.received", basic=True)
class KeepsReceivedWhenUpgraded(Reader):
    def feed_data(self, data: Any) -> None:
        if self.is_upgraded:
            self.__dict__.setdefault("pieces", []).append(bytes(data))
        super().feed_data(data)


@specimen("Data that was written over TLS is kept.", "costs.memory.written", basic=True)
class KeepsWrittenOverTls(StreamWriter):
    def write(self, data: Any) -> None:
        if self._protocol.is_tls:
            self.__dict__.setdefault("pieces", []).append(bytes(memoryview(data)))
        super().write(data)


@specimen("Connections whose handlers failed are kept.", "costs.memory.calls", basic=True)
class KeepsTheFailed(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        _kept.append((connection, error))
        super()._failed(connection, error)


@specimen("Connections that were upgraded are kept.", "costs.memory.calls", basic=True)
class KeepsTheUpgraded(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        _kept.append(self._protocol)


@specimen(
    "The error of each certificate that was refused is kept.",
    "costs.memory.calls",
    replaces=open_connection,
    basic=True,
)
async def keeps_the_refused(*address: Any, **options: Any) -> Any:
    try:
        return await open_connection(*address, **options)
    except ssl_module.SSLError as error:
        _kept.append((error, bytes(4096)))
        raise


@specimen("Connections that were reset are kept.", "costs.memory.connections", basic=True)
class KeepsTheReset(Protocol):
    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            _kept.append(self)
        super().connection_lost(error)


@specimen(
    "open_connection() waits 100 ms after each handshake.",
    "costs.delays",
    replaces=open_connection,
    basic=True,
)
async def rests_after_the_handshake(*address: Any, **options: Any) -> Any:
    pair = await open_connection(*address, **options)
    if options.get("ssl"):
        await asyncio.sleep(0.1)
    return pair


@specimen("read() waits 20 ms after EOF.", "costs.delays", basic=True)
class RestsAtTheEnd(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n < 0:
            await asyncio.sleep(0.02)
        return data


@specimen("A handler begins 10 ms after its client has connected.", "costs.delays", basic=True)
class RestsBeforeItServes(Server):
    def run(self, connection: Any, handling: Any) -> None:
        async def later() -> Any:
            await asyncio.sleep(0.01)
            return await handling

        super().run(connection, later())


@contextmanager
def polling() -> Iterator[None]:
    """Take every turn of the loop while the block runs."""

    async def poll() -> None:
        while True:
            await asyncio.sleep(0)

    task = asyncio.ensure_future(poll())
    try:
        yield
    finally:
        task.cancel()


@specimen("read() to EOF polls in each turn of the loop.", "costs.waiting", basic=True)
class LooksForTheEnd(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n >= 0:
            return await super().read(n)
        with polling():
            return await super().read(n)


@specimen("start_tls() polls in each turn of the loop.", "costs.waiting", basic=True)
class LooksForTheHandshake(Writer):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        with polling():
            await super().start_tls(*arguments, **options)


@specimen(
    "open_connection() polls in each turn of the loop.",
    "costs.waiting",
    replaces=open_connection,
    basic=True,
)
async def looks_for_the_peer(*address: Any, **options: Any) -> Any:
    with polling():
        return await open_connection(*address, **options)


@specimen(
    "Each memoryview that is written is joined to a copy of all the unsent data.",
    "costs.written-in-pieces",
    basic=True,
)
class JoinsViews(StreamWriter):
    unsent = b""

    def write(self, data: Any) -> None:
        if not self.transport.get_write_buffer_size():
            self.unsent = b""
        elif isinstance(data, memoryview):
            self.unsent = self.unsent + bytes(data)
        super().write(data)
