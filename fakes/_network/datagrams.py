"""The way of datagrams: each alone, so that they may be lost, late, doubled or out of order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fakes._kernel.datagram_socket import DatagramSocket
from fakes._network.connecting import Ways
from fakes._network.connections import Connections
from fakes._network.environment import Environment
from fakes._network.host import Host
from fakes._network.link import Link


class Datagram(NamedTuple):
    """A datagram on its way, and its host."""

    sock: DatagramSocket
    data: bytes
    source: Any
    destination: Any
    there: Host


class Datagrams:
    """Carries UDP's datagrams between the hosts of a network."""

    def __init__(self, environment: Environment, connections: Connections, ways: Ways) -> None:
        self._environment = environment
        self._connections = connections
        self._ways = ways
        # The number of each pair of addresses, and which of them sent first.
        self._flows: dict[frozenset[Any], tuple[int, Any]] = {}

    def send(self, sock: DatagramSocket, data: bytes, source: Any, destination: Any) -> None:
        """Send a datagram from a socket to an address that a host has."""
        there = self._ways.host_of(destination[0], sock.host)
        assert there is not None  # as the socket's options say
        datagram = Datagram(sock, data, source, destination, there)
        link = self._ways.link_between(sock.host, there)
        if link.stalls(self._flow(source, destination)[1] == source, sock.host):
            link.hold(partial(self._send_now, datagram, link))
        else:
            self._send_now(datagram, link)

    def _flow(self, source: Any, destination: Any) -> tuple[int, Any]:
        ends = frozenset((source, destination))
        if ends not in self._flows:
            self._flows[ends] = (self._connections.new_number(), source)
        return self._flows[ends]

    def _send_now(self, datagram: Datagram, link: Link) -> None:
        if self._environment.loop.is_closed():
            return
        sock, data, source, destination, _ = datagram
        is_first = self._flow(source, destination)[1] == source
        delays = link.datagram_delays(sock.host, len(data), is_first)
        for delay in delays:
            self._show("DATAGRAM", source, destination, data, delay)
            self._after(delay, partial(self._arrive, datagram, link))
        if not delays:
            self._show("DATAGRAM", source, destination, data, None)

    def _arrive(self, datagram: Datagram, link: Link) -> None:
        sock, data, source, destination, there = datagram
        if not there.up:
            return
        receiver = there.receiver_for(destination[0], destination[1], source)
        if receiver is not None:
            receiver.receive(data, source, destination)
            return
        is_first = self._flow(source, destination)[1] == destination
        if not link.loses(is_first, there):
            delay = link.delay(there, 0)
            self._show("UNREACHABLE", destination, source, b"", delay)
            self._after(delay, partial(sock.refused, data, source, destination))

    def _after(self, delay: float, action: Callable[[], None]) -> None:
        if delay > 0:
            self._environment.call_at(self._environment.loop.time() + delay, action)
        else:
            action()

    def _show(
        self, kind: str, source: Any, destination: Any, data: bytes, delay: float | None
    ) -> None:
        if self._environment.observed:
            number, first = self._flow(source, destination)
            arrives = None if delay is None else self._environment.loop.time() + delay
            self._environment.show(
                number, source, destination, source == first, kind, data, arrives
            )
