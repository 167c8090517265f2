"""Expectations of several clauses' tests, and the steps that lead to them."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from typing import Any

from conformance.errors import Deviation, NotApplicable, described, shown
from conformance.harness.addresses import carrier, closing, connected_socket, family_of, let_block
from conformance.harness.expect import (
    expect,
    expect_done,
    expect_error,
    expect_pending,
    expect_that,
)
from conformance.harness.extra_info import known
from conformance.harness.patterns import KIB, fill, overfill, pattern
from conformance.harness.reading import take
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context
from conformance.networks.wire import Wire

# Connections that are lost.


async def expect_reading_over(reader: asyncio.StreamReader) -> None:
    """Expect a read to return nothing, be it that it is at EOF or raises an error of any class."""
    piece = b""
    with contextlib.suppress(Exception):
        piece = await reader.read(100)
    expect(piece, b"", "read(100)")


def expect_exception_of(reader: asyncio.StreamReader, raised: Exception) -> None:
    """Expect exception() to return the error that a read raised, or another of its class."""
    seen = reader.exception()
    expect_that(isinstance(raised, type(seen)), f"exception() a {type(raised).__name__}", seen)


async def lost(trial: Trial, connection: Connection) -> BaseException | None:
    """Reset the connection and let the implementation notice.

    Returns:
        The exception of a read that waited; `None` if it raised nothing, or still waits: the
        clauses on reading check that.
    """
    await connection.wire.reset()
    reading = trial.start(connection.reader.read(5))

    async def noticed() -> bool:
        return reading.done()

    await trial.soon(noticed)
    reading.cancel()
    await asyncio.wait([reading])
    return None if reading.cancelled() else reading.exception()


# Reports.


async def collected(trial: Trial) -> None:
    """Let the loop report each error that nobody has retrieved: it does so on collection."""
    for _ in range(10):
        await trial.turns()
        gc.collect()


async def expect_nothing_reported(trial: Trial, when: str = "reported:") -> None:
    """Expect the event loop's exception handler not to have been called; `when` for the message."""
    await collected(trial)
    expect([each["message"] for each in trial.reported], [], when)


# Back pressure.


async def expect_drain_waits(
    trial: Trial, writer: asyncio.StreamWriter, wire: Wire, what: str = "drain()"
) -> None:
    """Expect drain() to wait above the high-water mark until the peer has received what is unsent.

    Args:
        trial: the trial.
        writer: the writer, with nothing unsent.
        wire: the far end.
        what: what waits, for the message.
    """
    data = await fill(trial, writer)
    draining = trial.start(writer.drain())
    await wire.settle()
    expect_pending(draining, what)
    expect(await wire.receive(len(data)), data, "bytes:")
    await draining


async def expect_held_back(trial: Trial, wire: Wire) -> None:
    """Expect the far end not to be able to send more than the network holds for a reader."""
    piece = bytes(64 * KIB)
    count = 2 * trial.network.unread_capacity // len(piece)

    async def send() -> None:
        for _ in range(count):
            await wire.send(piece)

    sending = trial.start(send())
    await trial.turns(2 * count)  # enough for a reader that goes on receiving to receive all of it
    what = f"sending {count * len(piece)} bytes to a reader that nobody reads from"
    expect_pending(sending, what)
    sending.cancel()


async def expect_drain_does_not_yield(trial: Trial, writer: asyncio.StreamWriter) -> None:
    """Expect drain() to let no other callback run while little waits to be sent."""
    others: list[str] = []
    trial.loop.call_soon(others.append, "another callback ran")
    for _ in range(3):
        writer.write(b"little")
        await writer.drain()
    expect(others, [], "meanwhile:")


# Encryption.


async def expect_encrypted(wire: TlsWire, secret: bytes, part: bytes) -> None:
    """Expect `secret` to arrive at the far end, and no `part` of it in clear text."""
    records, clear = b"", b""
    while len(clear) < len(secret):
        piece = await wire.carrier.receive_some()
        expect_that(piece != b"", "the secret, encrypted", "the end")
        records += piece
        clear += wire.decrypted(piece)
    expect(clear, secret, "decrypted:")
    expect_that(part not in records, "no clear text on the network", records)


# Time.


async def expect_done_after(trial: Trial, seconds: float, task: "asyncio.Task[Any]") -> None:
    """Expect `task` to end when simulated `seconds` have passed, and not much earlier.

    At most a tenth of a second earlier, or a tenth of the time if that is less than a second.
    """
    margin = min(seconds, 1) / 10
    await trial.pass_time(int(seconds - margin))
    await asyncio.sleep((seconds - margin) % 1)
    if seconds:
        expect_pending(task, f"what takes {seconds} s")
    await asyncio.sleep(2 * margin)
    await trial.turns()
    expect_done(task, f"what takes {seconds} s")


async def unanswered(trial: Trial, below: Wire) -> "asyncio.Task[Any]":
    """Return a task that ends with a closed TLS connection, whose far end answers nothing.

    Raises:
        NotApplicable: it has ended: TLS leaves it open whether a side waits for an answer.
    """
    ending = trial.start(below.receive_to_end())
    await trial.turns()
    if ending.done():
        raise NotApplicable("close() does not wait for an answer to the TLS shutdown")
    return ending


# Both sides.


async def expect_limit(trial: Trial, connection: Connection, limit: int) -> None:
    """Expect the connection's reader to take lines up to `limit` bytes, and no longer ones."""
    reader, _, wire = connection
    line = b"x" * (limit - 1) + b"\n"
    # At the same time as the read: a reader may take megabytes only while somebody reads.
    sending = trial.start(wire.send(line))
    await reader.readuntil(b"\n")
    await sending
    sending = trial.start(wire.send(b"x" * (limit + 1) + b"\n"))
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"\n"))
    sending.cancel()
    await asyncio.wait([sending])


