"""Arguments of which only some values, or some kinds of values, have the right effect."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .sound import (
    StreamReader,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from .specimen import NOTHING, Seen, Specimen, specimen

Bound = Callable[[Any], Any]
"""The value that an implementation makes of a given one."""


def at_most(most: float) -> Bound:
    """Return a `Bound` that lowers values above `most`."""
    return lambda value: min(value, most)


def at_least(least: float) -> Bound:
    """Return a `Bound` that raises values below `least`."""
    return lambda value: max(value, least)


def ignored(_: Any) -> None:
    """Take nothing."""
    return


def with_sock(options: dict[str, Any]) -> bool:
    """Return whether a socket was given."""
    return options.get("sock") is not None


def with_tls_and_sock(options: dict[str, Any]) -> bool:
    """Return whether a socket was given, with TLS."""
    return with_sock(options) and bool(options.get("ssl"))


def with_tls(options: dict[str, Any]) -> bool:
    """Return whether it uses TLS."""
    return bool(options.get("ssl"))


def with_happy_eyeballs(options: dict[str, Any]) -> bool:
    """Return whether it uses Happy Eyeballs."""
    return options.get("happy_eyeballs_delay") is not None


def always(_: dict[str, Any]) -> bool:
    """Return that it is so in every way to call the function."""
    return True


def bounding(
    name: str,
    function: Callable[..., Any],
    argument: str,
    bound: Bound,
    fault: str,
    *fails: str,
    seen: Seen = NOTHING,
    when: Callable[[dict[str, Any]], bool] = always,
) -> Specimen:
    """Return a specimen whose `function` changes the value of an argument.

    Args:
        name: the specimen's.
        function: the function of the page.
        argument: the keyword argument.
        bound: returns the changed value; `None` if the argument is ignored.
        fault: the fault, in words.
        fails: the clauses that name the fault.
        seen: a piece of the text that a person reads.
        when: decides by the other arguments whether it does so.
    """

    async def broken(*address: Any, **options: Any) -> Any:
        if options.get(argument) is not None and when(options):
            options[argument] = bound(options[argument])
            if options[argument] is None:
                del options[argument]
        return await function(*address, **options)

    broken.__name__ = name
    return specimen(fault, *fails, seen=seen, basic=True, replaces=function)(broken)


opens_with_small_limits = bounding(
    *("opens_with_small_limits", open_connection, "limit", at_most(1024 * 1024)),
    "open_connection() has no limits above 1 MiB.",
    "connecting.limit.given",
)
opens_with_large_limits = bounding(
    *("opens_with_large_limits", open_connection, "limit", at_least(64)),
    "open_connection() has no limits below 64 bytes.",
    "connecting.limit.given",
)
opens_tls_over_sockets_without_limit = bounding(
    *("opens_tls_over_sockets_without_limit", open_connection, "limit", ignored),
    "open_connection() with `ssl` and `sock` ignores `limit`.",
    "connecting.limit.given",
    when=with_tls_and_sock,
)
opens_unix_tls_without_limit = bounding(
    *("opens_unix_tls_without_limit", open_unix_connection, "limit", ignored),
    "open_unix_connection() with `ssl` ignores `limit`.",
    "unix.open.limit.given",
    when=with_tls,
)
serves_tls_with_small_limits = bounding(
    *("serves_tls_with_small_limits", start_server, "limit", at_most(1024 * 1024)),
    "start_server() with `ssl` has no limits above 1 MiB.",
    "serving.limit.given",
    when=with_tls,
)
serves_unix_tls_without_limit = bounding(
    *("serves_unix_tls_without_limit", start_unix_server, "limit", ignored),
    "start_unix_server() with `ssl` ignores `limit`.",
    "unix.serve.limit.given",
    when=with_tls,
)
serves_few = bounding(
    *("serves_few", start_server, "backlog", at_most(1)),
    "start_server() lets one connection wait at most.",
    "serving.backlog.given",
)
serves_many = bounding(
    *("serves_many", start_server, "backlog", at_least(5)),
    "start_server() lets five connections wait at least.",
    "serving.backlog.given",
)
serves_no_more_than_by_default = bounding(
    *("serves_no_more_than_by_default", start_server, "backlog", at_most(128)),
    "start_server() lets 128 connections wait at most.",
    "serving.backlog.given",
)
serves_unix_no_more_than_by_default = bounding(
    *("serves_unix_no_more_than_by_default", start_unix_server, "backlog", at_most(128)),
    "start_unix_server() lets 128 connections wait at most.",
    "unix.serve.backlog",
)
shakes_hands_for_a_second = bounding(
    *("shakes_hands_for_a_second", open_connection, "ssl_handshake_timeout", at_least(1)),
    "open_connection() waits for a handshake for a second at least.",
    "connecting.ssl.handshake-timeout",
)
shakes_hands_over_sockets_for_minutes = bounding(
    "shakes_hands_over_sockets_for_minutes",
    *(open_connection, "ssl_handshake_timeout", at_most(120)),
    "open_connection() with `sock` waits for a handshake for two minutes at most.",
    "connecting.ssl.handshake-timeout",
    when=with_sock,
)
shuts_down_for_a_second = bounding(
    *("shuts_down_for_a_second", open_connection, "ssl_shutdown_timeout", at_least(1)),
    "open_connection() waits for a TLS shutdown for a second at least.",
    "connecting.ssl.shutdown-timeout",
    when=with_sock,
)
hurries_to_shut_down = bounding(
    *("hurries_to_shut_down", open_connection, "ssl_shutdown_timeout", at_most(30)),
    "open_connection() with happy_eyeballs_delay waits for a TLS shutdown for 30 s at most.",
    "connecting.ssl.shutdown-timeout",
    when=with_happy_eyeballs,
)
serves_handshakes_for_minutes = bounding(
    *("serves_handshakes_for_minutes", start_server, "ssl_handshake_timeout", at_most(120)),
    "start_server() waits for a handshake for two minutes at most.",
    "serving.ssl.handshake-timeout",
)
serves_sockets_with_any_shutdown = bounding(
    *("serves_sockets_with_any_shutdown", start_server, "ssl_shutdown_timeout", ignored),
    "start_server() with `sock` ignores ssl_shutdown_timeout.",
    "serving.ssl.shutdown-timeout",
    when=with_sock,
)
opens_unix_handshakes_for_minutes = bounding(
    "opens_unix_handshakes_for_minutes",
    *(open_unix_connection, "ssl_handshake_timeout", at_most(120)),
    "open_unix_connection() waits for a handshake for two minutes at most.",
    "unix.open.ssl.handshake-timeout",
)
serves_unix_shutdowns_for_minutes = bounding(
    "serves_unix_shutdowns_for_minutes",
    *(start_unix_server, "ssl_shutdown_timeout", at_most(120)),
    "start_unix_server() waits for a TLS shutdown for two minutes at most.",
    "unix.serve.ssl.shutdown-timeout",
)
never_waits_long = bounding(
    *("never_waits_long", open_connection, "happy_eyeballs_delay", at_most(30)),
    "open_connection() waits no longer than 30 s for an address, whatever happy_eyeballs_delay is.",
    "connecting.happy-eyeballs.delay",
)
always_waits_a_little = bounding(
    *("always_waits_a_little", open_connection, "happy_eyeballs_delay", at_least(0.1)),
    "open_connection() waits for an address for 100 ms at least.",
    "connecting.happy-eyeballs.delay",
)
alternates_at_once = bounding(
    *("alternates_at_once", open_connection, "interleave", at_most(1)),
    "open_connection() takes an `interleave` above 1 for 1.",
    "connecting.interleave.by-family",
)
alternates_soon = bounding(
    *("alternates_soon", open_connection, "interleave", at_most(2)),
    "open_connection() with happy_eyeballs_delay takes an `interleave` above 2 for 2.",
    "connecting.interleave.by-family",
    when=with_happy_eyeballs,
)


class Bounded(StreamWriter):
    """`bound` changes the value of one argument of start_tls()."""

    argument: str
    bound: Bound

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        if options.get(self.argument) is not None:
            options[self.argument] = self.bound(options[self.argument])
        await super().start_tls(*arguments, **options)


@specimen(
    "start_tls() waits for a handshake for a second at least.",
    "start_tls.handshake-timeout",
    basic=True,
)
class UpgradesForASecond(Bounded):
    argument = "ssl_handshake_timeout"
    bound = staticmethod(at_least(1))


@specimen(
    "start_tls() waits for a TLS shutdown for two minutes at most.",
    "start_tls.shutdown-timeout",
    basic=True,
)
class UpgradesForMinutes(Bounded):
    argument = "ssl_shutdown_timeout"
    bound = staticmethod(at_most(120))


@specimen(
    "open_connection() takes only an int as the port.",
    "connecting.port.string",
    seen="TypeError: port must be an int",
    replaces=open_connection,
    basic=True,
)
async def opens_numbers_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if not isinstance(port, int | None):
        raise TypeError("port must be an int")
    return await open_connection(host, port, **options)


@specimen(
    "open_connection() takes digits as the port, but no names of services.",
    "connecting.port.string",
    replaces=open_connection,
    basic=True,
)
async def opens_digits_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    return await open_connection(host, None if port is None else int(port), **options)


@specimen(
    "open_connection() takes only an int as the port in local_addr.",
    "connecting.port.string",
    replaces=open_connection,
    basic=True,
)
async def comes_from_numbers_only(*address: Any, local_addr: Any = None, **options: Any) -> Any:
    if local_addr is not None and not isinstance(local_addr[1], int):
        raise TypeError("port must be an int")
    return await open_connection(*address, local_addr=local_addr, **options)


@specimen(
    "open_connection() takes only a string as the host.",
    "connecting.host.bytes",
    seen="TypeError: host must be a str",
    replaces=open_connection,
    basic=True,
)
async def opens_text_only(host: Any = None, port: Any = None, **options: Any) -> Any:
    if not isinstance(host, str | None):
        raise TypeError("host must be a str")
    return await open_connection(host, port, **options)


@specimen(
    "start_server() takes only an int as the port.",
    "serving.port.string",
    seen="TypeError: port must be an int",
    replaces=start_server,
    basic=True,
)
async def serves_numbers_only(
    callback: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if not isinstance(port, int | None):
        raise TypeError("port must be an int")
    return await start_server(callback, host, port, **options)


@specimen(
    "open_connection() assumes that a host has an address.",
    "connecting.addresses.none",
    seen="IndexError: list index out of range",
    replaces=open_connection,
    basic=True,
)
async def relies_on_an_address(host: Any = None, port: Any = None, **options: Any) -> Any:
    if host is not None:
        loop = asyncio.get_running_loop()
        for place in filter(None, [(host, port), options.get("local_addr")]):
            with suppress(OSError):
                found = await loop.getaddrinfo(*place, type=socket.SOCK_STREAM)
                _ = found[0]
    return await open_connection(host, port, **options)


@specimen(
    "start_server() passes over hosts that have no address.",
    "serving.addresses.none",
    seen="Server object at",
    replaces=start_server,
    basic=True,
)
async def passes_over_hosts(
    callback: Any, host: Any = None, port: Any = None, **options: Any
) -> Any:
    if host is not None and not isinstance(host, str):
        loop = asyncio.get_running_loop()
        found = []
        for each in host:
            with suppress(OSError):
                if not await loop.getaddrinfo(each, port, type=socket.SOCK_STREAM):
                    continue
            found.append(each)
        host = found
    return await start_server(callback, host, port, **options)


# Readers and writers.


@specimen(
    "A reader has no limits above 1 MiB.",
    "reader.by-hand.limit-and-loop",
    basic=True,
)
class LimitsOfAMegabyte(StreamReader):
    def __init__(self, limit: int = 64 * 1024, loop: Any = None) -> None:
        super().__init__(min(limit, 1024 * 1024), loop)


@specimen(
    "read(n) and readexactly(n) take only ints.",
    "read.n.other-integers",
    "readexactly.other-integers",
    seen={
        "read.n.other-integers": "TypeError: n must be an int",
        "readexactly.other-integers": "TypeError: n must be an int",
    },
    basic=True,
)
class TakesIntsOnly(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if not isinstance(n, int):
            raise TypeError("n must be an int")
        return await super().read(n)

    async def readexactly(self, n: int) -> bytes:
        if not isinstance(n, int):
            raise TypeError("n must be an int")
        return await super().readexactly(n)


@specimen(
    "read(n) and readexactly(n) take only ints, and no subclass of int.",
    "read.n.at-most-n",
    "readexactly.returns-n-bytes",
    basic=True,
)
class TakesIntsThemselvesOnly(StreamReader):
    async def read(self, n: int = -1) -> bytes:
        if type(n) is not int:
            raise TypeError("n must be an int")
        return await super().read(n)

    async def readexactly(self, n: int) -> bytes:
        if type(n) is not int:
            raise TypeError("n must be an int")
        return await super().readexactly(n)


@specimen(
    "readexactly() gives up at 2 MiB.",
    "readexactly.more-than-limit",
    basic=True,
)
class ExactlyTwoMegabytes(StreamReader):
    async def readexactly(self, n: int) -> bytes:
        return await super().readexactly(min(n, 2 * 1024 * 1024))


@specimen(
    "feed_eof() stops receiving, because nobody reads any more.",
    "reader.feed-eof.peer-leaves",
    seen="is_closing() after the peer's reset: False",
    basic=True,
)
class PausesAtTheEnd(StreamReader):
    def feed_eof(self) -> None:
        super().feed_eof()
        if self._transport is not None:
            self._transport.pause_reading()


class Capped:
    """A transport whose high-water and low-water marks are 1 MiB at most."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        most = 1024 * 1024
        high, low = (None if mark is None else min(mark, most) for mark in (high, low))
        self._transport.set_write_buffer_limits(high, low)


