"""What each network can do: small programs, run over the kernel and over every simulated network.

    python -m pip install async-solipsism simloop simloom looptime mocket trustme aiohttp
    python benchmarks/features.py [FEATURE ...]

Each feature is a program that only succeeds if the network does what Linux does. The kernel comes
first, to show that the programs are right. A cell is "yes", or what happened instead. looptime is
the kernel's network under a virtual clock. mocket and mocks by hand have no servers: under them the
programs talk to what a test would put in a server's place, an answer that repeats what was sent.
What can be asked of trio's testing streams is in features_trio.py.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import click
import networks

HOST, PORT = networks.HOST, networks.PORT
BOUND = 10  # seconds of real time until a program is said to hang

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def linked(
    handler: Handler, **kwargs: Any
) -> tuple[Any, asyncio.StreamReader, asyncio.StreamWriter]:
    """Start a server and connect to it."""
    server = await asyncio.start_server(handler, HOST, PORT, ssl=kwargs.pop("server_ssl", None))
    return server, *await asyncio.open_connection(HOST, PORT, **kwargs)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read nothing, for a while."""
    await asyncio.sleep(1)
    writer.close()


def expect_errno(exc: OSError, number: int) -> None:
    """Check the number that programs look at."""
    if exc.errno != number:
        raise AssertionError(f"errno {exc.errno}")


# --- features -------------------------------------------------------------------------------------


async def half_close() -> None:
    """A side that has ended its data still receives."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(b"got " + data)
        writer.close()

    server, reader, writer = await linked(handler)
    writer.write(b"all")
    writer.write_eof()
    assert await reader.read() == b"got all", "other data"
    writer.close()
    server.close()


async def end_after_data() -> None:
    """What was written before close() arrives, all of it, then the end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(1_000_000))
        writer.close()

    server, reader, writer = await linked(handler)
    assert len(await reader.read()) == 1_000_000
    writer.close()
    server.close()


async def reset_on_unread_data() -> None:
    """Closing with unread data resets the connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # typeshed: it only writes
        await asyncio.sleep(0.05)
        writer.transport.abort()

    server, reader, writer = await linked(handler)
    writer.write(bytes(1_000_000))
    try:
        await reader.read()
    except ConnectionResetError:
        return
    finally:
        writer.close()
        server.close()
    raise AssertionError("an orderly end")


async def flow_control() -> None:
    """drain() waits for a peer that does not read."""
    stop = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # typeshed: it only writes
        await stop.wait()
        writer.transport.abort()

    server, _, writer = await linked(handler)
    try:
        for _ in range(1000):
            writer.write(bytes(100_000))
            await asyncio.wait_for(writer.drain(), 0.2)
    except TimeoutError:
        return
    finally:
        stop.set()
        writer.transport.abort()
        await asyncio.sleep(0.01)
        server.close()
    raise AssertionError("100 MB were taken")


async def write_to_closed_peer() -> None:
    """Writing on to a peer that has closed fails."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server, _, writer = await linked(handler)
    try:
        for _ in range(100):
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0.001)
    except ConnectionError:
        return
    finally:
        server.close()
        writer.close()
    raise AssertionError("no error")


async def refused() -> None:
    """Connecting where nobody listens raises ConnectionRefusedError."""
    try:
        await asyncio.open_connection(HOST, PORT + 1)
    except ConnectionRefusedError as exc:
        expect_errno(exc, errno.ECONNREFUSED)
        return
    raise AssertionError("connected")


async def address_in_use() -> None:
    """A second listener on a port raises EADDRINUSE."""
    server = await asyncio.start_server(silent, HOST, PORT)
    try:
        second = await asyncio.start_server(silent, HOST, PORT)
    except OSError as exc:
        expect_errno(exc, errno.EADDRINUSE)
        return
    finally:
        server.close()
    second.close()
    raise AssertionError("two listeners")


async def port_zero() -> None:
    """Port 0 gives a free port, which getsockname() tells."""
    server = await asyncio.start_server(silent, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    assert isinstance(port, int), "no port"
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    server.close()


async def version_six() -> None:
    """IPv6."""
    server = await asyncio.start_server(networks.echo, "::1", PORT)
    reader, writer = await asyncio.open_connection("::1", PORT)
    assert writer.get_extra_info("peername")[:2] == ("::1", PORT), "another name"
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    server.close()


async def names_match() -> None:
    """Each side's own name is the other's peer name."""
    names: list[Any] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names.extend([writer.get_extra_info("peername"), writer.get_extra_info("sockname")])
        writer.close()

    server, reader, writer = await linked(handler)
    await reader.read()
    assert names == [writer.get_extra_info("sockname"), writer.get_extra_info("peername")]
    assert names[0] is not None
    writer.close()
    server.close()


async def socket_options() -> None:
    """get_extra_info("socket") keeps options."""
    server, _, writer = await linked(silent)
    sock = writer.get_extra_info("socket")
    for value in (1, 0):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, value)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == value, "not kept"
    writer.close()
    server.close()


