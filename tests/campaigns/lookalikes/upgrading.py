"""`start_tls()` for the lookalikes: TLS with `ssl.MemoryBIO` on top of the existing transport.

The loop's own `start_tls()` has no part in it.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

PIECE = 64 * 1024


async def upgrade(
    protocol: Any,
    context: ssl.SSLContext,
    server_hostname: str | None,
    handshake_time: float,
    shutdown_time: float,
) -> None:
    """Put TLS between `protocol` and its transport."""
    if protocol.reader.ended():
        raise ConnectionResetError("the peer has ended the connection")
    is_server = protocol.server is not None
    layer = Layer(protocol, context, is_server, server_hostname, shutdown_time)
    early = protocol.reader.take_back()  # received without TLS: part of the handshake
    protocol.transport.set_protocol(layer)
    protocol.upgrade(layer.transport)
    timer = asyncio.get_running_loop().call_later(handshake_time, layer.too_late)
    try:
        layer.data_received(early)
        await layer.agreed
    except BaseException:
        layer.below.abort() if layer.below.get_write_buffer_size() else layer.below.close()
        raise
    finally:
        timer.cancel()


def deliver(protocol: Any, data: bytes) -> None:
    """Hand the received data to `protocol`, in the way that it takes data."""
    if not isinstance(protocol, asyncio.BufferedProtocol):
        protocol.data_received(data)
        return
    while data:
        with memoryview(protocol.get_buffer(len(data))) as buffer:
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
        protocol.buffer_updated(count)
        data = data[count:]


class Layer(asyncio.Protocol):
    """The protocol of the transport below, which plays the transport for the one above.

    Attributes:
        waits: whether it waits for the peer's close_notify before it closes.
    """

    waits = True

    def __init__(
        self,
        above: Any,
        context: ssl.SSLContext,
        is_server: bool,
        server_hostname: str | None,
        shutdown_time: float,
    ) -> None:
        self.above = above
        self.below = above.transport
        self.context = context
        self.shutdown_time = shutdown_time
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, is_server, server_hostname or None
        )
        self.loop = asyncio.get_running_loop()
        self.agreed: asyncio.Future[None] = self.loop.create_future()
        self.held = bytearray()  # written before the handshake was done
        self.is_reading = True
        self.is_closing = False
        self.has_ended = False  # the peer, or its connection
        self.timer: asyncio.TimerHandle | None = None
        self.transport = Secured(self)

    # Calls from the transport below.

    def data_received(self, data: bytes) -> None:
        self.incoming.write(data)
        if not self.agreed.done():
            self.shake_hands()
        if self.agreed.done():
            self.hear_farewell() if self.is_closing else self.hand_up()

    def eof_received(self) -> bool:
        if not self.agreed.done():
            self.agreed.set_exception(ConnectionResetError("the peer has left the handshake"))
        self.end()
        return False

    def pause_writing(self) -> None:
        self.above.pause_writing()

    def resume_writing(self) -> None:
        self.above.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.agreed.done():
            self.agreed.set_exception(error or ConnectionResetError("the connection was lost"))
        if self.timer is not None:
            self.timer.cancel()
        self.above.connection_lost(error)

    # The handshake.

    def shake_hands(self) -> None:
        """Go on with the handshake, as far as the received data allows."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.send()
        except ssl.SSLError as error:
            self.send()  # it sends the reason to the peer
            self.agreed.set_exception(error)
            self.below.close()
        else:
            self.agreed.set_result(None)
            if self.held:
                self.tls.write(self.held)
            self.send()

    def too_late(self) -> None:
        """Give up the handshake."""
        if not self.agreed.done():
            self.agreed.set_exception(ConnectionAbortedError("the handshake took too long"))
            self.below.abort()

    # The data.

    def send(self) -> None:
        """Hand down the data for the peer."""
        if records := self.outgoing.read():
            self.below.write(records)

    def hand_up(self) -> None:
        """Hand up the received data."""
        while self.is_reading and not self.has_ended and self.agreed.exception() is None:
            try:
                data = self.tls.read(PIECE)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                self.below.abort()
                self.above.connection_lost(error)
                return
            if not data:
                self.end()
                self.close()
                return
            deliver(self.above, data)

    def end(self) -> None:
        """Report EOF to the protocol above, once."""
        if not self.has_ended:
            self.has_ended = True
            self.above.eof_received()

    def close(self) -> None:
        """Send close_notify, and wait some time for the answer, unless it does not wait."""
        if not self.is_closing and not self.below.is_closing():
            self.is_closing = True
            self.timer = self.loop.call_later(self.shutdown_time, self.below.abort)
            self.hear_farewell()

    def hear_farewell(self) -> None:
        """Close the transport below, once the peer has sent close_notify, too."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            self.send()
            if self.waits and not self.has_ended:
                self.below.resume_reading()  # the answer may be behind unread data
                return
        except ssl.SSLError:
            pass  # it goes on sending: there is no answer to wait for
        self.send()
        self.below.close()


class Secured(asyncio.Transport):
    """The transport of the protocol above."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self._layer = layer

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        tls = self._layer.tls
        if name == "sslcontext":
            return self._layer.context
        if name == "ssl_object":
            return tls
        if name in ("cipher", "compression"):
            return getattr(tls, name)()
        if name == "peercert":
            return tls.getpeercert()
        return self._layer.below.get_extra_info(name, default)

    def write(self, data: Any) -> None:
        if not data or self.is_closing():
            return
        if not self._layer.agreed.done():
            self._layer.held += data
            return
        self._layer.tls.write(data)
        self._layer.send()

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("TLS ends as a whole")

    def close(self) -> None:
        self._layer.close()

    def abort(self) -> None:
        self._layer.below.abort()

    def is_closing(self) -> bool:
        return self._layer.is_closing or self._layer.below.is_closing()

    def is_reading(self) -> bool:
        return self._layer.is_reading and not self.is_closing()

    def pause_reading(self) -> None:
        if self._layer.is_closing:
            return  # the peer's answer to close_notify is still to come
        self._layer.is_reading = False
        with suppress(RuntimeError):
            self._layer.below.pause_reading()

    def resume_reading(self) -> None:
        self._layer.is_reading = True
        self._layer.below.resume_reading()
        self._layer.loop.call_soon(self._layer.hand_up)

    def get_write_buffer_size(self) -> int:
        size: int = self._layer.below.get_write_buffer_size()
        return size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        limits: tuple[int, int] = self._layer.below.get_write_buffer_limits()
        return limits

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._layer.below.set_write_buffer_limits(high, low)

    def get_protocol(self) -> Any:
        return self._layer.above

    def set_protocol(self, protocol: Any) -> None:
        self._layer.above = protocol
