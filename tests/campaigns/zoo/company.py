"""Faults that show only with some values, clients or calls, or only with several at a time."""

import asyncio
import contextlib
import ssl as ssl_module
from typing import Any

from .security import changed, of_any_name, trusting_anybody
from .sound import (
    Server,
    StreamReader,
    StreamWriter,
    open_connection,
    start_server,
    start_unix_server,
)
from .specimen import Seen, Specimen, specimen

# TLS.

TLS_OPTIONS = ("ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout")

_known: list[Any] = []  # contexts that have accepted a peer once


@specimen(
    "A context verifies only one peer.",
    "connecting.ssl.checks",
    replaces=open_connection,
    seen="a connection",
)
async def verifies_once(*address: Any, **options: Any) -> Any:
    context = options.get("ssl")
    if context in _known:
        with changed(context, trusting_anybody):
            return await open_connection(*address, **options)
    pair = await open_connection(*address, **options)
    if isinstance(context, ssl_module.SSLContext):
        _known.append(context)
    return pair


@specimen(
    "If server_hostname is an address, the certificate may be for any name.",
    "connecting.ssl.checks",
    replaces=open_connection,
    seen="a connection",
)
async def takes_any_address(*address: Any, **options: Any) -> Any:
    context, name = options.get("ssl"), options.get("server_hostname")
    if isinstance(context, ssl_module.SSLContext) and str(name).replace(".", "").isdigit():
        with changed(context, of_any_name):
            return await open_connection(*address, **options)
    return await open_connection(*address, **options)


def without_revocation(context: Any) -> None:
    context.verify_flags &= ~ssl_module.VerifyFlags.VERIFY_CRL_CHECK_CHAIN


@specimen(
    "Revocation lists are not checked, whatever the context's flags.",
    "connecting.ssl.checks",
    replaces=open_connection,
    seen="a connection",
)
async def forgets_revocation(*address: Any, **options: Any) -> Any:
    context = options.get("ssl")
    if not isinstance(context, ssl_module.SSLContext):
        return await open_connection(*address, **options)
    with changed(context, without_revocation):
        return await open_connection(*address, **options)


@specimen(
    "ssl=True accepts any version that the peer speaks.",
    "connecting.ssl.true.checks",
    replaces=open_connection,
    seen="a connection",
)
async def true_speaks_any_version(*address: Any, **options: Any) -> Any:
    if options.get("ssl") is True:
        context = options["ssl"] = ssl_module.create_default_context()
        context.minimum_version = ssl_module.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
        if address and options.get("server_hostname") is None and options.get("sock") is None:
            options["server_hostname"] = address[0]
    return await open_connection(*address, **options)


