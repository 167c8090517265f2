"""Other threads and a loop with virtual time: executors' jobs, and calls from any thread.

A thread runs in real time, of which the loop knows nothing. So a job takes no virtual time: while
one runs and nothing else is ready, the loop waits for it, and results come in the order of the
calls. A job that calls the loop may wait for what the loop does later; the loop does not wait for
such a job while there are timers to go on with.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from fakes.borrowed import is_executors

# Seconds of real time between two looks at whether a thread still lives.
CHECK_INTERVAL = 0.01


class _Job:
    """A function that runs in an executor for a loop."""

    __slots__ = ("answer", "calls_loop", "work")

    def __init__(self, answer: asyncio.Future[Any]) -> None:
        self.answer = answer
        self.calls_loop = False
        self.work: concurrent.futures.Future[Any]


class Threads:
    """What one loop has to do with other threads. Made in the loop's own thread."""

    def __init__(self) -> None:
        # The threads that are none of the program's, weakly: the test runner's, a debugger's.
        self._outside = weakref.WeakSet(threading.enumerate())
        self._calls: deque[asyncio.Handle] = deque()
        self._event = threading.Event()  # set when there is a call, or a job has ended
        self._jobs: list[_Job] = []
        self._working: dict[int, _Job] = {}  # by thread

    # --- from other threads -------------------------------------------------------------------

    def call(self, handle: asyncio.Handle) -> None:
        """Hand a callback to the loop."""
        job = self._working.get(threading.get_ident())
        if job is not None:
            job.calls_loop = True
        self._calls.append(handle)
        self._event.set()

    # --- from the loop ------------------------------------------------------------------------

    def has_calls(self) -> bool:
        """Return whether threads have handed over what the loop has not taken yet."""
        return bool(self._calls)

    def take_calls(self, ready: deque[asyncio.Handle]) -> None:
        """Move what threads have handed over to the loop's ready queue."""
        while self._calls:
            ready.append(self._calls.popleft())

    def submit(
        self,
        executor: concurrent.futures.Executor,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        answer: asyncio.Future[Any],
    ) -> None:
        """Run a function in an executor; `answer` gets its result."""
        job = _Job(answer)

        def work() -> Any:
            self._working[threading.get_ident()] = job
            try:
                return func(*args)
            finally:
                del self._working[threading.get_ident()]

        if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            job.work = executor.submit(work)
        else:  # of processes, whose jobs cannot call the loop
            job.work = executor.submit(func, *args)
        self._jobs.append(job)
        answer.add_done_callback(lambda answer: job.work.cancel() if answer.cancelled() else None)
        job.work.add_done_callback(lambda work: self._event.set())

    def wait_for_job(self) -> bool:
        """Wait for the oldest job, or for a call. Return whether there was a job to wait for."""
        for job in self._jobs:
            if job.work.done() or not job.calls_loop:
                break
        else:
            return False
        while not (job.work.done() or job.calls_loop or self._calls):
            self._event.wait()
            self._event.clear()
        if job.work.done():
            self._jobs.remove(job)
            _answer(job)
        return True

    def wait_for_call(self) -> bool:
        """Wait a moment for a call from a thread that may make one; False if there is none."""
        if not self._jobs and not any(
            thread not in self._outside and not is_executors(thread)
            for thread in threading.enumerate()
        ):
            return False
        self._event.wait(CHECK_INTERVAL)
        self._event.clear()
        return True


def _answer(job: _Job) -> None:
    if job.answer.done():
        return
    if job.work.cancelled():
        job.answer.cancel()
    elif (exc := job.work.exception()) is not None:
        job.answer.set_exception(exc)
    else:
        job.answer.set_result(job.work.result())
