"""One end of a Unix stream connection."""

from __future__ import annotations

import errno
import socket
from typing import Any

from fakes._kernel.endpoint import Endpoint
from fakes._kernel.errors import os_error


class UnixEndpoint(Endpoint):
    """One end of a Unix stream connection.

    It differs from TCP: both ends are in one kernel, so an end knows immediately when the other is
    closed; a send buffer is the room in the peer's queue; there are no resets to send, only an
    error that a close with unread data leaves at the peer.
    """

    __slots__ = ()

    family = socket.AF_UNIX
    writable_at = (1, 4)

    def send(self, data: bytes | bytearray | memoryview[Any]) -> int:
        """As `Endpoint.send()`; `BrokenPipeError` as soon as the peer has closed."""
        peer = self.peer
        if self.fin_queued or peer.closed or peer.receive_shut:
            raise os_error(errno.EPIPE)
        room = self.send_buffer - peer.received_size
        if room <= 0:
            raise os_error(errno.EAGAIN)
        piece = self._copy(data, room)
        peer.receive_data(piece)
        self._show("DATA", piece)
        return len(piece)

    def push(self) -> None:
        """Send EOF, when it is due: there is nothing else to wait for."""
        if self.fin_queued and not self.fin_sent:
            self.fin_sent = True
            self._show("FIN")
            self.peer.receive_fin()

    def _show(self, kind: str, data: bytes = b"") -> None:
        if self.around.observed:
            self.show(kind, data, self.around.loop.time())

    @property
    def writable(self) -> bool:
        """Whether the socket is reported as writable."""
        if self.fin_queued or self.error is not None or self.peer.closed:
            return True
        part, whole = self.writable_at
        return self.peer.received_size * whole <= self.send_buffer * part

    def shutdown(self, how: int) -> None:
        """Close one direction or both."""
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self.receive_shut = self.ended = True
            self.check_readable()
            self.peer.check_writable()
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._finish()
            self.check_writable()

    def close(self) -> None:
        """Close; the peer sees EOF, or a reset if there was unread data."""
        if self.closed:
            return
        self.closed = True
        self.unwatch()
        peer = self.peer
        if self.received and not peer.closed:
            peer.error = errno.ECONNRESET
            peer.ended = True
            self._show("RST")
        self.received.clear()
        self.received_size = 0
        self._finish()
        peer.check_readable()
        peer.check_writable()
        self.forget()

    def recv(self, limit: int) -> bytes:
        """As `Endpoint.recv()`; an error is reported even after EOF."""
        if not self.received:
            self._raise_error()
        data = super().recv(limit)
        self.peer.check_writable()
        return data
