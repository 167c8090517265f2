"""Reads of each kind: their results, their errors, and what they leave for the next one."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, Some, clause
from conformance.harness.expect import expect, expect_bytes, expect_error
from conformance.harness.patterns import KIB
from conformance.harness.reading import next_line, take_rest
from conformance.harness.trial import Trial

TWO = Some(("memory", "tcp"), "the reader is fed by hand: the network makes no difference")

SIZES = (2, 100, 64 * KIB, 1024 * KIB)  # bytes

Read = Callable[[Any, int], Awaitable[bytes]]

# Each wants that many bytes, of which the last is a newline.


async def read(reader: asyncio.StreamReader, _: int) -> bytes:
    return await reader.read()


async def read_some(reader: asyncio.StreamReader, size: int) -> bytes:
    return await reader.read(size)


async def readline(reader: asyncio.StreamReader, _: int) -> bytes:
    return await reader.readline()


async def iterate(reader: asyncio.StreamReader, _: int) -> bytes:
    return await next_line(reader)


async def readexactly(reader: asyncio.StreamReader, size: int) -> bytes:
    return await reader.readexactly(size)


async def readuntil(reader: asyncio.StreamReader, _: int) -> bytes:
    return await reader.readuntil(b"\n")


async def readuntil_one(reader: Any, _: int) -> bytes:
    data: bytes = await reader.readuntil((b"\n",))
    return data


# The type of what they return.


async def expect_bytes_of(trial: Trial, read: Read, *, to_the_end: bool = False) -> None:
    """Expect `read` to give bytes, however many, whether it waits for them or not.

    Args:
        trial: the trial.
        read: the read.
        to_the_end: whether the last byte does not come, and the stream ends before.
    """
    for size in SIZES:
        for waits in (False, True):
            reader = by_hand(trial, 2 * SIZES[-1])
            reading = trial.start(read(reader, size))
            if waits:
                await trial.turns()
            reader.feed_data(b"x" * (size - 1) + (b"" if to_the_end else b"\n"))
            reader.feed_eof()
            what = f"{read.__name__}() of {size} bytes{' that waited' if waits else ''}"
            try:
                expect_bytes(await reading, what)
            except trial.streams.IncompleteReadError as error:
                expect_bytes(error.partial, f"partial of {what}")


@clause("read.returns-bytes", networks=TWO, roles=BY_HAND)
async def test_bytes_of_read(trial: Trial) -> None:
    for each in (read, read_some):
        await expect_bytes_of(trial, each)


@clause("readline.returns-bytes", networks=TWO, roles=BY_HAND)
async def test_bytes_of_readline(trial: Trial) -> None:
    for to_the_end in (False, True):
        await expect_bytes_of(trial, readline, to_the_end=to_the_end)


@clause("reader.iteration.lines", networks=TWO, roles=BY_HAND)
async def test_bytes_of_a_loop(trial: Trial) -> None:
    for to_the_end in (False, True):
        await expect_bytes_of(trial, iterate, to_the_end=to_the_end)


@clause("readexactly.returns-bytes", networks=TWO, roles=BY_HAND)
async def test_bytes_of_readexactly(trial: Trial) -> None:
    await expect_bytes_of(trial, readexactly)


@clause("readuntil.returns-bytes", networks=TWO, roles=BY_HAND)
async def test_bytes_of_readuntil(trial: Trial) -> None:
    await expect_bytes_of(trial, readuntil)


@clause("readexactly.eof.partial-is-bytes", networks=TWO, roles=BY_HAND)
async def test_bytes_of_partial(trial: Trial) -> None:
    for each in (readexactly, readuntil):
        await expect_bytes_of(trial, each, to_the_end=True)


# Their errors.


@clause("reader.errors.pickle", networks=TWO, roles=BY_HAND)
async def test_errors_of_each_read_can_be_pickled(trial: Trial) -> None:
    await expect_incomplete_can_be_pickled(trial, readexactly)
    await expect_incomplete_can_be_pickled(trial, readuntil)
    await expect_overrun_can_be_pickled(trial, readuntil)


async def expect_incomplete_can_be_pickled(trial: Trial, read: Read) -> None:
    """Expect the IncompleteReadError of `read` to keep its attributes."""
    for left in (b"rest", b""):
        reader = by_hand(trial)
        reader.feed_data(left)
        reader.feed_eof()
        error = await expect_error(trial.streams.IncompleteReadError, read(reader, 5))
        copy = pickle.loads(pickle.dumps(error))
        expect((copy.partial, copy.expected), (left, error.expected), "partial and expected")


async def expect_overrun_can_be_pickled(trial: Trial, read: Read) -> None:
    """Expect the LimitOverrunError of `read` to keep its attribute."""
    for data in (b"more than the limit", b"more than the limit\n"):
        reader = by_hand(trial, 8)
        reader.feed_data(data)
        error = await expect_error(trial.streams.LimitOverrunError, read(reader, 0))
        expect(pickle.loads(pickle.dumps(error)).consumed, error.consumed, "consumed")


# A loop goes on as readline() does.


@clause("reader.iteration.lines", networks=TWO, roles=BY_HAND)
async def test_loop_after_a_line_that_is_too_long(trial: Trial) -> None:
    reader = by_hand(trial, 8)
    reader.feed_data(b"more than the limit\nnext\nlast\n")
    await expect_error(ValueError, reader.readline())
    for line in (b"next\n", b"last\n"):
        expect(await next_line(reader), line, "a line after one that was too long for readline():")
    reader.feed_data(b"more than the limit\nnext\nlast\n")
    await expect_error(ValueError, next_line(reader))
    for line in (b"next\n", b"last\n"):
        expect(await next_line(reader), line, "a line after one that was too long:")


# They are cancelled when as much has come as the limit allows, or more.


async def expect_nothing_lost(trial: Trial, read: Read, *more: int) -> None:
    """Expect a read that is cancelled with about as much unread as the limit to lose nothing.

    Args:
        trial: the trial.
        read: the read.
        more: further numbers of unread bytes, which exceed the limit of 16 bytes.
    """
    for size in (1, 15, 16, *more):
        reader = by_hand(trial, 16)
        reading = trial.start(read(reader, 1000))
        await trial.turns()
        for _ in range(size):
            reader.feed_data(b"x")
        await trial.turns(3)
        reading.cancel()
        await asyncio.wait([reading])
        reader.feed_eof()
        what = f"bytes left by {read.__name__}(), cancelled with {size} unread:"
        expect(len(await take_rest(reader)), size, what)


@clause("read.all.cancelled-loses-nothing", networks=TWO, roles=BY_HAND)
async def test_read_cancelled(trial: Trial) -> None:
    await expect_nothing_lost(trial, read, 17, 32, 500)


@clause("readexactly.cancelled-loses-nothing", networks=TWO, roles=BY_HAND)
async def test_readexactly_cancelled(trial: Trial) -> None:
    await expect_nothing_lost(trial, readexactly, 17, 32, 500)


@clause("readline.cancelled-loses-nothing", networks=TWO, roles=BY_HAND)
async def test_readline_cancelled(trial: Trial) -> None:
    for each in (readline, iterate):
        await expect_nothing_lost(trial, each)


@clause("readuntil.cancelled-loses-nothing", networks=TWO, roles=BY_HAND)
async def test_readuntil_cancelled(trial: Trial) -> None:
    await expect_nothing_lost(trial, readuntil)


# A tuple of one separator.


@clause("readuntil.tuple.one", networks=TWO, roles=BY_HAND)
async def test_tuple_of_one_early_and_late(trial: Trial) -> None:
    for to_the_end in (False, True):
        await expect_bytes_of(trial, readuntil_one, to_the_end=to_the_end)
    await expect_incomplete_can_be_pickled(trial, readuntil_one)
    await expect_overrun_can_be_pickled(trial, readuntil_one)
    await expect_nothing_lost(trial, readuntil_one)
