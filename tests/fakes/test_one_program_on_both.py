"""Small programs over the kernel's loopback and over the fakes: they see the same.

Each returns what it saw, or what was raised. Ports, which the kernel chooses, read PORT.
"""

import asyncio
import functools
import logging
import re
import socket
import ssl
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


def name_of(thing: Any) -> Any:
    """The name of a socket or a transport, without the port that it was given."""
    if isinstance(thing, asyncio.BaseTransport):
        name = thing.get_extra_info("sockname")
    else:
        name = thing.getsockname()
    return (name[0], bool(name[1]), *name[2:]) if isinstance(name, tuple) else name


def told_at_once(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except Exception as exc:
        return words(exc)


class Ends(asyncio.Protocol):
    """Tells when its connection has ended, and what came before."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.seen: Seen = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.seen += [name_of(transport), transport.get_extra_info("peername")]

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)

    def eof_received(self) -> None:
        self.seen.append("end")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.seen.append(exc and words(exc))
        self.lost.set()


LOCAL = {
    socket.AF_INET: ("127.0.0.1", 0),
    socket.AF_INET6: ("::1", 0),
}
KEEP_ALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
NOBODY: dict[int, Any] = {  # a port that only the administrator could listen at
    socket.AF_INET: ("127.0.0.1", 9),
    socket.AF_INET6: ("::1", 9),
    socket.AF_UNIX: "/nobody",
}


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


async def a_watch_that_never_reads(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    calls = 0

    def look() -> None:
        nonlocal calls
        calls += 1

    with new_socket() as listening, new_socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        await loop.sock_connect(client, listening.getsockname())
        loop.add_reader(listening, look)
        loop.add_writer(client, look)
        await asyncio.sleep(0.01)
        seen: Seen = [calls > 10, loop.remove_reader(listening), loop.remove_writer(client)]
        before = calls
        await asyncio.sleep(0)
        seen += [calls == before, await told(asyncio.wait_for, loop.create_future(), 0.001)]
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
    loop: Any = asyncio.get_running_loop()  # typeshed allows no path of bytes
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
    await asyncio.to_thread(lambda: loop.call_soon_threadsafe(int))
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError) as refused:
        loop.run_in_executor(None, print)
    seen.append(words(refused.value))
    return seen


def write_twice(transport: asyncio.Transport) -> None:
    transport.write(b"x")
    transport.write(b"x")


async def unconnected(path: str) -> Seen:
    """What a transport over a socket without a connection is told, and when."""
    loop = asyncio.get_running_loop()
    uses: list[Callable[[asyncio.Transport], Any]] = [
        asyncio.Transport.get_protocol,
        write_twice,
        lambda transport: transport.write_eof(),
        lambda transport: transport.close(),
        lambda transport: transport.abort(),
    ]
    seen: Seen = []
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        for state in ("fresh", "bound", "refused", "refused twice", "listening", "closed"):
            for number, use in enumerate(uses):
                sock = new_socket(family)
                if state in ("bound", "listening"):
                    sock.bind(LOCAL.get(family, f"{path} {state} {number}"))
                if state == "listening":
                    sock.listen()
                for _ in range({"refused": 1, "refused twice": 2}.get(state, 0)):
                    await told(loop.sock_connect, sock, NOBODY[family])
                if state == "closed":
                    sock.close()
                protocol = Ends()
                unix = family == socket.AF_UNIX
                connect = loop.create_unix_connection if unix else loop.create_connection
                made = await told(connect, lambda protocol=protocol: protocol, sock=sock)
                if not isinstance(made[0], asyncio.Transport):
                    seen.append([state, made, sock.fileno()])
                    continue
                if number:
                    protocol.seen.append(told_at_once(use, made[0]))
                if state == "listening":
                    made[0].abort()  # nothing happens to it
                await protocol.lost.wait()
                seen.append([state, protocol.seen, sock.fileno()])
    for tls in (None, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)):
        sock = new_socket()
        opened = await told(
            asyncio.open_connection, sock=sock, ssl=tls, server_hostname=tls and "x"
        )
        if tls is not None:
            seen.append(opened)
            continue
        reader, writer = opened
        seen.append(await told(reader.read))
        writer.close()
        seen.append(await told(writer.wait_closed))
    return seen


def bind(address: Any, sock: socket.socket) -> None:
    sock.bind(address)


def shut(how: int, sock: socket.socket) -> None:
    sock.shutdown(how)


async def connecting_again(path: str) -> Seen:
    """Connecting, and whatever else, on a socket after an attempt that failed or succeeded."""
    loop = asyncio.get_running_loop()
    seen: Seen = []
    for family in LOCAL:
        with new_socket(family) as listening:
            listening.bind(LOCAL[family])
            listening.listen()
            nobody, somebody = NOBODY[family], listening.getsockname()
            calls: dict[str, Callable[[socket.socket], Any]] = {
                "listen": lambda sock: sock.listen(),
                "bind": functools.partial(bind, LOCAL[family]),
                "send": lambda sock: sock.send(b"x"),
                "send nothing": lambda sock: sock.send(b""),
                "receive": lambda sock: sock.recv(1),
                "receive nothing": lambda sock: sock.recv(0),
                "error": lambda sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
                "peer": lambda sock: sock.getpeername() and None,
                **{f"shut {how}": functools.partial(shut, how) for how in (0, 1, 2, 9)},
            }
            for steps in (
                [nobody] * 5,
                [nobody, somebody, somebody, somebody, nobody],
                [somebody, nobody, nobody],
                ["listen", nobody, "listen"],
                [nobody, "listen", "send", "receive", "bind", nobody, "send", "receive", "listen"],
                [nobody, nobody, "listen", nobody],
                ["bind", nobody, nobody, nobody, somebody],
                [nobody, "error", "receive", nobody, "receive", "send nothing"],
                [nobody, "shut 0", "shut 1", "shut 2", "shut 9", "peer", "receive nothing"],
                [nobody, nobody, "shut 1", "receive", "shut 0", "receive", somebody, "peer"],
                ["send", "receive", somebody, "peer"],
            ):
                with new_socket(family) as sock:
                    for step in steps:
                        if isinstance(step, str):
                            seen.append(told_at_once(calls[step], sock))
                        else:
                            seen.append(await told(loop.sock_connect, sock, step))
                        seen.append(name_of(sock))
    return seen


async def connecting_again_after_a_cancellation(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    with new_socket() as sock:
        attempt = asyncio.create_task(loop.sock_connect(sock, NOBODY[socket.AF_INET]))
        await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait([attempt])
        answered = asyncio.Event()
        loop.add_writer(sock, answered.set)
        await answered.wait()
        loop.remove_writer(sock)
        for _ in range(3):  # the first is told what nobody has been told yet
            seen.append(await told(loop.sock_connect, sock, NOBODY[socket.AF_INET]))
            seen.append(name_of(sock))
    return seen


async def arguments_that_are_none(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    nones: list[Any] = ["text", None, 1.5, [1], (), ("a",), ("x\0", 1), (5, 1), ("127.0.0.1", "x")]
    nones += [b"for reading only", memoryview(b"abcdef")[::2], ("127.0.0.1", 0, 0, 0, 0), -1]
    for family in (socket.AF_INET, socket.AF_INET6):
        for closed in (False, True):
            for none in nones:
                with new_socket(family) as sock:
                    if closed:
                        sock.close()
                    for call, *args in (
                        *((getattr(sock, name), none) for name in ("send", "recv", "recv_into")),
                        (sock.recv_into, bytearray(3), none),
                        (sock.getsockopt, socket.SOL_SOCKET, socket.SO_LINGER, none),
                        (sock.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, none),
                        (sock.bind, none),
                        *((getattr(sock, name), none) for name in ("shutdown", "listen")),
                    ):
                        seen.append((call.__name__, told_at_once(call, *args)))
                    seen += [await told(loop.sock_sendall, sock, none)]
                    seen += [await told(loop.sock_recv, sock, none)]
                    seen += [await told(loop.sock_recv_into, sock, none)]
    return seen


async def small_differences(path: str) -> Seen:
    """Names to bind to, and arguments at the edge of what a call takes."""
    seen: Seen = []
    for family, address in (
        (socket.AF_INET, ("", 0)),
        (socket.AF_INET6, ("", 0)),
        (socket.AF_INET, ("localhost", 0)),
        (socket.AF_INET6, ("::1", 0)),
        (socket.AF_INET, ("nobody.invalid", 0)),
        (socket.AF_INET6, ("127.0.0.1", 0)),
        (socket.AF_INET, ("::1", 0)),
        (socket.AF_UNIX, memoryview(f"{path} view".encode())),
        (socket.AF_UNIX, bytearray(f"{path} array".encode())),
        (socket.AF_UNIX, memoryview(b"\0" + path.encode())),
    ):
        with new_socket(family) as sock:
            seen += [told_at_once(sock.bind, address), name_of(sock)]
            for value in (2**40, -(2**40), 2**31 - 1):
                seen.append(told_at_once(sock.setsockopt, *KEEP_ALIVE, value))
            for size in (-1, 1025, 1024, 4):
                seen.append(told_at_once(sock.getsockopt, *KEEP_ALIVE, size))
            for size in (2**40, 2**70):
                seen.append(told_at_once(sock.recv, size))
                seen.append(told_at_once(sock.recv_into, bytearray(1), size))
    return seen


async def where_connections_come_from(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    for family, ip in (
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "127.0.0.2"),
        (socket.AF_INET, "127.9.9.9"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::1"),
    ):
        with new_socket(family) as listener, new_socket(family) as sock:
            listener.bind((ip, 0))
            listener.listen()
            await loop.sock_connect(sock, listener.getsockname())
            connection, address = await loop.sock_accept(listener)
            seen += [name_of(sock), address == sock.getsockname(), name_of(connection)]
            connection.close()
    return seen


async def nothing_found(path: str) -> Seen:
    """Names that have no address, of which the resolver says nothing."""
    loop = asyncio.get_running_loop()
    ask: Any = loop.getaddrinfo

    async def answer(host: Any, *args: Any, **options: Any) -> Any:
        return [] if host == "nobody.invalid" else await ask(host, *args, **options)

    loop.getaddrinfo = answer  # type: ignore[method-assign]  # a resolver of the test's
    local = {"host": "127.0.0.1", "port": 9, "local_addr": ("nobody.invalid", 0)}
    return [
        await told(loop.create_connection, asyncio.Protocol, "nobody.invalid", 9),
        await told(loop.create_connection, asyncio.Protocol, "nobody.invalid", 9, interleave=1),
        await told(functools.partial(loop.create_connection, asyncio.Protocol, **local)),
        await told(loop.create_server, asyncio.Protocol, "nobody.invalid", 9),
        await told(loop.create_server, asyncio.Protocol, ["127.0.0.1", "nobody.invalid"], 0),
    ]


@pytest.mark.parametrize(
    "program",
    [
        names,
        addresses_that_are_none,
        sockets,
        watching,
        a_watch_that_never_reads,
        options,
        unix_paths,
        debug_mode,
        unconnected,
        connecting_again,
        connecting_again_after_a_cancellation,
        arguments_that_are_none,
        small_differences,
        nothing_found,
        where_connections_come_from,
    ],
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
