"""One run of one clause's test: the implementation, a network, a role, and an event loop."""

import asyncio
import inspect
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, Unpack

from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.errors import Deviation, Hang, NotApplicable, described, seen_of, shown
from conformance.harness.hang import hang_of, watchdog
from conformance.harness.interrupt import Interrupted
from conformance.networks.adapter import AdapterNetwork, FeedingWire, PeerWire
from conformance.networks.base import (
    ClientOptions,
    ConnectionOptions,
    Listener,
    Network,
    ServerOptions,
)
from conformance.networks.kernel import bytes_in_kernel
from conformance.networks.wire import SETTLING_TURNS, Progress, Wire, trials_progress, turns
from conformance.subject.capabilities import Missing, offered, require
from conformance.subject.event_loop import Loop, argument_refused, end, method_lacking
from conformance.subject.implementation import Implementation

T = TypeVar("T")

DEFAULT_LIMIT = 2**16
"""The number of bytes that a reader may search, by default, as the streams page states it."""

BOUND = 1.0
"""Seconds without any progress after which a test on a kernel's network is a hang, unless the user
says otherwise. Nothing in the suite waits for time to pass: a test takes milliseconds."""

TICKS = 20
"""The loop has to turn this many times, evenly spread, before the bound is used up: so a machine
that stalls for seconds does not make a hang."""

CLOSING_TURNS = 20
"""The turns of the loop in which everything that a test has left ends, unless threads work on
it."""

THREADS = threading.active_count()
"""The threads that do not belong to an implementation."""

LOOKS = 100
"""How often a test checks whether something has happened, before it decides that it has not."""

LONGEST = 20
"""Bounds after which a test is a hang whatever the progress, and so is code that never gives
control back to the loop."""

LONGEST_SIMULATED = 4000
"""Simulated seconds after which a test is a hang whatever the progress: more than an hour, so that
timeouts of many minutes can be seen to be kept."""

VIRTUAL_BOUND = 20.0
"""Simulated seconds after which a test in virtual time is a hang: less than asyncio's own timeouts
(60 s for a TLS handshake, 30 s for its shutdown), so that an ignored timeout does not look like one
that was kept."""

PASSING = 5.0
"""Simulated seconds of a tick while a test lets time pass, which makes an hour a fifth as long. A
hang after it is noticed later by as much: before asyncio's own timeouts, still."""


