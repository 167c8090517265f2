"""A network in memory: hosts with addresses, listeners, and connections between them.

The network decides what each packet meets: who listens, which address is free, which way leads
where. It needs an event loop for time and for readiness and nothing else, so that any loop can
carry it (`fakes.Loop`, or a class made by `fakes.network_loop()`).
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from fakes.dns import Resolver
from fakes.sockets import Listener, Socket
from fakes.tcp import Endpoint, UnixEndpoint, connect_ends, os_error

# What Linux's loopback takes in one write before it says "later" (about 4 MB, by measurement);
# and the most that asyncio reads at once, so that a write up to that size can arrive whole.
SEND_BUFFER = 4 * 1024 * 1024
RECEIVE_BUFFER = 256 * 1024
UNIX_BUFFER = 212_992  # net.core.wmem_default
EPHEMERAL_PORTS = range(32768, 61000)  # net.ipv4.ip_local_port_range

_current_host: contextvars.ContextVar[Host] = contextvars.ContextVar("fakes_current_host")


class Host:
    """A machine on the network, with its addresses, its ports and its Unix socket paths.

    Made by `Network.host()`. Code runs "on" a host inside `with host:`; tasks and callbacks started
    there stay there.
    """

    def __init__(self, network: Network, name: str, addresses: tuple[str, ...]) -> None:
        self.network = network
        self.name = name
        self.addresses = addresses
        # What is bound, by (family, address, port) or by Unix path; a path stays when its
        # socket is closed, until it is unlinked.
        self._bound: dict[tuple[int, str, int], Socket] = {}
        self._paths: dict[str | bytes, Socket] = {}
        self._ports_in_use: dict[int, int] = {}
        self._next_port = EPHEMERAL_PORTS.start
        self._tokens: list[contextvars.Token[Host]] = []

    def __repr__(self) -> str:
        """Say what it is and the state it is in."""
        return f"<fakes.Host {self.name!r} {' '.join(self.addresses)}>"

    def __enter__(self) -> Host:
        """Make this the host that the code in the `with` block runs on."""
        self._tokens.append(_current_host.set(self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Go back to the host before."""
        _current_host.reset(self._tokens.pop())

    def has_address(self, address: str) -> bool:
        """Whether packets for an IP address stay on this host."""
        return address in self.addresses or ipaddress.ip_address(address).is_loopback

    def ephemeral_port(self) -> int:
        """Return a port that nothing uses. Raises `OSError` (EADDRNOTAVAIL) if there is none."""
        for _ in EPHEMERAL_PORTS:
            port = self._next_port
            self._next_port = port + 1 if port + 1 in EPHEMERAL_PORTS else EPHEMERAL_PORTS.start
            if port not in self._ports_in_use:
                return port
        raise os_error(errno.EADDRNOTAVAIL)

    def use_port(self, port: int) -> None:
        """Count a socket that holds a port."""
        self._ports_in_use[port] = self._ports_in_use.get(port, 0) + 1

    def free_port(self, port: int) -> None:
        """Count a socket that has let go of a port."""
        left = self._ports_in_use.get(port, 0) - 1
        if left > 0:
            self._ports_in_use[port] = left
        else:
            self._ports_in_use.pop(port, None)

    def bind(self, sock: Socket, address: Any) -> Any:
        """Give a socket its address; return the address that it got.

        Raises `OSError`: EADDRINUSE, or EADDRNOTAVAIL for an address of another host.
        """
        ip, port = address[0], address[1]
        wildcard = ipaddress.ip_address(ip).is_unspecified
        if not wildcard and not self.has_address(ip):
            raise os_error(errno.EADDRNOTAVAIL)
        if port == 0:
            port = self.ephemeral_port()
        else:
            for (family, other_ip, other_port), other in self._bound.items():
                if (
                    port == other_port
                    and family == sock.family
                    and (
                        wildcard or other_ip == ip or ipaddress.ip_address(other_ip).is_unspecified
                    )
                    and not (sock.reuse_port and other.reuse_port)
                ):
                    raise os_error(errno.EADDRINUSE)
        self._bound[sock.family, ip, port] = sock
        self.use_port(port)
        return (ip, port) if sock.family == socket.AF_INET else (ip, port, 0, 0)

    def unbind(self, sock: Socket, address: Any) -> None:
        """Free the address of a bound socket."""
        key = (int(sock.family), address[0], address[1])
        if self._bound.get(key) is sock:
            del self._bound[key]
            self.free_port(address[1])

    def listener_for(self, family: int, ip: str, port: int) -> Listener | None:
        """Return the listener that a connection to an address reaches, if any."""
        for key in (
            (family, ip, port),
            (family, "0.0.0.0" if family == socket.AF_INET else "::", port),
        ):
            sock = self._bound.get(key)
            if sock is not None and sock.listener is not None:
                return sock.listener
        return None

    # --- Unix paths ---------------------------------------------------------------------------

    def bind_path(self, sock: Socket, path: str | bytes) -> None:
        """Bind a Unix socket to a path. Raises `OSError` (EADDRINUSE) if the path exists."""
        if path in self._paths:
            raise os_error(errno.EADDRINUSE)
        self._paths[path] = sock

    def unlink(self, path: str | bytes) -> None:
        """Remove a Unix socket's path. Raises `FileNotFoundError` if there is none."""
        if path not in self._paths:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        del self._paths[path]

    def socket_at(self, path: str | bytes) -> Socket | None:
        """Return the socket bound to a Unix path, open or closed, or None."""
        return self._paths.get(path)


