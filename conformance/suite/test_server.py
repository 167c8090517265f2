"""`Server` objects: starting, closing, and the effect on connections."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Callable
from typing import Any

from conformance.harness.addresses import carrier, family_at
from conformance.harness.clause import INTERNET, PLAIN, SERVER, TLS, clause
from conformance.harness.expect import (
    expect,
    expect_error,
    expect_pending,
    expect_raises,
    expect_that,
)
from conformance.harness.expectations import close_server, expect_not_served, expect_talk
from conformance.harness.patterns import KIB, fill, overfill, pattern
from conformance.harness.trial import Connection, Served, Trial


async def expect_closed(trial: Trial, served: Served, address: Any) -> None:
    """Expect the server to accept no more connections, and to report that it does not serve."""
    await trial.turns()
    expect(served.server.is_serving(), False, "is_serving()")
    await expect_not_served(trial, family_at(address), address)


# Information about the server.


@clause("server.sockets.listening", roles=SERVER)
async def test_sockets(trial: Trial) -> None:
    served = await trial.serve()
    expect(len(served.server.sockets), 1, "number of sockets:")
    sock = served.server.sockets[0]
    family = socket.AF_UNIX if trial.network.paths else socket.AF_INET
    expect(sock.family, family, "family")
    expect(sock.type, socket.SOCK_STREAM, "type")
    await trial.accept(served)  # at the address that the socket gives


@clause("server.sockets.is-a-copy", roles=SERVER)
async def test_sockets_is_a_copy(trial: Trial) -> None:
    served = await trial.serve()
    sockets: object = served.server.sockets
    if isinstance(sockets, list):  # nobody can change a tuple
        sockets.clear()
    expect(len(served.server.sockets), 1, "number of sockets:")
    await trial.accept(served)


@clause("server.sockets.none-after-close", roles=SERVER)
async def test_no_sockets_after_close_with_a_client(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, _ = await trial.accept(served)
    await close_server(trial, served.server)
    expect(list(served.server.sockets or ()), [], "sockets, while a client is connected:")
    writer.close()


@clause("server.sockets.none-after-close", roles=SERVER)
async def test_sockets_after_close(trial: Trial) -> None:
    served = await trial.serve()
    await close_server(trial, served.server)
    expect(list(served.server.sockets or ()), [], "sockets")


@clause("server.get-loop", roles=SERVER)
async def test_get_loop(trial: Trial) -> None:
    served = await trial.serve()
    running = asyncio.get_running_loop()
    expect_that(served.server.get_loop() is running, "the running loop", "another one")


@clause("server.is-serving", roles=SERVER)
async def test_is_serving(trial: Trial) -> None:
    served = await trial.serve()
    expect(served.server.is_serving(), True, "when started:")
    await close_server(trial, served.server)
    expect(served.server.is_serving(), False, "when closed:")


@clause("server.is-serving", roles=SERVER)
async def test_is_serving_before_the_start(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    expect(served.server.is_serving(), False, "before the start:")
    await served.server.start_serving()
    expect(served.server.is_serving(), True, "when started:")


@clause("server.is-serving", roles=SERVER)
async def test_is_not_serving_clients_that_stay(trial: Trial) -> None:
    served = await trial.serve()
    await trial.accept(served)
    await close_server(trial, served.server)
    expect(served.server.is_serving(), False, "when closed, with a client that stays:")


# Starting.


@clause("server.start-serving.starts", roles=SERVER)
async def test_start_serving(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    await served.server.start_serving()
    await expect_talk(await trial.accept(served))


@clause("server.start-serving.idempotent", roles=SERVER)
async def test_start_serving_again(trial: Trial) -> None:
    served = await trial.serve()
    await served.server.start_serving()
    await served.server.start_serving()
    expect(served.server.is_serving(), True, "is_serving()")
    connection = await trial.accept(served)
    await expect_talk(connection)
    await connection.wire.settle()
    expect(served.pairs.qsize(), 0, "further calls for the same client:")


@clause("server.start-serving.closed", roles=SERVER)
async def test_start_serving_when_closed(trial: Trial) -> None:
    served = await trial.serve()
    served.server.close()
    await expect_error(RuntimeError, served.server.start_serving())


@clause("server.serve-forever.starts", roles=SERVER)
async def test_serve_forever_starts(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    serving = trial.start(served.server.serve_forever())
    await trial.turns()
    expect(served.server.is_serving(), True, "is_serving()")
    await expect_talk(await trial.accept(served))
    serving.cancel()


@clause("server.serve-forever.when-serving", roles=SERVER)
async def test_serve_forever_when_serving(trial: Trial) -> None:
    served = await trial.serve()
    serving = trial.start(served.server.serve_forever())
    await trial.turns()
    await expect_talk(await trial.accept(served))
    expect_pending(serving, "serve_forever()")
    serving.cancel()


@clause("server.serve-forever.cancelled.closes", roles=SERVER)
async def test_serve_forever_cancelled_closes(trial: Trial) -> None:
    for turns in (1, 2, 3, 50):
        served = await trial.serve()
        address = served.server.sockets[0].getsockname()
        serving = await trial.cancelled(served.server.serve_forever(), turns)
        expect(serving.cancelled(), True, f"cancelled after {turns} turns:")
        await expect_closed(trial, served, address)


@clause("server.serve-forever.cancelled.ends", roles=SERVER)
async def test_serve_forever_cancelled_ends(trial: Trial) -> None:
    served = await trial.serve()
    serving = trial.start(served.server.serve_forever())
    await trial.accept(served)  # a client that does not leave
    serving.cancel()
    await asyncio.wait([serving])
    expect(serving.cancelled(), True, "cancelled:")


@clause("server.serve-forever.only-one", roles=SERVER)
async def test_serve_forever_only_one(trial: Trial) -> None:
    served = await trial.serve()
    first = trial.start(served.server.serve_forever())
    await trial.turns()
    await expect_error(Exception, served.server.serve_forever())
    expect_pending(first, "the first serve_forever()")
    await expect_talk(await trial.accept(served))
    first.cancel()


@clause("server.serve-forever.ends-on-close", roles=SERVER)
async def test_serve_forever_ends_on_close(trial: Trial) -> None:
    served = await trial.serve()
    serving = trial.start(served.server.serve_forever())
    await trial.turns()
    served.server.close()
    await asyncio.wait([serving])  # hangs if it serves a closed server


@clause("server.serve-forever.closed", roles=SERVER)
async def test_serve_forever_when_closed(trial: Trial) -> None:
    served = await trial.serve()
    served.server.close()
    await expect_error(RuntimeError, served.server.serve_forever())


# Closing.


@clause("server.close.stops-listening", roles=SERVER)
async def test_close_stops_listening(trial: Trial) -> None:
    served = await trial.serve()
    address = served.server.sockets[0].getsockname()
    served.server.close()
    await expect_closed(trial, served, address)


@clause("server.close.stops-listening", networks=INTERNET, roles=SERVER)
async def test_close_frees_the_address(trial: Trial) -> None:
    served = await trial.serve()
    host, port = served.server.sockets[0].getsockname()
    await trial.accept(served)
    served.server.close()
    await trial.turns()
    successor = await trial.streams.start_server(served.accepted, host, port)
    successor.close()


@clause("server.close.connections-stay", roles=SERVER)
async def test_connections_stay(trial: Trial) -> None:
    served = await trial.serve()
    connection = await trial.accept(served)
    served.server.close()
    await connection.wire.settle()
    await expect_talk(connection)


@clause("server.close.connections-stay", roles=SERVER)
async def test_busy_connections_stay(trial: Trial) -> None:
    served = await trial.serve(limit=KIB)
    unread, unsent = await trial.accept(served), await trial.accept(served)
    size = 64 * KIB
    sending = trial.start(unread.wire.send(bytes(size)))
    data = await fill(trial, unsent.writer)
    await unsent.wire.settle()
    await close_server(trial, served.server)
    for what, connection in (("unread", unread), ("unsent", unsent)):
        expect(connection.writer.is_closing(), False, f"is_closing(), with much {what}:")
    expect(len(await unread.reader.readexactly(size)), size, "bytes that were unread:")
    await sending
    expect(await unsent.wire.receive(len(data)), data, "bytes that were unsent:")
    for connection in (unread, unsent):
        await expect_talk(connection)


@clause("server.close.connections-stay.after-serve-forever", roles=SERVER)
async def test_connections_stay_after_serve_forever(trial: Trial) -> None:
    served = await trial.serve()
    serving = trial.start(served.server.serve_forever())
    connection = await trial.accept(served)
    served.server.close()
    await connection.wire.settle()
    await expect_talk(connection)
    serving.cancel()


@clause("server.close.twice", roles=SERVER)
async def test_close_twice(trial: Trial) -> None:
    served = await trial.serve()
    served.server.close()
    served.server.close()
    await served.server.wait_closed()
    served.server.close()


@clause("server.wait-closed.returns", roles=SERVER)
async def test_wait_closed_returns(trial: Trial) -> None:
    served = await trial.serve()
    served.server.close()
    for _ in range(10):
        await served.server.wait_closed()  # hangs if it waits for something that is over


@clause("server.wait-closed.returns", roles=SERVER)
async def test_wait_closed_returns_after_clients(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    await wire.close()  # and the handler closes its end
    writer.close()
    served.server.close()
    await served.server.wait_closed()


@clause("server.wait-closed.waits-for-close", roles=SERVER)
async def test_wait_closed_waits_for_close(trial: Trial) -> None:
    served = await trial.serve()
    waiting = trial.start(served.server.wait_closed())
    await trial.turns()
    expect_pending(waiting, "wait_closed(), before close(),")
    served.server.close()
    await waiting


@clause("server.wait-closed.waits-for-connections", roles=SERVER)
async def test_wait_closed_waits_for_connections(trial: Trial) -> None:
    served = await trial.serve()
    connections = [await trial.accept(served) for _ in range(2)]
    served.server.close()
    waiting = trial.start(served.server.wait_closed())
    for connection in connections:
        await trial.turns()
        expect_pending(waiting, "wait_closed(), while a client is connected,")
        connection.writer.close()
        await connection.wire.receive_to_end()
        await connection.wire.close()
    await waiting


@clause("server.wait-closed.waits-for-connections", roles=SERVER)
async def test_wait_closed_begun_before_close(trial: Trial) -> None:
    served = await trial.serve()
    waiting = trial.start(served.server.wait_closed())
    for stays in (False, True):
        connection = await trial.accept(served)
        if stays:
            served.server.close()
        await trial.turns()
        expect_pending(waiting, "wait_closed(), while a client is connected,")
        connection.writer.close()
        await connection.wire.receive_to_end()
        await connection.wire.close()
        await trial.turns()
        if not stays:
            expect_pending(waiting, "wait_closed(), before close(),")
    await waiting


@clause("server.wait-closed.several-waiters", roles=SERVER)
async def test_wait_closed_several_waiters(trial: Trial) -> None:
    served = await trial.serve()
    waiting = [trial.start(served.server.wait_closed()) for _ in range(3)]
    await trial.turns()
    served.server.close()
    await asyncio.wait(waiting)


@clause("server.wait-closed.cancelled-alone", roles=SERVER)
async def test_wait_closed_cancelled_alone(trial: Trial) -> None:
    served = await trial.serve()
    impatient, patient = (trial.start(served.server.wait_closed()) for _ in range(2))
    await trial.turns()
    impatient.cancel()
    await asyncio.wait([impatient])
    expect_pending(patient, "the other wait_closed()")
    served.server.close()
    await patient
    await served.server.wait_closed()


@clause("server.wait-closed.cancelled.raises", roles=SERVER)
async def test_wait_closed_cancelled(trial: Trial) -> None:
    served = await trial.serve()
    await trial.accept(served)  # it stays
    for is_closed in (False, True):
        if is_closed:
            served.server.close()
        waiting = await trial.cancelled(served.server.wait_closed())
        expect(waiting.cancelled(), True, "wait_closed() cancelled:")


@clause("server.close.in-a-handler", networks=PLAIN, roles=SERVER)
async def test_close_in_a_handler(trial: Trial) -> None:
    async def coroutine(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain(_, writer)

    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        servers[-1].close()
        writer.write(b"closed")
        writer.close()

    for handler in (plain, coroutine):
        servers = [(await trial.serve(handler)).server]
        address = servers[-1].sockets[0].getsockname()
        wire = await trial.dial(servers[-1])
        expect(await wire.receive_rest(), b"closed")
        await wire.close()
        await expect_not_served(trial, family_at(address), address)
        await servers[-1].wait_closed()
    expect(trial.reported, [], "reported:")


@clause("server.close-clients.closes", networks=PLAIN, roles=SERVER)
async def test_close_clients_again(trial: Trial) -> None:
    served = await trial.serve()
    for _ in range(3):
        connection = await trial.accept(served)
        _close_clients(served)
        expect(await connection.wire.receive_rest(), b"", "before the end:")


@clause("server.close-clients.closes", networks=PLAIN, roles=SERVER)
async def test_close_clients(trial: Trial) -> None:
    served = await trial.serve()
    connections = [await trial.accept(served) for _ in range(2)]
    served.server.close()
    _close_clients(served)
    for connection in connections:
        expect(await connection.wire.receive_rest(), b"", "before the end:")


@clause("server.close-clients.goes-on", roles=SERVER)
async def test_close_clients_goes_on_serving(trial: Trial) -> None:
    served = await trial.serve()
    _, _, wire = await trial.accept(served)
    _close_clients(served)
    data, _ = await wire.receive_to_end()
    expect(data, b"", "before the end:")
    expect(served.server.is_serving(), True, "is_serving()")
    await expect_talk(await trial.accept(served))


@clause("server.close-clients.closes", networks=TLS, roles=SERVER)
async def test_close_clients_that_speak_tls(trial: Trial) -> None:
    served = await trial.serve()
    connections = [await trial.accept(served) for _ in range(2)]
    served.server.close()
    _close_clients(served)
    for connection in connections:
        await connection.wire.receive_to_end()  # hangs if it is left open
        await connection.wire.close()
    await served.server.wait_closed()


@clause("server.close-clients.closes", networks=TLS, roles=SERVER)
async def test_close_clients_that_ended_with_much_unread(trial: Trial) -> None:
    served = await trial.serve(limit=10)
    reader, writer, wire = await trial.accept(served)
    writer.write(b"hello")
    await wire.receive(5)  # and the data that TLS sends first: closing with unread data is a reset
    await wire.send(pattern(1000))
    await reader.readexactly(1)
    await wire.send(pattern(1000))
    await wire.close()
    await wire.settle()
    served.server.close()
    _close_clients(served)
    await served.server.wait_closed()  # hangs if it is left open


@clause("server.close-clients.tls-shutdown", networks=TLS, roles=SERVER)
async def test_close_clients_shuts_tls_down(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    writer.write(b"the last words")
    served.server.close()
    _close_clients(served)
    expect(await wire.receive_to_end(), (b"the last words", "eof"), "what arrives, and its end:")


@clause("server.close-clients.flushes", networks=PLAIN, roles=SERVER)
async def test_close_clients_flushes(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    data = overfill(trial)
    writer.write(data)
    served.server.close()
    _close_clients(served)
    await trial.turns()
    received = await wire.receive_rest()
    expect(len(received), len(data), "bytes on the wire:")
    expect(received, data, "at the far end")


@clause("server.abort-clients.ends-at-once", roles=SERVER)
async def test_abort_clients(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    data = overfill(trial)
    writer.write(data)
    served.server.close()
    _abort_clients(served)
    await trial.turns()
    received, _ = await wire.receive_to_end()
    expect_that(len(received) < len(data), "a part to be dropped", "all that was written")


@clause("server.abort-clients.ends-at-once", roles=SERVER)
async def test_abort_clients_that_do_nothing(trial: Trial) -> None:
    served = await trial.serve()
    connections = [await trial.accept(served) for _ in range(2)]
    served.server.close()
    _abort_clients(served)
    for connection in connections:
        await connection.wire.receive_to_end()
    await served.server.wait_closed()


@clause("server.abort-clients.ends-at-once", roles=SERVER)
async def test_abort_clients_that_are_being_closed(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, wire = await trial.accept(served)
    data = overfill(trial)
    writer.write(data)
    writer.close()
    served.server.close()
    _close_clients(served)
    _abort_clients(served)
    await trial.turns()
    received, _ = await wire.receive_to_end()
    expect_that(len(received) < len(data), "a part to be dropped", "all that was written")


def _close_clients(served: Served) -> None:
    served.server.close_clients()  # type: ignore[attr-defined]  # since 3.13


def _abort_clients(served: Served) -> None:
    served.server.abort_clients()  # type: ignore[attr-defined]  # since 3.13


# As a context manager.


@clause("server.async-with.gives-the-server", roles=SERVER)
async def test_async_with_gives_the_server(trial: Trial) -> None:
    served = await trial.serve()
    async with served.server as given:
        expect_that(given is served.server, f"the object itself, {served.server!r}", given)


@clause("server.async-with.closes", roles=SERVER)
async def test_async_with_closes(trial: Trial) -> None:
    served = await trial.serve()
    async with served.server:
        address = served.server.sockets[0].getsockname()
        expect(served.server.is_serving(), True, "is_serving() inside:")
    await expect_closed(trial, served, address)


@clause("server.async-with.exception", roles=SERVER)
async def test_async_with_exception(trial: Trial) -> None:
    served = await trial.serve()
    address = served.server.sockets[0].getsockname()
    with expect_raises(KeyError):
        async with served.server:
            raise KeyError
    await expect_closed(trial, served, address)


@clause("server.lives-unreferenced", networks=PLAIN, roles=SERVER)
async def test_lives_unreferenced(trial: Trial) -> None:
    served = Served()
    address, close = await start_and_forget(trial, served)
    _, close_another = await start_and_forget(trial, served)  # it does not replace the exception
    await trial.turns()
    gc.collect()
    wire = await carrier(trial).connected(family_at(address), address)
    reader, writer = await served.pairs.get()
    await expect_talk(Connection(reader, writer, wire))
    writer.close()
    await wire.close()
    close()
    close_another()


async def start_and_forget(trial: Trial, served: Served) -> tuple[Any, Callable[[], None]]:
    """Start a server without keeping it; return its address, and a function that closes it."""
    server = await trial.network.serve(trial.streams, served.accepted)
    try:
        forgotten = weakref.ref(server)
    except TypeError:  # weak references are not required: then the trial's end closes it
        return server.sockets[0].getsockname(), lambda: None

    def close() -> None:
        server = forgotten()
        if server is not None:
            server.close()

    return server.sockets[0].getsockname(), close
