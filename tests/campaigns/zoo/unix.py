"""Broken Unix streams, argument by argument."""

import asyncio
import errno
import os
import socket
import ssl as ssl_module
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .connecting import Wrapped
from .sound import open_unix_connection, start_unix_server
from .specimen import NOTHING, Seen, Specimen, specimen


def opening(name: str, *fails: str, seen: Seen = NOTHING) -> Specimen:
    """Return a specimen that ignores an argument of `open_unix_connection()`."""

    async def broken(path: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await open_unix_connection(path, **options)

    broken.__name__ = f"opens_without_{name}"
    fault = f"open_unix_connection() ignores `{name}`."
    return specimen(fault, *fails, seen=seen, replaces=open_unix_connection)(broken)


def serving(name: str, *fails: str, seen: Seen = NOTHING) -> Specimen:
    """Return a specimen that ignores an argument of `start_unix_server()`."""

    async def broken(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await start_unix_server(client_connected_cb, path, **options)

    broken.__name__ = f"serves_without_{name}"
    fault = f"start_unix_server() ignores `{name}`."
    return specimen(fault, *fails, seen=seen, replaces=start_unix_server)(broken)


opens_without_limit = opening(
    "limit",
    "unix.open.limit.given",
    "reader.errors.pickle",
    seen="b'xxxx",
)


@specimen(
    "A socket has to be non-blocking, or is refused.",
    "unix.open.sock.blocking",
    replaces=open_unix_connection,
    seen="ValueError: the socket must be",
)
async def refuses_blocking_sockets(path: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await open_unix_connection(path, **options)


@specimen(
    "A listening socket has to be non-blocking, or is refused.",
    "unix.serve.sock.blocking",
    replaces=start_unix_server,
    seen="ValueError: the socket must be",
)
async def refuses_blocking_listeners(
    client_connected_cb: Any, path: Any = None, **options: Any
) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await start_unix_server(client_connected_cb, path, **options)


@specimen(
    "Without server_hostname, the certificate has to be for localhost.",
    "unix.open.ssl.server-hostname.required",
    "unix.open.ssl.server-hostname.required-to-check",
    replaces=open_unix_connection,
    seen={
        "unix.open.ssl.server-hostname.required": "a hang",
        "unix.open.ssl.server-hostname.required-to-check": "a hang",
    },
)
async def calls_itself_localhost(path: Any = None, **options: Any) -> Any:
    if options.get("ssl"):
        options.setdefault("server_hostname", "localhost")
    return await open_unix_connection(path, **options)


opens_without_sock = opening(
    "sock",
    "unix.open.sock.is-used",
    seen="ValueError: open_unix_connection() takes",
)
opens_without_ssl_handshake_timeout = opening(
    "ssl_handshake_timeout",
    "unix.open.ssl.handshake-timeout",
    seen="a hang",
)
opens_without_ssl_shutdown_timeout = opening(
    "ssl_shutdown_timeout",
    "unix.open.ssl.shutdown-timeout",
    seen="a hang",
)
serves_without_limit = serving(
    "limit",
    "unix.serve.limit.given",
    seen="b'xxxx",
)
serves_without_sock = serving(
    "sock",
    "unix.serve.sock.is-used",
    seen="ValueError: path was not specified, and",
)
serves_without_backlog = serving(
    "backlog",
    "unix.serve.backlog",
    seen="backlog",
)
serves_without_start_serving = serving(
    "start_serving",
    "unix.serve.start-serving.false",
    "server.is-serving",
    seen="clients before the server was started: 1",
)
serves_without_ssl = serving(
    "ssl",
    "unix.serve.ssl",
    "unix.serve.ssl.handshake-timeout",
    "unix.serve.ssl.shutdown-timeout",
    seen="a hang",
)
serves_without_ssl_handshake_timeout = serving(
    "ssl_handshake_timeout",
    "unix.serve.ssl.handshake-timeout",
    seen="a hang",
)
serves_without_ssl_shutdown_timeout = serving(
    "ssl_shutdown_timeout",
    "unix.serve.ssl.shutdown-timeout",
    seen="a hang",
)
serves_without_cleanup_socket = serving(
    "cleanup_socket",
    "unix.cleanup-socket.false",
    seen="socket in the file system: False",
)


# open_unix_connection()


def opens(fault: str, *fails: str, seen: Seen = NOTHING) -> Callable[[Any], Specimen]:
    """Make a specimen of a function that replaces `open_unix_connection()`."""
    return specimen(fault, *fails, seen=seen, replaces=open_unix_connection)


@opens(
    "The reader of open_unix_connection() is a wrapper, not a StreamReader.",
    "unix.open.returns-a-pair",
    seen="<class 'campaigns.zoo.connecting.Wrapped'>",
)
async def opens_wrapped(path: Any = None, **options: Any) -> Any:
    reader, writer = await open_unix_connection(path, **options)
    return Wrapped(reader), writer


@opens(
    "The parameter of open_unix_connection() for the path has the name `address`.",
    "unix.open.path.positional-or-keyword",
    seen="TypeError: Streams.open_unix_connection()",
)
async def names_it_address(address: Any = None, **options: Any) -> Any:
    return await open_unix_connection(address, **options)


@opens(
    "open_unix_connection() takes the limit as a positional argument.",
    "unix.open.options.keyword-only",
    seen="no exception",
)
async def opens_with_limit_by_position(path: Any = None, limit: int = 65536, **options: Any) -> Any:
    return await open_unix_connection(path, limit=limit, **options)


@opens(
    "The limit of open_unix_connection() is 32 KiB by default.",
    "unix.open.limit.default",
    seen="LimitOverrunError: the separator comes",
)
async def opens_with_smaller_limit(
    path: Any = None, *, limit: int = 32 * 1024, **options: Any
) -> Any:
    return await open_unix_connection(path, limit=limit, **options)


@opens(
    "open_unix_connection() decodes a path of bytes as UTF-8.",
    "unix.open.path.bytes",
    seen="UnicodeDecodeError: 'utf-8' codec can't",
)
async def opens_text_only(path: Any = None, **options: Any) -> Any:
    path = path.decode() if isinstance(path, bytes) else path
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() refuses path-like objects.",
    "unix.open.path.path-like",
    seen="TypeError: path should be str or bytes",
)
async def opens_strings_only(path: Any = None, **options: Any) -> Any:
    if isinstance(path, os.PathLike):
        raise TypeError("path should be str or bytes")
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() checks that the file exists before it connects.",
    "unix.open.path.abstract",
    "unix.open.sock.excludes-a-path",
    seen="FileNotFoundError: [Errno 2] No such file",
)
async def looks_for_a_file(path: Any = None, **options: Any) -> Any:
    if path is not None and not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() raises ConnectionRefusedError for any fault of the path.",
    "unix.open.path.missing",
    seen="ConnectionRefusedError: [Errno 2] No such",
)
async def refused_whatever_it_is(path: Any = None, **options: Any) -> Any:
    try:
        return await open_unix_connection(path, **options)
    except FileNotFoundError as error:
        raise ConnectionRefusedError(*error.args) from None


