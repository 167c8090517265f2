"""Shrink a failing run to the draws that it needs.

Each draw of a run either counts or has its quietest value. At first all count; then ever smaller
groups are made quiet, and stay so if the run still fails in the same way, until each draw that is
left matters alone (Zeller's delta debugging). A run with other draws may make more or fewer of
them: those it does not make are left out as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fakes._network.chance import Draw, Seed, seed_text
from fakes._tools.program import Failure, Outcome, Program


@dataclass(frozen=True)
class Shrunk:
    """A shrunk failing run.

    Attributes:
        seed: the seed's text, with the draws that count.
        number: the seed's number.
        draws: those draws, in the order in which they are made.
        before: how many draws the failing run made at first.
        runs: how many runs it took.
        minimal: whether each draw left was found to matter; false if the runs were used up.
    """

    seed: Seed
    number: int
    draws: list[Draw]
    before: int
    runs: int
    minimal: bool


class _UsedUp(Exception):
    """No more runs are allowed."""


class _Shrinker:
    def __init__(self, program: Program, seed: int, failure: Failure, most: int) -> None:
        self._program = program
        self._seed = seed
        self._failure = failure
        self._most = most
        self.runs = 0
        self.draws: list[Draw] = []

    def begin(self) -> bool:
        """Run the seed as it is; return whether it fails here too."""
        return self._accept(self._program.run(self._seed, record=True))

    def _accept(self, outcome: Outcome) -> bool:
        self.runs += 1
        assert outcome.draws is not None
        if not self._failure.is_like(outcome.failure):
            return False
        self.draws = outcome.draws
        return True

    def without(self, quiet: Callable[[Draw], bool]) -> bool:
        """Try to make some draws quiet; return whether the run still fails."""
        kept = {(draw.concern, draw.number) for draw in self.draws if not quiet(draw)}
        if self.runs >= self._most:
            raise _UsedUp
        return self._accept(self._program.run(seed_text(self._seed, kept), record=True))

    def shrink(self) -> None:
        """Make quiet every draw that can be."""
        if self.without(lambda draw: True):
            return
        for concern in sorted({draw.concern for draw in self.draws}):
            self.without(lambda draw, concern=concern: draw.concern == concern)  # type: ignore[misc]  # mypy does not infer it
        size = (len(self.draws) + 1) // 2
        while size:
            changed = False
            start = 0
            while start < len(self.draws):
                group = set(self.draws[start : start + size])
                if self.without(group.__contains__):
                    changed = True
                else:
                    start += size
            # From single draws on, repeat as long as that helps: draws depend on each other.
            if size > 1:
                size = (size + 1) // 2
            elif not changed:
                size = 0


def shrink(program: Program, seed: int, failure: Failure, most: int) -> Shrunk | None:
    """Return the shrunk run; None if it does not fail again.

    Args:
        program: the program.
        seed: a seed with which it fails.
        failure: its failure; a run that fails in another way does not count as failing.
        most: how many runs it may take.
    """
    shrinker = _Shrinker(program, seed, failure, most)
    if not shrinker.begin():
        return None
    before = len(shrinker.draws)
    minimal = True
    try:
        shrinker.shrink()
    except _UsedUp:
        minimal = False
    kept = {(draw.concern, draw.number) for draw in shrinker.draws}
    return Shrunk(seed_text(seed, kept), seed, shrinker.draws, before, shrinker.runs, minimal)
