"""One end of a connection, as a kernel keeps it.

An `Endpoint` is what a non-blocking stream socket's system calls act on: `send()`, `recv()`,
`shutdown()`, `close()`, with the errors, the buffers and the readiness that Linux has. It knows
nothing of protocols and transports; those stand on it in `fakes.transport`, and sockets in
`fakes.sockets`.

The plan. Bytes go through three places: the sender's send buffer (`unsent`), the network between
(a `fakes.link.Path`, absent when the connection has nothing that delays or watches it), and the
receiver's receive buffer (`received`). Each is a queue of pieces; a piece is what one `send()`
took, so that a receiver that keeps up sees the pieces that were sent. The receive buffer's free
room is the sender's window. An operation costs time linear in the bytes that it moves.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fakes.watch import Watch

if TYPE_CHECKING:
    from fakes.link import Link, Path
    from fakes.network import Host, Network

Piece = bytes | memoryview

# A deque takes 760 bytes, empty or not. Buffers that most connections never need are this one
# until something is put in.
NOTHING: deque[Any] = deque()


def os_error(number: int) -> OSError:
    """The exception that a system call raises for an error number, e.g. `ConnectionResetError`."""
    return OSError(number, os.strerror(number))


class Endpoint:
    """One end of a TCP connection."""

    __slots__ = (
        "__weakref__",
        "closed",
        "ended",
        "error",
        "fin_queued",
        "fin_received",
        "fin_sent",
        "host",
        "linger_zero",
        "link",
        "local",
        "merge",
        "network",
        "path",
        "peer",
        "reader",
        "receive_buffer",
        "receive_shut",
        "received",
        "received_size",
        "releases",
        "reset",
        "send_buffer",
        "serial",
        "unsent",
        "unsent_size",
        "writer",
    )

    family: int = socket.AF_INET
    # The kernel reports a socket as writable when a third of its send buffer is free.
    writable_at = (2, 3)

    def __init__(
        self,
        network: Network,
        serial: int,
        host: Host,
        local: Any,
        send_buffer: int,
        receive_buffer: int,
        link: Link | None = None,
    ) -> None:
        self.network = network
        self.serial = serial
        self.host = host
        self.link = link
        self.local = local
        self.send_buffer = send_buffer
        self.receive_buffer = receive_buffer
        self.peer: Endpoint = self  # until the network joins the two
        self.path: Path | None = None
        self.received: deque[Piece] = deque()
        self.received_size = 0
        self.merge = 0  # how many of the first received pieces one recv() may join
        self.unsent: deque[Piece] = NOTHING
        self.unsent_size = 0
        self.reader: Watch | None = None
        self.writer: Watch | None = None
        self.closed = False  # the program has closed its socket
        self.reset = False  # the connection is gone: a reset was sent or received
        self.ended = False  # recv() has something to say besides data: an end or an error
        self.error: int | None = None  # the error that the next call reports, once
        self.fin_queued = False  # nothing more can be sent
        self.fin_sent = False
        self.fin_received = False
        self.receive_shut = False
        self.linger_zero = False  # SO_LINGER(1, 0): close() resets
        self.releases: Callable[[], None] | None = None  # what else ends with the connection

    @property
    def is_client(self) -> bool:
        """Whether this is the end that called connect()."""
        return self.serial % 2 == 0

    # --- system calls -------------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview[Any]) -> int:
        """Take as many bytes as the buffers have room for and return how many.

        Raises `BlockingIOError` if there is room for none, `BrokenPipeError` after `shutdown()`,
        the connection's error once, if it has one, and `BufferError` for a memoryview that is not
        contiguous.
        """
        if self.fin_queued or self.reset:
            self._raise_error()
            raise os_error(errno.EPIPE)
        if type(data) is not bytes:
            data = self._copy(data)
        size = len(data)
        if self.path is None and not self.unsent:
            peer = self.peer
            if peer.received_size + size <= peer.receive_buffer:
                # The common case: the receiver has room, and nothing is in between.
                peer.receive_data(data)
                return size
        taken = 0
        while taken < size and (room := self._room()) > 0:
            whole = not taken and size <= room
            piece = data if whole else memoryview(data)[taken : taken + room]
            if self.unsent is NOTHING:
                self.unsent = deque()
            self.unsent.append(piece)
            self.unsent_size += len(piece)
            taken += len(piece)
            self.push()
        if not taken:
            raise os_error(errno.EAGAIN)
        return taken

    def _copy(self, data: bytes | bytearray | memoryview[Any]) -> bytes:
        """Return as much as both ends' buffers can hold: what is sent can change no more."""
        with memoryview(data) as view:
            if not view.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if not view.nbytes:
                return b""
            return bytes(view.cast("B")[: self.send_buffer + self.peer.receive_buffer])

    def _room(self) -> int:
        """How many bytes the send buffer has room for."""
        unacknowledged = self.path.unacknowledged if self.path is not None else 0
        return self.send_buffer - self.unsent_size - unacknowledged

    def recv(self, limit: int) -> bytes:
        """Return up to `limit` bytes; empty at the end of what the peer sent.

        Raises `BlockingIOError` if there is nothing yet, and the connection's error once, after
        all that was received before it.
        """
        received = self.received
        if not received:
            if not self.fin_received:
                self._raise_error()
                if not (self.reset or self.receive_shut):
                    raise os_error(errno.EAGAIN)
            return b""
        piece = received.popleft()
        size = len(piece)
        if size > limit:
            rest = memoryview(piece)
            received.appendleft(rest[limit:])
            piece, size = rest[:limit], limit
        elif self.merge:
            if self.merge > 1:
                return self._recv_merged(piece, limit)
            self.merge = 0
        self.received_size -= size
        if self.peer.unsent or self.peer.path is not None:
            self._window_opened()
        return piece if type(piece) is bytes else bytes(piece)

    def _recv_merged(self, first: Piece, limit: int) -> bytes:
        received = self.received
        pieces = [first]
        size = len(first)
        self.merge -= 1
        while self.merge and size < limit:
            piece = received.popleft()
            if size + len(piece) > limit:
                rest = memoryview(piece)
                received.appendleft(rest[limit - size :])
                pieces.append(rest[: limit - size])
                size = limit
                break
            self.merge -= 1
            pieces.append(piece)
            size += len(piece)
        self.received_size -= size
        self._window_opened()
        return b"".join(pieces)

    def shutdown(self, how: int) -> None:
        """Close one direction or both (`socket.SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`).

        Raises `OSError` (ENOTCONN) if the connection is over: reset, or ended by both sides.
        """
        if self.over:
            raise os_error(errno.ENOTCONN)
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self.receive_shut = self.ended = True
            self.check_readable()
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._finish()
            self.check_writable()

    def close(self) -> None:
        """Give the socket back to the kernel, which sends what is buffered, then the end.

        With unread data or SO_LINGER(1, 0) it resets the connection instead.
        """
        if self.closed:
            return
        self.closed = True
        self.unwatch()
        if self.reset:
            self.network.forget(self)
        elif self.linger_zero or self.received:
            self.send_reset()
        else:
            self._finish()
            self._forget_if_done()

    def unwatch(self) -> None:
        """Cancel both watches."""
        if self.reader is not None:
            self.reader.cancel()
            self.reader = None
        if self.writer is not None:
            self.writer.cancel()
            self.writer = None

    def _raise_error(self) -> None:
        if self.error is not None:
            number, self.error = self.error, None
            raise os_error(number)

    def release(self) -> None:
        """The network has forgotten this end: let go of its local port."""
        if self.releases is not None:
            self.releases()
            self.releases = None

    @property
    def over(self) -> bool:
        """Whether the kernel has let go of the connection, while the program has not."""
        return self.reset or (self.fin_sent and self.fin_received)

    # --- readiness ----------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether recv() would not raise `BlockingIOError`."""
        return self.ended or bool(self.received)

    @property
    def writable(self) -> bool:
        """Whether the socket is reported as writable."""
        if self.reset or self.fin_queued or self.error is not None:
            return True
        part, whole = self.writable_at
        return (self.send_buffer - self._room()) * whole <= self.send_buffer * part

    def check_readable(self) -> None:
        """Hand the reader's watch to the loop if there is something for it."""
        reader = self.reader
        if (self.received or self.ended) and reader is not None and not reader.queued:
            reader.queued = True
            self.network.poll(reader)

    def check_writable(self) -> None:
        """Hand the writer's watch to the loop if there is something for it."""
        writer = self.writer
        if writer is not None and not writer.queued and self.writable:
            writer.queued = True
            self.network.poll(writer)

    # --- sending ------------------------------------------------------------------------------

    def push(self) -> None:
        """Send from the send buffer what the window admits, then the end if it is due.

        A piece goes when it fits, and in window-sized slices when it is larger than the window can
        ever be.
        """
        unsent = self.unsent
        if unsent:
            if self.reset:
                return
            while unsent:
                peer = self.peer
                path = self.path
                window = peer.receive_buffer - peer.received_size if path is None else path.window()
                piece = unsent[0]
                size = len(piece)
                if size > window:
                    if window < peer.receive_buffer:
                        break
                    rest = memoryview(piece)
                    piece, unsent[0], size = rest[:window], rest[window:], window
                else:
                    unsent.popleft()
                self.unsent_size -= size
                if path is None:
                    peer.receive_data(piece)
                else:
                    path.send_data(piece)
            self.check_writable()
        if self.fin_queued and not unsent and not self.fin_sent and not self.reset:
            self.fin_sent = True
            if self.path is None:
                self.peer.receive_fin()
            else:
                self.path.send_fin()
            self._forget_if_done()

    def _finish(self) -> None:
        if not self.fin_queued:
            self.fin_queued = True
            self.push()

    def send_reset(self) -> None:
        """End the connection at once, here and at the peer."""
        self._die()
        if self.path is None:
            self.peer.receive_reset()
        else:
            self.path.send_reset()

    def _die(self) -> None:
        self.reset = self.ended = True
        self.unsent.clear()
        self.unsent_size = 0
        if self.closed:
            self.received.clear()
            self.received_size = 0
            self.network.forget(self)

    def fail(self, number: int) -> None:
        """End the connection here only, with an error (a time-out, an unreachable network)."""
        if not self.reset:
            self._die()
            self.error = number
            self.check_readable()
            self.check_writable()

    def _window_opened(self) -> None:
        """The program has read: the peer may send again."""
        path = self.peer.path
        if path is not None:
            path.window_opened()
        elif self.peer.unsent:
            self.peer.push()

    # --- receiving ----------------------------------------------------------------------------

    def receive_data(self, data: Piece) -> None:
        """A segment with data has arrived."""
        if self.closed or self.reset or (self.fin_queued and self.receive_shut):
            # Nobody will read this: the kernel says so with a reset.
            if not self.reset:
                self.error = errno.ECONNRESET
            self.send_reset()
            self.check_readable()
            return
        self.received.append(data)
        self.received_size += len(data)
        reader = self.reader
        if reader is not None and not reader.queued:
            reader.queued = True
            self.network.poll(reader)

    def receive_fin(self) -> None:
        """The peer's end of data has arrived."""
        if not self.reset:
            self.fin_received = self.ended = True
            self.check_readable()
            self._forget_if_done()

    def receive_reset(self) -> None:
        """A reset has arrived. What was received before it can still be read."""
        if self.over:
            return
        self._die()
        # A socket whose peer had already finished reports a broken pipe (Linux, tcp_reset()).
        self.error = errno.EPIPE if self.fin_received else errno.ECONNRESET
        self.check_readable()
        self.check_writable()

    def _forget_if_done(self) -> None:
        if self.closed and self.fin_sent and self.fin_received:
            self.network.forget(self)


