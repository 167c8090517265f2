"""asyncio's checks of the arguments of a loop's methods."""

from __future__ import annotations

import socket
import sys
from typing import Any


def check_stream(sock: Any) -> None:
    """Raise `ValueError` unless it is a stream socket."""
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")


def check_unix(sock: Any) -> None:
    """Raise `ValueError` unless it is a Unix stream socket."""
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")


def bind_error(address: Any, exc: OSError) -> OSError:
    """Return the error that asyncio raises for an address to which a socket cannot be bound."""
    reason = str(exc) if sys.version_info >= (3, 13) else str(exc.strerror)
    return OSError(
        exc.errno, f"error while attempting to bind on address {address!r}: {reason.lower()}"
    )