@opens(
    "open_unix_connection() raises FileNotFoundError for any fault of the path.",
    "unix.open.refused",
    seen="FileNotFoundError: [Errno 111] Connection",
)
async def missing_whatever_it_is(path: Any = None, **options: Any) -> Any:
    try:
        return await open_unix_connection(path, **options)
    except ConnectionRefusedError as error:
        raise FileNotFoundError(*error.args) from None


left_open: list[socket.socket] = []


@opens(
    "An open_unix_connection() that fails leaves its socket open.",
    "unix.open.failed.nothing-left-open",
    seen="sockets left open: 1",
)
async def leaves_its_socket_open(path: Any = None, **options: Any) -> Any:
    try:
        return await open_unix_connection(path, **options)
    except FileNotFoundError:
        left_open.append(socket.socket(socket.AF_UNIX))
        raise


@opens(
    "open_unix_connection() without a path raises TypeError.",
    "unix.open.no-path",
    seen="TypeError: a path is needed",
)
async def needs_a_path(path: Any = None, **options: Any) -> Any:
    if path is None and options.get("sock") is None:
        raise TypeError("a path is needed")
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() copies the socket that it is given, which stays open.",
    "unix.open.sock.closed-with-the-writer",
    seen="a hang",
)
async def opens_a_copy(path: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and path is None:
        options["sock"] = options["sock"].dup()
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() accepts a socket and a path together: it ignores the path.",
    "unix.open.sock.excludes-a-path",
    seen="<campaigns.lookalikes.plain.StreamReader",
)
async def opens_the_socket(path: Any = None, **options: Any) -> Any:
    path = path if options.get("sock") is None else None
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() takes sockets of any kind.",
    "unix.open.sock.unix-only",
    seen="TypeError: a Unix socket is needed",
)
async def opens_any_socket(path: Any = None, **options: Any) -> Any:
    sock = options.get("sock")
    if path is None and sock is not None and sock.family != socket.AF_UNIX:
        raise TypeError("a Unix socket is needed")
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() accepts any certificate from a known authority, whatever its name.",
    "unix.open.ssl",
    seen="<campaigns.lookalikes.plain.StreamReader",
)
async def opens_for_any_name(path: Any = None, **options: Any) -> Any:
    context = options.get("ssl")
    if not isinstance(context, ssl_module.SSLContext) or "server_hostname" not in options:
        return await open_unix_connection(path, **options)
    context.check_hostname = False
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() with `ssl` needs no server_hostname if the context checks no names.",
    "unix.open.ssl.server-hostname.required",
    seen="a hang",
)
async def opens_without_a_name(path: Any = None, **options: Any) -> Any:
    if options.get("ssl") and not options["ssl"].check_hostname:
        options.setdefault("server_hostname", "")
    return await open_unix_connection(path, **options)


