"""The part of the streams API that an implementation has; the rest does not count against it.

An implementation lists what it lacks in an attribute `without`, a set of names. `LACKABLE` has all
of them: functions and classes (`"start_server"`), their arguments (`"open_connection.ssl"`),
attributes (`"StreamWriter.transport"`, and of that `"StreamWriter.transport.abort"`), single keys
of the extra information (`"StreamWriter.get_extra_info.cipher"`), networks that it cannot be on
(`"memory"`), and properties of streams as a whole (`QUALITIES`). An object with few names may list
in `capabilities` the functions and classes that it has, instead of those that it lacks.

A clause about a lacking part is not applicable: in a trial, using that part ends the test.
"""

import inspect
from collections.abc import Callable, Collection
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn

from conformance.errors import CannotRun, NotApplicable
from conformance.networks import NETWORKS

CLASSES = ("StreamReader", "StreamWriter")

_TLS = ("ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout")

ARGUMENTS = {
    "open_connection": (
        *("limit", "family", "proto", "flags", "sock", "local_addr", "server_hostname"),
        *("happy_eyeballs_delay", "interleave", *_TLS),
    ),
    "start_server": (
        *("limit", "family", "flags", "sock", "backlog", "reuse_address", "reuse_port"),
        *("keep_alive", "start_serving", *_TLS),
    ),
    "open_unix_connection": ("limit", "sock", "server_hostname", *_TLS),
    "start_unix_server": ("limit", "sock", "backlog", "start_serving", "cleanup_socket", *_TLS),
}
"""The functions of the page, each with the arguments that it may lack."""

EXTRA_INFO = (
    *("peername", "sockname", "socket"),
    *("cipher", "compression", "peercert", "ssl_object", "sslcontext"),
)
"""The keys of the extra information, of a writer and of its transport."""

TRANSPORT = (
    *("abort", "close", "is_closing", "get_extra_info", "get_protocol", "set_protocol"),
    *("is_reading", "pause_reading", "resume_reading", "write", "writelines"),
    *("can_write_eof", "write_eof", "get_write_buffer_size"),
    *("get_write_buffer_limits", "set_write_buffer_limits"),
)
"""The attributes of a writer's transport."""

ATTRIBUTES = {
    "StreamReader": (
        *(
            "__init__",
            "read",
            "readline",
            "readexactly",
            "readuntil",
            "at_eof",
            "feed_eof",
            "__aiter__",
        ),
        *("feed_data", "exception", "set_exception", "set_transport"),
        "readuntil.tuple",
    ),
    "StreamWriter": (
        *("__init__", "write", "writelines", "close", "can_write_eof", "write_eof", "transport"),
        *("get_extra_info", "drain", "start_tls", "is_closing", "wait_closed"),
        *(f"get_extra_info.{key}" for key in EXTRA_INFO),
        *(f"transport.{name}" for name in TRANSPORT),
    ),
    "Server": (
        *("sockets", "get_loop", "is_serving", "start_serving", "serve_forever", "close"),
        *("wait_closed", "close_clients", "abort_clients", "__aenter__"),
    ),
}
"""The attributes that readers, writers and servers may lack."""

CUSTOMARY = frozenset({"__init__", "feed_data", "exception", "set_exception", "set_transport"})
"""Those of `ATTRIBUTES` that the page does not list."""

QUALITIES = {
    "limit": "readers that keep to a limit, given or not",
    "joined-directions": "a close() that ends both directions: that of a pipe does not",
}
"""Properties of streams as a whole that an implementation may lack."""

IMPLIED = {"limit": frozenset({"LimitOverrunError", *(f"{name}.limit" for name in ARGUMENTS)})}
"""The names that a lacking quality takes with it."""

LACKABLE = frozenset(
    {*ARGUMENTS, *CLASSES, *NETWORKS, *QUALITIES}
    | {f"{owner}.{name}" for owner, names in (ARGUMENTS | ATTRIBUTES).items() for name in names}
)
"""The names that `without` may have."""


