"""A lookalike that takes the other choice where the page leaves one.

Without a host, `open_connection()` connects to one loopback address. A server without a host
listens on all interfaces, whatever the `flags`, with one socket for both families. The file of a
Unix socket that was passed in stays. Errors have classes that no page names. A transport pauses one
byte after the limit. Only the coroutines of coroutine functions are made tasks. An upgraded
connection of a server does not wait for the peer's close_notify. (A client that does not wait may
leave session tickets unread, for which the kernel resets the connection.)
"""

import asyncio
import inspect
import socket
import ssl
from typing import Any

from .plain import Protocol, Server, StreamReader, Streams, StreamWriter


class Refused(OSError):
    """An error of an operating system that has only one."""


class Broken(Exception):
    """An error of a TLS library."""


def translated(error: Exception) -> Exception:
    """Return the exception to raise instead of `error`."""
    if isinstance(error, ssl.SSLError):
        return Broken(str(error))
    if isinstance(error, OSError):
        return Refused(*error.args)
    return error


def for_both_families(
    port: int | None, family: int = 0, reuse_address: Any = None, reuse_port: Any = None
) -> socket.socket:
    """Return a socket that is bound to a port on all interfaces."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if reuse_address is not False:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("::", port or 0))
    except BaseException:
        sock.close()
        raise
    return sock


class Reader(StreamReader):
    """A reader that applies back pressure as soon as more than the limit is unread."""

    def _hold_back(self) -> None:
        limit, self._limit = self._limit, self._limit // 2
        super()._hold_back()
        self._limit = limit


class Writer(StreamWriter):
    """A writer whose upgrade has errors of its own, and ends without an answer."""

    async def start_tls(self, *args: Any, **options: Any) -> None:
        try:
            await super().start_tls(*args, **options)
        except OSError as error:
            raise translated(error) from None
        layer = self.transport._layer
        layer.waits = not layer.tls.server_side


class CoroutineFunctions(Server):
    """A server that runs the coroutines of coroutine functions."""

    def call(self, callback: Any, reader: StreamReader, writer: StreamWriter) -> Any:
        if inspect.iscoroutinefunction(callback):
            return callback(reader, writer)
        if asyncio.iscoroutine(result := callback(reader, writer)):
            result.close()  # or there is a warning that nobody awaited it
        return None


class Choice(Streams):
    """The four functions, with the other choice."""

    async def open_connection(self, host: Any = None, port: Any = None, **options: Any) -> Any:
        if host is None and port is not None and options.get("sock") is None:
            host = "127.0.0.1"
        try:
            return await super().open_connection(host, port, **options)
        except OSError as error:
            raise translated(error) from None

    async def open_unix_connection(self, path: Any = None, **options: Any) -> Any:
        try:
            return await super().open_unix_connection(path, **options)
        except OSError as error:
            raise translated(error) from None

    async def start_server(
        self, client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        everywhere = host in (None, "") and options.get("sock") is None
        if everywhere:
            options.pop("flags", None)
        is_open = isinstance(port, int | None) and not options.get("family")
        try:
            if everywhere and is_open and socket.has_dualstack_ipv6():
                names = {"family", "reuse_address", "reuse_port"} & options.keys()
                given = {name: options.pop(name) for name in names}
                options["sock"], host, port = for_both_families(port, **given), None, None
            return await super().start_server(client_connected_cb, host, port, **options)
        except OSError as error:
            raise translated(error) from None

    async def start_unix_server(
        self, client_connected_cb: Any, path: Any = None, **options: Any
    ) -> Any:
        if options.get("sock") is not None:
            options["cleanup_socket"] = False
        try:
            return await super().start_unix_server(client_connected_cb, path, **options)
        except OSError as error:
            raise translated(error) from None


streams = Choice(Reader, Protocol, Writer, CoroutineFunctions)
