"""anyio's streams over TCP, through a shim that gives their methods the names of the page.

streamcert certify anyio_streams:Streams
"""

import asyncio
from collections import deque
from typing import Any

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteStream

from conformance import PairAdapter


class Reader:
    """The receiving half."""

    def __init__(self, stream: BufferedByteStream, limit: int, writer: "Writer") -> None:
        self.stream = stream
        self.limit = limit
        self.writer = writer

    async def read(self, n: int = -1) -> bytes:
        """Receive once, or to the end."""
        data = bytearray()
        while n and not self.writer.closing:
            try:
                piece = await self.stream.receive(n if n > 0 else 65536)
                data += b"" if self.writer.closing else piece
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                break
            except anyio.BrokenResourceError as error:
                raise ConnectionResetError(*error.args) from error
            except anyio.BusyResourceError as error:
                raise RuntimeError(*error.args) from error
            except asyncio.CancelledError:
                self.stream.feed_data(data)
                raise
            if n > 0:
                break
        return bytes(data)

    async def readexactly(self, n: int) -> bytes:
        """Receive so much."""
        try:
            return await self.stream.receive_exactly(n)
        except anyio.IncompleteRead:
            raise asyncio.IncompleteReadError(self.stream.buffer, n) from None

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Receive until a delimiter, which anyio leaves out."""
        try:
            return await self.stream.receive_until(separator, self.limit) + separator
        except anyio.IncompleteRead:
            raise asyncio.IncompleteReadError(self.stream.buffer, None) from None
        except anyio.DelimiterNotFound as error:
            # The last bytes may be the first of a separator.
            consumed = len(self.stream.buffer) - len(separator) + 1
            raise asyncio.LimitOverrunError(str(error), max(1, consumed)) from None


class Writer:
    """The sending half: what is written waits in a queue until a task has sent it."""

    def __init__(self, stream: BufferedByteStream) -> None:
        self.stream = stream
        self.queue: deque[Any] = deque()
        self.sending: asyncio.Task[None] | None = None
        self.ended = False
        self.closing = False
        self.closed = asyncio.Event()

    async def send(self) -> None:
        """Send what is in the queue."""
        try:
            while self.queue:
                operation, *data = self.queue.popleft()
                await operation(*data)
        except anyio.BrokenResourceError as error:
            raise ConnectionResetError(*error.args) from error

    def queue_up(self, *operation: Any) -> None:
        """Let the task do it, after all else."""
        self.queue.append(operation)
        if self.sending is None or self.sending.done():
            self.sending = asyncio.ensure_future(self.send())

    def write(self, data: bytes) -> None:
        """Send `data` in time."""
        if self.ended:
            raise RuntimeError("the stream has ended")
        if not self.closing:
            self.queue_up(self.stream.send, bytes(memoryview(data)))

    def write_eof(self) -> None:
        """Send the end in time."""
        if not self.ended and not self.closing:
            self.ended = True
            self.queue_up(self.stream.send_eof)

    def can_write_eof(self) -> bool:
        """Every byte stream of anyio's has `send_eof()`; over TCP it works."""
        return True

    async def drain(self) -> None:
        """Wait until everything is sent."""
        if self.sending is not None:
            await asyncio.shield(self.sending)
        if self.closed.is_set():
            raise ConnectionResetError("the stream is closed")

    def close(self) -> None:
        """Close after everything is sent."""
        if not self.closing:
            self.closing = True
            self.queue_up(self.end)

    async def end(self) -> None:
        """Close."""
        await self.stream.aclose()
        self.closed.set()

    def is_closing(self) -> bool:
        """Return whether close() was called."""
        return self.closing

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        await self.closed.wait()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what anyio calls a typed attribute."""
        known = {"socket": SocketAttribute.raw_socket}
        return self.stream.extra(known[name], default) if name in known else default


class Streams(PairAdapter):
    """A stream of `connect_tcp()`'s, and the one that the listener accepts."""

    distribution = "anyio"
    virtual_time = False
    without = frozenset(
        {
            *("StreamReader.readline", "StreamReader.at_eof", "StreamReader.__aiter__"),
            *("StreamReader.feed_eof", "StreamReader.feed_data", "StreamReader.exception"),
            *("StreamReader.set_exception", "StreamReader.set_transport"),
            *("StreamReader.readuntil.tuple", "StreamWriter.writelines", "StreamWriter.start_tls"),
            "StreamWriter.transport",  # and with it the water marks
            *(f"StreamWriter.get_extra_info.{key}" for key in ("peername", "sockname")),
        }
    )

    async def pair(self, limit: int) -> Any:
        """Connect to a listener."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(SocketAttribute.local_port)
        streams = await asyncio.gather(
            anyio.connect_tcp("127.0.0.1", port), listener.listeners[0].accept()
        )
        await listener.aclose()
        buffered = [BufferedByteStream(each) for each in streams]
        writers = [Writer(each) for each in buffered]
        return tuple((Reader(each.stream, limit, each), each) for each in writers)
