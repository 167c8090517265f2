"""A plain implementation of the streams API, with parts to be exchanged.

It is written from the description alone, and simple rather than fast. Its parts can be replaced, so
that a lookalike's module shows only the differences: where a reader keeps its bytes (`Store`), how
waiters are woken (`Waiters`), and how a transport hands over received data (`Connection`). The
broken implementations of the zoo replace readers, writers, protocols or servers, and override one
of their steps.
"""

import asyncio
import copy
import operator
import os
import socket
import ssl as tls
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from . import connecting, upgrading

LIMIT = 64 * 1024
TLS_PIECE = 64 * 1024  # bytes per write(): TLS transports check their marks in between


class Store:
    """The bytes of a reader that are not read yet, one after another."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched: dict[bytes, int] = {}  # how many bytes have no match

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, data: bytes) -> None:
        """Append `data`."""
        self._bytes += data

    def take(self, count: int) -> bytes:
        """Remove and return the first `count` bytes."""
        data = bytes(memoryview(self._bytes)[:count])
        del self._bytes[:count]
        self._searched.clear()
        return data

    def find(self, separator: bytes) -> int:
        """Return where the first `separator` begins, or -1."""
        begin = max(self._searched.get(separator, 0) - len(separator) + 1, 0)
        found = self._bytes.find(separator, begin)
        if found < 0:
            self._searched[separator] = len(self._bytes)
        return found


class Waiters:
    """The waiters for one event."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[asyncio.Future[None]] = []

    def __bool__(self) -> bool:
        """Whether a waiter is left that was not cancelled."""
        return not all(each.cancelled() for each in self._waiting)

    async def wait(self) -> None:
        """Wait for the next `wake()`."""
        future = self._loop.create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            self._waiting.remove(future)

    def wake(self) -> None:
        """Wake all waiters."""
        for each in self._waiting:
            self.resolve(each)

    def resolve(self, future: "asyncio.Future[None]") -> None:
        """Wake one waiter."""
        if not future.done():
            future.set_result(None)


def twin(error: BaseException) -> BaseException:
    """Return an exception like `error`, so that each caller gets one of its own."""
    try:
        like = copy.copy(error)
    except Exception:
        return error  # it cannot be copied
    if type(like) is not type(error) or like.args != error.args:
        return error
    like.__context__ = error.__context__
    like.__cause__, like.__suppress_context__ = error.__cause__, error.__suppress_context__
    return like.with_traceback(None)


