"""`StreamWriter`: what is to be sent, and the life of the connection."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterable
from typing import Any

from . import _tls
from ._errors import fresh
from ._reader import StreamReader
from ._tls import CHUNK


class StreamWriter:
    """The sending side of a stream (asyncio-stream, 3.15).

    Writers come from `open_connection()` and `start_server()`.

    Args:
        transport: what to write to.
        protocol: the transport's protocol: a `StreamReaderProtocol`, a `FlowControlMixin`, or one
            of asyncio's, of its subprocesses for example. The writer asks it to ``await
            _drain_helper()`` and for the future ``_get_close_waiter(writer)``.
        reader: the reader of the same connection, or None.
        loop: the event loop.

    """

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.BaseProtocol,
        reader: StreamReader | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """See the class."""
        self._transport = transport
        self._protocol: Any = protocol
        self._reader = reader
        self._loop = loop

    def __repr__(self) -> str:
        """Show the transport and the reader."""
        info = [type(self).__name__, f"transport={self._transport!r}"]
        if self._reader is not None:
            info.append(f"reader={self._reader!r}")
        return f"<{' '.join(info)}>"

    @property
    def transport(self) -> asyncio.WriteTransport:
        """The transport below; after `start_tls()`, the TLS one."""
        return self._transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under *name*, e.g. ``"peername"``, or *default*."""
        try:
            return self._transport.get_extra_info(name, default)
        except AttributeError:
            return default  # uvloop's transports ask a socket that they have no more

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, now or as soon as possible; pair it with `drain()`.

        Raises:
            TypeError: *data* is none of bytes, bytearray and C-contiguous memoryview.
            RuntimeError: `write_eof()` was called.

        """
        if type(data) is not bytes:
            data = _frozen(data)
        try:
            if len(data) <= CHUNK or self._transport.get_extra_info("sslcontext") is None:
                self._transport.write(data)
            else:
                # TLS transports pass all of a write on, and find out with the next that it was too
                # much. drain() has to know before.
                view = memoryview(data)
                for start in range(0, len(data), CHUNK):
                    self._transport.write(view[start : start + CHUNK])
        except RuntimeError:
            if not self._transport.is_closing():
                raise  # on a closed connection uvloop raises; it is for drain() to say

    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send every item of *data* as `write()` does; none, if one of them is wrong.

        Raises:
            TypeError: *data* is not iterable, or an item is not what `write()` takes.
            RuntimeError: `write_eof()` was called.

        """
        # Transports differ in what their writelines() does with empty items and high water.
        self.write(b"".join([_frozen(item) for item in data]))

    def can_write_eof(self) -> bool:
        """Return whether `write_eof()` works on this transport."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Close the sending half after what was written is sent.

        Raises:
            NotImplementedError: the transport cannot, e.g. because it does TLS.

        """
        try:
            self._transport.write_eof()
        except RuntimeError:
            if not self._transport.is_closing():
                raise  # on a closed connection uvloop raises; it is for drain() to say

    async def drain(self) -> None:
        """Wait until it is appropriate to write more; at once if it is (asyncio-stream, 3.15).

        Raises:
            ConnectionResetError: the connection is closed.
            OSError: or whatever the connection was lost with.

        """
        if self._reader is not None:
            error = self._reader.exception()
            if error is not None:
                raise fresh(error)
        if self._transport.is_closing():
            # The protocol may have yet to hear of the loss. Let it, or a loop of write() and
            # drain() on a closed connection would never yield and never end.
            await asyncio.sleep(0)
        await self._protocol._drain_helper()

    def close(self) -> None:
        """Close the connection after what was written is sent."""
        if isinstance(self._reader, StreamReader):
            self._reader._let_close()
        if not self._transport.is_closing():  # a second close() breaks asyncio's TLS transports
            self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or is being closed."""
        return self._transport.is_closing()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed (asyncio-stream, 3.15).

        Raises:
            OSError: or whatever the connection was lost with.

        """
        closed: asyncio.Future[None] = self._protocol._get_close_waiter(self)
        if not closed.done():
            # Not `await closed`: the future may be shared, and is not ours to cancel.
            await asyncio.wait([closed])
        error = closed.exception()
        if error is not None:
            raise fresh(error)

    async def start_tls(
        self,
        sslcontext: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Continue the connection in TLS, as server if it was accepted (asyncio-stream, 3.15).

        What was received and not yet read is taken for the beginning of the handshake.

        Args:
            sslcontext: the TLS settings.
            server_hostname: the name that the server's certificate must be for.
            ssl_handshake_timeout: seconds; 60 by default.
            ssl_shutdown_timeout: seconds; 30 by default.

        Raises:
            TypeError: *sslcontext* is not an `ssl.SSLContext`.
            ValueError: *sslcontext* checks host names and no *server_hostname* is given, or a
                timeout is not positive. The connection is as it was.
            ssl.SSLError: the handshake failed. The connection is closed.
            OSError: the connection was closed, or the handshake took too long.

        """
        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(
                f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
            )
        _tls.check(sslcontext, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        await self.drain()
        self._transport = await _tls.upgrade(
            self._loop,
            self._transport,
            self._protocol,
            self._reader,
            sslcontext,
            server_side=getattr(self._protocol, "_client_connected_cb", None) is not None,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    def __del__(self, warn: Any = warnings.warn) -> None:
        """Warn if the connection was not closed, and close it."""
        if not self._transport.is_closing():
            if self._loop.is_closed():
                warn("loop is closed", ResourceWarning)
            else:
                self.close()
                warn(f"unclosed {self!r}", ResourceWarning)


def _frozen(data: bytes | bytearray | memoryview) -> bytes:
    """Return *data* as bytes that stay as they are while they wait to be sent."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, memoryview) and not data.c_contiguous:
        raise TypeError("data argument must be a C-contiguous memoryview")
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(
        "data argument must be a bytes, bytearray, or memoryview object, "
        f"not {type(data).__name__!r}"
    )
