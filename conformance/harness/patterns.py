"""Bytes to send, in which a lost, doubled or misplaced byte shows."""

import asyncio
import random
from functools import cache

from conformance.harness.trial import Trial

KIB = 1024


@cache
def pattern(size: int) -> bytes:
    """Return `size` bytes without regularity, the same on every call."""
    return random.Random(size).randbytes(size)


def overfill(trial: Trial) -> bytes:
    """Return 1 MiB more than the trial's network holds for a far end that does not read."""
    return pattern(trial.network.unread_capacity + 1024 * KIB)


async def fill(trial: Trial, writer: asyncio.StreamWriter) -> bytes:
    """Write `overfill()`, and return it: from now on, drains wait until the far end reads.

    It is written piece by piece, because asyncio's TLS transport ignores the high-water mark within
    one write (`drain.waits.one-write`).
    """
    data = overfill(trial)
    for start in range(0, len(data), 64 * KIB):
        writer.write(data[start : start + 64 * KIB])
        await trial.turns(1)
    return data
