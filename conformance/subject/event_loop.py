"""The event loops that an implementation can be certified on, found by name."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from conformance.errors import CannotRun, users_code
from conformance.implementation import load

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True, slots=True)
class Loop:
    """An event loop to certify on.

    Attributes:
        name: what the user called it.
        factory: makes a new one.
    """

    name: str
    factory: LoopFactory


def loop(name: str) -> Loop:
    """Return the loop that the user calls `name`: `asyncio`, `uvloop` or `module:factory`.

    Raises:
        CannotRun: there is none of that name, or it cannot be imported or made.
    """
    if name == "asyncio":
        return Loop(name, asyncio.new_event_loop)
    target = "uvloop:new_event_loop" if name == "uvloop" else name
    if ":" not in target:
        raise CannotRun(f"unknown loop {name!r}: give asyncio, uvloop or module:factory")
    factory = load(target)
    if not callable(factory):
        raise CannotRun(f"cannot use loop {name!r}: it is not callable")
    with users_code(f"make a loop with {name!r}"):
        made = factory()
    if not isinstance(made, asyncio.AbstractEventLoop):
        raise CannotRun(f"cannot use loop {name!r}: it makes no event loop but {made!r}")
    made.close()
    return Loop(name, cast(LoopFactory, factory))
