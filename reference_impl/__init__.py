"""The streams API of asyncio as its documentation describes it (asyncio-stream, 3.15).

A program changes only one line, ``import reference_impl as asyncio_streams``: names and calls are
those of the streams page. Where the page is silent, the package does what CPython's newest release
does, unless that loses bytes, hangs, leaks or misreports.

Read the modules in this order: `_buffer`, `_errors`, `_reader`, `_tls`, `_waiters`,
`_flow_control`, `_writer`, `_protocol`, `_acceptor`, `_server`, `_happy_eyeballs`, `_compat`,
`_options`, `_api`, `_exchange`, `_install`.
"""

from asyncio import IncompleteReadError, LimitOverrunError

from ._api import open_connection, open_unix_connection, start_server, start_unix_server
from ._flow_control import FlowControlMixin
from ._install import install, uninstall
from ._protocol import StreamReaderProtocol
from ._reader import StreamReader
from ._writer import StreamWriter

__all__ = [
    "FlowControlMixin",
    "IncompleteReadError",
    "LimitOverrunError",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "install",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
    "uninstall",
]
