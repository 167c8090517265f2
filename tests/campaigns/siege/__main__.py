"""Besiege an implementation of the streams with random programs, until one goes wrong.

    tox -e siege -- --seeds 1000000
    tox -e soak -- --minutes 10
    python tests/reference_impl/siege --first 17 --seeds 1 --trace     # replay a seed

A program is what both ends of one to three connections do, and what befalls the network between
them: a function of its seed alone (see program.py; side.py says what may go wrong in it, and
play.py what is looked for at its end). On the fakes it plays in virtual time, step by step the same
each time. On a kernel's sockets it is played on the loop that is named, without weather and with
the kernel's timing, and the file descriptors are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import itertools
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from play import Play, Result
from program import ORDERLY, End, Plan, Program, Weather, program
from worlds import Kernel, Simulated, World

TOTALS = ("connections", "steps", "bytes", "cancels")


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    options = parsed(arguments)
    streams = load(options.streams)
    worlds = [world(name) for name in options.on.split(",")]
    end = time.monotonic() + 60 * options.minutes if options.minutes else None
    seeds: Iterable[int] = itertools.count(options.first)
    if end is None:
        seeds = range(options.first, options.first + options.seeds)
    totals = dict.fromkeys(TOTALS, 0)
    tried = wrong = 0
    gc.collect()
    gc.freeze()  # so that looking for garbage after each program takes little
    told_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told_to_stop.append(number))
    processor, clock = time.process_time(), time.monotonic()
    for seed in seeds:
        if told_to_stop or (end is not None and time.monotonic() > end):
            break  # after a whole program: the totals count
        on = worlds[seed % len(worlds)]
        result = play(program(seed), streams, on, options.trace)
        tried += 1
        for name in TOTALS:
            totals[name] += getattr(result, name)
        if options.trace:
            print("\n".join(result.trace or []))
        if result.failures:
            wrong += 1
            print(f"seed {seed} on {on.name}:")
            print("\n".join(f"    {failure}" for failure in result.failures[:10]))
            print(
                f"replay: python tests/reference_impl/siege --first {seed} --seeds 1 --trace "
                f"--on {on.name} --streams {options.streams}"
            )
            if options.shrink:
                small = shrunk(program(seed), streams, on)
                print(f"shrunk to: {small}")
                print("\n".join(play(small, streams, on, True).trace or []))
            if not options.keep_going:
                break
    print(
        f"{options.streams} on {options.on}: {tried:,} seeds, {wrong} of them wrong; "
        + ", ".join(f"{totals[name]:,} {name}" for name in TOTALS)
        + f"; {time.process_time() - processor:.0f} s of processor time, "
        f"{time.monotonic() - clock:.0f} s"
    )
    return 1 if wrong else 0


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="siege", description="Besiege an implementation of the streams by random programs."
    )
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="default: 1")
    parser.add_argument("--minutes", type=float, help="how long, instead of how many seeds")
    parser.add_argument(
        "--on",
        default="fakes",
        metavar="WORLDS",
        help="fakes (default), or the loops whose sockets to use in turn: asyncio,uvloop",
    )
    parser.add_argument(
        "--streams", default="reference_impl", metavar="MODULE[:NAME]", help="the implementation"
    )
    parser.add_argument("--trace", action="store_true", help="print what each program does")
    parser.add_argument("--shrink", action="store_true", help="look for a smaller program")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first")
    return parser.parse_args(arguments)


def load(name: str) -> Any:
    """Return an implementation by its name."""
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def world(name: str) -> World:
    """Return a world by its name."""
    if name == "fakes":
        return Simulated()
    if name == "uvloop":
        return Kernel(name, importlib.import_module("uvloop").new_event_loop)
    if name == "asyncio":
        return Kernel(name, asyncio.new_event_loop)
    sys.exit(f"siege: --on takes fakes, asyncio or uvloop, not {name!r}")


def play(played: Program, streams: Any, on: World, trace: bool = False) -> Result:
    """Play a program."""
    return Play(played, streams, on, [] if trace else None).run()


# Shrinking: leave out one thing after another, as long as something goes wrong.


def shrunk(failing: Program, streams: Any, on: World) -> Program:
    """Return a program of which nothing can be left out without everything going well."""
    while True:
        for smaller in simpler(failing):
            if play(smaller, streams, on).failures:
                failing = smaller
                break
        else:
            return failing


def simpler(whole: Program) -> Iterator[Program]:
    """Return the program with one thing less, in every way."""
    if len(whole.plans) > 1:
        for plan in whole.plans:
            yield replace(whole, plans=(plan,))
    for name in vars(Weather()):
        if getattr(whole.weather, name) != getattr(Weather(), name):
            plain = replace(whole.weather, **{name: getattr(Weather(), name)})
            yield replace(whole, weather=plain)
    for number, plan in enumerate(whole.plans):
        for less in simpler_plans(plan):
            plans = (*whole.plans[:number], less, *whole.plans[number + 1 :])
            yield replace(whole, plans=plans)


def simpler_plans(plan: Plan) -> Iterator[Plan]:
    """Return a connection's plan with one thing less, in every way."""
    if plan.tls is not None:
        yield replace(plan, tls=None)
    for name in ("client", "server"):
        end = getattr(plan, name)
        for field in ("high_water", "cancels_wait", "waits_closed"):
            if getattr(end, field) != (plain := getattr(End(), field)):
                yield replace(plan, **{name: replace(end, **{field: plain})})
        if end.ending != ORDERLY:
            yield replace(plan, **{name: replace(end, ending=ORDERLY)})
        for number in range(len(end.writers)):
            writers = end.writers[:number] + end.writers[number + 1 :]
            yield replace(plan, **{name: replace(end, writers=writers)})
            for write in range(len(end.writers[number])):
                rest = end.writers[number][:write] + end.writers[number][write + 1 :]
                writers = (*end.writers[:number], rest, *end.writers[number + 1 :])
                yield replace(plan, **{name: replace(end, writers=writers)})
        for number in range(len(end.clear)):
            clear = end.clear[:number] + end.clear[number + 1 :]
            yield replace(plan, **{name: replace(end, clear=clear)})
        if len(end.reads) > 1:
            for number in range(len(end.reads)):
                reads = end.reads[:number] + end.reads[number + 1 :]
                yield replace(plan, **{name: replace(end, reads=reads)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
