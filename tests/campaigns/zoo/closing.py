"""Broken closing, and what a writer tells of its transport."""

import asyncio
import warnings
from types import MappingProxyType
from typing import Any

from conformance.marks import EVERY, PLAIN, RESETTABLE, TLS, UNIX, VIRTUAL
from reference_impl import FlowControlMixin, StreamReader, StreamReaderProtocol, StreamWriter

from .specimen import Some, Specimen, specimen

# close()


@specimen(
    "close() throws away what was written and not sent.",
    "close.sends-first",
    "write.memoryview.wide-items",
    "write.memoryview.many-dimensions",
    "writelines.wide-items",
    "drain.close.waiting",
    "wait_closed.waits-until-sent",
)
class CloseAborts(StreamWriter):
    def close(self) -> None:
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            super().close()


@specimen(
    "A second close() raises RuntimeError.",
    "close.twice",
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
    "wait_closed.after-reset.ends",
    "wait_closed.after-reset.raises",
    "wait_closed.after-reset.own-exception",
    "wait_closed.after-reset.leaves-traceback",
    "start_tls.peer-leaves.ends",
    "start_tls.cancelled.ends",
)
class CloseRaisesAfterReset(StreamWriter):
    def close(self) -> None:
        if self._reader is not None and self._reader.exception() is not None:
            raise ConnectionResetError("the connection is lost")
        super().close()


@specimen(
    "A read that waits is not told that its own side has closed.",
    "reader.own-close.ends-reads",
    "reader.own-close.keeps-data",
    "reader.own-abort.ends-reads",
    "transport.abort.ends-reads",
    "start_tls.cancelled.ends",
    only_on={PLAIN: ("close.ends-reads",)},  # over TLS the peer's answer ends them
)
class CloseLeavesReads(StreamReaderProtocol):
    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is None and not self._stream_reader._eof:
            FlowControlMixin.connection_lost(self, exc)
        else:
            super().connection_lost(exc)


@specimen(
    "A forgotten writer is neither closed nor warned of.",
    "close.forgotten.warns",
    "handlers.coroutine.abandoned.closes",
    "close.forgotten.ends",
)
class ForgetsItself(StreamWriter):
    def __del__(self, warn: Any = warnings.warn) -> None:
        pass


@specimen(
    "A forgotten writer is warned of, but not closed.",
    "close.forgotten.ends",
    "handlers.coroutine.abandoned.closes",
)
class OnlyWarns(StreamWriter):
    def __del__(self, warn: Any = warnings.warn) -> None:
        if not self._transport.is_closing():
            warn(f"unclosed {self!r}", ResourceWarning)


@specimen(
    "A forgotten writer is closed without a warning.",
    "close.forgotten.warns",
)
class ClosesQuietly(StreamWriter):
    def __del__(self, warn: Any = warnings.warn) -> None:
        if not self._transport.is_closing() and not self._loop.is_closed():
            self.close()


@specimen(
    "close() only remembers that it was called; wait_closed() closes.",
    "close.ends-the-stream",
    basic=True,
)
class ClosesWhenWaitedFor(StreamWriter):
    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        super().close()
        await super().wait_closed()


@specimen(
    "close() ends what is written, and leaves the rest to the peer.",
    "close.frees-the-socket",
    networks=PLAIN,
    basic=True,
)
class ClosesHalf(StreamWriter):
    def close(self) -> None:
        self._transport.write_eof()

    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@specimen(
    "close() takes effect in the next turn of the loop.",
    "write.after-close",
    "is_closing.after-close",
    "transport.same-state",
    "start_tls.close",
    "close.twice",
)
class ClosesSoon(StreamWriter):
    def close(self) -> None:
        self._loop.call_soon(super().close)


@specimen(
    "wait_closed() waits until everything that was received has been read.",
    "close.unread-data",
    "close.unread-data.paused",
    "close.unread.tls",
    "reader.own-close.keeps-data",
)
class WaitsForReaders(StreamWriter):
    async def wait_closed(self) -> None:
        await super().wait_closed()
        while self._reader is not None and self._reader._buffer.size:
            await asyncio.sleep(0.001)


