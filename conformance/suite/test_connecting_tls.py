"""`open_connection()`: its arguments on TLS."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from typing import Any

from conformance.harness.addresses import (
    SecureListener,
    address_of,
    bound,
    carrier,
    carrier_of,
    connected_socket,
    stall,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, INTERNET, TLS, VIRTUAL, clause
from conformance.harness.expect import expect, expect_error, expect_that
from conformance.harness.expectations import expect_done_after, expect_talk, unanswered
from conformance.harness.leaks import expect_no_new_socket, open_sockets
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Connection, Trial
from conformance.networks.base import ClientOptions, Listener
from conformance.networks.tls import (
    HOST_NAME,
    OTHER_HOST_NAME,
    TlsWire,
    client_context,
    server_context,
    stranger,
    trusted_by_the_system,
)
from conformance.networks.wire import Wire


def unchecking_context() -> ssl.SSLContext:
    """Return a client's context that trusts the authority and checks no names."""
    context = client_context()
    context.check_hostname = False
    return context


@clause("connecting.ssl.none", networks=INTERNET, roles=CLIENT)
async def test_ssl_none(trial: Trial) -> None:
    listener = await trial.listen()
    for absent in (None, False):
        _, writer, wire = await trial.open(listener, ssl=absent)
        writer.write(b"plain")
        expect(await wire.receive(5), b"plain")


@clause("connecting.ssl.context", networks=TLS, roles=CLIENT)
async def test_ssl_context(trial: Trial) -> None:
    # Several contexts would connect; only the given one speaks this protocol.
    ours, theirs = client_context(), server_context()
    ours.set_alpn_protocols(["streams/2"])
    theirs.set_alpn_protocols(["streams/1", "streams/2"])
    connection = await trial.open(SecureListener(await trial.listen(), theirs), ssl=ours)
    assert isinstance(connection.wire, TlsWire)
    expect(connection.wire.tls.selected_alpn_protocol(), "streams/2", "protocol agreed on:")
    await expect_talk(connection)


@clause("connecting.ssl.over-sock", networks=TLS, roles=CLIENT)
async def test_ssl_over_sock(trial: Trial) -> None:
    listener = await trial.listen()
    sock = await connected_socket(trial, listener)
    accepting = trial.start(listener.accept())
    reader, writer = await trial.streams.open_connection(
        sock=sock, ssl=client_context(), server_hostname=HOST_NAME
    )
    with closing(writer):
        async with closing_wire(await accepting) as wire:
            await expect_talk(Connection(reader, writer, wire))


@clause("connecting.ssl.certificate-refused", networks=TLS, roles=CLIENT)
async def test_certificate_refused(trial: Trial) -> None:
    await expect_refused(trial, server_context(stranger()))


@clause("connecting.ssl.failure-closes", networks=TLS, roles=CLIENT)
async def test_failure_closes(trial: Trial) -> None:
    listener = await trial.listen()
    connecting = trial.start(_open(trial, listener, ssl=client_context()))
    async with closing_wire(await carrier_of(listener).accept()) as below:
        wire = TlsWire(below, server_context(stranger()), server_side=True)
        await _handshake_refused(wire)
        await expect_error(Exception, connecting)
        await below.receive_to_end()  # hangs if the connection is left open


@clause("connecting.ssl.true.verifies", networks=TLS, roles=CLIENT)
async def test_ssl_true_refuses_strangers(trial: Trial) -> None:
    # The system's authorities are not those of the suite.
    await expect_refused(trial, server_context(), ssl=True)


@clause("connecting.ssl.true.verifies", networks=TLS, roles=CLIENT)
async def test_ssl_true_accepts_the_trusted(trial: Trial) -> None:
    listener = await trial.listen()
    with trusted_by_the_system():
        await expect_talk(await trial.open(listener, ssl=True))


@clause("connecting.ssl.server-hostname.overrides", networks=TLS, roles=CLIENT)
async def test_server_hostname_that_matches(trial: Trial) -> None:
    await expect_server_hostname_verified(trial)


@clause("connecting.ssl.server-hostname.overrides", networks=TLS, roles=CLIENT)
async def test_server_hostname_that_does_not_match(trial: Trial) -> None:
    host = address_of(await trial.listen())[0]
    context = server_context(name=host)  # its certificate is for the host, not for the name
    await expect_refused(trial, context, server_hostname=OTHER_HOST_NAME)


@clause("connecting.ssl.server-hostname.defaults-to-host", networks=TLS, roles=CLIENT)
async def test_host_that_matches(trial: Trial) -> None:
    await expect_host_verified(trial)


