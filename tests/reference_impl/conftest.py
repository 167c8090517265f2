"""How the tests run: each coroutine test once per event loop, watched for what it leaves behind."""

import asyncio
import contextlib
import gc
import inspect
import socket
import ssl
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trustme
from ends import Connect, Connection, Peer, Serve

import reference_impl

try:
    import uvloop
except ImportError:
    LOOPS = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

TOO_LONG = 30  # seconds; only a hang takes as long


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("new_loop")
        metafunc.parametrize("new_loop", list(LOOPS.values()), ids=list(LOOPS), scope="function")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    """Run a coroutine test; it also fails for what is reported to its loop unexpectedly."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    reported = arguments.get("reported", [])

    async def bounded() -> None:
        async with asyncio.timeout(TOO_LONG):
            await test(**arguments)

    gc.freeze()  # what was there before is not the test's, and long to look through
    try:
        with asyncio.Runner(loop_factory=pyfuncitem.callspec.params["new_loop"]) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: reported.append(context))
            runner.run(bounded())
            gc.collect()
        gc.collect()
    finally:
        gc.unfreeze()
    if "reported" not in arguments:
        assert reported == []
    return True


@pytest.fixture
def reported() -> list[dict[str, Any]]:
    """What the loop's exception handler is called with; for the test to check."""
    return []


@pytest.fixture
def unclosed() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the ResourceWarnings that are raised while the test runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield caught


def _connected_sockets(family: str) -> tuple[socket.socket, socket.socket]:
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make connections: ``reader, writer, peer = await connect()``."""
    opened: list[tuple[reference_impl.StreamWriter, Peer]] = []

    async def connect(family: str = "tcp", **options: Any) -> Connection:
        ours, theirs = _connected_sockets(family)
        peer = Peer(theirs)
        reader, writer = await reference_impl.open_connection(sock=ours, **options)
        opened.append((writer, peer))
        return reader, writer, peer

    yield connect
    for _, peer in opened:
        peer.close()
    for writer, _ in opened:
        assert writer.is_closing(), "close what you open"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve with a handler and connect a client: ``server, client = await serve(handler)``."""
    serving = Serve()
    yield serving
    for client in serving.clients:
        client.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def cancelled() -> Callable[[Awaitable[Any]], Awaitable[None]]:
    """Run a coroutine up to where it waits, and cancel it: ``await cancelled(coroutine)``."""

    async def cancel(coroutine: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(coroutine)
        await turns()
        assert not task.done(), "there was nothing to wait for"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return cancel


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Let the loop turn until something holds: ``await until(lambda: ...)``."""

    async def until(holds: Callable[[], object]) -> None:
        while not holds():  # noqa: ASYNC110  # there is no event for what a test peeks at
            await asyncio.sleep(0)

    return until


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def settle() -> Callable[..., Awaitable[None]]:
    """Let the loop turn a few times: ``await settle()``."""
    return turns
