"""The parts that specimens break: the lookalike `plain`, part by part.

They derive from it and not from the reference, whose inner names are free to change.
"""

from ..lookalikes.plain import (
    Protocol,
    Server,
    StreamReader,
    Streams,
    StreamWriter,
    streams,
    twin,
)

open_connection = streams.open_connection
open_unix_connection = streams.open_unix_connection
start_server = streams.start_server
start_unix_server = streams.start_unix_server

__all__ = [
    "Protocol",
    "Server",
    "StreamReader",
    "StreamWriter",
    "Streams",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
    "twin",
]
