"""Unmodified servers that make their sockets themselves: each as it is, and with a fault."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

import fakes

pytest_plugins = ["pytester"]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application: /slow takes a minute, everything else answers at once."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def a_network() -> fakes.Network:
    network = fakes.Network(link=fakes.Link(latency=0.01))
    network.host("web", "10.1.0.1")
    return network


@contextlib.asynccontextmanager
async def hypercorn(network: fakes.Network) -> AsyncIterator[str]:
    asyncio_server = pytest.importorskip("hypercorn.asyncio")
    config = pytest.importorskip("hypercorn.config").Config()
    config.bind = ["10.1.0.1:8000"]
    config.errorlog = config.accesslog = None
    stop = asyncio.Event()
    with network.host("web"):
        serving = asyncio.create_task(
            asyncio_server.serve(application, config, shutdown_trigger=stop.wait)
        )
    await asyncio.sleep(1)
    yield "http://web:8000"
    stop.set()
    await serving


@contextlib.asynccontextmanager
async def uvicorn(network: fakes.Network) -> AsyncIterator[str]:
    """With `bind_socket()`, as its supervisors do before they start workers."""
    package = pytest.importorskip("uvicorn")
    config = package.Config(application, host="10.1.0.1", port=8001, log_config=None)
    server = package.Server(config)
    server.capture_signals = contextlib.nullcontext
    with network.host("web"):
        sock = config.bind_socket()
        serving = asyncio.create_task(server.serve(sockets=[sock]))
    await asyncio.sleep(1)
    yield "http://web:8001"
    server.should_exit = True
    await serving
    assert sock.fileno() == -1


SERVERS = [hypercorn, uvicorn]


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.__name__)
def test_a_server_answers(server: Callable[[fakes.Network], Any]) -> None:
    httpx = pytest.importorskip("httpx")
    network = a_network()

    async def main() -> None:
        async with server(network) as url, httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/here")).text == "/here"

    fakes.run(main(), network=network)
    assert network.open_sockets() == []


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.__name__)
def test_a_server_outlives_a_client_that_is_cut_off(
    server: Callable[[fakes.Network], Any],
) -> None:
    httpx = pytest.importorskip("httpx")
    network = a_network()

    async def main() -> None:
        link = network.link("localhost", "web")
        async with server(network) as url:
            async with httpx.AsyncClient() as client:
                asking = asyncio.create_task(client.get(f"{url}/slow", timeout=600))
                await asyncio.sleep(1)
                link.reset()
                with pytest.raises(httpx.TransportError):
                    await asking
            link.refuse()
            async with httpx.AsyncClient() as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get(url)
            link.heal()
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{url}/again")).text == "/again"

    fakes.run(main(), network=network)


def test_aiohttp_test_server() -> None:
    web = pytest.importorskip("aiohttp.web")
    utils = pytest.importorskip("aiohttp.test_utils")
    errors = pytest.importorskip("aiohttp.client_exceptions")
    network = fakes.Network()
    link = network.link("localhost", "localhost")

    async def hello(request: Any) -> Any:
        return web.Response(text="hello")

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", hello)
        async with utils.TestClient(utils.TestServer(app)) as client:
            response = await client.get("/")
            assert await response.text() == "hello"
            link.reset()
            link.refuse()
            await asyncio.sleep(1)
            with pytest.raises(errors.ClientConnectorError):
                await client.get("/")
            link.heal()
            assert await (await client.get("/")).text() == "hello"

    fakes.run(main(), network=network)


def test_pytest_aiohttp(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_aiohttp")
    pytester.makepyfile("""
        import aiohttp
        import asyncio
        import fakes
        import pytest
        from aiohttp import web

        async def hello(request):
            return web.Response(text="hello")

        @pytest.mark.fakes
        async def test_a_client_of_the_fixture(aiohttp_client, fakes_network):
            app = web.Application()
            app.router.add_get("/", hello)
            client = await aiohttp_client(app)
            response = await client.get("/")
            assert await response.text() == "hello"
            link = fakes_network.link("localhost", "localhost")
            link.reset()
            link.refuse()
            await asyncio.sleep(1)
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get("/")

        async def test_beside_it_on_a_real_loop(aiohttp_client):
            app = web.Application()
            app.router.add_get("/", hello)
            client = await aiohttp_client(app)
            assert await (await client.get("/")).text() == "hello"
    """)
    options = ["-p", "no:randomly", "--asyncio-mode", "auto"]
    options += ["-o", "asyncio_default_fixture_loop_scope=function"]
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=2)


def test_anyio_listeners() -> None:
    anyio = pytest.importorskip("anyio")
    network = a_network()

    async def shout(stream: Any) -> None:
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                async for data in stream:
                    await stream.send(data.upper())

    async def main() -> None:
        path = os.path.join("/run", "shout")
        with network.host("web"):
            tcp = await anyio.create_tcp_listener(local_host="10.1.0.1", local_port=7)
            unix = await anyio.create_unix_listener(path)
            serving = [asyncio.create_task(one.serve(shout)) for one in (tcp, unix)]
        async with await anyio.connect_tcp("web", 7) as stream:
            await stream.send(b"tcp")
            assert await stream.receive() == b"TCP"
            network.link("localhost", "web").reset()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
        with network.host("web"):
            async with await anyio.connect_unix(path) as stream:
                await stream.send(b"unix")
                assert await stream.receive() == b"UNIX"
        for task in serving:
            task.cancel()
        await asyncio.wait(serving)
        await tcp.aclose()
        await unix.aclose()
        with pytest.raises(OSError, match=r"attempts failed|Connect call failed"):
            await anyio.connect_tcp("web", 7)

    fakes.run(main(), network=network)


@pytest.mark.parametrize("option", ["--disable-socket", "--allow-hosts=192.0.2.1"])
def test_pytest_socket_disables_real_sockets_only(pytester: pytest.Pytester, option: str) -> None:
    pytest.importorskip("pytest_socket")
    pytester.makepyfile("""
        import asyncio
        import socket
        import fakes
        import pytest

        async def echo():
            async def handler(reader, writer):
                writer.write(await reader.read(100))
                writer.close()
            sock = socket.create_server(("127.0.0.1", 0))
            async with await asyncio.start_server(handler, sock=sock):
                reader, writer = await asyncio.open_connection(*sock.getsockname())
                writer.write(b"hello")
                assert await reader.read() == b"hello"
                writer.close()

        def test_run():
            fakes.run(echo())

        @pytest.mark.fakes
        async def test_marked():
            await echo()

        def test_real_ones_are_refused(request):
            if request.config.getoption("--disable-socket"):
                from pytest_socket import SocketBlockedError
                with pytest.raises(SocketBlockedError):
                    socket.socket()
    """)
    options = ["-p", "no:randomly", "-p", "no:asyncio", "-p", "no:aiohttp", option]
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=3)


def test_a_socket_is_one_of_the_librarys_kind() -> None:
    """Libraries ask whether what they are given is a socket."""

    async def main() -> None:
        with socket.socket() as sock:
            assert isinstance(sock, socket.socket)
            assert isinstance(sock, fakes.Socket)

    fakes.run(main())


def test_a2wsgi_runs_applications_in_threads(run_twice: Callable[..., Any]) -> None:
    """Each part of a response is a call of the loop; an application sleeps in virtual time."""
    a2wsgi = pytest.importorskip("a2wsgi")
    aiohttp = pytest.importorskip("aiohttp")
    package = pytest.importorskip("uvicorn")

    def count(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        for number in range(3):
            time.sleep(1)
            yield str(number).encode()

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        network: fakes.Network = loop.network  # type: ignore[attr-defined]  # as every loop of ours
        config = package.Config(
            a2wsgi.WSGIMiddleware(count), port=80, host="web", lifespan="off", log_config=None
        )
        server = package.Server(config)
        server.capture_signals = contextlib.nullcontext
        with network.host("web"):
            serving = asyncio.create_task(server.serve())
        await asyncio.sleep(1)
        seen: list[Any] = []

        async def get() -> str:
            async with session.get("http://web/") as response:
                return str(await response.text())

        async with aiohttp.ClientSession() as session:
            seen.append(await asyncio.gather(get(), get(), get()))
            seen.append(int(loop.time()))
            loop.call_later(1.5, network.link("localhost", "web").reset)
            with pytest.raises(aiohttp.ClientPayloadError):
                await get()
            seen += [await get(), int(loop.time())]
        server.should_exit = True
        await serving
        return seen

    assert run_twice(main, "web") == [["012"] * 3, 4, "012", 8]


def test_hypercorn_ends_at_a_signal_when_its_clients_are_served(
    run_twice: Callable[..., Any],
) -> None:
    asyncio_server = pytest.importorskip("hypercorn.asyncio")
    config = pytest.importorskip("hypercorn.config").Config()
    httpx = pytest.importorskip("httpx")
    config.bind = ["0.0.0.0:80"]
    config.errorlog = config.accesslog = None
    config.graceful_timeout = 100

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        network: fakes.Network = loop.network  # type: ignore[attr-defined]  # as every loop of ours
        with network.host("web"):
            serving = asyncio.create_task(asyncio_server.serve(application, config))
        await asyncio.sleep(1)
        async with httpx.AsyncClient(timeout=100) as client:
            slow = asyncio.create_task(client.get("http://web/slow"))
            loop.call_later(5, signal.raise_signal, signal.SIGTERM)
            await asyncio.sleep(10)
            with pytest.raises(httpx.ConnectError):
                await client.get("http://web/late")
            seen: list[Any] = [(await slow).text]
        await serving
        return [*seen, int(loop.time())]

    assert run_twice(main, "web") == ["/slow", 61]


def test_twisted_comes_back_after_a_reset(run_twice: Callable[..., Any]) -> None:
    """Its reactor wakes itself by a pipe, and has threads of its own."""
    asyncioreactor = pytest.importorskip("twisted.internet.asyncioreactor")
    protocol = pytest.importorskip("twisted.internet.protocol")
    threads = pytest.importorskip("twisted.internet.threads")

    class Shout(protocol.Protocol):  # type: ignore[misc,name-defined]  # imported just now
        def dataReceived(self, data: bytes) -> None:  # Twisted's name
            self.transport.write(data.upper())

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        network: fakes.Network = loop.network  # type: ignore[attr-defined]  # as every loop of ours
        reactor = asyncioreactor.AsyncioSelectorReactor(loop)
        reactor.startRunning(installSignalHandlers=False)
        with network.host("server"):
            port = reactor.listenTCP(7, protocol.Factory.forProtocol(Shout))
        seen: asyncio.Queue[Any] = asyncio.Queue()

        class Client(protocol.Protocol):  # type: ignore[misc,name-defined]  # as above
            def connectionMade(self) -> None:
                self.transport.write(b"hello")

            def dataReceived(self, data: bytes) -> None:
                seen.put_nowait((data, round(loop.time())))

            def connectionLost(self, reason: Any) -> None:
                seen.put_nowait(reason.type.__name__)

        factory = protocol.ReconnectingClientFactory.forProtocol(Client)
        factory.clock = reactor
        factory.delay, factory.jitter = 60, None
        reactor.connectTCP(network.host("server").addresses[0], 7, factory)
        results = [await seen.get()]
        loop.call_later(3600, network.link("localhost", "server").reset)
        results += [await seen.get(), await seen.get()]
        work = threads.deferToThreadPool(reactor, reactor.getThreadPool(), lambda: time.sleep(10))
        await work.asFuture(loop)
        results.append(round(loop.time()))
        factory.stopTrying()
        reactor.getThreadPool().stop()
        reactor.removeAll()
        port.stopListening()
        return results

    later = 3600 + 60
    assert run_twice(main, "server") == [
        (b"HELLO", 0),
        "ConnectionLost",
        (b"HELLO", later),
        later + 10,
    ]


def test_asgiref_runs_code_of_both_kinds_in_one_thread(run_twice: Callable[..., Any]) -> None:
    """As Django's views: they wait in a thread for coroutines of the loop, one after the other."""
    sync = pytest.importorskip("asgiref.sync")
    httpx = pytest.importorskip("httpx")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        network: fakes.Network = loop.network  # type: ignore[attr-defined]  # as every loop of ours

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            writer.close()

        with network.host("web"):
            server = await asyncio.start_server(answer, None, 80)

        async def get() -> str:
            async with httpx.AsyncClient(timeout=5) as client:
                return str((await client.get("http://web/")).text)

        def view() -> str:
            time.sleep(1)
            return str(sync.async_to_sync(get)())

        views = [sync.sync_to_async(view)() for _ in range(3)]
        seen: list[Any] = [await asyncio.gather(*views), int(loop.time())]
        network.link("localhost", "web").stall()
        with pytest.raises(httpx.TimeoutException):
            await sync.sync_to_async(view)()
        server.close()
        return [*seen, int(loop.time())]

    assert run_twice(main, "web") == [["hi"] * 3, 3, 9]
