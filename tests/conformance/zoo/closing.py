"""Broken closing, and what a writer tells of its transport."""

import asyncio
import warnings
from typing import Any

from conformance.marks import PLAIN
from reference_impl import FlowControlMixin, StreamReaderProtocol, StreamWriter

from .specimen import specimen

# close()


@specimen(
    "close() throws away what was written and not sent.",
    "close.sends-first",
    "write.memoryview.wide-items",
    "write.memoryview.many-dimensions",
    "writelines.wide-items",
    "drain.close.waiting",
    "wait_closed.waits-until-sent",
    "start_tls.close",
    "start_tls.shutdown-timeout",
)
class CloseAborts(StreamWriter):
    def close(self) -> None:
        self._transport.abort()


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
)
class CloseRaisesAfterReset(StreamWriter):
    def close(self) -> None:
        if self._reader is not None and self._reader.exception() is not None:
            raise ConnectionResetError("the connection is lost")
        super().close()


@specimen(
    "A read that waits is not told that its own side has closed.",
    "reader.own-close.ends-reads",
    "close.ends-reads",
    "reader.own-close.keeps-data",
    "reader.own-abort.ends-reads",
    "transport.abort.ends-reads",
    "start_tls.cancelled.ends",
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


# is_closing()


@specimen(
    "is_closing() is True only when close() was called.",
    "is_closing.after-reset",
    "server.close-clients.closes",
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


# wait_closed()


@specimen(
    "wait_closed() returns at once.",
    "wait_closed.waits-until-sent",
    "wait_closed.waits-while-open",
    "wait_closed.cancelled.leaves-others",
    "wait_closed.after-reset.raises",
)
class WaitsForNothing(StreamWriter):
    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


@specimen(
    "wait_closed() closes the stream itself.",
    "wait_closed.waits-while-open",
    "wait_closed.cancelled.raises",
    "wait_closed.cancelled.leaves-others",
    "wait_closed.after-reset.ends",
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
)
class WakesOneCloser(FlowControlMixin):
    first: Any = None

    def _get_close_waiter(self, stream: Any) -> Any:
        if self.first is None or self._connection_lost:
            self.first = super()._get_close_waiter(stream)
            return self.first
        return self._loop.create_future()


# The transport.


@specimen(
    "get_extra_info() ignores its default.",
    "get_extra_info.default",
    "get_extra_info.plain-has-no-tls",
)
class IgnoresTheDefault(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name)


@specimen(
    "peername and sockname are confused.",
    "get_extra_info.peername",
    "get_extra_info.sockname",
    "start_tls.transport",
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
