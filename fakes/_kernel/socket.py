"""The common part of all simulated sockets: a name, options, a number."""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import errno
import socket
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fakes._kernel.addresses import (
    NO_NAME,
    check_address,
    in_family,
    ip_address,
    is_address,
    is_loopback,
    is_unspecified,
    normal,
    plain,
    unix_path,
)
from fakes._kernel.arguments import C_INTS, check_arguments
from fakes._kernel.descriptors import Descriptors
from fakes._kernel.errors import NotSimulated, os_error
from fakes._kernel.options import (
    APPLIED,
    CREDENTIALS,
    LEVELS,
    LINGER,
    REUSE_ADDRESS,
    REUSE_PORT,
    SWITCHES,
    V6_ONLY,
    Option,
    as_int,
    checked,
    default,
)
from fakes._kernel.port_table import PortTable
from fakes._kernel.readiness import Pollable, Watch, set_watch
from fakes._kernel.surroundings import Machine, World
from fakes._public import public

S = TypeVar("S", bound="Socket")

# Plain numbers: to combine the members of an enumeration takes longer than to receive.
PEEK = int(socket.MSG_PEEK)
RECEIVING_FLAGS = PEEK | int(socket.MSG_DONTWAIT) | int(socket.MSG_NOSIGNAL)
"""The flags that a socket receives with."""


