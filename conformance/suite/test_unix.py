"""`open_unix_connection()` and `start_unix_server()`."""

import os
import pathlib
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from conformance.harness.addresses import (
    BACKLOGS,
    abstract_name,
    address_of,
    connected_socket,
    free_path,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import CLIENT, SERVER, UNIX, clause
from conformance.harness.expect import expect, expect_error, expect_raises, expect_that
from conformance.harness.expectations import (
    expect_client_never_blocks,
    expect_limit,
    expect_not_served,
    expect_server_never_blocks,
    expect_talk,
)
from conformance.harness.leaks import expect_given_socket_closed, expect_no_new_socket, open_sockets
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.kernel import UnixNetwork
from conformance.networks.tls import server_context
from conformance.suite.test_server_states import SERVER_STATES


def network(trial: Trial) -> UnixNetwork:
    """Return the trial's network, which is the one of Unix sockets."""
    assert isinstance(trial.network, UnixNetwork)
    return trial.network


class PathOfBytes:
    """A path-like object whose path is bytes."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> bytes:
        """Return the path."""
        return os.fsencode(self.path)


@contextmanager
def listening(address: str | bytes) -> Iterator[socket.socket]:
    """Listen on a path or an abstract name; non-blocking."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(address)
        sock.listen()
        sock.setblocking(False)
        yield sock


def bound_socket(path: str) -> socket.socket:
    """Return a socket bound to `path`, as a supervisor hands it down."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.bind(path)
    return sock


async def expect_served(trial: Trial, served: Served, address: str | bytes) -> None:
    """Expect a connection to `address` to reach the server's callback, and bytes to pass."""
    async with closing_wire(await network(trial).connected(socket.AF_UNIX, address)) as wire:
        reader, writer = await served.pairs.get()
        with closing(writer):
            await expect_talk(Connection(reader, writer, wire))


def backlog(path: str) -> int:
    """Return the argument of listen(), as Linux's socket diagnosis (sock_diag) reports it.

    Raises:
        OSError: this kernel does not report Unix sockets.
    """
    # Bytes, and one line at a time: another program's names may be any bytes.
    table = map(bytes.split, pathlib.Path("/proc/net/unix").read_bytes().split(b"\n"))
    inodes = [int(fields[6]) for fields in table if fields[7:] == [os.fsencode(path)]]
    by_family, request, listening_state, queues = 20, 0x301, 1 << 10, 0x10
    body = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, listening_state, 0, queues, 0xFFFFFFFF, 0xFFFFFFFF
    )
    header = struct.pack("=IHHII", 16 + len(body), by_family, request, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as diagnosis:
        diagnosis.send(header + body)
        while True:
            answer = diagnosis.recv(1 << 20)
            while answer:
                size, kind = struct.unpack_from("=IH", answer)
                if kind != by_family:
                    raise OSError("the kernel tells nothing of Unix sockets")
                if struct.unpack_from("=I", answer, 20)[0] in inodes:
                    waiting_at_most: int
                    # After the message come its attributes; this one holds two numbers.
                    (waiting_at_most,) = struct.unpack_from("=I", answer, 16 + 16 + 4 + 4)
                    return waiting_at_most
                answer = answer[(size + 3) & ~3 :]


def _backlogs_are_told() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "s")
        with listening(path):
            try:
                return backlog(path) > 0
            except OSError:
                return False


DIAGNOSED = UNIX if _backlogs_are_told() else ()
"""The networks whose servers' backlogs the kernel reports."""


# open_unix_connection()


@clause("unix.open.returns-a-pair", networks=UNIX, roles=CLIENT)
async def test_returns_a_pair(trial: Trial) -> None:
    reader, writer, _ = await trial.connect()
    streams = trial.streams
    expect_that(isinstance(reader, streams.StreamReader), "a StreamReader", type(reader))
    expect_that(isinstance(writer, streams.StreamWriter), "a StreamWriter", type(writer))


@clause("unix.open.joins-the-two-ends", networks=UNIX, roles=CLIENT)
async def test_joins_the_two_ends(trial: Trial) -> None:
    await expect_talk(await trial.connect())


async def expect_connects(trial: Trial, sock: socket.socket, path: object) -> None:
    """Expect open_unix_connection() with `path` to connect to the listening `sock`."""
    _, writer = await trial.streams.open_unix_connection(path)
    with closing(writer):
        connection, _ = sock.accept()
        connection.close()


@clause("unix.open.path.positional-or-keyword", networks=UNIX, roles=CLIENT)
async def test_path_by_name(trial: Trial) -> None:
    path = free_path(trial)
    with listening(path) as sock:
        _, writer = await trial.streams.open_unix_connection(path=path)
        with closing(writer):
            connection, _ = sock.accept()
            connection.close()


@clause("unix.open.path.positional-or-keyword", networks=UNIX, roles=CLIENT)
async def test_path_in_order(trial: Trial) -> None:
    path = free_path(trial)
    with listening(path) as sock:
        await expect_connects(trial, sock, path)


@clause("unix.open.options.keyword-only", networks=UNIX, roles=CLIENT)
async def test_open_options_keyword_only(trial: Trial) -> None:
    path = address_of(await trial.listen())
    with expect_raises(TypeError):
        _, writer = await trial.streams.open_unix_connection(path, 1024)
        writer.close()


@clause("unix.open.limit.default", networks=UNIX, roles=CLIENT)
async def test_open_limit_default(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(), 64 * 1024)


@clause("unix.open.limit.given", networks=UNIX, roles=CLIENT)
async def test_open_limit_given(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=100), 100)


@clause("unix.open.path.bytes", networks=UNIX, roles=CLIENT)
async def test_open_path_bytes(trial: Trial) -> None:
    path = os.fsencode(free_path(trial)) + b"-\xff"  # no text in UTF-8
    with listening(path) as sock:
        await expect_connects(trial, sock, path)


@clause("unix.open.path.path-like", networks=UNIX, roles=CLIENT)
async def test_open_path_like(trial: Trial) -> None:
    path = free_path(trial)
    with listening(path) as sock:
        for like in (pathlib.Path(path), PathOfBytes(path)):
            await expect_connects(trial, sock, like)


@clause("unix.open.path.abstract", networks=UNIX, roles=CLIENT)
async def test_open_path_abstract(trial: Trial) -> None:
    name = abstract_name()
    with listening(name) as sock:
        for path in (name, os.fsencode(name)):
            await expect_connects(trial, sock, path)


@clause("unix.open.path.abstract", networks=UNIX, roles=CLIENT)
async def test_open_path_abstract_in_debug_mode(trial: Trial) -> None:
    trial.loop.set_debug(True)  # in which asyncio's loop refuses sockets that would block it
    name = abstract_name()
    with listening(name) as sock:
        await expect_connects(trial, sock, name)


@clause("unix.open.path.missing", networks=UNIX, roles=CLIENT)
async def test_open_path_missing(trial: Trial) -> None:
    await expect_error(FileNotFoundError, trial.streams.open_unix_connection(free_path(trial)))


@clause("unix.open.refused", networks=UNIX, roles=CLIENT)
async def test_open_refused(trial: Trial) -> None:
    path = free_path(trial)
    with closing(bound_socket(path)):
        await expect_error(ConnectionRefusedError, trial.streams.open_unix_connection(path))


@clause("unix.open.failed.nothing-left-open", networks=UNIX, roles=CLIENT)
async def test_open_failed_leaves_nothing_open(trial: Trial) -> None:
    before, errors = open_sockets(trial), []
    for path in (free_path(trial), abstract_name()):
        opening = trial.streams.open_unix_connection(path)
        errors.append(await expect_error(OSError, opening))  # the socket that it refers to stays
    await expect_no_new_socket(trial, before)


@clause("unix.open.no-path", networks=UNIX, roles=CLIENT)
async def test_open_no_path(trial: Trial) -> None:
    await expect_error(ValueError, trial.streams.open_unix_connection())


@clause("unix.open.sock.is-used", networks=UNIX, roles=CLIENT)
async def test_open_sock(trial: Trial) -> None:
    listener = await trial.listen()
    reader, writer = await trial.streams.open_unix_connection(
        sock=await connected_socket(trial, listener)
    )
    with closing(writer):
        async with closing_wire(await listener.accept()) as wire:
            await expect_talk(Connection(reader, writer, wire))


