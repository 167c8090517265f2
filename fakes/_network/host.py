"""A machine on the network: its addresses, its ports and its Unix paths."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import weakref
from collections.abc import Callable, Coroutine
from socket import SOCK_STREAM
from typing import Any, NamedTuple, Protocol, TypeVar

from fakes._kernel.addresses import is_loopback, unix_path
from fakes._kernel.datagram_socket import DatagramSocket
from fakes._kernel.endpoint import Endpoint
from fakes._kernel.errors import NotSimulated, os_error
from fakes._kernel.port_table import PortTable
from fakes._kernel.socket import Socket
from fakes._kernel.stream_socket import Listener, StreamSocket
from fakes._network.environment import Environment
from fakes._network.link import Link
from fakes._network.path import Path
from fakes._public import public

T = TypeVar("T")


class Boot:
    """The time from a host's start to its crash, and the code that ran on it in that time.

    Attributes:
        alive: whether the host has not crashed since.
        tasks: its tasks.
        generators: its asynchronous generators that have begun.
    """

    def __init__(self) -> None:
        self.alive = True
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self.generators: weakref.WeakSet[Any] = weakref.WeakSet()


class _Place(NamedTuple):
    """The host on which code runs, and the host before its `with` block."""

    host: Host
    boot: Boot
    before: _Place | None


_current_place: contextvars.ContextVar[_Place | None] = contextvars.ContextVar("fakes_host")


def boot_of(context: contextvars.Context | None = None) -> Boot | None:
    """Return the uptime in which the code of a context (default: the current) was started."""
    place = _current_place.get(None) if context is None else context.get(_current_place)
    return None if place is None else place.boot


class Links(Protocol):
    """The needs of a host: the network's links, to break them."""

    def links_of(self, host: Host) -> list[Link]:
        """Return the links from a host to every other."""

    def links_with(self, host: Host) -> list[Link]:
        """Return the links of a host that are in use, that to itself included."""

    def open_sockets(self) -> list[Socket]:
        """Return the sockets that are open, of every host."""

    @property
    def connections(self) -> dict[int, Endpoint]:
        """The ends of the connections that are not over."""


