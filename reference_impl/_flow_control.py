"""The writing half of a protocol, for which `drain()` and `wait_closed()` wait."""

from __future__ import annotations

import asyncio
from asyncio.streams import FlowControlMixin as AsyncioFlowControlMixin
from typing import Any

from ._exchange import Exchangeable
from ._waiters import Future, Waiters, wake


class FlowControlMixin(AsyncioFlowControlMixin, metaclass=Exchangeable):
    """The writing half of a protocol: back pressure, and the end of the connection.

    It is enough of a protocol for a writer alone, e.g. with `loop.connect_write_pipe()`. Its
    private attributes, and those of `StreamReaderProtocol`, are named by the rules of
    `StreamReader`'s.

    Args:
        loop: the event loop; the running one by default.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = asyncio.get_event_loop() if loop is None else loop
        self._paused = False
        self._connection_lost = False
        self._reference_error: BaseException | None  # the error with which the connection was lost
        # The waiters, when there are some: for draining, and for the end of the connection.
        self._reference_draining: Waiters | None = None
        self._reference_closing: dict[Future, None] | None = None

    def pause_writing(self) -> None:
        """Make `drain()` wait: the transport has enough to send."""
        self._paused = True

    def resume_writing(self) -> None:
        """Let every `drain()` return."""
        self._paused = False
        if self._reference_draining is not None:
            wake(self._reference_draining)

    def connection_lost(self, exc: Exception | None) -> None:
        """End every wait: a `drain()` with an error, a `wait_closed()` with *exc*, if any."""
        self._connection_lost = True
        self._reference_error = exc
        # A drain() that still waits, waits for bytes that were never sent.
        if self._reference_draining is not None:
            wake(self._reference_draining, exc or ConnectionResetError("Connection lost"))
        if self._reference_closing is not None:
            wake(self._reference_closing, exc)

    @property
    def _drain_waiters(self) -> Waiters:
        """The waiters for draining."""
        if self._reference_draining is None:
            self._reference_draining = Waiters()
        return self._reference_draining

    @_drain_waiters.setter
    def _drain_waiters(self, waiters: Waiters) -> None:
        self._reference_draining = waiters

    async def _drain_helper(self) -> None:
        if self._connection_lost:
            raise ConnectionResetError("Connection lost")
        if self._paused and not self._reference_drained():
            await self._drain_waiters.wait(self._loop)

    def _reference_drained(self) -> bool:
        """Return whether there is nothing to wait for, although writing is paused."""
        return False

    def _get_close_waiter(self, stream: Any, /) -> asyncio.Future[None]:
        waiter = self._reference_close_waiter()
        waiter.add_done_callback(self._reference_closing.pop)  # type: ignore[union-attr]  # not now
        if self._connection_lost:
            wake((waiter,), self._reference_error)
        return waiter

    def _reference_close_waiter(self) -> Future:
        """Return a new future for the end of the connection, which its owner removes."""
        waiter = self._loop.create_future()
        if self._reference_closing is None:
            self._reference_closing = {}
        self._reference_closing[waiter] = None
        return waiter
