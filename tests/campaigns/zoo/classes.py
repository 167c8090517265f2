"""Errors of other classes than CPython's, and calls that are not coroutines."""

import asyncio
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from .sound import StreamReader, StreamWriter, open_connection, start_server
from .specimen import NOTHING, Seen, Specimen, specimen


@contextmanager
def raising(kind: type[Exception], instead_of: type[Exception]) -> Iterator[None]:
    """Raise an exception of `kind` in the place of one of another class."""
    try:
        yield
    except instead_of as error:
        raise kind(str(error)) from None


def opening_raises(
    name: str,
    instead_of: type[Exception],
    kind: type[Exception],
    *fails: str,
    seen: Seen = NOTHING,
) -> Specimen:
    """Return a specimen whose `open_connection()` raises errors of another class."""

    async def broken(*args: Any, **options: Any) -> Any:
        with raising(kind, instead_of):
            return await open_connection(*args, **options)

    broken.__name__ = name
    fault = f"open_connection() raises {kind.__name__} where others raise {instead_of.__name__}."
    return specimen(fault, *fails, seen=seen, replaces=open_connection)(broken)


refuses_otherwise = opening_raises(
    "refuses_otherwise",
    ConnectionRefusedError,
    ConnectionError,
    "connecting.refused.class",
    seen="ConnectionError: [Errno 111] Connect call",
)
resolves_otherwise = opening_raises(
    "resolves_otherwise",
    socket.gaierror,
    LookupError,
    "connecting.unresolved.class",
    seen="LookupError: [Errno -7] ai_socktype not",
)
distrusts_otherwise = opening_raises(
    "distrusts_otherwise",
    ssl.SSLCertVerificationError,
    ConnectionError,
    "connecting.ssl.certificate-refused.class",
    seen='ConnectionError("[SSL',
)
times_out_otherwise = opening_raises(
    "times_out_otherwise",
    ConnectionAbortedError,
    RuntimeError,
    "connecting.ssl.handshake-timeout.class",
    seen="RuntimeError: SSL handshake is taking",
)


@specimen(
    "start_tls() raises ConnectionError where others raise SSLCertVerificationError.",
    "start_tls.certificate-refused.class",
    seen="ConnectionError: [SSL",
)
class DistrustsOtherwise(StreamWriter):
    async def start_tls(self, *args: Any, **options: Any) -> None:
        with raising(ConnectionError, ssl.SSLCertVerificationError):
            await super().start_tls(*args, **options)


@specimen(
    "start_tls() raises RuntimeError when the handshake fails.",
    "start_tls.failed.class",
    "start_tls.certificate-refused.class",
    seen="RuntimeError: [SSL: WRONG_VERSION_NUMBER]",
)
class FailsOtherwise(StreamWriter):
    async def start_tls(self, *args: Any, **options: Any) -> None:
        with raising(RuntimeError, OSError):
            await super().start_tls(*args, **options)


@specimen(
    "A server without a host listens on all interfaces, whatever the flags.",
    "serving.flags.no-host",
    replaces=start_server,
    seen="listening on ['0.0.0.0']",
)
async def on_all_interfaces(
    client_connected_cb: Any, host: Any = None, *args: Any, **options: Any
) -> Any:
    if not host and options.get("sock") is None and options.get("flags") == 0:
        del options["flags"]
    return await start_server(client_connected_cb, host, *args, **options)


@specimen(
    "Where write_eof() is not supported, it does nothing.",
    "can_write_eof.false.raises",
    seen="no exception",
)
class SwallowsEof(StreamWriter):
    def write_eof(self) -> None:
        if self.can_write_eof():
            super().write_eof()


class Promise:
    """An awaitable that is not a coroutine."""

    def __init__(self, coroutine: Any) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._coroutine.__await__())

    def __del__(self) -> None:
        self._coroutine.close()


@specimen(
    "read() returns an awaitable that is not a coroutine.",
    "async.returns-a-coroutine",
    seen="Promise object",
)
class PromisesToRead(StreamReader):
    read: Any = lambda self, n=-1: Promise(StreamReader.read(self, n))


@specimen("drain() returns a future.", "async.returns-a-coroutine", seen="Task object")
class PromisesToDrain(StreamWriter):
    drain: Any = lambda self: asyncio.ensure_future(StreamWriter.drain(self))


@specimen(
    "write() waits for the next turn of the loop.",
    "write.immediately",
    seen="received before the loop ran, of write",
)
class WritesLater(StreamWriter):
    late: tuple[bytes, ...] = ()

    def write(self, data: Any) -> None:
        self.late += (bytes(data),)
        self._loop.call_soon(self.catch_up)

    def catch_up(self) -> None:
        late, self.late = self.late, ()
        for each in late:
            super().write(each)

    def close(self) -> None:
        self.catch_up()
        super().close()

    def write_eof(self) -> None:
        self.catch_up()
        super().write_eof()

    async def drain(self) -> None:
        self.catch_up()
        await super().drain()