@specimen(
    "close() leaves a TLS transport paused.",
    "close.unread.tls",
    "server.close-clients.closes",
    networks=VIRTUAL,  # the kernel's peer, which is gone, answers with a reset
)
class LeavesItPaused(StreamReader):
    def _let_close(self) -> None:
        pass


@specimen(
    "That a connection has ended is reported to the loop's exception handler.",
    "close.reports-nothing",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
    "handlers.coroutine.cancelled.not-reported",
    "drain.cancelled.leaves-others",
    "close.without-wait_closed",
    only_on={
        RESETTABLE: ("wait_closed.cancelled.leaves-others",),
        # Over TLS the connection ends after the test has looked.
        PLAIN: ("write.memoryview.not-contiguous",),
    },
)
class ReportsTheEnd(StreamReaderProtocol):
    def connection_lost(self, exc: BaseException | None) -> None:
        if not self._connection_lost:
            self._loop.call_exception_handler({"message": "the connection has ended"})
        super().connection_lost(exc)


@specimen(
    "A writer that is collected warns, although it was closed.",
    "close.collected",
)
class WarnsAnyway(StreamWriter):
    def __del__(self, warn: Any = warnings.warn) -> None:
        super().__del__(warn)
        warn(f"unclosed {self!r}", ResourceWarning)


# is_closing()


@specimen(
    "is_closing() is True only when close() was called.",
    "is_closing.after-reset",
    "is_closing.after-peer-eof.tls",
    "transport.close",
    "transport.abort.is_closing",
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
    "transport.abort.is_closing",
    "start_tls.close",
    "close.twice",
)
class ClosingIsClosed(StreamWriter):
    def is_closing(self) -> bool:
        return bool(self._protocol._connection_lost)


@specimen(
    "is_closing() is True from write_eof() on.",
    "write_eof.does-not-close",
    networks=PLAIN,
)
class EofIsClosing(StreamWriter):
    ended = False

    def write_eof(self) -> None:
        super().write_eof()
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended or super().is_closing()


@specimen(
    "is_closing() is True once the peer has ended its direction.",
    "is_closing.after-peer-eof",
    "write_eof.does-not-close",
    networks=PLAIN,
)
class PeerEofIsClosing(StreamWriter):
    def is_closing(self) -> bool:
        return super().is_closing() or (self._reader is not None and self._reader._eof)


@specimen(
    "is_closing() is True while writing is paused: the stream cannot be written to.",
    "is_closing.open",
)
class PausedIsClosing(StreamWriter):
    def is_closing(self) -> bool:
        return self._protocol._paused or super().is_closing()


@specimen(
    "is_closing() is False again when the stream is closed.",
    "is_closing.closed",
    "is_closing.after-reset",
)
class ClosedIsNotClosing(StreamWriter):
    def is_closing(self) -> bool:
        return super().is_closing() and not self._protocol._connection_lost


# wait_closed()


