"""The errors of a simulated loop whose run would not end, with the tasks that still wait."""

from __future__ import annotations

import asyncio
import linecache
import re
import sys
import types
from collections.abc import Iterable
from typing import Any

from fakes._asyncio.private_api import awaited_by, callback_of
from fakes._public import public
from fakes._trace.frames import is_asyncio, waiting_frames


@public
class Deadlock(RuntimeError):
    """Every task waits, and nothing can wake one any more.

    The message names each waiting task, where it waits and for what; each callback of
    `add_reader()` or `add_writer()` that the loop calls again and again, because it does not change
    its socket; and each thread that waits for another one, and where.

    Attributes:
        tasks: the waiting tasks, by name, `Task-<n>` in the order of the numbers.
    """

    def __init__(
        self,
        tasks: Iterable[asyncio.Task[Any]],
        in_vain: Iterable[tuple[object, object]] = (),
        threads: Iterable[str] = (),
        refused: Iterable[str] = (),
    ) -> None:
        self.tasks = sorted(tasks, key=_order)
        lines = [f"nothing is left that could happen, and {_waiting(self.tasks)}"]
        for callback, sock in in_vain:
            lines += [
                f"  {_same_in_every_run(callback)}",
                f"    is called in every turn, and does nothing to {sock}",
            ]
        lines += [f"  the thread {place}" for place in threads]
        lines += [f"  before, this was refused: {call}" for call in refused]
        super().__init__("\n".join(lines))


@public
class TimeLimitExceeded(RuntimeError):
    """A run has taken more virtual time than its limit.

    The message names each waiting task, where it waits and for what; each thread that waits for
    another one; where no task waits, the callback of the next timer; and refused calls, as
    `Deadlock` does.

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
        timer: asyncio.TimerHandle | None = None,
    ) -> None:
        self.limit = limit
        self.tasks = sorted(tasks, key=_order)
        lines = [f"the run has not ended after {limit:g} virtual seconds, {_waiting(self.tasks)}"]
        lines += [f"  the thread {place}" for place in threads]
        if timer is not None and not self.tasks:
            lines.append(f"  the next timer calls {_same_in_every_run(callback_of(timer))}")
        lines += [f"  before, this was refused: {call}" for call in refused]
        super().__init__("\n".join(lines))


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
        own = [frame for frame in frames if not is_asyncio(frame)]
        frame = own[-1] if own else frames[-1]
        code = frame.f_code
        lines.append(f'    waits in {code.co_qualname}, "{code.co_filename}:{frame.f_lineno}"')
        source = linecache.getline(code.co_filename, frame.f_lineno).strip()
        if source:
            lines.append(f"      {source}")
    lines.append(f"    for {_awaited(task, frames)}")
    return "\n".join(lines)


def _awaited(task: asyncio.Task[Any], frames: list[types.FrameType]) -> str:
    """Name the object of a task's wait: a task, a call into asyncio, or the future itself."""
    waiter = awaited_by(task)
    if isinstance(waiter, asyncio.Task):
        return f"the task {waiter.get_name()}"
    for frame in frames:
        if is_asyncio(frame):
            owner = frame.f_locals.get("self")
            of = "" if owner is None else f" of {_same_in_every_run(owner)}"
            return f"{frame.f_code.co_qualname}(){of}"
    return _same_in_every_run(waiter)


def _same_in_every_run(thing: object) -> str:
    """Return `repr(thing)` without the addresses in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))
