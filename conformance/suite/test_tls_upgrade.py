"""`StreamWriter.start_tls()`."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from conformance.errors import Deviation, described
from conformance.harness.clause import (
    CLIENT,
    IN_VIRTUAL_TIME,
    RESETTABLE,
    SERVER,
    TLS,
    UPGRADED,
    Some,
    clause,
)
from conformance.harness.expect import (
    expect,
    expect_done,
    expect_error,
    expect_pending,
    expect_that,
)
from conformance.harness.expectations import (
    expect_both_directions,
    expect_done_after,
    expect_drain_waits,
    expect_encrypted,
    expect_held_back,
    expect_talk,
    unanswered,
)
from conformance.harness.extra_info import known
from conformance.harness.handshakes import NO_TLS
from conformance.harness.logs import Log
from conformance.harness.patterns import KIB, fill, overfill, pattern
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import arguments, far_end, upgrade, upgraded
from conformance.networks.tls import (
    HOST_NAME,
    OTHER_HOST_NAME,
    TlsWire,
    client_context,
    server_context,
    stranger,
)
from conformance.networks.wire import Wire

UPGRADED_AND_RESET = Some(
    (each for each in UPGRADED if each in RESETTABLE), f"{UPGRADED.why}, and {RESETTABLE.why}"
)

SECRET = b"nobody may read this"
SHORT = 0.05  # seconds: a timeout whose passing a test waits for

FAILED = (ssl.SSLError, ConnectionError)  # the exceptions of a failed handshake in CPython


async def expect_plain(connection: Connection) -> None:
    """Expect that the connection goes on without TLS, as if start_tls() had not been called."""
    reader, writer, wire = connection
    writer.write(b"plain")
    expect(await wire.receive(5), b"plain")
    await wire.send(b"too")
    expect(await take(reader, 3), b"too")


async def expect_ends(trial: Trial, connection: Connection) -> None:
    """Expect reading and wait_closed() to end, with or without an error, after close()."""
    reading = trial.start(take_rest(connection.reader))
    connection.writer.close()
    closing = trial.start(connection.writer.wait_closed())
    await asyncio.wait([closing])
    await asyncio.wait([reading])
    cancelled = [each.cancelled() for each in (closing, reading)]
    expect(cancelled, [False, False], "wait_closed() and read() cancelled:")


async def soon(task: "asyncio.Task[None]") -> None:
    """Wait for `task` to end, in less time than asyncio's own timeouts of 30 and 60 s take.

    In virtual time those pass immediately, and would hide an ignored timeout.
    """
    await asyncio.wait([task], timeout=20.0)
    expect_done(task, f"what has a timeout of {SHORT} s")


# Its arguments.


@clause("start_tls.sslcontext.positional-or-keyword", networks=UPGRADED)
async def test_context_in_order(trial: Trial) -> None:
    connection = await trial.connect()
    options = arguments(trial)
    starting = trial.start(connection.writer.start_tls(options.pop("sslcontext"), **options))
    await trial.turns()
    await far_end(trial, connection.wire).handshake()
    await starting


@clause("start_tls.sslcontext.positional-or-keyword", networks=UPGRADED)
async def test_context_by_name(trial: Trial) -> None:
    await upgraded(trial)  # which names all of them


@clause("start_tls.options.keyword-only", networks=UPGRADED)
async def test_options_keyword_only(trial: Trial) -> None:
    _, writer, wire = await trial.connect()

    async def start() -> None:
        positional: Any = writer.start_tls
        await positional(arguments(trial)["sslcontext"], HOST_NAME)

    starting = trial.start(start())
    await trial.turns()
    await wire.close()  # so that a handshake that has begun ends
    await expect_error(TypeError, starting)


# Upgraded connections.


@clause("start_tls.encrypts", networks=UPGRADED)
async def test_encrypts(trial: Trial) -> None:
    connection = await trial.connect()
    wire = await upgrade(trial, connection)
    connection.writer.write(SECRET)
    await expect_encrypted(wire, SECRET, SECRET)


@clause("start_tls.reads", networks=UPGRADED)
async def test_reads(trial: Trial) -> None:
    reader, writer, plain = connection = await trial.connect()
    await plain.send(b"ready\n")
    expect(await take(reader, 6), b"ready\n")
    wire = await upgrade(trial, connection)
    await wire.send(b"over TLS\n")
    expect(await take(reader, 9), b"over TLS\n")
    writer.write(b"and back")
    expect(await wire.receive(8), b"and back")


@clause("start_tls.both-directions", networks=UPGRADED)
async def test_both_directions(trial: Trial) -> None:
    await expect_both_directions(trial, await upgraded(trial), 3 * KIB * KIB)


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delay(trial: Trial) -> None:
    connection = await trial.connect()
    begin = trial.loop.time()
    await upgrade(trial, connection)
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("start_tls.on-server-side", networks=UPGRADED)
async def test_on_server_side(trial: Trial) -> None:
    _, _, wire = await upgraded(trial)
    assert isinstance(wire, TlsWire)
    expect(wire.tls.server_side, trial.role == "client", "the far end is the server:")


@clause("start_tls.transport", networks=UPGRADED)
async def test_transport(trial: Trial) -> None:
    connection = await trial.connect()
    writer = connection.writer
    before = {
        name: found
        for name in ("peername", "sockname")
        if (found := writer.get_extra_info(name)) is not None
    }
    context = arguments(trial)["sslcontext"]
    wire = await upgrade(trial, connection, sslcontext=context)
    writer.transport.write(b"encrypted")
    expect(await wire.receive(9), b"encrypted", "written to the transport:")
    for source in (writer, writer.transport):
        kind = type(source).__name__
        after = {name: source.get_extra_info(name) for name in before}
        expect(after, before, f"addresses, from the {kind}:")
        found = known(source, "sslcontext")
        expect_that(found is context, f"the context that was passed, from the {kind}", found)
        expect(known(source, "cipher"), wire.tls.cipher(), f"the cipher, from the {kind}:")


@clause("start_tls.stays-open", networks=UPGRADED)
async def test_stays_open(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    await wire.settle()
    expect(writer.is_closing(), False, "is_closing()")


@clause("start_tls.can_write_eof", networks=UPGRADED)
async def test_can_write_eof(trial: Trial) -> None:
    _, writer, _ = await upgraded(trial)
    expect(writer.can_write_eof(), False, "can_write_eof()")


@clause("start_tls.drain", networks=UPGRADED)
async def test_drain(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    await expect_drain_waits(trial, writer, wire, "drain(), while the peer does not read,")


@clause("drain.concurrent", networks=UPGRADED)
async def test_drain_from_before(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    draining = trial.start(writer.drain())
    await wire.settle()
    trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    tls = far_end(trial, wire)
    expect(await receive_plain(tls, len(data)), data, "bytes:")  # the handshake may be right behind
    trial.start(tls.handshake())
    await draining


@clause("start_tls.close", networks=UPGRADED)
async def test_close(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    writer.write(b"the last words")
    writer.close()
    expect(writer.is_closing(), True, "is_closing()")
    expect(await wire.receive_rest(), b"the last words", "bytes:")
    await wire.close()
    await writer.wait_closed()


@clause("start_tls.close_notify", networks=UPGRADED)
async def test_close_notify(trial: Trial) -> None:
    reader, _, wire = await upgraded(trial)
    await wire.send(b"the last words")
    await wire.send_eof()
    expect(await take_rest(reader), b"the last words")


@clause("start_tls.waiting-read", networks=UPGRADED)
async def test_waiting_read(trial: Trial) -> None:
    connection = await trial.connect()
    reading = trial.start(take(connection.reader, 5))
    await trial.turns()
    wire = await upgrade(trial, connection)
    await wire.send(b"hello")
    expect(await reading, b"hello")


@clause("start_tls.over-tls", networks=UPGRADED)
async def test_over_an_upgrade(trial: Trial) -> None:
    reader, writer, _ = connection = await upgraded(trial)
    wire = await upgrade(trial, connection)
    writer.write(b"through both")
    expect(await wire.receive(12), b"through both")
    await wire.send(b"and back")
    expect(await take(reader, 8), b"and back")


@clause("start_tls.over-tls", networks=TLS)
async def test_over_tls(trial: Trial) -> None:
    reader, writer, wire = await upgraded(trial)
    writer.write(b"through both")
    expect(await wire.receive(12), b"through both")
    await wire.send(b"and back")
    expect(await take(reader, 8), b"and back")


# Trust.


@clause("start_tls.server_hostname", networks=UPGRADED, roles=CLIENT)
async def test_server_hostname(trial: Trial) -> None:
    connection = await trial.connect()
    trial.start(far_end(trial, connection.wire).handshake())
    starting = connection.writer.start_tls(client_context(), server_hostname=OTHER_HOST_NAME)
    await expect_error(Exception, starting)


@clause("start_tls.certificate-refused.class", networks=UPGRADED, roles=CLIENT)
async def test_class_of_a_refused_certificate(trial: Trial) -> None:
    connection = await trial.connect()
    trial.start(far_end(trial, connection.wire).handshake())
    starting = connection.writer.start_tls(client_context(), server_hostname=OTHER_HOST_NAME)
    await expect_error(ssl.SSLCertVerificationError, starting)


@clause("start_tls.server_hostname.required", networks=UPGRADED, roles=CLIENT)
async def test_server_hostname_required(trial: Trial) -> None:
    connection = await trial.connect()
    trial.start(far_end(trial, connection.wire).handshake())
    error = await expect_error(ValueError, connection.writer.start_tls(client_context()))
    # A certificate that is for another name is a ValueError, too.
    expect(isinstance(error, ssl.SSLError), False, "refused by the look of a certificate:")


@clause("start_tls.server_hostname.required-first", networks=UPGRADED, roles=CLIENT)
async def test_server_hostname_required_first(trial: Trial) -> None:
    connection = await trial.connect()
    await expect_error(ValueError, connection.writer.start_tls(client_context()))
    await expect_plain(connection)


@clause("start_tls.certificate-refused", networks=UPGRADED, roles=CLIENT)
async def test_certificate_refused(trial: Trial) -> None:
    connection = await trial.connect()
    wire = far_end(trial, connection.wire, server_context(stranger()))
    trial.start(wire.handshake())
    starting = connection.writer.start_tls(**arguments(trial))
    await expect_error(Exception, starting)


@clause("start_tls.refused-by-peer", networks=UPGRADED, roles=SERVER)
async def test_refused_by_peer(trial: Trial) -> None:
    _, writer, plain = await trial.connect()
    starting = trial.start(writer.start_tls(server_context(stranger())))
    await trial.turns()
    trial.start(far_end(trial, plain).handshake())
    await expect_error(Exception, starting)


@clause("start_tls.no-injection", networks=UPGRADED)
async def test_no_injection(trial: Trial) -> None:
    reader, writer, plain = await trial.connect()
    await plain.send(b"ready\nfrom an attacker\n")
    expect(await take(reader, 6), b"ready\n")
    await plain.settle()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    wire = far_end(trial, plain)
    trial.start(wire.handshake(first=b"from the peer\n"))
    try:
        await starting
        received = await take(reader, 14)
    except Exception:
        return  # they are not a handshake, but were taken for one
    expect(received, b"from the peer\n")


# Handshakes that cannot succeed.


@clause("start_tls.garbage", networks=UPGRADED)
async def test_garbage(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    await wire.send(b"500 TLS is not for you\r\n")
    await expect_error(Exception, starting)


@clause("start_tls.failed.class", networks=UPGRADED)
async def test_class_of_a_failed_handshake(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    await wire.send(NO_TLS)
    await expect_error(FAILED, starting)


@clause("start_tls.peer-leaves", networks=UPGRADED)
async def test_peer_leaves(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    await wire.send_eof()
    await expect_error(Exception, starting)


@clause("start_tls.peer-leaves", networks=UPGRADED)
async def test_peer_has_left(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await soon(starting)
    await expect_error(Exception, starting)


@clause("start_tls.handshake-timeout", networks=UPGRADED)
async def test_handshake_timeout(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial), ssl_handshake_timeout=SHORT))
    await soon(starting)
    await expect_error(Exception, starting)
    await wire.receive_to_end()


@clause("start_tls.shutdown-timeout", networks=UPGRADED)
async def test_shutdown_timeout(trial: Trial) -> None:
    _, writer, plain = connection = await trial.connect()
    wire = await upgrade(trial, connection, ssl_shutdown_timeout=SHORT)
    writer.close()
    expect(await wire.receive_rest(), b"", "bytes:")
    # The peer has heard close_notify and does not answer it: the connection ends all the same.
    await soon(trial.start(writer.wait_closed()))
    await plain.receive_to_end()


@clause("start_tls.handshake-timeout.default", networks=IN_VIRTUAL_TIME)
async def test_handshake_timeout_default(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await expect_done_after(trial, 60, starting)
    await expect_error(Exception, starting)


@clause("start_tls.shutdown-timeout.default", networks=IN_VIRTUAL_TIME)
async def test_shutdown_timeout_default(trial: Trial) -> None:
    _, writer, plain = connection = await trial.connect()
    await upgrade(trial, connection)
    writer.close()
    await expect_done_after(trial, 30, await unanswered(trial, plain))


@clause("start_tls.timeouts.refused", networks=UPGRADED)
async def test_timeouts_refused(trial: Trial) -> None:
    connection = await trial.connect()
    for seconds in (0, -1):
        starting = connection.writer.start_tls(**arguments(trial), ssl_handshake_timeout=seconds)
        await expect_error(ValueError, starting)
    await expect_plain(connection)
    await upgrade(trial, connection)


@clause("start_tls.context.refused", networks=UPGRADED)
async def test_context_refused(trial: Trial) -> None:
    connection = await trial.connect()
    for wrong in (None, True, "context"):
        starting = connection.writer.start_tls(wrong, server_hostname=HOST_NAME)  # type: ignore[arg-type]  # on purpose
        await expect_error(TypeError, starting)
    await expect_plain(connection)
    await upgrade(trial, connection)


async def expect_unread_kept(trial: Trial, kind: type[Exception], **options: Any) -> None:
    """Expect a start_tls() that raises such an exception to leave what is unread."""
    reader, writer, wire = await trial.connect()
    await wire.send(b"?unread")
    expect(await take(reader, 1), b"?")
    await wire.settle()
    await expect_error(kind, writer.start_tls(**arguments(trial) | options))
    expect(await take(reader, 6), b"unread")


@clause("start_tls.timeouts.refused", networks=UPGRADED)
async def test_timeouts_refused_with_unread_data(trial: Trial) -> None:
    await expect_unread_kept(trial, ValueError, ssl_handshake_timeout=0)


@clause("start_tls.context.refused", networks=UPGRADED)
async def test_context_refused_with_unread_data(trial: Trial) -> None:
    await expect_unread_kept(trial, TypeError, sslcontext=None)


@clause("start_tls.closed", networks=UPGRADED)
async def test_closed(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    expect(await wire.receive_rest(), b"", "bytes:")
    await writer.wait_closed()
    await expect_error(Exception, writer.start_tls(**arguments(trial)))


@clause("start_tls.closed", networks=IN_VIRTUAL_TIME)
async def test_closed_at_once(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.close()
    began = trial.loop.time()
    await expect_error(Exception, writer.start_tls(**arguments(trial)))
    expect(trial.loop.time() - began, 0.0, "seconds until the exception:")


@clause("start_tls.closed", networks=UPGRADED)
async def test_closed_with_bytes_to_send(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.transport.set_write_buffer_limits(high=len(overfill(trial)))  # drain() does not wait
    writer.write(overfill(trial))
    writer.close()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await soon(starting)  # the peer may never take the bytes
    await expect_error(Exception, starting)
    await wire.receive_to_end()


# Data that was on its way when the upgrade began.


async def receive_plain(wire: TlsWire, count: int) -> bytes:
    """Return `count` bytes from before the handshake; further bytes belong to the handshake."""
    received = bytearray()
    while len(received) < count:
        piece = await wire.carrier.receive_some()
        expect_that(piece != b"", f"{count} bytes without TLS", f"{len(received)}, then the end")
        received += piece
    wire.incoming.write(received[count:])
    return bytes(received[:count])


@clause("start_tls.plain-writes-first", networks=UPGRADED)
async def test_plain_writes_first(trial: Trial) -> None:
    _, writer, plain = await trial.connect()
    writer.write(b"go ahead\n")
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    wire = far_end(trial, plain)
    expect(await receive_plain(wire, 9), b"go ahead\n")
    await wire.handshake()
    await starting
    writer.write(b"over TLS")
    expect(await wire.receive(8), b"over TLS")


@clause("start_tls.plain-writes-first.large", networks=UPGRADED)
async def test_large_plain_writes_first(trial: Trial) -> None:
    _, writer, plain = await trial.connect()
    data = await fill(trial, writer)
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await plain.settle()
    wire = far_end(trial, plain)
    expect(await receive_plain(wire, len(data)), data, "bytes:")
    await wire.handshake()
    await starting
    writer.write(b"over TLS")
    expect(await wire.receive(8), b"over TLS")


@clause("start_tls.written-meanwhile", networks=UPGRADED)
async def test_written_meanwhile(trial: Trial) -> None:
    for method, data in (("write", SECRET), ("writelines", [SECRET])):
        connection = await trial.connect()
        writer = connection.writer
        starting = trial.start(writer.start_tls(**arguments(trial)))
        await trial.turns()
        try:
            getattr(writer, method)(data)
        except Exception:
            written = b""  # it may be refused
        else:
            written = SECRET
        wire = far_end(trial, connection.wire)
        try:
            await wire.handshake()
        except ssl.SSLError as error:
            raise Deviation(f"{method}() not to disturb the handshake", described(error)) from error
        await starting
        writer.write(b"over TLS")
        expect(await wire.receive(len(written) + 8), written + b"over TLS")


@clause("start_tls.written-meanwhile", networks=UPGRADED)
async def test_written_before_the_handshake_fails(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    with suppress(Exception):
        writer.write(SECRET)
    await trial.turns()
    await wire.send_eof()
    received, _ = await wire.receive_to_end()
    await asyncio.wait([starting])
    expect_that(SECRET not in received, "no clear text on the network", received)


async def expect_greeting(trial: Trial, connection: Connection, wire: TlsWire) -> None:
    """Upgrade, with the far end's handshake under way already; expect its greeting."""
    shaking = trial.start(wire.handshake())
    await connection.writer.start_tls(**arguments(trial))
    await shaking
    await wire.send(b"hello\n")
    expect(await take(connection.reader, 6), b"hello\n")


def first_message(wire: TlsWire) -> bytes:
    """Return the message that a client's handshake begins with."""
    with suppress(ssl.SSLWantReadError):
        wire.tls.do_handshake()
    return wire.outgoing.read()


@clause("start_tls.early-handshake", networks=UPGRADED, roles=SERVER)
async def test_early_handshake(trial: Trial) -> None:
    connection = await trial.connect()
    wire = far_end(trial, connection.wire)
    await wire.carrier.send(b"starttls\n")
    expect(await take(connection.reader, 9), b"starttls\n")
    await wire.carrier.send(first_message(wire))
    await wire.settle()
    await expect_greeting(trial, connection, wire)


@clause("start_tls.early-handshake.with-the-request", networks=UPGRADED, roles=SERVER)
async def test_early_handshake_with_the_request(trial: Trial) -> None:
    connection = await trial.connect()
    wire = far_end(trial, connection.wire)
    await wire.carrier.send(b"starttls\n" + first_message(wire))
    expect(await take(connection.reader, 9), b"starttls\n")
    await expect_greeting(trial, connection, wire)


@clause("start_tls.early-handshake.in-part", networks=UPGRADED, roles=SERVER)
async def test_early_handshake_in_part(trial: Trial) -> None:
    for length in (1, 5, 100):  # within the record's header, after it, and within the message
        connection = await trial.connect()
        wire = far_end(trial, connection.wire)
        message = first_message(wire)
        await wire.carrier.send(b"starttls\n" + message[:length])
        expect(await take(connection.reader, 9), b"starttls\n")
        starting = trial.start(connection.writer.start_tls(**arguments(trial)))
        await wire.settle()
        await wire.carrier.send(message[length:])
        await wire.handshake()
        await starting
        await wire.send(b"hello\n")
        expect(await take(connection.reader, 6), b"hello\n")


