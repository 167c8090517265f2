"""Search: run a program with many seeds, shrink a failure, and report it."""

from __future__ import annotations

import concurrent.futures
import datetime
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from fakes._asyncio.private_api import end_workers
from fakes._loop.time_and_chance import START_DATE
from fakes._network.chance import Seed
from fakes._network.faults import WITHIN, Fault
from fakes._network.network import Network
from fakes._public import public
from fakes._tools.program import Failure, Program
from fakes._tools.report import Found, Report, SeedCommand
from fakes._tools.shrink import Shrunk, shrink

SEEDS = 200
TURN_TIME = 0.005
THREAD_TIME = 0.005
SHRINKING_RUNS = 500
# Some of the seeds that fail in the same way are shrunk, until one needs few draws.
SHRUNK = 4
FEW = 3

# A search begins in this process, where it can run anything, and goes on with the others when it
# takes longer than this: seconds of real time.
ALONE = 1.0
# Seconds of real time between two reports of progress.
SHOWN_EVERY = 0.5
# How often a part of a search is given to an executor that loses it, before it is done here.
TRIES = 3

Results = Iterator[list[tuple[int, Failure | None]]]


@public
def search(
    main: Callable[[], Coroutine[Any, Any, object]],
    *,
    seeds: int | Iterable[int] = SEEDS,
    network: Callable[[], Network] = Network,
    turn_time: float = TURN_TIME,
    thread_time: float = THREAD_TIME,
    faults: Sequence[Fault] = (),
    within: float = WITHIN,
    time_limit: float | None = None,
    deterministic: bool = False,
    start_date: datetime.datetime = START_DATE,
    executor: Executor | None = None,
    shrinking_runs: int = SHRINKING_RUNS,
    progress: Callable[[str], None] | None = None,
    only: Seed | None = None,
) -> Report:
    """Run a program with many seeds; if it fails with any, shrink the failure and raise it.

    A run fails if `main()` raises: its own assertions, `Deadlock`, `Violated`, anything. Two runs
    fail in the same way if they raise the same type at the same line.

    The search repeats the failing run with ever fewer of its random draws; the others get their
    quietest value. Of the first seeds that fail in the same way, the report shows the one that
    needs the fewest draws: these draws, what ran and crossed the wire, and a command that replays
    the run. If the environment variable `FAKES_SEED` is set, a search runs only that seed.

    Args:
        main: a coroutine function without arguments; each run calls it again.
        seeds: the number of seeds, from 0 on (default 200), or the seeds themselves.
        network: a function that makes the network of each run (default: `fakes.Network`).
        turn_time: as for `fakes.Loop`, in virtual seconds (default 0.005).
        thread_time: as for `fakes.Loop`, in virtual seconds (default 0.005).
        faults: as for `fakes.Loop` (default: none); the shrinking leaves out those that need not
            happen.
        within: in how many virtual seconds faults begin (default 10).
        time_limit: as for `fakes.Loop`: a run that takes more virtual seconds fails (default: no
            limit).
        deterministic, start_date: as for `fakes.Loop` (default: no, the beginning of 2026). The
            numbers that the program draws from `random` and the like depend on the seed, and are
            not shrunk.
        executor: any `concurrent.futures.Executor`, which runs the seeds (default: this process,
            and after one second all of this machine's cores). One with other processes gets `main`
            and `network` by name, or as it sends functions. If a worker is lost, another does its
            part.
        shrinking_runs: the greatest number of runs for shrinking (default 500); 0 for none.
        progress: a function, called with a line of text now and then (default: print it on a
            terminal).
        only: a seed to run alone, to replay a failure (default: `FAKES_SEED`, if it is set).

    Returns:
        The report, if no seed fails.

    Raises:
        Found: a seed fails. Its cause is the exception of the shrunk run.
        ValueError: there are no seeds.
    """
    program = Program(
        main,
        network,
        turn_time,
        thread_time,
        tuple(faults),
        within,
        time_limit,
        deterministic,
        start_date,
    )
    if only is None:
        only = os.environ.get("FAKES_SEED") or None
    if only is not None:
        return _replay(program, int(only) if isinstance(only, str) and only.isdigit() else only)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise ValueError("a search needs one seed or more")
    failures: dict[int, Failure] = {}
    done = 0
    say = _progress if progress is None else progress
    said = time.monotonic()
    for results in _run(program, numbers, executor):
        done += len(results)
        failures |= {seed: failure for seed, failure in results if failure is not None}
        if time.monotonic() - said >= SHOWN_EVERY:
            said = time.monotonic()
            say(f"{done} of {len(numbers)} seeds, {len(failures)} fail")
    failures = dict(sorted(failures.items()))
    report = Report(program, numbers, failures)
    if failures:
        count = f"{len(failures)} of {len(numbers)} seeds fail"
        report.shrunk = _shortest(
            program, failures, shrinking_runs, lambda seed: say(f"{count}; shrinking seed {seed}")
        )
        _raise(program, report, report.shrunk.seed if report.shrunk else min(failures))
    return report


