"""The run of a program, and the checks after it."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from .content import Direction, content
from .program import Plan, Program
from .side import LOST, HandlerFailure, Side
from .worlds import Contexts, World

LOOP_BOUND = 60  # seconds without a turn of the loop: it spins


@dataclass
class Result:
    """The outcome of a program: its faults (none if all is well), and how much was tried."""

    failures: list[str]
    trace: list[str] | None = None
    connections: int = 0
    steps: int = 0
    bytes: int = 0
    cancels: int = 0


class Spinning(KeyboardInterrupt):
    """The program never gives control back to its loop."""


@dataclass
class Play:
    """One run of one program.

    Arguments:
        program: the program.
        streams: the implementation: a module with the streams page's names.
        world: the world that it runs on.
        trace: whether to keep a trace.
    """

    program: Program
    streams: Any
    world: World
    trace: list[str] | None = None
    failures: list[str] = field(default_factory=list)
    connections: int = 0
    steps: int = 0
    bytes: int = 0
    cancels: int = 0
    raised: int = 0  # by handlers, on purpose
    reported: list[dict[str, Any]] = field(default_factory=list)
    orderly: list[tuple[str, Direction]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def contexts(self) -> Contexts:
        """The TLS settings."""
        return self.world.contexts

    @property
    def resets(self) -> bool:
        """Whether the weather resets connections."""
        return self.world.resets(self.program.weather)

    def time(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def scaled(self, seconds: float) -> float:
        """Return how long the world takes for so many of the program's seconds."""
        return seconds * self.world.scale

    async def sleep(self, seconds: float) -> None:
        """Let some of the program's time pass."""
        await asyncio.sleep(self.scaled(seconds))

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that must end by itself before the run is over."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.append(task)
        return task

    # --- the run ----------------------------------------------------------------------------

    def run(self) -> Result:
        """Run the program; return its outcome."""
        with noticing() as noticed:
            before = self.world.open_things()
            try:
                with asyncio.Runner(loop_factory=self.new_loop) as runner, watchdog():
                    runner.run(self.main())
            except Spinning as spinning:
                self.failures.append(f"hang: the loop does not come round: {spinning}")
            except Exception as error:
                self.failures.append("".join(traceback.format_exception(error)))
            del runner
            gc.collect()
        self.failures += [f"noticed: {each}" for each in noticed]
        self.failures += [f"left open: {each}" for each in self.world.left(before)]
        self.check_reports()
        return Result(
            self.failures, self.trace, self.connections, self.steps, self.bytes, self.cancels
        )

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, watched."""
        loop = self.world.new_loop(self.program)
        loop.set_exception_handler(lambda _, context: self.reported.append(context))
        return loop

    async def main(self) -> None:
        """Play every plan, within the bound, and check that nothing goes on after it."""
        self.world.start_weather(self.program.weather)
        for number, plan in enumerate(self.program.plans):
            self.start(self.connection(number, plan))
        await self.finish()

    async def finish(self) -> None:
        """Wait for all tasks, and then for the loop to be alone."""
        current = asyncio.current_task()
        # Progress is what counts: how long it takes depends on what else the machine has to do.
        while everybody := asyncio.all_tasks() - {current}:
            before = self.steps, self.bytes
            _, waiting_still = await asyncio.wait(everybody, timeout=self.world.bound)
            if waiting_still and before == (self.steps, self.bytes):
                break
        for task in asyncio.all_tasks() - {current}:
            self.failures.append(f"hang: {waiting(task)}")
            task.cancel()
        await self.world.settle()
        for task in asyncio.all_tasks() - {current}:
            self.failures.append(f"task left: {task!r}")
        for task in self.tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                self.failures.append("".join(traceback.format_exception(error)))
        if not self.failures:
            for name, direction in self.orderly:
                if wrong := direction.incomplete():
                    self.failures.append(f"{name}: {wrong}")

    async def connection(self, number: int, plan: Plan) -> None:
        """Serve one connection, and make it."""
        seed = f"{self.program.seed} {number}"
        up = Direction(content(f"{seed} up", plan.client.size))
        down = Direction(content(f"{seed} down", plan.server.size))

        if not plan.faults and not self.resets:
            self.orderly += (f"up{number}", up), (f"down{number}", down)

        called = asyncio.Event()

        async def served(reader: Any, writer: Any) -> None:
            side = Side(self, f"server{number}", plan, plan.server, reader, writer, up, down)
            await side.live()

        def handler(reader: Any, writer: Any) -> Any:
            called.set()
            if plan.handler == "raises":
                self.raised += 1
                raise HandlerFailure(f"server{number}")
            if plan.handler == "plain":
                self.start(served(reader, writer))
                return None
            return served(reader, writer)

        tls = plan.tls == "from-start"
        server, address = await self.world.serve(
            self.streams, self.program, handler, plan.server.limit, tls
        )
        self.connections += 1
        try:
            try:
                reader, writer = await self.world.connect(
                    self.streams, self.program, address, plan.client.limit, tls
                )
            except LOST:
                if not (self.resets or plan.faults):
                    raise
                return
            side = Side(self, f"client{number}", plan, plan.client, reader, writer, down, up)
            await side.live()
            del side, reader, writer
            if not self.resets and not (tls and plan.faults):
                # Else it might be closed with the connection in its backlog, where it is lost, or
                # between accepting it and noting that: then asyncio's server never lets go of it.
                await called.wait()
        finally:
            server.close()
            await server.wait_closed()

    def check_reports(self) -> None:
        """The loop's exception handler may get each failed handler, once."""
        for context in self.reported:
            if isinstance(context.get("exception"), HandlerFailure):
                self.raised -= 1
            else:
                self.failures.append(f"reported: {context}")
        if self.raised:
            self.failures.append(f"{self.raised} failures of handlers were not reported")


def waiting(task: asyncio.Task[Any]) -> str:
    """Return where a task waits: the innermost lines, and the task's name."""
    places = []
    name = ""
    awaitable: Any = task.get_coro()
    while getattr(awaitable, "cr_frame", None) is not None:
        frame = awaitable.cr_frame
        places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        if isinstance(side := frame.f_locals.get("self"), Side):
            name = side.name
        awaitable = awaitable.cr_await
    return f"{name} at {' > '.join(places)}"


WRITTEN_IN_VAIN = {"SSL connection is closed", "socket.send() raised exception."}
"""asyncio's log line when a program goes on writing to a lost connection, as these do."""


class Handler(logging.Handler):
    """Collects the warnings in asyncio's log."""

    def __init__(self, noticed: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.noticed = noticed

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in WRITTEN_IN_VAIN:
            self.noticed.append(f"logged: {message}")


@contextmanager
def noticing() -> Iterator[list[str]]:
    """Collect resource warnings, and errors in destructors."""
    noticed: list[str] = []
    handler = Handler(noticed)
    logging.getLogger("asyncio").addHandler(handler)
    before = sys.unraisablehook
    sys.unraisablehook = lambda args: noticed.append(f"{args.exc_value!r} in {args.object!r}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield noticed
        finally:
            sys.unraisablehook = before
            logging.getLogger("asyncio").removeHandler(handler)
            noticed += [str(each.message) for each in caught]


@contextmanager
def watchdog() -> Iterator[None]:
    """Raise `Spinning` if the block takes too long: nothing here needs real time for long."""

    def bark(_signal: int, frame: FrameType | None) -> None:
        lines = traceback.format_stack(frame, limit=3)
        raise Spinning("".join(lines))

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, LOOP_BOUND)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
