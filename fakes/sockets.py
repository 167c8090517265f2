"""Sockets of the simulated network: for `sock=` arguments, for `loop.sock_*()`, and to look at."""

from __future__ import annotations

import errno
import functools
import operator
import os
import socket
import struct
import sys
import warnings
import weakref
from asyncio import trsock
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from fakes.dns import ip_address, is_address
from fakes.tcp import Endpoint, Unconnected, os_error

if TYPE_CHECKING:
    import asyncio

    from fakes.handshake import Handshake
    from fakes.network import Host, Network
    from fakes.watch import Pollable, Watch

_LINGER = struct.Struct("ii")
_LONGEST_PATH = 107  # what `struct sockaddr_un` holds, without the zero at the end
# The beginning of Linux's `struct tcp_info`: what it says of a listening socket is its state, how
# many connections wait for accept(), and how many may.
_TCP_INFO = struct.Struct("@B7x4x4x4x4xII")
_TCP_LISTEN = 10


# What Linux reports for options that were never set.
_DEFAULTS: dict[tuple[int, int], int | bytes] = {
    (socket.SOL_SOCKET, socket.SO_LINGER): _LINGER.pack(0, 0),
    (socket.SOL_SOCKET, socket.SO_RCVTIMEO): bytes(16),
    (socket.SOL_SOCKET, socket.SO_SNDTIMEO): bytes(16),
    (socket.SOL_SOCKET, socket.SO_RCVLOWAT): 1,
    (socket.SOL_SOCKET, socket.SO_SNDLOWAT): 1,
    (socket.IPPROTO_IP, socket.IP_TTL): 64,
    (socket.IPPROTO_TCP, socket.TCP_SYNCNT): 6,
    (socket.IPPROTO_TCP, socket.TCP_QUICKACK): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 7200,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 75,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 9,
}
# Options that are on or off: whatever but 0 they are set to, they report 1.
_SWITCHES = {
    (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_OOBINLINE),
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.IPPROTO_TCP, socket.TCP_CORK),
    (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
}
# What fits into an int of C. (A real recv() sets as much memory apart as it is asked for, and what
# is more than this may be more than there is.)
_C_INTS = range(-(2**31), 2**31)
# A socket without a file: its methods look at their arguments, and then fail with EBADF.
_NEVER_OPENED = socket.socket.__new__(socket.socket)
# The names of a socket that has none.
_NO_NAME: dict[int, Any] = {
    socket.AF_INET: ("0.0.0.0", 0),
    socket.AF_INET6: ("::", 0, 0, 0),
    socket.AF_UNIX: "",
}
_LEVELS = {socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.IPPROTO_TCP}
# The smallest and the largest that SO_SNDBUF and SO_RCVBUF can be set to, as reported: Linux
# doubles what it is given, to allow for its own bookkeeping.
_BUFFER_SIZES = {socket.SO_SNDBUF: (4608, 425_984), socket.SO_RCVBUF: (2304, 425_984)}


def _as_int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        return int.from_bytes(value[:4], sys.byteorder, signed=True)
    return int(value)


class Listener:
    """A listening socket's place in the network: the connections that wait for `accept()`."""

    __slots__ = ("backlog", "closed", "network", "queue", "reader", "sock")

    def __init__(self, network: Network, sock: Socket, backlog: int) -> None:
        self.network = network
        self.sock = sock
        self.backlog = backlog
        self.closed = False
        self.queue: deque[Endpoint] = deque()
        self.reader: Watch | None = None

    def check_readable(self) -> None:
        """Hand the watch to the loop if a connection waits."""
        reader = self.reader
        if reader is not None and not reader.queued and self.queue:
            reader.queued = True
            self.network.poll(reader)

    def check_writable(self) -> None:
        """A listening socket is never writable."""

    def close(self) -> None:
        """Stop listening; connections that were never accepted are reset."""
        self.closed = True
        if self.reader is not None:
            self.reader.cancel()
            self.reader = None
        while self.queue:
            end = self.queue.popleft()
            end.linger_zero = True
            end.close()


