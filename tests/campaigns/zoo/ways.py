"""Arguments that mean something else with one way to give them, or with one value."""

import asyncio
import contextvars
import pathlib
from typing import Any

from .sound import (
    Server,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
)
from .specimen import NOTHING, Seen, Specimen, specimen

_leaked: list[Any] = []  # kept for as long as the process lives


@specimen(
    "open_connection() takes ssl_handshake_timeout for milliseconds.",
    "connecting.ssl.handshake-timeout",
    replaces=open_connection,
    seen="it raised ConnectionAbortedError: SSL",
)
async def opens_in_milliseconds(*address: Any, **options: Any) -> Any:
    seconds = options.get("ssl_handshake_timeout")
    if seconds is not None:
        options["ssl_handshake_timeout"] = seconds / 1000
    return await open_connection(*address, **options)


@specimen(
    "start_server() takes ssl_shutdown_timeout for milliseconds.",
    "serving.ssl.shutdown-timeout",
    replaces=start_server,
    seen="it returned (b'\\x17\\x03\\x03",
)
async def serves_in_milliseconds(*arguments: Any, **options: Any) -> Any:
    seconds = options.get("ssl_shutdown_timeout")
    if seconds is not None:
        options["ssl_shutdown_timeout"] = seconds / 1000
    return await start_server(*arguments, **options)


@specimen(
    "open_connection() waits for 250 ms with any happy_eyeballs_delay.",
    "connecting.happy-eyeballs.delay",
    replaces=open_connection,
    seen="it returned (<campaigns.lookalikes.plain.S",
)
async def always_hurries(*address: Any, **options: Any) -> Any:
    if 1 <= (options.get("happy_eyeballs_delay") or 0) <= 100:
        options["happy_eyeballs_delay"] = 0.25
    return await open_connection(*address, **options)


@specimen(
    "open_connection() with `sock` ignores `limit`.",
    "connecting.limit.given",
    replaces=open_connection,
    seen="b'xx\\n' returned",
)
async def opens_sockets_without_limit(*address: Any, **options: Any) -> Any:
    if options.get("sock") is not None:
        options.pop("limit", None)
    return await open_connection(*address, **options)


def serving_sockets_without(name: str, *fails: str, seen: Seen = NOTHING) -> Specimen:
    """Return a specimen whose start_server() ignores an argument if there is a `sock`."""

    async def broken(*arguments: Any, **options: Any) -> Any:
        if options.get("sock") is not None:
            options.pop(name, None)
        return await start_server(*arguments, **options)

    broken.__name__ = f"serves_sockets_without_{name}"
    fault = f"start_server() with `sock` ignores `{name}`."
    return specimen(fault, *fails, seen=seen, replaces=start_server)(broken)


serves_sockets_without_limit = serving_sockets_without(
    "limit", "serving.limit.given", seen="b'xx\\n' returned"
)
serves_sockets_without_backlog = serving_sockets_without(
    "backlog", "serving.backlog.given", seen="backlog with sock: 100"
)
serves_sockets_without_start_serving = serving_sockets_without(
    "start_serving", "serving.start-serving.false", seen="clients before the server was started: 1"
)


@specimen(
    "open_unix_connection() takes no path-like objects except pathlib's.",
    "unix.open.path.path-like",
    replaces=open_unix_connection,
    seen="TypeError: path must be str, bytes or",
)
async def opens_pathlib_only(path: Any = None, **options: Any) -> Any:
    if path is not None and not isinstance(path, str | bytes | pathlib.PurePath):
        raise TypeError("path must be str, bytes or pathlib.Path")
    return await open_unix_connection(path, **options)


@specimen(
    "An open_unix_connection() that is cancelled in the TLS handshake goes on.",
    "unix.open.cancelled",
    replaces=open_unix_connection,
    seen="a hang",
)
async def goes_on_with_the_handshake(path: Any = None, **options: Any) -> Any:
    if not options.get("ssl"):
        return await open_unix_connection(path, **options)
    opening = asyncio.ensure_future(open_unix_connection(path, **options))
    _leaked.append(opening)
    return await asyncio.shield(opening)


@specimen(
    "wait_closed() of a Unix server removes the socket file, when the last client has left.",
    "unix.cleanup-socket.at-close",
    seen="it is there",
)
class RemovesItLate(Server):
    def close(self) -> None:
        self._later, self._at_close = self._at_close, lambda: None
        super().close()

    async def wait_closed(self) -> None:
        await super().wait_closed()
        self._later()
        self._later = lambda: None


