"""Faults that show only on connections that start_tls() has upgraded."""

import asyncio
import ssl
from typing import Any

from ..lookalikes.upgrading import Secured
from .sound import Server, StreamReader, StreamWriter
from .specimen import specimen


class Writer(StreamWriter):
    """A writer that knows whether it was upgraded."""

    @property
    def is_upgraded(self) -> bool:
        return isinstance(self.transport, Secured)


class Reader(StreamReader):
    """A reader that knows whether its connection was upgraded."""

    is_upgraded = False

    def replace_transport(self, transport: Any) -> None:
        super().replace_transport(transport)
        self.is_upgraded = True


@specimen(
    "writelines() bypasses the TLS of an upgraded connection.",
    "start_tls.encrypts",
    "writelines.list",
    basic=True,
)
class WritesLinesInClear(Writer):
    def writelines(self, data: Any) -> None:
        if self.is_upgraded and not self.is_closing():
            self.transport._layer.below.write(b"".join(bytes(each) for each in data))
        else:
            super().writelines(data)


@specimen(
    "writelines() on an upgraded connection sends only the first element.",
    "writelines.list",
    basic=True,
)
class WritesTheFirstLine(Writer):
    def writelines(self, data: Any) -> None:
        lines = list(data)
        super().writelines(lines[:1] if self.is_upgraded else lines)


@specimen(
    "abort() of an upgraded connection's transport closes it normally.",
    "transport.abort.at-once",
    "transport.abort.ends-reads",
    basic=True,
)
class AbortsInOrderWhenUpgraded(Writer):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        self.transport.abort = self.transport.close


@specimen(
    "pause_reading() of an upgraded connection's transport does nothing.",
    "transport.pause-reading",
    basic=True,
)
class PausesNothingWhenUpgraded(Writer):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        self.transport.pause_reading = lambda: None


@specimen(
    "The high-water and low-water marks of an upgraded connection cannot be changed.",
    "transport.limits.set",
    basic=True,
)
class KeepsMarksWhenUpgraded(Writer):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        self.transport.set_write_buffer_limits = lambda high=None, low=None: None


@specimen(
    "A forgotten writer of an upgraded connection leaves it open.",
    "close.forgotten.ends",
    basic=True,
)
class ForgetsTheUpgraded(Writer):
    def __del__(self) -> None:
        if not self.is_upgraded:
            super().__del__()


@specimen(
    "wait_closed() of an upgraded connection returns once it is closing.",
    "wait_closed.waits-until-sent",
    basic=True,
)
class WaitsForNothingWhenUpgraded(Writer):
    async def wait_closed(self) -> None:
        if not self.is_upgraded or not self.is_closing():
            await super().wait_closed()


@specimen(
    "The extra information of an upgraded connection has no socket.",
    "get_extra_info.known",
    basic=True,
)
class HidesTheSocketWhenUpgraded(Writer):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket" and self.is_upgraded:
            return default
        return super().get_extra_info(name, default)


@specimen(
    "The extra information of an upgraded connection names a cipher, which is None.",
    "get_extra_info.known",
    seen="['cipher']",
    basic=True,
)
class NamesNoCipherWhenUpgraded(Writer):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "cipher" and self.is_upgraded:
            return None
        return super().get_extra_info(name, default)


@specimen(
    "An upgraded connection does not answer the peer's close_notify.",
    "tls.close.says-close_notify",
    seen="'reset'",
    basic=True,
)
class AnswersNoCloseNotify(Writer):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        layer = self.transport._layer
        hear_farewell, send = layer.hear_farewell, layer.send

        def go_without() -> None:
            if layer.has_ended:
                layer.send = lambda: None
            hear_farewell()
            layer.send = send

        layer.hear_farewell = go_without


