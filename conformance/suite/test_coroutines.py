"""Functions and methods that the page marks as async return coroutines."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from conformance.harness.clause import SERVER, clause
from conformance.harness.expect import expect, expect_that
from conformance.harness.reading import take
from conformance.harness.trial import Trial, awaiting
from conformance.networks.tls import client_context


async def expect_coroutine(name: str, call: Callable[[], Any]) -> None:
    """Expect a call to return a coroutine, whether or not it succeeds."""
    returned = call()
    is_one = asyncio.iscoroutine(returned)
    if is_one:
        returned.close()
    else:
        ending = asyncio.ensure_future(awaiting(returned))
        ending.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await ending
    expect_that(is_one, f"a coroutine from {name}()", f"{type(returned).__name__} object")


@clause("async.returns-a-coroutine")
async def test_methods(trial: Trial) -> None:
    reader, writer, _ = await trial.connect()
    for name, call in {
        "read": lambda: reader.read(1),
        "readline": lambda: reader.readline(),
        "readexactly": lambda: reader.readexactly(1),
        "readuntil": lambda: reader.readuntil(),
        "drain": lambda: writer.drain(),
        "wait_closed": lambda: writer.wait_closed(),
        "start_tls": lambda: writer.start_tls(client_context(), server_hostname="streams.test"),
    }.items():
        await expect_coroutine(name, call)


@clause("async.returns-a-coroutine")
async def test_nothing_happens_before_it_is_awaited(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send(b"hello\n" * 4)
    made = [
        *(reader.read(), reader.read(5), reader.readline(), reader.readexactly(5)),
        *(reader.readuntil(), writer.drain(), writer.wait_closed()),
    ]
    try:
        reads: tuple[Callable[[], Awaitable[bytes]], ...] = (
            lambda: take(reader, 6),
            reader.readline,
            lambda: reader.readexactly(6),
            lambda: reader.readuntil(b"\n"),
        )
        for read in reads:
            expect(await read(), b"hello\n", "with other calls made and not awaited:")
    finally:
        for each in made:
            each.close()


@clause("async.returns-a-coroutine", roles=SERVER)
async def test_functions(trial: Trial) -> None:
    def callback(*pair: Any) -> None:
        pass

    for name, call in {
        "open_connection": lambda: trial.streams.open_connection("127.0.0.1", 1),
        "open_unix_connection": lambda: trial.streams.open_unix_connection("/nobody"),
        "start_server": lambda: trial.streams.start_server(callback, "127.0.0.1", 0),
        "start_unix_server": lambda: trial.streams.start_unix_server(callback, "/nowhere/at/all"),
    }.items():
        await expect_coroutine(name, call)
