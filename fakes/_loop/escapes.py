"""Calls that would reach the real network raise `NotSimulated`.

A simulated loop opens no real socket. But a library may call `socket` in a thread, or block on a
socket of its own; such a call would reach a machine that knows nothing of the test, or nobody. An
audit hook sees each of them. It looks at the threads that belong to a simulation: the loop's own,
those that run its executors' jobs, and all that these have started. Every other thread, and a block
of `fakes.real_sockets()`, works as always.

No hook of Python's sees a library in C with sockets of its own.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes._kernel import arguments
from fakes._kernel.addresses import is_address
from fakes._kernel.errors import NotSimulated, when_refused
from fakes._loop import socket_module, threads
from fakes._loop.in_place import Redirection
from fakes._loop.socket_module import at_work, simulated_here, uses_real_sockets
from fakes._network import resolver
from fakes._network.network import Network
from fakes._network.protocols import named

# Audit events, and how a person calls the function.
_CALLS = {
    "socket.__new__": "socket()",
    "socket.bind": "bind()",
    "socket.connect": "connect()",
    "socket.gethostbyaddr": "gethostbyaddr()",
    "socket.gethostbyname": "gethostbyname()",
    "socket.getaddrinfo": "getaddrinfo()",
    "socket.sendmsg": "sendmsg()",
    "socket.sendto": "sendto()",
}
_ON_SOCKETS = {"socket.bind", "socket.connect", "socket.sendmsg", "socket.sendto"}
_STARTS = {"_thread.start_new_thread", "_thread.start_joinable_thread"}
_NETWORKED = {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}
_OF_A_FILE = -1  # the family that `socket.socket(fileno=…)` leaves to the kernel
_FLAGS = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
_FAKES = str(Path(__file__).parents[1])
_SOCKET_MODULES = {socket.__file__, socket_module.__file__}
# Our own files that call the C library to check an argument, or to format a number.
_ASKING = {arguments.__file__, resolver.__file__}
_STANDARD = str(Path(socket.__file__).parent)
_INSTALLED = str(Path(_STANDARD, "site-packages"))

# The threads that those of a simulation have started, with its loop.
_started: weakref.WeakKeyDictionary[threading.Thread, weakref.ref[asyncio.AbstractEventLoop]] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()
_installed = False
_kept: list[Redirection] = []  # until the process ends


def watch() -> None:
    """Watch from now on. A process has one such hook, because hooks cannot be removed."""
    global _installed
    with _lock:
        if not _installed:
            _installed = True
            when_refused.append(_remember)
            sys.addaudithook(_look)
            if sys.version_info < (3, 12):
                _tell_of_threads()
            if sys.version_info < (3, 13):
                sleeps = Redirection(time.sleep, _tell_of_sleeps)
                sleeps.on()
                _kept.append(sleeps)


def _tell_of_threads() -> None:
    """Raise the audit event that Python 3.12 and newer raise of every new thread."""
    start = threading._start_new_thread  # type: ignore[attr-defined]

    def start_and_tell(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        sys.audit("_thread.start_new_thread", function, args, None)
        return start(function, args)

    threading._start_new_thread = start_and_tell  # type: ignore[attr-defined]


def _tell_of_sleeps(original: Callable[[float], None]) -> Callable[[float], None]:
    """Raise the audit event that Python 3.13 and newer raise of every sleep."""

    def sleep(seconds: float, /) -> None:
        sys.audit("time.sleep", seconds)
        original(seconds)

    return sleep


def _look(event: str, args: tuple[Any, ...]) -> None:
    if event in _CALLS:
        if _reaches_out(event, args) and loop_of_this_thread() is not None:
            _refuse(event, args)
    elif event in _STARTS:
        thread = getattr(args[0], "__self__", None)
        if isinstance(thread, threading.Thread) and (loop := loop_of_this_thread()) is not None:
            _started[thread] = weakref.ref(loop)
    elif event == "time.sleep":
        _tell_loop(args[0])


def _tell_loop(seconds: Any) -> None:
    """Tell the loop of a sleep in real time: of its own thread, or of another one."""
    loop: Any = loop_of_this_thread()  # one of ours
    if loop is not None and simulated_here() is None:
        loop.sleeps_again(sys._getframe(2 if sys.version_info >= (3, 13) else 3))
    elif loop is not None and isinstance(seconds, (int, float)):
        loop.let_pass(max(0.0, seconds))


def loop_of_this_thread() -> asyncio.AbstractEventLoop | None:
    """Return the loop of the simulation that this thread belongs to, or None."""
    if uses_real_sockets():
        return None
    if simulated_here() is not None:
        return asyncio._get_running_loop()
    loop = at_work.get(threading.get_ident())
    if loop is None:
        reference = _started.get(threading.current_thread())
        loop = None if reference is None else reference()
    return None if loop is None or loop.is_closed() else loop


def network_of_this_thread() -> Network | None:
    """Return the network of the simulation that this thread belongs to, or None."""
    loop: Any = loop_of_this_thread()  # one of ours
    return None if loop is None else loop.network


def _reaches_out(event: str, args: tuple[Any, ...]) -> bool:
    if event == "socket.__new__":
        # One for packets needs no address to receive, and Python tells of no other call.
        _, family, kind, _ = args
        return family != _OF_A_FILE and (
            family not in _NETWORKED or kind & ~_FLAGS == socket.SOCK_RAW
        )
    if event in _ON_SOCKETS:
        return args[0].family in _NETWORKED
    host = args[0]
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    return bool(host) and not is_address(str(host))


def _remember(message: str) -> None:
    """Let the loop of this thread remember the error for a call that is not simulated.

    It may end a thread, or a library may try again and again, and a task that waits for the result
    of the call would never learn the reason.
    """
    loop = loop_of_this_thread()
    if loop is not None:
        loop.refusals[message] = None  # type: ignore[attr-defined]  # as every loop of ours


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    frame: types.FrameType | None = sys._getframe(2)
    by_way_of = ""
    while frame is not None and frame.f_code.co_filename in _SOCKET_MODULES:
        if frame.f_code.co_filename == socket.__file__:
            by_way_of = f", by way of {frame.f_code.co_qualname}()"
        frame = frame.f_back
    if frame is not None and frame.f_code.co_filename in _ASKING:
        return
    while frame is not None and _is_between(frame):
        if frame.f_code.co_filename == threads.__file__:
            frame = None  # it is the job itself
            break
        by_way_of = f", by way of {frame.f_code.co_qualname}()"
        frame = frame.f_back
    who = f"a job of the event loop's executor{by_way_of}"
    if frame is not None:
        code = frame.f_code
        who = f'{code.co_qualname}(), "{code.co_filename}:{frame.f_lineno}"{by_way_of}'
    if event == "socket.__new__":
        _, family, kind, _ = args
        family, kind = named(socket.AddressFamily, family), named(socket.SocketKind, kind & ~_FLAGS)
        what = f"{family} and {kind}"
    else:
        what = repr(args[1] if event in _ON_SOCKETS else args[0])
    if event == "socket.connect":
        args[0].close()  # the code that made it expects an OSError, if any, and leaves it open
    raise NotSimulated(
        f"{_CALLS[event]} for {what} would leave the simulated network for the real one: called "
        f"by {who}, in the thread {threading.current_thread().name!r}. Use the event loop's "
        "methods or, if the real network is meant, `with fakes.real_sockets():`",
    )


def _is_between(frame: types.FrameType) -> bool:
    file = frame.f_code.co_filename
    if file.startswith(("<", _FAKES)):
        return True
    return file.startswith(_STANDARD) and not file.startswith(_INSTALLED)
