"""The steps of a loop: which task ran, from which line of its source to which other."""

from __future__ import annotations

import asyncio
import linecache
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fakes._asyncio.private_api import exception_of
from fakes._trace.frames import is_loops, waiting_frames

LONGEST = 60  # characters of a line of the source

Place = tuple[types.CodeType, int]


class Step:
    """A step of a task, from one wait to the next. `then` and `end` are known when it is over.

    Attributes:
        time: the virtual time in seconds.
        task: the task's name.
        place: the code and the line at which it goes on, outside of asyncio; None at its start.
        then: where it waits again, or None.
        end: how it has ended: "returns", "raises KeyError", "is cancelled", or "".
    """

    __slots__ = ("end", "place", "task", "then", "time")

    def __init__(self, time: float, task: str, place: Place | None) -> None:
        self.time = time
        self.task = task
        self.place = place
        self.then: Place | None = None
        self.end = ""

    def repeats(self, other: Step) -> bool:
        """Whether it equals another: the same task woke, and waits where it waited."""
        return (self.task, self.place, self.then, self.end) == (
            other.task,
            other.place,
            other.place,
            "",
        )

    def __str__(self) -> str:
        """Return it as one line."""
        place = self.place or self.then
        parts = [_where(place)] if place else []
        if self.place is None:
            parts.append("starts")
        else:
            parts.append(_source(self.place))
        if self.then and self.then != self.place and self.place:
            parts.append(f"-> line {self.then[1]}: {_source(self.then)}")
        if self.end:
            parts.append(f"({self.end})")
        return "  ".join(parts)


def _where(place: Place) -> str:
    code, line = place
    return f"{Path(code.co_filename).name}:{line} {code.co_name}"


def _source(place: Place) -> str:
    """Return a line of the source, without its comment, and not all of it if it is long."""
    source = linecache.getline(place[0].co_filename, place[1]).partition("  #")[0].strip()
    return source if len(source) <= LONGEST else f"{source[: LONGEST - 1]}…"


def place_of(task: asyncio.Task[Any]) -> Place | None:
    """Return where a task waits, in code that is neither asyncio's nor this package's."""
    found: Place | None = None
    for frame in waiting_frames(task.get_coro()):
        if not is_loops(frame):
            found = frame.f_code, frame.f_lineno
    return found


def task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """Return the task whose step a handle is, if it is one's."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return owner if isinstance(owner, asyncio.Task) else None


def raised_at(exc: BaseException) -> Place | None:
    """Return where an exception was raised, in code that is neither asyncio's nor this package's.

    For an exception group, where its first exception was raised.
    """
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    found: Place | None = None
    traceback = exc.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if not is_loops(frame):
            found = frame.f_code, traceback.tb_lineno
        traceback = traceback.tb_next
    return found


def run_step(
    handle: asyncio.Handle,
    task: asyncio.Task[Any],
    now: float,
    observers: Iterable[Callable[[Step], None]],
) -> None:
    """Run a task's step; show it to observers before its effects."""
    # A coroutine that has not begun waits nowhere yet.
    place = place_of(task) if getattr(task.get_coro(), "cr_suspended", True) else None
    step = Step(now, task.get_name(), place)
    for observer in observers:
        observer(step)
    handle._run()
    if not task.done():
        step.then = place_of(task)
    elif task.cancelled():
        step.end = "is cancelled"
    elif (exc := exception_of(task)) is not None:
        step.end = f"raises {type(exc).__name__}"
        step.then = raised_at(exc)
    else:
        step.end = "returns"
