"""Readers and writers on real sockets."""

import asyncio
import gc
import os
import socket
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ends import Connect

import reference_impl
from reference_impl import FlowControlMixin, StreamReader, StreamReaderProtocol, StreamWriter

MORE_THAN_FITS = 20_000_000  # bytes; beyond what kernel and transport hold for a peer

families = pytest.mark.parametrize("family", ["tcp", "unix"])


async def closed(writer: Any) -> None:
    writer.close()
    await writer.wait_closed()


# Sending and receiving.


@families
async def test_both_ways_and_both_ends(connect: Connect, family: Any) -> None:
    reader, writer, peer = await connect(family)
    writer.write(b"one")
    writer.writelines([b"two", bytearray(b"three"), memoryview(b"four"), b""])
    writer.writelines(item for item in (b"five",))
    writer.writelines([])
    assert await peer.receive_exactly(19) == b"onetwothreefourfive"
    assert writer.can_write_eof()
    writer.write_eof()
    assert await peer.receive() == b""
    await peer.send(b"answer")
    peer.send_eof()
    assert await reader.read() == b"answer"
    assert reader.at_eof()
    assert not writer.is_closing()
    await closed(writer)
    assert writer.is_closing()


async def test_extra_info_and_transport(connect: Connect) -> None:
    _, writer, peer = await connect()
    assert writer.get_extra_info("peername") == peer.sock.getsockname()
    assert writer.transport.get_extra_info("sockname") == peer.sock.getpeername()
    assert writer.get_extra_info("nothing") is None
    assert writer.get_extra_info("nothing", 5) == 5
    await closed(writer)


async def test_repr(connect: Connect) -> None:
    reader, writer, _ = await connect()
    assert repr(writer) == f"<StreamWriter transport={writer.transport!r} reader={reader!r}>"
    await closed(writer)


@pytest.mark.parametrize(
    "data", ["text", None, 5, [b"item"], memoryview(b"abcd")[::2]], ids=lambda data: repr(data)[:9]
)
@pytest.mark.parametrize("method", ["write", "writelines"])
async def test_wrong_data_is_refused_before_anything_is_sent(
    connect: Connect, data: bytes, method: Any
) -> None:
    _, writer, peer = await connect()
    with pytest.raises(TypeError):
        getattr(writer, method)(data if method == "write" else [b"right", data])
    writer.write(b".")
    assert await peer.receive() == b"."
    await closed(writer)


@pytest.mark.parametrize("data", [None, 5, b"bytes", "text"])
async def test_writelines_wants_an_iterable_of_bytes(connect: Connect, data: Any) -> None:
    _, writer, _ = await connect()
    with pytest.raises(TypeError):
        writer.writelines(data)
    await closed(writer)


@pytest.mark.parametrize("method", ["write", "writelines"])
async def test_what_was_written_is_sent_whatever_becomes_of_the_buffer(
    connect: Connect, method: Any
) -> None:
    _, writer, peer = await connect()
    data = bytearray(b"a" * MORE_THAN_FITS)
    if method == "write":
        writer.write(data)
    else:
        writer.writelines([data])
    data[:] = b"b" * MORE_THAN_FITS
    data.clear()
    writer.close()
    assert (await peer.receive_all()).count(b"a") == MORE_THAN_FITS
    await writer.wait_closed()


@pytest.mark.parametrize("form", ["H", "I"])
async def test_a_memoryview_of_larger_items_is_sent_whole(connect: Connect, form: Any) -> None:
    _, writer, peer = await connect()
    data = os.urandom(4_000_000)
    writer.write(memoryview(data).cast(form))
    writer.close()
    assert await peer.receive_all() == data
    await writer.wait_closed()


async def test_writing_after_write_eof_is_refused(connect: Connect) -> None:
    _, writer, peer = await connect()
    writer.write_eof()
    writer.write_eof()
    with pytest.raises(RuntimeError):
        writer.write(b"x")
    with pytest.raises(RuntimeError):
        writer.writelines([b"x"])
    assert await peer.receive() == b""
    await closed(writer)


async def test_a_closed_writer_ignores_what_is_written_and_drain_says_so(connect: Connect) -> None:
    _, writer, _ = await connect()
    await closed(writer)
    writer.write(b"x")
    writer.writelines([b"x"])
    writer.write_eof()
    writer.close()
    with pytest.raises(TypeError):
        writer.write("x")  # type: ignore[arg-type]  # wrong
    with pytest.raises(ConnectionResetError, match="Connection lost"):
        await writer.drain()
    await writer.wait_closed()


# Flow control.


async def test_drain_waits_until_the_peer_reads(
    connect: Connect, settle: Callable[..., Awaitable[None]]
) -> None:
    _, writer, peer = await connect()
    writer.write(bytes(MORE_THAN_FITS))
    drains = [asyncio.create_task(writer.drain()) for _ in range(50)]
    await settle()
    assert not any(task.done() for task in drains)
    for task in drains[:10]:
        task.cancel()
    await peer.receive_exactly(MORE_THAN_FITS)
    outcomes = await asyncio.gather(*drains, return_exceptions=True)
    assert outcomes[10:] == [None] * 40
    assert all(task.cancelled() for task in drains[:10])
    await closed(writer)


