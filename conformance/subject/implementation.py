"""The plug-in point: an implementation of the streams API, found by name."""

import asyncio
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib import metadata
from types import ModuleType
from typing import Any, NoReturn, cast

from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.clauses import version
from conformance.errors import CannotRun, NotApplicable, users_code
from conformance.subject.capabilities import (
    ARGUMENTS,
    CLASSES,
    lacking,
    names_lacking,
    offered_class,
    offered_function,
)

SPECS = ("3.11", "3.12", "3.13", "3.14", "3.15")
NEWEST_SPEC = SPECS[-1]

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Implementation:
    """An implementation of the streams API under test.

    Its attributes are the names of the streams page, taken from the object that was plugged in;
    the exceptions are asyncio's own where that object has none. Their types are spelled with
    asyncio's classes because that is the shape that an implementation promises.

    An object that offers only part of the page says so in attributes that
    `conformance.subject.capabilities` describes; a reader alone or a pair is an adapter. Clauses
    about the other parts are then not applicable.

    Attributes:
        name: its name, as the user gave it: `"asyncio"`, `"mypackage.streams"`,
            `"module:attribute"`.
        adapter: how its ends are made, if not by the functions of the page.
        without: the parts that it lacks, by the names of `conformance.subject.capabilities`.
        far_without: the parts that the second end of a pair lacks.
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
                it lacks a name that does not exist.
        """
        self.name = name
        if isinstance(target, type) and issubclass(target, ReaderAdapter | PairAdapter):
            if needed := _needed(target):
                raise CannotRun(
                    f"{name} is a class that needs {', '.join(needed)}: plug in an instance of it"
                )
            target = target()
        self.adapter = target if isinstance(target, ReaderAdapter | PairAdapter) else None
        self.without = lacking(name, target)
        self.far_without = self.without
        if isinstance(target, PairAdapter) and target.far_without is not None:
            self.far_without = names_lacking(f"{name}.far_without", target.far_without)
        if self.adapter is None:
            self._take(target)
        elif isinstance(target, PairAdapter):
            _check_capacity(name, target.unread_capacity)
            for each in ("virtual_time", "one_end"):
                _check_flag(f"{name}.{each}", getattr(target, each))
        if named := getattr(self.adapter, "distribution", None):
            _check_distribution(name, named)
        for each in ("IncompleteReadError", "LimitOverrunError"):
            if each not in self.without:
                setattr(self, each, getattr(target, each, getattr(asyncio, each)))

    def _take(self, target: object) -> None:
        """Take the names that `target` offers; `CannotRun` if it lacks some and does not say so."""
        names = [each for each in (*ARGUMENTS, *CLASSES) if each not in self.without]
        missing = [each for each in names if not callable(getattr(target, each, None))]
        if missing:
            raise CannotRun(
                f"{self.name} lacks {', '.join(missing)}: "
                + (
                    _meant(self.name, target)
                    or "an implementation has the names of the streams page, or lists in "
                    "`without` those it lacks"
                )
            )
        methods = [each for each in names if _is_method(target, each)]
        if methods:
            raise CannotRun(
                f"{self.name} is a class, and {', '.join(f'{each}()' for each in methods)} are "
                "its methods: plug in an instance of it"
            )
        for each in names:
            offer = offered_function if each in ARGUMENTS else offered_class
            setattr(self, each, offer(each, getattr(target, each), self.without))

    def __getattr__(self, name: str) -> NoReturn:
        """Raise `NotApplicable` for a name that was not plugged in."""
        if name in (*ARGUMENTS, *CLASSES, "LimitOverrunError"):
            raise NotApplicable(f"{name} is not offered")
        raise AttributeError(name)

    @property
    def distribution(self) -> str | None:
        """The name of the distribution that it comes from, if it comes from one."""
        named = None if self.adapter is None else self.adapter.distribution
        return named or distribution_of(self.name)

    @property
    def default_spec(self) -> str:
        """The specification that it is held to by default.

        The standard library is held to the documentation of the Python that it came with; everyone
        else to the newest.
        """
        if self.name in ("asyncio", "asyncio.streams"):
            running = f"{sys.version_info.major}.{sys.version_info.minor}"
            return min(running, NEWEST_SPEC, key=version)
        return NEWEST_SPEC


