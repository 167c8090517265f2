"""The ports of one host, and the sockets that are bound to them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from socket import AF_INET, AF_INET6
from typing import Any, Protocol

from fakes._kernel.addresses import NO_NAME, normal, plain
from fakes._kernel.errors import os_error

EPHEMERAL_PORTS = range(32768, 61000)  # net.ipv4.ip_local_port_range


class Bindable(Protocol):
    """A socket that can be bound to a port."""

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""

    @property
    def reuse_address(self) -> bool:
        """Whether SO_REUSEADDR is set."""

    @property
    def reuse_port(self) -> bool:
        """Whether SO_REUSEPORT is set."""

    @property
    def both_versions(self) -> bool:
        """Whether an IPv6 socket is for IPv4 as well: IPV6_V6ONLY is not set."""

    @property
    def listening(self) -> bool:
        """Whether `listen()` has been called."""

    def getsockname(self) -> Any:
        """Return the address that it is bound to."""


_Claims = set[tuple[int, str | None]]


class PortTable:
    """The ports of one host and one protocol.

    Args:
        datagrams: whether they are UDP's, which sockets share with SO_REUSEADDR.
    """

    def __init__(self, datagrams: bool = False) -> None:
        self._datagrams = datagrams
        self._bound: dict[int, list[tuple[Any, _Claims]]] = {}
        self._in_use: dict[int, int] = {}
        self._next = EPHEMERAL_PORTS.start

    def ephemeral(self) -> int:
        """Return a port that nothing uses.

        Raises:
            OSError: there is none (EADDRNOTAVAIL).
        """
        for _ in EPHEMERAL_PORTS:
            port = self._next
            self._next = port + 1 if port + 1 in EPHEMERAL_PORTS else EPHEMERAL_PORTS.start
            if port not in self._in_use and port not in self._bound:
                return port
        raise os_error(errno.EADDRNOTAVAIL)

    def use(self, port: int) -> None:
        """Count a socket that holds a port."""
        self._in_use[port] = self._in_use.get(port, 0) + 1

    def free(self, port: int) -> None:
        """Count a socket that has released a port."""
        left = self._in_use.get(port, 0) - 1
        if left > 0:
            self._in_use[port] = left
        else:
            self._in_use.pop(port, None)

    def bind(self, sock: Bindable, address: Any) -> Any:
        """Give a socket an address of its host; return the address that it got.

        Raises:
            OSError: another socket has it (EADDRINUSE).
        """
        ip, port = address[0], address[1]
        if port == 0:
            port = self.ephemeral()
        full = (ip, port) if sock.family == AF_INET else (ip, port, *(address[2:] or (0, 0)))
        claims = _claims(sock, full)
        for other, theirs in self._bound.get(port, ()):
            if _overlap(claims, theirs) and not self._share(sock, other):
                raise os_error(errno.EADDRINUSE)
        self._bound.setdefault(port, []).append((sock, claims))
        self.use(port)
        return full

    def _share(self, one: Bindable, other: Bindable) -> bool:
        if one.reuse_port and other.reuse_port:
            return True
        both = one.reuse_address and other.reuse_address
        return both and (self._datagrams or not other.listening)

    def check_listening(self, sock: Bindable) -> None:
        """Check that a socket may listen at its address.

        Raises:
            OSError: another listens there (EADDRINUSE).
        """
        bound = self._bound[sock.getsockname()[1]]
        claims = next(theirs for other, theirs in bound if other is sock)
        for other, theirs in bound:
            if other is sock or not other.listening or (sock.reuse_port and other.reuse_port):
                continue
            if _overlap(claims, theirs):
                raise os_error(errno.EADDRINUSE)

    def unbind(self, sock: Bindable, port: int) -> None:
        """Free the port of a bound socket."""
        self._bound[port] = [bound for bound in self._bound[port] if bound[0] is not sock]
        if not self._bound[port]:
            del self._bound[port]
        self.free(port)

    def best(self, ip: str, port: int, wanted: Callable[[Any], bool]) -> list[Any]:
        """Return the sockets at an address, of those that are wanted.

        One at the very address comes before one at the wildcard address, and one of the address's
        family before one of both. More than one share the address.
        """
        version = normal(ip)[1]
        places: list[list[Any]] = [[], [], []]
        for sock, claims in self._bound.get(port, ()):
            if wanted(sock):
                if (version, ip) in claims:
                    places[0].append(sock)
                elif (version, None) in claims:
                    of_both = version == 4 and sock.family == AF_INET6
                    places[1 + of_both].append(sock)
        return places[0] or places[1] or places[2]


def _claims(sock: Bindable, name: Any) -> _Claims:
    """Return the versions of IP and the addresses that a socket is bound to; None for all."""
    address = plain(name)
    ip = address[0]
    version = 4 if len(address) == 2 else 6
    if ip != NO_NAME[AF_INET if version == 4 else AF_INET6][0]:
        return {(version, ip)}
    if version == 6 and sock.both_versions:
        return {(6, None), (4, None)}
    return {(version, None)}


def _overlap(one: _Claims, other: _Claims) -> bool:
    return any(
        version == other_version and (ip == other_ip or ip is None or other_ip is None)
        for version, ip in one
        for other_version, other_ip in other
    )