@clause("start_tls.early-data", networks=UPGRADED)
async def test_early_data(trial: Trial) -> None:
    connection = await trial.connect()
    await upgrade(trial, connection, first=b"hello\n")
    expect(await take(connection.reader, 6), b"hello\n")


@clause("start_tls.in-the-background", networks=UPGRADED)
async def test_in_the_background(trial: Trial) -> None:
    other, stalling = await trial.connect(), await trial.connect()
    starting = trial.start(stalling.writer.start_tls(**arguments(trial)))
    await trial.turns()
    await expect_talk(other)
    await upgrade(trial, other)  # hangs if it waits for the first
    await expect_talk(await upgraded(trial))
    expect_pending(starting, "start_tls(), while the peer does not answer,")
    starting.cancel()
    await asyncio.wait([starting])


@clause("start_tls.reader-flow-control", networks=UPGRADED)
async def test_reader_flow_control(trial: Trial) -> None:
    connection = await trial.connect(limit=KIB)
    first, more = pattern(64 * KIB), pattern(512 * KIB)
    wire = await upgrade(trial, connection, first=first)
    sending = trial.start(wire.send(more))
    await trial.turns()  # the reader, from which nobody reads, has received more than its limit
    received = await take(connection.reader, len(first) + len(more))
    expect(received, first + more, "bytes:")
    await sending


