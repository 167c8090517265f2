"""Listening sockets for the lookalikes that do without the loop's servers."""

import asyncio
import os
import socket
import stat
from contextlib import suppress
from typing import Any


async def tcp_sockets(
    host: Any,
    port: Any,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
) -> list[socket.socket]:
    """Return a socket, bound, for each address of each host."""
    hosts = [host or None] if isinstance(host, str | bytes | None) else list(host)
    lookup = asyncio.get_running_loop().getaddrinfo
    found: list[Any] = []
    for each in hosts:
        addresses = await lookup(
            each, port or 0, family=family, type=socket.SOCK_STREAM, flags=flags
        )
        if not addresses:
            raise OSError(f"{each!r} has no address")
        found += addresses
    sockets: list[socket.socket] = []
    try:
        for kind, _, proto, _, address in dict.fromkeys(found):
            sock = socket.socket(kind, socket.SOCK_STREAM, proto)
            sockets.append(sock)
            sock.setblocking(False)
            if reuse_address is not False:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if kind == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
        if not sockets:
            raise OSError("no address to serve on")
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def unix_socket(path: Any) -> socket.socket:
    """Return a socket that is bound to `path`, and replaces a stale one."""
    path = os.fspath(path)
    if path[:1] not in ("\0", b"\0"):
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.remove(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock
