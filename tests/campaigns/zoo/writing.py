"""Broken writing and draining."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from conformance.marks import PLAIN, TLS
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


@specimen(
    "write() takes a zero byte for the end of the data.",
    "write.sends",
    "write.many-small",
    "write.both-directions",
    basic=True,
)
class EndsAtZero(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(_frozen(data).partition(b"\0")[0])


@specimen(
    "write() sends everything in capitals.",
    "write.sends",
    "connecting.joins-the-two-ends",
    "serving.accepts-clients",
    "unix.open.joins-the-two-ends",
    "unix.serve.accepts-clients",
    basic=True,
)
class Shouts(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(_frozen(data).upper())


@specimen(
    "write() sends all that a memoryview is a view of.",
    "write.memoryview",
    "write.memoryview.not-contiguous",
)
class SendsTheWholeObject(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data.obj if isinstance(data, memoryview) else data)


class HoldsBack(StreamWriter):
    """Holds data of its own, which it sends later."""

    held = b""

    def flush(self) -> None:
        """Send what is held."""
        if self.held:
            held, self.held = self.held, b""
            super().write(held)

    async def drain(self) -> None:
        """Send, then drain."""
        self.flush()
        await super().drain()

    def write_eof(self) -> None:
        """Send, then end."""
        self.flush()
        super().write_eof()

    def close(self) -> None:
        """Send, then close."""
        if not self.is_closing():
            self.flush()
        super().close()


@specimen(
    "write() sends 64 KiB at most; the rest is sent by the next drain().",
    "write.without-drain",
    "server.close-clients.flushes",
    "write.order",
    "write.bytearray.later-changes",
    "writelines.large",
    "writelines.later-changes",
    "connecting.sock.blocking",
    "serving.sock.blocking",
    "unix.open.sock.blocking",
    "unix.serve.sock.blocking",
)
class SendsTheRestLater(HoldsBack):
    def write(self, data: Any) -> None:
        data = self.held + _frozen(data)
        self.held = data[2**16 :]
        super().write(data[: 2**16])


@specimen(
    "Of the writes of one turn of the loop 1,024 are sent: as many as sendmsg() takes.",
    "write.many-small",
)
class SendsSomeOfMany(StreamWriter):
    count = 0

    def write(self, data: Any) -> None:
        if not self.count:
            self._loop.call_soon(self.__dict__.update, {"count": 0})
        self.count += 1
        if self.count <= 1024:
            super().write(data)


@specimen(
    "What is received while writing is paused is thrown away.",
    "write.both-directions",
    "start_tls.both-directions",
)
class HalfDuplex(StreamReaderProtocol):
    def data_received(self, data: bytes) -> None:
        if not self._paused:
            super().data_received(data)


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
    "writelines.data-by-keyword",
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


@specimen(
    "writelines() takes strings, too, and encodes them.",
    "writelines.wrong-type",
)
class EncodesLines(StreamWriter):
    def writelines(self, data: Iterable[Any]) -> None:
        super().writelines([each.encode() if isinstance(each, str) else each for each in data])


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
        if not self.can_write_eof():
            super().write_eof()


@specimen(
    "can_write_eof() is always False.",
    "can_write_eof.tells-the-truth",
    "can_write_eof.plain",
    networks=PLAIN,
)
class CanNever(StreamWriter):
    def can_write_eof(self) -> bool:
        return False


@specimen(
    "can_write_eof() is always True.",
    "can_write_eof.tls",
    "start_tls.can_write_eof",
    only_on={TLS: ("can_write_eof.tells-the-truth",)},
)
class CanAlways(StreamWriter):
    def can_write_eof(self) -> bool:
        return True


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
    "drain.marks.low-zero",
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
        if self._connection_lost or not self._paused or self._drained():
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


@specimen(
    "drain() before the first write raises.",
    "drain.nothing-to-wait-for",
    "drain.does-not-yield",
)
class DrainsWhatWasWritten(StreamWriter):
    written = False

    def write(self, data: Any) -> None:
        self.written = True
        super().write(data)

    async def drain(self) -> None:
        await super().drain()
        if not self.written:
            raise RuntimeError("nothing was written")

    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        self.written = True
        await super().start_tls(sslcontext, **options)


@specimen(
    "drain() waits for all to be sent, once it waits.",
    "drain.low-water.not-later",
)
class DrainsToTheLastByte(StreamWriter):
    async def drain(self) -> None:
        waiting = self._protocol._paused
        await super().drain()
        while waiting and self._transport.get_write_buffer_size() and not self.is_closing():
            await asyncio.sleep(0.001)


@specimen(
    "drain() waits at 64 KiB, whatever water marks the transport was given.",
    "drain.marks.high",
    "drain.low-water.not-later",
)
class HasItsOwnMark(StreamWriter):
    async def drain(self) -> None:
        await super().drain()
        while self._transport.get_write_buffer_size() > 2**16 and not self.is_closing():
            await asyncio.sleep(0.001)


@specimen(
    "drain() looks at the low water mark no more when TLS has paused at a mark of zero.",
    "drain.marks.zero.nothing-left",
    networks=TLS,
)
class TrustsTheTransport(StreamReaderProtocol):
    def _drained(self) -> bool:
        return False


@specimen(
    "drain() says nothing of a connection that is lost.",
    "drain.reset",
    "drain.closed",
    "drain.abort.loop",
)
class DrainKeepsQuiet(StreamWriter):
    async def drain(self) -> None:
        if not self.is_closing():
            await super().drain()
