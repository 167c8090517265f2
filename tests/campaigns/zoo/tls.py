"""Broken TLS: `StreamWriter.start_tls()`, and how reader and writer bear with TLS."""

import ssl
from types import MappingProxyType
from typing import Any

from conformance.marks import PLAIN, TLS
from reference_impl import FlowControlMixin, StreamReaderProtocol, StreamWriter
from reference_impl._tls import upgrade

from .specimen import Some, Specimen, specimen


def ignoring(name: str, *fails: str, only_on: Some = MappingProxyType({})) -> Specimen:
    """Return a specimen that takes an argument of `start_tls()` and does nothing with it."""

    class Ignoring(StreamWriter):
        async def start_tls(self, sslcontext: Any, **options: Any) -> None:
            options.pop(name, None)
            await super().start_tls(sslcontext, **options)

    Ignoring.__name__ = f"without_{name}"
    fault = f"start_tls() ignores `{name}`."
    return specimen(fault, *fails, only_on=only_on)(Ignoring)


without_server_hostname = ignoring(
    "server_hostname",
    "start_tls.server_hostname",
    "start_tls.over-tls",
    "start_tls.sslcontext.positional-or-keyword",
    "start_tls.handshake-timeout.default",
    "start_tls.shutdown-timeout.default",
    "start_tls.encrypts",
    "start_tls.reads",
    "start_tls.both-directions",
    "start_tls.on-server-side",
    "start_tls.transport",
    "start_tls.stays-open",
    "start_tls.can_write_eof",
    "start_tls.drain",
    "start_tls.close",
    "start_tls.close_notify",
    "start_tls.waiting-read",
    "start_tls.certificate-refused",
    "start_tls.garbage",
    "start_tls.peer-leaves",
    "start_tls.handshake-timeout",
    "start_tls.shutdown-timeout",
    "start_tls.plain-writes-first",
    "start_tls.plain-writes-first.large",
    "start_tls.early-data",
    "start_tls.no-injection",
    "start_tls.peer-is-held-back",
    "start_tls.reader-flow-control",
    "start_tls.refused.ends",
    "start_tls.handshake-timeout.ends",
    "start_tls.peer-leaves.ends",
    only_on={PLAIN: ("tls.end.no-warning",)},
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "start_tls.handshake-timeout",
    "start_tls.timeouts.refused",
    "start_tls.handshake-timeout.ends",
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "start_tls.shutdown-timeout",
)


@specimen(
    "start_tls() takes the client's part on either side.",
    "start_tls.on-server-side",
    "start_tls.encrypts",
    "start_tls.reads",
    "start_tls.both-directions",
    "start_tls.transport",
    "start_tls.stays-open",
    "start_tls.can_write_eof",
    "start_tls.drain",
    "start_tls.close",
    "start_tls.close_notify",
    "start_tls.waiting-read",
    "start_tls.handshake-timeout",
    "start_tls.shutdown-timeout",
    "start_tls.plain-writes-first",
    "start_tls.plain-writes-first.large",
    "start_tls.early-handshake",
    "start_tls.early-handshake.with-the-request",
    "start_tls.early-handshake.in-part",
    "start_tls.early-data",
    "start_tls.handler-failure.shuts-tls-down",
    "start_tls.peer-is-held-back",
    "start_tls.reader-flow-control",
    "start_tls.handshake-timeout.default",
    "start_tls.shutdown-timeout.default",
    "start_tls.sslcontext.positional-or-keyword",
    only_on={PLAIN: ("tls.end.no-warning",), TLS: ("start_tls.over-tls",)},
    replaces=upgrade,
)
async def always_the_client(
    loop: Any, transport: Any, protocol: Any, reader: Any, sslcontext: Any, **options: Any
) -> Any:
    options["server_side"] = False
    return await upgrade(loop, transport, protocol, reader, sslcontext, **options)


@specimen(
    "start_tls() leaves what was received before in the reader.",
    "start_tls.early-handshake",
    "start_tls.no-injection",
    "start_tls.early-handshake.with-the-request",
    "start_tls.early-handshake.in-part",
    "start_tls.peer-is-held-back",
    "start_tls.reader-flow-control",
    replaces=upgrade,
)
async def keeps_early_bytes(
    loop: Any, transport: Any, protocol: Any, reader: Any, sslcontext: Any, **options: Any
) -> Any:
    return await upgrade(loop, transport, protocol, None, sslcontext, **options)


@specimen(
    "start_tls() throws away what was received before.",
    "start_tls.early-handshake",
    "start_tls.early-handshake.with-the-request",
    "start_tls.early-handshake.in-part",
    "start_tls.peer-is-held-back",
    replaces=upgrade,
)
async def drops_early_bytes(
    loop: Any, transport: Any, protocol: Any, reader: Any, sslcontext: Any, **options: Any
) -> Any:
    if not transport.is_closing():
        reader._buffer.take(reader._buffer.size)
    return await upgrade(loop, transport, protocol, reader, sslcontext, **options)


