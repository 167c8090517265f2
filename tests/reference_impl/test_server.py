"""`start_server()`, `start_unix_server()`, `Server`, and handlers of every kind."""

import asyncio
import contextlib
import functools
import gc
import os
import pathlib
import socket
import ssl
import warnings
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ends import Serve

import reference_impl


async def echo(reader: Any, writer: Any) -> None:
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


class Called:
    async def __call__(self, reader: Any, writer: Any) -> None:
        await echo(reader, writer)


TASKS: set[asyncio.Task[None]] = set()


def plain(reader: Any, writer: Any) -> None:
    task = asyncio.create_task(echo(reader, writer))
    TASKS.add(task)  # the loop keeps no task alive
    task.add_done_callback(TASKS.discard)


# Handlers.


@pytest.mark.parametrize(
    "handler",
    [echo, Called(), functools.partial(echo), plain, lambda r, w: echo(r, w)],
    ids=["coroutine function", "object", "partial", "plain", "lambda"],
)
async def test_handlers(serve: Serve, handler: Any) -> None:
    server, client = await serve(handler)
    await client.send(b"hello\n")
    assert await client.receive() == b"hello\n"
    client.send_eof()
    assert await client.receive() == b""
    server.close()
    await server.wait_closed()


class Oops(Exception):
    pass


def fails_at_once(reader: Any, writer: Any) -> None:
    raise Oops


async def fails(reader: Any, writer: Any) -> None:
    raise Oops


async def fails_later(reader: Any, writer: Any) -> None:
    await reader.readline()
    raise Oops


async def fails_after_closing(reader: Any, writer: Any) -> None:
    writer.close()
    raise Oops


@pytest.mark.parametrize("handler", [fails_at_once, fails, fails_later, fails_after_closing])
async def test_a_handler_that_fails_is_reported_once_and_lets_its_peer_go(
    serve: Serve, handler: Any, reported: list[dict[str, Any]]
) -> None:
    server, client = await serve(handler)
    await client.send(b"\n")
    with contextlib.suppress(ConnectionResetError):  # it was gone before the line came
        assert await client.receive() == b""
    server.close()
    await server.wait_closed()
    (report,) = reported
    assert isinstance(report["exception"], Oops)
    assert report["message"] == "Unhandled exception in client_connected_cb"
    assert "transport" in report


async def cancelled(reader: Any, writer: Any) -> None:
    raise asyncio.CancelledError


async def cancelled_later(reader: Any, writer: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await reader.read()


def cancelled_at_once(reader: Any, writer: Any) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("handler", [cancelled, cancelled_later, cancelled_at_once])
async def test_a_handler_that_is_cancelled_lets_its_peer_go_unreported(
    serve: Serve, handler: Any
) -> None:
    server, client = await serve(handler)
    assert await client.receive() == b""
    server.close()
    await server.wait_closed()


async def test_a_handler_that_forgets_to_close_is_warned_and_lets_its_peer_go(
    serve: Serve, unclosed: list[warnings.WarningMessage]
) -> None:
    async def forgets(reader: Any, writer: Any) -> None:
        writer.write(b"x")

    server, client = await serve(forgets)
    assert await client.receive() == b"x"
    gc.collect()
    assert await client.receive() == b""
    assert any("unclosed <StreamWriter" in str(each.message) for each in unclosed)
    server.close()
    await server.wait_closed()


async def test_a_handler_may_leave_its_connection_to_others(
    serve: Serve, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    kept = []
    server, client = await serve(lambda *streams: kept.append(streams))
    await client.send(b"x")
    await until(lambda: kept)
    gc.collect()
    reader, writer = kept[0]
    assert await reader.read(1) == b"x"
    writer.close()
    assert await client.receive() == b""
    server.close()
    await server.wait_closed()


async def test_a_handler_outlives_its_connection(
    serve: Serve, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    """Nothing but the handler's own future refers to it; it is not collected."""
    futures = []
    done = []

    async def handler(reader: Any, writer: Any) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        del reader, writer
        future = asyncio.get_running_loop().create_future()
        futures.append(weakref.ref(future))
        await future
        done.append(True)

    server, client = await serve(handler)
    client.close()
    await until(lambda: futures)
    gc.collect()
    future = futures[0]()
    assert future is not None
    future.set_result(None)
    await asyncio.sleep(0)
    assert done == [True]
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("handler", [None, 5])
async def test_a_handler_that_cannot_be_called(handler: Any) -> None:
    with pytest.raises(TypeError, match="client_connected_cb must be callable"):
        await reference_impl.start_server(handler, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"ssl": 5}, TypeError),
        ({"ssl": True}, TypeError),
        ({"ssl_handshake_timeout": 5}, ValueError),
        ({"no_such_argument": 5}, TypeError),
    ],
)
async def test_wrong_arguments(options: Any, error: Any, tmp_path: Path) -> None:
    with pytest.raises(error):
        await reference_impl.start_server(echo, "127.0.0.1", 0, **options)
    with pytest.raises(error):
        await reference_impl.start_unix_server(echo, tmp_path / "socket", **options)
    assert not (tmp_path / "socket").exists()


