"""What a specimen is: the reference with one thing broken, and what of the suite tells."""

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import reference_impl
from conformance.clauses import clauses
from conformance.marks import EVERY

from .forked import Result, is_search

Some = Mapping[tuple[str, ...], tuple[str, ...]]
"""Ids of clauses, by the networks that they are about."""

Part = TypeVar("Part", bound=Callable[..., Any])


class Specimen:
    """An implementation that is wrong in one way; it can be plugged in as `module:attribute`.

    It is made by breaking `reference_impl` itself when it is first used, for as long as the process
    lives: one process is for one specimen.

    Args:
        original: the class or function of the reference that is replaced.
        broken: what replaces it.
        fault: what is wrong, in one sentence.
        everywhere: the ids of the clauses that it must fail on each of its networks that they are
            tested on: those that name the fault, and those that cannot hold because of it. It must
            keep all others; only the searches of programs may find a fault in reading besides,
            without being stated.
        networks: the networks on which it shows, the cheapest first. On the others it must conform.
        only_on: further ids, of clauses that it must fail on some of its networks, by these, and
            keep on the others.
        is_basic: whether so much rests on what is broken that little else can be asked. Only the
            clauses that it states are.
    """

    def __init__(
        self,
        original: Callable[..., Any],
        broken: Callable[..., Any],
        fault: str,
        everywhere: frozenset[str],
        networks: tuple[str, ...],
        only_on: Some = MappingProxyType({}),
        is_basic: bool = False,
    ) -> None:
        self.name = f"{broken.__module__}:{broken.__name__}"
        self.original = original
        self.broken = broken
        self.fault = fault
        self.everywhere = everywhere
        self.networks = networks
        self.only_on = only_on
        self.is_basic = is_basic
        self.is_loose = False

    @property
    def fails(self) -> frozenset[str]:
        """The ids of the clauses that it must fail on some network."""
        return self.everywhere.union(*self.only_on.values())

    def stated(self, network: str) -> frozenset[str]:
        """Return the ids of the clauses that it must fail on a network, where it tests them."""
        if network not in self.networks:
            return frozenset()
        return self.everywhere.union(
            *(clauses for networks, clauses in self.only_on.items() if network in networks)
        )

    @property
    def asked(self) -> frozenset[str] | None:
        """The ids of the clauses that it is certified by; `None` for all."""
        return self.fails if self.is_basic else None

    @property
    def is_about_reading(self) -> bool:
        """Whether a clause on reading names the fault."""
        return any(
            clauses()[each].section.startswith("StreamReader")
            for each in self.fails
            if not is_search(each)
        )

    def differences(self, result: Result) -> list[str]:
        """Return in words where what came of it on a network is not as stated."""
        network, found = result.network, result.failures
        stated = self.stated(network).intersection(result.checked)
        more = [
            each
            for each in found
            if each not in stated and not (is_search(each) and self.is_about_reading)
        ]
        return [
            *(f"{network}: keeps {each}" for each in sorted(stated - found.keys())),
            *(f"{network}: fails {each}: {found[each].splitlines()[0]}" for each in more),
        ]

    def __getattr__(self, name: str) -> Any:
        """Return what the broken reference has under a name of the streams page."""
        if name.startswith("_"):
            raise AttributeError(name)  # asked by whoever inspects or copies: no use of it
        if not self.is_loose:
            self.is_loose = True
            _replace(self.original, self.broken)
        return getattr(reference_impl, name)


def _replace(original: Callable[..., Any], broken: Callable[..., Any]) -> None:
    """Put `broken` in the place of `original` everywhere in the reference, as a base class too."""
    for name, module in list(sys.modules.items()):
        if _is_reference(name):
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, broken)
    if isinstance(original, type):
        for heir in original.__subclasses__():
            if _is_reference(heir.__module__):
                heir.__bases__ = tuple(
                    broken if base is original else base for base in heir.__bases__
                )


def _is_reference(module: str) -> bool:
    return module.partition(".")[0] == reference_impl.__name__


SPECIMENS: dict[str, Specimen] = {}
"""All specimens that were defined, by the names that they are plugged in by."""


def specimen(
    fault: str,
    *fails: str,
    networks: tuple[str, ...] = EVERY,
    only_on: Some = MappingProxyType({}),
    basic: bool = False,
    replaces: Callable[..., Any] | None = None,
) -> Callable[[Part], Specimen]:
    """Make a specimen of what is decorated, a class or a function; see `Specimen`.

    Args:
        fault: what is wrong, in one sentence.
        fails: the ids of the clauses that it must fail on all of them.
        networks: the networks on which it shows; all by default.
        only_on: further ones, that it must fail on some of them, by these, and keep on the others.
        basic: whether only those clauses are asked, because little holds without them.
        replaces: what of the reference is replaced; by default the class that the one decorated
            derives from.
    """

    def make(broken: Part) -> Specimen:
        original = replaces
        if original is None:
            assert isinstance(broken, type)
            original = next(each for each in broken.__mro__ if _is_reference(each.__module__))
        made = Specimen(original, broken, fault, frozenset(fails), networks, only_on, basic)
        SPECIMENS[made.name] = made
        return made

    return make
