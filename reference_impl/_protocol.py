"""The protocols between a transport and its reader and writer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from ._errors import Waiters
from ._reader import StreamReader
from ._writer import StreamWriter

ClientConnected = Callable[[StreamReader, StreamWriter], Any]

# Handlers at work. Loops refer to their tasks only weakly, and a lost connection to nobody.
_handlers: set[asyncio.Task[Any]] = set()


class FlowControlMixin(asyncio.Protocol):
    """The writing half: whether to write on, and whether the connection is gone.

    Enough of a protocol for a writer alone, e.g. with `loop.connect_write_pipe()`.

    Args:
        loop: the event loop; the running one by default.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """See the class."""
        self._loop = asyncio.get_event_loop() if loop is None else loop
        self._paused = False
        self._connection_lost = False
        self._error: BaseException | None  # what the connection was lost with
        self._draining = Waiters(self._loop)
        self._closing = Waiters(self._loop)

    def pause_writing(self) -> None:
        """Hold `drain()` back: the transport has enough to send."""
        self._paused = True

    def resume_writing(self) -> None:
        """Let every `drain()` go on."""
        self._paused = False
        self._draining.wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End every wait: for draining with an error, for closing with *exc* if there is one."""
        self._connection_lost = True
        self._error = exc
        # Whoever still waits for draining waits for bytes that were never sent.
        self._draining.wake(exc or ConnectionResetError("Connection lost"))
        self._closing.wake(exc)

    async def _drain_helper(self) -> None:
        if self._connection_lost:
            raise ConnectionResetError("Connection lost")
        if self._paused and not self._drained():
            await self._draining.add()

    def _drained(self) -> bool:
        """Return whether there is nothing to wait for, although writing is paused."""
        return False

    def _get_close_waiter(self, stream: Any, /) -> asyncio.Future[None]:
        waiter = self._closing.add()
        if self._connection_lost:
            self._closing.wake(self._error)
        return waiter


class StreamReaderProtocol(FlowControlMixin):
    """Feeds a `StreamReader` from a transport, and serves the client if told how.

    Args:
        stream_reader: the reader to feed.
        client_connected_cb: called with the reader and a writer when the connection is made; if it
            returns a coroutine, that is run as a task. When it fails or is cancelled the connection
            is closed, and a failure is reported to the loop's exception handler.
        loop: the event loop; the running one by default.

    """

    def __init__(
        self,
        stream_reader: StreamReader,
        client_connected_cb: ClientConnected | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """See the class."""
        super().__init__(loop)
        self._stream_reader = stream_reader
        self._client_connected_cb = client_connected_cb
        self._transport: asyncio.Transport
        self._over_ssl = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading, and serving."""
        # Pipes have transports that only read, and uvloop's are not asyncio's by type.
        self._transport = cast(asyncio.Transport, transport)
        self._over_ssl = transport.get_extra_info("sslcontext") is not None
        reader = self._stream_reader
        reader.set_transport(self._transport)
        if self._client_connected_cb is not None:
            writer = StreamWriter(self._transport, self, reader, self._loop)
            self._serve(self._client_connected_cb, reader, writer)

    def _serve(self, handler: ClientConnected, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            served = handler(reader, writer)
            if asyncio.iscoroutine(served):
                task = self._loop.create_task(served)
                _handlers.add(task)
                task.add_done_callback(self._served)
        except asyncio.CancelledError:
            self._close()
        except Exception as error:
            self._failed(error)

    def _served(self, task: asyncio.Task[Any]) -> None:
        _handlers.discard(task)
        if task.cancelled():
            self._close()
        elif (error := task.exception()) is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._loop.call_exception_handler(
            {
                "message": "Unhandled exception in client_connected_cb",
                "exception": error,
                "transport": self._transport,
            }
        )
        self._close()

    def _close(self) -> None:
        self._stream_reader._let_close()
        if not self._transport.is_closing():  # a second close() breaks asyncio's TLS transports
            self._transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the reader, then everyone who waits."""
        if self._connection_lost:
            return  # a failed upgrade tells of its end twice
        if isinstance(exc, ssl.SSLError) and exc.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            exc = None  # we closed while the peer still sent, which is no error
        if exc is None:
            self._stream_reader.feed_eof()
        else:
            self._stream_reader.set_exception(exc)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the reader, unless the program told it that there is no more."""
        if not self._stream_reader._eof:
            self._stream_reader.feed_data(data)

    def eof_received(self) -> bool:
        """Feed EOF; return whether the sending half stays open, which TLS does not allow."""
        self._stream_reader.feed_eof()
        return not self._over_ssl

    def _drained(self) -> bool:
        # With a high water mark of zero, TLS transports pause when a write has been sent already,
        # and may resume only when more is received or written.
        if not self._over_ssl:
            return False
        low, _ = self._transport.get_write_buffer_limits()
        return self._transport.get_write_buffer_size() <= low

    def _replace_transport(self, transport: asyncio.Transport) -> None:
        """Go on over *transport*, which does TLS over the one before."""
        self._transport = transport
        self._stream_reader._replace_transport(transport)
