"""Calls after other calls, with much data in one go, or with data in small pieces."""

import asyncio
from contextlib import closing
from typing import Any

from conformance.harness.addresses import carrier, carrier_of
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import (
    BY_HAND,
    CLIENT,
    HALF_CLOSED,
    IN_VIRTUAL_TIME,
    SERVER,
    VIRTUAL,
    clause,
)
from conformance.harness.expect import expect, expect_error
from conformance.harness.expectations import expect_done_after, expect_drain_waits, unanswered
from conformance.harness.patterns import fill, overfill, pattern
from conformance.harness.reading import take_rest
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import arguments, upgraded
from conformance.networks.tls import TlsWire
from conformance.networks.wire import Wire

# Much data in one go.


@clause("writelines.large")
async def test_many_lines_behind_others(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    before = await fill(trial, writer)
    data = pattern(5000)
    writer.writelines([data[at : at + 1] for at in range(len(data))])
    received = await wire.receive(len(before) + len(data))
    expect(received[len(before) :], data, "bytes:")


@clause("write.without-drain")
async def test_one_large_write(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = pattern(2 * len(overfill(trial)))
    writer.write(data)
    expect(await wire.receive(len(data)), data, "bytes:")


class Bytes(bytes):
    """Bytes of a program's own class."""


class Bytearray(bytearray):
    """A bytearray of a program's own class."""


class Separators(tuple[bytes, ...]):
    """A tuple of a program's own class."""


async def expect_sent(trial: Trial, kind: type[bytes | bytearray]) -> None:
    """Expect data of this class to be sent."""
    _, writer, wire = await trial.connect()
    writer.write(kind(b"one"))
    writer.writelines([kind(b"two")])
    expect(await wire.receive(6), b"onetwo")


@clause("write.sends")
async def test_bytes_of_another_class(trial: Trial) -> None:
    await expect_sent(trial, Bytes)


@clause("write.bytearray")
async def test_bytearray_of_another_class(trial: Trial) -> None:
    await expect_sent(trial, Bytearray)


@clause("readuntil.tuple.any-of-them", roles=BY_HAND)
async def test_many_separators(trial: Trial) -> None:
    many: Any = tuple(b"<%d>" % number for number in range(40))
    separators: Any
    for separators in (many, Separators(many)):
        reader = by_hand(trial, 100)
        reader.feed_data(b"one<39>two<0>three<17>")
        for expected in (b"one<39>", b"two<0>", b"three<17>"):
            expect(await reader.readuntil(separators), expected)


@clause("readuntil.limit.consumed-up-to-separator", roles=BY_HAND)
async def test_consumed_by_a_read_that_waited(trial: Trial) -> None:
    for separator in (b"\r\n", b"\n"):
        reader = by_hand(trial, 8)
        reading = trial.start(reader.readuntil(separator))
        await trial.turns()
        reader.feed_data(b"0123456789" + separator)
        error: Any = await expect_error(trial.streams.LimitOverrunError, reading)
        expect(error.consumed, 10, "consumed")


# After the peer's EOF.


@clause("write.after-peer-eof", networks=HALF_CLOSED)
async def test_writelines_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    writer.writelines([b"to one who ", b"only listens"])
    expect(await wire.receive(23), b"to one who only listens")


@clause("write_eof.ends-the-stream", networks=HALF_CLOSED)
async def test_write_eof_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    writer.write(b"the last words")
    writer.write_eof()
    expect(await wire.receive_rest(), b"the last words")


@clause("drain.waits", networks=HALF_CLOSED)
async def test_drain_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    await expect_drain_waits(trial, writer, wire)


# A handshake, or what follows close(), that comes a byte at a time.

RECORD = b"\x16\x03\x01\x02\x00" + bytes(100)
"""The beginning of a longer record of a handshake."""

DATA = b"\x17\x03\x03\x40\x00" + bytes(100)
"""The beginning of a record of data, which is longer."""


async def drip(wire: Wire, record: bytes = RECORD) -> None:
    """Send the beginning of a record, a byte every half second."""
    for byte in record:
        await wire.send(bytes([byte]))
        await asyncio.sleep(0.5)


@clause("start_tls.handshake-timeout", networks=IN_VIRTUAL_TIME)
async def test_upgrade_with_one_who_dawdles(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial), ssl_handshake_timeout=4))
    dripping = trial.start(drip(wire))
    await expect_done_after(trial, 4, starting)
    dripping.cancel()
    expect(starting.exception() is not None, True, "start_tls() failed:")


@clause("connecting.ssl.handshake-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_opening_with_one_who_dawdles(trial: Trial) -> None:
    listener = await trial.listen()
    opening = trial.start(trial.network.open(trial.streams, listener, ssl_handshake_timeout=4))
    async with closing_wire(await carrier_of(listener).accept()) as below:
        dripping = trial.start(drip(below))
        await expect_done_after(trial, 4, opening)
        dripping.cancel()
        expect(opening.exception() is not None, True, "open_connection() failed:")


@clause("serving.ssl.handshake-timeout", networks=VIRTUAL, roles=SERVER)
async def test_client_that_dawdles(trial: Trial) -> None:
    served = await trial.serve(ssl_handshake_timeout=4)
    with closing(served.server):
        async with closing_wire(await carrier(trial).dial(served.server)) as below:
            dripping = trial.start(drip(below))
            await expect_done_after(trial, 4, trial.start(below.receive_to_end()))
            dripping.cancel()


@clause("connecting.ssl.shutdown-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_closing_with_one_who_dawdles(trial: Trial) -> None:
    await expect_shut_down_in_time(trial, await trial.connect(ssl_shutdown_timeout=4))


@clause("serving.ssl.shutdown-timeout", networks=VIRTUAL, roles=SERVER)
async def test_closing_with_a_client_that_dawdles(trial: Trial) -> None:
    await expect_shut_down_in_time(trial, await trial.connect(ssl_shutdown_timeout=4))


@clause("start_tls.shutdown-timeout", networks=IN_VIRTUAL_TIME)
async def test_closing_an_upgraded_connection_with_one_who_dawdles(trial: Trial) -> None:
    await expect_shut_down_in_time(trial, await upgraded(trial, ssl_shutdown_timeout=4))


async def expect_shut_down_in_time(trial: Trial, connection: Connection) -> None:
    """Expect a connection to end after 4 s, though what is no answer comes all the while."""
    _, writer, wire = connection
    assert isinstance(wire, TlsWire)
    writer.close()
    dripping = trial.start(drip(wire.carrier, DATA))
    await expect_done_after(trial, 4, await unanswered(trial, wire.carrier))
    dripping.cancel()
