"""Broken closing, and broken information about the transport."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

from .sound import Protocol, StreamReader, StreamWriter
from .specimen import NOTHING, Seen, Specimen, specimen

# close()


@specimen(
    "close() throws away data that was written and not sent.",
    "close.sends-first",
    "drain.close.waiting",
    seen={
        "close.sends-first": "number of bytes that arrived",
        "drain.close.waiting": "it raised ConnectionResetError",
    },
)
class CloseAborts(StreamWriter):
    def close(self) -> None:
        if self._protocol.transport.get_write_buffer_size():
            self._protocol.transport.abort()
        else:
            super().close()


@specimen(
    "A second close() raises RuntimeError.",
    "close.twice",
    seen="RuntimeError: the stream is closed",
)
class CloseOnce(StreamWriter):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("the stream is closed already")
        self.closed = True
        super().close()


@specimen(
    "close() raises when the connection was reset.",
    "close.after-reset",
    "close.without-wait_closed",
    "start_tls.peer-leaves.ends",
    seen={
        "close.after-reset": "ConnectionResetError: the connection is",
        "close.without-wait_closed": "ConnectionResetError: the connection is",
        "start_tls.peer-leaves.ends": "ConnectionResetError: the connection is",
    },
)
class CloseRaisesAfterReset(StreamWriter):
    def close(self) -> None:
        if self._protocol.reader.exception() is not None:
            raise ConnectionResetError("the connection is lost")
        super().close()


@specimen(
    "A waiting read does not end when its own side closes.",
    "reader.own-close.ends-reads",
    "reader.own-abort.ends-reads",
    "close.ends-reads",
    seen={
        "reader.own-close.ends-reads": "a hang",
        "reader.own-abort.ends-reads": "a hang",
        "close.ends-reads": "a hang",
    },
)
class CloseLeavesReads(Protocol):
    def connection_lost(self, exc: Any) -> None:
        if exc is None and not self.reader.ended():
            self.reader.feed_eof = lambda: None  # type: ignore[method-assign]
        super().connection_lost(exc)


@specimen(
    "A forgotten writer is not closed, and there is no warning.",
    "close.forgotten.warns",
    "handlers.coroutine.abandoned.closes",
    "close.forgotten.ends",
    seen={"close.forgotten.warns": "warnings: []", "handlers.coroutine.abandoned.closes": "a hang"},
)
class ForgetsItself(StreamWriter):
    def __del__(self) -> None:
        pass


@specimen(
    "A forgotten writer gives a warning, but is not closed.",
    "close.forgotten.ends",
    "handlers.coroutine.abandoned.closes",
    seen="a hang",
)
class OnlyWarns(StreamWriter):
    def __del__(self) -> None:
        if not self._protocol.transport.is_closing():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2)


@specimen(
    "A forgotten writer is closed without a warning.",
    "close.forgotten.warns",
    seen="warnings: []",
)
class ClosesQuietly(StreamWriter):
    def __del__(self) -> None:
        if not self._protocol.transport.is_closing() and not self._loop.is_closed():
            self.close()


@specimen(
    "close() only remembers that it was called; wait_closed() closes.",
    "close.ends-the-stream",
    basic=True,
    seen="a hang",
)
class ClosesWhenWaitedFor(StreamWriter):
    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        super().close()
        await super().wait_closed()


@specimen(
    "close() ends the sending half, and leaves the rest to the peer.",
    "close.frees-the-socket",
    basic=True,
    seen="None returned",
)
class ClosesHalf(StreamWriter):
    def close(self) -> None:
        self._protocol.transport.write_eof()

    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@specimen(
    "close() takes effect in the next turn of the loop.",
    "write.after-close",
    "start_tls.close",
    seen={"write.after-close": "bytes: b'beforeafter'", "start_tls.close": "is_closing() False"},
)
class ClosesSoon(StreamWriter):
    def close(self) -> None:
        self._loop.call_soon(super().close)


@specimen(
    "wait_closed() waits until everything that was received has been read.",
    "close.unread-data",
    "close.unread-data.paused",
    seen={"close.unread-data": "a hang", "close.unread-data.paused": "a hang"},
)
class WaitsForReaders(StreamWriter):
    async def wait_closed(self) -> None:
        await super().wait_closed()
        while len(self._protocol.reader._received):
            await asyncio.sleep(0.001)


@specimen(
    "close() leaves a TLS transport paused.",
    "close.unread.tls",
    "server.close-clients.closes",
    seen="a hang",
)
class LeavesItPaused(StreamReader):
    def let_close(self) -> None:
        pass


@specimen(
    "The end of a connection is reported to the loop's exception handler.",
    "close.reports-nothing",
    seen="the loop's exception handler was told",
)
class ReportsTheEnd(Protocol):
    def connection_lost(self, exc: Any) -> None:
        if not self.is_lost:
            self.loop.call_exception_handler({"message": "the connection has ended"})
        super().connection_lost(exc)


@specimen(
    "A writer that is collected warns, although it was closed.",
    "close.collected",
    seen="warnings: ['unclosed",
)
class WarnsAnyway(StreamWriter):
    def __del__(self) -> None:
        super().__del__()
        warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2)


# is_closing()


@specimen(
    "is_closing() is True only when close() was called.",
    "is_closing.after-reset",
    "is_closing.after-peer-eof.tls",
    "transport.abort.is_closing",
    seen={
        "is_closing.after-reset": "is_closing() False",
        "is_closing.after-peer-eof.tls": "is_closing() False",
        "transport.abort.is_closing": "is_closing() after abort(): False",
    },
)
class KnowsOnlyItsOwnClose(StreamWriter):
    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()

    def is_closing(self) -> bool:
        return self.closed


@specimen(
    "is_closing() is True when the connection is gone, and not before.",
    "is_closing.after-close",
    "transport.close",
    seen={"is_closing.after-close": "is_closing()", "transport.close": "is_closing() False"},
)
class ClosingIsClosed(StreamWriter):
    def is_closing(self) -> bool:
        return bool(self._protocol.is_lost)


@specimen(
    "is_closing() is True from write_eof() on.",
    "write_eof.does-not-close",
    seen="is_closing() after write_eof(): True",
)
class EofIsClosing(StreamWriter):
    ended = False

    def write_eof(self) -> None:
        super().write_eof()
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended or super().is_closing()


@specimen(
    "is_closing() is True once the peer has half-closed.",
    "is_closing.after-peer-eof",
    "write_eof.does-not-close",
    seen="is_closing() after the peer's end of the",
)
class PeerEofIsClosing(StreamWriter):
    def is_closing(self) -> bool:
        return super().is_closing() or (self._protocol.reader.ended())


@specimen(
    "is_closing() is True while writing is paused: the stream cannot be written to.",
    "is_closing.open",
    seen="is_closing() while much waits to be sent",
)
class PausedIsClosing(StreamWriter):
    def is_closing(self) -> bool:
        return self._protocol.is_full or super().is_closing()


@specimen(
    "is_closing() is False again when the stream is closed.",
    "is_closing.closed",
    "is_closing.after-reset",
    seen="is_closing() after wait_closed(): False",
)
class ClosedIsNotClosing(StreamWriter):
    def is_closing(self) -> bool:
        return super().is_closing() and not self._protocol.is_lost


# wait_closed()


@specimen(
    "wait_closed() returns immediately.",
    "wait_closed.waits-until-sent",
    seen="it returned None",
)
class WaitsForNothing(StreamWriter):
    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@specimen(
    "wait_closed() closes the stream itself.",
    "wait_closed.waits-while-open",
    "wait_closed.cancelled.raises",
    "wait_closed.cancelled.leaves-others",
    seen={
        "wait_closed.waits-while-open": "it returned None",
        "wait_closed.cancelled.raises": "wait_closed() cancelled: False",
    },
)
class ClosesToWait(StreamWriter):
    async def wait_closed(self) -> None:
        self.close()
        await super().wait_closed()


@specimen(
    "All wait_closed() wait for one future, which is cancelled with the first of them.",
    "wait_closed.cancelled.leaves-others",
    "wait_closed.cancelled.later-calls",
    "wait_closed.after-reset.own-exception",
    seen={
        "wait_closed.cancelled.leaves-others": "the other wait_closed() 'cancelled'",
        "wait_closed.cancelled.later-calls": "a later wait_closed() cancelled: True",
        "wait_closed.after-reset.own-exception": "one ConnectionResetError raised by both",
    },
)
class ClosersShareAFuture(StreamWriter):
    async def wait_closed(self) -> None:
        shared = self.__dict__.setdefault("shared", asyncio.ensure_future(super().wait_closed()))
        await shared


@specimen(
    "wait_closed() hides the error of a reset.",
    "wait_closed.after-reset.raises",
    seen="None returned",
)
class KeepsTheErrorToItself(StreamWriter):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except OSError:
            return


@specimen(
    "Only the first of several wait_closed() is woken.",
    "wait_closed.several",
    seen="a hang",
)
class WakesOneCloser(StreamWriter):
    async def wait_closed(self) -> None:
        if self._protocol.end._waiting:
            await self._loop.create_future()
        await super().wait_closed()


@specimen(
    "wait_closed() before close() never returns.",
    "wait_closed.returns",
    "wait_closed.after-reset.ends",
    seen={"wait_closed.returns": "a hang", "wait_closed.after-reset.ends": "a hang"},
)
class WaitsOnlyAfterClose(StreamWriter):
    async def wait_closed(self) -> None:
        if not self.is_closing():
            await self._loop.create_future()
        await super().wait_closed()


@specimen(
    "Once wait_closed() has returned, another one raises.",
    "wait_closed.again",
    seen="RuntimeError: wait_closed() was called",
)
class ClosesOnceAndForAll(StreamWriter):
    waited = False

    async def wait_closed(self) -> None:
        if self.waited:
            raise RuntimeError("wait_closed() was called before")
        await super().wait_closed()
        self.waited = True


@specimen(
    "wait_closed() waits for the peer's EOF, which has already arrived.",
    "wait_closed.after-peer-eof",
    "tls.end.no-warning",
    seen={"wait_closed.after-peer-eof": "a hang", "tls.end.no-warning": "a hang"},
)
class WaitsForAnotherEnd(StreamWriter):
    async def wait_closed(self) -> None:
        if self._protocol.reader.ended() and not self._protocol.is_lost:
            await self._loop.create_future()
        await super().wait_closed()


# The transport.


@specimen(
    "get_extra_info() ignores its default.",
    "get_extra_info.default",
    "get_extra_info.plain-has-no-tls",
    seen={
        "get_extra_info.default": "the default returned: False",
        "get_extra_info.plain-has-no-tls": "ssl_object None",
    },
)
class IgnoresTheDefault(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._protocol.transport.get_extra_info(name)


@specimen(
    "peername and sockname are confused.",
    "get_extra_info.peername",
    seen="127.0.0.1",
)
class ConfusesTheNames(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        other = {"peername": "sockname", "sockname": "peername"}.get(name, name)
        return self._protocol.transport.get_extra_info(other, default)


@specimen(
    "The repr of a writer is that of an object.",
    "repr.names-the-class",
    seen="<stream at",
)
class WriterHasNoName(StreamWriter):
    def __repr__(self) -> str:
        return f"<stream at {id(self):#x}>"


@specimen(
    "close() waits until everything is sent, and goes on receiving meanwhile.",
    "close.receives-no-more",
    seen="read(100) b'too late'",
)
class ReceivesWhileClosing(StreamWriter):
    closed = False

    def close(self) -> None:
        self.closed = True
        if (
            self._protocol.transport.get_write_buffer_size()
            and not self._protocol.transport.is_closing()
        ):
            self._loop.call_later(0.001, self.close)
        else:
            super().close()

    def is_closing(self) -> bool:
        return self.closed or super().is_closing()


@specimen(
    "Each call asks the socket for the peer's name, even after the socket is closed.",
    "get_extra_info.peername.lost",
    seen="AttributeError: 'NoneType' object has no",
)
class AsksTheSocket(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return super().get_extra_info("socket").getpeername()
        return super().get_extra_info(name, default)


@specimen(
    "get_extra_info() takes the name by position only.",
    "get_extra_info.by-keyword",
    seen="TypeError: NamesByPosition.get_extra_info",
)
class NamesByPosition(StreamWriter):
    def get_extra_info(self, name: str, /, default: Any = None) -> Any:
        return super().get_extra_info(name, default)


class Facade:
    """The transport as a writer shows it: the same, except for the part that a specimen breaks."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


