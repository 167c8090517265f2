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
import random
import weakref
from collections.abc import Callable
from socket import AF_INET, AF_INET6, AF_UNIX
from typing import Any

from fakes.dns import Resolver, ip_address
from fakes.handshake import Handshake
from fakes.link import Link, Segment
from fakes.sockets import Listener, Socket, unix_path
from fakes.tcp import Endpoint, UnixEndpoint, os_error
from fakes.watch import PollQueue

# What Linux's loopback takes in one write before it says "later" (about 4 MB, by measurement);
# and the most that asyncio reads at once, so that a write up to that size can arrive whole.
SEND_BUFFER = 4 * 1024 * 1024
RECEIVE_BUFFER = 256 * 1024
FIRST_FILENO = 1 << 20  # no real file descriptor is that high
UNIX_BUFFER = 212_992  # net.core.wmem_default
EPHEMERAL_PORTS = range(32768, 61000)  # net.ipv4.ip_local_port_range

# The host that code runs on, and what the variable was before: a stack for each task.
_Stack = tuple["Host", "_Stack | None"]
_current_host: contextvars.ContextVar[_Stack | None] = contextvars.ContextVar("fakes_current_host")


class Host:
    """A machine on the network, with its addresses, its ports and its Unix socket paths.

    Made by `Network.host()`. Code runs "on" a host inside `with host:`; tasks and callbacks started
    there stay there.
    """

    def __init__(self, network: Network, name: str, addresses: tuple[str, ...]) -> None:
        self.network = network
        self.name = name
        self.addresses = addresses
        # What is bound: sockets by port, and by Unix path; a path stays when its socket is
        # closed, until it is unlinked.
        self._bound: dict[int, list[Socket]] = {}
        self._paths: dict[str | bytes, Socket] = {}
        self._ports_in_use: dict[int, int] = {}
        self._next_port = EPHEMERAL_PORTS.start

    def __repr__(self) -> str:
        """Say what it is and the state it is in."""
        return f"<fakes.Host {self.name!r} {' '.join(self.addresses)}>"

    def __enter__(self) -> Host:
        """Make this the host that the code in the `with` block runs on."""
        _current_host.set((self, _current_host.get(None)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Go back to the host before."""
        current = _current_host.get(None)
        assert current is not None
        _current_host.set(current[1])

    def has_address(self, address: str) -> bool:
        """Whether packets for an IP address stay on this host."""
        return address in self.addresses or ip_address(address).is_loopback

    def ephemeral_port(self) -> int:
        """Return a port that nothing uses. Raises `OSError` (EADDRNOTAVAIL) if there is none."""
        for _ in EPHEMERAL_PORTS:
            port = self._next_port
            self._next_port = port + 1 if port + 1 in EPHEMERAL_PORTS else EPHEMERAL_PORTS.start
            if port not in self._ports_in_use and port not in self._bound:
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
        wildcard = ip_address(ip).is_unspecified
        if not wildcard and not self.has_address(ip):
            raise os_error(errno.EADDRNOTAVAIL)
        if port == 0:
            port = self.ephemeral_port()
        bound = self._bound.setdefault(port, [])
        for other in bound:
            other_ip = other.getsockname()[0]
            overlap = wildcard or ip == other_ip or ip_address(other_ip).is_unspecified
            shared = sock.reuse_port and other.reuse_port
            if other.family == sock.family and overlap and not shared:
                raise os_error(errno.EADDRINUSE)
        bound.append(sock)
        self.use_port(port)
        return (ip, port) if sock.family == AF_INET else (ip, port, 0, 0)

    def unbind(self, sock: Socket, port: int) -> None:
        """Free the port of a bound socket."""
        self._bound[port].remove(sock)
        if not self._bound[port]:
            del self._bound[port]
        self.free_port(port)

    def listener_for(self, family: int, ip: str, port: int) -> Listener | None:
        """Return the listener that a connection to an address reaches, if any.

        One at the very address comes before one at the wildcard address; among several that
        share an address (SO_REUSEPORT) chance decides.
        """
        for place in (ip, "0.0.0.0" if family == AF_INET else "::"):
            listeners = [
                sock.listener
                for sock in self._bound.get(port, ())
                if sock.listener is not None
                and sock.family == family
                and sock.getsockname()[0] == place
            ]
            if len(listeners) > 1:
                return listeners[int(self.network.chance("port").random() * len(listeners))]
            if listeners:
                return listeners[0]
        return None

    # --- hardships ----------------------------------------------------------------------------

    def drop(self) -> None:
        """Take the host off the network: a partition on each of its links (see `Link`)."""
        for link in self.network.links_of(self):
            link.partition()

    def heal(self) -> None:
        """Put the host back: end the hardships of all of its links."""
        for link in self.network.links_of(self):
            link.heal()

    # --- Unix paths ---------------------------------------------------------------------------

    def bind_path(self, sock: Socket, path: str | bytes) -> None:
        """Bind a Unix socket to a path. Raises `OSError` (EADDRINUSE) if the path exists."""
        if path in self._paths:
            raise os_error(errno.EADDRINUSE)
        self._paths[path] = sock

    def unlink(self, path: str | bytes) -> None:
        """Remove a Unix socket's path. Raises `FileNotFoundError` if there is none."""
        path = unix_path(path)
        if path not in self._paths:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        del self._paths[path]

    def socket_at(self, path: str | bytes) -> Socket | None:
        """Return the socket bound to a Unix path, open or closed, or None."""
        return self._paths.get(unix_path(path))


class Network:
    """A network of hosts, at first one: `localhost`, with 127.0.0.1, ::1 and an outer address.

    Arguments:
        link: the qualities of the link between any two hosts, and from a host to itself, unless
            `Network.link()` says otherwise (default: no delay, no limit).
        send_buffer: bytes that a sending kernel keeps for a connection (default 4 MiB).
        receive_buffer: bytes that a receiving kernel keeps (default 256 KiB).
        vary: whether the seed varies when and in what pieces bytes arrive, which connection is
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
        self.dns = Resolver(self)
        self.poll: Callable[[asyncio.Handle], None] = _no_loop
        self.hosts: dict[str, Host] = {}
        self.connections: dict[int, Endpoint] = {}  # by serial number: two for a connection
        self.operations = 0  # how often a program has sent, received, ... on a socket of its own
        self.seed = 0
        self.varies = bool(vary)
        self._vary = vary
        self._chances: dict[str, random.Random] = {}
        self._usual_link = Link() if link is None else link.copy()
        self._links: dict[frozenset[str], Link] = {}
        self._observers: list[Callable[[Segment], None]] = []
        self._by_address: dict[str, Host] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection_count = 0
        self._next_fileno = FIRST_FILENO
        self._sockets: weakref.WeakValueDictionary[int, Socket] = weakref.WeakValueDictionary()
        self.local = self.host("localhost")

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        poll: Callable[[asyncio.Handle], None] | None = None,
        seed: int = 0,
    ) -> None:
        """Put the network under an event loop; without effect if it is under it already.

        `poll` takes the handles of what has become ready, to run them where the loop runs the
        callbacks of sockets (default: what any loop can do). Raises `RuntimeError` if the network
        is under another loop that is not closed.
        """
        if self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("this network already belongs to another event loop, still open")
        self._loop = loop
        self.poll = PollQueue(loop) if poll is None else poll
        self.seed = seed
        self.varies = seed != 0 if self._vary is None else self._vary

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that carries the network. Raises `RuntimeError` if there is none yet."""
        if self._loop is None:
            raise RuntimeError("this network has no event loop yet: pass it to one")
        return self._loop

    def chance(self, concern: str) -> random.Random:
        """Return the source of chance for one concern.

        Each has its own, so that a program that makes one kind of draw more often does not change
        all others. Only `random()` is drawn from it: its sequence is the same on every Python.
        """
        chance = self._chances.get(concern)
        if chance is None:
            chance = self._chances[concern] = random.Random(f"{self.seed} {concern}")
        return chance

    # --- hosts and links ----------------------------------------------------------------------

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
        addresses = tuple(str(ip_address(address)) for address in addresses)
        for address in addresses:
            if address in self._by_address:
                raise ValueError(f"address {address} belongs to {self._by_address[address]!r}")
        host = self.hosts[name] = Host(self, name, addresses)
        for address in addresses:
            self._by_address[address] = host
        return host

    def link(self, one: Host | str, other: Host | str) -> Link:
        """Return the link between two hosts, or from a host to itself, to change it or break it.

        Raises `ValueError` for a name that no host has.
        """
        first, second = self._find(one), self._find(other)
        key = frozenset((first.name, second.name))
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = self._usual_link.copy()
            link.network = self
            link.hosts = (first, second)
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
        """Return the host that the running code is on: that of the innermost `with host:`."""
        stack = _current_host.get(None)
        return self.local if stack is None or stack[0].network is not self else stack[0]

    def host_of(self, address: str, seen_from: Host) -> Host | None:
        """Return the host that a packet to an address reaches, or None."""
        if seen_from.has_address(address):
            return seen_from
        return self._by_address.get(address)

    # --- observers ----------------------------------------------------------------------------

    @property
    def observed(self) -> bool:
        """Whether anybody is shown the segments."""
        return bool(self._observers)

    def observe(self, observer: Callable[[Segment], None]) -> Callable[[], None]:
        """Show an observer every segment from now on, when it is sent.

        Returns a function that ends it.
        """
        self._observers.append(observer)
        for end in self.connections.values():
            if end.link is not None:
                end.link.use_path(end)
        return lambda: self._observers.remove(observer)

    def show(self, end: Endpoint, kind: str, data: bytes, arrives: float | None) -> None:
        """Show the observers a segment that an endpoint has sent."""
        number, from_client = end.serial >> 1, end.is_client
        self.show_segment(number, end.local, end.peer.local, from_client, kind, data, arrives)

    def show_segment(
        self,
        number: int,
        source: Any,
        destination: Any,
        from_client: bool,
        kind: str,
        data: bytes,
        arrives: float | None,
    ) -> None:
        """Show the observers a segment."""
        now = self.loop.time()
        segment = Segment(now, arrives, number, source, destination, from_client, kind, data)
        for observer in list(self._observers):
            observer(segment)

    # --- sockets and connections --------------------------------------------------------------

    def next_fileno(self, sock: Socket) -> int:
        """Return a number for the `fileno()` of a new socket."""
        self._next_fileno += 1
        self._sockets[self._next_fileno] = sock
        return self._next_fileno

    def has_fileno(self, number: int) -> bool:
        """Whether a number is, or was, that of a socket of this network."""
        return FIRST_FILENO < number <= self._next_fileno

    def socket_of(self, number: int) -> Socket:
        """Return the socket that has a number. Raises `OSError` (EBADF) if it is gone."""
        sock = self._sockets.get(number)
        if sock is None or sock.closed:
            raise os_error(errno.EBADF)
        return sock

    def open_sockets(self) -> list[Socket]:
        """Return the sockets that are open, in the order in which they were made.

        A test that has closed all that it opened finds none; those of connections that nobody has
        accepted yet do not count.
        """
        return [sock for _, sock in sorted(self._sockets.items()) if not sock.closed]

    def socket(self, family: int = AF_INET) -> Socket:
        """Return a new, unconnected stream socket on the current host."""
        return Socket(self, self.current_host(), family)

    def socketpair(self, family: int = AF_UNIX) -> tuple[Socket, Socket]:
        """Return two connected sockets on the current host.

        Unix sockets without names, as `socket.socketpair()`, or with AF_INET or AF_INET6 a TCP
        connection from localhost to itself.
        """
        host = self.current_host()
        if family == AF_UNIX:
            one, other = self._unix_pair(host, "", "")
            return Socket(self, host, family, one), Socket(self, host, family, other)
        client, server = self.socket(family), self.socket(family)
        ip = "127.0.0.1" if family == AF_INET else "::1"
        client.bind_for(ip)
        server.bind_for(ip)
        link = self.link(host, host)
        one, other = self.pair(
            self.new_connection(),
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

    def new_connection(self) -> int:
        """Return the number of a new connection."""
        self._connection_count += 1
        return self._connection_count

    def pair(
        self, number: int, sock: Socket, local: Any, there: Host, remote: Any, link: Link
    ) -> tuple[Endpoint, Endpoint]:
        """Return the two ends of a new TCP connection from a bound socket to an address."""
        kind = TCP6Endpoint if sock.family == AF_INET6 else Endpoint
        send = link.send_buffer or self.send_buffer
        receive = link.receive_buffer or self.receive_buffer
        client = kind(self, 2 * number, sock.host, local, send, receive, link)
        server = kind(self, 2 * number + 1, there, remote, send, receive, link)
        self._connect(client, server)
        return client, server

    def _unix_pair(self, host: Host, local: Any, remote: Any) -> tuple[Endpoint, Endpoint]:
        number = self.new_connection()
        size = min(UNIX_BUFFER, self.send_buffer)
        one = UnixEndpoint(self, 2 * number, host, local, size, size)
        other = UnixEndpoint(self, 2 * number + 1, host, remote, size, size)
        self._connect(one, other)
        return one, other

    def _connect(self, one: Endpoint, other: Endpoint) -> None:
        one.peer, other.peer = other, one
        self.connections[one.serial] = one
        self.connections[other.serial] = other

    def forget(self, end: Endpoint) -> None:
        """An endpoint is closed and has nothing left to send or receive."""
        if self.connections.pop(end.serial, None) is not None:
            end.release()

    def connect(self, sock: Socket, address: Any, done: Callable[[OSError | None], None]) -> None:
        """Connect a TCP socket to `(ip, port, ...)`, then call `done(None)` or `done(error)`.

        `done` is called where the loop reports a socket as writable. Raises `OSError` for what the
        kernel knows without asking the network: ENETUNREACH, EHOSTUNREACH.

        While an attempt is under way there is no other: `done` is told of that one.
        """
        if sock.attempt is not None:
            sock.attempt.done = done
            return
        ip = str(ip_address(address[0]))
        if ip_address(ip).is_unspecified:
            ip = "127.0.0.1" if sock.family == AF_INET else "::1"
        there = self.host_of(ip, sock.host)
        if there is None:
            unreachable = os_error(errno.EHOSTUNREACH)
            unreachable.add_note(f"No simulated host has the address {ip}: see Network.host().")
            raise unreachable
        sock.bind_for(ip)
        sock.attempt = Handshake(self, sock, there, ip, address[1], done)
        sock.attempt.send_syn()

    def connect_path(self, sock: Socket, path: str | bytes) -> None:
        """Connect a Unix socket, at once.

        Raises `FileNotFoundError` if there is no such path, `ConnectionRefusedError` if nobody
        listens at it, and `BlockingIOError` if its backlog is full.
        """
        path = unix_path(path)
        if not path:
            raise os_error(errno.EINVAL)
        target = sock.host.socket_at(path)
        if target is None:
            raise os_error(errno.ECONNREFUSED if isinstance(path, bytes) else errno.ENOENT)
        listener = target.listener
        if listener is None or listener.closed:
            raise os_error(errno.ECONNREFUSED)
        if len(listener.queue) > listener.backlog:
            raise os_error(errno.EAGAIN)
        client, server = self._unix_pair(sock.host, "", path)
        sock.connected(client)
        if self.observed:
            self.show(client, "SYN", b"", self.loop.time())
        listener.queue.append(server)
        listener.check_readable()

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back where the loop calls back for sockets that have become ready."""
        self.poll(asyncio.Handle(callback, (), self.loop))


class TCP6Endpoint(Endpoint):
    """One end of a TCP connection over IPv6."""

    __slots__ = ()
    family = AF_INET6


def _no_loop(handle: asyncio.Handle) -> None:
    raise RuntimeError("this network has no event loop yet: pass it to one")
