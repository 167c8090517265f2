"""The common parts of a network: time, readiness, random decisions, and observers."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

from fakes._kernel.readiness import PollQueue
from fakes._kernel.surroundings import Poll
from fakes._network.chance import Chances, Draw, Seed
from fakes._network.segment import Note

# Loops of two threads may ask for one network.
_attaching = threading.Lock()


class Environment:
    """The event loop under a network, for time and for readiness; its chance; its observers.

    Attributes:
        poll: hands the handle of a socket that has become ready to the loop.
        seed: the seed from which the run draws.
        varies: whether the seed varies when and in what pieces bytes arrive.
        chances: the sources of chance: `chances("jitter").random()`.
        draws: the random decisions, if they are recorded.
        segments, joined, arrival: draws for the segments, if they vary; otherwise None.
        observers: the functions that get a note of every segment.
        down: the hosts that have crashed.
        call_at: calls back at a time of the loop, for events that no program causes.
        nobody_listens: takes an address of a program's own host, or a path, to which a program has
            tried to connect while nobody listens there.
        context: the context of such events, which no crash of a host ends.
    """

    def __init__(self, vary: bool | None = None) -> None:
        self.poll: Poll = _no_loop
        self.seed: Seed = 0
        self.varies = bool(vary)
        self.draws: list[Draw] | None = None
        self.chances = Chances(0, self._time)
        self.segments: Callable[[], float] | None = None
        self.joined: Callable[[], float] | None = None
        self.arrival: Callable[[], float] | None = None
        self.observers: list[Callable[[Note], None]] = []
        self.down: set[object] = set()
        self.call_at: Callable[[float, Callable[[], None]], object] = _no_time
        self.nobody_listens: Callable[[Any], object] = _ignore
        self.context = contextvars.Context()
        self._vary = vary
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop, poll: Poll | None, seed: Seed) -> bool:
        """Stand on an event loop; return whether it is another than before.

        Raises:
            RuntimeError: there is another loop that is not closed.
        """
        if self._loop is loop:
            return False
        with _attaching:
            if self._loop is not None and not self._loop.is_closed():
                raise RuntimeError(
                    "this network already belongs to another event loop, still open: close that "
                    "first, or give each loop a fakes.Network of its own"
                )
            self._loop = loop
        self.poll = PollQueue(loop) if poll is None else poll
        self.seed = seed
        self.chances = Chances(seed, self._time, self.draws)
        self.varies = self.chances.number != 0 if self._vary is None else self._vary
        if self.varies:
            self.segments = self.chances("segments").random
            self.joined = self.chances("joined").random
            self.arrival = self.chances("arrival").random
        else:
            self.segments = self.joined = self.arrival = None
        # A loop of ours has a shorter way for it.
        self.call_at = getattr(loop, "call_kernel_at", None) or functools.partial(
            loop.call_at, context=self.context
        )
        self.nobody_listens = getattr(loop, "nobody_listens", _ignore)
        self.down.clear()
        return True

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that carries the network.

        Raises:
            RuntimeError: there is none yet.
        """
        if self._loop is None:
            raise RuntimeError("this network has no event loop yet: pass it to one")
        return self._loop

    @property
    def attached(self) -> bool:
        """Whether there is an event loop that is not closed."""
        return self._loop is not None and not self._loop.is_closed()

    def _time(self) -> float:
        return self.loop.time()

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back when the loop calls back for sockets that have become ready."""
        self.poll(asyncio.Handle(callback, (), self.loop, self.context))

    @property
    def observed(self) -> bool:
        """Whether anybody observes the segments."""
        return bool(self.observers)

    def show(
        self,
        connection: int,
        source: Any,
        destination: Any,
        from_client: bool,
        kind: str,
        data: bytes,
        arrives: float | None,
    ) -> None:
        """Show the observers a segment that is sent now."""
        ends = (connection, source, destination, from_client)
        self.note((self.loop.time(), arrives, ends, kind, data))

    def note(self, note: Note) -> None:
        """Hand the observers a note of a segment."""
        if len(self.observers) == 1:
            self.observers[0](note)
            return
        for observer in list(self.observers):
            observer(note)

    def observe(self, observer: Callable[[Note], None]) -> Callable[[], None]:
        """Hand an observer a note of every segment from now on; return a function that ends it."""
        self.observers.append(observer)
        return lambda: self.observers.remove(observer)


def _no_time(when: float, callback: Callable[[], None]) -> None:
    raise RuntimeError("this network has no event loop yet: pass it to one")


def _ignore(address: Any) -> None: ...


def _no_loop(handle: asyncio.Handle) -> None:
    raise RuntimeError("this network has no event loop yet: pass it to one")
