"""A lookalike whose readers, writers and servers have classes of their own.

They have slots and no weak references, are false and cannot be hashed; most of their methods are
objects without a name. A reader's iterator is an async generator, not the reader itself, and its
exceptions are none of asyncio's. A server's sockets are a list, and None while it does not listen.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from . import plain

WHOLE = plain.Streams()


class Duck:
    """Forwards the attributes in `names` to another object.

    Args:
        whole: that object.
    """

    __slots__ = ("_whole",)
    __hash__ = None  # type: ignore[assignment]  # what nobody needs
    names: tuple[str, ...] = ()

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the whole object."""
        if name not in self.names:
            raise AttributeError(f"{type(self).__name__} has no {name}", name=name, obj=self)
        found = getattr(self._whole, name)
        return partial(found) if callable(found) else found


class IncompleteReadError(EOFError):
    """The stream has ended before a read had its bytes."""

    def __init__(self, partial: bytes, expected: int | None) -> None:
        super().__init__(partial, expected)
        self.partial = partial
        self.expected = expected


class LimitOverrunError(Exception):
    """There is no separator within the limit."""

    def __init__(self, message: str, consumed: int) -> None:
        super().__init__(message, consumed)
        self.consumed = consumed


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise exceptions of our own instead of asyncio's."""
    try:
        yield
    except asyncio.IncompleteReadError as error:
        raise IncompleteReadError(error.partial, error.expected) from None
    except asyncio.LimitOverrunError as error:
        raise LimitOverrunError(str(error), error.consumed) from None


class Reader(Duck):
    """A reader."""

    __slots__ = ()
    names = (
        *("read", "readline", "at_eof", "feed_eof", "feed_data"),
        *("exception", "set_exception", "set_transport"),
    )

    def __init__(self, limit: Any = plain.LIMIT, loop: Any = None) -> None:
        received = isinstance(limit, plain.StreamReader)
        super().__init__(limit if received else plain.StreamReader(limit, loop))

    async def readexactly(self, n: int) -> bytes:
        with own_errors():
            data: bytes = await self._whole.readexactly(n)
        return data

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        with own_errors():
            data: bytes = await self._whole.readuntil(separator)
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while line := await self._whole.readline():
            yield line


class Writer(Duck):
    """A writer."""

    __slots__ = ()
    names = (
        *("write", "writelines", "close", "can_write_eof", "write_eof", "transport", "drain"),
        *("get_extra_info", "start_tls", "is_closing", "wait_closed"),
    )


class Server(Duck):
    """A server."""

    __slots__ = ()
    names = (
        *("get_loop", "is_serving", "start_serving", "serve_forever", "close", "wait_closed"),
        *("close_clients", "abort_clients"),
    )

    @property
    def sockets(self) -> Any:
        return list(self._whole.sockets) if self.is_serving() else None

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()
        await self.wait_closed()


class Ends(NamedTuple):
    """The result of connecting."""

    reader: Reader
    writer: Writer


class Streams:
    """The names of the page."""

    without = frozenset({"StreamWriter.__init__"})
    StreamReader, StreamWriter = Reader, Writer
    IncompleteReadError, LimitOverrunError = IncompleteReadError, LimitOverrunError

    async def open_connection(self, *args: Any, **options: Any) -> Ends:
        reader, writer = await WHOLE.open_connection(*args, **options)
        return Ends(Reader(reader), Writer(writer))

    async def open_unix_connection(self, *args: Any, **options: Any) -> Ends:
        reader, writer = await WHOLE.open_unix_connection(*args, **options)
        return Ends(Reader(reader), Writer(writer))

    async def start_server(self, client_connected_cb: Any, *args: Any, **options: Any) -> Server:
        return Server(await WHOLE.start_server(given(client_connected_cb), *args, **options))

    async def start_unix_server(
        self, client_connected_cb: Any, *args: Any, **options: Any
    ) -> Server:
        return Server(await WHOLE.start_unix_server(given(client_connected_cb), *args, **options))


def given(callback: Any) -> Any:
    """Return a callback like the one given, which gets ducks."""
    if not callable(callback):
        return callback
    return lambda reader, writer: callback(Reader(reader), Writer(writer))


streams = Streams()
