"""How a TCP connection comes about: three segments, each of which may be late, refused or lost."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from fakes.tcp import Endpoint, os_error

if TYPE_CHECKING:
    from fakes.link import Link
    from fakes.network import Host, Network
    from fakes.sockets import Listener, Socket

# Linux: a lost SYN is sent again after 1, 2, 4, ... seconds, net.ipv4.tcp_syn_retries times.
FIRST_RETRY = 1.0
RETRIES = 6


class Handshake:
    """A connection attempt from `sock`, bound already, to an address of the host `there`.

    `done(None)` or `done(error)` is called when the attempt is over.
    """

    def __init__(
        self,
        network: Network,
        sock: Socket,
        there: Host,
        ip: str,
        port: int,
        done: Callable[[OSError | None], None],
    ) -> None:
        self.network = network
        self.sock = sock
        self.there = there
        self.link: Link = network.link(sock.host, there)
        self.ip = ip
        self.port = port
        self.done = done
        self.retries = 0
        self.remote = (ip, port) if sock.family == socket.AF_INET else (ip, port, 0, 0)
        self.local = sock.getsockname()
        self.number = network.new_connection()

    def send_syn(self) -> None:
        """Send the first segment, or send it again."""
        if self.link.holds:
            self.link.hold(self._send_syn_now)
        else:
            self._send_syn_now()

    def _send_syn_now(self) -> None:
        if self.sock.closed:
            return
        if self.link.partitioned:
            self._show("SYN", None)
            self._lost()
        else:
            self._after(self.link.delay(self.sock.host, 0), "SYN", self._syn_arrived)

    def _syn_arrived(self) -> None:
        listener = self.there.listener_for(self.sock.family, self.ip, self.port)
        if self.link.partitioned:
            self._lost()
        elif listener is None or self.link.refuses():
            self._after(self.link.delay(self.there, 0), "RST", self._refused)
        elif len(listener.queue) > listener.backlog:
            self._lost()
        else:
            client, server = self.network.pair(
                self.number, self.sock, self.local, self.there, self.remote, self.link
            )
            self._after(
                self.link.delay(self.there, 0),
                "SYN-ACK",
                lambda: self._established(client, server, listener),
            )

    def _established(self, client: Endpoint, server: Endpoint, listener: Listener) -> None:
        if self.sock.closed:
            client.linger_zero = True
            client.close()
            server.close()  # nobody has accepted it
            return

        def finish() -> None:
            if self.sock.closed:
                client.close()
            else:
                self.sock.connected(client, told=False)
                self.done(None)

        def accepted() -> None:
            if listener.closed:
                server.linger_zero = True
                server.close()
            else:
                listener.queue.append(server)
                listener.check_readable()

        self.network.soon(finish)
        self.link.connected(client)
        if client.path is None:
            accepted()
        else:
            client.path.send_handshake(accepted)

    def _refused(self) -> None:
        self.network.soon(lambda: self._failed(errno.ECONNREFUSED))

    def _lost(self) -> None:
        again = self.send_syn if self.retries < RETRIES else self._timed_out
        self.network.loop.call_later(FIRST_RETRY * 2**self.retries, again)
        self.retries += 1

    def _timed_out(self) -> None:
        self._failed(errno.ETIMEDOUT)

    def _failed(self, number: int) -> None:
        if not self.sock.closed:
            self.sock.failed(number)
            self.done(os_error(number))

    def _after(self, delay: float, kind: str, action: Callable[[], None]) -> None:
        self._show(kind, self.network.loop.time() + delay)
        if delay > 0:
            self.network.loop.call_later(delay, action)
        else:
            action()

    def _show(self, kind: str, arrives: float | None) -> None:
        if self.network.observed:
            from_client = kind == "SYN"
            ends = (self.local, self.remote)
            source, destination = ends if from_client else ends[::-1]
            self.network.show_segment(
                self.number, source, destination, from_client, kind, b"", arrives
            )
