"""The standard library's clocks and random sources, under a loop's time and seed.

With `deterministic=True`, code that runs in the simulation sees them in `time`, `datetime`,
`random`, `os.urandom()`, `uuid`, `secrets` and everything that uses these. "In the simulation" is
the thread of the loop while it runs, the jobs of its executors, and the threads that these have
started; a block of `fakes.real_sockets()` is outside, and so is every other thread.

The functions are exchanged in place (`fakes._loop.in_place`) while at least one such loop runs, and
each checks its caller. So are the methods of Python's that wait for other threads with a timeout;
those of C's (`Lock.acquire()`, `SimpleQueue.get()`) wait in real time.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import ssl
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from fakes._loop import threads
from fakes._loop.chance_before import ChanceBefore, ChanceInC
from fakes._loop.escapes import loop_of_this_thread
from fakes._loop.in_place import ClassMethodRedirection, Redirection
from fakes._loop.pipes import is_of_this_process
from fakes._loop.standing import RUNS, WAITING_MODULES
from fakes._loop.threads import End, Notice, Threads, original_join

START_DATE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

T = TypeVar("T")

NANOSECONDS = 1_000_000_000

# A program that reads the clock that often at one instant waits for time to pass: then time passes,
# by so many seconds with each reading.
LOOKS = 10_000
STEP = 0.001

# Modules that wait in real time, and read the clock for that: asyncio's own loops do, in a thread.
_SLEEPING = frozenset({"subprocess"})
_WAITING = _SLEEPING | {"asyncio.base_events", "selectors"}

# The state that the module `uuid` keeps of the last UUID, and its first value.
_REMEMBERED = {
    "_last_timestamp": None,
    "_last_timestamp_v6": None,
    "_last_timestamp_v7": None,
    "_last_counter_v7": 0,
}


class TimeAndChance:
    """The values of the standard library's clocks and sources of chance in one simulation.

    Args:
        loop: the loop that has the time.
        advance: a function that lets so many seconds pass.
        threads: the loop's threads.
        number: the number of the seed.
        start_date: the date when the loop's time is 0.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        advance: Callable[[float], None],
        threads: Threads,
        number: int,
        start_date: datetime.datetime,
    ) -> None:
        self._loop = loop
        self._number = number
        if start_date.tzinfo is None:
            raise ValueError(
                f"start_date needs a time zone, as in {START_DATE!r}, not {start_date!r}"
            )
        self._start = round(start_date.timestamp() * NANOSECONDS)
        self._threads = threads
        self._advance = advance
        self._looks = 0
        self._looked_at = 0.0
        self._sources: dict[str, random.Random] = {}
        self._before = ChanceBefore(number)
        self.chance_in_c = ChanceInC(number)
        node = random.Random(f"{number} program's node").getrandbits(48)
        self._remembered: dict[str, Any] = {
            name: value for name, value in _REMEMBERED.items() if hasattr(uuid, name)
        }
        self._remembered["_node"] = node | 1 << 40  # which marks it as not from a network card

    # --- time -----------------------------------------------------------------------------------

    def monotonic(self) -> float:
        """Return the loop's time."""
        now = self._loop.time()
        if self._is_own_thread():
            if now != self._looked_at:
                self._looked_at, self._looks = now, 0
            self._looks += 1
            if self._looks > LOOKS:
                self._advance(STEP)
                self._looked_at = now = self._loop.time()
        return now

    def monotonic_ns(self) -> int:
        """Return the loop's time in nanoseconds."""
        return round(self.monotonic() * NANOSECONDS)

    def time_ns(self) -> int:
        """Return the nanoseconds since the beginning of 1970."""
        return self._start + self.monotonic_ns()

    def time(self) -> float:
        """Return the seconds since the beginning of 1970."""
        return self.time_ns() / NANOSECONDS

    def sleep(self, seconds: float) -> None:
        """Let time pass: on the loop, whose callbacks are late then; or in a thread."""
        sleep = self._threads.sleep_here if self._is_own_thread() else self._threads.sleep
        sleep(self._loop, seconds, self._advance)

    def wait_for(self, seconds: float, awaited: Notice | End) -> None:
        """Wait for another thread, for so many virtual seconds at most."""
        wait = self._threads.wait_here if self._is_own_thread() else self._threads.wait
        wait(self._loop, seconds, self._advance, awaited)

    def wait(
        self,
        seconds: float,
        numbers: Iterable[int],
        look: Callable[[int | None, float], T | None],
    ) -> T | None:
        """Wait for real files to be ready, for so many virtual seconds at most.

        Args:
            seconds: the time; more than 0.
            numbers: the files.
            look: a function that waits in real time for these files, and for one more, if it gets
                the number of one; it returns those that are ready, except that one, or None.
        """
        # Asked before the look: when another process ends, its pipe looks like one of this process,
        # and is ready.
        of_this_process = all(map(is_of_this_process, numbers))
        found = look(None, 0)
        if found is not None:
            return found
        if of_this_process and not self._is_own_thread():
            return self._threads.wait_for_files(self._loop, seconds, self._advance, look)
        if not of_this_process:  # its answer comes in real time
            found = look(None, seconds)
        while found is None and of_this_process and self._threads.wait_for_others():
            found = look(None, 0)
        if found is None:
            self.sleep(seconds)
        return found

    def _is_own_thread(self) -> bool:
        return asyncio._get_running_loop() is self._loop

    # --- chance ---------------------------------------------------------------------------------

    def source(self, name: str) -> random.Random:
        """Return a source of chance, by name and by the calling thread."""
        key = name if self._is_own_thread() else f"{name} {self._threads.name_of_this()}"
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = random.Random(f"{self._number} program's {key}")
        return source

    def random_bytes(self, size: int) -> bytes:
        """Return random bytes."""
        return self.source("bytes").randbytes(size)

    # --- uuid -----------------------------------------------------------------------------------

    def uuid1(self) -> tuple[bytes, None]:
        """Return what `uuid.uuid1()` gets from the C library; it is unknown whether it is safe."""
        return uuid.uuid1(uuid.getnode()).bytes, None

    def exchange_remembered(self) -> None:
        """Exchange the state of the module `uuid` with that of this run.

        Exchange likewise the states of sources of chance that existed before.
        """
        self._before.exchange()
        for name, value in self._remembered.items():
            self._remembered[name] = getattr(uuid, name)
            setattr(uuid, name, value)


