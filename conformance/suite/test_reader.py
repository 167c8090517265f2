"""`StreamReader` as a whole: its ends, its flow control, its errors, its use by several tasks."""

import gc
import pickle
import traceback
from asyncio import CancelledError, ReadTransport, StreamReader
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from conformance.errors import Deviation, described, shown
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, PLAIN, RESETTABLE, Some, clause
from conformance.harness.expect import expect, expect_error, expect_pending, expect_that
from conformance.harness.expectations import expect_exception_of, expect_held_back
from conformance.harness.reading import next_line, take, take_rest
from conformance.harness.trial import Trial

LIMIT = 64  # bytes

Read = Callable[[StreamReader], Coroutine[Any, Any, bytes]]

# A read of each kind. One that waits returns b"abc;def\n" when that comes (and the stream ends).
READS: dict[str, Read] = {
    "read()": lambda reader: reader.read(-1),
    "read(8)": lambda reader: reader.read(8),
    "readline()": lambda reader: reader.readline(),
    "readexactly(8)": lambda reader: reader.readexactly(8),
    "readuntil()": lambda reader: reader.readuntil(b"\n"),
    "async for": next_line,
}
DATA = b"abc;def\n"

CLOSED_AT_ONCE = Some(PLAIN, "closing TLS takes an answer, which the far end does not give")


async def outcome(trial: Trial, reading: Coroutine[Any, Any, bytes]) -> bytes:
    """Return the data of a read that meets EOF: its result, or the exception's `partial`."""
    try:
        return await reading
    except (trial.streams.IncompleteReadError, EOFError, StopAsyncIteration) as error:
        return getattr(error, "partial", b"")


async def result_or_error(reading: Coroutine[Any, Any, bytes]) -> str:
    """Return, in words, how a read ended."""
    try:
        return f"{shown(await reading)} returned"
    except Exception as error:
        return described(error)


# at_eof() and feed_eof().


