"""The link between two hosts: its delay, its capacity, and its faults.

A `Link` joins two hosts (or a host with itself) and is shared by all connections between them. A
`Path` is one connection's use of it in one direction. A connection has paths only if something on
its link delays, cuts, loses or observes its data; otherwise bytes go from buffer to buffer,
and none of this module runs.

These parts of TCP are simulated: one window, which is the receiver's free buffer; acknowledgements,
which free the send buffer and take the time of the way back; retransmission with exponential
back-off
across a partition, and the timeout that ends it. These are not: congestion control, reordering
(TCP hides it), duplicate or damaged segments (TCP drops them).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypedDict, Unpack

from fakes._kernel.endpoint import Endpoint
from fakes._kernel.surroundings import Machine
from fakes._network.environment import Environment
from fakes._network.path import VARIATION, Limit, Path, reset_both
from fakes._public import public

# The longest that a datagram is held back, in seconds.
HELD_BACK = 0.1

# A direction: from the ends that called connect(), or from the others; and from which host. None
# is any.
Direction = tuple[bool | None, str | None]


class Qualities(TypedDict, total=False):
    """The arguments of `Link`, which has their meaning."""

    latency: float
    jitter: float
    bandwidth: float | None
    segment_size: int | None
    send_buffer: int | None
    receive_buffer: int | None
    refuse_rate: float
    reset_rate: float
    stall_rate: float
    loss_rate: float
    duplicate_rate: float
    reorder_rate: float


@public
class Link:
    """The link between two hosts: its qualities, and faults that begin and end.

    `change()` takes the same arguments.

    Args:
        latency: seconds from one end to the other (default 0).
        jitter: a segment may take up to this many seconds longer (default 0).
        bandwidth: bytes per second in each direction (default: unlimited).
        segment_size: the greatest number of bytes in one segment (default: unlimited).
        send_buffer, receive_buffer: bytes that a kernel keeps for each new connection over the
            link (default: the network's).
        refuse_rate: the probability that a new connection is refused (0 to 1, default 0).
        reset_rate: the probability that a new connection is reset, at a random byte of the first 64
            KiB that it carries (0 to 1, default 0).
        stall_rate: the probability that a segment is delayed by up to one second (0 to 1, default
            0).
        loss_rate: the probability that a UDP datagram is lost (0 to 1, default 0). TCP retransmits
            lost segments, so a loss is a delay there: see `stall_rate`.
        duplicate_rate: the probability that a UDP datagram arrives twice (0 to 1, default 0).
        reorder_rate: the probability that a UDP datagram is delayed by up to a tenth of a second,
            so that later ones overtake it (0 to 1, default 0).
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
        loss_rate: float = 0.0,
        duplicate_rate: float = 0.0,
        reorder_rate: float = 0.0,
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
        self.loss_rate = loss_rate
        self.duplicate_rate = duplicate_rate
        self.reorder_rate = reorder_rate
        self._check()
        self._environment: Environment | None = None
        self._connections: dict[int, Endpoint] = {}
        self._names: tuple[str, str] | None = None  # of the hosts
        self._stalls: list[Direction] = []
        self._partitions: list[Direction] = []
        self.refusing = False
        self._limit: tuple[int, bool, bool | None] | None = None
        self._pace: tuple[float, bool | None] | None = None
        self._held: deque[Callable[[], None]] = deque()
        self._busy_until: dict[str, float] = {}

    def __repr__(self) -> str:
        """Show the hosts that it joins, and its qualities other than the defaults."""
        between = " - ".join(self._names) if self._names else "no hosts"
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
            "loss_rate": self.loss_rate,
            "duplicate_rate": self.duplicate_rate,
            "reorder_rate": self.reorder_rate,
        }

    def _check(self) -> None:
        self.steady = not (self.bandwidth or self.jitter or self.stall_rate)
        for name in ("latency", "jitter"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more seconds, not {getattr(self, name)!r}")
        for name in ("bandwidth", "segment_size", "send_buffer", "receive_buffer"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, not {value!r}")
        for name in (name for name in self._qualities() if name.endswith("_rate")):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)!r}")

    def copy(self) -> Link:
        """Return a link with the same qualities and no faults."""
        return Link(**self._qualities())

    def change(self, **qualities: Unpack[Qualities]) -> None:
        """Change some qualities, for all data sent from now on.

        Raises:
            TypeError: a quality that a link does not have.
            ValueError: as `Link()` does.
        """
        unknown = sorted(set(qualities) - set(self._qualities()))
        if unknown:
            raise TypeError(f"a link has no {', '.join(unknown)}")
        before = self._qualities()
        try:
            self._set({**qualities})
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

    # --- faults -------------------------------------------------------------------------------

    @property
    def stalled(self) -> bool:
        """Whether the link delays all data, in at least one direction."""
        return bool(self._stalls)

    @property
    def partitioned(self) -> bool:
        """Whether the link loses all data, in at least one direction."""
        return bool(self._partitions)

    def stall(self, *, from_client: bool | None = None, sender: str | None = None) -> None:
        """Delay all data until `heal()`: nothing is lost, and nothing times out.

        The link delays handshakes and acknowledgements, too.

        Args:
            from_client: True affects only data of the ends that called connect(), False only
                that of the other ends (default: both).
            sender: affect only data of the host with this name (default: both hosts).
        """
        self._stalls.append((from_client, self._checked(sender)))
        self._changed()

    def partition(self, *, from_client: bool | None = None, sender: str | None = None) -> None:
        """Lose all data until `heal()`.

        Kernels retransmit it, less and less often, and give up as Linux does: a connection attempt
        after 127 seconds and unacknowledged data after 924.6 seconds, both with ETIMEDOUT. An end
        that sends nothing notices nothing. Data that is already in flight arrives.

        If only one direction is lost, the other carries everything, even acknowledgements of data
        that the lost direction did not deliver: the request arrives, and the answer is lost.

        Args:
            from_client: as for `stall()`.
            sender: as for `stall()`.
        """
        self._partitions.append((from_client, self._checked(sender)))
        self._changed()

    def refuse(self) -> None:
        """Refuse new connections (ECONNREFUSED) until `heal()`. Existing ones go on."""
        self.refusing = True

    def reset_after(self, size: int, *, from_client: bool | None = None) -> None:
        """Reset each connection once it has carried `size` more bytes, until `heal()`.

        This holds for future connections, too, and resets each connection once, at both ends. The
        bytes before the reset arrive; they are counted in both directions together, or in one.

        Args:
            size: how many bytes.
            from_client: as for `stall()`.

        Raises:
            ValueError: the size is negative.
        """
        self._end_after(size, False, from_client)

    def end_after(self, size: int, *, from_client: bool | None = None) -> None:
        """Send EOF on each connection once it has carried `size` more bytes, until `heal()`.

        It does what a proxy between the ends does that stops: both ends receive EOF after the data
        that has arrived, and a reset if they send more. Otherwise as `reset_after()`.
        """
        self._end_after(size, True, from_client)

    def slow_reader(self, rate: float, *, client: bool | None = None) -> None:
        """Let programs read at most `rate` bytes per second, until `heal()`.

        This holds for all present and future connections over the link. The senders' buffers fill,
        and then `drain()` waits, as with any program that reads too slowly.

        Args:
            rate: bytes per second.
            client: True slows only the programs that have called connect(), False only the others
                (default: both).

        Raises:
            ValueError: the rate is not positive.
        """
        if rate <= 0:
            raise ValueError(f"rate must be a positive number of bytes per second, not {rate!r}")
        self._pace = rate, client
        for end in self._own_connections():
            self._slow_down(end)

    def reset(self) -> None:
        """Reset all connections over the link now, at both ends."""
        for end in self._own_connections():
            reset_both(end)

    def heal(self) -> None:
        """End all faults. Delayed data goes on; kernels retransmit lost data."""
        self._stalls.clear()
        self._partitions.clear()
        self.refusing = False
        self._limit = self._pace = None
        paths = self._own_paths()
        for path in paths:
            path.partitioned = path.stalled = False
            path.pace = None
            path.limit(None)
            path.refresh()
        while self._held:
            self._held.popleft()()
        for path in paths:
            path.release()

    def _checked(self, sender: str | None) -> str | None:
        if sender is not None and self._names is not None and sender not in self._names:
            raise ValueError(f"the link joins {' and '.join(self._names)}, not {sender!r}")
        return sender

    def _end_after(self, size: int, ends: bool, from_client: bool | None) -> None:
        if size < 0:
            raise ValueError(f"size must be 0 or more bytes, not {size!r}")
        self._limit = size, ends, from_client
        for end in self._own_connections():
            if end.is_client:
                limit(self.path_of(end), size, ends, from_client)

    def _slow_down(self, end: Endpoint) -> None:
        if self._pace is not None and self._pace[1] in (None, end.is_client):
            self.path_of(end.peer).pace = self._pace[0]

    # --- use ----------------------------------------------------------------------------------

    def join(
        self, environment: Environment, connections: dict[int, Endpoint], one: str, other: str
    ) -> None:
        """Become the link between two hosts of a network with these connections."""
        self._environment = environment
        self._connections = connections
        self._names = (one, other)

    def _own_connections(self) -> list[Endpoint]:
        return [end for end in self._connections.values() if end.link is self]

    def _own_paths(self) -> list[Path]:
        """Return the existing paths, in both directions.

        A closed end is forgotten, although its EOF may have to be sent again: the other end's path
        knows its path.
        """
        paths: dict[int, Path] = {}
        for end in self._own_connections():
            if isinstance(end.path, Path):
                for path in (end.path, end.path.twin):
                    paths.setdefault(id(path), path)
        return list(paths.values())

    def path_of(self, end: Endpoint) -> Path:
        """Give both directions of a connection a path, if they have none; return this end's."""
        path = end.path
        if path is None:
            assert self._environment is not None
            path, twin = (Path(one, self, self._environment) for one in (end, end.peer))
            path.twin, twin.twin = twin, path
            end.path, end.peer.path = path, twin
        assert isinstance(path, Path)
        return path

    def refresh(self) -> None:
        """Let each connection check its way again: one of the hosts has changed."""
        self.use_paths()
        for path in self._own_paths():
            path.refresh()

    def use_paths(self) -> None:
        """Give each connection over the link its paths, from now on."""
        for end in self._own_connections():
            self.path_of(end)

    def _changed(self) -> None:
        if not self.plain:
            self.refresh()

    def connected(self, end: Endpoint) -> Path | None:
        """Give a new connection paths, if it needs them; return the one of `end`, the client's."""
        around = self._environment
        assert around is not None
        limited = self._limit
        if limited is None and self.reset_rate:
            chance = around.chances("reset")
            if chance.random() < self.reset_rate:
                limited = int(chance.random() * 65536), False, None
        if limited is not None:
            limit(self.path_of(end), *limited)
        if self._pace is not None:
            self._slow_down(end)
            self._slow_down(end.peer)
        if not self.plain or around.observers or around.varies:
            self.path_of(end)
        return None if end.path is None else self.path_of(end)

    def loses(self, from_client: bool, sender: Machine) -> bool:
        """Whether data sent now in a direction is lost."""
        return bool(self._partitions) and covers(self._partitions, from_client, sender)

    def stalls(self, from_client: bool, sender: Machine) -> bool:
        """Whether data sent now in a direction is delayed, or has to wait for delayed data."""
        return bool(self._stalls) and covers(self._stalls, from_client, sender)

    def hold(self, release: Callable[[], None]) -> None:
        """Call back at the end of the stall, in the order of these calls."""
        self._held.append(release)

    def delay(self, source: Machine, size: int) -> float:
        """Return how many seconds a packet takes that is sent now, by the seed too."""
        assert self._environment is not None
        arrival = self._environment.arrival
        return self.own_delay(source, size) + (VARIATION * arrival() if arrival else 0.0)

    def own_delay(self, source: Machine, size: int) -> float:
        """Return how many seconds a packet takes by the qualities of the link alone."""
        around = self._environment
        assert around is not None
        delay = self.latency
        if self.bandwidth is not None and size:
            now = around.loop.time()
            busy = max(now, self._busy_until.get(source.name, 0.0)) + size / self.bandwidth
            self._busy_until[source.name] = busy
            delay += busy - now
        if self.jitter:
            delay += self.jitter * around.chances("jitter").random()
        if self.stall_rate:
            chance = around.chances("stall")
            if chance.random() < self.stall_rate:
                delay += chance.random()
        return delay

    def datagram_delays(self, source: Machine, size: int, is_first: bool) -> list[float]:
        """Return how many seconds a datagram takes that is sent now, each time that it arrives.

        `is_first` is whether its sender was the first of the two to send, as a client is.
        """
        around = self._environment
        assert around is not None
        if self.loses(is_first, source) or self._happens("loss", self.loss_rate):
            return []
        delays = [self.delay(source, size)]
        if self._happens("reorder", self.reorder_rate):
            delays[0] += HELD_BACK * around.chances("held back").random()
        if self._happens("duplicate", self.duplicate_rate):
            delays.append(self.delay(source, size))
        return delays

    def _happens(self, concern: str, rate: float) -> bool:
        assert self._environment is not None
        return bool(rate) and self._environment.chances(concern).random() < rate

    def refuses(self) -> bool:
        """Whether a connection attempt that arrives now is refused."""
        assert self._environment is not None
        return self.refusing or bool(
            self.refuse_rate and self._environment.chances("refuse").random() < self.refuse_rate
        )


def covers(directions: list[Direction], from_client: bool, sender: Machine) -> bool:
    """Whether a direction is among some."""
    return any(
        only in (None, from_client) and name in (None, sender.name) for only, name in directions
    )


def limit(path: Path, size: int, ends: bool, from_client: bool | None) -> None:
    """End a connection from something in between; `path` is its client's."""
    ending = Limit(size, ends)
    for each in (path, path.twin):
        if from_client in (None, each is path):
            each.limit(ending)
