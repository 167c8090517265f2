"""TCP's handshake: three segments, each of which may be late, refused or lost."""

from __future__ import annotations

import errno
from collections.abc import Callable

from fakes._kernel.addresses import is_unspecified, normal, plain
from fakes._kernel.endpoint import Endpoint
from fakes._kernel.errors import os_error
from fakes._kernel.stream_socket import Listener, StreamSocket
from fakes._network.connections import Connections
from fakes._network.environment import Environment
from fakes._network.host import Host
from fakes._network.link import Link

# Linux: a lost SYN is sent again after 1, 2, 4, ... seconds, as often as TCP_SYNCNT says.
FIRST_RETRY = 1.0


class Handshake:
    """A connection attempt from `sock`, bound already, to an address of the host `there`.

    `done(None)` or `done(error)` is called when the attempt is over. One that is made `at_once`,
    for a blocking socket, takes no time, whatever the link's delay; segments that would be lost or
    delayed are not sent at all.
    """

    def __init__(
        self,
        environment: Environment,
        connections: Connections,
        link: Link,
        sock: StreamSocket,
        there: Host,
        ip: str,
        port: int,
        done: Callable[[OSError | None], None],
        at_once: bool,
    ) -> None:
        self.environment = environment
        self.connections = connections
        self.link = link
        self.sock = sock
        self.there = there
        self.ip = ip
        self.port = port
        self.done = done
        self.at_once = at_once
        self.retries = 0
        _, version = normal(ip)
        self.remote = (ip, port) if version == 4 else (ip, port, 0, 0)
        local = plain(sock.getsockname())
        if is_unspecified(local[0]):
            mine = sock.outgoing_ip(ip)
            local = (mine, local[1]) if version == 4 else (mine, local[1], 0, 0)
        self.local = local
        self.number = connections.new_number()

    def send_syn(self) -> None:
        """Send the first segment, or send it again."""
        if self.link.stalls(True, self.sock.host):
            if not self.at_once:
                self.link.hold(self._send_syn_now)
        else:
            self._send_syn_now()

    def _send_syn_now(self) -> None:
        if self.sock.closed:
            return
        if self.link.loses(True, self.sock.host):
            self._show("SYN", None)
            self._lost()
        else:
            self._after(self.link.delay(self.sock.host, 0), "SYN", self._syn_arrived)

    def _syn_arrived(self) -> None:
        if not self.there.up:
            self._lost()
            return
        if self.link.stalls(False, self.there):
            if not self.at_once:
                self.link.hold(self._syn_arrived)
            return
        listener = self.there.listener_for(self.ip, self.port)
        refused = listener is None or self.link.refuses()
        if self.link.loses(False, self.there):
            self._show("RST" if refused else "SYN-ACK", None)
            self._lost()
        elif listener is None or refused:
            if listener is None and self.there is self.sock.host:
                self.environment.nobody_listens((self.ip, self.port))
            self._after(self.link.delay(self.there, 0), "RST", self._refused)
        elif len(listener.queue) > listener.backlog:
            self._lost()
        else:
            client, server = self.connections.pair(
                self.number, self.sock, self.local, self.there, self.remote, self.link
            )
            self._after(
                self.link.delay(self.there, 0),
                "SYN-ACK",
                lambda: self._established(client, server, listener),
            )

    def _established(self, client: Endpoint, server: Endpoint, listener: Listener) -> None:
        if self.sock.vanished:
            client.vanish()
            return
        if self.sock.closed:
            client.linger_zero = True
            client.close()
            server.close()  # nobody has accepted it
            return

        def finish() -> None:
            if self.sock.vanished:
                client.vanish()
            elif self.sock.closed:
                client.close()
            else:
                self.sock.connected(client, reported=False)
                self.done(None)

        def accepted() -> None:
            if listener.vanished and not self.there.up:
                server.vanish()
            elif listener.closed:
                server.linger_zero = True
                server.close()
            else:
                listener.queue.append(server)
                listener.check_readable()

        self._soon(finish)
        path = self.link.connected(client)
        if path is None:
            accepted()
        else:
            path.send_handshake(accepted)

    def _refused(self) -> None:
        self._soon(lambda: self._failed(errno.ECONNREFUSED))

    def _soon(self, action: Callable[[], None]) -> None:
        if self.at_once:
            action()
        else:
            self.environment.soon(action)

    def _lost(self) -> None:
        if self.at_once:
            return
        again = self.send_syn if self.retries < self.sock.syn_retries else self._timed_out
        self.environment.call_at(
            self.environment.loop.time() + FIRST_RETRY * 2**self.retries, again
        )
        self.retries += 1

    def _timed_out(self) -> None:
        self._failed(errno.ETIMEDOUT)

    def _failed(self, number: int) -> None:
        if not self.sock.closed:
            self.sock.failed(number)
            self.done(os_error(number))

    def _after(self, delay: float, kind: str, action: Callable[[], None]) -> None:
        if self.at_once:
            delay = 0.0
        when = self.environment.loop.time() + delay
        self._show(kind, when)
        if delay > 0:
            self.environment.call_at(when, action)
        else:
            action()

    def _show(self, kind: str, arrives: float | None) -> None:
        if self.environment.observed:
            from_client = kind == "SYN"
            ends = (self.local, self.remote)
            source, destination = ends if from_client else ends[::-1]
            self.environment.show(self.number, source, destination, from_client, kind, b"", arrives)
