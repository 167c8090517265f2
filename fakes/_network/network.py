"""A network in memory: hosts with addresses, listeners, and connections between them.

The network decides where each packet goes: which socket listens, which address is free, which link
leads where. It needs an event loop only for time and for readiness, so any loop can carry it
(`fakes.Loop`, or a class made by `fakes.network_loop()`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable
from socket import (
    AF_INET,
    AF_UNIX,
    IPPROTO_UDP,
    SOCK_STREAM,
    SocketKind,
)
from typing import Any, overload

from fakes._kernel.addresses import ip_address
from fakes._kernel.datagram_socket import DatagramSocket
from fakes._kernel.descriptors import Descriptors
from fakes._kernel.endpoint import Endpoint
from fakes._kernel.errors import NotSimulated
from fakes._kernel.socket import Socket
from fakes._kernel.stream_socket import StreamSocket
from fakes._kernel.surroundings import Machine
from fakes._network.chance import Draw, Seed
from fakes._network.connecting import Connector, destination
from fakes._network.connection import Connection
from fakes._network.connections import Connections
from fakes._network.datagrams import Datagrams
from fakes._network.environment import Environment
from fakes._network.host import Host, current_host
from fakes._network.link import Link
from fakes._network.protocols import check_kind, named
from fakes._network.resolver import Resolver
from fakes._network.segment import Note, Segment, segment_of
from fakes._public import public

# The most that Linux's loopback takes in one write (about 4 MB, by measurement); and the most that
# asyncio reads in one go, so that a write up to that size can arrive whole.
SEND_BUFFER = 4 * 1024 * 1024
RECEIVE_BUFFER = 256 * 1024


@public
class Network:
    """A network of hosts, at first one: `localhost`, with 127.0.0.1, ::1 and an outer address.

    Args:
        link: the qualities of the link between any two hosts, and from a host to itself, unless
            `Network.link()` says otherwise (default: no delay, no limit).
        send_buffer: bytes that a sending kernel keeps for a connection (default 4 MiB).
        receive_buffer: bytes that a receiving kernel keeps (default 256 KiB).
        vary: whether the seed varies when and in which pieces bytes arrive, which connection is
            ready first and how long a lookup takes (default: with every seed but 0).
    """

    def __init__(
        self,
        *,
        link: Link | None = None,
        send_buffer: int = SEND_BUFFER,
        receive_buffer: int = RECEIVE_BUFFER,
        vary: bool | None = None,
    ) -> None:
        for name, size in (("send_buffer", send_buffer), ("receive_buffer", receive_buffer)):
            if size <= 0:
                raise ValueError(f"{name} must be a positive number of bytes, not {size!r}")
        self.send_buffer = send_buffer
        self.receive_buffer = receive_buffer
        self.hosts: dict[str, Host] = {}
        self.environment = Environment(vary)
        self.descriptors: Descriptors[Socket] = Descriptors()
        self.dns = Resolver(self.environment, self.hosts)
        self._connections = Connections(self.environment, send_buffer, receive_buffer)
        self._connector = Connector(self.environment, self._connections, self)
        self._datagrams = Datagrams(self.environment, self._connections, self)
        self._usual_link = Link() if link is None else link.copy()
        self.step_observers: list[Callable[[Any], None]] = []  # of the steps that `fakes.Loop` runs
        self._links: dict[frozenset[str], Link] = {}
        self._by_address: dict[str, Host] = {}
        self.local = self.host("localhost")

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        poll: Callable[[asyncio.Handle], None] | None = None,
        seed: Seed = 0,
    ) -> None:
        """Put the network under an event loop; no effect if it is under this loop already.

        `poll` takes the handles of sockets that have become ready, to run them where the loop runs
        the callbacks of sockets (default: as any loop can).

        Raises:
            RuntimeError: the network is under another loop that is not closed.
        """
        if self.environment.attach(loop, poll, seed):
            for host in self.hosts.values():
                host.begin()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that carries the network.

        Raises:
            RuntimeError: there is none yet.
        """
        return self.environment.loop

    @property
    def seed(self) -> Seed:
        """The seed from which the run draws."""
        return self.environment.seed

    def chance(self, concern: str) -> random.Random:
        """Return the source of chance for one concern."""
        return self.environment.chances(concern)

    @property
    def varies(self) -> bool:
        """Whether the seed varies when and in which pieces bytes arrive."""
        return self.environment.varies

    @property
    def draws(self) -> list[Draw] | None:
        """The random decisions, if they are recorded: set it to a list before the run."""
        return self.environment.draws

    @draws.setter
    def draws(self, draws: list[Draw] | None) -> None:
        self.environment.draws = draws

    @property
    def connections(self) -> dict[int, Endpoint]:
        """The ends of the open connections: two for each, by number."""
        return self._connections.table

    # --- hosts and links ----------------------------------------------------------------------

    def host(self, name: str, *addresses: str) -> Host:
        """Return the host of a name, or add it.

        A new host without `addresses` gets one of each family, in 10.0.0.0/8 and fd00::/8. Its name
        resolves to its addresses, in the order given.

        Raises:
            ValueError: an address that is malformed or taken, and for new addresses of a host that
                exists.
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
        addresses = tuple(str(ip_address(address)) for address in addresses)
        for address in addresses:
            if address in self._by_address:
                raise ValueError(f"address {address} belongs to {self._by_address[address]!r}")
        host = self.hosts[name] = Host(self, self.environment, name, addresses)
        for address in addresses:
            self._by_address[address] = host
        return host

    def links_with(self, host: Host) -> list[Link]:
        """Return the links of a host that have carried data, or were changed."""
        return [link for names, link in self._links.items() if host.name in names]

    def link(self, one: Host | str, other: Host | str) -> Link:
        """Return the link between two hosts, or from a host to itself, to change it or break it.

        Raises:
            ValueError: a name that no host has.
        """
        return self.link_between(self._find(one), self._find(other))

    def link_between(self, one: Machine, other: Machine) -> Link:
        """As `link()`, for two hosts of this network."""
        key = frozenset((one.name, other.name))
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = self._usual_link.copy()
            link.join(self.environment, self.connections, one.name, other.name)
        return link

    def links_of(self, host: Host | str) -> list[Link]:
        """Return the links from a host to every host, itself excepted."""
        host = self._find(host)
        return [self.link(host, other) for other in self.hosts.values() if other is not host]

    def _find(self, host: Host | str) -> Host:
        if isinstance(host, Host):
            return host
        if host not in self.hosts:
            raise ValueError(f"no host is called {host!r}: add it with network.host({host!r})")
        return self.hosts[host]

    def current_host(self) -> Host:
        """Return the host of the running code: that of the innermost `with host:`."""
        return current_host(self) or self.local

    def host_of(self, address: str, seen_from: Machine) -> Host | None:
        """Return the host that a packet to an address reaches, or None."""
        if seen_from.has_address(address):
            return self.hosts[seen_from.name]
        return self._by_address.get(address)

    def established(self, address: Any = None) -> list[Connection]:
        """Return the open TCP connections, in the order in which they were made.

        Find one of a pool by its place in the list, by its attributes, or by the address of either
        end::

            [connection] = network.established(writer.get_extra_info("sockname"))
            connection.reset()

        Args:
            address: only those with this address at one end, as `getsockname()` gives it, or with
                this port if it is a number (default: all).
        """
        found = [
            Connection(end)
            for serial, end in sorted(self.connections.items())
            if end.is_client and end.family != AF_UNIX and not end.reset
        ]
        if isinstance(address, int):
            return [one for one in found if address in (one.client[1], one.server[1])]
        return [one for one in found if address is None or address in (one.client, one.server)]

    # --- observers ----------------------------------------------------------------------------

    def observe(self, observer: Callable[[Segment], None]) -> Callable[[], None]:
        """Show an observer every segment from now on, when it is sent.

        Returns:
            A function that ends the observation.
        """
        return self.observe_notes(lambda note: observer(segment_of(note)))

    def observe_notes(self, observer: Callable[[Note], None]) -> Callable[[], None]:
        """As `observe()`, with the data of segments: for an observer that makes only some."""
        end = self.environment.observe(observer)
        for link in self._links.values():
            link.use_paths()
        return end

    def observe_steps(self, observer: Callable[[Any], None]) -> Callable[[], None]:
        """Show an observer every step of a task that `fakes.Loop` runs, from the next turn on.

        Returns:
            A function that ends the observation.
        """
        self.step_observers.append(observer)
        return lambda: self.step_observers.remove(observer)

    # --- sockets and connections --------------------------------------------------------------

    def open_sockets(self) -> list[Socket]:
        """Return the sockets that are open, in the order in which they were made.

        A test that has closed everything that it opened gets an empty list; sockets of connections
        that no program has accepted yet do not count.
        """
        return self.descriptors.open()

    def vanish(self) -> None:
        """Drop everything that is open, without callbacks: its run ended early."""
        for sock in self.open_sockets():
            sock.vanish()

    @overload
    def socket(self, family: int = AF_INET) -> StreamSocket: ...
    @overload
    def socket(
        self,
        family: int,
        type: int,
        proto: int | None = None,
        *,
        timeout: float | None = 0.0,
    ) -> Socket: ...
    def socket(
        self,
        family: int = AF_INET,
        type: int = SOCK_STREAM,
        proto: int | None = None,
        *,
        timeout: float | None = 0.0,
    ) -> Socket:
        """Return a new, unconnected socket on the current host.

        Args:
            family: AF_INET (the default), AF_INET6 or AF_UNIX.
            type: SOCK_STREAM (the default) or SOCK_DGRAM.
            proto: the value of `proto` (default: that of the type).
            timeout: as for `settimeout()` (default 0.0: non-blocking).

        Raises:
            NotSimulated: sockets of this family, type and protocol are not simulated.
            OSError: there are none over a kernel, either (EPROTONOSUPPORT).
        """
        check_kind(family, type, proto or 0)
        host = self.current_host()
        if type == SOCK_STREAM:
            return StreamSocket.of(self, host, family, None, proto, timeout)
        if proto is None:
            proto = 0 if family == AF_UNIX else IPPROTO_UDP
        return DatagramSocket.create(self, host, family, proto, timeout)

    def socketpair(
        self, family: int = AF_UNIX, type: int = SOCK_STREAM, *, timeout: float | None = 0.0
    ) -> tuple[StreamSocket, StreamSocket]:
        """Return two connected sockets on the current host.

        Unix sockets without names, as `socket.socketpair()`, or with AF_INET or AF_INET6 a TCP
        connection from localhost to itself.
        """
        if type != SOCK_STREAM:
            raise NotSimulated(f"socketpair() of {named(SocketKind, type)} is not simulated")
        host = self.current_host()
        if family == AF_UNIX:
            one, other = self._connections.unix_pair(host, "", "")
            return (
                StreamSocket.of(self, host, family, one, timeout=timeout),
                StreamSocket.of(self, host, family, other, timeout=timeout),
            )
        client = StreamSocket.of(self, host, family, timeout=timeout)
        server = StreamSocket.of(self, host, family, timeout=timeout)
        ip = "127.0.0.1" if family == AF_INET else "::1"
        client.bind_for(ip)
        server.bind_for(ip)
        link = self.link_between(host, host)
        one, other = self._connections.pair(
            self._connections.new_number(),
            client,
            client.getsockname(),
            host,
            server.getsockname(),
            link,
        )
        client.connected(one)
        server.connected(other)
        link.connected(one)
        return client, server

    def connect(
        self, sock: StreamSocket, address: Any, done: Callable[[OSError | None], None]
    ) -> None:
        """Connect a TCP socket to `(ip, port, ...)`, then call `done(None)` or `done(error)`.

        `done` is called when the loop reports a socket as writable.

        Raises:
            OSError: errors that a kernel finds without the network: ENETUNREACH, EHOSTUNREACH.
        """
        self._connector.connect(sock, address, done)

    def connect_now(self, sock: StreamSocket, address: Any) -> OSError | None:
        """Connect a TCP socket now; return the error, or `BlockingIOError` if it takes time."""
        return self._connector.connect_now(sock, address)

    def connect_path(self, sock: StreamSocket, path: str | bytes) -> None:
        """Connect a Unix socket, immediately.

        Raises:
            OSError: as the kernel does.
        """
        self._connector.connect_path(sock, path)

    def reachable(self, sock: Socket, address: Any) -> str:
        """Return the IP address that a socket address means, which some host has.

        Raises:
            OSError: no host has it (EHOSTUNREACH), or the socket is not for it (ENETUNREACH).
        """
        return destination(self, sock, address)[0]

    def send_datagram(
        self, sock: DatagramSocket, data: bytes, source: Any, destination: Any
    ) -> None:
        """Send a datagram to an address that a host has."""
        self._datagrams.send(sock, data, source, destination)

    def address_of(self, name: str, family: int) -> str:
        """Return the first address of a name.

        Raises:
            socket.gaierror: it has none.
        """
        address: str = self.dns.getaddrinfo(name, None, family)[0][4][0]
        return address
