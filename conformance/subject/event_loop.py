"""The event loops that an implementation can be certified on, found by name."""

import asyncio
import inspect
import re
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from conformance.errors import CannotRun, NotApplicable, users_code
from conformance.subject.capabilities import ARGUMENTS
from conformance.subject.implementation import distribution_of, load
from conformance.subject.loop_modes import MODES, PLAIN, checked_mode

NEEDED = (
    *("run_until_complete", "create_task", "create_future", "call_soon", "call_later", "close"),
    *("set_exception_handler", "call_exception_handler", "create_connection", "create_server"),
)
"""The methods that the suite and the streams page need of a loop, whatever its class is."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True, slots=True)
class Loop:
    """An event loop to certify on.

    Attributes:
        name: its name, as the user gave it.
        factory: makes a new one.
        mode: one of `MODES`, in which it runs.
    """

    name: str
    factory: LoopFactory
    mode: str = PLAIN

    def prepare(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set a new loop to the mode."""
        MODES[self.mode](loop)

    @property
    def distribution(self) -> str | None:
        """The name of the distribution that it comes from, if it comes from one."""
        return distribution_of(self.name)


def loop(name: str, mode: str = PLAIN) -> Loop:
    """Return the loop that the user calls `name`: `asyncio`, `uvloop` or `module:factory`.

    Args:
        name: its name.
        mode: one of `MODES`, in which it is to run.

    Raises:
        CannotRun: there is none of that name, or it cannot be imported or made; or no such mode.
    """
    mode = checked_mode(mode)
    if name == "asyncio":
        return Loop(name, asyncio.new_event_loop, mode)
    target = "uvloop:new_event_loop" if name == "uvloop" else name
    if ":" not in target:
        raise CannotRun(f"unknown loop {name!r}: give asyncio, uvloop or module:factory")
    factory = load(target)
    if not callable(factory):
        raise CannotRun(f"cannot use loop {name!r}: it is not callable")
    with users_code(f"make a loop with {name!r}"):
        made = factory()
        if inspect.iscoroutine(made):
            made.close()
            raise CannotRun(f"cannot use loop {name!r}: it is async: write it as `def`")
    missing = [each for each in NEEDED if not callable(getattr(made, each, None))]
    if missing:
        raise CannotRun(
            f"cannot use loop {name!r}: it returned {made!r}, not an event loop: "
            f"it lacks {', '.join(missing)}"
        )
    with users_code(f"end a loop made with {name!r}"):
        end(made)
    with users_code(f"make a second loop with {name!r}"):
        another = factory()
        if another is made:
            raise CannotRun(
                f"cannot use loop {name!r}: it returned the same loop twice: let it make a new one"
            )
        another.close()
    return Loop(name, cast(LoopFactory, factory), mode)


def end(loop: asyncio.AbstractEventLoop, patience: float = 5.0) -> None:
    """Finish a loop that does not run as `asyncio.run()` does, and close it.

    Args:
        loop: the event loop.
        patience: seconds that its generators, and then its threads, have to end.
    """
    for name in ("shutdown_asyncgens", "shutdown_default_executor"):
        shut_down = getattr(loop, name, None)  # some loops have no generators or threads to end
        if shut_down is not None:
            ending = loop.create_task(_ended(shut_down))
            loop.run_until_complete(asyncio.wait([ending], timeout=patience))
    loop.close()


_REFUSED = re.compile(
    r"\b(create_(?:unix_)?(?:connection|server))\(\) got an unexpected keyword argument '(\w+)'"
)


def argument_refused(error: BaseException | None, sentence: str) -> NotApplicable | None:
    """Return the reason not to ask a clause, if the event loop refused an argument of its test.

    The functions of the page hand most of their arguments on to the loop, and not every loop takes
    all of them.

    Args:
        error: what the test raised.
        sentence: the clause's text. Where it names the argument, the clause is about it.

    Returns:
        The reason; `None` if no argument was refused, or the clause is about it.
    """
    while error is not None:
        if isinstance(error, TypeError) and (found := _REFUSED.search(str(error))):
            method, argument = found.groups()
            known = any(argument in names for names in ARGUMENTS.values())
            if known and not re.search(rf"\b{argument}\b", sentence):
                return NotApplicable(f"the event loop's {method}() takes no {argument}")
        error = error.__cause__ or error.__context__
    return None


OPTIONAL = (
    *("create_unix_connection", "create_unix_server", "start_tls"),
    *("set_debug", "get_task_factory", "set_task_factory"),
)
"""The methods that some clauses need, and not every loop has."""


def method_lacking(
    error: BaseException | None, loop: asyncio.AbstractEventLoop
) -> NotApplicable | None:
    """Return the reason not to ask a clause, if the event loop lacks a method of its test.

    A loop says so as `asyncio.AbstractEventLoop` does, with NotImplementedError, or has no
    attribute of that name.

    Args:
        error: what the test raised.
        loop: the event loop.

    Returns:
        The reason; `None` if no method is lacking.
    """
    while error is not None:
        name, owner = None, None
        if isinstance(error, AttributeError):
            name, owner = error.name, error.obj
        elif isinstance(error, NotImplementedError):
            for frame, _ in traceback.walk_tb(error.__traceback__):
                name, owner = frame.f_code.co_name, frame.f_locals.get("self")
        if name in OPTIONAL and owner is loop:
            return NotApplicable(f"the event loop has no {name}()")
        error = error.__cause__ or error.__context__
    return None


async def _ended(shut_down: Callable[[], Awaitable[None]]) -> None:
    with suppress(NotImplementedError):
        await shut_down()
