"""The way between two hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakes.tcp import Piece


class Path:
    """One direction of a connection: what carries segments from one endpoint to its peer."""

    unacknowledged: int

    def window(self) -> int:
        """Return how many bytes may be sent."""
        raise NotImplementedError

    def window_opened(self) -> None:
        """The receiving program has read."""
        raise NotImplementedError

    def send_data(self, data: Piece) -> None:
        """Carry data."""
        raise NotImplementedError

    def send_fin(self) -> None:
        """Carry the end of data."""
        raise NotImplementedError

    def send_reset(self) -> None:
        """Carry a reset."""
        raise NotImplementedError
