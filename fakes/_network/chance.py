"""Random decisions: a seed makes them, draw by draw.

Each concern (when a segment arrives, how long a lookup takes) has a sequence of its own, drawn from
the seed and the concern's name, so that a program that draws more often for one does not change all
others. A draw is one call of `random()`, whose sequence is the same on every Python.

A seed is a number, or a text that says which of its draws count, such as "17/arrival:3.5/turn:12":
the run of seed 17 in which draws 3 and 5 for arrivals and draw 12 for turns are those of seed 17,
and every other draw has its quietest value, the one that lets the least happen. The search shrinks
a failure to such a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from fakes._public import public

T = TypeVar("T")

Seed = int | str

ALMOST_ONE = 1 - 2**-53  # the largest that random() returns

# Concerns whose quietest value is the largest, since a small one makes something happen. Those of
# all others is 0.0: no delay, the first of several.
_QUIET_WHEN_LARGE = frozenset(
    {
        "duplicate",
        "fault",
        "interrupt",
        "joined",
        "loss",
        "refuse",
        "reorder",
        "reset",
        "rough",
        "segments",
        "stall",
    }
)


class Draw(NamedTuple):
    """One draw of a run that is recorded.

    Attributes:
        time: the virtual time of the draw, in seconds.
        concern: the concern that it was drawn for.
        number: which of the draws for that concern it is, from 0 on.
        value: its value, from 0 to 1.
    """

    time: float
    concern: str
    number: int
    value: float


def parse_seed(seed: Seed) -> tuple[int, frozenset[tuple[str, int]] | None]:
    """Return a seed's number and which of its draws count, by concern and index; None for all.

    Raises:
        ValueError: the text is not that of a seed.
    """
    if isinstance(seed, int):
        return seed, None
    number, *concerns = seed.split("/")
    kept = set()
    try:
        for concern in filter(None, concerns):
            name, _, indices = concern.rpartition(":")
            kept |= {(name, int(index)) for index in indices.split(".")}
        return int(number), frozenset(kept) if concerns else None
    except ValueError:
        raise ValueError(
            f"{seed!r} is not a seed: give a number, or a number and the draws that count, as in "
            "'17/arrival:3.5/turn:12'"
        ) from None


def seed_text(number: int, kept: Iterable[tuple[str, int]]) -> str:
    """Return the text of a seed with only some draws that count."""
    concerns: dict[str, list[str]] = {}
    for concern, index in sorted(kept):
        concerns.setdefault(concern, []).append(str(index))
    parts = [f"{concern}:{'.'.join(indices)}" for concern, indices in concerns.items()]
    return "/".join([str(number), *parts]) if parts else f"{number}/"


class _Recorded(random.Random):
    """A concern's source of chance that records its draws; only some of them may count."""

    concern: str
    kept: frozenset[int] | None  # None for all
    quiet: float
    record: Callable[[str, int, float], None]
    count = 0

    def random(self) -> float:
        value = super().random()
        index = self.count
        self.count += 1
        if self.kept is not None and index not in self.kept:
            return self.quiet
        self.record(self.concern, index, value)
        return value


class Chances:
    """The sources of chance of one run, one for each concern.

    Args:
        seed: their seed.
        clock: returns the virtual time, for the record of the draws.
        draws: where each draw that counts is recorded (default: nowhere).
    """

    def __init__(
        self, seed: Seed, clock: Callable[[], float], draws: list[Draw] | None = None
    ) -> None:
        self.number, self._kept = parse_seed(seed)
        self._clock = clock
        self._draws = draws
        self._sources: dict[str, random.Random] = {}

    def __call__(self, concern: str) -> random.Random:
        """Return the source for one concern."""
        source = self._sources.get(concern)
        if source is None:
            source = self._sources[concern] = self._new(concern)
        return source

    def _new(self, concern: str) -> random.Random:
        text = f"{self.number} {concern}"
        if self._kept is None and self._draws is None:
            return random.Random(text)
        recorded = _Recorded(text)
        recorded.concern = concern
        recorded.quiet = quietest(concern)
        recorded.record = self._record
        recorded.kept = None
        if self._kept is not None:
            recorded.kept = frozenset(index for name, index in self._kept if name == concern)
        return recorded

    def _record(self, concern: str, index: int, value: float) -> None:
        if self._draws is not None:
            self._draws.append(Draw(self._clock(), concern, index, value))


def quietest(concern: str) -> float:
    """Return the value of a draw that lets the least happen."""
    return ALMOST_ONE if concern.partition(" ")[0] in _QUIET_WHEN_LARGE else 0.0


@public
class Chance:
    """A source of chance for a test, made by `fakes.chance()`: the same for the same seed.

    The search can set each draw to its quietest value, which each method names.
    """

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def random(self) -> float:
        """Return a number from 0 up to, not including, 1. Quietest: 0.0."""
        return self._source.random()

    def uniform(self, low: float, high: float) -> float:
        """Return a number from `low` to `high`. Quietest: `low`."""
        return low + (high - low) * self.random()

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included. Quietest: `low`.

        Raises:
            ValueError: `high` is less than `low`.
        """
        if high < low:
            raise ValueError(f"high must not be less than low: {low}, {high}")
        return low + int(self.random() * (high - low + 1))

    def choose(self, sequence: Sequence[T]) -> T:
        """Return one of a sequence. Quietest: the first.

        Raises:
            IndexError: the sequence is empty.
        """
        return sequence[int(self.random() * len(sequence))]

    def happens(self, probability: float) -> bool:
        """Return True with a probability from 0 to 1. Quietest: False, unless it is certain."""
        return self.random() >= 1 - probability

    def shuffled(self, things: Iterable[T]) -> list[T]:
        """Return the same things in another order. Quietest: the given order."""
        shuffled = list(things)
        for place in range(len(shuffled) - 1):
            other = place + int(self.random() * (len(shuffled) - place))
            shuffled[place], shuffled[other] = shuffled[other], shuffled[place]
        return shuffled
