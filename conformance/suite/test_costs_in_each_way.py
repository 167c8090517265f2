"""The costs of streams in each way to use them: each method, with TLS and after an upgrade."""

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, cast

from conformance.errors import NotApplicable
from conformance.harness.addresses import address_of, carrier_of, connected_socket
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import (
    BY_HAND,
    CLIENT,
    IN_VIRTUAL_TIME,
    SERVER,
    VIRTUAL,
    Some,
    clause,
)
from conformance.harness.costs import (
    expect_calls_keep_nothing,
    expect_measured_proportion,
    expect_nothing_kept,
    expect_proportion,
    expect_quiet,
    seconds,
)
from conformance.harness.expect import expect, expect_error
from conformance.harness.patterns import KIB, fill
from conformance.harness.reading import next_line, take, take_rest
from conformance.harness.trial import DEFAULT_LIMIT, Connection, Trial
from conformance.harness.upgrading import arguments, far_end, upgraded
from conformance.networks.tls import HOST_NAME, TlsWire, client_context, server_context, stranger
from conformance.networks.wire import moved
from conformance.suite.test_reader import DATA, READS, Read

TWO = Some(("memory", "tcp"), "what it costs does not depend on the network")
BY_A_KERNEL = Some(("tcp",), "a network in memory keeps what a kernel would")
TLS_BY_A_KERNEL = Some(("tls",), f"{BY_A_KERNEL.why}; and it is about TLS")
IN_MEMORY = Some(("memory",), TWO.why)
TLS_IN_MEMORY = Some(("tls-memory",), f"{TWO.why}; and it is about TLS")

FEW = 15  # calls that each need a handshake

PIECE = b"x" * 8 * KIB
LINE = b"x" * (16 * KIB - 1) + b"\n"


# Time: reads that wait while the pieces arrive.


@clause("costs.received-in-pieces", networks=TWO, roles=BY_HAND)
async def test_waiting_for_pieces(trial: Trial) -> None:
    reads: dict[str, Callable[[Any, int], Awaitable[bytes]]] = {
        "read()": lambda reader, _: reader.read(),
        "readexactly()": lambda reader, size: reader.readexactly(size),
    }
    for name, read in reads.items():
        for limit in (2**30, KIB):

            async def work(pieces: int, read: Any = read, limit: int = limit) -> None:
                reader = by_hand(trial, limit)
                reading = trial.start(read(reader, pieces * len(PIECE)))
                await feed(reader, PIECE, pieces)
                reader.feed_eof()
                expect(len(await reading), pieces * len(PIECE), "bytes:")

            await expect_proportion(work, 150, f"{name} that waits, with a limit of {limit}")


async def feed(reader: asyncio.StreamReader, piece: bytes, pieces: int) -> None:
    """Feed a reader by hand, and let tasks that wait for it run in between."""
    for _ in range(pieces):
        reader.feed_data(piece)
        moved()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@clause("costs.searching", networks=TWO, roles=BY_HAND)
async def test_searching_after_false_starts(trial: Trial) -> None:
    await expect_no_search_anew(trial, b"\r\n\r\n", b"\r\n\r")


@clause("costs.searching.several", networks=TWO, roles=BY_HAND)
async def test_searching_for_several_after_false_starts(trial: Trial) -> None:
    await expect_no_search_anew(trial, (b"\r\n\r\n", b"end"), b"\r\n\r")


async def expect_no_search_anew(trial: Trial, separator: Any, false_start: bytes) -> None:
    """Expect a separator to be found after many pieces that each end with a part of it."""
    piece = PIECE + false_start

    async def work(pieces: int) -> None:
        reader = by_hand(trial, 2**30)
        reading = trial.start(reader.readuntil(separator))
        await feed(reader, piece, pieces)
        reader.feed_data(b"\n")
        expect(len(await reading), pieces * len(piece) + 1, "bytes:")

    await expect_proportion(work, 150, f"waiting for {separator!r} after false starts")


# Time: writes of each kind.

# Large pieces, and few: asyncio's transports count what they hold piece by piece with each write
# (from 3.12 on), which takes longest with thousands. The clause is about the streams.
LARGE = b"x" * 64 * KIB
PIECES = 50  # the network takes that many; many times as many wait in the writer

Write = Callable[[asyncio.StreamWriter], None]


def write(writer: asyncio.StreamWriter) -> None:
    """Write a piece."""
    writer.write(LARGE)


def write_a_view(writer: asyncio.StreamWriter) -> None:
    """Write a view of a piece."""
    writer.write(memoryview(LARGE))


def write_lines(writer: asyncio.StreamWriter) -> None:
    """Write a piece in two."""
    writer.writelines([LARGE[: 32 * KIB], LARGE[32 * KIB :]])


async def expect_written_in_pieces(
    connect: Callable[[], Awaitable[Connection]], *writes: Write
) -> None:
    """Expect many writes, of which most have to wait, to take time in proportion."""
    for write in writes:

        async def measure(pieces: int, write: Write = write) -> float:
            _, writer, wire = await connect()

            async def work() -> None:
                for _ in range(pieces):
                    write(writer)
                await wire.receive(pieces * len(LARGE))

            taken = await seconds(work())
            writer.close()
            return taken

        await expect_measured_proportion(measure, PIECES, f"{write.__name__}()", len(LARGE))


@clause("costs.written-in-pieces", networks=TWO)
async def test_writes_of_each_kind(trial: Trial) -> None:
    await expect_written_in_pieces(trial.connect, write, write_a_view, write_lines)


@clause("costs.written-in-pieces", networks=TLS_IN_MEMORY)
async def test_writes_with_tls(trial: Trial) -> None:
    await expect_written_in_pieces(trial.connect, write)


@clause("costs.written-in-pieces", networks=IN_MEMORY)
async def test_writes_after_an_upgrade(trial: Trial) -> None:
    await expect_written_in_pieces(lambda: upgraded(trial), write)


# Memory: the data that passes.