@clause("start_tls.handler-failure.shuts-tls-down", networks=UPGRADED, roles=SERVER)
async def test_handler_failure_shuts_tls_down(trial: Trial) -> None:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(**arguments(trial))
        writer.write(b"the last words")
        raise LookupError

    carrier = await trial.dial((await trial.serve(handler)).server)
    wire = far_end(trial, carrier)
    await trial.turns()
    await wire.handshake()
    expect(await wire.receive_to_end(), (b"the last words", "eof"), "what arrives, and its end:")


@clause("tls.end.no-warning", networks=UPGRADED)
async def test_end_without_a_warning(trial: Trial) -> None:
    with Log() as log:
        connection = await trial.connect()
        wire = await upgrade(trial, connection)
        await wire.send_eof()
        expect(await take_rest(connection.reader), b"")
        connection.writer.close()
        await wire.receive_to_end()
        await wire.close()
        await connection.writer.wait_closed()
    expect(log.messages, [], "asyncio's log:")


@clause("tls.end.no-warning", networks=UPGRADED)
async def test_end_with_the_handshake_without_a_warning(trial: Trial) -> None:
    with Log() as log:
        reader, writer, plain = await trial.connect()
        starting = trial.start(writer.start_tls(**arguments(trial)))
        await trial.turns()
        wire = far_end(trial, plain)
        await wire.handshake(leave=True)
        await starting
        expect(await take_rest(reader), b"")
        writer.close()
        await wire.receive_to_end()
        await wire.close()
        await writer.wait_closed()
    expect(log.messages, [], "asyncio's log:")


