"""Faults that show with a second client, failure, waiter, host or address, or in the last turn.

Others show when a call refuses its arguments, or is cancelled.
"""

import asyncio
import inspect
import os
import socket
import ssl as ssl_module
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Self

from ..lookalikes import connecting
from .security import changed
from .sound import (
    Server,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from .specimen import Specimen, specimen
from .together import starting_later
from .values import with_happy_eyeballs, with_sock, with_tls

Options = dict[str, Any]

# The results and failures of callbacks.


@specimen(
    "A future that a plain callback returns is looked after: its failure ends the connection.",
    "handlers.plain.any-result",
    basic=True,
)
class LooksAfterFutures(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        result = callback(reader, writer)
        if asyncio.isfuture(result):
            result.add_done_callback(partial(self._handled, writer._protocol))
        return result


@specimen(
    "Any awaitable that a callback returns is run as a task.",
    "handlers.plain.any-result",
    seen="times that an awaitable was awaited: 1",
    basic=True,
)
class RunsAwaitables(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        result = callback(reader, writer)
        if asyncio.iscoroutine(result) or asyncio.isfuture(result):
            return result
        return self.awaiting(result) if inspect.isawaitable(result) else result

    async def awaiting(self, awaitable: Awaitable[Any]) -> None:
        await awaitable


@specimen(
    "A SystemExit that leaves a coroutine handler is reported like any other failure.",
    "handlers.coroutine.exit",
    basic=True,
    seen="Hang: expected",
)
class HandlersKeepRunning(Server):
    def run(self, connection: Any, handling: Any) -> None:
        super().run(connection, self.guarded(connection, handling))

    async def guarded(self, connection: Any, handling: Any) -> None:
        try:
            await handling
        except SystemExit as error:
            self._failed(connection, error)


@specimen(
    "Only the first failure of a server's handlers is reported.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
    seen="reported of 2 clients of one server: ['Failure']",
    basic=True,
)
class ReportsTheFirst(Server):
    has_failed = False

    def _failed(self, connection: Any, error: BaseException) -> None:
        if self.has_failed:
            connection.close()
        else:
            self.has_failed = True
            super()._failed(connection, error)


@specimen(
    "A handler that is cancelled before it began leaves its connection open: it is guarded from "
    "inside.",
    "handlers.coroutine.cancelled.closes",
    basic=True,
)
class GuardsFromInside(Server):
    def run(self, connection: Any, handling: Any) -> None:
        task = self._loop.create_task(self.guarded(connection, handling))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def guarded(self, connection: Any, handling: Any) -> None:
        try:
            await handling
        except asyncio.CancelledError:
            connection.close()
            raise
        except Exception as error:
            self._failed(connection, error)


@specimen(
    "Data that a plain callable wrote before it failed is dropped.",
    "handlers.plain.failure.closes",
    basic=True,
)
class DropsWhatPlainWrote(Server):
    calling: Any = None

    def serve(self, connection: Any) -> None:
        self.calling = connection
        super().serve(connection)
        self.calling = None

    def _failed(self, connection: Any, error: BaseException) -> None:
        super()._failed(connection, error)
        if connection is self.calling:
            connection.abort()


# A server's clients, sockets and waiters.


@specimen(
    "The own address of a server's connection is that of the listening socket.",
    "get_extra_info.sockname",
    seen="('0.0.0.0', ",
    basic=True,
)
class NamesTheListener(StreamWriter):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        server = self._protocol.server
        if name == "sockname" and server is not None and server.sockets:
            return server.sockets[0].getsockname()
        return super().get_extra_info(name, default)


@specimen(
    "The readers of IPv6 clients have the default limit.",
    "serving.limit.given",
    basic=True,
)
class LimitsIPv4(Server):
    def serve(self, connection: Any) -> None:
        if connection.socket().family == socket.AF_INET6:
            connection.reader._limit = 64 * 1024
        super().serve(connection)


@specimen(
    "After a start_serving() that was cancelled, another one does nothing.",
    "server.start-serving.starts",
    seen="is_serving() False",
    basic=True,
)
class BeginsOnce(Server):
    has_begun = False

    async def start_serving(self) -> None:
        if self.has_begun and not self._is_closed:
            return
        self.has_begun = True
        await asyncio.sleep(0)
        await super().start_serving()


@specimen(
    "When the last client leaves, only the first of several wait_closed() is woken.",
    "server.wait-closed.several-waiters",
    basic=True,
)
class WakesOneAtTheEnd(Server):
    def forget(self, connection: Any) -> None:
        self._connections.discard(connection)
        for each in self._over._waiting[:1]:
            self._over.resolve(each)


@specimen(
    "A wait_closed() of a closed server that is cancelled aborts the connections.",
    "server.wait-closed.cancelled.raises",
    basic=True,
)
class GivesUpOnClients(Server):
    async def wait_closed(self) -> None:
        try:
            await super().wait_closed()
        except asyncio.CancelledError:
            if self._is_closed:
                self.abort_clients()
            raise


class KnowsWhoCalls(Server):
    """A server that knows which connection the running handler is for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.handled: dict[Any, Any] = {}

    def run(self, connection: Any, handling: Any) -> None:
        super().run(connection, self.noted(connection, handling))

    async def noted(self, connection: Any, handling: Any) -> None:
        self.handled[asyncio.current_task()] = connection
        await handling

    def others(self) -> list[Any]:
        own = self.handled.get(asyncio.current_task())
        return [each for each in self._connections if each is not own]


@specimen(
    "close_clients() in a handler passes over the handler's own connection.",
    "server.close-clients.closes",
    basic=True,
)
class SparesItsOwn(KnowsWhoCalls):
    def close_clients(self) -> None:
        for each in self.others():
            each.close()


@specimen(
    "abort_clients() in a handler passes over the handler's own connection.",
    "server.abort-clients.ends-at-once",
    basic=True,
)
class AbortsAllButItsOwn(KnowsWhoCalls):
    def abort_clients(self) -> None:
        for each in self.others():
            each.abort()


@specimen(
    "close_clients() ends with the first connection that is closing already.",
    "server.close-clients.closes",
    basic=True,
)
class ClosesUntilOneIsClosing(Server):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.in_order: list[Any] = []

    def serve(self, connection: Any) -> None:
        self.in_order.append(connection)
        super().serve(connection)

    def close_clients(self) -> None:
        for each in self.in_order:
            if each in self._connections:
                if each.transport.is_closing():
                    return
                each.close()


@specimen(
    "`async with` starts the server.",
    "serving.start-serving.false",
    seen="is_serving() before the program has started it: True",
    basic=True,
)
class EntersAndStarts(Server):
    async def __aenter__(self) -> Self:
        await self.start_serving()
        return self


@specimen(
    "A TLS server does the handshakes of its clients one after the other.",
    "serving.ssl.failed-handshake-harms-nobody",
    basic=True,
)
class ShakesHandsInTurn(Server):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.line: list[weakref.ref[Any]] = []
        self.ready: set[Any] = set()

    def protocol(self) -> Any:
        made = super().protocol()
        self.line.append(weakref.ref(made))
        return made

    def serve(self, connection: Any) -> None:
        self.ready.add(connection)
        while self.line:
            first = self.line[0]()
            if first is not None and first not in self.ready:
                return
            self.line.pop(0)
            if first is not None:
                self.ready.discard(first)
                super().serve(first)


@specimen(
    "A server's connections are upgraded one after the other.",
    "handlers.coroutine.concurrently",
    basic=True,
)
class UpgradesInTurn(StreamWriter):
    locks: ClassVar["weakref.WeakKeyDictionary[Any, asyncio.Lock]"] = weakref.WeakKeyDictionary()

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        server = self._protocol.server
        if server is None:
            await super().start_tls(*arguments, **options)
            return
        async with self.locks.setdefault(server, asyncio.Lock()):
            await super().start_tls(*arguments, **options)


@specimen(
    "start_tls() asks for no certificate if the certificate is optional.",
    "start_tls.context",
    basic=True,
)
class UpgradesWhomItDoesNotAsk(StreamWriter):
    async def start_tls(self, sslcontext: Any, **options: Any) -> None:
        if getattr(sslcontext, "verify_mode", None) != ssl_module.CERT_OPTIONAL:
            await super().start_tls(sslcontext, **options)
            return
        with changed(sslcontext, asking_for_nothing):
            await super().start_tls(sslcontext, **options)


def asking_for_nothing(context: Any) -> None:
    context.verify_mode = ssl_module.CERT_NONE


# Cancellation.


async def taking_back(awaitable: Awaitable[Any]) -> Any:
    """Await, and take a cancellation back from the task."""
    try:
        return await awaitable
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            task.uncancel()
        raise


@specimen(
    "A serve_forever() that is cancelled takes the cancellation back from its task, and raises.",
    "async.cancelled.counts",
    seen="cancelled in serve_forever() of a server: 0",
    basic=True,
)
class ServesAndTakesCancellingBack(Server):
    async def serve_forever(self) -> None:
        await taking_back(super().serve_forever())


@specimen(
    "An open_connection() that is cancelled takes the cancellation back from its task, and raises.",
    "async.cancelled.counts",
    seen="cancelled in open_connection(): 0",
    basic=True,
    replaces=open_connection,
)
async def takes_cancelling_back(*address: Any, **options: Any) -> Any:
    return await taking_back(open_connection(*address, **options))


@specimen(
    "A start_tls() that is cancelled takes the cancellation back from its task, and raises.",
    "async.cancelled.counts",
    seen="cancelled in start_tls(): 0",
    basic=True,
)
class UpgradesAndTakesCancellingBack(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await taking_back(super().start_tls(*arguments, **options))


_kept: list[Any] = []


def lingering(name: str, fault: str, clause: str, when: Callable[[Options], bool]) -> Specimen:
    """Return a specimen whose open_connection() can be cancelled when it has connected."""

    async def broken(*address: Any, **options: Any) -> Any:
        pair = await open_connection(*address, **options)
        if when(options):
            _kept.append(pair)
            await asyncio.sleep(0)
            _kept.remove(pair)
        return pair

    broken.__name__ = name
    return specimen(fault, clause, basic=True, replaces=open_connection)(broken)


leaves_the_secured_open = lingering(
    "leaves_the_secured_open",
    "An open_connection() with `ssl` that is cancelled in its last turn leaves the connection "
    "open.",
    "connecting.cancelled.at-any-moment",
    with_tls,
)
leaves_the_winner_open = lingering(
    "leaves_the_winner_open",
    "An open_connection() with happy_eyeballs_delay that is cancelled in its last turn leaves the "
    "connection open.",
    "connecting.happy-eyeballs.nothing-left-open",
    with_happy_eyeballs,
)


# Addresses.


async def one_by_one(
    addresses: list[Any], origins: list[Any], goes_on: tuple[type[BaseException], ...]
) -> socket.socket:
    """Connect to one address after the other, as long as these exceptions are raised."""
    failures: list[Any] = []
    for left, address in zip(range(len(addresses))[::-1], addresses, strict=True):
        try:
            return await connecting.connected(address, origins)
        except goes_on as error:
            if not left and not isinstance(error, OSError):
                raise
            failures.append(error)
    raise connecting.together(failures)


def trying(name: str, fault: str, clause: str, *goes_on: type[BaseException]) -> Specimen:
    """Return a specimen that tries the next address only after these exceptions."""
    original = connecting.first_connected

    async def first(addresses: Any, origins: Any, delay: Any) -> socket.socket:
        if delay is not None:
            return await original(addresses, origins, delay)
        return await one_by_one(addresses, origins, goes_on)

    async def broken(*address: Any, **options: Any) -> Any:
        connecting.first_connected = first
        try:
            return await open_connection(*address, **options)
        finally:
            connecting.first_connected = original

    broken.__name__ = name
    return specimen(fault, clause, basic=True, replaces=open_connection)(broken)


tries_the_next_after_a_refusal = trying(
    "tries_the_next_after_a_refusal",
    "open_connection() tries the next address only when one has refused, and not when it cannot "
    "be used.",
    "connecting.addresses.next-after-refusal",
    ConnectionRefusedError,
)
tries_the_next_when_cancelled = trying(
    "tries_the_next_when_cancelled",
    "An open_connection() that is cancelled tries the next address.",
    "connecting.cancelled.while-connecting",
    OSError,
    asyncio.CancelledError,
)


@specimen(
    "open_connection() needs a host: a port alone is refused.",
    "connecting.host.none",
    basic=True,
    seen="ValueError: open_connection() needs a host",
    replaces=open_connection,
)
async def needs_a_host(host: Any = None, port: Any = None, **options: Any) -> Any:
    if host is None and port is not None and not with_sock(options):
        raise ValueError("open_connection() needs a host")
    return await open_connection(host, port, **options)


def has_a_timeout(options: Options) -> bool:
    return with_sock(options) and bool(options["sock"].gettimeout())


@specimen(
    "A socket with a timeout is refused by open_connection().",
    "connecting.sock.blocking",
    basic=True,
    replaces=open_connection,
)
async def opens_no_socket_with_a_timeout(*address: Any, **options: Any) -> Any:
    if has_a_timeout(options):
        raise ValueError("the socket has a timeout")
    return await open_connection(*address, **options)


@specimen(
    "A socket with a timeout is refused by start_server().",
    "serving.sock.blocking",
    basic=True,
    replaces=start_server,
)
async def serves_no_socket_with_a_timeout(*arguments: Any, **options: Any) -> Any:
    if has_a_timeout(options):
        raise ValueError("the socket has a timeout")
    return await start_server(*arguments, **options)


@specimen(
    "start_server() forgets `reuse_port` beside `start_serving=False`.",
    "serving.reuse-port",
    basic=True,
    replaces=start_server,
)
async def shares_no_port_later(*arguments: Any, **options: Any) -> Any:
    if starting_later(options):
        options.pop("reuse_port", None)
    return await start_server(*arguments, **options)


# Arguments that are refused when it is too late, or not at all.


def without_tls(options: Options) -> Options:
    """Return the arguments without those for TLS."""
    own = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
    return {name: value for name, value in options.items() if name not in own}


@specimen(
    "open_connection() checks the arguments for TLS when it has connected, and leaves the "
    "connection open.",
    "connecting.refused.nothing-left-open",
    seen="sockets left open: ",
    basic=True,
    replaces=open_connection,
)
async def opens_and_checks(*address: Any, **options: Any) -> Any:
    try:
        return await open_connection(*address, **options)
    except ValueError:
        if len(address) > 1 and options.get("limit", 1) > 0:
            _kept.append(await open_connection(*address, **without_tls(options)))
        raise


@specimen(
    "open_unix_connection() checks the arguments for TLS when it has connected, and leaves the "
    "connection open.",
    "unix.open.failed.nothing-left-open",
    seen="sockets left open: ",
    basic=True,
    replaces=open_unix_connection,
)
async def opens_unix_and_checks(path: Any = None, **options: Any) -> Any:
    try:
        return await open_unix_connection(path, **options)
    except ValueError:
        if path is not None and not with_sock(options) and options.get("limit", 1) > 0:
            _kept.append(await open_unix_connection(path, **without_tls(options)))
        raise


@specimen(
    "start_server() checks `ssl` when it listens, and goes on listening.",
    "serving.failed.nothing-left-listening",
    seen="sockets left open: ",
    basic=True,
    replaces=start_server,
)
async def serves_and_checks(*arguments: Any, **options: Any) -> Any:
    try:
        return await start_server(*arguments, **options)
    except TypeError:
        if options.get("ssl") is not None:
            _kept.append(await start_server(*arguments, **without_tls(options)))
        raise


@specimen(
    "start_server() resolves each host when it listens on the one before, and goes on listening "
    "there if a host is not found.",
    "serving.failed.nothing-left-listening",
    seen="sockets left open: 1",
    basic=True,
    replaces=start_server,
)
async def looks_up_one_by_one(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    try:
        return await start_server(client_connected_cb, host, port, **options)
    except OSError:
        if isinstance(host, list):
            _kept.append(await start_server(client_connected_cb, host[0], port, **options))
        raise


@specimen(
    "start_unix_server() checks `ssl` when it has bound its socket, which stays in the file "
    "system.",
    "unix.serve.failed.leaves-nothing",
    seen="socket in the file system: True",
    basic=True,
    replaces=start_unix_server,
)
async def leaves_its_file(*arguments: Any, **options: Any) -> Any:
    try:
        return await start_unix_server(*arguments, **options)
    except TypeError:
        if options.get("ssl") is not None:
            alone = without_tls(options) | {"cleanup_socket": False}
            (await start_unix_server(*arguments, **alone)).close()
        raise


TIMES = ("ssl_handshake_timeout", "ssl_shutdown_timeout")


@specimen(
    "open_unix_connection() takes a limit that is not positive for the default.",
    "unix.open.limit.not-positive",
    basic=True,
    seen=" returned",
    replaces=open_unix_connection,
)
async def opens_unix_with_any_limit(path: Any = None, **options: Any) -> Any:
    if options.get("limit", 1) <= 0:
        del options["limit"]
    return await open_unix_connection(path, **options)


@specimen(
    "open_unix_connection() takes TLS timeouts of zero or less for the default.",
    "unix.open.ssl.timeouts.not-positive",
    basic=True,
    seen="a hang",
    replaces=open_unix_connection,
)
async def opens_unix_at_any_time(path: Any = None, **options: Any) -> Any:
    for each in TIMES:
        if with_tls(options) and (options.get(each) or 0) <= 0:
            options.pop(each, None)
    return await open_unix_connection(path, **options)


@specimen(
    "open_unix_connection() without TLS ignores the timeouts of TLS.",
    "unix.open.ssl.timeouts.without-ssl",
    basic=True,
    seen=" returned",
    replaces=open_unix_connection,
)
async def opens_unix_without_time(path: Any = None, **options: Any) -> Any:
    if not with_tls(options):
        options = {name: value for name, value in options.items() if name not in TIMES}
    return await open_unix_connection(path, **options)


@specimen(
    "start_unix_server() without TLS ignores the timeouts of TLS.",
    "unix.serve.ssl.timeouts.without-ssl",
    basic=True,
    seen=" returned",
    replaces=start_unix_server,
)
async def serves_unix_without_time(*arguments: Any, **options: Any) -> Any:
    if not with_tls(options):
        options = {name: value for name, value in options.items() if name not in TIMES}
    return await start_unix_server(*arguments, **options)


@specimen(
    "start_unix_server(ssl=True) serves in clear text.",
    "unix.serve.ssl.no-context",
    basic=True,
    seen=" returned",
    replaces=start_unix_server,
)
async def serves_unix_in_clear(*arguments: Any, **options: Any) -> Any:
    if options.get("ssl") is True:
        del options["ssl"]
    return await start_unix_server(*arguments, **options)


# Unix sockets in the file system.


@specimen(
    "start_unix_server() lets everybody connect to its socket, whatever the umask.",
    "unix.serve.path.permissions",
    seen="permissions: '0o777'",
    basic=True,
    replaces=start_unix_server,
)
async def lets_everybody_connect(*arguments: Any, **options: Any) -> Any:
    server = await start_unix_server(*arguments, **options)
    name = os.fsencode(server.sockets[0].getsockname())
    if not name.startswith(b"\0"):
        os.chmod(name, 0o777)
    return server


@specimen(
    "start_unix_server() removes an empty file at its path, as one that was left behind.",
    "unix.serve.path.other-file",
    basic=True,
    replaces=start_unix_server,
)
async def clears_what_is_empty(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    if path:
        with suppress(OSError, ValueError):
            if os.path.isfile(path) and not os.path.getsize(path):
                os.unlink(path)
    return await start_unix_server(client_connected_cb, path, **options)


@specimen(
    "start_unix_server() with `sock` ignores `cleanup_socket`.",
    "unix.cleanup-socket.false",
    basic=True,
    replaces=start_unix_server,
)
async def cleans_up_after_sockets(*arguments: Any, **options: Any) -> Any:
    if with_sock(options):
        options.pop("cleanup_socket", None)
    return await start_unix_server(*arguments, **options)


@specimen(
    "start_unix_server() takes a limit that is not positive for the default.",
    "serving.limit.not-positive",
    basic=True,
    replaces=start_unix_server,
)
async def serves_unix_with_any_limit(*arguments: Any, **options: Any) -> Any:
    if options.get("limit", 1) <= 0:
        del options["limit"]
    return await start_unix_server(*arguments, **options)