def lacking(name: str, target: object) -> frozenset[str]:
    """Return the names that `target`, which the user calls `name`, says that it lacks.

    Raises:
        CannotRun: it says so of a name that does not exist.
    """
    without = names_lacking(f"{name}.without", getattr(target, "without", ()))
    names = (*ARGUMENTS, *CLASSES)
    capabilities: Collection[str] = getattr(target, "capabilities", names)
    _check(f"{name}.capabilities", capabilities, names)
    return without | (frozenset(names) - frozenset(capabilities))


def names_lacking(attribute: str, given: Collection[str]) -> frozenset[str]:
    """Return the names in `given`, which `attribute` holds, and those that they imply.

    Raises:
        CannotRun: one of them is not a name in `LACKABLE`.
    """
    _check(attribute, given, sorted(LACKABLE))
    implied = (IMPLIED.get(each, frozenset()) for each in given)
    return frozenset(given).union(*implied)


def _check(attribute: str, given: Collection[str], known: Collection[str]) -> None:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise CannotRun(f"{attribute} is {given!r}: give a set of names")
    if unknown := sorted(str(each) for each in given if each not in known):
        raise CannotRun(
            f"{attribute} has {', '.join(unknown)}: it may have {', '.join(_near(unknown, known))}"
        )


def _near(unknown: Collection[str], known: Collection[str]) -> list[str]:
    """Return the names in `known` that unknown names may mean."""
    near: list[str] = []
    for each in unknown:
        last = each.rpartition(".")[2]
        near += [one for one in known if one.rpartition(".")[2] == last]
        near += get_close_matches(each, known)
    if near:
        return list(dict.fromkeys(near))
    # Names of the same function or class are enough, if there are any.
    owners = {each.partition(".")[0] for each in unknown}
    return [each for each in known if each.partition(".")[0] in owners] or list(known)


def asked_about(clause: str) -> frozenset[str]:
    """Return the names in `LACKABLE` that the clause of that id is about.

    A clause's id begins with the name of a function or attribute, or with its owner's.
    """
    first, second = clause.replace("-", "_").split(".")[:2]
    owners = {"reader": "StreamReader", "server": "Server", "transport": "StreamWriter.transport"}
    names = {f"{each}.{first}" for each in CLASSES}
    names |= {f"{each}.{second}" for each in (*names, owners.get(first, ""))}
    return frozenset(names & LACKABLE)


def lackable(attribute: str | None) -> list[str]:
    """Return the names in `LACKABLE` of the attributes of that name."""
    return sorted(each for each in LACKABLE if each.rpartition(".")[2] == attribute)


def require(name: str, without: frozenset[str]) -> None:
    """Return if `name` is offered.

    Raises:
        NotApplicable: it is not.
    """
    if name in without:
        raise NotApplicable(f"{name} is not offered")