async def test_a_timeout_that_is_not_positive(server_context: ssl.SSLContext) -> None:
    for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
        options: Any = {"ssl": server_context, name: 0}
        with pytest.raises(ValueError, match=f"{name} should be a positive number, got 0"):
            await reference_impl.start_server(echo, "127.0.0.1", 0, **options)


async def test_the_limit_is_that_of_each_reader(serve: Serve) -> None:
    async def handler(reader: Any, writer: Any) -> None:
        with pytest.raises(ValueError, match="limit"):
            await reader.readline()
        writer.close()

    server, client = await serve(handler, limit=10)
    await client.send(b"more than ten bytes\n")
    assert await client.receive() == b""
    server.close()
    await server.wait_closed()


# Server objects.


async def test_server_life(serve: Serve) -> None:
    server = await reference_impl.start_server(echo, "127.0.0.1", 0, start_serving=False)
    assert isinstance(server, asyncio.AbstractServer)
    assert server.get_loop() is asyncio.get_running_loop()
    assert not server.is_serving()
    await server.start_serving()
    await server.start_serving()
    assert server.is_serving()
    (listener,) = server.sockets
    assert repr(server) == f"<Server sockets={server.sockets!r}>"
    assert listener.getsockname()[0] == "127.0.0.1"
    server.close()
    server.close()
    assert not server.is_serving()
    assert server.sockets == ()
    await server.wait_closed()
    for call in (server.start_serving, server.serve_forever):
        with pytest.raises(RuntimeError, match="is closed"):
            await call()


async def test_several_interfaces() -> None:
    async with await reference_impl.start_server(echo, ["127.0.0.1", "127.0.0.2"], 0) as server:
        assert {each.getsockname()[0] for each in server.sockets} == {"127.0.0.1", "127.0.0.2"}


async def test_closing_leaves_connections_and_wait_closed_waits_for_them(
    serve: Serve, settle: Callable[..., Awaitable[None]]
) -> None:
    server, client = await serve(echo)
    await client.send(b"a\n")
    await client.receive()
    waiting = [asyncio.create_task(server.wait_closed()) for _ in range(2)]
    await settle()
    assert not waiting[0].done()
    server.close()
    await client.send(b"b\n")
    assert await client.receive() == b"b\n"
    waiting.append(asyncio.create_task(server.wait_closed()))
    await settle()
    assert not any(task.done() for task in waiting)
    client.close()
    await asyncio.gather(*waiting)
    await server.wait_closed()


async def test_close_clients_flushes(serve: Serve) -> None:
    written = asyncio.Event()

    async def handler(reader: Any, writer: Any) -> None:
        writer.write(b"x" * 5_000_000)
        written.set()
        await reader.read()

    server, client = await serve(handler)
    await written.wait()
    server.close()
    server.close_clients()
    assert len(await client.receive_all()) == 5_000_000
    await server.wait_closed()


async def test_abort_clients_does_not_flush(serve: Serve) -> None:
    written = asyncio.Event()

    async def handler(reader: Any, writer: Any) -> None:
        writer.write(b"x" * 50_000_000)
        written.set()
        await reader.read()

    server, client = await serve(handler)
    await written.wait()
    server.close()
    server.abort_clients()
    await server.wait_closed()
    with contextlib.suppress(ConnectionResetError):
        assert len(await client.receive_all()) < 50_000_000


async def test_serve_forever_until_cancelled(
    serve: Serve, settle: Callable[..., Awaitable[None]]
) -> None:
    server, client = await serve(echo)
    serving = asyncio.create_task(server.serve_forever())
    await client.send(b"a\n")
    await client.receive()
    with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
        await server.serve_forever()
    serving.cancel()
    await asyncio.wait([serving])
    assert serving.cancelled()
    assert not server.is_serving()
    # Connections too: whoever interrupts a program does not wait for its clients.
    await server.wait_closed()
    assert await client.receive() == b""


