"""Connecting: the host that an address reaches, and its listener."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from socket import AF_INET6
from typing import Any, Protocol

from fakes._kernel.addresses import normal, plain, unix_path
from fakes._kernel.errors import os_error
from fakes._kernel.socket import Socket
from fakes._kernel.stream_socket import StreamSocket
from fakes._kernel.surroundings import Machine
from fakes._network.connections import Connections
from fakes._network.environment import Environment
from fakes._network.handshake import Handshake
from fakes._network.host import Host
from fakes._network.link import Link


class Ways(Protocol):
    """The hosts and links of a network."""

    def host_of(self, address: str, seen_from: Machine) -> Host | None:
        """Return the host that a packet to an address reaches, or None."""

    def link_between(self, one: Machine, other: Machine) -> Link:
        """Return the link between two hosts."""


def destination(ways: Ways, sock: Socket, address: Any) -> tuple[str, Host]:
    """Return the IP address that a socket address means, and the host that has it.

    Raises:
        OSError: no host has it (EHOSTUNREACH), or the socket is not for it (ENETUNREACH).
    """
    known = plain(address)
    if sock.family == AF_INET6 and len(known) == 2 and not sock.both_versions:
        raise os_error(errno.ENETUNREACH)
    ip, version = normal(known[0])
    if ip in ("0.0.0.0", "::"):
        ip = "127.0.0.1" if version == 4 else "::1"
    there = ways.host_of(ip, sock.host)
    if there is None:
        unreachable = os_error(errno.EHOSTUNREACH)
        unreachable.add_note(f"No simulated host has the address {ip}: see Network.host().")
        raise unreachable
    return ip, there


class Connector:
    """Makes connections from sockets to addresses."""

    def __init__(self, environment: Environment, connections: Connections, ways: Ways) -> None:
        self._environment = environment
        self._connections = connections
        self._ways = ways

    def connect(
        self,
        sock: StreamSocket,
        address: Any,
        done: Callable[[OSError | None], None],
        at_once: bool = False,
    ) -> None:
        """Connect a TCP socket to `(ip, port, ...)`, then call `done(None)` or `done(error)`.

        `done` is called when the loop reports a socket as writable. While an attempt is under way,
        there is no second one: `done` is called for the first.

        Raises:
            OSError: an error that a kernel finds without the network: ENETUNREACH, EHOSTUNREACH.
        """
        if sock.attempt is not None:
            sock.attempt.done = done
            return
        ip, there = destination(self._ways, sock, address)
        sock.bind_for(ip)
        attempt = Handshake(
            self._environment,
            self._connections,
            self._ways.link_between(sock.host, there),
            sock,
            there,
            ip,
            address[1],
            done,
            at_once,
        )
        sock.attempt = attempt
        attempt.send_syn()

    def connect_now(self, sock: StreamSocket, address: Any) -> OSError | None:
        """Connect a TCP socket now; return the error, or `BlockingIOError` if it takes time."""
        outcome: list[OSError | None] = []
        self.connect(sock, address, outcome.append, at_once=True)
        if outcome:
            return outcome[0]
        sock.attempt = None
        return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def connect_path(self, sock: StreamSocket, path: str | bytes) -> None:
        """Connect a Unix socket, immediately.

        Raises:
            FileNotFoundError: there is no such path.
            ConnectionRefusedError: nobody listens at it.
            BlockingIOError: its backlog is full.
        """
        path = unix_path(path)
        if not path:
            raise os_error(errno.EINVAL)
        target = sock.host.socket_at(path)
        if target is None:
            if isinstance(path, str):
                self._environment.nobody_listens(path)
            raise os_error(errno.ECONNREFUSED if isinstance(path, bytes) else errno.ENOENT)
        listener = target.listener if isinstance(target, StreamSocket) else None
        if target.type != sock.type:
            raise os_error(errno.EPROTOTYPE)
        if listener is None or listener.closed:
            raise os_error(errno.ECONNREFUSED)
        if len(listener.queue) > listener.backlog:
            raise os_error(errno.EAGAIN)
        client, server = self._connections.unix_pair(sock.host, "", path)
        sock.connected(client)
        if self._environment.observed:
            client.show("SYN", b"", self._environment.loop.time())
        listener.queue.append(server)
        listener.check_readable()
