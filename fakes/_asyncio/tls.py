"""TLS over simulated connections: asyncio's own TLS layer, with real certificates."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from typing import NamedTuple

from fakes._asyncio.private_api import SSLProtocol

SSL = ssl_module.SSLContext | bool | None


class TLSTimeouts(NamedTuple):
    """The two timeouts of TLS, in seconds; None for asyncio's defaults (60 and 30)."""

    handshake: float | None = None
    shutdown: float | None = None


DEFAULT_TIMEOUTS = TLSTimeouts()


def check_ssl(
    ssl: SSL, handshake_timeout: float | None, shutdown_timeout: float | None
) -> TLSTimeouts:
    """Return the two timeouts.

    Raises:
        ValueError: one is given without TLS.
    """
    if handshake_timeout is not None and not ssl:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout is not None and not ssl:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
    return TLSTimeouts(handshake_timeout, shutdown_timeout)


def wrap(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.BaseProtocol,
    context: ssl_module.SSLContext | None,
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
