"""Faults that show with the second server, the third address, or the fourth failure."""

import asyncio
import socket
import ssl as ssl_module
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from ..lookalikes import connecting
from ..lookalikes.plain import check_client_tls
from .sound import Protocol, Server, StreamWriter, open_connection, start_server
from .specimen import NOTHING, Seen, Specimen, specimen

Connect = Callable[[list[Any], list[Any], float | None], Awaitable[socket.socket]]

OF_TLS = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")


# The third address of a host.


def connecting_by(
    name: str, fault: str, *fails: str, seen: Seen = NOTHING, connect: Connect
) -> Specimen:
    """Return a specimen that connects to the first of several addresses by `connect`."""

    async def broken(host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("sock") is not None or host is None or options.get("limit", 1) <= 0:
            return await open_connection(host, port, **options)
        check_client_tls(host, options)
        kept = {each: options.pop(each) for each in (*OF_TLS, "limit") if each in options}
        delay, local = options.get("happy_eyeballs_delay"), options.get("local_addr")
        lookup = {each: options.get(each, 0) for each in ("family", "proto", "flags")}
        lookup["type"] = socket.SOCK_STREAM
        loop = asyncio.get_running_loop()
        addresses = list(await loop.getaddrinfo(host, port, **lookup))
        lead = options.get("interleave")
        if lead is None:
            lead = 0 if delay is None else 1
        if lead:
            addresses = connecting.alternating(addresses, lead)
        origins = list(await loop.getaddrinfo(*local, **lookup)) if local else []
        return await open_connection(sock=await connect(addresses, origins, delay), **kept)

    broken.__name__ = name
    return specimen(fault, *fails, seen=seen, basic=True, replaces=open_connection)(broken)


async def bound_first(
    addresses: list[Any], origins: list[Any], delay: float | None
) -> socket.socket:
    """Bind the socket of the first attempt only."""
    try:
        return await connecting.first_connected(addresses[:1], origins, delay)
    except OSError:
        if len(addresses) == 1:
            raise
        return await connecting.first_connected(addresses[1:], [], delay)


async def slower_and_slower(
    addresses: list[Any], origins: list[Any], delay: float | None
) -> socket.socket:
    """Wait twice as long for each further address."""
    rest, begun = deque(addresses), []
    while rest:
        begun.append(asyncio.ensure_future(connecting.connected(rest.popleft(), origins)))
        done, _ = await asyncio.wait(
            begun,
            timeout=delay * 2 ** (len(begun) - 1) if rest and delay is not None else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for each in done:
            if not each.exception():
                for other in begun:
                    other.cancel()
                return each.result()
            begun.remove(each)
    return await begun[0]


async def with_two_reasons(
    addresses: list[Any], origins: list[Any], delay: float | None
) -> socket.socket:
    """Give the reasons of two addresses, where more have failed."""
    try:
        return await connecting.first_connected(addresses, origins, delay)
    except OSError as error:
        raise OSError("; ".join(str(error).split("; ")[:2])) from None


binds_the_first = connecting_by(
    "binds_the_first",
    "open_connection() comes from `local_addr` only if the first address answers.",
    *("connecting.local-addr", "connecting.happy-eyeballs.other-arguments"),
    connect=bound_first,
    seen="from where, after 1 refusals: '127.0.0.1'",
)
slows_down = connecting_by(
    "slows_down",
    "happy_eyeballs_delay doubles with each address.",
    "connecting.happy-eyeballs.delay",
    connect=slower_and_slower,
    seen="it still waits",
)
tells_two_reasons = connecting_by(
    "tells_two_reasons",
    "The error of several addresses gives the reasons of two.",
    *("connecting.refused.several-addresses.messages", "connecting.happy-eyeballs.refused"),
    connect=with_two_reasons,
    seen="('::1', ",
)


# The second family.


@specimen(
    "TCP_NODELAY is not set on the connections of open_connection() over IPv6.",
    "connecting.nodelay",
    seen="TCP_NODELAY set: False",
    basic=True,
    replaces=open_connection,
)
async def delays_ipv6(*address: Any, **options: Any) -> Any:
    pair = await open_connection(*address, **options)
    hold_back_over_ipv6(pair[1].get_extra_info("socket"))
    return pair


@specimen(
    "TCP_NODELAY is not set on the connections of a server over IPv6.",
    "serving.nodelay",
    seen="TCP_NODELAY set: False",
    basic=True,
)
class DelaysIPv6(Server):
    def serve(self, connection: Any) -> None:
        hold_back_over_ipv6(connection.socket())
        super().serve(connection)


def hold_back_over_ipv6(sock: Any) -> None:
    if sock is not None and sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


# The second server.


@specimen(
    "The limit of a server is that of the program's newest server.",
    "serving.limit.given",
    seen="LimitOverrunError",
    basic=True,
)
class LimitsAll(Server):
    newest: ClassVar[int] = 1

    def __init__(self, streams: Any, callback: Any, limit: int, keep_alive: Any) -> None:
        super().__init__(streams, callback, limit, keep_alive)
        LimitsAll.newest = limit

    def protocol(self) -> Any:
        self.limit = self.newest
        return super().protocol()


@specimen(
    "Whether connections are kept alive is up to the program's newest server.",
    "serving.keep-alive",
    seen="SO_KEEPALIVE set: False",
    basic=True,
)
class KeepsAllAlive(Server):
    newest: ClassVar[Any] = None

    def __init__(self, streams: Any, callback: Any, limit: int, keep_alive: Any) -> None:
        super().__init__(streams, callback, limit, keep_alive)
        KeepsAllAlive.newest = keep_alive

    def serve(self, connection: Any) -> None:
        self._keep_alive = self.newest
        super().serve(connection)


@specimen(
    "close() ends serve_forever() of every server.",
    "server.serve-forever.ends-on-close",
    seen="it was cancelled",
    basic=True,
)
class EndsForeverForAll(Server):
    def close(self) -> None:
        for each in list(self._open):
            if each._forever is not None:
                each._forever.cancel()
        super().close()


@specimen(
    "close() closes every server.",
    "serving.several-servers",
    seen="is_serving() of another server: False",
    basic=True,
)
class ClosesAll(Server):
    def close(self) -> None:
        super().close()
        for each in list(self._open):
            Server.close(each)


class KeepsConnections(Server):
    """Keeps the connections of all servers together."""

    everybody: ClassVar[set[Any]] = set()

    def serve(self, connection: Any) -> None:
        self.everybody.add(connection)
        super().serve(connection)

    def forget(self, connection: Any) -> None:
        self.everybody.discard(connection)
        super().forget(connection)


@specimen(
    "close_clients() closes the clients of every server.",
    "server.close-clients.closes",
    seen="of another server's connection: True",
    basic=True,
)
class ClosesEverybody(KeepsConnections):
    def close_clients(self) -> None:
        for each in list(self.everybody):
            each.close()


@specimen(
    "abort_clients() aborts the clients of every server.",
    "server.abort-clients.ends-at-once",
    seen="of another server's connection: True",
    basic=True,
)
class AbortsEverybody(KeepsConnections):
    def abort_clients(self) -> None:
        for each in list(self.everybody):
            each.abort()


@specimen(
    "wait_closed() waits for the clients of every server.",
    "server.wait-closed.returns",
    seen="a hang",
    basic=True,
)
class WaitsForEverybody(KeepsConnections):
    async def wait_closed(self) -> None:
        await super().wait_closed()
        while self.everybody:
            await asyncio.sleep(0.001)


# The second upgrade, and the fourth handshake.


@specimen(
    "Clients' connections are upgraded one after the other.",
    "start_tls.in-the-background",
    seen="a hang",
    basic=True,
)
class UpgradesClientsInTurn(StreamWriter):
    turns: ClassVar[WeakKeyDictionary[Any, asyncio.Lock]] = WeakKeyDictionary()

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        if self._protocol.server is not None:
            await super().start_tls(*arguments, **options)
            return
        async with self.turns.setdefault(self._loop, asyncio.Lock()):
            await super().start_tls(*arguments, **options)


@specimen(
    "A TLS server serves nobody after three handshakes that failed.",
    "serving.ssl.failed-handshake-harms-nobody",
    basic=True,
    replaces=start_server,
)
async def tires_of_failures(*arguments: Any, **options: Any) -> Any:
    failures: list[Exception] = []

    class Tired(ssl_module.SSLObject):
        def do_handshake(self) -> None:
            if len(failures) == 3:
                raise ssl_module.SSLError("too many failures")
            try:
                super().do_handshake()
            except ssl_module.SSLWantReadError:
                raise
            except ssl_module.SSLError as error:
                failures.append(error)
                raise

    if isinstance(options.get("ssl"), ssl_module.SSLContext):
        options["ssl"].sslobject_class = Tired
    return await start_server(*arguments, **options)


# Early data.


@specimen(
    "Data that arrives in one piece with the end of a TLS handshake is lost.",
    "tls.early-data",
    seen="a hang",
    basic=True,
)
class LosesEarlyData(Protocol):
    is_new = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.is_tls:
            self.is_new = True
            self.loop.call_soon(self.goes_on)

    def goes_on(self) -> None:
        self.is_new = False

    def data_received(self, data: bytes) -> None:
        if not self.is_new:
            super().data_received(data)
