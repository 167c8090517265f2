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
    """What tests give a connection in either role, beside the address."""

    limit: int
    ssl: ssl.SSLContext | bool | None
    ssl_handshake_timeout: float
    ssl_shutdown_timeout: float


class ClientOptions(ConnectionOptions, total=False):
    """What tests give `open_connection()` or `open_unix_connection()` beside the address."""

    flags: int
    happy_eyeballs_delay: float
    proto: int
    server_hostname: str | None


class ServerOptions(ConnectionOptions, total=False):
    """What tests give `start_server()` or `start_unix_server()` beside the address."""

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

    One instance serves one trial. What a kind of network can do, its class says; the sets of
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
    """Bytes that this network holds, at most, for a far end that does not read: more than that
    written at once stays, in part, in the implementation's own write buffer."""

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
        """Record what crosses the wire from now on, where the network can tell."""
        return

    def trace(self) -> str:
        """Return what has crossed the wire, as text; empty where that is not known."""
        return ""

    def close(self) -> None:
        """Give back what the network holds."""
        return