@clause("start_tls.peer-is-held-back", networks=UPGRADED)
async def test_peer_is_held_back(trial: Trial) -> None:
    await expect_held_back(trial, await upgrade(trial, await trial.connect(limit=KIB)))


@clause("start_tls.peer-is-held-back", networks=UPGRADED, roles=SERVER)
async def test_early_peer_is_held_back(trial: Trial) -> None:
    # The beginning of the handshake arrives before start_tls(), and is more than the limit.
    connection = await trial.connect(limit=16)
    wire = far_end(trial, connection.wire)
    shaking = trial.start(wire.handshake())
    await connection.wire.settle()
    await connection.writer.start_tls(**arguments(trial))
    await shaking
    await expect_held_back(trial, wire)


# After a failed upgrade.


@clause("start_tls.refused.ends", networks=UPGRADED, roles=CLIENT)
async def test_refused_ends(trial: Trial) -> None:
    connection = await trial.connect()
    wire = far_end(trial, connection.wire, server_context(stranger()))
    trial.start(wire.handshake())
    await expect_error(Exception, connection.writer.start_tls(**arguments(trial)))
    await expect_ends(trial, connection)


@clause("start_tls.failed.not-in-clear", networks=UPGRADED)
async def test_failed_not_in_clear(trial: Trial) -> None:
    async def refuse(wire: Wire) -> None:
        await wire.send(b"500 TLS is not for you\r\n")

    async def be_a_stranger(wire: Wire) -> None:
        with suppress(OSError):
            await far_end(trial, wire, server_context(stranger())).handshake()

    async def dawdle(wire: Wire) -> None:
        await wire.settle()

    async def be_cancelled(_: Wire) -> None:
        task.cancel()

    strange = [be_a_stranger] if trial.role == "client" else []
    for fail in (refuse, dawdle, be_cancelled, *strange):
        _, writer, wire = await trial.connect()
        starting = writer.start_tls(**arguments(trial), ssl_handshake_timeout=SHORT)
        task = trial.start(starting)
        await trial.turns()
        await asyncio.wait([task, trial.start(fail(wire))])
        expect_that(task.cancelled() or task.exception() is not None, "a failure", "an upgrade")
        with suppress(Exception):  # it may be refused, as on a connection that is lost
            writer.write(SECRET)
            await writer.drain()
        writer.close()
        received, _ = await wire.receive_to_end()
        expect_that(SECRET not in received, f"no clear text after {fail.__name__}()", received)


