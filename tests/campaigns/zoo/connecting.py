"""Broken `open_connection()`s, argument by argument."""

import asyncio
import errno
import ipaddress
import socket
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable
from types import MappingProxyType
from typing import Any

from conformance.arrangements import NAME
from conformance.marks import INTERNET, TLS
from fakes import Loop
from reference_impl import open_connection

from .specimen import Some, Specimen, specimen

TCP = ("tcp",)
HOSTS = ("memory", "tls-memory", "tcp", "tls")
"""The networks of hosts and ports."""

OF_THE_LIMIT = (
    "readline.limit.exceeded",
    "readline.limit.exceeded-without-newline",
    "readuntil.limit.exceeded-before-separator",
    "readuntil.limit.exceeded-without-separator",
    "readuntil.limit.data-is-kept",
    "readuntil.limit.other-separator",
    "readuntil.limit.consumed-is-a-count",
    "readuntil.tuple.limit.exceeded",
    "readuntil.tuple.limit.shortest-matched",
    "reader.iteration.limit",
)
"""The clauses on reads that no implementation keeps whose readers are not given their limit."""


def ignoring(
    name: str,
    *fails: str,
    networks: tuple[str, ...] = INTERNET,
    only_on: Some = MappingProxyType({}),
) -> Specimen:
    """Return a specimen that takes an argument of `open_connection()` and does nothing with it."""

    async def broken(host: Any = None, port: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await open_connection(host, port, **options)

    broken.__name__ = f"without_{name}"
    return specimen(
        f"open_connection() ignores `{name}`.",
        *fails,
        networks=networks,
        only_on=only_on,
        replaces=open_connection,
    )(broken)


without_limit = ignoring(
    "limit",
    "connecting.limit.given",
    "connecting.limit.not-positive",
    *OF_THE_LIMIT,
    "reader.errors.pickle",
    networks=HOSTS,
)
without_family = ignoring(
    "family",
    "connecting.family",
    "connecting.family.no-such-address",
    "connecting.happy-eyeballs.other-arguments",
)
without_proto = ignoring(
    "proto",
    "connecting.proto",
    "connecting.happy-eyeballs.other-arguments",
    networks=INTERNET,
)
without_flags = ignoring(
    "flags",
    "connecting.flags",
    "connecting.happy-eyeballs.other-arguments",
    networks=INTERNET,
)
without_sock = ignoring(
    "sock",
    "connecting.sock.is-used",
    "connecting.sock.blocking",
    "connecting.sock.closed-with-the-writer",
    "connecting.sock.excludes-an-address",
    "connecting.ssl.over-sock",
    networks=HOSTS,
    # By TLS they ask for no socket of one's own.
    only_on={INTERNET: ("connecting.nodelay", "connecting.happy-eyeballs.other-arguments")},
)
without_local_addr = ignoring(
    "local_addr",
    "connecting.local-addr",
    "connecting.local-addr.unusable",
    "connecting.local-addr.name",
    "connecting.happy-eyeballs.other-arguments",
)
without_happy_eyeballs_delay = ignoring(
    "happy_eyeballs_delay",
    "connecting.happy-eyeballs",
    "connecting.interleave.default-with-happy-eyeballs",
    "connecting.happy-eyeballs.loser-is-closed",
    "connecting.happy-eyeballs.other-arguments",
)
without_interleave = ignoring(
    "interleave",
    "connecting.interleave.by-family",
    "connecting.interleave.zero",
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "connecting.ssl.handshake-timeout",
    "connecting.ssl.handshake-timeout.closes",
    "connecting.ssl.timeouts.not-positive",
    "connecting.ssl.timeouts.without-ssl",
    "connecting.happy-eyeballs.nothing-left-open",
    networks=("tls-memory", "tls", "memory", "tcp"),
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "connecting.ssl.shutdown-timeout",
    "connecting.ssl.timeouts.not-positive",
    "connecting.ssl.timeouts.without-ssl",
    networks=("tls-memory", "tls", "memory", "tcp"),
)


@specimen(
    "The limit is 32 KiB by default.",
    "connecting.limit.default",
    networks=HOSTS,
    replaces=open_connection,
)
async def smaller_limit(
    host: Any = None, port: Any = None, *, limit: int = 32 * 1024, **options: Any
) -> Any:
    return await open_connection(host, port, limit=limit, **options)


@specimen(
    "The limit may be given by position.",
    "connecting.options.keyword-only",
    networks=INTERNET,
    replaces=open_connection,
)
async def limit_by_position(
    host: Any = None, port: Any = None, limit: int = 65536, **options: Any
) -> Any:
    return await open_connection(host, port, limit=limit, **options)


@specimen(
    "Host and port cannot be given by name.",
    "connecting.host-and-port.positional-or-keyword",
    "connecting.sock.excludes-an-address",
    networks=INTERNET,
    replaces=open_connection,
)
async def by_position_only(host: Any = None, port: Any = None, /, **options: Any) -> Any:
    return await open_connection(host, port, **options)


@specimen(
    "A second connection to the same address is the first.",
    "connecting.each-call-connects-anew",
    "close.forgotten.warns",
    "close.forgotten.ends",
    networks=INTERNET,
    replaces=open_connection,
)
async def one_for_all(host: Any = None, port: Any = None, **options: Any) -> Any:
    loop: Any = asyncio.get_running_loop()
    if options or host is None:
        return await open_connection(host, port, **options)
    pool = loop.__dict__.setdefault("pool", {})
    if (host, port) not in pool or pool[host, port][1].is_closing():
        pool[host, port] = await open_connection(host, port)
    return pool[host, port]


@specimen(
    "Whatever goes wrong is a ConnectionError of its own.",
    "connecting.refused",
    "connecting.refused.several-addresses.messages",
    "connecting.happy-eyeballs.refused",
    networks=INTERNET,
    replaces=open_connection,
)
async def hides_the_error(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ConnectionRefusedError as error:
        raise ConnectionError(f"cannot connect to {host}") from error


@specimen(
    "Names are resolved, and connected to, without the loop.",
    "connecting.in-the-background",
    "connecting.cancelled.while-connecting",
    "connecting.refused.several-addresses.messages",
    networks=TCP,
    replaces=open_connection,
)
async def blocks(host: Any = None, port: Any = None, **options: Any) -> Any:
    if host is None or options or isinstance(asyncio.get_running_loop(), Loop):
        return await open_connection(host, port, **options)
    sock = socket.create_connection((host, port), timeout=3)
    sock.setblocking(False)
    return await open_connection(sock=sock)


@specimen(
    "ssl=True does not check the certificate.",
    "connecting.ssl.true.verifies",
    networks=TLS,
    replaces=open_connection,
)
async def trusts_everybody(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") is True:
        options["ssl"] = ssl_module._create_unverified_context()
    return await open_connection(host, port, **options)


@specimen(
    "TCP_NODELAY is not set.",
    "connecting.nodelay",
    networks=HOSTS,
    replaces=open_connection,
)
async def delays(host: Any = None, port: Any = None, **options: Any) -> Any:
    reader, writer = await open_connection(host, port, **options)
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    return reader, writer


@specimen(
    "Cancelling open_connection() leaves the attempt under way.",
    "connecting.cancelled.while-connecting",
    "connecting.cancelled.at-any-moment",
    "connecting.cancelled.in-the-handshake",
    "connecting.happy-eyeballs.nothing-left-open",
    networks=HOSTS,
    replaces=open_connection,
)
async def goes_on_connecting(host: Any = None, port: Any = None, **options: Any) -> Any:
    connecting = asyncio.ensure_future(open_connection(host, port, **options))
    connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(connecting)


@specimen(
    "A socket that is given is copied, and stays open when the writer is closed.",
    "connecting.sock.closed-with-the-writer",
    networks=TCP,
    replaces=open_connection,
)
async def copies_the_socket(host: Any = None, port: Any = None, **options: Any) -> Any:
    if isinstance(options.get("sock"), socket.socket) and host is None:
        options["sock"] = options["sock"].dup()
    return await open_connection(host, port, **options)


@specimen(
    "A socket excludes no host: the host is ignored.",
    "connecting.sock.excludes-an-address",
    "connecting.happy-eyeballs.other-arguments",
    networks=INTERNET,
    replaces=open_connection,
)
async def socket_wins(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None:
        host = port = None
    return await open_connection(host, port, **options)


@specimen(
    "Of several failures only the first is told.",
    "connecting.refused.several-addresses.messages",
    "connecting.happy-eyeballs.refused",
    "connecting.happy-eyeballs.other-arguments",
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def tells_one_failure(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError as error:
        if type(error) is OSError:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "it refuses") from None
        raise


@specimen(
    "A socket has to be non-blocking, or is refused.",
    "connecting.sock.blocking",
    networks=TCP,
    replaces=open_connection,
)
async def refuses_blocking_sockets(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await open_connection(host, port, **options)


@specimen(
    "With happy_eyeballs_delay, all addresses are tried at once.",
    "connecting.happy-eyeballs.waits",
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def tries_all_at_once(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("happy_eyeballs_delay") == 1000.0:
        options["happy_eyeballs_delay"] = 0.0
    return await open_connection(host, port, **options)


@specimen(
    "With happy_eyeballs_delay, addresses are tried by the clock, also when those before failed.",
    "connecting.happy-eyeballs.after-a-failure",
    "connecting.interleave.default-with-happy-eyeballs",
    "connecting.happy-eyeballs.other-arguments",
    "connecting.happy-eyeballs.refused",
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def keeps_to_the_schedule(host: Any = None, port: Any = None, **options: Any) -> Any:
    delay = options.pop("happy_eyeballs_delay", None)
    if not delay or "interleave" in options:
        return await open_connection(host, port, **options)
    lookup = asyncio.get_running_loop().getaddrinfo
    wanted = {name: options.pop(name, 0) for name in ("family", "proto", "flags")}
    addresses = await lookup(host, port, type=socket.SOCK_STREAM, **wanted)

    async def attempt(number: int, address: Any) -> Any:
        await asyncio.sleep(number * delay)
        return await open_connection(address[0], port, **options)

    attempts = [
        asyncio.ensure_future(attempt(number, found[4])) for number, found in enumerate(addresses)
    ]
    failure: OSError | None = None
    for each in asyncio.as_completed(attempts):
        try:
            pair = await each
        except OSError as error:
            failure = error
        else:
            for other in attempts:
                other.cancel()
            return pair
    assert failure is not None
    raise failure


@specimen(
    "With happy_eyeballs_delay, the first failure after all were tried is the end of it.",
    "connecting.happy-eyeballs.goes-on",
    networks=INTERNET,
    replaces=open_connection,
)
async def gives_up_with_the_last(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("happy_eyeballs_delay") == 0.0 and host == NAME:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if len(found) == 2:
            _, writer = await open_connection(found[-1][4][0], port)
            writer.close()
    return await open_connection(host, port, **options)


@specimen(
    "With happy_eyeballs_delay, the failures are raised as a group.",
    "connecting.happy-eyeballs.refused",
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def raises_a_group(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError as error:
        if host is None and options.get("happy_eyeballs_delay"):
            raise ExceptionGroup("no address answers", [error]) from None
        raise


@specimen(
    "With happy_eyeballs_delay, the family and where to connect from are ignored.",
    "connecting.happy-eyeballs.other-arguments",
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def happy_with_any_address(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("happy_eyeballs_delay") is not None:
        for name in ("family", "local_addr"):
            options.pop(name, None)
    return await open_connection(host, port, **options)


attempts_that_failed: list[socket.socket] = []


@specimen(
    "With happy_eyeballs_delay, the socket of an attempt that failed is kept.",
    "connecting.happy-eyeballs.nothing-left-open",
    networks=TCP,
    replaces=open_connection,
)
async def keeps_failed_attempts(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError:
        if options.get("happy_eyeballs_delay") is not None:
            attempts_that_failed.append(socket.socket())
        raise


@specimen(
    "By default, a TLS handshake may take 30 seconds and a shutdown 60.",
    "connecting.ssl.handshake-timeout.default",
    "connecting.ssl.shutdown-timeout.default",
    networks=("tls-memory",),
    replaces=open_connection,
)
async def confuses_the_times(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl"):
        options = {"ssl_handshake_timeout": 30.0, "ssl_shutdown_timeout": 60.0} | options
    return await open_connection(host, port, **options)


# What it returns.


class Wrapped:
    """Has what it wraps, and is not what that is."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self.wrapped)


def opens(
    fault: str, *fails: str, networks: tuple[str, ...] = INTERNET
) -> Callable[[Any], Specimen]:
    """Make a specimen of what replaces `open_connection()`."""
    return specimen(fault, *fails, networks=networks, replaces=open_connection)


@opens(
    "open_connection() returns an object that can be unpacked, and no pair.",
    "connecting.returns-a-pair",
    networks=HOSTS,
)
async def returns_an_iterator(host: Any = None, port: Any = None, **options: Any) -> Any:
    return iter(await open_connection(host, port, **options))


@opens(
    "The reader of open_connection() is a wrapper, and no StreamReader.",
    "connecting.reader-class",
    networks=HOSTS,
)
async def wraps_the_reader(host: Any = None, port: Any = None, **options: Any) -> Any:
    reader, writer = await open_connection(host, port, **options)
    return Wrapped(reader), writer


@opens(
    "The writer of open_connection() is a wrapper, and no StreamWriter.",
    "connecting.writer-class",
    networks=HOSTS,
)
async def wraps_the_writer(host: Any = None, port: Any = None, **options: Any) -> Any:
    reader, writer = await open_connection(host, port, **options)
    return reader, Wrapped(writer)


# Addresses.


@opens(
    "A host must be an address.",
    "connecting.host.name",
    "connecting.local-addr.name",
)
async def addresses_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if host is not None and "flags" not in options:
        options["flags"] = socket.AI_NUMERICHOST
    return await open_connection(host, port, **options)


@opens(
    "Connections are made over IPv4 only, unless told otherwise.",
    "connecting.host.ipv6",
    "connecting.addresses.in-order",
    "connecting.addresses.next-after-refusal",
    "connecting.interleave.zero",
    "connecting.interleave.by-family",
    "connecting.interleave.default-with-happy-eyeballs",
    "connecting.refused.several-addresses.messages",
    "connecting.happy-eyeballs.refused",
    "connecting.happy-eyeballs.other-arguments",
)
async def ipv4_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is None and (host, port) != (None, None):
        options.setdefault("family", socket.AF_INET)
    return await open_connection(host, port, **options)


@opens(
    "A host of several addresses that all fail raises a group of exceptions.",
    "connecting.refused.several-addresses",
    "connecting.happy-eyeballs.refused",
    "connecting.refused.several-addresses.messages",
)
async def groups_the_errors(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError as error:
        if "Multiple exceptions" in str(error):
            raise ExceptionGroup("all addresses failed", [error]) from None
        raise


async def families_of(host: Any, port: Any) -> list[int]:
    """Return the families of a host's addresses, in their order."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(family for family, *_ in found))


@opens(
    "The addresses of a host are tried last first.",
    "connecting.addresses.in-order",
    "connecting.refused.several-addresses.messages",
)
async def last_first(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options or port is None:
        return await open_connection(host, port, **options)
    *others, first = await families_of(host, port)
    for family in (first, *reversed(others)):
        try:
            return await open_connection(host, port, family=family)
        except OSError as error:
            reason = error
    raise reason


@opens(
    "Only the first address of a host is tried.",
    "connecting.addresses.next-after-refusal",
    "connecting.refused.several-addresses.messages",
)
async def first_address_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options or port is None:
        return await open_connection(host, port, **options)
    return await open_connection(host, port, family=(await families_of(host, port))[0])


@opens(
    "The host in local_addr must be an address.",
    "connecting.local-addr.name",
    "connecting.happy-eyeballs.other-arguments",
)
async def local_address_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("local_addr") is not None:
        ipaddress.ip_address(options["local_addr"][0])
    return await open_connection(host, port, **options)


@opens(
    "Without any address it connects to the local host.",
    "connecting.no-address",
    "connecting.happy-eyeballs.other-arguments",
)
async def somewhere_local(host: Any = None, port: Any = None, **options: Any) -> Any:
    if (host, port, options.get("sock")) == (None, None, None):
        host, port = "127.0.0.1", 1
    return await open_connection(host, port, **options)


@opens(
    "A socket that is no stream is refused with TypeError.",
    "connecting.sock.stream-only",
)
async def wrong_type_of_socket(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options["sock"].type != socket.SOCK_STREAM:
        raise TypeError("a stream socket is needed")
    return await open_connection(host, port, **options)


left_open: list[socket.socket] = []


@opens(
    "An attempt that is refused leaves its socket open.",
    "connecting.refused.nothing-left-open",
    networks=TCP,
)
async def leaves_its_socket_open(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ConnectionRefusedError:
        left_open.append(socket.socket())
        raise


# TLS.


@opens(
    "ssl=False is taken for True: it is not None.",
    "connecting.ssl.none",
)
async def any_ssl_is_ssl(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") is not None:
        options["ssl"] = options["ssl"] or True
    return await open_connection(host, port, **options)


@opens(
    "Of an SSLContext only the certificates and the check of names are used.",
    "connecting.ssl.context",
    "get_extra_info.sslcontext",
    networks=TLS,
)
async def makes_its_own_context(host: Any = None, port: Any = None, **options: Any) -> Any:
    context = options.get("ssl")
    if isinstance(context, ssl_module.SSLContext):
        own = ssl_module.SSLContext(ssl_module.PROTOCOL_TLS_CLIENT)
        own.check_hostname = context.check_hostname
        own.load_verify_locations(cadata=b"".join(context.get_ca_certs(binary_form=True)))
        options["ssl"] = own
    return await open_connection(host, port, **options)


@opens(
    "`ssl` is ignored with a socket.",
    "connecting.ssl.over-sock",
    networks=TLS,
)
async def sockets_are_plain(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options.get("server_hostname"):
        del options["ssl"], options["server_hostname"]
    return await open_connection(host, port, **options)


@opens(
    "A certificate that is refused is a ConnectionError.",
    "connecting.ssl.certificate-refused",
    "connecting.ssl.failure-closes",
    "connecting.ssl.true.verifies",
    "connecting.ssl.server-hostname.overrides",
    "connecting.ssl.server-hostname.defaults-to-host",
    networks=TLS,
)
async def hides_the_certificate_error(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ssl_module.SSLError as error:
        raise ConnectionError("no secure connection") from error


@opens(
    "A certificate for the host is taken, too, where server_hostname names another.",
    "connecting.ssl.server-hostname.overrides",
    networks=TLS,
)
async def either_name_will_do(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ssl_module.SSLCertVerificationError as error:
        if host is None or not options.get("server_hostname") or "mismatch" not in str(error):
            raise
        return await open_connection(host, port, **options | {"server_hostname": host})


@opens(
    "server_hostname is compared with the certificate, and not told to the server.",
    "connecting.ssl.server-hostname.is-announced",
    networks=TLS,
)
async def compares_names_itself(host: Any = None, port: Any = None, **options: Any) -> Any:
    context, name = options.get("ssl"), options.get("server_hostname")
    if not name or not isinstance(context, ssl_module.SSLContext) or not context.check_hostname:
        return await open_connection(host, port, **options)
    context.check_hostname = False
    try:
        reader, writer = await open_connection(host, port, **options | {"server_hostname": ""})
    finally:
        context.check_hostname = True
    if name not in {each for _, each in writer.get_extra_info("peercert")["subjectAltName"]}:
        writer.transport.abort()
        raise ssl_module.SSLCertVerificationError(f"the certificate is not for {name!r}")
    return reader, writer


@opens(
    "TLS needs server_hostname: the host is not taken for it.",
    "connecting.ssl.server-hostname.defaults-to-host",
    "connecting.happy-eyeballs.other-arguments",
    networks=TLS,
)
async def needs_a_name(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") and options.get("server_hostname") is None:
        raise ValueError("server_hostname is needed")
    return await open_connection(host, port, **options)


@opens(
    'server_hostname="" is refused.',
    "connecting.ssl.server-hostname.empty",
    networks=TLS,
)
async def needs_some_name(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("server_hostname") == "":
        raise ValueError("server_hostname is empty")
    return await open_connection(host, port, **options)


@opens(
    "Over a socket the name to check is the peer's address.",
    "connecting.ssl.server-hostname.required-to-check",
    "connecting.ssl.server-hostname.required-without-host",
    networks=TLS,
)
async def address_for_a_name(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") and options.get("sock") is not None:
        options.setdefault("server_hostname", options["sock"].getpeername()[0])
    return await open_connection(host, port, **options)


@opens(
    "TLS over a socket asks for no name where the context checks none.",
    "connecting.ssl.server-hostname.required-without-host",
    networks=TLS,
)
async def no_name_for_no_check(host: Any = None, port: Any = None, **options: Any) -> Any:
    context = options.get("ssl")
    if options.get("sock") is not None and context and not context.check_hostname:
        options.setdefault("server_hostname", "")
    return await open_connection(host, port, **options)


@opens(
    "Without TLS, its arguments are ignored.",
    "connecting.ssl.server-hostname.without-ssl",
    "connecting.ssl.timeouts.without-ssl",
    "connecting.happy-eyeballs.nothing-left-open",
)
async def ignores_what_tls_takes(host: Any = None, port: Any = None, **options: Any) -> Any:
    if not options.get("ssl"):
        for name in ("server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"):
            options.pop(name, None)
    return await open_connection(host, port, **options)
