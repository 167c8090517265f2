"""TLS from the start, and by `start_tls()`."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ends import Connect, Serve

import reference_impl
from reference_impl import StreamReader, StreamReaderProtocol, StreamWriter


async def echo(reader: Any, writer: Any) -> None:
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def closed(writer: Any) -> None:
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_tls_from_the_start(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, family: Any, tmp_path: Path
) -> None:
    if family == "tcp":
        server = await reference_impl.start_server(
            echo, "127.0.0.1", 0, ssl=server_context, ssl_shutdown_timeout=5
        )
        opening = reference_impl.open_connection(
            "localhost",
            server.sockets[0].getsockname()[1],
            ssl=client_context,
            ssl_handshake_timeout=20,
            happy_eyeballs_delay=0.25,
        )
    else:
        server = await reference_impl.start_unix_server(
            echo, tmp_path / "socket", ssl=server_context, ssl_handshake_timeout=20
        )
        opening = reference_impl.open_unix_connection(
            tmp_path / "socket",
            ssl=client_context,
            server_hostname="localhost",
            ssl_shutdown_timeout=5,
        )
    async with server:
        reader, writer = await opening
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert writer.get_extra_info("ssl_object").version().startswith("TLS")
        assert not writer.can_write_eof()
        with pytest.raises(NotImplementedError):
            writer.write_eof()
        await closed(writer)


async def test_an_untrusted_certificate(
    server_context: ssl.SSLContext, reported: list[dict[str, Any]]
) -> None:
    async with await reference_impl.start_server(
        echo, "127.0.0.1", 0, ssl=server_context
    ) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await reference_impl.open_connection(
                "localhost", server.sockets[0].getsockname()[1], ssl=True
            )


async def serving(handler: Any, **options: Any) -> Any:
    server = await reference_impl.start_server(handler, "127.0.0.1", 0, **options)
    reader, writer = await reference_impl.open_connection(
        *server.sockets[0].getsockname(), **options
    )
    return server, reader, writer


async def test_upgrade_of_both_sides(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async def handler(reader: Any, writer: Any) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        plain = writer.transport
        await writer.start_tls(server_context, ssl_shutdown_timeout=5)
        assert writer.transport is not plain
        assert writer.get_extra_info("ssl_object") is not None
        await echo(reader, writer)

    server, reader, writer = await serving(handler, limit=2_000_000)
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go on\n"
    assert writer.get_extra_info("ssl_object") is None
    await writer.start_tls(client_context, server_hostname="localhost", ssl_shutdown_timeout=5)
    assert writer.get_extra_info("ssl_object").version().startswith("TLS")
    assert writer.get_extra_info("sslcontext") is client_context
    assert not writer.can_write_eof()
    for size in (10, 1_000_000):
        line = b"x" * size + b"\n"
        writer.write(line)
        assert await reader.readexactly(len(line)) == line
    await closed(writer)
    assert await reader.read() == b""
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("limit", [1000, 65536])
@pytest.mark.parametrize("talker", ["client", "server"])
async def test_flow_control_survives_the_upgrade(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, limit: int, talker: Any
) -> None:
    data = os.urandom(3_000_000)

    async def talk(writer: Any) -> None:
        writer.write(data)
        await writer.drain()

    received = asyncio.get_running_loop().create_future()

    async def handler(reader: Any, writer: Any) -> None:
        await writer.start_tls(server_context)
        if talker == "server":
            await talk(writer)
            await reader.read()
        else:
            pieces: list[bytes] = []
            while sum(len(piece) for piece in pieces) < len(data):
                pieces.append(await reader.read(700))
            received.set_result(b"".join(pieces))
        await closed(writer)

    server, reader, writer = await serving(handler, limit=limit)
    await writer.start_tls(client_context, server_hostname="localhost")
    if talker == "server":
        received.set_result(await reader.readexactly(len(data)))
    else:
        await talk(writer)
    assert await received == data
    await closed(writer)
    server.close()
    await server.wait_closed()


class Handshake:
    """A TLS end made of bytes, so that a test says when they are sent."""

    def __init__(self, peer: Any, context: Any, **options: Any) -> None:
        self.peer = peer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)

    async def step(self) -> Any:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            return True
        return False

    async def finish(self) -> None:
        while not await self.step():
            await self.flush()
            self.incoming.write(await self.peer.receive())
        await self.flush()

    async def flush(self) -> None:
        if data := self.outgoing.read():
            await self.peer.send(data)

    async def receive(self) -> Any:
        while True:
            try:
                return self.tls.read()
            except ssl.SSLWantReadError:
                self.incoming.write(await self.peer.receive())


async def test_drain_waits_after_one_large_write(
    serve: Serve,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    settle: Callable[..., Awaitable[None]],
) -> None:
    drained = asyncio.get_running_loop().create_future()

    async def handler(reader: Any, writer: Any) -> None:
        writer.write(bytes(40_000_000))
        drain = asyncio.create_task(writer.drain())
        await settle()
        drained.set_result(drain.done())
        with contextlib.suppress(OSError):
            await drain

    server, client = await serve(handler, ssl=server_context)
    handshake = Handshake(client, client_context, server_hostname="localhost")
    await handshake.finish()
    assert not await drained
    client.reset()
    server.close()
    server.abort_clients()
    await server.wait_closed()


async def test_drain_over_tls_with_a_mark_of_zero(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with await reference_impl.start_server(
        echo, "127.0.0.1", 0, ssl=server_context
    ) as server:
        reader, writer = await reference_impl.open_connection(
            "localhost", server.sockets[0].getsockname()[1], ssl=client_context
        )
        writer.transport.set_write_buffer_limits(high=0)
        for _ in range(4):
            writer.write(b"line\n")
            await writer.drain()
            assert await reader.readline() == b"line\n"
            await writer.drain()
        await closed(writer)


async def test_closing_while_the_peer_still_sends_is_no_error(
    serve: Serve, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    outcome = asyncio.get_running_loop().create_future()

    async def handler(reader: Any, writer: Any) -> None:
        await reader.readexactly(1)
        writer.close()
        try:
            await writer.wait_closed()
        except BaseException as error:
            outcome.set_result(error)
        else:
            outcome.set_result(None)

    server, client = await serve(handler, ssl=server_context)
    handshake = Handshake(client, client_context, server_hostname="localhost")
    await handshake.finish()
    for _ in range(5):
        handshake.tls.write(b"x" * 10_000)
        with contextlib.suppress(ConnectionError):
            await handshake.flush()
    client.send_eof()
    assert await outcome is None
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("cut", [0, 1, 100, None])
async def test_bytes_received_before_the_upgrade_are_of_the_handshake(
    serve: Serve,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    cut: Any,
    until: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    """The client's first flight follows its command at once, and is received with it."""
    connected = asyncio.get_running_loop().create_future()

    async def handler(reader: Any, writer: Any) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        await until(lambda: len(reader._buffer) >= expected)
        await writer.start_tls(server_context)
        connected.set_result(None)
        writer.write(await reader.readline())
        await closed(writer)

    server, client = await serve(handler)
    handshake = Handshake(client, client_context, server_hostname="localhost")
    await handshake.step()
    hello = handshake.outgoing.read()
    expected = len(hello) if cut is None else cut
    await client.send(b"STARTTLS\n" + hello[:cut])
    if cut is not None:
        await client.send(hello[cut:])
    await handshake.finish()
    await connected
    handshake.tls.write(b"secret\n")
    await handshake.flush()
    assert await handshake.receive() == b"secret\n"
    client.close()
    server.close()
    await server.wait_closed()


