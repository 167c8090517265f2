"""Connecting to the first of several addresses that answers (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any

Address = tuple[int, int, int, Any]  # family, type, proto, the addresses for connect() and bind()


async def resolve(
    loop: asyncio.AbstractEventLoop, host: Any, port: Any, **lookup: int
) -> list[Address]:
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, **lookup)
    if not found:
        raise OSError("getaddrinfo() returned empty list")
    return [(family, kind, proto, address) for family, kind, proto, _, address in found]


def interleaved(addresses: list[Address], first: int) -> list[Address]:
    """Take the families in turns, after *first* addresses of the first (RFC 8305, section 4)."""
    families: dict[int, deque[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], deque()).append(address)
    turns = list(families.values())
    ordered = [turns[0].popleft() for _ in range(min(first - 1, len(turns[0])))]
    while any(turns):
        ordered += [turn.popleft() for turn in turns if turn]
    return ordered


async def first_to_connect(
    loop: asyncio.AbstractEventLoop,
    targets: list[Address],
    origins: list[Address] | None,
    delay: float | None,
) -> socket.socket:
    """Return the first socket to connect; try one more target per *delay*, or when all failed."""
    waiting = deque(targets)
    attempts: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while True:
            if waiting:
                attempts.add(loop.create_task(_connected(loop, waiting.popleft(), origins)))
            done, _ = await asyncio.wait(
                attempts,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                attempts.discard(attempt)
                try:
                    return attempt.result()
                except OSError as error:
                    errors.append(error)
            if not attempts and not waiting:
                raise _combined(errors)
    finally:
        for attempt in attempts:
            attempt.cancel()
        for outcome in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(outcome, socket.socket):
                outcome.close()  # a second one connected
        errors.clear()  # their tracebacks refer to this frame


async def _connected(
    loop: asyncio.AbstractEventLoop, target: Address, origins: list[Address] | None
) -> socket.socket:
    family, kind, proto, address = target
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        if origins is not None:
            _bind(sock, [origin for origin in origins if origin[0] == family])
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, origins: list[Address]) -> None:
    errors = []
    for *_, address in origins:
        try:
            return sock.bind(address)
        except OSError as error:
            errors.append(error)
    if not errors:
        raise OSError(f"no matching local address with family={sock.family} found")
    raise _combined(errors)


def _combined(errors: list[OSError]) -> OSError:
    """Return the error to raise for several failures."""
    if len({str(error) for error in errors}) == 1:
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(str(error) for error in errors)}")
