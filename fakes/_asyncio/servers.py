"""The methods of a loop that listen."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl as ssl_module
import sys
from collections.abc import Iterable
from typing import Any

from fakes._asyncio.arguments import bind_error, check_stream, check_unix
from fakes._asyncio.names import Names, ProtocolFactory
from fakes._asyncio.server import Server
from fakes._asyncio.tls import check_ssl
from fakes._kernel.addresses import unix_path
from fakes._kernel.stream_socket import StreamSocket
from fakes._network.resolver import AddressInfo


class Servers(Names):
    """`create_server()` and `create_unix_server()`."""

    async def create_server(  # type: ignore[override]  # typeshed has one overload per use
        self,
        protocol_factory: ProtocolFactory,
        host: str | Iterable[str] | None = None,
        port: int | str | None = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: Any = None,
        backlog: int = 100,
        ssl: ssl_module.SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> asyncio.AbstractServer:
        """Listen on addresses of the current simulated host, as asyncio's method (3.15).

        Raises:
            OSError: an address is taken or belongs to another host.
        """
        if sock is not None and host is None and port is None:
            real, sock = sock, self._simulated(sock)
            if sock is None:
                return await super().create_server(
                    protocol_factory,
                    sock=real,
                    backlog=backlog,
                    ssl=ssl,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                    start_serving=start_serving,
                )
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        timeouts = check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        if host is not None or port is not None:
            if sock is not None:
                raise ValueError("host/port and sock can not be specified at the same time")
            hosts: list[str | None]
            if host is None or host == "":
                hosts = [None]
            elif isinstance(host, str) or not isinstance(host, Iterable):
                hosts = [host]
            else:
                hosts = list(host)
            infos: dict[AddressInfo, None] = {}  # a set that keeps its order
            for name in hosts:
                found = await self._resolve((name, port), family, 0, flags)
                if not found:
                    raise OSError(f"getaddrinfo({name!r}) returned empty list")
                infos.update(dict.fromkeys(found))
            sockets = self._bind_all(
                list(infos), reuse_address is not False, bool(reuse_port), bool(keep_alive)
            )
        else:
            if sock is None:
                raise ValueError("Neither host/port nor sock were specified")
            check_stream(sock)
            sock.setblocking(False)
            sockets = [sock]
        server = Server(self, sockets, protocol_factory, ssl, backlog, timeouts)
        if start_serving:
            await server.start_serving()
        return server

    def _bind_all(
        self, infos: list[AddressInfo], reuse_address: bool, reuse_port: bool, keep_alive: bool
    ) -> list[StreamSocket]:
        sockets: list[StreamSocket] = []
        try:
            for family, _type, _proto, _name, address in infos:
                sock = self.network.socket(family)
                sockets.append(sock)
                if reuse_address:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if reuse_port:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if keep_alive:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    sock.bind(address)
                except OSError as exc:
                    error = bind_error(address, exc)
                    if exc.errno == errno.EADDRNOTAVAIL:
                        error.add_note(self._whose_addresses())
                        if sys.version_info >= (3, 13):
                            sockets.pop().close()
                            continue
                    raise error from None
            if not sockets and sys.version_info >= (3, 13):
                addresses = [info[4] for info in infos]
                error = OSError(f"could not bind on any address out of {addresses!r}")
                error.add_note(self._whose_addresses())
                raise error
        except BaseException:
            for sock in sockets:
                sock.close()
            raise
        return sockets

    def _whose_addresses(self) -> str:
        return f"This code is on {self.network.current_host()!r}: see fakes.Host."

    async def create_unix_server(  # type: ignore[override]  # typeshed has it on Unix only
        self,
        protocol_factory: ProtocolFactory,
        path: str | bytes | os.PathLike[str] | None = None,
        *,
        sock: Any = None,
        backlog: int = 100,
        ssl: ssl_module.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = True,
    ) -> asyncio.AbstractServer:
        """Listen on a Unix path of the current simulated host; no real file is made.

        As asyncio's method (3.15): a path left over from before is replaced, and removed when the
        server is closed, unless `cleanup_socket` is false.
        """
        if sock is not None and path is None:
            real, sock = sock, self._simulated(sock)
            if sock is None:
                return await super().create_unix_server(
                    protocol_factory,
                    sock=real,
                    backlog=backlog,
                    ssl=ssl,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                    start_serving=start_serving,
                )
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        timeouts = check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        host = self.network.current_host()
        if path is not None:
            if sock is not None:
                raise ValueError("path and sock can not be specified at the same time")
            path = unix_path(os.fspath(path))
            if isinstance(path, str) and host.socket_at(path) is not None:
                host.unlink(path)
            sock = self.network.socket(socket.AF_UNIX)
            try:
                sock.bind(path)
            except OSError:
                sock.close()
                # Only an abstract name can be taken.
                raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
        else:
            if sock is None:
                raise ValueError("path was not specified, and no sock specified")
            check_unix(sock)
            sock.setblocking(False)
        server = Server(
            self, [sock], protocol_factory, ssl, backlog, timeouts, cleanup_path=cleanup_socket
        )
        if start_serving:
            await server.start_serving()
        return server
