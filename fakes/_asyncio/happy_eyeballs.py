"""Happy Eyeballs: attempts that start one after the other until one succeeds (RFC 8305)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from fakes._network.resolver import AddressInfo


class Closable(Protocol):
    """The result of an attempt, which is closed if it comes too late."""

    def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Closable)


async def first_to_succeed(
    attempts: Sequence[Callable[[], Coroutine[Any, Any, C]]], delay: float | None
) -> C | None:
    """Return the result of the first attempt that does not raise `OSError`; None if all do.

    An attempt starts when one before it has failed or, with a `delay` in seconds, when that time
    has passed since the last one started. The losers are cancelled.
    """
    if delay is None:
        for attempt in attempts:
            try:
                return await attempt()
            except OSError:
                continue
        return None
    waiting = list(reversed(attempts))
    running: list[asyncio.Task[C]] = []
    winner: asyncio.Task[C] | None = None
    try:
        while winner is None and (waiting or running):
            if waiting:
                running.append(asyncio.create_task(waiting.pop()()))
            await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in [task for task in running if task.done()]:
                if winner is None and not isinstance(task.exception(), OSError):
                    winner = task
                else:
                    task.add_done_callback(_give_up)
                running.remove(task)
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_give_up)
        try:
            if running:
                await asyncio.wait(running)
        except asyncio.CancelledError:
            if winner is not None:
                winner.add_done_callback(_give_up)
            raise
    return None if winner is None else winner.result()


def _give_up(task: asyncio.Task[Any]) -> None:
    """Close the result of an attempt, if there is one."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def interleaved(infos: list[AddressInfo], first: int) -> list[AddressInfo]:
    """Alternate between address families, after `first - 1` more of the first (RFC 8305)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    queues = list(families.values())
    head, queues[0] = queues[0][: first - 1], queues[0][first - 1 :]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*queues))
    return head + [info for info in turns if info is not None]
