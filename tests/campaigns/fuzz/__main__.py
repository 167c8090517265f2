"""Feed a reader and read from it, as arbitrary bytes decide; compare it with a simple model.

    tox -e fuzz [-- --minutes 10]

Each input is a program: pieces fed, reads begun, woken and cancelled, EOF, an error. The model says
after each step what the read in progress must have returned or raised, or that it must still wait:
nothing lost, doubled or out of order, no wake-up forgotten, no pause kept that nobody ends.
`check()` runs one input. atheris makes the inputs, guided by the coverage of the reader and its
buffer; where atheris is not available (CPython 3.14 and newer), chance makes them.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import click

LIMITS = (1, 2, 3, 7, 20, 100, 5000, 65_536)
SEPARATORS: tuple[bytes | tuple[bytes, ...], ...] = (
    b"\n",
    b"ab",
    b"aab",
    b"\r\n",
    (b"\n", b"\r\n"),
    (b"ab", b"b"),
    (b"aaab", b"ab", b"x"),
    (b"a" * 20, b"\n"),
)
LETTERS = b"aaaabbb\n\r\nxaab"


class Input:
    """The bytes of an input, one after the other; zeros when there are no more."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    @property
    def over(self) -> bool:
        return self.at >= len(self.data)

    def size(self) -> int:
        """Return a size: mostly small, sometimes around a limit of the buffer."""
        byte = self.byte()
        if byte < 200:
            return byte
        return (byte - 199) * (257 if byte < 240 else 20_011)


