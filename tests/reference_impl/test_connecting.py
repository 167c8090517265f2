"""`open_connection()` and `open_unix_connection()`: their arguments, on loops that lack some."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import reference_impl
from reference_impl import _compat, _happy_eyeballs


@pytest.fixture
def listener() -> Iterator[Any]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


async def connected(host: Any, listener: Any, **options: Any) -> Any:
    _, writer = await reference_impl.open_connection(host, listener.getsockname()[1], **options)
    peername = writer.get_extra_info("peername")
    local = writer.get_extra_info("sockname")
    nodelay = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()
    await writer.wait_closed()
    assert nodelay
    return peername, local


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"happy_eyeballs_delay": 0.25},
        {"happy_eyeballs_delay": 0},
        {"happy_eyeballs_delay": None},
        {"interleave": 1},
        {"interleave": 0, "happy_eyeballs_delay": 0.1},
        {"family": socket.AF_INET},
        {"proto": socket.IPPROTO_TCP, "interleave": 2},
        {"local_addr": ("127.0.0.1", 0)},
        {"local_addr": ("127.0.0.1", 0), "happy_eyeballs_delay": 0.25},
        {"limit": 10},
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_connects(listener: Any, options: Any, host: Any) -> None:
    peername, _ = await connected(host, listener, **options)
    assert peername == listener.getsockname()


async def test_local_addr_of_a_race(listener: Any) -> None:
    _, local = await connected(
        "localhost", listener, local_addr=("127.0.0.2", 0), happy_eyeballs_delay=0.25
    )
    assert local[0] == "127.0.0.2"


@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.01}, {"interleave": 1}])
async def test_refused(listener: Any, options: Any) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its errno is checked
        await reference_impl.open_connection("127.0.0.1", port, **options)
    assert caught.value.errno == errno.ECONNREFUSED


@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.01}])
async def test_a_local_address_that_is_not_ours(listener: Any, options: Any) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(OSError, match="assign requested address"):
        await reference_impl.open_connection(
            "127.0.0.1", port, local_addr=("192.0.2.1", 0), **options
        )


@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.01}])
async def test_flags_are_those_of_the_lookup(listener: Any, options: Any) -> None:
    with pytest.raises(socket.gaierror):
        await reference_impl.open_connection(
            "localhost", listener.getsockname()[1], flags=socket.AI_NUMERICHOST, **options
        )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"server_hostname": "x"}, ValueError),
        ({"ssl_handshake_timeout": 1}, ValueError),
        ({"ssl_shutdown_timeout": 1}, ValueError),
        ({"ssl": 5}, TypeError),
        ({"ssl": True, "ssl_handshake_timeout": 0}, ValueError),
        ({"ssl": True, "ssl_shutdown_timeout": -1}, ValueError),
        ({"ssl": True, "server_hostname": ""}, ValueError),
        ({"no_such_argument": 1}, TypeError),
    ],
    ids=str,
)
async def test_wrong_arguments_are_refused_before_anything_is_sent(
    listener: Any, options: Any, error: Any
) -> None:
    with pytest.raises(error):
        await reference_impl.open_connection(*listener.getsockname(), **options)
    if "no_such_argument" not in options:
        with pytest.raises(error):
            await reference_impl.open_unix_connection("/nowhere", **options)
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_nowhere_to_connect(listener: Any) -> None:
    with pytest.raises(ValueError, match="host and port"):
        await reference_impl.open_connection()
    with pytest.raises(ValueError, match="host and port"):
        await reference_impl.open_connection(happy_eyeballs_delay=1)
    with pytest.raises(ValueError, match="path"):
        await reference_impl.open_unix_connection()
    with socket.socket() as sock, pytest.raises(ValueError, match="same time"):
        await reference_impl.open_connection("127.0.0.1", 1, sock=sock, happy_eyeballs_delay=1)
    with pytest.raises(FileNotFoundError):
        await reference_impl.open_unix_connection("/no/such/path")


async def test_a_host_name_to_check_is_needed(
    client_context: ssl.SSLContext, tmp_path: Path
) -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match="server_hostname"):
        await reference_impl.open_connection(sock=sock, ssl=client_context)
    for name in (None, ""):
        with pytest.raises(ValueError, match="server_hostname"):
            await reference_impl.open_unix_connection(
                tmp_path / "socket", ssl=client_context, server_hostname=name
            )


# Happy Eyeballs, where the loop has none. The network is played by sock_connect().

A, B, C, D = (
    (family, socket.SOCK_STREAM, 0, name)
    for family, name in zip(
        (socket.AF_INET6, socket.AF_INET6, socket.AF_INET, socket.AF_INET), "ABCD", strict=True
    )
)


@pytest.mark.parametrize(
    ("first", "expected"), [(1, [A, C, B, D]), (2, [A, B, C, D]), (9, [A, B, C, D])]
)
def test_interleaving(first: Any, expected: Any) -> None:
    assert _happy_eyeballs.interleaved([A, B, C, D], first) == expected


class Network:
    """Connects, refuses or keeps silent, by name; records who is asked."""

    def __init__(self, loop: Any, **answers: Any) -> None:
        self.loop = loop
        self.answers = answers
        self.asked: list[str] = []
        self.sockets: list[socket.socket] = []

    create_task = property(lambda self: self.loop.create_task)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        self.asked.append(address)
        self.sockets.append(sock)
        answer = self.answers[address]
        if answer == "silent":
            await self.loop.create_future()
        if answer == "refused":
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"refused by {address}")


@pytest.mark.parametrize(
    ("answers", "delay", "asked"),
    [
        ({"A": "connects", "C": "connects"}, 10, ["A"]),
        ({"A": "refused", "C": "connects"}, 10, ["A", "C"]),
        ({"A": "refused", "C": "connects"}, None, ["A", "C"]),
        ({"A": "silent", "C": "connects"}, 0.001, ["A", "C"]),
        ({"A": "silent", "C": "refused"}, 0.001, ["A", "C"]),
        ({"A": "refused", "C": "refused"}, 0.001, ["A", "C"]),
    ],
    ids=str,
)
async def test_race(answers: Any, delay: Any, asked: Any) -> None:
    network: Any = Network(asyncio.get_running_loop(), **answers)
    with contextlib.ExitStack() as stack:
        if "connects" not in answers.values():
            stack.enter_context(pytest.raises((TimeoutError, OSError)))
        async with asyncio.timeout(0.2 if answers["A"] == "silent" else None):
            sock = await _happy_eyeballs.first_to_connect(network, [A, C], None, delay)
            sock.close()
            assert sock is network.sockets[-1]
    assert network.asked == asked
    assert all(sock.fileno() == -1 for sock in network.sockets), "all others are closed"


async def test_when_all_fail_every_reason_is_told() -> None:
    network: Any = Network(asyncio.get_running_loop(), A="refused", C="refused")
    with pytest.raises(OSError, match=r"Multiple exceptions: .*refused by A.*refused by C"):
        await _happy_eyeballs.first_to_connect(network, [A, C], None, 0.01)


async def test_a_cancelled_race_closes_its_sockets(
    cancelled: Callable[[Awaitable[Any]], Awaitable[None]],
) -> None:
    network: Any = Network(asyncio.get_running_loop(), A="silent", C="silent")
    await cancelled(_happy_eyeballs.first_to_connect(network, [A, C], None, 0))
    assert network.asked == ["A", "C"]
    assert all(sock.fileno() == -1 for sock in network.sockets)


async def test_two_that_connect_at_once() -> None:
    network: Any = Network(asyncio.get_running_loop(), A="connects", C="connects")
    sock = await _happy_eyeballs.first_to_connect(network, [A, C], None, 0)
    sock.close()
    assert all(sock.fileno() == -1 for sock in network.sockets)


def test_no_local_address_of_the_family() -> None:
    with socket.socket() as sock, pytest.raises(OSError, match="no matching local address"):
        _happy_eyeballs._bind(sock, [])


# Loops that lack an argument, whichever loop has it by now.


class Lacking:
    """A loop whose functions take no arguments that only newer loops have."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(
        self,
        factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        sock: Any = None,
        ssl: Any = None,
        server_hostname: Any = None,
    ) -> Any:
        return await self._loop.create_connection(
            factory, host, port, sock=sock, ssl=ssl, server_hostname=server_hostname
        )

    async def create_server(
        self, factory: Any, host: Any = None, port: Any = None, *, start_serving: Any = True
    ) -> Any:
        return await self._loop.create_server(factory, host, port, start_serving=start_serving)

    async def create_unix_server(
        self, factory: Any, path: Any = None, *, sock: Any = None, start_serving: Any = True
    ) -> Any:
        options = {"start_serving": start_serving}
        if _compat._accepts(self._loop.create_unix_server, "cleanup_socket"):
            options["cleanup_socket"] = False
        return await self._loop.create_unix_server(factory, path, sock=sock, **options)


