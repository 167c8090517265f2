"""One connection's use of a link, in one direction.

Most segments meet no obstacle: `_transmit()` is their way, and it is short. Anything that may delay
a segment, lose it or cut the connection sets `_obstructed`, and segments then go through
`_send_obstructed()`.
"""

from __future__ import annotations

import asyncio
import errno
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from fakes._kernel.endpoint import Endpoint, Piece
from fakes._kernel.surroundings import Machine
from fakes._network.environment import Environment
from fakes._network.segment import Ends

# Linux: TCP_RTO_MIN, TCP_RTO_MAX and net.ipv4.tcp_retries2; together 924.6 seconds.
FIRST_RETRANSMISSION = 0.2
LONGEST_RETRANSMISSION = 120.0
RETRANSMISSIONS = 15

# How a seed other than 0 varies arrivals: a segment may take up to this many seconds longer.
VARIATION = 0.001

# And into what pieces it cuts writes, and which it joins. One in four directions of connections is
# rough; there half of the writes are cut, half of the pieces that wait to be read are joined, and
# every segment is late. Elsewhere that is rare, and one segment in eight is late: so a run meets
# both, and most of it is fast.
ROUGH = 1 / 4
CUT_WHERE_ROUGH = JOINED_WHERE_ROUGH = 1 / 2
CUT_ELSEWHERE = JOINED_ELSEWHERE = 1 / 32
LATE_ELSEWHERE = 1 / 8
MOST_PIECES = 64
# Large data is cut into fewer pieces, and waiting pieces are joined only up to a size: faults that
# depend on cuts and joins show in short messages, and copying makes large data slow. And once a
# direction has carried a megabyte, with all these variations, it is cut or late less often.
MUCH = 4096
MOST_PIECES_OF_MUCH = 8
MOST_JOINED = 65536
VARIED_WELL = 2**20
SELDOM = 1 / 16

# A slow reader takes a tenth of a second's data in one go.
SIPS = 10

# A segment to send: the kind, the data, and the function to call on arrival instead of the usual
# one.
Sent = tuple[str, Piece, Callable[[], None] | None]


def reset_both(end: Endpoint) -> None:
    """Let both ends of a connection receive a reset, from something in between."""
    peer = end.peer
    end.receive_reset()
    peer.receive_reset()


class Carrier(Protocol):
    """The needs of a path: its link's methods."""

    latency: float
    segment_size: int | None
    steady: bool  # a segment's time depends only on the latency, and on chance

    def loses(self, from_client: bool, sender: Machine) -> bool:
        """Whether data sent now in a direction is lost."""

    def stalls(self, from_client: bool, sender: Machine) -> bool:
        """Whether data sent now in a direction is delayed."""

    def hold(self, release: Callable[[], None]) -> None:
        """Call back at the end of the stall, in the order of these calls."""

    def own_delay(self, source: Machine, size: int) -> float:
        """Return how many seconds a segment takes that is sent now, whatever the seed varies."""


class Limit:
    """How many bytes a connection carries until it is ended from in between.

    Args:
        left: the number of bytes.
        ends: whether by EOF, and not by a reset.
    """

    def __init__(self, left: int, ends: bool) -> None:
        self.left = left
        self.ends = ends