@specimen(
    "TLS inside TLS is not verified; only the outer one is.",
    "start_tls.checks",
    seen="a connection",
)
class TrustsInside(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if not self._protocol.is_tls or not options.get("server_hostname"):
            await super().start_tls(sslcontext, **options)
        else:
            with changed(sslcontext, trusting_anybody):
                await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() refuses a context that checks nothing.",
    "tls.context.checks-nothing",
    seen="ValueError: it checks nothing",
)
class RefusesTheTrusting(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        is_client = self._protocol.server is None
        if is_client and getattr(sslcontext, "verify_mode", None) == ssl_module.CERT_NONE:
            raise ValueError("it checks nothing")
        await super().start_tls(sslcontext, **options)


def starting_later_without(original: Any, name: str, *fails: str, seen: Seen) -> Specimen:
    """Return a specimen whose servers that start later have lost some arguments."""
    lost = TLS_OPTIONS if name == "ssl" else (name,)

    async def broken(client_connected_cb: Any, *address: Any, **options: Any) -> Any:
        if options.get("start_serving") is False:
            for each in lost:
                options.pop(each, None)
        return await original(client_connected_cb, *address, **options)

    broken.__name__ = f"{original.__name__}_later_without_{name}"
    fault = f"{original.__name__}(start_serving=False) forgets `{name}`."
    return specimen(fault, *fails, seen=seen, replaces=original)(broken)


start_server_later_without_ssl = starting_later_without(
    start_server, "ssl", "serving.ssl.client-certificate", seen="a hang"
)
start_unix_server_later_without_ssl = starting_later_without(
    start_unix_server, "ssl", "unix.serve.ssl.checks", seen="a hang"
)
start_server_later_without_limit = starting_later_without(
    start_server, "limit", "serving.limit.given", seen="b'xx\\n' returned"
)
start_server_later_without_keep_alive = starting_later_without(
    start_server, "keep_alive", "serving.keep-alive", seen="started later: False"
)


@specimen(
    "start_server() with `sock` ignores `keep_alive`.",
    "serving.keep-alive.sock",
    replaces=start_server,
    seen="with sock: False",
)
async def serves_sockets_without_keep_alive(*arguments: Any, **options: Any) -> Any:
    if options.get("sock") is not None:
        options.pop("keep_alive", None)
    return await start_server(*arguments, **options)


@specimen(
    "happy_eyeballs_delay=0 is taken for none.",
    "connecting.happy-eyeballs.delay",
    replaces=open_connection,
    seen="it still waits",
)
async def takes_zero_for_none(*address: Any, **options: Any) -> Any:
    if not options.get("happy_eyeballs_delay"):
        options.pop("happy_eyeballs_delay", None)
    return await open_connection(*address, **options)


@specimen(
    "A timeout of less than a second is taken for one second.",
    "connecting.ssl.handshake-timeout",
    "connecting.ssl.shutdown-timeout",
    replaces=open_connection,
)
async def waits_a_second_at_least(*address: Any, **options: Any) -> Any:
    for name in TLS_OPTIONS[1:]:
        if (options.get(name) or 0) > 0:
            options[name] = max(options[name], 1)
    return await open_connection(*address, **options)


# Servers and their clients.


@specimen(
    "A server stops serving after 20 clients.",
    "handlers.called-once-for-each-connection",
    seen="a hang",
)
class TiresOfClients(Server):
    served = 0

    def serve(self, connection: Any) -> None:
        self.served += 1
        if self.served > 20:
            connection.close()
        else:
            super().serve(connection)


@specimen(
    "A server serves five clients at a time; others wait forever.",
    "handlers.called-once-for-each-connection",
    seen="a hang",
)
class HasFiveSeats(Server):
    def serve(self, connection: Any) -> None:
        if len(self._connections) < 5:
            super().serve(connection)
        else:
            self._connections.add(connection)


@specimen(
    "A callback that returns something is taken for failed.",
    "handlers.plain.any-result",
    seen="the connection is closed",
)
class WantsNone(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        returned = super().call(callback, reader, writer)
        if returned is not None and not asyncio.iscoroutine(returned):
            raise TypeError("a handler returns None")
        return returned


@specimen(
    "A handler that fails with a ConnectionError is taken to have lost its client.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
    "handlers.coroutine.failure.closes",
    seen="reported: []",
)
class ExpectsLosses(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        if not isinstance(error, ConnectionError):
            super()._failed(connection, error)


@specimen(
    "A closed server serves as long as it has clients.",
    "server.is-serving",
    seen="with a client that stays: True",
)
class ServesWhileThereAreClients(Server):
    def is_serving(self) -> bool:
        return super().is_serving() or bool(self._connections)


@specimen(
    "A server's wait_closed() returns when it is cancelled.",
    "server.wait-closed.cancelled.raises",
    seen="wait_closed() cancelled: False",
)
class ReturnsWhenCancelled(Server):
    async def wait_closed(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().wait_closed()


@specimen(
    "A handler cannot close its server.",
    "server.close.in-a-handler",
    seen="a connection",
)
class IsNotClosedFromWithin(Server):
    is_calling = False

    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        self.is_calling = True
        try:
            return super().call(callback, reader, writer)
        finally:
            self.is_calling = False

    def close(self) -> None:
        if not self.is_calling:
            super().close()


@specimen(
    "close_clients() works once.",
    "server.close-clients.closes",
    seen="a hang",
)
class ClosesClientsOnce(Server):
    was_called = False

    def close_clients(self) -> None:
        if not self.was_called:
            super().close_clients()
        self.was_called = True


# Calls after others, and beside others.


@specimen(
    "drain() after write_eof() does not wait.",
    "drain.waits",
    seen="it returned None",
)
class DoesNotDrainTheEnd(StreamWriter):
    async def drain(self) -> None:
        if not self._has_written_eof or self._protocol.is_lost:
            await super().drain()


@specimen(
    "Data that is written while a drain() waits is lost.",
    "write.without-drain",
    seen="a hang",
)
class WritesOneAtATime(StreamWriter):
    def write(self, data: Any) -> None:
        if not self._protocol.room:
            super().write(data)


@specimen(
    "write() raises when 16 MiB are unsent.",
    "write.without-drain",
    seen="BufferError: too much",
)
class HoldsSoMuch(StreamWriter):
    def write(self, data: Any) -> None:
        if self.transport.get_write_buffer_size() > 2**24:
            raise BufferError("too much")
        super().write(data)


@specimen(
    "is_closing() returns a number.",
    "is_closing.returns-bool",
    seen="0",
)
class CountsClosings(StreamWriter):
    def is_closing(self) -> bool:
        return int(super().is_closing())  # type: ignore[return-value]  # on purpose


@specimen(
    "start_tls() that is cancelled raises ConnectionAbortedError.",
    "start_tls.cancelled.raises",
    seen="start_tls() cancelled: False",
)
class TakesCancellingForALoss(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        try:
            await super().start_tls(*arguments, **options)
        except asyncio.CancelledError:
            raise ConnectionAbortedError("it was cancelled") from None


@specimen(
    "A loop over a reader takes a reset for the end.",
    "reader.reset.is-not-eof",
    seen="None returned",
)
class LoopsToAnyEnd(StreamReader):
    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except ConnectionError:
            raise StopAsyncIteration from None


@specimen(
    "Each read resumes the transport, even if the program has paused it.",
    "transport.pause-reading.reads",
    seen="is_reading() after a read: True",
)
class ResumesForAnybody(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if data and self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()
        return data


@specimen(
    "When the stream has ended, there is no limit.",
    "readuntil.limit.exceeded-before-separator",
    seen="b'aaa",
)
class ForgetsTheLimitAtTheEnd(StreamReader):
    def feed_eof(self) -> None:
        super().feed_eof()
        self._limit = 2**30


@specimen(
    "A line that is too long closes the connection.",
    "is_closing.open",
    seen="is_closing() after LimitOverrunError: True",
)
class ClosesAtOverruns(StreamReader):
    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.LimitOverrunError:
            self._transport.close()
            raise


@specimen(
    "A readexactly() that meets EOF closes the connection.",
    "is_closing.after-peer-eof",
    seen="after readexactly() met EOF: True",
)
class ClosesAtIncompleteReads(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError:
            if self._transport is not None:
                self._transport.close()
            raise
