"""Exceptions that more than one caller gets to see."""

from __future__ import annotations

import asyncio
import copy
from typing import TypeVar

Error = TypeVar("Error", bound=BaseException)


def fresh(error: Error) -> Error:
    """Return a copy of *error* to raise, so that no raise adds to the traceback of another.

    What an exception says and what caused it is kept. One that cannot be copied faithfully is
    returned itself.
    """
    try:
        twin = copy.copy(error)
    except Exception:
        return error
    if type(twin) is not type(error) or twin.args != error.args:
        return error
    twin.__cause__ = error.__cause__
    twin.__context__ = error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)


class Waiters:
    """Futures that wait for the same thing, each its owner's to cancel."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with nobody waiting."""
        self._loop = loop
        self._futures: set[asyncio.Future[None]] = set()

    def add(self) -> asyncio.Future[None]:
        """Return a new future that the next `wake()` completes."""
        future = self._loop.create_future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def wake(self, error: BaseException | None = None) -> None:
        """Complete every future that waits, with its own copy of *error* if there is one."""
        for future in self._futures:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(fresh(error))
                    future.exception()  # its owner may be gone: nothing to complain of then
