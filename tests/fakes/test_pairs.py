"""Pairs of transports, streams and sockets, on every kind of loop."""

import asyncio
import gc
import socket
import sys
import warnings
from collections.abc import Callable

import pytest

import fakes

uvloop = pytest.importorskip("uvloop")

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    fakes.Loop,
    asyncio.SelectorEventLoop,
    uvloop.Loop,
    fakes.network_loop(asyncio.SelectorEventLoop),
    fakes.network_loop(uvloop.Loop),
]
on_every_loop = pytest.mark.parametrize(
    "loop_factory", LOOPS, ids=["virtual", "asyncio", "uvloop", "network-asyncio", "network-uvloop"]
)
Factory = Callable[[], asyncio.AbstractEventLoop]


@on_every_loop
def test_streams(loop_factory: Factory) -> None:
    async def main() -> None:
        (reader, writer), (other_reader, other_writer) = await fakes.open_stream_pair()
        writer.write(b"hello\n")
        assert await other_reader.readline() == b"hello\n"
        assert writer.get_extra_info("peername") == other_writer.get_extra_info("sockname")
        writer.write_eof()
        assert await other_reader.read() == b""
        other_writer.write(b"bye")
        other_writer.close()
        assert await reader.read() == b"bye"
        writer.close()
        await writer.wait_closed()
        await other_writer.wait_closed()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


@on_every_loop
def test_transports_with_flow_control(loop_factory: Factory) -> None:
    class Told(asyncio.Protocol):
        def __init__(self) -> None:
            self.told: list[object] = []
            self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.resumed = asyncio.Event()

        def data_received(self, data: bytes) -> None:
            self.told.append(len(data))

        def pause_writing(self) -> None:
            self.told.append("pause")

        def resume_writing(self) -> None:
            self.told.append("resume")
            self.resumed.set()

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost.set_result(None)

    async def main() -> None:
        network = fakes.Network(send_buffer=1000, receive_buffer=1000)
        (one, first), (other, second) = await fakes.open_transport_pair(Told, Told, network=network)
        one.set_write_buffer_limits(high=100)
        other.pause_reading()
        one.write(bytes(2050))
        assert (one.get_write_buffer_size(), first.told) == (50, [])
        one.write(bytes(60))
        assert (one.get_write_buffer_size(), first.told) == (110, ["pause"])
        other.resume_reading()
        await first.resumed.wait()
        one.close()
        await asyncio.gather(first.lost, second.lost)
        assert first.told == ["pause", "resume"]
        assert sum(size for size in second.told if isinstance(size, int)) == 2110

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_streams_of_any_implementation() -> None:
    class Reader(asyncio.StreamReader):
        pass

    class Mine:
        StreamReader = Reader
        StreamReaderProtocol = asyncio.StreamReaderProtocol
        StreamWriter = asyncio.StreamWriter

    async def main() -> None:
        (reader, writer), (_, other) = await fakes.open_stream_pair(Mine, limit=10)
        assert type(reader) is Reader
        other.write(b"x" * 20)
        with pytest.raises(asyncio.LimitOverrunError):
            await reader.readuntil(b"\n")
        writer.close()
        other.close()

    fakes.run(main())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_sockets_for_open_connection_and_for_the_loop(family: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair(family=family)
        reader, writer = await asyncio.open_connection(sock=one)
        await loop.sock_sendall(other, b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"abcdef")
        buffer = bytearray(4)
        assert await loop.sock_recv_into(other, buffer) == 4
        assert buffer == b"abcd"
        assert await loop.sock_recv(other, 10) == b"ef"
        receiving = asyncio.create_task(loop.sock_recv(other, 10))
        await asyncio.sleep(1)
        writer.close()
        assert await receiving == b""
        other.close()
        await writer.wait_closed()
        with pytest.raises(OSError, match="Bad file descriptor"):
            other.recv(1)

    fakes.run(main())


def test_sendall_waits_for_room() -> None:
    network = fakes.Network(send_buffer=1000, receive_buffer=1000)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        sending = asyncio.create_task(loop.sock_sendall(one, bytes(10_000)))
        await asyncio.sleep(1)
        assert not sending.done()
        received = 0
        while received < 10_000:
            received += len(await loop.sock_recv(other, 3000))
        await sending
        one.close()
        other.close()

    fakes.run(main(), network=network)


@on_every_loop
def test_what_is_dropped_when_the_loop_is_closed_wakes_nobody(
    loop_factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: raised.append(each.exc_value))

    async def main() -> list[object]:
        return [*await fakes.open_transport_pair(asyncio.Protocol, asyncio.Protocol)]

    loop = loop_factory()
    kept = loop.run_until_complete(main())
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        while kept:
            del kept[0]
            gc.collect()
    assert raised == []