# --- the exchange ----------------------------------------------------------------------------


def _here() -> TimeAndChance | None:
    """Return the simulation of the running code, or None."""
    own: TimeAndChance | None = getattr(loop_of_this_thread(), "time_and_chance", None)
    return own


def clock_of(frame: types.FrameType, waiting: frozenset[str] = _WAITING) -> TimeAndChance | None:
    """As `_here()`, for a frame; None if it waits in real time.

    The modules in which locks are waited for do so for their caller.
    """
    caller: types.FrameType | None = frame
    while caller is not None and caller.f_globals.get("__name__") in WAITING_MODULES:
        caller = caller.f_back
    if caller is not None:
        module = str(caller.f_globals.get("__name__"))
        if module in waiting or module.startswith("multiprocessing."):
            return None
        if module == threads.__name__ and caller.f_code.co_name != RUNS:
            return None  # the simulation itself waits for a thread
    return _here()


Function = Callable[..., Any]


def _clock(name: str) -> Callable[[Function], Function]:
    method = getattr(TimeAndChance, name)

    def make(original: Function) -> Function:
        def read() -> Any:
            own = clock_of(sys._getframe(1))
            return original() if own is None else method(own)

        return read

    return make


def _gettime(name: str) -> Callable[[Function], Function]:
    monotonic = getattr(TimeAndChance, f"monotonic{name}")
    realtime = getattr(TimeAndChance, f"time{name}")

    def make(original: Function) -> Function:
        def clock_gettime(clock: int, /) -> Any:
            method = {time.CLOCK_REALTIME: realtime, time.CLOCK_MONOTONIC: monotonic}.get(
                monotonic_clocks.get(clock, clock)
            )
            own = None if method is None else clock_of(sys._getframe(1))
            return original(clock) if method is None or own is None else method(own)

        return clock_gettime

    names = ("CLOCK_MONOTONIC_RAW", "CLOCK_BOOTTIME", "CLOCK_UPTIME_RAW")
    monotonic_clocks = {
        getattr(time, each): time.CLOCK_MONOTONIC for each in names if hasattr(time, each)
    }
    return make


