"""A lookalike that keeps what the pages say, and refuses the rest with exceptions of its own.

Where no page says what a call does, it raises `Misuse`. A separator counts towards the limit, and
readline() refuses a line beyond it as readuntil() does.
"""

import asyncio
import ssl
from typing import Any

from .plain import Server, StreamReader, Streams, StreamWriter


class Misuse(Exception):
    """A program has asked for what no page describes."""


class Reader(StreamReader):
    """A reader of one thing at a time."""

    def _refuse(self) -> None:
        if self._readers:
            raise Misuse("another read is waiting")

    def _found(self, separators: list[bytes]) -> tuple[int, int] | None:
        found = super()._found(separators)
        return None if found is None else (found[1], found[1])

    async def read(self, n: int = -1) -> bytes:
        if n < -1:
            raise Misuse("read() of less than everything")
        return await super().read(n)

    async def readexactly(self, n: int) -> bytes:
        if n < 0:
            raise Misuse("readexactly() of less than nothing")
        return await super().readexactly(n)

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError as error:
            raise asyncio.LimitOverrunError(str(error), 1) from None
        except (TypeError, ValueError) as error:
            raise Misuse(*error.args) from None

    async def readline(self) -> bytes:
        try:
            return await self.readuntil()
        except asyncio.IncompleteReadError as error:
            return error.partial


class Writer(StreamWriter):
    """A writer that knows when it has ended."""

    def write(self, data: Any) -> None:
        if self.is_closing() or self._has_written_eof:
            raise Misuse("write() after the end")
        if isinstance(data, memoryview) and not (data.c_contiguous and data.ndim == 1):
            raise Misuse("write() of something else")
        try:
            super().write(data)
        except TypeError as error:
            raise Misuse(*error.args) from None

    def writelines(self, data: Any) -> None:
        for each in data:
            self.write(each)

    def write_eof(self) -> None:
        if self.is_closing() or self._has_written_eof or not self.can_write_eof():
            raise Misuse("write_eof() after the end, or where there is none")
        super().write_eof()

    async def drain(self) -> None:
        if self._protocol.is_lost:
            raise Misuse("drain() of what is lost")
        await super().drain()

    async def start_tls(self, *args: Any, **options: Any) -> None:
        if self._protocol.is_tls or self.is_closing():
            raise Misuse("start_tls() after the end, or a second time")
        await super().start_tls(*args, **options)


class Once(Server):
    """A server that is closed once and for all, and a turn later, as "asynchronously" allows.

    `async with server as ...` gives None.
    """

    def close(self) -> None:
        self._loop.call_soon(super().close)

    async def __aenter__(self) -> Any:
        return None

    async def start_serving(self) -> None:
        if self._is_closed:
            raise Misuse("start_serving() after the end")
        await super().start_serving()

    async def serve_forever(self) -> None:
        if self._is_closed or self._forever:
            raise Misuse("serve_forever() after the end, or twice")
        await super().serve_forever()


def refused(error: ValueError) -> Exception:
    """Return the exception to raise instead of `error`: no page says that it is a ValueError.

    The pages do say it of a `server_hostname` that is missing.
    """
    is_described = isinstance(error, ssl.SSLError) or "server_hostname is needed" in str(error)
    return error if is_described else Misuse(*error.args)


class Refusing(Streams):
    """The functions that connect."""

    async def open_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().open_connection(*args, **options)
        except ValueError as error:
            raise refused(error) from None

    async def open_unix_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().open_unix_connection(*args, **options)
        except ValueError as error:
            raise refused(error) from None


streams = Refusing(Reader, writer=Writer, server=Once)
