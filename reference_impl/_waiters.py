"""Futures that wait for the same thing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ._errors import fresh

Future = asyncio.Future[None]


class Waiters(dict[Future, None]):
    """Futures that wait for the same thing, in order; each belongs to a caller that may cancel it.

    asyncio's protocols show theirs to other code as a collection with `append()` and `remove()`; so
    this has these methods, too.
    """

    __slots__ = ()

    async def wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for the next `wake()`; raise its error, if it has one."""
        future = loop.create_future()
        self[future] = None
        try:
            await future
        finally:
            self.remove(future)

    def append(self, future: Future) -> None:
        """Add *future*, which its owner removes."""
        self[future] = None

    def remove(self, future: Future) -> None:
        """Remove *future*, if it is there."""
        self.pop(future, None)


def wake(waiting: Iterable[Future], error: BaseException | None = None) -> None:
    """Complete every future that waits, with its own copy of *error* if there is one."""
    for future in waiting:
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(fresh(error))
                future.exception()  # its owner may be gone; then nothing has to be reported
