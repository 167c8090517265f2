"""Unmodified HTTP libraries on the simulated network: aiohttp, httpx, uvicorn."""

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

import fakes

DAY = 86400.0
SOURCE = Path(__file__).read_text(encoding="utf-8")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.fixture(scope="module")
def contexts(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.example", "localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture(params=["plain", "tls"])
def secured(
    request: pytest.FixtureRequest, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    return contexts if request.param == "tls" else (None, None)


def a_network() -> fakes.Network:
    network = fakes.Network(link=fakes.Link(latency=0.01))
    network.host("api.example")
    return network


# --- aiohttp --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def aiohttp_server(
    network: fakes.Network, context: ssl.SSLContext | None
) -> AsyncIterator[None]:
    web = pytest.importorskip("aiohttp.web")

    async def hello(request: Any) -> Any:
        return web.json_response({"hello": request.match_info["name"]})

    async def slow(request: Any) -> Any:
        await asyncio.sleep(DAY)
        return web.Response(text="at last")

    async def source(request: Any) -> Any:
        return web.FileResponse(__file__)

    async def upload(request: Any) -> Any:
        return web.Response(text=str(len(await request.read())))

    application = web.Application(client_max_size=1 << 30)
    application.add_routes(
        [
            web.get("/hello/{name}", hello),
            web.get("/slow", slow),
            web.get("/source", source),
            web.post("/upload", upload),
        ]
    )
    runner = web.AppRunner(application)
    await runner.setup()
    with network.host("api.example"):
        await web.TCPSite(runner, None, 443, ssl_context=context).start()
    yield
    await runner.cleanup()


def test_aiohttp(secured: tuple[ssl.SSLContext | None, ssl.SSLContext | None]) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    server_side, client_side = secured
    url = f"{'https' if client_side else 'http'}://api.example:443"
    network = a_network()

    async def main() -> None:
        connector = aiohttp.TCPConnector(ssl=client_side or True)
        async with (
            aiohttp_server(network, server_side),
            aiohttp.ClientSession(url, connector=connector) as session,
        ):
            async with session.get("/hello/you") as response:
                assert await response.json() == {"hello": "you"}
            async with session.post("/upload", data=io.BytesIO(bytes(3_000_000))) as response:
                assert await response.text() == "3000000"
            async with session.get("/source") as response:  # by way of loop.sendfile()
                assert await response.text() == SOURCE
            never = aiohttp.ClientTimeout(total=None)
            async with session.get("/slow", timeout=never) as response:
                assert await response.text() == "at last"
            with pytest.raises(asyncio.TimeoutError):
                await session.get("/slow", timeout=aiohttp.ClientTimeout(total=5))
        await asyncio.sleep(1)

    fakes.run(main(), network=network)


@pytest.mark.parametrize("seed", range(3))
def test_aiohttp_through_faults(
    seed: int, secured: tuple[ssl.SSLContext | None, ssl.SSLContext | None]
) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    server_side, client_side = secured
    url = f"{'https' if client_side else 'http'}://api.example:443"
    network = a_network()
    link = network.link("localhost", "api.example")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with (
            aiohttp_server(network, server_side),
            aiohttp.ClientSession(
                url, connector=aiohttp.TCPConnector(ssl=client_side or True)
            ) as session,
        ):
            # A stall only costs time.
            link.stall()
            loop.call_later(20, link.heal)
            async with session.get("/hello/you") as response:
                assert await response.json() == {"hello": "you"}
            assert loop.time() >= 20
            # A partition that heals costs more.
            link.partition()
            loop.call_later(60, link.heal)
            async with session.get("/hello/you") as response:
                assert response.status == 200
            # A reset in the middle of a body is an error, and the session goes on.
            link.reset_after(100_000)
            with pytest.raises(aiohttp.ClientError):
                await session.post("/upload", data=io.BytesIO(bytes(1_000_000)))
            link.heal()
            async with session.get("/hello/again") as response:
                assert response.status == 200
            link.refuse()
            with pytest.raises(aiohttp.ClientConnectorError):
                async with aiohttp.ClientSession() as other:
                    await other.get(f"{url}/hello/you")
        await asyncio.sleep(60)  # TLS waits up to 30 s for the answer to its last words

    fakes.run(main(), network=network, seed=seed)


def test_aiohttp_websocket() -> None:
    aiohttp = pytest.importorskip("aiohttp")
    web = pytest.importorskip("aiohttp.web")
    network = a_network()

    async def main() -> None:
        async def handler(request: Any) -> Any:
            websocket = web.WebSocketResponse(heartbeat=20)
            await websocket.prepare(request)
            async for message in websocket:
                await websocket.send_str(message.data.upper())
            return websocket

        application = web.Application()
        application.add_routes([web.get("/", handler)])
        runner = web.AppRunner(application)
        await runner.setup()
        with network.host("api.example"):
            await web.TCPSite(runner, None, 80).start()
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect("ws://api.example/", heartbeat=20) as websocket,
        ):
            await websocket.send_str("hello")
            await asyncio.sleep(3600)  # heartbeats keep it alive
            assert await websocket.receive_str() == "HELLO"
        await runner.cleanup()

    fakes.run(main(), network=network)


