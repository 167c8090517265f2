"""The purpose of TLS: a far end with the wrong identity gets no connection, in any way to TLS.

Each way to make a TLS connection is tried with a correct far end, and then with far ends that have
one fault each. The tests run on networks without TLS, and add their own TLS.
"""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Literal, NamedTuple

from conformance.errors import Deviation
from conformance.harness.addresses import address_of, bound_socket, connected_socket
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import (
    CLIENT,
    INTERNET,
    PLAIN,
    SERVER,
    TLS,
    UNIX,
    UPGRADED,
    clause,
)
from conformance.harness.expect import expect, expect_that
from conformance.harness.expectations import expect_talk
from conformance.harness.resolving import NAME, resolving
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.base import Listener
from conformance.networks.tls import (
    FOR_CLIENTS,
    FOR_SERVERS,
    HOST_NAME,
    OTHER_HOST_NAME,
    TlsWire,
    ask_for_certificate,
    authority,
    client_context,
    server_context,
    show_certificate,
    show_own_signature,
    show_strange_authority,
    stranger,
    trusted_by_the_system,
)
from conformance.networks.wire import Wire

GREETING = b"for the right one only"
REFUSED = (ssl.SSLError, ConnectionError)

OTHER_NAMES = (
    OTHER_HOST_NAME,
    *(f"www.{HOST_NAME}", f"not-{HOST_NAME}", f"{HOST_NAME}.{OTHER_HOST_NAME}"),
    HOST_NAME.partition(".")[2],
)
"""Names of others, which may look like `HOST_NAME`: they contain it, or are a part of it."""

ANONYMOUS = (
    ("that is signed with its own key", show_own_signature),
    ("by an authority that the peer shows as well", show_strange_authority),
)
"""Certificates that vouch for themselves, and how a context shows them."""


# Settings that have no protocol version in common.


