"""A program is cancelled at every turn of its life: each time it ends, and leaves nothing behind.

The programs are right ones: what they have opened they close, whatever comes.
"""

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import pytest

import fakes
import reference_impl

REQUEST = bytes(5000)
ANSWER = b"first line\n" + bytes(5000)
AT_ONCE = 1.0  # seconds, virtual: less than any timeout that could end a hang


class CancellingLoop(fakes.Loop):
    """Cancels a task at the beginning of one of the turns that it lives for."""

    def __init__(self, network: fakes.Network, at: int | None) -> None:
        super().__init__(network=network)
        self.at = at
        self.victim: asyncio.Task[Any] | None = None
        self.turns = 0
        self.listening: list[int] = []  # whether each socket left behind does
        self.reported: list[dict[str, Any]] = []
        self.set_exception_handler(lambda loop, context: self.reported.append(context))

    def _run_once(self) -> None:
        if self.victim is not None and not self.victim.done():
            self.turns += 1
            if self.turns == self.at:
                self.victim.cancel()
        super()._run_once()


class Setting(NamedTuple):
    """What a program is run with: whose streams, and the two sides' TLS, if any."""

    streams: Any
    server_tls: ssl.SSLContext | None
    client_tls: ssl.SSLContext | None


class Peer(asyncio.Protocol):
    """Hears the other's part, late, says its own, and closes when the other does."""

    def __init__(self, hears: bytes, says: bytes) -> None:
        self.to_hear = len(hears)
        self.says = says
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()
        asyncio.get_running_loop().call_later(0.1, transport.resume_reading)

    def data_received(self, data: bytes) -> None:
        self.to_hear -= len(data)
        if self.says and not self.to_hear:
            self.transport.write(self.says)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


def the_loop() -> CancellingLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CancellingLoop)
    return loop


# --- the programs ---------------------------------------------------------------------------------


async def client(setting: Setting) -> None:
    """It connects by a name of two addresses, whose first does not answer."""

    async def program() -> None:
        reader, writer = await setting.streams.open_connection(
            "both",
            80,
            ssl=setting.client_tls,
            server_hostname="localhost" if setting.client_tls else None,
            happy_eyeballs_delay=0.05,
        )
        try:
            writer.write(REQUEST)
            await writer.drain()
            assert await reader.read(5) == b"first"
            assert await reader.readline() == b" line\n"
            await reader.readexactly(5000)
        finally:
            writer.close()
        await writer.wait_closed()

    loop = the_loop()
    loop.network.host("silent", "10.0.0.9").drop()
    loop.network.dns.add("both", "10.0.0.9", "127.0.0.1")
    loop.network.dns.delay = 0.01
    server = await loop.create_server(
        lambda: Peer(REQUEST, ANSWER), "localhost", 80, ssl=setting.server_tls
    )
    loop.victim = asyncio.create_task(program())
    await asyncio.wait([loop.victim])
    server.close()
    await server.wait_closed()


async def handle(reader: Any, writer: Any) -> None:
    try:
        line = await reader.readline()
        writer.write(line + bytes(5000))
        await writer.drain()
        await reader.read()
    finally:
        writer.close()
    await writer.wait_closed()


async def connect_a_peer(setting: Setting) -> None:
    loop = the_loop()
    with contextlib.suppress(OSError):
        transport, peer = await loop.create_connection(
            lambda: Peer(ANSWER, b""),
            "127.0.0.1",
            80,
            ssl=setting.client_tls,
            server_hostname="localhost" if setting.client_tls else None,
        )
        transport.write(b"first line\n")
        if transport.can_write_eof():
            loop.call_later(0.2, transport.write_eof)
        else:
            loop.call_later(0.2, transport.close)
        await peer.lost.wait()


async def handler(setting: Setting) -> None:
    async def program(reader: Any, writer: Any) -> None:
        loop.victim = asyncio.current_task()
        await handle(reader, writer)

    loop = the_loop()
    server = await setting.streams.start_server(program, "localhost", 80, ssl=setting.server_tls)
    await connect_a_peer(setting)
    assert loop.victim is not None
    await asyncio.wait([loop.victim])
    server.close()
    await server.wait_closed()


async def server(setting: Setting) -> None:
    async def program() -> None:
        server = await setting.streams.start_server(handle, "localhost", 80, ssl=setting.server_tls)
        try:
            await connected.wait()
        finally:
            server.close()
        await server.wait_closed()

    async def connect() -> None:
        for _ in range(2):
            await connect_a_peer(setting)
            connected.set()

    loop = the_loop()
    connected = asyncio.Event()
    loop.victim = asyncio.create_task(program())
    await asyncio.gather(asyncio.wait([loop.victim]), connect())


def played(
    program: Callable[[Setting], Coroutine[Any, Any, None]], setting: Setting, at: int | None
) -> CancellingLoop:
    async def main() -> None:
        await program(setting)
        assert loop.time() < AT_ONCE
        await asyncio.sleep(1000)  # whatever else there is ends by itself, or never
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert network.connections == {}
        for sock in network.open_sockets():
            loop.listening.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            sock.close()

    network = fakes.Network(link=fakes.Link(latency=0.01), send_buffer=1000, receive_buffer=1000)
    loop = CancellingLoop(network, at)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    return loop


# Cancelled in the last turn of its create_server(), asyncio's loop leaves behind a server that
# listens and that nobody has: so on every Python, and here.
GOES_ON_LISTENING = (server, 3)
# A handler that was cancelled is reported by asyncio's streams as if it had failed.
REPORTS_CANCELLED_HANDLERS = sys.version_info < (3, 13)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("streams", [asyncio, reference_impl], ids=["asyncio", "reference_impl"])
@pytest.mark.parametrize("program", [client, handler, server])
def test_cancelled_at_every_turn(
    program: Callable[[Setting], Coroutine[Any, Any, None]],
    streams: Any,
    tls: bool,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    setting = Setting(streams, *(contexts if tls else (None, None)))
    turns = played(program, setting, at=None).turns
    assert turns > 20
    for turn in range(1, turns + 1):
        loop = played(program, setting, at=turn)
        assert loop.victim is not None
        assert loop.victim.cancelled(), turn
        if REPORTS_CANCELLED_HANDLERS and (program, streams) == (handler, asyncio):
            assert isinstance(loop.reported.pop()["exception"], asyncio.CancelledError), turn
        assert loop.reported == [], turn
        goes_on = streams is asyncio and (program, turn) == GOES_ON_LISTENING
        assert loop.listening == ([1, 1] if goes_on else []), turn
    gc.collect()  # what has been dropped without being closed warns
