"""`StreamWriter`: `close()`, `is_closing()` and `wait_closed()`."""

import asyncio
import gc
import sys
import traceback
import warnings
from contextlib import suppress
from unittest import mock

from conformance.harness.clause import HALF_CLOSED, PLAIN, RESETTABLE, TLS, clause
from conformance.harness.expect import expect, expect_error, expect_pending, expect_that
from conformance.harness.expectations import collected, lost
from conformance.harness.patterns import KIB, fill, pattern
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Trial
from conformance.networks.wire import Wire

LOST = (ConnectionResetError, BrokenPipeError)


async def expect_end(wire: Wire, data: bytes = b"") -> None:
    """Expect `data` and EOF on the wire; end the wire's direction too, because TLS needs that."""
    received = await wire.receive_rest()
    expect(len(received), len(data), "the number of bytes that arrived:")
    expect(received, data, "bytes:")
    await wire.close()


@clause("close.ends-the-stream")
async def test_ends_the_stream(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    expect(await wire.receive_rest(), b"", "bytes:")


@clause("close.sends-first")
async def test_sends_first(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"the last words")
    writer.close()
    expect(await wire.receive_rest(), b"the last words", "bytes:")


@clause("close.sends-first")
async def test_sends_what_waits_first(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    writer.close()
    await wire.settle()
    await expect_end(wire, data)


@clause("close.frees-the-socket", networks=PLAIN)
async def test_frees_the_socket(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    expect(await wire.receive_rest(), b"", "bytes:")
    await writer.wait_closed()

    async def send() -> None:
        for _ in range(1000):  # a kernel that does not know yet may still take the first one
            await wire.send(b"anybody there?")
            await trial.turns(1)

    await expect_error(Exception, send())


@clause("close.twice")
async def test_twice(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"once")
    writer.close()
    writer.close()
    await expect_end(wire, b"once")
    await writer.wait_closed()
    writer.close()
    await writer.wait_closed()


@clause("close.twice")
async def test_twice_changes_nothing(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    name = writer.get_extra_info("sockname")
    for _ in range(3):
        writer.close()
    expect(writer.get_extra_info("sockname"), name, "its address:")
    with suppress(Exception):  # it may refuse a late call
        writer.write(b"late")
    expect(writer.is_closing(), True, "is_closing()")
    await expect_end(wire)
    await writer.wait_closed()


@clause("close.twice")
async def test_again_and_again_while_sending(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    for _ in range(4):
        writer.close()
        await wire.settle()
    await expect_end(wire, data)


@clause("close.after-reset", networks=RESETTABLE)
async def test_after_reset(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    connection.writer.close()


@clause("close.ends-reads")
async def test_ends_reads(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send(b"some")
    expect(await take(reader, 4), b"some")
    reading = trial.start(reader.read(100))
    await trial.turns()
    writer.close()
    await expect_end(wire)
    expect(await reading, b"", "read(100)")


@clause("close.unread-data")
async def test_unread_data(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    await wire.send(b"never read")
    await wire.settle()
    writer.close()
    # It may reset the connection, so that the peer knows that some data was not received.
    expect((await wire.receive_to_end())[0], b"", "bytes:")
    await wire.close()
    await writer.wait_closed()


@clause("close.unread-data.paused", networks=PLAIN)
async def test_unread_data_paused(trial: Trial) -> None:
    _, writer, wire = await trial.connect(limit=KIB)
    await wire.send(pattern(32 * KIB))
    await wire.settle()
    writer.close()
    expect((await wire.receive_to_end())[0], b"", "bytes:")
    await wire.close()
    await writer.wait_closed()


@clause("close.receives-no-more")
async def test_receives_no_more(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await fill(trial, writer)  # closing waits until the far end reads
    reading = trial.start(reader.read(100))
    await trial.turns()
    writer.close()
    with suppress(ConnectionError):  # it may have ended the connection by then
        await wire.send(b"too late")
    await wire.settle()
    with suppress(ConnectionError):
        await wire.receive_to_end()
    await wire.close()
    await trial.turns()
    # Whether it ends, and how, is for other clauses.
    has_returned = reading.done() and reading.exception() is None
    expect(reading.result() if has_returned else b"", b"", "read(100)")


@clause("close.peer-goes-on.tls", networks=TLS)
async def test_peer_goes_on(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    with suppress(ConnectionError):  # it may have ended the connection by then
        for _ in range(10):
            await wire.send(b"more")
            await wire.settle()
        await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()


@clause("close.unread.tls", networks=TLS)
async def test_peer_ended_with_much_unread(trial: Trial) -> None:
    reader, writer, wire = await trial.connect(limit=10)
    await wire.send(pattern(1000))
    await reader.readexactly(1)
    await wire.send(pattern(1000))
    await wire.close()
    await wire.settle()
    writer.close()
    with suppress(ConnectionError):  # the far end may be gone before it hears of the end
        await writer.wait_closed()


@clause("close.reports-nothing")
async def test_reports_nothing(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send(b"hello")
    expect(await take(reader, 5), b"hello")
    writer.write(b"goodbye")
    writer.close()
    await expect_end(wire, b"goodbye")
    await writer.wait_closed()
    await trial.turns()
    expect(trial.reported, [], "the loop's exception handler was told")


async def collect(trial: Trial) -> None:
    """Collect what nothing refers to any more, and let what that causes happen."""
    # The loop refers to what woke this task until it has given control back.
    await asyncio.sleep(0)
    gc.collect()
    await trial.turns()
    gc.collect()


@clause("close.without-wait_closed", networks=RESETTABLE)
async def test_without_wait_closed(trial: Trial) -> None:
    connection = await trial.unkept()
    await lost(trial, connection)
    connection.writer.close()
    await trial.turns()
    del connection
    await collect(trial)
    expect(trial.reported, [], "the loop's exception handler was told")


@clause("close.forgotten.warns")
async def test_forgotten_warns(trial: Trial) -> None:
    gc.collect()  # what other tests left behind gives its warnings before
    reader, writer, wire = await trial.unkept()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del reader, writer
        await collect(trial)
    await wire.close()
    kinds = [each.category.__name__ for each in caught]
    expect_that("ResourceWarning" in kinds, "a ResourceWarning", f"warnings: {kinds}")


@clause("close.collected")
async def test_collected_when_closed(trial: Trial) -> None:
    gc.collect()  # what other tests left behind gives its warnings before
    reader, writer, wire = await trial.unkept()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        writer.close()
        await wire.receive_rest()
        await wire.close()
        await writer.wait_closed()
        del reader, writer
        await collect(trial)
    seen = [str(each.message) for each in caught if "unclosed" in str(each.message)]
    expect(seen, [], "warnings:")


@clause("close.forgotten.ends")
async def test_forgotten_ends(trial: Trial) -> None:
    reader, writer, wire = await trial.unkept()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del reader, writer
        await collect(trial)
        data, _ = await wire.receive_to_end()
    expect(data, b"", "bytes:")
    await wire.close()


@clause("write.without-drain")
async def test_forgotten_with_bytes_to_send(trial: Trial) -> None:
    reader, writer, wire = await trial.unkept()
    data = await fill(trial, writer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del reader, writer
        await collect(trial)
    expect(await wire.receive(len(data)), data, "bytes of a writer that nothing refers to:")
    await wire.close()


@clause("close.forgotten.loop-closed", networks=PLAIN)
def test_collected_when_the_loop_is_closed(trial: Trial) -> None:
    kept: list[Connection] = []

    async def connect() -> None:
        kept.append(await trial.unkept())

    trial.run(connect())
    trial.close()  # which knows nothing of this connection
    caught: list[object] = []
    with (
        warnings.catch_warnings(),
        mock.patch.object(sys, "unraisablehook", lambda each: caught.append(each.exc_value)),
    ):
        warnings.simplefilter("ignore")
        kept.clear()
        gc.collect()
    expect(caught, [], "raised in vain:")


@clause("is_closing.open")
async def test_is_closing_while_open(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    expect(writer.is_closing(), False, "is_closing()")
    writer.write(b"hello")
    await wire.send(b"hello")
    expect(await take(reader, 5), b"hello")
    expect(writer.is_closing(), False, "is_closing()")


@clause("is_closing.open")
async def test_is_closing_while_the_peer_is_slow(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    await fill(trial, writer)
    expect(writer.is_closing(), False, "is_closing() while much waits to be sent:")


@clause("is_closing.open")
async def test_is_closing_after_an_overrun(trial: Trial) -> None:
    reader, writer, wire = await trial.connect(limit=8)
    await wire.send(b"more than the limit")
    await wire.settle()
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))
    await trial.turns()
    expect(writer.is_closing(), False, "is_closing() after LimitOverrunError:")


@clause("is_closing.returns-bool")
async def test_is_closing_returns_bool(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    expect_bools(reader, writer)
    writer.close()
    expect_bools(reader, writer)
    await expect_end(wire)
    await writer.wait_closed()
    expect_bools(reader, writer)


def expect_bools(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Expect each method that answers a question to return a bool."""
    calls = {
        "is_closing()": writer.is_closing,
        "can_write_eof()": writer.can_write_eof,
        "at_eof()": reader.at_eof,
    }
    for name, call in calls.items():
        expect_that(isinstance(call(), bool), f"{name} True or False", call())


@clause("is_closing.after-close")
async def test_is_closing_after_close(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.write(b"the last words")
    writer.close()
    expect(writer.is_closing(), True, "is_closing() after close():")


@clause("is_closing.after-close")
async def test_is_closing_while_sending(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    await fill(trial, writer)
    writer.close()
    await wire.settle()
    expect(writer.is_closing(), True, "is_closing() while data is sent:")


@clause("is_closing.closed")
async def test_is_closing_when_closed(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    await expect_end(wire)
    await writer.wait_closed()
    expect(writer.is_closing(), True, "is_closing() after wait_closed():")


@clause("is_closing.after-reset", networks=RESETTABLE)
async def test_is_closing_after_reset(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    await expect_closing_soon(trial, connection)


async def expect_closing_soon(trial: Trial, connection: Connection) -> None:
    """Expect is_closing() to become True by itself."""

    async def is_closing() -> bool:
        return connection.writer.is_closing()

    expect(await trial.soon(is_closing), True, "is_closing()")


@clause("is_closing.after-peer-eof", networks=HALF_CLOSED)
async def test_is_closing_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    await wire.settle()
    expect(writer.is_closing(), False, "is_closing() after the peer's end of the stream:")


@clause("is_closing.after-peer-eof", networks=HALF_CLOSED)
async def test_is_closing_after_reads_that_met_eof(trial: Trial) -> None:
    for read in ("read", "readline", "readexactly", "readuntil"):
        reader, writer, wire = await trial.connect()
        await wire.send_eof()
        with suppress(trial.streams.IncompleteReadError):
            await getattr(reader, read)(*([5] if read == "readexactly" else []))
        await trial.turns()
        expect(writer.is_closing(), False, f"is_closing() after {read}() met EOF:")


@clause("is_closing.after-peer-eof.tls", networks=TLS)
async def test_is_closing_after_peer_eof_over_tls(trial: Trial) -> None:
    connection = await trial.connect()
    await connection.wire.send_eof()
    expect(await take_rest(connection.reader), b"")
    await expect_closing_soon(trial, connection)


@clause("wait_closed.waits-while-open")
async def test_waits_while_open(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    waiting = trial.start(writer.wait_closed())
    await wire.settle()
    expect_pending(waiting, "wait_closed()")


@clause("wait_closed.returns")
async def test_returns(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    before = trial.start(writer.wait_closed())
    await trial.turns()
    writer.close()
    after = trial.start(writer.wait_closed())
    await expect_end(wire)
    await before
    await after


@clause("wait_closed.waits-until-sent")
async def test_waits_until_sent(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    writer.close()
    waiting = trial.start(writer.wait_closed())
    await wire.settle()
    expect_pending(waiting, "wait_closed(), while the peer does not read,")
    await expect_end(wire, data)
    await waiting


@clause("wait_closed.several")
async def test_several(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    waiting = [trial.start(writer.wait_closed()) for _ in range(4)]
    await trial.turns()
    writer.close()
    await expect_end(wire)
    await asyncio.gather(*waiting)


@clause("wait_closed.again")
async def test_again(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    await expect_end(wire)
    await writer.wait_closed()
    await writer.wait_closed()


@clause("wait_closed.cancelled.raises")
async def test_cancelled_raises(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    waiting = await trial.cancelled(writer.wait_closed())
    expect(waiting.cancelled(), True, "wait_closed() cancelled:")


@clause("wait_closed.cancelled.leaves-others")
async def test_cancelled_leaves_others(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    cancelled, other = trial.start(writer.wait_closed()), trial.start(writer.wait_closed())
    await trial.turns()
    cancelled.cancel()
    await trial.turns()
    ended = "cancelled" if other.cancelled() else "done" if other.done() else "waiting"
    expect(ended, "waiting", "the other wait_closed()")
    writer.close()
    await expect_end(wire)
    await other


@clause("wait_closed.cancelled.leaves-others", networks=RESETTABLE)
async def test_cancelled_leaves_nothing_to_complain_of(trial: Trial) -> None:
    connection = await trial.connect()
    waiting = trial.start(connection.writer.wait_closed())
    await trial.turns()
    waiting.cancel()
    await trial.turns()
    del waiting  # whose traceback refers to what it waited for
    await lost(trial, connection)
    await collected(trial)
    expect(trial.reported, [], "reported:")


@clause("wait_closed.cancelled.later-calls")
async def test_cancelled_and_later_calls(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    cancelled = trial.start(writer.wait_closed())
    await trial.turns()
    cancelled.cancel()
    await trial.turns()
    writer.close()
    await expect_end(wire)
    for _ in range(2):
        later = trial.start(writer.wait_closed())
        await asyncio.wait([later])
        expect(later.cancelled(), False, "a later wait_closed() cancelled:")
        await later


@clause("wait_closed.after-peer-eof")
async def test_wait_closed_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    writer.close()
    await expect_end(wire)
    await writer.wait_closed()


@clause("wait_closed.after-peer-eof")
async def test_wait_closed_before_close_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    waiting = trial.start(writer.wait_closed())
    await trial.turns()
    writer.close()
    await expect_end(wire)
    await waiting


@clause("wait_closed.after-reset.ends", networks=RESETTABLE)
async def test_after_reset_ends(trial: Trial) -> None:
    connection = await trial.connect()
    writer = connection.writer
    before = trial.start(writer.wait_closed())
    await lost(trial, connection)
    writer.close()
    after = trial.start(writer.wait_closed())
    await asyncio.wait([before, after])


@clause("wait_closed.after-reset.raises", networks=RESETTABLE)
async def test_after_reset_raises(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    connection.writer.close()
    for _ in range(3):
        await expect_error(LOST, connection.writer.wait_closed())


@clause("wait_closed.after-reset.own-exception", networks=RESETTABLE)
async def test_own_exception(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    writer = connection.writer
    writer.close()
    one, two = await asyncio.gather(
        writer.wait_closed(), writer.wait_closed(), return_exceptions=True
    )
    expect_that(
        one is None or one is not two,
        "an exception for each wait_closed()",
        f"one {type(one).__name__} raised by both",
    )


@clause("wait_closed.after-reset.leaves-traceback", networks=RESETTABLE)
async def test_leaves_traceback(trial: Trial) -> None:
    connection = await trial.connect()
    error = await lost(trial, connection)

    def shown_by() -> list[str]:
        return [each.name for each in traceback.extract_tb(error.__traceback__ if error else None)]

    before = shown_by()
    connection.writer.close()
    with suppress(Exception):
        await connection.writer.wait_closed()
    expect(shown_by(), before, "functions in the read's traceback")
