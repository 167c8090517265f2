"""Random programs: the actions of both ends of some connections, and events on the network.

A program is data and a function of its seed alone. The errors that it allows follow from it, too:
see `Plan.faults`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

SEPARATORS = (b"\n", b"\r\n", b";", b"--end--")

KINDS = (
    *("read", "read", "read", "readexactly", "readexactly", "readexactly", "readline", "readline"),
    *("readuntil", "readuntil", "readuntil", "anext", "anext", "read-all"),
)
SIZES = (1, 2, 3, 10, 100, 1000, 5000, 40_000)
LIMITS = (1, 2, 10, 60, 500, 4000, 65_536, 65_536)

ORDERLY = "orderly"
ENDINGS = (ORDERLY, "close", "abort", "reset", "raise", "cancelled")
"""How an end ends. Normally: everything is written, everything is read, then it closes. Otherwise
at some byte of its input, while its writers are at work: it closes, aborts, resets (SO_LINGER 0),
its handler raises, or its handler is cancelled; the last two only on a server."""

UPGRADES = ("upgrade", "upgrade", "upgrade", "upgrade-refused", "upgrade-cancelled")


@dataclass(frozen=True)
class Cancel:
    """When an operation is cancelled: after so many turns of the loop, or so much time."""

    turns: int = 0
    seconds: float = 0.0
    by_timeout: bool = False  # by asyncio.timeout() around it instead of Task.cancel()


@dataclass(frozen=True)
class Read:
    """One read."""

    kind: str
    size: int = 1
    separators: tuple[bytes, ...] = (b"\n",)
    cancel: Cancel | None = None
    intruder: bool = False  # another read is tried while it waits
    pause: float = 0.0  # seconds, before it


@dataclass(frozen=True)
class Write:
    """One write."""

    sizes: tuple[int, ...]
    lines: bool = False  # writelines() instead of a write() for each size
    drains: int = 0  # how many drain() at the same time
    cancel: Cancel | None = None  # of one of the drains
    pause: float = 0.0  # seconds, after it


@dataclass(frozen=True)
class End:
    """The actions of one end of a connection."""

    limit: int = 65_536
    high_water: int | None = None
    reads: tuple[Read, ...] = (Read("read", 65_536),)  # again and again
    clear: tuple[Write, ...] = ()  # before an upgrade to TLS
    writers: tuple[tuple[Write, ...], ...] = ()  # each at work on its own
    ending: str = ORDERLY
    ends_after: float = 1.0  # of the other end's data, if it does not end normally
    waits_closed: int = 1  # how many wait_closed() at the same time
    cancels_wait: bool = False  # one of them

    @property
    def size(self) -> int:
        """The bytes that it writes."""
        return self.clear_size + sum(
            sum(write.sizes) for writes in self.writers for write in writes
        )

    @property
    def clear_size(self) -> int:
        """The bytes that it writes before an upgrade to TLS."""
        return sum(sum(write.sizes) for write in self.clear)


@dataclass(frozen=True)
class Plan:
    """The plan of one connection."""

    client: End
    server: End
    tls: str | None = None  # "from-start", or one of UPGRADES
    half_close: bool = True  # both ends write_eof(), if they end normally and not over TLS
    first_to_close: str = "client"  # otherwise
    handler: str = "coroutine"  # or "plain": a function that starts a task, or "raises"
    upgrade_cancel: Cancel = Cancel()

    @property
    def faults(self) -> frozenset[str]:
        """The parts of the plan that allow errors: empty if none are allowed."""
        found = {end.ending for end in (self.client, self.server)} - {ORDERLY}
        if self.tls in ("upgrade-refused", "upgrade-cancelled"):
            found.add(self.tls)
        if self.handler == "raises":
            found.add("raise")
        return frozenset(found)


@dataclass(frozen=True)
class Weather:
    """The qualities of the network, and the events on it."""

    seed: int = 0
    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float | None = None
    segment_size: int | None = None
    send_buffer: int | None = None
    receive_buffer: int | None = None
    stall_rate: float = 0.0
    spells: tuple[tuple[str, float, float], ...] = ()  # stall or partition: when, for how long
    reset_at: float | None = None


@dataclass(frozen=True)
class Program:
    """Everything that happens."""

    seed: int
    family: str = "tcp"
    weather: Weather = Weather()
    plans: tuple[Plan, ...] = field(default=())

    @property
    def steps(self) -> int:
        """How many writes it has, and kinds of reads."""
        ends = [end for plan in self.plans for end in (plan.client, plan.server)]
        return sum(len(end.reads) + len(end.clear) + sum(map(len, end.writers)) for end in ends)


def program(seed: int) -> Program:
    """Return the program of a seed."""
    return Draw(seed).program()


class Draw:
    """Draws a program."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(f"program {seed}")
        self.narrow = False  # bytes travel in very small pieces: send few
        self.slow = False

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def seconds(self) -> float:
        """Return a duration; few different ones, so that things happen at the same time."""
        return self.chance.choice((0.0, 0.0, 0.001, 0.01, 0.02, 0.1, 1.0))

    def program(self) -> Program:
        tls = self.maybe(0.3)
        weather = self.weather(tls)
        family = "unix" if self.maybe(0.2) else "tcp"
        count = self.chance.choice((1, 1, 1, 2, 3))
        plans = tuple(self.plan(tls) for _ in range(count))
        if weather.reset_at is not None or any(plan.faults for plan in plans):
            # A partition swallows resets, and kernels do not repeat them: a waiting end would never
            # end.
            spells = tuple(("stall", begin, length) for _, begin, length in weather.spells)
            weather = replace(weather, spells=spells)
        return Program(self.seed, family, weather, plans)

    def weather(self, tls: bool) -> Weather:
        chance = self.chance
        self.narrow = not tls and self.maybe(0.2)
        small = (1, 2, 7, 30) if self.narrow else (2000, 4096, 20_000, 100_000)
        latency = chance.choice((0.0, 0.0, 0.001, 0.01, 0.1))
        spells = tuple(
            (chance.choice(("stall", "partition")), chance.random() * 3, chance.random() * 5)
            for _ in range(chance.choice((0, 0, 0, 1, 2)))
        )
        return Weather(
            seed=0 if self.maybe(0.3) else self.seed + 1,
            latency=latency,
            jitter=chance.choice((0.0, 0.0, 0.001, 0.05)),
            bandwidth=chance.choice((None, None, 100_000, 10_000_000)),
            segment_size=chance.choice((None, None, *small)),
            send_buffer=chance.choice((None, None, *small)),
            receive_buffer=chance.choice((None, None, *small)),
            stall_rate=chance.choice((0.0, 0.0, 0.0, 0.05)),
            spells=spells,
            reset_at=chance.random() * 2 if self.maybe(0.1) else None,
        )

    def plan(self, tls: bool) -> Plan:
        chance = self.chance
        kind = chance.choice(("from-start", *UPGRADES)) if tls else None
        orderly = self.maybe(0.7)
        clear = kind in UPGRADES
        server = self.end(orderly, clear, ENDINGS)
        handlers = ["coroutine"]
        if server.ending not in ("raise", "cancelled"):
            handlers += ["coroutine", "plain"] if orderly else ["plain", "raises"]
        client = self.end(orderly, clear, ENDINGS[:4])
        if client.ending == "close" and server.ending in ("close", "raise", "cancelled"):
            # Both would wait forever for the other one to read their data.
            client = replace(client, ending="abort")
        return Plan(
            client=client,
            server=server,
            tls=kind,
            half_close=kind is None and self.maybe(0.6),
            first_to_close=chance.choice(("client", "server")),
            handler=chance.choice(handlers),
            upgrade_cancel=self.cancel(),
        )

    def end(self, orderly: bool, clear: bool, endings: tuple[str, ...]) -> End:
        chance = self.chance
        return End(
            limit=chance.choice(LIMITS),
            high_water=chance.choice((None, None, 0, 1, 100, 10_000)),
            reads=tuple(self.read() for _ in range(chance.randint(1, 6))),
            clear=self.writes() if clear else (),
            writers=tuple(self.writes() for _ in range(chance.choice((0, 1, 1, 1, 2, 3)))),
            ending=ORDERLY if orderly or self.maybe(0.4) else chance.choice(endings),
            ends_after=chance.random(),
            waits_closed=chance.randint(0, 3),
            cancels_wait=self.maybe(0.3),
        )

    def read(self) -> Read:
        chance = self.chance
        return Read(
            kind=chance.choice(KINDS),
            size=1 + int(chance.choice(SIZES) * chance.random()),
            separators=tuple(chance.sample(SEPARATORS, chance.randint(1, 3))),
            cancel=self.cancel() if self.maybe(0.3) else None,
            intruder=self.maybe(0.1),
            pause=self.seconds() if self.maybe(0.2) else 0.0,
        )

    def writes(self) -> tuple[Write, ...]:
        return tuple(self.write() for _ in range(self.chance.randint(0, 6)))

    def write(self) -> Write:
        chance = self.chance
        largest = 60 if self.narrow else chance.choice((20, 20, 300, 300, 5000, 60_000))
        return Write(
            # Not nothing at all: a drain() after it may find that the peer, which has everything,
            # is gone.
            sizes=(
                *(int(largest * chance.random()) for _ in range(chance.randint(0, 3))),
                1 + int(largest * chance.random()),
            ),
            lines=self.maybe(0.3),
            drains=chance.choice((0, 1, 1, 1, 2, 5)),
            cancel=self.cancel() if self.maybe(0.3) else None,
            pause=self.seconds() if self.maybe(0.3) else 0.0,
        )

    def cancel(self) -> Cancel:
        if self.maybe(0.5):
            return Cancel(turns=self.chance.randint(0, 8))
        return Cancel(seconds=self.seconds(), by_timeout=self.maybe(0.5))