@public
class Socket(socket.socket):
    """A socket of the simulated network, with the methods of `socket.socket`.

    Made by `Network.socket()`, by `Network.socketpair()`, by the event loop and, while a
    `fakes.Loop` runs in the thread, by `socket.socket()`; given to `sock=` arguments and to
    `loop.sock_*()` like a real one.

    A call of a blocking socket that can finish immediately does so. A call that would wait raises
    `NotSimulated`: it would stop the loop's thread, and with it everything that could end the wait.
    """

    # As many as there are connections: a dictionary each would be the largest part of them.
    __slots__ = (
        "_applies",
        "_bound",
        "_descriptors",
        "_family",
        "_fileno",
        "_gone",
        "_inheritable",
        "_options",
        "_proto",
        "_timeout",
        "host",
        "network",
        "stands_for",
        "transport",
        "vanished",
    )

    if TYPE_CHECKING:
        network: World
        host: Machine
        transport: Callable[[], asyncio.BaseTransport | None]  # a weak reference
        vanished: bool  # its host has crashed
        stands_for: weakref.ref[socket.socket] | None  # see fakes._asyncio.real_sockets
        _io_refs: int  # this and the next are socket.socket's
        _closed: bool
        _gone: bool  # closed, and its number with it
        _family: socket.AddressFamily
        _proto: int
        _kind: socket.SocketKind
        _bound: Any
        _timeout: float | None
        _inheritable: bool
        _options: dict[Option, int | bytes]
        _applies: bool  # whether an option with an effect on the connection is set
        _descriptors: Descriptors[Any]
        _fileno: int

    # socket.socket() may return one of these, and then calls __init__ with its own
    # arguments; so there is nothing to initialize, and `create()` sets up.

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `TypeError`."""
        raise TypeError("make a fakes.Socket with Network.socket() or socket.socket()")

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @classmethod
    def create(
        cls: type[S],
        network: World,
        host: Machine,
        family: int,
        proto: int = 0,
        timeout: float | None = 0.0,
    ) -> S:
        """Return a new socket on a host."""
        sock: S = _socket.socket.__new__(cls)  # without a file, the rest is EBADF
        sock._io_refs = 0
        sock._closed = sock._gone = sock.vanished = sock._inheritable = sock._applies = False
        sock.network = network
        sock.host = host
        sock._family = (
            family if isinstance(family, socket.AddressFamily) else socket.AddressFamily(family)
        )
        sock._proto = proto
        sock._timeout = timeout
        sock._bound = sock.stands_for = None
        sock.transport = no_transport
        sock._options = {}
        sock._descriptors = descriptors = network.descriptors
        sock._fileno = descriptors.add(sock)
        return sock

    def __repr__(self) -> str:
        """Show the number, the kind and the addresses, or that it is closed."""
        if self.fileno() == -1:
            return f"<fakes.Socket closed family={self._family.name}>"
        kind = "" if self._kind == socket.SOCK_STREAM else f" type={self._kind.name}"
        peer = ""
        with contextlib.suppress(OSError):  # it has none
            peer = f" raddr={self.getpeername()}"
        return (
            f"<fakes.Socket fd={self._fileno} family={self._family.name}{kind} "
            f"laddr={self.getsockname()}{peer}>"
        )

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        """Warn, as `socket.socket` does, about a socket that was never closed, and close it."""
        if not self.closed:
            _warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self._real_close()

    # --- kind and number ----------------------------------------------------------------------

    @property
    def family(self) -> socket.AddressFamily:
        """The address family."""
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        """`SOCK_STREAM` or `SOCK_DGRAM`."""
        return self._kind

    @property
    def proto(self) -> int:
        """The protocol number."""
        return self._proto

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        if self.stands_for is not None:
            real = self.stands_for()
            if real is None or real.fileno() == -1:
                self._real_close()
        return self._gone

    def fileno(self) -> int:
        """Return a number that no real file has, or -1 when closed."""
        return -1 if self._gone else self._fileno

    def get_inheritable(self) -> bool:
        """Return the flag of `set_inheritable()`; it has no effect on other processes."""
        self.check_open()
        return self._inheritable

    def set_inheritable(self, inheritable: bool) -> None:
        """Keep the flag, for `get_inheritable()`."""
        self.check_open()
        self._inheritable = bool(inheritable)

    def check_open(self) -> None:
        """Raise `OSError` (EBADF) if the socket is closed."""
        if self._gone:
            raise os_error(errno.EBADF)

    # --- blocking -----------------------------------------------------------------------------

    def setblocking(self, flag: bool) -> None:
        """Set whether calls may block; a blocking call that would wait raises `NotSimulated`."""
        if type(flag) is not bool:
            check_arguments("setblocking", flag)
        self.check_open()
        self._timeout = None if flag else 0.0

    def settimeout(self, value: float | None) -> None:
        """Set the timeout; unless it is 0, a call that would wait raises `NotSimulated`."""
        check_arguments("settimeout", value)
        self.check_open()
        self._timeout = None if value is None else float(value)

    def gettimeout(self) -> float | None:
        """Return the timeout in seconds: 0.0 if non-blocking, None for no timeout."""
        return self._timeout

    @property
    def timeout(self) -> float | None:
        """As `gettimeout()`."""
        return self._timeout

    def getblocking(self) -> bool:
        """Return whether calls may block."""
        return self._timeout != 0

    def would_block(self, call: str, error: BlockingIOError) -> NoReturn:
        """Raise `error` on a non-blocking socket, `NotSimulated` on a blocking one."""
        if self._timeout == 0:
            raise error
        raise NotSimulated(
            f"{call} on {self!r} would block the thread, and with it the simulated network: call "
            "setblocking(False) and use the event loop's methods"
        ) from None

    # --- readiness ----------------------------------------------------------------------------

    @property
    def pollable(self) -> Pollable:
        """The object to watch."""
        raise NotImplementedError

    def watch_reading(self, watch: Watch | None) -> bool:
        """Set or remove the callback for readability; return whether there was one."""
        return set_watch(self.pollable, "reader", watch)

    def watch_writing(self, watch: Watch | None) -> bool:
        """Set or remove the callback for writability; return whether there was one."""
        return set_watch(self.pollable, "writer", watch)

    # --- addresses ----------------------------------------------------------------------------

    @property
    def _ports(self) -> PortTable:
        return self.host.ports(self._kind)

    @property
    def reuse_address(self) -> bool:
        """Whether SO_REUSEADDR is set."""
        return bool(self._options.get(REUSE_ADDRESS))

    @property
    def reuse_port(self) -> bool:
        """Whether SO_REUSEPORT is set."""
        return bool(self._options.get(REUSE_PORT))

    @property
    def both_versions(self) -> bool:
        """Whether an IPv6 socket is for IPv4 as well: IPV6_V6ONLY is not set."""
        return not self._options.get(V6_ONLY)

    @property
    def listening(self) -> bool:
        """Whether `listen()` has been called."""
        return False

    def bind(self, address: Any) -> None:
        """Bind to an address of the socket's host, or to a Unix path.

        Raises:
            OSError: EADDRINUSE, EADDRNOTAVAIL, or EINVAL if bound already.
        """
        if self._family == socket.AF_UNIX:
            address = unix_path(address)
        else:
            check_address(self._family, address, "bind")
        self.check_open()
        if self._family == socket.AF_UNIX:
            self._check_unbound()
            self.host.bind_path(self, address)
            self._bound = address
        else:
            address = self._resolved(address)
            self._check_unbound()
            local = plain(address)[0]
            if not is_unspecified(local) and not self.host.has_address(local):
                self._not_here(local)
            self._bound = self._ports.bind(self, address)

    def connect_ex(self, address: Any) -> int:
        """As `connect()`; return the number of the error, or 0."""
        try:
            self.connect(address)
        except OSError as exc:
            if exc.errno is None or isinstance(exc, socket.gaierror):
                raise
            return exc.errno
        return 0

    def _not_here(self, ip: str) -> NoReturn:
        raise os_error(errno.EADDRNOTAVAIL)

    def _check_unbound(self) -> None:
        if self._bound is not None:
            raise os_error(errno.EINVAL)

    def _resolved(self, address: Any) -> Any:
        """Return an address in full, as the kernel gives it; a name of a host is looked up."""
        host = address[0] or NO_NAME[self._family][0]
        if not is_address(host, self._family):
            host = self.network.address_of(host, self._family)
        if self._family == socket.AF_INET:
            return (str(ip_address(host)), address[1])
        host = host.partition("%")[0]
        host = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
        return (host, *address[1:], *(0, 0)[len(address) - 2 :])

    def unlink(self) -> None:
        """Remove the Unix path to which the socket is bound, if it is still this socket's."""
        if self._bound is not None and self.host.socket_at(self._bound) is self:
            self.host.unlink(self._bound)

    def outgoing_ip(self, ip: str) -> str:
        """Return the local address from which the host reaches `ip`.

        Raises:
            OSError: it has no address of that family (ENETUNREACH).
        """
        _, version = normal(ip)
        if self.host.has_address(ip):  # 127.0.0.0/8 is reached from one address
            return "127.0.0.1" if version == 4 and is_loopback(ip) else ip
        same = [a for a in self.host.addresses if normal(a)[1] == version]
        if not same:
            raise os_error(errno.ENETUNREACH)
        return same[0]

    def getsockname(self) -> Any:
        """Return the socket's own address."""
        self.check_open()
        return NO_NAME[self._family] if self._bound is None else self._bound

    def getpeername(self) -> Any:
        """Return the address of the other end.

        Raises:
            OSError: there is none (ENOTCONN).
        """
        raise NotImplementedError

    def _shown(self, address: Any) -> Any:
        """Return an address of the network as this socket shows it."""
        return in_family(address, self._family) if self._family == socket.AF_INET6 else address

    # --- options ------------------------------------------------------------------------------

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> Any:
        """Return an option as it was set, or Linux's default."""
        check_arguments("getsockopt", level, optname, buflen)
        self.check_open()
        if level not in LEVELS:
            raise os_error(errno.EOPNOTSUPP)
        value = self._option((level, optname))
        if not buflen:
            return as_int(value)
        raw = value if isinstance(value, bytes) else value.to_bytes(4, sys.byteorder, signed=True)
        return raw[:buflen]

    def _option(self, option: Option) -> int | bytes:
        if option[0] == socket.SOL_SOCKET:
            match option[1]:
                case socket.SO_ERROR:
                    return self.take_error()
                case socket.SO_ACCEPTCONN:
                    return int(self.listening)
                case socket.SO_TYPE:
                    return self._kind
                case socket.SO_DOMAIN:
                    return self._family
                case socket.SO_PROTOCOL:
                    return self._proto
                case socket.SO_PEERCRED:
                    return self._credentials()
        if option in self._options:
            return self._options[option]
        return default(option)

    def _credentials(self) -> bytes:
        return CREDENTIALS.pack(0, -1, -1)

    def take_error(self) -> int:
        """Return the error that no call has reported yet, once; 0 if there is none."""
        return 0

    def setsockopt(self, level: int, optname: int, value: Any, optlen: int | None = None) -> None:
        """Set an option; see `fakes._kernel.options` for what each does.

        Raises:
            OSError: as Linux, for an option or a value that it does not have.
            NotSimulated: the option would have an effect that is not simulated.
        """
        option = (level, optname)
        if type(value) is int and option in SWITCHES and value in C_INTS and not self._gone:
            self._options[option] = int(value != 0)  # the short way for the most frequent ones
            if option in APPLIED:
                self._applies = True
                self._apply_options()
            return
        if optlen is not None:
            check_arguments("setsockopt", level, optname, value, optlen)
        elif type(value) is not int or value not in C_INTS:
            check_arguments("setsockopt", level, optname, value)
        self.check_open()
        if level not in LEVELS:
            raise os_error(errno.ENOPROTOOPT)
        if value is None:
            value = bytes(optlen or 0)
        elif not isinstance(value, int):
            with memoryview(value) as view:
                value = bytes(view)
            if len(value) < (LINGER.size if optname == socket.SO_LINGER else 4):
                raise os_error(errno.EINVAL)
        self._options[option] = self._checked(option, value)
        if option in APPLIED:
            self._applies = True
            self._apply_options()

    def _checked(self, option: Option, value: int | bytes) -> int | bytes:
        """Return the value of an option as the kernel keeps it; see `checked()`."""
        return checked(option, value)

    def _apply_options(self) -> None:
        """Apply the options that have an effect."""

    # --- data ---------------------------------------------------------------------------------

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file by `send()`; return how many bytes."""
        return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined,no-any-return]

    def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Iterable[Any] = (),
        flags: int = 0,
        address: Any = None,
    ) -> int:
        """Send the buffers, joined.

        Raises:
            NotSimulated: there is ancillary data.
        """
        if list(ancdata):
            raise NotSimulated("sendmsg(): ancillary data is not simulated")
        data = b"".join(bytes(memoryview(buffer)) for buffer in buffers)
        return self.send(data, flags) if address is None else self.sendto(data, flags, address)

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0
    ) -> tuple[bytes, list[Any], int, Any]:
        """Return `(data, [], flags, address)`: there is no ancillary data."""
        data, address = self.recvfrom(bufsize, flags)
        return data, [], 0, address

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        """As `recvmsg()`, into buffers; return how many bytes instead of the data."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        data, _, shown, address = self.recvmsg(sum(map(len, views)), ancbufsize, flags)
        rest = data
        for view in views:
            view[: len(rest)] = rest[: len(view)]
            rest = rest[len(view) :]
        return len(data), [], shown, address

    # --- the end ------------------------------------------------------------------------------

    def _real_close(self, _ss: object = None) -> None:
        # socket.socket.close() calls this, when no makefile() is open any more.
        raise NotImplementedError

    def vanish(self) -> None:
        """The host has crashed: end, with the transport on it, without a callback."""
        self._gone = self._closed = self.vanished = True
        self.stands_for = None
        transport: Any = self.transport()
        if transport is not None:
            transport.vanish()

    def detach(self) -> int:
        """Close the object but not the socket; return its number, for `socket.socket(fileno=)`."""
        number = self.fileno()
        if number != -1:
            self._gone = True
            self._closed = True
            self._descriptors.detach(number, self)
        return number

    def attach(self) -> Socket:
        """Become the object for the number that `detach()` has returned."""
        self._gone = self._closed = False
        return self

    def dup(self) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated(
            f"{self!r} has one owner, so dup() and a second socket with its number are not "
            "simulated: hand it over by detach()"
        )


def no_transport() -> None:
    """Stand for the transport of a socket without one."""
