"""The workloads, each as a program on streams and as one on a bare protocol, its floor.

The floor does what the event loop alone has to do for it: bytes are received and counted, messages
answered when they are complete, data written until the transport asks to pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clock import Clock
from far import HELLO, KIB, LENGTHS, PATTERNS

MIB = 1024 * KIB


@dataclass
class There:
    """Where the far end is, and how to speak to it."""

    port: int
    directory: Path
    tls: bool

    def client(self) -> dict[str, Any]:
        """Return the arguments of a connection to it."""
        arguments: dict[str, Any] = {"host": "127.0.0.1", "port": self.port}
        if self.tls:
            arguments["ssl"] = ssl.create_default_context(cafile=self.directory / "ca.pem")
        return arguments

    def server(self) -> dict[str, Any]:
        """Return the arguments of a server that it can connect to."""
        arguments: dict[str, Any] = {"host": "127.0.0.1", "port": 0}
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.directory / "near.pem")
            arguments["ssl"] = context
        return arguments


# On an implementation's streams, or on None, which is the floor.
Program = Callable[[Any, There, Clock, int], Coroutine[Any, Any, None]]


@dataclass
class Workload:
    """A program, and how often it does what it does in one round."""

    title: str
    streams: Program
    floor: Program
    count: int
    secured: int  # the count over TLS
    unit: str
    reading: bool = False  # one of those whose geometric mean is looked at
    since: tuple[int, int] = (3, 11)  # that asyncio's streams can do it


# Reading.


def reading(
    pattern: str, read: Callable[[Any, int], Coroutine[Any, Any, None]], each: int = 1
) -> tuple[Program, Program]:
    """Return what has *pattern* sent, *each* times as often as it counts, and reads it all."""

    async def streams(streams: Any, there: There, clock: Clock, count: int) -> None:
        reader, writer = await streams.open_connection(**there.client())
        with clock:
            writer.write(f"send:{pattern}:{count * each}\n".encode())
            await read(reader, count)
        writer.close()

    async def floor(streams: None, there: There, clock: Clock, count: int) -> None:
        protocol = _Receiving(LENGTHS[pattern] * count * each)
        await connect(protocol, **there.client())
        with clock:
            protocol.transport.write(f"send:{pattern}:{count * each}\n".encode())
            await protocol.over
        protocol.transport.close()

    return streams, floor


async def in_bulk(reader: Any, count: int) -> None:
    """Read pieces of at most 64 KiB."""
    left = count * LENGTHS["bulk"]
    while left:
        left -= len(await reader.read(64 * KIB))


async def to_eof(reader: Any, count: int) -> None:
    """Read everything in one call."""
    assert len(await reader.read()) == count * LENGTHS["bulk"]


async def lines(reader: Any, count: int) -> None:
    """Read line by line."""
    for _ in range(count):
        await reader.readline()


async def frames(reader: Any, count: int) -> None:
    """Read a length, and as many bytes, again and again."""
    for _ in range(count):
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


async def heads(reader: Any, count: int) -> None:
    """Read up to an empty line, again and again."""
    for _ in range(count):
        await reader.readuntil(b"\r\n\r\n")


async def either(reader: Any, count: int) -> None:
    """Read lines that end one way or the other."""
    separators = (b"\r\n", b"\n")
    for _ in range(count):
        await reader.readuntil(separators)


# Echoes: a message is sent when the one before has come back.


async def by_length(reader: Any, writer: Any, count: int) -> None:
    """Exchange messages of 64 bytes."""
    message = bytes(64)
    for _ in range(count):
        writer.write(message)
        await reader.readexactly(64)


async def by_line(reader: Any, writer: Any, count: int) -> None:
    """Exchange lines, and wait for the writer each time."""
    for _ in range(count):
        writer.write(HELLO)
        await writer.drain()
        await reader.readline()


async def by_what_comes(reader: Any, writer: Any, count: int) -> None:
    """Exchange messages that are read as they come."""
    message = bytes(64)
    for _ in range(count):
        writer.write(message)
        await reader.read(4 * KIB)


def echoing(
    exchange: Callable[..., Coroutine[Any, Any, None]],
    message: bytes,
    connections: int = 1,
) -> tuple[Program, Program]:
    """Return what exchanges messages with the far end, on so many connections in parallel."""

    async def streams(streams: Any, there: There, clock: Clock, count: int) -> None:
        ends = [await streams.open_connection(**there.client()) for _ in range(connections)]
        for reader, writer in ends:
            writer.write(b"echo\n")
            await exchange(reader, writer, 1)
        with clock:
            await asyncio.gather(*(exchange(*end, count // connections) for end in ends))
        for _, writer in ends:
            writer.close()

    async def floor(streams: None, there: There, clock: Clock, count: int) -> None:
        protocols = [_Echoing(message) for _ in range(connections)]
        for protocol in protocols:
            await connect(protocol, **there.client())
            protocol.transport.write(b"echo\n")
            protocol.begin(1)
            await protocol.over
        with clock:
            for protocol in protocols:
                protocol.begin(count // connections)
            for protocol in protocols:
                await protocol.over
        for protocol in protocols:
            protocol.transport.close()

    return streams, floor


# Writing.


def writing(write: Callable[[Any], None], data: bytes) -> tuple[Program, Program]:
    """Return what writes *data* again and again, and waits for the writer each time."""

    async def streams(streams: Any, there: There, clock: Clock, count: int) -> None:
        _, writer = await streams.open_connection(**there.client())
        writer.write(b"sink\n")
        with clock:
            for _ in range(count):
                write(writer)
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def floor(streams: None, there: There, clock: Clock, count: int) -> None:
        protocol = _Writing()
        await connect(protocol, **there.client())
        protocol.transport.write(b"sink\n")
        with clock:
            for _ in range(count):
                protocol.transport.write(data)
                if protocol.paused is not None:
                    await protocol.paused
            protocol.transport.close()
            await protocol.over

    return streams, floor


# Connections that do little.


async def connecting(streams: Any, there: There, clock: Clock, count: int) -> None:
    """Connect, exchange a line and close, again and again."""
    arguments = there.client()
    with clock:
        for _ in range(count):
            reader, writer = await streams.open_connection(**arguments)
            writer.write(b"echo\n" + HELLO)
            await reader.readline()
            writer.close()
            await writer.wait_closed()


async def connecting_floor(streams: None, there: There, clock: Clock, count: int) -> None:
    """Do the same with protocols."""
    arguments = there.client()
    loop = asyncio.get_running_loop()
    with clock:
        for _ in range(count):
            protocol = _Receiving(len(HELLO))
            protocol.gone = loop.create_future()
            await connect(protocol, **arguments)
            protocol.transport.write(b"echo\n" + HELLO)
            await protocol.over
            protocol.transport.close()
            await protocol.gone


async def serving(streams: Any, there: There, clock: Clock, count: int) -> None:
    """Be connected to, exchange a line and close, again and again."""

    async def serve(reader: Any, writer: Any) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionResetError):  # the far end has closed first
            await writer.wait_closed()

    async with await streams.start_server(serve, **there.server()) as server:
        await called(server, there, clock, count)


async def serving_floor(streams: None, there: There, clock: Clock, count: int) -> None:
    """Do the same with protocols."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(_Answering, **there.server()) as server:
        await called(server, there, clock, count)


