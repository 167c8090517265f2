"""After a call that failed, a reader and a connection go on as if it had not been made."""

from collections.abc import Awaitable, Callable
from typing import Any

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, HALF_CLOSED, Some, clause
from conformance.harness.expect import expect, expect_error, expect_that
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Trial
from conformance.suite.test_reader import DATA, READS, outcome

TWO = Some(("memory", "tcp"), "the reader is fed by hand: the network makes no difference")

Read = Callable[[Any], Awaitable[bytes]]

# Mistakes in a call.


async def expect_nothing_consumed(
    trial: Trial, kind: type[Exception], mistakes: dict[str, Read]
) -> None:
    """Expect each mistake to raise an error, and each kind of read to go on from the first byte."""
    for mistake, call in mistakes.items():
        for name, read in READS.items():
            reader = by_hand(trial)
            reader.feed_data(DATA)
            for _ in range(2):
                await expect_error(kind, call(reader))
            reader.feed_eof()
            got = await read(reader)
            expect_that(bool(got) and DATA.startswith(got), f"{name} {DATA!r} (or a part)", got)
            expect(got + await take_rest(reader), DATA, f"{name} after {mistake}, and the rest:")


@clause("read.n.not-an-integer", networks=TWO, roles=BY_HAND)
async def test_reads_after_no_integer(trial: Trial) -> None:
    await expect_nothing_consumed(trial, TypeError, {"read('1')": lambda reader: reader.read("1")})


@clause("readexactly.not-an-integer", networks=TWO, roles=BY_HAND)
async def test_reads_after_no_exact_integer(trial: Trial) -> None:
    calls: dict[str, Read] = {"readexactly(2.5)": lambda reader: reader.readexactly(2.5)}
    await expect_nothing_consumed(trial, TypeError, calls)


@clause("readexactly.negative", networks=TWO, roles=BY_HAND)
async def test_reads_after_a_negative_number(trial: Trial) -> None:
    calls: dict[str, Read] = {"readexactly(-1)": lambda reader: reader.readexactly(-1)}
    await expect_nothing_consumed(trial, ValueError, calls)


@clause("readuntil.separator.empty", networks=TWO, roles=BY_HAND)
async def test_reads_after_an_empty_separator(trial: Trial) -> None:
    calls: dict[str, Read] = {"readuntil(b'')": lambda reader: reader.readuntil(b"")}
    await expect_nothing_consumed(trial, ValueError, calls)


@clause("readuntil.separator.wrong-type", networks=TWO, roles=BY_HAND)
async def test_reads_after_no_separator(trial: Trial) -> None:
    calls: dict[str, Read] = {
        "readuntil('\\n')": lambda reader: reader.readuntil("\n"),
        "readuntil(10)": lambda reader: reader.readuntil(10),
        "readuntil(None)": lambda reader: reader.readuntil(None),
    }
    await expect_nothing_consumed(trial, TypeError, calls)


# Messages that are too long, or cut off.


@clause("readuntil.limit.data-is-kept", networks=TWO, roles=BY_HAND)
async def test_reads_after_an_overrun(trial: Trial) -> None:
    for name, read in READS.items():
        reader = by_hand(trial, len(DATA))
        reader.feed_data(DATA + b"x" * 9)
        for _ in range(2):
            await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))
        reader.feed_eof()
        got = await read(reader)
        expect_that((DATA + b"x" * 9).startswith(got or b"?"), f"{name} {DATA!r} and more", got)
        expect(got + await take_rest(reader), DATA + b"x" * 9, f"{name}, and the rest:")


@clause("readexactly.eof.partial-is-consumed", networks=TWO, roles=BY_HAND)
async def test_reads_after_too_few_bytes(trial: Trial) -> None:
    await expect_end(trial, lambda reader: reader.readexactly(9))


@clause("readuntil.eof.buffer-is-reset", networks=TWO, roles=BY_HAND)
async def test_reads_after_no_separator_came(trial: Trial) -> None:
    await expect_end(trial, lambda reader: reader.readuntil(b"--"))


async def expect_end(trial: Trial, call: Callable[[Any], Any]) -> None:
    """Expect each kind of read to see the end of the stream after a call that has met it."""
    for name, read in READS.items():
        reader = by_hand(trial)
        reader.feed_data(DATA)
        reader.feed_eof()
        for data in (DATA, b""):
            error = await expect_error(trial.streams.IncompleteReadError, call(reader))
            expect(error.partial, data, "partial")
            expect(await outcome(trial, read(reader)), b"", f"{name} after it:")
        expect(reader.at_eof(), True, "at_eof()")


# An error that the program gives to the reader of a connection.


@clause("reader.set-exception.connection")
async def test_connection_after_set_exception(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    is_closing, close = writer.is_closing, writer.close  # a reader alone has no connection
    reader.set_exception(LookupError("nothing more is to be read"))
    await trial.turns()
    expect(is_closing(), False, "is_closing() after set_exception():")
    writer.write(b"still ")
    writer.writelines([b"he", b"re"])
    expect(await wire.receive(10), b"still here")
    close()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()


@clause("reader.reset.received-bytes-first", networks=TWO, roles=BY_HAND)
async def test_bytes_before_any_error(trial: Trial) -> None:
    reader = by_hand(trial, 64, "set_exception")
    reader.feed_data(DATA)
    reader.set_exception(LookupError("nothing more"))
    expect(await take(reader, len(DATA)), DATA)
    await expect_error(LookupError, reader.read(1))


# After write_eof().


@clause("drain.does-not-yield", networks=HALF_CLOSED)
async def test_drain_after_the_end(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    await take_rest(reader)
    others: list[str] = []
    for has_ended in (False, True):
        if has_ended:
            writer.write_eof()
        trial.loop.call_soon(others.append, "another callback ran")
        await writer.drain()
        expect(others, [], "meanwhile:")
        await trial.turns()
        others.clear()
