"""The way between two hosts: how long it takes, how much it carries, and what befalls it.

A `Link` joins two hosts (or a host with itself) and is shared by all connections between them. A
`Path` is one connection's use of it in one direction. A connection has paths only if something on
its link delays, cuts, loses or observes what it carries; otherwise bytes go from buffer to buffer,
and none of this module runs.

What is simulated of TCP: one window, which is the receiver's free buffer; acknowledgements, which
free the send buffer and take the time of the way back; retransmission with exponential back-off
across a partition, and the time-out that ends it. What is not: congestion control, reordering
(TCP hides it), duplicate or damaged segments (TCP drops them).
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakes.network import Host, Network
    from fakes.tcp import Endpoint, Piece

# Linux: TCP_RTO_MIN, TCP_RTO_MAX and net.ipv4.tcp_retries2; together 924.6 seconds.
FIRST_RETRANSMISSION = 0.2
LONGEST_RETRANSMISSION = 120.0
RETRANSMISSIONS = 15

# How a seed other than 0 varies arrivals: a segment may take up to this many seconds longer.
VARIATION = 0.001


@dataclass(frozen=True, slots=True)
class Segment:
    """What a network's observers are shown: one packet, or its counterpart on a Unix socket.

    Attributes:
        time: when it was sent, in seconds of the loop's time.
        arrives: when it arrives, or None if it is lost.
        connection: the number of the connection, from 1 on.
        source, destination: socket addresses, as `getsockname()` gives them; for Unix sockets the
            server's path on either side.
        from_client: whether the end that called connect() sent it.
        kind: "SYN", "SYN-ACK", "ACK" (the third of the handshake), "DATA", "FIN" or "RST".
        data: the bytes of a "DATA" segment.
    """

    time: float
    arrives: float | None
    connection: int
    source: Any
    destination: Any
    from_client: bool
    kind: str
    data: bytes = b""


class Link:
    """What joins two hosts: its qualities, and hardships that come and go.

    Arguments (each also an argument of `change()`):
        latency: seconds from one end to the other (default 0).
        jitter: a segment may take up to this many seconds longer (default 0).
        bandwidth: bytes per second in each direction (default: unlimited).
        segment_size: the most bytes that travel and arrive together (default: unlimited).
        send_buffer, receive_buffer: bytes that a kernel keeps for each new connection over the
            link (default: the network's).
        refuse_rate: the chance that a new connection is refused (0 to 1, default 0).
        reset_rate: the chance that a new connection is reset, at a byte drawn from the first
            64 KiB it carries (0 to 1, default 0).
        stall_rate: the chance that a segment is held up, for up to one second (0 to 1, default 0).
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        bandwidth: float | None = None,
        segment_size: int | None = None,
        send_buffer: int | None = None,
        receive_buffer: int | None = None,
        refuse_rate: float = 0.0,
        reset_rate: float = 0.0,
        stall_rate: float = 0.0,
    ) -> None:
        self.latency = latency
        self.jitter = jitter
        self.bandwidth = bandwidth
        self.segment_size = segment_size
        self.send_buffer = send_buffer
        self.receive_buffer = receive_buffer
        self.refuse_rate = refuse_rate
        self.reset_rate = reset_rate
        self.stall_rate = stall_rate
        self._check()
        self.network: Network | None = None
        self.hosts: tuple[Host, Host] | None = None
        self.stalled = False
        self.partitioned = False
        self.refusing = False
        self._reset_after: int | None = None
        self._held: deque[Callable[[], None]] = deque()
        self._busy_until: dict[Host, float] = {}

    def __repr__(self) -> str:
        """Say which hosts it joins and what is unusual about it."""
        between = " - ".join(host.name for host in self.hosts) if self.hosts else "no hosts"
        qualities = ", ".join(
            f"{name}={value}" for name, value in self._qualities().items() if value
        )
        states = [s for s in ("stalled", "partitioned", "refusing") if getattr(self, s)]
        return f"<fakes.Link {between} {qualities} {' '.join(states)}>"

    def _qualities(self) -> dict[str, Any]:
        return {
            "latency": self.latency,
            "jitter": self.jitter,
            "bandwidth": self.bandwidth,
            "segment_size": self.segment_size,
            "send_buffer": self.send_buffer,
            "receive_buffer": self.receive_buffer,
            "refuse_rate": self.refuse_rate,
            "reset_rate": self.reset_rate,
            "stall_rate": self.stall_rate,
        }

    def _check(self) -> None:
        for name in ("latency", "jitter"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more seconds, not {getattr(self, name)!r}")
        for name in ("bandwidth", "segment_size", "send_buffer", "receive_buffer"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, not {value!r}")
        for name in ("refuse_rate", "reset_rate", "stall_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)!r}")

    def copy(self) -> Link:
        """Return a link with the same qualities and no hardship."""
        return Link(**self._qualities())

    def change(self, **qualities: Any) -> None:
        """Change some qualities, for what is sent from now on.

        Raises `TypeError` for a quality that a link does not have, `ValueError` as `Link()` does.
        """
        unknown = sorted(set(qualities) - set(self._qualities()))
        if unknown:
            raise TypeError(f"a link has no {', '.join(unknown)}")
        before = self._qualities()
        try:
            self._set(qualities)
            self._check()
        except ValueError:
            self._set(before)
            raise
        self._changed()

    def _set(self, qualities: dict[str, Any]) -> None:
        for name, value in qualities.items():
            setattr(self, name, value)

    @property
    def plain(self) -> bool:
        """Whether nothing on the link delays, cuts or loses anything."""
        return not (
            self.latency
            or self.jitter
            or self.bandwidth
            or self.segment_size
            or self.stall_rate
            or self.stalled
            or self.partitioned
        )

    # --- hardships ----------------------------------------------------------------------------

    def stall(self) -> None:
        """Hold up whatever is sent, until `heal()`: nothing is lost, and nothing times out."""
        self.stalled = True
        self._changed()

    def partition(self) -> None:
        """Lose whatever is sent, until `heal()`.

        Kernels send it again, less and less often, and give up as Linux does: a connection attempt
        after 127 seconds and unacknowledged data after 924.6 seconds, both with ETIMEDOUT. An end
        that sends nothing notices nothing. What is already under way arrives.
        """
        self.partitioned = True
        self._changed()

    def refuse(self) -> None:
        """Refuse new connections (ECONNREFUSED), until `heal()`."""
        self.refusing = True

    def reset_after(self, size: int) -> None:
        """Reset each connection once it has carried `size` more bytes, until `heal()`.

        Both ends are reset; the bytes up to there arrive, counted in both directions together.
        Raises `ValueError` for a negative size.
        """
        if size < 0:
            raise ValueError(f"size must be 0 or more bytes, not {size!r}")
        self._reset_after = size
        for end in self._connections():
            if end.is_client:
                self.use_path(end).reset_after(size)

    def reset(self) -> None:
        """Reset all connections over the link now, at both ends."""
        for end in list(self._connections()):
            reset_both(end)

    def heal(self) -> None:
        """End all hardships. What was held up goes on; what was lost waits to be sent again."""
        self.stalled = self.partitioned = self.refusing = False
        self._reset_after = None
        while self._held:
            self._held.popleft()()

    # --- use ----------------------------------------------------------------------------------

    def _connections(self) -> list[Endpoint]:
        if self.network is None:
            return []
        return [end for end in self.network.connections.values() if end.link is self]

    def use_path(self, end: Endpoint) -> Path:
        """Give both directions of a connection a path, if they have none; return this end's."""
        if end.path is None:
            end.path = Path(end, self)
        if end.peer.path is None:
            end.peer.path = Path(end.peer, self)
        end.path.twin, end.peer.path.twin = end.peer.path, end.path
        return end.path

    def _changed(self) -> None:
        if not self.plain:
            for end in self._connections():
                self.use_path(end)

    def connected(self, end: Endpoint) -> None:
        """Give a new connection paths, if it needs them. `end` is the client's."""
        assert self.network is not None
        chance = self.network.chance("reset")
        limit = self._reset_after
        if limit is None and self.reset_rate and chance.random() < self.reset_rate:
            limit = int(chance.random() * 65536)
        if limit is not None or not self.plain or self.network.observed or self.network.varies:
            path = self.use_path(end)
            if limit is not None:
                path.reset_after(limit)

    @property
    def holds(self) -> bool:
        """Whether what is sent now is held up: the link is stalled, or has a queue to work off."""
        return self.stalled or bool(self._held)

    def hold(self, action: Callable[[], None]) -> None:
        """Do something at the end of the stall."""
        self._held.append(action)

    def delay(self, source: Host, size: int) -> float:
        """Return how many seconds a segment takes that is sent now."""
        assert self.network is not None
        delay = self.latency
        if self.bandwidth is not None and size:
            now = self.network.loop.time()
            busy = max(now, self._busy_until.get(source, 0.0)) + size / self.bandwidth
            self._busy_until[source] = busy
            delay += busy - now
        if self.jitter:
            delay += self.jitter * self.network.chance("jitter").random()
        if self.network.varies:
            delay += VARIATION * self.network.chance("arrival").random()
        if self.stall_rate:
            chance = self.network.chance("stall")
            if chance.random() < self.stall_rate:
                delay += chance.random()
        return delay

    def refuses(self) -> bool:
        """Whether a connection attempt that arrives now is refused."""
        assert self.network is not None
        return self.refusing or bool(
            self.refuse_rate and self.network.chance("refuse").random() < self.refuse_rate
        )


def reset_both(end: Endpoint) -> None:
    """Let both ends of a connection receive a reset, from something in between."""
    peer = end.peer
    end.receive_reset()
    peer.receive_reset()


class Path:
    """What carries one connection's segments in one direction, from `end` to its peer."""

    def __init__(self, end: Endpoint, link: Link) -> None:
        self.end = end
        self.link = link
        self.network = end.network
        self.twin: Path = self  # the other direction; set by the link
        # What the sender knows: how many bytes are not acknowledged, and how many are in the
        # window. What the receiver knows: how many arrived, and how many of them it has
        # announced as read.
        self.unacknowledged = 0
        self._in_window = self._arrived = end.peer.received_size
        self._announced = 0
        # Each with its time: segments on their way, and acknowledgements on their way back.
        self._going: deque[tuple[float, Callable[[], None]]] = deque()
        self._returning: deque[tuple[float, Callable[[], None]]] = deque()
        self._going_timer: asyncio.TimerHandle | None = None
        self._returning_timer: asyncio.TimerHandle | None = None
        # What a partition has swallowed, to be sent again.
        self._lost: deque[Callable[[], None]] = deque()
        self._retransmission: asyncio.TimerHandle | None = None
        self._retransmissions = 0
        self._limit: list[int] | None = None  # one for both directions; see reset_after()
        # Whether segments that belong together are being sent: on a link without latency the first
        # is acknowledged before the second is sent, and no later data may go in between.
        self._sending = False

    # --- what endpoints use -------------------------------------------------------------------

    def window(self) -> int:
        """Return how many bytes the receiver has room for, as far as the sender knows."""
        return max(0, self.end.peer.receive_buffer - self._in_window)

    def send_data(self, data: Piece) -> None:
        """Send data, in segments."""
        self._in_window += len(data)
        self.unacknowledged += len(data)
        self._send_all([partial(self._send, "DATA", segment) for segment in self._segments(data)])

    def send_fin(self) -> None:
        """Send the end of data."""
        self._send("FIN")

    def send_reset(self) -> None:
        """Send a reset. It is not sent again if it is lost."""
        self._send("RST")

    def send_handshake(self, accepted: Callable[[], None]) -> None:
        """Send the third segment of the handshake; `accepted` is called when it has arrived."""
        self._send("ACK", accepted=accepted)

    def window_opened(self) -> None:
        """The receiving program has read: announce it to the sender."""
        read = self._arrived - self.end.peer.received_size
        freed, self._announced = read - self._announced, read
        if freed:
            self._return(lambda: self._acknowledged(0, freed))

    def reset_after(self, size: int) -> None:
        """Reset both ends once this path and its twin have carried `size` more bytes."""
        self._limit = self.twin._limit = [size]

    # --- sending ------------------------------------------------------------------------------

    def _send_all(self, sendings: Iterable[Callable[[], None]]) -> None:
        before, self._sending = self._sending, True
        for send in sendings:
            send()
        self._sending = before

    def _segments(self, data: Piece) -> list[Piece]:
        size = self.link.segment_size or len(data)
        if self.network.varies:
            chance = self.network.chance("segments")
            if chance.random() < 0.5:
                size = min(size, 1 + int(chance.random() * len(data)))
        if size >= len(data):
            return [data]
        view = memoryview(data)
        return [view[start : start + size] for start in range(0, len(data), size)]

    def _send(
        self, kind: str, data: Piece = b"", accepted: Callable[[], None] | None = None
    ) -> None:
        limit = self._limit
        if limit is not None and kind == "DATA":
            if len(data) >= limit[0]:
                data, self._limit, self.twin._limit = data[: limit[0]], None, None
                if data:
                    self._send("DATA", data)
                self._send("RST", accepted=lambda: reset_both(self.end))
                return
            limit[0] -= len(data)
        if self.link.holds:
            self.link.hold(lambda: self._transmit(kind, data, accepted))
        else:
            self._transmit(kind, data, accepted)

    def _transmit(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        if self.network.loop.is_closed():
            return  # nothing arrives any more
        if self.link.partitioned:
            self._observe(kind, data, None)
            if kind != "RST":
                self._lose(lambda: self._transmit(kind, data, accepted))
            return
        if self._lost:
            # The way is open again: what follows a gap makes the sender fill the gap.
            self._recover()
        loop = self.network.loop
        now = loop.time()
        when = now + self.link.delay(self.end.host, len(data))
        if self._going:
            when = max(when, self._going[-1][0])
        self._observe(kind, data, when)
        if when <= now and not self._going:
            self._arrive(kind, data, accepted)
        else:
            self._going.append((when, lambda: self._arrive(kind, data, accepted)))
            if self._going_timer is None:
                self._going_timer = loop.call_at(when, self._arrivals)

    def _observe(self, kind: str, data: Piece, arrives: float | None) -> None:
        if self.network.observed:
            self.network.show(self.end, kind, bytes(data), arrives)

    def _arrivals(self) -> None:
        loop = self.network.loop
        going = self._going
        now = going[0][0]  # a real loop may call a little early
        while going and going[0][0] <= now:
            # It stays in the queue while it arrives, so that nothing sent meanwhile overtakes it.
            going[0][1]()
            going.popleft()
        self._going_timer = loop.call_at(going[0][0], self._arrivals) if going else None

    def _arrive(self, kind: str, data: Piece, accepted: Callable[[], None] | None) -> None:
        peer = self.end.peer
        if accepted is not None:
            accepted()
        elif kind == "DATA":
            self._arrived += len(data)
            peer.receive_data(data)
            if self.network.varies and self.network.chance("joined").random() < 0.5:
                peer.merge = len(peer.received)
            size = len(data)
            self._return(lambda: self._acknowledged(size, 0))
        elif kind == "FIN":
            peer.receive_fin()
        elif kind == "RST":
            peer.receive_reset()

    # --- the way back ---------------------------------------------------------------------------

    def _return(self, action: Callable[[], None]) -> None:
        """Do something at the sender when news from the receiver has reached it."""
        if self.link.holds:
            self.link.hold(lambda: self._return_now(action))
        else:
            self._return_now(action)

    def _return_now(self, action: Callable[[], None]) -> None:
        if self.network.loop.is_closed():
            return
        if self.link.partitioned:
            self._lose(lambda: self._return_now(action))
            return
        loop = self.network.loop
        when = loop.time() + self.link.latency
        if self._returning:
            when = max(when, self._returning[-1][0])
        elif not self.link.latency:
            action()
            return
        self._returning.append((when, action))
        if self._returning_timer is None:
            self._returning_timer = loop.call_at(when, self._returns)

    def _returns(self) -> None:
        returning = self._returning
        now = returning[0][0]
        while returning and returning[0][0] <= now:
            returning[0][1]()
            returning.popleft()
        self._returning_timer = (
            self.network.loop.call_at(returning[0][0], self._returns) if returning else None
        )

    def _acknowledged(self, arrived: int, freed: int) -> None:
        self.unacknowledged -= arrived
        self._in_window -= freed
        if not self._sending:
            self.end.push()
        self.end.check_writable()

    # --- across a partition -----------------------------------------------------------------------

    def _lose(self, again: Callable[[], None]) -> None:
        self._lost.append(again)
        if self._retransmission is None:
            self._retransmissions = 0
            self._retransmission = self.network.loop.call_later(
                FIRST_RETRANSMISSION, self._retransmit
            )

    def _retransmit(self) -> None:
        self._retransmission = None
        if not self.link.partitioned:
            self._recover()
            return
        self._retransmissions += 1
        if self._retransmissions > RETRANSMISSIONS or self.end.reset:
            self._lost.clear()
            self.end.fail(errno.ETIMEDOUT)
            return
        self._retransmission = self.network.loop.call_later(
            min(FIRST_RETRANSMISSION * 2**self._retransmissions, LONGEST_RETRANSMISSION),
            self._retransmit,
        )

    def _recover(self) -> None:
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None
        lost, self._lost = self._lost, deque()
        self._send_all(lost)
        if not self._sending:
            self.end.push()