@specimen(
    "pause_reading() of the transport does nothing.",
    "transport.is-reading",
    "transport.pause-reading",
    seen={
        "transport.is-reading": "is_reading() while paused: True",
        "transport.pause-reading": "it returned b'for later'",
    },
)
class PausesNothing(StreamWriter):
    @property
    def transport(self) -> Any:
        shown: Any = Facade(self._protocol.transport)
        shown.pause_reading = lambda: None
        return shown


@specimen(
    "is_reading() of the transport returns whether it is open.",
    "transport.is-reading",
    seen="is_reading() while paused: True",
)
class ReadsWhileOpen(StreamWriter):
    @property
    def transport(self) -> Any:
        shown: Any = Facade(self._protocol.transport)
        shown.is_reading = lambda: not self.is_closing()
        return shown


@specimen(
    "The transport has to be resumed as often as it was paused.",
    "transport.pause-reading.idempotent",
    seen="a hang",
)
class CountsPauses(StreamWriter):
    pauses = 0

    @property
    def transport(self) -> Any:
        shown: Any = Facade(self._protocol.transport)
        shown.pause_reading, shown.resume_reading = self.pause, self.resume
        return shown

    def pause(self) -> None:
        self.pauses += 1
        self._protocol.transport.pause_reading()

    def resume(self) -> None:
        self.pauses = max(0, self.pauses - 1)
        if not self.pauses:
            self._protocol.transport.resume_reading()