async def test_bytes_received_before_the_upgrade_of_a_client(
    connect: Connect,
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
    until: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    """A server that speaks first: not usual, but nothing is lost."""
    reader, writer, peer = await connect()
    await peer.send(b"\x15\x03\x03\x00\x02\x02\x28")  # a fatal alert: handshake_failure
    await until(lambda: len(reader._buffer))
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        await writer.start_tls(client_context, server_hostname="localhost")
    with pytest.raises(ssl.SSLError):
        await writer.wait_closed()


@pytest.mark.parametrize("options", [{}, {"server_hostname": ""}, {"server_hostname": None}])
async def test_a_host_name_is_needed_to_check_it(
    connect: Connect, client_context: ssl.SSLContext, options: Any
) -> None:
    _, writer, peer = await connect()
    with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        await writer.start_tls(client_context, **options)
    await unharmed(writer, peer)


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, -1])
async def test_timeouts_are_positive(
    connect: Connect, client_context: ssl.SSLContext, name: str, seconds: float
) -> None:
    _, writer, peer = await connect()
    with pytest.raises(ValueError, match=f"{name} should be a positive number"):
        await writer.start_tls(client_context, server_hostname="localhost", **{name: seconds})
    await unharmed(writer, peer)


@pytest.mark.parametrize("context", [None, True, 5])
async def test_a_context_is_needed(connect: Connect, context: Any) -> None:
    _, writer, peer = await connect()
    with pytest.raises(TypeError, match=r"sslcontext is expected to be an instance of"):
        await writer.start_tls(context, server_hostname="localhost")
    await unharmed(writer, peer)


async def unharmed(writer: Any, peer: Any) -> None:
    writer.write(b"as before")
    assert await peer.receive() == b"as before"
    await closed(writer)


