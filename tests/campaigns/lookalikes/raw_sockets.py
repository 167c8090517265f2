"""A lookalike on raw sockets: `loop.sock_recv()`, `sock_sendall()`, `sock_accept()`, two tasks for
each connection; no transports, no protocols, and no TLS."""

import asyncio
import socket
import warnings
from contextlib import suppress
from typing import Any, TypeAlias

from . import connecting, listening
from .plain import LIMIT, Server, StreamReader, remover, twin

# Bytes still to be sent: with more than HIGH, drain() waits until there are LOW.
HIGH, LOW = 64 * 1024, 16 * 1024
PIECE = 16 * 1024

OPENING = ("open_connection", "open_unix_connection")
SERVING = ("start_server", "start_unix_server")
TLS = ("ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout")


class Connection:
    """A connected socket, and the tasks that receive and send."""

    def __init__(self, sock: socket.socket, reader: StreamReader, server: Server | None) -> None:
        self.loop = loop = asyncio.get_running_loop()
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.names = {"socket": sock, "sockname": sock.getsockname(), "peername": None}
        with suppress(OSError):  # the peer may have left already
            self.names["peername"] = sock.getpeername()
        self.reader = reader
        self.server = server
        self.unsent = bytearray()
        self.is_closing = False
        self.is_lost = False
        self.has_written_eof = False
        self.error: BaseException | None = None
        self.may_receive = asyncio.Event()
        self.has_work = asyncio.Event()
        self.room = reader.waiters(loop)
        self.end = reader.waiters(loop)
        reader.set_transport(self)
        self.may_receive.set()
        self.receiving = loop.create_task(self.receive())
        self.sending = loop.create_task(self.send())

    @property
    def to_send(self) -> int:
        """The number of bytes still to be sent."""
        return len(self.unsent)

    # The methods of a transport that a reader uses.

    def pause_reading(self) -> None:
        self.may_receive.clear()

    def resume_reading(self) -> None:
        self.may_receive.set()

    def socket(self) -> Any:
        return self.names["socket"]

    # The two tasks.

    async def receive(self) -> None:
        try:
            while True:
                await self.may_receive.wait()
                data = await self.loop.sock_recv(self.sock, PIECE)
                if not data:
                    break
                if not self.is_closing:
                    self.reader.feed_data(data)
            self.reader.feed_eof()
        except OSError as error:
            self.lose(error)

    async def send(self) -> None:
        try:
            while True:
                while self.unsent:
                    piece = bytes(self.unsent[:PIECE])
                    await self.loop.sock_sendall(self.sock, piece)
                    del self.unsent[:PIECE]
                    if self.to_send <= LOW:
                        self.room.wake()
                if self.is_closing:
                    break
                if self.has_written_eof:
                    self.sock.shutdown(socket.SHUT_WR)
                self.has_work.clear()
                await self.has_work.wait()
            self.lose(None)
        except OSError as error:
            self.lose(error)

    def lose(self, error: OSError | None) -> None:
        """End the tasks, wake all waiters, and close the socket when nothing waits for it."""
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
        for task in (self.receiving, self.sending):
            if task is not asyncio.current_task():
                task.cancel()
        self.loop.call_soon(self.sock.close)

    # Calls from the program.

    def write(self, data: bytes) -> None:
        self.unsent += data
        self.has_work.set()

    def write_eof(self) -> None:
        self.has_written_eof = True
        self.has_work.set()

    def close(self) -> None:
        self.is_closing = True
        self.has_work.set()

    def abort(self) -> None:
        self.is_closing = True
        self.lose(None)