@opens(
    "open_unix_connection() without TLS ignores server_hostname.",
    "unix.open.ssl.server-hostname.without-ssl",
    seen="<campaigns.lookalikes.plain.StreamReader",
)
async def opens_by_any_name(path: Any = None, **options: Any) -> Any:
    if not options.get("ssl"):
        options.pop("server_hostname", None)
    return await open_unix_connection(path, **options)


@opens(
    "Data written to the stream of open_unix_connection() arrives in capitals.",
    "unix.open.joins-the-two-ends",
    seen="b'FROM THE IMPLEMENTATION'",
)
async def opens_in_capitals(path: Any = None, **options: Any) -> Any:
    reader, writer = await open_unix_connection(path, **options)
    write = writer.write
    writer.write = lambda data: write(bytes(data).upper())  # type: ignore[method-assign]
    return reader, writer


# start_unix_server()


def serves(fault: str, *fails: str, seen: Seen = NOTHING) -> Callable[[Any], Specimen]:
    """Make a specimen of a function that replaces `start_unix_server()`."""
    return specimen(fault, *fails, seen=seen, replaces=start_unix_server)


@serves(
    "The parameter of start_unix_server() for the callback has the name `callback`.",
    "unix.serve.arguments.positional-or-keyword",
    seen="TypeError: names_it_callback() missing 1",
)
async def names_it_callback(callback: Any, path: Any = None, **options: Any) -> Any:
    return await start_unix_server(callback, path, **options)


@serves(
    "start_unix_server() takes the limit as a positional argument.",
    "unix.serve.options.keyword-only",
    seen="no exception",
)
async def serves_with_limit_by_position(
    client_connected_cb: Any, path: Any = None, limit: int = 65536, **options: Any
) -> Any:
    return await start_unix_server(client_connected_cb, path, limit=limit, **options)


@serves(
    "The limit of start_unix_server() is 128 KiB by default.",
    "unix.serve.limit.default",
    seen="b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
)
async def serves_with_larger_limit(
    client_connected_cb: Any, path: Any = None, *, limit: int = 2**17, **options: Any
) -> Any:
    return await start_unix_server(client_connected_cb, path, limit=limit, **options)


