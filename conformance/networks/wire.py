"""The far end of a connection, in the suite's hands; it uses nothing under test."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import ContextVar
from ssl import SSLWantReadError, SSLWantWriteError
from typing import TypeVar

import fakes
from conformance.errors import Deviation, shown

T = TypeVar("T")

SETTLING_TURNS = 50
CHUNK = 256 * 1024  # bytes per recv() when a wire reads everything


async def turns(count: int = SETTLING_TURNS) -> None:
    """Let the event loop run `count` whole turns, each of which looks at its sockets.

    A loop that knows that nothing is left to run before time goes on stops earlier.
    """
    loop = asyncio.get_running_loop()
    for _ in range(count):
        if isinstance(loop, fakes.Loop) and loop.is_settled():
            return
        await asyncio.sleep(0)


class Progress:
    """Counts the pieces that move in one trial: a slow test that makes progress is not a hang.

    Attributes:
        steps: the pieces of data that far ends have sent and received, and that tests have read.
        turns: how often the event loop has been seen to come round since the trial began.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.turns = 0


trials_progress: ContextVar[Progress] = ContextVar("trials_progress")
"""The progress of the trial that runs: it sets this for its test and all that the test starts."""


def moved() -> None:
    """Note that something has moved, if a trial runs."""
    progress = trials_progress.get(None)
    if progress is not None:
        progress.steps += 1


async def give_way() -> None:
    """Let the event loop come round once, and note that it did."""
    await asyncio.sleep(0)
    progress = trials_progress.get(None)
    if progress is not None:
        progress.turns += 1


def pause(tried: int) -> float:
    """Return the seconds between two attempts, after so many failed ones."""
    if tried < 500:
        return 0
    return 0.001 if tried < 1500 else 0.01 if tried < 2400 else 0.1


async def attempt(operation: Callable[[], T]) -> T:
    """Return what a non-blocking `operation` returns, as soon as the kernel lets it.

    The loop under test runs in between. This needs nothing of that loop but `asyncio.sleep()`, so a
    wire works on any loop. After many turns it tries less often, so that implementations with
    threads of their own get the processor, and even less often after a second and after ten, so
    that minutes of virtual time do not take thousands of turns.
    """
    tried = 0
    while True:
        try:
            result = operation()
            moved()
            return result
        except (BlockingIOError, SSLWantReadError, SSLWantWriteError):
            tried += 1
            await asyncio.sleep(pause(tried))


class Wire(ABC):
    """The far end of one connection.

    It does nothing by itself: it reads only when a test calls it, so that a test can hold data
    back, and it sends exactly the pieces given, as far as its network keeps pieces apart.
    """

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Send `data` as one piece; return when the network has all of it.

        Raises:
            ConnectionError: the implementation has closed or reset the connection.
        """

    @abstractmethod
    async def receive_some(self) -> bytes:
        """Return the next bytes that arrive, at least one; `b""` at EOF.

        Raises:
            ConnectionResetError: the implementation reset the connection.
        """

    @abstractmethod
    async def send_eof(self) -> None:
        """Close the sending direction: the implementation sees EOF."""

    @abstractmethod
    async def reset(self) -> None:
        """Reset the connection: data on its way is lost, and the implementation sees an error."""

    @abstractmethod
    async def close(self) -> None:
        """Close both directions normally. Closing twice is allowed."""

    async def arrived(self) -> None:
        """Wait until the implementation's end of the network holds all that was sent.

        Only a network that can delay data has something to wait for.
        """
        return

    async def settle(self) -> None:
        """Let the implementation receive the data that was sent, and act on it.

        It is for tests that expect that something does *not* happen: an implementation that keeps
        the clause passes however short this is; it is long enough for one that breaks the clause to
        fail.
        """
        await self.arrived()
        await turns()

    async def received(self) -> None:
        """Let the implementation receive all data that was sent, for tests that expect a reaction.

        Raises:
            NotApplicable: nothing shows when it has.
        """
        await self.settle()

    async def receive(self, count: int) -> bytes:
        """Return exactly `count` bytes that the implementation sent.

        Raises:
            Deviation: the stream ended, or was reset, before.
        """
        received = bytearray()
        while len(received) < count:
            try:
                piece = await self.receive_some()
            except ConnectionResetError as error:
                raise Deviation(
                    f"{count} bytes on the wire", f"{shown(bytes(received))}, then a reset"
                ) from error
            if not piece:
                raise Deviation(
                    f"{count} bytes on the wire", f"{shown(bytes(received))}, then the end"
                )
            received += piece
        if len(received) > count:
            raise Deviation(f"{count} bytes on the wire, no more", shown(bytes(received)))
        return bytes(received)

    async def receive_rest(self) -> bytes:
        """Return all the bytes that the implementation sends until it ends the stream normally.

        Raises:
            Deviation: it reset the connection instead.
        """
        data, end = await self.receive_to_end()
        if end != "eof":
            raise Deviation("an orderly end on the wire", f"{shown(data)}, then a {end}")
        return data

    async def receive_to_end(self) -> tuple[bytes, str]:
        """Return all bytes until the connection ends, and how it ended: `"eof"` or `"reset"`."""
        received = bytearray()
        while True:
            try:
                piece = await self.receive_some()
            except ConnectionResetError:
                return bytes(received), "reset"
            if not piece:
                return bytes(received), "eof"
            received += piece
