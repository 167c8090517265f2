"""The modes that a program can put its event loop into while it runs."""

import asyncio
from collections.abc import AsyncIterator

from conformance.errors import CannotRun
from conformance.harness.trial import Trial
from conformance.subject.loop_modes import MODES, PLAIN

UNDOABLE = [name for name in MODES if name not in (PLAIN, "own-executor")]


async def each_mode(trial: Trial) -> AsyncIterator[str]:
    """Put the trial's loop into each mode that it has, in turn; yield the mode's name."""
    loop = trial.loop
    factory, debug = loop.get_task_factory(), loop.get_debug()
    for name in UNDOABLE:
        try:
            if await _enter(loop, name):
                yield name
        finally:
            loop.set_task_factory(factory)
            loop.set_debug(debug)


async def _enter(loop: asyncio.AbstractEventLoop, name: str) -> bool:
    """Put `loop` into a mode; return whether its tasks can be made in it."""
    try:
        MODES[name](loop)
    except CannotRun:
        return False
    beginning = asyncio.sleep(0)
    try:
        await loop.create_task(beginning)
    except TypeError:  # uvloop on Python 3.13 makes no eager tasks
        beginning.close()
        return False
    return True