class Part:
    """A reader, a writer, its transport or a server, without the attributes that `without` names.

    Args:
        kind: `"StreamReader"`, `"StreamWriter"`, `"StreamWriter.transport"` or `"Server"`.
        whole: the reader, writer, transport or server.
        without: the names that are lacking.
    """

    def __init__(self, kind: str, whole: Any, without: frozenset[str]) -> None:
        self._kind = kind
        self._whole = whole
        self._without = without

    @property  # type: ignore[misc]  # so that isinstance() answers for the whole
    def __class__(self) -> type:
        """The class of the whole."""
        return type(self._whole)

    def __repr__(self) -> str:
        """Show the whole object."""
        return repr(self._whole)

    def __getattr__(self, name: str) -> Any:
        """Return the attribute, if it is offered."""
        require(f"{self._kind}.{name}", self._without)
        found = getattr(self._whole, name)
        if name == "transport":
            return offered("StreamWriter.transport", found, self._without)
        if name == "get_extra_info":
            return partial(self._extra_info, found)
        if name == "readuntil":
            return partial(self._read_until, found)
        return found

    def _extra_info(self, get: Callable[..., Any], *args: Any, **options: Any) -> Any:
        key = args[0] if args else options.get("name")
        require(f"StreamWriter.get_extra_info.{key}", self._without)
        return get(*args, **options)

    async def _read_until(self, read: Callable[..., Any], *args: Any, **options: Any) -> Any:
        for separator in (*args, *options.values()):
            if isinstance(separator, tuple):
                require("StreamReader.readuntil.tuple", self._without)
        return await read(*args, **options)

    def __aiter__(self) -> Any:
        """Iterate, if that is offered."""
        require(f"{self._kind}.__aiter__", self._without)
        return aiter(self._whole)

    async def __aenter__(self) -> Any:
        """Enter, if that is offered."""
        require(f"{self._kind}.__aenter__", self._without)
        entered = await self._whole.__aenter__()
        return self if entered is self._whole else entered

    async def __aexit__(self, *error: Any) -> Any:
        """Exit."""
        return await self._whole.__aexit__(*error)


class PartOfClass(Part):
    """A class of readers or of writers, without the attributes that `without` names."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Make one, if it can be made by hand."""
        require(f"{self._kind}.__init__", self._without)
        if self._kind == "StreamReader" and (args or "limit" in options):
            require("limit", self._without)
        return offered(self._kind, self._whole(*args, **options), self._without)

    def __instancecheck__(self, instance: object) -> bool:
        """Do it for the whole object."""
        return isinstance(instance, self._whole)


def offered_class(kind: str, whole: Any, without: frozenset[str]) -> Any:
    """Return a class of readers or of writers, without the parts that it lacks."""
    return PartOfClass(kind, whole, without) if _lacks_some(kind, without) else whole


def offered(kind: str, whole: Any, without: frozenset[str]) -> Any:
    """Return a reader, a writer or a server, without the parts that it lacks."""
    return Part(kind, whole, without) if _lacks_some(kind, without) else whole


def _lacks_some(kind: str, without: frozenset[str]) -> bool:
    # The limit is an argument of a class, and the extra information that of the transport, too.
    lacks_limit = kind == "StreamReader" and "limit" in without
    owner = "StreamWriter.get_extra_info." if kind == "StreamWriter.transport" else f"{kind}."
    return lacks_limit or any(each.startswith((f"{kind}.", owner)) for each in without)


def offered_function(name: str, function: Any, without: frozenset[str]) -> Any:
    """Return a function of the page; it and its results are without the parts that are lacking."""
    if not any("." in each for each in without):
        return function

    def pair(reader: Any, writer: Any) -> tuple[Any, Any]:
        return offered("StreamReader", reader, without), offered("StreamWriter", writer, without)

    async def opening(*args: Any, **options: Any) -> Any:
        for each in options:
            require(f"{name}.{each}", without)
        return pair(*await function(*args, **options))

    async def serving(*args: Any, **options: Any) -> Any:
        for each in options:
            require(f"{name}.{each}", without)
        if args:
            args = (_calling(args[0], pair), *args[1:])
        elif "client_connected_cb" in options:
            options["client_connected_cb"] = _calling(options["client_connected_cb"], pair)
        return offered("Server", await function(*args, **options), without)

    return opening if name.startswith("open_") else serving


def _calling(callback: Any, pair: Callable[..., tuple[Any, Any]]) -> Any:
    """Return a `client_connected_cb` like `callback`, called with the parts that are offered."""
    if not callable(callback):
        return callback
    if inspect.iscoroutinefunction(callback):

        async def handle(*ends: Any) -> Any:
            return await callback(*pair(*ends))

        return handle
    return lambda *ends: callback(*pair(*ends))


class Missing:
    """Stands for a part that an adapter does not have: a test that uses it is not applicable."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> NoReturn:
        """Raise `NotApplicable`."""
        raise NotApplicable(f"{self._what} is not offered")