async def test_serve_forever_ends_when_closed_and_leaves_connections(serve: Serve) -> None:
    server, client = await serve(echo)
    serving = asyncio.create_task(server.serve_forever())
    await client.send(b"a\n")
    await client.receive()
    server.close()
    await asyncio.wait([serving])
    assert serving.cancelled()
    await client.send(b"b\n")
    assert await client.receive() == b"b\n"
    client.close()
    await server.wait_closed()


async def test_sock_is_served_and_owned(serve: Serve) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    async with await reference_impl.start_server(echo, sock=listener):
        reader, writer = await reference_impl.open_connection(*address)
        writer.write(b"a\n")
        assert await reader.readline() == b"a\n"
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await reference_impl.open_connection(*address)


async def test_accepted_sockets_keep_alive(serve: Serve) -> None:
    seen = asyncio.get_running_loop().create_future()

    async def handler(reader: Any, writer: Any) -> None:
        sock = writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(sock.fileno())) as copy:
            seen.set_result(copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        writer.close()

    for keep_alive, expected in ((True, 1), (False, 0), (None, 0)):
        seen = asyncio.get_running_loop().create_future()
        server, client = await serve(handler, keep_alive=keep_alive)
        assert await seen == expected
        client.close()
        server.close()
        await server.wait_closed()
    server = await reference_impl.start_server(
        handler, "127.0.0.1", 0, keep_alive=True, start_serving=False
    )
    assert not server.is_serving()
    server.close()
    await server.wait_closed()


async def test_no_interface_to_serve() -> None:
    with pytest.raises(OSError, match="could not bind on any address"):
        await reference_impl.start_server(echo, [], 0)


# Unix sockets.


@pytest.mark.parametrize("form", [str, os.fsencode, pathlib.Path])
async def test_unix_paths(form: Any, tmp_path: Path) -> None:
    path = form(tmp_path / "socket")
    async with await reference_impl.start_unix_server(echo, path):
        reader, writer = await reference_impl.open_unix_connection(path)
        writer.write(b"a\n")
        assert await reader.readline() == b"a\n"
        writer.close()
        await writer.wait_closed()
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize(
    ("options", "remains"),
    [({}, False), ({"cleanup_socket": True}, False), ({"cleanup_socket": False}, True)],
)
async def test_cleanup_socket(tmp_path: Path, options: Any, remains: Any) -> None:
    path = tmp_path / "socket"
    async with await reference_impl.start_unix_server(echo, path, **options):
        assert path.is_socket()
    assert path.exists() is remains
    async with await reference_impl.start_unix_server(echo, path):
        pass
    assert not path.exists()


async def test_cleanup_socket_leaves_what_has_replaced_it(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with await reference_impl.start_unix_server(echo, path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.is_socket()


async def test_cleanup_socket_when_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with await reference_impl.start_unix_server(echo, path):
        path.unlink()
    assert not path.exists()


async def test_cleanup_socket_of_a_given_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    async with await reference_impl.start_unix_server(echo, sock=listener):
        pass
    assert not path.exists()


async def test_an_abstract_socket() -> None:
    path = f"\0streamcert-{os.getpid()}"
    async with await reference_impl.start_unix_server(echo, path):
        for form in (path, path.encode()):
            _, writer = await reference_impl.open_unix_connection(form)
            writer.close()
            await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await reference_impl.open_unix_connection(path)


async def test_a_server_that_nobody_refers_to_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    kept = weakref.ref(await reference_impl.start_unix_server(echo, path))
    gc.collect()
    reader, writer = await reference_impl.open_unix_connection(path)
    writer.write(b"a\n")
    assert await reader.readline() == b"a\n"
    writer.close()
    await writer.wait_closed()
    server = kept()
    assert server is not None
    server.close()
    await server.wait_closed()


# Left behind.


async def leave_a_server(path: Path, port: int) -> int:
    """Serve on both kinds of sockets, and one client; close no server."""
    served = asyncio.Event()

    async def serve(reader: Any, writer: Any) -> None:
        await echo(reader, writer)
        served.set()

    await reference_impl.start_unix_server(serve, path)
    server = await reference_impl.start_server(serve, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await reference_impl.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    await served.wait()  # on 3.12 a connection that is there when the loop ends keeps the server
    return port


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_server_that_nobody_closed_is_gone_with_its_loop(tmp_path: Path) -> None:
    # Programs and test suites that forget to close one serve on the same port in their next loop.
    gc.collect()
    gc.disable()
    try:
        port = 0
        for _ in range(3):
            port = asyncio.run(leave_a_server(tmp_path / "socket", port))
    finally:
        gc.enable()
