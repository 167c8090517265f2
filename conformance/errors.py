"""The suite's own exceptions: what stops a certification, and what ends a test."""

from collections.abc import Iterator
from contextlib import contextmanager


class CannotRun(Exception):
    """The certification cannot be run at all.

    Its message is one line for the user: what is wrong and what to do. The command line prints it
    and exits with status 2.
    """


@contextmanager
def users_code(doing: str) -> Iterator[None]:
    """Let code of the user's run before there is any test, whatever it raises.

    Args:
        doing: what it is run for, as in `"import 'mypackage.streams'"`.

    Raises:
        CannotRun: it raised something, be it `SystemExit`.
    """
    try:
        yield
    except CannotRun:
        raise
    except BaseException as error:
        raise CannotRun(f"cannot {doing}: {described(error)}") from error


def described(error: BaseException) -> str:
    """Return an exception in one line: its class and its message."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {message}" if message else name


class Deviation(AssertionError):
    """The implementation did something other than what the clause says.

    Args:
        expected: what the clause asks for, in words or as a value's repr.
        seen: what the implementation did.
    """

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; saw {seen}")
        self.expected = expected
        self.seen = seen


class NotApplicable(BaseException):
    """The clause cannot be asked of this implementation, which does not offer what it is about.

    A `BaseException`, so that no test takes it for the implementation's answer. Its message says
    what is not offered.
    """


class Hang(AssertionError):
    """A test did not end within its bound."""