@specimen(
    "A transport that is closing cannot be paused.",
    "transport.pause-reading.closed",
    seen="RuntimeError: the transport is closing",
)
class PausesTheOpen(StreamWriter):
    @property
    def transport(self) -> Any:
        shown: Any = Facade(self._protocol.transport)
        shown.pause_reading = self.pause
        return shown

    def pause(self) -> None:
        if self.is_closing():
            raise RuntimeError("the transport is closing")
        self._protocol.transport.pause_reading()


@specimen(
    "A low-water mark of zero is taken for none.",
    "drain.marks.low-zero",
    "transport.limits.low-alone",
    seen={
        "drain.marks.low-zero": "bytes to send when drain() returned",
        "transport.limits.low-alone": "the low-water mark",
    },
)
class TakesZeroForNone(StreamWriter):
    @property
    def transport(self) -> Any:
        shown: Any = Facade(self._protocol.transport)
        shown.set_write_buffer_limits = lambda high=None, low=None: (
            self._protocol.transport.set_write_buffer_limits(high, low or None)
        )
        return shown


@specimen(
    "set_write_buffer_limits() takes the low-water mark first.",
    "transport.limits.set",
    seen="ValueError: high",
)
class TakesTheLowFirst(StreamWriter):
    @property
    def transport(self) -> Any:
        shown: Any = Facade(self._protocol.transport)
        shown.set_write_buffer_limits = lambda low=None, high=None: (
            self._protocol.transport.set_write_buffer_limits(high, low)
        )
        return shown


