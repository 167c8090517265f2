"""The suite's own exceptions: some stop a certification, some end a test."""

import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, MappingProxyType

_SUITE = str(Path(__file__).parent) + os.sep
_FAKES = str(Path(__file__).parents[1] / "fakes") + os.sep
_IMPORTLIB = str(Path(importlib.__file__).parent) + os.sep
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = ("site-packages", "dist-packages")


class CannotRun(Exception):
    """The certification cannot be run at all.

    Its message is one line for the user: what is wrong and what to do. The command line prints it
    and exits with status 2.
    """


class Stopped(KeyboardInterrupt):
    """The suite stops a run: at the user's wish, or because it takes too long.

    A `KeyboardInterrupt`, because that passes through an event loop's callbacks and tasks.
    """


@contextmanager
def users_code(doing: str) -> Iterator[None]:
    """Run code of the user's before there is any test, whatever it raises.

    Args:
        doing: the purpose of the code, as in `"import 'mypackage.streams'"`.

    Raises:
        CannotRun: it raised something, be it `SystemExit`.
    """
    try:
        yield
    except (CannotRun, Stopped):
        raise
    except BaseException as error:
        place = raised_in(error)
        raise CannotRun(
            f"cannot {doing}: {described(error)}" + (f" ({place})" if place else "")
        ) from error


def raised_in(error: BaseException) -> str:
    """Return the file and the line that `error` came from: the innermost line of the user's.

    Lines of the suite and of the network in memory, which stands for the kernel, do not count;
    lines of the standard library count only if there is no other.

    It is empty if all of them are, or if the error's message says it.
    """
    if isinstance(error, SyntaxError):
        return ""  # its message says where
    lines = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    while lines and not lines[0][0].startswith(_SUITE):
        del lines[0]  # frames of the suite's caller
    found = [
        (file, line)
        for file, line in reversed(lines)
        if not file.startswith((_SUITE, _FAKES, _IMPORTLIB, "<frozen importlib"))
    ]
    users = [each for each in found if not is_standard(each[0])]
    for file, line in users or found:
        return f"{place_of(file)}:{line}"
    return ""


def is_standard(file: str) -> bool:
    """Return whether a source file is one of the standard library's."""
    within = file.removeprefix(_STANDARD)
    return within != file and not within.startswith(_INSTALLED)


def is_suites(file: str) -> bool:
    """Return whether a source file is one of the suite's."""
    return file.startswith(_SUITE)


def place_of(file: str) -> str:
    """Return the name of a source file without the part that differs from machine to machine."""
    folders = [*(each for each in sys.path if each), os.getcwd()]
    within = [each for each in folders if file.startswith(each.rstrip("/") + "/")]
    return file[len(max(within, key=len).rstrip("/")) + 1 :] if within else file


def described(error: BaseException) -> str:
    """Return an exception in one line: its class and its message."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def seen_of(error: BaseException) -> str:
    """Return what was seen when `error` was raised: the exception, and where it comes from."""
    place = raised_in(error)
    return described(error) + (f", raised in {place}" if place else "")


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
    """The clause does not apply: the implementation does not offer what the clause is about.

    A `BaseException`, so that no test takes it for the implementation's answer. Its message says
    what is not offered.
    """


class Hang(Deviation):
    """A test did not end within its bound.

    Args:
        expected: what did not happen.
        seen: which coroutine waits, and at which line.
        lines: the line at which each coroutine from the test on waits, by its code. The test need
            not be the outermost one: another may run it on a connection of its own.
    """

    def __init__(
        self, expected: str, seen: str, lines: Mapping[CodeType, int] = MappingProxyType({})
    ) -> None:
        super().__init__(expected, seen)
        self.lines = lines


LONGEST_VALUE = 120  # characters of a value's repr that are printed before it is shortened


def shown(value: object) -> str:
    """Return `value` as a certificate shows it: its repr, shortened, bytes with their length."""
    text = repr(value)
    if len(text) <= LONGEST_VALUE:
        return text
    size = f" ({len(value)} bytes)" if isinstance(value, bytes | bytearray) else ""
    return f"{text[: LONGEST_VALUE // 2]}…{text[-LONGEST_VALUE // 4 :]}{size}"