class Network:
    """A network of hosts, at first one: `localhost`, with 127.0.0.1, ::1 and an outer address.

    Arguments:
        send_buffer: bytes that a sending kernel keeps for a connection (default 4 MiB).
        receive_buffer: bytes that a receiving kernel keeps (default 256 KiB).
    """

    def __init__(
        self, *, send_buffer: int = SEND_BUFFER, receive_buffer: int = RECEIVE_BUFFER
    ) -> None:
        self.send_buffer = send_buffer
        self.receive_buffer = receive_buffer
        self.dns = Resolver(self)
        self.poll: Callable[[asyncio.Handle], None] = _no_loop
        self.hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serial = 0
        self._next_fileno = 1 << 20  # no real file descriptor is that high
        self.connections: dict[int, Endpoint] = {}
        self.local = self.host("localhost")

    def attach(
        self, loop: asyncio.AbstractEventLoop, poll: Callable[[asyncio.Handle], None]
    ) -> None:
        """Put the network under an event loop. Raises `RuntimeError` if another one has it."""
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise RuntimeError("this network already belongs to another event loop, still open")
        self._loop = loop
        self.poll = poll

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that carries the network. Raises `RuntimeError` if there is none yet."""
        if self._loop is None:
            raise RuntimeError("this network has no event loop yet: pass it to one")
        return self._loop

    # --- hosts --------------------------------------------------------------------------------

    def host(self, name: str, *addresses: str) -> Host:
        """Return the host of a name, or add it.

        A new host without `addresses` gets one of each family, in 10.0.0.0/8 and fd00::/8. Its name
        resolves to its addresses, in the order given. Raises `ValueError` for an address that is
        malformed or taken, and for new addresses of a host that exists.
        """
        known = self.hosts.get(name)
        if known is not None:
            if addresses and addresses != known.addresses:
                raise ValueError(f"host {name!r} exists already, with addresses {known.addresses}")
            return known
        if not addresses:
            number = len(self.hosts) + 1
            addresses = (
                str(ipaddress.IPv4Address("10.0.0.0") + number),
                str(ipaddress.IPv6Address("fd00::") + number),
            )
        addresses = tuple(str(ipaddress.ip_address(address)) for address in addresses)
        for address in addresses:
            if address in self._by_address:
                raise ValueError(f"address {address} belongs to {self._by_address[address]!r}")
        host = self.hosts[name] = Host(self, name, addresses)
        for address in addresses:
            self._by_address[address] = host
        return host

    def current_host(self) -> Host:
        """Return the host that the running code is on: that of the innermost `with host:`."""
        host = _current_host.get(None)
        return self.local if host is None or host.network is not self else host

    def host_of(self, address: str, seen_from: Host) -> Host | None:
        """Return the host that a packet to an address reaches, or None."""
        if seen_from.has_address(address):
            return seen_from
        return self._by_address.get(address)

    # --- sockets ------------------------------------------------------------------------------

    def next_fileno(self) -> int:
        """Return a number for `fileno()`."""
        self._next_fileno += 1
        return self._next_fileno

    def socket(self, family: int = socket.AF_INET) -> Socket:
        """Return a new, unconnected stream socket on the current host."""
        return Socket(self, self.current_host(), family)

    def socketpair(self) -> tuple[Socket, Socket]:
        """Return two connected sockets, as `socket.socketpair()`: Unix sockets without names."""
        host = self.current_host()
        one, other = self._pair(UnixEndpoint, host, "", host, "")
        return (
            Socket(self, host, socket.AF_UNIX, one),
            Socket(self, host, socket.AF_UNIX, other),
        )

    def _pair(
        self, kind: type[Endpoint], here: Host, local: Any, there: Host, remote: Any
    ) -> tuple[Endpoint, Endpoint]:
        self._serial += 1
        send, receive = self.send_buffer, self.receive_buffer
        if kind is UnixEndpoint:
            send = receive = min(UNIX_BUFFER, self.send_buffer)
        one = kind(self, 2 * self._serial, local, send, receive)
        other = kind(self, 2 * self._serial + 1, remote, send, receive)
        connect_ends(one, other)
        self.connections[one.serial] = one
        self.connections[other.serial] = other
        return one, other

    def forget(self, end: Endpoint) -> None:
        """An endpoint is closed and has nothing left to send or receive."""
        if self.connections.pop(end.serial, None) is not None:
            end.release()

    # --- connecting ---------------------------------------------------------------------------

    def connect(self, sock: Socket, address: Any, done: Callable[[OSError | None], None]) -> None:
        """Connect a TCP socket to `(ip, port, ...)`, then call `done(None)` or `done(error)`.

        `done` is called where the loop reports a socket as writable. Raises `OSError` for what the
        kernel knows without asking the network.
        """
        here = sock.host
        ip, port = str(ipaddress.ip_address(address[0])), address[1]
        if ipaddress.ip_address(ip).is_unspecified:
            ip = "127.0.0.1" if sock.family == socket.AF_INET else "::1"
        there = self.host_of(ip, here)
        local = sock.bind_for(ip)
        if there is None:
            raise os_error(errno.EHOSTUNREACH)
        listener = there.listener_for(sock.family, ip, port)
        if listener is None:
            self._soon(lambda: done(os_error(errno.ECONNREFUSED)))
            return
        remote = (ip, port) if sock.family == socket.AF_INET else (ip, port, 0, 0)
        kind = _TCP6Endpoint if sock.family == socket.AF_INET6 else Endpoint
        client, server = self._pair(kind, here, local, there, remote)
        client.releases = sock.release_bound()

        def established() -> None:
            sock.connected(client)
            done(None)

        self._soon(established)
        listener.queue.append(server)
        listener.check_readable()

    def connect_path(self, sock: Socket, path: str | bytes) -> None:
        """Connect a Unix socket, at once.

        Raises `FileNotFoundError` if there is no such path, `ConnectionRefusedError` if nobody
        listens at it, and `BlockingIOError` if its backlog is full.
        """
        target = sock.host.socket_at(path)
        if target is None:
            raise os_error(errno.ENOENT)
        listener = target.listener
        if listener is None:
            raise os_error(errno.ECONNREFUSED)
        if len(listener.queue) > listener.backlog:
            raise os_error(errno.EAGAIN)
        client, server = self._pair(UnixEndpoint, sock.host, "", sock.host, path)
        sock.connected(client)
        listener.queue.append(server)
        listener.check_readable()

    def _soon(self, callback: Callable[[], None]) -> None:
        self.poll(asyncio.Handle(callback, (), self.loop))


class _TCP6Endpoint(Endpoint):
    __slots__ = ()
    family = socket.AF_INET6


def _no_loop(handle: asyncio.Handle) -> None:
    raise RuntimeError("this network has no event loop yet: pass it to one")
