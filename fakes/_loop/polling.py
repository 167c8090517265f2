"""`select.select()` and `select.poll()` for simulated sockets.

A library may check whether a socket can be read before it uses it again: httpx and urllib3 do so
for each connection that they have kept alive. No real file has the numbers of simulated sockets, so
the kernel would call them broken. While a `fakes.Loop` runs in a thread, these functions report
there which sockets can be read and written now; every other number is left to the kernel.
"""

from __future__ import annotations

import errno
import functools
import select
from collections.abc import Iterable
from typing import Any, NoReturn

from fakes._kernel.endpoint import Endpoint, Unconnected
from fakes._kernel.errors import NotSimulated, os_error
from fakes._loop.socket_module import replaced, simulated_here
from fakes._network.network import Network

_real_select = select.select


def _number(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


@functools.wraps(_real_select)
def _select(
    rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    network = simulated_here()
    reading, writing, other = list(rlist), list(wlist), list(xlist)
    numbers = [] if network is None else [_number(fd) for fd in (*reading, *writing, *other)]
    if network is None or not any(number in network.descriptors for number in numbers):
        return _real_select(reading, writing, other, timeout)
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


def _is_ready(network: Network, fd: Any, how: str) -> bool:
    number = _number(fd)
    return number in network.descriptors and getattr(network.descriptors[number].pollable, how)


class _Poll:
    """The result of `select.poll()`: it asks the kernel about real files."""

    def __init__(self, network: Network, real: Any) -> None:
        self._network = network
        self._real = real
        self._real_numbers: set[int] = set()
        self._masks: dict[int, int] = {}

    def register(
        self, fd: Any, eventmask: int = select.POLLIN | select.POLLPRI | select.POLLOUT, /
    ) -> None:
        number = _number(fd)
        if number in self._network.descriptors:
            self._masks[number] = eventmask
        else:
            self._real.register(number, eventmask)
            self._real_numbers.add(number)

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
            self._real_numbers.discard(number)

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        if not self._masks:
            return self._real.poll(timeout)  # type: ignore[no-any-return]
        found: list[tuple[int, int]] = self._real.poll(0) if self._real_numbers else []
        for number, mask in self._masks.items():
            if events := self._events(number) & (mask | _ALWAYS):
                found.append((number, events))
        if timeout != 0 and not found:
            _refuse("poll()")
        return found

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


def _refuse(what: str) -> NoReturn:
    raise NotSimulated(
        f"{what} would wait for a simulated socket, and stop the loop meanwhile: "
        "use the event loop's methods, or a timeout of 0"
    )


replaced.replace(select, "select", _select)
if hasattr(select, "poll"):  # not on Windows
    _real_poll = select.poll

    @functools.wraps(_real_poll)
    def _poll() -> Any:
        network = simulated_here()
        return _real_poll() if network is None else _Poll(network, _real_poll())

    replaced.replace(select, "poll", _poll)
