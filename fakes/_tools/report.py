"""The report of a search, for people."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fakes._network.chance import Draw, Seed
from fakes._network.path import VARIATION
from fakes._network.resolver import LOOKUP_VARIATION
from fakes._public import public
from fakes._tools.program import Failure, Outcome, Program
from fakes._tools.shrink import Shrunk

# How much of a report is shown.
LINES = 40
DRAWS = 20
KINDS = 5


@dataclass(frozen=True)
class SeedCommand:
    """A command that replays a run."""

    seed: Seed
    command: str

    @classmethod
    def of(cls, seed: Seed) -> SeedCommand:
        """Return the command for the running test or program."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        words = ["pytest", test] if test else sys.orig_argv
        return cls(seed, f"FAKES_SEED={shlex.quote(str(seed))} {shlex.join(words)}")


@public
class Report:
    """The result of `fakes.search()`.

    Attributes:
        seeds: those that were run.
        failures: for each that fails, how.
        shrunk: the shrunk run of the first, or None.
        last: the last run of the first, with its trace, or None.
    """

    def __init__(
        self, program: Program, seeds: Sequence[Seed], failures: Mapping[Any, Failure]
    ) -> None:
        self.seeds = seeds
        self.failures: dict[Seed, Failure] = dict(failures)
        self.shrunk: Shrunk | None = None
        self.last: Outcome | None = None
        self.replay: SeedCommand | None = None
        self._program = program

    def __repr__(self) -> str:
        """Show how many fail."""
        return f"<fakes.Report {self.summary()}>"

    def summary(self) -> str:
        """Return one line: how many seeds fail, and the first that does."""
        count = f"{len(self.failures)} of {len(self.seeds)} seeds fail"
        if len(self.seeds) == 1:
            count = f"seed {self.seeds[0]} {'fails' if self.failures else 'does not fail'}"
        elif self.failures:
            count += f"; the first is {next(iter(self.failures))}"
        return count

    def __str__(self) -> str:
        """Return the whole report."""
        parts = [self.summary()]
        if self.failures:
            parts += self._kinds()
        if self.failures and self.last is not None:
            parts += self._one()
        return "\n".join(parts)

    def _kinds(self) -> list[str]:
        """Return the ways in which the seeds fail, if there are several."""
        counts = Counter((failure.error, failure.place) for failure in self.failures.values())
        if len(counts) == 1:
            return []
        lines = []
        for (error, place), count in counts.most_common(KINDS):
            first = next(
                seed for seed, f in self.failures.items() if (f.error, f.place) == (error, place)
            )
            lines.append(f"  {count:5}  {error} at {place} (first: seed {first})")
        if len(counts) > KINDS:
            lines.append(f"  and {len(counts) - KINDS} others")
        return lines

    def _one(self) -> list[str]:
        assert self.last is not None
        failure = self.last.failure
        lines = []
        if self.shrunk is None and failure is None:
            lines.append(
                "it does not fail again: the program depends on something else than its seed "
                "(real time, the order of sets, what an earlier run has left)"
            )
        if self.shrunk is not None:
            lines += self._draws(self.shrunk)
        if self.last.trace is not None:
            lines += ["", "what ran and what crossed the wire:"]
            lines.append(self.last.trace.text(last=LINES, folded=True))
        if failure is not None:
            lines += ["", failure.text()]
        if self.replay is not None:
            lines += ["", f"replay: {self.replay.command}"]
        return lines

    def _draws(self, shrunk: Shrunk) -> list[str]:
        count = len(shrunk.draws)
        runs = f"{shrunk.runs} runs" if shrunk.minimal else f"after {shrunk.runs} runs, all used"
        if not count:
            of = "1 draw" if shrunk.before == 1 else f"{shrunk.before} draws"
            return [f"it fails whatever chance decides ({of}, {runs})"]
        matter = "1 draw matters" if count == 1 else f"{count} draws matter"
        lines = [f"seed {shrunk.number}: of {shrunk.before} draws {matter} ({runs}):"]
        for draw in shrunk.draws[:DRAWS]:
            lines.append(f"  {draw.time:.6f}  {draw.concern}:{draw.number}  {self._meaning(draw)}")
        if count > DRAWS:
            lines.append(f"  and {count - DRAWS} more")
        return lines

    def _meaning(self, draw: Draw) -> str:
        """Return the effect of a draw, in words."""
        value = draw.value
        if draw.concern.startswith("fault "):
            fault = self._program.faults[int(draw.concern.removeprefix("fault "))]
            if draw.number == 0:
                return f"{fault} happens"
            if draw.number == 1:
                return f"{fault} begins at {self._program.within * value:.6f} s"
            return f"{fault} lasts {fault.lasts * value:.6f} s"
        match draw.concern:
            case "arrival":
                return f"a segment arrives up to {1000 * VARIATION * value:.3f} ms later"
            case "jitter":
                return f"a segment takes {100 * value:.0f}% of the jitter"
            case "lookup":
                return f"a lookup takes {1000 * LOOKUP_VARIATION * value:.3f} ms longer"
            case "turn":
                return f"a turn of the loop takes {1000 * self._program.turn_time * value:.3f} ms"
            case "thread":
                return f"a thread takes {1000 * self._program.thread_time * value:.3f} ms"
            case "rough":
                return "a direction of a connection is rough: more writes are cut"
            case "segments":
                return "how a write is cut into segments"
            case "joined":
                return "what has arrived is read in one piece"
            case "interrupt":
                return "where a coroutine is interrupted"
            case "port":
                return "which of several listeners is reached"
            case "refuse" | "reset" | "stall":
                return f"whether the link makes it {draw.concern}"
            case _:
                return f"{value:.6f}"


@public
class Found(AssertionError):
    """A search has found a seed with which the program fails; the message is the report.

    Attributes:
        report: the report, a `fakes.Report`.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
