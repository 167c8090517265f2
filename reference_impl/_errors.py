"""Exceptions for more than one caller."""

from __future__ import annotations

import copy
from typing import TypeVar

Error = TypeVar("Error", bound=BaseException)


def fresh(error: Error) -> Error:
    """Return a copy of *error* to raise, so that no raise adds to the traceback of another.

    The copy has the same arguments and the same cause. An exception that cannot be copied
    faithfully is returned itself.
    """
    try:
        twin = copy.copy(error)
    except Exception:
        return error
    if type(twin) is not type(error) or twin.args != error.args:
        return error
    twin.__cause__ = error.__cause__
    twin.__context__ = error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)
