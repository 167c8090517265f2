"""Data of each size around a power of two: buffers, pieces and limits of implementations have such.

An implementation that is off by one at a single size is mostly wrong at one of these.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, clause
from conformance.harness.expect import expect
from conformance.harness.patterns import pattern
from conformance.harness.reading import take
from conformance.harness.trial import Trial

SIZES = sorted({2**power + more for power in range(19) for more in (-1, 0, 1)} - {0})  # bytes
LIMIT = 2 * max(SIZES)  # bytes

PATTERN = pattern(max(SIZES)).replace(b"\n", b"x")


async def expect_sent(
    trial: Trial, write: Callable[[asyncio.StreamWriter, bytes], object], copies: int = 1
) -> None:
    """Expect `write` to send that many copies of data of each size."""
    _, writer, wire = await trial.connect()
    for size in SIZES:
        write(writer, PATTERN[:size])
        data = await wire.receive(copies * size)
        expect(len(data), copies * size, "the number of bytes that arrived:")
        # Bytes too many would come with the next data, which begins with the same byte.
        expect(data, copies * PATTERN[:size], f"the bytes of a write of {size}:")


def view_within(data: bytes) -> memoryview:
    """Return a view of `data` in the middle of more."""
    return memoryview(bytearray(b"?" + data + b"?"))[1:-1]


@clause("write.sends")
async def test_write(trial: Trial) -> None:
    await expect_sent(trial, lambda writer, data: writer.write(data))


@clause("write.bytearray")
async def test_write_bytearray(trial: Trial) -> None:
    await expect_sent(trial, lambda writer, data: writer.write(bytearray(data)))


@clause("write.memoryview")
async def test_write_view(trial: Trial) -> None:
    await expect_sent(trial, lambda writer, data: writer.write(view_within(data)))


@clause("writelines.list")
async def test_writelines(trial: Trial) -> None:
    await expect_sent(trial, lambda writer, data: writer.writelines([data, data]), 2)


async def expect_read(
    trial: Trial,
    read: Callable[[asyncio.StreamReader, int], Coroutine[Any, Any, bytes]],
    end: bytes = b"",
) -> None:
    """Expect `read` to return data of each size, with this end, that is fed in one piece."""
    reader = by_hand(trial, LIMIT)
    for size in SIZES:
        data = PATTERN[: max(size - len(end), 0)] + end
        reader.feed_data(data)
        expect(await read(reader, len(data)), data, f"the bytes of a piece of {len(data)}:")


@clause("read.n.every-byte-in-order", roles=BY_HAND)
async def test_read(trial: Trial) -> None:
    await expect_read(trial, take)


@clause("readexactly.returns-n-bytes", roles=BY_HAND)
async def test_readexactly(trial: Trial) -> None:
    await expect_read(trial, lambda reader, size: reader.readexactly(size))


@clause("readline.returns-a-line", roles=BY_HAND)
async def test_readline(trial: Trial) -> None:
    await expect_read(trial, lambda reader, _: reader.readline(), b"\n")


@clause("readuntil.returns-through-separator", roles=BY_HAND)
async def test_readuntil(trial: Trial) -> None:
    await expect_read(trial, lambda reader, _: reader.readuntil(b"\r\n\n"), b"\r\n\n")