class StreamReader:
    """The received data."""

    store: Callable[[], Store] = Store
    waiters: Callable[[asyncio.AbstractEventLoop], Waiters] = Waiters

    def __init__(self, limit: int = LIMIT, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if limit <= 0:
            raise ValueError("the limit must be positive")
        self._limit = limit
        self._loop = loop or asyncio.get_event_loop()
        self._received = self.store()
        self._readers = self.waiters(self._loop)
        self._ended = False
        self._error: BaseException | None = None
        self._transport: Any = None
        self._holding_back = False

    # The side of the network.

    def set_transport(self, transport: Any) -> None:
        if self._transport is not None:
            raise RuntimeError("there is a transport already")
        self._transport = transport

    def replace_transport(self, transport: Any) -> None:
        """Go on with `transport`, which puts TLS on top of the previous one."""
        self._transport = transport

    def feed_data(self, data: Any) -> None:
        if data and not self._ended:
            self._received.add(bytes(data))
            self._readers.wake()
            self._hold_back()

    def feed_eof(self) -> None:
        self._ended = True
        self._readers.wake()

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self._readers.wake()

    def exception(self) -> BaseException | None:
        return self._error

    def at_eof(self) -> bool:
        return self._ended and not self._received

    def ended(self) -> bool:
        """Whether EOF has arrived."""
        return self._ended

    def take_back(self) -> bytes:
        """Return the unread bytes, with which TLS begins."""
        self._let_go_on()
        return self._received.take(len(self._received))

    def _hold_back(self) -> None:
        """Pause the transport, when much is unread and no read waits for more."""
        if len(self._received) > 2 * self._limit and not self._readers and self._transport:
            with suppress(NotImplementedError):
                self._transport.pause_reading()
                self._holding_back = True

    def let_close(self) -> None:
        """Receive the rest: TLS does not close before that."""
        self._let_go_on()

    def _let_go_on(self) -> None:
        if self._holding_back:
            self._holding_back = False
            self._transport.resume_reading()

    # The side of the program.

    async def _got(self, attempt: Callable[[], bytes | None]) -> bytes:
        """Return the result of `attempt()`, once it is not None.

        Its bytes stay in the store until all of them have arrived, so a cancelled read takes
        nothing.
        """
        self._refuse()
        while (data := attempt()) is None:
            await self._wait()
        if len(self._received) <= self._limit:
            self._let_go_on()
        return data

    def _refuse(self) -> None:
        """Refuse to read while another read waits."""
        if self._readers:
            raise RuntimeError("another read is waiting already")

    async def _wait(self) -> None:
        """Wait until more is received, or the stream ends."""
        if self._error is not None:
            raise twin(self._error)
        self._let_go_on()
        try:
            await self._readers.wait()
        except asyncio.CancelledError:
            self._hold_back()
            raise

    def _take(self, count: int) -> bytes:
        """Take that many of the stored bytes."""
        data = self._received.take(count)
        if len(self._received) <= self._limit:
            self._let_go_on()
        return data

    def _is_over(self) -> bool:
        return self._ended and self._error is None

    async def read(self, n: int = -1) -> bytes:
        n = operator.index(n)
        if n == 0:
            return b""

        def some() -> bytes | None:
            if n > 0 and self._received:
                return self._received.take(min(n, len(self._received)))
            return self._received.take(len(self._received)) if self._is_over() else None

        return await self._got(some)

    async def readexactly(self, n: int) -> bytes:
        n = operator.index(n)
        if n < 0:
            raise ValueError("readexactly() of less than nothing")
        if n == 0:
            return b""

        def exactly() -> bytes | None:
            if len(self._received) >= n:
                return self._received.take(n)
            if self._is_over():
                raise asyncio.IncompleteReadError(self._received.take(len(self._received)), n)
            return None

        return await self._got(exactly)

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        several = separator if isinstance(separator, tuple) else (separator,)
        separators = [bytes(memoryview(each)) for each in several]
        if not separators or not all(separators):
            raise ValueError("readuntil() needs a separator, and none may be empty")

        def through() -> bytes | None:
            found = self._found(separators)
            if found is not None:
                begin, end = found
                if begin > self._limit:
                    raise asyncio.LimitOverrunError("the separator comes too late", begin)
                return self._received.take(end)
            surely_none = len(self._received) - max(map(len, separators)) + 1
            if surely_none > self._limit:
                raise asyncio.LimitOverrunError("no separator within the limit", surely_none)
            if self._is_over():
                raise asyncio.IncompleteReadError(self._received.take(len(self._received)), None)
            return None

        return await self._got(through)

    def _found(self, separators: list[bytes]) -> tuple[int, int] | None:
        """Return where the separator that ends first begins and ends; of several, the shortest."""
        places = [(self._received.find(each), len(each)) for each in separators]
        ends = [(begin + length, length) for begin, length in places if begin >= 0]
        if not ends:
            return None
        end, length = min(ends)
        return end - length, end

    async def readline(self) -> bytes:
        try:
            return await self.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError as error:
            found = self._found([b"\n"])
            self._received.take(len(self._received) if found is None else found[1])
            if len(self._received) <= self._limit:
                self._let_go_on()
            raise ValueError(str(error)) from None

    def __aiter__(self) -> "StreamReader":
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class Connection(asyncio.BaseProtocol):
    """Stands between a transport, and the reader and writer of its connection."""

    def __init__(self, reader: StreamReader, server: "Server | None" = None) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self.reader = reader
        self.server = server
        self.transport: Any = None
        self.is_tls = False
        self.is_full = False
        self.is_lost = False
        self.error: BaseException | None = None
        self.room = reader.waiters(loop)
        self.end = reader.waiters(loop)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self.reader.set_transport(transport)
        if self.server is not None:
            self.server.serve(self)

    def socket(self) -> Any:
        """Return the socket."""
        return self.transport.get_extra_info("socket")

    def upgrade(self, transport: Any) -> None:
        """Go on with `transport`, which puts TLS on top of the previous one."""
        self.transport = transport
        self.is_tls = True
        self.reader.replace_transport(transport)

    def receive(self, data: Any) -> None:
        """Take what the transport received."""
        self.reader.feed_data(data)

    def eof_received(self) -> bool:
        self.reader.feed_eof()
        return not self.is_tls

    def close(self) -> None:
        self.reader.let_close()
        if not self.transport.is_closing():  # a second close() breaks asyncio's TLS transports
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self.room.wake()

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_lost:
            return
        if isinstance(error, tls.SSLError) and "AFTER_CLOSE_NOTIFY" in str(error):
            error = None  # the peer went on sending after we had closed: not an error
        self.is_lost = True
        self.error = error
        if error is None:
            self.reader.feed_eof()
        else:
            self.reader.set_exception(error)
        self.room.wake()
        self.end.wake()
        if self.server is not None:
            self.server.forget(self)


class Protocol(Connection, asyncio.Protocol):
    """Takes all data from the transport."""

    def data_received(self, data: bytes) -> None:
        self.receive(data)


class StreamWriter:
    """The sending side."""

    def __init__(self, protocol: Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._has_written_eof = False

    @property
    def transport(self) -> Any:
        return self._protocol.transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        try:
            return self.transport.get_extra_info(name, default)
        except AttributeError:  # uvloop's, with a socket that is gone
            return default

    def write(self, data: Any) -> None:
        data = bytes(memoryview(data))
        if self.is_closing():
            return
        if self._has_written_eof:
            raise RuntimeError("write() after write_eof()")
        piece = TLS_PIECE if self._protocol.is_tls else max(1, len(data))
        for start in range(0, len(data), piece):
            self.transport.write(data[start : start + piece])

    def writelines(self, data: Any) -> None:
        lines = [bytes(memoryview(each)) for each in data]
        self.write(b"".join(lines))

    def can_write_eof(self) -> bool:
        return bool(self.transport.can_write_eof())

    def write_eof(self) -> None:
        if not self.can_write_eof():
            raise NotImplementedError("this connection ends as a whole")
        if not self._has_written_eof and not self.is_closing():
            self._has_written_eof = True
            self.transport.write_eof()

    async def drain(self) -> None:
        protocol = self._protocol
        if error := protocol.reader.exception():
            raise twin(error)
        if self.is_closing():
            await asyncio.sleep(0)  # it may be lost already
        while protocol.is_full and not protocol.is_lost:
            if not self.transport.get_write_buffer_size():
                break  # TLS transports may have paused us without resuming
            await protocol.room.wait()
        if protocol.is_lost:
            if protocol.error is not None:
                raise twin(protocol.error)
            raise ConnectionResetError("the connection is closed")

    def close(self) -> None:
        self._protocol.close()

    def is_closing(self) -> bool:
        return bool(self.transport.is_closing())

    async def wait_closed(self) -> None:
        protocol = self._protocol
        while not protocol.is_lost:
            await protocol.end.wait()
        if protocol.error is not None:
            raise twin(protocol.error)

    async def start_tls(
        self,
        sslcontext: tls.SSLContext,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        if not isinstance(sslcontext, tls.SSLContext):
            raise TypeError("start_tls() needs an SSLContext")
        check_times(ssl_handshake_timeout, ssl_shutdown_timeout)
        check_name(sslcontext, server_hostname)
        await self.drain()
        if self.is_closing():
            raise ConnectionResetError("the connection is closed")
        await upgrading.upgrade(
            self._protocol,
            sslcontext,
            server_hostname,
            60.0 if ssl_handshake_timeout is None else ssl_handshake_timeout,
            30.0 if ssl_shutdown_timeout is None else ssl_shutdown_timeout,
        )

    def __del__(self) -> None:
        if not self.is_closing() and not self._loop.is_closed():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2)
            self.close()


class Server(asyncio.AbstractServer):
    """Accepts connections with the loop's server, or one like it."""

    _open: ClassVar["set[Server]"] = set()  # a server goes on serving without references
    _handlers: ClassVar["set[asyncio.Task[Any]]"] = set()

    def __init__(self, streams: Any, callback: Any, limit: int, keep_alive: Any) -> None:
        if not callable(callback):
            raise TypeError("the callback cannot be called")
        self._streams = streams
        self._callback = callback
        self.limit = limit
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._accepting: Any = None
        self._at_close: Callable[[], None] = lambda: None
        self._is_closed = False
        self._connections: set[Any] = set()
        self._over = streams.StreamReader.waiters(self._loop)
        self._forever: asyncio.Future[None] | None = None
        streams.StreamReader(limit)  # it refuses an invalid limit

    def begin(self, accepting: Any, at_close: Callable[[], None] = lambda: None) -> "Server":
        """Take the loop's server, and a callback for its end."""
        self._accepting, self._at_close = accepting, at_close
        self._open.add(self)
        return self

    # Connections.

    def protocol(self) -> Connection:
        """Return the protocol of the next connection."""
        made: Connection = self._streams.protocol(self._streams.StreamReader(self.limit), self)
        return made

    def serve(self, connection: Any) -> None:
        """Take a new connection to the callback."""
        self._connections.add(connection)
        writer = self._streams.StreamWriter(connection)
        if self._keep_alive:
            sock = connection.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            handling = self.call(self._callback, connection.reader, writer)
        except asyncio.CancelledError:
            connection.close()
            return
        except Exception as error:
            self._failed(connection, error)
            return
        if asyncio.iscoroutine(handling):
            self.run(connection, handling)

    def call(self, callback: Any, reader: StreamReader, writer: StreamWriter) -> Any:
        """Call the callback."""
        return callback(reader, writer)

    def run(self, connection: Any, handling: Any) -> None:
        """Run the coroutine that the callback returned."""
        task = self._loop.create_task(handling)
        self._handlers.add(task)
        task.add_done_callback(lambda task: self._handled(connection, task))

    def _handled(self, connection: Any, task: "asyncio.Task[Any]") -> None:
        self._handlers.discard(task)
        if task.cancelled():
            connection.close()
        elif error := task.exception():
            self._failed(connection, error)

    def _failed(self, connection: Any, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "a handler failed", "exception": error})
        connection.close()

    def forget(self, connection: Any) -> None:
        """Take note that a connection has ended."""
        self._connections.discard(connection)
        self._over.wake()

    def close_clients(self) -> None:
        for each in list(self._connections):
            each.close()

    def abort_clients(self) -> None:
        for each in list(self._connections):
            each.abort()

    # The server's own life.

    @property
    def sockets(self) -> Any:
        return () if self._is_closed else tuple(self._accepting.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return not self._is_closed and bool(self._accepting.is_serving())

    async def start_serving(self) -> None:
        if self._is_closed:
            raise RuntimeError("the server is closed")
        await self._accepting.start_serving()

    async def serve_forever(self) -> None:
        if self._forever is not None:
            raise RuntimeError("somebody serves forever already")
        self._forever = self._loop.create_future()
        try:
            await self.start_serving()  # may take a turn, in which it can be cancelled
            await self._forever
        finally:
            self._forever = None
            if not self._is_closed:
                self.close()
                self.close_clients()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._open.discard(self)
        self._at_close()
        self._accepting.close()
        self._over.wake()
        if self._forever is not None:
            self._forever.cancel()

    async def wait_closed(self) -> None:
        while not self._is_closed or self._connections:
            await self._over.wait()
        await self._accepting.wait_closed()


def check_times(*seconds: float | None) -> None:
    """Refuse timeouts that have passed already."""
    if any(each is not None and each <= 0 for each in seconds):
        raise ValueError("a timeout must be positive")


def check_name(context: Any, name: Any) -> None:
    """Refuse a context that checks names when there is no name."""
    if (context is True or context.check_hostname) and not name:
        raise ValueError("server_hostname is needed to check it")


def check_client_tls(host: Any, options: dict[str, Any]) -> None:
    """Check open_connection()'s arguments for TLS; let server_hostname default to the host."""
    context, name = options.get("ssl"), options.get("server_hostname")
    times = [options.get("ssl_handshake_timeout"), options.get("ssl_shutdown_timeout")]
    if not context:
        if name is not None or any(each is not None for each in times):
            raise ValueError("an option of TLS without TLS")
        return
    check_times(*times)
    if name is None:
        if not host:
            raise ValueError("server_hostname is needed where there is no host")
        options["server_hostname"] = host
    check_name(context, options["server_hostname"])


def check_server_tls(options: dict[str, Any]) -> None:
    """Check start_server()'s arguments for TLS."""
    context = options.get("ssl")
    times = [options.get("ssl_handshake_timeout"), options.get("ssl_shutdown_timeout")]
    if context is None:
        if any(each is not None for each in times):
            raise ValueError("an option of TLS without TLS")
    elif not isinstance(context, tls.SSLContext):
        raise TypeError("a server needs an SSLContext")
    check_times(*times)


def remover(path: Any) -> Callable[[], None]:
    """Return a function that removes the socket at `path`, if it is still the same."""
    if not path or path[0] in ("\0", 0):
        return lambda: None
    with suppress(FileNotFoundError):
        ours = os.stat(path)

        def remove() -> None:
            with suppress(FileNotFoundError):
                if os.path.samestat(ours, os.stat(path)):
                    os.unlink(path)

        return remove
    return lambda: None


class Streams:
    """The names of the streams page.

    Args:
        reader: the class of readers.
        protocol: the class of protocols.
        writer: the class of writers.
        server: the class of servers.
    """

    IncompleteReadError = asyncio.IncompleteReadError
    LimitOverrunError = asyncio.LimitOverrunError

    def __init__(
        self,
        reader: type[StreamReader] = StreamReader,
        protocol: type[Connection] = Protocol,
        writer: type[StreamWriter] = StreamWriter,
        server: type[Server] = Server,
    ) -> None:
        self.StreamReader = reader
        self.StreamWriter = writer
        self.protocol = protocol
        self.server = server

    async def open_connection(
        self, host: Any = None, port: Any = None, *, limit: int = LIMIT, **options: Any
    ) -> tuple[StreamReader, StreamWriter]:
        reader = self.StreamReader(limit)
        check_client_tls(host, options)
        sock = options.pop("sock", None)
        if (sock is None) == (host is None and port is None):
            raise ValueError("open_connection() takes a host and a port, or a socket")
        if sock is None:
            own = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
            address = {name: options.pop(name) for name in list(options) if name not in own}
            sock = await connecting.tcp_socket(host, port, **address)
        loop = asyncio.get_running_loop()
        return await self._over(reader, sock, loop.create_connection, options)

    async def open_unix_connection(
        self, path: Any = None, *, limit: int = LIMIT, **options: Any
    ) -> tuple[StreamReader, StreamWriter]:
        reader = self.StreamReader(limit)
        check_client_tls(None, options)
        sock = options.pop("sock", None)
        if (sock is None) == (path is None):
            raise ValueError("open_unix_connection() takes a path, or a socket")
        if sock is None:
            sock = await connecting.unix_socket(path)
        loop = asyncio.get_running_loop()
        return await self._over(reader, sock, loop.create_unix_connection, options)

    async def _over(
        self, reader: StreamReader, sock: Any, connect: Any, options: dict[str, Any]
    ) -> tuple[StreamReader, StreamWriter]:
        """Return a reader and a writer over a connected socket."""
        protocol = self.protocol(reader)
        try:
            await connect(lambda: protocol, sock=sock, **options)
        except BaseException:
            sock.close()
            raise
        return reader, self.StreamWriter(protocol)

    async def start_server(
        self,
        client_connected_cb: Any,
        host: Any = None,
        port: Any = None,
        *,
        limit: int = LIMIT,
        keep_alive: Any = None,
        **options: Any,
    ) -> Server:
        server = self.server(self, client_connected_cb, limit, keep_alive)
        check_server_tls(options)
        if not isinstance(host, str | bytes | None) and not host:
            raise OSError("no host to serve on")
        loop: Any = server.get_loop()  # typeshed has no host of bytes
        return server.begin(await loop.create_server(server.protocol, host, port, **options))

    async def start_unix_server(
        self,
        client_connected_cb: Any,
        path: Any = None,
        *,
        limit: int = LIMIT,
        cleanup_socket: bool = True,
        **options: Any,
    ) -> Server:
        server = self.server(self, client_connected_cb, limit, None)
        check_server_tls(options)
        create: Any = server.get_loop().create_unix_server
        try:
            accepting = await create(server.protocol, path, cleanup_socket=False, **options)
        except TypeError:  # older loops have no such argument, and remove nothing
            accepting = await create(server.protocol, path, **options)
        name = accepting.sockets[0].getsockname()
        return server.begin(accepting, remover(name) if cleanup_socket else lambda: None)


streams = Streams()
