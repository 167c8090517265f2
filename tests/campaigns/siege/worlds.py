"""The worlds of programs: the fakes in virtual time, or a kernel's sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import trustme

import fakes

from .program import Program, Weather

SMALLEST = 16_384  # bytes, of a kernel's buffer

Address = tuple[str, int] | str


TIMEOUTS = {"ssl_handshake_timeout": 2000.0, "ssl_shutdown_timeout": 2000.0}
"""Seconds: programs take their time, and the weather takes more."""


class Contexts:
    """TLS settings: a server's, and clients' that trust it and do not."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
        self.distrusting = ssl.create_default_context()

    def of_client(self) -> dict[str, Any]:
        """Return the arguments with which to connect over TLS."""
        return {"ssl": self.client, "server_hostname": "localhost", **TIMEOUTS}

    def of_server(self) -> dict[str, Any]:
        """Return the arguments with which to serve over TLS."""
        return {"ssl": self.server, **TIMEOUTS}


class World(Protocol):
    """The world that a program runs on.

    Attributes:
        name: its name on the command line.
        contexts: TLS settings.
        scale: seconds of the loop's time for one of the program's.
        bound: seconds without progress that are a hang.
    """

    name: str
    contexts: Contexts
    scale: float
    bound: float

    def new_loop(self, program: Program) -> asyncio.AbstractEventLoop:
        """Return the loop for a program."""

    def start_weather(self, weather: Weather) -> None:
        """Let the weather's events happen in their time."""

    def resets(self, weather: Weather) -> bool:
        """Whether the weather resets connections here."""

    async def serve(
        self, streams: Any, program: Program, handler: Callable[..., Any], limit: int, tls: bool
    ) -> tuple[Any, Address]:
        """Return a server and its address."""

    async def connect(
        self, streams: Any, program: Program, address: Address, limit: int, tls: bool
    ) -> tuple[Any, Any]:
        """Return a reader and a writer."""

    async def settle(self) -> None:
        """Wait for everything that ends by itself."""

    def open_things(self) -> set[str]:
        """Return everything that is open now."""

    def left(self, before: set[str]) -> list[str]:
        """Return everything that is open and was not before."""


class Simulated:
    """The fakes: virtual time, and any weather."""

    name = "fakes"
    scale = 1.0
    bound = 5000.0

    def __init__(self) -> None:
        self.contexts = Contexts()

    def new_loop(self, program: Program) -> asyncio.AbstractEventLoop:
        weather = program.weather
        self.network = fakes.Network(
            link=fakes.Link(
                latency=weather.latency,
                jitter=weather.jitter,
                bandwidth=weather.bandwidth,
                segment_size=weather.segment_size,
                send_buffer=weather.send_buffer,
                receive_buffer=weather.receive_buffer,
                stall_rate=weather.stall_rate,
            )
        )
        self.ports = count(1000)
        return fakes.Loop(weather.seed, self.network)

    def start_weather(self, weather: Weather) -> None:
        loop = asyncio.get_running_loop()
        link = self.network.link("localhost", "localhost")
        for kind, begin, length in weather.spells:
            loop.call_later(begin, link.stall if kind == "stall" else link.partition)
            loop.call_later(begin + length, link.heal)
        if weather.reset_at is not None:
            loop.call_later(weather.reset_at, link.reset)

    def resets(self, weather: Weather) -> bool:
        return weather.reset_at is not None

    async def serve(
        self, streams: Any, program: Program, handler: Callable[..., Any], limit: int, tls: bool
    ) -> tuple[Any, Address]:
        options = self.contexts.of_server() if tls else {}
        port = next(self.ports)
        if program.family == "unix":
            path = f"/siege/{port}"
            return await streams.start_unix_server(handler, path, limit=limit, **options), path
        server = await streams.start_server(handler, "localhost", port, limit=limit, **options)
        return server, ("localhost", port)

    async def connect(
        self, streams: Any, program: Program, address: Address, limit: int, tls: bool
    ) -> tuple[Any, Any]:
        options = self.contexts.of_client() if tls else {}
        if isinstance(address, str):
            pair = await streams.open_unix_connection(address, limit=limit, **options)
        else:
            pair = await streams.open_connection(*address, limit=limit, **options)
        return tuple(pair)

    async def settle(self) -> None:
        await asyncio.sleep(self.bound)

    def open_things(self) -> set[str]:
        return set()

    def left(self, before: set[str]) -> list[str]:
        return [repr(end.local) for end in self.network.connections.values()]


class Kernel:
    """A kernel's sockets, in real time; programs here need little of it.

    Arguments:
        name: the loop's name.
        loop_factory: makes the event loop.
    """

    scale = 0.01
    bound = 30.0

    def __init__(self, name: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.name = name
        self.loop_factory = loop_factory
        self.contexts = Contexts()
        self.folder = tempfile.TemporaryDirectory()
        self.paths = count()
        loop_factory().close()  # uvloop opens a pipe with its first loop, for all of them

    def new_loop(self, program: Program) -> asyncio.AbstractEventLoop:
        return self.loop_factory()

    def start_weather(self, weather: Weather) -> None:
        pass  # a kernel's loopback has none

    def resets(self, weather: Weather) -> bool:
        return False

    async def serve(
        self, streams: Any, program: Program, handler: Callable[..., Any], limit: int, tls: bool
    ) -> tuple[Any, Address]:
        options = self.contexts.of_server() if tls else {}
        if program.family == "unix":
            path = str(Path(self.folder.name, str(next(self.paths))))
            return await streams.start_unix_server(handler, path, limit=limit, **options), path
        sock = socket.create_server(("127.0.0.1", 0))
        self.narrow(sock, program.weather)
        server = await streams.start_server(handler, sock=sock, limit=limit, **options)
        return server, sock.getsockname()

    async def connect(
        self, streams: Any, program: Program, address: Address, limit: int, tls: bool
    ) -> tuple[Any, Any]:
        options = self.contexts.of_client() if tls else {}
        if isinstance(address, str):
            return tuple(await streams.open_unix_connection(address, limit=limit, **options))
        sock = socket.socket()
        self.narrow(sock, program.weather)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return tuple(await streams.open_connection(sock=sock, limit=limit, **options))

    def narrow(self, sock: socket.socket, weather: Weather) -> None:
        """Give a socket small buffers, if the weather has them.

        Not too small: with a kernel's smallest, TCP waits for timers of its own for many seconds.
        """
        for option, size in (
            (socket.SO_SNDBUF, weather.send_buffer),
            (socket.SO_RCVBUF, weather.receive_buffer),
        ):
            if size is not None:
                sock.setsockopt(socket.SOL_SOCKET, option, max(size, SMALLEST))

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def open_things(self) -> set[str]:
        return {
            f"{number} {os.readlink(f'/proc/self/fd/{number}')}"
            for number in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{number}")
        }

    def left(self, before: set[str]) -> list[str]:
        return sorted(self.open_things() - before)
