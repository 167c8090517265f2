"""Random draws in a test, and a coroutine that is cancelled at some await."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from fakes._network.chance import Chance
from fakes._network.network import Network
from fakes._public import public

T = TypeVar("T")

# interrupted(): the await is one of the first so many, small numbers as likely as large ones; with
# the largest draws there is none. The cancellation comes up to so many seconds after the wait has
# begun.
AWAITS = 64
NONE_FROM = 0.95
LATEST = 0.01


@public
def chance(name: str = "test") -> Chance:
    """Return a source of chance for the test that runs: the same draws for the same seed.

    Args:
        name: letters, digits, "_" and "-"; each name has a sequence of its own (default "test").

    Raises:
        RuntimeError: the running event loop, if any, has no simulated network.
        ValueError: the name has other characters.
    """
    if not name.replace("_", "a").replace("-", "a").isalnum():
        raise ValueError(f"a name may have letters, digits, '_' and '-', not {name!r}")
    return Chance(_network().chance(f"test {name}"))


@public
async def interrupted(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine that chance cancels at one of its awaits, as a timeout would, or at none.

    It runs as a task of its own. The seed decides at which await it is cancelled, and when during
    the wait; with seed 0 it is never cancelled.

    Returns:
        The coroutine's result.

    Raises:
        TimeoutError: it was cancelled, and did not catch the cancellation.
        RuntimeError: the running event loop, if any, has no simulated network.
    """
    try:
        network = _network()
    except RuntimeError:
        coroutine.close()
        raise
    loop = asyncio.get_running_loop()
    if not network.varies:
        return await coroutine
    source = network.chance("interrupt")
    which, late = source.random(), source.random()
    if which >= NONE_FROM:
        return await coroutine
    cancelled = False

    def cancel() -> None:
        nonlocal cancelled
        if not task.done():
            cancelled = task.cancel()

    awaits = int(AWAITS ** (which / NONE_FROM))
    waiting = _Counted(coroutine, awaits, lambda: loop.call_later(late * LATEST, cancel))
    task: asyncio.Task[T] = asyncio.ensure_future(_run(waiting))
    try:
        return await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if cancelled and task.cancelled() and not (current and current.cancelling()):
            raise TimeoutError from None
        raise
    finally:
        coroutine.close()  # if it was cancelled before it had begun


async def _run(waiting: _Counted[T]) -> T:
    return await waiting


class _Counted(Generator[Any, Any, T]):
    """Stands between a task and its coroutine, and calls back at the coroutine's n-th wait."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], number: int, callback: Any) -> None:
        self._coroutine = coroutine
        self._left = number
        self._callback = callback

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any) -> Any:
        awaited = self._coroutine.send(value)
        self._waits()
        return awaited

    def throw(self, *exc: Any) -> Any:
        awaited = self._coroutine.throw(*exc)
        self._waits()
        return awaited

    def close(self) -> None:
        self._coroutine.close()

    def _waits(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._callback()


def _network() -> Network:
    network = getattr(asyncio.get_running_loop(), "network", None)
    if not isinstance(network, Network):
        raise RuntimeError("the running event loop has no simulated network to take chance from")
    return network
