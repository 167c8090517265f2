"""The module `socket` while a `fakes.Loop` runs.

In the thread of the loop, `socket.socket()` makes simulated sockets, and so does everything that
uses it: `socket.create_server()`, `socket.create_connection()`, a library that has imported the
class by name. The functions that look up names ask the simulated network. To have real sockets
there, for a moment, a program says `with fakes.real_sockets():`.

In every other thread, and when no `fakes.Loop` runs, the module works as always. The class
gets a `__new__()` and the module its functions while at least one loop runs, and loses them with
the last.
"""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import contextvars
import errno
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

from fakes._asyncio.private_api import makes_a_real_loop
from fakes._kernel.arguments import REAL_SOCKET
from fakes._kernel.errors import NotSimulated, os_error
from fakes._kernel.socket import Socket
from fakes._network.network import Network
from fakes._public import public

_real: contextvars.ContextVar[bool] = contextvars.ContextVar("fakes_real_sockets", default=False)


@public
@contextlib.contextmanager
def real_sockets() -> Iterator[None]:
    """Let the code of a `with` block use real sockets and the real network.

    Use it for real services that a test needs: a database, a browser. The event loop does not wait
    for real sockets; use them in a thread (the block also applies in `asyncio.to_thread()`).
    """
    token = _real.set(True)
    try:
        yield
    finally:
        _real.reset(token)


def uses_real_sockets() -> bool:
    """Whether the running code is in a block of `real_sockets()`."""
    return _real.get()


def simulated_here() -> Network | None:
    """Return the network of the `fakes.Loop` that runs in this thread, or None."""
    loop = asyncio._get_running_loop()
    if loop is None or getattr(loop, "takes_real_sockets", True) or _real.get():
        return None
    network: Network = loop.network  # type: ignore[attr-defined]  # as every loop of ours
    return network


# The threads that run a job of some loop's executor, by their numbers.
at_work: dict[int, asyncio.AbstractEventLoop] = {}


def _simulated_around() -> Network | None:
    """As `simulated_here()`, and in the threads of executors as well."""
    loop = at_work.get(threading.get_ident())
    if loop is None or _real.get():
        return simulated_here()
    network: Network = loop.network  # type: ignore[attr-defined]  # as every loop of ours
    return network


class _Replaced:
    """Names of modules that are replaced while a loop runs: how many loops need them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops = 0
        self._names: list[tuple[Any, str, Any]] = []
        self._before: list[Any] = []

    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Replace a name of a module or a class while loops run. Called before any does."""
        self._names.append((owner, name, replacement))

    def enter(self) -> None:
        """Replace the names, for one more loop."""
        with self._lock:
            self._loops += 1
            if self._loops == 1:
                self._before = [getattr(owner, name) for owner, name, _ in self._names]
                for owner, name, replacement in self._names:
                    setattr(owner, name, replacement)
                REAL_SOCKET.__new__ = _new  # type: ignore[assignment]

    def leave(self) -> None:
        """Put back the original names, after the last loop."""
        with self._lock:
            self._loops -= 1
            if not self._loops:
                del REAL_SOCKET.__new__
                for (owner, name, replacement), before in zip(
                    self._names, self._before, strict=True
                ):
                    if getattr(owner, name) is replacement:
                        setattr(owner, name, before)


replaced = _Replaced()
replaced.replace(socket, "socket", REAL_SOCKET)


def _new(cls: type[socket.socket], *args: Any, **kwargs: Any) -> socket.socket:
    network = simulated_here()
    if network is None or _is_between_processes(sys._getframe(1)):
        return _socket.socket.__new__(cls)
    return _simulated(cls, network, *args, **kwargs)


def _is_between_processes(frame: types.FrameType) -> bool:
    """Whether `multiprocessing` asks, for a channel to a process, which is no part of a network."""
    return str(frame.f_globals.get("__name__")).startswith("multiprocessing.")


def _simulated(
    cls: type[socket.socket],
    network: Network,
    family: int = -1,
    type: int = -1,
    proto: int = -1,
    fileno: int | None = None,
) -> socket.socket:
    """Return the socket that the arguments of `socket.socket()` are for."""
    if fileno is not None and fileno not in network.descriptors:
        # The number of a real file: its socket is real, too.
        return _socket.socket.__new__(cls)
    if cls is not REAL_SOCKET:
        raise NotSimulated(
            f"{cls.__module__}.{cls.__qualname__}, a class derived from socket.socket, is not "
            "simulated: use socket.socket() (and for TLS the event loop's methods), or `with "
            "fakes.real_sockets():`"
        )
    if fileno is not None:
        detached: Socket | None = network.descriptors.attach(fileno)
        return network.descriptors[fileno].dup() if detached is None else detached.attach()
    kind = (
        socket.SOCK_STREAM if type == -1 else type & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    )
    timeout = 0.0 if type != -1 and type & socket.SOCK_NONBLOCK else socket.getdefaulttimeout()
    return network.socket(
        socket.AF_INET if family == -1 else family,
        kind,
        0 if proto == -1 else proto,
        timeout=timeout,
    )


# --- functions: each does what the real one does where nothing is simulated -----------------------


def _or_real(
    name: str, find: Callable[[], Network | None] = simulated_here
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of the network one that replaces a function of the module."""

    real = getattr(socket, name)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def simulated(*args: Any, **kwargs: Any) -> Any:
            network = find()
            if network is None:
                return real(*args, **kwargs)
            return function(network, *args, **kwargs)

        simulated.__name__ = simulated.__qualname__ = name
        simulated.__doc__ = real.__doc__
        replaced.replace(socket, name, simulated)
        return function

    return decorate


@_or_real("socketpair")
def _socketpair(
    network: Network, family: int | None = None, type: int = socket.SOCK_STREAM, proto: int = 0
) -> tuple[socket.socket, socket.socket]:
    caller = sys._getframe(2)
    if makes_a_real_loop(caller) or _is_between_processes(caller):
        with real_sockets():
            return socket.socketpair()
    family = socket.AF_UNIX if family is None else family
    if family != socket.AF_UNIX:
        raise os_error(errno.EOPNOTSUPP)
    return network.socketpair(family, type, timeout=socket.getdefaulttimeout())


@_or_real("getaddrinfo")
def _getaddrinfo(
    network: Network,
    host: str | bytes | None,
    port: str | bytes | int | None,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[Any]:
    return network.dns.getaddrinfo(host, port, family, type, proto, flags)


@_or_real("getnameinfo")
def _getnameinfo(network: Network, sockaddr: Any, flags: int) -> tuple[str, str]:
    return network.dns.getnameinfo(sockaddr, flags)


# The machine's name is not on the network: libraries ask for it in threads, too.


@_or_real("gethostname", _simulated_around)
def _gethostname(network: Network) -> str:
    return network.current_host().name


@_or_real("gethostbyname")
def _gethostbyname(network: Network, hostname: str) -> str:
    return network.address_of(hostname, socket.AF_INET)


@_or_real("gethostbyname_ex")
def _gethostbyname_ex(network: Network, hostname: str) -> tuple[str, list[str], list[str]]:
    found = network.dns.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)
    return hostname, [], [info[4][0] for info in found]


@_or_real("gethostbyaddr", _simulated_around)
def _gethostbyaddr(network: Network, ip_address: str) -> tuple[str, list[str], list[str]]:
    ip = network.dns.getaddrinfo(ip_address, None, 0, socket.SOCK_STREAM)[0][4][0]
    return network.dns.getnameinfo((ip, 0), socket.NI_NAMEREQD)[0], [], [ip]
