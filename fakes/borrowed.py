"""What `fakes` uses of asyncio beyond its documentation, and why: the only such place.

Used here:

* `asyncio.sslproto.SSLProtocol`: asyncio's own TLS, so that TLS over the fakes is the TLS that
  programs get. There is no documented way to put it on a transport of one's own.
* `Task._fut_waiter`: what a task waits for, to name it in `Deadlock`.
* `asyncio.base_events._format_handle()`: how debug mode names a slow callback.
* `concurrent.futures.thread._threads_queues`: which threads are an executor's, idle until asked.

Used where an event loop, a handle or a transport has to be one that asyncio can work with:

* `BaseEventLoop._run_once()`, `_ready`, `_stopping`, `_debug`, `_check_closed()`,
  `_check_callback()`, `_check_thread()`, `_check_default_executor()`, `_default_executor`,
  `_timer_handle_cancelled()`, `_executor_shutdown_called` (`fakes.loop`): a turn of the loop is
  what virtual time replaces; everything around it is asyncio's.
* `Handle._run()`, `_cancelled`, `_callback`, `_context`, `_loop`, `TimerHandle._scheduled`
  (`fakes.loop`, `fakes.watch`): what a loop does with handles.
* `BaseTransport._extra`, `_start_tls_compatible`, `_force_close()` (`fakes.transport`): what
  `start_tls()` and asyncio's TLS ask of a transport.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import threading
from asyncio.base_events import _format_handle as described  # type: ignore[attr-defined]
from asyncio.sslproto import SSLProtocol
from typing import Any

__all__ = ["SSLProtocol", "awaited_by", "described", "is_executors"]


def awaited_by(task: asyncio.Task[Any]) -> asyncio.Future[Any] | None:
    """Return the future that a task waits for."""
    return getattr(task, "_fut_waiter", None)


def is_executors(thread: threading.Thread) -> bool:
    """Whether a thread is a worker of a thread pool."""
    return thread in getattr(concurrent.futures.thread, "_threads_queues", ())
