"""Broken writing and draining."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from conformance.marks import PLAIN
from reference_impl import FlowControlMixin, StreamReaderProtocol, StreamWriter
from reference_impl._errors import Waiters
from reference_impl._writer import _frozen

from .specimen import specimen

# write()


@specimen(
    "write() takes a str and encodes it.",
    "write.wrong-type",
)
class EncodesStrings(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data.encode() if isinstance(data, str) else data)


@specimen(
    "write() takes nothing but bytes.",
    "write.bytearray",
    "write.memoryview",
    "write.memoryview.wide-items",
    "write.empty",
    "write.bytearray.later-changes",
)
class TakesBytesOnly(StreamWriter):
    def write(self, data: Any) -> None:
        if not isinstance(data, bytes):
            raise TypeError("bytes are needed")
        super().write(data)


@specimen(
    "write() sends as many bytes of a memoryview as it has items.",
    "write.memoryview.wide-items",
    "write.memoryview.many-dimensions",
)
class CountsItems(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, memoryview):
            data = data.tobytes()[: len(data)]
        super().write(data)


@specimen(
    "write() keeps a bytearray as it is until it is sent.",
    "write.bytearray.later-changes",
)
class KeepsTheBuffer(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, bytearray) and data:
            self._loop.call_soon(self.send_later, data)
        else:
            super().write(data)

    def send_later(self, data: bytearray) -> None:
        super().write(data)


@specimen(
    "write() of no bytes raises ValueError.",
    "write.empty",
    "writelines.nothing",
    "writelines.empty-elements",
)
class RefusesNothing(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, bytes) and not data:
            raise ValueError("nothing to write")
        super().write(data)


@specimen(
    "write() after write_eof() is ignored.",
    "write.after-write-eof",
    "writelines.after-write-eof",
    networks=PLAIN,
)
class IgnoresWritesAfterEof(StreamWriter):
    ended = False

    def write(self, data: Any) -> None:
        if not self.ended:
            super().write(data)

    def write_eof(self) -> None:
        super().write_eof()
        self.ended = True


@specimen(
    "write() on a connection that was reset raises.",
    "write.after-reset",
)
class WriteRaisesAfterReset(StreamWriter):
    def write(self, data: Any) -> None:
        if self._reader is not None and self._reader.exception() is not None:
            raise ConnectionResetError("the connection is lost")
        super().write(data)


@specimen(
    "The end of the peer's direction closes the connection: half-close is forgotten.",
    "write.after-peer-eof",
    "write_eof.does-not-close",
    "is_closing.after-peer-eof",
    networks=PLAIN,
)
class ForgetsHalfClose(StreamReaderProtocol):
    def eof_received(self) -> bool:
        super().eof_received()
        return False


# writelines()


@specimen(
    "writelines() puts a newline between the elements.",
    "writelines.list",
    "write.order",
    "writelines.iterable",
    "writelines.bytes-like",
    "writelines.large",
    "writelines.wide-items",
    "writelines.empty-elements",
    "writelines.later-changes",
)
class AddsNewlines(StreamWriter):
    def writelines(self, data: Iterable[Any]) -> None:
        self.write(b"\n".join(map(_frozen, data)))


@specimen(
    "writelines() takes lists and tuples only.",
    "writelines.iterable",
    "writelines.nothing",
    "writelines.fails-midway",
)
class TakesSequencesOnly(StreamWriter):
    def writelines(self, data: Any) -> None:
        if not isinstance(data, list | tuple):
            raise TypeError("a list of bytes is needed")
        super().writelines(data)


@specimen(
    "writelines() goes through its argument twice: to check it, and to send it.",
    "writelines.iterable",
)
class GoesThroughItTwice(StreamWriter):
    def writelines(self, data: Any) -> None:
        if not all(isinstance(each, bytes | bytearray | memoryview) for each in data):
            raise TypeError("bytes are needed")
        super().writelines(data)


@specimen(
    "writelines() stops at the first empty element.",
    "writelines.empty-elements",
)
class StopsAtNothing(StreamWriter):
    def writelines(self, data: Iterable[Any]) -> None:
        found = []
        for each in data:
            if not each and isinstance(each, bytes):
                break
            found.append(each)
        super().writelines(found)


@specimen(
    "writelines() takes bytes only as elements.",
    "writelines.bytes-like",
    "writelines.wide-items",
    "writelines.later-changes",
)
class JoinsBytesOnly(StreamWriter):
    def writelines(self, data: Iterable[Any]) -> None:
        found = list(data)
        if not all(isinstance(each, bytes) for each in found):
            raise TypeError("bytes are needed")
        super().writelines(found)


# write_eof()


@specimen(
    "write_eof() ends the stream before what was written has been sent.",
    "write_eof.after-the-data",
    networks=PLAIN,
)
class EofOvertakes(StreamWriter):
    def write_eof(self) -> None:
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            super().write_eof()


@specimen(
    "write_eof() closes the connection.",
    "write_eof.reading-goes-on",
    "write_eof.does-not-close",
    "write.after-write-eof",
    "writelines.after-write-eof",
    "write_eof.twice",
    networks=PLAIN,
)
class EofCloses(StreamWriter):
    def write_eof(self) -> None:
        super().write_eof()
        self.close()


@specimen(
    "A second write_eof() raises RuntimeError.",
    "write_eof.twice",
    networks=PLAIN,
)
class EofOnce(StreamWriter):
    ended = False

    def write_eof(self) -> None:
        if self.ended:
            raise RuntimeError("write_eof() was called before")
        super().write_eof()
        self.ended = True


@specimen(
    "write_eof() does nothing.",
    "write_eof.ends-the-stream",
    "write.after-write-eof",
    "writelines.after-write-eof",
    "write_eof.after-the-data",
    "write_eof.reading-goes-on",
    "write_eof.twice",
    "write_eof.does-not-close",
    "can_write_eof.tells-the-truth",
    networks=PLAIN,
)
class EofIsNotSent(StreamWriter):
    def write_eof(self) -> None:
        self._transport.can_write_eof()


@specimen(
    "can_write_eof() is always False.",
    "can_write_eof.tells-the-truth",
    "can_write_eof.plain",
    networks=PLAIN,
)
class CanNever(StreamWriter):
    def can_write_eof(self) -> bool:
        return False


# drain()


@specimen(
    "drain() never waits.",
    "drain.waits",
    "drain.waits.one-write",
    "drain.waits.after-writelines",
    "drain.resumes",
    "drain.low-water.not-before",
    "drain.low-water.not-later",
    "drain.marks.zero",
    "drain.concurrent",
    "drain.cancelled.raises",
    "drain.cancelled.leaves-others",
    "drain.cancelled.loses-nothing",
    "drain.reset.waiting",
    "drain.reset.own-exception",
    "drain.reader-exception",
    "drain.abort.waiting",
    "drain.abort.raises",
    "drain.close.waiting",
    "start_tls.drain",
)
class DrainNeverWaits(StreamWriter):
    async def drain(self) -> None:
        if self._transport.is_closing():
            await super().drain()


@specimen(
    "drain() always gives other tasks a turn.",
    "drain.does-not-yield",
)
class DrainYields(StreamWriter):
    async def drain(self) -> None:
        await asyncio.sleep(0)
        await super().drain()


@specimen(
    "Of several drains only one is woken.",
    "drain.concurrent",
    "drain.cancelled.leaves-others",
)
class WakesOneDrainer(FlowControlMixin):
    def resume_writing(self) -> None:
        self._paused = False
        for future in self._draining._futures:
            if not future.done():
                future.set_result(None)
                break


@specimen(
    "All drains wait for one future, which is cancelled with the first of them.",
    "drain.cancelled.leaves-others",
    "drain.reset.own-exception",
)
class DrainersShareAFuture(FlowControlMixin):
    shared: Any = None

    async def _drain_helper(self) -> None:
        if self._connection_lost or not self._paused:
            await super()._drain_helper()
            return
        if self.shared is None or self.shared.done():
            self.shared = self._draining.add()
        await self.shared


@specimen(
    "A second drain() raises while one waits.",
    "drain.concurrent",
    "drain.cancelled.leaves-others",
    "drain.reset.waiting",
    "drain.reset.own-exception",
    "drain.abort.waiting",
    "drain.close.waiting",
)
class OneDrainAtATime(FlowControlMixin):
    async def _drain_helper(self) -> None:
        if self._paused and any(not each.done() for each in self._draining._futures):
            raise RuntimeError("another coroutine is already waiting for drain()")
        await super()._drain_helper()


@specimen(
    "A drain() that waits is not told that the connection is lost.",
    "drain.reset.waiting",
    "drain.cancelled.leaves-others",
    "drain.reset.own-exception",
    "drain.abort.waiting",
    "drain.abort.raises",
)
class LeavesDrainersWaiting(FlowControlMixin):
    def connection_lost(self, exc: BaseException | None) -> None:
        self._draining = Waiters(self._loop)
        super().connection_lost(exc)


@specimen(
    "A drain() that waits when the connection is lost returns as if all had been sent.",
    "drain.reset.waiting",
    "drain.abort.raises",
)
class LossIsNoError(FlowControlMixin):
    def connection_lost(self, exc: BaseException | None) -> None:
        self._draining.wake()
        super().connection_lost(exc)


@specimen(
    "drain() swallows its cancellation.",
    "drain.cancelled.raises",
)
class DrainSwallowsCancellation(StreamWriter):
    async def drain(self) -> None:
        with suppress(asyncio.CancelledError):
            await super().drain()


@specimen(
    "drain() drops what was written when it is cancelled.",
    "drain.cancelled.loses-nothing",
    "drain.cancelled.leaves-others",
)
class CancelledDrainAborts(StreamWriter):
    async def drain(self) -> None:
        try:
            await super().drain()
        except asyncio.CancelledError:
            self._transport.abort()
            raise


@specimen(
    "write() and writelines() take what is to be sent by position only.",
    "write.data-by-keyword",
    "writelines.data-by-keyword",
)
class ByPositionOnly(StreamWriter):
    def write(self, data: Any, /) -> None:
        super().write(data)

    def writelines(self, data: Any, /) -> None:
        super().writelines(data)
