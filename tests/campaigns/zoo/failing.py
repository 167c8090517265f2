"""Faults that show when a call fails, in one way to TLS, in one state, or in one mode of a loop."""

import asyncio
import contextlib
import contextvars
import errno
import inspect
import os
import socket
import ssl as ssl_module
from collections.abc import Awaitable, Callable
from typing import Any

from ..lookalikes.plain import check_client_tls
from .security import KeptOpen, changed, of_any_name
from .sound import (
    Protocol,
    Server,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from .specimen import NOTHING, Seen, Specimen, specimen

Options = dict[str, Any]


def has_context(options: Options) -> bool:
    return isinstance(options.get("ssl"), ssl_module.SSLContext)


def report(error: BaseException | None = None) -> None:
    context: Options = {"message": "it failed"} | ({"exception": error} if error else {})
    asyncio.get_running_loop().call_exception_handler(context)


# Failures that are raised and reported.


async def reported(awaitable: Awaitable[Any]) -> Any:
    """Await, and report what is raised as well."""
    try:
        return await awaitable
    except OSError as error:
        report(error)
        raise


@specimen(
    "An open_connection() that fails is reported, although it raises.",
    "connecting.failed.reports-nothing",
    seen="['it failed'",
    basic=True,
    replaces=open_connection,
)
async def opens_and_reports(*address: Any, **options: Any) -> Any:
    return await reported(open_connection(*address, **options))


@specimen(
    "A handshake that fails leaves its error in a future that nobody asks.",
    "connecting.failed.reports-nothing",
    seen="['Future exception was never retrieved']",
    basic=True,
    replaces=open_connection,
)
async def leaves_the_error_behind(*address: Any, **options: Any) -> Any:
    try:
        return await open_connection(*address, **options)
    except OSError:
        if options.get("ssl"):
            handshake = asyncio.get_running_loop().create_future()
            handshake.set_exception(OSError("the handshake failed"))
        raise


@specimen(
    "An open_connection() with happy_eyeballs_delay reports that it was cancelled.",
    "connecting.happy-eyeballs.failed.reports-nothing",
    seen="['it failed']",
    basic=True,
    replaces=open_connection,
)
async def hurries_and_reports(*address: Any, **options: Any) -> Any:
    try:
        return await open_connection(*address, **options)
    except asyncio.CancelledError:
        if options.get("happy_eyeballs_delay") is not None:
            report()
        raise


@specimen(
    "An open_unix_connection() that fails is reported, although it raises.",
    "unix.open.failed.reports-nothing",
    seen="['it failed'",
    basic=True,
    replaces=open_unix_connection,
)
async def opens_unix_and_reports(path: Any = None, **options: Any) -> Any:
    return await reported(open_unix_connection(path, **options))


@specimen(
    "A start_server() that fails is reported, although it raises.",
    "serving.failed.reports-nothing",
    seen="reported of a start_server(): ['it failed'",
    basic=True,
    replaces=start_server,
)
async def serves_and_reports(*arguments: Any, **options: Any) -> Any:
    return await reported(start_server(*arguments, **options))


_left: list[Any] = []


@specimen(
    "A start_unix_server() that fails leaves its socket open.",
    "unix.serve.failed.leaves-nothing",
    seen="sockets left open: ",
    basic=True,
    replaces=start_unix_server,
)
async def leaves_its_listener_open(*arguments: Any, **options: Any) -> Any:
    try:
        return await start_unix_server(*arguments, **options)
    except OSError:
        _left.append(socket.socket(socket.AF_UNIX))
        raise


@specimen(
    "A start_tls() that fails is reported, although it raises.",
    "start_tls.failed.reports-nothing",
    seen="['it failed']",
    basic=True,
)
class UpgradesAndReports(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await reported(super().start_tls(*arguments, **options))


@specimen(
    "A start_tls() reports that it was cancelled.",
    "start_tls.failed.reports-nothing",
    seen="that was cancelled: ['it failed']",
    basic=True,
)
class ReportsCancelledUpgrades(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        try:
            await super().start_tls(*arguments, **options)
        except asyncio.CancelledError:
            report()
            raise


@specimen(
    "A connection that is lost by an error of TLS is reported.",
    "close.peer-ends.reports-nothing",
    basic=True,
)
class ReportsErrorsOfTls(Protocol):
    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(error, ssl_module.SSLError) and not self.is_lost:
            report(error)
        super().connection_lost(error)


@specimen(
    "For an error of TLS, drain() raises ConnectionResetError.",
    "drain.reader-exception",
    basic=True,
)
class TakesErrorsOfTlsForResets(StreamWriter):
    async def drain(self) -> None:
        try:
            await super().drain()
        except ssl_module.SSLError:
            raise ConnectionResetError("the connection was lost") from None


@specimen(
    "Where there is no descriptor, open_connection() looks for one, turn after turn.",
    "connecting.descriptors",
    seen="it still waits",
    basic=True,
    replaces=open_connection,
)
async def looks_for_a_descriptor(*address: Any, **options: Any) -> Any:
    while True:
        try:
            os.close(os.dup(0))
        except OSError:
            await asyncio.sleep(0)
        else:
            return await open_connection(*address, **options)


@specimen(
    "After a start_tls() that failed, the connection goes on without TLS.",
    "start_tls.failed.not-in-clear",
    seen="nobody may read this",
    basic=True,
)
class FallsBack(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        protocol, below = self._protocol, self.transport
        protocol.transport = KeptOpen(below)
        try:
            await super().start_tls(sslcontext, **options)
        except BaseException:
            below.set_protocol(protocol)
            protocol.transport, protocol.is_tls = below, False
            protocol.reader.replace_transport(below)
            raise
        self.transport._layer.below = below


@specimen(
    "The callback of start_unix_server() is called before the TLS handshake.",
    "unix.serve.ssl.failed-handshake",
    seen="clients after one that did ",
    basic=True,
    replaces=start_unix_server,
)
async def calls_before_the_unix_handshake(
    client_connected_cb: Any, path: Any = None, *, ssl: Any = None, **options: Any
) -> Any:
    async def serve(reader: Any, writer: Any) -> None:
        client_connected_cb(reader, writer)
        if ssl is not None:
            await writer.start_tls(ssl)

    options.pop("ssl_handshake_timeout", None)
    return await start_unix_server(serve, path, **options)


# Times.


def begins_anew(layer: Any) -> None:
    """Let the time of a TLS shutdown begin again with each piece that arrives."""
    receive = layer.data_received

    def received(data: bytes) -> None:
        if layer.timer is not None:
            layer.timer.cancel()
            layer.timer = layer.loop.call_later(layer.shutdown_time, layer.below.abort)
        receive(data)

    layer.data_received = received


@specimen(
    "The time of an upgraded connection's TLS shutdown begins again with each piece that arrives.",
    "start_tls.shutdown-timeout",
    basic=True,
)
class WaitsWhileSomethingComes(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        begins_anew(self.transport._layer)


@specimen(
    "The time of the TLS shutdown begins again with each piece that arrives.",
    "connecting.ssl.shutdown-timeout",
    basic=True,
    replaces=open_connection,
)
async def waits_while_something_comes(*address: Any, **options: Any) -> Any:
    if not has_context(options):
        return await open_connection(*address, **options)
    check_client_tls(address[0] if address else options.get("host"), options)
    plain = {name: value for name, value in options.items() if "ssl" not in name}
    name = plain.pop("server_hostname")
    times = {name: options[name] for name in options if name.endswith("_timeout")}
    reader, writer = await open_connection(*address, **plain)
    try:
        await writer.start_tls(options["ssl"], server_hostname=name, **times)
    except BaseException:
        writer.transport.abort()
        raise
    begins_anew(writer.transport._layer)
    return reader, writer


@specimen(
    "ssl_handshake_timeout is the time of open_connection() as a whole.",
    "connecting.ssl.handshake-timeout",
    basic=True,
    replaces=open_connection,
)
async def times_all_of_it(*address: Any, **options: Any) -> Any:
    seconds = options.get("ssl_handshake_timeout")
    if not seconds or seconds < 0 or not options.get("ssl"):
        return await open_connection(*address, **options)
    try:
        async with asyncio.timeout(seconds):
            return await open_connection(*address, **options)
    except TimeoutError:
        raise ConnectionAbortedError("the handshake took too long") from None


def waiting(options: Options) -> Options:
    """Return the options with ten minutes for what TLS takes by default."""
    if options.get("ssl"):
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            if options.get(name) is None:
                options[name] = 600
    return options


@specimen(
    "By default, open_unix_connection() has ten minutes for TLS.",
    "unix.open.ssl.handshake-timeout.default",
    "unix.open.ssl.shutdown-timeout.default",
    seen={
        "unix.open.ssl.handshake-timeout.default": "it still waits",
        "unix.open.ssl.shutdown-timeout.default": "it still waits",
    },
    basic=True,
    replaces=open_unix_connection,
)
async def opens_unix_for_long(path: Any = None, **options: Any) -> Any:
    return await open_unix_connection(path, **waiting(options))


@specimen(
    "By default, start_unix_server() with `sock` has ten minutes for TLS.",
    "unix.serve.ssl.handshake-timeout.default",
    "unix.serve.ssl.shutdown-timeout.default",
    seen={
        "unix.serve.ssl.handshake-timeout.default": "it still waits",
        "unix.serve.ssl.shutdown-timeout.default": "it still waits",
    },
    basic=True,
    replaces=start_unix_server,
)
async def serves_unix_sockets_for_long(*arguments: Any, **options: Any) -> Any:
    return await start_unix_server(*arguments, **waiting(options) if "sock" in options else options)


# Contexts, in one way to TLS.

Change = Callable[[Options], None]


def by_socket(options: Options) -> bool:
    return options.get("sock") is not None


def anyhow(_: Options) -> bool:
    return True


def otherwise(
    name: str,
    original: Any,
    fault: str,
    *fails: str,
    change: Change,
    applies: Callable[[Options], bool] = anyhow,
    seen: Seen = NOTHING,
) -> Specimen:
    """Return a specimen that does something to its options where they are such."""

    async def broken(*arguments: Any, **options: Any) -> Any:
        if has_context(options) and applies(options):
            change(options)
        return await original(*arguments, **options)

    async def serving(client_connected_cb: Any, *arguments: Any, **options: Any) -> Any:
        return await broken(client_connected_cb, *arguments, **options)

    made: Any = serving if original in (start_server, start_unix_server) else broken
    made.__name__ = name
    return specimen(fault, *fails, seen=seen, basic=True, replaces=original)(made)


def offer_nothing(options: Options) -> None:
    options["ssl"].set_alpn_protocols([])


def want_the_class_itself(options: Options) -> None:
    if type(options["ssl"]) is not ssl_module.SSLContext:
        raise TypeError("ssl must be an SSLContext")


def want_no_blocking(options: Options) -> None:
    if options["sock"].gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


opens_by_its_own_class = otherwise(
    "opens_by_its_own_class",
    open_connection,
    "open_connection() takes no class derived from SSLContext.",
    "connecting.ssl.context",
    change=want_the_class_itself,
)
serves_by_its_own_class = otherwise(
    "serves_by_its_own_class",
    start_server,
    "start_server() takes no class derived from SSLContext.",
    "serving.ssl.context",
    change=want_the_class_itself,
)
opens_sockets_without_protocols = otherwise(
    "opens_sockets_without_protocols",
    open_connection,
    "open_connection() with `sock` offers no protocols.",
    "connecting.ssl.context",
    change=offer_nothing,
    applies=by_socket,
)
opens_unix_without_protocols = otherwise(
    "opens_unix_without_protocols",
    open_unix_connection,
    "open_unix_connection() offers no protocols.",
    "unix.open.ssl.context",
    change=offer_nothing,
    seen="protocol agreed on: None",
)


@specimen(
    "start_tls() takes no class derived from SSLContext.",
    "start_tls.context",
    basic=True,
)
class UpgradesByTheClassItself(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        want_the_class_itself({"ssl": sslcontext})
        await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() offers no protocols.",
    "start_tls.context",
    seen="protocol agreed on: None",
    basic=True,
)
class UpgradesWithoutProtocols(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if isinstance(sslcontext, ssl_module.SSLContext):
            offer_nothing({"ssl": sslcontext})
        await super().start_tls(sslcontext, **options)


def strict(context: Any) -> None:
    context.check_hostname = True


@specimen(
    "start_tls() checks the name, although its context checks none.",
    "start_tls.context",
    basic=True,
)
class ChecksEveryName(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if options.get("server_hostname") and sslcontext.verify_mode == ssl_module.CERT_REQUIRED:
            with changed(sslcontext, strict):
                await super().start_tls(sslcontext, **options)
        else:
            await super().start_tls(sslcontext, **options)


@specimen(
    "start_tls() compares server_hostname with the certificate, and does not tell it the server.",
    "start_tls.server_hostname.is-announced",
    seen="names announced: [None]",
    basic=True,
)
class ComparesNamesItself(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        name = options.pop("server_hostname", None)
        if self._protocol.server is not None or not name:
            return await super().start_tls(sslcontext, server_hostname=name, **options)
        with changed(sslcontext, of_any_name):
            await super().start_tls(sslcontext, **options)
        names = [value for _, value in self.get_extra_info("peercert")["subjectAltName"]]
        if name not in names:
            self.transport.abort()
            raise ssl_module.SSLCertVerificationError("it is for another name")
        return None


@specimen(
    "open_unix_connection() does not tell the server server_hostname.",
    "unix.open.ssl.server-hostname.is-announced",
    seen="names announced: [None]",
    basic=True,
    replaces=open_unix_connection,
)
async def keeps_the_name_to_itself(path: Any = None, **options: Any) -> Any:
    if not has_context(options) or not options.get("server_hostname"):
        return await open_unix_connection(path, **options)
    with changed(options["ssl"], of_any_name):
        return await open_unix_connection(path, **options | {"server_hostname": ""})


@specimen(
    "open_connection() changes the context given while the handshake is under way.",
    "tls.context.unchanged",
    basic=True,
    replaces=open_connection,
)
async def borrows_the_context(*address: Any, **options: Any) -> Any:
    if not has_context(options):
        return await open_connection(*address, **options)
    context = options["ssl"]
    before = context.options
    context.options |= ssl_module.OP_NO_TICKET
    try:
        return await open_connection(*address, **options)
    finally:
        context.options = before


@specimen(
    "A connection can be upgraded once.",
    "start_tls.over-tls",
    basic=True,
)
class IsUpgradedOnce(StreamWriter):
    is_upgraded = False

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        if self.is_upgraded:
            raise RuntimeError("the connection is encrypted already")
        await super().start_tls(*arguments, **options)
        self.is_upgraded = True


# Arguments.

opens_tls_over_what_does_not_block = otherwise(
    "opens_tls_over_what_does_not_block",
    open_connection,
    "open_connection() with `ssl` refuses a socket in blocking mode.",
    "connecting.sock.blocking",
    change=want_no_blocking,
    applies=by_socket,
)
opens_unix_tls_over_what_does_not_block = otherwise(
    "opens_unix_tls_over_what_does_not_block",
    open_unix_connection,
    "open_unix_connection() with `ssl` refuses a socket in blocking mode.",
    "unix.open.sock.blocking",
    change=want_no_blocking,
    applies=by_socket,
)
serves_tls_on_what_does_not_block = otherwise(
    "serves_tls_on_what_does_not_block",
    start_server,
    "start_server() with `ssl` refuses a socket in blocking mode.",
    "serving.sock.blocking",
    change=want_no_blocking,
    applies=by_socket,
)


@specimen(
    "open_connection() takes no family but an AddressFamily.",
    "connecting.family",
    basic=True,
    replaces=open_connection,
)
async def wants_a_named_family(*address: Any, **options: Any) -> Any:
    if options.get("family") and not isinstance(options["family"], socket.AddressFamily):
        raise TypeError("family must be an AddressFamily")
    return await open_connection(*address, **options)


@specimen(
    "open_connection() connects over the family of the first address of `local_addr`.",
    "connecting.local-addr.name",
    basic=True,
    replaces=open_connection,
)
async def comes_from_the_first_family(*address: Any, **options: Any) -> Any:
    if options.get("local_addr") and not options.get("family"):
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(*options["local_addr"], type=socket.SOCK_STREAM)
        options["family"] = found[0][0] if found else 0
    return await open_connection(*address, **options)


@specimen(
    "open_unix_connection() takes no path-like object whose path is bytes.",
    "unix.open.path.path-like",
    basic=True,
    replaces=open_unix_connection,
)
async def opens_paths_of_text(path: Any = None, **options: Any) -> Any:
    if path is not None and not isinstance(path, bytes) and isinstance(os.fspath(path), bytes):
        raise TypeError("the path must be text")
    return await open_unix_connection(path, **options)


# States of servers.


@specimen(
    "abort_clients() passes over clients of TLS that are held back.",
    "server.abort-clients.ends-at-once",
    basic=True,
)
class AbortsNoHeldBackTls(Server):
    def abort_clients(self) -> None:
        for each in list(self._connections):
            if not (each.is_tls and each.reader._holding_back):
                each.abort()


@specimen(
    "abort_clients() of a server without clients raises.",
    "server.close-clients.nobody",
    seen="RuntimeError: there are no clients",
    basic=True,
)
class AbortsSomebody(Server):
    def abort_clients(self) -> None:
        if not self._connections:
            raise RuntimeError("there are no clients")
        super().abort_clients()


@specimen(
    "close_clients() of a server that was not started raises.",
    "server.close-clients.nobody",
    seen="RuntimeError: it was not started",
    basic=True,
)
class ClosesClientsOfTheStarted(Server):
    def close_clients(self) -> None:
        if not self._is_closed and not self.is_serving():
            raise RuntimeError("it was not started")
        super().close_clients()


@specimen("A server that is closed has no loop.", "server.get-loop", basic=True)
class ForgetsItsLoop(Server):
    def get_loop(self) -> Any:
        return None if self._is_closed else super().get_loop()


@specimen(
    "`async with` leaves a server open that was not started.",
    "server.async-with.closes",
    basic=True,
)
class LeavesTheUnstartedOpen(Server):
    async def __aexit__(self, *error: object) -> None:
        if self.is_serving():
            await super().__aexit__(*error)


# Loops, and what handlers may be.


@specimen(
    "A handler that fails before it has waited, as an eager task, is not looked after.",
    "handlers.loop-modes",
    seen="a hang after ",
    basic=True,
)
class LooksAfterTheUnfinished(Server):
    def run(self, connection: Any, handling: Any) -> None:
        task = self._loop.create_task(handling)
        if not task.done():
            self._handlers.add(task)
            task.add_done_callback(lambda task: self._handled(connection, task))
        else:
            _left.append(task)


@specimen(
    "On a loop in debug mode, a socket in blocking mode is refused.",
    "connecting.loop-modes",
    seen="ValueError: the socket must be non-blocking",
    basic=True,
    replaces=open_connection,
)
async def checks_sockets_in_debug_mode(*address: Any, **options: Any) -> Any:
    if asyncio.get_running_loop().get_debug() and by_socket(options):
        want_no_blocking(options)
    return await open_connection(*address, **options)


@specimen(
    "start_tls() needs the current task to be an asyncio.Task itself.",
    "start_tls.loop-modes",
    seen="RuntimeError: start_tls() needs a task",
    basic=True,
)
class WantsItsOwnTasks(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        if type(asyncio.current_task()) is not asyncio.Task:
            raise RuntimeError("start_tls() needs a task")
        await super().start_tls(*arguments, **options)


@specimen(
    "A coroutine of a compiler's own class is not run as a task.",
    "handlers.coroutine.of-any-shape",
    basic=True,
)
class RunsWhatIsInterpreted(Server):
    def run(self, connection: Any, handling: Any) -> None:
        if inspect.iscoroutine(handling):
            super().run(connection, handling)
        else:
            with contextlib.suppress(Exception):
                handling.close()


@specimen(
    "A serve_forever() that is cancelled in its first turn leaves the server open.",
    "server.serve-forever.cancelled.closes",
    basic=True,
)
class WaitsBeforeItServes(Server):
    async def serve_forever(self) -> None:
        await asyncio.sleep(0)
        await super().serve_forever()


@specimen(
    "The failure of a handler cancels all other handlers.",
    "handlers.coroutine.failure.harms-nobody",
    basic=True,
)
class CancelsTheOthers(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        super()._failed(connection, error)
        for task in self._handlers:
            task.cancel()


@specimen(
    "All coroutine handlers of a server run in one context.",
    "handlers.context",
    basic=True,
)
class SharesAContextOfTasks(Server):
    context: contextvars.Context | None = None

    def run(self, connection: Any, handling: Any) -> None:
        self.context = self.context or contextvars.copy_context()
        task = self._loop.create_task(handling, context=self.context)
        self._handlers.add(task)
        task.add_done_callback(lambda task: self._handled(connection, task))


@specimen(
    "A handler that ends with a BaseException that is no Exception is not looked after.",
    "handlers.coroutine.failure.reported-once",
    basic=True,
)
class ExpectsExceptions(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        if isinstance(error, Exception):
            super()._failed(connection, error)


@specimen(
    "A handler that is cancelled when its server is closed leaves its connection open.",
    "handlers.coroutine.cancelled.closes",
    basic=True,
)
class LeavesTheCancelledOpenWhenClosed(Server):
    def _handled(self, connection: Any, task: Any) -> None:
        if task.cancelled() and self._is_closed:
            self._handlers.discard(task)
            _left.append(connection)
        else:
            super()._handled(connection, task)


@specimen(
    "A handler that is cancelled after its client's EOF leaves its connection open.",
    "handlers.coroutine.cancelled.closes",
    basic=True,
)
class LeavesTheCancelledOpenAfterEof(Server):
    def _handled(self, connection: Any, task: Any) -> None:
        if task.cancelled() and connection.reader.at_eof():
            self._handlers.discard(task)
            _left.append(connection)
        else:
            super()._handled(connection, task)


# Sockets that were passed in.

kept: list[Any] = []


@specimen(
    "A socket passed to open_connection() stays open when its handshake takes too long.",
    "connecting.ssl.handshake-timeout.closes",
    seen="a hang",
    basic=True,
    replaces=open_connection,
)
async def keeps_the_socket_of_a_late_handshake(*address: Any, **options: Any) -> Any:
    sock = options.get("sock")
    if sock is not None and options.get("ssl_handshake_timeout"):
        kept.append(sock.dup())
    return await open_connection(*address, **options)


@specimen(
    "With happy_eyeballs_delay and no descriptor, it tries again in each turn of the loop.",
    "connecting.descriptors",
    basic=True,
    replaces=open_connection,
)
async def hurries_for_a_descriptor(*address: Any, **options: Any) -> Any:
    while True:
        try:
            return await open_connection(*address, **options)
        except OSError as error:
            if error.errno != errno.EMFILE or options.get("happy_eyeballs_delay") is None:
                raise
        await asyncio.sleep(0)


@specimen(
    "In debug mode, an open_connection() whose handshake fails is reported.",
    "connecting.loop-modes",
    seen="reported with debug: ['it failed']",
    basic=True,
    replaces=open_connection,
)
async def reports_in_debug_mode(*address: Any, **options: Any) -> Any:
    try:
        return await open_connection(*address, **options)
    except OSError as error:
        if asyncio.get_running_loop().get_debug() and options.get("ssl"):
            report(error)
        raise
