"""Several servers of one program: what happens to one of them has no effect on another."""

import asyncio
from collections.abc import Callable
from typing import Any

from conformance.harness.clause import INTERNET, SERVED, SERVER, clause
from conformance.harness.expect import expect, expect_pending
from conformance.harness.expectations import expect_keep_alive, expect_limit, expect_talk
from conformance.harness.trial import Trial


@clause("serving.several-servers", networks=SERVED, roles=SERVER)
async def test_close(trial: Trial) -> None:
    servers = [await trial.serve() for _ in range(3)]
    connections = [await trial.accept(each) for each in servers]
    servers[1].server.close()
    await connections[1].wire.settle()
    for each in (servers[0], servers[2]):
        expect(each.server.is_serving(), True, "is_serving() of another server:")
        await expect_talk(await trial.accept(each))
    for connection in connections:
        await expect_talk(connection)


@clause("server.serve-forever.ends-on-close", networks=SERVED, roles=SERVER)
async def test_serve_forever(trial: Trial) -> None:
    one, other = [await trial.serve() for _ in range(2)]
    tasks = [trial.start(each.server.serve_forever()) for each in (one, other)]
    await trial.turns()
    for task in tasks:
        expect_pending(task, "serve_forever(), while another server serves forever,")
    one.server.close()
    await asyncio.wait(tasks[:1])  # hangs if it goes on
    await trial.turns()
    expect_pending(tasks[1], "serve_forever(), when another server was closed,")
    await expect_talk(await trial.accept(other))


async def expect_own_clients_ended(trial: Trial, end: Callable[[Any], None]) -> None:
    """Expect `end` to end the connections of a server, and not those of another."""
    one, other = [await trial.serve() for _ in range(2)]
    ended, left = await trial.accept(one), await trial.accept(other)
    end(one.server)
    await ended.wire.receive_to_end()  # hangs if it is left open
    await trial.turns()
    expect(left.writer.is_closing(), False, "is_closing() of another server's connection:")
    await expect_talk(left)


@clause("server.close-clients.closes", networks=SERVED, roles=SERVER)
async def test_close_clients(trial: Trial) -> None:
    await expect_own_clients_ended(trial, lambda server: server.close_clients())


@clause("server.abort-clients.ends-at-once", networks=SERVED, roles=SERVER)
async def test_abort_clients(trial: Trial) -> None:
    await expect_own_clients_ended(trial, lambda server: server.abort_clients())


@clause("server.wait-closed.returns", networks=SERVED, roles=SERVER)
async def test_wait_closed(trial: Trial) -> None:
    one, other = [await trial.serve() for _ in range(2)]
    left = await trial.accept(other)
    waiting = [trial.start(each.server.wait_closed()) for each in (one, other)]
    one.server.close()
    await waiting[0]  # hangs if it waits for the client of another server
    expect_pending(waiting[1], "wait_closed(), when another server was closed,")
    await expect_talk(left)


@clause("serving.limit.given", networks=INTERNET, roles=SERVER)
async def test_limits(trial: Trial) -> None:
    limits = (100, 10, 1000)
    servers = [await trial.serve(limit=limit) for limit in limits]
    for served, limit in zip(servers, limits, strict=True):
        await expect_limit(trial, await trial.accept(served), limit)


@clause("serving.keep-alive", networks=INTERNET, roles=SERVER)
async def test_keep_alive(trial: Trial) -> None:
    servers = {wanted: await trial.serve(keep_alive=wanted) for wanted in (True, False)}
    for wanted, served in servers.items():
        _, writer, _ = await trial.accept(served)
        expect_keep_alive(writer, wanted)
