"""The four functions that make streams."""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
from collections.abc import Sequence
from typing import Any, Unpack

from . import _compat, _tls
from ._options import OpenOptions, OpenUnixOptions, ServeOptions, ServeUnixOptions
from ._protocol import ClientConnected, ReceivingProtocol
from ._reader import DEFAULT_LIMIT, StreamReader
from ._server import Server
from ._writer import StreamWriter

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


_TIMEOUTS = ("ssl_handshake_timeout", "ssl_shutdown_timeout")
_TLS = ("server_hostname", *_TIMEOUTS)


async def open_connection(
    host: str | bytes | None = None,
    port: int | str | bytes | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Unpack[OpenOptions],
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
        ValueError: arguments exclude or need each other; a *limit* or a timeout is not positive; an
            *ssl* context checks host names, and there is no name to check.
        TypeError: an argument has the wrong type or name.
    """
    loop: Any = asyncio.get_running_loop()
    reader, protocol = _client(limit, loop)
    options: dict[str, Any] = kwds  # type: ignore[assignment]
    if not options:  # a call through `_compat` costs a hundredth of a connection on uvloop
        transport, _ = await loop.create_connection(lambda: protocol, host, port)
    else:
        _check_client_tls(options, host)
        transport = await _compat.create_connection(loop, protocol, host, port, **options)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(
    path: Path | None = None, *, limit: int = DEFAULT_LIMIT, **kwds: Unpack[OpenUnixOptions]
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
    options: dict[str, Any] = {**kwds}
    loop = asyncio.get_running_loop()
    _client(limit, loop)
    _check_client_tls(options, None)
    context = options.pop("ssl", None) if path is not None and options.get("sock") is None else None
    tls = {name: options.pop(name, None) for name in _TLS} if context else {}
    transport, (reader, protocol) = await _compat.create_unix_connection(
        loop, lambda: _client(limit, loop), path, **options
    )
    if context:
        context = ssl_module.create_default_context() if context is True else context
        transport = await _tls.upgrade(
            loop, transport, protocol, reader, context, server_side=False, **tls
        )
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: ClientConnected,
    host: str | bytes | Sequence[str | bytes] | None = None,
    port: int | str | bytes | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Unpack[ServeOptions],
) -> Server:
    """Serve over TCP (asyncio-stream, 3.15).

    Args:
        client_connected_cb: called with the reader and the writer of each new connection; a
            coroutine that it returns runs as a task. If it fails or is cancelled, the server closes
            the connection, and reports a failure to the loop's exception handler.
        host: address or name, or several of them; all interfaces by default.
        port: number or service name; a free port by default.
        limit: the readers' limit in bytes; 64 KiB by default.
        kwds: as for `loop.create_server()`: *family*, *flags*, *sock*, *backlog* (100 by default),
            *ssl*, *reuse_address*, *reuse_port*, *keep_alive*, *ssl_handshake_timeout* (seconds, 60
            by default), *ssl_shutdown_timeout* (seconds, 30 by default), *start_serving* (True by
            default).

    Returns:
        The server, which owns *sock*, if that was given.

    Raises:
        OSError: it cannot listen there.
        ValueError: arguments exclude or need each other; a *limit* or a timeout is not positive.
        TypeError: *client_connected_cb* is not callable, or another argument has the wrong type or
            name.
    """
    options: dict[str, Any] = {**kwds}
    server, serving = _server(client_connected_cb, limit, options)
    if isinstance(host, list | tuple) and not host:
        raise OSError("could not bind on any address out of []")  # before 3.13, and uvloop: none
    loop = server.get_loop()
    listener = await _compat.create_server(loop, server._protocol, host, port, **options)
    return await server._begin(listener, None, **serving)


async def start_unix_server(
    client_connected_cb: ClientConnected,
    path: Path | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    cleanup_socket: bool = True,
    **kwds: Unpack[ServeUnixOptions],
) -> Server:
    """Serve over a Unix socket (asyncio-stream, 3.15).

    Args:
        client_connected_cb: as for `start_server()`.
        path: the socket's path; an abstract one begins with a zero byte.
        limit: the readers' limit in bytes; 64 KiB by default.
        cleanup_socket: whether closing the server removes the socket's file, unless another file
            has taken its place; True by default.
        kwds: as for `loop.create_unix_server()`: *sock*, *backlog* (100 by default), *ssl*,
            *ssl_handshake_timeout* (seconds, 60 by default), *ssl_shutdown_timeout* (seconds, 30
            by default), *start_serving* (True by default).

    Returns:
        The server, which owns *sock*, if that was given.

    Raises:
        OSError, ValueError, TypeError: as for `start_server()`.
    """
    options: dict[str, Any] = {**kwds}
    server, serving = _server(client_connected_cb, limit, options)
    listener, cleanup = await _compat.create_unix_server(
        server.get_loop(), server._protocol, path, cleanup_socket=cleanup_socket, **options
    )
    return await server._begin(listener, cleanup, **serving)


def _client(limit: int, loop: asyncio.AbstractEventLoop) -> tuple[StreamReader, ReceivingProtocol]:
    reader = StreamReader(limit, loop)
    return reader, ReceivingProtocol(reader, loop=loop)


def _server(
    client_connected_cb: ClientConnected, limit: int, kwds: dict[str, Any]
) -> tuple[Server, dict[str, Any]]:
    """Make the server, after the checks that would otherwise fail with the first connection.

    Also return the arguments with which it serves. Those with which the loop listens stay in
    *kwds*.
    """
    loop = asyncio.get_running_loop()
    if not callable(client_connected_cb):
        raise TypeError(f"client_connected_cb must be callable, not {client_connected_cb!r}")
    StreamReader(limit, loop)
    serving: dict[str, Any] = {
        name: kwds[name] for name in ("backlog", "start_serving") if name in kwds
    }
    kwds.pop("start_serving", None)
    context = kwds.pop("ssl", None)
    if context is None:
        return Server(client_connected_cb, limit, loop, None), serving
    if not isinstance(context, ssl_module.SSLContext):
        raise TypeError("ssl argument must be an SSLContext or None")
    timeouts = {name: kwds.pop(name, None) for name in _TIMEOUTS}
    _tls.check(None, None, *timeouts.values())
    tls = {"sslcontext": context, **timeouts}
    return Server(client_connected_cb, limit, loop, tls), serving


def _check_client_tls(kwds: dict[str, Any], host: str | bytes | None) -> None:
    """Refuse arguments that would otherwise fail when the connection is already made."""
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
