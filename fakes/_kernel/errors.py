"""The errors of system calls, and the error for calls that are not simulated."""

from __future__ import annotations

import os
from collections.abc import Callable

from fakes._public import public


def os_error(number: int) -> OSError:
    """The exception that a system call raises for an error number, e.g. `ConnectionResetError`."""
    return OSError(number, os.strerror(number))


when_refused: list[Callable[[str], None]] = []
"""Functions that take the message of each `NotSimulated`, in the thread that raises it."""


@public
class NotSimulated(NotImplementedError):
    """The program needs something that is not simulated; the message names it."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        for remember in when_refused:
            remember(str(self))
