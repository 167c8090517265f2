"""Readiness: the counterpart of `select()` for simulated sockets.

An `Endpoint` is watched for reading and for writing by at most one `Watch` each. When the endpoint
becomes ready, its watch is handed to the loop's poll queue, once, and the loop runs it where it
would have run the callback of a real socket: after the callbacks that were ready before, before
the timers that have come due.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Protocol


class Pollable(Protocol):
    """An object that can be watched: an endpoint, a listener."""

    @property
    def readable(self) -> bool:
        """Whether it is reported as readable."""

    @property
    def writable(self) -> bool:
        """Whether it is reported as writable."""

    def check_readable(self) -> None:
        """Hand the reader's watch to the loop if there is something to read."""

    def check_writable(self) -> None:
        """Hand the writer's watch to the loop if there is room."""


class PollQueue:
    """The poll queue for a loop that is not ours: any loop with `call_soon()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrivals: list[asyncio.Handle] = []

    def __call__(self, handle: asyncio.Handle) -> None:
        """Run a handle where the loop would run the callback of a socket."""
        if self._loop.is_closed():
            return  # no selector waits any more
        if not self._arrivals:
            # One turn of the loop later, so that handles that are ready now run first, as they
            # would before select() reports a socket.
            self._loop.call_soon(self._loop.call_soon, self._run)
        self._arrivals.append(handle)

    def _run(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        for handle in arrivals:
            if not handle.cancelled():
                handle._run()


class Watch(asyncio.Handle):
    """A callback for the readiness of one endpoint in one direction.

    It is level-triggered, as `add_reader()` and `add_writer()` are: as long as the endpoint stays
    ready and the watch is not cancelled, the callback runs once in every turn of the loop.
    """

    __slots__ = ("_for_reading", "endpoint", "queued")

    # Of asyncio.Handle.
    _callback: Callable[[], object]
    _cancelled: bool
    _context: contextvars.Context
    _loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        endpoint: Pollable,
        for_reading: bool,
        callback: Callable[[], object],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None = None,
    ) -> None:
        super().__init__(callback, (), loop, context)
        self.endpoint = endpoint
        self._for_reading = for_reading
        self.queued = False

    def _run(self) -> None:
        self.queued = False
        try:
            self._context.run(self._callback)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._loop.call_exception_handler(
                {
                    "message": f"Exception in callback {self._callback!r}",
                    "exception": exc,
                    "handle": self,
                }
            )
        if not self._cancelled:
            if self._for_reading:
                self.endpoint.check_readable()
            else:
                self.endpoint.check_writable()


def set_watch(target: Pollable, which: str, watch: Watch | None) -> bool:
    """Set or remove the "reader" or "writer" of an object; return whether there was one."""
    before: Watch | None = getattr(target, which)
    if before is not None:
        before.cancel()
    setattr(target, which, watch)
    target.check_readable()
    target.check_writable()
    return before is not None
