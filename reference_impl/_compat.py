"""What older Pythons and other loops lack of the four functions' arguments.

Each entry asks the loop whether it has the argument, and makes up for it if it has not; it says
from when on every loop will have it, and can go then. For uvloop, "now" is 0.23.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def _accepts(function: Callable[..., Any], name: str) -> bool:
    """Return whether *function* has a parameter *name*, as far as can be told."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


# keep_alive: goes with Python 3.12, and when uvloop has it (not now).


async def create_server(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], asyncio.Protocol],
    host: Any,
    port: Any,
    **kwds: Any,
) -> asyncio.AbstractServer:
    """Do what `loop.create_server()` does, with *keep_alive*."""
    if "keep_alive" not in kwds or _accepts(loop.create_server, "keep_alive"):
        return await loop.create_server(factory, host, port, **kwds)
    keep_alive = kwds.pop("keep_alive")
    start_serving = kwds.pop("start_serving", True)
    server = await loop.create_server(factory, host, port, start_serving=False, **kwds)
    if keep_alive:
        for listener in server.sockets:
            # A duplicate, because not every loop's sockets can be set options.
            with socket.socket(fileno=os.dup(listener.fileno())) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
    if start_serving:
        await server.start_serving()
    return server


# cleanup_socket: goes with Python 3.12; uvloop has it now.


async def create_unix_server(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], asyncio.Protocol],
    path: Any,
    *,
    cleanup_socket: bool,
    **kwds: Any,
) -> tuple[asyncio.AbstractServer, Callable[[], None] | None]:
    """Do what `loop.create_unix_server()` does; also return what to call before it is closed."""
    if _accepts(loop.create_unix_server, "cleanup_socket"):
        kwds["cleanup_socket"] = cleanup_socket
        return await loop.create_unix_server(factory, path, **kwds), None
    server = await loop.create_unix_server(factory, path, **kwds)
    return server, _remover(server.sockets[0].getsockname()) if cleanup_socket else None


def _remover(path: str | bytes) -> Callable[[], None] | None:
    """Return what removes the socket at *path* if it is still the one that is there now."""
    if isinstance(path, bytes):
        return None  # abstract: no file
    try:
        inode = os.stat(path)
    except OSError:
        return None

    def remove() -> None:
        with suppress(OSError):  # somebody else has removed it
            if os.path.samestat(inode, os.stat(path)):
                os.unlink(path)

    return remove


# Abstract paths to connect to: every Python takes them; goes when uvloop does (not now).


async def create_unix_connection(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, path: Any, **kwds: Any
) -> asyncio.Transport:
    """Do what `loop.create_unix_connection()` does, also for abstract paths."""
    if kwds.get("sock") is None and isinstance(path, str | bytes) and path[:1] in ("\0", b"\0"):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, path)
            transport, _ = await loop.create_unix_connection(lambda: protocol, sock=sock, **kwds)
        except BaseException:
            sock.close()
            raise
    else:
        transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)
    return transport


# happy_eyeballs_delay, interleave: every Python has them; goes when uvloop has (not now).


async def create_connection(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.Protocol,
    host: Any,
    port: Any,
    **kwds: Any,
) -> asyncio.Transport:
    """Do what `loop.create_connection()` does, with *happy_eyeballs_delay* and *interleave*."""
    lacking = {"happy_eyeballs_delay", "interleave"} & kwds.keys()
    if all(_accepts(loop.create_connection, name) for name in lacking):
        transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
        return transport
    delay = kwds.pop("happy_eyeballs_delay", None)
    interleave = kwds.pop("interleave", None)
    if kwds.get("sock") is not None or (host is None and port is None):
        # The addresses are not for us to choose.
        transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
        return transport
    if kwds.get("ssl") and kwds.get("server_hostname") is None:
        kwds["server_hostname"] = host
    lookup = {name: kwds.pop(name, 0) for name in ("family", "proto", "flags")}
    local_address = kwds.pop("local_addr", None)
    targets = await _resolve(loop, host, port, **lookup)
    origins = await _resolve(loop, *local_address, **lookup) if local_address else None
    if interleave is None:
        interleave = 0 if delay is None else 1
    if interleave:
        targets = _interleaved(targets, interleave)
    kwds["sock"] = sock = await _first_to_connect(loop, targets, origins, delay)
    try:
        transport, _ = await loop.create_connection(lambda: protocol, **kwds)
    except BaseException:
        sock.close()
        raise
    return transport


Address = tuple[int, int, int, Any]  # family, type, proto, what connect() and bind() take


async def _resolve(
    loop: asyncio.AbstractEventLoop, host: Any, port: Any, **lookup: int
) -> list[Address]:
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, **lookup)
    if not found:
        raise OSError("getaddrinfo() returned empty list")
    return [(family, kind, proto, address) for family, kind, proto, _, address in found]


def _interleaved(addresses: list[Address], first: int) -> list[Address]:
    """Take the families in turns, after *first* addresses of the first (RFC 8305, section 4)."""
    families: dict[int, deque[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], deque()).append(address)
    turns = list(families.values())
    ordered = [turns[0].popleft() for _ in range(min(first - 1, len(turns[0])))]
    while any(turns):
        ordered += [turn.popleft() for turn in turns if turn]
    return ordered


async def _first_to_connect(
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
    """Return the error to raise when there are several."""
    if len({str(error) for error in errors}) == 1:
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(str(error) for error in errors)}")
