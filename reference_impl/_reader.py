"""`StreamReader`: what was received, to be read.

A read never holds bytes of its own while it waits. It waits until the buffer has what it needs and
only then takes it, in one synchronous step; so a read that is cancelled, wherever it was, has taken
nothing.
"""

from __future__ import annotations

import asyncio
import sys
from operator import index

from ._buffer import Buffer, Separators, first_match
from ._errors import fresh

DEFAULT_LIMIT = 64 * 1024  # bytes

_NEWLINE = (b"\n",)


class StreamReader:
    """Bytes from a stream, and an asynchronous iterable of its lines (asyncio-stream, 3.15).

    Readers come from `open_connection()` and `start_server()`. One made by hand is fed by
    `feed_data()`, `feed_eof()` and `set_exception()`, or by a `StreamReaderProtocol`.

    Args:
        limit: bytes that `readline()` and `readuntil()` look through for a separator; with more
            than twice as many unread, the transport is asked to pause. 64 KiB by default.
        loop: the event loop; the running one by default.

    Raises:
        ValueError: *limit* is not positive.
        RuntimeError: no *loop* is given and there is none.

    """

    def __init__(
        self, limit: int = DEFAULT_LIMIT, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """See the class."""
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = limit
        self._loop = asyncio.get_event_loop() if loop is None else loop
        self._buffer = Buffer()
        self._eof = False
        self._exception: BaseException | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._paused = False
        # The read in progress, and how many bytes it cannot do without.
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 0
        # The last argument of readuntil(), and what to search for.
        self._separator: object = b"\n"
        self._separators: Separators = (b"\n",)
        self._longest = 1

    def __repr__(self) -> str:
        """Show what a stuck program wants to know: bytes held, EOF, error, who waits."""
        info = [type(self).__name__]
        if self._buffer.size:
            info.append(f"{self._buffer.size} bytes")
        if self._eof:
            info.append("eof")
        if self._limit != DEFAULT_LIMIT:
            info.append(f"limit={self._limit}")
        if self._waiter:
            info.append(f"waiter={self._waiter!r}")
        if self._exception:
            info.append(f"exception={self._exception!r}")
        if self._transport:
            info.append(f"transport={self._transport!r}")
        if self._paused:
            info.append("paused")
        return f"<{' '.join(info)}>"

    # What the protocol, or whoever made the reader, tells it.

    def set_transport(self, transport: asyncio.ReadTransport) -> None:
        """Give the reader the transport to pause when too much is unread; once only."""
        assert self._transport is None, "Transport already set"
        self._transport = transport

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:
        """Add *data* to what can be read.

        Raises:
            AssertionError: EOF was fed before.
            TypeError: *data* is not bytes-like.

        """
        assert not self._eof, "feed_data after feed_eof"
        if type(data) is not bytes:
            data = bytes(memoryview(data))  # a copy that nobody else can change
        size = self._buffer.feed(data)
        if self._waiter is not None and size >= self._wanted:
            self._wake()
        if size > 2 * self._limit:
            self._pause()

    def feed_eof(self) -> None:
        """Say that no more bytes will come (asyncio-stream, 3.15)."""
        self._eof = True
        self._wake()

    def set_exception(self, exc: BaseException) -> None:
        """Make the read in progress and all later ones raise *exc*, or a copy of it."""
        self._exception = exc
        self._wake()

    def exception(self) -> BaseException | None:
        """Return the exception that was set, or None."""
        return self._exception

    def at_eof(self) -> bool:
        """Return whether EOF was fed and everything before it was read (asyncio-stream, 3.15)."""
        return self._eof and not self._buffer.size

    # Reading. What is wanted mostly lies within the part of the buffer's head that is ready, and is
    # then taken at once. What is not ready is taken with more care: see `_pause()`.

    async def read(self, n: int = -1) -> bytes:
        """Read what is there, at most *n* bytes (asyncio-stream, 3.15).

        Args:
            n: the most bytes to return. Negative (the default): all until EOF. 0: none, at once.

        Returns:
            At least one byte, as soon as there is one; ``b""`` only for *n* of 0 or at EOF.

        Raises:
            TypeError: *n* is not an integer.
            RuntimeError: another read is in progress.
            OSError: or whatever the connection was lost with, once what came before was read.

        """
        buffer = self._buffer
        start = buffer.start
        stop = start + n
        if start < stop <= buffer.ready:
            head = buffer.head
            data = head[start:stop]
            buffer.start = stop
            if stop == len(head):
                buffer.advance()
            return data
        n = index(n)
        if n == 0:
            return b""
        self._refuse("read")
        if n < 0:
            while self._exception is not None or not self._eof:
                await self._wait(sys.maxsize)
            return self._take(buffer.size)
        while not buffer.head:
            if self._eof and self._exception is None:
                return b""
            await self._wait(1)
        return self._take(min(n, buffer.end - buffer.start))

    async def readline(self) -> bytes:
        r"""Read one line, up to and including ``b"\n"`` (asyncio-stream, 3.15).

        Returns:
            The line; what is left if EOF comes before its end; ``b""`` at EOF.

        Raises:
            ValueError: the line is longer than the limit. As much of it as was received is gone.
            RuntimeError: another read is in progress.
            OSError: or whatever the connection was lost with, once the lines before were read.

        """
        buffer = self._buffer
        if not buffer.head and not self._eof:
            if self._waiter is not None:
                self._refuse("readline")
            await self._wait(1)
        start = buffer.start
        if buffer.searched <= start < buffer.ready:
            head = buffer.head
            stop = head.find(b"\n", start) + 1
            if 0 < stop <= buffer.ready and stop <= start + self._limit + 1:
                buffer.start = stop
                if stop == len(head):
                    buffer.advance()
                return head[start:stop]
        try:
            return await self._read_until(_NEWLINE, 1)
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError as error:
            found = self._buffer.find(_NEWLINE, 1)
            self._take(found[1] if found else self._buffer.size)
            raise ValueError(error.args[0]) from None

    async def readuntil(self, separator: bytes | tuple[bytes, ...] = b"\n") -> bytes:
        """Read up to and including *separator* (asyncio-stream, 3.15).

        Args:
            separator: what ends the data; of a tuple, whichever is complete first.

        Raises:
            ValueError: a separator is empty, or the tuple is.
            TypeError: a separator is not bytes-like.
            asyncio.LimitOverrunError: more than the limit precedes the separator, or would if it
                came now. Nothing is consumed; ``consumed`` bytes can be read that hold none of it.
            asyncio.IncompleteReadError: EOF comes first; ``partial`` is what was left.
            RuntimeError: another read is in progress.
            OSError: or whatever the connection was lost with; what came before is kept.

        """
        if separator is not self._separator:
            self._accept(separator)
        separators, longest = self._separators, self._longest
        buffer = self._buffer
        if not buffer.head and not self._eof:
            if self._waiter is not None:
                self._refuse("readuntil")
            await self._wait(1)
        start = buffer.start
        if buffer.searched <= start < buffer.ready:
            head = buffer.head
            found = first_match(head, start, separators, longest)
            if found:
                begin, stop = found
                if begin - start <= self._limit and stop <= buffer.ready:
                    buffer.start = stop
                    if stop == len(head):
                        buffer.advance()
                    return head[start:stop]
        return await self._read_until(separators, longest)

    async def readexactly(self, n: int) -> bytes:
        """Read exactly *n* bytes, also more than the limit (asyncio-stream, 3.15).

        Raises:
            ValueError: *n* is negative.
            TypeError: *n* is not an integer.
            asyncio.IncompleteReadError: EOF comes first; ``partial`` is what was left.
            RuntimeError: another read is in progress.
            OSError: or whatever the connection was lost with; what came before is kept.

        """
        buffer = self._buffer
        start = buffer.start
        stop = start + n
        if start < stop <= buffer.ready:
            head = buffer.head
            data = head[start:stop]
            buffer.start = stop
            if stop == len(head):
                buffer.advance()
            return data
        n = index(n)
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        if n == 0:
            return b""
        self._refuse("readexactly")
        while buffer.size < n:
            if self._eof and self._exception is None:
                raise asyncio.IncompleteReadError(self._take(buffer.size), n)
            await self._wait(n)
        return self._take(n)

    def __aiter__(self) -> StreamReader:
        """Iterate over the lines until EOF."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next line; its errors are those of `readline()`."""
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    # How reads wait and take.

    async def _read_until(self, separators: tuple[bytes, ...], longest: int) -> bytes:
        self._refuse("readuntil")
        buffer = self._buffer
        while (found := buffer.find(separators, longest)) is None:
            clear = buffer.size + 1 - longest  # so many bytes begin no separator
            if clear > self._limit:
                raise asyncio.LimitOverrunError(
                    "Separator is not found, and chunk exceed the limit", clear
                )
            if self._eof and self._exception is None:
                raise asyncio.IncompleteReadError(self._take(buffer.size), None)
            await self._wait(buffer.size + 1)
        if found[0] > self._limit:
            raise asyncio.LimitOverrunError(
                "Separator is found, but chunk is longer than limit", found[0]
            )
        return self._take(found[1])

    def _accept(self, separator: bytes | tuple[bytes, ...]) -> None:
        """Check and remember the argument of `readuntil()`."""
        given = separator if isinstance(separator, tuple) else (separator,)
        if not given:
            raise ValueError("Separator should contain at least one element")
        separators = tuple(bytes(memoryview(one)) for one in given)
        if not all(separators):
            raise ValueError("Separator should be at least one-byte string")
        self._separators = separators
        self._longest = max(map(len, separators))
        # The same object is the same argument the next time, unless it can change.
        self._separator = separator if all(type(one) is bytes for one in given) else self

    def _refuse(self, name: str) -> None:
        """Raise, because a read is in progress; unless it was cancelled and just has yet to end."""
        if self._waiter is not None and not self._waiter.cancelled():
            raise RuntimeError(
                f"{name}() called while another coroutine is already waiting for incoming data"
            )

    async def _wait(self, wanted: int) -> None:
        """Wait until *wanted* bytes are held, or EOF; raise the exception if there is one."""
        if self._exception is not None:
            raise fresh(self._exception)
        if self._paused:
            self._resume()  # else the bytes that are wanted could never come
        self._wanted = wanted
        buffer = self._buffer
        self._waiter = waiter = self._loop.create_future()
        buffer.hold()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None
                buffer.reserve(0)

    def _wake(self) -> None:
        self._wanted = sys.maxsize  # nothing more that arrives has to wake it again
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self, count: int) -> bytes:
        data = self._buffer.take(count)
        if self._paused and self._buffer.size <= self._limit:
            self._resume()
        return data

    # Flow control.

    def _pause(self) -> None:
        """Let the transport pause, unless a read in progress needs more than is held."""
        if self._paused or self._transport is None or self._waiter is not None:
            return
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None  # it cannot: do not ask again
        else:
            self._paused = True
            # Reading resumes with so little left: whoever takes the rest has to see to that.
            self._buffer.reserve(int(self._limit) + 1)

    def _resume(self) -> None:
        assert self._transport is not None  # it was paused
        self._paused = False
        self._buffer.reserve(0)
        self._transport.resume_reading()

    def _let_close(self) -> None:
        """Resume reading, because the transport is being closed.

        A TLS transport that was paused when its peer ended the connection first delivers what it
        holds; until then it does not close.
        """
        if self._paused:
            self._resume()

    def _release(self) -> bytes:
        """Give up the transport and all that came from it, EOF too; return the bytes held."""
        self._transport = None
        self._paused = self._eof = False
        return self._buffer.take(self._buffer.size)

    def _replace_transport(self, transport: asyncio.ReadTransport) -> None:
        """Receive from *transport* from now on."""
        self._transport = transport
