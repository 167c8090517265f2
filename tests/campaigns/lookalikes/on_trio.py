"""A lookalike on trio: its connections live in trio's event loop, in a thread of its own.

The program's asyncio loop and trio send each other messages. Options without an argument of trio's
functions are lacking; so are TLS, and transports.
"""

import asyncio
import contextvars
import math
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import trio

from . import connecting, listening
from .plain import LIMIT, Server, StreamReader, remover
from .raw_sockets import LOW, OPENING, SERVING, TLS, StreamWriter

PIECE = 64 * 1024


async def close(made: Any) -> None:
    """Close a stream, or a list of listeners, that nothing waits for any more."""
    for each in made if isinstance(made, list) else [made]:
        await trio.aclose_forcefully(each)


class Trio:
    """The thread in which trio runs, for as long as the process does."""

    def __init__(self) -> None:
        self.token: trio.lowlevel.TrioToken | None = None
        self.lock = threading.Lock()

    def start(self) -> None:
        """Start it, once."""
        with self.lock:
            if self.token is None:
                ready = threading.Event()
                threading.Thread(target=trio.run, args=(self.live, ready), daemon=True).start()
                ready.wait()

    async def live(self, ready: threading.Event) -> None:
        async with trio.open_nursery() as self.nursery:
            self.token = trio.lowlevel.current_trio_token()
            ready.set()
            await trio.sleep_forever()

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Let trio call `function`."""
        assert self.token is not None
        self.token.run_sync_soon(function, *args)

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Let trio run `function` as a task."""
        self.soon(self.nursery.start_soon, function, *args)

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Return the result of `function` in trio, or raise its exception."""
        self.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        scope = trio.CancelScope()

        async def run() -> None:
            result, error = None, None
            with scope:
                try:
                    result = await function(*args)
                except Exception as problem:
                    error = problem
            tell(loop, give, result, error)

        def give(result: Any, error: Exception | None) -> None:
            if answer.cancelled():
                if result is not None:
                    self.spawn(close, result)
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        self.spawn(run)
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.cancelled():
                self.soon(scope.cancel)
            elif answer.exception() is None and answer.result() is not None:
                self.spawn(close, answer.result())  # it came too late
            raise


trio_thread = Trio()


def tell(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: Any) -> None:
    """Let the program's loop call `function`, if it still runs."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *args)


class Connection:
    """A connection: the program's view of it, and the two tasks that trio runs for it."""

    def __init__(
        self, stream: trio.SocketStream, reader: StreamReader, server: Server | None
    ) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self.stream = stream
        sock = stream.socket
        self.names = {"socket": sock, "sockname": sock.getsockname(), "peername": None}
        with suppress(OSError):  # the peer may have left already
            self.names["peername"] = sock.getpeername()
        self.reader = reader
        self.server = server
        self.to_send = 0
        self.is_closing = False
        self.is_lost = False
        self.is_paused = False
        self.has_written_eof = False
        self.error: BaseException | None = None
        self.room = reader.waiters(loop)
        self.end = reader.waiters(loop)
        reader.set_transport(self)
        self.scope = trio.CancelScope()
        self.may_receive = trio.Event()
        self.may_receive.set()
        self.tasks, self.task = trio.open_memory_channel[bytes | None](math.inf)
        trio_thread.spawn(self.live)

    # In trio's thread.

    def socket(self) -> Any:
        return self.names["socket"]

    async def live(self) -> None:
        error: BaseException | None = None
        with self.scope:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.receive)
                    await self.send()
                    nursery.cancel_scope.cancel()
            except* trio.BrokenResourceError as group:
                error = group.exceptions[0].__cause__
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self.stream)
        tell(self.loop, self.lost, error)

    async def receive(self) -> None:
        while True:
            await self.may_receive.wait()
            data = await self.stream.receive_some(PIECE)
            self.may_receive = trio.Event()
            tell(self.loop, self.received, data)
            if not data:
                return

    async def send(self) -> None:
        async for data in self.task:
            if data is None:
                await self.stream.send_eof()
                continue
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                await self.stream.send_all(piece)
                tell(self.loop, self.sent, len(piece))

    def let_receive(self) -> None:
        self.may_receive.set()

    # In the program's thread: calls from trio.

    def received(self, data: bytes) -> None:
        if not data:
            self.reader.feed_eof()
            return
        if not self.is_closing:
            self.reader.feed_data(data)
        if not self.is_paused:
            trio_thread.soon(self.let_receive)

    def sent(self, count: int) -> None:
        self.to_send -= count
        if self.to_send <= LOW:
            self.room.wake()

    def lost(self, error: BaseException | None) -> None:
        if self.is_lost:
            return
        self.is_closing = self.is_lost = True
        self.error = error
        if error is None:
            self.reader.feed_eof()
        else:
            self.reader.set_exception(error)
        self.room.wake()
        self.end.wake()
        if self.server is not None:
            self.server.forget(self)

    # In the program's thread: calls from the program.

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        trio_thread.soon(self.let_receive)

    def write(self, data: bytes) -> None:
        if data:
            self.to_send += len(data)
            trio_thread.soon(self.tasks.send_nowait, data)

    def write_eof(self) -> None:
        if not self.has_written_eof:
            self.has_written_eof = True
            trio_thread.soon(self.tasks.send_nowait, None)

    def close(self) -> None:
        self.is_closing = True
        trio_thread.soon(self.tasks.close)

    def abort(self) -> None:
        self.is_closing = True
        trio_thread.soon(self.scope.cancel)


