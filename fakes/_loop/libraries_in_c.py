"""Libraries in C that call the kernel themselves; the known ones are refused by name.

No hook of Python's sees what they send. So their functions that reach the network raise
`NotSimulated` where they would leave a simulation. Unknown libraries are not noticed.
"""

from __future__ import annotations

import ctypes
import functools
import gc
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
_GRPC = _Known(("Channel.__init__",), "gRPC's core", "use grpclib, or call the servicer itself")
_PYTHON = "use a driver in Python"
_STAND_IN = "put a stand-in in its place"
_HTTP = "use aiohttp or httpx"

_CAIO = _Known(
    ("AsyncioContext._create_context",),
    "caio",
    "set CAIO_IMPL=python in the environment, with which aiofile uses threads",
)
_FASTNET = _Known(("create_connection",), "aiofastnet", "use the loop's methods")
_KAFKA = ("Producer.produce", "Consumer.assign", "Consumer.subscribe")
_PICOWS = _Known(("ws_connect", "ws_create_server"), "picows", "use websockets")
_POSTGRES = ("connect", "ConnectionPool.acquire", "ConnectionPool.connection")

# By the module that has the functions.
_KNOWN = {
    "MySQLdb.connections": _Known(("Connection.__init__",), "MySQL's client library", _PYTHON),
    "aerospike": _Known(("client",), "Aerospike's client library", _STAND_IN),
    "aiofastnet.api_create_connection": _FASTNET,
    "aiofastnet.api_create_server": _FASTNET._replace(functions=("create_server",)),
    "caio.linux_aio_asyncio": _CAIO,
    "caio.linux_uring_asyncio": _CAIO,
    "confluent_kafka.cimpl": _Known(_KAFKA, "librdkafka", "use aiokafka"),
    "curl_cffi.aio": _Known(("AsyncCurl.add_handle",), "libcurl", _HTTP),
    "curl_cffi.curl": _Known(("Curl.perform",), "libcurl", _HTTP),
    "glide.glide_client": _Known(("BaseClient.create",), "Valkey GLIDE's core", "use valkey"),
    "granian.server.embed": _Known(("Server.serve",), "granian", "use hypercorn or uvicorn"),
    "grpc._channel": _GRPC,
    "grpc._server": _GRPC._replace(functions=("_Server.__init__",)),
    "grpc.aio._channel": _GRPC,
    "grpc.aio._server": _GRPC._replace(functions=("Server.__init__",)),
    "mysql.connector.connection_cext": _Known(
        ("CMySQLConnection._open_connection",),
        "MySQL's client library",
        "use mysql.connector.aio",
    ),
    "picows": _PICOWS,
    "picows.api": _PICOWS,
    "psqlpy": _Known(_POSTGRES, "psqlpy's core", "use asyncpg"),
    "psycopg.connection": _Known(("Connection.connect",), "libpq", _PYTHON),
    "psycopg.connection_async": _Known(("AsyncConnection.connect",), "libpq", _PYTHON),
    "psycopg2": _Known(("connect",), "libpq", _PYTHON),
    "pulsar": _Known(("Client.__init__",), "Pulsar's client library", _STAND_IN),
    "pycares": _C_ARES,
    "pycurl": _Known(("Curl.perform", "CurlMulti.add_handle"), "libcurl", _HTTP),
    "pymssql": _Known(("connect",), "FreeTDS", _STAND_IN),
    "pynng.nng": _Known(("Socket.dial", "Socket.listen"), "nng", _STAND_IN),
    "pyodbc": _Known(("connect",), "ODBC", _PYTHON),
    "scyllapy": _Known(("Scylla.startup",), "scyllapy's core", _STAND_IN),
    "temporalio.client": _Known(("Client.connect",), "Temporal's core", _STAND_IN),
    "zenoh": _Known(("open",), "zenoh's core", _STAND_IN),
    "zmq.sugar.context": _Known(("Context.socket",), "libzmq", _STAND_IN),
    # zerorpc makes them without the former.
    "zmq.sugar.socket": _Known(("Socket.bind", "Socket.connect"), "libzmq", _STAND_IN),
}


class _Finder:
    """Makes sure that a known library is refused when it is imported later."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a known module as Python would, and refuse its functions."""
        if name not in _KNOWN:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_refuse(module: types.ModuleType) -> None:
                execute(module)
                _refuse(module, _KNOWN[name])

            spec.loader.exec_module = execute_and_refuse  # type: ignore[method-assign]
        return spec


@functools.cache
def refuse_those_known() -> None:
    """Refuse those that are imported, now and later; once in a process."""
    sys.meta_path.insert(0, _Finder())
    for name in _KNOWN.keys() & sys.modules.keys():
        _refuse(sys.modules[name], _KNOWN[name])


def _refuse(module: types.ModuleType, known: _Known) -> None:
    for path in known.functions:
        *classes, name = path.split(".")
        owner: Any = functools.reduce(getattr, classes, module)
        function = vars(owner).get(name)
        if isinstance(function, classmethod):
            _put(owner, name, classmethod(_refusing(function.__func__, path, known)))
        elif function is not None:
            _put(owner, name, _refusing(function, path, known))


def _put(owner: Any, name: str, function: object) -> None:
    try:
        setattr(owner, name, function)
    except TypeError:  # a type made in C, whose names only C code may exchange
        (names,) = gc.get_referents(vars(owner))
        names[name] = function
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))


def _refusing(function: Callable[..., Any], path: str, known: _Known) -> Callable[..., Any]:
    @functools.wraps(function)
    def refusing(*args: Any, **kwargs: Any) -> Any:
        if loop_of_this_thread() is not None:
            name = path.removesuffix(".__init__")
            raise NotSimulated(
                f"{name}() would leave the simulation by way of "
                f"{known.library}, which calls the kernel itself: {known.advice}",
            )
        return function(*args, **kwargs)

    return refusing
