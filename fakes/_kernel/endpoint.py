"""One end of a connection, as a kernel keeps it.

The system calls of a non-blocking stream socket act on an `Endpoint`: `send()`, `recv()`,
`shutdown()`, `close()`, with the errors, the buffers and the readiness that Linux has. It does not
know protocols and transports: `fakes._asyncio.transport` builds transports on it, and
`fakes._kernel.socket` sockets.

The plan. Bytes go through three places: the sender's send buffer (`unsent`), the network between
(a `fakes._network.path.Path`, absent when nothing delays or watches the connection), and the
receiver's receive buffer (`received`). Each is a queue of pieces; a piece is the data that one
`send()` took, so that a receiver that keeps up sees the pieces that were sent. The receive buffer's
free room is the sender's window. An operation costs time linear in the bytes that it moves.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from fakes._kernel.errors import os_error
from fakes._kernel.readiness import Watch
from fakes._kernel.surroundings import Machine, Surroundings, WayOut
from fakes._kernel.tcp_state import TCPState

Piece = bytes | memoryview

# A deque takes 760 bytes, empty or not. Buffers that most connections never need are this one until
# they get data.
NOTHING: deque[Any] = deque()


class KeepAlive(NamedTuple):
    """When a silent peer is probed, in seconds, and how many probes it may leave unanswered."""

    idle: float
    interval: float
    probes: int


class Endpoint:
    """One end of a TCP connection."""

    __slots__ = (
        "__weakref__",
        "alive",
        "around",
        "closed",
        "connections",
        "ended",
        "error",
        "fin_queued",
        "fin_received",
        "fin_sent",
        "host",
        "keep_alive",
        "linger_zero",
        "link",
        "local",
        "merge",
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
        "user_timeout",
        "vanished",
        "writer",
    )

    family: int = socket.AF_INET
    # The kernel reports a socket as writable when a third of its send buffer is free.
    writable_at = (2, 3)

    def __init__(
        self,
        around: Surroundings,
        connections: dict[int, Endpoint],
        serial: int,
        host: Machine,
        local: Any,
        send_buffer: int,
        receive_buffer: int,
        link: object = None,
    ) -> None:
        self.around = around
        self.connections = connections  # finds it by its number, until it is forgotten
        self.serial = serial
        self.host = host
        self.link = link  # the way of segments, which an endpoint does not know
        self.local = local
        self.send_buffer = send_buffer
        self.receive_buffer = receive_buffer
        self.peer: Endpoint = self  # until the network joins the two
        self.path: WayOut | None = None
        self.received: deque[Piece] = deque()
        self.received_size = 0
        self.merge = 0  # how many of the first received pieces one recv() may join
        self.unsent: deque[Piece] = NOTHING
        self.unsent_size = 0
        self.reader: Watch | None = None
        self.writer: Watch | None = None
        self.closed = False  # the program has closed its socket
        self.reset = False  # the connection is gone: a reset was sent or received
        self.ended = False  # recv() has something to report besides data: EOF or an error
        self.error: int | None = None  # the error that the next call reports, once
        self.fin_queued = False  # nothing more can be sent
        self.fin_sent = False
        self.fin_received = False
        self.receive_shut = False
        self.vanished = False  # its host has crashed: segments get a reset
        self.linger_zero = False  # SO_LINGER(1, 0): close() resets
        self.keep_alive: KeepAlive | None = None  # SO_KEEPALIVE
        self.alive: list[float] | None = None  # when an end last heard, if probed
        self.user_timeout = 0.0  # TCP_USER_TIMEOUT in seconds, or 0
        self.releases: Callable[[], None] | None = None  # called when the connection ends

    @property
    def is_client(self) -> bool:
        """Whether this is the end that called connect()."""
        return self.serial % 2 == 0

    # --- system calls -------------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview[Any]) -> int:
        """Take as many bytes as the buffers have room for, and return how many.

        Raises:
            BlockingIOError: there is room for none.
            BrokenPipeError: after `shutdown()`, the connection's error once, if it has one.
            BufferError: a memoryview that is not contiguous.
        """
        if self.fin_queued or self.reset:
            self._raise_error()
            raise os_error(errno.EPIPE)
        if type(data) is not bytes:
            data = self._copy(data, self._room() + self._window())
        size = len(data)
        if not self.unsent:
            path = self.path
            if path is None:
                peer = self.peer
                if peer.received_size + size <= peer.receive_buffer:
                    # The common case: the receiver has room, and there is no path in between.
                    peer.receive_data(data)
                    return size
            elif (
                path.in_window + size <= self.peer.receive_buffer
                and path.unacknowledged + size <= self.send_buffer
            ):
                path.send_data(data)
                if self.writer is not None:
                    self.check_writable()
                return size
        taken = 0
        while taken < size and (room := self._room()) > 0:
            whole = not taken and size <= room
            piece = data if whole else memoryview(data)[taken : taken + room]
            if self.unsent is NOTHING:
                self.unsent = deque()
            waits = bool(self.unsent)  # for the window, which a push would not open
            self.unsent.append(piece)
            self.unsent_size += len(piece)
            taken += len(piece)
            if not waits:
                self.push()
        if not taken:
            raise os_error(errno.EAGAIN)
        return taken

    def _copy(self, data: bytes | bytearray | memoryview[Any], most: int) -> bytes:
        """Return a copy of what may be taken, at most so many bytes: sent data does not change."""
        with memoryview(data) as view:
            if not view.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if not view.nbytes:
                return b""
            if not most:
                raise os_error(errno.EAGAIN)
            return bytes(view.cast("B")[:most])

    def _room(self) -> int:
        """How many bytes the send buffer has room for."""
        unacknowledged = self.path.unacknowledged if self.path is not None else 0
        return max(self.send_buffer - self.unsent_size - unacknowledged, 0)

    def _window(self) -> int:
        """How many bytes more the receiver has room for."""
        if self.path is not None:
            return self.path.window()
        return max(self.peer.receive_buffer - self.peer.received_size, 0)

    def recv(self, limit: int) -> bytes:
        """Return up to `limit` bytes; empty at EOF.

        Raises:
            BlockingIOError: there is nothing yet; and the connection's error once, after all data
                that was received before it.
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
        peer = self.peer
        if peer.path is not None:
            peer.path.window_opened()
        elif peer.unsent:
            peer.push()
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

        Raises:
            OSError: ENOTCONN: the connection is over: reset, or ended by both sides.
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
        """Give the socket back to the kernel, which sends the buffered data, then EOF.

        With unread data or SO_LINGER(1, 0) it resets the connection instead.
        """
        if self.closed:
            return
        self.closed = True
        self.unwatch()
        if self.reset:
            self.forget()
        elif self.linger_zero or self.received:
            self.send_reset()
        else:
            self._finish()
            self._forget_if_done()

    def vanish(self) -> None:
        """Disappear without a callback or a segment: the host has crashed."""
        self.closed = self.vanished = True
        self.unwatch()
        self.received.clear()
        self.received_size = 0
        self.unsent.clear()
        self.unsent_size = 0
        self.releases = None

    def set_timeouts(self, keep_alive: KeepAlive | None, user_timeout: float) -> None:
        """Probe the other end when it is silent, if `keep_alive` is given; see `Path`."""
        if keep_alive is not None and self.alive is None:
            self.alive = self.peer.alive = [self.around.loop.time()]
        self.keep_alive, self.user_timeout = keep_alive, user_timeout
        if self.path is not None:
            self.path.refresh()

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

    def forget(self) -> None:
        """It is closed and has nothing left to send or receive: release its local port."""
        if self.connections.pop(self.serial, None) is not None and self.releases is not None:
            self.releases()
            self.releases = None

    def show(self, kind: str, data: bytes, arrives: float | None) -> None:
        """Show the observers a segment that this end sends."""
        self.around.show(
            self.serial >> 1, self.local, self.peer.local, self.is_client, kind, data, arrives
        )

    @property
    def over(self) -> bool:
        """Whether the kernel has released the connection, and the program has not."""
        return self.reset or (self.fin_sent and self.fin_received)

    @property
    def state(self) -> TCPState:
        """The state of the connection."""
        acknowledged = self.peer.fin_received
        if self.reset or (self.over and acknowledged):
            return TCPState.CLOSE
        if self.fin_received:
            return TCPState.LAST_ACK if self.fin_queued else TCPState.CLOSE_WAIT
        if self.fin_queued:
            return TCPState.FIN_WAIT2 if acknowledged else TCPState.FIN_WAIT1
        return TCPState.ESTABLISHED

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
        buffered = self.unsent_size
        if self.path is not None:
            buffered += self.path.unacknowledged
        return buffered * whole <= self.send_buffer * part

    def check_readable(self) -> None:
        """Hand the reader's watch to the loop if there is something to read."""
        reader = self.reader
        if (self.received or self.ended) and reader is not None and not reader.queued:
            reader.queued = True
            self.around.poll(reader)

    def check_writable(self) -> None:
        """Hand the writer's watch to the loop if there is room."""
        writer = self.writer
        if writer is not None and not writer.queued and self.writable:
            writer.queued = True
            self.around.poll(writer)

    # --- sending ------------------------------------------------------------------------------

    def push(self) -> None:
        """Send the part of the send buffer that fits in the window, then EOF if it is due.

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
                window = self._window()
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
        """End the connection immediately, here and at the peer."""
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
            self.forget()

    def fail(self, number: int) -> None:
        """End the connection only here, with an error (a timeout, an unreachable network)."""
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
            # Nobody will read this: the kernel answers with a reset.
            if not self.reset:
                self.error = errno.ECONNRESET
            self.send_reset()
            self.check_readable()
            return
        self.received.append(data)
        self.received_size += len(data)
        if self.alive is not None:
            self.alive[0] = self.around.loop.time()
        reader = self.reader
        if reader is not None and not reader.queued:
            reader.queued = True
            self.around.poll(reader)

    def receive_fin(self) -> None:
        """The peer's EOF has arrived."""
        if self.vanished and not self.reset:
            self.send_reset()
        elif not self.reset:
            self.fin_received = self.ended = True
            self.check_readable()
            self._forget_if_done()

    def receive_reset(self) -> None:
        """A reset has arrived. Data received before it can still be read."""
        if self.over:
            return
        self._die()
        # A socket whose peer had already finished reports a broken pipe (Linux, tcp_reset()).
        self.error = errno.EPIPE if self.fin_received else errno.ECONNRESET
        self.check_readable()
        self.check_writable()

    def _forget_if_done(self) -> None:
        if self.closed and self.fin_sent and self.fin_received:
            self.forget()


