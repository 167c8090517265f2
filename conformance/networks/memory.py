"""The network in memory: that of the fakes, in virtual time if the loop can be the fakes' own."""

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

import fakes
from conformance.networks.sockets import InternetNetwork, SocketPair, SocketWire
from conformance.networks.tls import TlsNetwork
from conformance.networks.wire import Wire

if TYPE_CHECKING:
    from conformance.subject.event_loop import Loop

LONGEST_TRACE = 60  # segments; as many as a person reads


class MemoryNetwork(InternetNetwork):
    """A simulated host, 127.0.0.1, without latency.

    On asyncio's own loop, time is virtual: the fakes' loop runs callbacks as asyncio's does. Any
    other loop keeps its class and its time, and has the simulated network put under it.
    """

    name = "memory"
    in_memory = True
    unread_capacity = 8 * 1024 * 1024

    def __init__(self) -> None:
        self.network = fakes.Network()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.segments: fakes.Trace | None = None

    @property
    def virtual_time(self) -> bool:
        """Whether the loop is the fakes' own."""
        return isinstance(self.loop, fakes.Loop)

    def new_loop(self, loop: "Loop") -> asyncio.AbstractEventLoop:
        """Return a new event loop whose connections are simulated."""
        if loop.name == "asyncio":
            self.loop = fakes.Loop(network=self.network)
        else:
            probe = loop.factory()
            probe.close()
            self.loop = fakes.network_loop(type(probe), self.network)()
        return self.loop

    def start_trace(self) -> None:
        """Record every segment."""
        self.segments = fakes.Trace(self.network)

    def trace(self) -> str:
        """Return the segments that were recorded, as text."""
        return "" if self.segments is None else self.segments.text(last=LONGEST_TRACE)

    def socket(self, family: int) -> socket.socket:
        """Return a new socket of the simulated network."""
        # It has the methods of a real socket that a far end needs.
        return cast(socket.socket, self.network.socket(family))

    def socketpair(self) -> SocketPair:
        """Return two connected sockets of the simulated network."""
        ours, theirs = self.network.socketpair()
        return cast(socket.socket, ours), cast(socket.socket, theirs)

    def open_sockets(self) -> set[str]:
        """Return the simulated sockets that are open."""
        return {f"simulated:{sock.fileno()}" for sock in self.network.open_sockets()}

    def fail(self, wire: Wire, number: int) -> None:
        """Let the implementation's end of a connection fail with errno `number`.

        This happens when the network becomes unreachable, or the peer falls silent.
        """
        assert isinstance(wire, SocketWire)
        sock: Any = wire.sock
        sock.endpoint.peer.fail(number)

    async def connected(self, family: int, address: Any) -> SocketWire:
        """Return a far end that has connected to `address`.

        Raises:
            OSError: nobody listens there.
        """
        sock = self.network.socket(family)
        outcome: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
        self.network.connect(sock, address, outcome.set_result)
        error = await outcome
        if error is not None:
            sock.close()
            raise error
        return SocketWire(cast(socket.socket, sock))


class TlsOverMemory(TlsNetwork):
    """TLS over the network in memory."""

    name = "tls-memory"
    in_memory = True

    def __init__(self) -> None:
        super().__init__(MemoryNetwork())
