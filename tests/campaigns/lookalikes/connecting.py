"""Connected sockets for the lookalikes: only `loop.getaddrinfo()` and `loop.sock_connect()`."""

import asyncio
import os
import socket
from collections import deque
from typing import Any

Address = tuple[int, int, int, str, Any]
"""The result of `getaddrinfo()`: family, type, protocol, canonical name, address."""


async def tcp_socket(
    host: Any,
    port: Any,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    local_addr: tuple[Any, Any] | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
) -> socket.socket:
    """Return a socket that is connected to the first address of `host` that answers."""
    loop = asyncio.get_running_loop()
    lookup: dict[str, Any] = {
        "family": family,
        "proto": proto,
        "flags": flags,
        "type": socket.SOCK_STREAM,
    }
    addresses = list(await loop.getaddrinfo(host, port, **lookup))
    origins: list[Any] = []
    if local_addr is not None:
        origins = list(await loop.getaddrinfo(*local_addr, **lookup))
        if not origins:
            raise OSError("local_addr has no address")
    if interleave is None:
        interleave = 0 if happy_eyeballs_delay is None else 1
    if interleave:
        addresses = alternating(addresses, interleave)
    return await first_connected(addresses, origins, happy_eyeballs_delay)


async def unix_socket(path: Any) -> socket.socket:
    """Return a socket that is connected to `path`."""
    return await connected((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", os.fspath(path)), [])


def alternating(addresses: list[Any], lead: int) -> list[Any]:
    """Return `lead` addresses of the first one's family, then the families in turn."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    others = deque(each for each in addresses if each[0] != addresses[0][0])
    ordered = first[: lead - 1]
    for each in first[lead - 1 :]:
        ordered.append(each)
        if others:
            ordered.append(others.popleft())
    return [*ordered, *others]


async def first_connected(
    addresses: list[Any], origins: list[Any], delay: float | None
) -> socket.socket:
    """Connect to one address after the other, the next `delay` seconds after the last at most."""
    left = deque(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    failures: list[OSError] = []
    winner: socket.socket | None = None
    try:
        while winner is None:
            if left:
                trying.add(asyncio.ensure_future(connected(left.popleft(), origins)))
            if not trying:
                raise together(failures)
            ended, trying = await asyncio.wait(
                trying, timeout=delay if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for each in ended:
                if error := each.exception():
                    if not isinstance(error, OSError):
                        raise error
                    failures.append(error)
                elif winner is None:
                    winner = each.result()
                else:
                    each.result().close()
        return winner
    finally:
        failures.clear()  # their tracebacks refer to this frame
        for each in trying:
            each.cancel()
        for loser in await asyncio.gather(*trying, return_exceptions=True):
            if isinstance(loser, socket.socket):
                loser.close()


def together(failures: list[OSError]) -> OSError:
    """Return one error with the errors of several addresses."""
    messages = dict.fromkeys(map(str, failures))
    return failures[0] if len(messages) == 1 else OSError("; ".join(messages))


async def connected(address: Any, origins: list[Any]) -> socket.socket:
    """Return a socket that is connected to one address."""
    family, kind, proto, _, place = address
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        if origins:
            origin = next((each[4] for each in origins if each[0] == family), None)
            if origin is None:
                raise OSError(f"no local address of {family!r}")
            sock.bind(origin)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock
