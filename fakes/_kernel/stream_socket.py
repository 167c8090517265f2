"""Stream sockets of the simulated network: TCP's, and Unix ones."""

from __future__ import annotations

import errno
import functools
import operator
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from fakes._kernel.addresses import NO_NAME, check_address, normal
from fakes._kernel.arguments import C_INTS, check_arguments
from fakes._kernel.endpoint import Endpoint, KeepAlive, Unconnected
from fakes._kernel.errors import NotSimulated, os_error
from fakes._kernel.options import (
    BUFFER_SIZES,
    CREDENTIALS,
    DEFAULT_BUFFER,
    KEEP_COUNT,
    KEEP_IDLE,
    KEEP_INTERVAL,
    KEEPALIVE,
    LINGER,
    SYN_COUNT,
    TCP_INFO,
    TIMEOUTS,
    USER_TIMEOUT,
    Option,
    as_int,
)
from fakes._kernel.readiness import Pollable, Watch
from fakes._kernel.socket import PEEK, RECEIVING_FLAGS, Socket
from fakes._kernel.surroundings import Attempt, Machine, Surroundings, World
from fakes._kernel.tcp_state import TCPState


class Listener:
    """A listening socket's place in the network: the connections that wait for `accept()`."""

    __slots__ = ("around", "backlog", "closed", "queue", "reader", "sock", "vanished", "writer")

    def __init__(self, around: Surroundings, sock: StreamSocket, backlog: int) -> None:
        self.around = around
        self.sock = sock
        self.backlog = backlog
        self.closed = False
        self.vanished = False  # its host has crashed
        self.queue: deque[Endpoint] = deque()
        self.reader: Watch | None = None
        self.writer: Watch | None = None

    @property
    def readable(self) -> bool:
        """Whether a connection waits."""
        return bool(self.queue)

    @property
    def writable(self) -> bool:
        """Never."""
        return False

    def check_readable(self) -> None:
        """Hand the watch to the loop if a connection waits."""
        reader = self.reader
        if reader is not None and not reader.queued and self.queue:
            reader.queued = True
            self.around.poll(reader)

    def check_writable(self) -> None:
        """A listening socket is never writable."""

    def close(self) -> None:
        """Stop listening; connections that were never accepted are reset."""
        self.closed = True
        for watch in (self.reader, self.writer):
            if watch is not None:
                watch.cancel()
        self.reader = self.writer = None
        while self.queue:
            end = self.queue.popleft()
            end.linger_zero = True
            end.close()

    def vanish(self) -> None:
        """The host has crashed: end without a callback."""
        self.closed = self.vanished = True
        for watch in (self.reader, self.writer):
            if watch is not None:
                watch.cancel()
        self.reader = self.writer = None
        while self.queue:
            self.queue.popleft().vanish()


