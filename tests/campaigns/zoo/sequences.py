"""Faults that show only after another call, with much data, or with data in small pieces."""

import asyncio
from typing import Any

from ..lookalikes import upgrading
from .sound import StreamReader, StreamWriter
from .specimen import specimen


@specimen(
    "writelines() hands over 1,024 elements at most while something is unsent.",
    "writelines.large",
    basic=True,
)
class HandsOverSome(StreamWriter):
    def writelines(self, data: Any) -> None:
        lines = list(data)
        is_behind = self.transport.get_write_buffer_size()
        super().writelines(lines[:1024] if is_behind else lines)


@specimen("write() sends the first 16 MiB.", "write.without-drain", basic=True)
class SendsSoMuch(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(bytes(memoryview(data)[: 2**24]) if len(data) > 2**24 else data)


@specimen("write() refuses subclasses of bytes.", "write.sends", basic=True)
class TakesBytesThemselvesOnly(StreamWriter):
    def write(self, data: Any) -> None:
        if type(data) not in (bytes, bytearray, memoryview):
            raise TypeError("data must be bytes")
        super().write(data)


@specimen(
    "readuntil() looks for the first eight of several separators.",
    "readuntil.tuple.any-of-them",
    basic=True,
)
class LooksForEight(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        return await super().readuntil(separator[:8] if isinstance(separator, tuple) else separator)


@specimen(
    "readuntil() takes a tuple, but refuses subclasses of tuple.",
    "readuntil.tuple.any-of-them",
    basic=True,
)
class TakesTuplesThemselvesOnly(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        if isinstance(separator, tuple) and type(separator) is not tuple:
            raise TypeError("separator must be bytes or a tuple")
        return await super().readuntil(separator)


@specimen(
    "LimitOverrunError.consumed of a readuntil() that waited counts the separator.",
    "readuntil.limit.consumed-up-to-separator",
    basic=True,
)
class CountsTheSeparatorIfItWaited(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        waits = not self._received
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError as error:
            if waits and isinstance(separator, bytes) and self._received.find(separator) >= 0:
                consumed = error.consumed + len(separator)
                raise asyncio.LimitOverrunError(str(error), consumed) from None
            raise


class AfterTheEnd(StreamWriter):
    """A writer that knows whether the peer has half-closed."""

    @property
    def is_alone(self) -> bool:
        return bool(self._protocol.reader.ended()) and not self.is_closing()


@specimen(
    "writelines() sends nothing to a peer that has half-closed.",
    "write.after-peer-eof",
    basic=True,
)
class WritesNoLinesAfterTheEnd(AfterTheEnd):
    def writelines(self, data: Any) -> None:
        if not self.is_alone:
            super().writelines(data)


@specimen(
    "write_eof() does nothing when the peer has half-closed.",
    "write_eof.ends-the-stream",
    basic=True,
)
class EndsNothingAfterTheEnd(AfterTheEnd):
    def write_eof(self) -> None:
        if not self.is_alone or not self.can_write_eof():
            super().write_eof()


@specimen(
    "drain() does not wait when the peer has half-closed.",
    "drain.waits",
    basic=True,
)
class DrainsNothingAfterTheEnd(AfterTheEnd):
    async def drain(self) -> None:
        if not self.is_alone:
            await super().drain()


@specimen(
    "The timeout of start_tls()'s handshake starts again with each piece that arrives.",
    "start_tls.handshake-timeout",
    basic=True,
)
class BeginsAnew(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        seconds = options.pop("ssl_handshake_timeout", None) or 60
        last = self._loop.time()
        kind: Any = upgrading.Layer
        receive = kind.data_received

        def received(layer: Any, data: bytes) -> None:
            nonlocal last
            last = self._loop.time()
            receive(layer, data)

        kind.data_received = received  # for a while
        starting = asyncio.ensure_future(super().start_tls(sslcontext, **options))
        try:
            while not starting.done():
                left = last + seconds - self._loop.time()
                if left <= 0:
                    self.transport.abort()
                    raise ConnectionAbortedError("the handshake took too long")
                await asyncio.wait([starting], timeout=left)
            await starting
        finally:
            starting.cancel()
            kind.data_received = receive
