"""Happy Eyeballs: attempts that start one after the other until one succeeds (RFC 8305)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def first_to_succeed(
    attempts: Sequence[Callable[[], Awaitable[T]]], delay: float | None
) -> T | None:
    """Return the result of the first attempt that does not raise `OSError`; None if all do.

    An attempt starts when the one before has failed or, with a `delay` in seconds, when that
    time has passed since the one before started. The losers are cancelled.
    """
    if delay is None:
        for attempt in attempts:
            try:
                return await attempt()
            except OSError:
                continue
        return None
    waiting = list(reversed(attempts))
    running: list[asyncio.Task[T]] = []
    try:
        while waiting or running:
            failed = False
            if waiting:
                running.append(asyncio.ensure_future(_attempt(waiting.pop())))
            await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in list(running):
                if task.done():
                    running.remove(task)
                    if task.cancelled() or not isinstance(task.exception(), OSError):
                        return task.result()
                    failed = True
            if not failed and waiting:
                continue
        return None
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _attempt(attempt: Callable[[], Awaitable[T]]) -> T:
    return await attempt()