@specimen(
    "The high-water and low-water marks are 1 MiB at most.",
    "transport.limits.set",
    "drain.marks.high",
    basic=True,
)
class CapsTheMarks(StreamWriter):
    @property
    def transport(self) -> Any:
        return Capped(super().transport)


@specimen(
    "close() after a cancelled drain() drops the unsent data.",
    "drain.cancelled.loses-nothing",
    basic=True,
)
class DropsAfterACancelledDrain(StreamWriter):
    was_cancelled = False

    async def drain(self) -> None:
        try:
            await super().drain()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    def close(self) -> None:
        if self.was_cancelled and not self.is_closing():
            self.transport.abort()
        else:
            super().close()


@specimen(
    "wait_closed() waits for each drain(), even for a cancelled one.",
    "drain.cancelled.loses-nothing",
    basic=True,
)
class WaitsForCancelledDrains(StreamWriter):
    draining = 0

    async def drain(self) -> None:
        self.draining += 1
        await super().drain()
        self.draining -= 1

    async def wait_closed(self) -> None:
        with suppress(OSError):
            await super().wait_closed()
        while self.draining:
            await asyncio.sleep(0.1)
        await super().wait_closed()


def defaulting(name: str, function: Callable[..., Any], *fails: str) -> Specimen:
    """Return a specimen whose function takes a backlog of 0 for the default."""

    async def broken(*arguments: Any, **options: Any) -> Any:
        if not options.get("backlog", 1):
            del options["backlog"]
        return await function(*arguments, **options)

    broken.__name__ = name
    fault = f"{function.__name__}() takes a backlog of 0 for the default."
    return specimen(fault, *fails, seen=": 100", basic=True, replaces=function)(broken)


serves_by_default = defaulting("serves_by_default", start_server, "serving.backlog.given")
serves_unix_by_default = defaulting(
    "serves_unix_by_default", start_unix_server, "unix.serve.backlog"
)
