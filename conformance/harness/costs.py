"""The costs of streams: how time and memory grow with the data that passes through them.

The tests measure growth, not speed: the processor time for a little data and for many times as
much, with a wide margin, and the fastest of several tries. So a busy machine makes no difference.
"""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unittest import mock

import fakes
from conformance.errors import Deviation, NotApplicable
from conformance.harness.expect import expect_that
from conformance.harness.patterns import KIB
from conformance.harness.trial import Trial, tick_of
from conformance.networks.wire import moved

MORE = 8  # times as much
MARGIN = 3  # times as long as in proportion; a square takes MORE times as long as in proportion
SLACK = 0.05  # seconds, for unrelated work
COPIES = 5  # of each byte that is more than at first: more memory is slower than little
TRIES = 3

Work = Callable[[int], Coroutine[Any, Any, object]]


# Time.


async def expect_proportion(work: Work, pieces: int, what: str) -> None:
    """Expect `work` on many times as many `pieces` to take about as many times as long."""

    async def measure(pieces: int) -> float:
        return await seconds(work(pieces))

    await expect_measured_proportion(measure, pieces, what)


async def expect_measured_proportion(
    measure: Callable[[int], Awaitable[float]], pieces: int, what: str, size: int = 0
) -> None:
    """Expect the result of `measure` for many times as many `pieces` to grow in proportion.

    Args:
        measure: does the work on that many pieces, and returns the processor time in seconds.
        pieces: the smaller number of pieces.
        what: the work, for the message.
        size: bytes of a piece that wait together with the other pieces (default: none do).
    """
    few = many = float("inf")
    for _ in range(TRIES):
        few = min(few, await measure(pieces))
        many = min(many, await measure(MORE * pieces))
        slack = SLACK + COPIES * seconds_to_copy(MORE * pieces, size)
        if many <= MORE * MARGIN * few + slack:
            return
    raise Deviation(
        f"{what}: time in proportion to the number of pieces",
        f"{1000 * few:.0f} ms for {pieces}, {1000 * many:.0f} ms for {MORE * pieces}",
    )


def seconds_to_copy(pieces: int, size: int) -> float:
    """Return the processor time that it takes now to copy that many pieces into fresh memory."""
    piece = bytearray(size)
    begin = time.process_time()
    copies = [bytes(piece) for _ in range(pieces)]
    taken = time.process_time() - begin
    del copies
    return taken


async def seconds(work: Awaitable[object]) -> float:
    """Return the processor time that `work` takes, garbage collection apart."""
    gc.disable()
    try:
        begin = time.process_time()
        await work
        return time.process_time() - begin
    finally:
        gc.enable()


async def expect_quiet(trial: Trial, *waits: Any) -> None:
    """Expect the event loop to have nothing to do while all these wait."""
    loop = trial.loop
    if not isinstance(loop, fakes.Loop):
        raise NotApplicable("only the loop in virtual time tells that nothing is left to run")
    tasks = [trial.start(each) for each in waits]
    await trial.turns(200)
    expect_that(loop.is_settled(), "nothing left to run", "callbacks that come again and again")
    with mock.patch.object(loop, "call_at", wraps=loop.call_at) as timers:
        await trial.pass_time(10)
    # A timer for each second that passes, and some for other purposes.
    expect_that(timers.call_count < 50, "nothing to run at times", f"{timers.call_count} timers")
    for task in tasks:
        task.cancel()  # other clauses check that it ends then


_is_watched: ContextVar[bool] = ContextVar("_is_watched", default=False)


async def expect_nothing_left(trial: Trial, use: Callable[[], Awaitable[object]]) -> None:
    """Expect `use()` to leave neither a task nor a timer on the event loop.

    It is called twice. Tasks and timers of the first call may belong to the server, or to the loop.
    """
    loop = trial.loop
    if not isinstance(loop, fakes.Loop):
        raise NotApplicable("only the loop in virtual time tells that nothing is left to run")
    call_at = loop.call_at
    timers: list[asyncio.TimerHandle] = []

    def watch(*args: Any, **options: Any) -> asyncio.TimerHandle:
        timer = call_at(*args, **options)
        if _is_watched.get():  # it does not come from the one who waits for the test
            timers.append(timer)
        return timer

    _is_watched.set(True)
    await use()
    trial.close_servers()  # which may have tasks of their own, as long as they serve
    await trial.turns()
    timers.clear()
    tasks = asyncio.all_tasks()
    with mock.patch.object(loop, "call_at", watch):
        await use()
        trial.close_servers()
        await trial.turns()
    coroutines = [each.get_coro() for each in asyncio.all_tasks() - tasks]
    new = [
        getattr(each, "__qualname__", "?")
        for each in coroutines
        if getattr(each, "cr_code", None) is not tick_of.__code__
    ]
    expect_that(not new, "no tasks left", ", ".join(new))
    times = [each.when() - loop.time() for each in timers if not each.cancelled()]
    left = [round(each, 3) for each in times if each > 0]
    expect_that(not left, "no timers left", f"due in {left} s")


# Memory.

SIZE = 256 * KIB  # bytes that pass at first; a connection may keep a few of them
CALLS = 50
ENOUGH = 512  # bytes that each of the calls may leave, for unrelated objects


@contextmanager
def tracing() -> Iterator[None]:
    """Let `tracemalloc` count while the block runs."""
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        yield
    finally:
        if not was_tracing:
            tracemalloc.stop()


async def expect_nothing_kept(pass_bytes: Callable[[int], Awaitable[object]]) -> None:
    """Expect memory not to grow with the data that passes."""
    with tracing():
        await pass_bytes(SIZE)
        before = taken()
        await pass_bytes(4 * SIZE)
        grown = taken() - before
    expect_that(
        grown < SIZE,
        f"nothing to be kept of {4 * SIZE // KIB} KiB",
        f"{grown // KIB} KiB more in use",
    )


def expect_little_kept(before: int, size: int, what: str) -> None:
    """Expect less than half of what has passed to be in use.

    Args:
        before: how many bytes were in use before.
        size: how many bytes have passed.
        what: what they were, for the message.
    """
    grown = taken() - before
    expect_that(
        grown < size // 2,
        f"nothing to be kept of {size // KIB} KiB: {what}",
        f"{grown // KIB} KiB more in use",
    )


def taken() -> int:
    """Return how many bytes are in use."""
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    return size


async def expect_calls_keep_nothing(
    call: Callable[[], Awaitable[object]], what: str, enough: int = ENOUGH, calls: int = CALLS
) -> None:
    """Expect memory not to grow with the number of calls.

    Args:
        call: makes a call.
        what: the calls, for the message.
        enough: how many bytes each may leave.
        calls: how many are made before it is measured; twice as many are made afterwards.
    """
    with tracing():
        for _ in range(calls):
            await call()
        before = taken()
        for _ in range(2 * calls):
            await call()
            moved()
        grown = taken() - before
    expect_that(
        grown < 2 * calls * enough,
        f"nothing to be kept of {2 * calls} {what}",
        f"{grown // KIB} KiB more in use",
    )
