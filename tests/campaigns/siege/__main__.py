"""Besiege an implementation of the streams with random programs, until one goes wrong.

    tox -e siege -- --seeds 1000000
    tox -e soak -- --minutes 10
    tox -e siege -- --first 17 --seeds 1 --trace     # replay a seed

A program lists the actions of both ends of one to three connections, and the events on the network
between them: a function of its seed alone (see program.py; side.py says which errors are allowed,
and play.py what is checked at its end). On the fakes it plays in virtual time, step by step the
same each time. On a kernel's sockets it is played on the loop that is named, without weather and
with the kernel's timing, and the file descriptors are counted.
"""

from __future__ import annotations

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

import click

from .play import Play, Result
from .program import ORDERLY, End, Plan, Program, Weather, program
from .worlds import Kernel, Simulated, World

TOTALS = ("connections", "steps", "bytes", "cancels")


@click.command()
@click.option("--seeds", default=10_000, show_default=True, help="How many.")
@click.option("--first", default=1, metavar="SEED", show_default=True, help="The first one.")
@click.option("--minutes", type=float, help="How long, instead of how many seeds.")
@click.option(
    "--on",
    default="fakes",
    metavar="WORLDS",
    help="fakes (default), or the loops whose sockets to use in turn: asyncio,uvloop.",
)
@click.option(
    "--streams", "name", default="reference_impl", metavar="MODULE[:NAME]", help="Whose streams."
)
@click.option("--trace", is_flag=True, help="Print what each program does.")
@click.option("--shrink", is_flag=True, help="Look for a smaller program.")
@click.option("--keep-going", is_flag=True, help="Do not end at the first.")
def main(
    seeds: int,
    first: int,
    minutes: float | None,
    on: str,
    name: str,
    trace: bool,
    shrink: bool,
    keep_going: bool,
) -> None:
    """Besiege an implementation of the streams with random programs.

    Exit status: 1 if a program goes wrong.
    """
    streams = load(name)
    worlds = [world(each) for each in on.split(",")]
    end = time.monotonic() + 60 * minutes if minutes else None
    chosen: Iterable[int] = itertools.count(first) if end else range(first, first + seeds)
    totals = dict.fromkeys(TOTALS, 0)
    tried = wrong = 0
    gc.collect()
    gc.freeze()  # so that a garbage collection after each program takes little
    told_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told_to_stop.append(number))
    processor, clock = time.process_time(), time.monotonic()
    for seed in chosen:
        if told_to_stop or (end is not None and time.monotonic() > end):
            break  # after a whole program: the totals count
        place = worlds[seed % len(worlds)]
        result = play(program(seed), streams, place, trace)
        tried += 1
        for each in TOTALS:
            totals[each] += getattr(result, each)
        if trace:
            print("\n".join(result.trace or []))
        if result.failures:
            wrong += 1
            print(f"seed {seed} on {place.name}:")
            print("\n".join(f"    {failure}" for failure in result.failures[:10]))
            print(
                f"replay: python -m campaigns.siege --first {seed} --seeds 1 --trace "
                f"--on {place.name} --streams {name}"
            )
            if shrink:
                small = shrunk(program(seed), streams, place)
                print(f"shrunk to: {small}")
                print("\n".join(play(small, streams, place, True).trace or []))
            if not keep_going:
                break
    print(
        f"{name} on {on}: {tried:,} seeds, {wrong} of them wrong; "
        + ", ".join(f"{totals[each]:,} {each}" for each in TOTALS)
        + f"; {time.process_time() - processor:.0f} s of processor time, "
        f"{time.monotonic() - clock:.0f} s"
    )
    sys.exit(bool(wrong))


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
    """Return a smallest program that still goes wrong."""
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
    main()
