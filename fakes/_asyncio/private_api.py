"""All uses of private parts of asyncio, each with its reason.

Used here:

* `asyncio.sslproto.SSLProtocol`: asyncio's own TLS, so that TLS over the fakes is the TLS that
  programs get. There is no documented way to put it on a transport of one's own.
* `SSLProtocol._app_transport`: the transport over TLS, which `start_tls()` returns
  (`fakes._asyncio.tls`).
* `BaseEventLoop.start_tls()`, called with a loop that may be another's, such as uvloop's: asyncio's
  steps, over a transport of the fakes (`fakes._asyncio.loop_methods`).
* `SSLProtocol._app_transport._closed`: marks the transport over TLS of a program that is gone as
  closed, so that there is no warning.
* `Py_IncRef()`: a reference that is never released, for objects that must never be collected.
* `asyncio.selector_events._SelectorDatagramTransport`: asyncio's own transport for UDP, which asks
  its loop for `_add_reader()`, `_remove_reader()`, `_add_writer()`, `_remove_writer()` and
  `_transports` (`fakes._asyncio.datagram_transport`).
* `asyncio.unix_events._UnixReadPipeTransport`, `_UnixWritePipeTransport`: asyncio's own transports
  for pipes, which ask their loop for the same (`fakes._loop.pipes`).
* `Task._fut_waiter`: the future that a task waits for, to name it in `Deadlock`.
* `Task._exception`, `Task._log_traceback`: the exception of a task, which still counts as not
  retrieved, and whether it does.
* `_GatheringFuture._children`: the futures of a `gather()`, to name them.
* `Task._log_destroy_pending`: whether asyncio reports a task that is destroyed while it waits; a
  search runs a failing program hundreds of times (`fakes._tools.program`).
* `BaseSelectorEventLoop._make_self_pipe()`: makes the pair of sockets with which a real loop wakes
  itself. A program may make such a loop, for a thread, while a simulated one runs.
* `asyncio.base_events._format_handle()`: how debug mode names a slow callback.
* `ProcessPoolExecutor._processes`: its workers, to end them. Python 3.14 has a method for it.
* `ThreadPoolExecutor._max_workers`: how many jobs it runs at the same time.
* `concurrent.futures.thread._threads_queues`: the threads that are an executor's.

Used where an event loop, a handle or a transport has to be one that asyncio can work with:

* `BaseEventLoop._run_once()`, `_ready`, `_stopping`, `_debug`, `_check_closed()`,
  `_check_callback()`, `_check_thread()`, `_check_default_executor()`, `_default_executor`,
  `_timer_handle_cancelled()`, `_executor_shutdown_called`, `_asyncgens`,
  `_asyncgen_firstiter_hook()` (`fakes._loop.virtual`): virtual time replaces the turn of the loop;
  everything around it is asyncio's.
* `Handle._run()`, `_cancelled`, `_callback`, `_context`, `_loop`, `TimerHandle._scheduled`
  (`fakes._loop.virtual`, `fakes._kernel.readiness`): a loop needs these of handles.
* `BaseTransport._extra`, `_start_tls_compatible`, `_force_close()` (`fakes._asyncio.transport`):
  `start_tls()` and asyncio's TLS need these of a transport.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import ctypes
import threading
import types
from asyncio.base_events import _format_handle as described  # type: ignore[attr-defined]
from asyncio.selector_events import (
    BaseSelectorEventLoop,
)
from asyncio.selector_events import (  # type: ignore[attr-defined]
    _SelectorDatagramTransport as SelectorDatagramTransport,
)
from asyncio.sslproto import SSLProtocol
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import concurrent.futures.process

__all__ = [
    "ReadPipeTransport",
    "SSLProtocol",
    "SelectorDatagramTransport",
    "WritePipeTransport",
    "abandon",
    "awaited_by",
    "callback_of",
    "described",
    "end_workers",
    "exception_of",
    "gathered_by",
    "is_executors",
    "is_unretrieved",
    "makes_a_real_loop",
    "never_run_again",
    "workers_of",
]

_unix: Any = getattr(asyncio, "unix_events", None)  # not on Windows
ReadPipeTransport: Any = getattr(_unix, "_UnixReadPipeTransport", None)
WritePipeTransport: Any = getattr(_unix, "_UnixWritePipeTransport", None)


def abandon(protocol: object) -> None:
    """If a protocol is TLS, let it go: nobody will close the transport that it has made."""
    app_transport = getattr(protocol, "_app_transport", None)
    if app_transport is not None:
        app_transport._closed = True


def awaited_by(task: asyncio.Task[Any]) -> asyncio.Future[Any] | None:
    """Return the future that a task waits for."""
    return getattr(task, "_fut_waiter", None)


def callback_of(handle: asyncio.Handle) -> object:
    """Return the callback of a handle."""
    return handle._callback  # type: ignore[attr-defined]


def exception_of(task: asyncio.Task[Any]) -> BaseException | None:
    """Return the exception of a finished task; it is still reported if nobody retrieves it."""
    return getattr(task, "_exception", None)


def is_unretrieved(task: asyncio.Task[Any]) -> bool:
    """Whether a task has failed, and nobody has retrieved its exception."""
    return bool(getattr(task, "_log_traceback", False))


def gathered_by(future: asyncio.Future[Any] | None) -> list[asyncio.Future[Any]]:
    """Return the futures of a `gather()` that have not ended; none if it is another future."""
    return [each for each in getattr(future, "_children", ()) if not each.done()]


def never_run_again(thing: Any) -> None:
    """Make sure that a suspended task or asynchronous generator never runs again.

    asyncio forgets the task, so that nobody waits for it when the loop is closed. And neither is
    ever collected: otherwise Python would run the rest of its `finally` clauses. Its memory stays
    in use until the process ends.
    """
    if isinstance(thing, asyncio.Task):
        asyncio._unregister_task(thing)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def not_reported(task: asyncio.Task[Any]) -> None:
    """Make sure that asyncio does not report a task that is destroyed while it waits."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def is_executors(thread: threading.Thread) -> bool:
    """Whether a thread is a worker of a thread pool."""
    return thread in getattr(concurrent.futures.thread, "_threads_queues", ())


def workers_of(executor: concurrent.futures.Executor) -> int | None:
    """Return how many jobs an executor runs at the same time; None if it is unknown."""
    return getattr(executor, "_max_workers", None)


def end_workers(pool: concurrent.futures.ProcessPoolExecutor) -> None:
    """End the processes of a pool, whatever they are doing."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


def makes_a_real_loop(frame: types.FrameType) -> bool:
    """Whether a real event loop is being made, and makes the sockets with which it wakes itself."""
    make: Any = BaseSelectorEventLoop._make_self_pipe  # type: ignore[attr-defined]
    return frame.f_code is make.__code__
