"""The four functions that streams come from."""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
from collections.abc import Sequence
from typing import Any

from . import _compat, _tls
from ._protocol import ClientConnected, StreamReaderProtocol
from ._reader import DEFAULT_LIMIT, StreamReader
from ._server import Server
from ._writer import StreamWriter

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


async def open_connection(
    host: str | bytes | None = None,
    port: int | str | bytes | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> tuple[StreamReader, StreamWriter]:
    """Connect over TCP (asyncio-stream, 3.15).

    Args:
        host: name or address.
        port: number or service name.
        limit: the reader's limit in bytes; 64 KiB by default.
        kwds: as for `loop.create_connection()`: *ssl*, *family*, *proto*, *flags*, *sock*,
            *local_addr*, *server_hostname*, *ssl_handshake_timeout* (seconds, 60 by default),
            *ssl_shutdown_timeout* (seconds, 30 by default), *happy_eyeballs_delay* (seconds),
            *interleave*.

    Returns:
        The reader and the writer of the connection. The writer owns *sock*, if that was given.

    Raises:
        OSError: no connection could be made.
        ssl.SSLError: the TLS handshake failed.
        ValueError: arguments that exclude or need each other; a *limit* or a timeout that is not
            positive; an *ssl* context that checks host names without one to check.
        TypeError: an argument of the wrong type or name.

    """
    loop = asyncio.get_running_loop()
    reader, protocol = _client(limit, loop)
    _check_client_tls(kwds, host)
    transport = await _compat.create_connection(loop, protocol, host, port, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(
    path: Path | None = None, *, limit: int = DEFAULT_LIMIT, **kwds: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect over a Unix socket (asyncio-stream, 3.15).

    Args:
        path: the socket's path; an abstract one begins with a zero byte.
        limit: the reader's limit in bytes; 64 KiB by default.
        kwds: as for `loop.create_unix_connection()`: *ssl*, *sock*, *server_hostname*,
            *ssl_handshake_timeout* (seconds, 60 by default), *ssl_shutdown_timeout* (seconds, 30
            by default).

    Returns:
        The reader and the writer of the connection. The writer owns *sock*, if that was given.

    Raises:
        OSError, ssl.SSLError, ValueError, TypeError: as for `open_connection()`.

    """
    loop = asyncio.get_running_loop()
    reader, protocol = _client(limit, loop)
    _check_client_tls(kwds, None)
    transport = await _compat.create_unix_connection(loop, protocol, path, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: ClientConnected,
    host: str | bytes | Sequence[str | bytes] | None = None,
    port: int | str | bytes | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> Server:
    """Serve over TCP (asyncio-stream, 3.15).

    Args:
        client_connected_cb: called with the reader and the writer of each new connection; a
            coroutine that it returns is run as a task. If it fails or is cancelled the connection
            is closed, and a failure is reported to the loop's exception handler.
        host: address or name, or several of them; all interfaces by default.
        port: number or service name; one that is free by default.
        limit: the readers' limit in bytes; 64 KiB by default.
        kwds: as for `loop.create_server()`: *family*, *flags*, *sock*, *backlog* (100 by default),
            *ssl*, *reuse_address*, *reuse_port*, *keep_alive*, *ssl_handshake_timeout* (seconds, 60
            by default), *ssl_shutdown_timeout* (seconds, 30 by default), *start_serving* (True by
            default).

    Returns:
        The server, which owns *sock*, if that was given.

    Raises:
        OSError: it cannot listen there.
        ValueError: arguments that exclude or need each other; a *limit* or a timeout that is not
            positive.
        TypeError: *client_connected_cb* cannot be called, or another argument of the wrong type or
            name.

    """
    server = _server(client_connected_cb, limit, kwds)
    if isinstance(host, list | tuple) and not host:
        raise OSError("could not bind on any address out of []")  # before 3.13, and uvloop: none
    listener = await _compat.create_server(server.get_loop(), server._protocol, host, port, **kwds)
    return server._listen(listener)


async def start_unix_server(
    client_connected_cb: ClientConnected,
    path: Path | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    cleanup_socket: bool = True,
    **kwds: Any,
) -> Server:
    """Serve over a Unix socket (asyncio-stream, 3.15).

    Args:
        client_connected_cb: as for `start_server()`.
        path: the socket's path; an abstract one begins with a zero byte.
        limit: the readers' limit in bytes; 64 KiB by default.
        cleanup_socket: remove the socket's file when the server is closed, unless something else
            is in its place by then; True by default.
        kwds: as for `loop.create_unix_server()`: *sock*, *backlog* (100 by default), *ssl*,
            *ssl_handshake_timeout* (seconds, 60 by default), *ssl_shutdown_timeout* (seconds, 30
            by default), *start_serving* (True by default).

    Returns:
        The server, which owns *sock*, if that was given.

    Raises:
        OSError, ValueError, TypeError: as for `start_server()`.

    """
    server = _server(client_connected_cb, limit, kwds)
    listener, cleanup = await _compat.create_unix_server(
        server.get_loop(), server._protocol, path, cleanup_socket=cleanup_socket, **kwds
    )
    return server._listen(listener, cleanup)


def _client(
    limit: int, loop: asyncio.AbstractEventLoop
) -> tuple[StreamReader, StreamReaderProtocol]:
    reader = StreamReader(limit, loop)
    return reader, StreamReaderProtocol(reader)


def _server(client_connected_cb: ClientConnected, limit: int, kwds: dict[str, Any]) -> Server:
    """Make the server, after the checks that would otherwise fail with the first connection."""
    loop = asyncio.get_running_loop()
    if not callable(client_connected_cb):
        raise TypeError(f"client_connected_cb must be callable, not {client_connected_cb!r}")
    StreamReader(limit, loop)
    context = kwds.get("ssl")
    if context is not None:
        if not isinstance(context, ssl_module.SSLContext):
            raise TypeError("ssl argument must be an SSLContext or None")
        _tls.check(None, None, kwds.get("ssl_handshake_timeout"), kwds.get("ssl_shutdown_timeout"))
    return Server(client_connected_cb, limit, loop)


def _check_client_tls(kwds: dict[str, Any], host: str | bytes | None) -> None:
    """Refuse what would otherwise fail when the connection is already made."""
    context = kwds.get("ssl")
    if not context:
        return  # the loop refuses the other arguments of TLS
    if context is not True and not isinstance(context, ssl_module.SSLContext):
        raise TypeError("ssl argument must be an SSLContext, True or None")
    name = kwds.get("server_hostname")
    if name is None and not host:
        raise ValueError("You must set server_hostname when using ssl without a host")
    if context is True and name == "":
        raise ValueError("check_hostname requires server_hostname")
    _tls.check(
        context,
        "host" if name is None else name,
        kwds.get("ssl_handshake_timeout"),
        kwds.get("ssl_shutdown_timeout"),
    )
