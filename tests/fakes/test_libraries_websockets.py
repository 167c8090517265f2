"""websockets, unmodified, on the simulated network."""

import asyncio
import ssl
from typing import Any

import pytest
import trustme

import fakes

websockets = pytest.importorskip("websockets.asyncio.server")


async def shout(connection: Any) -> None:
    async for message in connection:
        await connection.send(message.upper())


Contexts = tuple[ssl.SSLContext | None, ssl.SSLContext | None]


@pytest.fixture(params=["plain", "tls"])
def contexts(request: pytest.FixtureRequest, authority: trustme.CA) -> Contexts:
    """The server's and the client's."""
    if request.param == "plain":
        return None, None
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("chat.example").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    return server_side, client_side


def test_client_and_server(contexts: Contexts) -> None:
    from websockets.asyncio.client import connect

    server_side, client_side = contexts
    network = fakes.Network(link=fakes.Link(latency=0.02))
    network.host("chat.example")

    async def main() -> None:
        with network.host("chat.example"):
            server = await websockets.serve(shout, None, 443, ssl=server_side)
        async with connect(url(client_side), ssl=client_side) as client:
            await client.send("hello")
            assert await client.recv() == "HELLO"
            await client.send("x" * 900_000)
            assert await client.recv() == "X" * 900_000
            await asyncio.sleep(3600)  # pings keep it alive
            await client.send("still there")
            assert await client.recv() == "STILL THERE"
        server.close()
        await server.wait_closed()

    fakes.run(main(), network=network)


def url(client_side: ssl.SSLContext | None) -> str:
    return f"{'ws' if client_side is None else 'wss'}://chat.example:443"


@pytest.mark.parametrize("seed", range(3))
def test_keepalive_notices_a_partition(seed: int, contexts: Contexts) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosedError

    server_side, client_side = contexts
    network = fakes.Network(link=fakes.Link(latency=0.02))
    network.host("chat.example")

    async def main() -> float:
        with network.host("chat.example"):
            server = await websockets.serve(shout, None, 443, ssl=server_side)
        async with connect(
            url(client_side), ssl=client_side, ping_interval=20, ping_timeout=20
        ) as client:
            await client.send("hello")
            assert await client.recv() == "HELLO"
            network.link("localhost", "chat.example").partition()
            with pytest.raises(ConnectionClosedError, match="keepalive ping timeout"):
                await client.recv()
            noticed = asyncio.get_running_loop().time()
            network.link("localhost", "chat.example").heal()
        server.close()
        await server.wait_closed()
        return noticed

    assert 35 < fakes.run(main(), network=network, seed=seed) < 60


def test_a_reset_ends_it_and_it_reconnects(contexts: Contexts) -> None:
    from websockets.asyncio.client import connect

    server_side, client_side = contexts
    network = fakes.Network()
    network.host("chat.example")
    link = network.link("localhost", "chat.example")

    async def main() -> int:
        with network.host("chat.example"):
            server = await websockets.serve(shout, None, 443, ssl=server_side)
        connections = 0
        async for client in connect(url(client_side), ssl=client_side):
            connections += 1
            try:
                await client.send("hello")
                assert await client.recv() == "HELLO"
                if connections == 3:
                    await client.close()
                    break
                link.reset()
                await client.recv()
            except websockets_closed():
                continue
        server.close()
        await server.wait_closed()
        return connections

    assert fakes.run(main(), network=network) == 3


def websockets_closed() -> type[Exception]:
    from websockets.exceptions import ConnectionClosed

    return ConnectionClosed