async def test_happy_eyeballs_on_a_loop_without(listener: Any) -> None:
    loop: Any = Lacking(asyncio.get_running_loop())
    protocol = asyncio.Protocol()
    transport = await _compat.create_connection(
        loop, protocol, "localhost", listener.getsockname()[1], happy_eyeballs_delay=0.25
    )
    assert transport.get_protocol() is protocol
    assert transport.get_extra_info("peername") == listener.getsockname()
    transport.close()
    await asyncio.sleep(0)


async def test_happy_eyeballs_and_tls_that_fails_closes_the_socket(
    listener: Any, client_context: ssl.SSLContext
) -> None:
    loop: Any = Lacking(asyncio.get_running_loop())
    connecting = asyncio.create_task(
        _compat.create_connection(
            loop,
            asyncio.Protocol(),
            "localhost",
            listener.getsockname()[1],
            interleave=1,
            ssl=client_context,
        )
    )
    listener.setblocking(False)
    accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
    accepted.close()
    with pytest.raises(OSError):  # noqa: PT011  # any will do
        await connecting


async def test_keep_alive_on_a_loop_without() -> None:
    loop: Any = Lacking(asyncio.get_running_loop())
    server: Any = await _compat.create_server(
        loop, asyncio.Protocol, "127.0.0.1", 0, keep_alive=True
    )
    assert not server.is_serving()
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("cleanup_socket", [True, False])
async def test_cleanup_socket_on_a_loop_without(tmp_path: Path, cleanup_socket: Any) -> None:
    loop: Any = Lacking(asyncio.get_running_loop())
    path = tmp_path / "socket"
    server, cleanup = await _compat.create_unix_server(
        loop, asyncio.Protocol, str(path), cleanup_socket=cleanup_socket
    )
    assert (cleanup is not None) is cleanup_socket
    if cleanup:
        cleanup()
        cleanup()
    assert path.exists() is not cleanup_socket
    server.close()
    await server.wait_closed()


async def test_cleanup_of_an_abstract_socket_on_a_loop_without() -> None:
    loop: Any = Lacking(asyncio.get_running_loop())
    _, cleanup = result = await _compat.create_unix_server(
        loop, asyncio.Protocol, "\0streamcert-lacking", cleanup_socket=True
    )
    assert cleanup is None
    result[0].close()
    await result[0].wait_closed()