async def test_drain_does_not_yield_when_there_is_nothing_to_wait_for(connect: Connect) -> None:
    _, writer, _ = await connect()
    with pytest.raises(StopIteration):
        writer.drain().send(None)
    await closed(writer)


async def test_a_drain_that_waits_when_the_connection_is_aborted_fails(
    connect: Connect, settle: Callable[..., Awaitable[None]]
) -> None:
    _, writer, _ = await connect()
    writer.write(bytes(MORE_THAN_FITS))
    drains = [asyncio.create_task(writer.drain()) for _ in range(3)]
    await settle()
    writer.transport.abort()
    outcomes = await asyncio.gather(*drains, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionResetError] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    await writer.wait_closed()


async def test_a_drain_that_waits_when_the_writer_is_closed_ends_as_the_peer_reads(
    connect: Connect, settle: Callable[..., Awaitable[None]]
) -> None:
    _, writer, peer = await connect()
    writer.write(bytes(MORE_THAN_FITS))
    drain = asyncio.create_task(writer.drain())
    await settle()
    writer.close()
    assert len(await peer.receive_all()) == MORE_THAN_FITS
    await drain
    await writer.wait_closed()


async def test_a_reader_that_does_not_read_stops_the_peer(
    connect: Connect, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    reader, writer, peer = await connect(limit=1000)
    sending = asyncio.create_task(peer.send(bytes(MORE_THAN_FITS)))
    await until(lambda: "paused" in repr(reader))
    assert len(reader._buffer) < 1_000_000
    # More than the limit, and more than twice of it, can be read all the same.
    assert len(await reader.readexactly(MORE_THAN_FITS - 1)) == MORE_THAN_FITS - 1
    await sending
    assert await reader.read(10) == b"\0"
    await closed(writer)


async def test_cancelling_a_read_of_everything_under_way_loses_nothing(connect: Connect) -> None:
    reader, writer, peer = await connect(limit=1000)
    data = os.urandom(2_000_000)
    sending = asyncio.create_task(peer.send(data))
    for _ in range(20):
        task = asyncio.create_task(reader.read())
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    rest = asyncio.create_task(reader.read())
    await sending
    peer.send_eof()
    assert await rest == data
    await closed(writer)


async def test_bytes_after_a_feed_eof_by_hand_do_no_harm(
    connect: Connect, settle: Callable[..., Awaitable[None]]
) -> None:
    reader, writer, peer = await connect()
    reader.feed_eof()
    await peer.send(b"late")
    assert await reader.read() == b""
    await settle()
    writer.write(b"still there")
    assert await peer.receive() == b"still there"
    await closed(writer)


# The end of a connection.


@families
async def test_wait_closed_of_many_and_again(connect: Connect, family: Any) -> None:
    _, writer, _ = await connect(family)
    waiting = [asyncio.create_task(writer.wait_closed()) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
    assert not waiting[0].done()
    writer.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), asyncio.CancelledError] + [
        type(None)
    ] * 2
    await writer.wait_closed()


async def test_the_peer_closes(connect: Connect) -> None:
    reader, writer, peer = await connect()
    await peer.send(b"bye")
    peer.close()
    assert await reader.read() == b"bye"
    assert not writer.is_closing()
    await closed(writer)


async def test_a_reset_is_seen_by_everyone_who_waits(
    connect: Connect, settle: Callable[..., Awaitable[None]]
) -> None:
    reader, writer, peer = await connect()
    writer.write(bytes(MORE_THAN_FITS))
    waiting = [
        asyncio.create_task(coroutine)
        for coroutine in (
            reader.readline(),
            writer.drain(),
            writer.drain(),
            writer.wait_closed(),
            writer.wait_closed(),
        )
    ]
    await settle()
    peer.reset()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    later = await asyncio.gather(
        reader.read(), writer.drain(), writer.wait_closed(), return_exceptions=True
    )
    every = [*outcomes, *later]
    for outcome in every:
        assert isinstance(outcome, ConnectionResetError)
    assert len({id(outcome) for outcome in every}) == 8
    assert isinstance(reader.exception(), ConnectionResetError)
    assert writer.is_closing()
    depths = {
        len(traceback.extract_tb((await failed(writer.wait_closed)).__traceback__))
        for _ in range(5)
    }
    assert len(depths) == 1


async def failed(call: Any) -> Any:
    with pytest.raises(ConnectionResetError) as caught:
        await call()
    return caught.value


async def test_bytes_received_before_a_reset_can_be_read(connect: Connect) -> None:
    reader, writer, peer = await connect()
    await peer.send(b"last words")
    assert await reader.readexactly(5) == b"last "
    peer.reset()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()
    assert await reader.read(100) == b"words"
    with pytest.raises(ConnectionResetError):
        await reader.read(100)


