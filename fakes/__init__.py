"""An in-memory network for tests of asyncio programs.

For example::

    async def main() -> None:
        server = await asyncio.start_server(handler, "localhost", 8080)
        reader, writer = await asyncio.open_connection("localhost", 8080)
        ...

    fakes.run(main())

Layers, each usable without the ones above it:

* `RecordingTransport`: a transport without a peer, recorded and fed by hand;
* `open_transport_pair()`, `open_stream_pair()`, `open_socket_pair()`: two connected ends;
* `Network` with `Host` and `Link`: names, addresses, listeners, and links with their faults;
* `Loop` and `run()`: virtual time over a network; `network_loop()`: real time over one;
* `Script`: a peer that expects, sends, closes and resets as written down;
* `Trace`: what crossed the wire, as text and as a pcapng file.

Through asyncio's public API, a connection behaves as one over TCP or a Unix socket does on Linux.
With seed 0 every write for which the receiver has room arrives whole, as soon as the link allows.
Any other seed varies, and nothing else:

* the pieces in which bytes arrive: cut, or joined with those before them;
* when they arrive, and so which connection is ready first: up to a millisecond later;
* how long the lookup of a name takes: up to five milliseconds more;
* the random qualities of a link: its jitter, and its rates of refusals, resets and stalls.

The order in which the loop calls its callbacks is asyncio's, with every seed. While a `Loop` runs,
`socket.socket()` makes simulated sockets in its thread. The package does not simulate subprocesses
(`NotSimulated` names them, and calls that would reach the real network); TCP's congestion control
and urgent data; real files for Unix sockets; and the time that a blocking call takes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakes._asyncio.server import Server
    from fakes._asyncio.transport import SocketTransport
    from fakes._kernel.errors import NotSimulated
    from fakes._kernel.socket import Socket
    from fakes._loop.deadlock import Deadlock, TimeLimitExceeded
    from fakes._loop.invariants import Violated
    from fakes._loop.real import network_loop
    from fakes._loop.socket_module import real_sockets
    from fakes._loop.virtual import Loop, run
    from fakes._network.chance import Chance
    from fakes._network.connection import Connection
    from fakes._network.faults import Crash, Fault, Partition, Refuse, Reset, Stall
    from fakes._network.host import Host
    from fakes._network.link import Link
    from fakes._network.network import Network
    from fakes._network.segment import Segment
    from fakes._tools.interrupted import chance, interrupted
    from fakes._tools.pairs import open_socket_pair, open_stream_pair, open_transport_pair
    from fakes._tools.recording_transport import RecordingTransport
    from fakes._tools.report import Found, Report
    from fakes._tools.script import (
        Script,
        ScriptedServer,
        ScriptFailure,
        ScriptMismatch,
        ScriptUnfinished,
        serve_scripts,
    )
    from fakes._tools.search import search
    from fakes._trace.trace import Trace

__all__ = [
    "Chance",
    "Connection",
    "Crash",
    "Deadlock",
    "Fault",
    "Found",
    "Host",
    "Link",
    "Loop",
    "Network",
    "NotSimulated",
    "Partition",
    "RecordingTransport",
    "Refuse",
    "Report",
    "Reset",
    "Script",
    "ScriptFailure",
    "ScriptMismatch",
    "ScriptUnfinished",
    "ScriptedServer",
    "Segment",
    "Server",
    "Socket",
    "SocketTransport",
    "Stall",
    "TimeLimitExceeded",
    "Trace",
    "Violated",
    "chance",
    "interrupted",
    "network_loop",
    "open_socket_pair",
    "open_stream_pair",
    "open_transport_pair",
    "real_sockets",
    "run",
    "search",
    "serve_scripts",
]

# A name's module is imported when the name is first used: pytest loads `fakes.pytest_plugin` in
# every run, and most runs need neither the rest nor asyncio.
_MODULES = {
    "_loop.deadlock": ("Deadlock", "TimeLimitExceeded"),
    "_loop.invariants": ("Violated",),
    "_network.chance": ("Chance",),
    "_network.faults": ("Crash", "Fault", "Partition", "Refuse", "Reset", "Stall"),
    "_network.connection": ("Connection",),
    "_tools.report": ("Found", "Report"),
    "_tools.search": ("search",),
    "_tools.interrupted": ("chance", "interrupted"),
    "_network.link": ("Link",),
    "_network.segment": ("Segment",),
    "_loop.socket_module": ("real_sockets",),
    "_loop.virtual": ("Loop", "run"),
    "_network.host": ("Host",),
    "_network.network": ("Network",),
    "_kernel.errors": ("NotSimulated",),
    "_tools.pairs": ("open_socket_pair", "open_stream_pair", "open_transport_pair"),
    "_loop.real": ("network_loop",),
    "_tools.recording_transport": ("RecordingTransport",),
    "_tools.script": (
        "Script",
        "ScriptedServer",
        "ScriptFailure",
        "ScriptMismatch",
        "ScriptUnfinished",
        "serve_scripts",
    ),
    "_asyncio.server": ("Server",),
    "_kernel.socket": ("Socket",),
    "_trace.trace": ("Trace",),
    "_asyncio.transport": ("SocketTransport",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(importlib.import_module(f"fakes.{module}"), name)
            return value
    raise AttributeError(f"module 'fakes' has no attribute {name!r}")
