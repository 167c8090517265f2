"""Connecting to a Unix server whose backlog is full."""

import asyncio
import socket
from contextlib import closing

from conformance.harness.addresses import free_path
from conformance.harness.clause import CLIENT, UNIX, clause
from conformance.harness.expect import expect, expect_that
from conformance.harness.reading import take
from conformance.harness.trial import Trial
from conformance.networks.sockets import SocketListener, SocketWire
from conformance.networks.wire import Wire

CLIENTS = 8


@clause("unix.open.backlog-full", networks=UNIX, roles=CLIENT)
async def test_backlog_full(trial: Trial) -> None:
    path = free_path(trial)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(path)
        sock.listen(1)
        sock.setblocking(False)
        opening = [
            asyncio.ensure_future(trial.streams.open_unix_connection(path)) for _ in range(CLIENTS)
        ]
        await trial.turns()
        serving = trial.start(echo(trial, SocketListener(sock, SocketWire)))
        connected = 0
        for each in opening:
            try:
                reader, writer = await each
            except OSError:
                continue
            connected += 1
            with closing(writer):
                writer.write(b"?")
                expect(await take(reader, 1), b"?")
        serving.cancel()
        await asyncio.wait([serving])
    expect_that(connected >= 1, "a connection for those for whom there was room", "none")


async def echo(trial: Trial, listener: SocketListener) -> None:
    """Send back to each client the byte that it sends."""

    async def answer(wire: Wire) -> None:
        await wire.send(await wire.receive_some())
        await wire.close()

    answering = []
    while True:
        answering.append(trial.start(answer(await listener.accept())))
