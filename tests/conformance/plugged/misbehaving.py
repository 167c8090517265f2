"""Implementations that are hard on whoever runs them: each is the reference with one thing broken.

They are plugged in as `misbehaving:name`.
"""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import reference_impl


def with_reader(reader_class: type[reference_impl.StreamReader]) -> SimpleNamespace:
    """Return the reference with another class of readers."""

    async def open_connection(host: Any = None, port: Any = None, **options: Any) -> Any:
        limit = options.pop("limit", 65536)
        loop = asyncio.get_running_loop()
        reader = reader_class(limit=limit, loop=loop)
        protocol = reference_impl.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, host, port, **options)
        return reader, reference_impl.StreamWriter(transport, protocol, reader, loop)

    async def start_server(
        callback: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        limit = options.pop("limit", 65536)
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            reader = reader_class(limit=limit, loop=loop)
            return reference_impl.StreamReaderProtocol(reader, callback, loop=loop)

        return await loop.create_server(protocol, host, port, **options)

    return SimpleNamespace(
        open_connection=open_connection,
        start_server=start_server,
        open_unix_connection=reference_impl.open_unix_connection,
        start_unix_server=reference_impl.start_unix_server,
        StreamReader=reader_class,
        StreamWriter=reference_impl.StreamWriter,
    )


class Sound(reference_impl.StreamReader):
    """The reference, to show that `with_reader()` breaks nothing by itself."""


class OneShort(reference_impl.StreamReader):
    """Leaves the last byte asked for."""

    async def readexactly(self, n: int) -> bytes:
        return await super().readexactly(n - 1) if n > 1 else await super().readexactly(n)


class Unsteady(OneShort if os.environ.get("PYTHONHASHSEED") == "2" else Sound):  # type: ignore[misc]
    """Does right or wrong by what should make no difference."""


class Crashing(reference_impl.StreamReader):
    """Takes the interpreter with it."""

    async def readexactly(self, n: int) -> bytes:
        os.abort()


class Hanging(reference_impl.StreamReader):
    """Never wakes up."""

    async def readexactly(self, n: int) -> bytes:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # never


class Spinning(reference_impl.StreamReader):
    """Never gives control back."""

    async def readexactly(self, n: int) -> bytes:
        while True:
            pass


class Unstoppable(reference_impl.StreamReader):
    """Never wakes up, and will not be cancelled."""

    async def readexactly(self, n: int) -> bytes:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()


class LoopStopper(reference_impl.StreamReader):
    """Stops the event loop under everybody."""

    async def readexactly(self, n: int) -> bytes:
        asyncio.get_running_loop().stop()
        return await super().readexactly(n)


class LoopCloser(reference_impl.StreamReader):
    """Closes the event loop as soon as it is done."""

    async def readexactly(self, n: int) -> bytes:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.stop)
        loop.call_soon(loop.close)
        return await super().readexactly(n)


class Quitter(reference_impl.StreamReader):
    """Ends the program."""

    async def readexactly(self, n: int) -> bytes:
        sys.exit("enough")


class Leaking(reference_impl.StreamReader):
    """Leaves a task that never ends, and two sockets, behind each read."""

    left: ClassVar[list[object]] = []

    async def readexactly(self, n: int) -> bytes:
        self.left.append(asyncio.ensure_future(asyncio.Event().wait()))
        self.left.extend(socket.socketpair())
        return await super().readexactly(n)


class Interrupting(reference_impl.StreamReader):
    """Does what Ctrl-C does."""

    async def readexactly(self, n: int) -> bytes:
        raise KeyboardInterrupt


class Waiting(reference_impl.StreamReader):
    """Says that it has been reached, and never wakes up."""

    async def readexactly(self, n: int) -> bytes:
        self.tell()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # never

    def tell(self) -> None:
        Path(os.environ["REACHED"]).touch()


class Flaky(reference_impl.StreamReader):
    """Goes wrong the first time in a process."""

    reads = 0

    async def readexactly(self, n: int) -> bytes:
        Flaky.reads += 1
        return b"wrong" if Flaky.reads == 1 else await super().readexactly(n)


class Chatty(reference_impl.StreamReader):
    """Prints."""

    async def readexactly(self, n: int) -> bytes:
        print("reading exactly", n, "bytes")
        return await super().readexactly(n)


sound = with_reader(Sound)
one_short = with_reader(OneShort)
unsteady = with_reader(Unsteady)
crashing = with_reader(Crashing)
hanging = with_reader(Hanging)
spinning = with_reader(Spinning)
unstoppable = with_reader(Unstoppable)
loop_stopper = with_reader(LoopStopper)
loop_closer = with_reader(LoopCloser)
quitter = with_reader(Quitter)
leaking = with_reader(Leaking)
interrupting = with_reader(Interrupting)
waiting = with_reader(Waiting)
flaky = with_reader(Flaky)
chatty = with_reader(Chatty)
nameless = SimpleNamespace(open_connection=None, StreamReader=None)
