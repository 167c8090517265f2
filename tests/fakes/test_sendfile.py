"""`loop.sendfile()` and `loop.sock_sendfile()`, over the fakes and over the kernel alike."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme

import fakes

SIZE = 10_000_000  # bytes, more than the buffers of a connection hold

Main = Coroutine[Any, Any, None]


def on_the_kernel(main: Main) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main)


def on_uvloop(main: Main) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=fakes.network_loop(uvloop.Loop)) as runner:
        runner.run(main)


@pytest.fixture(params=[fakes.run, on_the_kernel, on_uvloop], ids=["fakes", "kernel", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Main], None]:
    runner: Callable[[Main], None] = request.param
    return runner


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(index % 251 for index in range(1000)) * (SIZE // 1000))
    return path


@pytest.mark.parametrize(("offset", "count"), [(0, None), (7, None), (1000, SIZE // 2), (SIZE, 5)])
def test_a_file_is_sent_between_what_is_written(
    run: Callable[[Main], None], path: Path, offset: int, count: int | None
) -> None:
    expected = path.read_bytes()[offset:][:count]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sent: list[object] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"before ")
            with path.open("rb") as file:
                sent.append(await loop.sendfile(writer.transport, file, offset, count))
                sent.append(file.tell())
            writer.write(b" after")
            await writer.drain()
            assert await reader.read() == b"what came meanwhile"
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"what came meanwhile")
        writer.write_eof()
        assert await reader.read() == b"before " + expected + b" after"
        # Where nothing is sent, asyncio's own leaves the file where it was, on some Pythons.
        assert sent == [len(expected), offset + len(expected)] or not expected
        writer.close()
        server.close()
        await server.wait_closed()

    run(main())


def test_a_connection_that_is_lost_and_arguments_that_are_wrong(path: Path) -> None:
    # On the kernel, abort() leaves asyncio's native sendfile() without an answer.
    class Silent(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.pause_reading()
            accepted.append(transport)

    accepted: list[asyncio.Transport] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Silent, "localhost", 80)
        reader, writer = await asyncio.open_connection("localhost", 80)
        with (
            path.open() as text,
            pytest.raises(ValueError, match="file should be opened in binary mode"),
        ):
            await loop.sendfile(writer.transport, text)  # type: ignore[arg-type]  # the point of it
        with path.open("rb") as file:
            with pytest.raises(ValueError, match="offset"):
                await loop.sendfile(writer.transport, file, -1)
            with pytest.raises(ValueError, match="count"):
                await loop.sendfile(writer.transport, file, 0, 0)
            sending = asyncio.ensure_future(loop.sendfile(writer.transport, file))
            await asyncio.sleep(1)
            assert not sending.done()
            writer.transport.abort()
            with pytest.raises(ConnectionError):
                await sending
            with pytest.raises(RuntimeError, match="Transport is closing"):
                await loop.sendfile(writer.transport, file)
        with pytest.raises(ConnectionError):  # the writer knows as well
            await writer.drain()
        assert await reader.read() == b""
        accepted[0].abort()
        server.close()
        await server.wait_closed()

    fakes.run(main())


def test_over_tls(path: Path, authority: trustme.CA) -> None:
    content = path.read_bytes()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("files.example").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    network = fakes.Network()

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with path.open("rb") as file:
                await asyncio.get_running_loop().sendfile(writer.transport, file)
            writer.close()

        with network.host("files.example"):
            server = await asyncio.start_server(serve, None, 443, ssl=server_side)
        reader, writer = await asyncio.open_connection("files.example", 443, ssl=client_side)
        assert await reader.read() == content
        writer.close()
        server.close()
        await server.wait_closed()

    fakes.run(main(), network=network)


def test_over_a_socket(path: Path) -> None:
    content = path.read_bytes()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        with path.open("rb") as file:
            sending = asyncio.ensure_future(loop.sock_sendfile(one, file, 3, SIZE - 5))
            received = bytearray()
            while len(received) < SIZE - 5:
                received += await loop.sock_recv(other, 65536)
            assert await sending == SIZE - 5
        assert received == content[3:-2]
        one.close()
        other.close()

    fakes.run(main())


def test_peeking() -> None:
    async def main() -> None:
        one, other = fakes.open_socket_pair()
        with pytest.raises(BlockingIOError):
            other.recv(2, socket.MSG_PEEK)
        one.send(b"abc")
        assert other.recv(2, socket.MSG_PEEK) == b"ab"
        assert other.recv(9) == b"abc"
        one.close()
        other.close()

    fakes.run(main())


def test_what_only_real_sockets_have_is_named() -> None:
    async def main() -> None:
        one, other = fakes.open_socket_pair()
        _, writer = await asyncio.open_connection(sock=one)
        with pytest.raises(fakes.NotSimulated, match="dup"):
            other.dup()
        with pytest.raises(fakes.NotSimulated, match=r"dup\(\) of .* by set_protocol\(\)"):
            writer.get_extra_info("socket").dup()
        assert not hasattr(writer.get_extra_info("socket"), "nothing")
        writer.close()
        other.close()

    fakes.run(main())