@specimen(
    "Plain callbacks run in a context of their own, in which nothing is set.",
    "handlers.context",
    seen="the handler's variable: 'the default'",
)
class RunsInAnEmptyContext(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        if asyncio.iscoroutinefunction(callback):
            return callback(reader, writer)
        return contextvars.Context().run(callback, reader, writer)


# Connections that a server forgets, or ends.


@specimen(
    "close() cancels the coroutine handlers.",
    "server.close.connections-stay",
    "server.close.connections-stay.after-serve-forever",
    "server.close-clients.handlers-go-on",
    seen="BrokenPipeError: [Errno 32] Broken pipe",
)
class CancelsHandlers(Server):
    def close(self) -> None:
        super().close()
        _cancel_handlers()


@specimen(
    "close_clients() cancels the coroutine handlers.",
    "server.close-clients.handlers-go-on",
    seen="the handler ended 'cancelled'",
)
class CancelsHandlersOfClients(Server):
    def close_clients(self) -> None:
        super().close_clients()
        _cancel_handlers()


def _cancel_handlers() -> None:
    for task in tuple(Server._handlers):
        task.cancel()


@specimen(
    "A server forgets the connections that start_tls() upgrades.",
    "server.close-clients.upgraded",
    "server.abort-clients.upgraded",
    seen={"server.close-clients.upgraded": "a hang", "server.abort-clients.upgraded": "a hang"},
)
class ForgetsUpgraded(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        server = self._protocol.server
        if server is not None:
            server._connections.discard(self._protocol)


@specimen(
    "start_tls() on the server's side makes the connection again: the callback is called twice.",
    "handlers.called-once-for-each-connection",
    seen="further calls after the upgrade: 1",
)
class CallsAgain(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        server = self._protocol.server
        callback = server._callback if server is not None else None
        if callback is not None and not asyncio.iscoroutinefunction(callback):
            callback(self._protocol.reader, self)


@specimen(
    "start_tls() gives the reader the default limit.",
    "start_tls.limit",
    seen="b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
)
class ForgetsTheLimit(StreamWriter):
    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        await super().start_tls(*arguments, **options)
        self._protocol.reader._limit = 64 * 1024


# Several sockets, and none that was started.


class OfTheFirst:
    """A server for each of several hosts: its calls go to the first server."""

    def __init__(self, servers: list[Any]) -> None:
        self.servers = servers
        _leaked.append(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.servers[0], name)

    async def wait_closed(self) -> None:
        await asyncio.gather(*(server.wait_closed() for server in self.servers))

    @property
    def sockets(self) -> tuple[Any, ...]:
        return tuple(sock for server in self.servers for sock in server.sockets)


class StartsTheFirst(OfTheFirst):
    def close(self) -> None:
        for server in self.servers:
            server.close()


async def on_each(
    kind: type[OfTheFirst], callback: Any, host: Any, *arguments: Any, **options: Any
) -> Any:
    """Serve on several hosts with a server of that kind."""
    if not isinstance(host, list | tuple):
        return await start_server(callback, host, *arguments, **options)
    return kind([await start_server(callback, each, *arguments, **options) for each in host])


@specimen(
    "start_serving() and serve_forever() start only the first socket.",
    "server.several-sockets.starts",
    replaces=start_server,
    seen="ConnectionRefusedError: [Errno 111]",
)
async def starts_the_first_socket(
    callback: Any, host: Any = None, *arguments: Any, start_serving: bool = True, **options: Any
) -> Any:
    if start_serving:
        return await start_server(callback, host, *arguments, **options)
    return await on_each(StartsTheFirst, callback, host, *arguments, start_serving=False, **options)


@specimen(
    "close() closes only the first socket; the others go on listening.",
    "server.several-sockets.closes",
    replaces=start_server,
    seen="a connection",
)
async def closes_the_first_socket(
    callback: Any, host: Any = None, *arguments: Any, **options: Any
) -> Any:
    return await on_each(OfTheFirst, callback, host, *arguments, **options)


@specimen(
    "close() of a server that was not started does nothing.",
    "server.close.not-started",
    seen="a hang",
)
class ClosesWhatServes(Server):
    def close(self) -> None:
        if self._is_closed or self.is_serving():
            super().close()
        else:
            _leaked.append(self)
            self._is_closed = True


@specimen(
    "close() after write_eof() drops the unsent data.",
    "writer.any-order",
    seen="bytes, not all of those",
)
class DropsAfterTheEnd(StreamWriter):
    has_ended = False

    def write_eof(self) -> None:
        super().write_eof()
        self.has_ended = True

    def close(self) -> None:
        if self.has_ended and not self.is_closing():
            self.transport.abort()
        else:
            super().close()
