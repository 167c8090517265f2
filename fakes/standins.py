"""Simulated sockets that stand in for real ones.

Some libraries make a `socket.socket` themselves, connect it with `loop.sock_connect()`, and hand
it to `loop.create_connection(sock=...)`: aiohttp does, by way of aiohappyeyeballs. On `fakes.Loop`
such a socket stays what it is, a real one that is never connected. The simulated socket that is
connected instead is kept here until it is asked for, or until the real one is closed or gone.
"""

from __future__ import annotations

import socket
import weakref

from fakes.network import Network
from fakes.sockets import Socket

_stand_ins: weakref.WeakKeyDictionary[socket.socket, Socket] = weakref.WeakKeyDictionary()


def stand_in_for(real: socket.socket, network: Network) -> Socket:
    """Return the simulated socket in place of a real one; at first a new one, on the current host.

    It is bound as the real one is. Raises `OSError` as `Socket.bind()` if that is not possible.
    """
    simulated = _stand_ins.get(real)
    if simulated is not None and simulated.network is network:
        return simulated
    simulated = network.socket(real.family)
    simulated.stands_for = weakref.ref(real)
    if real.family != socket.AF_UNIX and (address := real.getsockname())[1]:
        simulated.bind(address)
    _stand_ins[real] = simulated
    return simulated


def take(real: object) -> Socket | None:
    """Return what stands in for a real socket, if anything does, and close the real one."""
    if not isinstance(real, socket.socket):
        return None
    simulated = _stand_ins.pop(real, None)
    if simulated is not None:
        simulated.stands_for = None
        real.close()
    return simulated
