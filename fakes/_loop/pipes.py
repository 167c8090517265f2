"""Real pipes that a program watches, through which it talks to itself.

A library may make a pipe to wake its loop, or to move bytes between its parts. The kernel's own
pipes do that: what is written to one end can be read at the other immediately. So the loop asks the
kernel in each turn which of the watched ends are ready, and it is a function of what the program
has done. The same holds for an eventfd, and for an inotify descriptor, which reports what happens
to files.

The other end of a pipe may be in another process, which answers in real time. Virtual time would
run ahead of it, so such a pipe is refused.
"""

from __future__ import annotations

import _socket
import array
import asyncio
import os
import select
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes._kernel.readiness import Watch, set_watch

try:
    import fcntl
    import termios
except ImportError:  # not on Windows, where select() has no pipes
    fcntl = None  # type: ignore[assignment]

# The real function: `fakes._loop.polling` replaces the module's.
_make_poll = getattr(select, "poll", None)
_DESCRIPTORS = Path("/dev/fd")  # the numbers of this process's open files
_NAMED = Path("/proc/self/fd")  # their names, on Linux
_OF_THIS_PROCESS = ("anon_inode:[eventfd]", "anon_inode:inotify")
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR if _make_poll else 0
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR if _make_poll else 0


class Pipe:
    """One end of a pipe that is watched, as `Watch` needs it."""

    def __init__(self, number: int, queue: Callable[[Watch], object]) -> None:
        self.number = number
        self.identity = _identity(number)
        self._queue = queue
        self.reader: Watch | None = None
        self.writer: Watch | None = None

    def fileno(self) -> int:
        """Return the number."""
        return self.number

    def __repr__(self) -> str:
        """Show the number."""
        return f"<pipe fd={self.number}>"

    @property
    def pollable(self) -> Pipe:
        """The object to watch: itself."""
        return self

    @property
    def readable(self) -> bool:
        """Whether it can be read now."""
        return self._is(_READABLE)

    @property
    def writable(self) -> bool:
        """Whether it can be written now."""
        return self._is(_WRITABLE)

    def _is(self, events: int) -> bool:
        if _identity(self.number) != self.identity:
            return False  # it was closed, as the kernel's epoll() would notice
        return bool(_seen(self.number, events) & events)

    def state(self) -> object:
        """Return a value that changes when something is read or written."""
        size = array.array("i", [0])
        try:
            fcntl.ioctl(self.number, termios.FIONREAD, size)
        except OSError:  # an eventfd does not tell, or it was closed
            return self.readable
        return size[0], self.readable

    def watch_reading(self, watch: Watch | None) -> bool:
        """Set or remove the callback for readability; return whether there was one."""
        return set_watch(self, "reader", watch)

    def watch_writing(self, watch: Watch | None) -> bool:
        """Set or remove the callback for writability; return whether there was one."""
        return set_watch(self, "writer", watch)

    def check_readable(self) -> None:
        """Hand the reader's watch to the loop if there is something to read."""
        self._check(self.reader, _READABLE)

    def check_writable(self) -> None:
        """Hand the writer's watch to the loop if there is room."""
        self._check(self.writer, _WRITABLE)

    def look(self) -> bool:
        """Hand over the watches that have become ready; return whether any has."""
        return self._check(self.reader, _READABLE) | self._check(self.writer, _WRITABLE)

    def _check(self, watch: Watch | None, events: int) -> bool:
        if watch is None or watch.queued or not self._is(events):
            return False
        watch.queued = True
        self._queue(watch)
        return True


class Pipes:
    """The pipes that a loop watches.

    Args:
        queue: a function that takes the watches of those that are ready.

    Attributes:
        watched: the pipes by their numbers; empty as nearly always.
    """

    def __init__(self, queue: Callable[[Watch], object]) -> None:
        self._queue = queue
        self.watched: dict[int, Pipe] = {}

    def look(self) -> bool:
        """Hand over the watches of those that have become ready; return whether any has."""
        found = False
        for number, pipe in list(self.watched.items()):
            if pipe.reader is None and pipe.writer is None:
                del self.watched[number]
            found |= pipe.look()
        return found

    def get(self, file: Any) -> Pipe | None:
        """Return the pipe of this process that a number, or an object with one, stands for."""
        number = file if isinstance(file, int) else getattr(file, "fileno", lambda: -1)()
        pipe = self.watched.get(number)
        if pipe is not None and _identity(number) in (pipe.identity, None):
            return pipe
        if _make_poll is None or not _is_pipe(number):
            return None
        pipe = self.watched[number] = Pipe(number, self._queue)
        return pipe

    def forget(self, is_over: Callable[[Watch], bool]) -> None:
        """Remove the watches for which a function returns true."""
        for pipe in self.watched.values():
            if pipe.reader is not None and is_over(pipe.reader):
                pipe.watch_reading(None)
            if pipe.writer is not None and is_over(pipe.writer):
                pipe.watch_writing(None)


class WatchingByNumber:
    """A loop as asyncio's transports of pipes need it.

    Args:
        loop: the loop, which has all other methods.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._add_reader = loop.add_reader
        self._add_writer = loop.add_writer
        self._remove_reader = loop.remove_reader
        self._remove_writer = loop.remove_writer

    def __getattr__(self, name: str) -> Any:
        """Forward everything else to the loop."""
        return getattr(self._loop, name)


def _seen(number: int, events: int) -> int:
    """Return which of these events poll() reports now, or an error or the end."""
    poll = _make_poll()  # type: ignore[misc]  # there is no Pipe where there is none
    poll.register(number, events)
    return sum(found for _, found in poll.poll(0))


def _identity(number: int) -> tuple[int, int] | None:
    """Return what tells an open file from others; None if the number stands for none."""
    try:
        status = os.fstat(number)
    except (OSError, OverflowError):
        return None
    return status.st_dev, status.st_ino


def _is_pipe(number: int) -> bool:
    """Whether a number stands for a pipe, or the like, through which this process talks to itself.

    The other end of a pipe is here if another number stands for the same pipe, or if it is closed.
    """
    identity = _identity(number)
    if identity is None:
        return False
    if not stat.S_ISFIFO(os.fstat(number).st_mode):
        try:
            return str((_NAMED / str(number)).readlink()).startswith(_OF_THIS_PROCESS)
        except OSError:
            return False
    mode = _mode(number)
    others = [int(each.name) for each in _DESCRIPTORS.iterdir()]
    if mode == os.O_RDWR or any(
        _identity(each) == identity and _mode(each) != mode for each in others if each != number
    ):
        return True
    return bool(_seen(number, 0))  # hung up


def is_of_this_process(number: int) -> bool:
    """Whether a number stands for a pipe of this process, or an end of a pair of sockets."""
    return _is_pair(number) or _is_pipe(number)


def _is_pair(number: int) -> bool:
    """Whether a number stands for an end of `socket.socketpair()`, which has no name."""
    identity = _identity(number)
    if identity is None or not stat.S_ISSOCK(os.fstat(number).st_mode):
        return False
    copy = _socket.socket(fileno=number)
    try:
        names = copy.getsockname(), copy.getpeername()
        return copy.family == socket.AF_UNIX and not any(names)
    except OSError:  # it is not connected
        return False
    finally:
        copy.detach()


def _mode(number: int) -> int:
    return fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