FAILURES = {
    "garbage": ssl.SSLError,
    "closes": ConnectionResetError,
    "resets": ConnectionResetError,
    "silent": ConnectionAbortedError,
    "cancelled": asyncio.CancelledError,
    "cancelled at once": asyncio.CancelledError,
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failed_handshake_ends_the_connection_for_everyone(
    connect: Connect,
    client_context: ssl.SSLContext,
    failure: Any,
    settle: Callable[..., Awaitable[None]],
    reported: list[dict[str, Any]],
) -> None:
    reader, writer, peer = await connect()
    waiting = [asyncio.create_task(c) for c in (reader.read(1), writer.wait_closed())]
    upgrade = asyncio.create_task(
        writer.start_tls(
            client_context,
            server_hostname="localhost",
            ssl_handshake_timeout=0.01 if failure == "silent" else None,
        )
    )
    if failure == "cancelled at once":
        await asyncio.sleep(0)
        upgrade.cancel()
    else:
        hello = await peer.receive()
        assert hello[:1] == b"\x16"
        await settle()
    if failure == "garbage":
        await peer.send(b"HTTP/1.0 400 Bad Request\r\n\r\n")
    elif failure == "closes":
        peer.close()
    elif failure == "resets":
        peer.reset()
    elif failure == "cancelled":
        upgrade.cancel()
    expected = FAILURES[failure]
    with pytest.raises(expected):
        await upgrade
    assert writer.is_closing()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    later = await asyncio.gather(
        reader.read(), reader.readline(), writer.wait_closed(), return_exceptions=True
    )
    if expected is asyncio.CancelledError:
        assert outcomes == [b"", None]
        assert [*later] == [b"", b"", None]
    else:
        assert {type(each) for each in [*outcomes, *later]} == {type(later[0])}
        assert isinstance(later[0], expected)
        assert len({id(each) for each in [*outcomes, *later]}) == 5
    with pytest.raises((OSError, ssl.SSLError)):
        await writer.drain()
    with pytest.raises((OSError, ssl.SSLError)):
        await writer.start_tls(client_context, server_hostname="localhost")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    if failure in ("garbage", "silent", "cancelled"):
        with contextlib.suppress(ConnectionResetError):
            while await peer.receive():
                pass  # and the peer is let go
    gc.collect()


async def test_a_failed_upgrade_of_a_server_lets_the_client_go(
    serve: Serve, server_context: ssl.SSLContext, reported: list[dict[str, Any]]
) -> None:
    async def handler(reader: Any, writer: Any) -> None:
        await writer.start_tls(server_context)

    server, client = await serve(handler)
    await client.send(b"this is not TLS, and long enough to be seen so\r\n")
    with contextlib.suppress(ConnectionResetError):
        while await client.receive():
            pass
    server.close()
    await server.wait_closed()
    ours = [each for each in reported if "client_connected_cb" in each["message"]]
    assert [type(each["exception"]) for each in ours] == [ssl.SSLError]


async def test_upgrade_of_a_closed_connection(
    connect: Connect, client_context: ssl.SSLContext
) -> None:
    for wait in (True, False):
        _, writer, _ = await connect()
        writer.close()
        if wait:
            await writer.wait_closed()
        with pytest.raises(ConnectionResetError):
            await writer.start_tls(client_context, server_hostname="localhost")
        await writer.wait_closed()


async def test_upgrade_after_eof(
    connect: Connect,
    client_context: ssl.SSLContext,
    until: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    reader, writer, peer = await connect()
    peer.send_eof()
    await until(lambda: "eof" in repr(reader))
    with pytest.raises(OSError):  # noqa: PT011  # loops differ
        await writer.start_tls(client_context, server_hostname="localhost")
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_cancelling_while_waiting_to_drain_leaves_the_connection_as_it_was(
    connect: Connect,
    client_context: ssl.SSLContext,
    cancelled: Callable[[Awaitable[Any]], Awaitable[None]],
) -> None:
    _, writer, peer = await connect()
    writer.write(bytes(10_000_000))
    await cancelled(writer.start_tls(client_context, server_hostname="localhost"))
    await peer.receive_exactly(10_000_000)
    await unharmed(writer, peer)


async def test_tls_inside_tls(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async def handler(reader: Any, writer: Any) -> None:
        await writer.start_tls(server_context)
        assert await reader.readline() == b"again\n"
        await writer.start_tls(server_context)
        await echo(reader, writer)

    server, reader, writer = await serving(handler)
    await writer.start_tls(client_context, server_hostname="localhost")
    outer = writer.get_extra_info("ssl_object")
    writer.write(b"again\n")
    await writer.start_tls(client_context, server_hostname="localhost")
    assert writer.get_extra_info("ssl_object") is not outer
    writer.write(b"deep\n")
    assert await reader.readline() == b"deep\n"
    await closed(writer)
    server.close()
    await server.wait_closed()


async def test_upgrade_by_hand(
    connect: Connect, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """A server side is one whose protocol was made with a handler, whoever accepted it."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    done = loop.create_future()

    async def handler(reader: Any, writer: Any) -> None:
        await writer.start_tls(server_context)
        done.set_result(await reader.readline())
        await closed(writer)

    await loop.create_connection(lambda: StreamReaderProtocol(StreamReader(), handler), sock=theirs)
    reader = StreamReader()
    protocol = StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
    writer = StreamWriter(transport, protocol, reader, loop)
    await writer.start_tls(client_context, server_hostname="localhost")
    writer.write(b"x\n")
    assert await done == b"x\n"
    await closed(writer)
    assert await reader.read() == b""
