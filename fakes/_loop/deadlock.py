"""The error that a simulated loop raises when nothing can happen any more."""

from __future__ import annotations

import asyncio
import linecache
import re
import sys
import types
from collections.abc import Coroutine, Generator, Iterable
from pathlib import Path
from typing import Any

from fakes.borrowed import awaited_by

_ASYNCIO = str(Path(asyncio.__file__).parent)


class Deadlock(RuntimeError):
    """Every task waits and nothing is left that could wake one.

    The message names each waiting task, where it waits and on what; and each callback of
    `add_reader()` or `add_writer()` that is called again and again, since it leaves its socket as
    it is. Attributes:
        tasks: the waiting tasks, by name, `Task-<n>` in the order of the numbers.
    """

    def __init__(
        self, tasks: Iterable[asyncio.Task[Any]], in_vain: Iterable[tuple[object, object]] = ()
    ) -> None:
        self.tasks = tasks = sorted(tasks, key=_order)
        waiting = {0: "no task is waiting", 1: "1 task is waiting:"}.get(
            len(tasks), f"{len(tasks)} tasks are waiting:"
        )
        first = f"nothing is left that could happen, and {waiting}"
        lines = [first, *(describe(task) for task in tasks)]
        for callback, sock in in_vain:
            lines += [
                f"  {_same_in_every_run(callback)}",
                f"    is called in every turn, and does nothing to {sock}",
            ]
        super().__init__("\n".join(lines))


def _order(task: asyncio.Task[Any]) -> tuple[int, str, str]:
    name = task.get_name()
    prefix, _, number = name.rpartition("-")
    if prefix == "Task" and number.isdigit():
        return int(number), "", ""
    return sys.maxsize, name, describe(task)


def describe(task: asyncio.Task[Any]) -> str:
    """Return where a task waits and on what, as indented lines."""
    frames = _waiting_frames(task.get_coro())
    lines = [f"  {task.get_name()}"]
    if frames:
        own = [frame for frame in frames if not _is_asyncio(frame)]
        frame = own[-1] if own else frames[-1]
        code = frame.f_code
        lines.append(f'    waits in {code.co_qualname}, "{code.co_filename}:{frame.f_lineno}"')
        source = linecache.getline(code.co_filename, frame.f_lineno).strip()
        if source:
            lines.append(f"      {source}")
    lines.append(f"    for {_awaited(task, frames)}")
    return "\n".join(lines)


def _waiting_frames(coroutine: object) -> list[types.FrameType]:
    """Return the frames of a suspended coroutine, the innermost last."""
    frames: list[types.FrameType] = []
    while isinstance(coroutine, (Coroutine, Generator)):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        inner = getattr(coroutine, "cr_await", None)
        coroutine = inner if inner is not None else getattr(coroutine, "gi_yieldfrom", None)
    return frames


def _awaited(task: asyncio.Task[Any], frames: list[types.FrameType]) -> str:
    """Name what a task waits for: a task, a call into asyncio, or the future itself."""
    waiter = awaited_by(task)
    if isinstance(waiter, asyncio.Task):
        return f"the task {waiter.get_name()}"
    for frame in frames:
        if _is_asyncio(frame):
            owner = frame.f_locals.get("self")
            of = "" if owner is None else f" of {_same_in_every_run(owner)}"
            return f"{frame.f_code.co_qualname}(){of}"
    return _same_in_every_run(waiter)


def _is_asyncio(frame: types.FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_ASYNCIO)


def _same_in_every_run(thing: object) -> str:
    """Return `repr(thing)` without the addresses in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))
