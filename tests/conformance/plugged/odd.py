"""What is shaped or behaves unlike most: right in its way, or not to be certified.

They are plugged in as `odd:name`, or given as `--loop odd:name`.
"""

import asyncio
import functools
import os
import socket
import threading
from contextlib import suppress
from typing import Any

import fakes
import reference_impl
from conformance import PairAdapter, ReaderAdapter


class Serial(PairAdapter):
    """A serial line: neither end can half-close it."""

    without: tuple[str, ...] = ("StreamWriter.start_tls", "StreamWriter.write_eof")

    async def pair(self, limit: int) -> Any:
        ends = await fakes.open_stream_pair(streams=reference_impl, limit=limit)
        for _, writer in ends:
            writer.can_write_eof = lambda: False
            writer.write_eof = self.cannot
        return ends

    def cannot(self) -> None:
        raise NotImplementedError("a serial line has no end")


class Undeclared(Serial):
    """A serial line, of which only `can_write_eof()` says so."""

    without = ("StreamWriter.start_tls",)


class Refusing(PairAdapter):
    """What is written too late is refused, and not with a RuntimeError."""

    without = ("StreamWriter.start_tls",)

    async def pair(self, limit: int) -> Any:
        ends = await fakes.open_stream_pair(streams=reference_impl, limit=limit)
        for _, writer in ends:
            self.refuse_late_writes(writer)
        return ends

    def refuse_late_writes(self, writer: Any) -> None:
        ended: list[bool] = []

        def refusing(method: Any) -> Any:
            def call(data: Any) -> None:
                if ended or writer.is_closing():
                    raise BrokenPipeError("too late")
                method(data)

            return call

        def write_eof(method: Any = writer.write_eof) -> None:
            ended.append(True)
            method()

        writer.write = refusing(writer.write)
        writer.writelines = refusing(writer.writelines)
        writer.write_eof = write_eof


class Forever(Serial):
    """Never connected."""

    async def pair(self, limit: int) -> Any:
        await asyncio.Event().wait()


class Foreign(PairAdapter):
    """What is lost raises an error of a class that no page knows."""

    without = ("StreamWriter.start_tls",)

    class Gone(Exception):
        """The connection is lost."""

    async def pair(self, limit: int) -> Any:
        ends = await fakes.open_stream_pair(streams=reference_impl, limit=limit)
        for reader, writer in ends:
            reader.read = self.gone(reader.read)
            writer.drain = self.gone(writer.drain)
        return ends

    def gone(self, method: Any) -> Any:
        async def call(*args: int) -> Any:
            try:
                return await method(*args)
            except ConnectionError:
                raise self.Gone from None

        return call


class Helped(PairAdapter):
    """A pair of which one end is a helper that can do less."""

    one_end = True
    far_without = ("StreamWriter.write_eof",)
    closed = 0

    async def pair(self, limit: int) -> Any:
        near, far = await fakes.open_stream_pair(streams=reference_impl, limit=limit)
        far[1].write_eof = None
        return near, far

    async def close(self, ends: Any) -> None:
        assert ends[0][1].is_closing()
        assert ends[1][1].is_closing()
        Helped.closed += 1


class Pipes(PairAdapter):
    """Two pipes: each direction is on its own."""

    virtual_time = False
    unread_capacity = 256 * 1024
    without = (
        *("StreamWriter.start_tls", "joined-directions"),
        *(f"StreamWriter.transport.{name}_reading" for name in ("is", "pause", "resume")),
        *(f"StreamWriter.get_extra_info.{name}" for name in ("socket", "peername", "sockname")),
    )

    async def pair(self, limit: int) -> Any:
        ways = [os.pipe(), os.pipe()]
        return [
            await self.end(ways[0][0], ways[1][1], limit),
            await self.end(ways[1][0], ways[0][1], limit),
        ]

    async def end(self, incoming: int, outgoing: int, limit: int) -> Any:
        loop = asyncio.get_running_loop()
        reader = reference_impl.StreamReader(limit)
        protocol = reference_impl.StreamReaderProtocol(reader)
        await loop.connect_read_pipe(lambda: protocol, os.fdopen(incoming, "rb", 0))
        transport, drained = await loop.connect_write_pipe(
            lambda: reference_impl.StreamReaderProtocol(reference_impl.StreamReader()),
            os.fdopen(outgoing, "wb", 0),
        )
        return reader, reference_impl.StreamWriter(transport, drained, reader, loop)


class Slow(PairAdapter):
    """A pair with a slow program between its ends: nobody but that sees the bytes move."""

    virtual_time = False

    async def pair(self, limit: int) -> Any:
        (near, one), (other, far) = socket.socketpair(), socket.socketpair()
        one.setblocking(False)
        other.setblocking(False)
        self.between = one, other
        self.carrying = asyncio.gather(self.carry(one, other), self.carry(other, one))
        return (
            await reference_impl.open_connection(sock=near, limit=limit),
            await reference_impl.open_connection(sock=far, limit=limit),
        )

    async def close(self, ends: Any) -> None:
        self.carrying.cancel()
        with suppress(asyncio.CancelledError):
            await self.carrying
        for each in self.between:
            each.close()

    async def carry(self, source: socket.socket, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, 4096):
            await asyncio.sleep(0.02)
            await loop.sock_sendall(target, data)


class Apart(Serial):
    """Ends that are not connected."""

    async def pair(self, limit: int) -> Any:
        return (await super().pair(limit))[0], (await super().pair(limit))[1]


class Single(Serial):
    """Not a pair."""

    async def pair(self, limit: int) -> Any:
        return (await super().pair(limit))[0]