class TCP6Endpoint(Endpoint):
    """One end of a TCP connection over IPv6."""

    __slots__ = ()
    family = socket.AF_INET6


class Unconnected(Endpoint):
    """The endpoint of a socket without a connection: each call raises the error that Linux gives.

    Such a socket is reported as readable and as writable, unless it listens or is being connected.
    """

    __slots__ = ("family",)

    def __init__(
        self,
        around: Surroundings,
        host: Machine,
        family: int,
        send_buffer: int,
        receive_buffer: int,
    ) -> None:
        super().__init__(around, {}, -1, host, None, send_buffer, receive_buffer)
        self.family = family
        self.hang_up()

    @property
    def writable(self) -> bool:
        """Whether the socket is reported as writable: its buffer, though empty, goes nowhere."""
        return self.reset

    def hang_up(self, over: bool = True) -> None:
        """Become readable and writable, or neither of them."""
        self.reset = self.ended = over
        self.check_readable()
        self.check_writable()

    def refuse(self, number: int) -> None:
        """An attempt to connect has failed: the next call raises the reason, later ones see EOF."""
        self.error = number
        self.receive_shut = True
        self.hang_up()

    def forgive(self) -> int | None:
        """Forget the failed attempt; return the error that no call has reported yet."""
        number, self.error = self.error, None
        self.receive_shut = False
        return number

    def hand_over(self, end: Endpoint) -> None:
        """There is a connection now: the watches move to it."""
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
        """Raise `OSError`: ENOTCONN, EINVAL on a Unix socket. After `refuse()` it returns EOF."""
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
