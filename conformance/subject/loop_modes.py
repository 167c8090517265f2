"""The modes of an event loop, on which nothing in a stream may depend."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conformance.errors import CannotRun

PLAIN = "plain"


class OwnTask(asyncio.Task[Any]):
    """A task of a class of the program's own."""


class OwnExecutor(ThreadPoolExecutor):
    """An executor of a class of the program's own."""


def plain(_: asyncio.AbstractEventLoop) -> None:
    """Change nothing."""


def debug(loop: asyncio.AbstractEventLoop) -> None:
    """Switch on the loop's debug mode."""
    loop.set_debug(True)
    loop.slow_callback_duration = math.inf  # a busy machine is not a fault


def eager_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let tasks begin when they are made."""
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        raise CannotRun("--loop-mode eager-tasks needs Python 3.12 or newer")
    loop.set_task_factory(factory)


def own_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop's tasks be of another class."""

    def make(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> OwnTask:
        return OwnTask(coroutine, loop=loop, **options)

    loop.set_task_factory(make)  # type: ignore[arg-type]  # typeshed has no options


def own_executor(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop's threads be of another executor."""
    loop.set_default_executor(OwnExecutor(max_workers=4))


MODES: dict[str, Callable[[asyncio.AbstractEventLoop], None]] = {
    PLAIN: plain,
    "debug": debug,
    "eager-tasks": eager_tasks,
    "own-tasks": own_tasks,
    "own-executor": own_executor,
}
"""How to change a new loop, by the names that the user gives."""


def checked_mode(name: str) -> str:
    """Return `name` if it is a mode that exists on this Python.

    Raises:
        CannotRun: it is not.
    """
    if name not in MODES:
        raise CannotRun(f"unknown loop mode {name!r}: give one of {', '.join(MODES)}")
    probe = asyncio.new_event_loop()
    try:
        MODES[name](probe)
    finally:
        probe.close()
    return name