class StreamSocket(Socket):
    """A TCP socket or a Unix stream socket."""

    _kind = socket.SOCK_STREAM

    __slots__ = (
        "_endpoint",
        "_ephemeral",
        "_last_name",
        "_listener",
        "_released",
        "_unconnected",
        "_unreported",
        "attempt",
    )

    if TYPE_CHECKING:
        _endpoint: Endpoint | None
        _unconnected: Unconnected | None  # its replacement, made when needed
        _listener: Listener | None
        _last_name: Any  # the result of getsockname() after a failed attempt
        attempt: Attempt | None  # the attempt to connect that is under way
        _unreported: int | None  # the outcome of an attempt that connect() has not reported yet
        _ephemeral: bool  # the port was chosen by connect()
        _released: bool

    @classmethod
    def of(
        cls,
        network: World,
        host: Machine,
        family: int,
        endpoint: Endpoint | None = None,
        proto: int | None = None,
        timeout: float | None = 0.0,
    ) -> StreamSocket:
        """Return a new socket; `endpoint` is its connected end, if there is one."""
        if proto is None:
            proto = 0 if family == socket.AF_UNIX else socket.IPPROTO_TCP
        sock = cls.create(network, host, family, proto, timeout)
        sock._endpoint = endpoint
        sock._unconnected = sock._listener = sock._last_name = sock.attempt = None
        sock._unreported = None
        sock._ephemeral = sock._released = False
        return sock

    @property
    def endpoint(self) -> Endpoint:
        """The connected end under this socket.

        Raises:
            OSError: there is none (ENOTCONN).
        """
        self.check_open()
        if self._endpoint is None:
            raise os_error(errno.ENOTCONN)
        return self._endpoint

    @property
    def end(self) -> Endpoint:
        """The endpoint that calls act on: the connected end, or one whose calls fail."""
        self.check_open()
        if self._endpoint is not None:
            return self._endpoint
        if self._unconnected is None:
            self._unconnected = Unconnected(
                self.network.environment,
                self.host,
                self._family,
                self.network.send_buffer,
                self.network.receive_buffer,
            )
            if self._listener is not None or self.attempt is not None:
                self._unconnected.hang_up(False)
        return self._unconnected

    @property
    def listener(self) -> Listener | None:
        """The listener under this socket, after `listen()`."""
        return self._listener

    @property
    def listening(self) -> bool:
        """Whether `listen()` has been called."""
        return self._listener is not None

    @property
    def pollable(self) -> Pollable:
        """The object to watch: the connection, or the listener."""
        return self.end if self._listener is None else self._listener

    # --- addresses ----------------------------------------------------------------------------

    def _check_unbound(self) -> None:
        if self._bound is not None or self._endpoint is not None:
            raise os_error(errno.EINVAL)

    def bind_for(self, ip: str) -> Any:
        """Return the local address for a connection to `ip`, bound already or chosen now.

        Raises:
            OSError: the host has no address of that family (ENETUNREACH).
        """
        if self._bound is None:
            mine = self.outgoing_ip(ip)
            port = self._ports.ephemeral()
            self._ports.use(port)
            self._ephemeral = True
            _, version = normal(mine)
            self._bound = self._shown((mine, port) if version == 4 else (mine, port, 0, 0))
        return self._bound

    def release(self) -> None:
        """Release the local port: the socket, or its connection, has ended."""
        bound = self._bound
        if bound is None or self._released or self._family == socket.AF_UNIX:
            return
        self._released = True
        if self._ephemeral:
            self._ports.free(bound[1])
        else:
            self._ports.unbind(self, bound[1])

    def getsockname(self) -> Any:
        """Return the socket's own address."""
        self.check_open()
        if self._endpoint is not None:
            return self._shown(self._endpoint.local)
        if self._bound is not None:
            return self._bound
        return self._last_name or NO_NAME[self._family]

    def getpeername(self) -> Any:
        """Return the address of the other end.

        Raises:
            OSError: there is none, or none any more (ENOTCONN).
        """
        end = self.endpoint
        if end.reset and end.family != socket.AF_UNIX:
            raise os_error(errno.ENOTCONN)
        return self._shown(end.peer.local)

    # --- connecting ---------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        """Connect, or begin to.

        A non-blocking socket raises `BlockingIOError` and is writable when the attempt is over;
        then SO_ERROR says how it went. A blocking one connects immediately, whatever the link's
        delay.

        Raises:
            OSError: as Linux: ECONNREFUSED, EISCONN, EALREADY, EHOSTUNREACH, ...
            NotSimulated: the socket is blocking and would have to wait.
        """
        if self._family == socket.AF_UNIX:
            self.check_open()
            if self._endpoint is not None:
                raise os_error(errno.EISCONN)
            self.network.connect_path(self, address)
            return
        check_address(self._family, address, "connect")
        self.check_open()
        if self.attempt is not None:
            raise os_error(errno.EALREADY)
        address = self._resolved(address)
        if not self.begin_connecting(address):
            return
        if self._timeout == 0:
            self.network.connect(self, address, _nobody_waits)
            raise os_error(errno.EINPROGRESS)
        error = self.network.connect_now(self, address)
        if isinstance(error, BlockingIOError):
            self.would_block("connect()", error)
        self._unreported = None
        if error is not None:
            self.take_error()
            raise error

    def begin_connecting(self, address: Any) -> bool:
        """Do the part of `connect()` before the network; return whether the network has to connect.

        It does not if connect() still has to report the previous attempt, which Linux does once:
        that it has succeeded, or ECONNABORTED.

        Raises:
            OverflowError: there is no such port.
            OSError: the socket is connected or listens (EISCONN), or the previous attempt failed.
        """
        check_address(self._family, address, "connect")
        self.check_open()
        unreported, self._unreported = self._unreported, None
        if unreported == 0:
            return False
        if unreported is not None:
            if self._last_name is not None:
                self._last_name = (NO_NAME[self._family][0], *self._last_name[1:])
            assert self._unconnected is not None
            raise os_error(self._unconnected.forgive() or unreported)
        if self._endpoint is not None or self._listener is not None:
            raise os_error(errno.EISCONN)
        if self._unconnected is not None:
            self._unconnected.hang_up(False)
        self._descriptors.operations += 1
        return True

    def failed(self, number: int) -> None:
        """The attempt to connect has failed. A port that it has chosen is free again."""
        self.attempt = None
        self._unreported = errno.ECONNABORTED
        if self._ephemeral:
            self._last_name = self._bound
            self._ports.free(self._bound[1])
            self._bound = None
            self._ephemeral = False
        end = self.end
        assert isinstance(end, Unconnected)
        end.refuse(number)

    def connected(self, endpoint: Endpoint, *, reported: bool = True) -> None:
        """The connection is established. The local port is taken until it has ended.

        Args:
            endpoint: its end here.
            reported: whether `connect()` has waited for it; otherwise its next call reports it.
        """
        self._endpoint = endpoint
        self.attempt = None
        if not reported:
            self._unreported = 0
        before, self._unconnected = self._unconnected, None
        if before is not None:
            before.hand_over(endpoint)
        # The connection must not keep alive a socket that the program has dropped.
        endpoint.releases = (
            functools.partial(self._ports.free, self._bound[1]) if self._ephemeral else self.release
        )
        self._apply_options()

    @property
    def syn_retries(self) -> int:
        """How often a lost attempt is sent again (TCP_SYNCNT)."""
        return as_int(self._option(SYN_COUNT))

    # --- listening ----------------------------------------------------------------------------

    def listen(self, backlog: int = 128) -> None:
        """Accept connections from now on.

        Raises:
            OSError: the socket is connected, or was to be, or is a Unix socket that is not bound
                (EINVAL); or another one listens at its address (EADDRINUSE).
        """
        check_arguments("listen", backlog)
        self.check_open()
        if self._endpoint is not None or self._unreported is not None:
            raise os_error(errno.EINVAL)
        if self._listener is not None:
            self._listener.backlog = backlog
            return
        if self._bound is None:
            if self._family == socket.AF_UNIX:
                raise os_error(errno.EINVAL)
            self.bind(NO_NAME[self._family])
        if self._family != socket.AF_UNIX:
            self._ports.check_listening(self)
        self._listener = Listener(self.network.environment, self, backlog)
        if self._unconnected is not None:
            self._unconnected.hang_up(False)

    def accept(self) -> tuple[StreamSocket, Any]:
        """Return the next connection and its source address.

        Raises:
            BlockingIOError: none waits.
            OSError: the socket does not listen (EINVAL).
        """
        self.check_open()
        if self._listener is None:
            raise os_error(errno.EINVAL)
        if not self._listener.queue:
            if self._timeout == 0:
                raise os_error(errno.EAGAIN)
            self.would_block("accept()", BlockingIOError())
        end = self._listener.queue.popleft()
        self._descriptors.operations += 1
        timeout = 0.0 if self._timeout == 0 else socket.getdefaulttimeout()
        accepted = self.of(self.network, self.host, self._family, end, self._proto, timeout)
        accepted._options = self._options.copy()  # as Linux: SO_KEEPALIVE, SO_LINGER, ...
        if self._applies:
            accepted._applies = True
            accepted._apply_options()
        return accepted, self._shown(end.peer.local)

    # --- options ------------------------------------------------------------------------------

    def _option(self, option: Option) -> int | bytes:
        level, number = option
        if level == socket.IPPROTO_TCP and number == socket.TCP_INFO:
            return self._tcp_info()
        if level == socket.SOL_SOCKET and number in BUFFER_SIZES:
            return self._buffer_size(option)
        return super()._option(option)

    def _tcp_info(self) -> bytes:
        listener = self._listener
        if listener is not None:
            return TCP_INFO.pack(TCPState.LISTEN, len(listener.queue), listener.backlog)
        if self._endpoint is not None:
            return bytes([self._endpoint.state])  # the first field; the rest is not simulated
        return bytes([TCPState.CLOSE if self.attempt is None else TCPState.SYN_SENT])

    def _buffer_size(self, option: Option) -> int | bytes:
        sends = option[1] == socket.SO_SNDBUF
        end = self._endpoint
        if end is not None:
            return end.send_buffer if sends else end.receive_buffer
        if option in self._options:
            return self._options[option]
        if self._family == socket.AF_UNIX:
            return min(DEFAULT_BUFFER, self.network.send_buffer)
        return self.network.send_buffer if sends else self.network.receive_buffer

    def _credentials(self) -> bytes:
        if self._family == socket.AF_UNIX and (self._endpoint or self._listener):
            return CREDENTIALS.pack(os.getpid(), os.getuid(), os.getgid())
        return super()._credentials()

    def take_error(self) -> int:
        """Return the error that no call has reported yet, once; 0 if there is none."""
        end = self._endpoint or self._unconnected
        if end is None or end.error is None:
            return 0
        number, end.error = end.error, None
        return number

    def _apply_options(self) -> None:
        """Apply the options that have an effect to the connection, if there is one."""
        end = self._endpoint
        options = self._options
        if end is None or not self._applies:
            return
        linger = options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        if isinstance(linger, bytes):
            on, seconds = LINGER.unpack(linger)
            end.linger_zero = bool(on) and seconds == 0 and end.family != socket.AF_UNIX
        if options.keys() & TIMEOUTS and end.family != socket.AF_UNIX:
            keep_alive = KeepAlive(
                *(as_int(self._option(one)) for one in (KEEP_IDLE, KEEP_INTERVAL, KEEP_COUNT))
            )
            user_timeout = as_int(self._option(USER_TIMEOUT)) / 1000
            end.set_timeouts(keep_alive if options.get(KEEPALIVE) else None, user_timeout)
        if (send_buffer := options.get((socket.SOL_SOCKET, socket.SO_SNDBUF))) is not None:
            end.send_buffer = as_int(send_buffer)
        if (receive_buffer := options.get((socket.SOL_SOCKET, socket.SO_RCVBUF))) is not None:
            end.receive_buffer = as_int(receive_buffer)

    # --- data ---------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        """Send as much as there is room for; return how many bytes.

        Raises:
            BlockingIOError: there is room for none, or the socket is being connected.
            BrokenPipeError: there is no connection, or no other end any more.
        """
        if type(data) is not bytes:
            check_arguments("send", data, flags)
        end = self.end
        if not len(data) and self._endpoint is not None:
            return 0
        if self.attempt is not None:
            self.would_block("send()", BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        try:
            sent = end.send(data)
        except BlockingIOError as exc:
            self.would_block("send()", exc)
        self._descriptors.operations += 1
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of `data`.

        Raises:
            BlockingIOError: there is no room for the rest.
        """
        check_arguments("sendall", data, flags)
        with memoryview(data).cast("B") as view:
            sent = self.send(view, flags)
            while sent < len(view):
                sent += self.send(view[sent:], flags)

    def sendto(self, data: Any, *arguments: Any) -> int:
        """As `send()`: a connection has one other end.

        Raises:
            OSError: it is connected, and an address is given (EISCONN, on a Unix socket).
        """
        if len(arguments) not in (1, 2):
            check_arguments("sendto", data, *arguments)
        flags = arguments[0] if len(arguments) > 1 else 0
        if self._family == socket.AF_UNIX:
            self.check_open()
            raise os_error(errno.EISCONN if self._endpoint is not None else errno.EOPNOTSUPP)
        return self.send(data, flags)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return the bytes that have arrived, at most `bufsize`; empty at EOF.

        With the flag MSG_PEEK it stays there.

        Raises:
            BlockingIOError: there is nothing yet, or the socket is being connected.
        """
        if type(bufsize) is not int or bufsize <= 0 or bufsize not in C_INTS:
            check_arguments("recv", bufsize, flags)
            bufsize = operator.index(bufsize)
            if not bufsize:
                return b""
        if flags & ~RECEIVING_FLAGS:
            raise NotSimulated(f"recv() with the flags {socket.MsgFlag(flags)!r} is not simulated")
        end = self.end
        if self.attempt is not None:
            self.would_block("recv()", BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        if flags & PEEK and end.received:
            return b"".join(end.received)[:bufsize]
        end.merge = len(end.received)
        try:
            data = end.recv(bufsize)
        except BlockingIOError as exc:
            self.would_block("recv()", exc)
        if data:
            self._descriptors.operations += 1
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As `recv()`, into a buffer; return how many bytes."""
        check_arguments("recv_into", buffer, nbytes, flags)
        with memoryview(buffer).cast("B") as view:
            data = self.recv(nbytes or len(view), flags)
            view[: len(data)] = data
        return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """As `recv()`; return the data and None."""
        return self.recv(bufsize, flags), None

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """As `recv_into()`; return how many bytes and None."""
        return self.recv_into(buffer, nbytes, flags), None

    def shutdown(self, how: int) -> None:
        """Close one direction or both.

        Raises:
            OSError: there is no connection (ENOTCONN).
        """
        check_arguments("shutdown", how)
        end = self.end
        if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise os_error(errno.EINVAL)
        end.shutdown(how)

    def vanish(self) -> None:
        """The host has crashed: end, with the transport on it, without a callback."""
        for part in (self._endpoint, self._unconnected, self._listener):
            if part is not None:
                part.vanish()
        super().vanish()

    def _real_close(self, _ss: object = None) -> None:
        if self._gone:
            return
        self._gone = self._closed = True
        self._descriptors.operations += 1
        if self._endpoint is not None:
            self._endpoint.close()
            return
        if self._unconnected is not None:
            self._unconnected.close()
        if self._listener is not None:
            self._listener.close()
        self.release()


def _nobody_waits(error: OSError | None) -> None:
    """Stand for a caller that waits for a connection: the socket becomes writable."""
