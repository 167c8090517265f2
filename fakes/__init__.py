"""An in-memory network for tests of asyncio programs."""

from fakes.deadlock import Deadlock
from fakes.loop import Loop, run
from fakes.network import Host, Network
from fakes.networking import NotSimulated
from fakes.realtime import network_loop
from fakes.server import Server
from fakes.sockets import Socket
from fakes.transport import SocketTransport

__all__ = [
    "Deadlock",
    "Host",
    "Loop",
    "Network",
    "NotSimulated",
    "Server",
    "Socket",
    "SocketTransport",
    "network_loop",
    "run",
]
