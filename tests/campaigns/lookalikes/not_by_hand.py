"""A lookalike whose readers and writers cannot be made or fed, and have no other methods."""

import inspect
from functools import wraps
from typing import Any

from . import plain

WHOLE = plain.Streams()


class Facade:
    """Shows some methods of an object that the program does not see.

    Args:
        whole: a reader or writer of `plain`.
    """

    kind: type
    methods: tuple[str, ...] = ()

    def __init__(self, whole: Any = None) -> None:
        if not isinstance(whole, self.kind):
            raise TypeError("these come from open_connection() and start_server() only")
        self._whole = whole

    def __init_subclass__(cls) -> None:
        """Give the class the methods that it shows."""
        for name in cls.methods:
            setattr(cls, name, passed_on(getattr(cls.kind, name)))


def passed_on(method: Any) -> Any:
    """Return a method that calls the same method of the whole."""

    @wraps(method)
    def call(self: Facade, *args: Any, **options: Any) -> Any:
        return method(self._whole, *args, **options)

    @wraps(method)
    async def wait(self: Facade, *args: Any, **options: Any) -> Any:
        return await method(self._whole, *args, **options)

    return wait if inspect.iscoroutinefunction(method) else call


class Reader(Facade):
    """The methods of the page, of a reader."""

    kind = plain.StreamReader
    methods = ("read", "readline", "readexactly", "readuntil", "at_eof", "feed_eof", "__anext__")

    def __aiter__(self) -> "Reader":
        return self


class Writer(Facade):
    """The methods of the page, of a writer."""

    _whole: plain.StreamWriter
    kind = plain.StreamWriter
    methods = (
        *("write", "writelines", "close", "can_write_eof", "write_eof", "get_extra_info"),
        *("drain", "start_tls", "is_closing", "wait_closed"),
    )

    @property
    def transport(self) -> Any:
        return self._whole.transport


class Streams:
    """The functions of the page, and two classes that cannot be instantiated."""

    StreamReader, StreamWriter = Reader, Writer

    async def open_connection(self, *args: Any, **options: Any) -> tuple[Reader, Writer]:
        reader, writer = await WHOLE.open_connection(*args, **options)
        return Reader(reader), Writer(writer)

    async def open_unix_connection(self, *args: Any, **options: Any) -> tuple[Reader, Writer]:
        reader, writer = await WHOLE.open_unix_connection(*args, **options)
        return Reader(reader), Writer(writer)

    async def start_server(self, client_connected_cb: Any, *args: Any, **options: Any) -> Any:
        return await WHOLE.start_server(showing(client_connected_cb), *args, **options)

    async def start_unix_server(self, client_connected_cb: Any, *args: Any, **options: Any) -> Any:
        return await WHOLE.start_unix_server(showing(client_connected_cb), *args, **options)


def showing(callback: Any) -> Any:
    """Return a callback like the one given, which gets facades."""
    if not callable(callback):
        return callback
    return lambda reader, writer: callback(Reader(reader), Writer(writer))


streams = Streams()