def _needed(kind: type) -> list[str]:
    """Return the names of the arguments that a class requires to make an instance."""
    return [
        each.name
        for each in inspect.signature(kind).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]


def _check_capacity(name: str, capacity: object) -> None:
    if not isinstance(capacity, int) or capacity <= 0:
        raise CannotRun(f"{name}.unread_capacity is {capacity!r}: give a number of bytes")


def _check_flag(attribute: str, flag: object) -> None:
    if not isinstance(flag, bool):
        raise CannotRun(f"{attribute} is {flag!r}: give True or False")


def _check_distribution(name: str, distribution: object) -> None:
    try:
        metadata.version(str(distribution))
    except (metadata.PackageNotFoundError, ValueError):
        raise CannotRun(
            f"{name}.distribution is {distribution!r}: no distribution of that name is installed"
        ) from None


def _meant(name: str, target: object) -> str:
    """Return advice about a target that is not an implementation, if a guess is possible."""
    if isinstance(target, ModuleType):
        adapters = [
            f"{name}:{key}"
            for key, value in vars(target).items()
            if isinstance(value, type) and value.__module__ == target.__name__
            if issubclass(value, ReaderAdapter | PairAdapter)
        ]
        return f"give one of its adapters: {', '.join(adapters)}" if adapters else ""
    for kind, method in ((PairAdapter, "pair"), (ReaderAdapter, "feed_data")):
        if hasattr(target, method):
            return f"an adapter is a subclass of conformance.{kind.__name__}"
    if inspect.isroutine(target):
        return "it is a function: give an attribute that holds what it makes"
    return ""


def _is_method(owner: object, name: str) -> bool:
    """Return whether `owner` is a class, and its function of that name takes an instance."""
    if not isinstance(owner, type):
        return False
    found = inspect.getattr_static(owner, name)
    return (
        inspect.isfunction(found) and next(iter(inspect.signature(found).parameters), "") == "self"
    )


def distribution_of(name: str) -> str | None:
    """Return the distribution that `package.module:attribute` comes from; `None` if it is none."""
    package = name.partition(":")[0].partition(".")[0]
    if package in sys.stdlib_module_names:
        return None
    return next(iter(_distributions().get(package, ())), None)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each package; this looks at each installed file."""
    return metadata.packages_distributions()


def load(name: str) -> object:
    """Import what `name` names: `package.module`, or `package.module:attribute.path`.

    Raises:
        CannotRun: the module does not import, or lacks the attribute; the message says which.
    """
    module_name, colon, path = name.partition(":")
    words = [*module_name.split("."), *(path.split(".") if colon else ())]
    if not all(word.isidentifier() for word in words):
        raise CannotRun(
            f"{name!r} is not an importable name: give package.module or package.module:attribute"
        )
    if os.getcwd() not in sys.path:
        # A module in the working directory can be named too; last, so that the suite is the one
        # that is installed also where its sources are.
        sys.path.append(os.getcwd())
    with users_code(f"import {module_name!r}"):
        target: Any = _imported(module_name)
    with users_code(f"find {name!r}"):
        for attribute in path.split(".") if path else ():
            if not hasattr(target, attribute):
                kind = "module" if isinstance(target, ModuleType) else "object"
                raise CannotRun(f"cannot find {name!r}: the {kind} has no attribute {attribute!r}")
            target = getattr(target, attribute)
    return cast(object, target)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module exists, and something that it imports does not
        raise CannotRun(
            f"cannot import {name!r}: there is no module {error.name!r} "
            + (
                "(a module's name has no .py)"
                if name.endswith(".py")
                else f"in {os.getcwd()!r} or where Python looks: {sys.executable}"
            )
        ) from None


def implementation(name: str) -> Implementation:
    """Return the implementation that the user calls `name`.

    Raises:
        CannotRun: it cannot be imported, or lacks names.
    """
    target = load(name)
    with users_code(f"plug in {name!r}"):
        return Implementation(name, target)


def checked_spec(text: str) -> str:
    """Return `text` if it is a specification version that exists.

    Raises:
        CannotRun: it is not.
    """
    if text not in SPECS:
        raise CannotRun(
            f"unknown specification {text!r}: give a version from {SPECS[0]} to {NEWEST_SPEC}"
        )
    return text