async def called(server: Any, there: There, clock: Clock, count: int) -> None:
    """Let the far end connect so often."""
    protocol = _Receiving(1)
    await connect(protocol, **there.client())
    port, kind = server.sockets[0].getsockname()[1], "tls" if there.tls else "plain"
    with clock:
        protocol.transport.write(f"call:{port}:{count}:{kind}\n".encode())
        await protocol.over
    protocol.transport.close()


# The bare protocols.


async def connect(protocol: asyncio.Protocol, **arguments: Any) -> None:
    """Connect to the far end."""
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, **arguments)


class _Bare(asyncio.Protocol):
    """Has its transport, and a future for the end of its work."""

    transport: Any

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


class _Receiving(_Bare):
    """Counts the bytes that come."""

    gone: asyncio.Future[None] | None = None

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.left = expected

    def data_received(self, data: bytes) -> None:
        self.left -= len(data)
        if not self.left:
            self.over.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.gone is not None:
            self.gone.set_result(None)


class _Echoing(_Bare):
    """Sends a message when the one before has come back."""

    def __init__(self, message: bytes) -> None:
        super().__init__()
        self.message = message
        self.missing = self.left = 0

    def begin(self, count: int) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self.left = count
        self.missing = len(self.message)
        self.transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if not self.missing:
            self.left -= 1
            if self.left:
                self.missing = len(self.message)
                self.transport.write(self.message)
            else:
                self.over.set_result(None)


class _Writing(_Bare):
    """Has a future while the transport has enough to send."""

    paused: asyncio.Future[None] | None = None

    def pause_writing(self) -> None:
        self.paused = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        assert self.paused is not None
        self.paused.set_result(None)
        self.paused = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.over.set_result(None)


class _Answering(asyncio.Protocol):
    """Sends the line back that it gets, and closes."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()


LINE = PATTERNS["line"]
LARGE = bytes(256 * KIB)

WORKLOADS = (
    Workload("bulk, read(65536)", *reading("bulk", in_bulk), 4096, 1024, "64 KiB", True),
    Workload("read() to EOF", *reading("bulk", to_eof), 2048, 1024, "64 KiB", True),
    Workload(
        "lines of 80 bytes, readline()", *reading("line", lines), 100_000, 60_000, "line", True
    ),
    Workload(
        "frames 4 + 60, readexactly()", *reading("frame", frames), 60_000, 40_000, "frame", True
    ),
    Workload("frames of 1 MiB", *reading("large frame", frames), 128, 48, "MiB", True),
    Workload("HTTP heads, readuntil()", *reading("head", heads), 60_000, 40_000, "head", True),
    Workload(
        "lines, tuple of separators",
        *reading("line", either),
        10_000,
        10_000,
        "line",
        since=(3, 13),
    ),
    Workload("echo, readexactly(64)", *echoing(by_length, bytes(64)), 3000, 2000, "echo"),
    Workload("echo, line + drain", *echoing(by_line, HELLO), 3000, 2000, "echo"),
    Workload("echo, read(n)", *echoing(by_what_comes, bytes(64)), 3000, 2000, "echo"),
    Workload("echo on 100 connections", *echoing(by_length, bytes(64), 100), 4000, 2000, "echo"),
    Workload(
        "write 80 bytes + drain",
        *writing(lambda writer: writer.write(LINE), LINE),
        60_000,
        24_000,
        "write",
    ),
    Workload(
        "write 256 KiB + drain",
        *writing(lambda writer: writer.write(LARGE), LARGE),
        5000,
        1500,
        "write",
    ),
    Workload(
        "writelines of 16",
        *writing(lambda writer: writer.writelines([LINE] * 16), LINE * 16),
        6000,
        3000,
        "write",
    ),
    Workload("connect, exchange, close", connecting, connecting_floor, 300, 30, "connection"),
    Workload("accept, exchange, close", serving, serving_floor, 300, 30, "connection"),
)


def available() -> tuple[Workload, ...]:
    """Return the workloads that asyncio's streams can do on this Python."""
    return tuple(one for one in WORKLOADS if one.since <= sys.version_info[:2])
