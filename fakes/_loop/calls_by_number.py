"""Calls of `os` and `fcntl` with the number of a simulated socket.

A library may set a flag of a socket by its number, or read from it: `fcntl(sock.fileno(), …)`. No
real file has the numbers of simulated sockets. While a `fakes.Loop` runs in a thread, these
functions do there what the methods of the socket do; every other number is left to the kernel.
"""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from fakes._kernel.errors import NotSimulated
from fakes._kernel.socket import Socket
from fakes._loop.socket_module import replaced, simulated_here

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


def _replaces(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of a socket one that replaces the `owner`'s function of its number."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        real = getattr(owner, name)

        @functools.wraps(real)
        def simulated(fd: Any, *args: Any, **kwargs: Any) -> Any:
            network = simulated_here()
            if network is None:
                return real(fd, *args, **kwargs)
            number = fd if isinstance(fd, int) else getattr(fd, "fileno", lambda: -1)()
            if number not in network.descriptors:
                return real(fd, *args, **kwargs)
            detached = network.descriptors.attach(number)
            if detached is None:
                return function(network.descriptors[number], *args, **kwargs)
            try:
                return function(detached.attach(), *args, **kwargs)
            finally:
                detached.detach()  # again, unless it has been closed

        replaced.replace(owner, name, simulated)
        return function

    return decorate


@_replaces(os, "read")
def _read(sock: Socket, length: int) -> bytes:
    return sock.recv(length)


@_replaces(os, "write")
def _write(sock: Socket, data: Any) -> int:
    return sock.send(data)


@_replaces(os, "close")
def _close(sock: Socket) -> None:
    sock.close()


@_replaces(os, "get_inheritable")
def _get_inheritable(sock: Socket) -> bool:
    return sock.get_inheritable()


@_replaces(os, "set_inheritable")
def _set_inheritable(sock: Socket, inheritable: bool) -> None:
    sock.set_inheritable(inheritable)


@_replaces(os, "get_blocking")
def _get_blocking(sock: Socket) -> bool:
    return sock.gettimeout() is None  # with a timeout, Python has set the kernel's flag, too


@_replaces(os, "set_blocking")
def _set_blocking(sock: Socket, blocking: bool) -> None:
    if blocking != _get_blocking(sock):
        sock.setblocking(blocking)


if fcntl is not None:

    @_replaces(fcntl, "fcntl")
    def _fcntl(sock: Socket, cmd: int, arg: Any = 0) -> int:
        if cmd == fcntl.F_GETFD:
            return 0 if sock.get_inheritable() else fcntl.FD_CLOEXEC
        if cmd == fcntl.F_SETFD:
            sock.set_inheritable(not arg & fcntl.FD_CLOEXEC)
            return 0
        if cmd == fcntl.F_GETFL:
            return os.O_RDWR | (0 if _get_blocking(sock) else os.O_NONBLOCK)
        if cmd == fcntl.F_SETFL:
            _set_blocking(sock, not arg & os.O_NONBLOCK)
            return 0
        raise NotSimulated(f"fcntl() with the command {cmd} on {sock!r} is not simulated")

    @_replaces(fcntl, "ioctl")
    def _ioctl(sock: Socket, request: int, *args: Any) -> None:
        raise NotSimulated(f"ioctl() with the request {request:#x} on {sock!r} is not simulated")

    _REAL = fcntl.fcntl

_modules_seen = 0


def follow_copies() -> None:
    """Replace `fcntl()` where a module has imported it by name, too, for good. A loop runs."""
    global _modules_seen
    if fcntl is None or len(sys.modules) == _modules_seen:
        return
    for module in list(sys.modules.values()):
        if type(module) is not types.ModuleType or module is sys.modules[__name__]:
            continue  # an access to a module of another type may load much
        for name, value in list(vars(module).items()):
            if value is _REAL:
                setattr(module, name, fcntl.fcntl)
    _modules_seen = len(sys.modules)
