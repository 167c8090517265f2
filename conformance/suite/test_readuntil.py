"""`StreamReader.readuntil()`."""

from asyncio import CancelledError, StreamReader
from collections.abc import Coroutine
from contextlib import suppress
from itertools import permutations
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, clause
from conformance.harness.expect import (
    expect,
    expect_bytes,
    expect_error,
    expect_pending,
    expect_that,
)
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Trial
from conformance.networks.wire import Wire

LIMIT = 16  # bytes

Separator = bytes | tuple[bytes, ...]


def read_until(reader: StreamReader, separator: Separator) -> Coroutine[Any, Any, bytes]:
    """Return `reader.readuntil(separator)`, whose type knows no tuples before Python 3.13."""
    return reader.readuntil(separator)  # type: ignore[arg-type]  # see above


async def check_splits(
    trial: Trial, reader: StreamReader, wire: Wire, data: bytes, separator: Separator, end: int
) -> None:
    """Check that `data`, cut in two at each place in turn, is read up to `end` each time."""
    for cut in range(1, len(data)):
        reading = trial.start(read_until(reader, separator))
        await wire.send(data[:cut])
        await wire.arrived()
        await trial.turns(3)
        await wire.send(data[cut:])
        what = f"{data[:cut]!r} and {data[cut:]!r} until {separator!r}:"
        expect(await reading, data[:end], what)
        expect(await take(reader, len(data) - end), data[end:], f"after {what}")


async def check_bytewise(
    trial: Trial, reader: StreamReader, wire: Wire, data: bytes, separator: Separator
) -> None:
    """Check that all of `data`, sent byte by byte, is read."""
    reading = trial.start(read_until(reader, separator))
    for byte in data:
        await wire.send(bytes([byte]))
        await wire.arrived()
        await trial.turns(2)
    expect(await reading, data, f"{data!r} byte by byte until {separator!r}:")


@clause("readuntil.returns-through-separator")
async def test_returns_through_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one;two;three;")
    for data in (b"one;", b"two;", b"three;"):
        expect(await reader.readuntil(b";"), data)


@clause("readuntil.default-separator")
async def test_default_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\r\ntwo\n")
    expect(await reader.readuntil(), b"one\r\n")
    expect(await reader.readuntil(), b"two\n")


@clause("readuntil.waits-for-separator")
async def test_waits_for_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.readuntil(b"\r\n"))
    for piece in (b"one", b"\r"):
        await wire.send(piece)
        await wire.settle()
        expect_pending(reading, "readuntil(), without the whole separator,")
    await wire.send(b"\n")
    expect(await reading, b"one\r\n")


@clause("readuntil.leaves-the-rest")
async def test_leaves_the_rest(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"header\r\n\r\nbody")
    expect(await reader.readuntil(b"\r\n\r\n"), b"header\r\n\r\n")
    expect(await take(reader, 4), b"body")


@clause("readuntil.removes-separator")
async def test_removes_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one--twoX")
    await reader.readuntil(b"--")
    expect(await take(reader, 4), b"twoX")


@clause("readuntil.nothing-before-separator")
async def test_nothing_before_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"----one--")
    for data in (b"--", b"--", b"one--"):
        expect(await reader.readuntil(b"--"), data)


@clause("readuntil.nothing-before-separator")
async def test_nothing_before_awaited_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.readuntil(b"\n"))
    await wire.settle()
    await wire.send(b"\n")
    expect(await reading, b"\n")


