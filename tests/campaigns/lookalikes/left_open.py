"""A lookalike that takes the other choice where the page leaves one.

Without a host, `open_connection()` connects to one loopback address. A server without a host
listens on all interfaces, whatever the `flags`. The file of a Unix socket that was passed in stays.
Errors have classes that no page names. A transport pauses one byte after the limit.
"""

import ssl
from typing import Any

from .plain import StreamReader, Streams, StreamWriter


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


class Reader(StreamReader):
    """A reader that applies back pressure as soon as more than the limit is unread."""

    def _hold_back(self) -> None:
        limit, self._limit = self._limit, self._limit // 2
        super()._hold_back()
        self._limit = limit


class Writer(StreamWriter):
    """A writer whose upgrade has errors of its own."""

    async def start_tls(self, *args: Any, **options: Any) -> None:
        try:
            await super().start_tls(*args, **options)
        except OSError as error:
            raise translated(error) from None


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
        if not host and options.get("sock") is None:
            options.pop("flags", None)
        try:
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


streams = Choice(Reader)
streams.StreamWriter = Writer
