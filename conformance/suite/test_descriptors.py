"""A program without descriptors to connect, or to accept its clients, with."""

import os
import resource
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from conformance.harness.addresses import carrier
from conformance.harness.clause import CLIENT, SERVER, Some, clause
from conformance.harness.expect import expect, expect_done, expect_error, expect_that
from conformance.harness.expectations import expect_nothing_reported, expect_talk
from conformance.harness.reading import take
from conformance.harness.trial import Trial
from conformance.networks.base import ClientOptions
from conformance.networks.sockets import SocketWire

KERNEL = Some(("tcp", "unix"), "descriptors are the kernel's, and accepting is the same below TLS")
WAITING = 3  # clients that connect meanwhile
LATER = 10.0  # seconds: asyncio tries again after one


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let this process open nothing meanwhile."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.open(os.devnull, os.O_RDONLY)]
    highest = max(int(each) for each in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    try:
        with suppress(OSError):
            while True:
                spare.append(os.dup(spare[0]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in spare:
            os.close(descriptor)


@contextmanager
def clients(trial: Trial) -> Iterator[list[SocketWire]]:
    """Yield clients that have not connected yet."""
    family = socket.AF_UNIX if trial.network.paths else socket.AF_INET
    with ExitStack() as stack:
        sockets = [stack.enter_context(carrier(trial).socket(family)) for _ in range(WAITING)]
        yield [carrier(trial).wire(each) for each in sockets]


async def overload(trial: Trial, server: Any, coming: list[SocketWire]) -> None:
    """Let clients connect while `server` has no descriptors to accept them with."""
    address = server.sockets[0].getsockname()
    await trial.turns()  # modules that are imported on first use have to be imported before
    with no_descriptors_left():
        for client in coming:
            client.sock.connect_ex(address)
        await trial.turns()


def let_time_pass(trial: Trial) -> None:
    """Set the loop's clock ahead, so that a later try happens now.

    uvloop has a clock of its own; it tries immediately, and drops clients that it cannot serve.
    """
    loop: Any = trial.loop
    now: Callable[[], float] = loop.time
    with suppress(AttributeError):
        loop.time = lambda: now() + LATER


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer a byte."""
    writer.write(await take(reader, 1))
    writer.close()


@clause("serving.descriptors.reported-once", networks=KERNEL, roles=SERVER)
async def test_reported_once(trial: Trial) -> None:
    served = await trial.serve(echo)
    with clients(trial) as coming:
        await overload(trial, served.server, coming)
        messages = [each["message"] for each in trial.reported]
    expect_that(len(messages) <= 1, "one report, or none", f"{len(messages)} reports")


@clause("serving.descriptors.served-again", networks=KERNEL, roles=SERVER)
async def test_served_again(trial: Trial) -> None:
    served = await trial.serve(echo)
    with clients(trial) as coming:
        await overload(trial, served.server, coming)
        let_time_pass(trial)
        wire = await trial.dial(served.server)
        await wire.send(b"?")
        expect(await wire.receive_rest(), b"?", "what a new client gets:")
        for client in coming:
            with suppress(ConnectionError):  # it was disconnected
                await client.send(b"?")
            await client.receive_to_end()  # hangs if it is left waiting


@clause("serving.descriptors.closed", networks=KERNEL, roles=SERVER)
async def test_closed(trial: Trial) -> None:
    served = await trial.serve(echo)
    with clients(trial) as coming:
        await overload(trial, served.server, coming)
        served.server.close()
        trial.reported.clear()
        let_time_pass(trial)
        await trial.turns()
    expect([each["message"] for each in trial.reported], [], "reported when it was closed:")


@clause("connecting.descriptors", networks=KERNEL, roles=CLIENT)
async def test_opening_without_descriptors(trial: Trial) -> None:
    async def is_over() -> bool:
        return opening.done()

    ways = (ClientOptions(), ClientOptions(happy_eyeballs_delay=0.25))
    for options in ways if trial.network.hosts else ways[:1]:
        listener = await trial.listen()
        await expect_talk(await trial.open(listener, **options))
        await trial.turns()  # what is imported when it is first used has to be opened before
        with no_descriptors_left():
            opening = trial.start(trial.network.open(trial.streams, listener, **options))
            await trial.soon(is_over)
        expect_done(opening, "what lacks a descriptor")
        await expect_error(Exception, opening)
        await expect_talk(await trial.open(listener, **options))
        await expect_nothing_reported(trial)