@clause("connecting.ssl.server-hostname.defaults-to-host", networks=TLS, roles=CLIENT)
async def test_host_that_does_not_match(trial: Trial) -> None:
    await expect_refused(trial, server_context(), server_hostname=None)


@clause("connecting.happy-eyeballs.other-arguments", networks=TLS, roles=CLIENT)
async def test_names_with_happy_eyeballs(trial: Trial) -> None:
    await expect_server_hostname_verified(trial, happy_eyeballs_delay=0.01)
    await expect_host_verified(trial, happy_eyeballs_delay=0.01)


async def expect_server_hostname_verified(trial: Trial, **options: Any) -> None:
    """Expect a certificate for `server_hostname`, and not for the host, to be accepted."""
    listener = await trial.listen()  # at an address for which the certificate is not valid
    await expect_talk(await trial.open(listener, server_hostname=HOST_NAME, **options))


async def expect_host_verified(trial: Trial, **options: Any) -> None:
    """Expect a certificate for the host to be accepted without a `server_hostname`."""
    listener = await trial.listen()
    secure = SecureListener(listener, server_context(name=address_of(listener)[0]))
    await expect_talk(await trial.open(secure, server_hostname=None, **options))


@clause("connecting.ssl.server-hostname.is-announced", networks=TLS, roles=CLIENT)
async def test_server_hostname_is_announced(trial: Trial) -> None:
    announced: list[str | None] = []
    context = server_context()
    context.sni_callback = lambda _, name, __: announced.append(name)
    listener = SecureListener(await trial.listen(), context)
    await trial.open(listener, server_hostname=HOST_NAME)
    expect(announced, [HOST_NAME], "names announced:")


@clause("connecting.ssl.server-hostname.empty", networks=TLS, roles=CLIENT)
async def test_server_hostname_empty(trial: Trial) -> None:
    listener = await trial.listen()
    await expect_talk(await trial.open(listener, ssl=unchecking_context(), server_hostname=""))


@clause("connecting.ssl.server-hostname.required-to-check", networks=TLS, roles=CLIENT)
async def test_server_hostname_required_to_check(trial: Trial) -> None:
    listener = await trial.listen()
    with await connected_socket(trial, listener) as sock:
        await expect_error(
            ValueError, trial.streams.open_connection(sock=sock, ssl=client_context())
        )


@clause("connecting.ssl.server-hostname.required-without-host", networks=TLS, roles=CLIENT)
async def test_server_hostname_required_without_host(trial: Trial) -> None:
    listener = await trial.listen()
    with await connected_socket(trial, listener) as sock:
        await expect_error(
            ValueError, trial.streams.open_connection(sock=sock, ssl=unchecking_context())
        )


