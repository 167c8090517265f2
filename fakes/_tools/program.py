"""One run of a program under a seed, and the record of its failure."""

from __future__ import annotations

import asyncio
import datetime
import logging
import re
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fakes._asyncio.private_api import not_reported
from fakes._loop.deadlock import Deadlock, TimeLimitExceeded
from fakes._loop.interruptions import let_through
from fakes._loop.invariants import Violated
from fakes._loop.time_and_chance import START_DATE
from fakes._loop.virtual import Loop
from fakes._network.chance import Draw, Seed
from fakes._network.faults import WITHIN, Fault
from fakes._network.network import Network
from fakes._trace.steps import raised_at
from fakes._trace.trace import Trace


@dataclass(frozen=True)
class Failure:
    """The failure of a run; it can be sent between processes.

    Attributes:
        error: the type of the exception.
        place: where it was raised, as "file:line"; for `Deadlock` and `TimeLimitExceeded` where
            each task waits, and for `Violated` the violated condition.
        message: the exception's own message.
        traceback: its traceback, as text.
    """

    error: str
    place: str
    message: str
    traceback: str

    def is_like(self, other: Failure | None) -> bool:
        """Whether another is the same failure: of that type, and at that line.

        The file does not count: on another machine it may not exist.
        """
        return other is not None and (self.error, self._lines()) == (other.error, other._lines())

    def _lines(self) -> list[str]:
        return re.findall(r":(\d+)(?:,|$)", self.place) or [self.place]

    def text(self) -> str:
        """Show the type, the place and the message."""
        where = "" if self.message.startswith(self.place) else f" at {self.place}"
        return f"{self.error}{where}" + (f": {self.message}" if self.message else "")


@dataclass
class Outcome:
    """The outcome of one run.

    Attributes:
        seed: its seed.
        failure: its failure, or None.
        draws: the random decisions, if they were recorded.
        trace: the steps and segments, if they were recorded.
        exception: the exception, in the process that ran it.
    """

    seed: Seed
    failure: Failure | None = None
    draws: list[Draw] | None = None
    trace: Trace | None = None
    exception: BaseException | None = None


@dataclass(frozen=True)
class Program:
    """The program that runs under each seed. Its arguments are those of `fakes.search()`."""

    main: Callable[[], Coroutine[Any, Any, object]]
    network: Callable[[], Network]
    turn_time: float
    thread_time: float
    faults: tuple[Fault, ...] = ()
    within: float = WITHIN
    time_limit: float | None = None
    deterministic: bool = False
    start_date: datetime.datetime = START_DATE

    def run(self, seed: Seed, *, record: bool = False, trace: bool = False) -> Outcome:
        """Run it once; the logs and warnings of a failing run are not shown.

        Args:
            seed: the seed.
            record: whether to record the draws.
            trace: whether to record the steps and segments, and to keep the exception.
        """
        network = self.network()
        outcome = Outcome(seed)
        loop: asyncio.AbstractEventLoop | None = None
        if record:
            outcome.draws = network.draws = []
        if trace:
            outcome.trace = Trace(network, steps=True)
        with _quietly(), let_through():  # an interruption is not a failure of the program
            try:
                with asyncio.Runner(loop_factory=partial(self._loop, seed, network)) as runner:
                    loop = runner.get_loop()
                    try:
                        runner.run(self.main())
                    finally:
                        if outcome.trace is not None:
                            outcome.trace.stop()  # cut-off tasks must not report
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exc:
                outcome.failure = failure_of(exc)
                if trace:
                    outcome.exception = exc
            # Tasks that began as the others were cancelled.
            for task in asyncio.all_tasks(loop) if loop is not None else ():
                not_reported(task)
            network.vanish()
        return outcome

    def _loop(self, seed: Seed, network: Network) -> Loop:
        return Loop(
            seed,
            network,
            turn_time=self.turn_time,
            thread_time=self.thread_time,
            faults=self.faults,
            within=self.within,
            time_limit=self.time_limit,
            deterministic=self.deterministic,
            start_date=self.start_date,
        )

    def run_all(self, seeds: list[int]) -> list[tuple[int, Failure | None]]:
        """Run it with each of some seeds: the part of a search that one process does."""
        return [(seed, self.run(seed).failure) for seed in seeds]


def failure_of(exc: BaseException) -> Failure:
    """Return the record of an exception."""
    kind = type(exc)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{_name(exc)}"
    message = exc.summary() if isinstance(exc, Violated) else str(exc)
    return Failure(name, _place(exc), message, "".join(traceback.format_exception(exc)))


def _name(exc: BaseException) -> str:
    if isinstance(exc, BaseExceptionGroup):
        return f"{type(exc).__qualname__} of {', '.join(type(e).__name__ for e in exc.exceptions)}"
    return type(exc).__qualname__


def _place(exc: BaseException) -> str:
    if isinstance(exc, (Deadlock, TimeLimitExceeded)):
        return ", ".join(sorted(set(re.findall(r'waits in .*"(.*)"', str(exc)))))
    if isinstance(exc, Violated):
        return repr(exc.name)
    place = raised_at(exc)
    return f"{place[0].co_filename}:{place[1]}" if place else "no line of the program"


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress reports on objects that a failing run leaves behind.

    A search runs a failing program hundreds of times.
    """
    logger = logging.getLogger(asyncio.__name__)
    disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines never awaited
            yield
    finally:
        logger.disabled = disabled
