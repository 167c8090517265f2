"""The exceptions of socket methods for wrong arguments."""

from __future__ import annotations

import _socket
import errno
import socket
from typing import Any

# The standard library's class, even where a plug-in (pytest-socket) has put another in its place.
REAL_SOCKET: type[socket.socket] = next(
    base
    for base in socket.socket.__mro__
    if (base.__module__, base.__name__) == ("socket", "socket")
)
# What fits into an int of C. (A real recv() sets as much memory apart as it is asked for, and what
# is more than this may be more than there is.)
C_INTS = range(-(2**31), 2**31)
# A socket without a file: its methods look at their arguments, and then fail with EBADF.
_NEVER_OPENED = _socket.socket.__new__(REAL_SOCKET)


def writable_view(buffer: Any) -> memoryview[Any]:
    """Return the bytes of a buffer to receive into.

    Raises:
        TypeError: it is none.
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
    """Raise what a method of the running Python's sockets does for arguments that are none."""
    try:
        getattr(_NEVER_OPENED, method)(*arguments)
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise
