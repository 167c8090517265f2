"""Socket options that end a connection whose other end is gone: after how many virtual seconds."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

import fakes

TCP, SOCKET = socket.IPPROTO_TCP, socket.SOL_SOCKET
KEEP_ALIVE = [
    (SOCKET, socket.SO_KEEPALIVE, 1),
    (TCP, socket.TCP_KEEPIDLE, 10),
    (TCP, socket.TCP_KEEPINTVL, 5),
    (TCP, socket.TCP_KEEPCNT, 3),
]


def ended(
    options: list[tuple[int, int, int]],
    play: Callable[[fakes.Network, asyncio.StreamWriter], Any],
    latency: float = 0,
    limit: float = 2000,
) -> tuple[float, str | None]:
    """When a client's read ends, and by which error; None if it does not within `limit`."""
    network = fakes.Network(link=fakes.Link(latency=latency))
    network.host("server")

    async def main() -> tuple[float, str | None]:
        loop = asyncio.get_running_loop()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(100):
                    writer.write(data)
            except OSError:
                pass
            finally:
                writer.close()

        with network.host("server"):
            server = await asyncio.start_server(handler, "server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        sock = writer.get_extra_info("socket")
        for option in options:
            sock.setsockopt(*option)
        start = loop.time()
        playing = asyncio.ensure_future(play(network, writer))
        try:
            async with asyncio.timeout(limit):
                while await reader.read(100):
                    pass
        except TimeoutError as exc:
            error = errno.errorcode.get(exc.errno or 0)
        except OSError as exc:
            error = errno.errorcode[exc.errno or 0]
        else:
            error = "EOF"
        took = loop.time() - start
        playing.cancel()
        writer.transport.abort()
        server.close()
        return took, error

    return fakes.run(main(), network=network)


async def drop(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
    network.host("server").drop()


def test_a_dead_idle_peer_is_noticed() -> None:
    assert ended(KEEP_ALIVE, drop) == (25, "ETIMEDOUT")


def test_without_the_option_nobody_notices() -> None:
    assert ended([], drop) == (2000, None)
    assert ended(KEEP_ALIVE[1:], drop) == (2000, None)


def test_linux_takes_two_hours_and_eleven_minutes() -> None:
    assert ended(KEEP_ALIVE[:1], drop, limit=10_000) == (7200 + 9 * 75, "ETIMEDOUT")


def test_probes_come_regularly_from_the_last_sign_of_life() -> None:
    async def later(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)
        writer.write(b"x")  # heard of at 3
        await asyncio.sleep(14)
        network.host("server").drop()  # at 17: a probe at 13 was answered; the next is at 23

    assert ended(KEEP_ALIVE, later) == (23 + 3 * 5, "ETIMEDOUT")


def test_a_peer_that_comes_back_in_time_lives() -> None:
    async def for_a_while(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
        network.host("server").drop()
        await asyncio.sleep(24)
        network.host("server").heal()

    assert ended(KEEP_ALIVE, for_a_while, limit=300) == (300, None)


def test_one_direction_is_enough() -> None:
    async def one_way(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
        network.link("localhost", "server").partition(sender="server")

    assert ended(KEEP_ALIVE, one_way) == (25, "ETIMEDOUT")


def test_a_host_that_was_started_again_answers_with_a_reset() -> None:
    async def restart(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
        network.host("server").restart()

    assert ended(KEEP_ALIVE, restart) == (10, "ECONNRESET")


def test_what_is_not_acknowledged_is_another_matter() -> None:
    async def write_into_nothing(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
        network.host("server").drop()
        writer.write(b"x")

    took, error = ended(KEEP_ALIVE, write_into_nothing)
    assert took == pytest.approx(924.6)
    assert error == "ETIMEDOUT"


USER_TIMEOUT = (TCP, socket.TCP_USER_TIMEOUT, 7500)


def test_user_timeout_of_what_is_not_acknowledged() -> None:
    async def write_into_nothing(network: fakes.Network, writer: asyncio.StreamWriter) -> None:
        network.host("server").drop()
        await asyncio.sleep(2)
        writer.write(b"x")

    took, error = ended([USER_TIMEOUT], write_into_nothing)
    assert took == pytest.approx(9.5)
    assert error == "ETIMEDOUT"


def test_user_timeout_goes_before_the_count_of_probes() -> None:
    timeout = (TCP, socket.TCP_USER_TIMEOUT, 13_000)
    assert ended([*KEEP_ALIVE, timeout], drop) == (15, "ETIMEDOUT")


def test_user_timeout_alone_does_nothing_to_who_is_silent() -> None:
    assert ended([USER_TIMEOUT], drop) == (2000, None)


@pytest.mark.parametrize(("count", "seconds"), [(1, 3), (2, 7), (6, 127)])
def test_syn_count(count: int, seconds: int) -> None:
    network = fakes.Network()
    network.host("server").drop()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.setsockopt(TCP, socket.TCP_SYNCNT, count)
            with pytest.raises(TimeoutError):
                await loop.sock_connect(sock, ("server", 80))
        return loop.time()

    assert fakes.run(main(), network=network) == seconds


def test_a_server_that_keeps_its_clients_alive() -> None:
    """Options set on the listening socket are those of what it accepts."""
    network = fakes.Network()
    network.host("client")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        ends: asyncio.Queue[BaseException | None] = asyncio.Queue()

        class Served(asyncio.Protocol):
            def connection_lost(self, exc: BaseException | None) -> None:
                ends.put_nowait(exc)

        server = await loop.create_server(Served, "0.0.0.0", 80)
        for option in KEEP_ALIVE:
            server.sockets[0].setsockopt(*option)
        with network.host("client"):
            transport, _ = await loop.create_connection(
                asyncio.Protocol, network.local.addresses[0], 80
            )
        await asyncio.sleep(0)
        network.host("client").drop()
        assert isinstance(await ends.get(), TimeoutError)
        transport.abort()
        server.close()
        return loop.time()

    assert fakes.run(main(), network=network) == 25