async def test_nobody_waiting_when_it_ends_leaves_no_complaint(
    connect: Connect, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    reader, writer, peer = await connect()
    writer.write(bytes(MORE_THAN_FITS))
    tasks = [asyncio.create_task(c) for c in (reader.read(), writer.drain(), writer.wait_closed())]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    peer.reset()
    await asyncio.wait(tasks)
    await until(writer.is_closing)
    del reader, writer, tasks
    gc.collect()


async def test_an_end_and_a_cancellation_at_once_leave_no_complaint() -> None:
    """The waiters are failed, and cancelled before they hear of it."""
    protocol = FlowControlMixin()
    protocol.pause_writing()
    tasks = [
        asyncio.create_task(protocol._drain_helper()),
        asyncio.create_task(asyncio.wait_for(protocol._get_close_waiter(None), None)),
    ]
    await asyncio.sleep(0)
    protocol.connection_lost(ValueError())
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    del protocol, tasks
    gc.collect()


async def test_an_unclosed_writer_warns_and_closes(unclosed: list[warnings.WarningMessage]) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await reference_impl.open_connection(sock=ours)
        del writer
        gc.collect()
        (warning,) = [each for each in unclosed if "StreamWriter" in str(each.message)]
        assert str(warning.message).startswith("unclosed <StreamWriter transport=<")
        theirs.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""
        assert await reader.read() == b""


def test_an_unclosed_writer_warns_after_its_loop_is_closed(
    unclosed: list[warnings.WarningMessage],
) -> None:
    loop = asyncio.new_event_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        _, writer = loop.run_until_complete(reference_impl.open_connection(sock=ours))
        loop.close()
        del writer, _
        gc.collect()
    assert "loop is closed" in [str(each.message) for each in unclosed]


async def test_a_connection_leaves_nothing_to_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            ours, theirs = socket.socketpair()
            reader, writer = await reference_impl.open_connection(sock=ours)
            theirs.send(b"x")
            theirs.close()
            assert await reader.read() == b"x"
            writer.close()
            await writer.wait_closed()
        del reader, writer
        await asyncio.sleep(0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [each for each in gc.garbage if type(each).__module__.startswith("reference_impl")]
        assert left == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


# By hand.


async def test_made_by_hand_with_create_connection() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        reader = StreamReader(limit=100, loop=loop)
        protocol = StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        writer = StreamWriter(transport, protocol, reader, loop)
        theirs.send(b"line\n")
        assert await reader.readline() == b"line\n"
        writer.write(b"x")
        await writer.drain()
        assert theirs.recv(10) == b"x"
        await closed(writer)


async def test_a_protocol_that_is_fed_by_hand() -> None:
    reader = reference_impl.StreamReader()
    protocol = reference_impl.StreamReaderProtocol(reader)
    protocol.data_received(b"abc")
    assert protocol.eof_received()
    assert await reader.read() == b"abc"
    protocol.connection_lost(None)
    assert reader.at_eof()


async def test_a_subclass_of_the_protocol() -> None:
    class Protocol(StreamReaderProtocol):
        def __init__(self) -> None:
            self.events: list[Any] = []
            super().__init__(StreamReader())

        def connection_made(self, transport: Any) -> None:
            self.events.append("made")
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            super().data_received(data.upper())

        def eof_received(self) -> Any:
            self.events.append("eof")
            return super().eof_received()

        def connection_lost(self, exc: Any) -> None:
            self.events.append("lost")
            super().connection_lost(exc)

    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Protocol, sock=ours)
    reader = protocol._stream_reader
    theirs.send(b"abc")
    theirs.close()
    assert await reader.read() == b"ABC"
    transport.close()
    await protocol._get_close_waiter(None)
    assert protocol.events == ["made", "eof", "lost"]


async def test_asyncios_writer_works_on_our_protocol() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        reader = asyncio.StreamReader(loop=loop)
        protocol = StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        writer.write(b"x")
        await writer.drain()
        theirs.send(b"y")
        assert await reader.read(1) == b"y"
        await closed(writer)


async def test_pipes(settle: Callable[..., Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    reader = StreamReader()
    read_transport, _ = await loop.connect_read_pipe(
        lambda: StreamReaderProtocol(reader), os.fdopen(read_end, "rb", 0)
    )
    write_transport, protocol = await loop.connect_write_pipe(
        FlowControlMixin, os.fdopen(write_end, "wb", 0)
    )
    writer = StreamWriter(write_transport, protocol, None, loop)
    data = os.urandom(3_000_000)
    writer.write(data)
    draining = asyncio.create_task(writer.drain())
    await settle()
    assert not draining.done()
    assert await reader.readexactly(len(data)) == data
    await draining
    writer.write(b"end")
    await closed(writer)
    assert await reader.read() == b"end"
    read_transport.close()
    await settle()


async def test_many_connections_at_once() -> None:
    async def serve(reader: Any, writer: Any) -> None:
        async for line in reader:
            writer.write(line)
            await writer.drain()
        await closed(writer)

    async def client(number: Any) -> None:
        reader, writer = await reference_impl.open_connection(*address)
        for i in range(20):
            message = b"%d %d\n" % (number, i)
            writer.write(message)
            assert await reader.readline() == message
        await closed(writer)

    server = await reference_impl.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    async with server:
        await asyncio.gather(*(client(number) for number in range(40)))
