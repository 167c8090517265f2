"""A model of what a reader may do at any time, and programs that check it.

The model knows what the wire has sent, whether it has ended the stream, and how much the reads have
returned so far. From that alone it follows, for a read of any kind, how it may end now and whether
it may still wait. Where the description leaves a choice (how many bytes `read(n)` returns, whether
a separator counts towards the limit), the model allows all of it.

Hypothesis makes the programs: sequences of pieces sent, reads begun and cancelled. Its choices do
not depend on the reader's results, because these may differ from run to run where the model allows
it; a step that makes no sense at its time is left out.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Verbosity, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import sampled_from

from conformance.errors import Deviation, Hang, described, shown
from conformance.harness.reading import take_rest
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.base import Listener


class Outcome(NamedTuple):
    """How a read ended.

    Attributes:
        how: `"returned"`, or the name of the exception.
        value: the result, or the exception's `partial` or `consumed`.
    """

    how: str
    value: object = None

    def __str__(self) -> str:
        """Return it in words."""
        return self.how if self.value is None else f"{self.how} {shown(self.value)}"


class Allowed(NamedTuple):
    """The possible behaviour of a read in a given state.

    Attributes:
        now: how it may end.
        wait: whether it may wait.
        refuse: whether it may raise any exception.
    """

    now: Sequence[Outcome]
    wait: bool
    refuse: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The state of a stream, as seen from outside.

    Attributes:
        rest: the bytes that were sent and no read has returned.
        ended: whether the wire has ended the stream.
        limit: the reader's limit, in bytes.
    """

    rest: bytes
    ended: bool
    limit: int


@dataclass(frozen=True, slots=True)
class Call:
    """A read of one kind.

    Attributes:
        text: its spelling in a program.
        start: makes the coroutine.
        allowed: the possible behaviour in a state.
    """

    text: str
    start: Callable[[asyncio.StreamReader], Coroutine[Any, Any, bytes]]
    allowed: Callable[[State], Allowed]


def returned(data: bytes) -> Outcome:
    """Return the outcome of a read that returned `data`."""
    return Outcome("returned", data)


def read_all(text: str, *n: int) -> Call:
    """Return a call of `read()` that reads to EOF."""

    def allowed(state: State) -> Allowed:
        return Allowed([returned(state.rest)], False) if state.ended else Allowed([], True)

    return Call(text, lambda reader: reader.read(*n), allowed)


def read(n: int) -> Call:
    """Return a call of `read(n)`, `n` not negative."""

    def allowed(state: State) -> Allowed:
        if n == 0:
            return Allowed([returned(b"")], False)
        if not state.rest:
            return Allowed([returned(b"")], False) if state.ended else Allowed([], True)
        most = min(n, len(state.rest))
        return Allowed([returned(state.rest[:size]) for size in range(1, most + 1)], False)

    return Call(f"read({n})", lambda reader: reader.read(n), allowed)


def readexactly(n: int) -> Call:
    """Return a call of `readexactly(n)`."""

    def allowed(state: State) -> Allowed:
        if len(state.rest) >= n:
            return Allowed([returned(state.rest[:n])], False)
        if state.ended:
            return Allowed([Outcome("IncompleteReadError", state.rest)], False)
        return Allowed([], True)

    return Call(f"readexactly({n})", lambda reader: reader.readexactly(n), allowed)


def readline() -> Call:
    """Return a call of `readline()`.

    The description does not mention a line longer than the limit: readline() may return it, wait
    for it, or refuse it with any exception.
    """

    def allowed(state: State) -> Allowed:
        end = state.rest.find(b"\n") + 1
        too_long = (end or len(state.rest)) > state.limit
        if end or state.ended:
            return Allowed([returned(state.rest[: end or None])], False, too_long)
        return Allowed([], True, too_long)

    return Call("readline()", lambda reader: reader.readline(), allowed)


def readuntil(separator: bytes | tuple[bytes, ...]) -> Call:
    """Return a call of `readuntil(separator)`.

    The description does not say whether the separator counts towards the limit, nor which error a
    read raises if the stream ends beyond the limit without one.
    """
    separators = separator if isinstance(separator, tuple) else (separator,)
    longest = max(len(each) for each in separators)

    def allowed(state: State) -> Allowed:
        rest, limit = state.rest, state.limit
        overrun = [Outcome("LimitOverrunError", count) for count in range(1, len(rest) + 1)]
        ends = [rest.find(each) + len(each) for each in separators if each in rest]
        if ends:
            data = rest[: min(ends)]
            shortest = min(len(each) for each in separators if data.endswith(each))
            if len(data) <= limit:
                return Allowed([returned(data)], False)
            if len(data) - shortest > limit:
                return Allowed(overrun, False)
            return Allowed([returned(data), *overrun], False)
        if state.ended:
            incomplete = Outcome("IncompleteReadError", rest)
            return Allowed([incomplete, *(overrun if len(rest) > limit else [])], False)
        if len(rest) <= limit:
            return Allowed([], True)
        return Allowed(overrun, len(rest) < limit + longest)

    def start(reader: asyncio.StreamReader) -> Coroutine[Any, Any, bytes]:
        return reader.readuntil(separator)  # type: ignore[arg-type]  # tuples: typed since 3.13

    return Call(f"readuntil({separator!r})", start, allowed)


