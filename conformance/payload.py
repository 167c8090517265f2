"""Bytes to send: such that a byte lost, doubled or out of order shows."""

import random
from functools import cache

from conformance.trial import Trial

KIB = 1024


@cache
def pattern(size: int) -> bytes:
    """Return `size` bytes without regularity, the same on every call."""
    return random.Random(size).randbytes(size)


def overfill(trial: Trial) -> bytes:
    """Return more bytes than the trial's network holds for a far end that does not read.

    Written at once, part of them stays in the implementation's own write buffer, and that part is
    beyond the high water mark of any transport that there is (TLS over asyncio has 512 KiB).
    """
    return pattern(trial.network.unread_capacity + 1024 * KIB)
