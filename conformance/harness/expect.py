"""How a clause's test says what it expects, so that a certificate can say what was seen instead.

Tests use these instead of bare `assert`: each failure carries both halves of the sentence
"expected …; saw …", short enough to print.
"""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from conformance.errors import Deviation, described

LONGEST_VALUE = 120  # characters of a value's repr that are printed before it is shortened


def shown(value: object) -> str:
    """Return `value` as a certificate shows it: its repr, shortened, bytes with their length."""
    text = repr(value)
    if len(text) <= LONGEST_VALUE:
        return text
    size = f" ({len(value)} bytes)" if isinstance(value, bytes | bytearray) else ""
    return f"{text[: LONGEST_VALUE // 2]}…{text[-LONGEST_VALUE // 4 :]}{size}"


def expect(seen: object, expected: object, what: str = "") -> None:
    """Expect `seen` to equal `expected`.

    Args:
        seen: the value that the implementation gave.
        expected: the value that the clause asks for.
        what: what the value is (`"the line"`, `"LimitOverrunError.consumed"`), for the message.

    Raises:
        Deviation: they differ.
    """
    if seen != expected:
        label = f"{what} " if what else ""
        raise Deviation(f"{label}{shown(expected)}", f"{label}{shown(seen)}")


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
    """What `expect_raises()` caught; `error` is set when its block has ended."""

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
