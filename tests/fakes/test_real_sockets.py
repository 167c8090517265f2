"""Real sockets that a library makes itself and hands to `fakes.Loop`, as aiohttp does."""

import asyncio
import socket

import pytest

import fakes


def a_real_socket() -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    return sock


def test_a_real_socket_is_connected_by_its_stand_in() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with fakes.Script().expect(b"x").close().serve("server", 80):
            sock = a_real_socket()
            await loop.sock_connect(sock, ("server", 80))
            assert sock.fileno() != -1
            _, writer = await asyncio.open_connection(sock=sock)
            assert sock.fileno() == -1  # it has been taken over
            assert writer.get_extra_info("peername")[1] == 80
            writer.write(b"x")
            writer.close()

    fakes.run(main())


def test_a_connection_that_fails() -> None:
    async def main() -> None:
        with a_real_socket() as sock, pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", 80))

    fakes.run(main())


def test_a_real_socket_that_was_not_connected_here_is_refused() -> None:
    async def main() -> None:
        with a_real_socket() as sock, pytest.raises(fakes.NotSimulated):
            await asyncio.open_connection(sock=sock)

    fakes.run(main())


def test_connection_attempts_held_up_by_a_stall_go_on_together() -> None:
    network = fakes.Network()
    network.host("server")
    link = network.link("localhost", "server")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        link.stall()
        loop.call_later(5, link.heal)
        results = await asyncio.gather(
            *(asyncio.open_connection("10.0.0.2", 80) for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [ConnectionRefusedError] * 3
        return loop.time()

    assert fakes.run(main(), network=network) == 5


def test_a_stand_in_is_bound_and_closed_as_the_real_one_is() -> None:
    network = fakes.Network()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "localhost", 80)
        before = network.open_sockets()
        with a_real_socket() as real:
            real.bind(("127.0.0.2", 0))
            await loop.sock_connect(real, ("127.0.0.1", 80))
            (stand_in,) = (
                sock for sock in network.open_sockets() if sock.getsockname() == real.getsockname()
            )
        assert stand_in.closed
        with a_real_socket() as real, pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(real, ("127.0.0.1", 81))
        await asyncio.sleep(1)  # what the server has accepted is closed, too
        assert network.open_sockets() == before
        server.close()

    fakes.run(main(), network=network)