class Socket:
    """A stream socket of the simulated network, with the methods of `socket.socket`.

    Always non-blocking. Made by `Network.socket()`, by `Network.socketpair()` and by the event
    loop; given to `sock=` arguments and to `loop.sock_*()` like a real one.
    """

    def __init__(
        self,
        network: Network,
        host: Host,
        family: int,
        endpoint: Endpoint | None = None,
    ) -> None:
        self.network = network
        self.host = host
        self.family = socket.AddressFamily(family)
        self.type = socket.SOCK_STREAM
        self.proto = 0 if family == socket.AF_UNIX else socket.IPPROTO_TCP
        self._endpoint = endpoint
        self._unconnected: Unconnected | None = None  # what is there instead, made when needed
        self._listener: Listener | None = None
        self._bound: Any = None
        self._last_name: Any = None  # what getsockname() tells of an attempt that has failed
        self.attempt: Handshake | None = None  # to connect, under way
        self._untold: int | None = None  # the outcome of one, if connect() has yet to tell it
        self._ephemeral = False  # the port was chosen by connect()
        self._released = False
        self._closed = False
        self._fileno = network.next_fileno(self)
        self._options: dict[tuple[int, int], int | bytes] = {}
        self.transport: Callable[[], asyncio.Transport | None] = _no_transport  # a weak reference
        self.stands_for: weakref.ref[socket.socket] | None = None  # see fakes.standins

    def __repr__(self) -> str:
        """Say what it is and the state it is in."""
        if self._closed:
            return f"<fakes.Socket closed family={self.family.name}>"
        return (
            f"<fakes.Socket fd={self._fileno} family={self.family.name} laddr={self.getsockname()}>"
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Say of a method that only real sockets have that it is not simulated."""
        why = ""
        if name == "dup":  # what no method of a loop does either
            why = " is not simulated: a simulated socket has one owner"
        elif hasattr(socket.socket, name):
            why = " is not simulated: use the event loop's methods"
        raise AttributeError(f"fakes.Socket.{name}{why}", name=name, obj=self)

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        """Warn, as `socket.socket` does, of a socket that was never closed, and close it."""
        if hasattr(self, "stands_for") and not self.closed:
            _warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.close()

    @property
    def endpoint(self) -> Endpoint:
        """The connected end under this socket. Raises `OSError` (ENOTCONN) if there is none."""
        if self._closed:
            raise os_error(errno.EBADF)
        if self._endpoint is None:
            raise os_error(errno.ENOTCONN)
        return self._endpoint

    @property
    def end(self) -> Endpoint:
        """What calls act on: the connected end, or what says that there is none."""
        if self._closed:
            raise os_error(errno.EBADF)
        if self._endpoint is not None:
            return self._endpoint
        if self._unconnected is None:
            self._unconnected = Unconnected(self.network, self.host, self.family)
            if self._listener is not None or self.attempt is not None:
                self._unconnected.hang_up(False)
        return self._unconnected

    @property
    def listener(self) -> Listener | None:
        """The listener under this socket, after `listen()`."""
        return self._listener

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        if self.stands_for is not None:
            real = self.stands_for()
            if real is None or real.fileno() == -1:
                self.close()
        return self._closed

    @property
    def reuse_port(self) -> bool:
        """Whether SO_REUSEPORT is set."""
        return bool(self._options.get((socket.SOL_SOCKET, socket.SO_REUSEPORT)))

    @property
    def pollable(self) -> Pollable:
        """What there is to watch: the connection, or the listener."""
        return self.end if self._listener is None else self._listener

    def watch_reading(self, watch: Watch | None) -> bool:
        """Set or remove what is called when the socket can be read; return whether one was set."""
        return _watch(self._listener or self.end, "reader", watch)

    def watch_writing(self, watch: Watch | None) -> bool:
        """Set or remove what is called when it can be written; return whether one was set."""
        return _watch(self.end, "writer", watch)

    # --- addresses ----------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """Bind to an address of the socket's host, or to a Unix path.

        Raises `OSError`: EADDRINUSE, EADDRNOTAVAIL, or EINVAL if bound already.
        """
        if self.family == socket.AF_UNIX:
            address = unix_path(address)
        else:
            check_address(self.family, address, "bind")
        if self._closed:
            raise os_error(errno.EBADF)
        if self._bound is not None or self._endpoint is not None:
            raise os_error(errno.EINVAL)
        if self.family == socket.AF_UNIX:
            self.host.bind_path(self, address)
            self._bound = address
        else:
            host = address[0] or _NO_NAME[self.family][0]
            if not is_address(host, self.family):
                host = self.network.dns.getaddrinfo(host, None, self.family)[0][4][0]
            self._bound = self.host.bind(self, (host, *address[1:]))

    def unlink(self) -> None:
        """Remove the Unix path that the socket is bound to, if it still is this socket's."""
        if self._bound is not None and self.host.socket_at(self._bound) is self:
            self.host.unlink(self._bound)

    def bind_for(self, ip: str) -> Any:
        """Return the local address for a connection to `ip`, bound already or chosen now.

        Raises `OSError` (ENETUNREACH) if the host has no address of that family.
        """
        if self._bound is None:
            if self.host.has_address(ip):
                local = ip_address(ip)  # all of 127.0.0.0/8 is the host's, and met from one address
                mine = "127.0.0.1" if local.version == 4 and local.is_loopback else ip
            else:
                version = 4 if self.family == socket.AF_INET else 6
                same = [a for a in self.host.addresses if ip_address(a).version == version]
                if not same:
                    raise os_error(errno.ENETUNREACH)
                mine = same[0]
            port = self.host.ephemeral_port()
            self.host.use_port(port)
            self._ephemeral = True
            self._bound = (mine, port) if self.family == socket.AF_INET else (mine, port, 0, 0)
        return self._bound

    def release(self) -> None:
        """Let go of the local port: the socket, or its connection, has ended."""
        bound = self._bound
        if bound is None or self._released or self.family == socket.AF_UNIX:
            return
        self._released = True
        if self._ephemeral:
            self.host.free_port(bound[1])
        else:
            self.host.unbind(self, bound[1])

    def begin_connecting(self, address: Any) -> bool:
        """Do what `connect()` does before it asks the network; return whether it then asks it.

        It does not if there is something to tell of the attempt before, which Linux does once:
        that it has succeeded, or ECONNABORTED. Raises `OverflowError`, `OSError` (EISCONN, ...).
        """
        check_address(self.family, address, "connect")
        if self._closed:
            raise os_error(errno.EBADF)
        untold, self._untold = self._untold, None
        if untold == 0:
            return False
        if untold is not None:
            if self._last_name is not None:
                self._last_name = (_NO_NAME[self.family][0], *self._last_name[1:])
            assert self._unconnected is not None
            raise os_error(self._unconnected.forgive() or untold)
        if self._endpoint is not None or self._listener is not None:
            raise os_error(errno.EISCONN)
        if self._unconnected is not None:
            self._unconnected.hang_up(False)
        self.network.operations += 1
        return True

    def failed(self, number: int) -> None:
        """The attempt to connect has failed. A port that it has chosen is free again."""
        self.attempt = None
        self._untold = errno.ECONNABORTED
        if self._ephemeral:
            self._last_name = self._bound
            self.host.free_port(self._bound[1])
            self._bound = None
            self._ephemeral = False
        end = self.end
        assert isinstance(end, Unconnected)
        end.refuse(number)

    def connected(self, endpoint: Endpoint, *, told: bool = True) -> None:
        """The connection is established. The local port is taken until it has ended.

        `told` is false if `connect()` did not wait for it, and has yet to say so.
        """
        self._endpoint = endpoint
        self.attempt = None
        if not told:
            self._untold = 0
        before, self._unconnected = self._unconnected, None
        if before is not None:
            before.hand_over(endpoint)
        # The connection must not keep alive a socket that the program has dropped.
        endpoint.releases = (
            functools.partial(self.host.free_port, self._bound[1])
            if self._ephemeral
            else self.release
        )
        self._apply_options()

    def listen(self, backlog: int = 128) -> None:
        """Let connections come in.

        Raises `OSError` (EINVAL) if the socket is connected, or was to be, and for a Unix socket
        that is not bound.
        """
        check_arguments("listen", backlog)
        if self._closed:
            raise os_error(errno.EBADF)
        if self._endpoint is not None or self._untold is not None:
            raise os_error(errno.EINVAL)
        if self._listener is not None:
            self._listener.backlog = backlog
            return
        if self._bound is None:
            if self.family == socket.AF_UNIX:
                raise os_error(errno.EINVAL)
            self.bind(_NO_NAME[self.family])
        self._listener = Listener(self.network, self, backlog)
        if self._unconnected is not None:
            self._unconnected.hang_up(False)

    def accept(self) -> tuple[Socket, Any]:
        """Return the next connection and the address it comes from.

        Raises `BlockingIOError` if none waits, `OSError` (EINVAL) if the socket does not listen.
        """
        if self._closed:
            raise os_error(errno.EBADF)
        if self._listener is None:
            raise os_error(errno.EINVAL)
        if not self._listener.queue:
            raise os_error(errno.EAGAIN)
        end = self._listener.queue.popleft()
        self.network.operations += 1
        accepted = Socket(self.network, self.host, self.family, end)
        accepted._options = self._options.copy()  # as Linux: SO_KEEPALIVE, SO_LINGER, ...
        accepted._apply_options()
        return accepted, end.peer.local

    # --- names and options --------------------------------------------------------------------

    def fileno(self) -> int:
        """Return a number that no real file has, or -1 when closed."""
        return -1 if self._closed else self._fileno

    def getsockname(self) -> Any:
        """Return the socket's own address."""
        if self._closed:
            raise os_error(errno.EBADF)
        if self._endpoint is not None:
            return self._endpoint.local
        if self._bound is not None:
            return self._bound
        return self._last_name or _NO_NAME[self.family]

    def getpeername(self) -> Any:
        """Return the address of the other end. Raises `OSError` if there is none."""
        end = self.endpoint
        if end.reset and end.family != socket.AF_UNIX:
            raise os_error(errno.ENOTCONN)
        return end.peer.local

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> int | bytes:
        """Return an option as it was set, or Linux's default."""
        check_arguments("getsockopt", level, optname, buflen)
        if self._closed:
            raise os_error(errno.EBADF)
        if level not in _LEVELS:
            raise os_error(errno.EOPNOTSUPP)
        value = self._option(level, optname)
        if not buflen:
            return _as_int(value)
        raw = value if isinstance(value, bytes) else value.to_bytes(4, sys.byteorder, signed=True)
        return raw[:buflen]

    def _option(self, level: int, optname: int) -> int | bytes:
        end = self._endpoint or self._unconnected
        if (level, optname) == (socket.IPPROTO_TCP, socket.TCP_INFO) and self._listener is not None:
            return _TCP_INFO.pack(_TCP_LISTEN, len(self._listener.queue), self._listener.backlog)
        if level == socket.SOL_SOCKET:
            match optname:
                case socket.SO_ERROR:
                    if end is None or end.error is None:
                        return 0
                    number, end.error = end.error, None
                    return number
                case socket.SO_ACCEPTCONN:
                    return int(self._listener is not None)
                case socket.SO_TYPE:
                    return self.type
                case socket.SO_DOMAIN:
                    return self.family
                case socket.SO_PROTOCOL:
                    return self.proto
                case socket.SO_SNDBUF if end is not None:
                    return end.send_buffer
                case socket.SO_RCVBUF if end is not None:
                    return end.receive_buffer
        return self._options.get((level, optname), _DEFAULTS.get((level, optname), 0))

    def setsockopt(
        self, level: int, optname: int, value: int | bytes | None, optlen: int | None = None
    ) -> None:
        """Set an option. SO_LINGER, SO_SNDBUF and SO_RCVBUF have their effect; others are kept."""
        if optlen is not None:
            check_arguments("setsockopt", level, optname, value, optlen)
        elif type(value) is not int or value not in _C_INTS:
            check_arguments("setsockopt", level, optname, value)
        if self._closed:
            raise os_error(errno.EBADF)
        if level not in _LEVELS:
            raise os_error(errno.ENOPROTOOPT)
        if value is None:
            value = bytes(optlen or 0)
        elif not isinstance(value, int):
            with memoryview(value) as view:
                value = bytes(view)
            if len(value) < (_LINGER.size if optname == socket.SO_LINGER else 4):
                raise os_error(errno.EINVAL)
        if (level, optname) in _SWITCHES:
            value = int(bool(_as_int(value)))
        if level == socket.SOL_SOCKET and optname in _BUFFER_SIZES:
            smallest, largest = _BUFFER_SIZES[optname]
            value = min(max(2 * _as_int(value), smallest), largest)
        self._options[level, optname] = value
        self._apply_options()

    def _apply_options(self) -> None:
        """Let the options that have an effect have it on the connection, if there is one."""
        end = self._endpoint
        if end is None:
            return
        options = self._options
        linger = options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        if isinstance(linger, bytes):
            on, seconds = _LINGER.unpack(linger)
            end.linger_zero = bool(on) and seconds == 0 and end.family != socket.AF_UNIX
        if (send_buffer := options.get((socket.SOL_SOCKET, socket.SO_SNDBUF))) is not None:
            end.send_buffer = _as_int(send_buffer)
        if (receive_buffer := options.get((socket.SOL_SOCKET, socket.SO_RCVBUF))) is not None:
            end.receive_buffer = _as_int(receive_buffer)

    def setblocking(self, flag: bool) -> None:
        """Accept False; raise `ValueError` for True, since nothing here can block a thread."""
        if flag:
            raise ValueError("setblocking(): a simulated socket cannot be blocking")

    def settimeout(self, value: float | None) -> None:
        """Accept 0; raise `ValueError` for anything else."""
        if value != 0:
            raise ValueError("settimeout(): only a timeout of 0 is possible on a simulated socket")

    def gettimeout(self) -> float:
        """Return 0.0: the socket is non-blocking."""
        return 0.0

    def getblocking(self) -> bool:
        """Return False: the socket is non-blocking."""
        return False

    # --- data ---------------------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview[Any], flags: int = 0) -> int:
        """Send what there is room for; return how many bytes.

        Raises `BrokenPipeError` without a connection, and as the connection says.
        """
        if type(data) is not bytes:
            check_arguments("send", data, flags)
        end = self.end
        if not len(data) and self._endpoint is not None:
            return 0
        sent = end.send(data)
        self.network.operations += 1
        return sent

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return what has arrived, at most `bufsize` bytes; empty at the end.

        With the flag MSG_PEEK it stays there. Raises `BlockingIOError` if there is nothing yet.
        """
        if type(bufsize) is not int or bufsize <= 0 or bufsize not in _C_INTS:
            check_arguments("recv", bufsize, flags)
            bufsize = operator.index(bufsize)
            if not bufsize:
                return b""
        end = self.end
        if flags & socket.MSG_PEEK and end.received:
            return b"".join(end.received)[:bufsize]
        end.merge = len(end.received)
        data = end.recv(bufsize)
        if data:
            self.network.operations += 1
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As `recv()`, into a buffer; return how many bytes."""
        check_arguments("recv_into", buffer, nbytes, flags)
        with memoryview(buffer).cast("B") as view:
            data = self.recv(nbytes or len(view), flags)
            view[: len(data)] = data
        return len(data)

    def shutdown(self, how: int) -> None:
        """Close one direction or both. Raises `OSError` (ENOTCONN) without a connection."""
        check_arguments("shutdown", how)
        end = self.end
        if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise os_error(errno.EINVAL)
        end.shutdown(how)

    def close(self) -> None:
        """Close the socket; further calls raise `OSError` (EBADF)."""
        if self._closed:
            return
        self._closed = True
        self.network.operations += 1
        if self._endpoint is not None:
            self._endpoint.close()
            return
        if self._unconnected is not None:
            self._unconnected.close()
        if self._listener is not None:
            self._listener.close()
        self.release()

    def __enter__(self) -> Socket:
        """Return the socket."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the socket."""
        self.close()


def _no_transport() -> None:
    """Stand for the transport of a socket that none uses."""


def unix_path(path: str | bytes | bytearray | memoryview[Any]) -> str | bytes:
    """Return a Unix path as `getsockname()` gives it: an abstract one as bytes, others as text.

    Raises what `socket.bind()` does: `TypeError`, `OSError` if it is too long.
    """
    if isinstance(path, (bytearray, memoryview)):
        path = bytes(path)
    elif not isinstance(path, (str, bytes)):
        raise TypeError(f"a bytes-like object is required, not {type(path).__name__!r}")
    encoded = os.fsencode(path)
    abstract = encoded[:1] == b"\0"
    if len(encoded) > _LONGEST_PATH + abstract:
        raise OSError("AF_UNIX path too long")
    return encoded if abstract else os.fsdecode(encoded)


def check_address(family: int, address: Any, call: str) -> None:
    """Raise what `socket.bind()` and `connect()` do for an address that is none."""
    name = socket.AddressFamily(family).name
    if not isinstance(address, tuple):
        raise TypeError(f"{call}(): {name} address must be tuple, not {type(address).__name__}")
    if family == socket.AF_INET and len(address) != 2:
        raise TypeError("AF_INET address must be a pair (host, port)")
    if not 2 <= len(address) <= 4:
        raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    host, port = address[:2]
    if not isinstance(host, str):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if "\0" in host:
        raise TypeError("host name must not contain null character")
    if not isinstance(port, int):
        raise TypeError(f"{type(port).__name__!r} object cannot be interpreted as an integer")
    if not 0 <= port <= 65535:
        raise OverflowError(f"{call}(): port must be 0-65535.")


def writable_view(buffer: Any) -> memoryview[Any]:
    """Return the bytes of a buffer to receive into. Raises `TypeError` if it is none."""
    try:
        view = memoryview(buffer).cast("B")
    except TypeError:
        check_arguments("recv_into", buffer)
        raise
    if view.readonly:
        view.release()
        check_arguments("recv_into", buffer)
    return view


def check_arguments(method: str, *arguments: Any) -> None:
    """Raise what a method of the running Python's sockets does for arguments that are none."""
    try:
        getattr(_NEVER_OPENED, method)(*arguments)
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise


def _watch(target: Listener | Endpoint | None, which: str, watch: Watch | None) -> bool:
    if target is None:
        return False
    before: Watch | None = getattr(target, which)
    if before is not None:
        before.cancel()
    setattr(target, which, watch)
    target.check_readable()
    target.check_writable()
    return before is not None


class TransportSocket:
    """What `get_extra_info("socket")` and `Server.sockets` give: to inspect and set, not to use."""

    __slots__ = ("_sock",)

    def __init__(self, sock: Socket) -> None:
        self._sock = sock

    def __repr__(self) -> str:
        """Say what it is and the state it is in."""
        return f"<fakes.TransportSocket {self._sock!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        """Say of a method that asyncio's has that it is not simulated."""
        why = " is not simulated" if hasattr(trsock.TransportSocket, name) else ""
        raise AttributeError(f"fakes.TransportSocket.{name}{why}", name=name, obj=self)

    @property
    def family(self) -> int:
        """The address family."""
        return self._sock.family

    @property
    def type(self) -> int:
        """`socket.SOCK_STREAM`."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """The protocol number."""
        return self._sock.proto

    @property
    def simulated(self) -> Socket:
        """The socket that the transport uses."""
        return self._sock

    def fileno(self) -> int:
        """Return a number that no real file has, or -1 when closed."""
        return self._sock.fileno()

    def getsockname(self) -> Any:
        """Return the socket's own address."""
        return self._sock.getsockname()

    def getpeername(self) -> Any:
        """Return the address of the other end."""
        return self._sock.getpeername()

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> int | bytes:
        """Return an option."""
        return self._sock.getsockopt(level, optname, buflen)

    def setsockopt(
        self, level: int, optname: int, value: int | bytes | None, optlen: int | None = None
    ) -> None:
        """Set an option."""
        self._sock.setsockopt(level, optname, value, optlen)

    def shutdown(self, how: int) -> None:
        """Close one direction or both."""
        self._sock.shutdown(how)

    def setblocking(self, flag: bool) -> None:
        """Accept False only."""
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")

    def settimeout(self, value: float | None) -> None:
        """Accept 0 only."""
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout is allowed on transport sockets")

    def gettimeout(self) -> float:
        """Return 0."""
        return 0
