"""An event loop with virtual time, over the simulated network.

Time starts at zero and stands still while anything is ready to run; then it jumps to the next
timer. Nothing waits, no real socket is opened, and the same program with the same seed does the
same, step by step.

The order within a turn of the loop is asyncio's: first the callbacks that were ready when the turn
began, then what the network has made readable or writable, then the timers that have come due.

What is ready may be no more than a socket whose watch leaves it as it is, and is called again in
every turn. Over a kernel time goes on meanwhile; here it does after `TURNS_IN_VAIN` such turns.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from fakes.borrowed import described
from fakes.deadlock import Deadlock
from fakes.network import Network
from fakes.networking import Networking, NotSimulated
from fakes.sockets import Socket
from fakes.threads import Threads
from fakes.watch import Watch

logger = logging.getLogger("asyncio")

# How often a watch may be called in vain, with nothing else going on, before it counts as waiting:
# a callback may do something in the end, if only it is called a few times.
TURNS_IN_VAIN = 100

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Timer(asyncio.TimerHandle):
    """A timer, with what asyncio's loops use of it beyond its documented interface."""

    __slots__ = ()

    _scheduled: bool  # while it is, cancel() tells the loop


class WatchCallback:
    """What a watch calls: a callback of `add_reader()` or `add_writer()`, on the socket it is for.

    It tells the loop of every call that has left all sockets as they were.
    """

    def __init__(
        self, loop: Loop, sock: Socket, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._loop = loop
        self._fileno = sock.fileno()  # a number does not keep the socket alive
        self._callback = callback
        self._args = args

    def __repr__(self) -> str:
        """Give the callback as it is."""
        return repr(self._callback)

    def __call__(self) -> None:
        """Call back."""
        network = self._loop.network
        before = network.operations
        try:
            self._callback(*self._args)
        finally:
            if network.operations == before:
                self._loop._calls_in_vain += 1

    @property
    def sock(self) -> Socket:
        """The socket that is watched, which is open."""
        return self._loop.network.socket_of(self._fileno)


class Loop(Networking, asyncio.BaseEventLoop):  # type: ignore[misc]  # as in Networking
    """A virtual-time event loop for `asyncio.Runner(loop_factory=fakes.Loop)` and the like.

    Arguments:
        seed: what the run's chances are drawn from (default 0).
        network: the network underneath (default: a new one).
    """

    # From asyncio.BaseEventLoop, beyond its documented interface: the queue of ready handles, and
    # `_run_once()`, which run_forever() calls for each turn.
    _ready: deque[asyncio.Handle]
    _stopping: bool
    _debug: bool
    _default_executor: concurrent.futures.Executor | None
    _check_closed: Callable[[], None]
    _check_callback: Callable[[object, str], None]
    _check_thread: Callable[[], None]
    _check_default_executor: Callable[[], None]

    takes_real_sockets = False

    def __init__(self, seed: int = 0, network: Network | None = None) -> None:
        super().__init__()
        self.seed = seed
        self.network = Network() if network is None else network
        self._now = 0.0
        self._arrivals: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_order = itertools.count()
        self._cancelled_timers = 0
        self._threads = Threads()
        self._calls_in_vain = 0  # of watches, in this turn
        self._turns_in_vain = 0  # those of nothing else, up to now
        self.network.attach(self, self._arrivals.append, seed)

    def __repr__(self) -> str:
        """Say what it is and the state it is in."""
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
        timer = Timer(when, callback, args, self, context)
        timer._scheduled = True
        heapq.heappush(self._timers, (when, next(self._timer_order), timer))
        return timer

    def _timer_handle_cancelled(self, handle: Timer) -> None:
        # TimerHandle.cancel() calls this.
        if handle._scheduled:
            self._cancelled_timers += 1
            if self._cancelled_timers > 100 and 2 * self._cancelled_timers > len(self._timers):
                self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
                heapq.heapify(self._timers)
                self._cancelled_timers = 0

    # --- turns --------------------------------------------------------------------------------

    def _run_once(self) -> None:
        ready = self._ready
        self._threads.take_calls(ready)
        nothing_new = not self._arrivals or self._turns_in_vain >= TURNS_IN_VAIN
        if nothing_new and not ready and not self._stopping:
            self._wait()
        if self._arrivals:
            ready.extend(self._arrivals)
            self._arrivals.clear()
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False
            if timer.cancelled():
                self._cancelled_timers -= 1
            else:
                ready.append(timer)
        handles = len(ready)
        for _ in range(handles):
            handle = ready.popleft()
            if not handle._cancelled:
                if self._debug:
                    self._run_watched(handle)
                else:
                    handle._run()
        if 0 < self._calls_in_vain == handles:
            self._turns_in_vain += 1
        else:
            self._turns_in_vain = 0
        self._calls_in_vain = 0

    def _run_watched(self, handle: asyncio.Handle) -> None:
        """Run a callback, and say so if it took long: in real time, since it takes no other."""
        start = time.monotonic()
        handle._run()
        took = time.monotonic() - start
        if took >= self.slow_callback_duration:
            logger.warning("Executing %s took %.3f seconds", described(handle), took)

    def is_settled(self) -> bool:
        """Return whether nothing is left to run at this instant of virtual time but the caller.

        Time goes on, or the loop waits for a thread, as soon as the caller waits for something.
        """
        return not (
            self._ready
            or self._arrivals
            or self._threads.has_calls()
            or (self._timers and self._timers[0][0] <= self._now)
        )

    def _wait(self) -> None:
        """Let time pass until something is ready. Raises `Deadlock` if nothing ever will be."""
        if self._threads.wait_for_job():
            return
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)[2]._scheduled = False
            self._cancelled_timers -= 1
        if self._timers:
            self._now = max(self._now, self._timers[0][0])
            return
        if not self._threads.wait_for_call():
            self._turns_in_vain = 0
            called = [watch._callback for watch in self._arrivals if isinstance(watch, Watch)]
            in_vain = [(one, one.sock) for one in called if isinstance(one, WatchCallback)]
            raise Deadlock(asyncio.all_tasks(self), in_vain)

    def _watch_callback(
        self, sock: Socket, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Callable[[], object]:
        return WatchCallback(self, sock, callback, args)

    # --- threads ------------------------------------------------------------------------------

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As `call_soon()`, from any thread. Raises `RuntimeError` if the loop is closed."""
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

        Results come in the order of the calls, when the loop has nothing else to do, so that a run
        does not depend on the speed of threads.
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
        self._threads.submit(executor, func, args, answer)
        return answer

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as in asyncio
        """Wait for the default executor's threads, without regard to `timeout`: no time passes."""
        self._executor_shutdown_called = True
        pool = self._default_executor
        if pool is not None:
            pool.shutdown(wait=True)

    # --- what is not simulated ------------------------------------------------------------------

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts
    ) -> NoReturn:
        """Raise `NotSimulated`: a signal comes from outside, and nothing is outside."""
        raise NotSimulated("signals are not simulated: call the handler from the test instead")

    def remove_signal_handler(self, sig: int) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("signals are not simulated")

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("create_datagram_endpoint(): UDP is not simulated")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("subprocess_exec(): subprocesses are not simulated")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("subprocess_shell(): subprocesses are not simulated")

    async def connect_read_pipe(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("connect_read_pipe(): pipes are not simulated")

    async def connect_write_pipe(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("connect_write_pipe(): pipes are not simulated")

    async def sock_recvfrom(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("sock_recvfrom(): UDP is not simulated")

    async def sock_recvfrom_into(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("sock_recvfrom_into(): UDP is not simulated")

    async def sock_sendto(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated("sock_sendto(): UDP is not simulated")


def run(
    main: Coroutine[Any, Any, T],
    *,
    seed: int = 0,
    network: Network | None = None,
    debug: bool | None = None,
) -> T:
    """Run a coroutine on a new `Loop`, as `asyncio.run()` does, and return its result.

    Arguments:
        main: the coroutine.
        seed: what the run's chances are drawn from (default 0).
        network: the network underneath (default: a new one).
        debug: asyncio's debug mode (default: as `asyncio.run()`).

    Raises `Deadlock` if nothing is left that could happen, and what `main` raises.
    """
    with asyncio.Runner(
        debug=debug, loop_factory=lambda: Loop(seed=seed, network=network)
    ) as runner:
        return runner.run(main)