def shown(fault: str, *fails: str, seen: Seen = NOTHING) -> Any:
    """Make a specimen of a facade: the writer's `transport` is one."""

    def make(facade: type[Facade]) -> Specimen:
        class Showing(StreamWriter):
            @property
            def transport(self) -> Any:
                return facade(self._protocol.transport)

        Showing.__name__ = facade.__name__
        Showing.__module__ = facade.__module__
        return specimen(fault, *fails, seen=seen)(Showing)

    return make


@shown(
    "The writer's transport has no is_reading().",
    "transport.is-a-transport",
    "transport.is-reading",
    seen="methods of a ReadTransport missing",
)
class OnlyWrites(Facade):
    def __getattr__(self, name: str) -> Any:
        if name == "is_reading":
            raise AttributeError(name)
        return super().__getattr__(name)


@shown(
    "transport.is_closing() is True only when the connection is gone.",
    "transport.same-state",
    seen="transport.is_closing() after close()",
)
class TransportLagsBehind(Facade):
    def is_closing(self) -> bool:
        return bool(self.transport.get_protocol().is_lost)


@shown(
    "transport.abort() closes normally, as close() does.",
    "transport.abort.at-once",
    "transport.abort.ends-reads",
    seen={"transport.abort.at-once": "a hang", "transport.abort.ends-reads": "a hang"},
)
class AbortsInOrder(Facade):
    def abort(self) -> None:
        self.transport.close()


@specimen(
    "wait_closed() raises ConnectionAbortedError after transport.abort().",
    "transport.abort.wait_closed",
    seen="ConnectionAbortedError: the connection",
)
class AbortIsAnError(StreamWriter):
    aborted = False

    @property
    def transport(self) -> Any:
        writer = self

        class Aborting(Facade):
            def abort(self) -> None:
                writer.aborted = True
                self.transport.abort()

        return Aborting(self._protocol.transport)

    async def wait_closed(self) -> None:
        await super().wait_closed()
        if self.aborted:
            raise ConnectionAbortedError("the connection was aborted")


