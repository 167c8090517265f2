"""The state of another thread: at work, or waiting for something to wake it.

A thread at work computes, sleeps, or waits for a real file or a real socket. It may have an answer
for the simulation, so virtual time does not run ahead of it. A thread that waits for a lock, a
queue, a future or a pipe goes on when the simulation, or another thread, wakes it.
"""

from __future__ import annotations

import contextvars
import dis
import functools
import linecache
import platform
import selectors
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from fakes._loop.pipes import is_of_this_process
from fakes._loop.real_time import sleep

WAITING_CALLS = frozenset({"acquire", "wait", "wait_for", "get", "put", "join", "result"})
"""The methods of locks, events, conditions, queues, threads and futures that wait for others."""

RUNS, CALLED = "_run_job", "func"
"""Our function that runs an executor's job, and the job's name in it."""

STATUS = Path("/proc/self/task/{}/status")
"""Linux's information on a thread, by its number."""

CALL = STATUS.with_name("syscall")
"""Linux's information on the system's call that a thread is in: its number and arguments."""

READ = {"x86_64": "0", "aarch64": "63"}.get(platform.machine())
"""The number of the call `read()`."""

PAUSE = 0.01
"""Seconds between two checks if the kernel has no information on a thread."""

SELECTING_MODULES = frozenset({"selectors", "fakes._loop.polling"})
"""The modules whose methods wait for descriptors, for their argument `timeout`."""

FOREVER = (None, -1)
"""The values of such a timeout without an end."""

WATCHING_MODULE = "fakes._loop.escapes"
"""Our module whose functions may stand between a thread and a call of C's, such as a sleep."""

WAITING_MODULES = frozenset({"threading", "queue", "concurrent.futures._base"})
"""The modules whose own code waits for locks on behalf of such a method."""


def all_wait(threads: Iterable[threading.Thread]) -> bool:
    """Whether each of some threads waits for another one, and has done nothing else meanwhile.

    They are checked twice: a thread that was woken between the two checks has changed.
    """
    threads = list(threads)
    first = [_look(each) for each in threads]
    if None in first:
        return False
    if not STATUS.parents[1].exists():
        sleep(PAUSE)
    return first == [_look(each) for each in threads]


def _look(thread: threading.Thread) -> object:
    """Return a value that changes with each step of a thread that waits for another one; else None.

    The kernel reports whether it sleeps. A thread that was just woken, and has no processor yet,
    does not sleep; nor does one that waits for the interpreter, because reading the kernel's report
    releases the interpreter first.
    """
    if not thread.is_alive():
        return "ended"
    frame = frame_of(thread)
    if frame is None or not (is_at_a_wait(frame) or _reads_a_pipe(thread, frame)):
        return None
    try:
        status = Path(str(STATUS).format(thread.native_id)).read_text(encoding="utf-8")
    except OSError:
        return id(frame), frame.f_lasti
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return lines["voluntary_ctxt_switches"] if lines["State"].split()[0] == "S" else None


def _reads_a_pipe(thread: threading.Thread, frame: FrameType) -> bool:
    """Whether a thread is in the system's call `read()` for a pipe of this process.

    `multiprocessing` has both ends of pipes to which its processes write.
    """
    if str(frame.f_globals.get("__name__")).startswith("multiprocessing."):
        return False
    try:
        call = Path(str(CALL).format(thread.native_id)).read_text(encoding="utf-8").split()
    except OSError:  # unknown, and so at work
        return False
    return call[0] == READ and is_of_this_process(int(call[1], 16))


def frame_of(thread: threading.Thread) -> FrameType | None:
    """Return the innermost frame of a thread; None if it runs no Python code.

    Calls that are watched are its caller's.
    """
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_globals.get("__name__") == WATCHING_MODULE:
        frame = frame.f_back
    return frame


def is_at_a_wait(frame: FrameType) -> bool:
    """Whether a frame is in a call that waits for another thread, or in a `with` on a lock."""
    numbers = _selected(frame)
    if numbers is not None:
        return all(map(is_of_this_process, numbers))
    if frame.f_globals.get("__name__") in WAITING_MODULES:
        return True
    function = frame.f_locals.get(CALLED) if frame.f_code.co_name == RUNS else None
    if function is not None:  # a job that is such a method itself has no frame of its own
        return getattr(_innermost(function), "__name__", None) in WAITING_CALLS
    return _called(frame.f_code, frame.f_lasti) in WAITING_CALLS


def _selected(frame: FrameType) -> list[int] | None:
    """Return the numbers for which a frame waits in a call of `select` without a timeout.

    Such is an event loop that has nothing to do, which waits for a call from another thread.
    """
    names = frame.f_locals
    if frame.f_globals.get("__name__") not in SELECTING_MODULES or "timeout" not in names:
        return None
    if names.get("waking") is not None:
        return []  # it waits for virtual time, and for files of this process
    if names["timeout"] not in FOREVER:
        return None
    waiting = names.get("self")
    if isinstance(waiting, selectors.BaseSelector):
        return [key.fd for key in (waiting.get_map() or {}).values()]
    return list(getattr(waiting, "real_numbers", ())) or None


def _innermost(function: Any) -> Any:
    """Return the innermost function of a partial, such as that of `asyncio.to_thread()`."""
    while isinstance(function, functools.partial):
        runs = isinstance(getattr(function.func, "__self__", None), contextvars.Context)
        function = function.args[0] if runs and function.args else function.func
    return function


@functools.lru_cache(maxsize=1000)  # a thread may wait at one place thousands of times
def _called(code: CodeType, at: int) -> str | None:
    """Return the name of the method that the code has called at an instruction, if it is one."""
    name = None
    for instruction in dis.get_instructions(code):
        if instruction.offset > at:
            break
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            name = str(instruction.argval)
        elif instruction.opname == "BEFORE_WITH" or "__enter__" in instruction.argrepr:
            name = "acquire"
    return name


def place(thread: threading.Thread) -> str:
    """Return where a thread stands, for a message: its function, file and line, and the source.

    That is the program's function, or one of the standard library that an executor runs by itself.
    """
    frame = frame_of(thread)
    if frame is None:
        return f"{thread.name}: it runs no Python code"
    if frame.f_code.co_name == RUNS:  # a function of C's, which has no frame
        called = _innermost(frame.f_locals.get(CALLED))
        return f"{thread.name} stands in {getattr(called, '__qualname__', called)}()"
    shown = frame
    while shown.f_globals.get("__name__") in WAITING_MODULES:
        if shown.f_back is None or shown.f_back.f_code.co_name == RUNS:
            break
        shown = shown.f_back
    code = shown.f_code
    source = linecache.getline(code.co_filename, shown.f_lineno).strip()
    where = f'{thread.name} stands in {code.co_qualname}, "{code.co_filename}:{shown.f_lineno}"'
    return f"{where}: {source}" if source else where
