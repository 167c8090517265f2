"""Arguments that are refused: the call raises, and leaves nothing open.

A call that checks its arguments late has made a socket, a connection or a server by then.
"""

import os
import socket
from contextlib import suppress
from typing import Any

from conformance.harness.addresses import accepted, free_path, listening
from conformance.harness.clause import CLIENT, INTERNET, SERVER, UNIX, clause
from conformance.harness.expect import expect, expect_error, expect_raises
from conformance.harness.leaks import expect_no_new_socket, open_sockets
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Served, Trial
from conformance.networks.tls import client_context

Options = dict[str, Any]

TIMES = ("ssl_handshake_timeout", "ssl_shutdown_timeout")

WITHOUT_TLS: tuple[Options, ...] = tuple({name: 5.0} for name in TIMES)
NOT_POSITIVE: tuple[Options, ...] = tuple(
    {name: seconds} for name in TIMES for seconds in (0, 0.0, -1.0)
)
LIMITS: tuple[Options, ...] = ({"limit": 0}, {"limit": -1})


def client_tls(**options: Any) -> Options:
    """Return the arguments of a TLS connection, and these."""
    return {"ssl": client_context(), "server_hostname": "localhost", **options}


def of_clients() -> list[Options]:
    """Return arguments that a client's call refuses, whatever the address."""
    return [
        *({"server_hostname": "localhost"}, *LIMITS, *WITHOUT_TLS),
        *(client_tls(**each) for each in NOT_POSITIVE),
    ]


def of_servers() -> list[Options]:
    """Return arguments that a server's call refuses, whatever the address."""
    return [{"ssl": True}, {"ssl": "context"}, *LIMITS, *WITHOUT_TLS]


# Clients.


@clause("connecting.refused.nothing-left-open", networks=INTERNET, roles=CLIENT)
async def test_open_connection_leaves_nothing_open(trial: Trial) -> None:
    with listening(trial, "127.0.0.1") as (port, sockets):
        before = open_sockets(trial)
        for options in of_clients():
            with suppress(Exception):
                _, writer = await trial.streams.open_connection("127.0.0.1", port, **options)
                writer.close()
            accepted(sockets)
        await expect_no_new_socket(trial, before)


@clause("unix.open.failed.nothing-left-open", networks=UNIX, roles=CLIENT)
async def test_open_unix_connection_leaves_nothing_open(trial: Trial) -> None:
    path = free_path(trial)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        sock.setblocking(False)
        before = open_sockets(trial)
        for options in of_clients():
            with suppress(Exception):
                _, writer = await trial.streams.open_unix_connection(path, **options)
                writer.close()
            accepted([sock])
        await expect_no_new_socket(trial, before)


async def expect_refused(trial: Trial, *several: Options) -> None:
    """Expect open_unix_connection() to refuse each of these arguments with ValueError."""
    path = free_path(trial)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        for options in several:
            opening = trial.streams.open_unix_connection(path, **options)
            await expect_error(ValueError, opening)


@clause("unix.open.limit.not-positive", networks=UNIX, roles=CLIENT)
async def test_unix_limit_not_positive(trial: Trial) -> None:
    await expect_refused(trial, *LIMITS)


@clause("unix.open.ssl.timeouts.without-ssl", networks=UNIX, roles=CLIENT)
async def test_unix_timeouts_without_ssl(trial: Trial) -> None:
    await expect_refused(trial, *WITHOUT_TLS)


@clause("unix.open.ssl.timeouts.not-positive", networks=UNIX, roles=CLIENT)
async def test_unix_timeouts_not_positive(trial: Trial) -> None:
    await expect_refused(trial, *(client_tls(**each) for each in NOT_POSITIVE))


# Servers. An implementation that takes a wrong argument returns a server: that has its own clauses.


def wrong_servers() -> list[tuple[Any, Options]]:
    """Return callbacks and arguments that a server's call refuses together."""
    right = Served().accepted
    return [("callback", {}), *((right, options) for options in of_servers())]


@clause("serving.failed.nothing-left-listening", networks=INTERNET, roles=SERVER)
async def test_start_server_leaves_nothing_listening(trial: Trial) -> None:
    before = open_sockets(trial)
    for callback, options in wrong_servers():
        with suppress(Exception):
            (await trial.streams.start_server(callback, "127.0.0.1", 0, **options)).close()
    await expect_no_new_socket(trial, before)


@clause("serving.failed.nothing-left-listening", networks=INTERNET, roles=SERVER)
async def test_a_host_that_is_not_found_leaves_nothing_listening(trial: Trial) -> None:
    start_server, before = trial.streams.start_server, open_sockets(trial)
    numeric: Options = {"flags": socket.AI_PASSIVE | socket.AI_NUMERICHOST}
    hosts = ["127.0.0.2", "localhost"]
    await expect_error(OSError, start_server(Served().accepted, hosts, 0, **numeric))
    await expect_no_new_socket(trial, before)


@clause("serving.failed.nothing-left-listening", networks=INTERNET, roles=SERVER)
async def test_a_host_without_address_leaves_nothing_listening(trial: Trial) -> None:
    before = open_sockets(trial)
    with resolving(trial):
        starting = trial.streams.start_server(Served().accepted, ["127.0.0.2", NAME], 0)
        await expect_error(OSError, starting)
    await expect_no_new_socket(trial, before)


@clause("unix.serve.failed.leaves-nothing", networks=UNIX, roles=SERVER)
async def test_start_unix_server_leaves_nothing(trial: Trial) -> None:
    before = open_sockets(trial)
    for callback, options in wrong_servers():
        path = free_path(trial)
        try:
            server = await trial.streams.start_unix_server(callback, path, **options)
        except Exception:
            expect(os.access(path, os.F_OK), False, "socket in the file system:")
        else:
            server.close()
    await expect_no_new_socket(trial, before)


@clause("serving.callback.not-callable", networks=UNIX, roles=SERVER)
async def test_unix_callback_not_callable(trial: Trial) -> None:
    callback: Any = "callback"
    with expect_raises(TypeError):
        (await trial.streams.start_unix_server(callback, free_path(trial))).close()


@clause("serving.limit.not-positive", networks=UNIX, roles=SERVER)
async def test_unix_server_limit_not_positive(trial: Trial) -> None:
    for limit in (0, -1):
        with expect_raises(ValueError):
            await trial.serve(limit=limit)


@clause("unix.serve.ssl.no-context", networks=UNIX, roles=SERVER)
async def test_unix_ssl_no_context(trial: Trial) -> None:
    starting = trial.streams.start_unix_server(Served().accepted, free_path(trial), ssl=True)
    await expect_error(TypeError, starting)


@clause("unix.serve.ssl.timeouts.without-ssl", networks=UNIX, roles=SERVER)
async def test_unix_server_timeouts_without_ssl(trial: Trial) -> None:
    for options in WITHOUT_TLS:
        starting = trial.streams.start_unix_server(Served().accepted, free_path(trial), **options)
        await expect_error(ValueError, starting)