# --- httpx and uvicorn ----------------------------------------------------------------------------


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application: echoes a request's body, after a while if the path says so."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(60)  # uvicorn waits for it when it stops, looking every 0.1 s
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def uvicorn_server(
    network: fakes.Network, files: tuple[str, str] | None
) -> AsyncIterator[None]:
    uvicorn = pytest.importorskip("uvicorn")
    certificate, key = files or (None, None)
    config = uvicorn.Config(
        application,
        host="api.example",
        port=443,
        log_level="error",
        http="h11",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )

    class Server(uvicorn.Server):  # type: ignore[name-defined,misc]  # made at run time
        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield  # signals come from outside, and nothing is outside

    server = Server(config)
    with network.host("api.example"):
        serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    yield
    server.should_exit = True
    await serving


@pytest.fixture
def certificate_files(
    tmp_path: Any, authority: trustme.CA
) -> tuple[tuple[str, str], ssl.SSLContext]:
    certificate = authority.issue_cert("api.example")
    paths = (str(tmp_path / "certificate"), str(tmp_path / "key"))
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return paths, client


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_httpx_and_uvicorn(
    tls: bool, certificate_files: tuple[tuple[str, str], ssl.SSLContext]
) -> None:
    httpx = pytest.importorskip("httpx")
    files, trusting = certificate_files
    network = a_network()
    link = network.link("localhost", "api.example")
    url = f"{'https' if tls else 'http'}://api.example:443"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with (
            uvicorn_server(network, files if tls else None),
            httpx.AsyncClient(base_url=url, verify=trusting) as client,
        ):
            response = await client.post("/", content=b"hello")
            assert response.content == b"hello"
            response = await client.post("/", content=bytes(2_000_000))
            assert len(response.content) == 2_000_000
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/slow", timeout=3)
            link.stall()
            loop.call_later(2, link.heal)
            assert (await client.post("/", content=b"stalled")).content == b"stalled"
            link.reset_after(50_000)
            with pytest.raises(httpx.NetworkError):
                await client.post("/", content=bytes(1_000_000))
            link.heal()
            assert (await client.post("/", content=b"again")).content == b"again"
            link.partition()
            with pytest.raises(httpx.TimeoutException):
                await client.post("/", content=b"lost", timeout=7)
            link.heal()

    fakes.run(main(), network=network)


def test_httpx_keep_alive_expires_in_virtual_time(
    run_twice: Callable[..., Any],
) -> None:
    """Its pool looks at `time.monotonic()`: a connection that was idle too long is not used."""
    httpx = pytest.importorskip("httpx")

    async def main() -> list[int]:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            with contextlib.suppress(asyncio.IncompleteReadError):
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()

        loop: Any = asyncio.get_running_loop()
        with loop.network.host("api.example"):
            server = await asyncio.start_server(serve, None, 80)
        seen = []
        limits = httpx.Limits(keepalive_expiry=60)
        async with httpx.AsyncClient(limits=limits, trust_env=False) as client:
            for idle in (50, 50, 70, 0):
                assert (await client.get("http://api.example/")).text == "ok"
                seen.append(connections)
                await asyncio.sleep(idle)
        server.close()
        await asyncio.sleep(1)
        return seen

    assert run_twice(main, "api.example") == [1, 1, 1, 2]


def test_httpx_over_http2_asks_again_after_a_reset(run_twice: Callable[..., Any]) -> None:
    """Its pool takes a connection of HTTP/2 for open until it has used it."""
    httpx = pytest.importorskip("httpx")
    h2 = pytest.importorskip("h2.connection")
    events = pytest.importorskip("h2.events")
    config = pytest.importorskip("h2.config")

    class Server(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.http = h2.H2Connection(config.H2Configuration(client_side=False))
            self.http.initiate_connection()
            transport.write(self.http.data_to_send())

        def data_received(self, data: bytes) -> None:
            for event in self.http.receive_data(data):
                if isinstance(event, events.StreamEnded):
                    self.http.send_headers(event.stream_id, [(":status", "200")])
                    self.http.send_data(event.stream_id, b"hello", end_stream=True)
            self.transport.write(self.http.data_to_send())

    async def main() -> list[bytes]:
        loop: Any = asyncio.get_running_loop()
        with loop.network.host("api.example"):
            server = await loop.create_server(Server, None, 80)
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
            asking = [client.get("http://api.example/") for _ in range(3)]
            seen = [response.content for response in await asyncio.gather(*asking)]
            loop.network.link("localhost", "api.example").reset()
            await asyncio.sleep(1)
            with pytest.raises(httpx.ReadError):
                await client.get("http://api.example/")
            seen.append((await client.get("http://api.example/")).content)
        server.close()
        return seen

    assert run_twice(main, "api.example") == [b"hello"] * 4
