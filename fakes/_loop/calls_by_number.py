"""Calls of `os` and `fcntl` with the number of a simulated socket.

A library may set a flag of a socket by its number, or read from it: `fcntl(sock.fileno(), …)`. No
real file has the numbers of simulated sockets. In the threads of a simulation these functions do
what the methods of the socket do; every other number is left to the kernel.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import stat
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from fakes._kernel.descriptors import FIRST_FILENO
from fakes._kernel.errors import NotSimulated
from fakes._kernel.socket import Socket
from fakes._loop.escapes import network_of_this_thread
from fakes._loop.socket_module import replaced

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


def _replaces(owner: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of a socket one that replaces the `owner`'s function of its number."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        real = getattr(owner, name, None)
        if real is None:  # on Windows
            return function

        @functools.wraps(real)
        def simulated(*args: Any, **kwargs: Any) -> Any:
            fd = args[0] if args else -1
            number = fd if isinstance(fd, int) else getattr(fd, "fileno", lambda: -1)()
            network = network_of_this_thread() if number > FIRST_FILENO else None
            if network is None or number not in network.descriptors:
                return real(*args, **kwargs)
            detached = network.descriptors.attach(number)
            if detached is None:
                return function(network.descriptors[number], *args[1:], **kwargs)
            try:
                return function(detached.attach(), *args[1:], **kwargs)
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


@_replaces(os, "readv")
def _readv(sock: Socket, buffers: Any) -> int:
    return sock.recvmsg_into(buffers)[0]


@_replaces(os, "writev")
def _writev(sock: Socket, buffers: Any) -> int:
    return sock.sendmsg(buffers)


@_replaces(os, "sendfile")
def _sendfile(sock: Socket, in_fd: int, offset: int | None, count: int) -> int:
    begin = os.lseek(in_fd, 0, os.SEEK_CUR) if offset is None else offset
    sent = sock.send(os.pread(in_fd, count, begin))
    if offset is None:
        os.lseek(in_fd, begin + sent, os.SEEK_SET)
    return sent


@_replaces(os, "fstat")
def _fstat(sock: Socket) -> os.stat_result:
    mode, inode, links = stat.S_IFSOCK | 0o777, sock.fileno(), 1
    return os.stat_result((mode, inode, 0, links, os.getuid(), os.getgid(), 0, 0, 0, 0))


@_replaces(os, "dup")
@_replaces(os, "dup2")
@_replaces(socket, "dup")
def _dup(sock: Socket, *args: Any, **kwargs: Any) -> NoReturn:
    sock.dup()


@_replaces(os, "fdopen")
def _fdopen(sock: Socket, *args: Any, **kwargs: Any) -> NoReturn:
    raise NotSimulated(f"fdopen() on {sock!r} is not simulated: use its makefile()")


@_replaces(signal, "set_wakeup_fd")
def _set_wakeup_fd(sock: Socket, **kwargs: Any) -> NoReturn:
    raise NotSimulated(
        f"set_wakeup_fd() with {sock!r} is not simulated: use the loop's add_signal_handler()"
    )


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
