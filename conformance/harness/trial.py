"""One run of one clause's test: the implementation, a network, a role, and an event loop."""

import asyncio
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar

from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.capabilities import Missing, offered
from conformance.errors import Deviation, Hang, NotApplicable, described
from conformance.implementation import Implementation
from conformance.loops import Loop
from conformance.networks.adapted import FeedingWire, PeerWire
from conformance.networks.network import Listener, Network, Options, ServerOptions
from conformance.networks.wire import SETTLING_TURNS, Progress, Wire, turns

T = TypeVar("T")

BOUND = 1.0
"""Seconds without any progress after which a test on a kernel's network is a hang, unless the user
says otherwise. Nothing in the suite waits for time to pass: a test takes milliseconds."""

TICKS = 20
"""The loop has to come round this many times, evenly spread, before the bound is used up: a machine
that stalls for seconds, and the tests on it with it, makes no hang."""

CLOSING_TURNS = 20
"""The turns of the loop in which what a test has left comes to its end, unless threads are at work
on it."""

THREADS = threading.active_count()
"""The threads that are none of an implementation's."""

LOOKS = 100
"""The times that a test looks whether something has happened, before it says that it has not."""

LONGEST = 20
"""Bounds after which a test is a hang whatever the progress, as is code that never gives control
back to the loop."""

VIRTUAL_BOUND = 20.0
"""Simulated seconds after which a test in virtual time is a hang: less than asyncio's own time-outs
(60 s for a TLS handshake, 30 s for its shutdown), so that a time-out that was given, and ignored,
does not pass for one that was kept."""