READ_SOME = [*map(read, (1, 3, 100))]
READ = [read_all("read()"), read_all("read(-1)", -1), read(0), *READ_SOME]
READLINE = [readline()]
READEXACTLY = [readexactly(n) for n in (0, 1, 2, 5, 13)]
READUNTIL = [readuntil(each) for each in (b"\n", b"b", b"ab", b"aab", b"abab")]
READUNTIL_TUPLE = [
    readuntil(each)
    for each in (
        (b"\n", b"ab"),
        (b"aab", b"b"),
        (b"ab", b"aba"),
        (b"aba", b"b\n", b"ab"),
        (b"abab", b"ba"),
    )
]
EVERY_READ = [*READ, *READLINE, *READEXACTLY, *READUNTIL]

# Few different bytes, so that separators, and partial matches of them, occur at every cut.
PIECES = (b"a", b"b", b"\n", b"ab", b"aa", b"a\nb", b"baab", b"aaab\n", b"ab" * 8)
LIMITS = (4, 1, 9, 1000)
STEPS = 16  # of a program, at most
PROGRAMS = 30  # for each test, each with a connection of its own
PROGRAMS_OVER_TLS = 12  # whose connections cost more than all the rest of a program
SHORTENINGS = 100  # programs to run in search of a shorter one that fails


class ShortEnough(KeyboardInterrupt):
    """Enough programs were run after one that deviates.

    A `KeyboardInterrupt`, because only that ends Hypothesis's own search immediately.
    """


class Step(NamedTuple):
    """A step of a program.

    Attributes:
        kind: `"send"`, `"end"`, `"read"`, `"cancel"`, `"send and cancel"` or `"reset"`.
        call: the read to begin.
        piece: the bytes to send.
        turns: turns of the loop, for the reader to receive the bytes, or before the read is
            cancelled.
    """

    kind: str
    call: Call | None = None
    piece: bytes = b""
    turns: int = 0


