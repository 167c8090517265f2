"""Broken `start_server()`s, argument by argument."""

from typing import Any

from conformance.marks import PLAIN
from reference_impl import start_server
from reference_impl._server import Server

from .specimen import Specimen, specimen

TCP = ("tcp",)
INTERNET = ("memory", "tcp")


def ignoring(name: str, *fails: str, networks: tuple[str, ...] = INTERNET) -> Specimen:
    """Return a specimen that takes an argument of `start_server()` and does nothing with it."""

    async def broken(
        client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        options.pop(name, None)
        return await start_server(client_connected_cb, host, port, **options)

    broken.__name__ = f"without_{name}"
    return specimen(
        f"start_server() ignores `{name}`.", *fails, networks=networks, replaces=start_server
    )(broken)


without_limit = ignoring(
    "limit",
    "serving.limit.given",
    "serving.limit.not-positive",
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
    networks=("memory", "tls-memory", "tcp", "tls"),
)
without_family = ignoring(
    "family",
    "serving.family",
    "serving.flags",
    networks=TCP,
)
without_flags = ignoring(
    "flags",
    "serving.flags",
    networks=TCP,
)
without_sock = ignoring(
    "sock",
    "serving.sock.is-used",
    "serving.sock.closed-with-the-server",
    "serving.sock.excludes-an-address",
    networks=TCP,
)
without_backlog = ignoring(
    "backlog",
    "serving.backlog.given",
    networks=TCP,
)
without_reuse_address = ignoring(
    "reuse_address",
    "serving.reuse-address.false",
    networks=TCP,
)
without_reuse_port = ignoring(
    "reuse_port",
    "serving.reuse-port",
    networks=TCP,
)
without_keep_alive = ignoring(
    "keep_alive",
    "serving.keep-alive",
    networks=TCP,
)
without_start_serving = ignoring(
    "start_serving",
    "serving.start-serving.false",
    "server.is-serving",
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "serving.ssl.handshake-timeout",
    networks=("tls-memory", "tls", "memory", "tcp"),
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "serving.ssl.shutdown-timeout",
    networks=("tls-memory", "tls", "memory", "tcp"),
)


@specimen(
    "The limit of a server's readers is 128 KiB by default.",
    "serving.limit.default",
    networks=("memory", "tls-memory", "tcp", "tls"),
    replaces=start_server,
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
    "Of a sequence of hosts only the first is served.",
    "serving.host.sequence",
    "serving.port.random-for-each-interface",
    "serving.failed.nothing-left-listening",
    networks=TCP,
    replaces=start_server,
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
    networks=TCP,
    replaces=start_server,
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
    networks=INTERNET,
    replaces=start_server,
)
async def limit_by_position(
    client_connected_cb: Any, host: Any = None, port: Any = None, limit: int = 65536, **options: Any
) -> Any:
    return await start_server(client_connected_cb, host, port, limit=limit, **options)


@specimen(
    "The callback is called `callback`.",
    "serving.arguments.positional-or-keyword",
    networks=INTERNET,
    replaces=start_server,
)
async def names_it_callback(
    callback: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    return await start_server(callback, host, port, **options)


@specimen(
    "SO_REUSEADDR is not set unless it is asked for.",
    "serving.reuse-address.default",
    networks=INTERNET,
    replaces=start_server,
)
async def reuses_nothing(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    options.setdefault("reuse_address", False)
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "10 connections may wait to be accepted by default.",
    "serving.backlog.default",
    networks=TCP,
    replaces=start_server,
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
    "A callback that cannot be called is found out when the first client comes.",
    "serving.callback.not-callable",
    networks=INTERNET,
    replaces=start_server,
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
    networks=TCP,
    replaces=start_server,
)
async def refuses_blocking_sockets(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "Servers share their ports unless told otherwise.",
    "serving.reuse-port.not-given",
    networks=INTERNET,
    replaces=start_server,
)
async def shares_its_port(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is None:
        options.setdefault("reuse_port", True)
    return await start_server(client_connected_cb, host, port, **options)


@specimen(
    "By default, a client's TLS handshake may take 30 seconds and its shutdown 60.",
    "serving.ssl.handshake-timeout.default",
    "serving.ssl.shutdown-timeout.default",
    networks=("tls-memory",),
    replaces=start_server,
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
    networks=INTERNET,
)
class NeedsToKnowThePeer(Server):
    def _protocol(self) -> Any:
        protocol = super()._protocol()
        made = protocol.connection_made

        def connection_made(transport: Any) -> None:
            if transport.get_extra_info("peername") is None:
                self.close()
            made(transport)

        protocol.connection_made = connection_made
        return protocol


@specimen(
    "close_clients() closes the server, too.",
    "server.close-clients.goes-on",
    networks=PLAIN,
)
class ClosesTheServerToo(Server):
    def close_clients(self) -> None:
        super().close_clients()
        self.close()