def modern(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let `context` speak no version before TLS 1.3, and return it."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let `context` speak no version after TLS 1.2, and return it."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


# The implementation is the client. A way opens a TLS connection to a listener without TLS.

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Opening = Callable[..., Coroutine[Any, Any, Pair]]


async def by_address(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect to a host and a port, or to a path."""
    return await trial.network.open(trial.streams, listener, **options)


async def by_happy_eyeballs(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect with `happy_eyeballs_delay`."""
    return await trial.network.open(trial.streams, listener, happy_eyeballs_delay=0.25, **options)


async def by_socket(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect with a socket that is connected already."""
    sock = await connected_socket(trial, listener)
    if trial.network.name in UNIX:
        return await trial.streams.open_unix_connection(sock=sock, **options)
    return await trial.streams.open_connection(sock=sock, **options)


async def by_all_arguments(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect to a host and a port, with every argument that can be given with them."""
    more: dict[str, Any] = {
        "limit": 100,
        "family": socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST,
        "local_addr": ("127.0.0.1", 0),
        "interleave": 1,
        "ssl_handshake_timeout": 100.0,
        "ssl_shutdown_timeout": 100.0,
    }
    return await by_address(trial, listener, **more, **options)


async def by_the_second_address(trial: Trial, listener: Listener, **options: Any) -> Any:
    """Connect to a name, of whose addresses the first refuses."""
    host, port = address_of(listener)
    with resolving(trial, "127.0.0.9", host):
        return await trial.streams.open_connection(NAME, port, **options)


async def by_upgrade(
    trial: Trial, listener: Listener, *, ssl: ssl.SSLContext, server_hostname: str
) -> Any:
    """Connect without TLS, and upgrade."""
    reader, writer = await trial.network.open(trial.streams, listener)
    try:
        await writer.start_tls(ssl, server_hostname=server_hostname)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def met(trial: Trial, listener: Listener, opening: "asyncio.Task[Any]") -> Wire:
    """Return the far end of a connection that is being opened; raise the opening's exception."""
    accepting = trial.start(listener.accept())
    await asyncio.wait([accepting, opening], return_when=asyncio.FIRST_COMPLETED)
    if not accepting.done():
        accepting.cancel()
        await opening
    wire = await accepting
    if not opening.done():
        await trial.turns()  # an upgrade begins: early handshakes have clauses of their own
    return wire


@asynccontextmanager
async def opened(
    trial: Trial, way: Opening, far_end: ssl.SSLContext, **options: Any
) -> AsyncIterator[Connection]:
    """Let the implementation open a connection to a far end with these TLS settings."""
    listener = await trial.listen()
    opening = trial.start(way(trial, listener, **options))
    async with closing_wire(await met(trial, listener, opening)) as below:
        wire = TlsWire(below, far_end, server_side=True)
        shaking = trial.start(wire.handshake())
        try:
            reader, writer = await opening
            with closing(writer):
                await shaking
                yield Connection(reader, writer, wire)
        finally:
            shaking.cancel()


async def expect_unopened(
    trial: Trial,
    way: Opening,
    what: str,
    far_end: ssl.SSLContext,
    **options: Any,
) -> None:
    """Expect the implementation not to connect to a far end, and to send nothing to it.

    Args:
        trial: the trial.
        way: the way to connect.
        what: the fault of the far end.
        far_end: the far end's TLS settings.
        options: the arguments on TLS.
    """
    listener = await trial.listen()
    opening = trial.start(way(trial, listener, **options))
    async with closing_wire(await met(trial, listener, opening)) as below:
        receiving = trial.start(receive_from_client(TlsWire(below, far_end, server_side=True)))
        try:
            _, writer = await opening
        except Exception:
            expect(await receiving, b"", f"bytes sent to {what}:")  # hangs if it is left open
        else:
            writer.close()
            raise Deviation(f"{what} to be refused", "a connection")


async def receive_from_client(wire: TlsWire) -> bytes:
    """Do a handshake that has to fail; return the data that the client sends all the same."""
    try:
        await wire.handshake()
        data, _ = await wire.receive_to_end()  # in TLS 1.3 the refusal comes only here
    except REFUSED:
        return b""
    return data


async def expect_checked(trial: Trial, way: Opening) -> None:
    """Expect that way to connect to the right far end and to no wrong one, with a context."""
    ours = client_context()  # the same for all: a peer that was accepted before is checked again
    right: dict[str, Any] = {"server_hostname": HOST_NAME}
    async with opened(trial, way, server_context(), ssl=ours, **right) as connection:
        await expect_talk(connection)
    for what, far_end in impostors():
        await expect_unopened(trial, way, what, far_end, ssl=ours, **right)
    # The name may be an address.
    number: dict[str, Any] = {"server_hostname": "192.0.2.1"}
    async with opened(trial, way, server_context(name="192.0.2.1"), ssl=ours, **number):
        pass
    for name in ("192.0.2.2", HOST_NAME):
        far_end = server_context(name=name)
        await expect_unopened(trial, way, f"a certificate for {name}", far_end, ssl=ours, **number)
    # A certificate whose revocation nothing can tell.
    strict = client_context()
    strict.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    what = "a certificate without a list of those revoked"
    await expect_unopened(trial, way, what, server_context(), ssl=strict, **right)
    for what, ours, theirs in (
        ("a peer that is too old", modern(client_context()), old(server_context())),
        ("a peer that is too new", old(client_context()), modern(server_context())),
    ):
        await expect_unopened(trial, way, what, theirs, ssl=ours, **right)


async def expect_unchecked(trial: Trial, way: Opening) -> None:
    """Expect that way to connect to any far end with a context that checks nothing."""
    trusting = client_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    for _, far_end in impostors():
        options = {"ssl": trusting, "server_hostname": HOST_NAME}
        async with opened(trial, way, far_end, **options) as connection:
            await expect_talk(connection)


def antiquated() -> ssl.SSLContext:
    """Return a far end's settings for old versions of TLS, which no default of Python's accepts."""
    context = server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def expect_checked_by_default(trial: Trial, way: Opening) -> None:
    """Expect that way to connect to the right far end and to no wrong one, with `ssl=True`."""
    options: dict[str, Any] = {"server_hostname": HOST_NAME, "ssl": True}
    await expect_unopened(
        trial, way, "an authority that the system does not know", server_context(), **options
    )
    with trusted_by_the_system():
        async with opened(trial, way, server_context(), **options) as connection:
            await expect_talk(connection)
        for what, far_end in (*impostors(), ("a peer that is too old", antiquated())):
            await expect_unopened(trial, way, what, far_end, **options)


def impostors() -> Iterator[tuple[str, ssl.SSLContext]]:
    """Yield the fault of a far end's certificate, and the far end's settings."""
    yield "a certificate by an unknown authority", server_context(stranger())
    for what, show in ANONYMOUS:
        yield f"a certificate {what}", show(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    for name in OTHER_NAMES:
        yield f"a certificate for {name}", server_context(name=name)
    yield "a certificate that has expired", server_context(expired=True)
    yield "a certificate that is not valid yet", server_context(not_yet=True)
    yield "a certificate for clients alone", server_context(purpose=FOR_CLIENTS)


async def expect_certificate_shown(trial: Trial, way: Opening) -> None:
    """Expect the certificate of the context to be shown to a far end that asks for one."""
    far_end = ask_for_certificate(server_context())
    options = {"ssl": show_certificate(client_context()), "server_hostname": HOST_NAME}
    async with opened(trial, way, far_end, **options) as connection:
        await expect_talk(connection)


class OwnContext(ssl.SSLContext):
    """TLS settings of a program's own class."""


async def expect_context_used(trial: Trial, way: Opening) -> None:
    """Expect a context of any class to be the one that a connection is made with, that way."""
    ours = OwnContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(ours)
    ours.set_alpn_protocols(["streams/2"])
    far_end = server_context()
    far_end.set_alpn_protocols(["streams/1", "streams/2"])
    async with opened(trial, way, far_end, ssl=ours, server_hostname=HOST_NAME) as connection:
        await expect_talk(connection)
        expect(agreed_on(connection.wire), "streams/2", "protocol agreed on:")


async def expect_names_unchecked(trial: Trial, way: Opening) -> None:
    """Expect that way to mind the name of a far end only if its context does."""
    ours = client_context()
    ours.check_hostname = False
    options: dict[str, Any] = {"ssl": ours, "server_hostname": HOST_NAME}
    async with opened(trial, way, server_context(name=OTHER_HOST_NAME), **options) as connection:
        await expect_talk(connection)
    what = "a certificate by an unknown authority"
    await expect_unopened(trial, way, what, server_context(stranger()), **options)


async def expect_announced(
    trial: Trial, way: Opening, ours: ssl.SSLContext | Literal[True] | None = None
) -> None:
    """Expect server_hostname to be announced, so that a far end of several names can choose."""
    announced: list[str | None] = []
    far_end = server_context()
    far_end.sni_callback = lambda _, name, __: announced.append(name)
    async with opened(trial, way, far_end, ssl=ours or client_context(), server_hostname=HOST_NAME):
        expect(announced, [HOST_NAME], "names announced:")


async def expect_announced_by_default(trial: Trial, way: Opening) -> None:
    """Expect server_hostname to be announced with `ssl=True`, too."""
    with trusted_by_the_system():
        await expect_announced(trial, way, True)


def agreed_on(wire: Wire) -> str | None:
    """Return the protocol that the far end `wire` has agreed on."""
    assert isinstance(wire, TlsWire)
    return wire.tls.selected_alpn_protocol()


@clause("connecting.ssl.context", networks=INTERNET, roles=CLIENT)
async def test_context_is_used(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_context_used(trial, way)


@clause("connecting.happy-eyeballs.other-arguments", networks=INTERNET, roles=CLIENT)
async def test_context_is_used_by_happy_eyeballs(trial: Trial) -> None:
    await expect_context_used(trial, by_happy_eyeballs)
    await expect_names_unchecked(trial, by_happy_eyeballs)
    await expect_announced(trial, by_happy_eyeballs)
    await expect_announced_by_default(trial, by_happy_eyeballs)


@clause("unix.open.ssl.context", networks=UNIX, roles=CLIENT)
async def test_context_is_used_unix(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_context_used(trial, way)
        await expect_names_unchecked(trial, way)


@clause("start_tls.context", networks=UPGRADED, roles=CLIENT)
async def test_context_is_used_upgraded(trial: Trial) -> None:
    await expect_context_used(trial, by_upgrade)
    await expect_names_unchecked(trial, by_upgrade)


@clause("connecting.ssl.server-hostname.is-announced", networks=INTERNET, roles=CLIENT)
async def test_name_is_announced(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_announced(trial, way)
        await expect_announced_by_default(trial, way)


@clause("unix.open.ssl.server-hostname.is-announced", networks=UNIX, roles=CLIENT)
async def test_name_is_announced_unix(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_announced(trial, way)
        await expect_announced_by_default(trial, way)


@clause("start_tls.server_hostname.is-announced", networks=UPGRADED, roles=CLIENT)
async def test_name_is_announced_upgraded(trial: Trial) -> None:
    await expect_announced(trial, by_upgrade)


@clause("connecting.ssl.checks", networks=INTERNET, roles=CLIENT)
async def test_open(trial: Trial) -> None:
    await expect_checked(trial, by_address)


@clause("connecting.ssl.checks", networks=INTERNET, roles=CLIENT)
async def test_open_with_all_arguments(trial: Trial) -> None:
    await expect_checked(trial, by_all_arguments)


@clause("connecting.ssl.checks", networks=INTERNET, roles=CLIENT)
async def test_open_the_second_address(trial: Trial) -> None:
    await expect_checked(trial, by_the_second_address)


@clause("connecting.ssl.true.checks", networks=INTERNET, roles=CLIENT)
async def test_open_with_true(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_address)


@clause("connecting.ssl.true.checks", networks=INTERNET, roles=CLIENT)
async def test_open_the_second_address_with_true(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_the_second_address)


@clause("connecting.ssl.true.checks", networks=INTERNET, roles=CLIENT)
async def test_open_with_true_and_all_arguments(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_all_arguments)


@clause("connecting.ssl.context", networks=INTERNET, roles=CLIENT)
async def test_context_that_checks_no_names(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_names_unchecked(trial, way)


@clause("connecting.happy-eyeballs.ssl-checks", networks=INTERNET, roles=CLIENT)
async def test_open_by_happy_eyeballs(trial: Trial) -> None:
    await expect_checked(trial, by_happy_eyeballs)
    await expect_certificate_shown(trial, by_happy_eyeballs)


@clause("connecting.happy-eyeballs.ssl-checks", networks=INTERNET, roles=CLIENT)
async def test_open_by_happy_eyeballs_with_true(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_happy_eyeballs)


@clause("connecting.sock.ssl-checks", networks=INTERNET, roles=CLIENT)
async def test_open_by_socket(trial: Trial) -> None:
    await expect_checked(trial, by_socket)


@clause("connecting.sock.ssl-checks", networks=INTERNET, roles=CLIENT)
async def test_open_by_socket_with_true(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_socket)


@clause("unix.open.ssl.checks", networks=UNIX, roles=CLIENT)
async def test_open_unix(trial: Trial) -> None:
    await expect_checked(trial, by_address)


@clause("unix.open.ssl.checks", networks=UNIX, roles=CLIENT)
async def test_open_unix_with_true(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_address)


@clause("unix.open.sock.ssl-checks", networks=UNIX, roles=CLIENT)
async def test_open_unix_by_socket(trial: Trial) -> None:
    await expect_checked(trial, by_socket)


@clause("unix.open.sock.ssl-checks", networks=UNIX, roles=CLIENT)
async def test_open_unix_by_socket_with_true(trial: Trial) -> None:
    await expect_checked_by_default(trial, by_socket)


@clause("start_tls.checks", networks=UPGRADED, roles=CLIENT)
async def test_upgrade(trial: Trial) -> None:
    await expect_checked(trial, by_upgrade)


@clause("start_tls.checks", networks=TLS, roles=CLIENT)
async def test_upgrade_over_tls(trial: Trial) -> None:
    # Some event loops do not offer TLS inside TLS; all refuse a wrong peer.
    for what, far_end in impostors():
        options = {"ssl": client_context(), "server_hostname": HOST_NAME}
        await expect_unopened(trial, by_upgrade, what, far_end, **options)


@clause("tls.context.checks-nothing", networks=PLAIN, roles=CLIENT)
async def test_unchecked(trial: Trial) -> None:
    for way in (by_address, by_socket, by_upgrade):
        await expect_unchecked(trial, way)


@clause("connecting.ssl.client-certificate", networks=INTERNET, roles=CLIENT)
async def test_certificate_shown(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_certificate_shown(trial, way)


@clause("unix.open.ssl.client-certificate", networks=UNIX, roles=CLIENT)
async def test_certificate_shown_unix(trial: Trial) -> None:
    for way in (by_address, by_socket):
        await expect_certificate_shown(trial, way)


@clause("start_tls.client-certificate", networks=UPGRADED, roles=CLIENT)
async def test_certificate_shown_upgraded(trial: Trial) -> None:
    await expect_certificate_shown(trial, by_upgrade)


# The implementation is the server. A way serves TLS, and passes each client to `callback`.

Callback = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
Serving = Callable[..., Awaitable[asyncio.Server]]


async def at_address(trial: Trial, callback: Callback, **options: Any) -> asyncio.Server:
    """Serve at an address."""
    return await trial.network.serve(trial.streams, callback, **options)


async def at_socket(trial: Trial, callback: Callback, **options: Any) -> asyncio.Server:
    """Serve on a socket that is bound already."""
    sock = bound_socket(trial)
    if trial.network.name in UNIX:
        return await trial.streams.start_unix_server(callback, sock=sock, **options)
    return await trial.streams.start_server(callback, sock=sock, **options)


async def at_address_later(trial: Trial, callback: Callback, **options: Any) -> asyncio.Server:
    """Serve at an address, with a server that was not started when it was made."""
    server = await at_address(trial, callback, start_serving=False, **options)
    await server.start_serving()
    return server


async def at_several(trial: Trial, callback: Callback, **options: Any) -> asyncio.Server:
    """Serve at several addresses."""
    return await trial.streams.start_server(callback, ["127.0.0.1", "127.0.0.2"], 0, **options)


async def by_upgrading(trial: Trial, callback: Callback, *, ssl: ssl.SSLContext) -> asyncio.Server:
    """Serve without TLS, and upgrade each connection."""

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(ssl)
        except REFUSED:
            writer.close()
        else:
            callback(reader, writer)

    return await trial.network.serve(trial.streams, upgrade)


class Client(NamedTuple):
    """A far end that wants to be served.

    Attributes:
        what: its fault.
        context: its TLS settings.
        server: the server's.
    """

    what: str
    context: ssl.SSLContext
    server: ssl.SSLContext


async def expect_clients_checked(trial: Trial, way: Serving) -> None:
    """Expect a server that asks for certificates to serve the right client, and no wrong one."""
    ours = ask_for_certificate(server_context())
    await expect_served_over_tls(trial, way, show_certificate(client_context()), ours)
    for what, theirs in (
        ("a client without a certificate", client_context()),
        (
            "a client with a certificate by an unknown authority",
            show_certificate(client_context(), stranger()),
        ),
        *(
            (f"a client with a certificate {what}", show(client_context()))
            for what, show in ANONYMOUS
        ),
        (
            "a client whose certificate has expired",
            show_certificate(client_context(), expired=True),
        ),
        (
            "a client whose certificate is not valid yet",
            show_certificate(client_context(), not_yet=True),
        ),
        (
            "a client whose certificate is for servers alone",
            show_certificate(client_context(), purpose=FOR_SERVERS),
        ),
    ):
        await expect_not_served_over_tls(trial, way, what, theirs, ours)


async def expect_certificates_optional(trial: Trial, way: Serving) -> None:
    """Expect a server with CERT_OPTIONAL to serve clients with no certificate, and no strangers."""
    ours = ask_for_certificate(server_context())
    ours.verify_mode = ssl.CERT_OPTIONAL
    for theirs in (client_context(), show_certificate(client_context())):
        await expect_served_over_tls(trial, way, theirs, ours)
    what = "a client with a certificate by an unknown authority"
    theirs = show_certificate(client_context(), stranger())
    await expect_not_served_over_tls(trial, way, what, theirs, ours)


async def expect_versions_checked(trial: Trial, way: Serving) -> None:
    """Expect a server to serve no client whose protocol versions its context excludes."""
    await expect_served_over_tls(trial, way, client_context(), server_context())
    for what, theirs, ours in (
        ("a client that is too old", old(client_context()), modern(server_context())),
        ("a client that is too new", modern(client_context()), old(server_context())),
    ):
        await expect_not_served_over_tls(trial, way, what, theirs, ours)


@asynccontextmanager
async def dialled(
    trial: Trial, way: Serving, callback: Callback, theirs: ssl.SSLContext, ours: ssl.SSLContext
) -> AsyncIterator[TlsWire]:
    """Connect a far end with the settings `theirs` to a server with the settings `ours`."""
    with closing(await way(trial, callback, ssl=ours)) as server:
        async with closing_wire(await trial.network.dial(server)) as below:
            await trial.turns()  # an upgrade begins: early handshakes have clauses of their own
            yield TlsWire(below, theirs, server_side=False, server_hostname=HOST_NAME)


async def expect_served_over_tls(
    trial: Trial, way: Serving, theirs: ssl.SSLContext, ours: ssl.SSLContext
) -> None:
    """Expect that way to serve a client."""
    served = Served()
    async with dialled(trial, way, served.accepted, theirs, ours) as wire:
        await wire.handshake()
        reader, writer = await served.pairs.get()
        with closing(writer):
            await expect_talk(Connection(reader, writer, wire))


async def expect_not_served_over_tls(
    trial: Trial, way: Serving, what: str, theirs: ssl.SSLContext, ours: ssl.SSLContext
) -> None:
    """Expect that way not to serve a client, and to send it nothing that a handler writes."""
    calls: list[str] = []

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(what)
        writer.write(GREETING)
        writer.close()

    async with dialled(trial, way, greet, theirs, ours) as wire:
        received = b""
        with suppress(*REFUSED):
            await wire.handshake()
            received = await wire.receive_some()  # hangs if it is left connected
        expect(received, b"", f"what {what} received:")
        await wire.settle()
        expect_that(not calls, f"{what} to be refused", "a call of the callback")


async def expect_server_context_used(trial: Trial, way: Serving) -> None:
    """Expect a context of any class to be the one that clients are served with, as it is then."""
    ours = OwnContext(ssl.PROTOCOL_TLS_SERVER)
    show_certificate(ours, name=OTHER_HOST_NAME)
    ours.set_alpn_protocols(["streams/2"])
    served = Served()
    with closing(await way(trial, served.accepted, ssl=ours)) as server:
        # Programs renew a server's certificate so.
        show_certificate(ours)
        theirs = client_context()
        theirs.set_alpn_protocols(["streams/1", "streams/2"])
        async with closing_wire(await trial.network.dial(server)) as below:
            await trial.turns()  # an upgrade begins
            wire = TlsWire(below, theirs, server_side=False, server_hostname=HOST_NAME)
            await wire.handshake()
            reader, writer = await served.pairs.get()
            with closing(writer):
                await expect_talk(Connection(reader, writer, wire))
                expect(agreed_on(wire), "streams/2", "protocol agreed on:")


@clause("serving.ssl.context", networks=INTERNET, roles=SERVER)
async def test_server_context_is_used(trial: Trial) -> None:
    for way in (at_address, at_address_later, at_several):
        await expect_server_context_used(trial, way)


@clause("serving.sock.ssl", networks=INTERNET, roles=SERVER)
async def test_server_context_is_used_at_socket(trial: Trial) -> None:
    await expect_server_context_used(trial, at_socket)


@clause("unix.serve.ssl", networks=UNIX, roles=SERVER)
async def test_server_context_is_used_unix(trial: Trial) -> None:
    await expect_server_context_used(trial, at_address)


@clause("unix.serve.sock.ssl", networks=UNIX, roles=SERVER)
async def test_server_context_is_used_unix_at_socket(trial: Trial) -> None:
    await expect_server_context_used(trial, at_socket)


@clause("start_tls.context", networks=UPGRADED, roles=SERVER)
async def test_server_context_is_used_upgraded(trial: Trial) -> None:
    await expect_server_context_used(trial, by_upgrading)


@clause("start_tls.context", networks=UPGRADED, roles=SERVER)
async def test_certificates_optional_upgraded(trial: Trial) -> None:
    await expect_certificates_optional(trial, by_upgrading)


@clause("serving.ssl.client-certificate", networks=INTERNET, roles=SERVER)
async def test_serve(trial: Trial) -> None:
    await expect_clients_checked(trial, at_address)


@clause("serving.ssl.context", networks=INTERNET, roles=SERVER)
async def test_certificates_optional(trial: Trial) -> None:
    for way in (at_address, at_several):
        await expect_certificates_optional(trial, way)


@clause("serving.ssl.client-certificate", networks=INTERNET, roles=SERVER)
async def test_serve_in_other_ways(trial: Trial) -> None:
    for way in (at_address_later, at_several):
        await expect_clients_checked(trial, way)


@clause("unix.serve.ssl.checks", networks=UNIX, roles=SERVER)
async def test_serve_unix_later(trial: Trial) -> None:
    await expect_clients_checked(trial, at_address_later)


@clause("serving.ssl.versions", networks=INTERNET, roles=SERVER)
async def test_serve_versions(trial: Trial) -> None:
    for way in (at_address, at_address_later, at_several):
        await expect_versions_checked(trial, way)


@clause("serving.sock.ssl", networks=INTERNET, roles=SERVER)
async def test_serve_at_socket(trial: Trial) -> None:
    await expect_clients_checked(trial, at_socket)
    await expect_certificates_optional(trial, at_socket)
    await expect_versions_checked(trial, at_socket)


@clause("unix.serve.ssl.checks", networks=UNIX, roles=SERVER)
async def test_serve_unix(trial: Trial) -> None:
    await expect_clients_checked(trial, at_address)
    await expect_certificates_optional(trial, at_address)
    await expect_versions_checked(trial, at_address)


@clause("unix.serve.sock.ssl", networks=UNIX, roles=SERVER)
async def test_serve_unix_at_socket(trial: Trial) -> None:
    await expect_clients_checked(trial, at_socket)
    await expect_certificates_optional(trial, at_socket)
    await expect_versions_checked(trial, at_socket)


@clause("start_tls.client-certificate.asked-for", networks=UPGRADED, roles=SERVER)
async def test_serve_upgraded(trial: Trial) -> None:
    await expect_clients_checked(trial, by_upgrading)


@clause("start_tls.checks", networks=UPGRADED, roles=SERVER)
async def test_serve_upgraded_versions(trial: Trial) -> None:
    await expect_versions_checked(trial, by_upgrading)


# The context is the program's.


def settings(context: ssl.SSLContext) -> dict[str, Any]:
    """Return all the settings of a context that can be read."""
    names = (
        *("verify_mode", "verify_flags", "check_hostname", "minimum_version", "maximum_version"),
        *("options", "protocol", "num_tickets", "post_handshake_auth", "keylog_filename"),
        *("hostname_checks_common_name", "sni_callback", "security_level"),
    )
    return {
        **{name: getattr(context, name, None) for name in names},
        "ciphers": [each["name"] for each in context.get_ciphers()],
        "certificates": context.cert_store_stats(),
    }


def expect_unchanged(context: ssl.SSLContext, before: dict[str, Any]) -> None:
    """Expect the settings of `context` to be as they were `before`."""
    after = settings(context)
    for name, value in before.items():
        expect(after[name], value, f"{name} of the program's context:")


@clause("tls.context.unchanged", networks=PLAIN, roles=CLIENT)
async def test_context_unchanged(trial: Trial) -> None:
    ways: tuple[Opening, ...] = (by_address, by_socket, by_upgrade)
    for way in ways:
        ours = client_context()
        before = settings(ours)
        options = {"ssl": ours, "server_hostname": HOST_NAME}
        far_end = server_context()
        meanwhile: list[dict[str, Any]] = []
        far_end.sni_callback = lambda *_, ours=ours, seen=meanwhile: seen.append(settings(ours))
        async with opened(trial, way, far_end, **options) as connection:
            for during in meanwhile:
                expect(during, before, "the program's context during the handshake:")
            await expect_talk(connection)
            expect_unchanged(ours, before)
        await trial.turns()
        expect_unchanged(ours, before)


@clause("tls.context.unchanged", networks=PLAIN, roles=SERVER)
async def test_context_unchanged_by_a_server(trial: Trial) -> None:
    for way in (at_address, at_socket, by_upgrading):
        ours = server_context()
        before = settings(ours)
        await expect_served_over_tls(trial, way, client_context(), ours)
        await trial.turns()
        expect_unchanged(ours, before)
