"""A signal handler's exception ends the run, whatever the program catches.

pytest-timeout's handler raises one, and others do. If the signal comes while a task or a callback
runs, asyncio takes the exception for theirs: it becomes the task's result, or is logged, and the
run goes on instead of ending. asyncio makes an exception of `KeyboardInterrupt` and `SystemExit`; a
simulated loop does so of every exception from a signal handler.

Some code is not interrupted, and the exception ends the run after it: the loop as it starts or
stops, which would count as running forever, and its waits for threads, which take locks that a
thread needs (`Condition.__enter__()` is Python code: an exception in it leaves the lock taken).
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# Signals that a timer or a person sends. asyncio handles SIGINT itself.
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]

_not_interrupted: set[CodeType] = set()


def not_interrupted(function: F) -> F:
    """Let no signal handler's exception into calls of a function, and of what it calls."""
    _not_interrupted.add(function.__code__)
    return function


class _Handler:
    """Stands before a signal handler, and keeps its exception."""

    def __init__(
        self,
        handler: Callable[[int, FrameType | None], Any],
        stop: Callable[[BaseException], None],
        raised: list[BaseException],
    ) -> None:
        self.handler = handler
        self._stop = stop
        self._raised = raised

    def __call__(self, signum: int, frame: FrameType | None) -> Any:
        """Take a signal; the system calls this."""
        try:
            return self.take(signum, frame)
        except BaseException:
            if not _goes_on(frame):
                raise

    def take(self, signum: int, frame: FrameType | None) -> Any:
        """Pass a signal to the handler, and to all that stand before it; raise its exception."""
        before = self.handler
        try:
            return (before.take if isinstance(before, _Handler) else before)(signum, frame)
        except BaseException as exc:
            self._raised.append(exc)
            self._stop(exc)
            raise


def _goes_on(frame: FrameType | None) -> bool:
    """Return whether the code there is not to be interrupted."""
    while frame is not None:
        if frame.f_code in _not_interrupted:
            return True
        if frame.f_code.co_name == "_run_once":
            return False
        if frame.f_code.co_name == "run_forever":
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def let_through(stop: Callable[[BaseException], None] = lambda _: None) -> Iterator[None]:
    """Raise the exception of a signal handler at the block's end, if not earlier.

    Args:
        stop: is called with what one has raised, to have the block end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signal handlers run in the main thread
        return
    raised: list[BaseException] = []
    handlers = {}
    try:
        for signum in _SIGNALS:
            before = signal.getsignal(signum)
            if callable(before):
                handlers[signum] = _Handler(before, stop, raised)
                signal.signal(signum, handlers[signum])
        yield
    finally:
        for signum, handler in handlers.items():
            if signal.getsignal(signum) is handler:
                signal.signal(signum, handler.handler)
        if raised:
            raise raised[0]
