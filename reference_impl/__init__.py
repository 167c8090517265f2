"""The streams API of asyncio, as its documentation describes it."""

from asyncio import IncompleteReadError, LimitOverrunError

from ._connect import open_connection, open_unix_connection, start_server, start_unix_server
from ._protocol import FlowControlMixin, StreamReaderProtocol
from ._reader import StreamReader
from ._writer import StreamWriter

__all__ = [
    "FlowControlMixin",
    "IncompleteReadError",
    "LimitOverrunError",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
]