@shown(
    "get_write_buffer_size() is always 0.",
    "transport.buffer-size",
    "drain.low-water.not-later",
    seen="0",
)
class HoldsNothing(Facade):
    def get_write_buffer_size(self) -> int:
        return 0


@specimen(
    "The high-water mark of a connection is 32 KiB.",
    "transport.limits.default",
    seen="the high-water mark",
)
class LowerMark(Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.set_write_buffer_limits(high=32 * 1024)
        super().connection_made(transport)


@shown(
    "set_write_buffer_limits() ignores the low-water mark.",
    "transport.limits.set",
    # Over TCP and in memory there is room for the rest as soon as there is room for some of it.
    "drain.low-water.not-before",
    seen={
        "transport.limits.set": "750",
        "drain.low-water.not-before": "228096",
    },
)
class HasNoLowMark(Facade):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        self.transport.set_write_buffer_limits(high=high)


@shown(
    "A high-water mark alone leaves the low-water mark as it was.",
    "transport.limits.high-alone",
    "drain.marks.zero",
    "drain.marks.zero.nothing-left",
    seen={
        "transport.limits.high-alone": "ValueError: high",
        "drain.marks.zero": "ValueError: high (0) must be >= low",
    },
)
class KeepsTheLowMark(Facade):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        if low is None:
            low, _ = self.transport.get_write_buffer_limits()
        self.transport.set_write_buffer_limits(high=high, low=low)


@shown(
    "Contradictory high-water and low-water marks are adjusted instead of refused.",
    "transport.limits.refused",
    seen="no exception",
)
class MakesSenseOfMarks(Facade):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        high = high if high is None else max(0, high)
        low = low if low is None else max(0, low if high is None else min(low, high))
        self.transport.set_write_buffer_limits(high=high, low=low)


def hiding(hidden: str) -> Specimen:
    """Return a specimen whose `get_extra_info()` knows nothing under a name."""

    class Hiding(StreamWriter):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default if name == hidden else super().get_extra_info(name, default)

    Hiding.__name__ = f"hides_{hidden}"
    fault = f'get_extra_info("{hidden}") gives the default.'
    return specimen(fault, "get_extra_info.known", seen="names that the transport")(Hiding)


hides_socket = hiding("socket")
hides_peername = hiding("peername")
hides_ssl_object = hiding("ssl_object")
hides_peercert = hiding("peercert")


def mistaking(
    mistaken: str, given: Callable[[Any], Any], *fails: str, seen: Seen = NOTHING
) -> Specimen:
    """Return a specimen whose `get_extra_info()` gives something else under a name."""

    class Mistaking(StreamWriter):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            found = super().get_extra_info(name, default)
            return given(found) if name == mistaken else found

    Mistaking.__name__ = f"mistakes_{mistaken}"
    fault = f'get_extra_info("{mistaken}") gives something else.'
    return specimen(fault, *fails, seen=seen)(Mistaking)


mistakes_socket = mistaking(
    "socket",
    lambda sock: sock.fileno(),
    "get_extra_info.socket",
    seen="AttributeError: 'int' object has no",
)
mistakes_ssl_object = mistaking(
    "ssl_object",
    lambda found: found and found.context,
    "get_extra_info.ssl_object",
    seen="<ssl.SSLContext object at",
)
mistakes_sslcontext = mistaking(
    "sslcontext",
    lambda found: found and type(found)(found.protocol),
    "get_extra_info.sslcontext",
    seen="<ssl.SSLContext object at",
)
mistakes_cipher = mistaking(
    "cipher",
    lambda found: found and found[0],
    "get_extra_info.cipher",
    seen="'TLS_AES_256_GCM_SHA384'",
)
mistakes_compression = mistaking(
    "compression", lambda found: "zlib", "get_extra_info.compression", seen="zlib"
)
mistakes_peercert = mistaking(
    "peercert", lambda found: {}, "get_extra_info.peercert", seen="subjectAltName None"
)


@specimen(
    "A connection that is lost is reported to the loop's exception handler.",
    "close.peer-ends.reports-nothing",
    seen="the loop's exception handler was told [{",
)
class ReportsLosses(Protocol):
    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            context = {"message": "the connection was lost", "exception": error}
            self.loop.call_exception_handler(context)
        super().connection_lost(error)
