"""Expectations of a test, in words for the certificate.

Tests use these instead of bare `assert`: each failure carries both halves of the sentence
"expected …; saw …", short enough to print.
"""

import ast
import asyncio
import linecache
import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from conformance.errors import LONGEST_VALUE, Deviation, described, shown


def expect(seen: object, expected: object, what: str = "") -> None:
    """Expect `seen` to equal `expected`.

    Args:
        seen: the value that the implementation gave.
        expected: the value that the clause asks for.
        what: the name of the value (`"the line"`, `"LimitOverrunError.consumed"`), for the message;
            by default the expression that gave it.

    Raises:
        Deviation: they differ.
    """
    if seen != expected:
        raise _difference(seen, expected, what, sys._getframe(1))


def _difference(seen: object, expected: object, what: str, frame: FrameType) -> Deviation:
    if isinstance(seen, bytes) and isinstance(expected, bytes) and len(expected) > LONGEST_VALUE:
        expected_text, seen_text = _first_difference(seen, expected)
    else:
        expected_text, seen_text = shown(expected), shown(seen)
    if what:
        return Deviation(f"{what} {expected_text}", f"{what} {seen_text}")
    expression = _expression(frame)
    verb = "return" if expression.startswith("await ") else "be"
    return Deviation(
        f"`{expression}` to {verb} {expected_text}" if expression else expected_text, seen_text
    )


def expect_pending(task: "asyncio.Task[Any]", call: str) -> None:
    """Expect `task` to keep waiting.

    Args:
        task: the task.
        call: the call that it waits for, such as `"readexactly(4)"`.

    Raises:
        Deviation: it has ended; the message says how.
    """
    if task.done():
        raise Deviation(f"{call} to keep waiting", outcome(task))


def expect_done(task: "asyncio.Task[Any]", call: str) -> None:
    """Expect `task` to have ended, by returning or raising; see `expect_pending()`.

    Raises:
        Deviation: it still waits.
    """
    if not task.done():
        raise Deviation(f"{call} to have ended", "it still waits")


def outcome(task: "asyncio.Task[Any]") -> str:
    """Return, in words, how `task` has ended."""
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    return f"it raised {described(error)}" if error else f"it returned {shown(task.result())}"


def _first_difference(seen: bytes, expected: bytes) -> tuple[str, str]:
    """Return, in words, where two long byte strings differ: the expected and the seen bytes."""
    pairs = enumerate(zip(seen, expected, strict=False))
    at = next((place for place, (one, other) in pairs if one != other), None)
    at = min(len(seen), len(expected)) if at is None else at

    def there(data: bytes) -> str:
        here = shown(data[at : at + 16]) if at < len(data) else "the end"
        return f"{len(data)} bytes, with {here} at {at}"

    return there(expected), there(seen)


def _expression(frame: FrameType) -> str:
    """Return the first argument of the call that `frame` is in, as it stands in the source."""
    line, end_line, column, end_column = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    if line is None or end_line is None or column is None or end_column is None:
        return ""
    lines = [linecache.getline(frame.f_code.co_filename, n) for n in range(line, end_line + 1)]
    lines[-1] = lines[-1].encode()[:end_column].decode()
    lines[0] = lines[0].encode()[column:].decode()
    try:
        call = ast.parse("".join(lines), mode="eval").body
    except SyntaxError:
        return ""
    return ast.unparse(call.args[0]) if isinstance(call, ast.Call) and call.args else ""


def expect_bytes(value: object, what: str) -> None:
    """Expect `value` to be bytes: an object of that class, or of a subclass.

    Args:
        value: what the implementation gave.
        what: the call that gave it, such as `"read(1)"`.

    Raises:
        Deviation: it is of another type.
    """
    if not isinstance(value, bytes):
        raise Deviation(f"{what} of type {bytes}", f"{what} of type {type(value)}")


def expect_that(holds: bool, expected: str, seen: object) -> None:
    """Expect a condition that is not an equality.

    Args:
        holds: whether the condition holds.
        expected: the condition in words.
        seen: what was seen; a string is printed as it is, anything else by its repr.

    Raises:
        Deviation: it does not hold.
    """
    if not holds:
        raise Deviation(expected, seen if isinstance(seen, str) else shown(seen))


class Raised:
    """The exception that `expect_raises()` caught; `error` is set when its block has ended."""

    error: Any


@contextmanager
def expect_raises(kind: type[BaseException] | tuple[type[BaseException], ...]) -> Iterator[Raised]:
    """Expect the block to raise an exception of `kind` (or a subclass).

    Args:
        kind: the class, or classes, of which the exception must be an instance.

    Yields:
        An object whose `error` is the exception, once the block has ended.

    Raises:
        Deviation: nothing was raised, or something else.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = " or ".join(each.__name__ for each in kinds)
    raised = Raised()
    try:
        yield raised
    except kinds as error:
        raised.error = error
    except Exception as error:
        raise Deviation(f"{names} to be raised", described(error)) from error
    else:
        raise Deviation(f"{names} to be raised", "no exception")


async def expect_error(
    kind: type[BaseException] | tuple[type[BaseException], ...], awaitable: Awaitable[object]
) -> Any:
    """Expect awaiting `awaitable` to raise an exception of `kind`; return the exception.

    Like `expect_raises()`, and when nothing is raised the message shows what was returned.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = " or ".join(each.__name__ for each in kinds)
    try:
        result = await awaitable
    except kinds as error:
        return error
    except Exception as error:
        raise Deviation(f"{names} to be raised", described(error)) from error
    raise Deviation(f"{names} to be raised", f"{shown(result)} returned")
