"""The suite's own exceptions: what stops a certification, and what ends a test."""


class CannotRun(Exception):
    """The certification cannot be run at all.

    Its message is one line for the user: what is wrong and what to do. The command line prints it
    and exits with status 2.
    """


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
