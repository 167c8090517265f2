"""Sockets that are left open."""

import socket

from conformance.harness.addresses import carrier
from conformance.harness.expect import expect, expect_that
from conformance.harness.trial import Trial


def open_sockets(trial: Trial) -> set[str]:
    """Return the sockets of the trial's network that are open."""
    return carrier(trial).open_sockets()


async def expect_no_new_socket(trial: Trial, before: set[str]) -> None:
    """Expect that no socket stays open that was not open `before`."""

    async def closed() -> bool:
        return open_sockets(trial) <= before

    if not await trial.soon(closed):
        expect(len(open_sockets(trial) - before), 0, "sockets left open:")


async def expect_given_socket_closed(trial: Trial, sock: socket.socket) -> None:
    """Expect that `sock`, which the test gave away, is closed soon."""

    async def closed() -> bool:
        return sock.fileno() == -1

    expect_that(await trial.soon(closed), "the socket given to be closed", "it is open")
