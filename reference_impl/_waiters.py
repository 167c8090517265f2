"""Futures that wait for the same thing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from ._errors import fresh


class Waiters:
    """Futures that wait for the same thing, each its owner's to cancel.

    In so far as asyncio's protocols let others see theirs it can be used as theirs: a collection,
    with `append()` and `remove()`.
    """

    __slots__ = ("_loop", "_made")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with nobody waiting."""
        self._loop = loop
        self._made: set[asyncio.Future[None]] | None = None

    @property
    def _futures(self) -> set[asyncio.Future[None]]:
        """Those that wait; made when it is wanted, for a set takes 216 bytes of a connection."""
        if self._made is None:
            self._made = set()
        return self._made

    def add(self) -> asyncio.Future[None]:
        """Return a new future that the next `wake()` completes."""
        future = self._loop.create_future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    async def wait(self) -> None:
        """Wait for the next `wake()`; raise its error, if it has one."""
        future = self._loop.create_future()
        futures = self._made
        if futures is None:
            futures = self._made = set()
        futures.add(future)
        try:
            await future
        finally:
            futures.discard(future)

    def wake(self, error: BaseException | None = None) -> None:
        """Complete every future that waits, with its own copy of *error* if there is one."""
        if self._made is None:
            return
        for future in self._futures:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(fresh(error))
                    future.exception()  # its owner may be gone: nothing to complain of then

    def append(self, future: asyncio.Future[None]) -> None:
        """Add *future*, which its owner removes."""
        self._futures.add(future)

    def remove(self, future: asyncio.Future[None]) -> None:
        """Remove *future*, if it is there."""
        self._futures.discard(future)

    def __len__(self) -> int:
        """Return how many wait."""
        return 0 if self._made is None else len(self._made)

    def __iter__(self) -> Iterator[asyncio.Future[None]]:
        """Iterate over those that wait."""
        return iter(self._futures)
