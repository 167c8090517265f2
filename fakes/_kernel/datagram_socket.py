"""Datagram sockets of the simulated network: UDP's, and Unix ones."""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, NoReturn

from fakes._kernel.addresses import (
    check_address,
    ip_address,
    is_loopback,
    is_unspecified,
    plain,
    unix_path,
)
from fakes._kernel.arguments import check_arguments
from fakes._kernel.errors import NotSimulated, os_error
from fakes._kernel.options import BROADCAST, DEFAULT_BUFFER, Option, as_int
from fakes._kernel.readiness import Pollable, Watch
from fakes._kernel.socket import PEEK, RECEIVING_FLAGS, Socket

EVERYBODY = "255.255.255.255"
LARGEST = {socket.AF_INET: 65_507, socket.AF_INET6: 65_527, socket.AF_UNIX: 212_960}
MOST_UNIX_DATAGRAMS = 11  # net.unix.max_dgram_qlen, and one more
# The kernel's overhead for a datagram beside its bytes, which are in blocks of powers of two.
_OVERHEAD, _HEADERS, _SMALLEST_BLOCK = 256, 400, 512
# Linux's numbers; `socket` does not name them on every Python.
_IP_PKTINFO, _IP_RECVERR, _IPV6_RECVERR = 8, 11, 25
_INFORMS = {
    (socket.IPPROTO_IP, _IP_PKTINFO),
    (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
}
_REPORTS = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
_PKTINFO, _PKTINFO6 = struct.Struct("=i4s4s"), struct.Struct("=16si")
_EXTENDED_ERROR = struct.Struct("=IBBBBII")


class DatagramSocket(Socket):
    """A UDP socket or a Unix datagram socket. It is also its own watchable."""

    _kind = socket.SOCK_DGRAM

    _peer: Any = None  # the only address that datagrams come from, after connect()
    _error: int | None = None  # the error that the next call reports, once
    _shut = 0  # 1 for receiving, 2 for sending
    _queued = 0  # the kernel's count for the datagrams in the queue
    reader: Watch | None = None
    writer: Watch | None = None

    @functools.cached_property
    def _queue(self) -> deque[tuple[bytes, Any, Any]]:
        """Datagrams that have arrived: the data, its source and its destination."""
        return deque()

    @functools.cached_property
    def _errors(self) -> deque[tuple[bytes, Any, Any]]:
        """With IP_RECVERR, datagrams that were refused, as in the queue."""
        return deque()

    # --- readiness ----------------------------------------------------------------------------

    @property
    def pollable(self) -> Pollable:
        """The socket itself."""
        self.check_open()
        return self

    @property
    def readable(self) -> bool:
        """Whether the socket is reported as readable."""
        return bool(self._queue or self._errors or self._error is not None or self._shut & 1)

    @property
    def writable(self) -> bool:
        """Whether the socket is reported as writable."""
        if self._family != socket.AF_UNIX or self._peer is None:
            return True
        target = self.host.socket_at(self._peer) if isinstance(self._peer, (str, bytes)) else None
        return not isinstance(target, DatagramSocket) or not target.is_full

    @property
    def is_full(self) -> bool:
        """Whether a Unix socket takes no more datagrams."""
        return len(self._queue) >= MOST_UNIX_DATAGRAMS

    def check_readable(self) -> None:
        """Hand the reader's watch to the loop if there is something to read."""
        reader = self.reader
        if reader is not None and not reader.queued and self.readable:
            reader.queued = True
            self.network.environment.poll(reader)

    def check_writable(self) -> None:
        """Hand the writer's watch to the loop if there is room."""
        writer = self.writer
        if writer is not None and not writer.queued and self.writable:
            writer.queued = True
            self.network.environment.poll(writer)

    # --- addresses ----------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        """Send to an address from now on, and receive only from it.

        Raises:
            OSError: no host has the address, or nobody is bound to the Unix path.
        """
        if self._family == socket.AF_UNIX:
            self.check_open()
            self._target(unix_path(address))
            self._peer = unix_path(address)
            return
        check_address(self._family, address, "connect")
        self.check_open()
        address = self._resolved(address)
        ip = self._reachable(address)
        if self._bound is None:
            mine = self.outgoing_ip(ip)
            local = (mine, 0) if ip_address(ip).version == 4 else (mine, 0, 0, 0)
            self._bound = self._ports.bind(self, self._shown(local))
        elif is_unspecified(plain(self._bound)[0]):
            mine = self.outgoing_ip(ip)
            self._bound = (
                self._shown((mine, *plain(self._bound)[1:]))
                if (len(plain(self._bound)) == 2)
                else (mine, *self._bound[1:])
            )
        self._peer = (ip, address[1]) if ip_address(ip).version == 4 else (ip, address[1], 0, 0)

    def getpeername(self) -> Any:
        """Return the address that the socket is connected to.

        Raises:
            OSError: it is not connected (ENOTCONN).
        """
        self.check_open()
        if self._peer is None:
            raise os_error(errno.ENOTCONN)
        return self._peer if self._family == socket.AF_UNIX else self._shown(self._peer)

    def receives_from(self, source: Any) -> bool:
        """Whether datagrams from an address are for this socket."""
        return self._peer is None or self._peer == source

    @property
    def is_connected(self) -> bool:
        """Whether `connect()` has been called."""
        return self._peer is not None

    def listen(self, backlog: int = 0) -> NoReturn:
        """Raise `OSError` (EOPNOTSUPP)."""
        self.check_open()
        raise os_error(errno.EOPNOTSUPP)

    def accept(self) -> NoReturn:
        """Raise `OSError` (EOPNOTSUPP)."""
        self.check_open()
        raise os_error(errno.EOPNOTSUPP)

    # --- options ------------------------------------------------------------------------------

    def _option(self, option: Option) -> int | bytes:
        buffers = (socket.SO_RCVBUF, socket.SO_SNDBUF)
        if option[0] == socket.SOL_SOCKET and option[1] in buffers:
            return self._options.get(option, DEFAULT_BUFFER)
        if option in _INFORMS or option in _REPORTS:
            return self._options.get(option, 0)
        return super()._option(option)

    def _checked(self, option: Option, value: int | bytes) -> int | bytes:
        if option in _INFORMS or option in _REPORTS:
            return int(bool(as_int(value)))
        return super()._checked(option, value)

    def _is_set(self, options: set[Option]) -> bool:
        return any(self._options.get(option) for option in options)

    def take_error(self) -> int:
        """Return the error that no call has reported yet, once; 0 if there is none."""
        number, self._error = self._error, None
        return number or 0

    def _raise_error(self) -> None:
        if number := self.take_error():
            raise os_error(number)

    # --- sending ------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        """Send a datagram to the address that the socket is connected to.

        Raises:
            OSError: EDESTADDRREQ, EMSGSIZE, or the error of the previous datagram (ECONNREFUSED).
        """
        if type(data) is not bytes:
            check_arguments("send", data, flags)
        self.check_open()
        if self._peer is None:
            raise os_error(errno.ENOTCONN if self._family == socket.AF_UNIX else errno.EDESTADDRREQ)
        return self._send(bytes(data), self._peer)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As `send()`."""
        self.send(data, flags)

    def sendto(self, data: Any, *arguments: Any) -> int:
        """Send a datagram: `sendto(data, address)` or `sendto(data, flags, address)`.

        Raises:
            OSError: EHOSTUNREACH, EMSGSIZE, EACCES, ...
        """
        if len(arguments) not in (1, 2):
            check_arguments("sendto", data, *arguments)
        elif type(data) is not bytes:
            check_arguments("send", data)
        address = arguments[-1]
        self.check_open()
        if self._family == socket.AF_UNIX:
            return self._send(bytes(data), unix_path(address))
        check_address(self._family, address, "sendto")
        return self._send(bytes(data), plain(self._resolved(address)))

    def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Iterable[Any] = (),
        flags: int = 0,
        address: Any = None,
    ) -> int:
        """Send the buffers as one datagram, from the address of a PKTINFO if there is one.

        Raises:
            NotSimulated: there is other ancillary data.
        """
        mine = None
        for level, kind, value in ancdata:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                mine = socket.inet_ntop(socket.AF_INET6, _PKTINFO6.unpack(value)[0])
            elif (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
                mine = socket.inet_ntop(socket.AF_INET, _PKTINFO.unpack(value)[1])
            else:
                raise NotSimulated(f"sendmsg(): ancillary data {(level, kind)} is not simulated")
        data = b"".join(bytes(memoryview(buffer)) for buffer in buffers)
        if address is None:
            return self.send(data, flags)
        if mine is None or is_unspecified(mine):
            return self.sendto(data, flags, address)
        check_address(self._family, address, "sendmsg")
        self.check_open()
        return self._send(data, plain(self._resolved(address)), plain((mine, 0, 0, 0))[0])

    def _send(self, data: bytes, address: Any, mine: str | None = None) -> int:
        self._raise_error()
        if self._shut & 2:
            raise os_error(errno.EPIPE)
        self._descriptors.operations += 1
        if self._family == socket.AF_UNIX:
            return self._send_to_path(data, address)
        if address[1] == 0:
            raise os_error(errno.EINVAL)
        ip = self._reachable(address)
        if len(data) > LARGEST[socket.AF_INET if ip_address(ip).version == 4 else self._family]:
            raise os_error(errno.EMSGSIZE)
        if self._bound is None:
            self.bind(("", 0))
        local = plain(self._bound)
        if mine is not None and not self.host.has_address(mine):
            raise os_error(errno.EINVAL)
        if mine is not None or is_unspecified(local[0]):
            mine = mine or self.outgoing_ip(ip)
            local = (mine, local[1]) if ip_address(ip).version == 4 else (mine, local[1], 0, 0)
        self.network.send_datagram(self, data, local, (ip, *address[1:]))
        return len(data)

    def _reachable(self, address: Any) -> str:
        """Return the IP address that a socket address means, which some host has."""
        if address[0] == EVERYBODY and not as_int(self._option(BROADCAST)):
            raise os_error(errno.EACCES)
        try:
            return self.network.reachable(self, address)
        except OSError:
            self._refuse_many(address[0])
            raise

    def _not_here(self, ip: str) -> NoReturn:
        self._refuse_many(ip)
        super()._not_here(ip)

    def _refuse_many(self, ip: str) -> None:
        """Raise `NotSimulated` if an address that no host has is a broadcast or multicast address.

        Hosts have no network masks. With SO_BROADCAST, an address that ends in 255 is a network's.
        """
        broadcasts = as_int(self._option(BROADCAST)) and ip.endswith(".255")
        if broadcasts or ip == EVERYBODY or ip_address(ip).is_multicast:
            raise NotSimulated(
                f"broadcasts and multicasts ({ip}) are not simulated: use the addresses of hosts"
            ) from None

    def _target(self, path: str | bytes) -> DatagramSocket:
        target = self.host.socket_at(path)
        if target is None:
            raise os_error(errno.ECONNREFUSED if isinstance(path, bytes) else errno.ENOENT)
        if target.closed:
            raise os_error(errno.ECONNREFUSED)
        if not isinstance(target, DatagramSocket):
            raise os_error(errno.EPROTOTYPE)
        return target

    def _send_to_path(self, data: bytes, path: str | bytes | DatagramSocket) -> int:
        target = path if isinstance(path, DatagramSocket) else self._target(path)
        if target.closed:
            raise os_error(errno.ECONNREFUSED)
        if len(data) > LARGEST[self._family]:
            raise os_error(errno.EMSGSIZE)
        if target.is_full:
            self.would_block("send()", BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        target.receive(data, self._bound, path)
        return len(data)

    # --- receiving ----------------------------------------------------------------------------

    def receive(self, data: bytes, source: Any, destination: Any) -> bool:
        """Receive a datagram. Return whether there was room: otherwise the datagram is lost."""
        room = as_int(self._option((socket.SOL_SOCKET, socket.SO_RCVBUF)))
        if self._family != socket.AF_UNIX and self._queued > room:
            return False
        self._queue.append((data, source, destination))
        self._queued += _counted(data)
        self.check_readable()
        return True

    def refused(self, data: bytes, source: Any, destination: Any) -> None:
        """Nobody is at the address that a datagram was sent to (ICMP: port unreachable)."""
        if self._gone:
            return
        reports = self._is_set(_REPORTS)
        if reports:
            self._errors.append((data, source, destination))
        if reports or self._peer == destination:
            self._error = errno.ECONNREFUSED
            self.check_readable()
            self.check_writable()

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """Return the next datagram, at most `bufsize` bytes of it, and its source.

        Raises:
            BlockingIOError: there is none yet.
            OSError: the error of one that was sent (ECONNREFUSED).
        """
        check_arguments("recv", bufsize, flags)
        self.check_open()
        if flags & ~RECEIVING_FLAGS:
            raise NotSimulated(f"recv() with the flags {socket.MsgFlag(flags)!r} is not simulated")
        self._raise_error()
        queue = self._queue
        if not queue:
            if self._shut & 1:
                return b"", None
            self.would_block("recv()", BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        data, source, _ = queue[0]
        if not flags & PEEK:
            queue.popleft()
            self._queued -= _counted(data)
            self._descriptors.operations += 1
            self._room_again(source)
        return data[:bufsize], source if self._family == socket.AF_UNIX else self._shown(source)

    def _room_again(self, source: Any) -> None:
        """Wake a Unix socket that waits for room."""
        if self._family == socket.AF_UNIX and source is not None:
            sender = self.host.socket_at(source)
            if isinstance(sender, DatagramSocket):
                sender.check_writable()

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0
    ) -> tuple[bytes, list[Any], int, Any]:
        """As `recvfrom()`; return `(data, ancillary data, flags, address)`.

        The ancillary data is that of IP_PKTINFO and IPV6_RECVPKTINFO and, with the flag
        MSG_ERRQUEUE, that of IP_RECVERR and IPV6_RECVERR.
        """
        if flags & socket.MSG_ERRQUEUE:
            return self._next_error(bufsize)
        destination = self._queue[0][2] if self._queue else None
        data, source = self.recvfrom(bufsize, flags)
        informs = ancbufsize and destination is not None and self._is_set(_INFORMS)
        return data, [self._info(destination)] if informs else [], 0, source

    def _info(self, destination: Any) -> tuple[int, int, bytes]:
        ip = self._shown(destination)[0]
        index = 1 if is_loopback(destination[0]) else 2
        if self._family == socket.AF_INET6:
            packed = _PKTINFO6.pack(socket.inet_pton(socket.AF_INET6, ip), index)
            return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed
        address = socket.inet_aton(ip)
        return socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(index, address, address)

    def _next_error(self, bufsize: int) -> tuple[bytes, list[Any], int, Any]:
        self.check_open()
        if not self._errors:
            raise os_error(errno.EAGAIN)
        data, source, destination = self._errors.popleft()
        if not self._errors:
            self._error = None
        origin, kind, code = (2, 3, 3) if len(destination) == 2 else (3, 1, 4)
        what = _EXTENDED_ERROR.pack(errno.ECONNREFUSED, origin, kind, code, 0, 0, 0)
        shown = self._shown(destination)
        if self._family == socket.AF_INET6:
            ip = socket.inet_pton(socket.AF_INET6, shown[0])
            offender = struct.pack("=HHI16sI", self._family, 0, 0, ip, 0)
            message = (socket.IPPROTO_IPV6, _IPV6_RECVERR, what + offender)
        else:
            offender = struct.pack("=HH4s8x", self._family, 0, socket.inet_aton(shown[0]))
            message = (socket.IPPROTO_IP, _IP_RECVERR, what + offender)
        ancillary = [self._info(source), message] if self._is_set(_INFORMS) else [message]
        return data[:bufsize], ancillary, socket.MSG_ERRQUEUE, shown

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """As `recvfrom()`; return only the data."""
        return self.recvfrom(bufsize, flags)[0]

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """As `recvfrom()`, into a buffer; return the number of bytes, and their source."""
        check_arguments("recv_into", buffer, nbytes, flags)
        with memoryview(buffer).cast("B") as view:
            data, source = self.recvfrom(nbytes or len(view), flags)
            view[: len(data)] = data
        return len(data), source

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As `recv()`, into a buffer; return how many bytes."""
        return self.recvfrom_into(buffer, nbytes, flags)[0]

    # --- the end ------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """Close one direction or both.

        Raises:
            OSError: the socket is not connected (ENOTCONN).
        """
        check_arguments("shutdown", how)
        self.check_open()
        if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise os_error(errno.EINVAL)
        if self._peer is None and self._family != socket.AF_UNIX:
            raise os_error(errno.ENOTCONN)
        self._shut |= how + 1
        self.check_readable()
        self.check_writable()

    def _unwatch(self) -> None:
        for watch in (self.reader, self.writer):
            if watch is not None:
                watch.cancel()
        self.reader = self.writer = None

    def _real_close(self, _ss: object = None) -> None:
        if self._gone:
            return
        self._gone = self._closed = True
        self._descriptors.operations += 1
        self._unwatch()
        self._queue.clear()
        if self._bound is not None and self._family != socket.AF_UNIX:
            self._ports.unbind(self, self._bound[1])

    def vanish(self) -> None:
        """The host has crashed: end without a callback."""
        self._real_close()
        super().vanish()


def _counted(data: bytes) -> int:
    """Return the kernel's count for a datagram in a receive buffer."""
    block = max(_SMALLEST_BLOCK, len(data) + _HEADERS)
    return _OVERHEAD + (1 << (block - 1).bit_length())
