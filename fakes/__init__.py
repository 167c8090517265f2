"""An in-memory network for tests of asyncio programs."""

from fakes.deadlock import Deadlock
from fakes.link import Link, Segment
from fakes.loop import Loop, run
from fakes.network import Host, Network
from fakes.networking import NotSimulated
from fakes.pairs import open_socket_pair, open_stream_pair, open_transport_pair
from fakes.realtime import network_loop
from fakes.recorder import RecordingTransport
from fakes.script import (
    Script,
    ScriptedServer,
    ScriptFailure,
    ScriptMismatch,
    ScriptUnfinished,
    serve_scripts,
)
from fakes.server import Server
from fakes.sockets import Socket
from fakes.trace import Trace
from fakes.transport import SocketTransport

__all__ = [
    "Deadlock",
    "Host",
    "Link",
    "Loop",
    "Network",
    "NotSimulated",
    "RecordingTransport",
    "Script",
    "ScriptFailure",
    "ScriptMismatch",
    "ScriptUnfinished",
    "ScriptedServer",
    "Segment",
    "Server",
    "Socket",
    "SocketTransport",
    "Trace",
    "network_loop",
    "open_socket_pair",
    "open_stream_pair",
    "open_transport_pair",
    "run",
    "serve_scripts",
]
