"""redis-py, unmodified, against a small server of our own on the simulated network."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

import fakes

redis = pytest.importorskip("redis.asyncio")


class Store:
    """As much of a Redis server as these tests ask for (RESP 2)."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                arguments = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    arguments.append((await reader.readexactly(size + 2))[:-2])
                writer.write(await self.answer(arguments))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, arguments: list[bytes]) -> bytes:
        command, *rest = arguments
        match command.upper(), rest:
            case b"PING", []:
                return b"+PONG\r\n"
            case b"SET", [key, value]:
                self.values[key] = value
                return b"+OK\r\n"
            case b"GET", [key]:
                found = self.values.get(key)
                return b"$-1\r\n" if found is None else b"$%d\r\n%b\r\n" % (len(found), found)
            case b"INCRBY", [key, amount]:
                self.values[key] = b"%d" % (int(self.values.get(key, b"0")) + int(amount))
                return b":%b\r\n" % self.values[key]
            case b"BLPOP", [_, seconds]:
                await asyncio.sleep(float(seconds))
                return b"*-1\r\n"
            case b"CLIENT", _:
                return b"+OK\r\n"
        return b"-ERR unknown command\r\n"


async def start(network: fakes.Network, context: ssl.SSLContext | None = None) -> asyncio.Server:
    with network.host("cache"):
        return await asyncio.start_server(Store().serve, None, 6379, ssl=context)


@pytest.fixture(params=["plain", "tls"])
def secured(
    request: pytest.FixtureRequest, tmp_path: Path, authority: trustme.CA
) -> tuple[ssl.SSLContext | None, dict[str, Any]]:
    """The server's context, and what the client is told."""
    if request.param == "plain":
        return None, {}
    authority.cert_pem.write_to_path(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("cache").configure_cert(context)
    return context, {"ssl": True, "ssl_ca_certs": str(tmp_path / "authority")}


def test_commands(secured: tuple[ssl.SSLContext | None, dict[str, Any]]) -> None:
    context, secure = secured
    network = fakes.Network(link=fakes.Link(latency=0.001))
    network.host("cache")

    async def main() -> None:
        server = await start(network, context)
        async with redis.Redis(host="cache", protocol=2, socket_timeout=None, **secure) as client:
            assert await client.ping()
            await client.set("key", bytes(1_000_000))
            assert await client.get("key") == bytes(1_000_000)
            assert await client.get("nothing") is None
            async with client.pipeline(transaction=False) as pipeline:
                for _ in range(100):
                    pipeline.incr("count")
                assert await pipeline.execute() == list(range(1, 101))
            results = await asyncio.gather(*(client.incr("count") for _ in range(50)))
            assert sorted(results) == list(range(101, 151))
            assert await client.blpop("queue", timeout=3600) is None
        server.close()
        await server.wait_closed()

    fakes.run(main(), network=network)


@pytest.mark.parametrize("seed", range(3))
def test_faults(seed: int, secured: tuple[ssl.SSLContext | None, dict[str, Any]]) -> None:
    context, secure = secured
    network = fakes.Network()
    network.host("cache")
    link = network.link("localhost", "cache")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await start(network, context)
        patience = {"socket_timeout": 5, "socket_connect_timeout": 5, "retry": None}
        async with redis.Redis(host="cache", protocol=2, **patience, **secure) as client:
            await client.set("key", "value")
            link.stall()
            loop.call_later(4, link.heal)
            assert await client.get("key") == b"value"
            link.reset()
            with pytest.raises(redis.ConnectionError):
                await client.get("key")
            assert await client.get("key") == b"value"
            link.partition()
            with pytest.raises((redis.TimeoutError, redis.ConnectionError)):
                await client.get("key")
            link.heal()
            assert await client.get("key") == b"value"
        await asyncio.sleep(60)  # TLS waits up to 30 s for the answer to its last words
        server.close()
        await server.wait_closed()

    fakes.run(main(), network=network, seed=seed)


def test_the_server_is_gone() -> None:
    network = fakes.Network()

    async def main() -> None:
        async with redis.Redis(host="localhost", protocol=2, retry=None) as client:
            with pytest.raises(redis.ConnectionError, match="111"):
                await client.ping()

    fakes.run(main(), network=network)


def test_a_scripted_server() -> None:
    script = (
        fakes.Script("redis")
        .expect(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
        .send(b"$5\r\nva")
        .pause(2)
        .send(b"lue\r\n")
        .ignore_rest()
    )

    async def main() -> None:
        async with (
            script.serve("localhost", 6379),
            redis.Redis(protocol=2, driver_info=None) as client,
        ):
            assert await client.get("k") == b"value"

    fakes.run(main())
