"""An event loop with virtual time, over the simulated network.

Time starts at zero and stands still while anything is ready to run; then it jumps to the next
timer. Nothing waits, no real socket is opened, and the same program with the same seed takes the
same steps.

The order within a turn of the loop is asyncio's: first the callbacks that were ready when the turn
began, then the sockets that the network has made readable or writable, then the timers that have
come due.

The only ready thing may be a socket whose watch does not change it, and is called again in every
turn. Over a kernel time goes on meanwhile; here it does after `TURNS_IN_VAIN` such turns.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import datetime
import heapq
import itertools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from fakes._asyncio.datagram_transport import DatagramTransport
from fakes._asyncio.in_order import WeakInOrder
from fakes._asyncio.loop_methods import Networking
from fakes._asyncio.private_api import (
    ReadPipeTransport,
    WritePipeTransport,
    described,
    never_run_again,
)
from fakes._asyncio.real_sockets import take
from fakes._asyncio.sock_methods import Watched
from fakes._kernel.errors import NotSimulated
from fakes._kernel.readiness import Watch
from fakes._loop import escapes, polling  # noqa: F401  # polling replaces names of `select`
from fakes._loop.calls_by_number import follow_copies
from fakes._loop.deadlock import Deadlock, TimeLimitExceeded, where
from fakes._loop.interruptions import let_through
from fakes._loop.invariants import SHOWN, Invariants
from fakes._loop.libraries_in_c import refuse_those_known
from fakes._loop.pipes import Pipe, Pipes, WatchingByNumber
from fakes._loop.real_servers import report_real
from fakes._loop.real_time import monotonic
from fakes._loop.signals import Signals
from fakes._loop.socket_module import replaced
from fakes._loop.task import Task, Tasks
from fakes._loop.threads import Threads
from fakes._loop.time_and_chance import START_DATE, TimeAndChance, standard_library
from fakes._network.chance import Seed, parse_seed
from fakes._network.faults import WITHIN, Fault, schedule
from fakes._network.host import Boot, boot_of
from fakes._network.network import Network
from fakes._public import public
from fakes._trace.steps import run_step, task_of

logger = logging.getLogger("asyncio")
report = logging.getLogger("fakes")

# How often a watch may be called without effect, with nothing else going on, before it counts as
# waiting: a callback may have an effect only after a few calls.
TURNS_IN_VAIN = 100
# How many timers may be due at the instant at which they are made, before time goes on by a tick: a
# program that computes when something is due may find at that time that it is not due yet, because
# of a rounding error. A real clock is always a little late.
DUE_AT_ONCE = 1000
TICK = 1e-6  # seconds
# Least virtual seconds between two checks, at the end of a run, whether threads still sleep.
SLEEPING = 0.01
# How many turns may run at one instant, with nothing new from the network, before time goes on: a
# task may ask in each turn whether something has happened. Then a few are enough, until it waits.
BUSY = 300_000
STILL_BUSY = 1000
NO_SUBPROCESSES = (
    "subprocesses are not simulated, and virtual time does not wait for them: put a stand-in in "
    "its place"
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Timer(asyncio.TimerHandle):
    """A timer, with the attributes that asyncio's loops use beyond its documented interface."""

    __slots__ = ()

    _scheduled: bool  # while it is, cancel() tells the loop


