"""Broken `start_server()`s, argument by argument."""

import errno
import inspect
import socket
import ssl as ssl_module
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from conformance.marks import INTERNET, PLAIN, TLS
from reference_impl import StreamReaderProtocol, start_server
from reference_impl._server import Server

from .connecting import HOSTS, OF_THE_LIMIT
from .specimen import Some, Specimen, specimen


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
    *OF_THE_LIMIT,
    networks=HOSTS,
)
without_family = ignoring(
    "family",
    "serving.family",
    "serving.flags",
    "serving.keep-alive",
    networks=INTERNET,
)
without_flags = ignoring(
    "flags",
    "serving.flags",
    networks=INTERNET,
)
without_sock = ignoring(
    "sock",
    "serving.sock.is-used",
    "serving.sock.closed-with-the-server",
    "serving.sock.excludes-an-address",
    "serving.reset-before-accept",
    "serving.sock.blocking",
    networks=INTERNET,
)
without_backlog = ignoring(
    "backlog",
    "serving.backlog.given",
    networks=INTERNET,
)
without_reuse_address = ignoring(
    "reuse_address",
    "serving.reuse-address.false",
    networks=INTERNET,
)
without_reuse_port = ignoring(
    "reuse_port",
    "serving.reuse-port",
    networks=INTERNET,
)
without_keep_alive = ignoring(
    "keep_alive",
    "serving.keep-alive",
    networks=INTERNET,
)
without_start_serving = ignoring(
    "start_serving",
    "serving.start-serving.false",
    "server.is-serving",
    "serving.keep-alive",
)
without_ssl_handshake_timeout = ignoring(
    "ssl_handshake_timeout",
    "serving.ssl.handshake-timeout",
    "serving.ssl.timeouts.without-ssl",
    networks=("tls-memory", "tls", "memory", "tcp"),
)
without_ssl_shutdown_timeout = ignoring(
    "ssl_shutdown_timeout",
    "serving.ssl.shutdown-timeout",
    "serving.ssl.timeouts.without-ssl",
    networks=("tls-memory", "tls", "memory", "tcp"),
)


@specimen(
    "The limit of a server's readers is 128 KiB by default.",
    "serving.limit.default",
    networks=HOSTS,
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
    networks=INTERNET,
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
    networks=INTERNET,
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
    # The fakes free a port with its listener, and not with the last connection of it.
    only_on={("tcp",): ("server.close.stops-listening",)},
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
    networks=INTERNET,
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
    networks=("tcp",),  # simulated sockets never block
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
    "The callback is called at once, and its client's TLS handshake is done afterwards.",
    "handlers.tls.after-the-handshake",
    "serving.ssl.failed-handshake-harms-nobody",
    networks=TLS,
    basic=True,
    replaces=start_server,
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
    "A client that has left some turns of the loop after it came is not served.",
    "handlers.data-of-a-client-that-left",
    networks=PLAIN,
)
class LooksAgain(StreamReaderProtocol):
    def _serve(self, handler: Any, reader: Any, writer: Any, turns: int = 5) -> None:
        if turns:
            self._loop.call_soon(self._serve, handler, reader, writer, turns - 1)
        elif reader._eof:
            writer.close()
        else:
            super()._serve(handler, reader, writer)


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
    networks=PLAIN,
)
class ClosesTheServerToo(Server):
    def close_clients(self) -> None:
        super().close_clients()
        self.close()


# Servers and their addresses.


def starts(
    fault: str,
    *fails: str,
    networks: tuple[str, ...] = INTERNET,
    only_on: Some = MappingProxyType({}),
) -> Callable[[Any], Specimen]:
    """Make a specimen of what replaces `start_server()`."""
    return specimen(fault, *fails, networks=networks, only_on=only_on, replaces=start_server)


last_callback: list[Any] = []


@specimen(
    "All servers of a program call the callback of the last one.",
    "serving.several-servers",
    "reader.any-program",  # which has a server for each limit
)
class LastCallbackForAll(Server):
    def __init__(self, client_connected_cb: Any, limit: int, loop: Any) -> None:
        super().__init__(client_connected_cb, limit, loop)
        last_callback[:] = [client_connected_cb]

    def _protocol(self) -> Any:
        self._client_connected_cb = last_callback[0]
        return super()._protocol()


@starts(
    "A server listens on all interfaces, whatever the host.",
    "serving.host.string",
    "get_extra_info.sockname",
    networks=HOSTS,
)
async def every_interface(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    host = "0.0.0.0" if isinstance(host, str) and host.startswith("127.") else host
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "A host must be an address.",
    "serving.host.name",
)
async def addresses_only(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if host and "flags" not in options:
        options["flags"] = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "A server listens on IPv4 only, unless told otherwise.",
    "serving.host.ipv6",
    "serving.host.none-or-empty",
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
)
async def needs_a_port(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("sock") is None and port is None:
        raise TypeError("a port is needed")
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "The port is a wish: any other will do.",
    "serving.port.given",
    "serving.port.in-use",
    "serving.failed.nothing-left-listening",
    "serving.host.sequence",
    "serving.reuse-port",
    "serving.reuse-port.not-given",
    "serving.reuse-address.default",
    only_on={("tcp",): ("serving.keep-alive",)},
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
    "A socket that is no stream is refused with TypeError.",
    "serving.sock.stream-only",
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
    networks=HOSTS,
)
class DelaysAnswers(StreamReaderProtocol):
    def connection_made(self, transport: Any) -> None:
        sock = transport.get_extra_info("socket")
        if self._client_connected_cb is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        super().connection_made(transport)


@starts(
    "The callback must be a function or a method.",
    "handlers.plain.any-callable",
    "handlers.coroutine.of-any-shape",
    networks=HOSTS,
)
async def functions_only(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if not inspect.isroutine(client_connected_cb):
        raise TypeError("a function is needed")
    return await start_server(client_connected_cb, host, port, **options)


# TLS.


@starts(
    "ssl=None is refused: it is no SSLContext.",
    "serving.ssl.none",
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
    networks=TLS,
)
async def offers_its_own_protocols(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if isinstance(options.get("ssl"), ssl_module.SSLContext):
        options["ssl"].set_alpn_protocols(["http/1.1"])
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "ssl=True is a context without a certificate.",
    "serving.ssl.no-context",
)
async def true_is_a_context(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if options.get("ssl") is True:
        options["ssl"] = ssl_module.create_default_context(ssl_module.Purpose.CLIENT_AUTH)
    return await start_server(client_connected_cb, host, port, **options)


@starts(
    "Without TLS, its time-outs are ignored.",
    "serving.ssl.timeouts.without-ssl",
)
async def ignores_what_tls_takes(
    client_connected_cb: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if not options.get("ssl"):
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            options.pop(name, None)
    return await start_server(client_connected_cb, host, port, **options)
