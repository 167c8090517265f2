"""Broken `open_connection()`s, argument by argument."""

import asyncio
import errno
import socket
import ssl as ssl_module
from typing import Any

from conformance.marks import TLS
from reference_impl import open_connection

from .specimen import Specimen, specimen

TCP = ("tcp",)


def ignoring(name: str, *fails: str, networks: tuple[str, ...] = TCP) -> Specimen:
    """Return a specimen that takes an argument of `open_connection()` and does nothing with it."""

    async def broken(host: Any = None, port: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await open_connection(host, port, **options)

    broken.__name__ = f"without_{name}"
    return specimen(
        f"open_connection() ignores `{name}`.", *fails, networks=networks, replaces=open_connection
    )(broken)


without_limit = ignoring(
    "limit",
    "connecting.limit.given",
    "connecting.limit.not-positive",
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
    "reader.errors.pickle",
    networks=("memory", "tls-memory", "tcp", "tls"),
)
without_family = ignoring(
    "family",
    "connecting.family",
    "connecting.family.no-such-address",
)
without_proto = ignoring(
    "proto",
    "connecting.proto",
    networks=("memory", "tcp"),
)
without_flags = ignoring(
    "flags",
    "connecting.flags",
    networks=("memory", "tcp"),
)
without_sock = ignoring(
    "sock",
    "connecting.sock.is-used",
    "connecting.sock.closed-with-the-writer",
    "connecting.sock.excludes-an-address",
)
without_local_addr = ignoring(
    "local_addr",
    "connecting.local-addr",
    "connecting.local-addr.unusable",
)
without_happy_eyeballs_delay = ignoring(
    "happy_eyeballs_delay",
    "connecting.happy-eyeballs",
    "connecting.interleave.default-with-happy-eyeballs",
    "connecting.happy-eyeballs.loser-is-closed",
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
    networks=("tls-memory", "tls", "memory", "tcp"),
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "connecting.ssl.shutdown-timeout",
    "connecting.ssl.timeouts.not-positive",
    networks=("tls-memory", "tls", "memory", "tcp"),
)


@specimen(
    "The limit is 32 KiB by default.",
    "connecting.limit.default",
    networks=("memory", "tls-memory", "tcp", "tls"),
    replaces=open_connection,
)
async def smaller_limit(
    host: Any = None, port: Any = None, *, limit: int = 32 * 1024, **options: Any
) -> Any:
    return await open_connection(host, port, limit=limit, **options)


@specimen(
    "The limit may be given by position.",
    "connecting.options.keyword-only",
    networks=("memory", "tcp"),
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
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def by_position_only(host: Any = None, port: Any = None, /, **options: Any) -> Any:
    return await open_connection(host, port, **options)


@specimen(
    "A second connection to the same address is the first.",
    "connecting.each-call-connects-anew",
    "close.forgotten.warns",
    "close.forgotten.ends",
    networks=("memory", "tcp"),
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
    networks=("memory", "tcp"),
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
    networks=TCP,
    replaces=open_connection,
)
async def blocks(host: Any = None, port: Any = None, **options: Any) -> Any:
    if host is None or options:
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
    networks=TCP,
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
    networks=TCP,
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
    if options.get("sock") is not None and host is None:
        options["sock"] = options["sock"].dup()
    return await open_connection(host, port, **options)


@specimen(
    "A socket excludes no host: the host is ignored.",
    "connecting.sock.excludes-an-address",
    networks=TCP,
    replaces=open_connection,
)
async def socket_wins(host: Any = None, port: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None:
        host = port = None
    return await open_connection(host, port, **options)


@specimen(
    "Of several failures only the first is told.",
    "connecting.refused.several-addresses.messages",
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
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def keeps_to_the_schedule(host: Any = None, port: Any = None, **options: Any) -> Any:
    delay = options.pop("happy_eyeballs_delay", None)
    if not delay or "interleave" in options:
        return await open_connection(host, port, **options)
    lookup = asyncio.get_running_loop().getaddrinfo
    addresses = await lookup(host, port, type=socket.SOCK_STREAM)

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
    "With happy_eyeballs_delay, the failures are raised as a group.",
    "connecting.happy-eyeballs.refused",
    networks=("memory", "tcp"),
    replaces=open_connection,
)
async def raises_a_group(host: Any = None, port: Any = None, **options: Any) -> Any:
    try:
        return await open_connection(host, port, **options)
    except OSError as error:
        if options.get("happy_eyeballs_delay"):
            raise ExceptionGroup("no address answers", [error]) from None
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
