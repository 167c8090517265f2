"""TLS over simulated connections: asyncio's own TLS layer, with real certificates."""

from __future__ import annotations

import asyncio
import ssl
from typing import NamedTuple

from fakes.borrowed import SSLProtocol


class TLSTimeouts(NamedTuple):
    """The two time-outs of TLS, in seconds; None for asyncio's defaults (60 and 30)."""

    handshake: float | None = None
    shutdown: float | None = None


DEFAULT_TIMEOUTS = TLSTimeouts()


def wrap(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext | None,
    waiter: asyncio.Future[None],
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    timeouts: TLSTimeouts = DEFAULT_TIMEOUTS,
) -> SSLProtocol:
    """Return a protocol that puts TLS between a transport and `protocol`.

    `waiter` is done when the handshake is, with its error if it failed.
    """
    return SSLProtocol(
        loop,
        protocol,
        context,  # type: ignore[arg-type]  # None makes the default one
        waiter,
        server_side,
        server_hostname,
        ssl_handshake_timeout=timeouts.handshake,  # type: ignore[arg-type]  # may be a float
        ssl_shutdown_timeout=timeouts.shutdown,
    )


def app_transport(tls: SSLProtocol) -> asyncio.Transport:
    """Return the transport on top of TLS, which the program uses."""
    transport: asyncio.Transport = tls._app_transport
    return transport
