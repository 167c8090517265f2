"""A lookalike that forwards its transports' calls two milliseconds later, by the loop's clock.

An implementation whose bytes pass through a thread, or another process, does the same.
"""

from collections.abc import Callable
from typing import Any

from .plain import Protocol, Streams

LATER = 0.002  # seconds


class Delayed(Protocol):
    """A connection that gets every call later, in the same order."""

    _due = 0.0

    def _later(self, call: Callable[..., object], *args: Any) -> None:
        # A loop calls timers for the same time in any order.
        self._due = max(self.loop.time() + LATER, self._due + 1e-9)
        self.loop.call_at(self._due, call, *args)

    def receive(self, data: Any) -> None:
        self._later(super().receive, bytes(data))

    def eof_received(self) -> bool:
        self._later(super().eof_received)
        return not self.is_tls

    def connection_lost(self, error: Exception | None) -> None:
        self._later(super().connection_lost, error)


streams = Streams(protocol=Delayed)
