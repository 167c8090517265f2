"""The protocols between a transport and its reader and writer."""

from __future__ import annotations

import asyncio
import contextvars
import ssl
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from ._buffer import BLOCK as PIECE
from ._flow_control import FlowControlMixin
from ._reader import StreamReader, let_close
from ._tls import is_tls, says_tls
from ._writer import StreamWriter, close

ClientConnected = Callable[[StreamReader, StreamWriter], Any]

# Handlers at work. Loops refer to their tasks only weakly, and nothing refers to a lost connection.
_handlers: set[asyncio.Task[Any]] = set()


class StreamReaderProtocol(FlowControlMixin, asyncio.StreamReaderProtocol):
    """Feeds a `StreamReader` from a transport, and calls a server's callback.

    Args:
        stream_reader: the reader to feed.
        client_connected_cb: called with the reader and a writer when the connection is made; a
            coroutine that it returns runs as a task. If it fails or is cancelled, the protocol
            closes the connection, and reports a failure to the loop's exception handler.
        loop: the event loop; the running one by default.
    """

    # A StreamReader, or one of asyncio's own, which was imported before it was installed.
    _stream_reader: Any = None  # set here, because asyncio's class has a property of that name

    def __init__(
        self,
        stream_reader: asyncio.StreamReader,
        client_connected_cb: ClientConnected | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(loop)
        self._stream_reader = stream_reader
        # Attributes that are set for each connection have no default in the class: with one, Python
        # looks them up again each time, which takes five times as many instructions.
        self._transport: Any = None  # from connection_made() to connection_lost()
        self._reference_lost_transport: Any = None
        self._task: asyncio.Task[Any] | None = None  # of the handler
        self._client_connected_cb = client_connected_cb
        self._over_ssl = False
        made_at = getattr(stream_reader, "_source_traceback", None)
        if made_at is not None:
            self._source_traceback = made_at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading, and serving."""
        self._transport = transport
        self._over_ssl = says_tls(transport)
        reader = self._stream_reader
        if reader is not None:
            reader.set_transport(transport)
        if self._client_connected_cb is not None:
            self._reference_serve(self._client_connected_cb)

    def _reference_serve(self, handler: ClientConnected) -> None:
        # In a context of its own: uvloop has one for all connections of a server.
        contextvars.copy_context().run(self._reference_call, handler)

    def _reference_call(self, handler: ClientConnected) -> None:
        reader = self._stream_reader
        writer = StreamWriter(self._transport, self, reader, self._loop)
        try:
            served = handler(reader, writer)
            if asyncio.iscoroutine(served):
                self._task = task = self._loop.create_task(served)
                _handlers.add(task)
                task.add_done_callback(self._reference_served)
        except asyncio.CancelledError:
            self._reference_close()
        except Exception as error:
            self._reference_failed(error)

    def _reference_served(self, task: asyncio.Task[Any]) -> None:
        _handlers.discard(task)
        self._task = None
        if task.cancelled():
            self._reference_close()
        elif (error := task.exception()) is not None:
            self._reference_failed(error)

    def _reference_failed(self, error: BaseException) -> None:
        self._loop.call_exception_handler(
            {
                "message": "Unhandled exception in client_connected_cb",
                "exception": error,
                "transport": self._transport or self._reference_lost_transport,
            }
        )
        self._reference_close()

    def _reference_close(self) -> None:
        if self._transport is not None:
            let_close(self._stream_reader)
            close(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the reader's stream, then every wait."""
        if self._connection_lost:
            return  # a failed upgrade reports its end twice
        if isinstance(exc, ssl.SSLError) and exc.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            exc = None  # we closed while the peer still sent: that is not an error
        reader = self._stream_reader
        if reader is not None:
            if exc is None:
                reader.feed_eof()
            else:
                reader.set_exception(exc)
        super().connection_lost(exc)
        self._reference_lost_transport, self._transport = self._transport, None

    def data_received(self, data: bytes) -> None:
        """Feed the reader, unless the program has fed EOF."""
        reader = self._stream_reader
        if reader is not None and not reader._eof:
            reader.feed_data(data)

    def eof_received(self) -> bool:
        """Feed EOF; return whether the sending half stays open, which TLS does not allow."""
        if self._stream_reader is not None:
            self._stream_reader.feed_eof()
        return not self._over_ssl

    def _reference_drained(self) -> bool:
        # With a high-water mark of zero, a TLS transport pauses when it has already sent a write,
        # and may resume only when more is received or written.
        if not is_tls(self._transport):
            return False
        low, _ = self._transport.get_write_buffer_limits()
        return bool(self._transport.get_write_buffer_size() <= low)

    # Further attributes of asyncio's protocol that subclasses and other programs use.

    @cached_property
    def _closed(self) -> asyncio.Future[None]:
        """A future that is done when the connection is lost."""
        return self._get_close_waiter(None)

    @property
    def _stream_reader_wr(self) -> weakref.ref[asyncio.StreamReader] | None:
        """A reference to the reader; asyncio's protocols have no other."""
        return None if self._stream_reader is None else weakref.ref(self._stream_reader)

    @_stream_reader_wr.setter
    def _stream_reader_wr(self, reference: weakref.ref[asyncio.StreamReader] | None) -> None:
        self._stream_reader = None if reference is None else reference()

    def _replace_transport(self, transport: asyncio.Transport) -> None:
        """Go on over *transport*, which adds TLS to the previous one."""
        self._transport = transport
        self._over_ssl = transport.get_extra_info("sslcontext") is not None
        if self._stream_reader is not None:
            self._stream_reader._transport = transport

    def _replace_writer(self, writer: asyncio.StreamWriter) -> None:
        """Go on over the transport of *writer*: `_replace_transport()` before Python 3.13."""
        self._replace_transport(writer.transport)  # type: ignore[arg-type]

    def __del__(self) -> None:
        """Do nothing: asyncio's looks after `_closed`."""


BLOCK = 256 * 1024  # bytes; the most that asyncio's transports receive in one go

# For each of asyncio's loops, where its connections receive, one after the other.
_blocks: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


class ReceivingProtocol(StreamReaderProtocol, asyncio.BufferedProtocol):
    """The protocol of connections that are made here: nobody subclasses it.

    asyncio's transports let it choose where to receive. For any other protocol they allocate 256
    KiB for each receive and free most of that immediately. With the C library of many servers,
    glibc 2.36, this takes more time than everything else: an echo of 64 bytes takes 35 µs, and 17
    in this way.
    All connections of a loop share a block. This needs two things: received data is taken from the
    block immediately, and no other connection receives meanwhile. Both hold on asyncio's loops; any
    other loop gets a block for each connection. (uvloop takes this for the `Protocol` that it also
    is, and `data_received()` is the faster way there.)
    """

    _reference_block: memoryview | None = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to receive."""
        if self._reference_block is None:
            self._reference_block = self._reference_get_block()
        return self._reference_block

    def _reference_get_block(self) -> memoryview:
        if not isinstance(self._loop, asyncio.BaseEventLoop):
            return memoryview(bytearray(BLOCK))
        block = _blocks.get(self._loop)
        if block is None:
            block = _blocks[self._loop] = memoryview(bytearray(BLOCK))
        return block

    def buffer_updated(self, nbytes: int) -> None:
        """Feed the reader with *nbytes* that were received, as `data_received()` does."""
        reader = self._stream_reader
        if reader is not None and not reader._eof:
            assert self._reference_block is not None  # the update is of this block
            received = self._reference_block[:nbytes]
            if nbytes > PIECE and type(reader) is StreamReader:
                reader.feed_data(received)  # which copies it, in pieces
            else:
                reader.feed_data(received.tobytes())