class Accepting:
    """Plays the loop's server: listeners of trio's, and a task for each that accepts."""

    def __init__(self, server: Server, listeners: list[trio.SocketListener]) -> None:
        self.server = server
        self.listeners = listeners
        self.sockets = [each.socket for each in listeners]
        self.has_started = False

    def is_serving(self) -> bool:
        return self.has_started

    async def start_serving(self) -> None:
        if not self.has_started:
            self.has_started = True
            self.context = contextvars.copy_context()  # in which the handlers run
            for each in self.listeners:
                trio_thread.spawn(self.accept, each)

    async def accept(self, listener: trio.SocketListener) -> None:
        with suppress(trio.ClosedResourceError):
            while True:
                try:
                    stream = await listener.accept()
                except OSError:  # no descriptors are left
                    await trio.sleep(0.1)
                else:
                    tell(self.server.get_loop(), self.accepted, stream)

    def accepted(self, stream: trio.SocketStream) -> None:
        connection = Connection(stream, StreamReader(self.server.limit), self.server)
        self.context.copy().run(self.server.serve, connection)

    def close(self) -> None:
        for each in self.listeners:
            trio_thread.soon(each.socket.close)

    async def wait_closed(self) -> None:
        await trio_thread.call(trio.lowlevel.checkpoint)  # it comes after the earlier calls


async def connect(host: Any, port: Any, delay: float) -> trio.SocketStream:
    """Connect in trio, and raise the operating system's error if trio's says less."""
    if host is None:
        return await connect_here(port, delay)
    try:
        return await trio.open_tcp_stream(host, port, happy_eyeballs_delay=delay)
    except OSError as error:
        if isinstance(error.__cause__, ExceptionGroup):
            attempts = [each for each in error.__cause__.exceptions if isinstance(each, OSError)]
            raise connecting.together(attempts) from None
        raise


async def connect_here(port: Any, delay: float) -> trio.SocketStream:
    """Connect to the loopback interface, which trio needs by name."""
    errors: list[OSError] = []
    connected: list[trio.socket.SocketType] = []

    async def attempt(family: int, kind: int, proto: int, address: Any, failed: trio.Event) -> None:
        sock = trio.socket.socket(family, kind, proto)
        try:
            await sock.connect(address)
        except OSError as error:
            sock.close()
            errors.append(error)
            failed.set()
        except BaseException:
            sock.close()
            raise
        else:
            connected.append(sock)
            nursery.cancel_scope.cancel()

    found = await trio.socket.getaddrinfo(None, port, type=socket.SOCK_STREAM)
    try:
        async with trio.open_nursery(strict_exception_groups=False) as nursery:
            for family, kind, proto, _, address in found:
                failed = trio.Event()
                nursery.start_soon(attempt, family, kind, proto, address, failed)
                with trio.move_on_after(delay):
                    await failed.wait()
    except BaseException:
        for sock in connected:
            sock.close()
        raise
    if not connected:
        raise connecting.together(errors)
    for late in connected[1:]:
        late.close()
    return trio.SocketStream(connected[0])


async def connect_unix(path: Any) -> trio.SocketStream:
    return await trio.open_unix_socket(path)


