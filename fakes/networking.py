"""The methods of an event loop that the simulated network answers.

`Networking` is mixed into a loop class in front of the methods it replaces. It needs a loop's
public methods only, so that it serves `fakes.Loop` and, by way of `fakes.network_loop()`, the
loops of asyncio and uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import os
import socket
import ssl as ssl_module
import sys
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, TypeVarTuple, Unpack

from fakes.dns import AddressInfo, is_address
from fakes.network import Network
from fakes.race import first_to_succeed
from fakes.sendfile import CHUNK, check_arguments, send_file
from fakes.server import Server
from fakes.sockets import Socket, TransportSocket, unix_path, writable_view
from fakes.standins import stand_in_for, take
from fakes.tls import TLSTimeouts, app_transport, wrap
from fakes.transport import SocketTransport
from fakes.watch import Watch

if TYPE_CHECKING:
    Base = asyncio.AbstractEventLoop
else:
    Base = object

Ts = TypeVarTuple("Ts")

ProtocolFactory = Callable[[], asyncio.BaseProtocol]
Connection = tuple[asyncio.Transport, Any]
SSL = ssl_module.SSLContext | bool | None

# As asyncio, which looks no closer where the socket's type says it all.
_STREAM_PROTOCOLS = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class NotSimulated(NotImplementedError):
    """The program asks for something that the simulation does not have; the message names it."""


class Networking(Base):
    """Event loop methods over a `Network`, which a subclass sets as `network`."""

    network: Network
    # Whether sockets that are not simulated are left to the loop underneath.
    takes_real_sockets = True

    def _is_simulated(self, sock: Any) -> bool:
        if isinstance(sock, Socket):
            return True
        if self.takes_real_sockets:
            return False
        if isinstance(sock, socket.socket):
            _check_stream(sock)
        raise NotSimulated(
            f"{sock!r} is not a socket of the simulated network; make one with "
            "fakes.open_socket_pair() or loop.network.socket()"
        )

    # --- names --------------------------------------------------------------------------------

    async def getaddrinfo(  # type: ignore[override]  # typeshed repeats the overloads of socket's
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """As `socket.getaddrinfo()`, asked of the network's names (`Network.dns`)."""
        return await self.network.dns.lookup(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """As `socket.getnameinfo()`, asked of the network's names."""
        return self.network.dns.getnameinfo(sockaddr, flags)

    async def _resolve(
        self, address: Any, family: int = 0, proto: int = 0, flags: int = 0
    ) -> list[AddressInfo]:
        """As `getaddrinfo()`; but, as in asyncio, an IP address with a number is not looked up.

        So it comes out as it is, with a port that is none, or what is asked for besides.
        """
        host, port = address[:2]
        number = _port_number(port)
        if host is not None and number is not None and proto in _STREAM_PROTOCOLS:
            name = host.decode("idna") if isinstance(host, bytes) else host
            for known in (socket.AF_INET, socket.AF_INET6):
                if family in (0, known) and "%" not in name and is_address(name, known):
                    rest = tuple(address[2:]) or (0, 0) if known == socket.AF_INET6 else ()
                    resolved = (name, number, *rest)
                    return [(known, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", resolved)]
        return await self.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
        )

    async def _resolve_some(
        self, address: Any, family: int, proto: int, flags: int
    ) -> list[AddressInfo]:
        """As `_resolve()`, for a client, who has to have an address."""
        found = await self._resolve(address, family, proto, flags)
        if not found:
            raise OSError("getaddrinfo() returned empty list")
        return found

    # --- clients ------------------------------------------------------------------------------

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

        Raises what asyncio's does: `socket.gaierror`, `OSError` with the reason of every address
        that was tried, `ExceptionGroup` with `all_errors`, `ValueError` for arguments that
        exclude each other.
        """
        sock = take(sock) or sock
        if sock is not None and host is None and port is None and not self._is_simulated(sock):
            return await super().create_connection(
                protocol_factory,
                ssl=ssl,
                sock=sock,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        timeouts = _check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
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
                infos = _interleave(infos, interleave)
            sock = await self._connect_to_one(infos, local_infos, happy_eyeballs_delay, all_errors)
        else:
            if sock is None:
                raise ValueError("host and port was not specified and no sock specified")
            _check_stream(sock)
        return await self._make_connection(sock, protocol_factory, ssl, server_hostname, timeouts)

    async def _connect_to_one(
        self,
        infos: list[AddressInfo],
        local_infos: list[AddressInfo] | None,
        delay: float | None,
        all_errors: bool,
    ) -> Socket:
        """Connect to the first address that accepts, or raise what went wrong with each."""
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
    ) -> Socket:
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
        self, sock: Socket, local_infos: list[AddressInfo], failed: list[OSError]
    ) -> None:
        for family, _type, _proto, _name, address in local_infos:
            if family != sock.family:
                continue
            try:
                sock.bind(address)
            except OSError as exc:
                failed.append(_bind_error(address, exc))
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
        """Connect to a Unix path of the current simulated host. No real file is looked at."""
        if sock is not None and path is None and not self._is_simulated(sock):
            return await super().create_unix_connection(
                protocol_factory,
                ssl=ssl,
                sock=sock,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        timeouts = _check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
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
            _check_unix(sock)
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
        """Put a transport and a protocol on a socket from `Socket.accept()`."""
        if not self._is_simulated(sock):
            return await super().connect_accepted_socket(
                protocol_factory,
                sock,
                ssl=ssl,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        _check_stream(sock)
        timeouts = _check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        return await self._make_connection(
            sock, protocol_factory, ssl, "", timeouts, server_side=True
        )

    async def _make_connection(
        self,
        sock: Socket,
        protocol_factory: ProtocolFactory,
        ssl: SSL,
        server_hostname: str | None,
        timeouts: TLSTimeouts,
        server_side: bool = False,
    ) -> Connection:
        transport: asyncio.Transport
        try:
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

    # --- servers ------------------------------------------------------------------------------

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

        Raises `OSError` if an address is taken or belongs to another host.
        """
        if sock is not None and host is None and port is None and not self._is_simulated(sock):
            return await super().create_server(
                protocol_factory,
                sock=sock,
                backlog=backlog,
                ssl=ssl,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
                start_serving=start_serving,
            )
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        timeouts = _check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
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
            _check_stream(sock)
            sockets = [sock]
        server = Server(self, sockets, protocol_factory, ssl, backlog, timeouts)
        if start_serving:
            await server.start_serving()
        return server

    def _bind_all(
        self, infos: list[AddressInfo], reuse_address: bool, reuse_port: bool, keep_alive: bool
    ) -> list[Socket]:
        sockets: list[Socket] = []
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
                    error = _bind_error(address, exc)
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
        if sock is not None and path is None and not self._is_simulated(sock):
            return await super().create_unix_server(
                protocol_factory,
                sock=sock,
                backlog=backlog,
                ssl=ssl,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
                start_serving=start_serving,
            )
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        timeouts = _check_ssl(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
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
            _check_unix(sock)
        server = Server(
            self, [sock], protocol_factory, ssl, backlog, timeouts, cleanup_path=cleanup_socket
        )
        if start_serving:
            await server.start_serving()
        return server

    # --- TLS upgrade --------------------------------------------------------------------------

    async def start_tls(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl_module.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport | None:
        """Put TLS on an open connection; return the transport to use from then on.

        Raises `TypeError` for a transport that cannot be upgraded, and what the handshake raises.
        """
        if not getattr(transport, "_start_tls_compatible", False) and self.takes_real_sockets:
            upgrade = super().start_tls
        else:
            # asyncio's method needs of a loop what every loop has, and of a transport what
            # SocketTransport has.
            upgrade = functools.partial(asyncio.BaseEventLoop.start_tls, self)  # type: ignore[arg-type]
        return await upgrade(
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    # --- files ----------------------------------------------------------------------------------

    async def sendfile(
        self,
        transport: asyncio.WriteTransport,
        file: IO[bytes],
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool = True,
    ) -> int:
        """Send a file over a transport; return how many bytes were sent.

        Raises `RuntimeError` if the transport is closing, `ConnectionError` if the connection is
        lost, and `ValueError` for a file that is not binary.
        """
        if isinstance(transport, SocketTransport):
            return await send_file(transport, file, offset, count)
        return await super().sendfile(transport, file, offset, count, fallback=fallback)

    async def sock_sendfile(
        self,
        sock: Any,
        file: IO[bytes],
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool | None = None,
    ) -> int:
        """Send a file over a simulated socket; return how many bytes were sent.

        Raises `ValueError` for a file that is not binary, and what sending raises.
        """
        if not self._is_simulated(sock):
            # typeshed has None as the default of this one only.
            return await super().sock_sendfile(sock, file, offset, count, fallback=fallback)
        check_arguments(file, offset, count)
        file.seek(offset)
        sent = 0
        while chunk := file.read(CHUNK if count is None else min(CHUNK, count - sent)):
            await self.sock_sendall(sock, chunk)
            sent += len(chunk)
        return sent

    # --- sockets ------------------------------------------------------------------------------

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a simulated socket; names are resolved.

        On `fakes.Loop`, a real socket that is not connected stands for a simulated one, which
        `create_connection(sock=...)` will know it by. An attempt after one that was refused fails
        with ECONNABORTED, and the next is made: so does Linux.
        """
        if isinstance(sock, socket.socket) and not self.takes_real_sockets:
            _check_stream(sock)
            sock = stand_in_for(sock, self.network)
        if not self._is_simulated(sock):
            return await super().sock_connect(sock, address)
        if sock.family == socket.AF_UNIX:
            self.network.connect_path(sock, address)
            return await asyncio.sleep(0)
        address = (await self._resolve(address, sock.family))[0][4]
        if not sock.begin_connecting(address):
            return None
        future: asyncio.Future[None] = self.create_future()

        def done(exc: OSError | None) -> None:
            if future.done():
                return
            if exc is None:
                future.set_result(None)
            else:
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # which clears it
                future.set_exception(OSError(exc.errno, f"Connect call failed {address}"))

        self.network.connect(sock, address, done)
        return await future

    async def sock_accept(self, sock: Any) -> tuple[Any, Any]:
        """Wait for a connection to a listening simulated socket; return it and its address."""
        if not self._is_simulated(sock):
            return await super().sock_accept(sock)
        listening: Socket = sock
        while True:
            try:
                return listening.accept()
            except BlockingIOError:
                await self._wait_readable(listening)

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, waiting until there are some; empty at the end."""
        if not self._is_simulated(sock):
            return await super().sock_recv(sock, nbytes)
        simulated: Socket = sock
        while True:
            try:
                return simulated.recv(nbytes)
            except BlockingIOError:
                await self._wait_readable(simulated)

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        """Receive into a buffer; return how many bytes."""
        if not self._is_simulated(sock):
            return await super().sock_recv_into(sock, buf)
        with writable_view(buf) as view:
            data = await self.sock_recv(sock, len(view))
            view[: len(data)] = data
        return len(data)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """Send all of `data`, waiting for room."""
        if not self._is_simulated(sock):
            return await super().sock_sendall(sock, data)
        simulated: Socket = sock
        try:
            sent = simulated.send(data)  # even if it is empty: there may be no connection
        except BlockingIOError:
            sent = 0
        with memoryview(data).cast("B") as view:
            while sent < len(view):
                await self._wait_writable(simulated)
                with contextlib.suppress(BlockingIOError):
                    sent += simulated.send(view[sent:])
        return None

    def _watched(self, fd: Any) -> Socket:
        """Return the simulated socket that is meant by `fd`: it, its number, or a transport's.

        Raises what asyncio does: `ValueError` if it is closed, `RuntimeError` if a transport uses
        it.
        """
        sock: Socket
        if isinstance(fd, int):
            sock = self.network.socket_of(fd)
        else:
            sock = fd.simulated if isinstance(fd, TransportSocket) else fd
        if sock.fileno() == -1:
            raise ValueError("Invalid file descriptor: -1")
        transport = sock.transport()
        if transport is not None and not transport.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")
        return sock

    def _is_watchable(self, fd: Any) -> bool:
        """Whether `fd` is for this network to watch, and not for the loop underneath."""
        if isinstance(fd, TransportSocket) or (isinstance(fd, int) and self.network.has_fileno(fd)):
            return True
        return self._is_simulated(fd)

    def add_reader(self, fd: Any, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Call back whenever a simulated socket, or that of a number, can be read."""
        if not self._is_watchable(fd):
            return super().add_reader(fd, callback, *args)
        sock = self._watched(fd)
        called = self._watch_callback(sock, callback, args)
        sock.watch_reading(Watch(sock.pollable, True, called, self))
        return None

    def remove_reader(self, fd: Any) -> bool:
        """End what `add_reader()` began; return whether it had."""
        if not self._is_watchable(fd):
            return super().remove_reader(fd)
        return self._watched(fd).watch_reading(None)

    def add_writer(self, fd: Any, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Call back whenever a simulated socket, or that of a number, can be written."""
        if not self._is_watchable(fd):
            return super().add_writer(fd, callback, *args)
        sock = self._watched(fd)
        called = self._watch_callback(sock, callback, args)
        sock.watch_writing(Watch(sock.pollable, False, called, self))
        return None

    def remove_writer(self, fd: Any) -> bool:
        """End what `add_writer()` began; return whether it had."""
        if not self._is_watchable(fd):
            return super().remove_writer(fd)
        return self._watched(fd).watch_writing(None)

    def _watch_callback(
        self, sock: Socket, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Callable[[], object]:
        """Return what a watch on a socket calls: a subclass can come to know of each call."""
        return functools.partial(callback, *args)

    async def _wait_readable(self, sock: Socket) -> None:
        future: asyncio.Future[None] = self.create_future()
        sock = self._watched(sock)
        sock.watch_reading(Watch(sock.pollable, True, lambda: _set(future), self))
        try:
            await future
        finally:
            sock.watch_reading(None)

    async def _wait_writable(self, sock: Socket) -> None:
        future: asyncio.Future[None] = self.create_future()
        sock = self._watched(sock)
        sock.watch_writing(Watch(sock.pollable, False, lambda: _set(future), self))
        try:
            await future
        finally:
            sock.watch_writing(None)


def _port_number(port: str | bytes | int | None) -> int | None:
    """Return a port as a number; None for a service's name."""
    if port in (None, "", b""):
        return 0
    try:
        return int(port)
    except (TypeError, ValueError):
        return None


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _check_ssl(
    ssl: SSL, handshake_timeout: float | None, shutdown_timeout: float | None
) -> TLSTimeouts:
    if handshake_timeout is not None and not ssl:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout is not None and not ssl:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
    return TLSTimeouts(handshake_timeout, shutdown_timeout)


def _check_stream(sock: Any) -> None:
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")


def _check_unix(sock: Any) -> None:
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")


def _bind_error(address: Any, exc: OSError) -> OSError:
    reason = str(exc) if sys.version_info >= (3, 13) else str(exc.strerror)
    return OSError(
        exc.errno, f"error while attempting to bind on address {address!r}: {reason.lower()}"
    )


def _interleave(infos: list[AddressInfo], first: int) -> list[AddressInfo]:
    """Take turns between address families, after `first - 1` more of the first (RFC 8305)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    queues = list(families.values())
    head, queues[0] = queues[0][: first - 1], queues[0][first - 1 :]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*queues))
    return head + [info for info in turns if info is not None]
