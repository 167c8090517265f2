"""Real sockets, made before `fakes.Loop` runs, that come to it: a simulated one stands in."""

import asyncio
import multiprocessing
import multiprocessing.connection
import socket
import threading
from typing import Any

import pytest

import fakes


def real_socket(*address: Any) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    if address:
        sock.bind(address)
    return sock


def test_a_real_socket_is_connected_by_its_stand_in() -> None:
    sock = real_socket()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with fakes.Script().expect(b"x").close().serve("server", 80):
            await loop.sock_connect(sock, ("server", 80))
            assert sock.fileno() != -1
            _, writer = await asyncio.open_connection(sock=sock)
            assert sock.fileno() == -1  # it has been taken over
            assert writer.get_extra_info("peername")[1] == 80
            writer.write(b"x")
            writer.close()

    fakes.run(main())


def test_a_server_on_a_socket_that_was_bound_before() -> None:
    real = real_socket("127.0.0.1", 0)
    address = real.getsockname()

    async def main() -> None:
        async def handler(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"here")
            writer.close()

        async with await asyncio.start_server(handler, sock=real):
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read() == b"here"
            writer.close()
            await writer.wait_closed()
        assert fakes.Network.open_sockets(asyncio.get_running_loop().network) == []  # type: ignore[attr-defined]

    with real:
        fakes.run(main())


def test_a_connection_that_fails() -> None:
    sock = real_socket()

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", 80))

    with sock:
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
    real, refused = real_socket("127.0.0.2", 0), real_socket()
    name = real.getsockname()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "localhost", 80)
        before = network.open_sockets()
        with real:
            await loop.sock_connect(real, ("127.0.0.1", 80))
            (stand_in,) = (s for s in network.open_sockets() if s.getsockname() == name)
        assert stand_in.closed
        with refused, pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(refused, ("127.0.0.1", 81))
        await asyncio.sleep(1)  # what the server has accepted is closed, too
        assert network.open_sockets() == before
        server.close()

    fakes.run(main(), network=network)


def test_other_threads_have_real_sockets_meanwhile() -> None:
    kinds: list[type[socket.socket]] = []
    begin, done = threading.Event(), threading.Event()

    def elsewhere() -> None:
        begin.wait()
        with socket.socket() as sock:
            kinds.append(type(sock))
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()

    async def main() -> None:
        begin.set()
        done.wait()
        with socket.socket() as sock:
            kinds.append(type(sock))
        with fakes.real_sockets(), socket.socket() as sock:
            kinds.append(type(sock))

    fakes.run(main())
    thread.join()
    with socket.socket() as sock:
        kinds.append(type(sock))
    assert [issubclass(kind, fakes.Socket) for kind in kinds] == [False, True, False, False]
    assert "__new__" not in vars(socket.socket)


def test_a_pipe_between_processes_is_real() -> None:
    async def main() -> object:
        one, other = multiprocessing.Pipe()
        one.send("hello")
        with one, other:
            return other.recv()

    assert fakes.run(main()) == "hello"


def test_a_listener_for_processes_is_refused_by_name() -> None:
    async def main() -> None:
        with pytest.raises(fakes.NotSimulated, match=r"bind\(\) for .* would leave"):
            multiprocessing.connection.Listener(family="AF_UNIX")
        with fakes.real_sockets(), multiprocessing.connection.Listener(family="AF_UNIX") as real:
            assert real.address

    fakes.run(main())
