"""A connection that start_tls() has upgraded is a stream like any other over TLS."""

import asyncio
import gc
import warnings
from collections.abc import Callable
from typing import Any, cast

from conformance.harness.clause import RESETTABLE, UPGRADED, Some, clause
from conformance.harness.expect import (
    expect,
    expect_error,
    expect_pending,
    expect_raises,
    expect_that,
)
from conformance.harness.expectations import (
    expect_drain_does_not_yield,
    expect_encrypted,
    expect_exception_of,
    expect_reading_over,
)
from conformance.harness.extra_info import known, unknown_to
from conformance.harness.handshakes import NO_TLS
from conformance.harness.patterns import fill
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import upgrade, upgraded
from conformance.networks.tls import TlsWire

UPGRADED_AND_RESET = Some(
    (each for each in UPGRADED if each in RESETTABLE), f"{UPGRADED.why}, and {RESETTABLE.why}"
)


SECRET = b"nobody may read this"


def tls_of(connection: Connection) -> TlsWire:
    """Return the far end of an upgraded connection."""
    assert isinstance(connection.wire, TlsWire)
    return connection.wire


# Writing.


@clause("start_tls.encrypts", networks=UPGRADED)
async def test_every_write_is_encrypted(trial: Trial) -> None:
    writes: tuple[Callable[[asyncio.StreamWriter], None], ...] = (
        lambda writer: writer.writelines([SECRET[:5], SECRET[5:]]),
        lambda writer: writer.writelines(iter([memoryview(SECRET)])),
        lambda writer: writer.write(memoryview(SECRET)),
        lambda writer: writer.transport.writelines([SECRET]),
    )
    for write in writes:
        connection = await upgraded(trial)
        write(connection.writer)
        await expect_encrypted(tls_of(connection), SECRET, SECRET[5:])


