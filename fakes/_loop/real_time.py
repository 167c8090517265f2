"""The real clock, for our own code, even while the program sees a simulated one."""

from __future__ import annotations

import time
import types
from collections.abc import Callable
from typing import Any, TypeVar

from fakes._loop.in_place import original

F = TypeVar("F", bound=Callable[..., Any])


def _real(function: F) -> F:
    # A function that was replaced before this module was imported stays replaced.
    return original(function) if isinstance(function, types.BuiltinFunctionType) else function


monotonic = _real(time.monotonic)
sleep = _real(time.sleep)
