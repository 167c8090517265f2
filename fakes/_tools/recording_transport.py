"""A transport without a peer: it records calls, and a test feeds it by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from fakes._asyncio.flow_control import WriteFlowControl
from fakes._public import public


@public
class RecordingTransport(WriteFlowControl, asyncio.Transport):
    """A transport that records every call and delivers the data that the test feeds.

    It needs no network and, unless the protocol needs one, no event loop. With a running loop,
    `close()` and `abort()` lead to `connection_lost(None)` in the loop's next turn, as on any
    transport; without a loop the test calls `lose()`.

    Args:
        protocol: the protocol to drive; its `connection_made()` is called immediately (default:
            none yet, see `connect()`).
        extra: the information for `get_extra_info()` (default: none).

    Attributes:
        calls: every call of a transport method, in order: its name and its arguments, e.g.
            `("write", b"data")`, `("close",)`.
        written: all bytes written so far that `take()` has not taken.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol | None = None,
        *,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra)
        self.calls: list[tuple[Any, ...]] = []
        self.written = b""
        self._fed: deque[bytes | None] = deque()  # None is EOF
        self._feeding = False
        self._blocked = False
        self._buffered = 0
        self._closing = False
        self._lost = False
        self._paused = False
        self._eof_written = False
        if protocol is not None:
            self.connect(protocol)

    def __repr__(self) -> str:
        """Show the state and how much was written."""
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<fakes.RecordingTransport {state} written={len(self.written)} bytes>"

    # --- by hand ------------------------------------------------------------------------------

    def connect(self, protocol: asyncio.BaseProtocol) -> None:
        """Join with a protocol and call its `connection_made()`."""
        self._protocol = protocol
        protocol.connection_made(self)

    def feed(self, data: bytes) -> None:
        """Deliver received data now, or at `resume_reading()` if reading is paused.

        Raises:
            RuntimeError: after `feed_eof()`. If the transport is closing, the call has no effect.
        """
        if None in self._fed:
            raise RuntimeError("feed() after feed_eof(): nothing can follow EOF")
        if data:
            self._fed.append(bytes(data))
            self._deliver()

    def feed_eof(self) -> None:
        """Deliver EOF now, or at `resume_reading()` if reading is paused."""
        self._fed.append(None)
        self._deliver()

    def lose(self, exc: BaseException | None = None) -> None:
        """Call `connection_lost(exc)` now; no effect if it was called before."""
        if not self._lost:
            self._lost = self._closing = True
            self._buffered = 0
            self._protocol.connection_lost(exc)

    def block(self) -> None:
        """Keep written data in the write buffer, as with a peer that does not read."""
        self._blocked = True

    def flush(self, size: int | None = None) -> None:
        """Send `size` bytes of the write buffer; by default all of them, and all later ones."""
        if size is None:
            self._blocked = False
            self._buffered = 0
        else:
            self._buffered = max(0, self._buffered - size)
        self._maybe_resume_protocol()
        if self._closing and not self._buffered:
            self._lose_soon()

    def take(self) -> bytes:
        """Return the bytes written since the last call of this method."""
        taken, self.written = self.written, b""
        return taken

    def _deliver(self) -> None:
        if self._feeding:
            return  # the outer call delivers the data that was added
        self._feeding = True
        try:
            while self._fed and self.is_reading():
                data = self._fed.popleft()
                if data is None:
                    protocol: Any = self._protocol
                    if not protocol.eof_received():
                        self._start_closing()
                elif isinstance(self._protocol, asyncio.BufferedProtocol):
                    self._fill(self._protocol, data)
                else:
                    self._protocol.data_received(data)
        finally:
            self._feeding = False

    def _fill(self, protocol: asyncio.BufferedProtocol, data: bytes) -> None:
        with memoryview(protocol.get_buffer(-1)).cast("B") as buffer:
            size = min(len(buffer), len(data))
            if not size:
                raise RuntimeError("get_buffer() returned an empty buffer")
            buffer[:size] = data[:size]
        if size < len(data):
            self._fed.appendleft(data[size:])
        protocol.buffer_updated(size)

    # --- what protocols call ------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Switch to another protocol."""
        self.calls.append(("set_protocol", protocol))
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the current protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_reading(self) -> bool:
        """Return whether the transport reads: it is neither paused nor closing."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Record the call; keep fed data."""
        self.calls.append(("pause_reading",))
        self._paused = True

    def resume_reading(self) -> None:
        """Record the call; deliver the data fed meanwhile."""
        self.calls.append(("resume_reading",))
        self._paused = False
        self._deliver()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes written since `block()` have not been flushed."""
        return self._buffered

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Record the call and set the high-water and low-water marks, in bytes.

        Raises:
            ValueError: as transports do.
        """
        self.calls.append(("set_write_buffer_limits", high, low))
        super().set_write_buffer_limits(high, low)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Record the bytes.

        Raises:
            TypeError: other types.
            RuntimeError: after EOF.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(
                "data argument must be a bytes, bytearray, or memoryview "
                f"object, not {type(data).__name__!r}"
            )
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        piece = bytes(data)
        self.calls.append(("write", piece))
        if not self._lost:
            self.written += piece
            if self._blocked:
                self._buffered += len(piece)
                self._maybe_pause_protocol()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Record the bytes as one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Record the EOF."""
        self.calls.append(("write_eof",))
        self._eof_written = True

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Record the call; lose the connection when the write buffer is empty."""
        self.calls.append(("close",))
        self._start_closing()

    def abort(self) -> None:
        """Record the call; drop the write buffer and lose the connection."""
        self.calls.append(("abort",))
        self._buffered = 0
        self._start_closing()

    def _start_closing(self) -> None:
        self._closing = True
        if not self._buffered:
            self._lose_soon()

    def _lose_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_soon(self.lose)
