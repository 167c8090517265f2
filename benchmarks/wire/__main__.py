"""The reference implementation beside asyncio's streams, over the wire.

    python benchmarks/wire [--python PYTHON]... [--loop asyncio|uvloop]... [--security plain|tls]...
                           [--rounds 15] [--share 1.0] [--only REGEX] [--instructions]
                           [--json FILE] [--svg FILE] [--markdown FILE] [--from FILE]...

The far end is a process of its own, and so is each near end: asyncio's streams, the reference's,
and a bare protocol, which is the floor. They take turns within each round. They are started anew
for each workload, and every few rounds, because it matters to the C library what a process did
before, and where its memory happens to lie. What counts is the near end's processor time. All share
one core, because what it costs to wake another one comes and goes.

A ratio is asyncio's time by the reference's, so more than 1 means that the reference is faster; the
figure is the median over the rounds, with its 95 % interval. "Of floor" is the floor's time by the
reference's: the part of the time that is not the streams'.

`--instructions` counts instructions instead, under valgrind's callgrind, in one round each; noise
does not move them. `--from` reads what `--json` wrote before, instead of measuring.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
NAMES = ("asyncio", "reference_impl", "floor")
ROUNDS_PER_PROCESS = 5

Figures = list[dict[str, Any]]  # a column each


class Near:
    """A process that runs workloads on one implementation."""

    def __init__(self, command: list[str], name: str, arguments: list[str]) -> None:
        """Start it."""
        paths = [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [*command, str(HERE / "near.py"), name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            text=True,
        )
        self.about = self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next thing that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the near end has failed: {self.process.args!r}")
        return dict(json.loads(line))

    def run(self, number: int, share: float) -> dict[str, Any]:
        """Run a workload; return what it cost."""
        assert self.process.stdin is not None
        print(number, share, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        """Let it go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@dataclass
class Work:
    """What to measure of each column, and how."""

    rounds: int
    share: float
    only: str
    instructions: bool


def column(
    python: str, loop: str, security: str, ports: list[str], directory: str, work: Work
) -> dict[str, Any]:
    """Measure every workload on one Python, one loop, plain or over TLS."""
    arguments = [loop, ports[security == "tls"], directory, security]
    figures: dict[str, Any] = {"loop": loop, "security": security, "workloads": {}}
    near = Near([python], "asyncio", arguments)
    near.end()
    figures |= {"python": near.about["python"], "libc": near.about["libc"]}
    for index, title in enumerate(near.about["workloads"]):
        if re.search(work.only, title):
            workload: dict[str, Figures] = {name: [] for name in NAMES}
            if work.instructions:
                for name in NAMES:
                    workload[name].append(counted(python, name, arguments, index, work.share))
            else:
                left = work.rounds
                while left > 0:
                    rounds = min(left, ROUNDS_PER_PROCESS)
                    in_turns(python, arguments, index, work.share, rounds, workload)
                    left -= rounds
            figures["workloads"][title] = workload
    return figures


def in_turns(
    python: str,
    arguments: list[str],
    index: int,
    share: float,
    rounds: int,
    workload: dict[str, Figures],
) -> None:
    """Run a workload for some rounds, in fresh processes; add what each round cost."""
    nears = {name: Near([python], name, arguments) for name in NAMES}
    try:
        for near in nears.values():
            near.run(index, share / 10)  # to warm up
        for number in range(rounds):
            # Who begins changes, too.
            for name in NAMES if number % 2 else reversed(NAMES):
                workload[name].append(nears[name].run(index, share))
    finally:
        for near in nears.values():
            near.end()