@specimen(
    "start_tls() without ssl_shutdown_timeout waits for 29 seconds.",
    "start_tls.shutdown-timeout.default",
    seen="it returned (",
    basic=True,
)
class WaitsASecondLess(StreamWriter):
    async def start_tls(
        self, sslcontext: Any, *, ssl_shutdown_timeout: float | None = None, **options: Any
    ) -> None:
        seconds = 29.0 if ssl_shutdown_timeout is None else ssl_shutdown_timeout
        await super().start_tls(sslcontext, ssl_shutdown_timeout=seconds, **options)


@specimen(
    "Garbage on an upgraded connection is reported to the loop's exception handler.",
    "close.peer-ends.reports-nothing",
    seen="the loop's exception handler was told [{",
    basic=True,
)
class ReportsGarbageWhenUpgraded(Writer):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        layer = self.transport._layer
        lost = layer.above.connection_lost

        def report(error: Exception | None) -> None:
            if isinstance(error, ssl.SSLError):
                context = {"message": "an error of TLS", "exception": error}
                layer.loop.call_exception_handler(context)
            lost(error)

        layer.above.connection_lost = report


@specimen(
    "drain() of an upgraded connection makes only one task wait; others go on.",
    "drain.waits",
    basic=True,
)
class LetsOneWaitWhenUpgraded(Writer):
    async def drain(self) -> None:
        if not self.is_upgraded or not self._protocol.room:
            await super().drain()


@specimen(
    "The reader of an upgraded connection takes a reset for EOF.",
    "reader.reset.is-not-eof",
    basic=True,
)
class TakesAResetForTheEndWhenUpgraded(Reader):
    def set_exception(self, error: BaseException) -> None:
        if self.is_upgraded and isinstance(error, ConnectionError):
            self.feed_eof()
        else:
            super().set_exception(error)


@specimen(
    "Two reads may wait at the same time on an upgraded connection.",
    "reader.concurrent.refused",
    basic=True,
)
class ReadsTwiceWhenUpgraded(Reader):
    def _refuse(self) -> None:
        if not self.is_upgraded:
            super()._refuse()


