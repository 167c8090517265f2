"""Faults by the seed: whether they happen, when, and how long they last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Protocol

from fakes._network.network import Network
from fakes._network.segment import FaultNote
from fakes._public import public

# How likely each of the faults is to happen.
LIKELY = 0.9
WITHIN = 10.0


@public
class Fault(Protocol):
    """An element of `faults=`; a class of your own can be one.

    Attributes:
        lasts: it lasts up to this many virtual seconds.
    """

    @property
    def lasts(self) -> float:
        """The longest time that it lasts, in virtual seconds; with 0 it only begins."""

    def begin(self, network: Network) -> None:
        """Let it happen."""

    def end(self, network: Network) -> None:
        """Let it be over."""


class _Short:
    """Shows only the arguments that are not the defaults."""

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # those derived from it have them
            value = getattr(self, field.name)
            if field.default is MISSING:
                shown.append(repr(value))
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class _OfALink(_Short):
    """A fault of the link between two hosts, by name; its end heals the link."""

    one: str
    other: str
    lasts: float = 1.0

    def end(self, network: Network) -> None:
        """Heal the link."""
        network.link(self.one, self.other).heal()


@public
@dataclass(frozen=True, repr=False)
class Partition(_OfALink):
    """The link between two hosts loses all data, as by `Link.partition()`.

    Args:
        one: the name of a host.
        other: the name of another, or the same for its connections to itself.
        lasts: it lasts up to this many virtual seconds (default 1).
        from_client, sender: in one direction only, as for `Link.partition()`.
    """

    from_client: bool | None = None
    sender: str | None = None

    def begin(self, network: Network) -> None:
        """Lose all data."""
        link = network.link(self.one, self.other)
        link.partition(from_client=self.from_client, sender=self.sender)


@public
@dataclass(frozen=True, repr=False)
class Stall(_OfALink):
    """The link between two hosts delays all data, as by `Link.stall()`.

    Args:
        one, other, lasts, from_client, sender: as for `Partition`.
    """

    from_client: bool | None = None
    sender: str | None = None

    def begin(self, network: Network) -> None:
        """Delay all data."""
        link = network.link(self.one, self.other)
        link.stall(from_client=self.from_client, sender=self.sender)


@public
@dataclass(frozen=True, repr=False)
class Refuse(_OfALink):
    """New connections between two hosts are refused, as by `Link.refuse()`.

    Args:
        one, other, lasts: as for `Partition`.
    """

    def begin(self, network: Network) -> None:
        """Refuse new connections."""
        network.link(self.one, self.other).refuse()


@public
@dataclass(frozen=True, repr=False)
class Reset(_Short):
    """All connections between two hosts are reset, once, as by `Link.reset()`.

    Args:
        one, other: as for `Partition`.
    """

    one: str
    other: str
    lasts: float = 0.0

    def begin(self, network: Network) -> None:
        """Reset all connections."""
        network.link(self.one, self.other).reset()

    def end(self, network: Network) -> None:
        """Do nothing: a reset has no end."""


@public
@dataclass(frozen=True, repr=False)
class Crash(_Short):
    """A host crashes, as by `Host.crash()`, and starts again.

    Args:
        host: its name.
        lasts: the host is down for up to this many virtual seconds (default 1).
    """

    host: str
    lasts: float = 1.0

    def begin(self, network: Network) -> None:
        """Crash."""
        network.host(self.host).crash()

    def end(self, network: Network) -> None:
        """Start again."""
        network.host(self.host).restart()


def schedule(faults: Sequence[Fault], within: float, network: Network) -> None:
    """Draw of each fault whether, when and for how long it happens; with seed 0 none does."""
    around = network.environment
    if not around.varies:
        return
    for number, fault in enumerate(faults):
        chance = around.chances(f"fault {number}")
        happens, begins, lasts = chance.random(), chance.random(), chance.random()
        if happens < LIKELY:
            start = around.loop.time() + within * begins
            begins_or_happens = "begins" if fault.lasts else "happens"
            _call_at(network, start, fault.begin, f"{fault} {begins_or_happens}")
            if fault.lasts:
                _call_at(network, start + fault.lasts * lasts, fault.end, f"{fault} ends")


def _call_at(network: Network, when: float, action: Callable[[Network], None], text: str) -> None:
    around = network.environment

    def act() -> None:
        for observer in network.step_observers:
            observer(FaultNote(around.loop.time(), text))
        action(network)

    around.loop.call_at(when, act, context=around.context)