async def listen(hosts: list[Any], port: Any, backlog: int) -> list[trio.SocketListener]:
    listeners: list[trio.SocketListener] = []
    try:
        for host in hosts:
            found = await trio.open_tcp_listeners(port or 0, host=host, backlog=backlog)
            if not found:
                raise OSError(f"{host!r} has no address")
            listeners += found
    except BaseException:
        for each in listeners:
            each.socket.close()
        raise
    return listeners


async def adopted(sock: socket.socket) -> trio.SocketStream:
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


async def adopted_listener(sock: socket.socket, backlog: int) -> list[trio.SocketListener]:
    sock.listen(backlog)
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock))]


class Streams:
    """The names of the streams page, and the ones that are lacking."""

    without = frozenset(
        {"StreamWriter.transport", "StreamWriter.start_tls", "memory", "tls-memory"}
        | {f"{function}.{option}" for function in OPENING + SERVING for option in TLS}
        | {f"{function}.server_hostname" for function in OPENING}
        | {f"open_connection.{each}" for each in ("family", "proto", "flags", "interleave")}
        | {"open_connection.local_addr", "start_server.family", "start_server.flags"}
        | {"start_server.reuse_address", "start_server.reuse_port"}
    )

    StreamReader: TypeAlias = StreamReader
    StreamWriter: TypeAlias = StreamWriter

    async def open_connection(
        self,
        host: Any = None,
        port: Any = None,
        *,
        limit: int = LIMIT,
        sock: Any = None,
        happy_eyeballs_delay: float | None = None,
    ) -> tuple[StreamReader, StreamWriter]:
        reader = StreamReader(limit)
        if (sock is None) == (host is None and port is None):
            raise ValueError("open_connection() takes a host and a port, or a socket")
        if sock is not None:
            if sock.type != socket.SOCK_STREAM:
                raise ValueError("open_connection() takes a stream socket")
            stream = await trio_thread.call(adopted, sock)
        else:
            delay = math.inf if happy_eyeballs_delay is None else happy_eyeballs_delay
            stream = await trio_thread.call(connect, host, port, delay)
        return reader, StreamWriter(Connection(stream, reader, None))

    async def open_unix_connection(
        self, path: Any = None, *, limit: int = LIMIT, sock: Any = None
    ) -> tuple[StreamReader, StreamWriter]:
        reader = StreamReader(limit)
        if (sock is None) == (path is None):
            raise ValueError("open_unix_connection() takes a path, or a socket")
        if sock is None:
            stream = await trio_thread.call(connect_unix, path)
        elif sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
            raise ValueError("open_unix_connection() takes a Unix stream socket")
        else:
            stream = await trio_thread.call(adopted, sock)
        return reader, StreamWriter(Connection(stream, reader, None))

    async def start_server(
        self,
        client_connected_cb: Any,
        host: Any = None,
        port: Any = None,
        *,
        limit: int = LIMIT,
        sock: Any = None,
        backlog: int = 100,
        keep_alive: Any = None,
        start_serving: bool = True,
    ) -> Server:
        server = Server(self, client_connected_cb, limit, keep_alive)
        if sock is None:
            hosts = [host or None] if isinstance(host, str | bytes | None) else list(host)
            if not hosts:
                raise OSError("no host to serve on")
            listeners = await trio_thread.call(listen, hosts, port, backlog)
        elif host is not None or port is not None:
            raise ValueError("start_server() takes a host and a port, or a socket")
        elif sock.type != socket.SOCK_STREAM:
            raise ValueError("start_server() takes a stream socket")
        else:
            listeners = await trio_thread.call(adopted_listener, sock, backlog)
        server.begin(Accepting(server, listeners))
        if start_serving:
            await server.start_serving()
        return server

    async def start_unix_server(
        self,
        client_connected_cb: Any,
        path: Any = None,
        *,
        limit: int = LIMIT,
        sock: Any = None,
        backlog: int = 100,
        cleanup_socket: bool = True,
        start_serving: bool = True,
    ) -> Server:
        server = Server(self, client_connected_cb, limit, None)
        if (sock is None) == (path is None):
            raise ValueError("start_unix_server() takes a path, or a socket")
        if sock is None:
            sock = listening.unix_socket(path)
        elif sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
            raise ValueError("start_unix_server() takes a Unix stream socket")
        at_close = remover(sock.getsockname()) if cleanup_socket else lambda: None
        listeners = await trio_thread.call(adopted_listener, sock, backlog)
        server.begin(Accepting(server, listeners), at_close)
        if start_serving:
            await server.start_serving()
        return server


streams = Streams()
