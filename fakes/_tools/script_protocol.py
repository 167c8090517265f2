"""A script's end of a connection."""

from __future__ import annotations

import asyncio
import socket
import struct


class Conversation(asyncio.Protocol):
    """The script's end of the connection. It reads only between `read_on()` and `read_no_more()`.

    Attributes:
        buffer: bytes that no step has taken yet.
        received: all bytes that have arrived.
        taken: how many of them steps have taken.
        eof: EOF from the other side has arrived.
        lost: the connection is gone; `error` says how, None for an orderly end.
        refuse: set before the connection is made, resets it immediately.
        dropping: later steps do not get the bytes that arrive.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.received = bytearray()
        self.taken = 0
        self.eof = False
        self.lost = False
        self.error: Exception | None = None
        self.refuse = False
        self.dropping = False
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._closed = asyncio.Event()

    # --- the protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and read nothing yet."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport, as asked for
        if self.refuse:
            self.reset()
            return
        # With a high-water mark of 0, asyncio's TLS would pause for an empty buffer.
        self.transport.set_write_buffer_limits(high=1, low=0)
        self.transport.pause_reading()
        self._changed.set()

    def data_received(self, data: bytes) -> None:
        """Keep the bytes for the step that expects them."""
        self.received += data
        if not self.dropping:
            self.buffer += data
        self._changed.set()

    def eof_received(self) -> bool:
        """Note it, and keep our direction open, except over TLS."""
        self.eof = True
        self._changed.set()
        return self.transport.get_extra_info("ssl_object") is None

    def pause_writing(self) -> None:
        """Note that some data is not sent yet."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """Note that everything is sent."""
        self._drained.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note how the connection ended."""
        self.lost = True
        self.error = exc
        self._changed.set()
        self._drained.set()
        self._closed.set()

    # --- for steps ----------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """The transport of the open connection."""
        assert self._transport is not None
        return self._transport

    @property
    def was_reset(self) -> bool:
        """Whether the other side has reset the connection."""
        return isinstance(self.error, ConnectionError)

    @property
    def ended(self) -> str | None:
        """How the other side has ended, in words, or empty."""
        if self.lost and self.error is not None:
            return f"the connection was lost ({type(self.error).__name__}: {self.error})"
        return "the other side ended its data" if self.eof or self.lost else None

    async def opened(self) -> None:
        """Wait for the connection."""
        while self._transport is None:
            await self.change()

    async def change(self) -> None:
        """Wait for an event that no step has looked at."""
        await self._changed.wait()
        self._changed.clear()

    async def more(self) -> None:
        """Read until more has arrived: bytes, EOF or a reset."""
        self.read_on()
        await self.change()
        self.read_no_more()

    def read_on(self) -> None:
        """Read from now on."""
        if not self.lost and not self.eof:
            self.transport.resume_reading()

    def read_no_more(self) -> None:
        """Leave arriving data in the buffers of the network, as a busy program does."""
        if not self.lost and not self.eof:
            self.transport.pause_reading()

    def take(self, size: int) -> bytes:
        """Return the next bytes and count them as expected."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.taken += len(data)
        return data

    async def drained(self) -> None:
        """Wait until everything is sent, or the connection is lost."""
        await self._drained.wait()

    def reset(self) -> None:
        """End the connection with a reset (over Unix paths, which have none, with EOF)."""
        if self.lost or self._transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def close(self) -> None:
        """End the connection and wait until it has ended; drop data that the peer does not take."""
        if self._transport is None:
            return
        if self._drained.is_set():
            if self._transport.get_extra_info("ssl_object") is not None:
                # asyncio's TLS waits for the other side's closing message, and must read it.
                self.read_on()
            self.transport.close()
        else:
            self.transport.abort()
        await self._closed.wait()
