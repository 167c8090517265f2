"""TLS connections: their own behaviour, apart from the arguments that make them."""

import ssl
from contextlib import closing

from conformance.harness.addresses import carrier, carrier_of
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import TLS, clause
from conformance.harness.expect import expect
from conformance.harness.expectations import expect_encrypted, expect_reading_over
from conformance.harness.handshakes import NO_TLS
from conformance.harness.logs import Log
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import far_end
from conformance.networks.tls import TlsWire, client_context, server_context

SECRET = b"nobody may read this"


async def connect(trial: Trial) -> tuple[Connection, TlsWire]:
    """Connect, and return the far end also as the TLS wire that it is."""
    connection = await trial.connect()
    assert isinstance(connection.wire, TlsWire)
    return connection, connection.wire


@clause("tls.end.no-warning", networks=TLS)
async def test_end_without_a_warning(trial: Trial) -> None:
    with Log() as log:
        (reader, writer, _), wire = await connect(trial)
        await wire.send_eof()
        expect(await take_rest(reader), b"")
        writer.close()
        await wire.receive_to_end()
        await wire.close()
        await writer.wait_closed()
    expect(log.messages, [], "asyncio's log:")


@clause("tls.encrypted", networks=TLS)
async def test_encrypted(trial: Trial) -> None:
    (_, writer, _), wire = await connect(trial)
    writer.write(SECRET)
    await expect_encrypted(wire, SECRET, SECRET)


@clause("tls.early-data", networks=TLS)
async def test_early_data(trial: Trial) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):  # each side ends one of them
        context = server_context() if trial.role == "client" else client_context()
        context.maximum_version = version
        if trial.role == "client":
            listener = await trial.listen()
            opening = trial.start(trial.network.open(trial.streams, listener))
            below = await carrier_of(listener).accept()
        else:
            served = await trial.serve()
            opening = trial.start(served.pairs.get())
            below = await carrier(trial).dial(served.server)
        async with closing_wire(below):
            wire = far_end(trial, below, context)
            await wire.handshake(b"hello\n")
            reader, writer = await opening
            with closing(writer):
                expect(await take(reader, 6), b"hello\n", f"with {version.name}")


@clause("tls.close_notify.is-the-end", networks=TLS)
async def test_close_notify(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"the last words")
    await wire.send_eof()
    expect(await take_rest(reader), b"the last words")
    expect(await take_rest(reader), b"")
    expect(reader.at_eof(), True, "at_eof()")


@clause("tls.close.says-close_notify", networks=TLS)
async def test_says_close_notify(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"the last words")
    writer.close()
    data, end = await wire.receive_to_end()
    expect(data, b"the last words", "bytes:")
    expect(end, "eof", "the end: (eof with close_notify, reset without)")


@clause("tls.close.says-close_notify", networks=TLS)
async def test_answers_close_notify(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    writer.close()
    expect(await wire.receive_to_end(), (b"", "eof"), "what arrives, and its end:")


@clause("tls.cut-off", networks=TLS)
async def test_cut_off(trial: Trial) -> None:
    (reader, _, _), wire = await connect(trial)
    await wire.send(b"hello")
    expect(await take(reader, 3), b"hel")
    await wire.settle()  # a loop may deliver the rest of it in pieces, and lose them at a cut
    await wire.cut_off()
    expect(await take(reader, 2), b"lo")
    await expect_reading_over(reader)


@clause("tls.garbage", networks=TLS)
async def test_garbage(trial: Trial) -> None:
    (reader, _, _), wire = await connect(trial)
    await wire.carrier.send(NO_TLS)
    await expect_reading_over(reader)
