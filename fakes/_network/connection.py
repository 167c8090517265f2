"""One connection, for a test to break: the faults of a link, but for one connection."""

from __future__ import annotations

from typing import Any

from fakes._kernel.endpoint import Endpoint
from fakes._network.link import Link, limit
from fakes._network.path import Path, reset_both
from fakes._public import public


@public
class Connection:
    """A TCP connection of a network, from `Network.established()`, to break it.

    Its methods do what those of `Link` of the same names do, but to this connection alone and from
    now on; `from_client` means the same. They have no effect once both ends are closed.

    Attributes:
        number: its number, from 1 on, as in a `Trace`.
        client: the address of the end that called connect(), as `getsockname()` gives it.
        server: the address of the other end.
        client_host: the name of the client's host.
        server_host: the name of the server's host.
    """

    def __init__(self, end: Endpoint) -> None:
        self._end = end
        self.number = end.serial >> 1
        self.client: Any = end.local
        self.server: Any = end.peer.local
        self.client_host = end.host.name
        self.server_host = end.peer.host.name

    def __repr__(self) -> str:
        """Show its ends."""
        return f"<fakes.Connection #{self.number} {self.client} -> {self.server}>"

    def partition(self, *, from_client: bool | None = None) -> None:
        """Lose all data, in both directions or in one, until `heal()`."""
        for path in self._paths(from_client):
            path.partitioned = True
            path.refresh()

    def stall(self, *, from_client: bool | None = None) -> None:
        """Delay all data, in both directions or in one, until `heal()`."""
        for path in self._paths(from_client):
            path.stalled = True
            path.refresh()

    def slow_reader(self, rate: float, *, client: bool | None = None) -> None:
        """Let the program at one end, or at both, read at most `rate` bytes per second.

        Raises:
            ValueError: the rate is not positive.
        """
        if rate <= 0:
            raise ValueError(f"rate must be a positive number of bytes per second, not {rate!r}")
        for path in self._paths(None if client is None else not client):
            path.pace = rate

    def reset(self) -> None:
        """Reset it now, at both ends."""
        reset_both(self._end)

    def reset_after(self, size: int, *, from_client: bool | None = None) -> None:
        """Reset it once it has carried `size` more bytes.

        Raises:
            ValueError: `size` is negative.
        """
        self._limit(size, False, from_client)

    def end_after(self, size: int, *, from_client: bool | None = None) -> None:
        """Send EOF to both ends once it has carried `size` more bytes.

        Raises:
            ValueError: likewise.
        """
        self._limit(size, True, from_client)

    def heal(self) -> None:
        """End the faults that this object's methods have caused; those of the link go on."""
        for path in self._paths(None):
            path.partitioned = path.stalled = False
            path.pace = None
            path.limit(None)
            path.refresh()
            path.release()

    def _limit(self, size: int, ends: bool, from_client: bool | None) -> None:
        if size < 0:
            raise ValueError(f"size must be 0 or more bytes, not {size!r}")
        limit(self._path(), size, ends, from_client)

    def _path(self) -> Path:
        link = self._end.link
        assert isinstance(link, Link)
        return link.path_of(self._end)

    def _paths(self, from_client: bool | None) -> list[Path]:
        path = self._path()
        return [each for each in (path, path.twin) if from_client in (None, each is path)]
