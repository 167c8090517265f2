"""The reference, which takes note of each number that it is given, in which way, by which test.

It is plugged in as `recording:streams`, and writes to the file that RECORD names: a JSON array a
line, of the test's name, the argument, the way and the value.
"""

import asyncio
import json
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import reference_impl
from conformance.suite.arguments import WAYS


def note(argument: str, way: str, value: Any) -> None:
    """Take note of a value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[1].partition("[")[0]
        with open(os.environ["RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps([test, argument, way, value]) + "\n")


def way_of(function: str, options: dict[str, Any]) -> str:
    """Return what stands for the address, and whether with TLS."""
    way = WAYS[function][0]
    if options.get("sock") is not None:
        way = "sock"
    elif options.get("happy_eyeballs_delay") is not None:
        way = "happy eyeballs"
    return f"{way} with TLS" if options.get("ssl") else way


def recording(function: str) -> Callable[..., Any]:
    """Return a function of the page that takes note of its options."""

    async def call(*arguments: Any, **options: Any) -> Any:
        for name, value in options.items():
            note(f"{function}.{name}", way_of(function, options), value)
        return await getattr(reference_impl, function)(*arguments, **options)

    return call


def note_marks(transport: Any) -> None:
    """Let the class of `transport` take note of the marks."""
    kind = type(transport)
    set_limits = kind.set_write_buffer_limits
    if getattr(set_limits, "notes", False):
        return

    def noting(self: Any, high: int | None = None, low: int | None = None) -> None:
        note("set_write_buffer_limits.high", "", high)
        note("set_write_buffer_limits.low", "", low)
        set_limits(self, high, low)

    noting.notes = True  # type: ignore[attr-defined]  # so that it is wrapped once
    kind.set_write_buffer_limits = noting


class StreamReader(reference_impl.StreamReader):
    """Takes note of how much is to be read; it is fed by hand."""

    def __init__(self, limit: int = 65536, loop: asyncio.AbstractEventLoop | None = None) -> None:
        note("StreamReader.limit", "", limit)
        super().__init__(limit, loop)


def noting_method(owner: type, method: str, *arguments: str) -> None:
    """Let a method of the reference take note of its arguments."""
    original = getattr(owner, method)

    async def call(self: Any, *values: Any, **options: Any) -> Any:
        for name, value in (dict(zip(arguments, values, strict=False)) | options).items():
            note(f"{method}.{name}", "", value)
        return await original(self, *values, **options)

    setattr(owner, method, call)


class Noting:
    """The `transport` of the reference's writers, whose class takes note."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __get__(self, writer: Any, owner: type) -> Any:
        """Return the transport."""
        transport = self.original.__get__(writer, owner)
        note_marks(transport)
        return transport


def streams_() -> SimpleNamespace:
    """Return the implementation."""
    noting_method(reference_impl.StreamReader, "read", "n")
    noting_method(reference_impl.StreamReader, "readexactly", "n")
    noting_method(reference_impl.StreamWriter, "start_tls", "sslcontext")
    reference_impl.StreamWriter.transport = Noting(  # type: ignore[assignment, method-assign]
        reference_impl.StreamWriter.transport
    )
    return SimpleNamespace(
        **{name: recording(name) for name in WAYS},
        StreamReader=StreamReader,
        StreamWriter=reference_impl.StreamWriter,
        IncompleteReadError=reference_impl.IncompleteReadError,
        LimitOverrunError=reference_impl.LimitOverrunError,
    )


streams = streams_()