def steps(calls: Sequence[Call], *, cancelling: bool) -> list[Step]:
    """Return the steps that programs are made of, each as often as it should occur."""
    found = [Step("send", piece=piece, turns=turns) for piece in PIECES for turns in (3, 1, 0)]
    found += [Step("read", call=call) for call in calls] * (36 // len(calls))
    found += [Step("end")] * 3
    if cancelling:
        found += [Step("cancel", turns=turns) for turns in range(4)] * 2
        found += [
            Step("send and cancel", piece=piece, turns=turns)
            for piece in PIECES[3:]
            for turns in range(4)
        ]
        found += [Step("reset", call=call) for call in calls[:3]]
    return found


class Search:
    """A search for a program that deviates, and then for the shortest.

    Args:
        trial: its trial.
        asks: whether the programs call at_eof() after each read.

    Attributes:
        found: the shortest that deviates, so far: its text and its deviation.
        suspect: one with a read that ended late, or not before the stream did: its limit and steps.
        patience: seconds after which a read that has to end is late; None: as long as the trial
            lasts.
    """

    def __init__(self, trial: Trial, *, asks: bool) -> None:
        self.trial = trial
        self.asks = asks
        self.found: tuple[str, Deviation] | None = None
        self.suspect: tuple[int, list[Step]] | None = None
        self.patience: float | None = 0.5
        self.shortenings = 0
        self.listener: Listener | None = None
        self.servers: dict[int, Served] = {}

    async def connect(self, limit: int) -> Connection:
        """Return a connection for the next program, from the same far end as for all the others.

        Raises:
            ShortEnough: no more programs are needed.
        """
        if self.found is not None:
            self.shortenings += 1
            if self.shortenings > SHORTENINGS:
                raise ShortEnough
        if self.trial.role == "server":
            if limit not in self.servers:
                self.servers[limit] = await self.trial.serve(limit=limit)
            return await self.trial.accept(self.servers[limit])
        if self.listener is None:
            self.listener = await self.trial.listen()
        return await self.trial.open(self.listener, limit=limit)

    def note(self, text: str, deviation: Deviation) -> None:
        """Note that the program `text` deviates."""
        if self.found is None or len(text) < len(self.found[0]):
            self.found = text, deviation
            self.patience = 0.1  # a late read from now on decides only which program is shown


class Program(RuleBasedStateMachine):
    """A connection, and a program that reads from it the bytes that the wire sends.

    Args:
        search: the search that it is part of.
    """

    def __init__(self, search: Search) -> None:
        super().__init__()
        self.search = search
        self.trial = search.trial
        self.taken: list[Step] = []
        self.steps: list[str] = []  # in words
        self.state = State(b"", ended=False, limit=0)
        self.connection: Connection | None = None
        self.call = READ[0]  # the last one made
        self.reading: asyncio.Task[Outcome] | None = None  # its task, while it waits
        self.over = False  # whether the model can no longer predict the reader

    @initialize(limit=sampled_from(LIMITS))
    def connect(self, limit: int) -> None:
        """Make the connection."""
        self.state = State(b"", ended=False, limit=limit)
        self.run(f"limit={limit}", self._connect(limit))

    def take(self, step: Step) -> None:
        """Take a step, if it makes sense now."""
        kind, call, piece, turns = step
        if self.over:
            return
        self.taken.append(step)
        if kind == "read":
            if self.reading is None and call is not None:
                self.run(call.text, self._read(call))
        elif kind == "cancel":
            if self.reading is not None:
                self.run("cancel", self._cancel(self.reading, turns))
        elif self.state.ended:
            return
        elif kind == "send":
            self.run(f"send {piece!r}", self._send(piece, turns))
        elif kind == "end":
            self.run("send EOF", self._end())
        elif kind == "send and cancel":
            if self.reading is not None:
                text = f"send {piece!r} and {turns} turns later cancel"
                self.run(text, self._send_and_cancel(self.reading, piece, turns))
        elif kind == "reset" and self.trial.network.resets:
            assert call is not None
            self.run("reset", self._reset(call))

    def teardown(self) -> None:
        """End the stream, read the rest, and close the connection."""
        if self.connection is None:
            return
        self.take(Step("end"))
        if not self.over:
            self.run("the rest", self._rest())
        self.over = True
        self.run("close", self._close())

    def run(self, text: str, step: Coroutine[Any, Any, None]) -> None:
        """Run a step, noted as `text`, on the trial's loop."""
        self.steps.append(text)
        begun = time.monotonic()
        try:
            self.trial.run(step)
        except Hang as hang:
            self.reading = None
            deviation = self.deviation(f"{self.call.text} to end", hang.seen)
            if time.monotonic() - begun > 1:
                raise ShortEnough from None  # not in virtual time: cannot be repeated
            raise deviation from None

    @property
    def text(self) -> str:
        """The program so far."""
        return "; ".join(self.steps)

    def deviation(self, expected: str, seen: str) -> Deviation:
        """Return a deviation, noted with the program that led to it."""
        self.over = True
        deviation = Deviation(expected, f"{seen}, in the program {self.text}")
        self.search.note(self.text, deviation)
        return deviation

    # The steps.

    async def _connect(self, limit: int) -> None:
        self.connection = await self.search.connect(limit)
        self.reader, self.writer, self.wire = self.connection

    async def _send(self, piece: bytes, turns: int) -> None:
        """Send a piece; let the reader receive it, or not yet."""
        self.state = replace(self.state, rest=self.state.rest + piece)
        await self.wire.send(piece)
        if turns:
            await self.wire.arrived()
            await self.trial.turns(turns)
        await self._look()

    async def _end(self) -> None:
        self.state = replace(self.state, ended=True)
        await self.wire.send_eof()
        await self._look()

    async def _read(self, call: Call) -> None:
        self.call = call
        self.reading = self.trial.start(self._outcome(call))
        await self.trial.turns(2)
        await self._look()
        unfinished = self.state.rest or not self.state.ended
        if self.search.asks and unfinished and not self.over and self.reader.at_eof():
            raise self.deviation("at_eof() False", "True")

    async def _outcome(self, call: Call) -> Outcome:
        try:
            return returned(await call.start(self.reader))
        except self.trial.streams.IncompleteReadError as error:
            return Outcome("IncompleteReadError", error.partial)
        except self.trial.streams.LimitOverrunError as error:
            return Outcome("LimitOverrunError", error.consumed)
        except Exception as error:
            return Outcome(described(error))

    async def _look(self) -> None:
        """Wait for the read if it has to end now; if it has ended, compare it with the model."""
        if self.reading is None:
            return
        if not self.call.allowed(self.state).wait:
            await self._end_of(self.reading)
        if self.reading.done():
            outcome = self.reading.result()
            self.reading = None
            self.judge(outcome)

    async def _end_of(self, reading: "asyncio.Task[Outcome]", *, reset: bool = False) -> None:
        """Wait for a read that has to end, or, after a reset, any read.

        Waiting as long as the trial lasts is the last resort. If the read is late, the wire ends
        the stream: this shows whether bytes were lost. If they were not, the program is suspect.
        """
        await asyncio.wait([reading], timeout=self.search.patience)
        if reading.done():
            return
        if self.search.found is not None:
            raise self.deviation(f"{self.call.text} to end", "a hang")
        if not self.state.ended and not reset:
            self.search.suspect = self.state.limit, self.taken
            self.steps.append("send EOF")
            self.over = True
            await self.wire.send_eof()
        await asyncio.wait([reading])

    def judge(self, outcome: Outcome) -> None:
        """Compare the end of a read with the model, and note the bytes that it has taken."""
        now, wait, refuse = self.call.allowed(self.state)
        refused = refuse and outcome.how != "returned"
        if outcome not in now and not refused:
            wanted = [str(each) for each in now] + ["an exception"] * refuse + ["a wait"] * wait
            if len(wanted) > 3:
                wanted[1:-1] = ["…"]
            raise self.deviation(f"{self.call.text}: {' or '.join(wanted)}", str(outcome))
        if refused:
            self.over = True  # the description does not say how much of the line is left
        elif isinstance(outcome.value, bytes | bytearray):
            self.state = replace(self.state, rest=self.state.rest[len(outcome.value) :])

    async def _cancel(self, reading: "asyncio.Task[Outcome]", turns: int) -> None:
        await self.trial.turns(turns)
        reading.cancel()
        await self._end_of(reading)
        self.reading = None
        if not reading.cancelled():
            self.judge(reading.result())

    async def _send_and_cancel(
        self, reading: "asyncio.Task[Outcome]", piece: bytes, turns: int
    ) -> None:
        self.state = replace(self.state, rest=self.state.rest + piece)
        await self.wire.send(piece)
        await self._cancel(reading, turns)

    async def _reset(self, then: Call) -> None:
        """Reset: bytes on their way may be lost, but this is not EOF."""
        await self.wire.reset()
        waiting = [self.call] if self.reading is not None else []
        for call in (*waiting, then):
            reading = self.reading or self.trial.start(self._outcome(call))
            self.call, self.reading = call, reading
            await self._end_of(reading, reset=True)
            self.reading = None
            outcome = reading.result()
            if outcome not in call.allowed(self.state).now and outcome.how == "returned":
                raise self.deviation(f"{call.text} to raise an error", str(outcome))
        self.over = True

    async def _rest(self) -> None:
        rest = await take_rest(self.reader)
        if rest != self.state.rest:
            raise self.deviation(f"{shown(self.state.rest)} to be left", shown(rest))

    async def _close(self) -> None:
        if self.reading is not None:
            self.reading.cancel()
        with suppress(Exception):  # closing has clauses of its own
            self.writer.close()
        await self.wire.close()
        await self.trial.turns(2)


@cache
def programs(calls: tuple[Call, ...], *, cancelling: bool) -> type[Program]:
    """Return the programs that are made of `calls`, for Hypothesis to choose from."""

    class Programs(Program):
        # One rule for all kinds of steps: with several rules, Hypothesis leaves some out of each
        # program.
        @rule(step=sampled_from(steps(calls, cancelling=cancelling)))
        def step(self, step: Step) -> None:
            """Take a step."""
            self.take(step)

    return Programs


def run_programs(
    trial: Trial, *calls: Call, cancelling: bool = True, asks_at_eof: bool = False
) -> None:
    """Run programs made of `calls`, the same each time, until one deviates.

    Args:
        trial: the trial to run them in.
        calls: the reads to make them of.
        cancelling: whether they also cancel reads, and may see the connection reset.
        asks_at_eof: whether they call at_eof() after each read.

    Raises:
        Deviation: in a program, a read did something that the model does not allow, or never ended;
            the shortest such program is shown.
    """
    kind = programs(calls, cancelling=cancelling)
    search = Search(trial, asks=asks_at_eof)
    chosen = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=PROGRAMS_OVER_TLS if trial.network.tls else PROGRAMS,
        stateful_step_count=STEPS,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    # Hypothesis notes constants that it finds in the user's modules: not in the user's folder.
    with TemporaryDirectory() as notes:
        set_hypothesis_home_dir(notes)
        try:
            # Its documentation says that any callable will do; its type asks for a class.
            run_state_machine_as_test(lambda: kind(search), settings=chosen)  # type: ignore[arg-type]
        except ShortEnough:
            pass
        except Exception:
            # It reports an error if a failure cannot be repeated: the failure counts all the same.
            if search.found is None:
                raise
        finally:
            set_hypothesis_home_dir(None)
    if search.found is None and search.suspect is not None:
        limit, taken = search.suspect
        search.patience = None
        program = kind(search)
        with suppress(ShortEnough):  # it never ended
            program.connect(limit=limit)
            for step in taken:
                program.take(step)
            program.teardown()
    if search.found is not None:
        raise search.found[1]