async def expect_received_not_kept(connection: Connection) -> None:
    """Expect a connection to keep nothing of the data that each kind of read returned."""
    reader, _, wire = connection
    reads: tuple[Callable[[], Awaitable[bytes]], ...] = (
        lambda: reader.readexactly(len(LINE)),
        reader.readline,
        lambda: reader.readuntil(b"\n"),
        lambda: next_line(reader),
    )
    for read in reads:

        async def receive(size: int, read: Any = read) -> None:
            for _ in range(size // len(LINE)):
                await wire.send(LINE)
                expect(len(await read()), len(LINE), "bytes:")

        await expect_nothing_kept(receive)


@clause("costs.memory.received", networks=TWO)
async def test_received_by_each_read(trial: Trial) -> None:
    await expect_received_not_kept(await trial.connect())


@clause("costs.memory.received", networks=IN_MEMORY, roles=BY_HAND)
async def test_received_until_one_of_several(trial: Trial) -> None:
    separators: Any = (b"\n", b"\r\n")
    reader = by_hand(trial, 2 * len(LINE))

    async def receive(size: int) -> None:
        for _ in range(size // len(LINE)):
            reader.feed_data(bytes(bytearray(LINE)))
            try:
                data = await reader.readuntil(separators)
            except TypeError as error:  # before Python 3.13
                raise NotApplicable("readuntil() takes no tuple") from error
            expect(len(data), len(LINE), "bytes:")

    await expect_nothing_kept(receive)


@clause("costs.memory.received", networks=IN_MEMORY)
async def test_received_by_some_and_the_rest(trial: Trial) -> None:
    reader, _, wire = await trial.connect()

    async def receive(size: int) -> None:
        for _ in range(size // len(LINE)):
            await wire.send(LINE)
            some = await reader.read(len(LINE))  # it may return less
            await reader.readexactly(len(LINE) - len(some))

    await expect_nothing_kept(receive)


@clause("costs.memory.received", networks=TLS_IN_MEMORY)
async def test_received_with_tls(trial: Trial) -> None:
    await expect_received_not_kept(await trial.connect())


@clause("costs.memory.received", networks=IN_MEMORY)
async def test_received_after_an_upgrade(trial: Trial) -> None:
    await expect_received_not_kept(await upgraded(trial))


async def expect_written_not_kept(connection: Connection) -> None:
    """Expect a connection to keep nothing of the data that each kind of write sent."""
    _, writer, wire = connection
    writes: tuple[Callable[[bytes], None], ...] = (
        writer.write,
        lambda data: writer.write(memoryview(data)),
        lambda data: writer.writelines([data[:100], data[100:]]),
        lambda data: writer.writelines(iter([data])),
    )
    for write in writes:

        async def send(size: int, write: Any = write) -> None:
            for _ in range(size // len(LINE)):
                write(bytes(bytearray(LINE)))  # an object of its own each time
                await writer.drain()
                await wire.receive(len(LINE))

        await expect_nothing_kept(send)


@clause("costs.memory.written", networks=TWO)
async def test_written_by_each_write(trial: Trial) -> None:
    await expect_written_not_kept(await trial.connect())


@clause("costs.memory.written", networks=TLS_IN_MEMORY)
async def test_written_with_tls(trial: Trial) -> None:
    await expect_written_not_kept(await trial.connect())


@clause("costs.memory.written", networks=IN_MEMORY)
async def test_written_after_an_upgrade(trial: Trial) -> None:
    await expect_written_not_kept(await upgraded(trial))


# Memory: calls that fail, and connections that end in other ways.


@clause("costs.memory.calls", networks=BY_A_KERNEL, roles=SERVER)
async def test_failed_handlers_are_not_kept(trial: Trial) -> None:
    async def handler(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise LookupError

    served = await trial.serve(handler)

    async def fail() -> None:
        async with closing_wire(await trial.network.dial(served.server)) as wire:
            await wire.receive_to_end()
        trial.reported.clear()

    await expect_calls_keep_nothing(fail, "handlers that failed", 2 * KIB)


@clause("costs.memory.calls", networks=TLS_BY_A_KERNEL, roles=CLIENT)
async def test_refused_certificates_are_not_kept(trial: Trial) -> None:
    ours, theirs = client_context(), server_context(stranger())
    listener = carrier_of(await trial.listen())
    host, port = address_of(listener)

    async def connect() -> None:
        opening = asyncio.ensure_future(
            trial.streams.open_connection(host, port, ssl=ours, server_hostname=HOST_NAME)
        )
        async with closing_wire(await listener.accept()) as below:
            wire = TlsWire(below, theirs, server_side=True)
            with suppress(ssl.SSLError, ConnectionError):
                await wire.handshake()
                await wire.receive_some()
            await asyncio.wait([opening])
            expect(isinstance(opening.exception(), Exception), True, "refused:")

    await expect_calls_keep_nothing(connect, "refused certificates", 2 * KIB, FEW)


@clause("costs.memory.calls", networks=BY_A_KERNEL)
async def test_upgraded_connections_are_not_kept(trial: Trial) -> None:
    async with pairing(trial) as connect:

        async def use() -> None:
            connection = await connect()
            wire = far_end(trial, connection.wire, theirs)
            starting = asyncio.ensure_future(connection.writer.start_tls(**ours))
            await trial.turns(3)
            await wire.handshake()
            await starting
            connection.writer.close()
            await wire.receive_to_end()
            await wire.close()
            await connection.writer.wait_closed()

        ours = arguments(trial)
        theirs = server_context() if trial.role == "client" else client_context()
        await expect_calls_keep_nothing(use, "upgraded connections", 2 * KIB, FEW)


async def cancel_reads(trial: Trial, connection: Connection) -> None:
    """Cancel a read of each kind."""
    for read in READS.values():
        await trial.cancelled(read(connection.reader), turns=1)


async def exceed_the_limit(trial: Trial, connection: Connection) -> None:
    """Let much more come than the limit allows by default, and readuntil() refuse it."""
    line = b"x" * (8 * DEFAULT_LIMIT) + b"\n"
    sending = trial.start(connection.wire.send(line))
    await trial.turns()
    try:
        await connection.reader.readuntil()  # another default is of other clauses
    except trial.streams.LimitOverrunError:
        expect(len(await take(connection.reader, len(line))), len(line), "bytes read:")
    await sending


async def wait_for_the_peer(trial: Trial, connection: Connection) -> None:
    """Let drain() wait, one that is cancelled and one that goes on."""
    data = await fill(trial, connection.writer)
    await trial.cancelled(connection.writer.drain(), turns=1)
    draining = trial.start(connection.writer.drain())
    expect(len(await connection.wire.receive(len(data))), len(data), "bytes sent:")
    await draining


async def end_each_direction(trial: Trial, connection: Connection) -> None:
    """Let both sides half-close, and cancel a wait_closed()."""
    await trial.cancelled(connection.writer.wait_closed(), turns=1)
    await connection.wire.send_eof()
    expect(await take_rest(connection.reader), b"")
    connection.writer.write_eof()
    expect(await connection.wire.receive_rest(), b"", "bytes sent:")


@clause("costs.memory.connections", networks=IN_MEMORY)
async def test_ended_connections_are_not_kept_whatever_was_done(trial: Trial) -> None:
    async with pairing(trial) as connect:
        for use in (cancel_reads, exceed_the_limit, wait_for_the_peer, end_each_direction):
            references = await use_and_end(trial, await connect(), use)
            left = []
            for _ in range(10):
                await trial.turns()
                gc.collect()
                left = [name for name, each in references.items() if each() is not None]
            expect(left, [], f"kept after {use.__name__}():")


async def use_and_end(
    trial: Trial,
    connection: Connection,
    use: Callable[[Trial, Connection], Awaitable[None]],
) -> dict[str, weakref.ref[Any]]:
    """Use a connection and end it; return references to the objects that are dropped then."""
    reader, writer, wire = connection
    await use(trial, connection)
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await asyncio.wait([trial.start(writer.wait_closed())])  # it may fail after a cancelled one
    try:
        return {"reader": weakref.ref(reader), "writer": weakref.ref(writer)}
    except TypeError:
        raise NotApplicable("nothing can refer to these objects weakly") from None


@clause("costs.memory.connections", networks=BY_A_KERNEL)
async def test_reset_connections_are_not_kept(trial: Trial) -> None:
    async with pairing(trial) as connect:

        async def reset() -> None:
            reader, writer, wire = await connect()
            await wire.reset()
            await expect_error(Exception, reader.read(1))
            writer.close()
            with suppress(Exception):
                await writer.wait_closed()

        await expect_calls_keep_nothing(reset, "connections that were reset", 2 * KIB)


@clause("costs.memory.connections", networks=BY_A_KERNEL)
async def test_aborted_connections_are_not_kept(trial: Trial) -> None:
    async with pairing(trial) as connect:

        async def abort() -> None:
            reader, writer, wire = await connect()
            with suppress(trial.streams.IncompleteReadError):
                writer.transport.abort()
                await reader.readexactly(1)
            await writer.wait_closed()
            await wire.close()

        await expect_calls_keep_nothing(abort, "connections that were aborted", 2 * KIB)


@asynccontextmanager
async def pairing(trial: Trial) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    """Yield a function that makes a connection that the trial does not keep."""
    if trial.role == "server":
        pairs: asyncio.Queue[Any] = asyncio.Queue()
        served = await trial.serve(lambda *pair: pairs.put_nowait(pair))

        async def connect() -> Connection:
            wire = await trial.network.dial(served.server)
            reader, writer = await pairs.get()
            return Connection(reader, writer, wire)
    else:
        listener = await trial.listen()

        async def connect() -> Connection:
            accepting = asyncio.ensure_future(listener.accept())
            reader, writer = await trial.network.open(trial.streams, listener)
            return Connection(reader, writer, await accepting)

    yield connect


# Time that passes.


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays_at_the_end(trial: Trial) -> None:
    await expect_no_delays(trial, trial.connect)


@clause("costs.delays", networks=VIRTUAL)
async def test_no_delays_with_tls(trial: Trial) -> None:
    await expect_no_delays(trial, trial.connect)


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays_after_an_upgrade(trial: Trial) -> None:
    await expect_no_delays(trial, lambda: upgraded(trial))


async def expect_no_delays(trial: Trial, connect: Callable[[], Awaitable[Connection]]) -> None:
    """Expect connecting, and each read at EOF, to take no time."""
    begin = trial.loop.time()
    for name, size in (("read", []), ("read", [5]), ("readexactly", [5]), ("readline", [])):
        reader, writer, wire = await connect()
        reading = trial.start(getattr(reader, name)(*size))
        await trial.turns()
        await wire.send_eof()
        await asyncio.wait([reading])
        with suppress(Exception):  # over TLS it has ended, and may refuse
            writer.writelines([b"the", b"end"])
        writer.close()
        await wire.receive_to_end()
        await wire.close()
        await writer.wait_closed()
        reading.exception()
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays_of_drains(trial: Trial) -> None:
    for connection in (await trial.connect(), await upgraded(trial)):
        begin = trial.loop.time()
        data = await fill(trial, connection.writer)
        draining = trial.start(connection.writer.drain())
        await connection.wire.settle()
        await connection.wire.receive(len(data))
        await draining
        expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME, roles=BY_HAND)
async def test_no_delays_of_reads_of_each_kind(trial: Trial) -> None:
    begin = trial.loop.time()
    reads: dict[str, Read] = READS | {
        "readuntil(tuple)": lambda reader: reader.readuntil(cast(Any, (b"\n", b";;"))),
        "readuntil(bytearray)": lambda reader: reader.readuntil(bytearray(b"\n")),
    }
    for read in reads.values():
        for waits in (True, False):
            reader = by_hand(trial)
            reading = trial.start(read(reader))
            if waits:
                await trial.turns()
            reader.feed_data(DATA)
            reader.feed_eof()
            await asyncio.wait([reading])
            reading.exception()
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays_beyond_the_limit(trial: Trial) -> None:
    begin = trial.loop.time()
    reader, _, wire = await trial.connect(limit=16)
    await wire.send(b"x" * 500 + DATA * 10)
    await wire.settle()  # the transport is paused now
    await wire.send_eof()
    calls = (reader.readuntil(b"--"), reader.readline(), reader.read(8), reader.readexactly(50))
    for call in calls:
        await asyncio.wait([reading := trial.start(call)])
        reading.exception()
    await take_rest(reader)
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays_after_a_reset(trial: Trial) -> None:
    begin = trial.loop.time()
    for name, size in (("read", []), ("read", [5]), ("readexactly", [5]), ("readline", [])):
        reader, writer, wire = await trial.connect()
        reading = trial.start(getattr(reader, name)(*size))
        await trial.turns()
        await wire.reset()
        await expect_error(Exception, reading)
        for waiting in (writer.drain(), writer.wait_closed()):
            await asyncio.wait([ended := trial.start(waiting)])
            ended.exception()
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME)
async def test_no_delays_of_each_end(trial: Trial) -> None:
    begin = trial.loop.time()
    for end in ("write_eof", "close"):
        _, writer, wire = await trial.connect()
        data = await fill(trial, writer)
        getattr(writer, end)()
        expect(len(await wire.receive_rest()), len(data), "bytes:")
    _, writer, wire = await trial.connect()
    writer.transport.abort()
    await wire.receive_to_end()
    await writer.wait_closed()
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME, roles=CLIENT)
async def test_no_delays_in_each_way_to_connect(trial: Trial) -> None:
    listener = await trial.listen()
    host, port = address_of(listener)
    begin = trial.loop.time()
    for options in (
        {"host": host, "port": port, "happy_eyeballs_delay": 0.25},
        {"host": host, "port": port, "local_addr": ("127.0.0.1", 0)},
        {"sock": await connected_socket(trial, listener)},
    ):
        _, writer = await trial.streams.open_connection(**options)
        with closing(writer):
            await (await listener.accept()).close()
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


@clause("costs.delays", networks=IN_VIRTUAL_TIME, roles=SERVER)
async def test_no_delays_of_a_server(trial: Trial) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await take_rest(reader))
        writer.close()

    begin = trial.loop.time()
    for host in ("127.0.0.1", ["127.0.0.2", "127.0.0.3"]):
        server = await trial.streams.start_server(handler, host, 0)
        async with closing_wire(await trial.network.dial(server)) as wire:
            await wire.send(b"hello")
            await wire.send_eof()
            expect(await wire.receive_rest(), b"hello")
        server.close()
        await server.wait_closed()
    expect(trial.loop.time() - begin, 0.0, "seconds passed:")


# Waiting.


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_each_read_waits(trial: Trial) -> None:
    reads: tuple[Callable[[Any], Any], ...] = (
        lambda reader: reader.read(),
        lambda reader: reader.read(5),
        lambda reader: reader.readuntil((b"one", b"other")),
        next_line,
    )
    readers = [(await trial.connect()).reader for _ in reads]
    await expect_quiet(trial, *(read(each) for read, each in zip(reads, readers, strict=True)))


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_reads_that_have_got_a_part_wait(trial: Trial) -> None:
    reads: tuple[Callable[[Any], Any], ...] = (
        lambda reader: reader.read(),
        lambda reader: reader.readexactly(100),
        lambda reader: reader.readline(),
        lambda reader: reader.readuntil((b"--", b"==")),
        next_line,
    )
    waits = []
    for read in reads:
        reader, _, wire = await trial.connect()
        waits.append(trial.start(read(reader)))
        for _ in range(2):
            await wire.send(b"part-")
            await wire.settle()
    await expect_quiet(trial, *waits)


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_several_calls_wait(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    await fill(trial, writer)
    waits = (writer.drain, writer.wait_closed)
    await expect_quiet(trial, *(wait() for wait in waits for _ in range(3)))


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_calls_wait_for_an_end(trial: Trial) -> None:
    _, closing, _ = await trial.connect()
    await fill(trial, closing)
    draining = trial.start(closing.drain())
    await trial.turns()
    closing.close()
    _, ended, _ = await trial.connect()
    await fill(trial, ended)
    ended.write_eof()
    _, left, wire = await trial.connect()
    await fill(trial, left)
    await wire.send_eof()
    await wire.settle()
    await expect_quiet(
        trial, draining, closing.wait_closed(), ended.drain(), left.drain(), left.wait_closed()
    )


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_calls_wait_whatever_came_before(trial: Trial) -> None:
    reader, writer, _ = await trial.connect(limit=16)
    transport = cast(Any, writer.transport)
    transport.set_write_buffer_limits(high=0)
    await fill(trial, writer)
    calls = (lambda: reader.readexactly(100), writer.drain, writer.wait_closed)
    for call in calls:
        await trial.cancelled(call(), turns=1)
    transport.pause_reading()
    await expect_quiet(trial, *(call() for call in calls))


@clause("costs.waiting", networks=VIRTUAL)
async def test_the_end_of_tls_waits(trial: Trial) -> None:
    _, writer, _ = await trial.connect(ssl_shutdown_timeout=1000.0)
    writer.close()  # the far end does not answer
    await expect_quiet(trial, writer.wait_closed())


@clause("costs.waiting", networks=IN_VIRTUAL_TIME, roles=SERVER)
async def test_calls_of_a_server_wait(trial: Trial) -> None:
    served, another = await trial.serve(), await trial.serve()
    idle = await trial.serve()
    await trial.accept(another)
    another.server.close()
    waits = [each.wait_closed for each in (served.server, another.server)]
    await expect_quiet(trial, idle.server.serve_forever(), *(wait() for wait in 2 * waits))


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_reads_after_an_upgrade_wait(trial: Trial) -> None:
    reader, writer, _ = await upgraded(trial)
    await fill(trial, writer)
    await expect_quiet(trial, reader.read(), writer.drain(), writer.wait_closed())


@clause("costs.waiting", networks=IN_VIRTUAL_TIME)
async def test_an_upgrade_waits(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    if trial.role == "client":
        await expect_quiet(trial, writer.start_tls(client_context(), server_hostname=HOST_NAME))
    else:
        await expect_quiet(trial, writer.start_tls(server_context()))


@clause("costs.waiting", networks=IN_VIRTUAL_TIME, roles=CLIENT)
async def test_opening_waits(trial: Trial) -> None:
    host, port = address_of(await trial.listen())
    await expect_quiet(
        trial,
        trial.streams.open_connection(host, port, ssl=client_context(), server_hostname=HOST_NAME),
    )