@clause("writelines.list", networks=UPGRADED)
async def test_writelines(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    writer.writelines([b"one", b"", b"two", b"three"])
    expect(await wire.receive(11), b"onetwothree")


@clause("transport.limits.set", networks=UPGRADED)
async def test_limits(trial: Trial) -> None:
    _, writer, _ = await upgraded(trial)
    for low, high in ((1000, 3000), (2000, 2000)):
        writer.transport.set_write_buffer_limits(high=high, low=low)
        expect(writer.transport.get_write_buffer_limits(), (low, high))


@clause("drain.waits", networks=UPGRADED)
async def test_drains_wait(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    data = await fill(trial, writer)
    drains = [trial.start(writer.drain()) for _ in range(3)]
    await wire.settle()
    for each in drains:
        expect_pending(each, "drain()")
    expect(await wire.receive(len(data)), data, "bytes:")
    await asyncio.gather(*drains)


@clause("drain.reset.waiting", networks=UPGRADED_AND_RESET)
async def test_reset_while_drains_wait(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    await fill(trial, writer)
    drains = [trial.start(writer.drain()) for _ in range(2)]
    await wire.settle()
    await wire.reset()
    for each in drains:
        await expect_error(ConnectionError, each)


# Reading.


@clause("reader.concurrent.refused", networks=UPGRADED)
async def test_concurrent_reads(trial: Trial) -> None:
    reader, _, wire = await upgraded(trial)
    reading = trial.start(reader.readexactly(4))
    await trial.turns()
    for second in (reader.read(1), reader.readline(), reader.readexactly(4)):
        await expect_error(RuntimeError, second)
    await wire.send(b"mine")
    expect(await reading, b"mine")


@clause("transport.pause-reading", networks=UPGRADED)
async def test_pause_reading(trial: Trial) -> None:
    reader, writer, wire = await upgraded(trial)
    transport = cast(asyncio.ReadTransport, writer.transport)
    reading = trial.start(take(reader, 9))
    await trial.turns()
    transport.pause_reading()
    expect(transport.is_reading(), False, "is_reading() while paused:")
    await wire.send(b"for later")
    await wire.settle()
    expect_pending(reading, "reading, while paused,")
    transport.resume_reading()
    expect(await reading, b"for later", "when resumed:")


@clause("reader.reset.is-not-eof", networks=UPGRADED_AND_RESET)
async def test_reset(trial: Trial) -> None:
    for name, arguments in (("read", [5]), ("readline", []), ("read", [])):
        reader, _, wire = await upgraded(trial)
        reading = trial.start(getattr(reader, name)(*arguments))
        await trial.turns()
        await wire.reset()
        await expect_error(Exception, reading)
        expect(reader.at_eof(), False, "at_eof()")


@clause("tls.close.says-close_notify", networks=UPGRADED)
async def test_says_close_notify(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    writer.write(b"the last words")
    writer.close()
    expect(await wire.receive_to_end(), (b"the last words", "eof"), "what arrives, and its end:")


@clause("tls.close.says-close_notify", networks=UPGRADED)
async def test_answers_close_notify(trial: Trial) -> None:
    reader, writer, wire = await upgraded(trial)
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    writer.close()
    expect(await wire.receive_to_end(), (b"", "eof"), "what arrives, and its end:")


@clause("tls.cut-off", networks=UPGRADED)
async def test_cut_off(trial: Trial) -> None:
    connection = await upgraded(trial)
    reader, _, wire = connection
    await wire.send(b"hello")
    expect(await take(reader, 5), b"hello")
    await tls_of(connection).cut_off()
    await expect_reading_over(reader)


@clause("tls.garbage", networks=UPGRADED)
async def test_garbage(trial: Trial) -> None:
    connection = await upgraded(trial)
    await tls_of(connection).carrier.send(NO_TLS)
    await expect_reading_over(connection.reader)


# Closing.


@clause("wait_closed.waits-until-sent", networks=UPGRADED)
async def test_waits_until_sent(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    data = await fill(trial, writer)
    writer.close()
    waiting = trial.start(writer.wait_closed())
    await wire.settle()
    expect_pending(waiting, "wait_closed(), while the peer does not read,")
    expect(await wire.receive_rest(), data, "bytes:")
    await wire.close()
    await waiting


@clause("wait_closed.waits-while-open", networks=UPGRADED)
async def test_waits_while_open(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    waiting = trial.start(writer.wait_closed())
    await wire.settle()
    expect_pending(waiting, "wait_closed(), before close(),")
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await waiting


@clause("is_closing.after-peer-eof.tls", networks=UPGRADED)
async def test_is_closing_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await upgraded(trial)
    await wire.send_eof()
    expect(await take_rest(reader), b"")

    async def closing() -> bool:
        return writer.is_closing()

    expect(await trial.soon(closing), True, "is_closing() after the peer's end:")


@clause("is_closing.after-reset", networks=UPGRADED_AND_RESET)
async def test_is_closing_after_reset(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    await wire.reset()

    async def closing() -> bool:
        return writer.is_closing()

    expect(await trial.soon(closing), True, "is_closing() after a reset:")


@clause("transport.abort.at-once", networks=UPGRADED)
async def test_abort(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    data = await fill(trial, writer)
    await wire.settle()
    writer.transport.abort()
    await asyncio.wait([trial.start(writer.wait_closed())])
    received, _ = await wire.receive_to_end()
    expect_that(len(received) < len(data), "less than all bytes on the wire", "all of them")


@clause("transport.abort.ends-reads", networks=UPGRADED)
async def test_abort_ends_reads(trial: Trial) -> None:
    reader, writer, _ = await upgraded(trial)
    reading = trial.start(reader.read(100))
    await trial.turns()
    writer.transport.abort()
    expect(await reading, b"", "read(100)")
    await writer.wait_closed()


@clause("close.forgotten.ends", networks=UPGRADED)
async def test_forgotten(trial: Trial) -> None:
    wire = await forgotten(trial)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):  # the object that is collected first may refer to the rest
            gc.collect()
            await trial.turns()
        await wire.receive_to_end()  # hangs if it is left open
    await wire.close()


async def forgotten(trial: Trial) -> TlsWire:
    """Upgrade a connection that nothing refers to afterwards; return its far end."""
    network, streams = trial.network, trial.streams
    if trial.role == "client":
        listener = await trial.listen()
        reader, writer = await network.open(streams, listener)
        wire = await listener.accept()
    else:
        pairs: asyncio.Queue[Any] = asyncio.Queue()
        served = await trial.serve(lambda *pair: pairs.put_nowait(pair))
        wire = await trial.dial(served.server)
        reader, writer = await pairs.get()
    return await upgrade(trial, Connection(reader, writer, wire))


@clause("get_extra_info.known", networks=UPGRADED)
async def test_known(trial: Trial) -> None:
    connection = await upgraded(trial)
    writer, tls = connection.writer, tls_of(connection).tls
    expect(unknown_to(writer, True, trial.role), [], "names that the transport does not know:")
    expect(known(writer, "ssl_object").server_side, trial.role == "server", "server_side")
    expect(known(writer, "cipher"), tls.cipher(), "cipher")
    if trial.role == "client":
        expect(bool(known(writer, "peercert")), True, "the server's certificate known:")


@clause("repr.names-the-class", networks=UPGRADED)
async def test_repr(trial: Trial) -> None:
    reader, writer, _ = await upgraded(trial)
    for each in (reader, writer):
        name = each.__class__.__name__
        expect_that(name in repr(each), f"a repr with {name}", repr(each))


# Reading, and the end.


@clause("reader.at-eof.true-at-the-end", networks=UPGRADED)
async def test_at_eof(trial: Trial) -> None:
    reader, _, wire = await upgraded(trial)
    expect(reader.at_eof(), False, "at_eof()")
    await wire.send(b"the end")
    await wire.send_eof()
    expect(await take_rest(reader), b"the end")
    expect(reader.at_eof(), True, "at_eof()")


@clause("reader.reset.exception", networks=UPGRADED_AND_RESET)
async def test_exception(trial: Trial) -> None:
    reader, _, wire = await upgraded(trial)
    expect(reader.exception(), None, "exception()")
    await wire.reset()
    raised = await expect_error(Exception, reader.read(1))
    expect_exception_of(reader, raised)


@clause("reader.own-close.keeps-data", networks=UPGRADED)
async def test_own_close_keeps_data(trial: Trial) -> None:
    reader, writer, wire = await upgraded(trial)
    await wire.send(b"?unread")
    expect(await take(reader, 1), b"?")
    await wire.settle()
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()
    expect(await take_rest(reader), b"unread")


@clause("write.empty", networks=UPGRADED)
async def test_write_nothing(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    for nothing in (b"", bytearray(), memoryview(b"")):
        writer.write(nothing)
    writer.writelines([])
    writer.write(b"something")
    expect(await wire.receive(9), b"something")


@clause("close.twice", networks=UPGRADED)
async def test_close_twice(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    data = await fill(trial, writer)
    for _ in range(3):
        writer.close()
        await trial.turns(3)
    received, _ = await wire.receive_to_end()
    expect(len(received), len(data), "the number of bytes that arrived:")
    await wire.close()
    await writer.wait_closed()


@clause("can_write_eof.false.raises", networks=UPGRADED)
async def test_write_eof(trial: Trial) -> None:
    _, writer, _ = await upgraded(trial)
    if not writer.can_write_eof():
        with expect_raises(NotImplementedError):
            writer.write_eof()


@clause("drain.does-not-yield", networks=UPGRADED)
async def test_drain_does_not_yield(trial: Trial) -> None:
    _, writer, _ = await upgraded(trial)
    await expect_drain_does_not_yield(trial, writer)


@clause("drain.cancelled.loses-nothing", networks=UPGRADED)
async def test_drain_cancelled(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    data = await fill(trial, writer)
    cancelled, other = (trial.start(writer.drain()) for _ in range(2))
    await wire.settle()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    writer.write(b"the end")
    expect(await wire.receive(len(data) + 7), data + b"the end", "bytes:")
    await other


@clause("write.bytearray.later-changes", networks=UPGRADED)
async def test_later_changes(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    buffer = bytearray(b"first ")
    for write in (writer.write, lambda data: writer.write(memoryview(data))):
        write(buffer)
        buffer[:] = b"second"
    buffer[:] = b"------"
    expect(await wire.receive(12), b"first second")


@clause("wait_closed.after-reset.raises", networks=UPGRADED_AND_RESET)
async def test_wait_closed_after_a_reset(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    waiting = trial.start(writer.wait_closed())
    await trial.turns()
    await wire.reset()
    for each in (waiting, writer.wait_closed()):
        await expect_error((ConnectionResetError, BrokenPipeError), each)


@clause("drain.closed", networks=UPGRADED)
async def test_drain_when_closed(trial: Trial) -> None:
    _, writer, wire = await upgraded(trial)
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()
    await expect_error(ConnectionResetError, writer.drain())


@clause("transport.abort.wait_closed", networks=UPGRADED)
async def test_wait_closed_after_abort(trial: Trial) -> None:
    _, writer, _ = await upgraded(trial)
    before = trial.start(writer.wait_closed())
    await trial.turns()
    writer.transport.abort()
    await before
    await writer.wait_closed()