def _sleep(original: Function) -> Function:
    def sleep(seconds: Any, /) -> None:
        own = clock_of(sys._getframe(1), _SLEEPING)
        if own is None or not isinstance(seconds, (int, float)) or not seconds >= 0:
            original(seconds)
        else:
            own.sleep(seconds)

    return sleep


def _now(own: TimeAndChance) -> float:
    """Return the result of `time.time()`, unless time-machine travels: it changes that."""
    exchanged = _made.get("time.time")
    return exchanged.target() if isinstance(exchanged, Redirection) else own.time()


def _of_now(original: Function) -> Function:
    """For a function that takes seconds, or by default the present time."""

    def tell(seconds: float | None = None, /) -> Any:
        own = _here() if seconds is None else None
        return original(seconds) if own is None else original(_now(own))

    return tell


def _asctime(original: Function) -> Function:
    def asctime(*moment: Any) -> Any:
        own = None if moment else _here()
        return original(*moment) if own is None else original(time.localtime(_now(own)))

    return asctime


def _strftime(original: Function) -> Function:
    def strftime(*arguments: Any) -> Any:
        own = _here() if len(arguments) == 1 else None
        if own is None:
            return original(*arguments)
        return original(*arguments, time.localtime(_now(own)))

    return strftime


def _datetime_now(original: Function) -> Function:
    def now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
        own = _here()
        return original(cls, tz) if own is None else cls.fromtimestamp(_now(own), tz)

    return now


def _datetime_utcnow(original: Function) -> Function:
    def utcnow(cls: Any) -> Any:
        own = _here()
        if own is None:
            return original(cls)
        return cls.fromtimestamp(_now(own), datetime.UTC).replace(tzinfo=None)

    return utcnow


def _date_today(original: Function) -> Function:
    def today(cls: Any) -> Any:
        own = _here()
        return original(cls) if own is None else cls.fromtimestamp(_now(own))

    return today


def _random_bytes(original: Function) -> Function:
    def random_bytes(size: int, /) -> bytes:
        own = _here()
        if own is None or size < 0:
            return original(size)  # type: ignore[no-any-return]  # bytes
        return own.random_bytes(size)

    return random_bytes


def _getrandom(original: Function) -> Function:
    def getrandom(size: int, flags: int = 0) -> bytes:
        own = _here()
        if own is None or size < 0:
            return original(size, flags)  # type: ignore[no-any-return]  # bytes
        return own.random_bytes(size)

    return getrandom


def _of_random(name: str) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        def draw(*args: Any, **kwargs: Any) -> Any:
            own = _here()
            function = original if own is None else getattr(own.source("random"), name)
            return function(*args, **kwargs)

        return draw

    return make


def _uuid1(original: Function) -> Function:
    def generate_time_safe() -> Any:
        own = _here()
        return original() if own is None else own.uuid1()

    return generate_time_safe


def _functions() -> Iterator[tuple[str, Any, Callable[[Function], Function]]]:
    """Yield the exchanges: a name, the function, and the maker of its replacement."""
    yield "time.time", time.time, _clock("time")
    yield "time.time_ns", time.time_ns, _clock("time_ns")
    yield "time.monotonic", time.monotonic, _clock("monotonic")
    yield "time.monotonic_ns", time.monotonic_ns, _clock("monotonic_ns")
    yield "time.perf_counter", time.perf_counter, _clock("monotonic")
    yield "time.perf_counter_ns", time.perf_counter_ns, _clock("monotonic_ns")
    yield "time.clock_gettime", time.clock_gettime, _gettime("")
    yield "time.clock_gettime_ns", time.clock_gettime_ns, _gettime("_ns")
    yield "time.sleep", time.sleep, _sleep
    yield "time.gmtime", time.gmtime, _of_now
    yield "time.localtime", time.localtime, _of_now
    yield "time.ctime", time.ctime, _of_now
    yield "time.asctime", time.asctime, _asctime
    yield "time.strftime", time.strftime, _strftime
    yield "os.urandom", os.urandom, _random_bytes
    if hasattr(os, "getrandom"):
        yield "os.getrandom", os.getrandom, _getrandom
    yield "ssl.RAND_bytes", ssl.RAND_bytes, _random_bytes
    yield "uuid.uuid1", getattr(uuid, "_generate_time_safe", None), _uuid1
    instance = getattr(random, "_inst", None)  # whose methods the functions are
    for name, function in list(vars(random).items()):
        if getattr(function, "__self__", None) is instance:
            yield f"random.{name}", function, _of_random(name)
    # The clock of a journey of time-machine that began in the simulation.
    journey = sys.modules.get("_time_machine")
    yield "time_machine", getattr(journey, "original_time_ns", None), _clock("time_ns")


