"""Connections that start_tls() upgrades, with the far end of their handshake."""

import ssl
from typing import Any

from conformance.harness.trial import Connection, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context
from conformance.networks.wire import Wire


def far_end(trial: Trial, carrier: Wire, context: ssl.SSLContext | None = None) -> TlsWire:
    """Return the far end of the handshake to come, over the plain wire `carrier`."""
    if trial.role == "client":
        return TlsWire(carrier, context or server_context(), server_side=True)
    return TlsWire(
        carrier, context or client_context(), server_side=False, server_hostname=HOST_NAME
    )


def arguments(trial: Trial) -> dict[str, Any]:
    """Return the arguments of start_tls() on the implementation's side of that handshake."""
    if trial.role == "client":
        return {"sslcontext": client_context(), "server_hostname": HOST_NAME}
    return {"sslcontext": server_context()}


async def upgrade(
    trial: Trial, connection: Connection, first: bytes = b"", **options: Any
) -> TlsWire:
    """Upgrade the connection, on both sides at the same time; return the far end.

    Args:
        first: the data that the far end sends in one piece with the end of its handshake.
        options: passed to `start_tls()`.
    """
    wire = far_end(trial, connection.wire)
    starting = trial.start(connection.writer.start_tls(**arguments(trial) | options))
    await trial.turns()  # no handshake before it is expected: early ones have their own clauses
    shaking = trial.start(wire.handshake(first))
    await starting
    await shaking
    return wire


async def upgraded(trial: Trial, **options: Any) -> Connection:
    """Connect without TLS, and upgrade; `options` are those of `start_tls()`."""
    reader, writer, _ = connection = await trial.connect()
    return Connection(reader, writer, await upgrade(trial, connection, **options))