class WatchCallback:
    """The callback of a watch: that of `add_reader()` or `add_writer()`, with its socket.

    It reports to the loop every call that has left all sockets as they were.
    """

    def __init__(
        self, loop: Loop, sock: Watched, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._loop = loop
        self._fileno = sock.fileno()  # a number does not keep the socket alive
        self._pipe = sock if isinstance(sock, Pipe) else None
        self._callback = callback
        self._args = args

    def __repr__(self) -> str:
        """Show the callback itself."""
        return repr(self._callback)

    def __call__(self) -> None:
        """Call back."""
        descriptors = self._loop.network.descriptors
        pipe = self._pipe
        before = descriptors.operations
        pipe_before = None if pipe is None else pipe.state()
        try:
            self._callback(*self._args)
        finally:
            if descriptors.operations == before and (pipe is None or pipe.state() == pipe_before):
                self._loop._calls_in_vain += 1

    @property
    def sock(self) -> Watched:
        """The socket or pipe that is watched, which is open."""
        return self._pipe or self._loop.network.descriptors[self._fileno]


@public
class Loop(Networking, asyncio.BaseEventLoop):  # type: ignore[misc]  # as in Networking
    """A virtual-time event loop for `asyncio.Runner(loop_factory=fakes.Loop)` and the like.

    Args:
        seed: the seed from which the run draws (default 0).
        network: the network underneath (default: a new one).
        turn_time: a turn of the loop, which runs the callbacks that are ready, takes up to this
            many virtual seconds, by the seed (default 0). With seed 0 it takes no time.
        thread_time: a function in an executor takes up to this many virtual seconds, by the seed
            (default 0), so that threads may end in another order. With seed 0 it takes no time.
        faults: the faults that may happen, by the seed: `fakes.Partition`, `Stall`, `Refuse`,
            `Reset`, `Crash`, or objects with their methods (default: none). With seed 0 none
            happens.
        within: faults begin within this many virtual seconds (default 10).
        time_limit: a run that takes more virtual seconds ends with `TimeLimitExceeded` (default: no
            limit). The tasks that it then cancels have as much time again to clean up.
        deterministic: whether `time`, `datetime`, `random`, `os.urandom()`, `uuid` and `secrets`
            depend on the loop's time and the seed alone, for code in the simulation (default: no).
        start_date: with `deterministic`, the date when the loop's time is 0 (default: the beginning
            of 2026, UTC).

    Raises:
        ValueError: a time is negative, or the seed is not one.
    """

    if TYPE_CHECKING:
        # From asyncio.BaseEventLoop, beyond its documented interface: the queue of ready handles,
        # and `_run_once()`, which run_forever() calls for each turn.
        _ready: deque[asyncio.Handle]
        _stopping: bool
        _debug: bool
        _task_factory: Any
        _default_executor: concurrent.futures.Executor | None
        _check_closed: Callable[[], None]
        _check_callback: Callable[[object, str], None]
        _check_thread: Callable[[], None]
        _check_default_executor: Callable[[], None]

    # With the many attributes of asyncio's loops, slots are faster: see `Path`.
    __slots__ = (
        "_arrivals",
        "_busy_turns",
        "_calls_in_vain",
        "_cancelled_timers",
        "_due_count",
        "_due_instant",
        "_host_crashed",
        "_invariants",
        "_kernel",
        "_limit",
        "_naps",
        "_now",
        "_pipes",
        "_pipes_watched",
        "_signals",
        "_step_observers",
        "_tasks",
        "_thread_calls",
        "_thread_time",
        "_threads",
        "_time_limit",
        "_timer_order",
        "_timers",
        "_turn_time",
        "_turns_in_vain",
        "_was_busy",
    )

    takes_real_sockets = False
    _closed = True  # until it is made: a loop that the arguments forbid needs no closing

    def __init__(
        self,
        seed: Seed = 0,
        network: Network | None = None,
        *,
        turn_time: float = 0.0,
        thread_time: float = 0.0,
        faults: Sequence[Fault] = (),
        within: float = WITHIN,
        time_limit: float | None = None,
        deterministic: bool = False,
        start_date: datetime.datetime = START_DATE,
    ) -> None:
        times = {"turn_time": turn_time, "thread_time": thread_time, "within": within}
        if time_limit is not None:
            times["time_limit"] = time_limit
        for name, seconds in times.items():
            if seconds < 0:
                raise ValueError(f"{name} must be 0 or more seconds, not {seconds!r}")
        number, _ = parse_seed(seed)
        super().__init__()
        self._asyncgens: WeakInOrder[Any] = WeakInOrder()  # for asyncio's methods
        self._task_numbers = itertools.count(1)
        self._task_names = itertools.count(1)
        self._tasks = Tasks()
        self._closed = True  # a loop that is refused below needs no closing
        self.seed = seed
        self.network = Network() if network is None else network
        self._now = 0.0
        self._time_limit = math.inf if time_limit is None else time_limit
        self._limit = self._time_limit  # where it ends now
        self._arrivals: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._kernel: list[tuple[float, int, Callable[[], None]]] = []  # call_kernel_at()
        self._timer_order = itertools.count()
        self._cancelled_timers = 0
        self._due_instant = 0.0
        self._due_count = 0  # of timers that were made when they were due, at that instant
        self._pipes = Pipes(self._arrivals.append)
        self._pipes_watched = self._pipes.watched
        self._threads = Threads(self._pipes)
        self._thread_calls = self._threads.calls
        self._naps = self._threads.naps
        self.sleeps_again = self._threads.sleeps_again
        self._signals = Signals(self._thread_calls.append)
        self.time_and_chance: TimeAndChance | None = None
        if deterministic:
            self.time_and_chance = TimeAndChance(
                self, self.let_pass, self._threads, number, start_date
            )
        self._step_observers = self.network.step_observers
        self._calls_in_vain = 0  # of watches, in this turn
        self._turns_in_vain = 0  # turns with nothing else, so far
        self._busy_turns = 0  # turns with something else, so far
        self._was_busy = False
        self._invariants: Invariants | None = None
        self._host_crashed = False
        self.refusals: dict[str, None] = {}  # the errors of calls that would leave, each once
        self._refused = False  # whether the run has ended because of a call that is not simulated
        self._interruptions: list[BaseException] = []  # the exceptions of signal handlers
        self._closed = False
        try:
            self.network.attach(self, self._arrivals.append, seed)
            schedule(faults, within, self.network)
        except (RuntimeError, ValueError):
            self._closed = True
            raise
        self._turn_time = turn_time if self.network.varies else 0.0
        self._thread_time = thread_time if self.network.varies else 0.0

    def __repr__(self) -> str:
        """Show the state, the seed and the virtual time."""
        state = "closed" if self.is_closed() else "running" if self.is_running() else "idle"
        return f"<fakes.Loop {state} seed={self.seed} time={self._now}>"

    # --- time ---------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time in seconds; it starts at 0.0."""
        return self._now

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back after `delay` virtual seconds."""
        if delay is None:
            raise TypeError("delay must not be None")
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back at a virtual time. Timers for the same time run in the order of their calls."""
        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()
        if self.get_debug():
            self._check_thread()
            self._check_callback(callback, "call_at")
        if when <= self._now:
            self._count_due(when)
        timer = Timer(when, callback, args, self, context)
        timer._scheduled = True
        heapq.heappush(self._timers, (when, next(self._timer_order), timer))
        return timer

    def _count_due(self, when: float) -> None:
        if self._due_instant != self._now:
            self._due_instant = self._now
            self._due_count = 0
        self._due_count += 1
        if self._due_count == DUE_AT_ONCE:
            self._now += TICK

    def _timer_handle_cancelled(self, handle: Timer) -> None:
        # TimerHandle.cancel() calls this.
        if handle._scheduled:
            self._cancelled_timers += 1
            if self._cancelled_timers > 100 and 2 * self._cancelled_timers > len(self._timers):
                self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
                heapq.heapify(self._timers)
                self._cancelled_timers = 0

    def call_kernel_at(self, when: float, callback: Callable[[], None]) -> None:
        """Call back at a time for the network, even if the host of the running code crashes.

        This happens while the loop waits, as packets arrive while `select()` waits: the callbacks
        of sockets that become readable or writable run before the timers of the same time.
        """
        heapq.heappush(self._kernel, (when, next(self._timer_order), callback))

    def nobody_listens(self, address: Any) -> None:
        """Report a real server at an address where, on the network, nobody listens."""
        report_real(address, self.refusals)

    # --- turns --------------------------------------------------------------------------------

    def _run_once(self) -> None:
        ready = self._ready
        arrivals = self._arrivals
        if self._thread_calls:
            self._threads.take_calls(ready)
        if self._pipes_watched:
            self._pipes.look()
        nothing_new = not arrivals or self._turns_in_vain >= TURNS_IN_VAIN
        if nothing_new and not self._stopping:
            if not ready:
                self._busy_turns = 0
                self._wait()
            else:
                self._busy_turns += 1
                if self._busy_turns >= BUSY:
                    self._is_busy()
        else:
            self._busy_turns = 0
        now = self._now
        if now > self._limit:
            self._end_of_time()
        if self._kernel:
            kernel = self._kernel
            while kernel and kernel[0][0] <= now:
                heapq.heappop(kernel)[2]()
        if arrivals:
            ready.extend(arrivals)
            arrivals.clear()
        timers = self._timers
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False
            if timer.cancelled():
                self._cancelled_timers -= 1
            else:
                ready.append(timer)
        handles = len(ready)
        if self._debug or self._host_crashed or self._step_observers:
            for _ in range(handles):
                handle = ready.popleft()
                if not handle._cancelled:
                    self._run_watched(handle)
        else:
            for _ in range(handles):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
        if self._naps and handles:
            self._threads.mark_naps()
        if self._calls_in_vain:
            self._turns_in_vain = self._turns_in_vain + 1 if self._calls_in_vain == handles else 0
            self._calls_in_vain = 0
        elif handles:
            self._turns_in_vain = 0
        if self._turn_time or self._invariants is not None:
            if handles and self._turn_time:
                self._now += self._turn_time * self.network.chance("turn").random()
            if self._invariants is not None:
                self._invariants.look()

    def _run_watched(self, handle: asyncio.Handle) -> None:
        """Run a callback, call the observers, and in debug mode report it if it took long.

        That is in real time, or in the virtual time for which it has slept.
        """
        if self._host_crashed and is_dead(handle):
            return
        start, before = monotonic(), self._now
        observers = self._step_observers
        task = task_of(handle) if observers else None
        if task is None:
            handle._run()
        else:
            run_step(handle, task, self._now, observers)
        took = max(monotonic() - start, self._now - before)
        if self._debug and took >= self.slow_callback_duration:
            logger.warning("Executing %s took %.3f seconds", described(handle), took)

    # --- crashes of hosts -----------------------------------------------------------------------

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """As asyncio's; a task is one of the host that it is started on.

        One without a name gets the next of this loop: asyncio counts through all loops.
        """
        task: asyncio.Task[Any]
        name = kwargs.get("name")
        if name is None:
            name = f"Task-{next(self._task_names)}"
        if self._task_factory is None:
            self._check_closed()
            task = Task(coro, loop=self, **{**kwargs, "name": name})
            traceback = task._source_traceback  # type: ignore[attr-defined]  # in debug mode
            if traceback:
                del traceback[-1]  # this method, as asyncio's does
        else:
            task = super().create_task(coro, **kwargs)
            if isinstance(task, asyncio.Task):
                task.set_name(name)
        self._tasks.add(task)
        boot = boot_of(kwargs.get("context"))
        if boot is not None:
            boot.tasks.add(task)
        return task

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        super()._asyncgen_firstiter_hook(agen)  # type: ignore[misc]  # typeshed has it not
        boot = boot_of()
        if boot is not None:
            boot.generators.add(agen)

    def abandon(self, boot: Boot) -> None:
        """Never run again the tasks and callbacks of a host that has crashed."""
        self._host_crashed = True
        for task in list(boot.tasks):
            if not task.done():
                never_run_again(task)
        for generator in list(boot.generators):
            self._asyncgens.discard(generator)
            never_run_again(generator)
        for handle in (*self._ready, *self._arrivals, *(timer for _, _, timer in self._timers)):
            if is_dead(handle) and not handle.cancelled():
                handle.cancel()
        self._pipes.forget(is_dead)

    # --- invariants -----------------------------------------------------------------------------

    def always(self, name: str, check: Callable[[], object]) -> None:
        """Check a condition after every turn, from this one on.

        The condition holds if `check()` returns a true value or None, and raises no
        `AssertionError`. Otherwise the run ends with `Violated`, which says when, and shows what
        ran and crossed the wire just before.

        Args:
            name: the condition in words, for the message.
            check: a function, called after every turn; it must not wait.
        """
        self._invariants_now().always(name, check)

    def eventually(self, name: str, check: Callable[[], object], *, within: float) -> None:
        """Check a condition after every turn, until it has held once.

        If it has not held after `within` virtual seconds, or at the end of the run, the run ends
        with `Violated`, as for `always()`.

        Args:
            name: the condition in words, for the message.
            check: as for `always()`.
            within: the time from now, in virtual seconds.
        """
        self._invariants_now().eventually(name, check, self._now + within)

    def _invariants_now(self) -> Invariants:
        if self._invariants is None:
            # Only programs with invariants pay for the record of the steps.
            from fakes._trace.trace import Trace

            trace = Trace(self.network, steps=True, keep=SHOWN)
            self._invariants = Invariants(self, trace.text)
        return self._invariants

    def run_forever(self) -> None:
        """As asyncio's; meanwhile, `socket.socket()` in this thread makes simulated sockets."""
        escapes.watch()
        refuse_those_known()
        with let_through(self._interrupt):
            replaced.enter()
            follow_copies()
            self._threads.own = threading.current_thread()
            own = self.time_and_chance
            if own is not None:
                standard_library.enter(own)
            try:
                super().run_forever()
            finally:
                if own is not None:
                    standard_library.leave()
                replaced.leave()
                self._threads.own = None

    def let_pass(self, seconds: float) -> None:
        """Let time pass while a callback runs: timers that come due meanwhile are late."""
        self._now += seconds

    def close(self) -> None:
        """As asyncio's; it wakes threads that sleep in virtual time."""
        super().close()
        self._signals.clear()
        self._threads.wake()

    def _interrupt(self, raised: BaseException) -> None:
        """End the run without waiting for threads: a signal handler has raised an exception."""
        self._interruptions.append(raised)
        self._threads.give_up()
        self.stop()

    def run_until_complete(self, future: Any) -> Any:
        """As asyncio's; at the end, the conditions of `eventually()` have to have held."""
        result = super().run_until_complete(future)
        if self._invariants is not None:
            self._invariants.end()
        return result

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """As asyncio's; but `NotSimulated`, raised in a callback, ends the run.

        No task waits for a callback, so the program might wait forever without it. An exception
        that a signal handler has raised is not reported: it has ended the run.
        """
        exc = context.get("exception")
        if any(exc is each for each in self._interruptions):
            return
        if not isinstance(exc, NotSimulated) or "handle" not in context or self._refused:
            super().call_exception_handler(context)
            return
        self._refused = True  # the end of the run may make more such calls
        raise exc

    def is_settled(self) -> bool:
        """Return whether only the caller is left to run at this instant of virtual time.

        If so, time goes on, or the loop waits for a thread, as soon as the caller waits.
        """
        return not (
            self._ready
            or self._arrivals
            or self._thread_calls
            or (self._timers and self._timers[0][0] <= self._now)
            or (self._kernel and self._kernel[0][0] <= self._now)
        )

    def _wait(self) -> None:
        """Let time pass until something is ready.

        Raises:
            Deadlock: nothing ever will be.
            TimeLimitExceeded: nothing will be within the limit.
        """
        kernel = self._kernel
        threads = self._threads
        if (threads.jobs and threads.wait_for_job()) or threads.wait_for_work():
            return
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)[2]._scheduled = False
            self._cancelled_timers -= 1
        timers = self._timers
        if timers or kernel:
            if not timers or (kernel and kernel[0][0] <= timers[0][0]):
                when = kernel[0][0]
            else:
                when = timers[0][0]
            if when > self._now:
                self._now = when
            return
        if not self._threads.wait_for_call():
            self._turns_in_vain = 0
            called = [watch._callback for watch in self._arrivals if isinstance(watch, Watch)]
            in_vain = [(one, one.sock) for one in called if isinstance(one, WatchCallback)]
            self._end_run(
                Deadlock(
                    asyncio.all_tasks(self),
                    in_vain,
                    self._threads.stuck(),
                    self.refusals,
                    self._tasks.failed(),
                )
            )

    def _is_busy(self) -> None:
        """Let time go on although something is ready: the program never waits."""
        if not self._was_busy:
            self._was_busy = True
            task = task_of(self._ready[0])
            report.warning(
                "the program has not waited for %s turns of the loop, and virtual time goes on: %s",
                f"{BUSY:,}",
                described(self._ready[0]) if task is None else where(task),
            )
        if any(not timer.cancelled() for _, _, timer in self._timers) or self._kernel:
            self._wait()
        elif self._threads.jobs:
            self._threads.wait_for_job()
        elif not self._threads.wait_for_work() and self._limit < math.inf:
            self._now = math.inf  # nothing else will happen
        self._busy_turns = BUSY - STILL_BUSY

    def _end_of_time(self) -> NoReturn:
        self._now = self._limit
        self._limit += self._time_limit  # for the clean-up of the tasks that are cancelled now
        self._end_run(
            TimeLimitExceeded(
                self._time_limit,
                asyncio.all_tasks(self),
                self._threads.stuck(),
                self.refusals,
                self._tasks.failed(),
                self._timers[0][2] if self._timers else None,
            )
        )

    def _end_run(self, reason: BaseException) -> NoReturn:
        """Raise why the run ends.

        After an interruption that is the interruption: it may have hit a task just as that was to
        be called again, and so be why the clean-up waits.
        """
        raise self._interruptions[0] if self._interruptions else reason

    def _watch_callback(
        self, sock: Watched, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Callable[[], object]:
        return WatchCallback(self, sock, callback, args)

    # --- threads ------------------------------------------------------------------------------

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As `call_soon()`, from any thread.

        Raises:
            RuntimeError: the loop is closed.
        """
        self._check_closed()
        if self.get_debug():
            self._check_callback(callback, "call_soon_threadsafe")
        handle = asyncio.Handle(callback, args, self, context)
        self._threads.call(handle)
        return handle

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run a function in a thread. It takes no virtual time, however long it runs.

        Results arrive in the order of the calls, when the loop has nothing else to do, so that a
        run does not depend on the speed of threads. With `thread_time` each function takes a
        virtual time that depends on the seed.
        """
        self._check_closed()
        if self.get_debug():
            self._check_callback(func, "run_in_executor")
        if executor is None:
            self._check_default_executor()
            executor = self._default_executor
            if executor is None:
                executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio")
                self._default_executor = executor
        answer: asyncio.Future[T] = self.create_future()
        job = self._threads.submit(executor, func, args, answer)
        if self._thread_time:
            job.held = True
            seconds = self._thread_time * self.network.chance("thread").random()
            self.call_later(seconds, self._threads.finish, job)
        return answer

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as in asyncio
        """Wait for the default executor's threads; ignore `timeout`, since no time passes.

        It does not wait for threads that wait for another thread, which would never end; the logger
        `fakes` says which.
        """
        self._executor_shutdown_called = True
        pool = self._default_executor
        if pool is not None:
            while (end := self._threads.end_of_sleep()) is not None:  # noqa: ASYNC110  # time has to pass
                await asyncio.sleep(max(SLEEPING, end - self._now))
            stuck = self._threads.has_stuck_jobs()
            if stuck:
                self._threads.report_left()
            pool.shutdown(wait=not stuck)

    # --- datagrams ------------------------------------------------------------------------------

    # asyncio's create_datagram_endpoint() uses socket.socket(), and this.
    def _make_datagram_transport(
        self,
        sock: Any,
        protocol: asyncio.DatagramProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: Any = None,
    ) -> DatagramTransport:
        return DatagramTransport(self, take(sock, self.network), protocol, address, waiter, extra)

    # --- signals --------------------------------------------------------------------------------

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts
    ) -> None:
        """Call back when this process gets a signal, such as by `signal.raise_signal()`.

        Raises:
            RuntimeError: the signal cannot be caught, or this is not the main thread.
            TypeError: the callback is a coroutine, or a function that makes one.
        """
        self._check_closed()
        self._signals.add(sig, asyncio.Handle(callback, args, self, None))

    def remove_signal_handler(self, sig: int) -> bool:
        """End what `add_signal_handler()` began; return whether it had."""
        return self._signals.remove(sig)

    # --- pipes ----------------------------------------------------------------------------------

    def _is_watchable(self, fd: Any) -> bool:
        return super()._is_watchable(fd) if self._pipes.get(fd) is None else True

    def _watched(self, fd: Any) -> Watched:
        pipe = self._pipes.get(fd)
        return super()._watched(fd) if pipe is None else pipe

    # asyncio's connect_read_pipe() and connect_write_pipe() use these.
    def _make_read_pipe_transport(self, pipe: Any, *args: Any, **kwargs: Any) -> Any:
        self._is_watchable(pipe)  # or it is refused
        return ReadPipeTransport(WatchingByNumber(self), pipe, *args, **kwargs)

    def _make_write_pipe_transport(self, pipe: Any, *args: Any, **kwargs: Any) -> Any:
        self._is_watchable(pipe)
        return WritePipeTransport(WatchingByNumber(self), pipe, *args, **kwargs)

    # --- not simulated ------------------------------------------------------------------

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated(f"subprocess_exec(): {NO_SUBPROCESSES}")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated(f"subprocess_shell(): {NO_SUBPROCESSES}")

    @property
    def _nest_patched(self) -> NoReturn:
        # nest_asyncio asks for this before it exchanges methods of the loop's class, for good.
        raise NotSimulated(
            "nest_asyncio would replace the methods of fakes.Loop by those of a loop with a "
            "selector: await the coroutine instead"
        )