@clause("unix.open.sock.blocking", networks=UNIX, roles=CLIENT)
async def test_open_sock_in_blocking_mode(trial: Trial) -> None:
    await expect_client_never_blocks(trial, trial.streams.open_unix_connection)
    await expect_client_never_blocks(trial, trial.streams.open_unix_connection, is_tls=True)
    await expect_client_never_blocks(trial, trial.streams.open_unix_connection, seconds=30.0)


@clause("unix.open.sock.closed-with-the-writer", networks=UNIX, roles=CLIENT)
async def test_open_sock_closed_with_the_writer(trial: Trial) -> None:
    listener = await trial.listen()
    sock = await connected_socket(trial, listener)
    _, writer = await trial.streams.open_unix_connection(sock=sock)
    async with closing_wire(await listener.accept()) as wire:
        writer.close()
        # EOF arrives only when no object holds the connection any more.
        expect(await wire.receive_rest(), b"", "before the end:")
        await writer.wait_closed()
        await expect_given_socket_closed(trial, sock)


@clause("unix.open.sock.excludes-a-path", networks=UNIX, roles=CLIENT)
async def test_open_sock_excludes_a_path(trial: Trial) -> None:
    listener = await trial.listen()
    with await connected_socket(trial, listener) as sock:
        for path in (address_of(listener), abstract_name()):
            await expect_error(ValueError, trial.streams.open_unix_connection(path, sock=sock))


@clause("unix.open.sock.unix-only", networks=UNIX, roles=CLIENT)
async def test_open_sock_unix_only(trial: Trial) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as internet:
        for sock in (ours, internet):
            sock.setblocking(False)
            await expect_error(ValueError, trial.streams.open_unix_connection(sock=sock))


# start_unix_server()


@clause("unix.serve.accepts-clients", networks=UNIX, roles=SERVER)
async def test_accepts_clients(trial: Trial) -> None:
    served = await trial.serve()
    for _ in range(2):
        connection = await trial.accept(served)
        for end, name in zip(connection[:2], ("StreamReader", "StreamWriter"), strict=True):
            kind = getattr(trial.streams, name)
            expect_that(isinstance(end, kind), f"an instance of {name}", type(end))
        await expect_talk(connection)


@clause("unix.serve.arguments.positional-or-keyword", networks=UNIX, roles=SERVER)
async def test_serve_arguments_in_order(trial: Trial) -> None:
    served, path = Served(), free_path(trial)
    with closing(await trial.streams.start_unix_server(served.accepted, path)):
        await expect_served(trial, served, path)


@clause("unix.serve.arguments.positional-or-keyword", networks=UNIX, roles=SERVER)
async def test_serve_arguments_by_name(trial: Trial) -> None:
    served, path = Served(), free_path(trial)
    starting = trial.streams.start_unix_server(path=path, client_connected_cb=served.accepted)
    with closing(await starting):
        await expect_served(trial, served, path)


@clause("unix.serve.options.keyword-only", networks=UNIX, roles=SERVER)
async def test_serve_options_keyword_only(trial: Trial) -> None:
    with expect_raises(TypeError):
        server = await trial.streams.start_unix_server(Served().accepted, free_path(trial), 1024)
        server.close()


@clause("unix.serve.limit.default", networks=UNIX, roles=SERVER)
async def test_serve_limit_default(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(), 64 * 1024)


@clause("unix.serve.limit.given", networks=UNIX, roles=SERVER)
async def test_serve_limit_given(trial: Trial) -> None:
    await expect_limit(trial, await trial.connect(limit=100), 100)


@clause("unix.serve.path.bytes", networks=UNIX, roles=SERVER)
async def test_serve_path_bytes(trial: Trial) -> None:
    served, path = Served(), os.fsencode(free_path(trial)) + b"-\xff"  # no text in UTF-8
    with closing(await trial.streams.start_unix_server(served.accepted, path)):
        await expect_served(trial, served, path)


@clause("unix.serve.path.path-like", networks=UNIX, roles=SERVER)
async def test_serve_path_like(trial: Trial) -> None:
    for kind in (pathlib.Path, PathOfBytes):
        served, path = Served(), free_path(trial)
        with closing(await trial.streams.start_unix_server(served.accepted, kind(path))):
            await expect_served(trial, served, path)


@clause("unix.serve.path.abstract", networks=UNIX, roles=SERVER)
async def test_serve_path_abstract(trial: Trial) -> None:
    for path in (abstract_name(), os.fsencode(abstract_name())):
        served = Served()
        with closing(await trial.streams.start_unix_server(served.accepted, path)):
            await expect_served(trial, served, path)


@clause("unix.serve.path.stale-socket", networks=UNIX, roles=SERVER)
async def test_serve_path_stale_socket(trial: Trial) -> None:
    served, path = Served(), free_path(trial)
    bound_socket(path).close()
    with closing(await trial.streams.start_unix_server(served.accepted, path)):
        await expect_served(trial, served, path)


@clause("unix.serve.path.other-file", networks=UNIX, roles=SERVER)
async def test_serve_path_other_file(trial: Trial) -> None:
    path = free_path(trial)
    os.mkfifo(path)
    await expect_error(OSError, trial.streams.start_unix_server(Served().accepted, path))
    expect_that(stat.S_ISFIFO(os.stat(path).st_mode), "the file to be left", "another one")


@clause("unix.serve.path.other-file", networks=UNIX, roles=SERVER)
async def test_serve_path_files_of_any_kind(trial: Trial) -> None:
    for make, seems in (
        (lambda path: pathlib.Path(path).touch(), stat.S_ISREG),
        (lambda path: pathlib.Path(path).write_bytes(b"content"), stat.S_ISREG),
        (os.mkdir, stat.S_ISDIR),
        (lambda path: os.symlink(__file__, path), stat.S_ISLNK),
    ):
        path = free_path(trial)
        make(path)
        before = os.lstat(path)
        await expect_error(OSError, trial.streams.start_unix_server(Served().accepted, path))
        after = os.lstat(path)
        expect_that(seems(after.st_mode), "the file to be left", "another one")
        expect((after.st_ino, after.st_size), (before.st_ino, before.st_size), "file and size:")


@clause("unix.serve.path.permissions", networks=UNIX, roles=SERVER)
async def test_permissions(trial: Trial) -> None:
    for mask in (0o077, 0o027, 0o022):
        path = free_path(trial)
        before = os.umask(mask)
        try:
            server = await trial.streams.start_unix_server(Served().accepted, path)
        finally:
            after = os.umask(before)
        with closing(server):
            expect(oct(stat.S_IMODE(os.stat(path).st_mode)), oct(0o777 & ~mask), "permissions:")
            expect(oct(after), oct(mask), "the process's umask:")


@clause("unix.serve.no-path", networks=UNIX, roles=SERVER)
async def test_serve_no_path(trial: Trial) -> None:
    await expect_error(ValueError, trial.streams.start_unix_server(Served().accepted))


@clause("unix.serve.sock.is-used", networks=UNIX, roles=SERVER)
async def test_serve_sock(trial: Trial) -> None:
    served, path = Served(), free_path(trial)
    starting = trial.streams.start_unix_server(served.accepted, sock=bound_socket(path))
    with closing(await starting):
        await expect_served(trial, served, path)


@clause("unix.serve.sock.blocking", networks=UNIX, roles=SERVER)
async def test_serve_sock_in_blocking_mode(trial: Trial) -> None:
    for is_tls in (False, True):
        sock = bound_socket(free_path(trial))
        await expect_server_never_blocks(trial, trial.streams.start_unix_server, sock, is_tls)
    sock = bound_socket(free_path(trial))
    await expect_server_never_blocks(trial, trial.streams.start_unix_server, sock, seconds=30.0)


@clause("unix.serve.sock.closed-with-the-server", networks=UNIX, roles=SERVER)
async def test_serve_sock_closed_with_the_server(trial: Trial) -> None:
    path = free_path(trial)
    before = open_sockets(trial)
    sock = bound_socket(path)
    server = await trial.streams.start_unix_server(Served().accepted, sock=sock)
    server.close()
    await expect_given_socket_closed(trial, sock)
    await expect_no_new_socket(trial, before)
    await expect_not_served(trial, socket.AF_UNIX, path)


@clause("unix.serve.sock.excludes-a-path", networks=UNIX, roles=SERVER)
async def test_serve_sock_excludes_a_path(trial: Trial) -> None:
    with closing(bound_socket(free_path(trial))) as sock:
        await expect_error(
            ValueError,
            trial.streams.start_unix_server(Served().accepted, free_path(trial), sock=sock),
        )


@clause("unix.serve.sock.unix-only", networks=UNIX, roles=SERVER)
async def test_serve_sock_unix_only(trial: Trial) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as internet,
    ):
        datagrams.bind(free_path(trial))
        internet.bind(("127.0.0.1", 0))
        for sock in (datagrams, internet):
            sock.setblocking(False)
            await expect_error(
                ValueError, trial.streams.start_unix_server(Served().accepted, sock=sock)
            )


@clause("unix.serve.backlog", networks=DIAGNOSED, roles=SERVER)
async def test_backlog_given(trial: Trial) -> None:
    served = await trial.serve(backlog=7)
    expect(backlog(served.server.sockets[0].getsockname()), 7, "backlog")


@clause("unix.serve.backlog", networks=DIAGNOSED, roles=SERVER)
async def test_backlog_in_each_way(trial: Trial) -> None:
    start = trial.streams.start_unix_server
    for given in BACKLOGS:
        path = free_path(trial)
        with closing(await start(Served().accepted, sock=bound_socket(path), backlog=given)):
            expect(backlog(path), given, "backlog with sock:")
        served = await trial.serve(backlog=given, start_serving=False)
        await served.server.start_serving()
        path = served.server.sockets[0].getsockname()
        expect(backlog(path), given, "backlog of a server started later:")


@clause("unix.serve.backlog", networks=DIAGNOSED, roles=SERVER)
async def test_backlog_with_tls(trial: Trial) -> None:
    start = trial.streams.start_unix_server
    for given in BACKLOGS:
        path, other = free_path(trial), free_path(trial)
        tls = {"ssl": server_context(), "backlog": given}
        with closing(await start(Served().accepted, path, **tls)):
            expect(backlog(path), given, "backlog with ssl:")
        with closing(await start(Served().accepted, sock=bound_socket(other), **tls)):
            expect(backlog(other), given, "backlog with ssl and sock:")


@clause("unix.serve.backlog", networks=DIAGNOSED, roles=SERVER)
async def test_backlog_default(trial: Trial) -> None:
    served = await trial.serve()
    expect(backlog(served.server.sockets[0].getsockname()), 100, "backlog")


@clause("unix.serve.start-serving.false", networks=UNIX, roles=SERVER)
async def test_start_serving_false(trial: Trial) -> None:
    served = await trial.serve(start_serving=False)
    if served.server.sockets:  # it need not list those on which it does not listen yet
        with suppress(ConnectionRefusedError):  # it may be refused or wait
            await trial.dial(served.server)
    await trial.turns()
    expect(served.pairs.qsize(), 0, "clients before the server was started:")
    await served.server.start_serving()
    await trial.accept(served)


# Cleaning up.


def expect_socket_there(path: str | bytes | pathlib.Path, there: bool) -> None:
    """Expect that there is, or is not, a socket at `path` in the file system."""
    expect(os.path.exists(path), there, "socket in the file system:")


@clause("unix.cleanup-socket.default", networks=UNIX, roles=SERVER)
async def test_cleanup_default(trial: Trial) -> None:
    for kind in (str, os.fsencode, pathlib.Path, PathOfBytes):
        path = free_path(trial)
        server = await trial.streams.start_unix_server(Served().accepted, kind(path))
        server.close()
        await server.wait_closed()
        expect_socket_there(path, False)


@clause("unix.cleanup-socket.default", networks=UNIX, roles=SERVER)
async def test_cleanup_true(trial: Trial) -> None:
    path = free_path(trial)
    server = await trial.streams.start_unix_server(Served().accepted, path, cleanup_socket=True)
    server.close()
    await server.wait_closed()
    expect_socket_there(path, False)


@clause("unix.cleanup-socket.false", networks=UNIX, roles=SERVER)
async def test_cleanup_false(trial: Trial) -> None:
    path = free_path(trial)
    server = await trial.streams.start_unix_server(Served().accepted, path, cleanup_socket=False)
    server.close()
    await server.wait_closed()
    expect_socket_there(path, True)


