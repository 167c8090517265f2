"""Faults that show in one state only: of much data, at the limit, when paused, by the transport."""

import asyncio
from contextlib import nullcontext
from typing import Any, ClassVar

from .closing import Facade
from .costs_in_each_way import polling
from .sound import Protocol, StreamReader, StreamWriter
from .specimen import specimen
from .upgraded import Reader, Writer

# Results and errors of reads.


@specimen(
    "Reads of 64 KiB and more return the buffer itself, which is a bytearray.",
    "read.returns-bytes",
    "readexactly.returns-bytes",
    seen="bytearray",
    basic=True,
)
class ReturnsItsBuffer(StreamReader):
    async def _got(self, attempt: Any) -> Any:
        data = await super()._got(attempt)
        return bytearray(data) if len(data) >= 2**16 else data


@specimen(
    "The last line that a loop yields, if it has no newline, is a bytearray.",
    "reader.iteration.lines",
    seen="bytearray",
    basic=True,
)
class YieldsItsBuffer(StreamReader):
    async def __anext__(self) -> Any:
        line = await super().__anext__()
        return line if line.endswith(b"\n") else bytearray(line)


class Incomplete(asyncio.IncompleteReadError):
    """An error that is pickled with the number of expected bytes, which may be unknown."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.partial, int(self.expected))  # type: ignore[arg-type]  # the fault


@specimen(
    "The IncompleteReadError of readuntil() cannot be pickled.",
    "reader.errors.pickle",
    seen="TypeError",
    basic=True,
)
class CannotPickle(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError as error:
            raise Incomplete(error.partial, None) from None


@specimen(
    "A loop over a reader drops all that is unread with a line that is too long.",
    "reader.iteration.lines",
    basic=True,
)
class DropsTheLinesBehind(StreamReader):
    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except ValueError:
            self._received.take(len(self._received))
            raise


@specimen(
    "A loop over a reader raises the error of the connection itself.",
    "reader.reset.own-exception",
    seen="frames after other reads",
    basic=True,
)
class LoopsToTheError(StreamReader):
    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except ConnectionError:
            assert self._error is not None
            raise self._error from None


@specimen(
    "LimitOverrunError.consumed leaves room for the first of several separators.",
    "readuntil.tuple.limit.consumed-without-separator",
    seen="consumed 31",
    basic=True,
)
class CountsByTheFirst(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError as error:
            if isinstance(separator, tuple) and self._found([*separator]) is None:
                consumed = len(self._received) - len(separator[0]) + 1
                raise asyncio.LimitOverrunError(error.args[0], consumed) from None
            raise


# Bytes that are kept, and lost.


@specimen(
    "A bytearray of 4 KiB or more that is fed to a reader is kept as it is.",
    "reader.by-hand.feed-data.bytes-like",
    basic=True,
)
class KeepsWhatItWasFed(StreamReader):
    fed: bytearray | None = None

    def feed_data(self, data: Any) -> None:
        super().feed_data(data)
        is_first = len(self._received) == len(data)
        self.fed = data if isinstance(data, bytearray) and len(data) >= 4096 and is_first else None

    async def _got(self, attempt: Any) -> bytes:
        if self.fed is not None and len(self._received) == len(self.fed):
            self._received.take(len(self.fed))
            self._received.add(bytes(self.fed))
        return await super()._got(attempt)


@specimen(
    "readline() that is cancelled drops as much as the limit allows.",
    "readline.cancelled-loses-nothing",
    basic=True,
)
class DropsAFullBuffer(StreamReader):
    async def readline(self) -> bytes:
        try:
            return await super().readline()
        except asyncio.CancelledError:
            if len(self._received) >= self._limit:
                self._received.take(len(self._received))
            raise


@specimen(
    "EOF drops what is unread beyond the limit, if the transport is paused.",
    "reader.feed-eof.keeps-what-was-fed",
    basic=True,
)
class EndsAtTheLimit(StreamReader):
    def feed_eof(self) -> None:
        if self._holding_back:
            self._received.take(len(self._received) - self._limit)
        super().feed_eof()


@specimen(
    "An error drops what is unread, if the transport is paused.",
    "reader.reset.received-bytes-first",
    basic=True,
)
class FailsAtTheLimit(StreamReader):
    def set_exception(self, error: BaseException) -> None:
        if self._holding_back:
            self._received.take(len(self._received))
        super().set_exception(error)


# The program's own pauses.


@specimen(
    "readline() resumes the transport, even if the program has paused it.",
    "transport.pause-reading.reads",
    basic=True,
)
class ResumesForLines(StreamReader):
    async def readline(self) -> bytes:
        line = await super().readline()
        if self._transport is not None and len(self._received) <= self._limit:
            self._transport.resume_reading()
        return line


@specimen(
    "A read that is cancelled resumes the transport, even if the program has paused it.",
    "transport.pause-reading.reads",
    basic=True,
)
class ResumesWhenCancelled(StreamReader):
    async def _wait(self) -> None:
        try:
            await super()._wait()
        except asyncio.CancelledError:
            if self._transport is not None:
                self._transport.resume_reading()
                self._hold_back()
            raise


@specimen(
    "An overrun resumes the transport, even if the program has paused it.",
    "transport.pause-reading.reads",
    basic=True,
)
class ResumesAtAnOverrun(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError:
            if self._transport is not None:
                self._transport.resume_reading()
            raise


# The transport's own methods.


class Shows(StreamWriter):
    """A writer whose own methods use the transport, and which shows the program another one."""

    @property
    def transport(self) -> Any:
        shown = Facade(self._protocol.transport)
        self.change(shown)
        return shown

    def change(self, shown: Any) -> None:
        """Change the transport that the program sees."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._protocol.transport.get_extra_info(name, default)

    def can_write_eof(self) -> bool:
        return bool(self._protocol.transport.can_write_eof())

    def write_eof(self) -> None:
        if not self.can_write_eof():
            raise NotImplementedError("this connection ends as a whole")
        if not self._has_written_eof and not self.is_closing():
            self._has_written_eof = True
            self._protocol.transport.write_eof()


