"""pyserial-asyncio-fast's streams over a pseudo-terminal, whose other end is a helper's.

streamcert certify serial_port:Port
"""

import asyncio
import os
import tty
from typing import Any

import serial_asyncio_fast

from conformance import PairAdapter


class HungUp(asyncio.StreamReaderProtocol):
    """The helper's protocol: an error tells it that the port is closed."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the error for the end of the stream."""
        super().connection_lost(None)


class Port(PairAdapter):
    """A serial port, and the program at the other end of the line."""

    distribution = "pyserial-asyncio-fast"
    virtual_time = False
    one_end = True
    # A line cannot send EOF, its other end does not learn of a close(), and it has no addresses.
    without = frozenset(
        {
            "joined-directions",
            *("StreamWriter.write_eof", "StreamWriter.start_tls"),
            *(f"StreamWriter.get_extra_info.{key}" for key in ("peername", "sockname", "socket")),
        }
    )
    # The terminal drops what was not read when the helper hangs up.
    far_without = frozenset({"StreamWriter.write_eof", "StreamWriter.close"})
    # The helper's reader takes twice its limit, and the terminal some more.
    unread_capacity = 2**18

    def __init__(self) -> None:
        self.helpers: dict[Any, Any] = {}

    async def pair(self, limit: int) -> Any:
        """Open a pseudo-terminal: the port on one side, plain pipes on the other."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        port = await serial_asyncio_fast.open_serial_connection(url=os.ttyname(theirs), limit=limit)
        os.close(theirs)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        reading, _ = await loop.connect_read_pipe(
            lambda: HungUp(reader), os.fdopen(os.dup(ours), "rb", 0)
        )
        writing, protocol = await loop.connect_write_pipe(
            lambda: HungUp(asyncio.StreamReader()), os.fdopen(ours, "wb", 0)
        )
        self.helpers[port[1]] = (reading, writing)
        return port, (reader, asyncio.StreamWriter(writing, protocol, None, loop))

    async def close(self, ends: Any) -> None:
        """Hang up."""
        for each in self.helpers.pop(ends[0][1]):
            each.close()
