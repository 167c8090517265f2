"""A lookalike that hands on what its transports say two milliseconds later, by the loop's clock.

So does one whose bytes come by way of a thread, or of another process.
"""

from collections.abc import Callable
from typing import Any

from .plain import Protocol, Streams

LATER = 0.002  # seconds


class Delayed(Protocol):
    """A connection that hears of everything later, and in order."""

    _due = 0.0

    def _later(self, call: Callable[..., object], *args: Any) -> None:
        # A loop calls what is due at the same time in any order.
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
