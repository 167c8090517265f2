"""What of the streams page an implementation offers: what it lacks is not held against it.

What is plugged in says what it lacks in an attribute `without`, a set of names. `LACKABLE` has all
of them: functions and classes (`"start_server"`), their arguments (`"open_connection.ssl"`),
attributes (`"StreamWriter.transport"`), and networks that it cannot be on (`"memory"`). An object
with few names may say in `capabilities` which functions and classes it has, instead of which not.

A clause about what is lacking is not applicable: in a trial, touching it ends the test.
"""

import inspect
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from conformance.errors import CannotRun, NotApplicable

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

ATTRIBUTES = {
    "StreamReader": (
        *("read", "readline", "readexactly", "readuntil", "at_eof", "feed_eof", "__aiter__"),
        *("feed_data", "exception", "set_exception", "set_transport"),
    ),
    "StreamWriter": (
        *("write", "writelines", "close", "can_write_eof", "write_eof", "transport"),
        *("get_extra_info", "drain", "start_tls", "is_closing", "wait_closed"),
    ),
    "Server": (
        *("sockets", "get_loop", "is_serving", "start_serving", "serve_forever", "close"),
        *("wait_closed", "close_clients", "abort_clients", "__aenter__"),
    ),
}
"""The attributes that readers, writers and servers may lack."""

NETWORK_NAMES = ("memory", "tls-memory", "tcp", "unix", "tls")

LACKABLE = frozenset(
    {*ARGUMENTS, *CLASSES, *NETWORK_NAMES}
    | {f"{owner}.{name}" for owner, names in (ARGUMENTS | ATTRIBUTES).items() for name in names}
)
"""The names that `without` may have."""


def lacking(name: str, target: object) -> frozenset[str]:
    """Return what `target`, which the user calls `name`, says that it lacks.

    Raises:
        CannotRun: it says so of something that there is not.
    """
    without: Collection[str] = getattr(target, "without", ())
    _check(f"{name}.without", without, sorted(LACKABLE))
    names = (*ARGUMENTS, *CLASSES)
    capabilities: Collection[str] = getattr(target, "capabilities", names)
    _check(f"{name}.capabilities", capabilities, names)
    return frozenset(without) | (frozenset(names) - frozenset(capabilities))


def _check(attribute: str, given: Collection[str], known: Collection[str]) -> None:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise CannotRun(f"{attribute} is {given!r}: give a set of names")
    if unknown := sorted(str(each) for each in given if each not in known):
        # Those of the same function or class are enough, where there is such.
        owner = unknown[0].partition(".")[0]
        near = [each for each in known if each.partition(".")[0] == owner] or known
        raise CannotRun(f"{attribute} has {', '.join(unknown)}: it may have {', '.join(near)}")


def require(name: str, without: frozenset[str]) -> None:
    """Return if `name` is offered.

    Raises:
        NotApplicable: it is not.
    """
    if name in without:
        raise NotApplicable(f"{name} is not offered")


class Part:
    """A reader, a writer or a server, less the attributes that it is said to lack.

    Args:
        kind: `"StreamReader"`, `"StreamWriter"` or `"Server"`.
        whole: the reader, writer or server.
        without: what is lacking.
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
        """Show the whole."""
        return repr(self._whole)

    def __getattr__(self, name: str) -> Any:
        """Return the attribute, if it is offered."""
        require(f"{self._kind}.{name}", self._without)
        return getattr(self._whole, name)

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


def offered(kind: str, whole: Any, without: frozenset[str]) -> Any:
    """Return a reader, a writer or a server as far as it is offered."""
    lacks_some = any(each.startswith(f"{kind}.") for each in without)
    return Part(kind, whole, without) if lacks_some else whole


def offered_function(name: str, function: Any, without: frozenset[str]) -> Any:
    """Return a function of the page as far as it, and what it gives out, is offered."""
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
    """Stands for a part that an adapter does not have: what uses it is not applicable."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> NoReturn:
        """Say so."""
        raise NotApplicable(f"{self._what} is not offered")