async def unix_paths() -> None:
    """Servers and clients at Unix paths."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "s")
        server = await asyncio.start_unix_server(networks.echo, path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        server.close()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's and a client's TLS context."""
    import trustme

    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def tls() -> None:
    """TLS from the start, with certificates checked."""
    server_side, client_side = contexts()
    server = await asyncio.start_server(networks.echo, HOST, PORT + 1, ssl=server_side)
    try:
        await asyncio.open_connection(HOST, PORT + 1, ssl=contexts()[1])
    except ssl.SSLCertVerificationError:
        pass
    else:
        raise AssertionError("trusts anybody")
    server.close()
    server, reader, writer = await linked(networks.echo, server_ssl=server_side, ssl=client_side)
    writer.write(b"secret")
    assert await reader.readexactly(6) == b"secret"
    writer.close()
    await asyncio.sleep(0.05)
    server.close()


async def start_tls() -> None:
    """An open connection is upgraded to TLS."""
    server_side, client_side = contexts()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(server_side)
        writer.write(await reader.readexactly(6))
        await writer.drain()
        await reader.read()
        writer.close()

    server, reader, writer = await linked(handler)
    await writer.start_tls(client_side, server_hostname=HOST)
    assert isinstance(writer.get_extra_info("cipher"), tuple), "no TLS"
    writer.write(b"secret")
    assert await reader.readexactly(6) == b"secret"
    writer.close()
    await asyncio.sleep(0.05)
    server.close()


async def serving_server() -> tuple[asyncio.Server, asyncio.Task[None]]:
    """Return a server, and a task in serve_forever(); one client has been served."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"served")
        writer.close()

    server, reader, writer = await linked(handler)
    assert server.is_serving() is True, "not serving"
    serving = asyncio.ensure_future(server.serve_forever())
    assert await reader.read() == b"served"
    writer.close()
    await asyncio.sleep(0.01)
    return server, serving


async def server_methods() -> None:
    """Server.is_serving(), serve_forever() until close(), wait_closed()."""
    server, serving = await serving_server()
    server.close()
    await server.wait_closed()
    await asyncio.wait([serving])
    assert not server.is_serving()


async def serving_cancelled() -> None:
    """serve_forever() cancelled, which closes the server."""
    server, serving = await serving_server()
    serving.cancel()
    await asyncio.wait([serving])
    assert not server.is_serving(), "it still serves"


async def two_connections() -> None:
    """Two connections to one server, open at the same time, with two messages each."""
    server = await asyncio.start_server(networks.echo, HOST, PORT)
    pairs = [await asyncio.open_connection(HOST, PORT) for _ in range(2)]
    for message in (b"one", b"two"):
        for reader, writer in pairs:
            writer.write(message)
            assert await reader.readexactly(3) == message
    for _, writer in pairs:
        writer.close()
    server.close()


async def threads() -> None:
    """asyncio.to_thread() runs in a thread."""
    import threading

    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()


async def virtual_hours() -> None:
    """Ten hours' sleep takes no time."""
    before = time.monotonic()
    await asyncio.wait_for(asyncio.sleep(36000), 40000)
    assert time.monotonic() - before < BOUND, "waited"


waiting: list[str] = []  # the feature that has begun to wait forever: what it raises is its point


async def no_hang() -> None:
    """Waiting for what never comes is an error, not a hang."""
    server, _, writer = await linked(silent)
    server.close()
    waiting.append("no_hang")
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        writer.close()


