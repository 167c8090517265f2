"""Arguments that are ignored, or mean something else, together with another argument."""

import asyncio
import socket
import ssl as ssl_module
from collections.abc import Callable
from typing import Any

from .security import changed, of_any_version, trusting_anybody
from .sound import open_connection, start_server, start_unix_server
from .specimen import NOTHING, Seen, Specimen, specimen
from .values import always, with_happy_eyeballs, with_sock, with_tls

Options = dict[str, Any]

NAMES = {
    open_connection: "open_connection",
    start_server: "start_server",
    start_unix_server: "start_unix_server",
}


def forgetting(
    name: str,
    function: Callable[..., Any],
    *fails: str,
    argument: str,
    beside: str,
    when: Callable[[Options], bool],
) -> Specimen:
    """Return a specimen whose `function` ignores an argument together with another."""

    async def broken(*address: Any, **options: Any) -> Any:
        if when(options):
            options.pop(argument, None)
        return await function(*address, **options)

    broken.__name__ = name
    fault = f"{NAMES[function]}() forgets `{argument}` beside {beside}."
    return specimen(fault, *fails, basic=True, replaces=function)(broken)


def starting_later(options: Options) -> bool:
    """Return whether the program starts the server later."""
    return options.get("start_serving") is False


def with_true(options: Options) -> bool:
    """Return whether it uses TLS with default settings."""
    return options.get("ssl") is True


comes_from_anywhere_by_tls = forgetting(
    *("comes_from_anywhere_by_tls", open_connection, "connecting.local-addr"),
    argument="local_addr",
    beside="`ssl`",
    when=with_tls,
)
opens_any_family_by_tls = forgetting(
    *("opens_any_family_by_tls", open_connection, "connecting.family"),
    argument="family",
    beside="`ssl`",
    when=with_tls,
)
opens_any_proto_by_tls = forgetting(
    *("opens_any_proto_by_tls", open_connection, "connecting.proto"),
    argument="proto",
    beside="`ssl`",
    when=with_tls,
)
opens_without_flags_by_tls = forgetting(
    *("opens_without_flags_by_tls", open_connection, "connecting.flags"),
    argument="flags",
    beside="`ssl`",
    when=with_tls,
)
takes_its_time_by_tls = forgetting(
    *("takes_its_time_by_tls", open_connection, "connecting.happy-eyeballs"),
    argument="happy_eyeballs_delay",
    beside="`ssl`",
    when=with_tls,
)
opens_in_order_by_tls = forgetting(
    *("opens_in_order_by_tls", open_connection, "connecting.interleave.by-family"),
    argument="interleave",
    beside="`ssl`",
    when=with_tls,
)
shakes_hands_by_default_for_a_minute = forgetting(
    *("shakes_hands_by_default_for_a_minute", open_connection, "connecting.ssl.handshake-timeout"),
    argument="ssl_handshake_timeout",
    beside="`ssl=True`",
    when=with_true,
)
shuts_down_by_default_for_half_a_minute = forgetting(
    "shuts_down_by_default_for_half_a_minute",
    *(open_connection, "connecting.ssl.shutdown-timeout"),
    argument="ssl_shutdown_timeout",
    beside="`ssl=True`",
    when=with_true,
)
lets_tls_go_stale = forgetting(
    *("lets_tls_go_stale", start_server, "serving.keep-alive"),
    argument="keep_alive",
    beside="`ssl`",
    when=with_tls,
)
serves_tls_at_once = forgetting(
    *("serves_tls_at_once", start_server, "serving.start-serving.false"),
    argument="start_serving",
    beside="`ssl`",
    when=with_tls,
)
shares_no_tls_port = forgetting(
    *("shares_no_tls_port", start_server, "serving.reuse-port"),
    argument="reuse_port",
    beside="`ssl`",
    when=with_tls,
)
reuses_tls_addresses = forgetting(
    *("reuses_tls_addresses", start_server, "serving.reuse-address.false"),
    argument="reuse_address",
    beside="`ssl`",
    when=with_tls,
)
serves_without_flags_by_tls = forgetting(
    *("serves_without_flags_by_tls", start_server, "serving.flags"),
    argument="flags",
    beside="`ssl`",
    when=with_tls,
)
waits_later_for_a_minute = forgetting(
    *("waits_later_for_a_minute", start_server, "serving.ssl.handshake-timeout"),
    argument="ssl_handshake_timeout",
    beside="`start_serving=False`",
    when=starting_later,
)
shuts_down_later_for_half_a_minute = forgetting(
    *("shuts_down_later_for_half_a_minute", start_server, "serving.ssl.shutdown-timeout"),
    argument="ssl_shutdown_timeout",
    beside="`start_serving=False`",
    when=starting_later,
)
serves_unix_tls_at_once = forgetting(
    *("serves_unix_tls_at_once", start_unix_server, "unix.serve.start-serving.false"),
    argument="start_serving",
    beside="`ssl`",
    when=with_tls,
)
cleans_up_after_tls = forgetting(
    *("cleans_up_after_tls", start_unix_server, "unix.cleanup-socket.false"),
    argument="cleanup_socket",
    beside="`ssl`",
    when=with_tls,
)
cleans_up_later = forgetting(
    *("cleans_up_later", start_unix_server, "unix.cleanup-socket.false"),
    argument="cleanup_socket",
    beside="`start_serving=False`",
    when=starting_later,
)


