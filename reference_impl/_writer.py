"""`StreamWriter`: the sending side of a stream, and the life of the connection."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterable
from typing import Any

from . import _compat, _tls
from ._errors import fresh
from ._exchange import Exchangeable
from ._flow_control import FlowControlMixin
from ._reader import let_close
from ._tls import CHUNK

_ALL_BYTES = {bytes}
_CLOSE_WAITER = FlowControlMixin._get_close_waiter
_DRAIN_HELPER = FlowControlMixin._drain_helper


class StreamWriter(asyncio.StreamWriter, metaclass=Exchangeable):
    """The sending side of a stream (asyncio-stream, 3.15).

    It is an `asyncio.StreamWriter` in the way that `StreamReader` is an `asyncio.StreamReader`.

    Writers come from `open_connection()` and `start_server()`.

    Args:
        transport: the transport to which it writes.
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
        reader: asyncio.StreamReader | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport = transport
        self._protocol: Any = protocol
        self._reader = reader
        self._loop = loop
        # The protocol, if it waits as a `FlowControlMixin` does: then `drain()` can check it
        # without a call. Finding this out again each time takes a fifteenth of a small write with
        # `drain()`.
        self._reference_own: Any = None
        kind: Any = type(protocol)
        try:
            if kind._drain_helper is _DRAIN_HELPER and kind._get_close_waiter is _CLOSE_WAITER:
                self._reference_own = protocol
        except AttributeError:
            pass  # a user's own; on 3.15 getattr() takes seven times as long

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
        """Return the transport's information *name*, e.g. ``"peername"``, or *default*."""
        try:
            return self._transport.get_extra_info(name, default)
        except AttributeError:
            return default  # uvloop's transports ask a socket that is already gone

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, now or as soon as possible; pair it with `drain()`.

        Raises:
            TypeError: *data* is not bytes, a bytearray or a C-contiguous memoryview.
            RuntimeError: `write_eof()` was called.
        """
        if type(data) is not bytes:
            data = _frozen(data)
        transport = self._transport
        try:
            if len(data) <= CHUNK or not _tls.is_tls(transport):
                transport.write(data)
            else:
                # TLS transports pass on all of a write, and notice only at the next one that it was
                # too much. drain() has to know earlier.
                view = memoryview(data)
                for start in range(0, len(data), CHUNK):
                    transport.write(view[start : start + CHUNK])
        except RuntimeError:
            if not transport.is_closing():
                raise  # on a closed connection uvloop raises; drain() should report it

    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send every item of *data* as `write()` does; none, if one of them is wrong.

        Raises:
            TypeError: *data* is not iterable, or an item is not what `write()` takes.
            RuntimeError: `write_eof()` was called.
        """
        items: Any = data if type(data) in (list, tuple) else list(data)
        if _compat.should_join(self._transport, items):
            self.write(b"".join(items))  # it takes bytes, too
            return
        if not _ALL_BYTES.issuperset(map(type, items)):
            items = [_frozen(item) for item in items]
        if not all(items):  # transports differ in what their writelines() does with empty items
            items = [item for item in items if item]
        if sum(map(len, items)) > CHUNK and _tls.is_tls(self._transport):
            self.write(b"".join(items))
            return
        try:
            self._transport.writelines(items)
        except RuntimeError:
            if not self._transport.is_closing():
                raise  # as in write()

    def can_write_eof(self) -> bool:
        """Return whether `write_eof()` works on this transport."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Close the sending half after the buffered data is sent.

        Raises:
            NotImplementedError: the transport cannot, e.g. because it does TLS.
        """
        try:
            self._transport.write_eof()
        except NotImplementedError:  # a RuntimeError, too
            raise
        except RuntimeError:
            if not self._transport.is_closing():
                raise  # on a closed connection uvloop raises; drain() should report it
        except OSError:
            pass  # the peer's reset, which the loop has not noticed yet; reads report it

    async def drain(self) -> None:
        """Wait until it is appropriate to write more (asyncio-stream, 3.15).

        Raises:
            ConnectionResetError: the connection is closed.
            OSError: or another error that ended the connection.
        """
        if self._reader is not None:
            error = self._reader.exception()
            if error is not None:
                raise fresh(error)
        if self._transport.is_closing():
            # The protocol may not know of the loss yet. Give it a turn: otherwise a loop of write()
            # and drain() on a closed connection never yields and never ends.
            await asyncio.sleep(0)
        protocol = self._protocol
        if protocol is not self._reference_own or protocol._paused or protocol._connection_lost:
            await protocol._drain_helper()

    def close(self) -> None:
        """Close the connection after the buffered data is sent."""
        let_close(self._reader)
        close(self._transport)

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or is being closed."""
        return self._transport.is_closing()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed (asyncio-stream, 3.15).

        Raises:
            OSError: or another error that ended the connection.
        """
        protocol = self._protocol
        if protocol is self._reference_own:
            if not protocol._connection_lost:
                waiter = protocol._reference_close_waiter()
                try:
                    await waiter
                except BaseException:
                    del protocol._reference_closing[waiter]
                    raise
            elif protocol._reference_error is not None:
                raise fresh(protocol._reference_error)
            return
        closed: Any = protocol._get_close_waiter(self)
        if not asyncio.isfuture(closed):
            await closed  # of a user's own protocol
            return
        if not closed.done():
            # Not `await closed`: the future may be shared, and a cancellation of this call must not
            # cancel it.
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

        Bytes that were received and not yet read count as the beginning of the handshake. Data
        written meanwhile is sent over TLS, when the handshake is done.

        Args:
            sslcontext: the TLS settings.
            server_hostname: the name that the server's certificate must be for.
            ssl_handshake_timeout: seconds; 60 by default.
            ssl_shutdown_timeout: seconds; 30 by default.

        Raises:
            TypeError: *sslcontext* is not an `ssl.SSLContext`.
            ValueError: *sslcontext* checks host names and *server_hostname* is missing, or a
                timeout is not positive. The connection stays as it was.
            ssl.SSLError: the handshake failed. The connection is closed.
            OSError: the connection was closed, or the handshake took too long.
        """
        # The loop checks the type of *sslcontext*, unless a test has replaced the loop.
        _tls.check(sslcontext, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        await self.drain()
        holding: Any = _tls.Holding(self._transport)
        self._transport = holding
        try:
            secured = await _tls.upgrade(
                self._loop,
                holding.below,
                self._protocol,
                self._reader,
                sslcontext,
                server_side=getattr(self._protocol, "_client_connected_cb", None) is not None,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        except BaseException:
            self._transport = holding.below
            raise
        self._transport = secured
        holding.release(secured)

    def __del__(self, warn: Any = warnings.warn) -> None:
        """Warn if the connection was not closed, and close it."""
        if not self._transport.is_closing():
            if self._loop.is_closed():
                warn("loop is closed", ResourceWarning)
            else:
                self.close()
                warn(f"unclosed {self!r}", ResourceWarning)


def close(transport: Any) -> None:
    """Close *transport*, unless it says that it is: twice breaks asyncio's TLS transports."""
    if transport.is_closing() is not True:  # what a mock says is true, and no answer
        transport.close()


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