@specimen(
    "A read of an upgraded connection does not end when the connection is cut off.",
    "tls.cut-off",
    basic=True,
)
class WaitsOnWhenCutOff(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        layer, end = self.transport._layer, asyncio.get_running_loop().time() + 3600
        lost = layer.connection_lost
        layer.eof_received = lambda: True
        layer.connection_lost = lambda error: layer.loop.call_at(end, lost, error)


@specimen(
    "exception() of an upgraded connection's reader returns None.",
    "reader.reset.exception",
    basic=True,
)
class HasNoExceptionWhenUpgraded(Reader):
    def exception(self) -> BaseException | None:
        return None if self.is_upgraded else super().exception()


@specimen(
    "at_eof() of an upgraded connection's reader is always False.",
    "reader.at-eof.true-at-the-end",
    basic=True,
)
class IsNeverAtEofWhenUpgraded(Reader):
    def at_eof(self) -> bool:
        return not self.is_upgraded and super().at_eof()


@specimen(
    "close() of an upgraded connection drops what is unread.",
    "reader.own-close.keeps-data",
    basic=True,
)
class DropsTheUnreadWhenUpgraded(Reader):
    def let_close(self) -> None:
        if self.is_upgraded:
            self.take_back()
        super().let_close()


@specimen(
    "write() of nothing on an upgraded connection closes it.",
    "write.empty",
    basic=True,
)
class ClosesByNothingWhenUpgraded(Writer):
    def write(self, data: Any) -> None:
        if self.is_upgraded and not len(data):
            self.close()
        super().write(data)


@specimen(
    "A second close() of an upgraded connection drops what is unsent.", "close.twice", basic=True
)
class DropsAtTheSecondCloseWhenUpgraded(Writer):
    times = 0

    def close(self) -> None:
        self.times += self.is_upgraded
        if self.times > 1:
            self.transport.abort()
        else:
            super().close()


@specimen(
    "write_eof() on an upgraded connection does nothing.", "can_write_eof.false.raises", basic=True
)
class EndsNothingWhenUpgraded(Writer):
    def write_eof(self) -> None:
        if not self.is_upgraded:
            super().write_eof()


@specimen("drain() of an upgraded connection yields.", "drain.does-not-yield", basic=True)
class YieldsWhenUpgraded(Writer):
    async def drain(self) -> None:
        if self.is_upgraded:
            await asyncio.sleep(0)
        await super().drain()


@specimen(
    "drain() of an upgraded connection returns when the connection is closed.",
    "drain.closed",
    basic=True,
)
class DrainsWhatIsClosedWhenUpgraded(Writer):
    async def drain(self) -> None:
        if not self.is_upgraded or not self._protocol.is_lost:
            await super().drain()


@specimen(
    "wait_closed() of an upgraded connection raises ConnectionAbortedError after abort().",
    "transport.abort.wait_closed",
    basic=True,
)
class RaisesAfterAbortWhenUpgraded(Writer):
    has_aborted = False

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        abort = self.transport.abort

        def noting() -> None:
            self.has_aborted = True
            abort()

        self.transport.abort = noting

    async def wait_closed(self) -> None:
        await super().wait_closed()
        if self.has_aborted:
            raise ConnectionAbortedError


def is_in_an_upgrade(connection: Any) -> bool:
    """Return whether the handshake of a connection's start_tls() is under way."""
    layer = getattr(connection.transport, "_layer", None)
    return layer is not None and not layer.agreed.done()


@specimen(
    "close_clients() and abort_clients() pass over connections that are being upgraded.",
    "server.close-clients.under-way",
    seen="a hang",
    basic=True,
)
class PassesOverUpgrades(Server):
    def close_clients(self) -> None:
        for each in [each for each in self._connections if not is_in_an_upgrade(each)]:
            each.close()

    def abort_clients(self) -> None:
        for each in [each for each in self._connections if not is_in_an_upgrade(each)]:
            each.abort()


@specimen(
    "A start_tls() that fails is reported in debug mode.",
    "start_tls.loop-modes",
    seen="reported with debug: ['it failed']",
    basic=True,
)
class ReportsUpgradesInDebugMode(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        try:
            await super().start_tls(*arguments, **options)
        except OSError as error:
            if self._loop.get_debug():
                report = {"message": "it failed", "exception": error}
                self._loop.call_exception_handler(report)
            raise


# Ends of upgraded connections.


@specimen(
    "A forgotten writer of an upgraded connection gives no warning.",
    "close.forgotten.warns",
    basic=True,
)
class ForgetsToWarnWhenUpgraded(Writer):
    def __del__(self) -> None:
        if not self.is_upgraded:
            super().__del__()
        elif not self.is_closing() and not self._loop.is_closed():
            self.close()


@specimen(
    "The reader of an upgraded connection takes a timeout of the network for EOF.",
    "reader.lost.other-errors",
    seen="b'' returned",
    basic=True,
)
class TakesATimeoutForTheEndWhenUpgraded(Reader):
    def set_exception(self, error: BaseException) -> None:
        if self.is_upgraded and isinstance(error, TimeoutError):
            self.feed_eof()
        else:
            super().set_exception(error)


@specimen(
    "set_exception() of the program's closes an upgraded connection.",
    "reader.set-exception.connection",
    seen="is_closing() after set_exception(): True",
    basic=True,
)
class ClosesForAnExceptionWhenUpgraded(Reader):
    def set_exception(self, error: BaseException) -> None:
        super().set_exception(error)
        if self.is_upgraded and self._transport is not None:
            self._transport.close()


@specimen(
    "close() of an upgraded connection drops the part that a read waits with.",
    "close.ends-reads",
    basic=True,
)
class DropsThePartWhenUpgraded(Reader):
    def let_close(self) -> None:
        if self.is_upgraded and self._readers:
            self._received.take(len(self._received))
        super().let_close()