@clause("connecting.ssl.server-hostname.without-ssl", networks=INTERNET, roles=CLIENT)
async def test_server_hostname_without_ssl(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    await expect_error(
        ValueError, trial.streams.open_connection(host, port, server_hostname=HOST_NAME)
    )


@clause("connecting.ssl.handshake-timeout", networks=TLS, roles=CLIENT)
async def test_handshake_timeout(trial: Trial) -> None:
    listener = await trial.listen()
    connecting = trial.start(_open(trial, listener, ssl_handshake_timeout=0.05))
    async with closing_wire(await carrier_of(listener).accept()):  # which says nothing
        await expect_error(Exception, connecting)


@clause("connecting.ssl.handshake-timeout", networks=VIRTUAL, roles=CLIENT)
async def test_handshake_timeout_is_that_of_the_handshake(trial: Trial) -> None:
    # The time before there is a connection does not count.
    hosts = ("127.0.0.2", "127.0.0.3")
    with ExitStack() as stack:
        port, (silent, answering) = stack.enter_context(bound(trial, *hosts))
        stack.enter_context(resolving(trial, *hosts))
        await stall(trial, silent, stack)
        answering.listen()
        tls: dict[str, Any] = {"ssl": client_context(), "server_hostname": HOST_NAME}
        times = {"happy_eyeballs_delay": 5.0, "ssl_handshake_timeout": 2.0}
        opening = trial.start(trial.streams.open_connection(NAME, port, **tls, **times))
        accepting = trial.start(trial.loop.sock_accept(answering))
        await asyncio.wait([opening, accepting], return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            accepting.cancel()
            await opening
        below = carrier(trial).wire((await accepting)[0])
        wire = TlsWire(below, server_context(), server_side=True)
        async with closing_wire(wire):
            await wire.handshake()
            reader, writer = await opening
            with closing(writer):
                await expect_talk(Connection(reader, writer, wire))


@clause("connecting.ssl.handshake-timeout.closes", networks=TLS, roles=CLIENT)
async def test_handshake_timeout_closes(trial: Trial) -> None:
    for open_ in (_open, _open_by_socket):
        listener = await trial.listen()
        connecting = trial.start(open_(trial, listener, ssl_handshake_timeout=0.05))
        async with closing_wire(await carrier_of(listener).accept()) as below:
            await expect_error(Exception, connecting)
            await below.receive_to_end()  # hangs if the connection is left open


@clause("connecting.ssl.shutdown-timeout", networks=TLS, roles=CLIENT)
async def test_shutdown_timeout(trial: Trial) -> None:
    _, writer, wire = await trial.connect(ssl_shutdown_timeout=0.05)
    assert isinstance(wire, TlsWire)
    writer.close()
    await wire.carrier.receive_to_end()  # not answered; a hang where the timeout has no effect


@clause("connecting.ssl.handshake-timeout.default", networks=VIRTUAL, roles=CLIENT)
async def test_handshake_timeout_default(trial: Trial) -> None:
    for open_, more in (*WAYS, BY_HAPPY_EYEBALLS):
        listener = await trial.listen()
        connecting = trial.start(open_(trial, listener, **more))
        async with closing_wire(await carrier_of(listener).accept()):  # which says nothing
            await expect_done_after(trial, 60, connecting)
            await expect_error(Exception, connecting)


@clause("connecting.ssl.shutdown-timeout.default", networks=VIRTUAL, roles=CLIENT)
async def test_shutdown_timeout_default(trial: Trial) -> None:
    for more in (ClientOptions(), ClientOptions(ssl=True)):
        with trusted_by_the_system():
            _, writer, wire = await trial.open(await trial.listen(), **more)
        await expect_shut_down_by_default(trial, writer, wire)


@clause("connecting.ssl.shutdown-timeout.default", networks=VIRTUAL, roles=CLIENT)
async def test_shutdown_timeout_default_with_happy_eyeballs(trial: Trial) -> None:
    _, writer, wire = await trial.open(await trial.listen(), happy_eyeballs_delay=0.25)
    await expect_shut_down_by_default(trial, writer, wire)


@clause("connecting.ssl.shutdown-timeout.default", networks=VIRTUAL, roles=CLIENT)
async def test_shutdown_timeout_default_with_a_socket(trial: Trial) -> None:
    listener = await trial.listen()
    accepting = trial.start(listener.accept())
    _, writer = await trial.streams.open_connection(
        sock=await connected_socket(trial, listener),
        ssl=client_context(),
        server_hostname=HOST_NAME,
    )
    async with closing_wire(await accepting) as wire:
        await expect_shut_down_by_default(trial, writer, wire)


async def expect_shut_down_by_default(
    trial: Trial, writer: asyncio.StreamWriter, wire: Wire
) -> None:
    """Expect a closed connection whose far end answers nothing to last for 30 seconds."""
    assert isinstance(wire, TlsWire)
    writer.close()
    await expect_done_after(trial, 30, await unanswered(trial, wire.carrier))


@clause("connecting.ssl.timeouts.without-ssl", networks=INTERNET, roles=CLIENT)
async def test_timeouts_without_ssl(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    for option in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
        await expect_error(ValueError, trial.streams.open_connection(host, port, **{option: 5.0}))


@clause("connecting.ssl.timeouts.not-positive", networks=TLS, roles=CLIENT)
async def test_timeouts_not_positive(trial: Trial) -> None:
    listener = await trial.listen()
    for option in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
        for seconds in (0, -1.0):
            await expect_error(ValueError, _open(trial, listener, **{option: seconds}))


@clause("connecting.cancelled.in-the-handshake", networks=TLS, roles=CLIENT)
async def test_cancelled_in_the_handshake(trial: Trial) -> None:
    listener = await trial.listen()
    connecting = trial.start(_open(trial, listener))
    async with closing_wire(await carrier_of(listener).accept()) as below:
        await below.receive_some()  # its part of the handshake has begun
        connecting.cancel()
        await asyncio.wait([connecting])
        expect(connecting.cancelled(), True, "cancelled:")
        await below.receive_to_end()  # hangs if the connection is left open


@clause("connecting.cancelled.in-the-handshake", networks=TLS, roles=CLIENT)
async def test_cancelled_in_the_handshake_leaves_nothing_open(trial: Trial) -> None:
    listener = await trial.listen()
    before = open_sockets(trial)
    connecting = trial.start(_open(trial, listener))
    async with closing_wire(await carrier_of(listener).accept()) as below:
        await below.receive_some()
        connecting.cancel()
        await asyncio.wait([connecting])
    await expect_no_new_socket(trial, before)


async def expect_refused(trial: Trial, far_end: ssl.SSLContext, **options: Any) -> Any:
    """Expect a connection with `options`, to a far end with that context, to fail verification.

    Returns:
        The exception.
    """
    return await _refused(trial, far_end, _open, **options)


async def _refused(
    trial: Trial,
    far_end: ssl.SSLContext,
    open_: Callable[..., Coroutine[Any, Any, None]],
    **options: Any,
) -> Any:
    """Return the exception that `open_` raises with a far end that it has to refuse."""
    listener = await trial.listen()
    connecting = trial.start(open_(trial, listener, **options))
    async with closing_wire(await carrier_of(listener).accept()) as below:
        await _handshake_refused(TlsWire(below, far_end, server_side=True))
        return await expect_error(Exception, connecting)


async def _handshake_refused(wire: TlsWire) -> None:
    """Do the far end's part of a handshake that the implementation has to refuse."""
    try:
        await wire.handshake()
        await wire.receive_some()  # in TLS 1.3 the refusal comes after the far end's last message
    except (ssl.SSLError, ConnectionError):
        pass
    else:
        expect_that(False, "the certificate to be refused", "a completed handshake")


async def _open(trial: Trial, listener: Listener, **options: Any) -> None:
    """Connect, and expect an error; close a connection that is made all the same."""
    _, writer = await trial.network.open(trial.streams, listener, **options)
    with closing(writer):
        pass


async def _open_by_socket(trial: Trial, listener: Listener, **options: Any) -> None:
    """Connect with a socket, and expect an error."""
    tls: dict[str, Any] = {"ssl": client_context(), "server_hostname": HOST_NAME}
    sock = await connected_socket(trial, listener)
    _, writer = await trial.streams.open_connection(sock=sock, **(tls | options))
    writer.close()


Way = tuple[Callable[..., Coroutine[Any, Any, None]], dict[str, Any]]

WAYS: tuple[Way, ...] = (
    (_open, {}),
    (_open, {"ssl": True}),
    (_open_by_socket, {}),
    (_open_by_socket, {"ssl": True}),
)
"""The ways to open a TLS connection on every event loop."""

BY_HAPPY_EYEBALLS: Way = (_open, {"happy_eyeballs_delay": 0.25})
"""A way that some event loops do not have."""


@clause("connecting.ssl.certificate-refused.class", networks=TLS, roles=CLIENT)
async def test_class_of_a_refused_certificate(trial: Trial) -> None:
    await expect_class_of_refused_certificate(trial, *WAYS)


@clause("connecting.ssl.certificate-refused.class", networks=TLS, roles=CLIENT)
async def test_class_of_a_refused_certificate_by_happy_eyeballs(trial: Trial) -> None:
    await expect_class_of_refused_certificate(trial, BY_HAPPY_EYEBALLS)


async def expect_class_of_refused_certificate(trial: Trial, *ways: Way) -> None:
    """Expect SSLCertVerificationError, whichever way is taken."""
    for open_, more in ways:
        error = await _refused(
            trial, server_context(), open_, server_hostname=OTHER_HOST_NAME, **more
        )
        is_one = isinstance(error, ssl.SSLCertVerificationError)
        expect_that(is_one, "SSLCertVerificationError to be raised", error)


@clause("connecting.ssl.handshake-timeout.class", networks=TLS, roles=CLIENT)
async def test_class_of_a_handshake_timeout(trial: Trial) -> None:
    await expect_class_of_handshake_timeout(trial, *WAYS)


@clause("connecting.ssl.handshake-timeout.class", networks=TLS, roles=CLIENT)
async def test_class_of_a_handshake_timeout_by_happy_eyeballs(trial: Trial) -> None:
    await expect_class_of_handshake_timeout(trial, BY_HAPPY_EYEBALLS)


async def expect_class_of_handshake_timeout(trial: Trial, *ways: Way) -> None:
    """Expect OSError, whichever way is taken."""
    for open_, more in ways:
        listener = await trial.listen()
        connecting = trial.start(open_(trial, listener, ssl_handshake_timeout=0.05, **more))
        async with closing_wire(await carrier_of(listener).accept()):  # which says nothing
            await expect_error(OSError, connecting)
