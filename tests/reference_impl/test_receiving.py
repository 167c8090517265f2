"""Where bytes are received: a block that the connections of a loop share."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ends import Connect, Serve

from reference_impl import StreamReader
from reference_impl._buffer import BLOCK
from reference_impl._protocol import ReceivingProtocol, StreamReaderProtocol


def receiving(reader: Any = None) -> Any:
    """A protocol of a connection that is made here, and what lets it receive bytes."""
    protocol = ReceivingProtocol(StreamReader() if reader is None else reader)

    def receive(data: bytes) -> None:
        space = protocol.get_buffer(-1)
        space[: len(data)] = data
        protocol.buffer_updated(len(data))

    return protocol, receive


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, 4 * BLOCK])
async def test_what_is_received_later_changes_nothing_that_was_received_before(size: int) -> None:
    one, receive_one = receiving()
    other, receive_other = receiving()
    receive_one(b"1" * size)
    receive_other(b"2" * size)
    first = await one._stream_reader.readexactly(size)
    receive_other(b"3" * size)
    assert first == b"1" * size
    assert await other._stream_reader.readexactly(2 * size) == b"2" * size + b"3" * size


async def test_connections_share_a_block_only_where_it_is_safe() -> None:
    protocols = [receiving()[0] for _ in range(3)]
    blocks = {id(protocol.get_buffer(-1).obj) for protocol in protocols}
    asyncios = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    assert len(blocks) == (1 if asyncios else 3)
    assert all(len(protocol.get_buffer(hint)) for protocol in protocols for hint in (-1, 0, 1))


async def test_two_loops_share_no_block() -> None:
    mine = receiving()[0].get_buffer(-1).obj

    async def theirs() -> Any:
        return receiving()[0].get_buffer(-1).obj

    assert await asyncio.to_thread(lambda: asyncio.run(theirs())) is not mine


async def test_what_comes_after_eof_is_dropped() -> None:
    protocol, receive = receiving()
    receive(b"before")
    protocol._stream_reader.feed_eof()
    receive(b"after")
    receive(b"." * (2 * BLOCK))
    assert await protocol._stream_reader.read() == b"before"
    protocol.connection_lost(None)
    receive(b"after")
    assert await protocol._stream_reader.read() == b""


async def test_a_reader_of_another_kind_never_gets_the_block_itself() -> None:
    class Keeps(StreamReader):
        kept = b""

        def feed_data(self, data: Any) -> None:
            assert type(data) is bytes
            self.kept += data

    protocol, receive = receiving(Keeps())
    receive(b"x" * 10)
    receive(b"y" * (2 * BLOCK))
    receive(b"z" * (2 * BLOCK))
    assert protocol._stream_reader.kept == b"x" * 10 + b"y" * (2 * BLOCK) + b"z" * (2 * BLOCK)


async def test_data_received_does_the_same() -> None:
    protocol, receive = receiving()
    receive(b"one")
    protocol.data_received(b"two")
    receive(b"three")
    assert await protocol._stream_reader.readexactly(11) == b"onetwothree"


async def test_a_subclass_of_the_public_protocol_is_an_ordinary_one() -> None:
    assert not issubclass(StreamReaderProtocol, asyncio.BufferedProtocol)


async def test_many_connections_at_once_keep_their_bytes_apart(
    serve: Serve, connect: Connect
) -> None:
    chance = random.Random(17)

    async def exchange(number: Any) -> Any:
        data = bytes([number]) * chance.choice((1, 70, 5000, BLOCK, 5 * BLOCK + 1))
        reader, writer, peer = await connect()

        async def receive() -> Any:
            parts = []
            while part := await reader.read(chance.choice((1000, BLOCK, 1_000_000))):
                assert part.count(number) == len(part)
                parts.append(part)
                await asyncio.sleep(0)
            return parts  # kept until all have received

        receiving = asyncio.create_task(receive())
        await peer.send(data)
        peer.send_eof()
        parts = await receiving
        writer.close()
        await writer.wait_closed()
        return b"".join(parts) == data

    assert all(await asyncio.gather(*map(exchange, range(40))))


# Reads of more than a block.


@pytest.mark.parametrize("size", [5, 5000, BLOCK, 3 * BLOCK])
async def test_a_large_read_leaves_the_rest(
    settle: Callable[..., Awaitable[None]], size: int
) -> None:
    reader = StreamReader(limit=2**30)
    count = -(-3 * BLOCK // size)
    everything = b"".join(bytes([number % 251]) * size for number in range(count + 1))
    reader.feed_data(everything[:size])
    task = asyncio.create_task(reader.readexactly(2 * BLOCK + 1))
    await settle()
    for start in range(size, len(everything), size):
        reader.feed_data(everything[start : start + size])
    assert await task == everything[: 2 * BLOCK + 1]
    assert await reader.read(3) == everything[2 * BLOCK + 1 :][:3]
    assert await reader.readexactly(len(everything) - 2 * BLOCK - 4) == everything[2 * BLOCK + 4 :]


async def test_a_large_read_that_is_cancelled_has_taken_nothing(
    settle: Callable[..., Awaitable[None]],
) -> None:
    reader = StreamReader(limit=2**30)
    reader.feed_data(b"ab\n")
    task = asyncio.create_task(reader.readexactly(10 * BLOCK))
    await settle()
    reader.feed_data(b"cd\n" + b"." * (2 * BLOCK))
    task.cancel()
    await asyncio.wait([task])
    assert await reader.readline() == b"ab\n"
    assert await reader.readline() == b"cd\n"
    assert await reader.read(1) == b"."
    reader.feed_eof()
    assert len(await reader.read()) == 2 * BLOCK - 1


async def test_a_large_read_while_a_program_looks_into_the_buffer(
    settle: Callable[..., Awaitable[None]],
) -> None:
    reader = StreamReader(limit=2**30)
    task = asyncio.create_task(reader.readexactly(2 * BLOCK))
    await settle()
    reader.feed_data(b"." * BLOCK)
    assert reader._buffer == b"." * BLOCK
    reader._buffer[:1] = b"!"
    reader.feed_data(b"," * BLOCK + b"rest")
    assert await task == b"!" + b"." * (BLOCK - 1) + b"," * BLOCK
    assert reader._buffer == b"rest"
    assert await reader.read(10) == b"rest"
