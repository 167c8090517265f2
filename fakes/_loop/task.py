"""Tasks that have the same order in a set in every run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

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
