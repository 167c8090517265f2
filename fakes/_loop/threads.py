"""Other threads and a loop with virtual time: executors' jobs, and calls from any thread.

A thread runs in real time, which the loop does not know. So a job takes no virtual time: while
one runs and nothing else is ready, the loop waits for it, and results come in the order of the
calls. Nor does virtual time run ahead of any other thread of the program that is at work. A thread
that waits for another one may wait for something that the loop does later; the loop does not wait
for such a thread while there are timers to go on with.

A long wait in real time is reported to the logger `fakes`, with where the thread stands.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, TypeVar

from fakes._asyncio.private_api import is_executors, workers_of
from fakes._loop.interruptions import not_interrupted
from fakes._loop.pipes import Pipes
from fakes._loop.real_time import monotonic
from fakes._loop.socket_module import at_work, real_sockets
from fakes._loop.standing import WAITING_MODULES, all_wait, frame_of, place

logger = logging.getLogger("fakes")

T = TypeVar("T")

# Seconds of real time between two checks whether a thread still lives or works: at first, so that a
# thread that soon waits again costs little, and at most.
FIRST_CHECK = 0.0005
CHECK_INTERVAL = 0.01

# Seconds of real time between two checks, in a thread that sleeps in virtual time, whether the
# loop's own thread waits for it.
CHECK_OF_LOOP = 0.05

# Seconds of real time after which a wait for a thread is reported, and after which the loop no
# longer waits for a daemon thread: it may do something else for as long as the program lives.
LONG = 5.0

# Seconds of real time for which all threads wait for each other before it counts as a deadlock.
PATIENCE = 1.0


# How often a thread has to sleep at one place, in real time, without a call of the loop, before it
# counts as one that asks again and again whether the loop has done something.
NAPS = 30


class _Naps:
    """How often a thread has slept at one place."""

    __slots__ = ("before", "count", "place")

    def __init__(self, place: tuple[CodeType, int]) -> None:
        self.place = place
        self.count = 0
        self.before = 0  # the count when the loop did something for the last time


class _Sleep:
    """The sleep of a thread in virtual time.

    Attributes:
        until: when it is over.
        job: the job that sleeps, if one does.
        is_called: whether the thread is to wake up.
        is_over: whether the thread goes on, for whatever reason.
    """

    __slots__ = ("_lock", "_thread", "_wake", "_waking", "is_called", "is_over", "job", "until")

    def __init__(
        self, until: float, job: _Job | None, wake: Callable[[], object], waking: set[int]
    ) -> None:
        self.until = until
        self.job = job
        self.is_called = False
        self.is_over = False
        self._thread = threading.get_ident()
        self._wake = wake
        self._waking = waking
        self._lock = threading.Lock()

    def wake(self) -> None:
        """Wake the thread, unless it goes on already."""
        with self._lock:
            if not (self.is_over or self.is_called):
                self.is_called = True
                self._waking.add(self._thread)
                self._wake()

    def end(self) -> None:
        """Note that the thread goes on."""
        with self._lock:
            self.is_over = True
            self._waking.discard(self._thread)


class Notice:
    """A notification of a `threading.Condition`, for which a thread waits."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()

    def wait(self, seconds: float) -> bool:
        """Wait in real time; return whether it has come, or `wake()` was called."""
        return self.lock.acquire(timeout=seconds)

    def wake(self) -> None:
        """End a wait."""
        with contextlib.suppress(RuntimeError):  # a notification has ended it
            self.lock.release()


class End:
    """The end of a thread, for which another one waits."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def wait(self, seconds: float) -> bool:
        """Wait in real time; return whether the thread has ended."""
        original_join(self._thread, seconds)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Do nothing: the wait is over soon."""


original_join = threading.Thread.join  # which `fakes._loop.time_and_chance` replaces


class _Job:
    """A function that runs in an executor for a loop."""

    __slots__ = ("answer", "asleep", "calls_loop", "executor", "held", "left", "number", "work")

    def __init__(
        self, executor: concurrent.futures.Executor, answer: asyncio.Future[Any], number: int
    ) -> None:
        self.executor = executor
        self.answer = answer
        self.number = number
        self.asleep = False  # until virtual time has gone on
        self.calls_loop = False
        self.left = False  # not waited for any more
        self.held = False  # until its virtual time is over
        self.work: concurrent.futures.Future[Any]