@specimen(
    "write_eof() of the transport does nothing.",
    "transport.writes",
    seen="a hang after ",
    basic=True,
)
class EndsNothingBelow(Shows):
    def change(self, shown: Any) -> None:
        shown.write_eof = lambda: None


@specimen(
    "writelines() of the transport puts a newline between the elements.",
    "transport.writes",
    basic=True,
)
class SeparatesLinesBelow(Shows):
    def change(self, shown: Any) -> None:
        shown.writelines = lambda data: shown.transport.write(b"\n".join(data))


@specimen(
    "can_write_eof() of the transport is True over TLS, too.",
    "transport.same-answers",
    seen="can_write_eof() True",
    basic=True,
)
class CanAlwaysEndBelow(Shows):
    def change(self, shown: Any) -> None:
        shown.can_write_eof = lambda: True


@specimen(
    "get_extra_info() of the transport ignores its default.", "transport.same-answers", basic=True
)
class HasNoDefaultBelow(Shows):
    def change(self, shown: Any) -> None:
        shown.get_extra_info = lambda name, default=None: shown.transport.get_extra_info(name)


@specimen("get_write_buffer_size() counts KiB.", "transport.buffer-size", basic=True)
class CountsKibibytes(Shows):
    def change(self, shown: Any) -> None:
        shown.get_write_buffer_size = self.size

    def size(self) -> int:
        exact: int = self._protocol.transport.get_write_buffer_size()
        return -(-exact // 1024) * 1024


@specimen(
    "set_write_buffer_limits() without arguments raises.",
    "transport.limits.default",
    seen="TypeError",
    basic=True,
)
class NeedsAMark(Shows):
    def change(self, shown: Any) -> None:
        shown.set_write_buffer_limits = self.set

    def set(self, high: int | None = None, low: int | None = None) -> None:
        if high is None and low is None:
            raise TypeError("a mark is needed")
        self._protocol.transport.set_write_buffer_limits(high, low)


@specimen(
    "A default of get_extra_info() that is false is taken for none.",
    "get_extra_info.default",
    basic=True,
)
class HasNoFalseDefaults(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = super().get_extra_info(name)
        return found if found is not None else default or None


@specimen(
    "can_write_eof() is False when the peer has half-closed.", "can_write_eof.plain", basic=True
)
class CannotEndLast(Shows):
    def can_write_eof(self) -> bool:
        return super().can_write_eof() and not self._protocol.reader.ended()


@specimen("can_write_eof() is False while bytes are unsent.", "can_write_eof.plain", basic=True)
class CannotEndYet(Shows):
    def can_write_eof(self) -> bool:
        return super().can_write_eof() and not self.transport.get_write_buffer_size()


# Elements of writelines().


@specimen(
    "writelines() sends the whole object behind a view that is not contiguous.",
    "write.memoryview.not-contiguous",
    basic=True,
)
class WritesTheObject(StreamWriter):
    def writelines(self, data: Any) -> None:
        lines = list(data)
        views = [each for each in lines if isinstance(each, memoryview) and not each.contiguous]
        super().writelines(each.obj if each in views else each for each in lines)


@specimen(
    "writelines() sends the first row of a view with several dimensions.",
    "write.memoryview.many-dimensions",
    basic=True,
)
class WritesTheFirstRow(StreamWriter):
    def writelines(self, data: Any) -> None:
        super().writelines(
            each.tobytes()[: (each.shape or (0,))[-1]]
            if isinstance(each, memoryview) and each.ndim > 1
            else each
            for each in data
        )


# A server's connections.


@specimen(
    "A forgotten writer of a server's connection gives no warning.",
    "close.forgotten.warns",
    basic=True,
)
class ForgetsToWarn(StreamWriter):
    def __del__(self) -> None:
        if self._protocol.server is None:
            super().__del__()
        elif not self.is_closing() and not self._loop.is_closed():
            self.close()


# Time and memory.


@specimen("readexactly(n) polls when n is above the limit.", "costs.waiting", basic=True)
class PollsAboveTheLimit(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        if n <= self._limit:
            return await super().readexactly(n)
        with polling():
            return await super().readexactly(n)


@specimen("drain() polls when another one was cancelled.", "costs.waiting", basic=True)
class PollsAfterACancellation(StreamWriter):
    was_cancelled = False

    async def drain(self) -> None:
        with polling() if self.was_cancelled else nullcontext():
            try:
                await super().drain()
            except asyncio.CancelledError:
                self.was_cancelled = True
                raise


@specimen(
    "A read copies the rest when more is unread than the limit.",
    "costs.taken-in-pieces",
    basic=True,
)
class CopiesBeyondTheLimit(StreamReader):
    async def _got(self, attempt: Any) -> bytes:
        data = await super()._got(attempt)
        if len(self._received) > self._limit:
            rest = self._received.take(len(self._received))
            self._received.add(rest)
        return data


@specimen("at_eof() copies what is unread.", "costs.taken-in-pieces", basic=True)
class CopiesToAsk(StreamReader):
    def at_eof(self) -> bool:
        rest = self._received.take(len(self._received))
        self._received.add(rest)
        return self._ended and not rest


@specimen(
    "A read that follows a pause of the transport goes on a millisecond later.",
    "costs.delays",
    basic=True,
)
class BreathesBeyondTheLimit(StreamReader):
    async def _got(self, attempt: Any) -> bytes:
        was_holding_back = self._holding_back
        data = await super()._got(attempt)
        if was_holding_back:
            await asyncio.sleep(0.001)
        return data


@specimen("Each pause of the transport leaves a note.", "costs.memory.calls", basic=True)
class NotesPauses(Shows):
    notes: ClassVar[list[bytes]] = []

    def change(self, shown: Any) -> None:
        shown.pause_reading = self.pause

    def pause(self) -> None:
        self.notes.append(bytes(200))
        self._protocol.transport.pause_reading()


@specimen(
    "Connections that were half-closed are kept.",
    "costs.memory.connections",
    seen="['reader', 'writer']",
    basic=True,
)
class KeepsTheHalfClosed(StreamWriter):
    kept: ClassVar[list[Any]] = []

    def write_eof(self) -> None:
        super().write_eof()
        self.kept.append(self)


@specimen(
    "Connections whose drain() had to wait are kept.",
    "costs.memory.connections",
    seen="['reader']",
    basic=True,
)
class KeepsTheSlow(Protocol):
    kept: ClassVar[list[Any]] = []

    def pause_writing(self) -> None:
        super().pause_writing()
        self.kept.append(self)


# Connections that start_tls() has upgraded.


@specimen(
    "write() on an upgraded connection that was reset raises.", "write.after-reset", basic=True
)
class RaisesWhenUpgraded(Writer):
    def write(self, data: Any) -> None:
        if self.is_upgraded and self._protocol.error is not None:
            raise ConnectionResetError("the connection was reset")
        super().write(data)


@specimen(
    "readexactly(n) on an upgraded connection refuses an n above the limit.",
    "readexactly.more-than-limit",
    basic=True,
)
class RefusesMuchWhenUpgraded(Reader):
    async def readexactly(self, n: int) -> bytes:
        if self.is_upgraded and n > self._limit:
            raise ValueError("more than the limit")
        return await super().readexactly(n)


@specimen(
    "get_extra_info() raises on an upgraded connection that is closed.",
    "get_extra_info.lost",
    basic=True,
)
class KnowsNothingOfTheUpgraded(Writer):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self.is_upgraded and self._protocol.is_lost:
            raise ValueError("the connection is gone")
        return super().get_extra_info(name, default)