class Path:
    """The carrier of one connection's segments in one direction, from `end` to its peer.

    Attributes:
        partitioned, stalled: whether this connection's data in this direction is lost, or delayed,
        whatever the link does.
        pace: how many bytes per second the program at the other end reads, if that is limited.
    """

    # With so many attributes, slots are faster: a dict of more than thirty is one of its own.
    __slots__ = (
        "_announced",
        "_arrival",
        "_arrived",
        "_cut",
        "_cut_rate",
        "_ends",
        "_going",
        "_held",
        "_joined",
        "_joined_rate",
        "_late_rate",
        "_limit",
        "_loop",
        "_loses",
        "_losing_since",
        "_lost",
        "_lost_arrived",
        "_lost_read",
        "_obstructed",
        "_probe",
        "_probes",
        "_read_until",
        "_retransmission",
        "_retransmissions",
        "_returning",
        "_segments",
        "_sending",
        "_stalls",
        "end",
        "environment",
        "in_window",
        "link",
        "pace",
        "partitioned",
        "stalled",
        "twin",
        "unacknowledged",
    )

    def __init__(self, end: Endpoint, link: Carrier, environment: Environment) -> None:
        self.end = end
        self.link = link
        self.environment = environment
        self.twin: Path = self  # the other direction; set by the link
        self._loop = environment.loop
        self._ends: Ends = (end.serial >> 1, end.local, end.peer.local, end.is_client)
        # The sender's counts: bytes that are not acknowledged, and bytes in the window. The
        # receiver's counts: bytes that arrived, and bytes that it has announced as read.
        self.unacknowledged = 0
        self.in_window = self._arrived = end.peer.received_size
        self._announced = 0
        # Each with its time: segments on their way, and acknowledgements on their way back, with
        # the bytes that have arrived and those that have been read.
        self._going: deque[tuple[float, str, Piece, Callable[[], None] | None]] = deque()
        self._returning: deque[tuple[float, int, int]] = deque()
        # Segments that a partition has swallowed, to be sent again; acknowledgements add up.
        self._lost: deque[Sent] = deque()
        self._lost_arrived = self._lost_read = 0
        self._retransmission: asyncio.TimerHandle | None = None
        self._retransmissions = 0
        self._losing_since = 0.0
        # The probe of an idle peer that cannot answer, and how often it has not answered.
        self._probe: asyncio.TimerHandle | None = None
        self._probes = 0
        self._held: deque[Callable[[], None]] = deque()  # until the end of a stall
        self._limit: Limit | None = None
        self._cut = False  # something in between has ended the connection
        self._read_until = 0.0  # the program at the other end, at its pace
        # Whether segments that belong together are being sent: on a link without latency the first
        # is acknowledged before the second is sent, and no later data may go in between.
        self._sending = False
        self._segments = environment.segments
        self._joined = environment.joined
        self._arrival = environment.arrival
        self._cut_rate, self._joined_rate = CUT_ELSEWHERE, JOINED_ELSEWHERE
        self._late_rate = LATE_ELSEWHERE
        if environment.varies and environment.chances("rough").random() < ROUGH:
            self._cut_rate, self._joined_rate = CUT_WHERE_ROUGH, JOINED_WHERE_ROUGH
            self._late_rate = 1.0
        self.partitioned = self.stalled = False
        self.pace: float | None = None
        self._loses = self._stalls = self._obstructed = False
        self.refresh()

    # --- for endpoints -------------------------------------------------------------------

    def window(self) -> int:
        """Return how many bytes the receiver has room for, as far as the sender knows."""
        window = self.end.peer.receive_buffer - self.in_window
        return window if window > 0 else 0

    def send_data(self, data: Piece) -> None:
        """Send data, in segments."""
        size = len(data)
        self.in_window += size
        self.unacknowledged += size
        before, self._sending = self._sending, True
        cut = False
        if self._segments is not None:
            rate = self._cut_rate
            if size >= MUCH and self._arrived >= VARIED_WELL:
                rate *= SELDOM
            cut = self._segments() < rate
        if cut or self.link.segment_size is not None or self.pace is not None:
            self._send_pieces(data, size, cut)
        elif self._obstructed:
            self._send_obstructed("DATA", data, None)
        else:
            self._transmit("DATA", data, None)
        self._sending = before

    def _send_pieces(self, data: Piece, size: int, cut: bool) -> None:
        most = self.link.segment_size or size
        if cut and self._segments is not None:
            pieces = MOST_PIECES if size < MUCH else MOST_PIECES_OF_MUCH
            most = min(most, max(1 + int(self._segments() * size), size // pieces))
        if self.pace is not None:
            most = min(most, max(1, int(self.pace / SIPS)))
        if most >= size:
            self._send("DATA", data)
            return
        if size >= MUCH:
            data = memoryview(data)  # copied when somebody reads it
        for start in range(0, size, most):
            self._send("DATA", data[start : start + most])

    def send_fin(self) -> None:
        """Send EOF."""
        self._send("FIN")

    def send_reset(self) -> None:
        """Send a reset. It is not sent again if it is lost."""
        self._send("RST")

    def send_handshake(self, accepted: Callable[[], None]) -> None:
        """Send the third segment of the handshake; `accepted` is called when it has arrived."""
        self._send("ACK", accepted=accepted)

    def window_opened(self) -> None:
        """The receiving program has read: announce it to the sender."""
        end = self.end
        read = self._arrived - end.peer.received_size
        freed = read - self._announced
        if not freed:
            return
        self._announced = read
        if self.twin._obstructed or self._returning or self.link.latency or end.alive is not None:
            self._return(0, freed)
            return
        # As `_acknowledged(0, freed)` does, in less time.
        self.in_window -= freed
        if (end.unsent or end.fin_queued) and not self._sending:
            end.push()
        elif end.writer is not None:
            end.check_writable()

    # --- faults -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Check the way again: something about it has changed."""
        end = self.end
        down = self.environment.down
        self._loses = (
            self.partitioned
            or self.link.loses(end.is_client, end.host)
            or end.host in down
            or end.peer.host in down
        )
        self._stalls = self.stalled or self.link.stalls(end.is_client, end.host)
        self._notice()
        self._keep_alive()
        if self.twin.end.keep_alive is not None and self.twin is not self:
            self.twin._keep_alive()

    def _notice(self) -> None:
        self._obstructed = bool(
            self._loses
            or self._stalls
            or self._held
            or self._lost
            or self._limit is not None
            or self._cut
        )

    def limit(self, limit: Limit | None) -> None:
        """End the connection from in between after so many bytes; None for not at all."""
        self._limit = limit
        self._notice()

    def release(self) -> None:
        """End a stall: send the delayed segments."""
        while self._held:
            self._release_one()

    def forget(self) -> None:
        """The sender's host has crashed: it sends nothing again."""
        self._lost.clear()
        self._held.clear()
        self._lost_arrived = self._lost_read = 0
        self._stop_retransmitting()
        self._stop_probing()

    # --- sending ------------------------------------------------------------------------------

    def _send(
        self, kind: str, data: Piece = b"", accepted: Callable[[], None] | None = None
    ) -> None:
        if self._obstructed:
            self._send_obstructed(kind, data, accepted)
        else:
            self._transmit(kind, data, accepted)

    def _transmit(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        loop = self._loop
        if loop.is_closed():
            return  # nothing arrives any more
        when = now = loop.time()
        link = self.link
        if not link.steady:
            when += link.own_delay(self.end.host, len(data))
        elif link.latency:
            when += link.latency
        if self._arrival is not None:
            rate = self._late_rate
            if self._arrived >= VARIED_WELL and len(data) >= MUCH:
                rate *= SELDOM
            late = self._arrival() - 1 + rate
            if late > 0:
                when += VARIATION * late / rate
        if self.pace is not None:
            self._read_until = max(when, self._read_until + len(data) / self.pace)
            when = self._read_until
        going = self._going
        if going and going[-1][0] > when:
            when = going[-1][0]
        around = self.environment
        if around.observers:
            around.note((now, when, self._ends, kind, data))
        if when > now or going:
            going.append((when, kind, data, accepted))
            if len(going) == 1:
                around.call_at(when, self._arrivals)
        elif kind == "DATA" and not self._obstructed:
            self._arrive_data(data)
        else:
            self._arrive(kind, data, accepted)

    def _arrivals(self) -> None:
        going = self._going
        # A real loop may call a little early; and a turn may have taken longer than some segments.
        now = self._loop.time()
        if now < going[0][0]:
            now = going[0][0]
        while going and going[0][0] <= now:
            # It stays in the queue while it arrives, so that nothing sent meanwhile overtakes it.
            _, kind, data, accepted = going[0]
            if kind == "DATA" and not self._obstructed:
                self._arrive_data(data)
            else:
                self._arrive(kind, data, accepted)
            going.popleft()
        if going:
            self.environment.call_at(going[0][0], self._arrivals)

    def _arrive(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        peer = self.end.peer
        if self._obstructed and peer.host in self.environment.down:
            self._lose(kind, data, accepted)
        elif kind == "DATA":
            self._arrive_data(data)
        elif accepted is not None:
            accepted()
        elif kind == "FIN":
            peer.receive_fin()
        elif kind == "RST":
            peer.receive_reset()

    def _arrive_data(self, data: Piece) -> None:
        size = len(data)
        self._arrived += size
        peer = self.end.peer
        peer.receive_data(data)
        if (
            self._joined is not None
            and size < peer.received_size <= MOST_JOINED
            and self._joined() < self._joined_rate
        ):
            peer.merge = len(peer.received)
        end = self.end
        if self.twin._obstructed or self._returning or self.link.latency or end.alive is not None:
            self._return(size, 0)
        else:
            # As `_acknowledged(size, 0)` does, in less time.
            self.unacknowledged -= size
            if end.writer is not None:
                end.check_writable()

    # --- the way back ---------------------------------------------------------------------------

    def _return(self, arrived: int, read: int) -> None:
        """Tell the sender how many bytes have arrived, or have been read."""
        if self.twin._obstructed:
            self._return_obstructed(arrived, read)
        elif self._returning or self.link.latency:
            self._return_late(arrived, read)
        else:
            self._acknowledged(arrived, read)

    def _return_late(self, arrived: int, read: int) -> None:
        loop = self._loop
        if loop.is_closed():
            return
        returning = self._returning
        when = loop.time() + self.link.latency
        if returning:
            when = max(when, returning[-1][0])
        returning.append((when, arrived, read))
        if len(returning) == 1:
            self.environment.call_at(when, self._returns)

    def _returns(self) -> None:
        returning = self._returning
        now = max(returning[0][0], self._loop.time())
        while returning and returning[0][0] <= now:
            _, arrived, read = returning[0]
            self._acknowledged(arrived, read)
            returning.popleft()
        if returning:
            self.environment.call_at(returning[0][0], self._returns)

    def _acknowledged(self, arrived: int, read: int) -> None:
        self.unacknowledged -= arrived
        self.in_window -= read
        end = self.end
        if end.alive is not None:
            end.alive[0] = self._loop.time()
        # Only reading opens the window, and the unsent data waits for that.
        if read and not self._sending and (end.unsent or end.fin_queued):
            end.push()
        elif end.writer is not None:
            end.check_writable()

    # --- with obstacles -------------------------------------------------------------------------

    def _send_obstructed(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        limit = self._limit
        if self._cut:
            if kind == "DATA":  # nobody is there any more
                self.twin._transmit("RST", b"", None)
        elif limit is not None and kind == "DATA" and len(data) >= limit.left:
            self._end_from_between(limit, data)
        else:
            if limit is not None:
                limit.left -= len(data)
            if self._stalls or self._held:
                self._hold(lambda: self._pass_on(kind, data, accepted))
            else:
                self._pass_on(kind, data, accepted)

    def _pass_on(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        if self._loop.is_closed():
            return
        if self._loses:
            if self.environment.observers:
                self.environment.note((self._loop.time(), None, self._ends, kind, data))
            if kind != "RST":
                self._lose(kind, data, accepted)
            return
        if self._lost:
            # The way is open again: a segment after a gap makes the sender fill the gap.
            self._send_lost()
        self._transmit(kind, data, accepted)

    def _end_from_between(self, limit: Limit, data: Piece) -> None:
        """The connection has carried all the bytes that it may: end it."""
        rest = data[limit.left :]
        for path in (self, self.twin):
            if path._limit is limit:
                path.limit(None)
        if limit.left:
            self._send("DATA", data[: limit.left])
        if not limit.ends:
            self._send("RST", accepted=lambda: reset_both(self.end))
            return
        for path in (self, self.twin):
            path._send("FIN")
        for path in (self, self.twin):
            path._cut = True
            path._notice()
        if rest:
            self._send("DATA", rest)

    def _hold(self, action: Callable[[], None]) -> None:
        self._held.append(action)
        self._notice()
        self.link.hold(self._release_one)

    def _release_one(self) -> None:
        if self._held:
            action = self._held.popleft()
            self._notice()
            action()

    def _return_obstructed(self, arrived: int, read: int) -> None:
        way_back = self.twin
        if way_back._stalls or way_back._held:
            way_back._hold(lambda: self._return_or_lose(arrived, read))
        else:
            self._return_or_lose(arrived, read)

    def _return_or_lose(self, arrived: int, read: int) -> None:
        if self.twin._loses and not self._loop.is_closed():
            self._lost_arrived += arrived
            self._lost_read += read
            self._retransmit_later()
        elif self.link.latency or self._returning:
            self._return_late(arrived, read)
        else:
            self._acknowledged(arrived, read)

    # --- across a partition -----------------------------------------------------------------------

    def _lose(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        self._lost.append((kind, data, accepted))
        self._obstructed = True
        self._retransmit_later()

    def _retransmit_later(self) -> None:
        if self._retransmission is None:
            seconds = min(FIRST_RETRANSMISSION * 2**self._retransmissions, LONGEST_RETRANSMISSION)
            now = self._loop.time()
            if not self._retransmissions:
                self._losing_since = now
            if self.end.user_timeout:
                seconds = min(seconds, max(0.0, self._gives_up_at() - now))
            self._retransmission = self._loop.call_later(
                seconds,
                self._retransmit,
                context=self.environment.context,
            )

    def _stop_retransmitting(self) -> None:
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None
        self._retransmissions = 0

    def _retransmit(self) -> None:
        self._retransmission = None
        no_answer = self.twin._loses and (self._lost_arrived or self._lost_read)
        if self._loses or no_answer:
            self._retransmissions += 1
            if self._gives_up() or self.end.reset:
                self.forget()
                self.end.fail(errno.ETIMEDOUT)
                return
        else:
            self._retransmissions = 0
        if not self._loses:
            self._send_lost()
        if self._loses or no_answer:
            self._retransmit_later()

    def _gives_up(self) -> bool:
        if self.end.user_timeout:
            return self._loop.time() >= self._gives_up_at()
        return self._retransmissions > RETRANSMISSIONS

    def _gives_up_at(self) -> float:
        return self._losing_since + self.end.user_timeout

    def _send_lost(self) -> None:
        """The way is open again: resend lost segments, and acknowledge those that have arrived."""
        arrived, read = self._lost_arrived, self._lost_read
        if not self.twin._loses:
            self._lost_arrived = self._lost_read = 0
            self._stop_retransmitting()
        lost, self._lost = self._lost, deque()
        self._notice()
        before, self._sending = self._sending, True
        if not self.twin._loses and (arrived or read):
            self._return_or_lose(arrived, read)
        for kind, data, accepted in lost:
            self._send(kind, data, accepted)
        self._sending = before
        if not self._sending:
            self.end.push()

    # --- an idle peer ---------------------------------------------------------------------------

    # A peer that can answer does, and a probe then changes nothing; so only lost probes are
    # simulated.

    def _keep_alive(self) -> None:
        """Begin to probe the peer if it cannot answer any more; end it if it can again."""
        end = self.end
        silent = self._loses or self.twin._loses or end.peer.vanished
        if end.keep_alive is None or not silent or end.reset or end.closed:
            self._stop_probing()
        elif self._probe is None:
            assert end.alive is not None
            idle = end.keep_alive.idle
            times = max(1, math.ceil((self._loop.time() - end.alive[0]) / idle))
            self._probe_at(end.alive[0] + times * idle)

    def _probe_at(self, when: float) -> None:
        self._probe = self._loop.call_at(when, self._probe_now, context=self.environment.context)

    def _probe_now(self) -> None:
        self._probe = None
        end = self.end
        keep_alive = end.keep_alive
        if keep_alive is None or end.reset or end.closed:
            return
        now = self._loop.time()
        if self._lost or self.unacknowledged:  # its retransmission shows whether the peer is there
            self._probe_at(now + keep_alive.idle)
            return
        assert end.alive is not None
        if end.user_timeout:
            given_up = self._probes > 0 and now - end.alive[0] >= end.user_timeout
        else:
            given_up = self._probes >= keep_alive.probes
        if given_up:
            end.fail(errno.ETIMEDOUT)
        elif not (self._loses or self.twin._loses):
            end.receive_reset()  # by a host that does not know the connection
        else:
            self._probes += 1
            self._probe_at(now + keep_alive.interval)

    def _stop_probing(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        self._probes = 0
