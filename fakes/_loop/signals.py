"""Signals that a program sends itself, for a loop's `add_signal_handler()`.

`signal.raise_signal()` and `os.kill(os.getpid(), ...)` run Python's handler immediately, in the
main thread, whatever that is doing. So the handler here only hands over the loop's callback. A
signal from outside comes in real time; it is handed over likewise.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable
from types import FrameType

from fakes._asyncio.private_api import callback_of


class Signals:
    """The signal handlers of a loop.

    Args:
        call: a function that takes callbacks. It must take no lock: it is called in the middle of
            anything.
    """

    def __init__(self, call: Callable[[asyncio.Handle], object]) -> None:
        self._call = call
        self._handles: dict[int, asyncio.Handle] = {}

    def add(self, sig: int, handle: asyncio.Handle) -> None:
        """Hand over a callback whenever a signal comes; see `Loop.add_signal_handler()`."""
        _check(sig)
        if inspect.iscoroutine(callback_of(handle)) or inspect.iscoroutinefunction(
            callback_of(handle)
        ):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        try:
            signal.signal(sig, self._take)
        except OSError as exc:
            raise RuntimeError(f"sig {sig} cannot be caught") from exc
        except ValueError as exc:  # not in the main thread
            raise RuntimeError(str(exc)) from exc
        self._handles[sig] = handle

    def _take(self, sig: int, frame: FrameType | None) -> None:
        handle = self._handles.get(sig)
        if handle is not None:
            self._call(handle)

    def remove(self, sig: int) -> bool:
        """Set the default handler of a signal again; return whether there was another one."""
        _check(sig)
        handle = self._handles.pop(sig, None)
        if handle is None:
            return False
        handle.cancel()
        default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
        signal.signal(sig, default)
        return True

    def clear(self) -> None:
        """Remove all handlers."""
        for sig in list(self._handles):
            self.remove(sig)


def _check(sig: int) -> None:
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")