@clause("start_tls.handshake-timeout.ends", networks=UPGRADED)
async def test_handshake_timeout_ends(trial: Trial) -> None:
    connection = await trial.connect()
    starting = connection.writer.start_tls(**arguments(trial), ssl_handshake_timeout=SHORT)
    await expect_error(Exception, starting)
    await expect_ends(trial, connection)


@clause("start_tls.peer-leaves.ends", networks=UPGRADED)
async def test_peer_leaves_ends(trial: Trial) -> None:
    connection = await trial.connect()
    starting = trial.start(connection.writer.start_tls(**arguments(trial)))
    await trial.turns()
    await connection.wire.close()
    await expect_error(Exception, starting)
    await expect_ends(trial, connection)


@clause("start_tls.peer-leaves.ends", networks=UPGRADED_AND_RESET)
async def test_peer_resets(trial: Trial) -> None:
    reader, writer, wire = connection = await trial.connect()
    starting = trial.start(writer.start_tls(**arguments(trial)))
    await trial.turns()
    await wire.reset()
    await expect_error(Exception, starting)
    await expect_error(ConnectionError, reader.read(1))
    await expect_ends(trial, connection)


@clause("start_tls.cancelled.raises", networks=UPGRADED)
async def test_cancelled_raises(trial: Trial) -> None:
    connection = await trial.connect()
    starting = await trial.cancelled(connection.writer.start_tls(**arguments(trial)))
    expect(starting.cancelled(), True, "start_tls() cancelled:")


