"""`loop.sendfile()` over simulated connections: a kernel's sendfile(), by hand."""

from __future__ import annotations

import asyncio
from typing import IO

from fakes._asyncio.transport import SocketTransport

CHUNK = 256 * 1024  # bytes read from the file at a time


async def send_file(
    transport: SocketTransport, file: IO[bytes], offset: int, count: int | None
) -> int:
    """Send a file over a transport, from `offset` on, `count` bytes of it or all.

    Meanwhile the transport calls only `connection_lost()` of its protocol. The file's position is
    behind the last byte that was sent.

    Returns:
        How many bytes were sent.

    Raises:
        RuntimeError: the transport is closing.
        ConnectionError: the connection is lost.
        ValueError: a text file.
    """
    check_arguments(file, offset, count)
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    turn = _SendersTurn(transport)
    sent = 0
    try:
        file.seek(offset)
        while chunk := file.read(CHUNK if count is None else min(CHUNK, count - sent)):
            await turn.writable()
            transport.write(chunk)
            sent += len(chunk)
        await turn.writable()
        return sent
    finally:
        file.seek(offset + sent)
        turn.end()


def check_arguments(file: IO[bytes], offset: int, count: int | None) -> None:
    """Raise `ValueError` unless it is a binary file and the sizes make sense."""
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if offset < 0:
        raise ValueError(f"offset must be a non-negative integer (got {offset!r})")
    if count is not None and count <= 0:
        raise ValueError(f"count must be a positive integer (got {count!r})")


class _SendersTurn(asyncio.Protocol):
    """A transport's protocol while a file is sent: it waits for room, and reads nothing."""

    def __init__(self, transport: SocketTransport) -> None:
        self._transport = transport
        self._protocol = transport.get_protocol()
        self._was_reading = transport.is_reading()
        self._was_paused = transport._protocol_paused
        self._lost = False
        self._room = asyncio.Event()
        if not self._was_paused:
            self._room.set()
        transport.pause_reading()
        transport.set_protocol(self)

    async def writable(self) -> None:
        """Wait for room in the write buffer.

        Raises:
            ConnectionError: the connection is lost.
        """
        await self._room.wait()
        if self._lost or self._transport.is_closing():
            raise ConnectionError("Connection closed by peer")

    def end(self) -> None:
        """Give the transport back to its protocol."""
        if self._lost:
            return
        self._transport.set_protocol(self._protocol)
        if self._was_reading:
            self._transport.resume_reading()
        # The last call to the protocol must match the state of the write buffer.
        is_paused = not self._room.is_set()
        if is_paused != self._was_paused:
            getattr(self._protocol, "pause_writing" if is_paused else "resume_writing")()

    def pause_writing(self) -> None:
        """Note that there is no room."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Note that there is room again."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait for room, and call the protocol."""
        self._lost = True
        self._room.set()
        self._protocol.connection_lost(exc)
