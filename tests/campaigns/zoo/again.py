"""Faults that show the second time, in another task, or after an error or a cancellation."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

from .sound import (
    StreamReader,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
)
from .specimen import Specimen, specimen

# Again.


@specimen(
    "A reader pauses its transport three times.",
    "reader.by-hand.transport",
    basic=True,
)
class PausesThrice(StreamReader):
    times = 0

    def _hold_back(self) -> None:
        if self.times < 3:
            super()._hold_back()
            self.times += self._holding_back


@specimen("drain() waits once.", "drain.waits", basic=True)
class DrainsOnce(StreamWriter):
    has_waited = False

    async def drain(self) -> None:
        if self._protocol.is_full:
            if self.has_waited:
                return
            self.has_waited = True
        await super().drain()


@specimen(
    "drain() yields once it has waited.",
    "drain.does-not-yield",
    seen="another callback ran",
    basic=True,
)
class YieldsOnceItWaited(StreamWriter):
    has_waited = False

    async def drain(self) -> None:
        if self.has_waited:
            await asyncio.sleep(0)
        self.has_waited |= self._protocol.is_full
        await super().drain()


@specimen("The first drain() settles the high-water mark.", "drain.marks.high", basic=True)
class SettlesTheMark(StreamWriter):
    mark: int | None = None

    async def drain(self) -> None:
        if self.mark is None:
            _, self.mark = self.transport.get_write_buffer_limits()
        if self.is_closing() or self.transport.get_write_buffer_size() > self.mark:
            await super().drain()


@specimen("wait_closed() may be called ten times.", "wait_closed.several", basic=True)
class WaitsTenTimes(StreamWriter):
    times = 0

    async def wait_closed(self) -> None:
        self.times += 1
        if self.times > 10:
            raise RuntimeError("too many wait for the end")
        await super().wait_closed()


@specimen(
    "A connection carries 40 MiB to its reader.",
    "read.n.every-byte-in-order",
    basic=True,
)
class CarriesSoMuch(StreamReader):
    total = 0

    def feed_data(self, data: Any) -> None:
        self.total += len(data)
        if self.total <= 40 << 20:
            super().feed_data(data)


# By others.


@specimen("write() is for one task.", "write.sends", basic=True)
class IsOfOneTask(StreamWriter):
    owner: Any = None

    def write(self, data: Any) -> None:
        task = asyncio.current_task()
        self.owner = self.owner or task
        if task is not self.owner:
            raise RuntimeError("another task writes to this stream")
        super().write(data)


@specimen("at_eof() fails outside of a task.", "reader.at-eof.true-at-the-end", basic=True)
class LooksForItsTask(StreamReader):
    def at_eof(self) -> bool:
        if asyncio.current_task() is None:
            raise RuntimeError("no task")
        return super().at_eof()


# Cancelled.


@specimen(
    "A read that is cancelled takes the cancellation back from its task, and raises.",
    "async.cancelled.counts",
    seen="0",
    basic=True,
)
class TakesCancellingBack(StreamReader):
    async def _wait(self) -> None:
        try:
            await super()._wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            raise


@specimen(
    "drain() has a timeout of its own, and takes any cancellation for it.",
    "async.cancelled.counts",
    "drain.cancelled.raises",
    basic=True,
)
class TakesCancellingForATimeout(StreamWriter):
    async def drain(self) -> None:
        try:
            await super().drain()
        except asyncio.CancelledError:
            raise TimeoutError("drain() takes too long") from None


@specimen(
    "A read that is cancelled yields before it is done, and is in the way if it is cancelled then.",
    "reader.cancelled.raises",
    basic=True,
)
class TidiesUpInATurn(StreamReader):
    is_busy = False

    async def _wait(self) -> None:
        if self.is_busy:
            raise RuntimeError("another read is waiting already")
        self.is_busy = True
        try:
            await super()._wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.is_busy = False
            raise
        self.is_busy = False


@specimen(
    "After a drain() that was cancelled there is room.", "drain.cancelled.loses-nothing", basic=True
)
class CancelledDrainsMakeRoom(StreamWriter):
    async def drain(self) -> None:
        try:
            await super().drain()
        except asyncio.CancelledError:
            self._protocol.is_full = False
            raise


@specimen(
    "wait_closed() that is cancelled drops unsent bytes.",
    "wait_closed.cancelled.later-calls",
    basic=True,
)
class CancelledWaitsAbort(StreamWriter):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except asyncio.CancelledError:
            if self.is_closing():
                self.transport.abort()
            raise


@specimen(
    "A loop over a reader that was cancelled was the last.",
    "reader.iteration.left-and-resumed",
    "reader.iteration.limit",
    basic=True,
)
class LoopsNoMore(StreamReader):
    is_over = False

    async def __anext__(self) -> bytes:
        if self.is_over:
            raise StopAsyncIteration
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            raise
        except BaseException:
            self.is_over = True
            raise


# After errors.


@specimen(
    "readuntil() that refuses its argument refuses all reads from then on.",
    "readuntil.separator.wrong-type",
    seen="another read is waiting already",
    basic=True,
)
class StaysLocked(StreamReader):
    is_locked = False

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        if self.is_locked:
            raise RuntimeError("another read is waiting already")
        self.is_locked = True
        each = separator if isinstance(separator, tuple) else (separator,)
        several = [bytes(memoryview(one)) for one in each]
        self.is_locked = False
        return await super().readuntil(tuple(several))


@specimen(
    "After an IncompleteReadError a loop over a reader fails.",
    "readexactly.eof.partial-is-consumed",
    "readuntil.eof.buffer-is-reset",
    basic=True,
)
class LoopsOverTheUnbroken(StreamReader):
    is_broken = False

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError:
            self.is_broken = True
            raise

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError:
            self.is_broken = separator != b"\n"
            raise

    async def __anext__(self) -> bytes:
        if self.is_broken:
            raise RuntimeError("the stream is broken")
        return await super().__anext__()


@specimen(
    "readline() that meets an error drops the beginning of its line.",
    "reader.reset.received-bytes-first",
    basic=True,
)
class DropsTheBeginning(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await super().readline()
        except OSError:
            self._received.take(len(self._received))
            raise


@specimen(
    "set_exception() of the program's aborts the connection.",
    "reader.set-exception.connection",
    seen="is_closing() after set_exception(): True",
    basic=True,
)
class AbortsForAnException(StreamReader):
    def set_exception(self, error: BaseException) -> None:
        super().set_exception(error)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()


@specimen(
    "wait_closed() raises what the program gave to set_exception().",
    "reader.set-exception.connection",
    basic=True,
)
class RaisesWhatWasSet(StreamWriter):
    async def wait_closed(self) -> None:
        await super().wait_closed()
        if error := self._protocol.reader.exception():
            raise error


# Lost.


@specimen(
    "drain() raises ConnectionErrors only.",
    "drain.lost.other-errors",
    "drain.reader-exception",
    seen="None returned",
    basic=True,
)
class DrainsThroughOtherErrors(StreamWriter):
    async def drain(self) -> None:
        try:
            await super().drain()
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise


@specimen(
    "wait_closed() takes an error that is no ConnectionError for an end in order.",
    "wait_closed.lost.other-errors",
    seen="None returned",
    basic=True,
)
class EndsWithOtherErrors(StreamWriter):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise


@specimen(
    "write() raises the error that the connection was lost with, if that is no ConnectionError.",
    "writer.lost.other-errors",
    seen="Connection timed out",
    basic=True,
)
class WritesIntoOtherErrors(StreamWriter):
    def write(self, data: Any) -> None:
        error = self._protocol.error
        if error is not None and not isinstance(error, ConnectionError):
            raise error
        super().write(data)


@specimen(
    "A loop over a reader takes any error but a ConnectionError for the end.",
    "reader.lost.other-errors",
    basic=True,
)
class LoopsToOtherErrors(StreamReader):
    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            raise StopAsyncIteration from None


# Values.


@specimen("read(n) takes numbers of 32 bits.", "read.n.at-most-n", basic=True)
class ReadsBy32Bits(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if n >= 1 << 31:
            raise OverflowError("n is too large")
        return await super().read(n)


@specimen("readexactly(n) takes numbers of 32 bits.", "readexactly.eof.expected", basic=True)
class ReadsExactlyBy32Bits(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n >= 1 << 31:
            raise OverflowError("n is too large")
        return await super().readexactly(n)


@specimen("A limit has 32 bits.", "connecting.limit.given", "serving.limit.given", basic=True)
class LimitsOf32Bits(StreamReader):
    def __init__(self, limit: int = 1 << 16, loop: Any = None) -> None:
        if limit >= 1 << 31:
            raise OverflowError("the limit is too large")
        super().__init__(limit, loop)


@specimen("Separators are to differ.", "readuntil.tuple.any-of-them", basic=True)
class WantsThemToDiffer(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        if isinstance(separator, tuple) and len({*separator}) < len(separator):
            raise ValueError("separators that are the same")
        return await super().readuntil(separator)


@specimen(
    "A bytearray that was written cannot be resized.", "write.bytearray.later-changes", basic=True
)
class HoldsTheBuffer(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data)
        self.__dict__.setdefault("views", []).append(memoryview(data))


@specimen("write() releases the view that it was given.", "write.memoryview", basic=True)
class ReleasesTheView(StreamWriter):
    def write(self, data: Any) -> None:
        super().write(data)
        if isinstance(data, memoryview):
            data.release()


# Forgotten.


@specimen(
    "A writer that is collected when its loop is closed tries to close its connection.",
    "close.forgotten.loop-closed",
    seen="Event loop is closed",
    basic=True,
)
class ClosesWithoutALoop(StreamWriter):
    def __del__(self) -> None:
        if not self.is_closing():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2)
            self._loop.call_soon(self.close)


# Held back, when its own direction has ended.


@specimen(
    "A reader whose connection has ended its own direction holds nobody back.",
    "reader.flow.peer-is-held-back",
    basic=True,
)
class HoldsNobodyBackAtTheEnd(StreamReader):
    has_ended = False

    def set_transport(self, transport: Any) -> None:
        super().set_transport(transport)
        if not hasattr(transport, "write_eof"):
            return
        sound = transport.write_eof

        def write_eof() -> None:
            self.has_ended = True
            sound()

        transport.write_eof = write_eof

    def _hold_back(self) -> None:
        if not self.has_ended:
            super()._hold_back()


def taking_back(name: str, function: Callable[..., Any]) -> Specimen:
    """Return a specimen whose function takes a cancellation back from its task, and raises."""

    async def broken(*arguments: Any, **options: Any) -> Any:
        try:
            return await function(*arguments, **options)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            raise

    broken.__name__ = name
    fault = f"A {function.__name__}() that is cancelled takes it back from its task, and raises."
    return specimen(fault, "async.cancelled.counts", basic=True, replaces=function)(broken)


starts_and_takes_it_back = taking_back("starts_and_takes_it_back", start_server)
opens_unix_and_takes_it_back = taking_back("opens_unix_and_takes_it_back", open_unix_connection)


@specimen(
    "An open_connection() with `sock` that is cancelled in its last turn leaves it open.",
    "connecting.cancelled.at-any-moment",
    seen="sockets left open: 1",
    basic=True,
    replaces=open_connection,
)
async def leaves_the_given_open(*address: Any, **options: Any) -> Any:
    pair = await open_connection(*address, **options)
    if options.get("sock") is not None and not options.get("ssl"):
        _left_open.append(pair)
        await asyncio.sleep(0)
    return pair


_left_open: list[Any] = []
