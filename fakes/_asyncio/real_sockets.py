"""Real sockets that stand for simulated ones.

While a `fakes.Loop` runs, `socket.socket()` makes simulated sockets. A real one that such a loop
gets was made before it ran, or in another thread. If it has no connection, the loop uses a
simulated one in its place, bound to the same address: a program that binds its socket, and then
runs, works. The real one stays as it is, and closing it closes the other.
"""

from __future__ import annotations

import os
import socket
import stat
import weakref
from typing import Any

from fakes._kernel.addresses import unix_path
from fakes._kernel.errors import NotSimulated
from fakes._kernel.socket import Socket
from fakes._network.network import Network

_stand_ins: weakref.WeakKeyDictionary[socket.socket, Socket] = weakref.WeakKeyDictionary()


def simulated(sock: Any, network: Network) -> Any:
    """Return a simulated socket as it is, and for a real one its stand-in.

    Raises:
        NotSimulated: it is a real socket with a connection, or no socket at all.
        OSError: the stand-in cannot be bound, as `Socket.bind()`.
    """
    if isinstance(sock, Socket):
        return sock
    if not isinstance(sock, socket.socket):
        raise NotSimulated(
            f"{_described(sock)} is not a socket of the simulated network; make one with "
            "socket.socket() while the loop runs, with fakes.open_socket_pair() or with "
            "loop.network.socket()"
        )
    stand_in = _stand_ins.get(sock)
    if stand_in is not None and stand_in.network is network:
        return stand_in
    if _is_connected(sock):
        raise NotSimulated(
            f"{sock!r} is a real socket, connected to something outside of the simulated network"
        )
    stand_in = network.socket(sock.family, sock.type, sock.proto)
    stand_in.stands_for = weakref.ref(sock)
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        if address:
            stand_in.bind(unix_path(address))
    elif address[1]:
        stand_in.bind(address)
    _stand_ins[sock] = stand_in
    return stand_in


def _described(thing: Any) -> str:
    """Return the kind of an object; of a number, the kind of the real file with that number."""
    number = thing if isinstance(thing, int) else getattr(thing, "fileno", lambda: -1)()
    kinds = {
        stat.S_IFSOCK: "a real socket",
        stat.S_IFIFO: "a pipe from or to another process, for which virtual time does not wait",
        stat.S_IFREG: "a real file",
        stat.S_IFCHR: "a real device or terminal",
    }
    try:
        kind = kinds.get(stat.S_IFMT(os.fstat(number).st_mode), "a real file descriptor")
    except (OSError, TypeError, OverflowError):
        return repr(thing)
    return f"{thing!r}, {kind},"


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def take(sock: Any, network: Network) -> Any:
    """As `simulated()`, for good: a real socket is closed, and its stand-in stays."""
    stand_in = simulated(sock, network)
    if stand_in is not sock:
        _stand_ins.pop(sock, None)
        stand_in.stands_for = None
        sock.close()
    return stand_in
