"""The exceptions of socket methods for wrong arguments."""

from __future__ import annotations

import _socket
import errno
import socket
from typing import Any

# The standard library's class, even if a plug-in (pytest-socket) has replaced it.
REAL_SOCKET: type[socket.socket] = next(
    base
    for base in socket.socket.__mro__
    if (base.__module__, base.__name__) == ("socket", "socket")
)
# The largest int of C. (A real recv() allocates as much memory as its argument, and more than this
# may not exist.)
C_INTS = range(-(2**31), 2**31)
# A socket without a file: its methods check their arguments, and then fail with EBADF.
_NEVER_OPENED = _socket.socket.__new__(REAL_SOCKET)


def writable_view(buffer: Any) -> memoryview[Any]:
    """Return the bytes of a buffer to receive into.

    Raises:
        TypeError: it is not a buffer.
    """
    try:
        view = memoryview(buffer).cast("B")
    except TypeError:
        check_arguments("recv_into", buffer)
        raise
    if view.readonly:
        view.release()
        check_arguments("recv_into", buffer)
    return view


def check_arguments(method: str, *arguments: Any) -> None:
    """Raise the error that `socket.socket` of the running Python raises for invalid arguments."""
    try:
        getattr(_NEVER_OPENED, method)(*arguments)
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise
