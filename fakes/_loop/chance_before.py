"""Random sources that were made before a run, and from which code in the run draws.

* The C library's `rand()`, which libraries in C draw from, such as pymongo's numbers of requests.
* Objects that libraries make on import. Nothing shows whether a `random.Random` was made with a
  seed of the program's own, so only those are exchanged that are known to have none.

While a deterministic loop runs, each has a state that the seed decides; afterwards it gets its own
again.
"""

from __future__ import annotations

import ctypes
import functools
import random
import sys
from typing import Any

# Where libraries have one as a default argument of `__init__()`: aiohttp masks WebSocket's frames
# with it; before 3.11 it was in another module.
_KNOWN = (("aiohttp._websocket.writer", "aiohttp.http_websocket"), "WebSocketWriter")

_C_STATE = 128  # bytes; 8 to 256


class ChanceBefore:
    """The states that such sources have in one simulation.

    Args:
        number: the number of the seed.
    """

    def __init__(self, number: int) -> None:
        self._chance = random.Random(f"{number} program's sources before")
        self._states: dict[random.Random, Any] = {}

    def exchange(self) -> None:
        """Exchange the states of libraries' sources with those of this run, or back."""
        for source in _known():
            inside = self._states.get(source) or random.Random(self._chance.random()).getstate()
            self._states[source] = source.getstate()
            source.setstate(inside)


def _known() -> list[random.Random]:
    modules, name = _KNOWN
    owner = next((getattr(sys.modules[m], name, None) for m in modules if m in sys.modules), None)
    made = getattr(owner, "__init__", None)
    defaults = getattr(made, "__defaults__", None) or ()
    named = getattr(made, "__kwdefaults__", None) or {}
    return [value for value in (*defaults, *named.values()) if type(value) is random.Random]


class ChanceInC:
    """The state of the C library's `rand()` and `random()` in one simulation; of glibc alone.

    It is one for all threads of the process: only one thread at a time may exchange it.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._buffer: Any = None  # from the first `enter()` on
        self._outside: int | None = None

    def enter(self) -> None:
        """Draw from the seed's from now on."""
        library = _glibc()
        if library is None:
            return
        if self._buffer is None:
            self._buffer = ctypes.create_string_buffer(_C_STATE)
            self._outside = library.initstate(self._number & 0xFFFFFFFF, self._buffer, _C_STATE)
        else:
            self._outside = library.setstate(ctypes.addressof(self._buffer))

    def leave(self) -> None:
        """Go on with the state from before."""
        if self._outside is not None:
            _glibc().setstate(self._outside)


@functools.cache
def _glibc() -> Any:
    """Return the C library, if its `rand()` draws from the state that `setstate()` exchanges."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    library.initstate.restype = ctypes.c_void_p
    library.initstate.argtypes = (ctypes.c_uint, ctypes.c_char_p, ctypes.c_size_t)
    library.setstate.restype = ctypes.c_void_p
    library.setstate.argtypes = (ctypes.c_void_p,)
    return library
