"""Broken TLS: `StreamWriter.start_tls()`, and readers and writers over TLS."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from .sound import Protocol, StreamWriter
from .specimen import NOTHING, Seen, Specimen, specimen


def ignoring(name: str, *fails: str, seen: Seen = NOTHING) -> Specimen:
    """Return a specimen that takes an argument of `start_tls()` and does nothing with it."""

    class Ignoring(StreamWriter):
        async def start_tls(self, sslcontext: Any, **options: Any) -> None:
            options.pop(name, None)
            await super().start_tls(sslcontext, **options)

    Ignoring.__name__ = f"without_{name}"
    fault = f"start_tls() ignores `{name}`."
    return specimen(fault, *fails, seen=seen)(Ignoring)


without_server_hostname = ignoring(
    "server_hostname",
    "start_tls.reads",
    seen="ValueError: server_hostname is needed to",
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "start_tls.handshake-timeout",
    "start_tls.timeouts.refused",
    "start_tls.handshake-timeout.ends",
    seen={
        "start_tls.handshake-timeout": "a hang after 1 s without progress",
        "start_tls.handshake-timeout.ends": "a hang",
    },
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "start_tls.shutdown-timeout",
    seen="a hang after 1 s without progress",
)


@specimen(
    "start_tls() takes the client's part on either side.",
    "start_tls.on-server-side",
    "start_tls.close_notify",
    "start_tls.early-data",
    seen={
        "start_tls.on-server-side": "SSLError: Cannot create a client socket",
        "start_tls.close_notify": "SSLError: Cannot create a client socket",
        "start_tls.early-data": "SSLError: Cannot create a client socket",
    },
)
class AlwaysTheClient(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        server, self._protocol.server = self._protocol.server, None
        try:
            await super().start_tls(sslcontext, **options)
        finally:
            self._protocol.server = server


@specimen(
    "start_tls() leaves bytes that were received before in the reader.",
    "start_tls.early-handshake",
    "start_tls.no-injection",
    seen={"start_tls.early-handshake": "a hang", "start_tls.no-injection": "b'from an attack'"},
)
class KeepsEarlyBytes(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        reader: Any = self._protocol.reader
        reader.take_back = lambda: b""
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() throws away bytes that were received before.",
    "start_tls.early-handshake",
    "start_tls.early-handshake.with-the-request",
    "start_tls.early-handshake.in-part",
    seen={
        "start_tls.early-handshake": "a hang",
        "start_tls.early-handshake.with-the-request": "a hang",
        "start_tls.early-handshake.in-part": "SSLEOFError: [SSL",
    },
)
class DropsEarlyBytes(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if not self.is_closing():
            self._protocol.reader._take(len(self._protocol.reader._received))
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() leaves the writer its old transport.",
    "start_tls.encrypts",
    "start_tls.drain",
    "start_tls.plain-writes-first",
    seen={
        "start_tls.encrypts": "SSLError: [SSL: RECORD_LAYER_FAILURE]",
        "start_tls.drain": "SSLError: [SSL: RECORD_LAYER_FAILURE]",
        "start_tls.plain-writes-first": "SSLError: [SSL: RECORD_LAYER_FAILURE]",
    },
)
class KeepsTheOldTransport(StreamWriter):
    before: Any = None

    @property
    def transport(self) -> Any:
        return self.before or self._protocol.transport

    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        before = self._protocol.transport
        await super().start_tls(sslcontext, **options)
        self.before = before


@specimen(
    "The transport property is still the transport from before start_tls().",
    "start_tls.transport",
    seen="SSLError: [SSL: RECORD_LAYER_FAILURE]",
)
class TellsTheOldTransport(StreamWriter):
    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        self.first = protocol.transport

    @property
    def transport(self) -> Any:
        return self.first


@specimen(
    "start_tls() accepts objects that are not an SSLContext.",
    "start_tls.context.refused",
    seen="None returned",
)
class TakesNoContext(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if isinstance(sslcontext, ssl.SSLContext):
            await super().start_tls(sslcontext, **options)


@specimen(
    "After a TLS stream was closed, data that the peer still sends is an error.",
    "close.peer-goes-on.tls",
    seen="ConnectionError: [SSL",
)
class MindsLateData(Protocol):
    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError) and not self.is_lost:
            exc = ConnectionError(str(exc))
        super().connection_lost(exc)


@specimen(
    "start_tls() on a closed connection returns.",
    "start_tls.closed",
    seen="None returned",
)
class UpgradesTheClosed(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if not self._protocol.transport.is_closing():
            await super().start_tls(sslcontext, **options)


@specimen(
    "Timeouts of zero are taken for none.",
    "start_tls.timeouts.refused",
    seen="a hang",
)
class ZeroIsNone(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            if (options.get(name) or 0) <= 0:
                options.pop(name, None)
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() takes the context only as a keyword argument.",
    "start_tls.sslcontext.positional-or-keyword",
    seen="TypeError: ContextByName.start_tls()",
)
class ContextByName(StreamWriter):
    async def start_tls(  # type: ignore[override]  # that is its fault
        self, *, sslcontext: Any, **options: Any
    ) -> None:
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() also takes server_hostname as a positional argument.",
    "start_tls.options.keyword-only",
    seen="ValueError: server_hostname can only be",
)
class HostByPosition(StreamWriter):
    async def start_tls(self, sslcontext: Any, server_hostname: Any = None, **options: Any) -> None:
        await super().start_tls(sslcontext, server_hostname=server_hostname, **options)


@specimen(
    "By default, the handshake of an upgrade may take 30 seconds and the shutdown 60.",
    "start_tls.handshake-timeout.default",
    "start_tls.shutdown-timeout.default",
    seen={
        "start_tls.handshake-timeout.default": "it raised ConnectionAbortedError: the",
        "start_tls.shutdown-timeout.default": "it still waits",
    },
)
class ConfusesTheTimes(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        times = {"ssl_handshake_timeout": 30.0, "ssl_shutdown_timeout": 60.0}
        await super().start_tls(sslcontext, **times | options)


@specimen(
    "start_tls() without server_hostname checks the certificate for the peer's address.",
    "start_tls.server_hostname.required",
    "start_tls.server_hostname.required-first",
    seen={
        "start_tls.server_hostname.required": "refused by the look of a certificate",
        "start_tls.server_hostname.required-first": "a hang",
    },
)
class ChecksTheAddress(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if isinstance(sslcontext, ssl.SSLContext) and sslcontext.check_hostname:
            peer = self.get_extra_info("peername")
            options.setdefault("server_hostname", peer[0] if peer else "localhost")
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() refuses to begin while something is still to be sent.",
    "start_tls.plain-writes-first.large",
    seen="a hang",
)
class BeginsWhenAllIsSent(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if self._protocol.transport.get_write_buffer_size():
            raise RuntimeError("data is still to be sent")
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() on a TLS connection raises.",
    "start_tls.over-tls",
    seen="RuntimeError: the connection is secure",
)
class SecuresOnce(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if self.get_extra_info("sslcontext") is not None:
            raise RuntimeError("the connection is secure already")
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() returns when the handshake fails, with the connection closed.",
    "start_tls.refused-by-peer",
    "start_tls.certificate-refused",
    "start_tls.garbage",
    seen={
        "start_tls.refused-by-peer": "None returned",
        "start_tls.certificate-refused": "None returned",
        "start_tls.garbage": "None returned",
    },
)
class FailsInSilence(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        try:
            await super().start_tls(sslcontext, **options)
        except ssl.SSLError:
            self.close()


@specimen(
    "Data that is written on a TLS connection bypasses TLS.",
    "tls.encrypted",
    basic=True,
    seen="SSLError: [SSL: RECORD_LAYER_FAILURE]",
)
class GoesAroundTls(StreamWriter):
    def write(self, data: Any) -> None:
        self._protocol.transport._ssl_protocol._transport.write(data)


@specimen(
    "close() ends TLS without close_notify.",
    "tls.close.says-close_notify",
    basic=True,
    seen="the end: (eof with close_notify, reset",
)
class SaysNoCloseNotify(StreamWriter):
    def close(self) -> None:
        tls = self.get_extra_info("ssl_object")
        if tls is not None:
            tls.unwrap = lambda: None
        super().close()


@specimen(
    "The peer's close_notify is an error.",
    "tls.close_notify.is-the-end",
    basic=True,
    seen="ConnectionResetError: TLS was shut down",
)
class CloseNotifyIsAnError(Protocol):
    def eof_received(self) -> bool:
        if self.is_tls:
            self.reader.set_exception(ConnectionResetError("TLS was shut down"))
            return False
        return super().eof_received()


@specimen(
    "Reads do not raise an error of TLS.",
    "tls.garbage",
    seen="a hang",
)
class KeepsTlsErrors(Protocol):
    def connection_lost(self, exc: Any) -> None:
        if isinstance(exc, ssl.SSLError) and exc.reason != "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            self.reader.set_exception = lambda error: None  # type: ignore[method-assign]
        super().connection_lost(exc)


@specimen(
    "start_tls() closes the connection once it is secure.",
    "start_tls.stays-open",
    seen="is_closing() True",
)
class ClosesTheUpgraded(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        await super().start_tls(sslcontext, **options)
        self.close()


@specimen(
    "A read that waits when start_tls() begins is never woken.",
    "start_tls.waiting-read",
    seen="a hang",
)
class ForgetsTheWaitingRead(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        reader = self._protocol.reader
        reader._readers = reader.waiters(self._loop)
        await super().start_tls(sslcontext, **options)


@specimen(
    "A read that waits does not end when the handshake of start_tls() is refused.",
    "start_tls.refused.ends",
    seen="a hang",
)
class LeavesReadsToTheRefused(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        reader: Any = self._protocol.reader
        reader.set_exception = reader.feed_eof = lambda *_: None
        await super().start_tls(sslcontext, **options)
        del reader.set_exception, reader.feed_eof


@specimen(
    "start_tls() returns when the peer leaves in the handshake.",
    "start_tls.peer-leaves",
    seen="None returned",
)
class UpgradesAlone(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        with suppress(ConnectionError):
            await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() accepts a certificate for any name.",
    "start_tls.server_hostname",
    seen="None returned",
)
class UpgradesForAnyName(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if isinstance(sslcontext, ssl.SSLContext) and options.get("server_hostname"):
            sslcontext.check_hostname = False
        await super().start_tls(sslcontext, **options)


@specimen(
    "Data that is written during start_tls() is sent between the records, in clear text.",
    "start_tls.written-meanwhile",
    seen="SSLError: [SSL",
)
class WritesBetweenRecords(StreamWriter):
    def write(self, data: Any) -> None:
        layer = getattr(self.transport, "_layer", None)
        if layer is None or layer.agreed.done():
            super().write(data)
        else:
            layer.below.write(data)


@specimen(
    "Data that is written during start_tls() is lost.",
    "start_tls.written-meanwhile",
    seen="a hang",
)
class LosesWhatIsWrittenMeanwhile(StreamWriter):
    def write(self, data: Any) -> None:
        layer = getattr(self.transport, "_layer", None)
        if layer is None or layer.agreed.done():
            super().write(data)


@specimen(
    "wait_closed() first awaits the upgrade, and is cancelled if the upgrade was.",
    "start_tls.cancelled.ends",
    seen="wait_closed() and read() cancelled: [True, False]",
)
class AwaitsTheUpgrade(StreamWriter):
    _upgrading: asyncio.Task[None] | None = None

    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        self._upgrading = asyncio.ensure_future(super().start_tls(sslcontext, **options))
        await self._upgrading

    async def wait_closed(self) -> None:
        if self._upgrading is not None:
            with suppress(Exception):
                await self._upgrading
        await super().wait_closed()