async def aiohttp() -> None:
    """aiohttp, unmodified, client and server."""
    import aiohttp.web as web

    application = web.Application()

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application.add_routes([web.get("/", hello)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, HOST, PORT).start()
    import aiohttp as client

    async with (
        client.ClientSession() as session,
        session.get(f"http://{HOST}:{PORT}/") as response,
    ):
        assert await response.text() == "hello"
    await runner.cleanup()


FEATURES: list[Callable[[], Coroutine[Any, Any, None]]] = [
    two_connections,
    half_close,
    end_after_data,
    reset_on_unread_data,
    flow_control,
    write_to_closed_peer,
    refused,
    address_in_use,
    port_zero,
    version_six,
    names_match,
    socket_options,
    unix_paths,
    tls,
    start_tls,
    server_methods,
    serving_cancelled,
    threads,
    virtual_hours,
    no_hang,
    aiohttp,
]


# --- networks that are compared here only ---------------------------------------------------------


def on_looptime(program: networks.Program) -> float:
    """looptime: asyncio's own loop and real sockets, with a clock that jumps."""
    loop = importlib.import_module("looptime").new_event_loop()
    try:
        seconds: float = loop.run_until_complete(program())
    finally:
        loop.close()
    return seconds


def on_mocket(program: networks.Program) -> float:
    """mocket: what libraries ask of the `socket` module is answered by registered entries."""
    mocket = importlib.import_module("mocket")

    class Repeats(mocket.MocketEntry):  # type: ignore[misc, name-defined]  # known when it runs
        """Answers each send with the same bytes."""

        def collect(self, data: bytes) -> None:
            """Keep what was sent."""
            super().collect(data)
            self.sent = data

        def get_response(self) -> bytes:
            """Return it."""
            return self.sent

    with mocket.Mocketizer(strict_mode=True):
        for host in (HOST, "::1"):
            mocket.Mocket.register(Repeats((host, PORT), [b"x"]))
        return asyncio.run(program())


def on_mocks(program: networks.Program) -> float:
    """Mocks by hand: a reader that is fed, a writer that is a mock, no servers."""

    async def open_connection(*args: Any, **kwargs: Any) -> Any:
        reader = asyncio.StreamReader()
        writer = mock.create_autospec(asyncio.StreamWriter, instance=True)
        writer.write.side_effect = reader.feed_data
        writer.write_eof.side_effect = writer.close.side_effect = reader.feed_eof
        return reader, writer

    with (
        mock.patch("asyncio.open_connection", open_connection),
        mock.patch("asyncio.open_unix_connection", open_connection),
        mock.patch("asyncio.start_server", autospec=True),
        mock.patch("asyncio.start_unix_server", autospec=True),
        # What they do not reach goes to the kernel.
        mock.patch(
            "asyncio.BaseEventLoop.create_server", side_effect=AssertionError("a real server")
        ),
    ):
        return asyncio.run(program())


def with_seed_0(way: networks.Way, program: networks.Program) -> float:
    """Run a program in a way that varies nothing."""
    return way.run(program, 0)


QUIET = {way.name: (way.package, partial(with_seed_0, way)) for way in networks.QUIET}
NETWORKS: dict[str, tuple[str | None, Callable[[networks.Program], float]]] = {
    "kernel loopback": QUIET["kernel loopback"],
    "looptime": ("looptime", on_looptime),
    "mocks by hand": (None, on_mocks),
    "mocket": ("mocket", on_mocket),
    **QUIET,
}


# --- running --------------------------------------------------------------------------------------


class Hung(BaseException):
    """The time is up."""


def hang(*_: object) -> None:
    """Handle SIGALRM."""
    raise Hung


def outcome(
    run: Callable[[networks.Program], float], feature: Callable[[], Coroutine[Any, Any, None]]
) -> str:
    """Return "yes", or what happened instead."""

    async def program() -> float:
        await feature()
        return 0.0

    waiting.clear()
    signal.signal(signal.SIGALRM, hang)
    signal.alarm(BOUND)
    try:
        run(program)
    except Hung:
        return "hangs"
    except BaseException as exc:
        if waiting and not isinstance(exc, KeyboardInterrupt):
            return "yes" if "Timeout" not in type(exc).__name__ else "hangs"
        return type(exc).__name__ if not isinstance(exc, AssertionError) else f"no: {exc}"
    finally:
        signal.alarm(0)
    return "yes"


@click.command()
@click.argument(
    "features",
    nargs=-1,
    type=click.Choice([each.__name__ for each in FEATURES]),
    metavar="[FEATURE]...",
)
def main(features: tuple[str, ...]) -> None:
    """Try every feature, or those named, on every network and print a table."""
    names = [name for name, (package, _) in NETWORKS.items() if networks.available(package)]
    print(f"{'':22}" + "".join(f"{name:>28}" for name in names))
    for feature in FEATURES:
        if features and feature.__name__ not in features:
            continue
        cells = [outcome(NETWORKS[name][1], feature)[:27] for name in names]
        print(f"{feature.__name__:22}" + "".join(f"{cell:>28}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