@clause("start_tls.cancelled.ends", networks=UPGRADED)
async def test_cancelled_ends(trial: Trial) -> None:
    connection = await trial.connect()
    await trial.cancelled(connection.writer.start_tls(**arguments(trial)))
    await expect_ends(trial, connection)


@clause("start_tls.cancelled.ends", networks=UPGRADED)
async def test_cancelled_as_the_peer_leaves(trial: Trial) -> None:
    for turns in range(6):
        connection = await trial.connect()
        starting = trial.start(connection.writer.start_tls(**arguments(trial)))
        await trial.turns()
        await connection.wire.close()
        await trial.turns(turns)
        starting.cancel()
        await asyncio.wait([starting])
        if starting.cancelled():  # otherwise it has failed before, which another clause checks
            await expect_ends(trial, connection)


@clause("start_tls.cancelled.ends", networks=UPGRADED)
async def test_cancelled_with_bytes_to_send(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    transport = writer.transport
    transport.set_write_buffer_limits(high=len(overfill(trial)))  # drain() returns immediately
    writer.write(overfill(trial))
    reading = trial.start(reader.read())
    await trial.cancelled(writer.start_tls(**arguments(trial)))
    writer.close()
    closing = trial.start(writer.wait_closed())
    receiving = trial.start(wire.receive_to_end())
    await asyncio.wait([closing])
    expect(transport.get_write_buffer_size(), 0, "bytes to send when wait_closed() returned:")
    await asyncio.wait([reading, receiving])
    cancelled = [each.cancelled() for each in (closing, reading)]
    expect(cancelled, [False, False], "wait_closed() and read() cancelled:")
