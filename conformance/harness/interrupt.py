"""The user's interrupts, as distinct from those of an implementation."""

import ctypes
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from conformance.errors import Stopped

SAME_WISH = 2.0
"""Seconds within which two signals count as one."""

_PR_SET_PDEATHSIG = 1  # see prctl(2)


class Interrupted(Stopped):
    """The user wants the run to end: by SIGINT (Ctrl-C) or SIGTERM.

    An implementation can raise a `KeyboardInterrupt` too: that is not this, and ends one test.
    """


@contextmanager
def listening() -> Iterator[None]:
    """Raise `Interrupted` in the block when the user wants the run to end.

    A second signal that arrives with the first counts as one with it: some programs end a process
    and its group. A later one ends the clean-up that the first has begun.
    """
    last = -math.inf

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() > last + SAME_WISH:
            last = time.monotonic()
            raise Interrupted(signal.Signals(number).name)

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def leave_to_parent() -> None:
    """Ignore the terminal's Ctrl-C, which the parent handles; end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of them
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
