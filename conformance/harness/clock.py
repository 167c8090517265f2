"""An event loop's clock that a test sets ahead, so that minutes pass immediately.

Virtual time does the same in memory. Over the kernel, asyncio's own loop calls `loop.time()` to
know which timers are due, and a test can replace that method.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from conformance.errors import NotApplicable
from conformance.harness.expect import expect_done, expect_pending
from conformance.harness.trial import Trial

OWN_CLOCK = "time passes by a clock that cannot be set"


class Clock:
    """The clock of a trial's loop, which the test sets ahead.

    Args:
        trial: the trial.

    Raises:
        NotApplicable: the loop's clock cannot be set.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._ahead = 0.0
        loop: Any = trial.loop
        read: Callable[[], float] = loop.time
        try:
            loop.time = lambda: read() + self._ahead
        except AttributeError:
            raise NotApplicable(OWN_CLOCK) from None

    async def go_on(self, seconds: float) -> None:
        """Set the clock ahead, and let what is due then happen."""
        self._ahead += seconds
        await self._trial.turns()

    async def ends(self, task: "asyncio.Task[Any]") -> bool:
        """Return whether `task` ends now."""

        async def done() -> bool:
            return task.done()

        return await self._trial.soon(done)

    async def expect_kept(self, seconds: float, task: "asyncio.Task[Any]") -> None:
        """Expect `task`, whose timeout is `seconds`, to end by this clock.

        Raises:
            NotApplicable: it does not: the implementation has another clock, as uvloop has.
        """
        await self.go_on(seconds + 1)
        if not await self.ends(task):
            raise NotApplicable(OWN_CLOCK)

    async def expect_done_after(self, seconds: float, task: "asyncio.Task[Any]") -> None:
        """Expect `task` to end when so many seconds have passed, and not a second before."""
        what = f"what takes {seconds} s"
        await self.go_on(seconds - 1)
        expect_pending(task, what)
        await self.go_on(2)
        await self.ends(task)
        expect_done(task, what)
