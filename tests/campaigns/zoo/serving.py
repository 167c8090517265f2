"""Broken `start_server()`s, argument by argument."""

import errno
import inspect
import socket
import ssl as ssl_module
from collections.abc import Callable
from typing import Any

from .sound import Protocol, Server, start_server
from .specimen import NOTHING, Seen, Specimen, specimen


def ignoring(name: str, *fails: str, seen: Seen = NOTHING) -> Specimen:
    """Return a specimen that takes an argument of `start_server()` and does nothing with it."""

    async def broken(
        client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        options.pop(name, None)
        return await start_server(client_connected_cb, host, port, **options)

    broken.__name__ = f"without_{name}"
    return specimen(f"start_server() ignores `{name}`.", *fails, seen=seen, replaces=start_server)(
        broken
    )


without_limit = ignoring(
    "limit",
    "serving.limit.given",
    "serving.limit.not-positive",
    seen="b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
)
without_family = ignoring(
    "family",
    "serving.family",
    "serving.keep-alive",
    seen="families: {<AddressFamily.AF_INET",
)
without_flags = ignoring(
    "flags",
    "serving.flags",
    seen="<campaigns.lookalikes.plain.Server object",
)
without_sock = ignoring(
    "sock",
    "serving.sock.is-used",
    "serving.sock.closed-with-the-server",
    "serving.sock.excludes-an-address",
    seen={
        "serving.sock.is-used": "ValueError: Neither host/port nor sock",
        "serving.sock.closed-with-the-server": "ValueError: Neither host/port nor sock",
        "serving.sock.excludes-an-address": "<campaigns.lookalikes.plain.Server object",
    },
)
without_backlog = ignoring(
    "backlog",
    "serving.backlog.given",
    seen="backlog",
)
without_reuse_address = ignoring(
    "reuse_address",
    "serving.reuse-address.false",
    seen="SO_REUSEADDR set: True",
)
without_reuse_port = ignoring(
    "reuse_port",
    "serving.reuse-port",
    seen="OSError: [Errno 98] error while",
)
without_keep_alive = ignoring(
    "keep_alive",
    "serving.keep-alive",
    seen="SO_KEEPALIVE set: False",
)
without_start_serving = ignoring(
    "start_serving",
    "serving.start-serving.false",
    "server.is-serving",
    "serving.keep-alive",
    seen="clients before the server was started: 1",
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "serving.ssl.handshake-timeout",
    "serving.ssl.timeouts.without-ssl",
    seen="a hang after 20 s without progress",
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "serving.ssl.shutdown-timeout",
    "serving.ssl.timeouts.without-ssl",
    seen="a hang after 20 s without progress",
)


@specimen(
    "The limit of a server's readers is 128 KiB by default.",
    "serving.limit.default",
    replaces=start_server,
    seen="b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
)
async def larger_limit(
    client_connected_cb: Any,
    host: Any = None,
    port: Any = None,
    *,
    limit: int = 2**17,
    **options: Any,
) -> Any:
    return await start_server(client_connected_cb, host, port, limit=limit, **options)


@specimen(
    "Only the first of a sequence of hosts is served.",
    "serving.host.sequence",
    "serving.port.random-for-each-interface",
    "serving.failed.nothing-left-listening",
    replaces=start_server,
    seen={
        "serving.host.sequence": "ConnectionRefusedError: [Errno 111]",
        "serving.port.random-for-each-interface": "ValueError: not enough values to unpack",
        "serving.failed.nothing-left-listening": "<campaigns.lookalikes.plain.Server object",
    },
)
async def first_host_only(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    host = host[0] if isinstance(host, list | tuple) and host else host
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "Without a host, the loopback interface is served.",
    "serving.host.none-or-empty",
    "serving.host.sequence.empty",
    replaces=start_server,
    seen={
        "serving.host.none-or-empty": "ConnectionRefusedError: [Errno 111] Connection refused",
        "serving.host.sequence.empty": "no exception",
    },
)
async def loopback_by_default(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if not host and options.get("sock") is None and not options:
        host = "localhost"
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "The limit may be given by position.",
    "serving.options.keyword-only",
    replaces=start_server,
    seen="no exception",
)
async def limit_by_position(
    client_connected_cb: Any, host: Any = None, port: Any = None, limit: int = 65536, **options: Any
) -> Any:
    return await start_server(client_connected_cb, host, port, limit=limit, **options)


@specimen(
    "The parameter for the callback has the name `callback`.",
    "serving.arguments.positional-or-keyword",
    replaces=start_server,
    seen="TypeError: names_it_callback() missing 1",
)
async def names_it_callback(
    callback: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    return await start_server(callback, host, port, **options)


@specimen(
    "SO_REUSEADDR is not set by default.",
    "serving.reuse-address.default",
    "server.close.stops-listening",
    # The fakes free a port when its listener closes, and not when its last connection ends.
    replaces=start_server,
    seen={
        "serving.reuse-address.default": "OSError: [Errno 98] error while",
        "server.close.stops-listening": "OSError: [Errno 98] error while",
    },
)
async def reuses_nothing(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    options.setdefault("reuse_address", False)
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "10 connections may wait to be accepted by default.",
    "serving.backlog.default",
    replaces=start_server,
    seen="backlog 10",
)
async def shorter_backlog(
    client_connected_cb: Any,
    host: Any = None,
    port: Any = None,
    *,
    backlog: int = 10,
    **options: Any,
) -> Any:
    return await start_server(client_connected_cb, host, port, backlog=backlog, **options)


@specimen(
    "A callback that cannot be called is noticed only when the first client connects.",
    "serving.callback.not-callable",
    replaces=start_server,
    seen="no exception",
)
async def takes_any_callback(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if callable(client_connected_cb):
        return await start_server(client_connected_cb, host, port, **options)
    return await start_server(lambda *pair: client_connected_cb(*pair), host, port, **options)


@specimen(
    "A socket has to be non-blocking, or is refused.",
    "serving.sock.blocking",
    replaces=start_server,
    seen="ValueError: the socket must be",
)
async def refuses_blocking_sockets(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "Servers share their ports by default.",
    "serving.reuse-port.not-given",
    replaces=start_server,
    seen="<campaigns.lookalikes.plain.Server object",
)
async def shares_its_port(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is None:
        options.setdefault("reuse_port", True)
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "The callback is called immediately, and its client's TLS handshake is done afterwards.",
    "handlers.tls.after-the-handshake",
    "serving.ssl.failed-handshake-harms-nobody",
    basic=True,
    replaces=start_server,
    seen={
        "handlers.tls.after-the-handshake": "calls before the handshake: 1",
        "serving.ssl.failed-handshake-harms-nobody": "clients after a failed handshake: 1",
    },
)
async def calls_before_the_handshake(
    client_connected_cb: Any, host: Any = None, port: Any = None, *, ssl: Any = None, **options: Any
) -> Any:
    async def serve(reader: Any, writer: Any) -> None:
        served = client_connected_cb(reader, writer)
        if ssl is not None:
            await writer.start_tls(ssl)
        if inspect.iscoroutine(served):
            await served

    return await start_server(serve, host, port, **options)


@specimen(
    "A client that leaves some turns of the loop after it connected is not served.",
    "handlers.data-of-a-client-that-left",
    seen="a hang",
)
class LooksAgain(Server):
    def serve(self, connection: Any, turns: int = 5) -> None:
        if turns:
            self._loop.call_soon(self.serve, connection, turns - 1)
        elif connection.reader.ended():
            connection.close()
        else:
            super().serve(connection)


@specimen(
    "By default, a client's TLS handshake may take 30 seconds and its shutdown 60.",
    "serving.ssl.handshake-timeout.default",
    "serving.ssl.shutdown-timeout.default",
    replaces=start_server,
    seen={
        "serving.ssl.handshake-timeout.default": "it returned (b'', 'eof')",
        "serving.ssl.shutdown-timeout.default": "it still waits",
    },
)
async def confuses_the_times(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("ssl"):
        options = {"ssl_handshake_timeout": 30.0, "ssl_shutdown_timeout": 60.0} | options
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "A client that has left before it was accepted stops the server.",
    "serving.reset-before-accept",
    seen="ConnectionRefusedError: [Errno 111]",
)
class NeedsToKnowThePeer(Server):
    def protocol(self) -> Any:
        protocol: Any = super().protocol()
        made = protocol.connection_made

        def connection_made(transport: Any) -> None:
            try:
                transport.get_extra_info("socket").getpeername()
            except OSError:
                self.close()
            made(transport)

        protocol.connection_made = connection_made
        return protocol


@specimen(
    "close_clients() closes the server, too.",
    "server.close-clients.goes-on",
    seen="is_serving() False",
)
class ClosesTheServerToo(Server):
    def close_clients(self) -> None:
        super().close_clients()
        self.close()


# Servers and their addresses.


def starts(
    fault: str,
    *fails: str,
    seen: Seen = NOTHING,
) -> Callable[[Any], Specimen]:
    """Make a specimen of a function that replaces `start_server()`."""
    return specimen(fault, *fails, seen=seen, replaces=start_server)


last_callback: list[Any] = []


@specimen(
    "All servers of a program call the callback of the last one.",
    "serving.several-servers",
    "reader.any-program",
    seen={
        "serving.several-servers": "a hang",
        "reader.any-program": "a hang",
    },
)
class LastCallbackForAll(Server):
    def __init__(self, streams: Any, callback: Any, limit: int, keep_alive: Any) -> None:
        super().__init__(streams, callback, limit, keep_alive)
        last_callback[:] = [callback]

    def protocol(self) -> Any:
        self._callback = last_callback[0]
        return super().protocol()


@starts(
    "A server listens on all interfaces, whatever the host.",
    "serving.host.string",
    "get_extra_info.sockname",
    seen={
        "serving.host.string": "the host of the listening socket",
        "get_extra_info.sockname": "'127.0.0.1'",
    },
)
async def every_interface(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    host = "0.0.0.0" if isinstance(host, str) and host.startswith("127.") else host
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "A host must be an address.",
    "serving.host.name",
    seen="gaierror: [Errno -2] Name or service not",
)
async def addresses_only(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if host and "flags" not in options:
        options["flags"] = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "A server listens only on IPv4 by default.",
    "serving.host.ipv6",
    "serving.host.none-or-empty",
    seen="gaierror: [Errno -9] Address family for",
)
async def ipv4_only(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is None:
        options.setdefault("family", socket.AF_INET)
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "A server needs a port: None is refused.",
    "serving.port.zero-or-none",
    seen="TypeError: a port is needed",
)
async def needs_a_port(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is None and port is None:
        raise TypeError("a port is needed")
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "If the port cannot be used, the server takes any other.",
    "serving.port.given",
    seen="ConnectionRefusedError: [Errno 111]",
)
async def any_port(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    return await start_server(client_connected_cb, host, port and 0, **options)


@starts(
    "A server whose port is in use takes another.",
    "serving.port.in-use",
    "serving.failed.nothing-left-listening",
    "serving.reuse-port.not-given",
    seen="<campaigns.lookalikes.plain.Server object",
)
async def another_port(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    try:
        return await start_server(client_connected_cb, host, port, **options)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return await start_server(client_connected_cb, host, 0, **options)


@starts(
    "A socket that is not a stream socket is refused with TypeError.",
    "serving.sock.stream-only",
    seen="TypeError: a stream socket is needed",
)
async def wrong_type_of_socket(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is not None and options["sock"].type != socket.SOCK_STREAM:
        raise TypeError("a stream socket is needed")
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "TCP_NODELAY is not set on the connections of a server.",
    "serving.nodelay",
    seen="TCP_NODELAY set: False",
)
class DelaysAnswers(Protocol):
    def connection_made(self, transport: Any) -> None:
        sock = transport.get_extra_info("socket")
        if self.server is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        super().connection_made(transport)


@starts(
    "The callback must be a function or a method.",
    "handlers.plain.any-callable",
    "handlers.coroutine.of-any-shape",
    seen="TypeError: a function is needed",
)
async def functions_only(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if not inspect.isroutine(client_connected_cb):
        raise TypeError("a function is needed")
    return await start_server(client_connected_cb, host, port, **options)


# TLS.


@starts(
    "ssl=None is refused, because it is not an SSLContext.",
    "serving.ssl.none",
    seen="TypeError: ssl must be an SSLContext",
)
async def takes_no_none(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("ssl", True) is None:
        raise TypeError("ssl must be an SSLContext")
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "The protocols that an SSLContext offers are replaced by the server's own.",
    "serving.ssl.context",
    seen="protocol agreed on: None",
)
async def offers_its_own_protocols(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if isinstance(options.get("ssl"), ssl_module.SSLContext):
        options["ssl"].set_alpn_protocols(["http/1.1"])
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "ssl=True means a context without a certificate.",
    "serving.ssl.no-context",
    seen="no exception",
)
async def true_is_a_context(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("ssl") is True:
        options["ssl"] = ssl_module.create_default_context(ssl_module.Purpose.CLIENT_AUTH)
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "Without TLS, its timeouts are ignored.",
    "serving.ssl.timeouts.without-ssl",
    seen="no exception",
)
async def ignores_what_tls_takes(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if not options.get("ssl"):
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            options.pop(name, None)
    return await start_server(client_connected_cb, host, port, **options)
