"""Broken writing and draining."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ..lookalikes.plain import Waiters
from .sound import Protocol, StreamWriter
from .specimen import specimen


def frozen(data: Any) -> bytes:
    """Return the bytes of a bytes-like object, as they are now."""
    return bytes(memoryview(data))


# write()


@specimen(
    "write() takes a str and encodes it.",
    "write.wrong-type",
    seen="no exception",
)
class EncodesStrings(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data.encode() if isinstance(data, str) else data)


@specimen(
    "write() takes only bytes.",
    "write.bytearray",
    seen="TypeError: bytes are needed",
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
    seen={
        "write.memoryview.wide-items": "the number of bytes that arrived",
        "write.memoryview.many-dimensions": "the number of bytes that arrived",
    },
)
class CountsItems(StreamWriter):
    def write(self, data: Any) -> None:
        if isinstance(data, memoryview):
            data = data.tobytes()[: len(data)]
        super().write(data)


@specimen(
    "write() keeps a bytearray as it is until it is sent.",
    "write.bytearray.later-changes",
    seen="b'------------'",
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
    seen={
        "write.empty": "ValueError: nothing to write",
        "writelines.nothing": "ValueError: nothing to write",
    },
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
    seen={"write.after-write-eof": "no exception", "writelines.after-write-eof": "no exception"},
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
    seen="ConnectionResetError: the connection is",
)
class WriteRaisesAfterReset(StreamWriter):
    def write(self, data: Any) -> None:
        if self._protocol.reader.exception() is not None:
            raise ConnectionResetError("the connection is lost")
        super().write(data)


@specimen(
    "The peer's EOF closes the connection: half-close is not supported.",
    "write.after-peer-eof",
    "write_eof.does-not-close",
    "is_closing.after-peer-eof",
    seen="ConnectionResetError: the connection is",
)
class ForgetsHalfClose(Protocol):
    def eof_received(self) -> bool:
        super().eof_received()
        return False


@specimen(
    "write() takes a zero byte for the end of the data.",
    "write.sends",
    "write.many-small",
    "write.both-directions",
    basic=True,
    seen="a hang",
)
class EndsAtZero(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(frozen(data).partition(b"\0")[0])


@specimen(
    "write() sends everything in capitals.",
    "write.sends",
    "connecting.joins-the-two-ends",
    "serving.accepts-clients",
    basic=True,
    seen={
        "write.sends": "b'ALL OF \\x00 IT'",
        "connecting.joins-the-two-ends": "b'FROM THE IMPLEMENTATION'",
        "serving.accepts-clients": "b'FROM THE IMPLEMENTATION'",
    },
)
class Shouts(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(frozen(data).upper())


@specimen(
    "write() sends all that a memoryview is a view of.",
    "write.memoryview",
    "write.memoryview.not-contiguous",
    seen={
        "write.memoryview": "b'not this, but this, not that",
        "write.memoryview.not-contiguous": "b'abcdef.'",
    },
)
class SendsTheWholeObject(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data.obj if isinstance(data, memoryview) else data)


class HoldsBack(StreamWriter):
    """Holds data, and sends it later."""

    held = b""

    def flush(self) -> None:
        """Send the held data."""
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
    "write() sends 64 KiB at most; the next drain() sends the rest.",
    "write.without-drain",
    seen="a hang",
)
class SendsTheRestLater(HoldsBack):
    def write(self, data: Any) -> None:
        data = self.held + frozen(data)
        self.held = data[2**16 :]
        super().write(data[: 2**16])


@specimen(
    "Only 1,024 of the writes of one turn of the loop are sent: as many as sendmsg() takes.",
    "write.many-small",
    seen="a hang",
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
    "Data that is received while writing is paused is thrown away.",
    "write.both-directions",
    "start_tls.both-directions",
    seen={"write.both-directions": "a hang", "start_tls.both-directions": "a hang"},
)
class HalfDuplex(Protocol):
    def data_received(self, data: bytes) -> None:
        if not self.is_full:
            super().data_received(data)


# writelines()


@specimen(
    "writelines() puts a newline between the elements.",
    "writelines.list",
    "write.order",
    "writelines.large",
    seen={
        "writelines.list": "b'one\\n\\ntwo\\nthree'",
        "write.order": "b'\"R\\xa3\\xe9\\x17\\xa3\\xfbb|]/\\x9d\\xc9dqy\\x0",
        "writelines.large": "bytes, with b",
    },
)
class AddsNewlines(StreamWriter):
    def writelines(self, data: Iterable[Any]) -> None:
        self.write(b"\n".join(map(frozen, data)))


@specimen(
    "writelines() takes only lists and tuples.",
    "writelines.iterable",
    "writelines.nothing",
    "writelines.fails-midway",
    seen={
        "writelines.iterable": "TypeError: a list of bytes is needed",
        "writelines.fails-midway": "TypeError: a list of bytes is needed",
    },
)
class TakesSequencesOnly(StreamWriter):
    def writelines(self, data: Any) -> None:
        if not isinstance(data, list | tuple):
            raise TypeError("a list of bytes is needed")
        super().writelines(data)


@specimen(
    "writelines() iterates twice over its argument: to check it, and to send it.",
    "writelines.iterable",
    seen="a hang",
)
class GoesThroughItTwice(StreamWriter):
    def writelines(self, data: Any) -> None:
        if not all(isinstance(each, bytes | bytearray | memoryview) for each in data):
            raise TypeError("bytes are needed")
        super().writelines(data)


@specimen(
    "writelines() stops at the first empty element.",
    "writelines.empty-elements",
    seen="bytes: b''",
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
    "writelines() takes only bytes as elements.",
    "writelines.bytes-like",
    "writelines.wide-items",
    "writelines.later-changes",
    seen={
        "writelines.bytes-like": "TypeError: bytes are needed",
        "writelines.wide-items": "TypeError: bytes are needed",
        "writelines.later-changes": "TypeError: bytes are needed",
    },
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
    seen="no exception",
)
class EncodesLines(StreamWriter):
    def writelines(self, data: Iterable[Any]) -> None:
        super().writelines([each.encode() if isinstance(each, str) else each for each in data])


# write_eof()


@specimen(
    "write_eof() ends the stream before the written data has been sent.",
    "write_eof.after-the-data",
    seen="the number of bytes that arrived",
)
class EofOvertakes(StreamWriter):
    def write_eof(self) -> None:
        if self._protocol.transport.get_write_buffer_size():
            self._protocol.transport.abort()
        else:
            super().write_eof()


@specimen(
    "write_eof() closes the connection.",
    "write_eof.reading-goes-on",
    seen="b''",
)
class EofCloses(StreamWriter):
    def write_eof(self) -> None:
        super().write_eof()
        self.close()


@specimen(
    "A second write_eof() raises RuntimeError.",
    "write_eof.twice",
    seen="RuntimeError: write_eof() was called",
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
    seen="a hang",
)
class EofIsNotSent(StreamWriter):
    def write_eof(self) -> None:
        if not self.can_write_eof():
            super().write_eof()


@specimen(
    "can_write_eof() is always False.",
    "can_write_eof.plain",
    seen="can_write_eof() False",
)
class CanNever(StreamWriter):
    def can_write_eof(self) -> bool:
        return False


@specimen(
    "can_write_eof() is always True.",
    "can_write_eof.tls",
    "start_tls.can_write_eof",
    "can_write_eof.tells-the-truth",
    seen={
        "can_write_eof.tls": "can_write_eof() True",
        "start_tls.can_write_eof": "can_write_eof() True",
        "can_write_eof.tells-the-truth": "NotImplementedError",
    },
)
class CanAlways(StreamWriter):
    def can_write_eof(self) -> bool:
        return True


# drain()


@specimen(
    "drain() never waits.",
    "drain.waits",
    "drain.waits.after-writelines",
    "drain.resumes",
    seen={
        "drain.waits": "it returned None",
        "drain.waits.after-writelines": "it returned None",
        "drain.resumes": "it returned None",
    },
)
class DrainNeverWaits(StreamWriter):
    async def drain(self) -> None:
        if self._protocol.transport.is_closing():
            await super().drain()


@specimen(
    "drain() always gives other tasks a turn.",
    "drain.does-not-yield",
    seen="meanwhile: ['another callback ran']",
)
class DrainYields(StreamWriter):
    async def drain(self) -> None:
        await asyncio.sleep(0)
        await super().drain()


@specimen(
    "Only one of several drains is woken.",
    "drain.concurrent",
    "drain.cancelled.leaves-others",
    seen="a hang",
)
class WakesOneDrainer(Protocol):
    def resume_writing(self) -> None:
        self.is_full = False
        for future in self.room._waiting:
            if not future.done():
                future.set_result(None)
                break


@specimen(
    "All drains wait for one future, which is cancelled with the first of them.",
    "drain.cancelled.leaves-others",
    "drain.reset.own-exception",
    seen={
        "drain.cancelled.leaves-others": "it was cancelled",
        "drain.reset.own-exception": "one ConnectionResetError raised by both",
    },
)
class DrainersShareAFuture(StreamWriter):
    shared: Any = None

    async def drain(self) -> None:
        if not self._protocol.is_full or self._protocol.is_lost or self.is_closing():
            await super().drain()
            return
        if self.shared is None or self.shared.done():
            self.shared = asyncio.ensure_future(super().drain())
        await self.shared


@specimen(
    "A second drain() raises while one waits.",
    "drain.concurrent",
    seen="it raised RuntimeError: another coroutine",
)
class OneDrainAtATime(StreamWriter):
    async def drain(self) -> None:
        if self._protocol.is_full and any(not each.done() for each in self._protocol.room._waiting):
            raise RuntimeError("another coroutine is already waiting for drain()")
        await super().drain()


@specimen(
    "A waiting drain() does not end when the connection is lost.",
    "drain.reset.waiting",
    "drain.abort.waiting",
    seen={"drain.reset.waiting": "a hang", "drain.abort.waiting": "a hang"},
)
class LeavesDrainersWaiting(Protocol):
    def connection_lost(self, exc: Any) -> None:
        self.room = Waiters(self.loop)
        super().connection_lost(exc)


@specimen(
    "A waiting drain() returns when the connection is lost, as if everything had been sent.",
    "drain.reset.waiting",
    "drain.abort.raises",
    seen={"drain.reset.waiting": "None returned", "drain.abort.raises": "None returned"},
)
class LossIsNoError(StreamWriter):
    async def drain(self) -> None:
        waiting = self._protocol.is_full and not self._protocol.is_lost
        try:
            await super().drain()
        except ConnectionError:
            if not waiting:
                raise


@specimen(
    "drain() swallows its cancellation.",
    "drain.cancelled.raises",
    seen="drain() cancelled: False",
)
class DrainSwallowsCancellation(StreamWriter):
    async def drain(self) -> None:
        with suppress(asyncio.CancelledError):
            await super().drain()


@specimen(
    "drain() drops the written data when it is cancelled.",
    "drain.cancelled.loses-nothing",
    "drain.cancelled.leaves-others",
    seen="bytes), then the end",
)
class CancelledDrainAborts(StreamWriter):
    async def drain(self) -> None:
        try:
            await super().drain()
        except asyncio.CancelledError:
            self._protocol.transport.abort()
            raise


@specimen(
    "write() and writelines() take the data only as a positional argument.",
    "write.data-by-keyword",
    "writelines.data-by-keyword",
    seen={
        "write.data-by-keyword": "TypeError: ByPositionOnly.write() got",
        "writelines.data-by-keyword": "TypeError: ByPositionOnly.writelines()",
    },
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
    seen="RuntimeError: nothing was written",
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
    "A waiting drain() waits until everything is sent.",
    "drain.low-water.not-later",
    seen="a hang",
)
class DrainsToTheLastByte(StreamWriter):
    async def drain(self) -> None:
        waiting = self._protocol.is_full
        await super().drain()
        while (
            waiting and self._protocol.transport.get_write_buffer_size() and not self.is_closing()
        ):
            await asyncio.sleep(0.001)


@specimen(
    "drain() waits at 64 KiB, whatever high-water mark the transport was given.",
    "drain.marks.high",
    "drain.low-water.not-later",
    seen="a hang",
)
class HasItsOwnMark(StreamWriter):
    async def drain(self) -> None:
        await super().drain()
        while self._protocol.transport.get_write_buffer_size() > 2**16 and not self.is_closing():
            await asyncio.sleep(0.001)


@specimen(
    "drain() ignores the low-water mark after TLS has paused at a high-water mark of zero.",
    "drain.marks.zero.nothing-left",
    seen="a hang",
)
class TrustsTheTransport(StreamWriter):
    async def drain(self) -> None:
        await super().drain()
        while self._protocol.is_full and not self._protocol.is_lost:
            await self._protocol.room.wait()


@specimen(
    "drain() does not raise when the connection is lost.",
    "drain.reset",
    "drain.closed",
    "drain.abort.loop",
    seen={
        "drain.reset": "a hang after 1 s without progress: the",
        "drain.closed": "None returned",
        "drain.abort.loop": "None returned",
    },
)
class DrainKeepsQuiet(StreamWriter):
    async def drain(self) -> None:
        if not self.is_closing():
            await super().drain()


@specimen(
    "drain() after the first write does not wait, however large the write was.",
    "drain.waits.one-write",
    seen="it returned None",
)
class DrainsFromTheSecondOn(StreamWriter):
    writes = 0

    def write(self, data: Any) -> None:
        self.writes += 1
        super().write(data)

    async def drain(self) -> None:
        if self.writes > 1:
            await super().drain()