class Threads:
    """The part of a loop that deals with other threads. Made in the loop's own thread.

    Args:
        pipes: the pipes that the loop watches, to which threads may write.

    Attributes:
        calls: calls that threads have handed over, and the loop has not taken yet.
        jobs: functions in executors that have not ended.
        naps: of the threads that have slept in real time since their last call of the loop.
        own: the loop's own thread, while it runs.
    """

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        # The threads that are not the program's, as weak references: the test runner's, a
        # debugger's.
        self._outside = weakref.WeakSet(threading.enumerate())
        self.calls: deque[asyncio.Handle] = deque()
        self.naps: dict[int, _Naps] = {}  # by thread
        self.own: threading.Thread | None = None
        self._event = threading.Event()  # set when there is a call, or a job has ended
        self.jobs: dict[_Job, None] = {}  # in the order of the calls
        self._working: dict[int, _Job] = {}  # by thread
        self._left: weakref.WeakSet[threading.Thread] = weakref.WeakSet()  # not waited for
        self._numbers = itertools.count(1)  # of jobs
        self._sleeps: set[_Sleep] = set()
        self._waking: set[int] = set()  # threads whose sleep is over, and that have not noticed yet
        self._interruptions = 0
        self._work_began: float | None = None  # since when threads are waited for, in real time
        self._moment = FIRST_CHECK  # seconds until the next check

    # --- from other threads -------------------------------------------------------------------

    def call(self, handle: asyncio.Handle) -> None:
        """Hand a callback to the loop."""
        ident = threading.get_ident()
        self.naps.pop(ident, None)
        job = self._working.get(ident)
        if job is not None:
            job.calls_loop = True
        self.calls.append(handle)
        self._event.set()

    def sleep(
        self, loop: asyncio.AbstractEventLoop, seconds: float, advance: Callable[[float], None]
    ) -> None:
        """Let this thread sleep for some virtual seconds, or until the loop is closed.

        Args:
            loop: the loop.
            seconds: the virtual time.
            advance: a function that lets so many seconds pass, for when the loop cannot.
        """
        awake = threading.Event()
        job = self._working.get(threading.get_ident())
        sleep = self._fall_asleep(loop, seconds, awake.set, job)
        while not awake.wait(CHECK_OF_LOOP) and not self._lets_pass(loop, sleep, advance):
            pass
        self._wake_up(sleep)

    def wait_for_files(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        advance: Callable[[float], None],
        look: Callable[[int, float], T | None],
    ) -> T | None:
        """As `sleep()`, but only until a file is ready.

        Args:
            loop, seconds, advance: as for `sleep()`.
            look: a function that waits in real time for files, and for the one whose number it
                takes; it returns those that are ready, except that one.
        """
        waking, write = os.pipe()
        sleep = self._fall_asleep(loop, seconds, lambda: os.write(write, b"."), None)
        found = None
        try:
            while found is None and not sleep.is_called:
                found = look(waking, CHECK_OF_LOOP)
                if found is None and self._lets_pass(loop, sleep, advance):
                    break
        finally:
            self._wake_up(sleep)
            os.close(waking)
            os.close(write)
        return found

    def wait(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        advance: Callable[[float], None],
        awaited: Notice | End,
    ) -> None:
        """As `sleep()`, but only until what the thread waits for has come."""
        sleep = self._fall_asleep(loop, seconds, awaited.wake, None)
        try:
            while not (awaited.wait(CHECK_OF_LOOP) or sleep.is_called):
                if self._lets_pass(loop, sleep, advance):
                    break
        finally:
            self._wake_up(sleep)

    def _fall_asleep(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        wake: Callable[[], object],
        job: _Job | None,
    ) -> _Sleep:
        sleep = _Sleep(loop.time() + seconds, job, wake, self._waking)
        self._sleeps.add(sleep)

        def fall_asleep() -> None:
            if sleep.is_over:
                return
            if job is not None:
                job.asleep = True
            sleep.until = loop.time() + seconds
            loop.call_at(sleep.until, wake_up)

        def wake_up() -> None:
            if job is not None:
                job.asleep = False
            sleep.wake()

        self.calls.append(asyncio.Handle(fall_asleep, (), loop))
        self._event.set()
        return sleep

    def _wake_up(self, sleep: _Sleep) -> None:
        sleep.end()
        self._sleeps.discard(sleep)
        if sleep.job is not None:
            sleep.job.asleep = False

    def _lets_pass(
        self, loop: asyncio.AbstractEventLoop, sleep: _Sleep, advance: Callable[[float], None]
    ) -> bool:
        """Let the time of a sleep pass if only this thread can. Return whether it did.

        The loop cannot while a callback waits for a thread. That thread may wait for this one.
        """
        own = self.own
        if own is None or sleep.until > min((each.until for each in self._sleeps), default=0.0):
            return False
        frame = frame_of(own)
        while frame is not None and frame.f_globals.get("__name__") in WAITING_MODULES:
            if frame.f_code is threading.Thread.start.__code__:
                return False  # the new thread is about to run
            frame = frame.f_back
        if frame is None or frame.f_code.co_filename == __file__:
            return False  # the loop itself waits for a thread: it goes on by itself
        others = [thread for thread in self._all() if thread is not threading.current_thread()]
        if not self._all_wait([own, *others]):
            return False
        advance(max(0.0, sleep.until - loop.time()))
        return True

    # --- from the loop's thread, while a callback waits --------------------------------------

    def sleep_here(
        self, loop: asyncio.AbstractEventLoop, seconds: float, advance: Callable[[float], None]
    ) -> None:
        """Let some virtual seconds pass in the loop's own thread; meanwhile the others go on."""
        until = loop.time() + seconds
        while self.wait_for_others():
            pass
        while self._advance(loop, until, advance):
            while self.wait_for_others():
                pass

    def wait_here(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        advance: Callable[[float], None],
        awaited: Notice | End,
    ) -> None:
        """As `sleep_here()`, but only until what the thread waits for has come."""
        until = loop.time() + seconds
        going_on = True
        while not awaited.wait(0) and going_on:
            if not self.wait_for_others():
                going_on = self._advance(loop, until, advance)

    def _advance(
        self, loop: asyncio.AbstractEventLoop, until: float, advance: Callable[[float], None]
    ) -> bool:
        """Let time pass until a thread wakes up; return whether one does before `until`."""
        asleep = [sleep for sleep in list(self._sleeps) if not sleep.is_called]
        first = min(asleep, key=lambda sleep: sleep.until, default=None)
        wakes = first is not None and first.until <= until
        advance(max(0.0, (first.until if first is not None and wakes else until) - loop.time()))
        if first is not None and wakes:
            first.wake()
        return wakes

    def sleeps_again(self, frame: FrameType) -> None:
        """Note that this thread sleeps in real time, and where."""
        ident, place = threading.get_ident(), (frame.f_code, frame.f_lasti)
        naps = self.naps.get(ident)
        if naps is None or naps.place != place:
            naps = self.naps[ident] = _Naps(place)
        naps.count += 1

    def name_of_this(self) -> str:
        """Return the name of this thread that it has in every run: a job's, or its own."""
        job = self._working.get(threading.get_ident())
        return threading.current_thread().name if job is None else f"job {job.number}"

    # --- from the loop ------------------------------------------------------------------------

    def mark_naps(self) -> None:
        """Note that the loop has just done something."""
        self._work_began = None
        for naps in list(self.naps.values()):
            naps.before = naps.count

    def _asks_again(self, thread: threading.Thread) -> bool:
        """Whether a thread sleeps again and again, and waits for something that the loop does.

        Between its last two sleeps it has looked for that without finding it.
        """
        naps = self.naps.get(thread.ident or 0)
        if naps is None or naps.count < max(NAPS, naps.before + 2):
            return False
        frame = frame_of(thread)
        return frame is not None and (frame.f_code, frame.f_lasti) == naps.place

    def _has_news(self) -> bool:
        """Whether a thread has something for the loop, other than the result of a job."""
        return bool(self.calls) or self._pipes.look()

    def take_calls(self, ready: deque[asyncio.Handle]) -> None:
        """Move the calls that threads have handed over to the loop's ready queue."""
        while self.calls:
            ready.append(self.calls.popleft())

    def submit(
        self,
        executor: concurrent.futures.Executor,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        answer: asyncio.Future[Any],
    ) -> _Job:
        """Run a function in an executor; `answer` gets its result."""
        job = _Job(executor, answer, next(self._numbers))
        loop = answer.get_loop()

        def _run_job() -> Any:  # known to `fakes._loop.standing` by its name
            ident = threading.get_ident()
            self._working[ident] = job
            at_work[ident] = loop
            try:
                return func(*args)
            finally:
                del self._working[ident], at_work[ident]
                self.naps.pop(ident, None)

        if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            job.work = executor.submit(_run_job)
        else:  # of processes, whose jobs cannot call the loop; starting one may take real sockets
            with real_sockets():
                job.work = executor.submit(func, *args)
        self.jobs[job] = None
        answer.add_done_callback(lambda answer: job.work.cancel() if answer.cancelled() else None)
        job.work.add_done_callback(lambda work: self._event.set())
        return job

    @not_interrupted
    def finish(self, job: _Job) -> None:
        """Wait for a job that was held, unless it calls the loop, and let its result be known."""
        job.held = False
        while not (self._is_over(job) or job.calls_loop or job.asleep or self._has_news()):
            if job not in self._begun():
                return  # it queues behind jobs that may wait for the loop
            self._event.wait(CHECK_INTERVAL)
            self._event.clear()
        self._answer(job)

    def give_up(self) -> None:
        """Stop waiting for the present threads: the run was interrupted.

        A signal handler calls this in the middle of a wait, whose locks it must not need.
        """
        self._interruptions += 1
        self.jobs = {}  # a new one: the wait may be going through the old one
        self._left.update(threading.enumerate())

    def end_of_sleep(self) -> float | None:
        """Return when the first of the jobs that sleep in virtual time wakes up, if any does."""
        ends = [sleep.until for sleep in list(self._sleeps) if sleep.job and sleep.job.asleep]
        return min(ends, default=None)

    def wake(self) -> None:
        """Wake all that sleep: time is over."""
        for sleep in list(self._sleeps):
            sleep.wake()

    def wait_for_others(self) -> bool:
        """Wait a moment for all threads that are at work. Return whether there are any."""
        threads = [each for each in self._all() if each not in self._left]
        if self._all_wait(threads):
            return False
        self._wait_a_moment(threads)
        return True

    @not_interrupted
    def wait_for_job(self) -> bool:
        """Wait for the oldest job, or for a call. Return whether there was a job to wait for."""
        for job in self._begun():
            if job.held or job.asleep:
                continue
            if job.work.done() or not (job.left or self._is_stuck(job)):
                break
        else:
            return self._has_news()  # from before the thread began to wait
        began, reported = monotonic(), False
        while not (self._is_over(job) or job.asleep or self._has_news()):
            if not self._event.wait(CHECK_INTERVAL):
                if self._is_stuck(job):
                    return True
                if not reported and monotonic() - began > LONG:
                    reported = True
                    self._report([self._worker(job)])
                    if job.calls_loop:  # it may ask again and again whether the loop has done it
                        job.left = True
                        return True
            self._event.clear()
        self._answer(job)
        return True

    @not_interrupted
    def wait_for_work(self) -> bool:
        """Wait a moment for the program's threads that are at work. Return whether there are any.

        A thread that waits for another one is not.
        """
        count = threading.active_count()
        if count == 1:  # as nearly always
            return bool(self.calls or self._pipes.watched) and self._has_news()
        alone = count <= sum(each.is_alive() for each in list(self._outside))
        if alone and threading.get_ident() == threading.main_thread().ident:
            return self._has_news()
        threads = self._of_the_program()
        if not threads:
            return self._has_news()
        asked = [each for each in threads if each not in self._left]
        if self._all_wait(asked):
            if not self.naps:
                self._work_began = None
            return self._has_news()
        self._wait_a_moment(asked)
        return True

    @not_interrupted
    def wait_for_call(self) -> bool:
        """Wait a moment for a call from a thread that may make one; False if none ever will."""
        if not self.jobs and not self._of_the_program():
            return False
        began = monotonic()
        interruptions = self._interruptions
        while self._interruptions == interruptions and not (
            self._has_news() or any(job.work.done() for job in self.jobs)
        ):
            threads = self._all()
            if any(map(self._asks_again, threads)) or not self._all_wait(threads):
                self._wait_a_moment(threads)  # one that asks again may give up by itself
                return True
            if monotonic() - began > PATIENCE:
                return False
            self._event.wait(CHECK_INTERVAL)
            self._event.clear()
        return True

    def has_stuck_jobs(self) -> bool:
        """Whether jobs are left, and each waits for another thread, or nobody waits for it."""
        return self._interruptions > 0 or any(
            self._is_stuck(job) for job in self.jobs if not job.work.done()
        )

    def report_left(self) -> None:
        """Say which threads of executors go on when the loop has ended.

        Python joins them before the process ends, so a wait that nothing ends keeps it from ending.
        """
        for thread in map(self._worker, self.jobs):
            if thread is not None:
                logger.warning(
                    "a thread still waits when the simulation has ended, and the process does not "
                    "end before it: %s",
                    place(thread),
                )

    def stuck(self) -> list[str]:
        """Return where the threads stand that wait for each other, or for the loop."""
        return [place(each) for each in self._all()]

    def _all(self) -> list[threading.Thread]:
        """Return the threads of the jobs, and those of the program."""
        jobs = [self._worker(job) for job in self.jobs]
        return [each for each in (*jobs, *self._of_the_program()) if each is not None]

    def _of_the_program(self) -> list[threading.Thread]:
        """Return the threads that may have something for the loop, and run no job of it.

        They are those that the program has started since, and the main thread where the loop runs
        in another one. An idle worker of an executor is none.
        """
        main, own = threading.main_thread(), threading.current_thread()
        return [
            thread
            for thread in threading.enumerate()
            if thread is not own
            and (thread is main or thread not in self._outside)
            and not is_executors(thread)
            and thread.ident not in at_work
        ]

    def _worker(self, job: _Job) -> threading.Thread | None:
        """Return the thread that runs a job, once one does."""
        for ident, each in list(self._working.items()):
            if each is job:
                return next((t for t in threading.enumerate() if t.ident == ident), None)
        return None

    def _is_over(self, job: _Job) -> bool:
        """Whether a job has ended, or is not waited for any more."""
        return job not in self.jobs or job.work.done()

    def _begun(self) -> Iterator[_Job]:
        """Yield the jobs that have a worker, or get one although all others may wait."""
        busy: Counter[concurrent.futures.Executor] = Counter()
        for job in self.jobs:
            if not job.work.done():
                workers = workers_of(job.executor)
                busy[job.executor] += 1
                if workers is not None and busy[job.executor] > workers:
                    continue  # it cannot begin before an older one has ended
            yield job

    def _answer(self, job: _Job) -> None:
        """Let the result of a job be known, if it has ended."""
        if job not in self.jobs or not job.work.done():
            return
        self.jobs.pop(job, None)
        if job.answer.done():
            return
        if job.work.cancelled():
            job.answer.cancel()
        elif (exc := job.work.exception()) is not None:
            job.answer.set_exception(exc)
        else:
            job.answer.set_result(job.work.result())

    def _is_stuck(self, job: _Job) -> bool:
        """Whether a job waits for another thread, and so perhaps for the loop."""
        worker = self._worker(job)
        return worker is not None and self._all_wait([worker]) and not job.work.done()

    def _all_wait(self, threads: list[threading.Thread]) -> bool:
        """Whether each of some threads waits for another one."""
        return not any(each.ident in self._waking for each in threads) and all_wait(
            [each for each in threads if not self._asks_again(each)]
        )

    def _wait_a_moment(self, threads: list[threading.Thread]) -> None:
        """Wait for threads in real time; after a long wait, report them, and leave daemons."""
        now = monotonic()
        if self._work_began is None:
            self._work_began = now
            self._moment = FIRST_CHECK
        if now - self._work_began > LONG:
            self._work_began = now
            working = [each for each in threads if not all_wait([each])]
            self._report(working)
            self._left.update(each for each in working if each.daemon)
        self._event.wait(self._moment)
        self._event.clear()
        self._moment = min(2 * self._moment, CHECK_INTERVAL)

    def _report(self, threads: Iterable[threading.Thread | None]) -> None:
        for each in threads:
            if each is not None:
                logger.warning(
                    "waiting in real time for a thread, and virtual time stands still: %s",
                    place(each),
                )