class Connection(NamedTuple):
    """A connection between the implementation and the suite."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    wire: Wire


class Trial:
    """What a clause's test is given.

    Args:
        streams: the implementation under test.
        network: the network that it meets the far end on.
        role: the side that the implementation is on in `connect()`: `"client"` or `"server"`.
        loop: the event loop of the user's choice.
        bound: seconds without progress after which a test on a kernel's network is a hang.

    Attributes:
        reported: what the event loop's exception handler was told, in order: the context dicts.
    """

    def __init__(
        self,
        streams: Implementation,
        network: Network,
        role: str,
        loop: Loop,
        bound: float = BOUND,
    ) -> None:
        self.streams = streams
        self.network = network
        self.role = role
        self.bound = bound
        self.reported: list[dict[str, Any]] = []
        adapter = streams.adapter
        real = isinstance(adapter, PairAdapter) and not adapter.virtual_time
        self.loop = loop.factory() if real else network.new_loop(loop)
        self.loop.set_exception_handler(lambda _, context: self._report(context))
        self._wires: list[Wire] = []
        self._listeners: list[Listener] = []
        self._servers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._test: asyncio.Task[Any] | None = None
        self._inapplicable: NotApplicable | None = None

    # Meeting the far end.

    async def connect(self, **options: Options) -> Connection:
        """Connect the implementation, in the trial's role, with a far end.

        Args:
            options: passed to `open_connection()` or `start_server()` (or their Unix siblings):
                `limit=`, time-outs.
        """
        adapter = self.streams.adapter
        if adapter is not None:
            return await self._adapt(adapter, **options)
        if self.role == "client":
            listener = await self.listen()
            return await self.open(listener, **options)
        return await self.accept(await self.serve(**options))

    async def _adapt(
        self, adapter: ReaderAdapter | PairAdapter, *, limit: int = 65536, **options: Options
    ) -> Connection:
        """Return what `adapter` makes, as a connection."""
        if options:
            raise NotApplicable(f"{', '.join(options)} is not offered")
        reader: Any
        writer: Any
        if isinstance(adapter, ReaderAdapter):
            if self.role == "server":
                raise NotApplicable("a reader alone has no sides")
            reader = adapter.reader(limit)
            wire: Wire = FeedingWire(adapter, reader)
            writer = Missing("StreamWriter")
        else:
            ends = await adapter.pair(limit)
            (reader, writer), far = ends if self.role == "client" else reversed(ends)
            self._writers.append(writer)
            wire = PeerWire(*far)
            self._wires.append(wire)
            writer = offered("StreamWriter", writer, self.streams.without)
        return Connection(offered("StreamReader", reader, self.streams.without), writer, wire)

    async def listen(self) -> Listener:
        """Return a far end that waits for the implementation; closed when the trial ends."""
        listener = await self.network.listen()
        self._listeners.append(listener)
        return listener

    async def open(self, listener: Listener, **options: Options) -> Connection:
        """Connect the implementation, as a client, to `listener`."""
        accepting = asyncio.ensure_future(listener.accept())
        try:
            reader, writer = await self.network.open(self.streams, listener, **options)
        except BaseException:
            accepting.cancel()
            await asyncio.wait([accepting])
            raise
        self._writers.append(writer)
        wire = await accepting
        self._wires.append(wire)
        return Connection(reader, writer, wire)

    async def serve(
        self, callback: Callable[..., object] | None = None, **options: ServerOptions
    ) -> "Served":
        """Let the implementation serve; the server is closed when the trial ends.

        Args:
            callback: its `client_connected_cb`; by default one that hands each pair to `accept()`.
            options: passed to `start_server()` or `start_unix_server()`.
        """
        served = Served()
        served.server = await self.network.serve(
            self.streams, served.accepted if callback is None else callback, **options
        )
        self._servers.append(served.server)
        return served

    async def dial(self, server: asyncio.Server) -> Wire:
        """Connect a far end to the implementation's `server`; return the far end."""
        wire = await self.network.dial(server)
        self._wires.append(wire)
        return wire

    async def accept(self, served: "Served") -> Connection:
        """Connect a far end to a server with the default callback, and return all three ends."""
        wire = await self.dial(served.server)
        reader, writer = await served.pairs.get()
        self._writers.append(writer)
        return Connection(reader, writer, wire)

    # Watching what the implementation does.

    async def turns(self, count: int = 50) -> None:
        """Let the event loop run `count` turns, so that what is due has happened."""
        await turns(count)

    async def soon(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        """Return whether `condition` comes true, for what need not be so at once.

        It is for what can only be seen by looking. Between two looks is some time, in which
        implementations with threads of their own get the processor.
        """
        for _ in range(LOOKS):
            if await condition():
                return True
            await turns()
            await asyncio.sleep(0.005)
        return await condition()

    async def pass_time(self, seconds: int) -> None:
        """Let simulated `seconds` pass, more than would make a hang.

        Raises:
            NotApplicable: time on this network's loop is real, and nobody waits for it.
        """
        if not self.network.virtual_time:
            raise NotApplicable("it takes virtual time, which only asyncio's own loop can have")
        for _ in range(seconds):
            await asyncio.sleep(1.0)
            Progress.steps += 1

    def start(self, awaitable: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start `awaitable` as a task, for what is expected to wait.

        If it needs what the implementation lacks, that ends the test, which may never ask for it.
        """
        task = self.loop.create_task(awaitable)
        if self.streams.without:
            task.add_done_callback(self._started_task_ended)
        return task

    def _started_task_ended(self, task: "asyncio.Task[Any]") -> None:
        self._see(None if task.cancelled() else task.exception())

    def _report(self, context: dict[str, Any]) -> None:
        self.reported.append(context)
        self._see(context.get("exception"))  # that of a handler that needs what is lacking

    def _see(self, reason: BaseException | None) -> None:
        """End the test if `reason` is that it is not applicable."""
        if isinstance(reason, NotApplicable) and self._test is not None:
            self._inapplicable = reason
            self._test.cancel()

    # Running.

    def run(self, test: Coroutine[Any, Any, T]) -> T:
        """Run `test` on the trial's loop and return its result.

        Raises:
            Hang: it did not end within the bound; the message says where it waited.
            NotApplicable: it, or a task that it started, needs what the implementation lacks.
        """
        bound = VIRTUAL_BOUND if self.network.virtual_time else self.bound
        task = self.loop.create_task(test)
        self._test = task
        with watchdog(LONGEST * self.bound):
            quiet, steps = 0, Progress.steps
            for _ in range(LONGEST * TICKS):
                try:
                    self.loop.run_until_complete(asyncio.wait([task], timeout=bound / TICKS))
                except SystemExit:
                    self._let_stop()
                    raise
                quiet = quiet + 1 if Progress.steps == steps else 0
                steps = Progress.steps
                if task.done() or quiet == TICKS:
                    break
        if self._inapplicable is not None:
            raise self._inapplicable
        if not task.done():
            where = waiting_at(task)
            task.cancel()
            self.loop.run_until_complete(turns())
            raise Hang(f"still waiting at `{where}` after {bound:g} s")
        return task.result()

    def _let_stop(self) -> None:
        """Let the loop call what is to stop it, after an exit in the turn in which a wait ended.

        It would stop the next run. uvloop takes a second run to call it.
        """
        for _ in range(2):
            with suppress(RuntimeError):
                self.loop.run_until_complete(turns(3))

    def close(self) -> None:
        """Close everything that the trial opened, whatever state the test left it in.

        Raises:
            Deviation: the implementation ended the program.
        """
        try:
            with watchdog(LONGEST * self.bound):
                self.loop.run_until_complete(self._close())
                for task in asyncio.all_tasks(self.loop):
                    task.cancel()
                # Also without a task left: an implementation's threads may have to end something.
                self.loop.run_until_complete(turns(closing_turns()))
                self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        except SystemExit as exit_:
            # pytest would leave the rest undone, and blame the next test for it.
            raise Deviation("the program to go on", described(exit_)) from exit_
        self.network.close()
        self.loop.close()

    async def _close(self) -> None:
        # An implementation that cannot close fails the clauses on closing, not every clause.
        closings = [*(w.close for w in self._writers), *(s.close for s in self._servers)]
        for close in closings:
            with suppress(Exception):
                close()
        for wire in self._wires:
            # It may have ended already, by the test or by the implementation.
            with suppress(Exception, NotApplicable):
                await wire.reset()
        for listener in self._listeners:
            listener.close()
        await turns(closing_turns())


class Served:
    """A server of the implementation, and the pairs that its default callback was given."""

    server: asyncio.Server

    def __init__(self) -> None:
        self.pairs: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a pair: the default `client_connected_cb`."""
        self.pairs.put_nowait((reader, writer))


def closing_turns() -> int:
    """Return how many turns of the loop what a test has left gets to come to its end."""
    return CLOSING_TURNS if threading.active_count() <= THREADS else SETTLING_TURNS


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """Stop the block with `Hang` if it never gives control back to the event loop.

    The timer repeats, since an implementation may catch what the first one raised.
    """

    # A `KeyboardInterrupt` is what passes through an event loop's callbacks and tasks.
    class Bark(KeyboardInterrupt):
        pass

    def bark(_signal: int, frame: FrameType | None) -> None:
        line = traceback.extract_stack(frame, limit=1)[0] if frame else None
        place = f" at `{line.line}` in {line.name}()" if line else ""
        raise Bark(f"never gives control back{place}")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    except Bark as bark_:
        raise Hang(str(bark_)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def waiting_at(task: "asyncio.Task[Any]") -> str:
    """Return the source line at which a test's suspended `task` waits."""
    frames = task.get_stack()
    if not frames:
        return "its end"
    line = traceback.StackSummary.extract([(frames[0], frames[0].f_lineno)])[0].line
    return line or f"line {frames[0].f_lineno}"


def line_of(error: BaseException, code: CodeType) -> str | None:
    """Return the source line of the test whose `code` it is, at which `error` came out of it."""
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code is code:
            return traceback.StackSummary.extract([(frame, number)])[0].line
    return None