class Connection(NamedTuple):
    """A connection between the implementation and the suite."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    wire: Wire


async def tick_of(test: "asyncio.Task[Any]", seconds: float) -> None:
    """Wait for a test, but no longer than that."""
    await asyncio.wait([test], timeout=seconds)


class Trial:
    """The object that a clause's test is given.

    Args:
        streams: the implementation under test.
        network: the network that it meets the far end on.
        role: the side that the implementation is on in `connect()`: `"client"` or `"server"`.
        loop: the event loop of the user's choice.
        bound: seconds without progress after which a test on a kernel's network is a hang.

    Attributes:
        reported: the contexts that the event loop's exception handler was called with, in order.
        sentence: the text of the clause that is tested.
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
        self.sentence = ""
        self.progress = Progress()
        self.loop = network.new_loop(loop)
        loop.prepare(self.loop)
        self._loop_may_lack = loop.name != "asyncio"  # a method, or an argument of one
        self.loop.set_exception_handler(lambda _, context: self._report(context))
        self._wires: list[Wire] = []
        self._listeners: list[Listener] = []
        self._servers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._test: asyncio.Task[Any] | None = None
        # Weak references: the implementation has to keep waiting tasks alive (a clause checks it).
        self._started: weakref.WeakKeyDictionary[asyncio.Task[Any], None] = (
            weakref.WeakKeyDictionary()  # in their order
        )
        self._adapted: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._inapplicable: NotApplicable | None = None
        self._passing: float | None = None  # the length of a tick, while time is let pass

    @property
    def without(self) -> frozenset[str]:
        """The capabilities that the trial's end lacks."""
        far = self.role == "server" and self.streams.adapter is not None
        return self.streams.far_without if far else self.streams.without

    # Meeting the far end.

    async def connect(self, **options: Unpack[ConnectionOptions]) -> Connection:
        """Connect the implementation, in the trial's role, with a far end.

        Args:
            options: passed to `open_connection()` or `start_server()` (or their Unix siblings):
                `limit=`, timeouts.
        """
        adapter = self.streams.adapter
        if adapter is not None:
            return await self._adapt(adapter, options)
        if self.role == "client":
            listener = await self.listen()
            return await self.open(listener, **options)
        return await self.accept(await self.serve(**options))

    async def unkept(self) -> Connection:
        """Connect without keeping the implementation's objects alive, as `connect()` does."""
        if self.role == "client":
            listener = await self.listen()
            accepting = self.start(listener.accept())
            reader, writer = await self.network.open(self.streams, listener)
            return Connection(reader, writer, await accepting)
        pairs: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        served = await self.serve(lambda *pair: pairs.put_nowait(pair))
        wire = await self.dial(served.server)
        return Connection(*await pairs.get(), wire)

    async def _adapt(
        self, adapter: ReaderAdapter | PairAdapter, options: ConnectionOptions
    ) -> Connection:
        """Return the ends that `adapter` makes, as a connection."""
        without, far_without = self.streams.without, self.streams.far_without
        if self.role == "server":
            without, far_without = far_without, without
        limit = options.get("limit")
        if others := options.keys() - {"limit"}:
            raise NotApplicable(f"{', '.join(sorted(others))} is not offered")
        if limit is not None:
            require("limit", without)
        given = DEFAULT_LIMIT if limit is None else limit
        reader: Any
        writer: Any
        if isinstance(adapter, ReaderAdapter):
            if self.role == "server":
                raise NotApplicable("a reader alone has no sides")
            with _adapters_code(f"reader(limit={given}) of the adapter to return a reader"):
                reader = adapter.reader(given)
            self._adapted.append(partial(adapter.close, reader))
            wire: Wire = FeedingWire(adapter, reader)
            writer = Missing("StreamWriter")
        else:
            if self.role == "server" and adapter.one_end:
                raise NotApplicable("only the first end of the pair is under test")
            with _adapters_code(f"pair(limit={given}) of the adapter to return two ends"):
                ends = await adapter.pair(given)
            self._adapted.append(partial(adapter.close, ends))
            (reader, writer), (far_reader, far_writer) = ends
            if self.role == "server":
                reader, writer, far_reader, far_writer = far_reader, far_writer, reader, writer
            self._writers.append(writer)
            if not _half_closes(writer):
                without |= {"StreamWriter.write_eof"}
            if not _half_closes(far_writer):
                far_without |= {"StreamWriter.write_eof"}
            writer = offered("StreamWriter", writer, without)
            wire = PeerWire(
                offered("StreamReader", far_reader, far_without),
                offered("StreamWriter", far_writer, far_without),
                is_prompt=self.network.virtual_time,
            )
            self._wires.append(wire)
        return Connection(offered("StreamReader", reader, without), writer, wire)

    async def listen(self) -> Listener:
        """Return a far end that waits for the implementation; closed when the trial ends."""
        listener = await self.network.listen()
        self._listeners.append(listener)
        return listener

    async def open(self, listener: Listener, **options: Unpack[ClientOptions]) -> Connection:
        """Connect the implementation, as a client, to `listener`."""
        accepting = asyncio.ensure_future(listener.accept())
        try:
            reader, writer = _pair(await self.network.open(self.streams, listener, **options))
        except BaseException:
            accepting.cancel()
            await asyncio.wait([accepting])
            raise
        self._writers.append(writer)
        wire = await accepting
        self._wires.append(wire)
        return Connection(reader, writer, wire)

    async def serve(
        self, callback: Callable[..., object] | None = None, **options: Unpack[ServerOptions]
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

    def close_servers(self) -> None:
        """Close the servers that the implementation has started, as far as it can."""
        for each in self._servers:
            with suppress(Exception, NotApplicable):
                each.close()

    # Watching what the implementation does.

    async def turns(self, count: int = 50) -> None:
        """Let the event loop run `count` turns, so that everything due has happened."""
        await turns(count)

    async def soon(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        """Return whether `condition` becomes true, for conditions that need not hold immediately.

        It is for conditions that can only be polled. Between two checks is some time, in which
        implementations with threads of their own get the processor.
        """
        for _ in range(LOOKS):
            if await condition():
                return True
            await turns()
            began = time.monotonic()
            await asyncio.sleep(0.005)
            self._let_pass(0.005, began)
        return await condition()

    def require_virtual_time(self) -> None:
        """Make sure that no test waits for real time to pass.

        Raises:
            NotApplicable: time on this network's loop is real.
        """
        if not self.network.virtual_time:
            raise NotApplicable("it takes virtual time, which only asyncio's own loop can have")

    async def pass_time(self, seconds: int) -> None:
        """Let simulated `seconds` pass, even more than make a hang.

        Raises:
            NotApplicable: time on this network's loop is real.
        """
        self.require_virtual_time()
        self._passing = PASSING
        try:
            while seconds > 0:
                await asyncio.sleep(min(seconds, 10))
                seconds -= 10
                self.progress.steps += 1
        finally:
            self._passing = None

    def start(self, awaitable: Awaitable[T]) -> "asyncio.Task[T]":
        """Start `awaitable` as a task, because it is expected to wait.

        It need not be a coroutine: a clause of its own checks that.
        If it needs something that the implementation or the loop lacks, the test ends, even if it
        never awaits the task.
        """
        coroutine = awaitable if inspect.iscoroutine(awaitable) else awaiting(awaitable)
        task = self.loop.create_task(coroutine)
        self._started[task] = None
        if self.streams.without or self.streams.adapter is not None or self._loop_may_lack:
            task.add_done_callback(self._started_task_ended)
        return task

    async def cancelled(self, awaitable: Awaitable[T], turns: int = 50) -> "asyncio.Task[T]":
        """Start `awaitable`, cancel it after some turns, and return its task, which has ended."""
        task = self.start(awaitable)
        await self.turns(turns)
        task.cancel()
        await asyncio.wait([task])
        return task

    def _started_task_ended(self, task: "asyncio.Task[Any]") -> None:
        self._end_if_inapplicable(None if task.cancelled() else task.exception())

    def _report(self, context: dict[str, Any]) -> None:
        self.reported.append(context)
        self._end_if_inapplicable(
            context.get("exception")
        )  # of a handler that needs something lacking

    def _end_if_inapplicable(self, reason: BaseException | None) -> None:
        """End the test if `reason` is that it is not applicable."""
        if not isinstance(reason, NotApplicable):
            reason = self._lacked_by_loop(reason)
        if reason is not None and self._test is not None:
            self._inapplicable = reason
            self._test.cancel()

    def _lacked_by_loop(self, error: BaseException | None) -> NotApplicable | None:
        """Return the reason not to ask the clause, if the loop lacks something that it needs."""
        return argument_refused(error, self.sentence) or method_lacking(error, self.loop)

    # Running.

    def run(self, test: Coroutine[Any, Any, T]) -> T:
        """Run `test` on the trial's loop and return its result.

        Raises:
            Hang: it did not end within the bound; the message says where it waited.
            NotApplicable: it, or a task that it started, needs what the implementation or the
                loop lacks.
        """
        bound, longest = self.bound, LONGEST * self.bound
        if self.network.virtual_time:
            bound, longest = VIRTUAL_BOUND, LONGEST_SIMULATED
        trials_progress.set(self.progress)  # also for everything that the test starts
        task = self.loop.create_task(test)
        self._test = task
        quiet, signs, spent = 0, self._signs(), self._spent()
        for _ in range(round(longest / bound * TICKS)):
            began = time.monotonic()
            try:
                with watchdog(LONGEST * self.bound, self.progress):
                    tick = self._passing or bound / TICKS
                    self.loop.run_until_complete(tick_of(task, tick))
            except SystemExit:
                self._let_stop()
                raise
            if task.done():
                break
            self._let_pass(bound / TICKS, began)
            before, signs = signs, self._signs()
            started, spent = spent, self._spent()
            quiet = quiet + 1 if signs == before and not self._works(spent - started) else 0
            if quiet == TICKS:
                break
        if self._inapplicable is not None:
            raise self._inapplicable
        if not task.done():
            how = (
                f"after {bound:g} s without progress"
                if quiet == TICKS
                else f"after {longest:g} s, although bytes move: give it more with --bound"
            )
            hang = hang_of(task, [*self._started], how)
            task.cancel()
            with suppress(Hang), watchdog(LONGEST * self.bound):
                self.loop.run_until_complete(turns())
            raise Hang(hang.expected, hang.seen + self._first_report(), hang.lines)
        try:
            return task.result()
        except Exception as error:
            if lacked := self._lacked_by_loop(error):
                raise lacked from error
            raise

    def _first_report(self) -> str:
        """Return a possible cause of a hang, in words: the first exception that nobody caught."""
        for context in self.reported:
            if isinstance(error := context.get("exception"), BaseException):
                return f"; the loop's exception handler got {seen_of(error)}"
        return ""

    def _let_pass(self, seconds: float, began: float) -> None:
        """Wait until real `seconds` have passed since `began`, on a loop in virtual time.

        Kernels and threads need real time, and none passes while such a loop waits.
        """
        if not self.network.virtual_time:
            time.sleep(max(0.0, began + seconds - time.monotonic()))

    def _signs(self) -> tuple[object, ...]:
        """Return a value that changes while bytes move in either direction."""
        kernel = None if self.network.virtual_time else bytes_in_kernel()
        return self.progress.steps, kernel

    def _spent(self) -> float:
        """Return the processor time so far, in seconds, where `_works()` looks at it; else 0.

        To ask for it can take a millisecond, and there may be thousands of ticks.
        """
        adapted = isinstance(self.network, AdapterNetwork) and not self.network.virtual_time
        return time.process_time() if adapted else 0.0

    def _works(self, seconds: float) -> bool:
        """Return whether an adapter's ends have worked in a tick that took the processor `seconds`.

        A program may move the bytes between them, and compute for a long time; neither the suite
        nor the kernel sees that.
        """
        return seconds > self.bound / TICKS / 4

    def _let_stop(self) -> None:
        """Run a pending loop.stop(), which an exit has left in the turn in which a wait ended.

        It would stop the next run. uvloop takes a second run to call it.
        """
        for _ in range(2):
            with suppress(RuntimeError):
                self.loop.run_until_complete(turns(3))

    def close(self) -> None:
        """Close everything that the trial opened, whatever state the test left it in.

        A test may do so itself, to look at what is left when the loop is closed.

        Raises:
            Deviation: the implementation ended the program.
        """
        if self.loop.is_closed():
            return
        try:
            with watchdog(LONGEST * self.bound):
                self.loop.run_until_complete(self._close())
                for task in asyncio.all_tasks(self.loop):
                    task.cancel()
                # Even if no task is left: an implementation's threads may have to end something.
                self.loop.run_until_complete(turns(closing_turns()))
                end(self.loop, self.bound)
        except Interrupted:
            raise
        except (SystemExit, KeyboardInterrupt) as exit_:
            # Otherwise pytest leaves the rest undone, and blames the next test for it.
            raise Deviation("the program to go on", described(exit_)) from exit_
        finally:
            self.network.close()

    async def _close(self) -> None:
        # An implementation that cannot close fails the clauses on closing, not every clause.
        opened: list[asyncio.StreamWriter | asyncio.Server] = [*self._writers, *self._servers]
        for each in opened:
            with suppress(Exception, NotApplicable):
                each.close()
        for wire in self._wires:
            # It may have ended already, by the test or by the implementation.
            with suppress(Exception, NotApplicable):
                try:
                    await wire.reset()
                except NotApplicable:
                    await wire.close()
        for listener in self._listeners:
            listener.close()
        for tear_down in self._adapted:
            task = self.loop.create_task(tear_down())
            done, _ = await asyncio.wait([task], timeout=LONGEST * self.bound / 2)
            if not done:
                raise hang_of(task, [], f"after {LONGEST * self.bound / 2:g} s")
            with _adapters_code("close() of the adapter to return"):
                await task
        await turns(closing_turns())


@contextmanager
def _adapters_code(expected: str) -> Iterator[None]:
    """Mark an exception in the block as an adapter's, which no clause is about."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise Deviation(expected, seen_of(error)) from error


def _half_closes(writer: Any) -> bool:
    """Return whether an adapter's writer says that it has a `write_eof()`."""
    says = getattr(writer, "can_write_eof", None)
    return says is None or bool(says())


def _pair(opened: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the two that a function has opened, if they are two."""
    try:
        reader, writer = opened
    except (TypeError, ValueError):
        raise Deviation("a connection's reader and writer", shown(opened)) from None
    return reader, writer


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


async def awaiting(awaitable: Awaitable[T]) -> T:
    """Await `awaitable`, of whatever class it is."""
    return await awaitable


def closing_turns() -> int:
    """Return how many turns of the loop a test's leftovers have to end."""
    return CLOSING_TURNS if threading.active_count() <= THREADS else SETTLING_TURNS