_METHODS = (
    (datetime.datetime, "now", _datetime_now),
    (datetime.datetime, "utcnow", _datetime_utcnow),
    (datetime.date, "today", _date_today),
)
_made: dict[str, Redirection | ClassMethodRedirection] = {}


def _redirections() -> list[Redirection | ClassMethodRedirection]:
    """Return the exchanges.

    A function that something else, such as freeze_time(), has replaced stays replaced.
    """
    for name, function, make in _functions():
        if name not in _made and isinstance(
            function, (types.BuiltinFunctionType, types.MethodType)
        ):
            _made[name] = Redirection(function, make)
    for owner, name, make in _METHODS:
        key = f"{owner.__name__}.{name}"
        if key not in _made and isinstance(getattr(owner, name), types.BuiltinFunctionType):
            _made[key] = ClassMethodRedirection(owner, name, make)
    return list(_made.values())


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    """Seed a source that a program makes: in the simulation, not from the operating system."""
    own = _here() if a is None else None
    _original_seed(self, a if own is None else own.source("seeds").getrandbits(128), version)


_original_seed = random.Random.seed


def _wait(self: Any, timeout: float | None = None) -> bool:
    """Wait for a condition: in the simulation, a timeout is in virtual time."""
    own = None
    if timeout is not None and 0 < timeout <= threading.TIMEOUT_MAX and self._is_owned():
        own = clock_of(sys._getframe(1))
    if own is None or timeout is None:
        return _original_wait(self, timeout)
    notice = Notice()
    self._waiters.append(notice.lock)
    saved = self._release_save()
    try:
        own.wait_for(timeout, notice)
    finally:
        self._acquire_restore(saved)
        notified = notice.lock not in self._waiters
        if not notified:
            self._waiters.remove(notice.lock)
    return notified


_original_wait = threading.Condition.wait


def _join(self: threading.Thread, timeout: float | None = None) -> None:
    """Wait for the end of a thread: in the simulation, a timeout is in virtual time."""
    own = clock_of(sys._getframe(1)) if timeout is not None and timeout > 0 else None
    if own is None or timeout is None:
        original_join(self, timeout)
    else:
        original_join(self, 0)  # which checks whether one can
        own.wait_for(timeout, End(self))


class _StandardLibrary:
    """The exchange in the standard library: how many loops need it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops = 0
        self._exchanged: list[Redirection | ClassMethodRedirection] = []
        # The first of them: state that exists once in a process is the first loop's until the last
        # one leaves, because loops in several threads come and go in any order.
        self._first: TimeAndChance | None = None

    def enter(self, own: TimeAndChance) -> None:
        """Put it under one more loop."""
        with self._lock:
            self._loops += 1
            if self._loops == 1:
                self._exchanged = _redirections()
                for each in self._exchanged:
                    each.on()
                random.Random.seed = _seed  # type: ignore[method-assign]
                threading.Condition.wait = _wait  # type: ignore[method-assign]
                threading.Thread.join = _join  # type: ignore[method-assign]
                self._first = own
                own.chance_in_c.enter()
                own.exchange_remembered()

    def leave(self) -> None:
        """Put back the originals, after the last loop."""
        with self._lock:
            self._loops -= 1
            if not self._loops:
                random.Random.seed = _original_seed  # type: ignore[method-assign]
                threading.Condition.wait = _original_wait  # type: ignore[method-assign]
                threading.Thread.join = original_join  # type: ignore[method-assign]
                for each in self._exchanged:
                    each.off()
                first, self._first = self._first, None
                assert first is not None
                first.exchange_remembered()
                first.chance_in_c.leave()


standard_library = _StandardLibrary()