@clause("reader.at-eof.false-at-first")
async def test_at_eof_is_false_at_first(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    expect(reader.at_eof(), False, "at_eof() of a new connection:")
    await wire.send(b"abc")
    await take(reader, 3)
    expect(reader.at_eof(), False, "at_eof() after all that came was read:")


@clause("reader.at-eof.false-while-bytes-remain")
async def test_at_eof_is_false_while_bytes_remain(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    for _ in range(3):
        await wire.settle()
        expect(reader.at_eof(), False, "at_eof() with bytes unread:")
        await take(reader, 1)


@clause("reader.at-eof.true-at-the-end")
async def test_at_eof_is_true_at_the_end(trial: Trial) -> None:
    for read in READS.values():
        reader, _, wire = await trial.connect()
        await wire.send(b"abc")
        await wire.send_eof()
        for _ in range(4):
            await outcome(trial, read(reader))
        expect(reader.at_eof(), True, "at_eof() at the end:")


@clause("reader.feed-eof.at-eof")
async def test_feed_eof_makes_at_eof_true(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await take(reader, 3)
    reader.feed_eof()
    expect(reader.at_eof(), True, "at_eof() after feed_eof():")


@clause("reader.feed-eof.at-eof", roles=BY_HAND)
async def test_feed_eof_and_an_error_make_at_eof_true(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT, "set_exception")
    reader.feed_eof()
    reader.set_exception(LookupError("no more"))
    expect(reader.at_eof(), True, "at_eof() after feed_eof() and set_exception():")
    other = by_hand(trial, LIMIT)
    other.set_exception(LookupError("no more"))
    other.feed_eof()
    expect(other.at_eof(), True, "at_eof() after set_exception() and feed_eof():")


@clause("reader.feed-eof.ends-reads")
async def test_feed_eof_ends_reads(trial: Trial) -> None:
    for name, read in READS.items():
        reader, _, _ = await trial.connect()
        reading = trial.start(outcome(trial, read(reader)))
        await trial.turns()
        reader.feed_eof()
        expect(await reading, b"", f"{name} that waited:")
        expect(await outcome(trial, read(reader)), b"", f"{name} afterwards:")


@clause("reader.feed-eof.keeps-what-was-fed")
async def test_feed_eof_keeps_what_was_received(trial: Trial) -> None:
    # A read that waits for more makes the reader receive the data that has arrived.
    reads = {name: read for name, read in READS.items() if name != "read(8)"}
    for name, read in reads.items():
        reader, _, wire = await trial.connect()
        await wire.send(b"abcd")
        expect(await take(reader, 1), b"a")  # so that the sent data has surely been received
        reading = trial.start(outcome(trial, read(reader)))
        await wire.received()
        reader.feed_eof()
        expect(await reading, b"bcd", f"{name}:")


@clause("reader.feed-eof.keeps-what-was-fed", roles=BY_HAND)
async def test_feed_eof_keeps_what_was_fed(trial: Trial) -> None:
    for name, read in READS.items():
        reader = by_hand(trial, LIMIT)
        reader.feed_data(b"abc")
        reader.feed_eof()
        expect(reader.at_eof(), False, "at_eof() with bytes unread:")
        got = await outcome(trial, read(reader))
        if name == "read(8)":  # which may return less
            got += await take_rest(reader)
        expect(got, b"abc", f"{name}:")


@clause("reader.feed-eof.twice", roles=BY_HAND)
async def test_feed_eof_twice(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"abc")
    reader.feed_eof()
    reader.feed_eof()
    expect(await take_rest(reader), b"abc")
    reader.feed_eof()
    expect(await take_rest(reader), b"")


@clause("reader.feed-eof.late-bytes")
async def test_bytes_after_feed_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    write = writer.write  # a reader fed by hand gets no late bytes: not applicable to one
    reader.feed_eof()
    await wire.send(b"late")
    await wire.received()
    write(b"still here")
    await writer.drain()
    expect(await wire.receive(10), b"still here")
    expect([described(each["exception"]) for each in trial.reported if "exception" in each], [])


# Iteration.


@clause("reader.iteration.whole-stream")
async def test_iteration_over_the_whole_stream(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    data = b"one\n\ntwo\r\nthree"
    for byte in data:
        await wire.send(bytes([byte]))
    await wire.send_eof()
    await wire.settle()
    got = b""
    async for piece in reader:
        got += piece
    expect(got, data)


@clause("reader.iteration.lines")
async def test_iteration_over_lines(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\n\ntwo\r\n")
    await wire.send_eof()
    expect([line async for line in reader], [b"one\n", b"\n", b"two\r\n"])


@clause("reader.iteration.as-lines-come")
async def test_iteration_as_lines_come(trial: Trial) -> None:
    # A line that is not yielded before the next is sent is waited for forever.
    reader, _, wire = await trial.connect()
    count = 0
    await wire.send(b"0\n")
    async for line in reader:
        expect(line, b"%d\n" % count)
        count += 1
        if count == 3:
            break
        await wire.send(b"%d\n" % count)


@clause("reader.iteration.last-line")
async def test_iteration_yields_the_last_line(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\ntw")
    await wire.send_eof()
    expect([line async for line in reader], [b"one\n", b"tw"])


@clause("reader.iteration.left-and-resumed")
async def test_iteration_left_and_resumed(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\n\nbody\ntwo\nthree\n")
    await wire.send_eof()
    async for line in reader:
        if line == b"\n":
            break
    expect(await take(reader, 5), b"body\n")
    expect([line async for line in reader], [b"two\n", b"three\n"])


@clause("reader.iteration.limit")
async def test_iteration_and_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    await wire.send(b"one\n" + b"x" * (LIMIT + 1) + b"\n")
    await wire.settle()
    iterator = aiter(reader)
    expect(await anext(iterator), b"one\n")

    async def following() -> bytes:
        return await anext(iterator)

    await expect_error(ValueError, following())
    await wire.send(b"two\n")
    line = await next_line(reader)
    if line == b"\n":  # the rest of the long line, which had not arrived when it was refused
        line = await next_line(reader)
    expect(line, b"two\n", "the first line of another loop:")


# Flow control.


@clause("reader.flow.peer-is-held-back")
async def test_peer_is_held_back(trial: Trial) -> None:
    _, writer, wire = await trial.connect(limit=LIMIT)
    expect(writer.is_closing(), False, "is_closing()")  # a reader alone has no back pressure
    await expect_held_back(trial, wire)


@clause("reader.flow.goes-on")
async def test_peer_goes_on(trial: Trial) -> None:
    limit = 4096
    data = (b"x" * (limit - 1) + b"\n") * 200  # more than a transport receives in one go
    reads: dict[str, Read] = READS | {
        "read(8192)": lambda reader: reader.read(2 * limit),
        "readexactly(40960)": lambda reader: reader.readexactly(10 * limit),
    }
    del reads["read(8)"], reads["readexactly(8)"]  # too small for so much
    for name, read in reads.items():
        reader, _, wire = await trial.connect(limit=limit)

        async def send() -> None:
            await wire.send(data)  # noqa: B023  # awaited before the next one is made
            await wire.send_eof()  # noqa: B023

        sending = trial.start(send())
        await trial.turns(20)  # more than the reader wants to hold is there
        got = bytearray()
        while len(got) <= len(data) and (piece := await outcome(trial, read(reader))):
            got += piece
        expect(bytes(got), data, f"by {name}:")
        await sending


@clause("reader.flow.goes-on-after-cancelled-read")
async def test_peer_goes_on_after_a_cancelled_read(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = DATA * 512

    async def send() -> None:
        await wire.send(data)
        await wire.send_eof()

    reading = trial.start(outcome(trial, reader.readexactly(len(data) + 1)))
    await trial.turns(2)
    sending = trial.start(send())
    await trial.turns(2)
    reading.cancel()
    got = b""
    with suppress(CancelledError):
        got += await reading  # it may have met EOF by then
    while len(got) <= len(data) and (piece := await reader.read(LIMIT)):
        got += piece
    expect(got, data)
    await sending


# The connection ends.


@clause("reader.closed-in-order.keeps-data", networks=CLOSED_AT_ONCE)
async def test_closed_in_order_keeps_data(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\ntwo;three")
    await wire.close()
    await trial.turns()
    expect(await reader.readline(), b"one\n")
    expect(await reader.readuntil(b";"), b"two;")
    expect(await reader.readexactly(2), b"th")
    expect(await reader.read(-1), b"ree")


@clause("reader.own-close.ends-reads", networks=CLOSED_AT_ONCE)
async def test_own_close_ends_reads(trial: Trial) -> None:
    for name, read in READS.items():
        reader, writer, _ = await trial.connect()
        reading = trial.start(outcome(trial, read(reader)))
        await trial.turns()
        writer.close()
        expect(await reading, b"", f"{name}:")


@clause("reader.own-close.keeps-data", networks=CLOSED_AT_ONCE)
async def test_own_close_keeps_data(trial: Trial) -> None:
    for name, read in READS.items():
        reader, writer, wire = await trial.connect()
        await wire.send(b"?" + DATA)
        expect(await take(reader, 1), b"?")
        await wire.settle()
        writer.close()
        await writer.wait_closed()
        got = await read(reader)
        expect_that(bool(got) and DATA.startswith(got), f"{name} {DATA!r} (or a part)", got)
        expect(await take_rest(reader), DATA.removeprefix(got), f"after {name}:")


@clause("reader.own-abort.ends-reads")
async def test_own_abort_ends_reads(trial: Trial) -> None:
    # The clause does not say how it ends: waiting here is the deviation.
    for read in READS.values():
        reader, writer, _ = await trial.connect()
        reading = trial.start(result_or_error(read(reader)))
        await trial.turns()
        writer.transport.abort()
        await reading


@clause("reader.reset.waiting-read", networks=RESETTABLE)
async def test_reset_while_a_read_waits(trial: Trial) -> None:
    for read in READS.values():
        reader, _, wire = await trial.connect()
        reading = trial.start(read(reader))
        await trial.turns()
        await wire.reset()
        await expect_error(ConnectionResetError, reading)


@clause("reader.reset.later-reads", networks=RESETTABLE)
async def test_reads_after_a_reset(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(1))
    await wire.reset()
    with suppress(Exception):
        await reading
    for _ in range(2):
        for read in READS.values():
            await expect_error(ConnectionResetError, read(reader))


@clause("reader.reset.is-not-eof", networks=RESETTABLE)
async def test_reset_is_not_eof(trial: Trial) -> None:
    for read in (READS["read()"], READS["readline()"], READS["readexactly(8)"]):
        reader, _, wire = await trial.connect()
        reading = trial.start(read(reader))
        await wire.send(b"abc")
        await wire.settle()
        await wire.reset()
        await expect_error(Exception, reading)
        expect(reader.at_eof(), False, "at_eof() after a reset:")


@clause("reader.reset.is-not-eof", networks=RESETTABLE)
async def test_reset_does_not_end_a_loop(trial: Trial) -> None:
    reader, _, wire = await trial.connect()

    async def loop() -> None:
        async for _ in reader:
            pass

    looping = trial.start(loop())
    await wire.send(b"line\nanother")
    await wire.settle()
    await wire.reset()
    await expect_error(Exception, looping)


@clause("reader.reset.exception", networks=RESETTABLE)
async def test_exception_after_a_reset(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    expect(reader.exception(), None, "exception()")
    reading = trial.start(reader.read(1))
    await wire.reset()
    raised = await expect_error(Exception, reading)
    expect_exception_of(reader, raised)


# Only for a reader fed by hand is it known which bytes arrived before an error.


@clause("reader.reset.received-bytes-first", roles=BY_HAND)
async def test_received_bytes_before_the_error(trial: Trial) -> None:
    for name, read in READS.items():
        if name == "read()":
            continue  # it needs EOF, so it raises the error
        reader = by_hand(trial, LIMIT, "set_exception")
        reader.feed_data(DATA)
        reader.set_exception(ConnectionResetError("reset"))
        got = await read(reader)
        while name == "read(8)" and len(got) < len(DATA):  # it may return less
            got += await read(reader)
        expect(got, DATA, f"{name}:")
        await expect_error(ConnectionResetError, read(reader))


@clause("reader.reset.received-bytes-first", roles=BY_HAND)
async def test_what_is_no_whole_message_is_kept_at_an_error(trial: Trial) -> None:
    for name, read in READS.items():
        if name == "read(8)":
            continue  # it returns what is there
        for waits in (True, False):
            reader = by_hand(trial, LIMIT, "set_exception")
            reader.feed_data(DATA[:3])
            reading = trial.start(read(reader))
            if waits:
                await trial.turns()
            reader.set_exception(ConnectionResetError("reset"))
            await expect_error(ConnectionResetError, reading)
            expect(await take(reader, 3), DATA[:3], f"after {name} has raised the error:")


@clause("reader.reset.read-all-keeps-bytes", roles=BY_HAND)
async def test_read_all_keeps_bytes_at_an_error(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT, "set_exception")
    reading = trial.start(reader.read(-1))
    for piece in (b"abc", b"def"):
        reader.feed_data(piece)
        await trial.turns()
    reader.set_exception(ConnectionResetError("reset"))
    await expect_error(ConnectionResetError, reading)
    expect(await take(reader, 6), b"abcdef")


@clause("reader.reset.own-exception", networks=RESETTABLE)
async def test_exception_of_its_own(trial: Trial) -> None:
    for name, read_first in READS.items():
        reader, _, wire = await trial.connect()
        reading = trial.start(read_first(reader))
        await wire.reset()
        first = await expect_error(Exception, reading)
        before = traceback.extract_tb(first.__traceback__).format()
        for read in READS.values():
            await expect_error(Exception, read(reader))
        after = traceback.extract_tb(first.__traceback__).format()
        expect_that(
            before == after,
            f"the traceback of the exception of {name} as it was, of {len(before)} frames",
            f"{len(after)} frames after other reads",
        )


@clause("reader.reset.own-exception", roles=BY_HAND)
async def test_exception_of_its_own_at_the_end(trial: Trial) -> None:
    reads: tuple[Read, ...] = (lambda reader: reader.readexactly(5), READS["readuntil()"])
    for read in reads:
        reader = by_hand(trial, LIMIT)
        reader.feed_eof()
        first = await expect_error(trial.streams.IncompleteReadError, read(reader))
        others = [
            await expect_error(trial.streams.IncompleteReadError, read(reader)) for _ in range(2)
        ]
        others.append(await expect_error(trial.streams.IncompleteReadError, reader.readexactly(7)))
        expect_that(first not in others, "an exception for each read", "one that several raised")


# More than one read at a time.


@clause("reader.concurrent.refused")
async def test_concurrent_read_is_refused(trial: Trial) -> None:
    for first in READS.values():
        reader, _, _ = await trial.connect()
        reading = trial.start(first(reader))
        await trial.turns()
        for second in READS.values():
            await expect_error(RuntimeError, second(reader))
        reading.cancel()
        await trial.turns()


@clause("reader.concurrent.first-unharmed")
async def test_first_is_unharmed(trial: Trial) -> None:
    for name, first in READS.items():
        reader, _, wire = await trial.connect()
        reading = trial.start(first(reader))
        await trial.turns()
        others = [trial.start(second(reader)) for second in READS.values()]
        await trial.turns()
        for other in others:
            other.cancel()  # unless it was refused
        await trial.turns()
        await wire.send(DATA)
        if name == "read()":
            await wire.send_eof()
        got = await reading
        expect_that(bool(got) and DATA.startswith(got), f"{name} {DATA!r} (or a part)", got)


@clause("reader.concurrent.takes-nothing")
async def test_concurrent_read_takes_nothing(trial: Trial) -> None:
    for first in (READS["readline()"], READS["readexactly(8)"], READS["readuntil()"]):
        reader, _, wire = await trial.connect()
        reading = trial.start(first(reader))
        await wire.send(DATA[:4])
        await wire.settle()
        # Refused, or made to wait for its turn.
        other = trial.start(result_or_error(reader.read(2)))
        await trial.turns()
        await wire.send(DATA[4:])
        expect(await reading, DATA, "the read that waited:")
        other.cancel()
        await trial.turns()


@clause("reader.concurrent.takes-nothing")
async def test_no_kind_of_concurrent_read_takes_anything(trial: Trial) -> None:
    others: dict[str, Read] = {
        "read(2)": lambda reader: reader.read(2),
        "readline()": lambda reader: reader.readline(),
        "readexactly(2)": lambda reader: reader.readexactly(2),
        "readuntil(b';')": lambda reader: reader.readuntil(b";"),
        "readuntil(b'!')": lambda reader: reader.readuntil(b"!"),
        "readexactly(1)": lambda reader: reader.readexactly(1),
    }
    for name, read in others.items():
        for arrived in (b"", DATA):  # before the first read
            reader, _, wire = await trial.connect()
            await wire.send(arrived)
            await wire.received()
            reading = trial.start(reader.readexactly(12))
            await wire.send(DATA.removeprefix(arrived))
            await wire.received()
            other = trial.start(result_or_error(read(reader)))
            await trial.turns()
            await wire.send(b"rest")
            expect(await reading, DATA + b"rest", f"the read that waited, beside {name}:")
            other.cancel()
            await trial.turns()


@clause("reader.concurrent.no-false-eof", roles=BY_HAND)
async def test_no_false_eof(trial: Trial) -> None:
    # By hand, so that a read begins between the arrival of bytes and the return of the read that
    # they woke.
    reader = by_hand(trial, LIMIT)
    first = trial.start(reader.read(8))
    await trial.turns()

    async def feed_and_read() -> bytes:
        reader.feed_data(b"a")
        return await reader.read(8)

    second = trial.start(feed_and_read())
    await trial.turns()
    expect_that(
        not first.done() or first.result() != b"", "no b'' while the stream goes on", "b'' returned"
    )
    for reading in (first, second):
        reading.cancel()
        with suppress(CancelledError, Exception):  # it may be refused
            await reading


@clause("reader.concurrent.after-cancelling")
async def test_read_right_after_cancelling_another(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(8))
    await trial.turns()
    sending = trial.start(wire.send(b"abc"))
    reading.cancel()
    try:
        expect(await take(reader, 3), b"abc")
    except RuntimeError as error:
        raise Deviation("another read to be possible at once", described(error)) from None
    await sending


@clause("reader.cancelled.as-bytes-arrive", roles=BY_HAND)
async def test_cancelled_as_bytes_arrive(trial: Trial) -> None:
    for name, read in READS.items():
        for turns in range(4):
            reader = by_hand(trial, LIMIT)
            reading = trial.start(read(reader))
            await trial.turns()
            reader.feed_data(DATA)
            reader.feed_eof()
            await trial.turns(turns)
            reading.cancel()
            got = b""
            with suppress(CancelledError):
                got = await reading
            expect(got + await take_rest(reader), DATA, f"{name} cancelled, and read():")


@clause("reader.cancelled.raises")
async def test_cancelled_read_raises(trial: Trial) -> None:
    for name, read in READS.items():
        reader, _, _ = await trial.connect()
        reading = await trial.cancelled(read(reader))
        expect(reading.cancelled(), True, f"{name} cancelled:")


@clause("reader.waiting.kept-alive")
async def test_waiting_kept_alive(trial: Trial) -> None:
    listener = await trial.listen()

    async def talk() -> None:
        reader, writer = await trial.network.open(trial.streams, listener)
        writer.write(b"ready")
        await reader.readexactly(1)
        writer.write(b"!")
        writer.close()

    trial.start(talk())
    wire = await listener.accept()
    await wire.receive(5)
    await wire.settle()
    gc.collect()
    await trial.turns()
    gc.collect()
    with suppress(ConnectionError):  # if the task is gone, its connection may be gone, too
        await wire.send(b"?")
    expect(await wire.receive_rest(), b"!")
    await wire.close()


# Its errors.


@clause("reader.errors.incomplete-is-eof-error")
async def test_incomplete_read_error_is_eof_error(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send_eof()
    await expect_error(EOFError, reader.readexactly(1))
    await expect_error(EOFError, reader.readuntil(b"\n"))


@clause("reader.errors.pickle")
async def test_errors_can_be_pickled(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    reading = trial.start(reader.readuntil(b"\n"))
    await wire.send(b"x" * 2 * LIMIT)
    overrun = await expect_error(trial.streams.LimitOverrunError, reading)
    expect(pickle.loads(pickle.dumps(overrun)).consumed, overrun.consumed, "consumed")
    await wire.send_eof()
    incomplete = await expect_error(
        trial.streams.IncompleteReadError, reader.readexactly(3 * LIMIT)
    )
    copy = pickle.loads(pickle.dumps(incomplete))
    expect((copy.partial, copy.expected), (b"x" * 2 * LIMIT, 3 * LIMIT), "partial and expected")


# Readers made and fed by hand.


@clause("reader.by-hand.limit-and-loop", roles=BY_HAND)
def test_by_hand(trial: Trial) -> None:
    # Made outside the loop, as protocol factories are.
    reader = trial.streams.StreamReader(limit=LIMIT, loop=trial.loop)
    reader.feed_data(b"one\n")

    async def read() -> None:
        expect(await reader.readline(), b"one\n")
        reading = trial.start(reader.readuntil(b"\n"))
        await trial.turns()
        reader.feed_data(b"x" * (LIMIT + 1) + b"\n")
        await expect_error(trial.streams.LimitOverrunError, reading)

    trial.run(read())


@clause("reader.by-hand.limit-and-loop", roles=BY_HAND)
async def test_limit_stays(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    for _ in range(3):
        for read in (reader.readline, reader.readuntil, lambda: reader.readexactly(8)):
            await trial.cancelled(read())
        reader.feed_data(b"x" * (LIMIT + 1) + b"\n")
        await expect_error(ValueError, reader.readline())
        reader.feed_data(b"x" * LIMIT + b"\n")
        expect(len(await reader.readline()), LIMIT + 1, "bytes of the longest line:")


@clause("reader.by-hand.running-loop", roles=BY_HAND)
async def test_by_hand_in_a_coroutine(trial: Trial) -> None:
    reader = trial.streams.StreamReader()
    reading = trial.start(reader.readline())
    await trial.turns()
    line = b"x" * 65535 + b"\n"
    reader.feed_data(line)
    expect(await reading, line)
    reader.feed_data(b"x" * 65537 + b"\n")
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"\n"))


@clause("reader.by-hand.limit-is-positive", roles=BY_HAND)
async def test_limit_is_positive(trial: Trial) -> None:
    for limit in (0, -1):
        try:
            trial.streams.StreamReader(limit=limit, loop=trial.loop)
        except ValueError:
            continue
        raise Deviation(f"ValueError for limit={limit}", "no exception")


@clause("reader.by-hand.feed-data", roles=BY_HAND)
async def test_feed_data_wakes_reads(trial: Trial) -> None:
    for name, read in READS.items():
        reader = trial.streams.StreamReader(limit=LIMIT, loop=trial.loop)
        reading = trial.start(take(reader, 8) if name == "read(8)" else read(reader))
        await trial.turns()
        if name == "read(8)":
            reader.feed_data(DATA)
        else:
            for byte in DATA:
                reader.feed_data(bytes([byte]))
                await trial.turns(2)
        if name == "read()":
            reader.feed_eof()
        expect(await reading, DATA, f"{name}:")


@clause("reader.by-hand.feed-data.bytes-like", roles=BY_HAND)
async def test_feed_data_of_bytes_like(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    buffer = bytearray(b"abcd")
    reader.feed_data(buffer)
    reader.feed_data(memoryview(buffer)[2:])
    buffer[:] = b"wxyz"
    got = await take(reader, 6)
    expect(got, b"abcdcd")
    expect(type(got), bytes)
    large = bytearray(b"x" * 2 * LIMIT * 1024)
    reader.feed_data(large)
    large[:] = b"y" * len(large)
    got = await take(reader, len(large))
    expect(got.count(b"y"), 0, f"bytes of {len(large)} that were changed after feed_data():")


@clause("reader.by-hand.feed-data.bytes-like", roles=BY_HAND)
async def test_feed_data_of_wide_items(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(memoryview(DATA).cast("i"))
    reader.feed_eof()
    expect(await take_rest(reader), DATA)


@clause("reader.by-hand.feed-data.nothing", roles=BY_HAND)
async def test_feed_data_of_nothing(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reading = trial.start(reader.read(8))
    await trial.turns()
    reader.feed_data(b"")
    await trial.turns()
    expect_pending(reading, "read(8), after feed_data(b''),")
    expect(reader.at_eof(), False, "at_eof():")
    reader.feed_data(b"a")
    reader.feed_eof()
    expect(await reading, b"a")


@clause("reader.by-hand.feed-data.after-eof", roles=BY_HAND)
async def test_feed_data_after_eof(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"abc")
    reader.feed_eof()
    with suppress(Exception):
        reader.feed_data(b"d")
    expect(await reader.read(), b"abc")
    expect(reader.at_eof(), True, "at_eof():")


@clause("reader.by-hand.set-exception.after-eof", roles=BY_HAND)
async def test_set_exception_after_eof(trial: Trial) -> None:
    for name, read in READS.items():
        reader = by_hand(trial, LIMIT)
        reader.feed_eof()
        reader.set_exception(LookupError(name))
        error = await expect_error(LookupError, read(reader))
        expect(error.args, (name,), "args")


@clause("reader.by-hand.set-exception", roles=BY_HAND)
async def test_set_exception(trial: Trial) -> None:
    for read in READS.values():
        reader = by_hand(trial, LIMIT)
        reading = trial.start(read(reader))
        await trial.turns()
        reader.set_exception(LookupError("no", "more"))
        for each in (reading, read(reader)):
            error = await expect_error(LookupError, each)
            expect(error.args, ("no", "more"), "args")


class Terse(Exception):
    """An exception whose arguments differ from those of its class."""

    def __init__(self, code: int, *, text: str) -> None:
        super().__init__(f"{code} {text}")


class Quoting(Exception):
    """An exception that changes its arguments."""

    def __init__(self, text: str) -> None:
        super().__init__(f"<{text}>")


class Plain(Exception):
    """An exception that is pickled, and copied, as another one."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the constructor of the other one."""
        return Exception, self.args


@clause("reader.by-hand.set-exception", roles=BY_HAND)
async def test_set_exception_of_any_shape(trial: Trial) -> None:
    for given in (Terse(4, text="no more"), Quoting("no more"), Plain("no", "more")):
        reader = by_hand(trial, LIMIT)
        reader.set_exception(given)
        for _ in range(2):
            error = await expect_error(type(given), reader.read(1))
            expect(error.args, given.args, "args")


@clause("reader.by-hand.set-exception", roles=BY_HAND)
async def test_set_exception_with_a_cause(trial: Trial) -> None:
    cause, context, given = ValueError("cause"), KeyError("context"), LookupError("no more")
    given.__context__ = context
    for given.__cause__, given.__suppress_context__ in ((cause, True), (None, False), (None, True)):
        reader = by_hand(trial, LIMIT)
        reader.set_exception(given)
        error = await expect_error(LookupError, reader.read(1))
        expect_that(error.__cause__ is given.__cause__, "its cause", error.__cause__)
        expect_that(error.__context__ is context, "its context", error.__context__)
        expect(error.__suppress_context__, given.__suppress_context__, "__suppress_context__")


@clause("reader.by-hand.set-exception", roles=BY_HAND)
async def test_set_exception_with_attributes(trial: Trial) -> None:
    given: Any = ConnectionResetError("no more")
    given.code = 104
    given.add_note("of the program")
    reader = by_hand(trial, LIMIT)
    reader.set_exception(given)
    for read in READS.values():
        error = await expect_error(ConnectionResetError, read(reader))
        expect(getattr(error, "code", None), 104, "an attribute that the program set:")
        notes = getattr(error, "__notes__", [])  # the implementation may add one of its own
        expect_that("of the program" in notes, "the program's note", repr(notes))


@clause("reader.by-hand.exception", roles=BY_HAND)
async def test_exception(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    expect(reader.exception(), None, "exception()")
    error = LookupError("no more")
    reader.set_exception(error)
    expect_that(reader.exception() is error, f"exception() {error!r}", reader.exception())


@clause("reader.by-hand.set-exception", roles=BY_HAND)
async def test_set_exception_lasts(trial: Trial) -> None:
    for read in READS.values():
        reader = by_hand(trial, LIMIT)
        reader.set_exception(LookupError("no more"))
        reader.feed_data(b"a")
        with suppress(LookupError):  # it may raise although something is left
            await reader.read(1)
        await expect_error(LookupError, read(reader))
        reader.feed_eof()
        await expect_error(LookupError, read(reader))


@clause("reader.by-hand.exception", roles=BY_HAND)
async def test_exception_of_the_last_call(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    for error in (LookupError("no more"), ConnectionResetError("reset")):
        reader.set_exception(error)
        expect_that(reader.exception() is error, f"exception() {error!r}", reader.exception())
        reader.feed_data(b"a")
        expect_that(reader.exception() is error, f"exception() {error!r}", reader.exception())
    reader.feed_eof()
    expect_that(reader.exception() is error, f"exception() {error!r}", reader.exception())


class Transport(ReadTransport):
    """A transport that only knows whether it is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False

    def pause_reading(self) -> None:
        """Note that it is paused."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note that it is not."""
        self.paused = False


class Unpausable(ReadTransport):
    """A transport that cannot be paused."""

    def pause_reading(self) -> None:
        """Raise `NotImplementedError`."""
        raise NotImplementedError


def by_hand_on_a_transport(trial: Trial, limit: int = LIMIT) -> tuple[StreamReader, Transport]:
    """Return a reader without a connection, and the transport that it pauses and resumes."""
    reader, transport = by_hand(trial, limit), Transport()
    reader.set_transport(transport)
    return reader, transport


@clause("reader.feed-eof.keeps-what-was-fed", roles=BY_HAND)
async def test_feed_eof_keeps_what_was_held_back(trial: Trial) -> None:
    reader, transport = by_hand_on_a_transport(trial)
    reader.feed_data(DATA * LIMIT)
    expect(transport.paused, True, "paused with far more than the limit unread:")
    reader.feed_eof()
    expect(await take_rest(reader), DATA * LIMIT)


@clause("reader.reset.received-bytes-first", roles=BY_HAND)
async def test_what_was_held_back_before_the_error(trial: Trial) -> None:
    reader, transport = by_hand_on_a_transport(trial)
    reader.feed_data(DATA * LIMIT)
    expect(transport.paused, True, "paused with far more than the limit unread:")
    reader.set_exception(ConnectionResetError("reset"))
    expect(await take(reader, len(DATA) * LIMIT), DATA * LIMIT)
    await expect_error(ConnectionResetError, reader.read(1))


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_transport_by_hand(trial: Trial) -> None:
    reader, transport = by_hand_on_a_transport(trial)
    for _ in range(2):
        reader.feed_data(b"x" * (LIMIT - 1))
        expect(transport.paused, False, "paused with less than the limit unread:")
        reader.feed_data(b"x" * (9 * LIMIT + 1))
        expect(transport.paused, True, f"paused with {10 * LIMIT} bytes unread:")
        await take(reader, 10 * LIMIT)
        expect(transport.paused, False, "paused with nothing unread:")


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_every_read_resumes_the_transport(trial: Trial) -> None:
    lines = 10 * LIMIT // len(DATA)
    reads = dict(READS)
    del reads["read()"]  # it waits for EOF, and has to resume the transport to get it
    for name, read in reads.items():
        reader, transport = by_hand_on_a_transport(trial)
        reader.feed_data(DATA * lines)
        expect(transport.paused, True, "paused with far more than the limit unread:")
        for _ in range(lines):
            line = take(reader, 8) if name == "read(8)" else read(reader)
            expect(await line, DATA, name)
        expect(transport.paused, False, f"paused after {name} read all of it:")


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_a_read_of_little_does_not_resume_the_transport(trial: Trial) -> None:
    for name, read in READS.items():
        if name == "read()":
            continue  # it wants all that comes
        reader, transport = by_hand_on_a_transport(trial)
        reader.feed_data(DATA * (10 * LIMIT // len(DATA)))
        await read(reader)
        expect(transport.paused, True, f"paused after {name}, with far more than the limit unread:")


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_any_read_of_the_rest_resumes_the_transport(trial: Trial) -> None:
    for limit, pieces, reads in (
        (LIMIT, [5000, 5000], [5000, 2500, 2500]),
        (LIMIT, [5000, 5000, 5000], [4990, 10, 5000, 5000]),  # a piece at a time
        (1, [10], [10]),
    ):
        reader, transport = by_hand_on_a_transport(trial, limit)
        for count in pieces:
            reader.feed_data(b"x" * count)
        expect(transport.paused, True, f"paused with {sum(pieces)} bytes unread of {limit}:")
        for count in reads:
            await take(reader, count)
        expect(transport.paused, False, "paused with nothing unread:")


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_the_last_message_resumes_the_transport(trial: Trial) -> None:
    separator = b"-" * 32
    message = b"x" * (LIMIT - 16) + separator  # it is more than the limit only with its separator
    reader, transport = by_hand_on_a_transport(trial)
    reader.feed_data(b"a" * (9 * LIMIT) + message)
    expect(transport.paused, True, "paused with far more than the limit unread:")
    await take(reader, 9 * LIMIT)
    expect(await reader.readuntil(separator), message)
    expect(transport.paused, False, "paused with nothing unread:")


@clause("reader.by-hand.transport", roles=BY_HAND)
async def test_transport_goes_on_below_the_limit(trial: Trial) -> None:
    reader, transport = by_hand_on_a_transport(trial)
    for _ in range(3):
        reader.feed_data(b"x" * (LIMIT + LIMIT // 2))
        await take(reader, LIMIT)
        reader.feed_data(b"x" * (LIMIT // 4))
        expect(transport.paused, False, "paused with less than the limit unread:")
        await take(reader, LIMIT - LIMIT // 4)


@clause("reader.by-hand.transport-once", roles=BY_HAND)
async def test_transport_once(trial: Trial) -> None:
    reader, transport = by_hand_on_a_transport(trial)
    with suppress(Exception):
        reader.set_transport(Transport())
    reader.feed_data(b"x" * 10 * LIMIT)
    expect(transport.paused, True, "the first transport paused:")


@clause("reader.by-hand.transport-that-cannot-pause", roles=BY_HAND)
async def test_transport_that_cannot_pause(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.set_transport(Unpausable())
    for _ in range(2):
        reader.feed_data(b"x" * 10 * LIMIT)
    expect(len(await take(reader, 20 * LIMIT)), 20 * LIMIT, "bytes read")