class Transport:
    """Knows whether it is paused."""

    paused = False

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Model:
    """The bytes that were fed and not read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = b""
        self.eof = False
        self.error = False

    def outcome(self, kind: str, argument: Any) -> tuple[str, Any] | None:
        """Return how a read ends now, and take its bytes; None if it waits."""
        if kind == "read":
            if argument == 0:
                return "returns", b""
            if argument < 0:
                ended = self.eof and not self.error
                return self._end(len(self.held), "returns") if ended else self._fails()
            if self.held or (self.eof and not self.error):
                return self._end(argument, "returns")
            return self._fails()
        if kind == "readexactly":
            if len(self.held) >= argument:
                return self._end(argument, "returns")
            return self._end(len(self.held), "partial") if self.eof else self._fails()
        separators = argument if isinstance(argument, tuple) else (argument,)
        found = [
            (begin + len(each), -begin)
            for each in separators
            if (begin := self.held.find(each)) >= 0
        ]
        if found:
            end, begin = min(found)[0], -min(found)[1]
            if begin <= self.limit:
                return self._end(end, "returns")
            if kind == "readuntil":
                return "overrun", begin
            self._end(end, "")
            return "too long", None
        clear = len(self.held) + 1 - max(map(len, separators))
        if clear > self.limit:
            if kind == "readuntil":
                return "overrun", clear
            self._end(len(self.held), "")
            return "too long", None
        if not self.eof or self.error:
            return self._fails()
        return self._end(len(self.held), "returns" if kind == "readline" else "partial")

    def _fails(self) -> tuple[str, Any] | None:
        return ("raises", None) if self.error else None

    def _end(self, count: int, how: str) -> tuple[str, Any]:
        if self.error and how == "partial":
            return "raises", None
        taken, self.held = self.held[:count], self.held[count:]
        return how, taken


class Fuzzed:
    """A reader beside its model, and a read in progress."""

    def __init__(self, given: Input, streams: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.given = given
        limit = LIMITS[given.byte() % len(LIMITS)]
        self.model = Model(limit)
        self.reader = streams.StreamReader(limit, loop)
        self.transport = Transport()
        self.reader.set_transport(self.transport)
        self.reading: Coroutine[Any, Any, bytes] | None = None
        self.kind = ""
        self.argument: Any = None
        self.future: asyncio.Future[None] | None = None

    def step(self) -> None:
        choice = self.given.byte() % 16
        if choice < 6:
            self.feed()
        elif choice < 13:
            self.begin() if self.reading is None else self.wake()
        elif choice == 13:
            self.cancel()
        elif choice == 14 and self.given.byte() % 8 == 0:
            self.model.eof = True
            self.reader.feed_eof()
        elif choice == 15 and self.given.byte() % 16 == 0:
            self.model.error = True
            self.reader.set_exception(ConnectionResetError("fuzz"))

    def feed(self) -> None:
        size = self.given.size()
        if self.transport.paused or self.model.eof or self.model.error or not size:
            return
        letter = self.given.byte()
        # A few letters, so that separators occur; and a position that shows bytes out of order.
        data = bytes(
            LETTERS[(letter + i * (1 + letter % 5)) % len(LETTERS)] for i in range(min(size, 9))
        )
        data += b"%d" % len(self.model.held) + data[:1] * (size - 9)
        self.model.held += data
        self.reader.feed_data(data)

    def begin(self) -> None:
        choice = self.given.byte()
        self.kind = ("read", "readexactly", "readuntil", "readline")[choice % 4]
        if self.kind == "read":
            self.argument = -1 if choice > 240 else self.given.size()
        elif self.kind == "readexactly":
            self.argument = self.given.size()
        else:
            self.argument = SEPARATORS[choice // 4 % len(SEPARATORS)]
        if self.kind == "readline":
            self.argument = b"\n"
            self.reading = self.reader.readline()
        else:
            self.reading = getattr(self.reader, self.kind)(self.argument)
        self.go(lambda reading: reading.send(None))

    def wake(self) -> None:
        assert self.future is not None
        if self.future.done():
            self.go(lambda reading: reading.send(None))
        else:
            # It waits: then the model must have nothing for it.
            before = self.model.held
            outcome = self.model.outcome(self.kind, self.argument)
            self.model.held = before
            assert outcome is None, f"{self.kind}({self.argument!r}) waits, not {outcome}"
            assert not self.transport.paused, "paused while a read waits"

    def cancel(self) -> None:
        if self.reading is None or self.future is None:
            return
        self.future.cancel()
        reading, self.reading, self.future = self.reading, None, None
        try:
            reading.throw(asyncio.CancelledError())
        except asyncio.CancelledError:
            pass
        else:
            raise AssertionError("a cancelled read goes on")

    def go(self, resume: Callable[[Any], Any]) -> None:
        """Run the read until it waits or ends, and compare."""
        assert self.reading is not None
        try:
            self.future = resume(self.reading)
        except StopIteration as stop:
            seen = "returns", stop.value
        except asyncio.IncompleteReadError as error:
            seen = "partial", error.partial
        except asyncio.LimitOverrunError as error:
            seen = "overrun", error.consumed
        except ValueError:
            seen = "too long", None
        except ConnectionResetError:
            seen = "raises", None
        else:
            self.wake_if_it_should()
            return
        self.reading = self.future = None
        expected = self.model.outcome(self.kind, self.argument)
        what = f"{self.kind}({self.argument!r}), limit {self.model.limit}"
        assert seen == expected, f"{what}: {seen}, not {expected}"

    def wake_if_it_should(self) -> None:
        assert self.future is not None
        self.future._asyncio_future_blocking = False
        if not self.future.done():
            self.wake()

    def finish(self) -> None:
        """End the stream, and read the rest."""
        if self.reading is not None:
            self.cancel()
        if not self.model.error:
            self.model.eof = True
            self.reader.feed_eof()
        while self.reading is None and (self.model.held or not self.reader.at_eof()):
            held = self.model.held
            self.kind, self.argument = "read", 100_000
            self.reading = self.reader.read(self.argument)
            self.go(lambda reading: reading.send(None))
            if self.model.held == held:
                break
        assert not self.model.held
        assert not self.transport.paused


def check(data: bytes, streams: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Run the input *data*. Raises `AssertionError` if a reader of *streams* is wrong."""
    given = Input(data)
    fuzzed = Fuzzed(given, streams, loop)
    while not given.over:
        fuzzed.step()
    fuzzed.finish()


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
@click.option("--inputs", type=int, help="So many, made by chance, instead.")
@click.option(
    "--streams", "subject", default="reference_impl", metavar="MODULE[:NAME]", help="Whose reader."
)
def main(minutes: float, inputs: int | None, subject: str) -> None:
    """Fuzz the reader."""
    module, _, name = subject.partition(":")
    try:
        import atheris
    except ImportError:
        atheris = None
    if atheris is None or inputs:
        streams = importlib.import_module(module)
        by_chance(getattr(streams, name) if name else streams, minutes, inputs)
        return
    with atheris.instrument_imports(include=["reference_impl"]):
        streams = importlib.import_module(module)
    loop = asyncio.new_event_loop()
    arguments = [
        "fuzz",
        f"-max_total_time={int(60 * minutes)}",
        "-max_len=600",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, lambda data: check(data, streams, loop))
    atheris.Fuzz()


def by_chance(streams: Any, minutes: float, inputs: int | None) -> None:
    """Fuzz without coverage."""
    if not inputs:
        print("atheris is not there: inputs are made without regard to coverage", flush=True)
    loop = asyncio.new_event_loop()
    chance = random.Random(0)
    end = time.monotonic() + 60 * minutes
    tried = 0
    while tried < inputs if inputs else time.monotonic() < end:
        check(chance.randbytes(chance.randrange(600)), streams, loop)
        tried += 1
    loop.close()
    print(f"{tried:,} inputs, nothing found")


if __name__ == "__main__":
    main()