def _shortest(
    program: Program, failures: dict[int, Failure], most: int, say: Callable[[int], None]
) -> Shrunk | None:
    """Shrink the first seeds that fail in the same way; return the run that needs fewest draws.

    Args:
        program: the program.
        failures: how it fails, by seed, in the order of the seeds.
        most: how many runs all of this may take.
        say: called with each seed before it is shrunk.
    """
    first = next(iter(failures.values()))
    alike = [seed for seed, failure in failures.items() if first.is_like(failure)]
    best: Shrunk | None = None
    for seed in alike[:SHRUNK]:
        if most <= 0 or (best is not None and len(best.draws) <= FEW):
            break
        say(seed)
        shrunk = shrink(program, seed, first, most)
        if shrunk is not None:
            most -= shrunk.runs
            if best is None or len(shrunk.draws) < len(best.draws):
                best = shrunk
    return best


def _replay(program: Program, seed: Seed) -> Report:
    outcome = program.run(seed)
    report = Report(program, [seed], {})
    if outcome.failure is not None:
        report.failures[seed] = outcome.failure
        _raise(program, report, seed)
    return report


def _raise(program: Program, report: Report, seed: Seed) -> None:
    outcome = program.run(seed, trace=True)
    report.last = outcome
    report.replay = SeedCommand.of(seed)
    raise Found(report) from outcome.exception


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"fakes.search: {line}", file=sys.stderr, flush=True)


# --- where the seeds are run ----------------------------------------------------------------------


def _run(program: Program, seeds: list[int], executor: Executor | None) -> Results:
    """Run a program with each seed; yield the results of some at a time, in any order."""
    if executor is not None:
        yield from _run_in(executor, program.run_all, seeds, len(seeds) // 64 + 1)
        return
    begun = time.monotonic()
    size = 1
    while seeds and (time.monotonic() - begun < ALONE or not _can_fork()):
        now, seeds = seeds[:size], seeds[size:]
        start = time.monotonic()
        yield program.run_all(now)
        took = time.monotonic() - start
        if took < SHOWN_EVERY / 4:
            size *= 2
    if seeds:
        import multiprocessing

        _Forked.program = program
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(mp_context=context) as pool:
            try:
                yield from _run_in(pool, _run_forked, seeds, size)
            except BaseException:  # an interruption: the results are not needed
                end_workers(pool)
                raise


class _Forked:
    """The function that a forked process runs: it is not sent, so it may be any function."""

    program: Program


def _run_forked(seeds: list[int]) -> list[tuple[int, Failure | None]]:
    return _Forked.program.run_all(seeds)


def _can_fork() -> bool:
    """Whether this process can be copied safely, and has more than one core."""
    if _count_threads() > 1 or (os.cpu_count() or 1) == 1:
        return False
    import multiprocessing  # most searches are over before they need it

    return "fork" in multiprocessing.get_all_start_methods()


def _count_threads() -> int:
    """Count this process's threads; if the system lists them, those of C libraries, too."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def _run_in(
    executor: Executor,
    run: Callable[[list[int]], list[tuple[int, Failure | None]]],
    seeds: list[int],
    size: int,
) -> Results:
    """Run seeds in an executor; lost ones are given to it again, and finally run here."""
    parts = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    for _ in range(TRIES):
        lost: list[list[int]] = []
        waiting: dict[Future[list[tuple[int, Failure | None]]], list[int]] = {}
        for part in parts:
            try:
                waiting[executor.submit(run, part)] = part
            except RuntimeError:  # it is broken, or shut down
                lost.append(part)
        for future in concurrent.futures.as_completed(waiting):
            if future.cancelled() or future.exception() is not None:
                error = None if future.cancelled() else future.exception()
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise error
                lost.append(waiting[future])
            else:
                yield future.result()
        parts = lost
        if not parts:
            return
    for part in parts:
        yield run(part)
