"""Real servers, which a program on the simulated network does not reach.

A fixture may have started a server in a thread before the test, as pytest-httpserver's does: it
listens at a real port, and a client in the simulation is refused. So is one of `/run/docker.sock`,
though everybody sees that it is there.
"""

from __future__ import annotations

import _socket
import logging
import os
import socket
import stat
from typing import Any

logger = logging.getLogger("fakes")

_OPEN_FILES = "/dev/fd"  # on Linux and macOS


def report_real(address: Any, reported: dict[str, None]) -> None:
    """Report the real server at an address, once, if this process or the path has one.

    Args:
        address: an IP address with a port, or a path.
        reported: the messages of earlier reports, to which the new one is added.
    """
    if not (_is_real_socket(address) if isinstance(address, str) else _listens(address[1])):
        return
    where = repr(address) if isinstance(address, str) else f"port {address[1]}"
    message = (
        f"nobody listens at {where} in the simulation, and the real socket there is not reached: "
        "run its server on the simulated loop, or both of them without the simulation"
    )
    if message not in reported:
        reported[message] = None
        logger.warning(message)


def _is_real_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _listens(port: int) -> bool:
    """Whether a socket of this process listens at a port."""
    try:
        numbers = [int(name) for name in os.listdir(_OPEN_FILES)]
    except OSError:
        return False
    return any(_is_listening(number, port) for number in numbers)


def _is_listening(number: int, port: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        sock = _socket.socket(fileno=number)
    except OSError:  # it has been closed meanwhile
        return False
    try:
        return (
            sock.family in (socket.AF_INET, socket.AF_INET6)
            and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            and sock.getsockname()[1] == port
        )
    except OSError:
        return False
    finally:
        sock.detach()
