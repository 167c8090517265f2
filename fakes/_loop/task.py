"""Tasks that have the same order in a set in every run, and those of a loop."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from fakes._asyncio.private_api import is_unretrieved

T = TypeVar("T")


class Task(asyncio.Task[T]):
    """A task whose hash is its number within the loop, and not its address in memory.

    asyncio keeps tasks in sets: a TaskGroup's, those that `wait()` returns, and `all_tasks()`, in
    whose order `asyncio.run()` cancels the remaining tasks. So do libraries.
    """

    __slots__ = ("_number",)

    _number: int

    # `__init__()` would be in a task's traceback, and too late: asyncio's puts the task into a set.
    def __new__(cls, coro: Coroutine[Any, Any, T], *, loop: Any, **kwargs: Any) -> Task[T]:
        """Number the task: `loop` has `_task_numbers`."""
        task = super().__new__(cls)
        task._number = next(loop._task_numbers)
        return task

    def __hash__(self) -> int:
        """Return the number."""
        return self._number


class Tasks:
    """The tasks of a loop that still exist, ended or not. asyncio forgets those that have ended."""

    def __init__(self) -> None:
        self._known: list[weakref.ref[asyncio.Task[Any]]] = []
        self._enough = 100  # when it forgets those that no longer exist

    def add(self, task: asyncio.Task[Any]) -> None:
        """Add a new task."""
        self._known.append(weakref.ref(task))
        if len(self._known) > self._enough:
            self._known = [one for one in self._known if one() is not None]
            self._enough = 100 + 2 * len(self._known)

    def failed(self) -> list[asyncio.Task[Any]]:
        """Return the tasks whose exception nobody has retrieved."""
        tasks = [one() for one in self._known]
        return [task for task in tasks if task is not None and is_unretrieved(task)]
