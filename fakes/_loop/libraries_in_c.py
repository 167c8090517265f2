"""Libraries in C that call the kernel themselves: those that are known are refused by name.

No hook of Python's sees what they send. So the functions of theirs by which a program reaches the
network raise `NotSimulated` where they would leave a simulation. Others are as silent as ever.
"""

from __future__ import annotations

import functools
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fakes._kernel.errors import NotSimulated
from fakes._loop.escapes import loop_of_this_thread


class _Known(NamedTuple):
    functions: tuple[str, ...]  # by which it reaches the network
    library: str
    advice: str


_ASK = ("getaddrinfo", "gethostbyaddr", "gethostbyname", "getnameinfo", "query", "search")
_C_ARES = _Known(
    tuple(f"Channel.{name}" for name in _ASK),
    "c-ares",
    "ask the event loop; aiohttp does with TCPConnector(resolver=aiohttp.ThreadedResolver()), or "
    "where a test sets aiohttp.connector.DefaultResolver to that class",
)
_GRPC = "use grpclib, or call the servicer itself"
_PYTHON = "use a driver in Python"
_STAND_IN = "put a stand-in in its place"

_PICOWS = _Known(("ws_connect", "ws_create_server"), "picows", "use websockets")

# By the module that has the functions.
_KNOWN = {
    "MySQLdb.connections": _Known(("Connection.__init__",), "MySQL's client library", _PYTHON),
    "grpc._channel": _Known(("Channel.__init__",), "gRPC's core", _GRPC),
    "grpc._server": _Known(("_Server.__init__",), "gRPC's core", _GRPC),
    "grpc.aio._channel": _Known(("Channel.__init__",), "gRPC's core", _GRPC),
    "grpc.aio._server": _Known(("Server.__init__",), "gRPC's core", _GRPC),
    "picows": _PICOWS,
    "picows.api": _PICOWS,
    "psycopg.connection": _Known(("Connection.connect",), "libpq", _PYTHON),
    "psycopg.connection_async": _Known(("AsyncConnection.connect",), "libpq", _PYTHON),
    "psycopg2": _Known(("connect",), "libpq", _PYTHON),
    "pycares": _C_ARES,
    "zmq.sugar.context": _Known(("Context.socket",), "libzmq", _STAND_IN),
}


class _Finder:
    """Sees that what is known is refused when it is imported later."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module that is known as Python would, and refuse what it has."""
        if name not in _KNOWN:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_refuse(module: types.ModuleType) -> None:
                execute(module)
                _refuse(module)

            spec.loader.exec_module = execute_and_refuse  # type: ignore[method-assign]
        return spec


@functools.cache
def refuse_those_known() -> None:
    """Refuse what is imported of them, and what will be; once in a process."""
    sys.meta_path.insert(0, _Finder())
    for name in _KNOWN.keys() & sys.modules.keys():
        _refuse(sys.modules[name])


def _refuse(module: types.ModuleType) -> None:
    known = _KNOWN[module.__name__]
    for path in known.functions:
        *classes, name = path.split(".")
        owner: Any = functools.reduce(getattr, classes, module)
        function = vars(owner).get(name)
        if isinstance(function, classmethod):
            setattr(owner, name, classmethod(_refusing(function.__func__, path, known)))
        elif function is not None:
            setattr(owner, name, _refusing(function, path, known))


def _refusing(function: Callable[..., Any], path: str, known: _Known) -> Callable[..., Any]:
    @functools.wraps(function)
    def refusing(*args: Any, **kwargs: Any) -> Any:
        if loop_of_this_thread() is not None:
            raise NotSimulated(
                f"{path.removesuffix('.__init__')}() would leave the simulated network for the "
                f"real one by way of {known.library}, which calls the kernel itself: {known.advice}"
            )
        return function(*args, **kwargs)

    return refusing
