"""The transport of a simulated connection, with asyncio's behaviour.

It does on an `Endpoint` what asyncio's selector event loop does on a socket: it sends immediately
as much as the kernel takes, keeps the rest in a write buffer with high-water and low-water marks,
reads once in every turn of the loop in which there is something to read, and ends with one
`connection_lost()`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
import sys
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from fakes._asyncio.flow_control import WriteFlowControl
from fakes._asyncio.private_api import abandon
from fakes._asyncio.transport_socket import TransportSocket
from fakes._kernel.arguments import writable_view
from fakes._kernel.endpoint import NOTHING, Endpoint
from fakes._kernel.readiness import Watch
from fakes._public import public

if TYPE_CHECKING:
    from fakes._kernel.stream_socket import StreamSocket


logger = logging.getLogger("asyncio")

# As in asyncio: writes to a lost connection are ignored, and reported from the fifth on.
LOST_WRITES_BEFORE_WARNING = 5
# As in asyncio: the most bytes in one data_received().
MAX_READ = 256 * 1024
# Pieces in the write buffer are joined up to this size, to be sent in one call.
MAX_WRITE = 256 * 1024
# asyncio's transport did this before it called sendmsg().
COPIES_WHAT_IT_BUFFERS = sys.version_info < (3, 12)
# The behaviour of writelines() in some versions.
KEEPS_EMPTY_CHUNKS = (3, 12) <= sys.version_info < (3, 14)
PAUSES_AFTER_WRITELINES = not (3, 12) <= sys.version_info < (3, 12, 9)
BUFFERS_CHUNK_BY_CHUNK = sys.version_info >= (3, 15)


class Attached(Protocol):
    """The calls of a transport to the server that accepted it."""

    def _attach(self, transport: asyncio.Transport) -> None: ...
    def _detach(self, transport: asyncio.Transport) -> None: ...


def peer_of(sock: StreamSocket) -> Any:
    """Return the address of the other end, or None if the connection was reset meanwhile."""
    try:
        return sock.getpeername()
    except OSError:
        return None


@public
class SocketTransport(WriteFlowControl, asyncio.Transport):
    """A transport over one end of a simulated connection, with asyncio's public interface.

    Made by the event loop's methods, as asyncio's transports are.
    """

    _start_tls_compatible = True  # start_tls() needs this
    _extra: dict[str, Any]

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: StreamSocket,
        protocol: asyncio.BaseProtocol,
        *,
        peername: Any = None,
        waiter: asyncio.Future[None] | None = None,
        server: Attached | None = None,
        context: contextvars.Context | None = None,
    ) -> None:
        end = sock.end
        super().__init__(
            {
                "socket": TransportSocket(sock),
                "sockname": sock.getsockname(),
                "peername": peer_of(sock) if peername is None else peername,
            }
        )
        self._loop = loop
        self._sock: StreamSocket | None = sock
        sock.transport = weakref.ref(self)
        self._end: Endpoint = end
        self._context = context
        self._buffer: deque[bytes | bytearray | memoryview[Any]] = NOTHING
        self._buffer_size = 0
        self._eof = False
        self._closing = False
        self._paused = False
        self._lost = 0  # 1 when connection_lost() is scheduled, then counts ignored writes
        self._server = server
        self.set_protocol(protocol)
        if end.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server is not None:
            server._attach(self)
        loop.call_soon(protocol.connection_made, self, context=context)
        loop.call_soon(self._start_reading, context=context)
        if waiter is not None:
            loop.call_soon(_wake, waiter, context=context)

    def __repr__(self) -> str:
        """Show the state, both addresses and the size of the write buffer."""
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        names = f"{self._extra['sockname']} -> {self._extra['peername']}"
        return f"<fakes.SocketTransport {state} {names} write buffer={self._buffer_size}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        """Warn, as asyncio does, about a transport that was never closed."""
        sock: StreamSocket | None = getattr(self, "_sock", None)
        if sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            sock.close()
            if self._server is not None:
                self._server._detach(self)

    # --- the protocol -------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Switch to another protocol, from the next callback on."""
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the current protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # --- reading ------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """Return whether the transport reads: it is neither paused nor closing."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """Stop calling `data_received()`; no effect if paused or closing."""
        if self.is_reading():
            self._paused = True
            self._stop_reading()

    def resume_reading(self) -> None:
        """Call `data_received()` again; no effect if reading or closing."""
        if self._paused and not self._closing:
            self._paused = False
            # The bytes that arrived meanwhile are one piece, as in a kernel's buffer.
            self._end.merge = len(self._end.received)
            self._start_reading()

    def _start_reading(self) -> None:
        if self.is_reading():
            end = self._end
            if end.reader is not None:
                end.reader.cancel()
            end.reader = Watch(end, True, self._read_ready, self._loop, self._context)
            end.check_readable()

    def _stop_reading(self) -> None:
        reader = self._end.reader
        if reader is not None:
            reader.cancel()
            self._end.reader = None

    def _read_ready(self) -> None:
        if self._lost:
            return
        if self._buffered:
            self._read_into_protocol()
            return
        try:
            data = self._end.recv(MAX_READ)
        except BlockingIOError:
            return
        except OSError as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        if not data:
            self._read_eof()
            return
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.data_received() call failed.")

    def _read_into_protocol(self) -> None:
        try:
            buffer = self._protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            with writable_view(buffer) as view:
                data = self._end.recv(len(view))
                view[: len(data)] = data
        except BlockingIOError:
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        if not data:
            self._read_eof()
            return
        try:
            self._protocol.buffer_updated(len(data))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.buffer_updated() call failed.")

    def _read_eof(self) -> None:
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.eof_received() call failed.")
            return
        if keep_open:
            self._stop_reading()
        else:
            self.close()

    # --- writing ------------------------------------------------------------------------------

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the kernel has not taken yet."""
        return self._buffer_size

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send `data`, or buffer the bytes that the kernel does not take.

        On a lost connection it has no effect. (asyncio-protocol, 3.15)

        The buffer is that of asyncio's transport on the running Python: from 3.12 on it keeps the
        caller's object, not a copy, and counts its items. A program that changes a bytearray after
        writing it, or writes a memoryview of wider items, fails here as it fails there.

        Raises:
            TypeError: `data` is not bytes-like.
            RuntimeError: `write_eof()` was called.
        """
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(
                "data argument must be a bytes, bytearray, or memoryview "
                f"object, not {type(data).__name__!r}"
            )
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or (self._lost and self._ignores_write()):
            return
        if not self._buffer:
            try:
                sent = self._end.send(data)
            except BlockingIOError:
                pass
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                self._fatal_error(exc, "Fatal write error on socket transport")
                return
            else:
                if sent == len(data) and type(data) is bytes:
                    return
                data = memoryview(data)[sent:]
                if not data:
                    return
            self._watch_writing()
        elif KEEPS_EMPTY_CHUNKS:
            self._watch_writing()  # it stopped, if there were only empty chunks left
        if COPIES_WHAT_IT_BUFFERS:
            copied = bytearray()
            copied.extend(data)
            data = copied
        if self._buffer is NOTHING:
            self._buffer = deque()
        self._buffer.append(data)
        self._buffer_size += len(data)
        self._maybe_pause_protocol()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send the chunks, as one piece if the kernel takes all of them; otherwise as `write()`."""
        if COPIES_WHAT_IT_BUFFERS:
            self.write(b"".join(list_of_data))
            return
        if self._eof:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if not list_of_data or self._ignores_write():
            return
        if self._buffer is NOTHING:
            self._buffer = deque()
        if BUFFERS_CHUNK_BY_CHUNK:
            # If one is not bytes-like, those before it stay, and wait for the next call.
            for data in list_of_data:
                if data:
                    self._buffer.append(memoryview(data))
                    self._buffer_size += len(data)
        else:
            chunks = [memoryview(data) for data in list_of_data if data or KEEPS_EMPTY_CHUNKS]
            self._buffer.extend(chunks)
            self._buffer_size += sum(map(len, chunks))
            assert self._buffer or not KEEPS_EMPTY_CHUNKS, "Data should not be empty"
        if self._buffer:
            self._write_ready()
        if self._buffer:
            self._watch_writing()
            if PAUSES_AFTER_WRITELINES:
                self._maybe_pause_protocol()

    def _ignores_write(self) -> bool:
        """Whether the connection is lost; counts the writes to it."""
        if self._lost:
            if self._lost >= LOST_WRITES_BEFORE_WARNING:
                logger.warning("socket.send() raised exception.")
            self._lost += 1
        return bool(self._lost)

    def can_write_eof(self) -> bool:
        """Return True: the connection can be half-closed."""
        return True

    def write_eof(self) -> None:
        """Close the sending direction after the buffered data is sent.

        Raises:
            OSError: ENOTCONN: the peer has reset the connection, as asyncio does.
        """
        if self._closing or self._eof:
            return
        self._eof = True
        if not self._buffer:
            self._end.shutdown(socket.SHUT_WR)

    def _watch_writing(self) -> None:
        end = self._end
        if end.writer is None:
            end.writer = Watch(end, False, self._write_ready, self._loop, self._context)
            end.check_writable()

    def _stop_writing(self) -> None:
        writer = self._end.writer
        if writer is not None:
            writer.cancel()
            self._end.writer = None

    def _write_ready(self) -> None:
        if self._lost:
            return
        buffer = self._buffer
        try:
            while buffer and self._buffer_size:
                self._sent(self._end.send(self._first_pieces()))
        except BlockingIOError:
            pass
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._stop_writing()
            buffer.clear()
            self._buffer_size = 0
            self._fatal_error(exc, "Fatal write error on socket transport")
            return
        self._maybe_resume_protocol()  # which may write again
        if buffer and not self._buffer_size:
            # Empty chunks, which asyncio never removes. It goes on trying; we do not.
            self._stop_writing()
        if not buffer:
            self._stop_writing()
            if self._closing:
                if not self._lost:
                    self._lost = 1
                    self._connection_lost(None)
            elif self._eof:
                self._end.shutdown(socket.SHUT_WR)

    def _first_pieces(self) -> bytes | bytearray | memoryview[Any]:
        """Return the first pieces of the buffer, joined as far as one send() may take them."""
        buffer = self._buffer
        if len(buffer) == 1:
            return buffer[0]
        pieces, size = [], 0
        for piece in buffer:
            pieces.append(piece)
            size += len(piece)
            if size >= MAX_WRITE:
                break
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def _sent(self, size: int) -> None:
        self._buffer_size -= size
        buffer = self._buffer
        while size:
            piece = buffer.popleft()
            if len(piece) > size:
                buffer.appendleft(memoryview(piece)[size:])
                break
            size -= len(piece)

    # --- the end ------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Stop reading, send the buffered data, then call `connection_lost(None)`."""
        if self._closing:
            return
        self._closing = True
        self._stop_reading()
        if not self._buffer:
            self._lost += 1
            self._stop_writing()
            self._loop.call_soon(self._connection_lost, None, context=self._context)

    def abort(self) -> None:
        """Drop the buffered data and call `connection_lost(None)`."""
        self._force_close(None)

    def _fatal_error(self, exc: BaseException, message: str) -> None:
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._loop.call_exception_handler(
                {
                    "message": message,
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
        self._force_close(exc)

    # asyncio's TLS layer calls this by name.
    def _force_close(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        if self._buffer:
            self._buffer.clear()
            self._buffer_size = 0
            self._stop_writing()
        if not self._closing:
            self._closing = True
            self._stop_reading()
        self._lost = 1
        self._loop.call_soon(self._connection_lost, exc, context=self._context)

    def vanish(self) -> None:
        """Disappear without a callback, even to the protocol: the host has crashed."""
        self._sock = self._server = None
        self._closing = True
        self._lost = 1
        self._buffer.clear()
        self._buffer_size = 0
        abandon(self._protocol)

    def _connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            if self._sock is not None:
                self._sock.close()
            self._sock = None
            self._protocol = None
            server, self._server = self._server, None
            if server is not None:
                server._detach(self)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
