"""Calls that fail: they raise, report nothing, and leave nothing open.

A program that handles the exception has no use for a report. The tests try each way to fail: by the
address, the arguments, the far end, or by cancelling.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from conformance.harness.addresses import bound, carrier_of, free_path, stall
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, INTERNET, SERVER, TLS, UNIX, UPGRADED, clause
from conformance.harness.expect import expect_error
from conformance.harness.expectations import expect_nothing_reported
from conformance.harness.handshakes import (
    Fail,
    be_a_stranger,
    leave,
    leave_in_the_middle,
    reset,
    say_nothing,
    speak_no_tls,
)
from conformance.harness.leaks import expect_no_new_socket, open_sockets
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Served, Trial
from conformance.harness.upgrading import arguments
from conformance.networks.base import Listener
from conformance.networks.tls import HOST_NAME, client_context
from conformance.networks.wire import Wire

SOON = 0.05  # seconds: a timeout whose passing a test waits for


# Addresses that nobody answers at.


@clause("connecting.failed.reports-nothing", networks=INTERNET, roles=CLIENT)
async def test_refused(trial: Trial) -> None:
    with bound(trial, "127.0.0.2") as (port, _):
        await expect_error(Exception, trial.streams.open_connection("127.0.0.2", port))
    await expect_nothing_reported(trial, "reported of a refusal:")


@clause("connecting.failed.reports-nothing", networks=INTERNET, roles=CLIENT)
async def test_refused_at_several_addresses(trial: Trial) -> None:
    await expect_silent_refusal(trial)


@clause("connecting.happy-eyeballs.failed.reports-nothing", networks=INTERNET, roles=CLIENT)
async def test_refused_with_happy_eyeballs(trial: Trial) -> None:
    await expect_silent_refusal(trial, happy_eyeballs_delay=0.25)


async def expect_silent_refusal(trial: Trial, **options: Any) -> None:
    """Expect nothing to be reported when each address of a host refuses."""
    hosts = ("127.0.0.2", "127.0.0.3")
    with bound(trial, *hosts) as (port, _), resolving(trial, *hosts):
        await expect_error(Exception, trial.streams.open_connection(NAME, port, **options))
    await expect_nothing_reported(trial, "reported of a refusal:")


@clause("connecting.failed.reports-nothing", networks=INTERNET, roles=CLIENT)
async def test_without_an_address(trial: Trial) -> None:
    open_connection = trial.streams.open_connection
    with bound(trial, "127.0.0.2") as (port, _):
        numeric = open_connection("localhost", port, flags=socket.AI_NUMERICHOST)
        await expect_error(Exception, numeric)
        elsewhere = open_connection("127.0.0.2", port, local_addr=("203.0.113.1", 0))
        await expect_error(Exception, elsewhere)
    await expect_nothing_reported(trial, "reported of a host or a local_addr that cannot be used:")


@clause("connecting.failed.reports-nothing", networks=INTERNET, roles=CLIENT)
async def test_cancelled_while_connecting(trial: Trial) -> None:
    await expect_silent_cancellation(trial)


@clause("connecting.happy-eyeballs.failed.reports-nothing", networks=INTERNET, roles=CLIENT)
async def test_cancelled_with_happy_eyeballs(trial: Trial) -> None:
    await expect_silent_cancellation(trial, happy_eyeballs_delay=0.25)


async def expect_silent_cancellation(trial: Trial, **options: Any) -> None:
    """Expect nothing to be reported when open_connection() is cancelled while it connects."""
    with ExitStack() as stack:
        port, (sock,) = stack.enter_context(bound(trial, "127.0.0.2"))
        await stall(trial, sock, stack)
        await trial.cancelled(trial.streams.open_connection("127.0.0.2", port, **options))
    await expect_nothing_reported(trial, "reported of a cancelled open_connection():")


@clause("connecting.refused.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_without_an_address_nothing_is_left_open(trial: Trial) -> None:
    open_connection = trial.streams.open_connection
    with bound(trial, "127.0.0.2") as (port, _):
        before = open_sockets(trial)
        for options in (
            {"flags": socket.AI_NUMERICHOST},
            {"proto": socket.IPPROTO_UDP},
            {"local_addr": ("203.0.113.1", 0)},
            {"local_addr": ("::1", 0)},
        ):
            await expect_error(Exception, open_connection("localhost", port, **options))
        await expect_no_new_socket(trial, before)


# Handshakes that fail, by the far end's fault.

FAILURES: tuple[Fail, ...] = (speak_no_tls, leave, leave_in_the_middle, say_nothing)


async def expect_failure(
    trial: Trial, what: str, fail: Fail | None, below: Wire, task: "asyncio.Task[Any]"
) -> None:
    """Expect `task`, which shakes hands, to fail when the far end does that; nothing is reported.

    Args:
        trial: the trial.
        what: what `task` does.
        fail: what the far end does; `None` for a handshake that is cancelled.
        below: the far end, without TLS.
        task: the task.
    """
    async with closing_wire(below):
        await trial.turns()
        if fail is None:
            task.cancel()
            await asyncio.wait([task])
        else:
            failing = trial.start(fail(below))
            await expect_error(Exception, task)
            await asyncio.wait([failing])
    how = "was cancelled" if fail is None else f"failed by {fail.__name__}()"
    await expect_nothing_reported(trial, f"reported of {what} that {how}:")


async def expect_openings_fail(trial: Trial, what: str, open_: Callable[[], Any]) -> None:
    """Expect connections whose handshakes fail to be reported to nobody."""
    resetting = (reset,) if trial.network.resets else ()
    for fail in (*FAILURES, *resetting, be_a_stranger, None):
        listener, opening = await open_()
        task = trial.start(opening)
        accepting = trial.start(listener.accept())
        await asyncio.wait([task, accepting], return_when=asyncio.FIRST_COMPLETED)
        if not accepting.done():
            accepting.cancel()
            await task  # it has failed before there was a connection
        await expect_failure(trial, what, fail, await accepting, task)


def options(**more: Any) -> dict[str, Any]:
    """Return the arguments of a TLS connection that does not wait long for its handshake."""
    return {
        "ssl": client_context(),
        "server_hostname": HOST_NAME,
        "ssl_handshake_timeout": SOON,
        **more,
    }


@clause("connecting.failed.reports-nothing", networks=TLS, roles=CLIENT)
async def test_failed_handshake(trial: Trial) -> None:
    await expect_handshakes_fail(trial)


@clause("connecting.happy-eyeballs.failed.reports-nothing", networks=TLS, roles=CLIENT)
async def test_failed_handshake_with_happy_eyeballs(trial: Trial) -> None:
    await expect_handshakes_fail(trial, happy_eyeballs_delay=0.25)


async def expect_handshakes_fail(trial: Trial, **more: Any) -> None:
    """Expect nothing to be reported of an open_connection() whose handshake fails."""

    async def open_() -> tuple[Listener, Any]:
        listener = await trial.listen()
        opening = trial.network.open(trial.streams, listener, **options(**more))
        return carrier_of(listener), opening

    await expect_openings_fail(trial, "an open_connection()", open_)


@clause("unix.open.failed.reports-nothing", networks=UNIX, roles=CLIENT)
async def test_failed_unix_handshake(trial: Trial) -> None:
    async def open_() -> tuple[Listener, Any]:
        listener = await trial.listen()
        return listener, trial.network.open(trial.streams, listener, **options())

    await expect_openings_fail(trial, "an open_unix_connection()", open_)


@clause("unix.open.failed.reports-nothing", networks=UNIX, roles=CLIENT)
async def test_unix_path_that_nobody_listens_at(trial: Trial) -> None:
    path = free_path(trial)
    await expect_error(Exception, trial.streams.open_unix_connection(path))
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(path)
    await expect_error(Exception, trial.streams.open_unix_connection(path))
    await expect_nothing_reported(trial, "reported of a refusal:")


@clause("start_tls.failed.reports-nothing", networks=UPGRADED)
async def test_failed_upgrade(trial: Trial) -> None:
    resetting = (reset,) if trial.network.resets else ()
    strange = (be_a_stranger,) if trial.role == "client" else ()
    for fail in (*FAILURES, *resetting, *strange, None):
        _, writer, below = await trial.connect()
        starting = writer.start_tls(**arguments(trial), ssl_handshake_timeout=SOON)
        await expect_failure(trial, "a start_tls()", fail, below, trial.start(starting))
        writer.close()


# Servers that cannot be.


@clause("serving.failed.reports-nothing", networks=INTERNET, roles=SERVER)
async def test_failed_server(trial: Trial) -> None:
    start_server = trial.streams.start_server
    with bound(trial, "127.0.0.2") as (port, _):
        for hosts in ("127.0.0.2", ["127.0.0.3", "127.0.0.2"]):
            await expect_error(Exception, start_server(Served().accepted, hosts, port))
    numeric = start_server(Served().accepted, "localhost", 0, flags=socket.AI_NUMERICHOST)
    await expect_error(Exception, numeric)
    await expect_nothing_reported(trial, "reported of a start_server():")


@clause("unix.serve.failed.leaves-nothing", networks=UNIX, roles=SERVER)
async def test_failed_unix_server(trial: Trial) -> None:
    missing = os.path.join(free_path(trial), "below")
    taken = free_path(trial)
    os.mkdir(taken)
    before = open_sockets(trial)
    for path in (missing, taken):
        await expect_error(Exception, trial.streams.start_unix_server(Served().accepted, path))
    await expect_no_new_socket(trial, before)
    await expect_nothing_reported(trial, "reported of a start_unix_server():")
