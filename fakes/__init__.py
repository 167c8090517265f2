"""An in-memory network for tests of asyncio programs.

    async def main() -> None:
        server = await asyncio.start_server(handler, "localhost", 8080)
        reader, writer = await asyncio.open_connection("localhost", 8080)
        ...

    fakes.run(main())

Layers, each usable without the ones above it:

* `RecordingTransport`: a transport without a peer, recorded and fed by hand;
* `open_transport_pair()`, `open_stream_pair()`, `open_socket_pair()`: two connected ends;
* `Network` with `Host` and `Link`: names, addresses, listeners, and links with their hardships;
* `Loop` and `run()`: virtual time over a network; `network_loop()`: real time over one;
* `Script`: a peer that expects, sends, closes and resets as written down;
* `Trace`: what crossed the wire, as text and as a pcapng file.

A connection is what a kernel's TCP (or Unix socket) is through asyncio's public API on Linux. With
seed 0 every write that the receiver has room for arrives whole, at once plus what the link takes.
Any other seed varies, and nothing else:

* in what pieces bytes arrive: cut, or joined with those before them;
* when they arrive, and so which connection is ready first: up to a millisecond later;
* how long the lookup of a name takes: up to five milliseconds more;
* what a link leaves to chance: its jitter, and its rates of refusals, resets and stalls.

The order in which the loop calls its callbacks is asyncio's, with every seed. Not simulated: UDP,
subprocesses, pipes and signals (`NotSimulated` names them); of TCP, congestion control, keep-alive
probes and urgent data; real files for Unix sockets; and blocking calls, such as those of `socket`
and `time.sleep()`, which do what they always do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# A name's module is imported when the name is first used: pytest loads `fakes.pytest_plugin` in
# every run, and most runs need nothing of the rest, nor asyncio.
_MODULES = {
    "deadlock": ("Deadlock",),
    "link": ("Link", "Segment"),
    "loop": ("Loop", "run"),
    "network": ("Host", "Network"),
    "networking": ("NotSimulated",),
    "pairs": ("open_socket_pair", "open_stream_pair", "open_transport_pair"),
    "realtime": ("network_loop",),
    "recorder": ("RecordingTransport",),
    "script": (
        "Script",
        "ScriptedServer",
        "ScriptFailure",
        "ScriptMismatch",
        "ScriptUnfinished",
        "serve_scripts",
    ),
    "server": ("Server",),
    "sockets": ("Socket",),
    "trace": ("Trace",),
    "transport": ("SocketTransport",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(importlib.import_module(f"fakes.{module}"), name)
            return value
    raise AttributeError(f"module 'fakes' has no attribute {name!r}")
