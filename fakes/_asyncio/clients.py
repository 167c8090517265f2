"""The methods of a loop that connect."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import ssl as ssl_module
from typing import Any

from fakes._asyncio.arguments import bind_error, check_stream, check_unix
from fakes._asyncio.happy_eyeballs import first_to_succeed, interleaved
from fakes._asyncio.names import Connection, ProtocolFactory
from fakes._asyncio.sock_methods import SockMethods
from fakes._asyncio.tls import SSL, TLSTimeouts, app_transport, check_ssl, wrap
from fakes._asyncio.transport import SocketTransport
from fakes._kernel.stream_socket import StreamSocket
from fakes._network.resolver import AddressInfo


class Clients(SockMethods):
    """`create_connection()`, `create_unix_connection()`, `connect_accepted_socket()`."""

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str | None = None,
        port: int | str | None = None,
        *,
        ssl: SSL = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> Connection:
        """Connect to a simulated host, with every argument of asyncio's method (3.15).

        Raises:
            socket.gaierror: the name is unknown.
            OSError: no address answers; the message has the reason of each that was tried.
            ExceptionGroup: the same, with `all_errors`.
            ValueError: the arguments exclude each other.
        """
        if sock is not None and host is None and port is None:
            real, sock = sock, self._taken(sock)
            if sock is None:
                return await super().create_connection(
                    protocol_factory,
                    ssl=ssl,
                    sock=real,
                    server_hostname=server_hostname,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                )
        timeouts = check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        if server_hostname is not None and not ssl:
            raise ValueError("server_hostname is only meaningful with ssl")
        if server_hostname is None and ssl:
            if not host:
                raise ValueError("You must set server_hostname when using ssl without a host")
            server_hostname = host
        if host is not None or port is not None:
            if sock is not None:
                raise ValueError("host/port and sock can not be specified at the same time")
            if happy_eyeballs_delay is not None and interleave is None:
                interleave = 1
            infos = await self._resolve_some((host, port), family, proto, flags)
            local_infos: list[AddressInfo] | None = None
            if local_addr is not None:
                local_infos = await self._resolve_some(local_addr, family, proto, flags)
            if interleave:
                infos = interleaved(infos, interleave)
            sock = await self._connect_to_one(infos, local_infos, happy_eyeballs_delay, all_errors)
        else:
            if sock is None:
                raise ValueError("host and port was not specified and no sock specified")
            check_stream(sock)
        return await self._make_connection(sock, protocol_factory, ssl, server_hostname, timeouts)

    async def _connect_to_one(
        self,
        infos: list[AddressInfo],
        local_infos: list[AddressInfo] | None,
        delay: float | None,
        all_errors: bool,
    ) -> StreamSocket:
        """Connect to the first address that accepts, or raise the errors of all."""
        errors: list[list[OSError]] = [[] for _ in infos]
        attempts = [
            lambda info=info, failed=failed: self._connect_to(info, local_infos, failed)
            for info, failed in zip(infos, errors, strict=True)
        ]
        sock = await first_to_succeed(attempts, delay)
        if sock is not None:
            return sock
        flat = list(itertools.chain.from_iterable(errors))
        try:
            if all_errors:
                raise ExceptionGroup("create_connection failed", flat)
            if all(str(exc) == str(flat[0]) for exc in flat):
                raise flat[0]
            raise OSError(f"Multiple exceptions: {', '.join(str(exc) for exc in flat)}")
        finally:
            # The exceptions' tracebacks hold this frame; do not hold them from it.
            del flat, errors, attempts

    async def _connect_to(
        self, info: AddressInfo, local_infos: list[AddressInfo] | None, failed: list[OSError]
    ) -> StreamSocket:
        family, _type, _proto, _name, address = info
        sock = self.network.socket(family)
        try:
            if local_infos is not None:
                self._bind_local(sock, local_infos, failed)
            await self.sock_connect(sock, address)
        except OSError as exc:
            if not failed or failed[-1] is not exc:
                failed.append(exc)
            sock.close()
            raise
        except BaseException:
            sock.close()
            raise
        return sock

    def _bind_local(
        self, sock: StreamSocket, local_infos: list[AddressInfo], failed: list[OSError]
    ) -> None:
        for family, _type, _proto, _name, address in local_infos:
            if family != sock.family:
                continue
            try:
                sock.bind(address)
            except OSError as exc:
                failed.append(bind_error(address, exc))
            else:
                return
        if not failed:
            failed.append(OSError(f"no matching local address with family={sock.family!r} found"))
        raise failed[-1]

    async def create_unix_connection(
        self,
        protocol_factory: ProtocolFactory,
        path: str | bytes | os.PathLike[str] | None = None,
        *,
        ssl: SSL = None,
        sock: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Connection:
        """Connect to a Unix path of the current simulated host. Real files play no part."""
        if sock is not None and path is None:
            real, sock = sock, self._taken(sock)
            if sock is None:
                return await super().create_unix_connection(
                    protocol_factory,
                    ssl=ssl,
                    sock=real,
                    server_hostname=server_hostname,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                )
        timeouts = check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        if ssl and server_hostname is None:
            raise ValueError("you have to pass server_hostname when using ssl")
        if not ssl and server_hostname is not None:
            raise ValueError("server_hostname is only meaningful with ssl")
        if path is not None:
            if sock is not None:
                raise ValueError("path and sock can not be specified at the same time")
            sock = self.network.socket(socket.AF_UNIX)
            try:
                await self.sock_connect(sock, os.fspath(path))
            except BaseException:
                sock.close()
                raise
        else:
            if sock is None:
                raise ValueError("no path and sock were specified")
            check_unix(sock)
        return await self._make_connection(sock, protocol_factory, ssl, server_hostname, timeouts)

    async def connect_accepted_socket(
        self,
        protocol_factory: ProtocolFactory,
        sock: Any,
        *,
        ssl: SSL = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Connection:
        """Put a transport and a protocol on a socket from `StreamSocket.accept()`."""
        real, sock = sock, self._taken(sock)
        if sock is None:
            return await super().connect_accepted_socket(
                protocol_factory,
                real,
                ssl=ssl,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        check_stream(sock)
        timeouts = check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        return await self._make_connection(
            sock, protocol_factory, ssl, "", timeouts, server_side=True
        )

    async def _make_connection(
        self,
        sock: StreamSocket,
        protocol_factory: ProtocolFactory,
        ssl: SSL,
        server_hostname: str | None,
        timeouts: TLSTimeouts,
        server_side: bool = False,
    ) -> Connection:
        transport: asyncio.Transport
        try:
            if sock.gettimeout() != 0:
                sock.setblocking(False)
            protocol = protocol_factory()
            waiter = self.create_future()
            if ssl:
                tls = wrap(
                    self,
                    protocol,
                    ssl if isinstance(ssl, ssl_module.SSLContext) else None,
                    waiter,
                    server_side=server_side,
                    server_hostname=server_hostname,
                    timeouts=timeouts,
                )
                SocketTransport(self, sock, tls)
                transport = app_transport(tls)
            else:
                transport = SocketTransport(self, sock, protocol, waiter=waiter)
        except BaseException:
            sock.close()
            raise
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol
