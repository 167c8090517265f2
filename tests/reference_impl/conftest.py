"""How the tests run: each coroutine test once per event loop, watched for what it leaves behind."""

import asyncio
import contextlib
import gc
import inspect
import socket
import ssl
import struct
import warnings

import pytest
import trustme

import reference_impl

try:
    import uvloop
except ImportError:
    LOOPS = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

TOO_LONG = 30  # seconds; only a hang takes as long


def pytest_generate_tests(metafunc):
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("new_loop")
        metafunc.parametrize("new_loop", list(LOOPS.values()), ids=list(LOOPS), scope="function")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a coroutine test; it also fails for what is reported to its loop unexpectedly."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    reported = arguments.get("reported", [])

    async def bounded():
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
def reported():
    """What the loop's exception handler is called with; for the test to check."""
    return []


@pytest.fixture
def unclosed():
    """Collect the ResourceWarnings that are raised while the test runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield caught


class Peer:
    """The far end of a connection: a plain socket, driven through the loop."""

    def __init__(self, sock):
        self.sock = sock
        sock.setblocking(False)

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, count=65536):
        return await asyncio.get_running_loop().sock_recv(self.sock, count)

    async def receive_exactly(self, count):
        data = b""
        while len(data) < count:
            piece = await self.receive(count - len(data))
            assert piece, f"EOF after {len(data)} of {count} bytes"
            data += piece
        return data

    async def receive_all(self):
        pieces = []
        while piece := await self.receive(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)

    def send_eof(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def _connected_sockets(family):
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs


@pytest.fixture
def connect():
    """Make connections: ``reader, writer, peer = await connect()``."""
    opened = []

    async def connect(family="tcp", **options):
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
def serve():
    """Serve with a handler and connect a client: ``server, client = await serve(handler)``."""
    clients = []

    async def serve(handler, **options):
        server = await reference_impl.start_server(handler, "127.0.0.1", 0, **options)
        return server, await client_of(server)

    async def client_of(server):
        client = Peer(socket.socket())
        clients.append(client)
        address = server.sockets[0].getsockname()
        await asyncio.get_running_loop().sock_connect(client.sock, address)
        return client

    serve.client_of = client_of
    yield serve
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def cancelled():
    """Run a coroutine up to where it waits, and cancel it: ``await cancelled(coroutine)``."""

    async def cancel(coroutine):
        task = asyncio.ensure_future(coroutine)
        await turns()
        assert not task.done(), "there was nothing to wait for"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return cancel


@pytest.fixture
def until():
    """Let the loop turn until something holds: ``await until(lambda: ...)``."""

    async def until(holds):
        while not holds():  # noqa: ASYNC110  # there is no event for what a test peeks at
            await asyncio.sleep(0)

    return until


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def settle():
    """Let the loop turn a few times: ``await settle()``."""
    return turns
