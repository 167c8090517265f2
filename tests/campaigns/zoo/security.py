"""TLS that connects but leaves out a check, in one of the ways to begin TLS."""

import ssl as ssl_module
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ..lookalikes.plain import check_client_tls
from .sound import (
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from .specimen import NOTHING, Seen, Specimen, specimen

ANY_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME

Options = dict[str, Any]
Change = Callable[[Any], Any]


def trusting_anybody(context: Any) -> None:
    context.check_hostname = False
    context.verify_mode = ssl_module.CERT_NONE


def of_any_name(context: Any) -> None:
    context.check_hostname = False


def of_any_time(context: Any) -> None:
    context.verify_flags = ssl_module.VerifyFlags(context.verify_flags | ANY_TIME)


def of_any_version(context: Any) -> None:
    context.minimum_version = ssl_module.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl_module.TLSVersion.MAXIMUM_SUPPORTED


def letting_in_whom_shows_nothing(context: Any) -> None:
    if context.verify_mode == ssl_module.CERT_REQUIRED:
        context.verify_mode = ssl_module.CERT_OPTIONAL


def without_own_certificate(context: Any) -> Any:
    """Return a context that trusts the same authorities, and has no certificate to show."""
    other = ssl_module.SSLContext(ssl_module.PROTOCOL_TLS_CLIENT)
    for authority in context.get_ca_certs(binary_form=True):
        other.load_verify_locations(cadata=authority)
    other.minimum_version, other.maximum_version = context.minimum_version, context.maximum_version
    return other


@contextmanager
def changed(context: Any, change: Change) -> Iterator[Any]:
    """Change a context while the block runs; yield the context to use."""
    names = ("verify_mode", "check_hostname", "verify_flags", "minimum_version", "maximum_version")
    before = {name: getattr(context, name) for name in names}
    yield change(context) or context
    for name, value in before.items():
        setattr(context, name, value)


def opening(
    name: str,
    fault: str,
    *fails: str,
    seen: Seen = NOTHING,
    change: Change,
    applies: Callable[[Options], Any],
    original: Callable[..., Any] = open_connection,
) -> Specimen:
    """Return a specimen that connects with a changed context if the arguments match."""

    async def broken(*address: Any, **options: Any) -> Any:
        context = options.get("ssl")
        if not context or not applies(options):
            return await original(*address, **options)
        if context is True:
            context = ssl_module.create_default_context()
            if address:
                options.setdefault("server_hostname", address[0])
        elif not isinstance(context, ssl_module.SSLContext):
            return await original(*address, **options)
        with changed(context, change) as options["ssl"]:
            return await original(*address, **options)

    broken.__name__ = name
    return specimen(fault, *fails, seen=seen, replaces=original)(broken)


def is_by_address(options: Options) -> bool:
    return options.get("sock") is None and not options.get("happy_eyeballs_delay")


def is_given(options: Options) -> bool:
    return is_by_address(options) and options["ssl"] is not True


def is_default(options: Options) -> bool:
    return is_by_address(options) and options["ssl"] is True


def is_by_happy_eyeballs(options: Options) -> Any:
    return options.get("happy_eyeballs_delay")


def is_by_socket(options: Options) -> bool:
    return options.get("sock") is not None


takes_what_expired = opening(
    "takes_what_expired",
    "open_connection() takes certificates that have expired.",
    "connecting.ssl.checks",
    change=of_any_time,
    applies=is_given,
    seen="a connection",
)
takes_any_version = opening(
    "takes_any_version",
    "open_connection() speaks every version of TLS, whatever the context says.",
    "connecting.ssl.checks",
    change=of_any_version,
    applies=is_given,
    seen="a connection",
)
true_takes_any_name = opening(
    "true_takes_any_name",
    "With ssl=True, a certificate may be for any name.",
    "connecting.ssl.true.checks",
    change=of_any_name,
    applies=is_default,
    seen="a connection",
)
hurries = opening(
    "hurries",
    "With happy_eyeballs_delay, TLS trusts anybody.",
    "connecting.happy-eyeballs.ssl-checks",
    change=trusting_anybody,
    applies=is_by_happy_eyeballs,
    seen="a connection",
)
trusts_sockets = opening(
    "trusts_sockets",
    "With `sock`, a certificate may be for any name.",
    "connecting.sock.ssl-checks",
    change=of_any_name,
    applies=is_by_socket,
    seen="a connection",
)
true_trusts_sockets = opening(
    "true_trusts_sockets",
    "With `sock`, ssl=True trusts anybody.",
    "connecting.sock.ssl-checks",
    change=trusting_anybody,
    applies=lambda options: is_by_socket(options) and options["ssl"] is True,
    seen="a connection",
)
shows_no_certificate = opening(
    "shows_no_certificate",
    "open_connection() makes a context of its own, with the authorities of the one given.",
    "connecting.ssl.client-certificate",
    "connecting.ssl.context",
    "get_extra_info.sslcontext",
    change=without_own_certificate,
    applies=is_given,
    seen="SSLError: [SSL",
)
unix_trusts_anybody = opening(
    "unix_trusts_anybody",
    "open_unix_connection() accepts certificates from any authority if a name is given.",
    "unix.open.ssl.checks",
    "unix.open.ssl",
    change=trusting_anybody,
    applies=is_given,
    original=open_unix_connection,
    seen="a connection",
)
unix_true_trusts_anybody = opening(
    "unix_true_trusts_anybody",
    "With ssl=True, open_unix_connection() trusts anybody: who else could be there?",
    "unix.open.ssl.checks",
    change=trusting_anybody,
    applies=is_default,
    original=open_unix_connection,
    seen="a connection",
)
unix_trusts_sockets = opening(
    "unix_trusts_sockets",
    "With `sock`, open_unix_connection() takes certificates that have expired.",
    "unix.open.sock.ssl-checks",
    change=of_any_time,
    applies=is_by_socket,
    original=open_unix_connection,
    seen="a connection",
)
unix_shows_no_certificate = opening(
    "unix_shows_no_certificate",
    "open_unix_connection() makes a context of its own, with the authorities of the one given.",
    "unix.open.ssl.client-certificate",
    change=without_own_certificate,
    applies=is_given,
    original=open_unix_connection,
    seen="SSLError: [SSL",
)


def serving(
    name: str,
    fault: str,
    *fails: str,
    seen: Seen = NOTHING,
    change: Change,
    applies: Callable[[Options], Any],
    original: Callable[..., Any] = start_server,
) -> Specimen:
    """Return a specimen that serves with a changed context if the arguments match."""

    async def broken(client_connected_cb: Any, *address: Any, **options: Any) -> Any:
        context = options.get("ssl")
        if isinstance(context, ssl_module.SSLContext) and applies(options):
            change(context)
        return await original(client_connected_cb, *address, **options)

    broken.__name__ = name
    return specimen(fault, *fails, seen=seen, replaces=original)(broken)


lets_in_strangers = serving(
    "lets_in_strangers",
    "start_server() asks for certificates, and serves clients without one.",
    "serving.ssl.client-certificate",
    change=letting_in_whom_shows_nothing,
    applies=is_by_address,
    seen="what a client without a certificate",
)
serves_any_version = serving(
    "serves_any_version",
    "start_server() speaks every version of TLS, whatever the context says.",
    "serving.ssl.versions",
    change=of_any_version,
    applies=is_by_address,
    seen="what a client that is too old received",
)
unix_lets_in_strangers = serving(
    "unix_lets_in_strangers",
    "start_unix_server() asks for certificates, and serves clients without one.",
    "unix.serve.ssl.checks",
    change=letting_in_whom_shows_nothing,
    applies=is_by_address,
    original=start_unix_server,
    seen="what a client without a certificate",
)


@specimen(
    "start_server() with `sock` forgets `ssl`, and serves in clear text.",
    "serving.sock.ssl",
    "tls.context.unchanged",
    replaces=start_server,
    seen="a hang",
)
async def serves_sockets_in_clear(client_connected_cb: Any, *address: Any, **options: Any) -> Any:
    if options.get("sock") is not None:
        options.pop("ssl", None)
    return await start_server(client_connected_cb, *address, **options)


@specimen(
    "start_unix_server() with `sock` forgets `ssl`, and serves in clear text.",
    "unix.serve.sock.ssl",
    "tls.context.unchanged",
    replaces=start_unix_server,
    seen="a hang",
)
async def serves_unix_sockets_in_clear(
    client_connected_cb: Any, *address: Any, **options: Any
) -> Any:
    if options.get("sock") is not None:
        options.pop("ssl", None)
    return await start_unix_server(client_connected_cb, *address, **options)


def upgrading(name: str, fault: str, *fails: str, seen: Seen = NOTHING, change: Change) -> Specimen:
    """Return a specimen that upgrades with a changed context."""

    class Broken(StreamWriter):
        async def start_tls(self, sslcontext: Any, **options: Any) -> None:
            if not isinstance(sslcontext, ssl_module.SSLContext) or (
                sslcontext.check_hostname and not options.get("server_hostname")
            ):
                await super().start_tls(sslcontext, **options)
            else:
                with changed(sslcontext, change) as context:
                    await super().start_tls(context, **options)

    Broken.__name__ = name
    return specimen(fault, *fails, seen=seen)(Broken)


UpgradesToAnyTime = upgrading(
    "UpgradesToAnyTime",
    "start_tls() takes certificates that have expired.",
    "start_tls.checks",
    "start_tls.client-certificate.asked-for",
    change=of_any_time,
    seen="a connection",
)
UpgradesToAnyVersion = upgrading(
    "UpgradesToAnyVersion",
    "start_tls() speaks every version of TLS, whatever the context says.",
    "start_tls.checks",
    change=of_any_version,
    seen="what a client that is too old received",
)
UpgradesWhomShowsNothing = upgrading(
    "UpgradesWhomShowsNothing",
    "start_tls() asks for a client's certificate, and goes on without one.",
    "start_tls.client-certificate.asked-for",
    change=letting_in_whom_shows_nothing,
    seen="what a client without a certificate",
)
UpgradesWithoutOwnCertificate = upgrading(
    "UpgradesWithoutOwnCertificate",
    "start_tls() of a client makes a context of its own, with the authorities of the one given.",
    "start_tls.client-certificate",
    "start_tls.transport",
    change=lambda context: without_own_certificate(context) if context.check_hostname else None,
    seen="SSLError: [SSL",
)


class KeptOpen:
    """A transport that does not close."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def close(self) -> None:
        """Do nothing."""

    abort = close


left_open: list[Any] = []


@specimen(
    "open_connection() upgrades a plain connection, and leaves it open if the handshake fails.",
    "connecting.ssl.failure-closes",
    replaces=open_connection,
    seen="a hang",
)
async def leaves_the_refused_open(*address: Any, **options: Any) -> Any:
    context = options.get("ssl")
    if not isinstance(context, ssl_module.SSLContext):
        return await open_connection(*address, **options)
    check_client_tls(address[0] if address else None, options)
    plain = {name: options[name] for name in options if "ssl" not in name}
    host = plain.pop("server_hostname")
    times = {name: options[name] for name in options if name.endswith("_timeout")}
    reader, writer = await open_connection(*address, **plain)
    protocol = writer._protocol
    below = protocol.transport
    protocol.transport = KeptOpen(below)
    left_open.append(writer)
    await writer.start_tls(context, server_hostname=host, **times)
    left_open.remove(writer)
    protocol.transport._layer.below = below
    return reader, writer


@specimen(
    "open_connection() changes the given context: it forbids versions before TLS 1.3.",
    "tls.context.unchanged",
    replaces=open_connection,
    seen="the program's context during the handshake",
)
async def modernizes(*address: Any, **options: Any) -> Any:
    context = options.get("ssl")
    if isinstance(context, ssl_module.SSLContext):
        context.minimum_version = max(context.minimum_version, ssl_module.TLSVersion.TLSv1_2)
        context.options |= ssl_module.OP_NO_TICKET
    return await open_connection(*address, **options)


trusts_strangers = opening(
    "trusts_strangers",
    "open_connection() accepts certificates from any authority, whatever the context says.",
    "connecting.ssl.certificate-refused",
    seen="a completed handshake",
    change=trusting_anybody,
    applies=is_given,
)


# Certificates that look right to somebody who compares less than all.


def forgiving(name: str, fault: str, code: int) -> Specimen:
    """Return a specimen whose open_connection() forgives one error of verification."""

    async def broken(*address: Any, **options: Any) -> Any:
        try:
            return await open_connection(*address, **options)
        except ssl_module.SSLCertVerificationError as error:
            if error.verify_code != code or not is_given(options):
                raise
        with changed(options["ssl"], trusting_anybody):
            return await open_connection(*address, **options)

    broken.__name__ = name
    return specimen(
        fault, "connecting.ssl.checks", seen="a hang", basic=True, replaces=open_connection
    )(broken)


trusts_own_signatures = forgiving(
    "trusts_own_signatures", "A certificate that is signed with its own key is trusted.", 18
)
trusts_shown_authorities = forgiving(
    "trusts_shown_authorities", "An authority that the peer shows is trusted.", 19
)
trusts_the_future = forgiving(
    "trusts_the_future", "A certificate that is not valid yet is trusted.", 9
)


@specimen(
    "A certificate may be for a part of the name.",
    "connecting.ssl.checks",
    seen="a hang",
    basic=True,
    replaces=open_connection,
)
async def takes_the_domain(host: Any = None, port: Any = None, **options: Any) -> Any:
    name = options.get("server_hostname")
    try:
        return await open_connection(host, port, **options)
    except ssl_module.SSLCertVerificationError:
        if not name or not is_given(options):
            raise
    options["server_hostname"] = name.partition(".")[2]
    return await open_connection(host, port, **options)


@specimen(
    "With ssl=True, no name is announced.",
    "connecting.ssl.server-hostname.is-announced",
    seen="names announced: [None]",
    basic=True,
    replaces=open_connection,
)
async def true_announces_nothing(host: Any = None, port: Any = None, **options: Any) -> Any:
    name = options.get("server_hostname") or host
    if options.get("ssl") is not True or not name:
        return await open_connection(host, port, **options)
    context = ssl_module.create_default_context()
    context.check_hostname = False
    options |= {"ssl": context, "server_hostname": ""}
    reader, writer = await open_connection(host, port, **options)
    if name not in {each for _, each in writer.get_extra_info("peercert")["subjectAltName"]}:
        writer.transport.abort()
        raise ssl_module.SSLCertVerificationError(f"the certificate is not for {name!r}")
    return reader, writer


@specimen(
    "open_connection() checks certificates by itself, and not what they are for.",
    "connecting.ssl.checks",
    "connecting.sock.ssl-checks",
    seen={
        "connecting.ssl.checks": "a connection",
        "connecting.sock.ssl-checks": "a connection",
    },
    basic=True,
    replaces=open_connection,
)
async def checks_all_but_the_purpose(*address: Any, **options: Any) -> Any:
    context, name = options.get("ssl"), options.get("server_hostname")
    if not isinstance(context, ssl_module.SSLContext) or not context.check_hostname:
        return await open_connection(*address, **options)
    with changed(context, trusting_anybody):
        reader, writer = await open_connection(*address, **options)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if not is_right(x509.load_der_x509_certificate(shown), name, context):
        writer.transport.abort()
        raise ssl_module.SSLCertVerificationError(f"no certificate for {name!r}")
    return reader, writer


def is_right(certificate: x509.Certificate, name: Any, context: ssl_module.SSLContext) -> bool:
    """Return whether a certificate is by an authority of the context, of today, for that name."""
    authorities = context.get_ca_certs(binary_form=True)
    try:
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authorities[0]))
    except (ValueError, InvalidSignature):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin <= datetime.now(UTC) <= end and name in names.get_values_for_type(x509.DNSName)
