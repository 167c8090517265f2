"""The base of all networks: places where an implementation and a wire can meet."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

from conformance.networks.wire import Wire

if TYPE_CHECKING:
    from conformance.subject.event_loop import Loop
    from conformance.subject.implementation import Implementation, Pair


class ConnectionOptions(TypedDict, total=False):
    """The arguments, beside the address, that tests give a connection in either role."""

    limit: int
    ssl: ssl.SSLContext | bool | None
    ssl_handshake_timeout: float
    ssl_shutdown_timeout: float


class ClientOptions(ConnectionOptions, total=False):
    """The arguments, beside the address, that tests give `open_(unix_)connection()`."""

    flags: int
    happy_eyeballs_delay: float
    proto: int
    server_hostname: str | None


class ServerOptions(ConnectionOptions, total=False):
    """The arguments, beside the address, that tests give `start_(unix_)server()`."""

    backlog: int
    keep_alive: bool
    reuse_address: bool
    reuse_port: bool
    start_serving: bool


class Listener(ABC):
    """A far end that waits for the implementation to connect."""

    @abstractmethod
    async def accept(self) -> Wire:
        """Return the far end of the next connection that the implementation makes."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening."""


class Network(ABC):
    """A kind of network: how the implementation connects or serves, and the far ends.

    One instance serves one trial. The class says what its kind of network can do; the sets of
    networks that tests run on (`conformance.harness.clause`) follow from that.
    """

    name: ClassVar[str]

    in_memory: ClassVar[bool] = False
    """Whether it is simulated, with transports that are not the event loop's own."""

    tls: ClassVar[bool] = False
    """Whether its streams are encrypted: they cannot be half-closed."""

    hosts: ClassVar[bool] = False
    """Whether its addresses are hosts and ports."""

    paths: ClassVar[bool] = False
    """Whether its addresses are paths."""

    resets: ClassVar[bool] = True
    """Whether a far end can reset a connection."""

    unread_capacity: int
    """The most bytes that this network holds for a far end that does not read: of a larger write, a
    part stays in the implementation's own write buffer."""

    @property
    def virtual_time(self) -> bool:
        """Whether time on this network's loop is simulated, so that waiting costs nothing."""
        return False

    def new_loop(self, loop: "Loop") -> asyncio.AbstractEventLoop:
        """Return a new event loop of the user's choice on which this network can be used."""
        return loop.factory()

    @abstractmethod
    async def listen(self) -> Listener:
        """Return a far end that listens."""

    @abstractmethod
    async def open(
        self, streams: "Implementation", listener: Listener, **options: Unpack[ClientOptions]
    ) -> "Pair":
        """Let the implementation connect to `listener` as a client, with further `options`."""

    @abstractmethod
    async def serve(
        self, streams: "Implementation", callback: object, **options: Unpack[ServerOptions]
    ) -> asyncio.Server:
        """Let the implementation serve, calling `callback` for each client."""

    @abstractmethod
    async def dial(self, server: asyncio.Server) -> Wire:
        """Connect a far end to the implementation's `server`."""

    def start_trace(self) -> None:
        """Record what crosses the wire from now on, if the network can."""
        return

    def trace(self) -> str:
        """Return the record of what has crossed the wire, as text; empty if there is none."""
        return ""

    def close(self) -> None:
        """Release the network's resources."""
        return
