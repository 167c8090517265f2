"""The errors of system calls, and the error for calls that are not simulated."""

from __future__ import annotations

import os

from fakes._public import public


def os_error(number: int) -> OSError:
    """The exception that a system call raises for an error number, e.g. `ConnectionResetError`."""
    return OSError(number, os.strerror(number))


@public
class NotSimulated(NotImplementedError):
    """The program needs something that is not simulated; the message names it."""
