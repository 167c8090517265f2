"""Hung tests: how they are stopped, and which coroutine waited for what."""

import asyncio
import linecache
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from conformance.errors import Hang, Stopped, is_standard, place_of
from conformance.networks.wire import Progress

_SUITE = str(Path(__file__).parents[1])
_ASYNCIO = Path(asyncio.__file__).parent
_TOOLS = frozenset(
    str(_ASYNCIO / f"{name}.py") for name in ("tasks", "locks", "queues", "timeouts", "futures")
)
"""Modules of asyncio in which many waits end; naming them would not help."""

_FAR_END = {
    "accept": "a connection to arrive at the far end",
    "receive": "bytes to arrive at the far end",
    "receive_some": "bytes to arrive at the far end",
    "receive_rest": "the end of the stream to arrive at the far end",
    "receive_to_end": "the connection to end at the far end",
    "send": "what the far end sends to be received",
    "handshake": "the TLS handshake to end",
    "dial": "the far end to be able to connect",
}
"""The events that a test waits for in a method of a wire, a listener or a network."""


_LONG_TURNS = 10
"""Times that a watchdog waits on because the loop has come round since it last woke."""


@contextmanager
def watchdog(seconds: float, progress: Progress | None = None) -> Iterator[None]:
    """Stop the block with `Hang` if it does not give control back to the event loop.

    The timer repeats, because an implementation may catch the first exception.

    Args:
        seconds: for how long the loop may not come round.
        progress: where turns of the loop are noted. In virtual time much can happen, in many turns,
            before the first second has passed.
    """

    class TimeIsUp(Stopped):
        pass

    stopped: list[Hang] = []
    seen, patience = progress.turns if progress else 0, _LONG_TURNS

    def stop(_signal: int, frame: FrameType | None) -> None:
        nonlocal seen, patience
        if progress and progress.turns != seen and patience:
            seen, patience = progress.turns, patience - 1
            signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
            return
        stopped.append(_hang_of_running(frame))
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    except TimeIsUp:
        raise stopped[0] from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def hang_of(test: "asyncio.Task[Any]", started: Iterable["asyncio.Task[Any]"], how: str) -> Hang:
    """Return the report on a test that has waited for too long.

    Args:
        test: the task of the test.
        started: the tasks that it has started, in order. If none of them waits for the
            implementation, all others are examined.
        how: how long, in words.
    """
    chain = _chain(test.get_coro())
    others = sorted(asyncio.all_tasks(test.get_loop()), key=asyncio.Task.get_name)
    calls: list[_Waiting] = []
    for tasks in ([test], started, others):
        chains = [_chain(each.get_coro()) for each in tasks if not each.done()]
        calls = calls or [call for each in chains if (call := _call(each)) is not None]
    if calls:
        names = list(dict.fromkeys(call.name for call in calls))
        waits = list(dict.fromkeys(str(call) for call in calls))
        return Hang(
            f"{' and '.join(names)} to return", f"a hang {how}: {'; '.join(waits)}", _lines(chain)
        )
    far_end = _waited_for_at_far_end(chain)
    if far_end:
        return Hang(far_end, f"a hang {how}", _lines(chain))
    frame = chain[0].frame if chain else None
    source = source_line(frame.f_code.co_filename, frame.f_lineno) if frame else ""
    inner = [each for each in chain if each.frame is not None and each.file not in _TOOLS]
    where = f": the test waits in {_shown(inner[-1].frame, inner[-1].name)}" if inner else ""
    return Hang(
        f"`{source}` to end" if source else "the test to end", f"a hang {how}{where}", _lines(chain)
    )


class _Link(NamedTuple):
    """A coroutine that waits for the next one.

    Attributes:
        name: its qualified name.
        frame: its frame; none if it is not a Python coroutine.
    """

    name: str
    frame: FrameType | None

    @property
    def file(self) -> str:
        return "" if self.frame is None else self.frame.f_code.co_filename


class _Waiting(NamedTuple):
    """A call of the implementation that does not return.

    Attributes:
        name: the name of the call, and its end if that is not the one under test.
        at: its innermost coroutine that is worth naming.
    """

    name: str
    at: _Link

    def __str__(self) -> str:
        return f"{self.name} waits in {_shown(self.at.frame, self.at.name)}"


def _chain(coroutine: Any) -> list[_Link]:
    """Return a suspended coroutine and those that it waits for, the innermost last."""
    chain = []
    while coroutine is not None and hasattr(coroutine, "__qualname__"):
        for frame, awaited in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom")):
            if hasattr(coroutine, awaited):
                chain.append(_Link(coroutine.__qualname__, getattr(coroutine, frame, None)))
                coroutine = getattr(coroutine, awaited)
                break
        else:
            break
    return chain


def _call(chain: list[_Link]) -> _Waiting | None:
    """Return the implementation's call that is in `chain`, if one is."""
    for place, link in enumerate(chain):
        if link.file.startswith(_SUITE) or link.file in _TOOLS:
            continue
        inner = [each for each in chain[place:] if each.file not in _TOOLS]
        is_far = any(each.name.startswith("PeerWire.") for each in chain[:place])
        return _Waiting(link.name + "()" + (" of the far end" if is_far else ""), inner[-1])
    return None


def _waited_for_at_far_end(chain: list[_Link]) -> str:
    """Return, in words, what a test waits to receive; nothing if it waits for something else."""
    for link in chain:
        owner, _, name = link.name.rpartition(".")
        if owner.endswith(("Wire", "Listener", "Network")) and name in _FAR_END:
            return _FAR_END[name]
    return "client_connected_cb to be called" if chain and chain[-1].name == "Queue.get" else ""


def _lines(chain: list[_Link]) -> dict[CodeType, int]:
    """Return the number of the line at which each coroutine waits, by its code."""
    frames = [each.frame for each in reversed(chain) if each.frame is not None]
    return {frame.f_code: frame.f_lineno for frame in frames}


def _shown(frame: FrameType | None, name: str) -> str:
    """Return a place in a program: its file, line and function, and the line itself."""
    if frame is None:  # of a coroutine that is not Python's
        return f"{name}()"
    file = frame.f_code.co_filename
    source = source_line(file, frame.f_lineno)
    return f"{place_of(file)}:{frame.f_lineno} {name}()" + (f" at `{source}`" if source else "")


def source_line(file: str, number: int) -> str:
    """Return a line of a source file without its comment; empty if there is none."""
    return linecache.getline(file, number).partition("  # ")[0].strip()


def _hang_of_running(frame: FrameType | None) -> Hang:
    """Return the report on code that runs without end, from the place where it was stopped."""
    stack: list[FrameType] = []
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    inner: list[FrameType] = []  # from the innermost out, up to the call of the suite or the loop
    for each in stack:
        file = each.f_code.co_filename
        if inner and (file.startswith(_SUITE) or file.endswith("asyncio/events.py")):
            break
        inner.append(each)
    if not inner:
        return Hang("the test to end", "a hang")
    at = next((each for each in inner if not is_standard(each.f_code.co_filename)), inner[0])
    return Hang(
        f"{inner[-1].f_code.co_qualname}() to give control back to the event loop",
        f"a hang: it never does, in {_shown(at, at.f_code.co_qualname)}",
    )


def line_of(error: BaseException, code: CodeType) -> int:
    """Return the number of the line at which `error` left the test with that `code`.

    It is 0 if it did not leave the test.
    """
    found, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
