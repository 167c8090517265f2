"""What is shaped differently from the streams page: worked examples of adapters.

They are plugged in as `partly:name`.
"""

import socket
from typing import Any

import fakes
import reference_impl
from conformance import PairAdapter, ReaderAdapter


class Reader(ReaderAdapter):
    """A reader alone, that is fed by hand."""

    def reader(self, limit: int) -> reference_impl.StreamReader:
        return reference_impl.StreamReader(limit)

    def feed_data(self, reader: reference_impl.StreamReader, data: bytes) -> None:
        reader.feed_data(data)

    def feed_eof(self, reader: reference_impl.StreamReader) -> None:
        reader.feed_eof()


class Lines(Reader):
    """A reader of lines, and of nothing else."""

    without = frozenset(
        f"StreamReader.{name}" for name in ("read", "readexactly", "readuntil", "at_eof")
    )


class Nothing(Reader):
    """A reader that cannot be read from."""

    without = Lines.without | {"StreamReader.readline", "StreamReader.__aiter__"}


class Pair(PairAdapter):
    """Streams that come as a connected pair, neither of them the server."""

    without = frozenset({"StreamWriter.start_tls"})

    async def pair(self, limit: int) -> Any:
        return await fakes.open_stream_pair(streams=reference_impl, limit=limit)


class SocketPair(PairAdapter):
    """Streams over a real pair of sockets."""

    virtual_time = False
    without = frozenset({"StreamWriter.start_tls"})

    async def pair(self, limit: int) -> Any:
        near, far = socket.socketpair()
        return (
            await reference_impl.open_connection(sock=near, limit=limit),
            await reference_impl.open_connection(sock=far, limit=limit),
        )


class Client:
    """Only one function of the page, and it says so."""

    capabilities = frozenset({"open_connection"})
    open_connection = staticmethod(reference_impl.open_connection)
