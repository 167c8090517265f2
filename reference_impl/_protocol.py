"""The protocols between a transport and its reader and writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ._errors import Waiters, fresh
from ._reader import StreamReader
from ._writer import StreamWriter

ClientConnected = Callable[[StreamReader, StreamWriter], Any]


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
        self._lost = False
        self._error: BaseException | None = None  # what the connection was lost with
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
        if self._lost:
            return
        self._lost = True
        self._error = exc
        # Whoever still waits for draining waits for bytes that were not sent.
        self._draining.wake(exc or ConnectionResetError("Connection lost"))
        self._closing.wake(exc)

    async def _drain_helper(self) -> None:
        if self._lost:
            raise ConnectionResetError("Connection lost")
        if self._paused:
            await self._draining.add()

    def _get_close_waiter(self, stream: Any, /) -> asyncio.Future[None]:
        waiter = self._closing.add()
        if self._lost:
            self._closing.wake(self._error)
        return waiter


class StreamReaderProtocol(FlowControlMixin):
    """Feeds a `StreamReader` from a transport, and serves a client if told with what.

    Args:
        stream_reader: the reader to feed.
        client_connected_cb: called with the reader and a writer when the connection is made; what
            it returns is run as a task if it is a coroutine. Given for servers.
        loop: the event loop; the running one by default.

    """

    def __init__(
        self,
        stream_reader: StreamReader | None,
        client_connected_cb: ClientConnected | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """See the class."""
        super().__init__(loop)
        self._stream_reader = stream_reader
        self._client_connected_cb = client_connected_cb
        self._transport: asyncio.Transport | None = None
        self._writer: StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the transport to the reader; as a server, start serving the client."""
        self._transport = transport
        if self._stream_reader is not None:
            self._stream_reader.set_transport(transport)
        if self._client_connected_cb is not None:
            assert self._stream_reader is not None
            self._writer = StreamWriter(transport, self, self._stream_reader, self._loop)
            self._serve(self._client_connected_cb)

    def _serve(self, client_connected_cb: ClientConnected) -> None:
        try:
            served = client_connected_cb(self._stream_reader, self._writer)
        except Exception as error:
            self._failed(error)
        else:
            if asyncio.iscoroutine(served):
                self._task = self._loop.create_task(served)
                self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            self._transport.close()
        elif (error := task.exception()) is not None:
            self._failed(error)

    def _failed(self, error) -> None:
        self._loop.call_exception_handler(
            {
                "message": "Unhandled exception in client_connected_cb",
                "exception": error,
                "transport": self._transport,
            }
        )
        self._transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the reader, then everyone who waits."""
        reader = self._stream_reader
        if reader is not None and not self._lost:
            if exc is None:
                reader.feed_eof()
            else:
                reader.set_exception(exc)
        super().connection_lost(exc)
        self._stream_reader = self._writer = self._transport = None

    def data_received(self, data: bytes) -> None:
        """Feed the reader."""
        if self._stream_reader is not None:
            self._stream_reader.feed_data(data)

    def eof_received(self) -> bool:
        """Feed EOF; the sending half stays open unless TLS forbids it."""
        if self._stream_reader is not None:
            self._stream_reader.feed_eof()
        return self._transport is None or self._transport.get_extra_info("sslcontext") is None