class Unconnected(Endpoint):
    """What is under a socket without a connection: each call says so, as Linux does.

    Such a socket is reported as readable and as writable, unless it listens or is being connected.
    """

    __slots__ = ("family",)

    def __init__(self, network: Network, host: Host, family: int) -> None:
        super().__init__(network, -1, host, None, network.send_buffer, network.receive_buffer)
        self.family = family
        self.hang_up()

    def hang_up(self, over: bool = True) -> None:
        """Become readable and writable, or neither of them."""
        self.reset = self.ended = over
        self.check_readable()
        self.check_writable()

    def refuse(self, number: int) -> None:
        """An attempt to connect has failed: the next call reports why, and then the end."""
        self.error = number
        self.receive_shut = True
        self.hang_up()

    def forgive(self) -> int | None:
        """Be as if no attempt had failed; return the error that no call has reported yet."""
        number, self.error = self.error, None
        self.receive_shut = False
        return number

    def hand_over(self, end: Endpoint) -> None:
        """There is a connection now: who watched for one watches it."""
        end.reader, end.writer = self.reader, self.writer
        self.reader = self.writer = None
        for watch in (end.reader, end.writer):
            if watch is not None:
                watch.endpoint = end
        end.check_readable()
        end.check_writable()

    def send(self, data: bytes | bytearray | memoryview[Any]) -> int:
        """Raise `OSError`: EPIPE, or ENOTCONN on a Unix socket."""
        self._raise_error()
        raise os_error(errno.ENOTCONN if self.family == socket.AF_UNIX else errno.EPIPE)

    def recv(self, limit: int) -> bytes:
        """Raise `OSError`: ENOTCONN, EINVAL on a Unix socket. After `refuse()` it is the end."""
        self._raise_error()
        if self.family == socket.AF_UNIX:
            raise os_error(errno.EINVAL)
        if self.receive_shut:
            return b""
        raise os_error(errno.ENOTCONN)

    def shutdown(self, how: int) -> None:
        """Raise `OSError` (ENOTCONN); without effect on a Unix socket, or one that listens."""
        if self.family == socket.AF_UNIX or (how == socket.SHUT_WR and not self.reset):
            return
        self.receive_shut |= how != socket.SHUT_WR
        raise os_error(errno.ENOTCONN)


class UnixEndpoint(Endpoint):
    """One end of a Unix stream connection.

    What differs from TCP: both ends are in one kernel, so that an end knows at once when the other
    is closed; a send buffer is the room in the peer's queue; there are no resets to send, only an
    error left with the peer when it is closed with unread data.
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
        piece = self._copy(data)[:room]
        peer.receive_data(piece)
        self._show("DATA", piece)
        return len(piece)

    def push(self) -> None:
        """Send the end, when it is due: there is nothing else to wait for."""
        if self.fin_queued and not self.fin_sent:
            self.fin_sent = True
            self._show("FIN")
            self.peer.receive_fin()

    def _show(self, kind: str, data: bytes = b"") -> None:
        if self.network.observed:
            self.network.show(self, kind, data, self.network.loop.time())

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
        """Close; the peer sees the end, and a reset if there was unread data."""
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
        self.network.forget(self)

    def recv(self, limit: int) -> bytes:
        """As `Endpoint.recv()`; an error is reported even after the end of data."""
        if not self.received:
            self._raise_error()
        data = super().recv(limit)
        self.peer.check_writable()
        return data
