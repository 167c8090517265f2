"""Small programs over the kernel's loopback and over the fakes: they see the same.

Each returns what it saw, or what was raised. Ports, which the kernel chooses, read PORT.
"""

import asyncio
import logging
import re
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

import fakes

Seen = list[Any]


def words(exc: BaseException) -> tuple[Any, ...]:
    text = re.sub(r"\b(?<!\.)[1-9]\d{3,4}\b(?!\.)", "PORT", str(exc))
    return type(exc).__name__, getattr(exc, "errno", None), text


async def told(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return await call(*args, **kwargs)
    except (Exception, asyncio.CancelledError) as exc:
        return words(exc)


def new_socket(family: int = socket.AF_INET) -> Any:
    network = getattr(asyncio.get_running_loop(), "network", None)
    if network is not None:
        return network.socket(family)
    sock = socket.socket(family)
    sock.setblocking(False)
    return sock


class Ends(asyncio.Protocol):
    """Tells when its connection has ended."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set()


async def names(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    stream = {"type": socket.SOCK_STREAM}
    hosts: list[Any] = ["127.0.0.1", "127.1", "0x7f.1", "", 5, "a" * 70 + ".example", None]
    seen = [await told(loop.getaddrinfo, host, 80, **stream) for host in hosts]
    seen.append(await told(loop.getnameinfo, ("127.0.0.1", 80), socket.NI_NAMEREQD))
    return seen


async def addresses_that_are_none(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen = []
    for host, port in [("127.0.0.1", 70000), ("127.0.0.1", -1), (5, 80), ("", 1)]:
        seen.append(await told(loop.create_connection, asyncio.Protocol, host, port))
        if host:
            seen.append(await told(loop.create_server, asyncio.Protocol, host, port))
    seen.append(await told(loop.create_server, asyncio.Protocol, "9.9.9.9", 0))
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()
    seen.append(await told(loop.create_server, asyncio.Protocol, *taken))
    for local in [("127.0.0.1", 70000), ("nonsense",), ("9.9.9.9", 0), ("::1", 0), taken]:
        seen.append(await told(loop.create_connection, asyncio.Protocol, *taken, local_addr=local))
    server.close()
    return seen


async def sockets(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen = []
    for address in [("127.0.0.1",), ("127.0.0.1", 70000), "x", ("::1", 80)]:
        with new_socket() as sock:
            seen.append(await told(loop.sock_connect, sock, address))
    with new_socket() as listening, new_socket() as client:
        seen.append(await told(loop.sock_sendall, client, b"x"))
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        await loop.sock_connect(client, listening.getsockname())
        accepted, _ = await loop.sock_accept(listening)
        with accepted:
            seen.append(await told(loop.sock_connect, accepted, listening.getsockname()))
            seen.append(await told(loop.sock_recv, client, -1))
            seen.append(await told(loop.sock_recv_into, client, b"for reading only"))
    return seen


async def watching(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    with new_socket() as listening, new_socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        come = asyncio.Event()
        loop.add_reader(listening.fileno(), come.set)  # by its number
        await loop.sock_connect(client, listening.getsockname())
        await come.wait()
        seen.append(loop.remove_reader(listening.fileno()))
        transport, client_end = await loop.create_connection(Ends, sock=client)
        for fd in (client, client.fileno(), transport.get_extra_info("socket")):
            for call in (loop.add_reader, loop.add_writer):
                with pytest.raises(RuntimeError, match="is used by transport"):
                    call(fd, print)
        transport.abort()
        await client_end.lost.wait()
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.add_reader(listening, print)
    return seen


async def options(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    serving = Ends()
    server = await loop.create_server(lambda: serving, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 7)
    seen: Seen = [
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16),
        sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT),
    ]
    for call, args in [
        (sock.setsockopt, (77, 77, 1)),
        (sock.getsockopt, (77, 77)),
        (sock.setsockopt, (socket.SOL_SOCKET, socket.SO_LINGER, b"x")),
        (sock.settimeout, (1,)),
        (sock.setblocking, (True,)),
    ]:
        with pytest.raises((OSError, ValueError)) as caught:
            call(*args)
        seen.append(words(caught.value))
    transport.abort()
    await serving.lost.wait()
    server.close()
    return seen


async def unix_paths(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    for one in (path, path.encode(), "\0" + path, b"\0" + path.encode()):
        serving = Ends()
        server = await loop.create_unix_server(lambda serving=serving: serving, one)
        seen.append(server.sockets[0].getsockname())
        other = one.encode() if isinstance(one, str) else one.decode()
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, other)
        seen.append(transport.get_extra_info("peername"))
        transport.abort()
        await serving.lost.wait()
        server.close()
    for one in ("\0" + path, "", "x" * 108):
        seen.append(await told(loop.create_unix_connection, asyncio.Protocol, one))
    return seen


async def debug_mode(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    seen: Seen = []
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (loop.call_later, (1, names)),
        (loop.call_at, (loop.time(), 5)),
        (loop.call_soon_threadsafe, (names,)),
    ]
    for call, args in calls:
        with pytest.raises(TypeError) as caught:
            call(*args)
        seen.append(words(caught.value)[0])
    loop.set_debug(False)
    await asyncio.to_thread(loop.call_soon_threadsafe, int)
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError) as refused:
        loop.run_in_executor(None, print)
    seen.append(words(refused.value))
    return seen


@pytest.mark.parametrize(
    "program",
    [names, addresses_that_are_none, sockets, watching, options, unix_paths, debug_mode],
    ids=lambda program: program.__name__,
)
def test_sees_the_same(program: Callable[[str], Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/s"
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            over_the_kernel = runner.run(program(path))
        assert fakes.run(program(path)) == over_the_kernel


def test_debug_mode_names_slow_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0
        await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "asyncio"):
        fakes.run(main(), debug=True)
    assert any("Executing <" in record.getMessage() for record in caplog.records)