@specimen(
    "wait_closed() returns at once.",
    "wait_closed.waits-until-sent",
    "wait_closed.waits-while-open",
    "wait_closed.cancelled.leaves-others",
    "wait_closed.after-reset.raises",
    "start_tls.cancelled.ends",
    "wait_closed.cancelled.raises",
    only_on={TLS: ("drain.closed",)},  # the peer's answer, which ends the connection, is to come
)
class WaitsForNothing(StreamWriter):
    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@specimen(
    "wait_closed() closes the stream itself.",
    only_on={
        PLAIN: (
            # Over TLS the peer has to answer before the connection is closed.
            "wait_closed.waits-while-open",
            "wait_closed.cancelled.raises",
            "wait_closed.cancelled.leaves-others",
        )
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
)
class ClosersShareAFuture(StreamWriter):
    async def wait_closed(self) -> None:
        shared = self.__dict__.setdefault("shared", self._protocol._get_close_waiter(self))
        await shared


@specimen(
    "wait_closed() keeps the error of a reset to itself.",
    "wait_closed.after-reset.raises",
)
class KeepsTheErrorToItself(StreamWriter):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except OSError:
            return


@specimen(
    "Of several wait_closed() only the first is woken.",
    "wait_closed.several",
    "wait_closed.cancelled.leaves-others",
    only_on={
        TLS: (
            # There the connection has not ended when the second one begins.
            "wait_closed.returns",
            "wait_closed.cancelled.later-calls",
        )
    },
)
class WakesOneCloser(FlowControlMixin):
    first: Any = None

    def _get_close_waiter(self, stream: Any) -> Any:
        if self.first is None or self._connection_lost:
            self.first = super()._get_close_waiter(stream)
            return self.first
        return self._loop.create_future()


@specimen(
    "wait_closed() before close() never returns.",
    "wait_closed.returns",
    "wait_closed.several",
    "wait_closed.cancelled.leaves-others",
    "wait_closed.after-reset.ends",
    "transport.abort.wait_closed",
    only_on={PLAIN: ("wait_closed.after-peer-eof",)},  # over TLS the peer's end closes the stream
)
class WaitsOnlyAfterClose(StreamWriter):
    async def wait_closed(self) -> None:
        if not self.is_closing():
            await self._loop.create_future()
        await super().wait_closed()


@specimen(
    "Once wait_closed() has returned, another one raises.",
    "wait_closed.again",
    "close.twice",
    "wait_closed.cancelled.later-calls",
    "transport.abort.wait_closed",
)
class ClosesOnceAndForAll(StreamWriter):
    waited = False

    async def wait_closed(self) -> None:
        if self.waited:
            raise RuntimeError("wait_closed() was called before")
        await super().wait_closed()
        self.waited = True


@specimen(
    "wait_closed() waits for the peer's end of the stream to come, which it has already.",
    "wait_closed.after-peer-eof",
    "tls.end.no-warning",
)
class WaitsForAnotherEnd(StreamWriter):
    async def wait_closed(self) -> None:
        if self._reader is not None and self._reader._eof and not self._protocol._connection_lost:
            await self._loop.create_future()
        await super().wait_closed()


# The transport.


@specimen(
    "get_extra_info() ignores its default.",
    "get_extra_info.default",
    "get_extra_info.by-keyword",
    "get_extra_info.plain-has-no-tls",
    only_on={TLS: ("get_extra_info.peername.lost",)},  # plain transports go on saying it
)
class IgnoresTheDefault(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name)


@specimen(
    "peername and sockname are confused.",
    "get_extra_info.peername",
    "get_extra_info.sockname",
    "start_tls.transport",
    only_on={PLAIN: ("get_extra_info.peername.lost",)},  # by TLS there are no names any more
)
class ConfusesTheNames(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        other = {"peername": "sockname", "sockname": "peername"}.get(name, name)
        return self._transport.get_extra_info(other, default)


@specimen(
    "The repr of a writer is that of an object.",
    "repr.names-the-class",
)
class WriterHasNoName(StreamWriter):
    def __repr__(self) -> str:
        return f"<stream at {id(self):#x}>"


@specimen(
    "close() waits until all is sent, and goes on receiving in the meantime.",
    "close.receives-no-more",
    "start_tls.closed",
)
class ReceivesWhileClosing(StreamWriter):
    closed = False

    def close(self) -> None:
        self.closed = True
        if self._transport.get_write_buffer_size() and not self._transport.is_closing():
            self._loop.call_later(0.001, self.close)
        else:
            super().close()

    def is_closing(self) -> bool:
        return self.closed or super().is_closing()


@specimen(
    "The socket is asked for the peer's name each time, whatever has become of it.",
    "get_extra_info.peername.lost",
)
class AsksTheSocket(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return super().get_extra_info("socket").getpeername()
        return super().get_extra_info(name, default)


@specimen(
    "Who accepts a connection is not told the peer's certificate.",
    "get_extra_info.peercert",
    networks=TLS,
)
class TellsClientsOnly(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        tls = super().get_extra_info("ssl_object")
        if name == "peercert" and tls is not None and tls.server_side:
            return None
        return super().get_extra_info(name, default)


@specimen(
    "get_extra_info() takes the name by position only.",
    "get_extra_info.by-keyword",
)
class NamesByPosition(StreamWriter):
    def get_extra_info(self, name: str, /, default: Any = None) -> Any:
        return super().get_extra_info(name, default)


class Shown:
    """What a writer shows in place of its transport: the same, but for what a specimen breaks."""

    def __init__(self, transport: Any) -> None:
        self.below = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


@specimen(
    "pause_reading() of the transport does nothing.",
    "transport.is-reading",
    "transport.pause-reading",
)
class PausesNothing(StreamWriter):
    @property
    def transport(self) -> Any:
        shown = Shown(self._transport)
        shown.pause_reading = lambda: None
        return shown


@specimen(
    "is_reading() of the transport tells whether it is open.",
    "transport.is-reading",
)
class ReadsWhileOpen(StreamWriter):
    @property
    def transport(self) -> Any:
        shown = Shown(self._transport)
        shown.is_reading = lambda: not self.is_closing()
        return shown


@specimen(
    "The transport has to be resumed as often as it was paused.",
    "transport.pause-reading.idempotent",
)
class CountsPauses(StreamWriter):
    pauses = 0

    @property
    def transport(self) -> Any:
        shown = Shown(self._transport)
        shown.pause_reading, shown.resume_reading = self.pause, self.resume
        return shown

    def pause(self) -> None:
        self.pauses += 1
        self._transport.pause_reading()

    def resume(self) -> None:
        self.pauses = max(0, self.pauses - 1)
        if not self.pauses:
            self._transport.resume_reading()


@specimen(
    "A transport that is closing cannot be paused.",
    "transport.pause-reading.closed",
)
class PausesTheOpen(StreamWriter):
    @property
    def transport(self) -> Any:
        shown = Shown(self._transport)
        shown.pause_reading = self.pause
        return shown

    def pause(self) -> None:
        if self.is_closing():
            raise RuntimeError("the transport is closing")
        self._transport.pause_reading()


@specimen(
    "A low water mark of zero is taken for none.",
    "drain.marks.low-zero",
    "transport.limits.low-alone",
)
class TakesZeroForNone(StreamWriter):
    @property
    def transport(self) -> Any:
        shown = Shown(self._transport)
        shown.set_write_buffer_limits = lambda high=None, low=None: (
            self._transport.set_write_buffer_limits(high, low or None)
        )
        return shown


@specimen(
    "set_write_buffer_limits() takes the low water mark first.",
    "transport.limits.set",
)
class TakesTheLowFirst(StreamWriter):
    @property
    def transport(self) -> Any:
        shown = Shown(self._transport)
        shown.set_write_buffer_limits = lambda low=None, high=None: (
            self._transport.set_write_buffer_limits(high, low)
        )
        return shown


class Facade:
    """The transport as a writer shows it; specimens get it wrong."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


def shown(fault: str, *fails: str, only_on: Some = MappingProxyType({})) -> Any:
    """Make a specimen of a facade: the writer's `transport` is one."""

    def make(facade: type[Facade]) -> Specimen:
        class Showing(StreamWriter):
            @property
            def transport(self) -> Any:
                return facade(self._transport)

        Showing.__name__ = facade.__name__
        Showing.__module__ = facade.__module__
        return specimen(fault, *fails, only_on=only_on)(Showing)

    return make


@shown(
    "The writer's transport does not tell whether it is reading.",
    "transport.is-a-transport",
    "transport.is-reading",
)
class OnlyWrites(Facade):
    def __getattr__(self, name: str) -> Any:
        if name == "is_reading":
            raise AttributeError(name)
        return super().__getattr__(name)


@shown(
    "transport.is_closing() is True only when the connection is gone.",
    "transport.same-state",
)
class TransportLagsBehind(Facade):
    def is_closing(self) -> bool:
        return bool(self.transport.get_protocol()._connection_lost)


@shown(
    "transport.abort() closes in order.",
    "transport.abort.at-once",
    "drain.cancelled.leaves-others",
    "drain.abort.waiting",
    "drain.abort.raises",
    only_on={
        TLS: (
            # There a connection ends in order when the peer has answered.
            "reader.own-abort.ends-reads",
            "drain.abort.loop",
            "transport.abort.wait_closed",
            "transport.abort.ends-reads",
        )
    },
)
class AbortsInOrder(Facade):
    def abort(self) -> None:
        self.transport.close()


@specimen(
    "wait_closed() raises ConnectionAbortedError after transport.abort().",
    "transport.abort.wait_closed",
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

        return Aborting(self._transport)

    async def wait_closed(self) -> None:
        await super().wait_closed()
        if self.aborted:
            raise ConnectionAbortedError("the connection was aborted")


@shown(
    "get_write_buffer_size() is always 0.",
    "transport.buffer-size",
    "drain.low-water.not-later",
)
class HoldsNothing(Facade):
    def get_write_buffer_size(self) -> int:
        return 0


@specimen(
    "The high water mark of a connection is 32 KiB.",
    "transport.limits.default",
)
class LowerMark(StreamReaderProtocol):
    def connection_made(self, transport: Any) -> None:
        transport.set_write_buffer_limits(high=32 * 1024)
        super().connection_made(transport)


@shown(
    "set_write_buffer_limits() ignores the low water mark.",
    "transport.limits.set",
    "transport.limits.refused",
    "drain.low-water.not-later",
    "transport.limits.low-alone",
    "drain.marks.low-zero",
    # By TCP and in memory there is room for the rest as soon as there is room for some of it.
    only_on={UNIX: ("drain.low-water.not-before",)},
)
class HasNoLowMark(Facade):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        self.transport.set_write_buffer_limits(high=high)


@shown(
    "A high water mark alone leaves the low one as it was.",
    "transport.limits.high-alone",
    "drain.marks.zero",
    "drain.marks.zero.nothing-left",
)
class KeepsTheLowMark(Facade):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        if low is None:
            low, _ = self.transport.get_write_buffer_limits()
        self.transport.set_write_buffer_limits(high=high, low=low)


@shown(
    "Water marks that make no sense are made to.",
    "transport.limits.refused",
)
class MakesSenseOfMarks(Facade):
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        high = high if high is None else max(0, high)
        low = low if low is None else max(0, low if high is None else min(low, high))
        self.transport.set_write_buffer_limits(high=high, low=low)


def hiding(hidden: str, *fails: str, networks: tuple[str, ...] = TLS) -> Specimen:
    """Return a specimen whose `get_extra_info()` knows nothing under a name."""

    class Hiding(StreamWriter):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default if name == hidden else super().get_extra_info(name, default)

    Hiding.__name__ = f"hides_{hidden}"
    fault = f'get_extra_info("{hidden}") gives the default.'
    return specimen(fault, *fails, networks=networks)(Hiding)


hides_socket = hiding(
    "socket",
    "get_extra_info.socket",
    "get_extra_info.peername",
    "get_extra_info.sockname",
    "connecting.host.ipv6",
    "connecting.nodelay",
    "serving.keep-alive",
    "serving.nodelay",
    networks=EVERY,
)
hides_ssl_object = hiding(
    "ssl_object",
    "get_extra_info.ssl_object",
    "get_extra_info.cipher",
)
hides_sslcontext = hiding(
    "sslcontext",
    "get_extra_info.sslcontext",
    "start_tls.transport",
    networks=EVERY,
)
hides_cipher = hiding(
    "cipher",
    "get_extra_info.cipher",
    "start_tls.transport",
    networks=EVERY,
)
hides_peercert = hiding(
    "peercert",
    "get_extra_info.peercert",
)
hides_compression = hiding(
    "compression",
    "get_extra_info.compression",
)