class StreamWriter:
    """The sending side: a writer without a transport."""

    def __init__(self, connection: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._connection.names.get(name, default)

    def write(self, data: Any) -> None:
        data = bytes(memoryview(data))
        if self.is_closing():
            return
        if self._connection.has_written_eof:
            raise RuntimeError("write() after write_eof()")
        self._connection.write(data)

    def writelines(self, data: Any) -> None:
        lines = [bytes(memoryview(each)) for each in data]
        self.write(b"".join(lines))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self.is_closing():
            self._connection.write_eof()

    async def drain(self) -> None:
        connection = self._connection
        if error := connection.reader.exception():
            raise twin(error)
        if connection.is_closing:
            await asyncio.sleep(0)
        if connection.to_send > HIGH and not connection.is_lost:
            while connection.to_send > LOW and not connection.is_lost:
                await connection.room.wait()
        if connection.is_lost:
            if connection.error is not None:
                raise twin(connection.error)
            raise ConnectionResetError("the connection is closed")

    def close(self) -> None:
        self._connection.close()

    def is_closing(self) -> bool:
        closing: bool = self._connection.is_closing
        return closing

    async def wait_closed(self) -> None:
        connection = self._connection
        while not connection.is_lost:
            await connection.end.wait()
        if connection.error is not None:
            raise twin(connection.error)

    def __del__(self) -> None:
        if not self.is_closing() and not self._loop.is_closed():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2)
            self.close()


class Accepting:
    """Plays the loop's server: listening sockets, and a task for each that accepts."""

    def __init__(self, server: Server, sockets: list[socket.socket], backlog: int) -> None:
        self.server = server
        self.sockets = sockets
        self.backlog = backlog
        self.limit = server.limit
        self.tasks: list[asyncio.Task[None]] = []

    def is_serving(self) -> bool:
        return bool(self.tasks)

    async def start_serving(self) -> None:
        if not self.tasks:
            for sock in self.sockets:
                sock.listen(self.backlog)
                self.tasks.append(asyncio.ensure_future(self.accept(sock)))

    async def accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            self.server.serve(Connection(sock, StreamReader(self.limit), self.server))

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for sock in self.sockets:  # once the tasks no longer use them
            self.server.get_loop().call_soon(sock.close)

    async def wait_closed(self) -> None:
        await asyncio.sleep(0)  # in which the sockets are closed


class Streams:
    """The names of the streams page, and the ones that are lacking."""

    without = frozenset(
        {"StreamWriter.transport", "StreamWriter.start_tls", "memory", "tls-memory"}
        | {f"{function}.{option}" for function in OPENING + SERVING for option in TLS}
        | {f"{function}.server_hostname" for function in OPENING}
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
        **options: Any,
    ) -> tuple[StreamReader, StreamWriter]:
        reader = StreamReader(limit)
        if (sock is None) == (host is None and port is None):
            raise ValueError("open_connection() takes a host and a port, or a socket")
        if sock is None:
            sock = await connecting.tcp_socket(host, port, **options)
        elif sock.type != socket.SOCK_STREAM:
            raise ValueError("open_connection() takes a stream socket")
        return reader, StreamWriter(Connection(sock, reader, None))

    async def open_unix_connection(
        self, path: Any = None, *, limit: int = LIMIT, sock: Any = None
    ) -> tuple[StreamReader, StreamWriter]:
        reader = StreamReader(limit)
        if (sock is None) == (path is None):
            raise ValueError("open_unix_connection() takes a path, or a socket")
        if sock is None:
            sock = await connecting.unix_socket(path)
        elif sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
            raise ValueError("open_unix_connection() takes a Unix stream socket")
        return reader, StreamWriter(Connection(sock, reader, None))

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
        **options: Any,
    ) -> Server:
        server = Server(self, client_connected_cb, limit, keep_alive)
        if sock is None:
            sockets = await listening.tcp_sockets(host, port, **options)
        elif host is not None or port is not None:
            raise ValueError("start_server() takes a host and a port, or a socket")
        elif sock.type != socket.SOCK_STREAM:
            raise ValueError("start_server() takes a stream socket")
        else:
            sock.setblocking(False)
            sockets = [sock]
        server.begin(Accepting(server, sockets, backlog))
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
        sock.setblocking(False)
        at_close = remover(sock.getsockname()) if cleanup_socket else lambda: None
        server.begin(Accepting(server, [sock], backlog), at_close)
        if start_serving:
            await server.start_serving()
        return server


streams = Streams()
