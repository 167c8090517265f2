"""Ways in which the far end lets a handshake fail."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from conformance.networks.tls import TlsWire, server_context, stranger
from conformance.networks.wire import Wire

Fail = Callable[[Wire], Awaitable[None]]

NO_TLS = b"HTTP/1.1 400 Bad Request\r\n\r\n"
HALF_A_MESSAGE = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"


async def speak_no_tls(below: Wire) -> None:
    """Answer with what is no TLS."""
    await below.send(NO_TLS)


async def leave(below: Wire) -> None:
    """End the connection in order."""
    await below.close()


async def leave_in_the_middle(below: Wire) -> None:
    """End the connection after half a message."""
    await below.send(HALF_A_MESSAGE)
    await below.close()


async def reset(below: Wire) -> None:
    """Reset the connection."""
    await below.reset()


async def say_nothing(below: Wire) -> None:
    """Let the time of the handshake pass."""


async def be_a_stranger(below: Wire) -> None:
    """Show a certificate that the client does not trust."""
    wire = TlsWire(below, server_context(stranger()), server_side=True)
    with suppress(OSError):
        await wire.handshake()