def serving_hosts_without(argument: str, *fails: str) -> Specimen:
    """Return a specimen whose start_server() ignores an argument if it has several hosts."""

    async def broken(
        client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if not isinstance(host, str | bytes | None):
            options.pop(argument, None)
        return await start_server(client_connected_cb, host, port, **options)

    broken.__name__ = f"serves_hosts_without_{argument}"
    fault = f"start_server() forgets `{argument}` beside a sequence of hosts."
    return specimen(fault, *fails, basic=True, replaces=start_server)(broken)


serves_hosts_without_family = serving_hosts_without("family", "serving.family")
serves_hosts_without_flags = serving_hosts_without("flags", "serving.flags")
serves_hosts_without_limit = serving_hosts_without("limit", "serving.limit.given")
serves_hosts_without_reuse_address = serving_hosts_without(
    "reuse_address", "serving.reuse-address.false"
)
serves_hosts_without_reuse_port = serving_hosts_without("reuse_port", "serving.reuse-port")
serves_hosts_without_start_serving = serving_hosts_without(
    "start_serving", "serving.start-serving.false"
)
serves_hosts_without_ssl_handshake_timeout = serving_hosts_without(
    "ssl_handshake_timeout", "serving.ssl.handshake-timeout"
)


# Other defaults.


def waiting(
    name: str,
    function: Callable[..., Any],
    *fails: str,
    when: Callable[[Options], bool],
    fault: str,
) -> Specimen:
    """Return a specimen that has other timeouts of TLS by default in one way."""

    async def broken(*address: Any, **options: Any) -> Any:
        if options.get("ssl") and when(options):
            for timeout, seconds in (("ssl_handshake_timeout", 600), ("ssl_shutdown_timeout", 300)):
                if options.get(timeout) is None:
                    options[timeout] = seconds
        return await function(*address, **options)

    broken.__name__ = name
    return specimen(fault, *fails, basic=True, replaces=function)(broken)


waits_long_for_sockets = waiting(
    "waits_long_for_sockets",
    open_connection,
    "connecting.ssl.handshake-timeout.default",
    "connecting.ssl.shutdown-timeout.default",
    when=with_sock,
    fault="By default, TLS takes up to ten minutes over a given socket.",
)
waits_long_by_default = waiting(
    "waits_long_by_default",
    open_connection,
    "connecting.ssl.handshake-timeout.default",
    "connecting.ssl.shutdown-timeout.default",
    when=with_true,
    fault="By default, TLS takes up to ten minutes with `ssl=True`.",
)
serves_sockets_for_long = waiting(
    "serves_sockets_for_long",
    start_server,
    "serving.ssl.handshake-timeout.default",
    "serving.ssl.shutdown-timeout.default",
    when=with_sock,
    fault="By default, a server on a given socket has ten minutes for TLS.",
)


# Errors of another class in one way.


def failing_otherwise(
    name: str,
    expected: type[Exception],
    raised: type[Exception],
    *fails: str,
    when: Callable[[Options], bool],
    way: str,
) -> Specimen:
    """Return a specimen whose open_connection() raises another class in one way."""

    async def broken(*address: Any, **options: Any) -> Any:
        try:
            return await open_connection(*address, **options)
        except expected as error:
            if when(options):
                raise raised(str(error)) from None
            raise

    broken.__name__ = name
    fault = f"With {way}, open_connection() raises {raised.__name__} for {expected.__name__}."
    return specimen(fault, *fails, basic=True, replaces=open_connection)(broken)


distrusts_sockets_otherwise = failing_otherwise(
    "distrusts_sockets_otherwise",
    ssl_module.SSLCertVerificationError,
    ConnectionError,
    "connecting.ssl.certificate-refused.class",
    when=with_sock,
    way="`sock`",
)
distrusts_by_default_otherwise = failing_otherwise(
    "distrusts_by_default_otherwise",
    ssl_module.SSLCertVerificationError,
    ConnectionError,
    "connecting.ssl.certificate-refused.class",
    when=with_true,
    way="`ssl=True`",
)
distrusts_in_a_hurry_otherwise = failing_otherwise(
    "distrusts_in_a_hurry_otherwise",
    ssl_module.SSLCertVerificationError,
    ConnectionError,
    "connecting.ssl.certificate-refused.class",
    when=with_happy_eyeballs,
    way="`happy_eyeballs_delay`",
)
gives_sockets_up_otherwise = failing_otherwise(
    "gives_sockets_up_otherwise",
    ConnectionAbortedError,
    RuntimeError,
    "connecting.ssl.handshake-timeout.class",
    when=with_sock,
    way="`sock`",
)


# Checks of TLS that are left out together with another argument.


def trusting_beside(argument: str, *, original: Callable[..., Any] = open_connection) -> Specimen:
    """Return a specimen that trusts anybody if it gets an argument that has nothing to do with
    TLS."""

    async def broken(*address: Any, **options: Any) -> Any:
        context = options.get("ssl")
        if not isinstance(context, ssl_module.SSLContext) or not options.get(argument):
            return await original(*address, **options)
        with changed(context, trusting_anybody):
            return await original(*address, **options)

    broken.__name__ = f"trusts_beside_{argument}"
    fault = f"open_connection() trusts anybody where `{argument}` is given."
    return specimen(fault, "connecting.ssl.checks", basic=True, replaces=original)(broken)


trusts_beside_local_addr = trusting_beside("local_addr")
trusts_beside_family = trusting_beside("family")
trusts_beside_limit = trusting_beside("limit")
trusts_beside_ssl_handshake_timeout = trusting_beside("ssl_handshake_timeout")


def name_always(context: Any) -> None:
    if context.verify_mode == ssl_module.CERT_REQUIRED:
        context.check_hostname = True


def certificate_always(context: Any) -> None:
    if context.verify_mode == ssl_module.CERT_OPTIONAL:
        context.verify_mode = ssl_module.CERT_REQUIRED


def certificate_never(context: Any) -> None:
    if context.verify_mode == ssl_module.CERT_OPTIONAL:
        context.verify_mode = ssl_module.CERT_NONE


@specimen(
    "open_connection() checks the name, although its context checks none.",
    "connecting.ssl.context",
    replaces=open_connection,
    basic=True,
)
async def checks_every_name(*address: Any, **options: Any) -> Any:
    context = options.get("ssl")
    if not isinstance(context, ssl_module.SSLContext) or not options.get("server_hostname"):
        return await open_connection(*address, **options)
    with changed(context, name_always):
        return await open_connection(*address, **options)


def wrapping(
    name: str,
    function: Callable[..., Any],
    fault: str,
    *fails: str,
    change: Callable[[Any], Any],
    when: Callable[[Options], bool] = always,
    seen: Seen = NOTHING,
) -> Specimen:
    """Return a specimen whose servers' contexts are changed while they begin a connection."""

    async def broken(*arguments: Any, **options: Any) -> Any:
        context = options.get("ssl")
        if isinstance(context, ssl_module.SSLContext) and when(options):

            class Changed(type(context)):  # type: ignore[misc]  # the class of one context
                def wrap_bio(self, *arguments: Any, **options: Any) -> Any:
                    with changed(self, change):
                        return super().wrap_bio(*arguments, **options)

            context.__class__ = Changed
        return await function(*arguments, **options)

    broken.__name__ = name
    return specimen(fault, *fails, seen=seen, basic=True, replaces=function)(broken)


needs_every_certificate = wrapping(
    *("needs_every_certificate", start_server),
    "start_server() serves nobody without a certificate, although the certificate is optional.",
    "serving.ssl.context",
    change=certificate_always,
)
asks_for_no_certificate = wrapping(
    *("asks_for_no_certificate", start_server),
    "start_server() accepts any certificate if the certificate is optional.",
    "serving.ssl.context",
    change=certificate_never,
)
asks_for_no_certificate_on_sockets = wrapping(
    *("asks_for_no_certificate_on_sockets", start_server),
    "start_server() with `sock` accepts any certificate if the certificate is optional.",
    "serving.sock.ssl",
    change=certificate_never,
    when=with_sock,
)
asks_for_no_unix_certificate = wrapping(
    *("asks_for_no_unix_certificate", start_unix_server),
    "start_unix_server() accepts any certificate if the certificate is optional.",
    "unix.serve.ssl.checks",
    change=certificate_never,
)
serves_any_version_later = wrapping(
    *("serves_any_version_later", start_server),
    "start_server(start_serving=False) speaks every version of TLS, whatever the context says.",
    "serving.ssl.versions",
    change=of_any_version,
    when=starting_later,
)


@specimen(
    "open_connection() trusts anybody if a name has several addresses.",
    "connecting.ssl.checks",
    replaces=open_connection,
    basic=True,
)
async def trusts_names_of_several(host: Any = None, port: Any = None, **options: Any) -> Any:
    context = options.get("ssl")
    if not isinstance(context, ssl_module.SSLContext) or host is None:
        return await open_connection(host, port, **options)
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(addresses) < 2:
        return await open_connection(host, port, **options)
    with changed(context, trusting_anybody):
        return await open_connection(host, port, **options)
