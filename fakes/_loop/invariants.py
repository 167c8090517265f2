"""Invariants of a program: conditions that always hold, or come to hold in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fakes._public import public

# The number of lines of the trace that a violation shows.
SHOWN = 20


@public
class Violated(AssertionError):
    """An invariant does not hold, or did not hold in time.

    The message says when, and shows what ran and crossed the wire just before.

    Attributes:
        name: the name that `Loop.always()` or `Loop.eventually()` was given.
        time: the virtual time in seconds.
    """

    def __init__(self, name: str, time: float, what: str, before: str = "") -> None:
        self.name = name
        self.time = time
        self.what = what
        self.before = before
        text = self.summary()
        super().__init__(f"{text}; before that:\n{before}" if before else text)

    def summary(self) -> str:
        """Return the message without what happened before."""
        return f"{self.name!r} {self.what}, at {self.time:.6f} s"

    def __reduce__(self) -> tuple[object, ...]:
        """Let it be sent between processes."""
        return type(self), (self.name, self.time, self.what, self.before)


class Invariants:
    """The promises that are checked after every turn of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, before: Callable[[], str]) -> None:
        self._loop = loop
        self._before = before
        self._always: list[tuple[str, Callable[[], object]]] = []
        self._open: list[tuple[str, Callable[[], object], float]] = []
        self._cause: AssertionError | None = None  # the exception of the check that has failed

    def always(self, name: str, check: Callable[[], object]) -> None:
        """Add one that holds from now on."""
        self._always.append((name, check))

    def eventually(self, name: str, check: Callable[[], object], deadline: float) -> None:
        """Add one that comes to hold until a time."""
        self._open.append((name, check, deadline))
        self._loop.call_at(deadline, lambda: None)  # so that there is a turn then

    def look(self) -> None:
        """Check all of them.

        Raises:
            Violated: the first that does not hold.
        """
        now = self._loop.time()
        for name, check in self._always:
            if not self._holds(check):
                self._violate(name, now, "does not hold")
        if self._open:
            self._open = [one for one in self._open if not self._holds(one[1])]
            for name, _, deadline in self._open:
                if now >= deadline:
                    self._violate(name, now, "has not come to hold in time")

    def end(self) -> None:
        """The run is over: a condition that has not held yet is violated."""
        for name, _, _ in self._open:
            self._violate(name, self._loop.time(), "did not come to hold before the run was over")

    def _holds(self, check: Callable[[], object]) -> bool:
        """Whether a check returns something true, or nothing, and raises no AssertionError."""
        self._cause = None
        try:
            result = check()
        except AssertionError as exc:
            self._cause = exc
            return False
        return result is None or bool(result)

    def _violate(self, name: str, now: float, what: str) -> None:
        # The loop runs on, to end the tasks.
        self._always.clear()
        self._open.clear()
        raise Violated(name, now, what, self._before()) from self._cause