def is_dead(handle: asyncio.Handle) -> bool:
    """Whether a callback is of a host that has crashed since."""
    context = handle._context  # type: ignore[attr-defined]
    boot = None if context is None else boot_of(context)
    return boot is not None and not boot.alive


@public
def run(
    main: Coroutine[Any, Any, T],
    *,
    seed: Seed = 0,
    network: Network | None = None,
    turn_time: float = 0.0,
    thread_time: float = 0.0,
    faults: Sequence[Fault] = (),
    within: float = WITHIN,
    time_limit: float | None = None,
    deterministic: bool = False,
    start_date: datetime.datetime = START_DATE,
    debug: bool | None = None,
) -> T:
    """Run a coroutine on a new `Loop`, as `asyncio.run()` does, and return its result.

    Args:
        main: the coroutine.
        seed: the seed from which the run draws (default 0).
        network: the network underneath (default: a new one).
        turn_time, thread_time: as for `Loop` (default 0).
        faults, within: as for `Loop` (default: none, 10).
        time_limit: the virtual seconds in which the run has to end (default: no limit).
        deterministic, start_date: as for `Loop` (default: no, the beginning of 2026).
        debug: asyncio's debug mode (default: as `asyncio.run()`).

    Raises:
        Deadlock: nothing can happen any more.
        TimeLimitExceeded: the run has not ended within `time_limit`.
        Exception: the exception that `main` raises.
    """
    with asyncio.Runner(
        debug=debug,
        loop_factory=lambda: Loop(
            seed=seed,
            network=network,
            turn_time=turn_time,
            thread_time=thread_time,
            faults=faults,
            within=within,
            time_limit=time_limit,
            deterministic=deterministic,
            start_date=start_date,
        ),
    ) as runner:
        return runner.run(main)
