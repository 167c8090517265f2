"""The numbers of open sockets, which stand for them as file descriptors do."""

from __future__ import annotations

import errno
import weakref
from typing import Generic, Protocol, TypeVar

from fakes._kernel.errors import os_error

FIRST_FILENO = 1 << 20  # no real file descriptor is that high


class Open(Protocol):
    """An object with a number."""

    @property
    def closed(self) -> bool:
        """Whether the number no longer stands for anything."""


S = TypeVar("S", bound=Open)


class Descriptors(Generic[S]):
    """The sockets of a network, by number.

    Attributes:
        operations: how often a program has sent, received, ... on a socket of its own.
    """

    def __init__(self) -> None:
        self.operations = 0
        self._next = FIRST_FILENO
        self._sockets: weakref.WeakValueDictionary[int, S] = weakref.WeakValueDictionary()
        self._detached: dict[int, S] = {}

    def add(self, sock: S) -> int:
        """Return a number for the `fileno()` of a new socket."""
        self._next += 1
        self._sockets[self._next] = sock
        return self._next

    def detach(self, number: int, sock: S) -> None:
        """Keep the socket for a number that no object stands for, until `attach()`."""
        self._detached[number] = sock

    def attach(self, number: int) -> S | None:
        """Return the socket for a number that `detach()` keeps, or None."""
        return self._detached.pop(number, None)

    def __contains__(self, number: int) -> bool:
        """Whether a number is, or was, that of a socket here."""
        return FIRST_FILENO < number <= self._next

    def __getitem__(self, number: int) -> S:
        """Return the socket that has a number.

        Raises:
            OSError: it is gone (EBADF).
        """
        sock = self._sockets.get(number)
        if sock is None or sock.closed:
            raise os_error(errno.EBADF)
        return sock

    def open(self) -> list[S]:
        """Return the sockets that are open, in the order in which they were made."""
        return [sock for _, sock in sorted(self._sockets.items()) if not sock.closed]