def expect_keep_alive(
    writer: asyncio.StreamWriter, wanted: bool, what: str = "SO_KEEPALIVE set:"
) -> None:
    """Expect SO_KEEPALIVE of a connection to be as `wanted`; `what` is for the message."""
    seen = known(writer, "socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    expect(bool(seen), wanted, what)


def expect_nodelay(writer: asyncio.StreamWriter) -> None:
    """Expect the writer's connection not to hold small pieces back."""
    seen = known(writer, "socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    expect(bool(seen), True, "TCP_NODELAY set:")


async def expect_talk(connection: Connection) -> None:
    """Expect bytes to pass both ways, and to be the same at the other end."""
    reader, writer, wire = connection
    writer.write(b"from the implementation")
    await writer.drain()
    expect(await wire.receive(23), b"from the implementation")
    await wire.send(b"from the far end")
    expect(await take(reader, 16), b"from the far end")


async def expect_both_directions(trial: Trial, connection: Connection, size: int) -> None:
    """Expect every byte of two transfers to arrive that go on at the same time.

    Args:
        trial: the trial.
        connection: the connection.
        size: the bytes that the far end sends; the implementation fills its direction.
    """
    reader, writer, wire = connection
    out, back = overfill(trial), pattern(size)

    async def write() -> None:
        for start in range(0, len(out), 50_000):
            writer.write(out[start : start + 50_000])
            await writer.drain()

    writing = trial.start(write())
    reading = trial.start(take(reader, len(back)))
    sending = trial.start(wire.send(back))
    await wire.settle()  # one direction is full, and bytes arrive in the other
    receiving = trial.start(wire.receive(len(out)))
    await sending
    expect(await reading, back, "bytes received:")
    expect(await receiving, out, "bytes sent:")
    await writing


async def expect_client_never_blocks(
    trial: Trial, open_: Callable[..., Any], is_tls: bool = False, seconds: float | None = None
) -> None:
    """Expect the connection that `open_` makes of a blocking socket not to stop the loop.

    Args:
        trial: the trial.
        open_: the function that opens it.
        is_tls: whether with TLS.
        seconds: the socket's timeout.
    """
    listener = await trial.listen()
    sock = await connected_socket(trial, listener)
    let_block(sock, seconds)
    tls: dict[str, Any] = {"ssl": client_context(), "server_hostname": HOST_NAME} if is_tls else {}
    opening = trial.start(open_(sock=sock, **tls))
    async with closing(await listener.accept()) as below:
        wire: Wire = below
        if is_tls:
            await trial.turns()
            expect_pending(opening, "a handshake that nobody has answered")
            wire = secure = TlsWire(below, server_context(), server_side=True)
            await secure.handshake()
        reader, writer = await opening
        with contextlib.closing(writer):
            await _expect_not_blocking(trial, Connection(reader, writer, wire))


async def expect_server_never_blocks(
    trial: Trial,
    start: Callable[..., Any],
    sock: socket.socket,
    is_tls: bool = False,
    seconds: float | None = None,
) -> None:
    """Expect the server that `start` makes of a blocking bound `sock` not to stop the loop.

    Args:
        trial: the trial.
        start: the function that starts it.
        sock: the socket.
        is_tls: whether with TLS.
        seconds: the socket's timeout.
    """
    served, address = Served(), sock.getsockname()
    let_block(sock, seconds)
    tls = {"ssl": server_context()} if is_tls else {}
    with contextlib.closing(await start(served.accepted, sock=sock, **tls)):
        async with closing(await carrier(trial).connected(sock.family, address)) as below:
            wire: Wire = below
            if is_tls:
                await trial.turns()
                wire = secure = TlsWire(
                    below, client_context(), server_side=False, server_hostname=HOST_NAME
                )
                await secure.handshake()
            reader, writer = await served.pairs.get()
            with contextlib.closing(writer):
                await _expect_not_blocking(trial, Connection(reader, writer, wire))


async def _expect_not_blocking(trial: Trial, connection: Connection) -> None:
    """Expect neither a read of nothing nor a write of too much to stop the event loop."""
    reader, writer, wire = connection
    reading = trial.start(take(reader, 4))
    await trial.turns()
    data = overfill(trial)
    writer.write(data)
    received = await wire.receive(len(data))
    expect(received, data, "at the far end")
    await wire.send(b"read")
    expect(await reading, b"read")


async def expect_served(trial: Trial, served: Served, address: Any) -> None:
    """Expect a connection to `address`, of the Internet, to reach the server's callback."""
    try:
        wire = await carrier(trial).connected(family_of(address[0]), address)
    except ConnectionError as error:
        raise Deviation(f"a server at {shown(address)}", described(error)) from error
    async with closing(wire):
        _, writer = await served.pairs.get()
        writer.close()


async def close_server(trial: Trial, server: Any) -> None:
    """Close a server, and let it stop: a server closes asynchronously."""
    server.close()
    await trial.turns()


async def expect_not_served(trial: Trial, family: int, address: Any) -> None:
    """Expect that nobody listens at `address` soon: a server closes asynchronously."""

    async def refused() -> bool:
        try:
            wire = await carrier(trial).connected(family, address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except ConnectionResetError:
            return False  # the server closed in the middle of it
        await wire.close()
        return False

    what = f"a connection to {shown(address)} to be refused"
    expect_that(await trial.soon(refused), what, "a connection")
