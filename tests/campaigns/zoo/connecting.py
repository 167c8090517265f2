"""Broken `open_connection()`s, argument by argument."""

import asyncio
import errno
import ipaddress
import socket
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable
from typing import Any

from conformance.harness.resolving import NAME
from fakes import Loop

from .sound import open_connection
from .specimen import NOTHING, Seen, Specimen, specimen

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
"""The clauses on reads that an implementation breaks if its readers are not given their limit."""


def ignoring(
    name: str,
    *fails: str,
    seen: Seen = NOTHING,
) -> Specimen:
    """Return a specimen that takes an argument of `open_connection()` and does nothing with it."""

    async def broken(host: Any = None, port: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await open_connection(host, port, **options)

    broken.__name__ = f"without_{name}"
    return specimen(
        f"open_connection() ignores `{name}`.",
        *fails,
        seen=seen,
        replaces=open_connection,
    )(broken)


without_limit = ignoring(
    "limit",
    "connecting.limit.given",
    "connecting.limit.not-positive",
    "reader.errors.pickle",
    seen={
        "connecting.limit.given": "b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "connecting.limit.not-positive": "<campaigns.lookalikes.plain.StreamReader",
        "reader.errors.pickle": "a hang",
    },
)
without_family = ignoring(
    "family",
    "connecting.family",
    "connecting.family.no-such-address",
    "connecting.happy-eyeballs.other-arguments",
    seen={
        "connecting.family": "with AF_INET6, index in ('127.0.0.1'",
        "connecting.family.no-such-address": "<campaigns.lookalikes.plain.StreamReader",
    },
)
without_proto = ignoring(
    "proto",
    "connecting.proto",
    "connecting.happy-eyeballs.other-arguments",
    seen="<campaigns.lookalikes.plain.StreamReader",
)
without_flags = ignoring(
    "flags",
    "connecting.flags",
    "connecting.happy-eyeballs.other-arguments",
    seen="<campaigns.lookalikes.plain.StreamReader",
)
without_sock = ignoring(
    "sock",
    "connecting.sock.is-used",
    seen="ValueError: open_connection() takes a",
    # Over TLS they do not ask for a socket that the program brings.
)
without_local_addr = ignoring(
    "local_addr",
    "connecting.local-addr",
    "connecting.local-addr.unusable",
    seen={
        "connecting.local-addr": "where the connection comes from",
        "connecting.local-addr.unusable": "<campaigns.lookalikes.plain.StreamReader",
    },
)
without_happy_eyeballs_delay = ignoring(
    "happy_eyeballs_delay",
    "connecting.happy-eyeballs",
    "connecting.happy-eyeballs.loser-is-closed",
    seen={
        "connecting.happy-eyeballs": "a hang",
        "connecting.happy-eyeballs.loser-is-closed": "a hang",
    },
)
without_interleave = ignoring(
    "interleave",
    "connecting.interleave.by-family",
    "connecting.interleave.zero",
    seen={
        "connecting.interleave.by-family": "addresses tried: ['127.0.0.2'",
        "connecting.interleave.zero": "addresses tried: ['127.0.0.2', '::1'",
    },
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "connecting.ssl.handshake-timeout",
    "connecting.ssl.handshake-timeout.closes",
    seen={
        "connecting.ssl.handshake-timeout": "a hang after 20 s without progress",
        "connecting.ssl.handshake-timeout.closes": "a hang",
    },
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "connecting.ssl.shutdown-timeout",
    "connecting.ssl.timeouts.not-positive",
    "connecting.ssl.timeouts.without-ssl",
    seen={
        "connecting.ssl.shutdown-timeout": "a hang after 20 s without progress",
        "connecting.ssl.timeouts.not-positive": "a hang",
        "connecting.ssl.timeouts.without-ssl": "<campaigns.lookalikes.plain.StreamReader",
    },
)


@specimen(
    "The limit is 32 KiB by default.",
    "connecting.limit.default",
    replaces=open_connection,
    seen="LimitOverrunError: the separator comes",
)
async def smaller_limit(
    host: Any = None, port: Any = None, *, limit: int = 32 * 1024, **options: Any
) -> Any:
    return await open_connection(host, port, limit=limit, **options)


@specimen(
    "The limit may be given by position.",
    "connecting.options.keyword-only",
    replaces=open_connection,
    seen="no exception",
)
async def limit_by_position(
    host: Any = None, port: Any = None, limit: int = 65536, **options: Any
) -> Any:
    return await open_connection(host, port, limit=limit, **options)


@specimen(
    "Host and port cannot be given by name.",
    "connecting.host-and-port.positional-or-keyword",
    "connecting.sock.excludes-an-address",
    replaces=open_connection,
    seen="TypeError: Streams.open_connection() got",
)
async def by_position_only(host: Any = None, port: Any = None, /, **options: Any) -> Any:
    return await open_connection(host, port, **options)


@specimen(
    "A second connection to the same address is the first.",
    "connecting.each-call-connects-anew",
    "close.forgotten.warns",
    "close.forgotten.ends",
    replaces=open_connection,
    seen="a hang",
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
    "Every failure is a new ConnectionError.",
    "connecting.refused.several-addresses.messages",
    "connecting.happy-eyeballs.refused",
    replaces=open_connection,
    seen={
        "connecting.refused.several-addresses.messages": "[Errno 111] Connect call failed",
        "connecting.happy-eyeballs.refused": "[Errno 111] Connect call failed",
    },
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
    replaces=open_connection,
    seen="it raised TimeoutError: timed out",
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
    replaces=open_connection,
    seen="a completed handshake",
)
async def trusts_everybody(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") is True:
        options["ssl"] = ssl_module._create_unverified_context()
    return await open_connection(host, port, **options)


@specimen(
    "TCP_NODELAY is not set.",
    "connecting.nodelay",
    replaces=open_connection,
    seen="TCP_NODELAY set: False",
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
    replaces=open_connection,
    seen={
        "connecting.cancelled.while-connecting": "sockets left open: 1",
        "connecting.cancelled.at-any-moment": "sockets left open",
        "connecting.cancelled.in-the-handshake": "a hang",
    },
)
async def goes_on_connecting(host: Any = None, port: Any = None, **options: Any) -> Any:
    connecting = asyncio.ensure_future(open_connection(host, port, **options))
    connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(connecting)


@specimen(
    "A given socket is copied, and stays open when the writer is closed.",
    "connecting.sock.closed-with-the-writer",
    replaces=open_connection,
    seen="dup() and a second socket with its number are not",
)
async def copies_the_socket(host: Any = None, port: Any = None, **options: Any) -> Any:
    if isinstance(options.get("sock"), socket.socket) and host is None:
        options["sock"] = options["sock"].dup()
    return await open_connection(host, port, **options)


@specimen(
    "A socket and a host are accepted together: the host is ignored.",
    "connecting.sock.excludes-an-address",
    "connecting.happy-eyeballs.other-arguments",
    replaces=open_connection,
    seen="<campaigns.lookalikes.plain.StreamReader",
)
async def socket_wins(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None:
        host = port = None
    return await open_connection(host, port, **options)


@specimen(
    "Only the first of several failures is reported.",
    "connecting.refused.several-addresses.messages",
    "connecting.happy-eyeballs.refused",
    replaces=open_connection,
    seen="[Errno 111] it refuses",
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
    replaces=open_connection,
    seen="ValueError: the socket must be",
)
async def refuses_blocking_sockets(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await open_connection(host, port, **options)


@specimen(
    "With happy_eyeballs_delay, all addresses are tried at the same time.",
    "connecting.happy-eyeballs.waits",
    replaces=open_connection,
    seen="connection to the next address, before",
)
async def tries_all_at_once(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("happy_eyeballs_delay") == 1000.0:
        options["happy_eyeballs_delay"] = 0.0
    return await open_connection(host, port, **options)


@specimen(
    "With happy_eyeballs_delay, the next address has to wait for the delay even after a failure.",
    "connecting.happy-eyeballs.after-a-failure",
    "connecting.interleave.default-with-happy-eyeballs",
    replaces=open_connection,
    seen={
        "connecting.happy-eyeballs.after-a-failure": "a hang",
        "connecting.interleave.default-with-happy-eyeballs": "a hang after 1 s without progress",
    },
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
    "With happy_eyeballs_delay, the first failure after the last attempt began ends the call.",
    "connecting.happy-eyeballs.goes-on",
    replaces=open_connection,
    seen="it raised ConnectionRefusedError: [Errno",
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
    "With happy_eyeballs_delay, `family` and `local_addr` are ignored.",
    "connecting.happy-eyeballs.other-arguments",
    replaces=open_connection,
    seen="<campaigns.lookalikes.plain.StreamReader",
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
    replaces=open_connection,
    seen="sockets left open: 2",
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
    replaces=open_connection,
    seen={
        "connecting.ssl.handshake-timeout.default": "it raised ConnectionAbortedError: SSL",
        "connecting.ssl.shutdown-timeout.default": "it still waits",
    },
)
async def confuses_the_times(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl"):
        options = {"ssl_handshake_timeout": 30.0, "ssl_shutdown_timeout": 60.0} | options
    return await open_connection(host, port, **options)


# The result.


class Wrapped:
    """Has the attributes of the object that it wraps, but not its class."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self.wrapped)


def opens(fault: str, *fails: str, seen: Seen = NOTHING) -> Callable[[Any], Specimen]:
    """Make a specimen of what replaces `open_connection()`."""
    return specimen(fault, *fails, seen=seen, replaces=open_connection)


@opens(
    "open_connection() returns an iterator, not a pair.",
    "connecting.returns-a-pair",
    seen="TypeError: 'tuple_iterator' object is not",
)
async def returns_an_iterator(host: Any = None, port: Any = None, **options: Any) -> Any:
    return iter(await open_connection(host, port, **options))


@opens(
    "The reader of open_connection() is a wrapper, not a StreamReader.",
    "connecting.reader-class",
    seen="<class 'campaigns.zoo.connecting.Wrapped'>",
)
async def wraps_the_reader(host: Any = None, port: Any = None, **options: Any) -> Any:
    reader, writer = await open_connection(host, port, **options)
    return Wrapped(reader), writer


@opens(
    "The writer of open_connection() is a wrapper, not a StreamWriter.",
    "connecting.writer-class",
    seen="<class 'campaigns.zoo.connecting.Wrapped'>",
)
async def wraps_the_writer(host: Any = None, port: Any = None, **options: Any) -> Any:
    reader, writer = await open_connection(host, port, **options)
    return reader, Wrapped(writer)


# Addresses.


@opens(
    "A host must be an address.",
    "connecting.host.name",
    "connecting.local-addr.name",
    seen="gaierror: [Errno -2] Name or service not",
)
async def addresses_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if host is not None and "flags" not in options:
        options["flags"] = socket.AI_NUMERICHOST
    return await open_connection(host, port, **options)


@opens(
    "Connections are made over IPv4 only, unless told otherwise.",
    "connecting.host.ipv6",
    seen="gaierror: [Errno -9] Address family for",
)
async def ipv4_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is None and (host, port) != (None, None):
        options.setdefault("family", socket.AF_INET)
    return await open_connection(host, port, **options)


@opens(
    "If all addresses of a host fail, an exception group is raised.",
    "connecting.refused.several-addresses",
    "connecting.happy-eyeballs.refused",
    "connecting.refused.several-addresses.messages",
    seen="a group of exceptions: True",
)
async def groups_the_errors(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError as error:
        if type(error) is OSError and "; " in str(error):
            raise ExceptionGroup("all addresses failed", [error]) from None
        raise


async def families_of(host: Any, port: Any) -> list[int]:
    """Return the families of a host's addresses, in their order."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(family for family, *_ in found))


@opens(
    "The addresses of a host are tried in reverse order.",
    "connecting.addresses.in-order",
    "connecting.refused.several-addresses.messages",
    seen="index in ('127.0.0.1', '::1') of the",
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
    seen="ConnectionRefusedError: [Errno 111]",
)
async def first_address_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options or port is None:
        return await open_connection(host, port, **options)
    return await open_connection(host, port, family=(await families_of(host, port))[0])


@opens(
    "The host in local_addr must be an address.",
    "connecting.local-addr.name",
    seen="ValueError: 'localhost' does not appear",
)
async def local_address_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("local_addr") is not None:
        ipaddress.ip_address(options["local_addr"][0])
    return await open_connection(host, port, **options)


@opens(
    "Without any address it connects to the local host.",
    "connecting.no-address",
    seen="ConnectionRefusedError: [Errno 111]",
)
async def somewhere_local(host: Any = None, port: Any = None, **options: Any) -> Any:
    if (host, port, options.get("sock")) == (None, None, None):
        host, port = "127.0.0.1", 1
    return await open_connection(host, port, **options)


@opens(
    "A socket that is not a stream socket is refused with TypeError.",
    "connecting.sock.stream-only",
    seen="TypeError: a stream socket is needed",
)
async def wrong_type_of_socket(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options["sock"].type != socket.SOCK_STREAM:
        raise TypeError("a stream socket is needed")
    return await open_connection(host, port, **options)


left_open: list[socket.socket] = []


@opens(
    "An attempt that is refused leaves its socket open.",
    "connecting.refused.nothing-left-open",
    seen="sockets left open: 3",
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
    seen="a hang",
)
async def any_ssl_is_ssl(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") is not None:
        options["ssl"] = options["ssl"] or True
    return await open_connection(host, port, **options)


@opens(
    "Only the certificates and the check of names of an SSLContext are used.",
    "connecting.ssl.context",
    "get_extra_info.sslcontext",
    seen="protocol agreed on: None",
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
    seen="a hang",
)
async def sockets_are_plain(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options.get("server_hostname"):
        del options["ssl"], options["server_hostname"]
    return await open_connection(host, port, **options)


@opens(
    "A certificate for the host is accepted even if server_hostname is another name.",
    "connecting.ssl.server-hostname.overrides",
    seen="a hang",
)
async def either_name_will_do(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ssl_module.SSLCertVerificationError as error:
        if host is None or not options.get("server_hostname") or "mismatch" not in str(error):
            raise
        return await open_connection(host, port, **options | {"server_hostname": host})


@opens(
    "server_hostname is compared with the certificate, but not sent to the server.",
    "connecting.ssl.server-hostname.is-announced",
    seen="names announced: [None]",
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
    "TLS needs server_hostname: the host is not its default.",
    "connecting.ssl.server-hostname.defaults-to-host",
    "connecting.happy-eyeballs.other-arguments",
    seen="ValueError: server_hostname is needed",
)
async def needs_a_name(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") and options.get("server_hostname") is None:
        raise ValueError("server_hostname is needed")
    return await open_connection(host, port, **options)


@opens(
    'server_hostname="" is refused.',
    "connecting.ssl.server-hostname.empty",
    seen="ValueError: server_hostname is empty",
)
async def needs_some_name(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("server_hostname") == "":
        raise ValueError("server_hostname is empty")
    return await open_connection(host, port, **options)


@opens(
    "Over a given socket, the name to check is the peer's address.",
    "connecting.ssl.server-hostname.required-to-check",
    "connecting.ssl.server-hostname.required-without-host",
    seen="a hang",
)
async def address_for_a_name(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("ssl") and options.get("sock") is not None:
        options.setdefault("server_hostname", options["sock"].getpeername()[0])
    return await open_connection(host, port, **options)


@opens(
    "TLS over a given socket needs no server_hostname if the context checks no names.",
    "connecting.ssl.server-hostname.required-without-host",
    seen="a hang",
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
    seen="<campaigns.lookalikes.plain.StreamReader",
)
async def ignores_what_tls_takes(host: Any = None, port: Any = None, **options: Any) -> Any:
    if not options.get("ssl"):
        for name in ("server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"):
            options.pop(name, None)
    return await open_connection(host, port, **options)


@opens(
    "Where nobody listens, open_connection() returns a pair of None.",
    "connecting.refused",
    seen="None, None) returned",
)
async def returns_nothing(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except ConnectionRefusedError:
        return None, None
