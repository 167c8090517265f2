"""The connections of a network: the table of their ends, and a constructor for each kind."""

from __future__ import annotations

from typing import Any

from fakes._kernel.endpoint import Endpoint, TCP6Endpoint
from fakes._kernel.options import DEFAULT_BUFFER
from fakes._kernel.socket import Socket
from fakes._kernel.surroundings import Machine
from fakes._kernel.unix_endpoint import UnixEndpoint
from fakes._network.environment import Environment
from fakes._network.link import Link


class Connections:
    """Connections, by number; an end's serial number is twice that, plus one for the server's.

    Attributes:
        table: the ends that are not forgotten, by serial number.
    """

    def __init__(self, environment: Environment, send_buffer: int, receive_buffer: int) -> None:
        self.table: dict[int, Endpoint] = {}
        self._environment = environment
        self._send_buffer = send_buffer
        self._receive_buffer = receive_buffer
        self._count = 0

    def new_number(self) -> int:
        """Return the number of a new connection."""
        self._count += 1
        return self._count

    def pair(
        self, number: int, sock: Socket, local: Any, there: Machine, remote: Any, link: Link
    ) -> tuple[Endpoint, Endpoint]:
        """Return the two ends of a new TCP connection from a bound socket to an address."""
        kind = Endpoint if len(local) == 2 else TCP6Endpoint
        send = link.send_buffer or self._send_buffer
        receive = link.receive_buffer or self._receive_buffer
        around, table = self._environment, self.table
        client = kind(around, table, 2 * number, sock.host, local, send, receive, link)
        server = kind(around, table, 2 * number + 1, there, remote, send, receive, link)
        self._join(client, server)
        return client, server

    def unix_pair(self, host: Machine, local: Any, remote: Any) -> tuple[Endpoint, Endpoint]:
        """Return the two ends of a new Unix stream connection."""
        number = self.new_number()
        size = min(DEFAULT_BUFFER, self._send_buffer)
        around, table = self._environment, self.table
        one = UnixEndpoint(around, table, 2 * number, host, local, size, size)
        other = UnixEndpoint(around, table, 2 * number + 1, host, remote, size, size)
        self._join(one, other)
        return one, other

    def _join(self, one: Endpoint, other: Endpoint) -> None:
        one.peer, other.peer = other, one
        self.table[one.serial] = one
        self.table[other.serial] = other
