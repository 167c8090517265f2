"""The errors of a simulated loop whose run would not end, with the tasks that still wait."""

from __future__ import annotations

import asyncio
import linecache
import re
import sys
import types
from collections.abc import Iterable
from typing import Any

from fakes._asyncio.private_api import awaited_by, callback_of, exception_of, gathered_by
from fakes._public import public
from fakes._trace.frames import is_asyncio, is_loops, is_programs, waiting_frames
from fakes._trace.steps import place_of, raised_at


@public
class Deadlock(RuntimeError):
    """Every task waits, and nothing can wake one any more.

    The message names each waiting task, where it waits and for what; each callback of
    `add_reader()` or `add_writer()` that the loop calls again and again, because it does not change
    its socket; each thread that waits for another one, and where; and each task that has failed,
    and whose exception nobody has retrieved. The traceback ends where the first task waits.

    Attributes:
        tasks: the waiting tasks, by name, `Task-<n>` in the order of the numbers.
    """

    def __init__(
        self,
        tasks: Iterable[asyncio.Task[Any]],
        in_vain: Iterable[tuple[object, object]] = (),
        threads: Iterable[str] = (),
        refused: Iterable[str] = (),
        failed: Iterable[asyncio.Task[Any]] = (),
    ) -> None:
        self.tasks = sorted(tasks, key=_order)
        self.__traceback__ = _traceback(self.tasks)
        lines = [f"nothing is left that could happen, and {_waiting(self.tasks)}"]
        for callback, sock in in_vain:
            lines += [
                f"  {_same_in_every_run(callback)}",
                f"    is called in every turn, and does nothing to {sock}",
            ]
        lines += [f"  the thread {place}" for place in threads]
        lines += _before(refused, failed)
        super().__init__("\n".join(lines))


@public
class TimeLimitExceeded(RuntimeError):
    """A run has taken more virtual time than its limit.

    The message names each waiting task, where it waits and for what; each thread that waits for
    another one; where no task waits, the callback of the next timer; and refused calls and failed
    tasks, as `Deadlock` does. The traceback ends where the first task waits.

    Attributes:
        limit: the limit in virtual seconds.
        tasks: the waiting tasks, by name, `Task-<n>` in the order of the numbers.
    """

    def __init__(
        self,
        limit: float,
        tasks: Iterable[asyncio.Task[Any]],
        threads: Iterable[str] = (),
        refused: Iterable[str] = (),
        failed: Iterable[asyncio.Task[Any]] = (),
        timer: asyncio.TimerHandle | None = None,
    ) -> None:
        self.limit = limit
        self.tasks = sorted(tasks, key=_order)
        self.__traceback__ = _traceback(self.tasks)
        lines = [f"the run has not ended after {limit:g} virtual seconds, {_waiting(self.tasks)}"]
        lines += [f"  the thread {place}" for place in threads]
        if timer is not None and not self.tasks:
            lines.append(f"  the next timer calls {_same_in_every_run(callback_of(timer))}")
        lines += _before(refused, failed)
        super().__init__("\n".join(lines))


def _before(refused: Iterable[str], failed: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Return what happened before, and may be why the tasks wait."""
    lines = [f"  before, this was refused: {call}" for call in refused]
    for task in sorted(failed, key=_order):
        exc = exception_of(task)
        place = None if exc is None else raised_at(exc)
        where = "" if place is None else f' at "{place[0].co_filename}:{place[1]}"'
        lines.append(f"  {task.get_name()} has failed{where}, and nobody awaits it: {exc!r}")
    return lines


def _traceback(tasks: list[asyncio.Task[Any]]) -> types.TracebackType | None:
    """Return the traceback of the first task's wait, in the program's own code."""
    traceback = None
    for task in tasks[:1]:
        for frame in reversed(waiting_frames(task.get_coro())):
            if not is_loops(frame):
                traceback = types.TracebackType(traceback, frame, frame.f_lasti, frame.f_lineno)
    return traceback


def _waiting(tasks: list[asyncio.Task[Any]]) -> str:
    """Return how many tasks wait and, on a line or more for each, where and for what."""
    if not tasks:
        return "no task is waiting"
    first = "1 task is waiting:" if len(tasks) == 1 else f"{len(tasks)} tasks are waiting:"
    return "\n".join([first, *(describe(task) for task in tasks)])


def _order(task: asyncio.Task[Any]) -> tuple[int, str, str]:
    name = task.get_name()
    prefix, _, number = name.rpartition("-")
    if prefix == "Task" and number.isdigit():
        return int(number), "", ""
    return sys.maxsize, name, describe(task)


def describe(task: asyncio.Task[Any]) -> str:
    """Return where a task waits and for what, as indented lines."""
    frames = waiting_frames(task.get_coro())
    lines = [f"  {task.get_name()}"]
    if frames:
        shown = [frame for frame in frames if not is_asyncio(frame)] or frames
        outside = [frame for frame in shown if not is_loops(frame)] or shown
        frame = ([frame for frame in outside if is_programs(frame)] or outside)[-1]
        code = frame.f_code
        lines.append(f'    waits in {code.co_qualname}, "{code.co_filename}:{frame.f_lineno}"')
        source = linecache.getline(code.co_filename, frame.f_lineno).strip()
        if source:
            lines.append(f"      {source}")
        if frame is not outside[-1]:
            code, line = outside[-1].f_code, outside[-1].f_lineno
            lines.append(f'    by way of {code.co_qualname}, "{code.co_filename}:{line}"')
    lines.append(f"    for {_awaited(task, frames)}")
    return "\n".join(lines)


def where(task: asyncio.Task[Any]) -> str:
    """Return where a task stands, as one line."""
    place = place_of(task)
    if place is None:
        return task.get_name()
    code, line = place
    source = linecache.getline(code.co_filename, line).strip()
    return f'{task.get_name()} in {code.co_qualname}, "{code.co_filename}:{line}": {source}'


def _awaited(task: asyncio.Task[Any], frames: list[types.FrameType]) -> str:
    """Name the object of a task's wait: a task, a call into asyncio, or the future itself."""
    waiter = awaited_by(task)
    if isinstance(waiter, asyncio.Task):
        return f"the task {waiter.get_name()}"
    if gathered := gathered_by(waiter):
        names = [one.get_name() for one in gathered if isinstance(one, asyncio.Task)]
        return f"gather() of {', '.join(names)}"
    for frame in frames:
        if is_loops(frame):
            owner = frame.f_locals.get("sock", frame.f_locals.get("self"))
            of = "" if owner is None else f" of {_same_in_every_run(owner)}"
            name = frame.f_code.co_qualname if is_asyncio(frame) else frame.f_code.co_name
            return f"{name}(){of}"
    return _same_in_every_run(waiter)


def _same_in_every_run(thing: object) -> str:
    """Return `repr(thing)` without the addresses in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))