@serves(
    "start_unix_server() decodes a path of bytes as UTF-8.",
    "unix.serve.path.bytes",
    seen="UnicodeDecodeError: 'utf-8' codec can't",
)
async def serves_text_only(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    path = path.decode() if isinstance(path, bytes) else path
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() refuses path-like objects.",
    "unix.serve.path.path-like",
    "unix.cleanup-socket.default",
    seen="TypeError: path should be str or bytes",
)
async def serves_strings_only(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    if isinstance(path, os.PathLike):
        raise TypeError("path should be str or bytes")
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() makes its path absolute, even an abstract name.",
    "unix.serve.path.abstract",
    seen="ValueError: stat: embedded null character",
)
async def serves_files_only(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    path = path if path is None else os.path.abspath(path)
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() refuses a path where a former server's socket is.",
    "unix.serve.path.stale-socket",
    seen="OSError: [Errno 98] Address already in",
)
async def minds_what_is_left(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    if path is not None and os.path.lexists(os.fsencode(path).replace(b"\0", b"@")):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() removes any file at its path.",
    "unix.serve.path.other-file",
    seen="<campaigns.lookalikes.plain.Server object",
)
async def clears_its_path(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    if path is not None and options.get("sock") is None:
        with suppress(FileNotFoundError, ValueError):
            os.unlink(path)
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() without a path raises TypeError.",
    "unix.serve.no-path",
    seen="TypeError: a path is needed",
)
async def serves_a_path(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    if path is None and options.get("sock") is None:
        raise TypeError("a path is needed")
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() copies the socket that it is given, which stays open.",
    "unix.serve.sock.closed-with-the-server",
    seen="it is open",
)
async def serves_a_copy(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and path is None:
        options["sock"] = options["sock"].dup()
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() accepts a socket and a path together: it ignores the path.",
    "unix.serve.sock.excludes-a-path",
    seen="<campaigns.lookalikes.plain.Server object",
)
async def serves_the_socket(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    path = path if options.get("sock") is None else None
    return await start_unix_server(client_connected_cb, path, **options)


@serves(
    "start_unix_server() takes sockets of any family.",
    "unix.serve.sock.unix-only",
    seen="<Server sockets=(<asyncio.TransportSocket",
)
async def serves_any_socket(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
    sock = options.get("sock")
    if path is None and sock is not None and sock.family != socket.AF_UNIX:
        loop = asyncio.get_running_loop()
        return await loop.create_server(asyncio.Protocol, sock=sock)
    return await start_unix_server(client_connected_cb, path, **options)


# Cleaning up.


def cleans_up(fault: str, *fails: str, seen: Seen = NOTHING) -> Callable[[Any], Specimen]:
    """Make a specimen of a function that removes the socket when its server is closed.

    The function takes the socket's name, its inode (None where there is no file) and how often the
    server has been closed before.
    """

    def make(remove: Callable[[str, int | None, int], None]) -> Specimen:
        async def broken(
            client_connected_cb: Any,
            path: Any = None,
            *,
            cleanup_socket: bool = True,
            **options: Any,
        ) -> Any:
            server = await start_unix_server(
                client_connected_cb, path, cleanup_socket=False, **options
            )
            name = server.sockets[0].getsockname()
            is_there = bool(name) and name[0] not in (0, "\0") and os.path.exists(name)
            inode = os.stat(name).st_ino if is_there else None
            closed = 0
            close = server.close

            def close_and_remove() -> None:
                nonlocal closed
                close()
                if cleanup_socket:
                    remove(name, inode, closed)
                closed += 1

            server.close = close_and_remove  # type: ignore[method-assign]
            return server

        broken.__name__ = remove.__name__
        broken.__module__ = remove.__module__
        return serves(fault, *fails, seen=seen)(broken)

    return make


def is_there(name: str, inode: int | None) -> bool:
    """Return whether the socket is still at its path."""
    return inode is not None and os.path.exists(name) and os.stat(name).st_ino == inode


@cleans_up("None: it shows that `cleans_up()` breaks nothing by itself.")
def removes_its_own(name: str, inode: int | None, closed: int) -> None:
    if not closed and is_there(name, inode):
        os.unlink(name)


@cleans_up(
    "A Unix server does not remove its socket.",
    "unix.cleanup-socket.default",
    seen="socket in the file system: True",
)
def removes_nothing(name: str, inode: int | None, closed: int) -> None:
    pass


@cleans_up(
    "A Unix server removes any file at its path when it is closed.",
    "unix.cleanup-socket.replaced",
    seen="FileNotFoundError: [Errno 2] No such file",
)
def removes_its_successor(name: str, inode: int | None, closed: int) -> None:
    if not closed and inode is not None and os.path.exists(name):
        os.unlink(name)


@cleans_up(
    "A Unix server removes its socket each time that it is closed.",
    "unix.cleanup-socket.once",
    seen="socket in the file system: False",
)
def removes_it_again(name: str, inode: int | None, closed: int) -> None:
    if is_there(name, inode):
        os.unlink(name)


@cleans_up(
    "Closing a Unix server fails if its socket file is gone.",
    "unix.cleanup-socket.gone",
    seen="FileNotFoundError: [Errno 2] No such file",
)
def misses_it(name: str, inode: int | None, closed: int) -> None:
    if not closed and inode is not None and os.stat(name).st_ino == inode:
        os.unlink(name)


@cleans_up(
    "Closing a Unix server takes an abstract name for a path.",
    "unix.cleanup-socket.abstract",
    "unix.serve.path.abstract",
    "unix.cleanup-socket.gone",
    seen="ValueError: unlink: embedded null",
)
def takes_it_for_a_path(name: str, inode: int | None, closed: int) -> None:
    if not closed and (inode is None or is_there(name, inode)):
        os.unlink(name)