@clause("readuntil.separator.any-length")
async def test_separator_of_any_length(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    boundary = bytes(range(256)) * 3
    for length in (1, 2, 3, 4, 5, 16, 70, 255, 256, 257, 768):
        separator = boundary[-length:]
        await wire.send(b"data" + separator + b"next")
        expect(await reader.readuntil(separator), b"data" + separator)
        expect(await take(reader, 4), b"next")


@clause("readuntil.separator.any-split")
async def test_separator_split_anywhere(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for separator in (b"\n", b"\r\n", b"--=--"):
        data = b"one" + separator
        await check_splits(trial, reader, wire, data + b"x", separator, len(data))
        await check_bytewise(trial, reader, wire, data, separator)


@clause("readuntil.separator.self-overlapping")
async def test_self_overlapping_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for data, separator in ((b"aaab", b"aab"), (b"xababac", b"abac"), (b"\r\r\n", b"\r\n")):
        await wire.send(data)
        expect(await reader.readuntil(separator), data)
        await check_splits(trial, reader, wire, data, separator, len(data))
        await check_bytewise(trial, reader, wire, data, separator)


@clause("readuntil.leaves-the-rest", roles=BY_HAND)
async def test_separator_does_not_begin_in_what_was_read(trial: Trial) -> None:
    # By hand, so that the cuts are where they are.
    reader = by_hand(trial)
    for _ in range(2):
        reader.feed_data(b"x" * 100 + b"-+")
        reader.feed_data(b"-data-+-")
        expect(await reader.readexactly(101), b"x" * 100 + b"-")
        expect(await reader.readuntil(b"-+-"), b"+-data-+-")


@clause("readuntil.separator.any-bytes")
async def test_separator_of_any_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for separator in (b"\0", b".", b".*", b"\\", b"$", b"[a-z]", b"\xff", b"\xc3\xa9", b" "):
        data = b"abc" + separator
        await wire.send(data)
        expect(await reader.readuntil(separator), data)


@clause("readuntil.separator.changes")
async def test_separator_after_a_cancelled_search(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one,two,")
    reading = trial.start(reader.readuntil(b";"))
    await wire.settle()
    reading.cancel()
    await expect_error(CancelledError, reading)
    for data in (b"one,", b"two,"):
        expect(await reader.readuntil(b","), data)


@clause("readuntil.separator.changes")
async def test_separator_after_a_longer_one(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"a,b--c,d--")
    for separator, data in ((b"--", b"a,b--"), (b",", b"c,"), (b"--", b"d--")):
        expect(await reader.readuntil(separator), data)


@clause("readuntil.separator.changes")
async def test_default_separator_after_another(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"a\nb;c;d\n")
    expect(await reader.readuntil(b";"), b"a\nb;")
    expect(await reader.readuntil(), b"c;d\n")


@clause("readuntil.separator.changes")
async def test_separator_that_is_changed_in_place(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"a;b;c,d,")
    separator = bytearray(b",")
    expect(await reader.readuntil(separator), b"a;b;c,")
    separator[:] = b";"
    await wire.send(b"e;")
    expect(await reader.readuntil(separator), b"d,e;")


@clause("readuntil.separator.empty")
async def test_empty_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.settle()
    await expect_error(ValueError, reader.readuntil(b""))
    expect(await take(reader, 3), b"abc")


class OwnSeparator(bytes):
    """A separator of a program's own class."""


@clause("readuntil.returns-through-separator")
async def test_separator_of_another_class(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one--two--")
    for data in (b"one--", b"two--"):
        expect(await reader.readuntil(OwnSeparator(b"--")), data)


@clause("readuntil.tuple.any-of-them", roles=BY_HAND)
async def test_separators_of_another_class(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"one--two;")
    for data in (b"one--", b"two;"):
        expect(await read_until(reader, (OwnSeparator(b";"), OwnSeparator(b"--"))), data)


@clause("readuntil.separator.bytes-like")
async def test_bytes_like_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one--two")
    expect(await reader.readuntil(bytearray(b"--")), b"one--")


@clause("readuntil.separator.bytes-like", roles=BY_HAND)
async def test_bytes_like_separator_and_limit(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"a" * (LIMIT + 2))
    kind = trial.streams.LimitOverrunError
    wanted = await expect_error(kind, reader.readuntil(b"--"))
    error = await expect_error(kind, reader.readuntil(bytearray(b"--")))
    expect(error.consumed, wanted.consumed, "consumed, as with bytes:")


@clause("readuntil.separator.bytes-like", roles=BY_HAND)
async def test_bytes_like_separator_of_several(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"one;two--three;")
    try:
        await read_until(reader, (b"--", b";"))
    except TypeError as error:  # before Python 3.13
        raise NotApplicable("readuntil() takes no tuple") from error
    separators: Any = (bytearray(b"--"), bytearray(b";"))
    for data in (b"two--", b"three;"):
        expect(await read_until(reader, separators), data)


@clause("readuntil.separator-by-keyword")
async def test_separator_by_keyword(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one;two\n")
    expect(await reader.readuntil(separator=b";"), b"one;")


@clause("readuntil.returns-bytes")
async def test_returns_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one;;")
    for _ in range(2):
        expect_bytes(await reader.readuntil(b";"), 'readuntil(b";")')


# EOF.


@clause("readuntil.eof.raises")
async def test_eof_raises(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one;two")
    await wire.send_eof()
    expect(await reader.readuntil(b";"), b"one;")
    await expect_error(trial.streams.IncompleteReadError, reader.readuntil(b";"))


@clause("readuntil.eof.raises")
async def test_eof_while_it_waits(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.readuntil(b";"))
    await wire.send(b"two")
    await wire.settle()
    await wire.send_eof()
    await expect_error(trial.streams.IncompleteReadError, reading)


@clause("readuntil.eof.partial")
async def test_partial(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one;two")
    await wire.send_eof()
    await reader.readuntil(b";")
    error = await expect_error(trial.streams.IncompleteReadError, reader.readuntil(b";"))
    expect(error.partial, b"two", "partial")


@clause("readuntil.eof.partial-is-empty")
async def test_partial_is_empty(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send_eof()
    error = await expect_error(trial.streams.IncompleteReadError, reader.readuntil(b";"))
    expect(error.partial, b"", "partial")


@clause("readuntil.eof.partial-has-piece-of-separator")
async def test_partial_has_piece_of_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\r\n\r")
    await wire.send_eof()
    error = await expect_error(trial.streams.IncompleteReadError, reader.readuntil(b"\r\n\r\n"))
    expect(error.partial, b"one\r\n\r", "partial")


@clause("readuntil.eof.partial-has-piece-of-separator", roles=BY_HAND)
async def test_partial_is_longer_than_the_limit(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"a" * LIMIT + b"\r\n\r")
    reader.feed_eof()
    # The page does not say whether the separator counts: LimitOverrunError would be right, too.
    kinds = (trial.streams.IncompleteReadError, trial.streams.LimitOverrunError)
    error = await expect_error(kinds, reader.readuntil(b"\r\n\r\n"))
    partial = getattr(error, "partial", b"a" * LIMIT + b"\r\n\r")
    expect(partial, b"a" * LIMIT + b"\r\n\r", "partial")


@clause("readuntil.eof.buffer-is-reset")
async def test_buffer_is_reset(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one")
    await wire.send_eof()
    await expect_error(trial.streams.IncompleteReadError, reader.readuntil(b";"))
    expect(reader.at_eof(), True, "at_eof():")
    expect(await take_rest(reader), b"")
    error = await expect_error(trial.streams.IncompleteReadError, reader.readuntil(b";"))
    expect(error.partial, b"", "partial of the next")


# The limit.


@clause("readuntil.limit.fits")
async def test_data_that_fits_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    for separator in (b";", b"\r\n", b"x" * LIMIT):
        data = b"a" * (LIMIT - len(separator)) + separator
        await wire.send(data * 3)
        await wire.settle()
        for _ in range(3):
            expect(await reader.readuntil(separator), data)


@clause("readuntil.limit.separator-not-counted")
async def test_separator_is_not_counted(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    for separator in (b";", b"\r\n", b"x" * 2 * LIMIT):
        data = b"a" * LIMIT + separator
        await wire.send(data)
        await wire.settle()
        expect(await reader.readuntil(separator), data)
        await check_bytewise(trial, reader, wire, data, separator)


@clause("readuntil.limit.reached-without-separator")
async def test_limit_reached_without_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    reading = trial.start(reader.readuntil(b";"))
    await wire.send(b"a" * (LIMIT - 1))
    await wire.settle()
    expect_pending(reading, "readuntil(), with limit - 1 bytes,")
    await wire.send(b"a")
    await wire.settle()
    expect_pending(reading, "readuntil(), with as many bytes as the limit,")


@clause("readuntil.limit.exceeded-before-separator")
async def test_limit_exceeded_before_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    await wire.send(b"a" * (LIMIT + 1) + b"--")
    await wire.settle()
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))


@clause("readuntil.limit.exceeded-before-separator")
async def test_limit_exceeded_when_the_stream_has_ended(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    await wire.send(b"a" * (LIMIT + 1) + b"--")
    await wire.send_eof()
    await wire.settle()
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))


@clause("readuntil.limit.exceeded-without-separator")
async def test_limit_exceeded_without_separator(trial: Trial) -> None:
    for separator in (b";", b"--", b"-----"):
        reader, _, wire = await trial.connect(limit=LIMIT)
        reading = trial.start(reader.readuntil(separator))
        await wire.send(b"a" * (LIMIT + len(separator)))
        await expect_error(trial.streams.LimitOverrunError, reading)


@clause("readuntil.limit.exceeded-without-separator", roles=BY_HAND)
async def test_limit_exceeded_at_the_end_of_the_stream(trial: Trial) -> None:
    for separator in (b";", b"--", b"-----"):
        reader = by_hand(trial, LIMIT)
        reader.feed_data(b"a" * (LIMIT + len(separator)))
        reader.feed_eof()
        await expect_error(trial.streams.LimitOverrunError, reader.readuntil(separator))


@clause("readuntil.limit.data-is-kept")
async def test_data_is_kept(trial: Trial) -> None:
    for data in (b"a" * LIMIT + b"bc--", b"a" * LIMIT + b"bcde"):
        reader, _, wire = await trial.connect(limit=LIMIT)
        reading = trial.start(reader.readuntil(b"--"))
        await wire.send(data)
        await expect_error(trial.streams.LimitOverrunError, reading)
        await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))
        expect(await take(reader, len(data)), data)


@clause("readuntil.limit.other-separator")
async def test_other_separator_after_overrun(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = b"one,two," + b"a" * LIMIT
    await wire.send(data + b";")
    await wire.settle()
    await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b";"))
    expect(await reader.readuntil(b","), b"one,")
    expect(await reader.readuntil(b","), b"two,")


@clause("readuntil.limit.consumed-is-a-count")
async def test_consumed_is_a_count(trial: Trial) -> None:
    for data in (b"a" * LIMIT + b"bc--", b"a" * LIMIT + b"bc"):
        reader, _, wire = await trial.connect(limit=LIMIT)
        reading = trial.start(reader.readuntil(b"--"))
        await wire.send(data)
        error = await expect_error(trial.streams.LimitOverrunError, reading)
        expect(type(error.consumed), int, "type of consumed")
        there = f"consumed from 1 to {len(data)}"
        expect_that(1 <= error.consumed <= len(data), there, f"consumed {error.consumed}")


# The exact number depends on the content of the buffer, so these two are fed by hand.


@clause("readuntil.limit.consumed-up-to-separator", roles=BY_HAND)
async def test_consumed_up_to_separator(trial: Trial) -> None:
    for extra in (1, 2, 3 * LIMIT):
        reader = by_hand(trial, LIMIT)
        reader.feed_data(b"a" * (LIMIT + extra) + b"--more--")
        error = await expect_error(trial.streams.LimitOverrunError, reader.readuntil(b"--"))
        expect(error.consumed, LIMIT + extra, "consumed")


@clause("readuntil.limit.consumed-without-separator")
async def test_consumed_without_separator(trial: Trial) -> None:
    for separator in (b";", b"--", b"-----"):
        reader = by_hand(trial, LIMIT)
        data = b"a" * 2 * LIMIT + separator[1:]
        reader.feed_data(data)
        error = await expect_error(trial.streams.LimitOverrunError, reader.readuntil(separator))
        expect(error.consumed, len(data) + 1 - len(separator), "consumed")


@clause("readuntil.limit.consumed-without-separator", roles=BY_HAND)
async def test_consumed_after_other_separators(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reading = trial.start(reader.readuntil(b"-" * 9))
    await trial.turns()
    reading.cancel()
    await expect_error(CancelledError, reading)
    reader.feed_data(b"a" * 2 * LIMIT)
    for separator in (b";", b"-----", b"--"):
        error = await expect_error(trial.streams.LimitOverrunError, reader.readuntil(separator))
        expect(error.consumed, 2 * LIMIT + 1 - len(separator), "consumed")


async def check_consume_and_go_on(trial: Trial, separator: Separator, data: bytes) -> None:
    """Check that `data`, which ends with a separator, is read by a program that meets overruns."""
    reader, _, wire = await trial.connect(limit=LIMIT)

    async def send() -> None:
        for start in range(0, len(data), 67):
            await wire.send(data[start : start + 67])
            await wire.arrived()
            await trial.turns(4)  # for the program to meet an overrun
        await wire.send_eof()

    sending = trial.start(send())
    got = b""
    while len(got) < len(data):
        try:
            got += await read_until(reader, separator)
            break
        except trial.streams.LimitOverrunError as overrun:
            expect_that(overrun.consumed > 0, "consumed above 0", f"consumed {overrun.consumed}")
            got += await reader.readexactly(overrun.consumed)
    await sending
    expect(got, data)


@clause("readuntil.limit.consume-and-go-on")
async def test_consume_and_go_on(trial: Trial) -> None:
    # The last piece is the last byte of the separator; before it there are partial matches.
    data = b"a\r\n\rb\r" * 100 + b"\r\n\r\n"
    await check_consume_and_go_on(trial, b"\r\n\r\n", data)


# Tuples of separators.


@clause("readuntil.tuple.any-of-them")
async def test_any_of_a_tuple(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one;two--three,four;")
    for data in (b"one;", b"two--", b"three,", b"four;"):
        expect(await read_until(reader, (b",", b";", b"--")), data)


@clause("readuntil.tuple.any-of-them")
async def test_any_of_a_tuple_at_any_distance(trial: Trial) -> None:
    """An implementation may search its buffer in parts of any size."""
    reader, _, wire = await trial.connect()
    separators = (b"\n", b"----")
    for separator in separators:
        messages = [b"x" * distance + separator for distance in range(1000, 1060)]
        messages += [b"x" * (distance - 3) + separator for distance in (2048, 4096, 8192, 16384)]
        await wire.send(b"".join(messages))
        for message in messages:
            got = await read_until(reader, separators)
            expect_that(got == message, f"{len(message)} bytes", f"{len(got)}")


@clause("readuntil.tuple.any-of-them")
async def test_any_of_a_tuple_of_long_ones(trial: Trial) -> None:
    """They may be longer than the parts that an implementation searches."""
    reader, _, wire = await trial.connect()
    separators = (b"-" * 1500, b";", b"=" * 5000)
    messages = [b"x" * 3000 + separator for separator in separators]
    await wire.send(b"".join(messages))
    for message in messages:
        got = await read_until(reader, separators)
        expect_that(got == message, f"{len(message)} bytes", f"{len(got)}")


@clause("readuntil.tuple.one")
async def test_tuple_of_one(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one--two--")
    expect(await read_until(reader, (b"--",)), b"one--")
    expect(await reader.readuntil(b"--"), b"two--")


@clause("readuntil.tuple.one", roles=BY_HAND)
async def test_tuple_of_one_and_errors(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    for data in (b"a" * (LIMIT + 1) + b"--", b"a" * (LIMIT + 2)):
        reader.feed_data(data)
        kind = trial.streams.LimitOverrunError
        alone = await expect_error(kind, reader.readuntil(b"--"))
        error = await expect_error(kind, read_until(reader, (b"--",)))
        expect(error.consumed, alone.consumed, "consumed, as with the separator alone:")
        expect(await take(reader, len(data)), data)
    reader.feed_data(b"rest-")
    reader.feed_eof()
    incomplete = await expect_error(trial.streams.IncompleteReadError, read_until(reader, (b"--",)))
    expect(incomplete.partial, b"rest-", "partial")


@clause("readuntil.tuple.prefixes-of-each-other")
async def test_tuple_of_prefixes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\r\ntwo\rthree\r\n")
    for data in (b"one\r", b"\ntwo\r", b"three\r"):
        expect(await read_until(reader, (b"\r\n", b"\r")), data)


@clause("readuntil.tuple.overlapping")
async def test_tuple_of_overlapping(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for separators, data, end in (
        ((b"abcdef", b"cd"), b"xabcdef", 5),  # one within the other
        ((b"abcd", b"bc"), b"xabcd", 4),
        ((b"abc", b"bcd"), b"xabcd", 4),  # one begins and ends first
        ((b"aaaab", b"aaa"), b"aaaab", 3),
    ):
        await wire.send(data)
        expect(await read_until(reader, separators), data[:end])
        expect(await take(reader, len(data) - end), data[end:])


@clause("readuntil.tuple.suffixes-of-each-other")
async def test_tuple_of_suffixes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\r\ntwo\nthree\r\n")
    for data in (b"one\r\n", b"two\n", b"three\r\n"):
        expect(await read_until(reader, (b"\r\n", b"\n")), data)


@clause("readuntil.tuple.any-order")
async def test_tuple_in_any_order(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    data = b"oneabcdtwobcdthreed"
    for separators in permutations((b"abcd", b"bc", b"d")):
        await wire.send(data)
        for expected in (b"oneabc", b"d", b"twobc", b"d", b"threed"):
            expect(await read_until(reader, separators), expected, f"until {separators!r}:")


@clause("readuntil.tuple.any-split")
async def test_tuple_split_anywhere(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for separators, data in (
        ((b"\r\n", b"\n"), b"one\r\n"),
        ((b"--=--", b";"), b"one--=--"),
        ((b"--=--", b";"), b"--=-;"),
        ((b"aab", b"ac"), b"aaac"),
    ):
        await check_splits(trial, reader, wire, data + b"x", separators, len(data))
        await check_bytewise(trial, reader, wire, data, separators)


@clause("readuntil.tuple.empty")
async def test_empty_tuple(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.settle()
    await expect_error(ValueError, read_until(reader, ()))
    reading = trial.start(reader.readuntil(b"\n"))
    await wire.send(b"\n")
    expect(await reading, b"abc\n", "the next readuntil():")


@clause("readuntil.tuple.with-empty-separator")
async def test_tuple_with_empty_separator(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.settle()
    for separators in ((b"", b"c"), (b"c", b"")):
        await expect_error(ValueError, read_until(reader, separators))
    reading = trial.start(reader.readuntil(b"\n"))
    await wire.send(b"\n")
    expect(await reading, b"abc\n", "the next readuntil():")


@clause("readuntil.tuple.eof")
async def test_tuple_at_eof(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one--=-")
    await wire.send_eof()
    read = read_until(reader, (b"--=--", b";"))
    error = await expect_error(trial.streams.IncompleteReadError, read)
    expect(error.partial, b"one--=-", "partial")


@clause("readuntil.tuple.limit.exceeded")
async def test_tuple_and_limit(trial: Trial) -> None:
    for data in (b"a" * (LIMIT + 1) + b";", b"a" * (LIMIT + 2)):
        reader, _, wire = await trial.connect(limit=LIMIT)
        reading = trial.start(read_until(reader, (b"--", b";")))
        await wire.send(data)
        await expect_error(trial.streams.LimitOverrunError, reading)
        expect(await take(reader, len(data)), data)


@clause("readuntil.tuple.limit.shortest-matched")
async def test_tuple_limit_by_the_shortest(trial: Trial) -> None:
    # Up to b"xx\n" it would be exactly the limit; up to b"\n" it is more.
    for separators in permutations((b"xx\n", b"\n")):
        reader, _, wire = await trial.connect(limit=LIMIT)
        await wire.send(b"a" * LIMIT + b"xx\n")
        await wire.settle()
        await expect_error(trial.streams.LimitOverrunError, read_until(reader, separators))


@clause("readuntil.tuple.limit.consumed", roles=BY_HAND)
async def test_tuple_consumed(trial: Trial) -> None:
    for separators in permutations((b"\r\n", b"\n", b"b\r\n")):
        reader = by_hand(trial, LIMIT)
        reader.feed_data(b"a" * LIMIT + b"ab\r\n")
        error = await expect_error(trial.streams.LimitOverrunError, read_until(reader, separators))
        expect(error.consumed, LIMIT + 3, "consumed")


@clause("readuntil.tuple.limit.consumed-without-separator", roles=BY_HAND)
async def test_tuple_consumed_without_separator(trial: Trial) -> None:
    data = b"a" * 2 * LIMIT
    for separators in permutations((b"--", b"=====", b";")):
        reader = by_hand(trial, LIMIT)
        reader.feed_data(data)
        error = await expect_error(trial.streams.LimitOverrunError, read_until(reader, separators))
        expect(error.consumed, len(data) + 1 - 5, "consumed")


@clause("readuntil.tuple.limit.consume-and-go-on")
async def test_tuple_consume_and_go_on(trial: Trial) -> None:
    data = b"a\r\n\rb\r" * 100 + b"\r\n\r\n"
    await check_consume_and_go_on(trial, (b"\r\n\r\n", b";"), data)


# Cancellation.


@clause("readuntil.cancelled-loses-nothing")
async def test_cancelled(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for piece in (b"on", b"e-", b"-t"):
        reading = trial.start(reader.readuntil(b"--=--"))
        await wire.send(piece)
        await wire.settle()
        reading.cancel()
        await expect_error(CancelledError, reading)
    await wire.send(b"wo--=--")
    expect(await reader.readuntil(b"--=--"), b"one--two--=--")


@clause("readuntil.cancelled-loses-nothing")
async def test_cancelled_while_its_data_arrives(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    got = b""
    for turns in range(10):  # cancelled somewhere between the data's arrival and its return
        reading = trial.start(reader.readuntil(b"--"))
        await trial.turns(2)
        await wire.send(b"abc--")
        await trial.turns(turns)
        reading.cancel()
        with suppress(CancelledError):
            got += await reading
    while len(got) < 50:
        got += await reader.readuntil(b"--")
    expect(got, b"abc--" * 10)