@clause("unix.cleanup-socket.false", networks=UNIX, roles=SERVER)
async def test_cleanup_false_of_a_socket_that_was_passed_in(trial: Trial) -> None:
    path = free_path(trial)
    server = await trial.streams.start_unix_server(
        Served().accepted, sock=bound_socket(path), cleanup_socket=False
    )
    server.close()
    await server.wait_closed()
    expect_socket_there(path, True)


@clause("unix.cleanup-socket.default", networks=UNIX, roles=SERVER)
async def test_cleanup_in_each_state(trial: Trial) -> None:
    for bring in SERVER_STATES:
        path = free_path(trial)
        starting = trial.streams.start_unix_server(Served().accepted, path, start_serving=False)
        server = await starting
        async with server:
            await bring(trial, server)
        expect_socket_there(path, False)


@clause("unix.cleanup-socket.replaced", networks=UNIX, roles=SERVER)
async def test_cleanup_replaced(trial: Trial) -> None:
    path = free_path(trial)
    server = await trial.streams.start_unix_server(Served().accepted, path)
    successor = free_path(trial)
    with listening(successor):
        os.rename(successor, path)
        server.close()
        await server.wait_closed()
        expect_socket_there(path, True)


@clause("unix.cleanup-socket.replaced", networks=UNIX, roles=SERVER)
async def test_cleanup_replaced_by_a_server(trial: Trial) -> None:
    path, elsewhere, served = free_path(trial), free_path(trial), Served()
    server = await trial.streams.start_unix_server(Served().accepted, path)
    successor = await trial.streams.start_unix_server(served.accepted, elsewhere)
    os.rename(elsewhere, path)  # this is how a successor takes over without a gap
    server.close()
    await server.wait_closed()
    await expect_served(trial, served, path)
    with suppress(OSError):  # its own path is gone, which has a clause of its own
        successor.close()


@clause("unix.cleanup-socket.replaced", networks=UNIX, roles=SERVER)
async def test_cleanup_replaced_by_a_file(trial: Trial) -> None:
    path, successor = free_path(trial), free_path(trial)
    server = await trial.streams.start_unix_server(Served().accepted, path)
    os.mkfifo(successor)
    os.rename(successor, path)
    server.close()
    await server.wait_closed()
    expect_that(os.access(path, os.F_OK), "what took the socket's place to be left", "nothing")


@clause("unix.cleanup-socket.once", networks=UNIX, roles=SERVER)
async def test_cleanup_once(trial: Trial) -> None:
    path, kept = free_path(trial), free_path(trial)
    server = await trial.streams.start_unix_server(Served().accepted, path)
    os.link(path, kept)  # file systems give a new file the number of the one just removed
    server.close()
    await server.wait_closed()
    os.rename(kept, path)
    server.close()
    await server.wait_closed()
    expect_socket_there(path, True)


@clause("unix.cleanup-socket.gone", networks=UNIX, roles=SERVER)
async def test_cleanup_gone(trial: Trial) -> None:
    path = free_path(trial)
    server = await trial.streams.start_unix_server(Served().accepted, path)
    os.unlink(path)
    server.close()
    await server.wait_closed()
    await trial.turns()
    expect(trial.reported, [], "reported:")


@clause("unix.cleanup-socket.gone", networks=UNIX, roles=SERVER)
async def test_cleanup_gone_before_the_start(trial: Trial) -> None:
    path = free_path(trial)
    sock = bound_socket(path)
    os.unlink(path)
    server = await trial.streams.start_unix_server(Served().accepted, sock=sock)
    with listening(path):
        server.close()
        await server.wait_closed()
        expect_socket_there(path, True)
    await trial.turns()
    expect(trial.reported, [], "reported:")


@clause("unix.cleanup-socket.abstract", networks=UNIX, roles=SERVER)
async def test_cleanup_abstract(trial: Trial) -> None:
    sock = bound_socket(abstract_name())
    server = await trial.streams.start_unix_server(Served().accepted, sock=sock)
    server.close()
    await server.wait_closed()
    await trial.turns()
    expect(trial.reported, [], "reported:")
