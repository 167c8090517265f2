"""Connections that end neither normally nor by a reset that is noticed immediately."""

import asyncio
import errno
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

from conformance.harness.addresses import SecureListener, carrier_of
from conformance.harness.clause import (
    CLIENT,
    HALF_CLOSED,
    RESETTABLE,
    TLS,
    UNIX,
    UPGRADED,
    Some,
    clause,
)
from conformance.harness.expect import expect, expect_error
from conformance.harness.expectations import collected, expect_reading_over
from conformance.harness.handshakes import NO_TLS, leave, leave_in_the_middle, reset
from conformance.harness.patterns import fill
from conformance.harness.reading import next_line, take_rest
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import upgraded
from conformance.networks.memory import MemoryNetwork
from conformance.networks.tls import (
    HOST_NAME,
    TlsNetwork,
    TlsWire,
    ask_for_certificate,
    client_context,
    server_context,
)
from conformance.networks.wire import Wire

SIMULATED = Some(("memory", "tls-memory"), "the kernel's loopback never fails so")
HALF_CLOSED_AND_RESET = Some(("memory", "tcp"), "TLS ends no half, and a Unix socket has no reset")

# Errors other than a reset.


@clause("reader.lost.other-errors", networks=SIMULATED)
async def test_lost_with_another_error(trial: Trial) -> None:
    for number in (errno.ETIMEDOUT, errno.EHOSTUNREACH):
        reader, writer, wire = await trial.connect()
        fail(trial, wire, number)
        for name, reading in (
            ("read()", reader.read()),
            ("read(1)", reader.read(1)),
            ("readline()", reader.readline()),
            ("readexactly(1)", reader.readexactly(1)),
            ("readuntil()", reader.readuntil()),
            ("async for", next_line(reader)),
        ):
            error = await expect_error(OSError, reading)
            expect(error.errno, number, f"errno of {name}:")
        expect(reader.at_eof(), False, "at_eof()")
        writer.close()


