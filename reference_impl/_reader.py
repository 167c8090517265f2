"""`StreamReader`: the receiving side of a stream.

A read never holds bytes of its own while it waits. It waits until the buffer has what it needs and
only then takes it, in one synchronous step; so a read that is cancelled, wherever it was, has taken
nothing.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from operator import index
from typing import Any, Self

from ._buffer import BLOCK, Buffer, Separators, first_match
from ._errors import fresh
from ._exchange import Exchangeable

Bytes = bytes | bytearray | memoryview

DEFAULT_LIMIT = 64 * 1024  # bytes

_NEWLINE = b"\n"
_FOR_LINES = (_NEWLINE, (_NEWLINE,), 1)
_CHANGEABLE = object()  # in the place of a separator to remember


class StreamReader(asyncio.StreamReader, metaclass=Exchangeable):
    """Bytes from a stream, and an asynchronous iterable of its lines (asyncio-stream, 3.15).

    It is an `asyncio.StreamReader` by type only: it uses no method of that class. asyncio's private
    names mean the same here, because subclasses and programs use them; all other private names
    begin with ``_reference_``, because subclasses have names of their own.

    Readers come from `open_connection()` and `start_server()`. Feed a reader that you make yourself
    by `feed_data()`, `feed_eof()` and `set_exception()`, or by a `StreamReaderProtocol`.

    Args:
        limit: the number of bytes that `readline()` and `readuntil()` search for a separator; the
            reader pauses its transport if more than twice as many are unread. 64 KiB by default.
        loop: the event loop; the running one by default.

    Raises:
        ValueError: *limit* is not positive.
        RuntimeError: no *loop* is given and there is none.
    """

    def __init__(
        self, limit: int = DEFAULT_LIMIT, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = limit
        self._loop = asyncio.get_event_loop() if loop is None else loop
        self._reference_begin_empty()
        self._eof = False
        self._exception: Exception | None = None
        self._transport: Any = None  # a ReadTransport
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None  # of the read in progress
        if self._loop.get_debug():
            self._source_traceback = traceback.extract_stack(sys._getframe(1))

    def _reference_begin_empty(self) -> None:
        self._reference_buffer = Buffer()
        # The buffer's `gathered`, if it is not empty: a shortcut that saves a thirtieth of the time
        # of a small piece.
        self._reference_gathered = self._reference_buffer.gathered
        # The bytes that the read in progress needs, until it is woken; then 0.
        self._reference_wanted = 0
        # With less than this gathered, another small piece neither wakes that read, nor is too
        # much, nor fills a block. 0 while there is no such read, because others may wait for
        # anything with `_waiter`.
        self._reference_enough = 0
        # The last argument of readuntil(), the separators, and the length of the longest.
        self._reference_search: tuple[object, Separators, int] = _FOR_LINES

    def __repr__(self) -> str:
        """Show the state that matters in a stuck program: bytes, EOF, error, waiting read."""
        info = [type(self).__name__]
        if self._reference_buffer.size:
            info.append(f"{self._reference_buffer.size} bytes")
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

    # Calls of the protocol, or of the program that made the reader.

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Set the transport that the reader pauses when too much is unread; once only."""
        assert self._transport is None, "Transport already set"
        self._transport = transport

    def feed_data(  # type: ignore[override]  # asyncio's is typed to take any integers
        self, data: Bytes
    ) -> None:
        """Add *data* to the buffer.

        Raises:
            AssertionError: EOF was fed before.
            TypeError: *data* is not bytes-like.
        """
        assert not self._eof, "feed_data after feed_eof"
        gathered = self._reference_gathered
        if gathered:
            # One of many small pieces; a piece that is not small is copied once more. Checking its
            # size first takes a fifth more instructions.
            try:
                gathered += data
            except TypeError:
                gathered += memoryview(data).tobytes()  # not contiguous, or refused again
            if len(gathered) < self._reference_enough:
                return
            size = self._reference_buffer.feed(b"")
        else:
            buffer = self._reference_buffer
            if type(data) is not bytes:
                size = buffer.feed(_unchanging(data))
                self._reference_gathered = buffer.gathered
            elif buffer.whole or (length := len(data)) > BLOCK:
                size = buffer.feed(data)
                self._reference_gathered = buffer.gathered
            else:  # `feed()` does this; a call of it costs a twentieth of a waiting read
                buffer.head = data
                buffer.sealed = buffer.whole = size = length
        wanted = self._reference_wanted
        if size >= wanted:
            self._reference_wanted = 0
            waiter = self._waiter
            if waiter is None or waiter.done():
                if size > self._limit and size > 2 * self._limit:  # the first alone is quicker
                    self._reference_pause()
            else:
                waiter.set_result(None)
                # asyncio's loops receive once in a turn, so that the woken read runs first; a
                # needless pause costs a tenth of bulk reading. uvloop receives up to 32 times, and
                # without a pause bulk reading takes twice the time.
                if (
                    size > self._limit
                    and size > 2 * self._limit
                    and not isinstance(self._loop, asyncio.BaseEventLoop)
                ):
                    self._reference_pause()
        elif size > 2 * self._limit and (self._waiter is None or self._waiter.done()):
            self._reference_pause()  # the read that waited for more was cancelled
        if gathered:
            most = int(2 * self._limit) + 1
            if size < wanted < most:
                most = wanted
            enough = min(most - size + len(gathered), BLOCK)
            self._reference_enough = enough if wanted else 0

    def feed_eof(self) -> None:
        """Feed EOF: no more bytes will come (asyncio-stream, 3.15)."""
        self._eof = True
        self._wakeup_waiter()

    def set_exception(self, exc: Exception) -> None:
        """Make the read in progress and all later ones raise *exc*, or a copy of it."""
        self._exception = exc
        self._wakeup_waiter()

    def exception(self) -> Exception | None:
        """Return the exception that was set, or None."""
        return self._exception

    def at_eof(self) -> bool:
        """Return whether EOF was fed and everything before it was read (asyncio-stream, 3.15)."""
        return self._eof and not self._reference_buffer.size

    # Reading. The wanted bytes mostly lie within the part of the buffer's head that is ready. Then
    # the read takes them immediately and has nothing else to check: nobody waits, and if reading is
    # paused, more than the limit is left. Otherwise a read waits for its bytes, and takes them. It
    # awaits the future itself, because a coroutine in between costs a tenth of a small message's
    # echo.

    async def read(self, n: int = -1) -> bytes:
        """Read the bytes that have arrived, at most *n* (asyncio-stream, 3.15).

        Args:
            n: the greatest number of bytes to return. Negative (the default): all until EOF. 0:
                none, immediately.

        Returns:
            At least one byte, as soon as there is one; ``b""`` only for *n* of 0 or at EOF.

        Raises:
            TypeError: *n* is not an integer.
            RuntimeError: another read is in progress.
            OSError: or another error that ended the connection, once the bytes before it were read.
        """
        buffer = self._reference_buffer
        start = buffer.start
        stop = start + n
        if start < stop < buffer.ready:
            data = buffer.head[start:stop]  # which fails if *n* is no integer
            buffer.start = stop
            return data
        if type(n) is not int or n <= 0:
            n = index(n)
            if n == 0:
                return b""
        if self._waiter is not None:
            self._reference_refuse("read")
        if n < 0:
            if getattr(self.read, "__func__", None) is not _read:
                return await self._reference_read_all()
            while self._exception is not None or not self._eof:
                await self._reference_gather(sys.maxsize)
            return self._reference_take(buffer.size)
        while buffer.whole <= 0 and buffer.sealed == buffer.start and not buffer.gathered:
            if self._eof and self._exception is None:
                return b""
            waiter = self._reference_begin(1)
            try:
                await waiter
            except BaseException:
                self._reference_give_up(waiter)
                raise
            self._waiter = None
            self._reference_enough = 0
        if 0 < buffer.whole <= n:
            data = buffer.head
            buffer.head = b""  # all there is; take() costs a tenth of the read
            buffer.sealed = buffer.whole = buffer.searched = 0
        else:
            data = buffer.take(min(n, buffer.size))
        if self._paused:
            self._maybe_resume_transport()
        return data

    async def readline(self) -> bytes:
        r"""Read one line, up to and including ``b"\n"`` (asyncio-stream, 3.15).

        Returns:
            The line; the rest if EOF comes before its end; ``b""`` at EOF.

        Raises:
            ValueError: the line is longer than the limit. The bytes of it that were received are
                dropped.
            RuntimeError: another read is in progress.
            OSError: or another error that ended the connection, once the lines before it were read.
        """
        buffer = self._reference_buffer
        start = buffer.start
        if buffer.searched <= start < buffer.ready and type(self).readuntil is _readuntil:
            head = buffer.head
            stop = head.find(b"\n", start) + 1
            if 0 < stop <= start + self._limit + 1:
                if stop < buffer.ready:
                    buffer.start = stop
                    return head[start:stop]
                if stop == buffer.ready == len(head):
                    return self._reference_take(stop - start)
        elif (
            0 < buffer.whole <= self._limit + 1
            and buffer.head.find(b"\n") + 1 == buffer.whole
            and self._waiter is None
            and type(self).readuntil is _readuntil
        ):
            head = buffer.head
            buffer.head = b""  # likewise all there is
            buffer.sealed = buffer.whole = buffer.searched = 0
            if self._paused:
                self._maybe_resume_transport()
            return head
        try:
            return await self.readuntil(_NEWLINE)  # which subclasses override
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError as error:
            found = buffer.find((_NEWLINE,), 1)
            self._reference_take(found[1] if found else buffer.size)
            raise ValueError(error.args[0]) from None

    async def readuntil(  # type: ignore[override]  # asyncio's is typed to take any buffer
        self, separator: Bytes | tuple[Bytes, ...] = _NEWLINE
    ) -> bytes:
        """Read up to and including *separator* (asyncio-stream, 3.15).

        Args:
            separator: the end of the data; of a tuple, the separator that is complete first.

        Raises:
            ValueError: a separator is empty, or the tuple is.
            TypeError: a separator is not bytes-like.
            asyncio.LimitOverrunError: more than the limit precedes the separator, or would if it
                came now. Nothing is consumed; the first ``consumed`` bytes hold no part of it.
            asyncio.IncompleteReadError: EOF comes first; ``partial`` is the rest.
            RuntimeError: another read is in progress.
            OSError: or another error that ended the connection; the bytes before it are kept.
        """
        given, separators, longest = self._reference_search
        if separator is not given:
            separators, longest = self._reference_accept(separator)
        buffer = self._reference_buffer
        start = buffer.start
        if buffer.searched <= start < buffer.ready:
            head = buffer.head
            if len(separators) == 1:  # first_match() costs up to a tenth of an HTTP head
                at = head.find(separators[0], start)
                stop = at + longest
            else:
                at, stop = first_match(head, start, separators, longest) or (-1, 0)
            if 0 <= at <= start + self._limit and stop < buffer.ready:
                buffer.start = stop
                return head[start:stop]
        if self._waiter is not None:
            self._reference_refuse("readuntil")
        clear = 0  # no separator begins within so many bytes
        while True:
            whole = buffer.whole
            if whole > 0:
                head = buffer.head
                if (
                    longest <= whole
                    and head.find(separators[0]) == whole - longest <= self._limit
                    and len(separators) == 1
                    and not buffer.searched
                ):  # the first piece is the line: saves a fifth of a line's read
                    buffer.head = b""
                    buffer.sealed = buffer.whole = 0
                    if self._paused:
                        self._maybe_resume_transport()
                    return head
            size = whole and buffer.size
            if size:
                found = buffer.find(separators, longest, clear)
                if found:
                    break
                clear = max(size + 1 - longest, 0)
                if clear > self._limit:
                    raise asyncio.LimitOverrunError(
                        "Separator is not found, and chunk exceed the limit", clear
                    )
            if self._eof and self._exception is None:
                raise asyncio.IncompleteReadError(self._reference_take(size), None)
            waiter = self._reference_begin(size + 1)
            try:
                await waiter
            except BaseException:
                self._reference_give_up(waiter)
                raise
            self._waiter = None
            self._reference_enough = 0
        if found[0] > self._limit:
            raise asyncio.LimitOverrunError(
                "Separator is found, but chunk is longer than limit", found[0]
            )
        data = buffer.take(found[1])
        if self._paused:
            self._maybe_resume_transport()
        return data

    async def readexactly(self, n: int) -> bytes:
        """Read exactly *n* bytes, even more than the limit (asyncio-stream, 3.15).

        Raises:
            ValueError: *n* is negative.
            TypeError: *n* is not an integer.
            asyncio.IncompleteReadError: EOF comes first; ``partial`` is the rest.
            RuntimeError: another read is in progress.
            OSError: or another error that ended the connection; the bytes before it are kept.
        """
        buffer = self._reference_buffer
        start = buffer.start
        stop = start + n
        if start < stop < buffer.ready:
            data = buffer.head[start:stop]  # which fails if *n* is no integer
            buffer.start = stop
            return data
        if type(n) is not int or n <= 0:
            n = index(n)
            if n < 0:
                raise ValueError("readexactly size can not be less than zero")
            if n == 0:
                return b""
        if self._waiter is not None:
            self._reference_refuse("readexactly")
        while (
            n != buffer.whole
            and (missing := n + buffer.start - buffer.sealed - len(buffer.gathered)) > 0
        ):
            if self._eof and self._exception is None:
                raise asyncio.IncompleteReadError(self._reference_take(buffer.size), n)
            if missing > BLOCK:
                await self._reference_gather(n)
                continue
            waiter = self._reference_begin(n)
            try:
                await waiter
            except BaseException:
                self._reference_give_up(waiter)
                raise
            self._waiter = None
            self._reference_enough = 0
        if n == buffer.whole:
            data = buffer.head
            buffer.head = b""  # all there is; take() costs a tenth of the read
            buffer.sealed = buffer.whole = buffer.searched = 0
        else:
            data = buffer.take(n)
        if self._paused:
            self._maybe_resume_transport()
        return data

    def __aiter__(self) -> Self:
        """Iterate over the lines until EOF."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next line; its errors are those of `readline()`."""
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    # How reads wait and take.

    async def _reference_read_all(self) -> bytes:
        """Do ``read(-1)`` as asyncio's reader does, through an overridden `read()`."""
        blocks = []
        while block := await self.read(self._limit):
            blocks.append(block)
        return b"".join(blocks)

    def _reference_accept(self, separator: Bytes | tuple[Bytes, ...]) -> tuple[Separators, int]:
        """Check and remember the argument of `readuntil()`; return the separators."""
        given = separator if isinstance(separator, tuple) else (separator,)
        if not given:
            raise ValueError("Separator should contain at least one element")
        separators = tuple(bytes(memoryview(one)) for one in given)
        if not all(separators):
            raise ValueError("Separator should be at least one-byte string")
        longest = max(map(len, separators))
        # The same object is the same argument the next time, unless it can change.
        can_change = not all(type(one) is bytes for one in given)
        self._reference_search = (_CHANGEABLE if can_change else separator, separators, longest)
        return separators, longest

    def _reference_refuse(self, name: str) -> None:
        """Raise, because a read is in progress; not if it was cancelled and has not ended yet."""
        if self._waiter is not None and not self._waiter.cancelled():
            raise RuntimeError(
                f"{name}() called while another coroutine is already waiting for incoming data"
            )

    def _reference_begin(self, wanted: int) -> asyncio.Future[None]:
        """Begin to wait: return the future of *wanted* bytes, or EOF, or an exception.

        Raise the exception, if there is one already.
        """
        if self._exception is not None:
            raise fresh(self._exception)
        if self._paused:
            self._reference_resume()  # else the wanted bytes could never arrive
        self._reference_wanted = wanted
        self._reference_buffer.ready = 0  # so that no other read takes them
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _reference_give_up(self, waiter: asyncio.Future[None]) -> None:
        """Stop waiting for *waiter*, unless the next read has begun already."""
        if self._waiter is waiter:
            self._waiter = None
            self._reference_wanted = self._reference_enough = 0

    async def _reference_wait(self, wanted: int) -> None:
        """Wait for *wanted* bytes, or EOF, or an exception."""
        waiter = self._reference_begin(wanted)
        try:
            await waiter
        finally:
            self._reference_give_up(waiter)

    async def _reference_gather(self, wanted: int) -> None:
        """Wait in the same way, for so many bytes that they are gathered as they arrive."""
        buffer = self._reference_buffer
        waiter = self._reference_begin(wanted)
        buffer.gather(wanted)
        whole = False
        try:
            await waiter
            whole = self._exception is None
        finally:
            if whole:
                buffer.settle()
            else:
                buffer.spread()
            self._reference_give_up(waiter)

    def _wakeup_waiter(self) -> None:
        self._reference_wanted = 0
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _reference_take(self, count: int) -> bytes:
        data = self._reference_buffer.take(count)
        if self._paused:
            self._maybe_resume_transport()
        return data

    # Flow control.

    def _reference_pause(self) -> None:
        """Let the transport pause."""
        if self._paused or self._transport is None:
            return
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None  # it cannot pause: do not try again
        else:
            self._paused = True
            self._reference_buffer.ready = 0  # reads now have to check whether to resume

    def _reference_resume(self) -> None:
        self._paused = False
        self._transport.resume_reading()

    # Further attributes of asyncio's reader that subclasses and other programs use.

    @property
    def _buffer(self) -> bytearray:
        """The unread bytes, to inspect and to change."""
        self._reference_gathered = exposed = self._reference_buffer.expose()
        return exposed

    @_buffer.setter
    def _buffer(self, data: bytearray) -> None:
        if not hasattr(self, "_reference_buffer"):
            self._reference_begin_empty()  # of a subclass that does not call our __init__()
        self._reference_gathered = self._reference_buffer.expose(data)

    async def _wait_for_data(self, func_name: str) -> None:
        """Wait until more is received than is unread, or EOF."""
        self._reference_refuse(func_name)
        await self._reference_wait(self._reference_buffer.size + 1)

    def _maybe_resume_transport(self) -> None:
        """Resume reading if it is paused and no more than the limit is unread."""
        if self._paused:
            buffer = self._reference_buffer
            left = buffer.sealed + len(buffer.gathered) - self._limit
            if left <= buffer.start:
                self._reference_resume()
            elif left <= buffer.ready:
                buffer.ready = int(left) - 1

    def _replace_transport(self, transport: asyncio.BaseTransport) -> None:
        """Receive from *transport* from now on."""
        self._transport = transport


_read, _readuntil = StreamReader.read, StreamReader.readuntil


def _unchanging(data: Bytes) -> bytes | memoryview:
    """Return *data* as `feed()` takes it: copied, unless it is large; `feed()` copies that."""
    view = memoryview(data)
    whole = view.nbytes <= BLOCK or not view.c_contiguous
    return bytes(view) if whole else view.cast("B")


# Operations on a reader, which may also be one of asyncio's own.


def let_close(reader: Any) -> None:
    """Let *reader* resume reading, because its transport is being closed.

    A TLS transport that was paused when its peer ended the connection first delivers the data that
    it holds; until then it does not close.
    """
    try:
        paused = reader._paused
    except AttributeError:
        return  # there is no reader, or it is neither asyncio's nor ours
    if paused is True:
        reader._paused = False
        reader._transport.resume_reading()


def release(reader: Any) -> bytes:
    """Take its transport and all that was received from *reader*, even EOF; return the bytes."""
    reader._transport = None
    reader._paused = reader._eof = False
    data = bytes(reader._buffer)
    reader._buffer.clear()
    return data
