"""`StreamReader` fed by hand: megabytes in pieces of all sizes, and many more small pieces.

Readers often keep, search and cut large pieces in other ways than small ones, and a read may depend
on several reads before it. The programs that Hypothesis finds (`test_reader_model.py`) are too
short, and too few, to get there.
"""

from asyncio import StreamReader
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import ADAPTED, BY_HAND, INTERNET, Some, clause
from conformance.harness.expect import expect, expect_pending, expect_that
from conformance.harness.patterns import KIB, pattern
from conformance.harness.trial import Trial
from conformance.networks.wire import moved

TWO = Some((*INTERNET, *ADAPTED), "the reader is fed by hand: the network makes no difference")
SIZES = (1, 100, KIB, 4 * KIB - 1, 4 * KIB, 5000, 64 * KIB, 300 * KIB)
COUNTS = (1, 50, 4000, 5000, 10000, 70000)  # of bytes asked for
FEW = (1, 2, 3)  # of both, for programs in which each byte comes to matter
LIMIT = 2**30  # bytes; irrelevant here

Call = Callable[[StreamReader], Coroutine[Any, Any, bytes]]
Plan = Callable[[Random, bytes, int], tuple[Call, int]]
"""Chooses a read, given the stream and where it begins, and says how many bytes it returns."""


def stream(random: Random, separators: tuple[bytes, ...], sizes: Sequence[int]) -> bytes:
    """Return messages of many lengths, each with one of the separators at its end."""
    messages = []
    for length in random.choices(sizes, k=30):
        content = pattern(length).translate(None, b"-\n")[random.randrange(min(50, length)) :]
        messages.append(content + random.choice(separators))
    return b"".join(messages)


def end_of(stream: bytes, begin: int, *separators: bytes) -> int:
    """Return the end of the separator that is complete first, or of the stream."""
    found = [(stream.find(each, begin), len(each)) for each in separators]
    return min((at + length for at, length in found if at >= 0), default=len(stream))


async def expect_program(
    trial: Trial,
    seed: int,
    separators: tuple[bytes, ...],
    plan: Plan,
    sizes: Sequence[int] = SIZES,
) -> None:
    """Expect a reader to return a stream, cut anywhere, in reads of the plan's choice."""
    random = Random(seed)
    sent = stream(random, separators, sizes)
    reader = by_hand(trial, LIMIT)
    fed = taken = 0

    def feed() -> None:
        nonlocal fed
        end = fed + random.choice(sizes)
        if random.random() < 0.5:  # within a separator
            end = sent.find(b"-", end) + 1 or end
        reader.feed_data(sent[fed:end])
        fed = end
        if fed >= len(sent):
            reader.feed_eof()

    while taken < len(sent):
        if taken == fed:
            await expect_waiting(trial, reader)
        for _ in range(random.choice((0, 0, 1, 3, 20))):
            if fed < len(sent):
                feed()
        call, length = plan(random, sent, taken)
        reading = trial.start(call(reader))
        await trial.turns(2)
        while not reading.done() and fed < len(sent):
            feed()
            await trial.turns(2)
        got = await reading
        expected = sent[taken : taken + length]
        expect_that(
            got == expected or (call is some and expected.startswith(got or b"nothing")),
            f"{length} bytes from {taken} on",
            f"{len(got)}, the same up to {next_difference(got, expected)}",
        )
        taken += len(got)
        moved()
    expect(await reader.read(), b"", "after the last byte:")


async def expect_waiting(trial: Trial, reader: StreamReader) -> None:
    """Expect a read to wait when everything was taken."""
    reading = trial.start(reader.read(1))
    await trial.turns(2)
    expect_pending(reading, "read(1), with nothing there,")
    reading.cancel()
    await trial.turns(2)


def next_difference(one: bytes, other: bytes) -> int:
    """Return the index of the first byte in which the two are not the same."""
    if one == other:  # the common case; comparing byte by byte takes long
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


async def some(reader: StreamReader) -> bytes:
    """Read the bytes that have arrived, at most 100 000."""
    return await reader.read(100_000)


def by_count(
    random: Random, sent: bytes, taken: int, counts: Sequence[int] = COUNTS
) -> tuple[Call, int]:
    """Choose a number of bytes."""
    if random.random() < 0.2:
        return some, min(100_000, len(sent) - taken)
    count = min(random.choice(counts), len(sent) - taken)
    return lambda reader: reader.readexactly(count), count


def until(separator: bytes, sent: bytes, taken: int) -> tuple[Call, int]:
    """Read until a separator, or to EOF if there is none."""
    length = end_of(sent, taken, separator) - taken
    if not sent.endswith(separator, taken, taken + length):
        return lambda reader: reader.read(), length
    if separator == b"\n":
        return lambda reader: reader.readline(), length
    return lambda reader: reader.readuntil(separator), length


def any_read(random: Random, sent: bytes, taken: int) -> tuple[Call, int]:
    """Choose among all kinds of reads."""
    if random.random() < 0.7:
        return by_count(random, sent, taken)
    return until(random.choice((b"\n", b"--", b"-\n\n")), sent, taken)


def any_line(random: Random, sent: bytes, taken: int) -> tuple[Call, int]:
    """Choose readline(), or now and then a number of bytes."""
    return by_count(random, sent, taken) if random.random() < 0.3 else until(b"\n", sent, taken)


def few_bytes(random: Random, sent: bytes, taken: int) -> tuple[Call, int]:
    """Choose readline() or a few bytes, as often."""
    return (
        by_count(random, sent, taken, FEW) if random.random() < 0.5 else until(b"\n", sent, taken)
    )


def any_message(random: Random, sent: bytes, taken: int) -> tuple[Call, int]:
    """Choose always the same separator, or now and then a number of bytes."""
    return by_count(random, sent, taken) if random.random() < 0.3 else until(b"---", sent, taken)


def any_tuple(random: Random, sent: bytes, taken: int) -> tuple[Call, int]:
    """Choose two or three separators."""
    separators: Any = tuple(random.sample((b"\n", b"--", b"-+-"), random.choice((2, 3))))
    length = end_of(sent, taken, *separators) - taken
    if not sent.endswith(separators, taken, taken + length):
        return lambda reader: reader.read(), length
    return lambda reader: reader.readuntil(separators), length


@clause("reader.any-program", networks=TWO, roles=BY_HAND)
def test_reads_of_large_pieces(trial: Trial) -> None:
    for seed in range(6):
        trial.run(expect_program(trial, seed, (b"\n", b"--", b"-\n\n"), any_read))


@clause("readline.any-program", networks=TWO, roles=BY_HAND)
def test_lines_in_large_pieces(trial: Trial) -> None:
    for seed in range(4):
        trial.run(expect_program(trial, seed, (b"\n", b"\n\n"), any_line))


@clause("readline.any-program", networks=TWO, roles=BY_HAND)
def test_lines_and_single_bytes_in_small_pieces(trial: Trial) -> None:
    for seed in range(60):
        trial.run(expect_program(trial, seed, (b"\n",), few_bytes, FEW))


@clause("readuntil.any-program", networks=TWO, roles=BY_HAND)
def test_messages_in_large_pieces(trial: Trial) -> None:
    for seed in range(4):
        trial.run(expect_program(trial, seed, (b"---", b"--", b"-"), any_message))


@clause("readuntil.tuple.any-program", networks=TWO, roles=BY_HAND)
def test_tuples_in_large_pieces(trial: Trial) -> None:
    for seed in range(4):
        trial.run(expect_program(trial, seed, (b"\n", b"--", b"-+-"), any_tuple))
