"""The plug-in point: an implementation of the streams API, found by name."""

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, NoReturn, cast

from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.capabilities import ARGUMENTS, CLASSES, lacking, offered_function
from conformance.clauses import version
from conformance.errors import CannotRun, NotApplicable, users_code

SPECS = ("3.11", "3.12", "3.13", "3.14", "3.15")
NEWEST_SPEC = SPECS[-1]

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Implementation:
    """An implementation of the streams API under test.

    Its attributes are the names of the streams page, taken from the object that was plugged in;
    the exceptions are asyncio's own where that object has none. Their types are spelled with
    asyncio's classes because that is the shape that an implementation promises.

    What offers only part of the page says so, in attributes that `conformance.capabilities`
    describes; a reader alone or a pair is an adapter. A clause about what is lacking is then not
    applicable.

    Attributes:
        name: what the user called it: `"asyncio"`, `"mypackage.streams"`, `"module:attribute"`.
        adapter: how its ends are made, if not by the functions of the page.
        without: what it lacks, by the names of `conformance.capabilities`.
    """

    open_connection: Callable[..., Awaitable[Pair]]
    start_server: Callable[..., Awaitable[asyncio.Server]]
    open_unix_connection: Callable[..., Awaitable[Pair]]
    start_unix_server: Callable[..., Awaitable[asyncio.Server]]
    StreamReader: type[asyncio.StreamReader]
    StreamWriter: type[asyncio.StreamWriter]
    IncompleteReadError: type[asyncio.IncompleteReadError]
    LimitOverrunError: type[asyncio.LimitOverrunError]

    def __init__(self, name: str, target: object) -> None:
        """Plug in `target` under `name`.

        Raises:
            CannotRun: it lacks a name that the streams page lists and does not say so, or says that
                it lacks what there is not.
        """
        self.name = name
        if isinstance(target, type) and issubclass(target, ReaderAdapter | PairAdapter):
            target = target()
        self.adapter = target if isinstance(target, ReaderAdapter | PairAdapter) else None
        self.without = lacking(name, target)
        if self.adapter is None:
            self._take(target)
        for each in ("IncompleteReadError", "LimitOverrunError"):
            setattr(self, each, getattr(target, each, getattr(asyncio, each)))

    def _take(self, target: object) -> None:
        """Take what `target` offers; `CannotRun` if it lacks something and does not say so."""
        names = [each for each in (*ARGUMENTS, *CLASSES) if each not in self.without]
        missing = [each for each in names if not callable(getattr(target, each, None))]
        if missing:
            raise CannotRun(
                f"{self.name} lacks {', '.join(missing)}: an implementation has the names of the "
                "streams page, or says in `without` which it lacks"
            )
        for each in names:
            found = getattr(target, each)
            if each in ARGUMENTS:
                found = offered_function(each, found, self.without)
            setattr(self, each, found)

    def __getattr__(self, name: str) -> NoReturn:
        """Say that what was not plugged in is not offered."""
        if name in (*ARGUMENTS, *CLASSES):
            raise NotApplicable(f"{name} is not offered")
        raise AttributeError(name)

    @property
    def default_spec(self) -> str:
        """The specification that it is held to unless the user says otherwise.

        The standard library is held to the documentation of the Python that it came with; everyone
        else to the newest.
        """
        if self.name in ("asyncio", "asyncio.streams"):
            running = f"{sys.version_info.major}.{sys.version_info.minor}"
            return min(running, NEWEST_SPEC, key=version)
        return NEWEST_SPEC


def load(name: str) -> object:
    """Import what `name` names: `package.module`, or `package.module:attribute.path`.

    Raises:
        CannotRun: the module does not import, or lacks the attribute; the message says which.
    """
    module_name, colon, path = name.partition(":")
    words = [*module_name.split("."), *(path.split(".") if colon else ())]
    if not all(word.isidentifier() for word in words):
        raise CannotRun(f"no name: {name!r}: give package.module or package.module:attribute")
    if os.getcwd() not in sys.path:
        # A module in the working directory can be named too; last, so that the suite is the one
        # that is installed also where its sources are.
        sys.path.append(os.getcwd())
    with users_code(f"import {module_name!r}"):
        target: Any = importlib.import_module(module_name)
    with users_code(f"find {name!r}"):
        for attribute in path.split(".") if path else ():
            if not hasattr(target, attribute):
                kind = "module" if isinstance(target, ModuleType) else "object"
                raise CannotRun(f"cannot find {name!r}: the {kind} has no attribute {attribute!r}")
            target = getattr(target, attribute)
    return cast(object, target)


def implementation(name: str) -> Implementation:
    """Return the implementation that the user calls `name`.

    Raises:
        CannotRun: it cannot be imported, or lacks names.
    """
    target = load(name)
    with users_code(f"plug in {name!r}"):
        return Implementation(name, target)


def checked_spec(text: str) -> str:
    """Return `text` if it is a specification version that there is.

    Raises:
        CannotRun: it is not.
    """
    if text not in SPECS:
        raise CannotRun(
            f"unknown specification {text!r}: give a version from {SPECS[0]} to {NEWEST_SPEC}"
        )
    return text
