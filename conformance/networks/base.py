"""What a network is to the suite: a place where an implementation and a wire can meet."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from conformance.implementation import Implementation, Pair
from conformance.loops import Loop
from conformance.networks.wire import Wire

# What open_connection() and start_server() take beside the address; passed through as they are.
Options = Any
ServerOptions = Any


class Listener(ABC):
    """A far end that waits for the implementation to connect."""

    @abstractmethod
    async def accept(self) -> Wire:
        """Return the far end of the next connection that the implementation makes."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening."""


class Network(ABC):
    """A kind of network: how the implementation is told to connect or serve, and the far ends.

    One instance serves one trial.
    """

    name: ClassVar[str]

    unread_capacity: int
    """Bytes that this network holds, at most, for a far end that does not read: more than that
    written at once stays, in part, in the implementation's own write buffer."""

    @property
    def virtual_time(self) -> bool:
        """Whether time on this network's loop is simulated, so that waiting costs nothing."""
        return False

    def new_loop(self, loop: Loop) -> asyncio.AbstractEventLoop:
        """Return a new event loop of the user's choice on which this network can be used."""
        return loop.factory()

    @abstractmethod
    async def listen(self) -> Listener:
        """Return a far end that listens."""

    @abstractmethod
    async def open(self, streams: Implementation, listener: Listener, **options: Options) -> Pair:
        """Let the implementation connect to `listener` as a client, with further `options`."""

    @abstractmethod
    async def serve(
        self, streams: Implementation, callback: object, **options: ServerOptions
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
