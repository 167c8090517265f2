"""`start_server()`: its arguments for TLS."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from typing import Any

from conformance.harness.addresses import bound_socket, carrier
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import INTERNET, SERVER, TLS, UNIX, VIRTUAL, clause
from conformance.harness.expect import expect, expect_error, expect_raises
from conformance.harness.expectations import expect_done_after, expect_talk, unanswered
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context
from conformance.networks.wire import Wire

MANY = 20  # clients: fewer than the backlog by default


@clause("serving.ssl.none", networks=INTERNET, roles=SERVER)
async def test_ssl_none(trial: Trial) -> None:
    _, writer, wire = await trial.connect(ssl=None)
    writer.write(b"plain")
    expect(await wire.receive(5), b"plain")


@clause("serving.ssl.context", networks=TLS, roles=SERVER)
async def test_ssl_context(trial: Trial) -> None:
    # Several contexts would serve; only the given one speaks this protocol.
    ours, theirs = server_context(), client_context()
    ours.set_alpn_protocols(["streams/2"])
    theirs.set_alpn_protocols(["streams/1", "streams/2"])
    served = await trial.serve(ssl=ours)
    async with closing_wire(await carrier(trial).dial(served.server)) as below:
        wire = TlsWire(below, theirs, server_side=False, server_hostname=HOST_NAME)
        await wire.handshake()
        expect(wire.tls.selected_alpn_protocol(), "streams/2", "protocol agreed on:")


@clause("serving.ssl.context", networks=TLS, roles=SERVER)
async def test_ssl_context_serves_everyone(trial: Trial) -> None:
    served = await trial.serve(ssl=server_context())
    for _ in range(2):
        await expect_talk(await trial.accept(served))


@clause("serving.ssl.no-context", networks=INTERNET, roles=SERVER)
async def test_ssl_no_context(trial: Trial) -> None:
    with expect_raises(TypeError):
        await trial.serve(ssl=True)


@clause("serving.ssl.failed-handshake-harms-nobody", networks=TLS, roles=SERVER)
async def test_failed_handshake_harms_nobody(trial: Trial) -> None:
    served = await trial.serve()
    for _ in range(MANY):
        async with closing_wire(await carrier(trial).dial(served.server)) as scanner:
            await scanner.send(b"GET / HTTP/1.0\r\n\r\n")
            await scanner.receive_to_end()  # hangs if it is left connected
        expect(served.pairs.qsize(), 0, "clients after a failed handshake:")
    await expect_talk(await trial.accept(served))


@clause("serving.ssl.failed-handshake-harms-nobody", networks=TLS, roles=SERVER)
async def test_client_that_trusts_nobody_harms_nobody(trial: Trial) -> None:
    served = await trial.serve()
    async with closing_wire(await carrier(trial).dial(served.server)) as below:
        distrustful = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # In TLS 1.3 the client's refusal comes after the server's part is done.
        distrustful.maximum_version = ssl.TLSVersion.TLSv1_2
        wire = TlsWire(below, distrustful, server_side=False, server_hostname=HOST_NAME)
        await expect_error(ssl.SSLError, wire.handshake())
        await below.receive_to_end()
        expect(served.pairs.qsize(), 0, "clients after a failed handshake:")
        await expect_talk(await trial.accept(served))


@clause("serving.ssl.failed-handshake-harms-nobody", networks=TLS, roles=SERVER)
async def test_stalled_handshakes_harm_nobody(trial: Trial) -> None:
    served = await trial.serve()
    async with stalled(await carrier(trial).dial(served.server) for _ in range(MANY)):
        await expect_talk(await trial.accept(served))
    expect(served.pairs.qsize(), 0, "clients without a handshake:")


@clause("unix.serve.ssl.failed-handshake", networks=UNIX, roles=SERVER)
async def test_stalled_handshakes_harm_nobody_on_unix_sockets(trial: Trial) -> None:
    served = await trial.serve(ssl=server_context())
    async with (
        stalled(await trial.network.dial(served.server) for _ in range(MANY)),
        closing_wire(await trial.network.dial(served.server)) as below,
    ):
        wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
        await wire.handshake()
        reader, writer = await served.pairs.get()
        await expect_talk(Connection(reader, writer, wire))
        writer.close()
    expect(served.pairs.qsize(), 0, "clients without a handshake:")


@asynccontextmanager
async def stalled(wires: AsyncIterator[Wire]) -> AsyncIterator[None]:
    """Let handshakes of clients stall: before, in and after their first message."""
    async with AsyncExitStack() as stack:
        first, second, third, *_ = [
            await stack.enter_async_context(closing_wire(each)) async for each in wires
        ]
        shaking = TlsWire(first, client_context(), server_side=False, server_hostname=HOST_NAME)
        with suppress(ssl.SSLWantReadError):
            shaking.tls.do_handshake()
        message = shaking.outgoing.read()
        await second.send(message[:100])
        await third.send(message)
        for each in (first, second, third):
            await each.settle()
        yield


@clause("serving.ssl.handshake-timeout", networks=TLS, roles=SERVER)
async def test_handshake_timeout(trial: Trial) -> None:
    served: Served = await trial.serve(ssl_handshake_timeout=0.05)
    async with closing_wire(await carrier(trial).dial(served.server)) as silent:
        await silent.receive_to_end()  # hangs if the timeout has no effect
        expect(served.pairs.qsize(), 0, "clients without a handshake:")


@clause("serving.ssl.shutdown-timeout", networks=TLS, roles=SERVER)
async def test_shutdown_timeout(trial: Trial) -> None:
    _, writer, wire = await trial.connect(ssl_shutdown_timeout=0.05)
    assert isinstance(wire, TlsWire)
    writer.close()
    await wire.carrier.receive_to_end()  # not answered; a hang where the timeout has no effect


@clause("serving.ssl.handshake-timeout.default", networks=VIRTUAL, roles=SERVER)
async def test_handshake_timeout_default(trial: Trial) -> None:
    async for served in served_in_each_way(trial):
        async with closing_wire(await carrier(trial).dial(served.server)) as silent:
            await expect_done_after(trial, 60, trial.start(silent.receive_to_end()))


@clause("serving.ssl.shutdown-timeout.default", networks=VIRTUAL, roles=SERVER)
async def test_shutdown_timeout_default(trial: Trial) -> None:
    async for served in served_in_each_way(trial):
        _, writer, wire = await trial.accept(served)
        assert isinstance(wire, TlsWire)
        writer.close()
        await expect_done_after(trial, 30, await unanswered(trial, wire.carrier))


async def served_in_each_way(trial: Trial) -> AsyncIterator[Served]:
    """Yield servers that speak TLS at a host, at several and on a socket."""
    ways: tuple[dict[str, Any], ...] = (
        {"host": "127.0.0.1", "port": 0},
        {"host": ["127.0.0.1", "127.0.0.2"], "port": 0},
        {"sock": bound_socket(trial)},
    )
    for address in ways:
        served = Served()
        starting = trial.streams.start_server(served.accepted, ssl=server_context(), **address)
        with closing(await starting) as served.server:
            yield served


@clause("serving.ssl.timeouts.without-ssl", networks=INTERNET, roles=SERVER)
async def test_timeouts_without_ssl(trial: Trial) -> None:
    with expect_raises(ValueError):
        await trial.serve(ssl_handshake_timeout=5.0)
    with expect_raises(ValueError):
        await trial.serve(ssl_shutdown_timeout=5.0)
