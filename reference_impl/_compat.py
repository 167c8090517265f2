"""Arguments of the four functions that older Pythons and other loops lack.

Each entry asks the loop whether it has the argument, and adds it if it does not. The entry says
when every loop will have the argument; then the entry can go. For uvloop, "now" is 0.23.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from . import _happy_eyeballs


def _accepts(function: Callable[..., Any], name: str) -> bool:
    """Return whether *function* has a parameter *name*, as far as its signature is known."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


# keep_alive: goes with Python 3.12, and when uvloop has it (not now). With `sock`, none has it.


async def create_server(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], asyncio.Protocol],
    host: Any,
    port: Any,
    **kwds: Any,
) -> asyncio.AbstractServer:
    """Do what `loop.create_server()` does, with *keep_alive*, except for serving."""
    if kwds.get("keep_alive") and kwds.get("sock") is not None:
        kwds["sock"].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
        del kwds["keep_alive"]
    if _accepts(loop.create_server, "keep_alive"):
        return await loop.create_server(factory, host, port, start_serving=False, **kwds)
    keep_alive = kwds.pop("keep_alive", None)
    server = await loop.create_server(factory, host, port, start_serving=False, **kwds)
    if keep_alive:
        for listener in server.sockets:
            # A duplicate, because some loops' sockets have no setsockopt().
            with socket.socket(fileno=os.dup(listener.fileno())) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
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
    """Do what `loop.create_unix_server()` does, except for serving.

    Also return a function to call before the server is closed.
    """
    kwds["start_serving"] = False
    if _accepts(loop.create_unix_server, "cleanup_socket"):
        kwds["cleanup_socket"] = cleanup_socket
        return await loop.create_unix_server(factory, path, **kwds), None
    server = await loop.create_unix_server(factory, path, **kwds)
    return server, _remover(server.sockets[0].getsockname()) if cleanup_socket else None


def _remover(path: str | bytes) -> Callable[[], None] | None:
    """Return a function that removes the socket at *path* if it is still the present one."""
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


# A Unix server whose backlog is full: no loop waits until there is room. asyncio's loops take the
# socket for connected, uvloop raises. Abstract paths: every Python takes them; this goes when
# uvloop does, too.

Ends = tuple[Any, asyncio.Protocol]  # a reader and its protocol


async def create_unix_connection(
    loop: asyncio.AbstractEventLoop, make: Callable[[], Ends], path: Any, **kwds: Any
) -> tuple[asyncio.Transport, Ends]:
    """Do what `loop.create_unix_connection()` does, and wait while the server's backlog is full."""
    delay = _SHORTEST
    while True:
        ends = make()
        try:
            transport = await _connect_unix(loop, ends[1], path, **kwds)
        except BlockingIOError:
            pass
        else:
            if path is None or transport.get_extra_info("peername") is not None:
                return transport, ends
            transport.abort()
        # The kernel does not report when there is room.
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST)


_SHORTEST, _LONGEST = 0.001, 0.05  # seconds between two attempts


async def _connect_unix(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, path: Any, **kwds: Any
) -> asyncio.Transport:
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


# happy_eyeballs_delay, interleave: goes when uvloop has them (not now), and when asyncio's leave no
# connection open if they are cancelled just when it is made (not now; and on Python 3.12 they do
# not work with eager tasks).


async def create_connection(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.Protocol,
    host: Any,
    port: Any,
    **kwds: Any,
) -> asyncio.Transport:
    """Do what `loop.create_connection()` does, with *happy_eyeballs_delay* and *interleave*."""
    given = kwds.keys() & {"happy_eyeballs_delay", "interleave"}
    if not given or _races_well(loop, given):
        transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
        return transport
    delay = kwds.pop("happy_eyeballs_delay", None)
    interleave = kwds.pop("interleave", None)
    if kwds.get("sock") is not None or (host is None and port is None):
        # There are no addresses to try.
        transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
        return transport
    if kwds.get("ssl") and kwds.get("server_hostname") is None:
        kwds["server_hostname"] = host
    lookup = {name: kwds.pop(name, 0) for name in ("family", "proto", "flags")}
    local_address = kwds.pop("local_addr", None)
    targets = await _happy_eyeballs.resolve(loop, host, port, **lookup)
    origins = (
        await _happy_eyeballs.resolve(loop, *local_address, **lookup) if local_address else None
    )
    if interleave is None:
        interleave = 0 if delay is None else 1
    if interleave:
        targets = _happy_eyeballs.interleaved(targets, interleave)
    kwds["sock"] = sock = await _happy_eyeballs.first_to_connect(loop, targets, origins, delay)
    try:
        transport, _ = await loop.create_connection(lambda: protocol, **kwds)
    except BaseException:
        sock.close()
        raise
    return transport


def _races_well(loop: asyncio.AbstractEventLoop, given: set[str]) -> bool:
    """Return whether the loop's `create_connection()` has these arguments, and is sound."""
    own = getattr(type(loop), "create_connection", None)
    return own is not asyncio.BaseEventLoop.create_connection and all(
        _accepts(loop.create_connection, name) for name in given
    )


# For short data, writelines() takes longer than join() and write(): for 16 lines of 80 bytes, 2.5
# times as long on asyncio's loops from Python 3.12 on, and a third longer on uvloop. On 3.11, and
# with TLS, writelines() is a join() and a write(). Python 3.12's does not count in flow control,
# and fails on a closed transport; so do copies of it, such as that of `fakes`.

_OF_SOCKETS, _OF_TLS, _OF_UVLOOP = "asyncio.selector_events", "asyncio.sslproto", "uvloop.loop"
_SOUND = sys.version_info >= (3, 13)  # asyncio's writelines()
_ALWAYS, _IF_SHORT, _NEVER = sys.maxsize, 4096, -1

# The loops' own transports: a new check for each call takes a tenth of the instructions of writing
# 16 lines.
_longest: dict[type, int] = {}


def should_join(transport: Any, items: Sequence[bytes]) -> bool:
    """Return whether it is faster to write *items* as one."""
    longest = _longest.get(type(transport))
    if longest is None:
        longest = _longest_to_join(type(transport))
    # The last one is mostly the longest. Checking all of them takes longer than writing.
    return longest > 0 and (not items or len(items[-1]) <= longest)


def _longest_to_join(kind: type) -> int:
    module = kind.__module__
    longest = _NEVER
    if module == _OF_TLS or (
        not _SOUND and issubclass(kind, asyncio.Transport) and module != _OF_UVLOOP
    ):
        longest = _ALWAYS
    elif module in (_OF_UVLOOP, _OF_SOCKETS):
        longest = _IF_SHORT
    if module in (_OF_SOCKETS, _OF_TLS, _OF_UVLOOP):
        _longest[kind] = longest
    return longest