@specimen(
    "start_tls() leaves the writer its old transport.",
    "start_tls.encrypts",
    "start_tls.transport",
    "start_tls.reads",
    "start_tls.both-directions",
    "start_tls.can_write_eof",
    "start_tls.drain",
    "start_tls.close",
    "start_tls.shutdown-timeout",
    "start_tls.plain-writes-first",
    "start_tls.plain-writes-first.large",
    "start_tls.handler-failure.shuts-tls-down",
    "start_tls.shutdown-timeout.default",
    "start_tls.over-tls",
)
class KeepsTheOldTransport(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        before = self._transport
        await super().start_tls(sslcontext, **options)
        self._secured, self._transport = self._transport, before


@specimen(
    "The transport property is that of before start_tls().",
    "start_tls.transport",
)
class TellsTheOldTransport(StreamWriter):
    def __init__(self, transport: Any, protocol: Any, reader: Any, loop: Any) -> None:
        super().__init__(transport, protocol, reader, loop)
        self.first = transport

    @property
    def transport(self) -> Any:
        return self.first

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.first.get_extra_info(name, default)


@specimen(
    "start_tls() takes what is no SSLContext.",
    "start_tls.context.refused",
)
class TakesNoContext(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if isinstance(sslcontext, ssl.SSLContext):
            await super().start_tls(sslcontext, **options)


@specimen(
    "After a TLS stream was closed, what the peer still sends is an error.",
    "close.peer-goes-on.tls",
    networks=TLS,
)
class MindsLateData(StreamReaderProtocol):
    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(exc, ssl.SSLError) and not self._connection_lost:
            exc = ConnectionError(str(exc))
        super().connection_lost(exc)


@specimen(
    "start_tls() on a closed connection returns.",
    "start_tls.closed",
)
class UpgradesTheClosed(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if not self._transport.is_closing():
            await super().start_tls(sslcontext, **options)


@specimen(
    "Time-outs of zero are taken for none.",
    "start_tls.timeouts.refused",
)
class ZeroIsNone(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            if (options.get(name) or 0) <= 0:
                options.pop(name, None)
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() takes the context by name only.",
    "start_tls.sslcontext.positional-or-keyword",
    "start_tls.context.refused",
    "start_tls.refused-by-peer",
    "start_tls.server_hostname",
    "start_tls.server_hostname.required",
    "start_tls.server_hostname.required-first",
    networks=PLAIN,
)
class ContextByName(StreamWriter):
    async def start_tls(self, *, sslcontext: Any, **options: Any) -> None:
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() takes the host's name by position, too.",
    "start_tls.options.keyword-only",
    networks=PLAIN,
)
class HostByPosition(StreamWriter):
    async def start_tls(self, sslcontext: Any, server_hostname: Any = None, **options: Any) -> None:
        await super().start_tls(sslcontext, server_hostname=server_hostname, **options)


@specimen(
    "By default, the handshake of an upgrade may take 30 seconds and the shutdown 60.",
    "start_tls.handshake-timeout.default",
    "start_tls.shutdown-timeout.default",
    networks=("memory",),
)
class ConfusesTheTimes(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        times = {"ssl_handshake_timeout": 30.0, "ssl_shutdown_timeout": 60.0}
        await super().start_tls(sslcontext, **times | options)


@specimen(
    "start_tls() without server_hostname checks the certificate for the peer's address.",
    "start_tls.server_hostname.required",
    "start_tls.server_hostname.required-first",
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
)
class BeginsWhenAllIsSent(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if self._transport.get_write_buffer_size():
            raise RuntimeError("data is still to be sent")
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() on a TLS connection raises.",
    "start_tls.over-tls",
    networks=TLS,
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
    "start_tls.server_hostname",
    "start_tls.garbage",
    "start_tls.refused.ends",
)
class FailsInSilence(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        try:
            await super().start_tls(sslcontext, **options)
        except ssl.SSLError:
            self.close()


@specimen(
    "What is written on a TLS connection goes around TLS.",
    "tls.encrypted",
    networks=TLS,
    basic=True,
)
class GoesAroundTls(StreamWriter):
    def write(self, data: Any) -> None:
        self._transport._ssl_protocol._transport.write(data)  # type: ignore[attr-defined]


@specimen(
    "close() ends TLS without close_notify.",
    "tls.close.says-close_notify",
    networks=TLS,
    basic=True,
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
    networks=TLS,
    basic=True,
)
class CloseNotifyIsAnError(StreamReaderProtocol):
    def eof_received(self) -> bool:
        if self._over_ssl:
            self._stream_reader.set_exception(ConnectionResetError("TLS was shut down"))
            return False
        return super().eof_received()


@specimen(
    "Reading is not told of an error of TLS.",
    "tls.garbage",
    "start_tls.refused.ends",
)
class KeepsTlsErrors(StreamReaderProtocol):
    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(exc, ssl.SSLError) and exc.reason != "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            FlowControlMixin.connection_lost(self, exc)
        else:
            super().connection_lost(exc)
