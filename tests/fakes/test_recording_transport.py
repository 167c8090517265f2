"""The transport without a peer."""

import asyncio
from collections.abc import Callable

import pytest

import fakes


class Upper(asyncio.Protocol):
    """Answers in capitals; a full stop ends the connection."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.told.append(data)
        self.transport.write(data.upper())
        if b"." in data:
            self.transport.close()

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.append(("lost", exc))

    def pause_writing(self) -> None:
        self.told.append("pause_writing")

    def resume_writing(self) -> None:
        self.told.append("resume_writing")


class Small(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.got = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        self.buffer = bytearray(3)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self.buffer[:nbytes]

    def eof_received(self) -> bool:
        self.got += b"EOF"
        return True


def test_without_a_loop() -> None:
    protocol = Upper()
    transport = fakes.RecordingTransport(protocol, extra={"peername": "somebody"})
    transport.feed(b"a")
    transport.feed(b"b.")
    assert transport.take() == b"AB."
    assert transport.take() == b""
    assert transport.calls == [("write", b"A"), ("write", b"B."), ("close",)]
    assert transport.is_closing()
    assert transport.get_extra_info("peername") == "somebody"
    transport.feed(b"too late")
    error = ConnectionResetError()
    transport.lose(error)
    transport.lose()
    assert protocol.told == [b"a", b"b.", ("lost", error)]


def test_what_is_fed_while_reading_is_paused_comes_at_resume() -> None:
    protocol = Upper()
    transport = fakes.RecordingTransport(protocol)
    transport.pause_reading()
    transport.feed(b"a")
    transport.feed_eof()
    assert protocol.told == []
    transport.resume_reading()
    assert protocol.told == [b"a", "eof"]
    assert transport.is_closing()
    transport = fakes.RecordingTransport(protocol)
    transport.pause_reading()
    transport.feed_eof()
    with pytest.raises(RuntimeError, match="feed_eof"):
        transport.feed(b"x")


def test_write_buffer_and_its_marks() -> None:
    protocol = Upper()
    transport = fakes.RecordingTransport(protocol)
    transport.set_write_buffer_limits(high=4, low=2)
    assert transport.get_write_buffer_limits() == (2, 4)
    transport.block()
    transport.write(b"1234")
    assert protocol.told == []
    transport.writelines([b"5", b"6"])
    assert transport.get_write_buffer_size() == 6
    transport.flush(3)
    transport.flush(1)
    assert protocol.told == ["pause_writing", "resume_writing"]
    assert transport.written == b"123456"


def test_writes_are_checked() -> None:
    transport = fakes.RecordingTransport(Upper())
    with pytest.raises(TypeError, match="not 'str'"):
        transport.write("text")  # type: ignore[arg-type]
    transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.write(b"more")


def test_buffered_protocol() -> None:
    protocol = Small()
    transport = fakes.RecordingTransport(protocol)
    transport.feed(b"12345678")
    transport.feed_eof()
    assert protocol.got == b"12345678EOF"
    assert not transport.is_closing()


@pytest.mark.parametrize("loop_factory", [fakes.Loop, asyncio.SelectorEventLoop])
def test_with_a_loop_close_ends_in_connection_lost(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        protocol = Upper()
        transport = fakes.RecordingTransport(protocol)
        transport.block()
        transport.write(b"x")
        transport.close()
        await asyncio.sleep(0)
        assert protocol.told == []
        transport.flush()
        assert protocol.told == []
        await asyncio.sleep(0)
        assert protocol.told == [("lost", None)]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_it_carries_streams() -> None:
    async def main() -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = fakes.RecordingTransport(protocol)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        transport.feed(b"line\nrest")
        transport.feed_eof()
        assert await reader.readline() == b"line\n"
        assert await reader.read() == b"rest"
        writer.write(b"answer")
        writer.close()
        await writer.wait_closed()
        assert transport.written == b"answer"

    fakes.run(main())