class Mistaken(Serial):
    """Has a mistake of its own, some calls down."""

    async def pair(self, limit: int) -> Any:
        return self.find({})

    def find(self, ends: dict[str, Any]) -> Any:
        return ends["near"]


class MistakenReader(ReaderAdapter):
    """Has a mistake of its own."""

    def reader(self, limit: int) -> Any:
        return reference_impl.StreamReader(limit)

    def feed_data(self, reader: Any, data: bytes) -> None:
        reader.feed(data)

    def feed_eof(self, reader: Any) -> None:
        reader.feed_eof()


class Methods:
    """Streams that have to be made before they are plugged in."""

    without = ("start_server", "open_unix_connection", "start_unix_server")
    StreamReader = reference_impl.StreamReader
    StreamWriter = reference_impl.StreamWriter

    async def open_connection(self, host: Any = None, port: Any = None, **options: Any) -> Any:
        return await reference_impl.open_connection(host, port, **options)


methods = Methods()


class Duck:
    """An event loop of no known class, whose attributes are read-only."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        object.__setattr__(self, "_loop", asyncio.new_event_loop())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is read-only")


class Poor(asyncio.SelectorEventLoop):
    """An event loop without the methods that not every loop has."""

    async def create_unix_connection(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def __getattribute__(self, name: str) -> Any:
        if name == "create_unix_server":
            raise AttributeError(name, name=name, obj=self)
        return super().__getattribute__(name)


class Hasty(asyncio.SelectorEventLoop):
    """An event loop that waits for nothing: its time goes on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def skip(timeout: float | None = None) -> Any:
            ready = select(0)
            if not ready and timeout:
                self.skipped += timeout
            return ready

        self._selector.select = skip  # type: ignore[attr-defined]

    def time(self) -> float:
        return super().time() + self.skipped


class Island(asyncio.SelectorEventLoop):
    """An event loop with a network of its own."""

    async def create_connection(self, *_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError("no such host on the island")


class LimitMistaken(PairAdapter):
    """Knows one limit only."""

    limits = {2**16: "the default"}  # noqa: RUF012  # as users write it

    async def pair(self, limit: int) -> Any:
        assert self.limits[limit]
        return await fakes.open_stream_pair(streams=reference_impl, limit=limit)


class Generated(PairAdapter):
    """An async generator, as fixtures are."""

    async def pair(self, limit: int) -> Any:
        yield await fakes.open_stream_pair(streams=reference_impl, limit=limit)


class Sync(PairAdapter):
    """Nothing to await."""

    def pair(self, limit: int) -> Any:
        return (1, 2), (3, 4)


class Blocking(PairAdapter):
    """Waits without the event loop."""

    virtual_time = False

    async def pair(self, limit: int) -> Any:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.accept()


class Outside(PairAdapter):
    """Needs what is not simulated, and does not say so."""

    async def pair(self, limit: int) -> Any:
        await asyncio.create_subprocess_exec("true")


class AsyncFeeding(ReaderAdapter):
    """Feeds a reader in a coroutine, which nobody awaits."""

    def reader(self, limit: int) -> Any:
        return asyncio.StreamReader(limit)

    async def feed_data(self, reader: Any, data: bytes) -> None:  # type: ignore[override]
        reader.feed_data(data)

    def feed_eof(self, reader: Any) -> None:
        reader.feed_eof()


class AsyncReader(AsyncFeeding):
    """Makes a reader in a coroutine."""

    async def reader(self, limit: int) -> Any:
        return asyncio.StreamReader(limit)


class NoReader(AsyncFeeding):
    """Forgets to return the reader that it makes."""

    def reader(self, limit: int) -> Any:
        asyncio.StreamReader(limit)


class Strings(PairAdapter):
    """Returns something else."""

    async def pair(self, limit: int) -> Any:
        return "rw", "rw"


class SyncClosing(PairAdapter):
    """Has nothing to await when it closes a pair."""

    without = ("StreamWriter.start_tls",)

    async def pair(self, limit: int) -> Any:
        return await fakes.open_stream_pair(streams=reference_impl, limit=limit)

    def close(self, ends: Any) -> None:  # type: ignore[override]
        pass


class LineReader:
    """Reads lines, and nothing else."""

    async def readline(self) -> bytes:
        return b""


class LinesOnly(ReaderAdapter):
    """Does not say what its readers lack."""

    def reader(self, limit: int) -> Any:
        return LineReader()

    def feed_data(self, reader: Any, data: bytes) -> None: ...

    def feed_eof(self, reader: Any) -> None: ...


class Draining(PairAdapter):
    """Sends nothing before drain(): wrong, but connected."""

    without = ("StreamWriter.start_tls",)

    async def pair(self, limit: int) -> Any:
        ends = await fakes.open_stream_pair(streams=reference_impl, limit=limit)
        for _, writer in ends:
            self.hold_back(writer)
        return ends

    def hold_back(self, writer: Any) -> None:
        held = bytearray()
        write, drain = writer.write, writer.drain

        async def send() -> None:
            write(bytes(held))
            held.clear()
            await drain()

        writer.write, writer.drain = held.extend, send


@functools.cache
def same_loop() -> asyncio.AbstractEventLoop:
    """Make a loop once."""
    return asyncio.new_event_loop()


async def async_loop() -> asyncio.AbstractEventLoop:
    """Make a loop, when awaited."""
    return asyncio.new_event_loop()


def __getattr__(name: str) -> Any:
    """Make what takes forever to import."""
    if name == "slow":
        print("importing", flush=True)
        threading.Event().wait()
    raise AttributeError(name)
