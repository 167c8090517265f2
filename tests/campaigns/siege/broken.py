"""Implementations that are wrong in one way each, to show that the siege finds them.

They are besieged as `broken:name`; each is the reference with the fault that its docstring states.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

from reference_impl import StreamReader, StreamReaderProtocol, StreamWriter


def with_classes(
    reader_class: type[StreamReader] = StreamReader,
    protocol_class: type[StreamReaderProtocol] = StreamReaderProtocol,
    writer_class: type[StreamWriter] = StreamWriter,
) -> SimpleNamespace:
    """Return the reference with other classes."""

    async def open_with(create: Any, *where: Any, limit: int = 65_536, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        reader = reader_class(limit, loop)
        protocol = protocol_class(reader, loop=loop)
        transport, _ = await create(lambda: protocol, *where, **options)
        return reader, writer_class(transport, protocol, reader, loop)

    def factory(callback: Any, limit: int) -> Any:
        loop = asyncio.get_running_loop()
        return lambda: protocol_class(reader_class(limit, loop), callback, loop)

    async def open_connection(*where: Any, **options: Any) -> Any:
        return await open_with(asyncio.get_running_loop().create_connection, *where, **options)

    async def open_unix_connection(*where: Any, **options: Any) -> Any:
        return await open_with(asyncio.get_running_loop().create_unix_connection, *where, **options)

    async def start_server(callback: Any, *where: Any, limit: int = 65_536, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.create_server(factory(callback, limit), *where, **options)

    async def start_unix_server(
        callback: Any, *where: Any, limit: int = 65_536, **options: Any
    ) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(factory(callback, limit), *where, **options)

    return SimpleNamespace(
        StreamReader=reader_class,
        open_connection=open_connection,
        open_unix_connection=open_unix_connection,
        start_server=start_server,
        start_unix_server=start_unix_server,
    )


class ForgetsAtCancel(StreamReader):
    """A read that is cancelled after it took its bytes loses them."""

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        await asyncio.sleep(0)
        return data


class LosesAByte(StreamReader):
    """The last byte of a piece that ends between CR and LF is lost."""

    def feed_data(self, data: Any) -> None:
        super().feed_data(data[:-1] if len(data) > 1 and data[-1:] == b"\r" else data)


class Doubles(StreamReader):
    """The rest after a partial read of everything is read again."""

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError as error:
            self._eof = False
            self.feed_data(error.partial)
            self.feed_eof()
            raise


class ForgetsToWake(StreamReader):
    """A read that waits for several bytes is not woken by the last of them."""

    def feed_data(self, data: Any) -> None:
        self._reference_wanted += self._reference_wanted > 3
        super().feed_data(data)


class CountsTheSeparator(StreamReader):
    """The limit counts the separator, too."""

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        self._limit -= 1
        try:
            return await super().readuntil(separator)
        finally:
            self._limit += 1


class ForgetsTheError(StreamReader):
    """A lost connection looks like EOF."""

    def set_exception(self, exc: BaseException) -> None:
        self.feed_eof()


class WakesOneDrainer(StreamReaderProtocol):
    """Only one of several tasks that drain goes on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.drainers: deque[asyncio.Future[None]] = deque()

    async def _drain_helper(self) -> None:
        if self._paused and not self._connection_lost:
            self.drainers.append(self._loop.create_future())
            await self.drainers[-1]
        else:
            await super()._drain_helper()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.drainers and not self.drainers[0].done():
            self.drainers.popleft().set_result(None)


class LeavesWaiters(StreamReaderProtocol):
    """A drain() that waits when the connection is lost never ends."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._drain_waiters = type(self._drain_waiters)()
        super().connection_lost(exc)


class ReportsTwice(StreamReaderProtocol):
    """A failure of a handler is reported, and left unretrieved in a task as well."""

    def _reference_failed(self, error: BaseException) -> None:
        super()._reference_failed(error)
        super()._reference_failed(error)


class KeepsTheBuffer(StreamWriter):
    """Written data changes with the buffer that it was written from."""

    def write(self, data: Any) -> None:
        if isinstance(data, bytearray):
            self._transport.writelines([memoryview(data)])
        else:
            super().write(data)


class NeverCloses(StreamWriter):
    """close() ends only the sending half."""

    def close(self) -> None:
        if self.can_write_eof():
            self.write_eof()
        else:
            super().close()


forgets_at_cancel = with_classes(ForgetsAtCancel)
loses_a_byte = with_classes(LosesAByte)
forgets_to_wake = with_classes(ForgetsToWake)
counts_the_separator = with_classes(CountsTheSeparator)
doubles = with_classes(Doubles)
forgets_the_error = with_classes(ForgetsTheError)
wakes_one_drainer = with_classes(protocol_class=WakesOneDrainer)
leaves_waiters = with_classes(protocol_class=LeavesWaiters)
reports_twice = with_classes(protocol_class=ReportsTwice)
keeps_the_buffer = with_classes(writer_class=KeepsTheBuffer)
never_closes = with_classes(writer_class=NeverCloses)
sound = with_classes()