@clause("reader.lost.other-errors", networks=SIMULATED)
async def test_lost_with_another_error_while_a_read_waits(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    reading = trial.start(reader.read(5))
    await trial.turns()
    fail(trial, wire, errno.ETIMEDOUT)
    error = await expect_error(OSError, reading)
    expect(error.errno, errno.ETIMEDOUT, "errno")
    expect(reader.at_eof(), False, "at_eof()")
    writer.close()


@clause("drain.lost.other-errors", networks=SIMULATED)
async def test_drain_with_another_error(trial: Trial) -> None:
    for number in (errno.ETIMEDOUT, errno.EHOSTUNREACH):
        _, writer, wire = await trial.connect()
        await fill(trial, writer)
        drains = [trial.start(writer.drain()) for _ in range(2)]
        await trial.turns()
        fail(trial, wire, number)
        for draining in drains:
            error = await expect_error(OSError, draining)
            expect(error.errno, number, "errno of a drain() that waited:")
        for _ in range(2):
            error = await expect_error(OSError, writer.drain())
            expect(error.errno, number, "errno of a later drain():")
        writer.close()


@clause("wait_closed.lost.other-errors", networks=SIMULATED)
async def test_wait_closed_with_another_error(trial: Trial) -> None:
    for number in (errno.ETIMEDOUT, errno.EHOSTUNREACH):
        _, writer, wire = await trial.connect()
        await fill(trial, writer)
        waiting = trial.start(writer.wait_closed())
        await trial.turns()
        fail(trial, wire, number)
        error = await expect_error(OSError, waiting)
        expect(error.errno, number, "errno of a wait_closed() that waited:")
        error = await expect_error(OSError, writer.wait_closed())
        expect(error.errno, number, "errno of a later wait_closed():")


@clause("writer.lost.other-errors", networks=SIMULATED)
async def test_writer_with_another_error(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    reading = trial.start(reader.read(5))
    await trial.turns()
    fail(trial, wire, errno.ETIMEDOUT)
    await asyncio.wait([reading])
    reading.exception()
    await trial.turns()
    expect(writer.is_closing(), True, "is_closing()")
    writer.write(b"anybody there?")
    writer.writelines([b"any", b"body"])
    writer.close()
    expect(trial.reported, [], "reported:")


def fail(trial: Trial, wire: Wire, number: int) -> None:
    """Let the implementation's end of the connection fail with errno `number`."""
    network = trial.network
    if isinstance(network, TlsNetwork):
        network = network.carrier
    below = wire.carrier if isinstance(wire, TlsWire) else wire
    assert isinstance(network, MemoryNetwork)
    network.fail(below, number)


@asynccontextmanager
async def alerted(
    trial: Trial,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yield a connection whose far end has sent a fatal alert after the handshake."""
    # In TLS 1.3 the client's part is done before the server looks at its certificate.
    context = ask_for_certificate(server_context())
    listener = SecureListener(await trial.listen(), context)
    accepting = trial.start(listener.accept())
    reader, writer = await trial.network.open(trial.streams, listener)
    with closing(writer):
        await expect_error(ssl.SSLError, accepting)
        yield reader, writer


@clause("tls.fatal-alert", networks=TLS, roles=CLIENT)
async def test_fatal_alert(trial: Trial) -> None:
    async with alerted(trial) as (reader, writer):
        for _ in range(2):
            await expect_error(ssl.SSLError, reader.read(1))
        expect(reader.at_eof(), False, "at_eof()")
        expect(writer.is_closing(), True, "is_closing()")
        writer.close()
        ending = trial.start(writer.wait_closed())
        await asyncio.wait([ending])
        ending.exception()


# Whatever the peer does, the program learns of it, and not the loop's exception handler.


@clause("close.peer-ends.reports-nothing")
async def test_ends_are_not_reported(trial: Trial) -> None:
    tls = trial.network.name in TLS
    await expect_no_reports(trial, trial.connect, ends(trial, tls))


@clause("close.peer-ends.reports-nothing", networks=UPGRADED)
async def test_ends_of_an_upgraded_connection_are_not_reported(trial: Trial) -> None:
    await expect_no_reports(trial, lambda: upgraded(trial), ends(trial, tls=True))


Ending = Callable[[Any], Awaitable[None]]


def ends(trial: Trial, tls: bool) -> list[Ending]:
    """Return the ways in which a far end can end its connection, with and without TLS."""
    found: list[Ending] = [lambda wire: wire.send_eof()]
    if trial.network.name in RESETTABLE:
        found.append(lambda wire: wire.reset())
    if trial.network.name in SIMULATED:
        found.append(lambda wire: time_out(trial, wire))
    if tls:
        found.append(lambda wire: wire.cut_off())
        found.append(lambda wire: wire.carrier.send(NO_TLS))
        found.append(lambda wire: wire.carrier.send(b"\x17\x03\x03\x00\x20" + bytes(32)))
    return found


async def time_out(trial: Trial, wire: Wire) -> None:
    """Let the connection fail with a timeout."""
    fail(trial, wire, errno.ETIMEDOUT)


async def expect_no_reports(
    trial: Trial, connect: Callable[[], Awaitable[Connection]], endings: Iterable[Ending]
) -> None:
    """Expect no `ending` to be reported: in quiet, while a call waits, and while close() sends."""
    for end in endings:
        for busy in (None, "reading", "writing", "closing"):
            reader, writer, wire = await connect()
            waiting: list[asyncio.Task[Any]] = []
            if busy == "reading":
                waiting = [trial.start(reader.readline())]
            elif busy == "writing":
                await fill(trial, writer)
                waiting = [trial.start(writer.drain())]
            elif busy == "closing":
                await fill(trial, writer)
                writer.close()
            await trial.turns()
            await end(wire)
            await wire.settle()
            writer.close()
            writer.transport.abort()
            await wire.settle()
            for each in waiting:  # that they end by themselves is another clause's
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await wire.close()
    gc.collect()
    await trial.turns()
    expect(trial.reported, [], "the loop's exception handler was told")


@clause("close.peer-ends.reports-nothing", networks=TLS, roles=CLIENT)
async def test_fatal_alert_is_not_reported(trial: Trial) -> None:
    async with alerted(trial) as (reader, _):
        await expect_error(Exception, reader.read(1))
    await collected(trial)
    expect(trial.reported, [], "the loop's exception handler was told")


# drain() tells of errors of TLS.


@clause("drain.reader-exception", networks=TLS, roles=CLIENT)
async def test_drain_after_a_fatal_alert(trial: Trial) -> None:
    async with alerted(trial) as (reader, writer):
        await expect_error(Exception, reader.read(1))
        await expect_drain_tells(reader, writer)


@clause("drain.reader-exception", networks=TLS)
async def test_drain_after_garbage(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    assert isinstance(wire, TlsWire)
    await wire.carrier.send(NO_TLS)
    await expect_reading_over(reader)
    await expect_drain_tells(reader, writer)


async def expect_drain_tells(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Expect drain() to raise what the reader says that the connection was lost by, if it does."""
    lost_by = reader.exception()
    if lost_by is None:
        return
    for _ in range(2):
        with suppress(Exception):  # it may be refused: this is about drain()
            writer.write(b"who reads this?")
        error = await expect_error(type(lost_by), writer.drain())
        expect(error.args, lost_by.args, "args")


# A peer that leaves during the handshake.


@clause("connecting.ssl.peer-leaves", networks=TLS, roles=CLIENT)
async def test_peer_leaves_in_the_handshake(trial: Trial) -> None:
    for fail in (leave, reset, leave_in_the_middle):
        listener = await trial.listen()
        connecting = trial.start(open_(trial, listener))
        wire = await carrier_of(listener).accept()
        await wire.receive_some()  # the beginning of its handshake
        await fail(wire)
        await expect_fails_soon(connecting)


@clause("unix.open.ssl.peer-leaves", networks=UNIX, roles=CLIENT)
async def test_peer_leaves_in_the_handshake_over_a_unix_socket(trial: Trial) -> None:
    for fail in (leave, leave_in_the_middle):
        listener = await trial.listen()
        options = {"ssl": client_context(), "server_hostname": HOST_NAME}
        connecting = trial.start(open_(trial, listener, **options))
        wire = await listener.accept()
        await wire.receive_some()
        await fail(wire)
        await expect_fails_soon(connecting)


async def open_(trial: Trial, listener: Any, **options: Any) -> None:
    """Connect the implementation to `listener`, and close it again."""
    _, writer = await trial.network.open(trial.streams, listener, **options)
    writer.close()


async def expect_fails_soon(connecting: "asyncio.Task[None]") -> None:
    """Expect an OSError, in less time than asyncio's own limit for handshakes of 60 s.

    In virtual time that passes immediately.
    """
    await asyncio.wait([connecting], timeout=20.0)
    expect(connecting.done(), True, "ended when the peer had left:")
    await expect_error(OSError, connecting)


# This side ends the connection while start_tls() is under way.


@clause("start_tls.own-end", networks=UPGRADED)
async def test_closed_during_the_upgrade(trial: Trial) -> None:
    await expect_upgrade_ended(trial, lambda writer: writer.close())


@clause("start_tls.own-end", networks=UPGRADED)
async def test_aborted_during_the_upgrade(trial: Trial) -> None:
    await expect_upgrade_ended(trial, lambda writer: writer.transport.abort())


async def expect_upgrade_ended(trial: Trial, end: Callable[[Any], object]) -> None:
    """Expect `end`, given the writer, to end an upgrade that waits, and the stream with it."""
    reader, writer, _ = await trial.connect()
    if trial.role == "client":
        upgrading = writer.start_tls(client_context(), server_hostname=HOST_NAME)
    else:
        upgrading = writer.start_tls(server_context())
    starting = trial.start(upgrading)
    await trial.turns()
    end(writer)
    await asyncio.wait([starting], timeout=20.0)
    expect(starting.done(), True, "start_tls() ended with the connection:")
    await expect_error((ssl.SSLError, ConnectionError), starting)
    reading = trial.start(take_rest(reader))
    waiting = trial.start(writer.wait_closed())
    await asyncio.wait([reading, waiting])  # hangs if one of them does not end
    expect([reading.cancelled(), waiting.cancelled()], [False, False], "cancelled:")


# write_eof() on a connection that has ended.


@clause("write_eof.after-reset.not-noticed", networks=HALF_CLOSED_AND_RESET)
async def test_write_eof_after_a_reset_that_nobody_noticed(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.reset()
    writer.write_eof()
    await expect_error(Exception, reader.read(1))
    writer.close()


@clause("write_eof.after-close", networks=HALF_CLOSED)
async def test_write_eof_after_close(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    writer.write_eof()
    expect(await wire.receive_rest(), b"", "bytes:")
    await writer.wait_closed()
    writer.write_eof()
    await trial.turns()
    writer.write_eof()