@public
class Host:
    """A machine on the network, with its addresses, its ports and its Unix socket paths.

    Made by `Network.host()`. Code runs "on" a host inside `with host:`; tasks and callbacks started
    there stay there.

    A host can crash, as in a power cut, and start again. Give programs that run whenever it is up
    to `start()`::

        database = network.host("database")
        database.start(serve)      # a coroutine function without arguments
        ...
        database.crash()
        await asyncio.sleep(10)
        database.restart()         # calls serve() again
    """

    def __init__(
        self, network: Links, environment: Environment, name: str, addresses: tuple[str, ...]
    ) -> None:
        self.network = network
        self._environment = environment
        self.name = name
        self.addresses = addresses
        self._tcp = PortTable()
        self._udp = PortTable(datagrams=True)
        # A path stays when its socket is closed, until it is unlinked.
        self._paths: dict[str | bytes, Socket] = {}
        self._boot = Boot()
        self._programs: list[Callable[[], Coroutine[Any, Any, object]]] = []
        # asyncio keeps only a weak reference to a task: a task that waits for an object without
        # other references would be collected.
        self._running: set[asyncio.Task[object]] = set()

    def __repr__(self) -> str:
        """Show the name and the addresses."""
        return f"<fakes.Host {self.name!r} {' '.join(self.addresses)}>"

    def __enter__(self) -> Host:
        """Make this the host that the code in the `with` block runs on."""
        _current_place.set(_Place(self, self._boot, _current_place.get(None)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Go back to the host before."""
        current = _current_place.get(None)
        assert current is not None
        _current_place.set(current.before)

    def has_address(self, address: str) -> bool:
        """Whether packets for an IP address stay on this host."""
        return address in self.addresses or is_loopback(address)

    def ports(self, kind: int) -> PortTable:
        """Return the ports of TCP (`SOCK_STREAM`) or of UDP."""
        return self._tcp if kind == SOCK_STREAM else self._udp

    def listener_for(self, ip: str, port: int) -> Listener | None:
        """Return the listener that a connection to an address reaches, if any.

        Among several that share the address (SO_REUSEPORT) chance decides.
        """
        found: list[StreamSocket] = self._tcp.best(ip, port, lambda sock: sock.listening)
        return self._one_of(found).listener if found else None

    def receiver_for(self, ip: str, port: int, source: Any) -> DatagramSocket | None:
        """Return the UDP socket that a datagram reaches, if any.

        One that is connected to its source comes first; of several that share the address with
        SO_REUSEPORT chance decides, with SO_REUSEADDR the last.
        """
        connected = self._udp.best(
            ip, port, lambda sock: sock.is_connected and sock.receives_from(source)
        )
        found: list[DatagramSocket] = connected or self._udp.best(
            ip, port, lambda sock: not sock.is_connected
        )
        if not found:
            return None
        return self._one_of(found) if found[-1].reuse_port else found[-1]

    def _one_of(self, found: list[T]) -> T:
        if len(found) == 1:
            return found[0]
        return found[int(self._environment.chances("port").random() * len(found))]

    # --- faults -------------------------------------------------------------------------------

    def drop(self) -> None:
        """Take the host off the network: cause a partition on each of its links (see `Link`)."""
        for link in self.network.links_of(self):
            link.partition()

    def heal(self) -> None:
        """Put the host back: end the faults of all of its links."""
        for link in self.network.links_of(self):
            link.heal()

    # --- crashes ------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether the host runs: it has not crashed, or it has started again."""
        return self not in self._environment.down

    def start(self, program: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run a program on the host, now and after every `restart()`.

        The event loop's exception handler, which logs, receives an exception that it raises. If no
        event loop runs yet, the program begins with the loop.

        Args:
            program: a coroutine function without arguments, which runs as a task of the host.
        """
        self._programs.append(program)
        if self.up and self._environment.attached:
            self._run(program)

    def crash(self) -> None:
        """Stop the host, as a power cut does. No effect if it is down.

        Tasks, callbacks and timers of the host (all that started in a `with host:` block or by
        `start()`) never run again, not even their `finally` clauses. A thread that they have
        started ends, and its result is dropped. The host's sockets are gone, and send nothing more.
        Data that it had sent arrives; data that it had buffered does not.

        Its peers notice this as on Linux. Their kernels retransmit their data, less and less often,
        until ETIMEDOUT after 924.6 seconds; an attempt to connect fails with it after 127 seconds.
        A peer that sends nothing notices nothing.

        Raises:
            NotSimulated: the network is under a loop that is not a `fakes.Loop`.
        """
        if not self.up:
            return
        abandon = getattr(self._environment.loop, "abandon", None)
        if abandon is None:
            raise NotSimulated(
                "Host.crash() needs a fakes.Loop: no other loop can stop a host's code"
            )
        self._environment.down.add(self)
        self._boot.alive = False
        # First: what waits for a connection that is gone is garbage, and would run when collected.
        abandon(self._boot)
        for sock in self.network.open_sockets():
            if sock.host is self:
                sock.vanish()
        ends = [end for end in self.network.connections.values() if end.host is self]
        for link in self.network.links_with(self):
            link.refresh()
        for end in ends:
            end.vanish()
            if isinstance(end.path, Path):
                end.path.forget()
        self._tcp = PortTable()
        self._udp = PortTable(datagrams=True)
        self._running.clear()

    def restart(self) -> None:
        """Start the host again, with the programs of `start()`; crash it first if it is up.

        A peer that still retransmits data of an old connection gets a reset (ECONNRESET). Unix
        paths are still there, but no socket listens at them.

        Raises:
            NotSimulated: as `crash()`.
        """
        self.crash()
        self._environment.down.discard(self)
        self._boot = Boot()
        for link in self.network.links_with(self):
            link.refresh()
        for program in self._programs:
            self._run(program)

    def begin(self) -> None:
        """The network is under a new event loop: the host is up, and its programs start with it."""
        self._boot = Boot()
        self._running.clear()
        for program in self._programs:
            self._environment.loop.call_soon(self._run, program)

    def _run(self, program: Callable[[], Coroutine[Any, Any, object]]) -> None:
        if not self._boot.alive:
            return
        context = contextvars.copy_context()
        context.run(_current_place.set, _Place(self, self._boot, None))
        loop = self._environment.loop
        task = context.run(lambda: loop.create_task(program(), context=context))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._environment.loop.call_exception_handler(
                {
                    "message": f"a program on host {self.name!r} has failed",
                    "exception": exc,
                    "task": task,
                }
            )

    # --- Unix paths ---------------------------------------------------------------------------

    def bind_path(self, sock: Socket, path: str | bytes) -> None:
        """Bind a Unix socket to a path.

        Raises:
            OSError: EADDRINUSE: the path exists.
        """
        if path in self._paths:
            raise os_error(errno.EADDRINUSE)
        self._paths[path] = sock

    def unlink(self, path: str | bytes) -> None:
        """Remove a Unix socket's path.

        Raises:
            FileNotFoundError: there is none.
        """
        path = unix_path(path)
        if path not in self._paths:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        del self._paths[path]

    def socket_at(self, path: str | bytes) -> Socket | None:
        """Return the socket bound to a Unix path, open or closed, or None."""
        return self._paths.get(unix_path(path))


def current_host(network: object) -> Host | None:
    """Return the host of a network that the running code is on, in the innermost `with host:`."""
    place = _current_place.get(None)
    return None if place is None or place.host.network is not network else place.host