def counted(
    python: str, name: str, arguments: list[str], index: int, share: float
) -> dict[str, Any]:
    """Run a workload under callgrind; return what it cost, with the instructions."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        os.environ["CALLGRIND"] = "1"
        near = Near([*command, f"--callgrind-out-file={file}", "-q", python], name, arguments)
        del os.environ["CALLGRIND"]
        measured = near.run(index, share)
        near.end()
        totals = re.findall(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE)
        return measured | {"instructions": int(totals[-1])}


def ratios(workload: dict[str, Figures], first: str, second: str, key: str) -> list[float]:
    """Return what the one took by what the other took, round by round, in order of size."""
    pairs = zip(workload[first], workload[second], strict=True)
    return sorted(one[key] / max(other[key], 1e-9) for one, other in pairs)


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median of *values*, which are in order of size.

    It asks nothing of how they are distributed: that the median lies below so many of them is as
    likely as so many heads of coins.
    """
    count = len(values)
    outside, rank = 0.0, 0
    while (outside := outside + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    rank = max(rank - 1, 0)
    return values[rank], values[count - 1 - rank]


def heading(figures: dict[str, Any]) -> str:
    """Return what a column is about."""
    return f"{figures['python']} {figures['loop']} {figures['security']}"


def show(figures: dict[str, Any]) -> None:
    """Print a column."""
    some = next(iter(figures["workloads"].values()))["asyncio"]
    key = "instructions" if "instructions" in some[0] else "seconds"
    print(f"\n{heading(figures)}, {figures['libc']}, {len(some)} rounds, by {key}")
    print(f"{'':34}{'ratio':>6}  {'interval':14}{'of floor':>9}{'faults, asyncio':>18}{'ours':>8}")
    reading = []
    for title, workload in figures["workloads"].items():
        values = ratios(workload, "asyncio", "reference_impl", key)
        low, high = interval(values)
        share = statistics.median(ratios(workload, "floor", "reference_impl", key))
        theirs, ours = (
            statistics.median(one["faults"] for one in workload[name]) for name in NAMES[:2]
        )
        middle = statistics.median(values)
        between = f"{low:5.2f} to {high:5.2f}"
        print(f"{title:34}{middle:6.2f}  {between}{share:9.2f}{theirs:18,.0f}{ours:8,.0f}")
        if title in READING:
            reading.append(middle)
    if len(reading) == len(READING):
        print(f"{'reading, geometric mean':34}{statistics.geometric_mean(reading):6.2f}")


@click.command()
@click.option(
    "--python",
    "pythons",
    multiple=True,
    default=[sys.executable],
    help="An interpreter; may be repeated.",
)
@click.option(
    "--loop",
    "loops",
    multiple=True,
    type=click.Choice(["asyncio", "uvloop"]),
    default=["asyncio", "uvloop"],
)
@click.option(
    "--security",
    "securities",
    multiple=True,
    type=click.Choice(["plain", "tls"]),
    default=["plain", "tls"],
)
@click.option("--rounds", default=15, show_default=True)
@click.option(
    "--share", default=1.0, show_default=True, help="The share of the usual amount of work."
)
@click.option("--only", default="", metavar="REGEX", help="Only workloads whose title matches.")
@click.option("--instructions", is_flag=True, help="Count instructions, by callgrind.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the ratios into this file.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path),
    help="Write the ratios into this file, as a page.",
)
@click.option(
    "--from",
    "before",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Read what --json wrote before, and measure nothing; may be repeated.",
)
def main(
    pythons: tuple[str, ...],
    loops: tuple[str, ...],
    securities: tuple[str, ...],
    rounds: int,
    share: float,
    only: str,
    instructions: bool,
    file: Path | None,
    svg: Path | None,
    markdown: Path | None,
    before: tuple[Path, ...],
) -> None:
    """Measure, print, write and draw."""
    figures: Figures = []
    if before:
        figures = [column for each in before for column in json.loads(each.read_text())]
        for one in figures:
            show(one)
    else:
        work = Work(rounds, share, only, instructions)
        # All on one core, or half of the figures are what it costs to wake another.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        with tempfile.TemporaryDirectory() as directory:
            far = subprocess.Popen(
                [sys.executable, HERE / "far.py", directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert far.stdout is not None
            assert far.stdin is not None
            ports = far.stdout.readline().split()
            for python in pythons:
                for loop in loops:
                    for security in securities:
                        measured = column(python, loop, security, ports, directory, work)
                        figures.append(measured)
                        show(measured)
            far.stdin.close()
            far.wait()
    if file:
        file.write_text(json.dumps(figures) + "\n", encoding="utf-8")
    if markdown:
        import table

        command = f"python benchmarks/wire --rounds {rounds} --share {share:g}"
        text = table.page(
            command,
            figures,
            lambda workload, first, second: ratios(workload, first, second, "seconds"),
            interval,
            READING,
        )
        markdown.write_text(text, encoding="utf-8")
    if svg:
        import chart

        chart.draw(
            svg,
            figures,
            heading,
            lambda workload: ratios(workload, "asyncio", "reference_impl", "seconds"),
            interval,
        )


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    from programs import WORKLOADS

    READING = [workload.title for workload in WORKLOADS if workload.reading]
    main()
