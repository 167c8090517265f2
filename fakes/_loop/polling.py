"""`select.select()`, `poll()` and `epoll()` for simulated sockets, and so the module `selectors`.

A library may check whether a socket can be read before it uses it again: httpx and urllib3 do so
for each connection that they have kept alive. No real file has the numbers of simulated sockets, so
the kernel would call them broken. In the threads of a simulation these functions report which
sockets can be read and written now; every other number is left to the kernel.
"""

from __future__ import annotations

import errno
import functools
import select
import selectors
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from fakes._kernel.descriptors import FIRST_FILENO
from fakes._kernel.endpoint import Endpoint, Unconnected
from fakes._kernel.errors import NotSimulated, os_error
from fakes._loop.escapes import network_of_this_thread
from fakes._loop.socket_module import replaced
from fakes._loop.time_and_chance import TimeAndChance, clock_of
from fakes._network.network import Network

_real_select = select.select


def _number(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


def _select(
    rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    reading, writing, other = list(rlist), list(wlist), list(xlist)
    numbers = [_number(fd) for fd in (*reading, *writing, *other)]
    network = network_of_this_thread() if max(numbers, default=0) > FIRST_FILENO else None
    if network is None or not any(number in network.descriptors for number in numbers):
        clock = clock_of(sys._getframe(2))
        if clock is None or timeout is None or timeout <= 0:
            return _real_select(reading, writing, other, timeout)
        look = functools.partial(_look, reading, writing, other)
        return clock.wait(timeout, numbers, look) or ([], [], [])
    own = network.descriptors
    real_reading, real_writing, real_other = (
        [fd for fd in each if _number(fd) not in own] for each in (reading, writing, other)
    )
    ready = _real_select(real_reading, real_writing, real_other, 0)
    found = (
        [fd for fd in reading if fd in ready[0] or _is_ready(network, fd, "readable")],
        [fd for fd in writing if fd in ready[1] or _is_ready(network, fd, "writable")],
        ready[2],  # there is no urgent data
    )
    if timeout != 0 and not any(found):
        _refuse("select()")
    return found


def _look(
    rlist: list[Any], wlist: list[Any], xlist: list[Any], waking: int | None, timeout: float
) -> tuple[list[Any], list[Any], list[Any]] | None:
    watched = rlist if waking is None else [*rlist, waking]
    ready = _real_select(watched, wlist, xlist, timeout)
    found = [fd for fd in ready[0] if fd is not waking], ready[1], ready[2]
    return found if any(found) else None


def _is_ready(network: Network, fd: Any, how: str) -> bool:
    number = _number(fd)
    return number in network.descriptors and getattr(network.descriptors[number].pollable, how)


class _Poll:
    """The result of `select.poll()`: it asks the kernel about real files."""

    _name = "poll()"
    _per_second = 1000  # units of its timeout

    def __init__(self, network: Network, real: Any) -> None:
        self._network = network
        self._real = real
        self.real_numbers: set[int] = set()  # `fakes._loop.standing` asks for them
        self._masks: dict[int, int] = {}

    def register(
        self, fd: Any, eventmask: int = select.POLLIN | select.POLLPRI | select.POLLOUT, /
    ) -> None:
        number = _number(fd)
        if number in self._network.descriptors:
            self._masks[number] = eventmask
        else:
            self._real.register(number, eventmask)
            self.real_numbers.add(number)

    def modify(self, fd: Any, eventmask: int, /) -> None:
        number = _number(fd)
        if number not in self._network.descriptors:
            self._real.modify(number, eventmask)
        elif number in self._masks:
            self._masks[number] = eventmask
        else:
            raise os_error(errno.ENOENT)

    def unregister(self, fd: Any, /) -> None:
        number = _number(fd)
        if number in self._network.descriptors:
            del self._masks[number]
        else:
            self._real.unregister(number)
            self.real_numbers.discard(number)

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        if not self._masks:
            return self._poll_real(clock_of(sys._getframe(1)), timeout)
        found: list[tuple[int, int]] = self._real.poll(0) if self.real_numbers else []
        for number, mask in self._masks.items():
            if events := self._events(number) & (mask | _ALWAYS):
                found.append((number, events))
        if timeout != 0 and not found:
            _refuse(self._name)
        return found

    def _poll_real(
        self, own: TimeAndChance | None, timeout: float | None, *limit: int
    ) -> list[tuple[int, int]]:
        if own is None or timeout is None or timeout <= 0:
            return self._real.poll(timeout, *limit)  # type: ignore[no-any-return]
        look = functools.partial(self._look, limit)
        return own.wait(timeout / self._per_second, self.real_numbers, look) or []

    def _look(
        self, limit: tuple[int, ...], waking: int | None, timeout: float
    ) -> list[tuple[int, int]] | None:
        if waking is not None:
            self._real.register(waking, select.POLLIN)
            limit = tuple(number + 1 if number > 0 else number for number in limit)
        try:
            found = self._real.poll(timeout * self._per_second, *limit)
        finally:
            if waking is not None:
                self._real.unregister(waking)
        return [each for each in found if each[0] != waking] or None

    def _events(self, number: int) -> int:
        try:
            end: Any = self._network.descriptors[number].pollable
        except OSError:
            return select.POLLNVAL
        events = select.POLLIN | _RDNORM if end.readable else 0
        events |= select.POLLOUT | _WRNORM if end.writable else 0
        if isinstance(end, Endpoint):
            events |= select.POLLERR if end.error is not None else 0
            events |= select.POLLHUP if end.over else 0
            events |= _RDHUP if end.fin_received or end.reset else 0
            if isinstance(end, Unconnected) and end.error is None:
                events &= select.POLLOUT | _WRNORM | select.POLLHUP  # as Linux has it
        return events


_ALWAYS = select.POLLERR | select.POLLHUP | select.POLLNVAL
_RDNORM = getattr(select, "POLLRDNORM", 0)
_WRNORM = getattr(select, "POLLWRNORM", 0)
_RDHUP = getattr(select, "POLLRDHUP", 0)
_EPOLL_DEFAULT = select.POLLIN | select.POLLPRI | select.POLLOUT
_UNUSUAL = sum(getattr(select, name, 0) for name in ("EPOLLET", "EPOLLONESHOT", "EPOLLEXCLUSIVE"))


def _refuse(what: str) -> NoReturn:
    raise NotSimulated(
        f"{what} would wait for a simulated socket, as only the event loop can: use its methods, "
        "or a timeout of 0"
    )


class _EPoll(_Poll):
    """The result of `select.epoll()`, level-triggered: its events have the numbers of poll()'s."""

    _name = "epoll.poll()"
    _per_second = 1

    def register(self, fd: Any, eventmask: int = _EPOLL_DEFAULT) -> None:
        if _number(fd) in self._masks:
            raise os_error(errno.EEXIST)
        super().register(fd, self._checked(fd, eventmask))

    def modify(self, fd: Any, eventmask: int) -> None:
        super().modify(fd, self._checked(fd, eventmask))

    def unregister(self, fd: Any) -> None:
        number = _number(fd)
        if number in self._network.descriptors and number not in self._masks:
            raise os_error(errno.ENOENT)
        self._masks.pop(number, None)
        if number not in self._network.descriptors:
            super().unregister(number)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        for number in list(self._masks):
            if self._events(number) == select.POLLNVAL:
                del self._masks[number]  # the kernel forgets a file that is closed
        if self._masks:
            found = super().poll(timeout)
        else:
            found = self._poll_real(clock_of(sys._getframe(1)), timeout, maxevents)
        return found if maxevents == -1 else found[:maxevents]

    def _checked(self, fd: Any, eventmask: int) -> int:
        if _number(fd) in self._network.descriptors and eventmask & _UNUSUAL:
            raise NotSimulated(
                f"epoll() with the events {eventmask:#x} is not simulated: EPOLLET, EPOLLONESHOT "
                "and EPOLLEXCLUSIVE are for real files only"
            )
        return eventmask

    def close(self) -> None:
        self._masks.clear()
        self._real.close()

    def fileno(self) -> int:
        return self._real.fileno()  # type: ignore[no-any-return]

    @property
    def closed(self) -> bool:
        return self._real.closed  # type: ignore[no-any-return]

    def __enter__(self) -> _EPoll:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class _Function:
    """A function that does not become a method where a class has it, as none of C's does."""

    def __init__(self, function: Any, real: Any) -> None:
        functools.update_wrapper(self, real, updated=())
        self._function = function
        self._real = real

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # such as epoll.fromfd()
        return getattr(self._real, name)


def _replace(name: str, selector: str, attribute: str, function: Any) -> None:
    """Replace a function of `select`, and where a class of `selectors` has it by another name."""
    replacement = _Function(function, getattr(select, name))
    replaced.replace(select, name, replacement)
    owner = getattr(selectors, selector, None)
    if getattr(owner, attribute, None) is getattr(select, name):
        replaced.replace(owner, attribute, replacement)


_replace("select", "SelectSelector", "_select", _select)
if hasattr(select, "poll"):  # not on Windows
    _real_poll = select.poll

    def _poll() -> Any:
        network = network_of_this_thread()
        return _real_poll() if network is None else _Poll(network, _real_poll())

    _replace("poll", "PollSelector", "_selector_cls", _poll)

if hasattr(select, "epoll"):  # on Linux
    _real_epoll = select.epoll

    def _epoll(*args: Any, **kwargs: Any) -> Any:
        network = network_of_this_thread()
        real = _real_epoll(*args, **kwargs)
        return real if network is None else _EPoll(network, real)

    _replace("epoll", "EpollSelector", "_selector_cls", _epoll)
