"""Accepting connections on asyncio's own loops, whose servers lose some of them.

A connection that asyncio has accepted is not a client of the server yet: its task has to run first.
If the server is closed before that, asyncio neither serves the connection nor ends it. And when
there are no descriptors left, asyncio reports it a hundred times a second, and once more after
`close()`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

RETRY = 0.1  # seconds until the next try, when there are no descriptors to accept with


class Acceptor:
    """Accepts the connections of one listening socket.

    Args:
        loop: the event loop.
        sock: the socket that asyncio's server has bound: it can be duplicated, but does not accept.
        backlog: how many connections may wait, and how many are accepted in one turn.
        accepted: called with the socket of each connection.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: Any,
        backlog: int,
        accepted: Callable[[socket.socket], None],
    ) -> None:
        self._loop = loop
        self._sock: socket.socket = sock.dup()
        self._backlog = backlog
        self._accepted = accepted
        self._retry: asyncio.TimerHandle | None = None
        self._failing = False

    def start(self) -> None:
        """Listen, and accept from now on."""
        self._sock.listen(self._backlog)
        self._loop.add_reader(self._sock, self._accept)

    def stop(self) -> None:
        """Accept no more; the socket goes on listening until its other duplicate is closed."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _accept(self) -> None:
        for _ in range(max(self._backlog, 1)):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # the client has left
            except OSError as error:
                self._wait(error)
                return
            self._failing = False
            connection.setblocking(False)
            self._accepted(connection)

    def _wait(self, error: OSError) -> None:
        """Try again later, because the socket stays readable meanwhile; report the reason once."""
        self._loop.remove_reader(self._sock)
        self._retry = self._loop.call_later(RETRY, self._loop.add_reader, self._sock, self._accept)
        if not self._failing:
            self._failing = True
            self._loop.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": error,
                    "socket": self._sock,
                }
            )
