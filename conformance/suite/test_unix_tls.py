"""`open_unix_connection()` and `start_unix_server()`: their arguments for TLS."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

from conformance.harness.addresses import abstract_name, address_of, carrier
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, SERVER, UNIX, clause
from conformance.harness.expect import expect, expect_error, expect_that
from conformance.harness.expectations import expect_talk
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import (
    HOST_NAME,
    OTHER_HOST_NAME,
    TlsListener,
    TlsNetwork,
    TlsWire,
    client_context,
)
from conformance.networks.wire import Wire


@asynccontextmanager
async def connected(trial: Trial, **options: Any) -> AsyncIterator[Connection]:
    """Connect the implementation, in the trial's role, with a far end, over TLS."""
    network = TlsNetwork(trial.network)
    if trial.role == "client":
        with closing(await network.listen()) as listener:
            accepting = trial.start(listener.accept())
            reader, writer = await network.open(trial.streams, listener, **options)
            wire: Wire = await accepting
    else:
        served = Served()
        with closing(await network.serve(trial.streams, served.accepted, **options)) as server:
            wire = await network.dial(server)
            reader, writer = await served.pairs.get()
    async with closing_wire(wire):
        try:
            yield Connection(reader, writer, wire)
        finally:
            with suppress(Exception):  # closing, also twice, has clauses of its own
                writer.close()


@clause("unix.open.ssl", networks=UNIX, roles=CLIENT)
async def test_open_ssl(trial: Trial) -> None:
    async with connected(trial, ssl=client_context(), server_hostname=HOST_NAME) as connection:
        await expect_talk(connection)


@clause("unix.open.ssl", networks=UNIX, roles=CLIENT)
async def test_open_ssl_for_another_name(trial: Trial) -> None:
    network = TlsNetwork(trial.network)
    with closing(await network.listen()) as listener:
        accepting = trial.start(listener.accept())
        opening = network.open(trial.streams, listener, server_hostname=OTHER_HOST_NAME)
        await expect_error(Exception, opening)
        try:
            await (await accepting).receive_to_end()  # in TLS 1.3 the far end learns of it here
        except (ssl.SSLError, ConnectionError):
            pass
        else:
            expect_that(False, "the certificate to be refused", "a connection")


@clause("unix.open.path.abstract", networks=UNIX, roles=CLIENT)
async def test_open_ssl_on_an_abstract_socket(trial: Trial) -> None:
    below = carrier(trial).listening(socket.AF_UNIX, abstract_name())
    with closing(TlsListener(below)) as listener:
        accepting = trial.start(listener.accept())
        reader, writer = await TlsNetwork(trial.network).open(trial.streams, listener)
        with closing(writer):
            async with closing_wire(await accepting) as wire:
                await expect_talk(Connection(reader, writer, wire))


@clause("unix.open.ssl.server-hostname.required", networks=UNIX, roles=CLIENT)
async def test_open_server_hostname_required(trial: Trial) -> None:
    path = address_of(await trial.listen())
    context = client_context()
    context.check_hostname = False
    await expect_error(ValueError, trial.streams.open_unix_connection(path, ssl=context))


@clause("unix.open.ssl.server-hostname.required-to-check", networks=UNIX, roles=CLIENT)
async def test_open_server_hostname_required_to_check(trial: Trial) -> None:
    path = address_of(await trial.listen())
    await expect_error(ValueError, trial.streams.open_unix_connection(path, ssl=client_context()))


@clause("unix.open.ssl.server-hostname.without-ssl", networks=UNIX, roles=CLIENT)
async def test_open_server_hostname_without_ssl(trial: Trial) -> None:
    path = address_of(await trial.listen())
    await expect_error(
        ValueError, trial.streams.open_unix_connection(path, server_hostname=HOST_NAME)
    )


@clause("unix.open.ssl.handshake-timeout", networks=UNIX, roles=CLIENT)
async def test_open_handshake_timeout(trial: Trial) -> None:
    listener = await trial.listen()
    opening = trial.start(_open(trial, address_of(listener), ssl_handshake_timeout=0.05))
    async with closing_wire(await listener.accept()) as silent:
        await expect_error(Exception, opening)
        await silent.receive_to_end()  # hangs if the connection is left open


@clause("unix.open.ssl.shutdown-timeout", networks=UNIX, roles=CLIENT)
async def test_open_shutdown_timeout(trial: Trial) -> None:
    await expect_shutdown_timeout(trial)


async def _open(trial: Trial, path: str, **options: Any) -> None:
    """Connect, and expect an error."""
    _, writer = await trial.streams.open_unix_connection(
        path, ssl=client_context(), server_hostname=HOST_NAME, **options
    )
    writer.close()


@clause("unix.serve.ssl", networks=UNIX, roles=SERVER)
async def test_serve_ssl(trial: Trial) -> None:
    async with connected(trial) as connection:
        await expect_talk(connection)


@clause("unix.serve.ssl.handshake-timeout", networks=UNIX, roles=SERVER)
async def test_serve_handshake_timeout(trial: Trial) -> None:
    served = Served()
    network = TlsNetwork(trial.network)
    starting = network.serve(trial.streams, served.accepted, ssl_handshake_timeout=0.05)
    with closing(await starting) as server:
        async with closing_wire(await trial.network.dial(server)) as silent:
            await silent.receive_to_end()  # hangs if the timeout has no effect
            expect(served.pairs.qsize(), 0, "clients without a handshake:")


@clause("unix.serve.ssl.shutdown-timeout", networks=UNIX, roles=SERVER)
async def test_serve_shutdown_timeout(trial: Trial) -> None:
    await expect_shutdown_timeout(trial)


async def expect_shutdown_timeout(trial: Trial) -> None:
    """Expect ssl_shutdown_timeout to end a connection whose far end does not answer."""
    async with connected(trial, ssl_shutdown_timeout=0.05) as connection:
        assert isinstance(connection.wire, TlsWire)
        connection.writer.close()
        await connection.wire.carrier.receive_to_end()  # hangs if it has no effect
