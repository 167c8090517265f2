"""What asyncio's names are once rsloop is imported: it puts streams of its own in their place.

streamcert certify rsloop_streams --loop rsloop:new_event_loop --network tcp,unix,tls
"""

import rsloop  # noqa: F401, I001 - first: it exchanges open_connection() and start_server()
from asyncio import (
    StreamReader,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)

__all__ = [
    "StreamReader",
    "StreamWriter",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
]

# What its description lists of a server has neither.
without = {"Server.close_clients", "Server.abort_clients"}
