"""Protocols for the surroundings of a kernel; it does not know more about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from fakes._kernel.descriptors import Descriptors
from fakes._kernel.port_table import PortTable

# Hands the handle of a ready socket to the loop.
Poll = Callable[[asyncio.Handle], None]


class Surroundings(Protocol):
    """The needs of an endpoint: a loop to call back, and observers for its segments."""

    poll: Poll

    @property
    def observed(self) -> bool:
        """Whether anybody observes the segments."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that carries the network."""

    def show(
        self,
        connection: int,
        source: Any,
        destination: Any,
        from_client: bool,
        kind: str,
        data: bytes,
        arrives: float | None,
    ) -> None:
        """Show a segment that is sent now; see `fakes.Segment`."""


class WayOut(Protocol):
    """The carrier of an endpoint's segments to its peer, if anything delays or watches them."""

    unacknowledged: int
    in_window: int  # bytes that the receiver has no room for any more, as far as the sender knows

    def window(self) -> int:
        """Return how many bytes the receiver has room for, as far as the sender knows."""

    def send_data(self, data: bytes | memoryview) -> None:
        """Send data."""

    def send_fin(self) -> None:
        """Send EOF."""

    def send_reset(self) -> None:
        """Send a reset."""

    def refresh(self) -> None:
        """Take a change of the way, or of the endpoint's timeouts, into account."""

    def window_opened(self) -> None:
        """The receiving program has read: announce it to the sender."""


class Attempt(Protocol):
    """An attempt to connect, under way."""

    done: Callable[[OSError | None], None]


class Machine(Protocol):
    """The host of a socket: its addresses, its ports and its Unix paths."""

    name: str

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its IP addresses, those of the loopback excepted."""

    def has_address(self, address: str) -> bool:
        """Whether packets for an IP address stay on this host."""

    def ports(self, kind: int) -> PortTable:
        """Return the ports of TCP (`SOCK_STREAM`) or of UDP."""

    def bind_path(self, sock: Any, path: str | bytes) -> None:
        """Bind a Unix socket to a path."""

    def unlink(self, path: str | bytes) -> None:
        """Remove a Unix socket's path."""

    def socket_at(self, path: str | bytes) -> Any:
        """Return the socket bound to a Unix path, or None."""


class World(Protocol):
    """The network of a socket."""

    @property
    def environment(self) -> Surroundings:
        """The surroundings of its sockets' endpoints."""

    @property
    def descriptors(self) -> Descriptors[Any]:
        """The numbers of its sockets."""

    @property
    def send_buffer(self) -> int:
        """How many bytes a sending kernel keeps for a connection."""

    @property
    def receive_buffer(self) -> int:
        """How many bytes a receiving kernel keeps."""

    def address_of(self, name: str, family: int) -> str:
        """Return the IP address of a name."""

    def connect(self, sock: Any, address: Any, done: Callable[[OSError | None], None]) -> None:
        """Connect a TCP socket, then call `done(None)` or `done(error)`."""

    def connect_now(self, sock: Any, address: Any) -> OSError | None:
        """Connect a TCP socket now; return the error, or `BlockingIOError` if it takes time."""

    def connect_path(self, sock: Any, path: str | bytes) -> None:
        """Connect a Unix socket."""

    def reachable(self, sock: Any, address: Any) -> str:
        """Return the IP address that a socket address means, which some host has."""

    def send_datagram(self, sock: Any, data: bytes, source: Any, destination: Any) -> None:
        """Send a datagram to an address that a host has."""
