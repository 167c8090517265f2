"""TLS: its arguments, and the upgrade of a connection.

The loop's `start_tls()` puts a TLS protocol between the transport and ours. Two things are left to
do. The bytes that were received before it, and wait in the reader, belong to the TLS protocol. And
the loop may never report a failed handshake to our protocol, whose connection ends there.
"""

from __future__ import annotations

import asyncio
import ssl
import types
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any

from ._buffer import Buffer, Exposed
from ._reader import release

# Bytes; tuning: the most that a TLS transport is given in one go. Each takes a system call:
# pieces of 64 KiB cost a tenth of a write of 256 KiB.
CHUNK = 256 * 1024


# For the loops' own transports, the class decides whether they do TLS. These classes do not: asking
# each transport takes a hundredth of a connection's instructions on uvloop, and a fifth of those of
# a large write.
_LOOPS = ("asyncio.selector_events", "uvloop.loop")
_plain: set[type] = set()


def says_tls(transport: Any) -> bool:
    """Return whether *transport*, which is open, says that it does TLS."""
    kind = type(transport)
    if kind in _plain:
        return False
    plain = transport.get_extra_info("sslcontext") is None
    if plain and kind.__module__ in _LOOPS:
        _plain.add(kind)
    return not plain


def is_tls(transport: Any) -> bool:
    """Return whether *transport* does TLS."""
    if type(transport) in _plain:
        return False
    try:
        return isinstance(transport.get_extra_info("sslcontext"), ssl.SSLContext)
    except AttributeError:
        return False  # uvloop's, once closed; or a test's own


def check(
    context: object,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> None:
    """Refuse arguments that would otherwise fail only when the connection is already made.

    Raises:
        ValueError: the context checks host names and there is none, or a timeout is not positive.
    """
    for name, seconds in (
        ("ssl_handshake_timeout", handshake_timeout),
        ("ssl_shutdown_timeout", shutdown_timeout),
    ):
        if seconds is not None and seconds <= 0:
            raise ValueError(f"{name} should be a positive number, got {seconds}")
    if isinstance(context, ssl.SSLContext) and context.check_hostname and not server_hostname:
        raise ValueError("check_hostname requires server_hostname")


class Holding:
    """The transport of a writer whose upgrade is under way: it holds the written data.

    The transport below would send this data between the records of the handshake, in clear text.

    Args:
        transport: the transport below.
    """

    def __init__(self, transport: Any) -> None:
        self.below = transport
        self._held: list[bytes] = []

    def write(self, data: bytes | memoryview) -> None:
        """Hold *data*."""
        self._held.append(bytes(data))

    def writelines(self, items: Iterable[bytes]) -> None:
        """Hold every item."""
        self._held.extend(items)

    def release(self, secured: asyncio.WriteTransport) -> None:
        """Write the held data to *secured*."""
        if self._held:
            secured.write(b"".join(self._held))

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the transport below."""
        return getattr(self.below, name)


async def upgrade(
    loop: asyncio.AbstractEventLoop,
    transport: Any,
    protocol: Any,
    reader: Any,
    sslcontext: ssl.SSLContext,
    **options: Any,
) -> asyncio.Transport:
    """Do the handshake and return the TLS transport that *protocol* uses from then on."""
    if transport.is_closing() is True:  # a mock returns a true object, which is not an answer
        raise ConnectionResetError("Connection lost")

    buffer: Any = getattr(reader, "_reference_buffer", None)
    was_exposed = not isinstance(buffer, Buffer) or isinstance(buffer, Exposed)

    def hand_over() -> None:
        protocol._over_ssl = True  # EOF may come along with the last bytes of the handshake
        if isinstance(reader, asyncio.StreamReader):
            # Newer loops have moved the bytes of a server's reader themselves, out of `_buffer`.
            data = release(reader)
            if not was_exposed:
                reader._reference_gathered = buffer.conceal()  # type: ignore[attr-defined]
            _receive(transport.get_protocol(), data)

    try:
        # The loop's first step installs the TLS protocol and schedules its connection_made() and
        # the resumption of reading. The bytes that arrived before are scheduled right after that:
        # the TLS protocol receives them after connection_made() and before all later bytes.
        secured: asyncio.Transport | None = await _stepping(
            loop.start_tls(transport, protocol, sslcontext, **options),
            after_first=lambda: loop.call_soon(hand_over),
        )
        # uvloop does not fail when our side closes the connection in the middle of the handshake.
        if secured is None or secured.get_extra_info("ssl_object") is None:
            raise ConnectionResetError("Connection lost")
    except BaseException as error:
        if transport.get_protocol() is not protocol:
            _end(loop, transport, protocol, error)
        raise
    if hasattr(protocol, "_replace_transport"):
        protocol._replace_transport(secured)
    else:  # asyncio's own, before Python 3.13
        protocol._transport = secured
        if reader is not None:
            reader._transport = secured
    return secured


@types.coroutine
def _stepping(
    coroutine: Coroutine[Any, Any, Any], after_first: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Await *coroutine*, and call *after_first* as soon as it waits for the first time.

    `start_tls()` of asyncio (3.11 to 3.15), of uvloop (0.23) and of `fakes` has put TLS on the
    transport by then. A loop that does so later fails the clauses `start_tls.early-handshake*`.
    """
    try:
        awaited = coroutine.send(None)
        after_first()
        while True:
            try:
                value = yield awaited
            except BaseException as error:
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(value)
    except StopIteration as stop:
        return stop.value


def _receive(protocol: Any, data: bytes) -> None:
    """Play the transport: let *protocol* receive *data*. EOF comes from the transport again."""
    if isinstance(protocol, asyncio.BufferedProtocol) or hasattr(protocol, "get_buffer"):
        rest = memoryview(data)
        while rest:
            buffer = protocol.get_buffer(len(rest))
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            protocol.buffer_updated(count)
            rest = rest[count:]
    elif data:
        protocol.data_received(data)


class _Farewell(asyncio.Protocol):
    """Tells both protocols of a failed upgrade that the connection is lost."""

    def __init__(self, *protocols: Any) -> None:
        self._protocols = protocols

    def connection_lost(self, exc: Exception | None) -> None:
        for protocol in self._protocols:
            protocol.connection_lost(exc)


def _end(
    loop: asyncio.AbstractEventLoop, transport: Any, protocol: Any, error: BaseException
) -> None:
    """Make sure that *protocol* learns that a failed handshake has closed its connection."""
    transport.set_protocol(_Farewell(transport.get_protocol(), protocol))
    if not transport.get_write_buffer_size():
        # Nothing delays the end of the connection; it may be over already, and the protocol not
        # know it.
        loop.call_soon(protocol.connection_lost, error if isinstance(error, Exception) else None)
