"""What subclasses of asyncio's streams, their users and their mocks rely on."""

import abc
import ast
import asyncio
import asyncio.streams
import inspect
import re
import struct
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import reference_impl
from reference_impl import FlowControlMixin, StreamReader, StreamReaderProtocol, StreamWriter

# The classes before anything is installed.
THEIRS = {
    "FlowControlMixin": asyncio.streams.FlowControlMixin,
    "StreamReader": asyncio.StreamReader,
    "StreamReaderProtocol": asyncio.StreamReaderProtocol,
    "StreamWriter": asyncio.StreamWriter,
}
OURS = {name: getattr(reference_impl, name) for name in THEIRS}


# --- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", THEIRS)
def test_it_is_asyncios_by_type(name: str) -> None:
    assert issubclass(OURS[name], THEIRS[name])
    assert not isinstance(THEIRS[name], type(OURS[name]))


@pytest.mark.parametrize("name", THEIRS)
def test_nothing_of_asyncios_is_used(name: str) -> None:
    # What is inherited would be asyncio's behaviour; class attributes are defaults. Libraries, such
    # as pproxy, put methods of their own into asyncio's classes.
    theirs = {
        key
        for key, value in vars(THEIRS[name]).items()
        if inspect.isroutine(value) and value.__module__ == asyncio.streams.__name__
    }
    ours = set().union(*(vars(each) for each in OURS[name].__mro__ if each in OURS.values()))
    assert theirs - ours - {"__new__"} == set()


async def test_the_server_is_asyncios_by_type() -> None:
    async with await reference_impl.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        assert isinstance(server, asyncio.Server)
        private: Any = server
        if isinstance(private._listener, asyncio.Server):
            listener: Any = private._listener
            assert private._sockets is listener._sockets
        with pytest.raises(AttributeError):
            server._nothing_of_the_kind  # noqa: B018


@pytest.mark.parametrize("name", THEIRS)
def test_while_it_is_installed_asyncios_own_are_instances_too(name: str) -> None:
    theirs, ours = THEIRS[name], OURS[name]
    heir: Any = type("Heir", (theirs,), {"__del__": lambda self: None})  # it is not whole
    old = heir.__new__(heir)
    mocked = mock.Mock(spec=theirs)
    assert not isinstance(old, ours)
    with reference_impl.install():
        installed = getattr(asyncio.streams, name)
        assert installed is ours
        assert isinstance(old, installed)
        assert isinstance(mocked, installed)
        assert issubclass(heir, installed)
        assert issubclass(theirs, installed)
        assert not isinstance(old, type("Ours", (ours,), {}))
        assert not isinstance(object(), installed)
    assert not isinstance(old, ours)
    assert not issubclass(heir, ours)


async def test_what_a_library_adds_to_asyncios_classes_is_there(monkeypatch: Any) -> None:
    # pproxy does so, when it is imported; that may be before install() and after it.
    def add(kind: Any) -> None:
        monkeypatch.setattr(
            kind, "put_back", lambda self, data: self._buffer.__setitem__(slice(0, 0), data), False
        )

    def read(kind: Any) -> Any:
        reader = kind()
        reader.feed_data(b"second third")
        reader.put_back(b"first ")
        return reader.readuntil(b" ")

    add(THEIRS["StreamReader"])
    with reference_impl.install():
        assert await read(asyncio.StreamReader) == b"first "
    monkeypatch.undo()
    with reference_impl.install():
        add(asyncio.StreamReader)
        assert await read(asyncio.StreamReader) == b"first "


def test_a_subclass_can_be_abstract() -> None:
    class Reader(StreamReader, abc.ABC):
        @abc.abstractmethod
        def of_its_own(self) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        Reader()  # type: ignore[abstract]  # that is the point


# --- names ----------------------------------------------------------------------------------------


def names_of_asyncio() -> Any:
    """Every private name in the source of asyncio's streams and servers."""
    names = set()
    for module in (asyncio.streams, asyncio.base_events):
        tree = ast.parse(inspect.getsource(module))
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    # Of later and earlier Pythons than this one.
    return names | {"_replace_transport", "_replace_writer", "_stream_reader_wr", "_closed"}


def private(names: Any) -> Any:
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


async def test_names_that_asyncio_does_not_have_cannot_collide() -> None:
    reader = StreamReader()
    reader.feed_data(b"a")
    await reader.readuntil(b"a")
    protocol = StreamReaderProtocol(reader, lambda *_: None)
    writer = StreamWriter(mock.Mock(), protocol, reader, asyncio.get_running_loop())
    protocol.connection_made(writer.transport)
    protocol.connection_lost(None)
    for it in (reader, protocol, writer):
        used = private(vars(it)) | private(
            name for each in type(it).__mro__ if each in OURS.values() for name in vars(each)
        )
        strange = used - names_of_asyncio()
        assert [each for each in strange if not each.startswith(("_reference_", "_abc_"))] == []


async def test_every_private_name_in_the_docs_is_there() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    table = page.partition("## Private names")[2].partition("## ")[0]
    reader = StreamReader()
    protocol = StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    writer = StreamWriter(mock.Mock(), protocol, reader, loop)
    things = {"reader": reader, "protocol": protocol, "writer": writer}
    checked = 0
    for names, of in re.findall(r"^\| (`_.*?) \| (.*?) \|", table, re.MULTILINE):
        for name in re.findall(r"`(_\w+)", names):
            for each in things if of == "all" else set(of.split(", ")) - {"server"}:
                assert hasattr(things[each], name), f"{each}.{name}"
                checked += 1
    assert checked > 30


async def test_a_subclass_with_flags_of_its_own() -> None:
    words = "closing closed error draining serving served failed close wait wake take pause resume"

    class Protocol(FlowControlMixin):
        def __init__(self) -> None:
            super().__init__()
            for word in words.split():
                setattr(self, f"_{word}", True)

    protocol = Protocol()
    protocol.pause_writing()
    draining = asyncio.ensure_future(protocol._drain_helper())
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await draining
    await protocol._get_close_waiter(None)

    class Reader(StreamReader):
        def __init__(self) -> None:
            super().__init__()
            for word in words.split():
                setattr(self, f"_{word}", None)

    reader = Reader()
    reading = asyncio.ensure_future(reader.readline())
    await asyncio.sleep(0)
    reader.feed_data(b"a line\n")
    assert await reading == b"a line\n"


async def test_a_waiter_that_a_program_sets_is_woken_by_the_next_piece() -> None:
    reader = StreamReader()
    for piece in (b"a", b"bc", b"d"):
        line = asyncio.ensure_future(reader.readline())
        await asyncio.sleep(0)
        reader.feed_data(piece)
        reader.feed_data(piece)
        line.cancel()
        await asyncio.wait([line])
        for _ in range(3):  # the next time as well
            reader._waiter = asyncio.get_running_loop().create_future()
            reader.feed_data(b".")
            assert reader._waiter.done()
        reader._waiter = None


async def test_the_private_names_of_a_reader_mean_what_they_do_in_asyncio() -> None:
    reader = StreamReader(limit=10)
    assert (reader._limit, reader._eof, reader._exception) == (10, False, None)
    assert (reader._transport, reader._waiter, reader._paused) == (None, None, False)
    assert reader._loop is asyncio.get_running_loop()
    transport = mock.Mock()
    reader.set_transport(transport)
    assert reader._transport is transport
    reader.feed_data(bytes(21))
    assert reader._paused
    del reader._buffer[:10]
    reader._maybe_resume_transport()
    assert reader._paused
    del reader._buffer[:1]
    reader._maybe_resume_transport()
    assert not reader._paused
    transport.resume_reading.assert_called_once_with()
    reader._limit = 1000  # as programs do that meet longer lines than they thought
    reader.feed_data(bytes(100) + b"\n")
    assert len(await reader.readline()) == 111
    waiting = asyncio.ensure_future(reader._wait_for_data("mine"))
    await asyncio.sleep(0)
    assert isinstance(reader._waiter, asyncio.Future)
    with pytest.raises(RuntimeError, match=r"yours\(\) called while another"):
        await reader._wait_for_data("yours")
    reader._wakeup_waiter()
    await waiting
    assert reader._waiter is None
    reader.feed_eof()
    assert reader._eof


async def test_the_private_names_of_a_protocol_mean_what_they_do_in_asyncio() -> None:
    reader = StreamReader()
    protocol = StreamReaderProtocol(reader)
    assert (protocol._transport, protocol._task, protocol._over_ssl) == (None, None, False)
    assert protocol._stream_reader is reader
    referred: Any = protocol._stream_reader_wr
    assert referred() is reader
    transport = mock.Mock(**{"get_extra_info.return_value": None})
    protocol.connection_made(transport)
    assert protocol._transport is reader._transport is transport
    secured = mock.Mock()
    protocol._replace_transport(secured)
    assert protocol._transport is reader._transport is secured
    assert protocol._over_ssl
    protocol.pause_writing()
    draining = asyncio.ensure_future(protocol._drain_helper())
    await asyncio.sleep(0)
    (waiter,) = protocol._drain_waiters
    protocol._drain_waiters.remove(waiter)
    protocol._drain_waiters.append(waiter)
    protocol.resume_writing()
    await draining
    closed = protocol._closed
    assert not closed.done()
    another = StreamReader()
    protocol._stream_reader_wr = weakref.ref(another)
    assert protocol._stream_reader is another
    protocol.connection_lost(None)
    assert closed.done()
    assert protocol._connection_lost
    assert protocol._transport is None
    assert another.at_eof()


async def test_a_protocol_without_a_reader() -> None:
    protocol = StreamReaderProtocol(None)  # type: ignore[arg-type]  # as asyncio's takes it
    protocol.connection_made(mock.Mock())
    protocol.data_received(b"unread")
    protocol.eof_received()
    protocol._replace_transport(mock.Mock())
    protocol.connection_lost(None)


def test_debug_mode_remembers_where_a_reader_was_made() -> None:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    try:
        reader = StreamReader(loop=loop)
        protocol = StreamReaderProtocol(reader, loop=loop)
    finally:
        loop.close()
    frame = inspect.currentframe()
    assert frame is not None
    assert reader._source_traceback[-1].name == frame.f_code.co_name
    assert protocol._source_traceback is reader._source_traceback


# --- the buffer -----------------------------------------------------------------------------------


@pytest.fixture(params=["one piece", "many pieces"])
def reader(request: Any) -> Any:
    reader = StreamReader(limit=2**20, loop=mock.Mock(**{"get_debug.return_value": False}))
    data = b"some unread bytes\nand more"
    size = len(data) if request.param == "one piece" else 3
    for start in range(0, len(data), size):
        reader.feed_data(data[start : start + size])
    return reader


async def test_the_buffer_can_be_looked_at(reader: Any) -> None:
    buffer = reader._buffer
    assert buffer
    assert len(buffer) == 26
    assert bytes(buffer) == buffer == b"some unread bytes\nand more"
    assert buffer[:4] == b"some"
    assert buffer[0] == ord("s")
    assert buffer.startswith(b"unread", 5)
    assert buffer.find(b"\n") == 17
    assert b"bytes" in buffer
    assert buffer.decode().split() == ["some", "unread", "bytes", "and", "more"]
    assert struct.unpack_from("4s", buffer) == (b"some",)
    assert isinstance(buffer, bytearray)
    assert await reader.read(100) == b"some unread bytes\nand more"


async def test_the_buffer_is_the_one_that_is_read_and_fed(reader: Any) -> None:
    buffer = reader._buffer
    assert await reader.readexactly(5) == b"some "
    assert buffer == b"unread bytes\nand more"
    reader.feed_data(b"!")
    assert buffer == b"unread bytes\nand more!"
    assert await reader.readline() == b"unread bytes\n"
    reader.feed_eof()
    assert not reader.at_eof()
    assert await reader.read() == b"and more!"
    assert not buffer
    assert reader.at_eof()


async def test_the_buffer_can_be_changed(reader: Any) -> None:
    del reader._buffer[:5]
    reader._buffer[:0] = b"more "
    reader._buffer.extend(b"?\n")
    assert await reader.readuntil(b"\n") == b"more unread bytes\n"
    assert await reader.readline() == b"and more?\n"
    reader.feed_data(b"to be dropped")
    assert "13 bytes" in repr(reader)
    reader._buffer.clear()
    reader.feed_data(b"kept")
    assert await reader.read(10) == b"kept"


async def test_the_buffer_can_be_replaced(reader: Any) -> None:
    mine = reader._buffer = bytearray(b"mine")
    reader.feed_data(b" and more")
    assert mine == b"mine and more"
    reader._buffer = bytearray()
    reader.feed_data(b"anew")
    assert await reader.read(10) == b"anew"


async def test_a_subclass_whose_init_is_all_its_own() -> None:
    class Reader(StreamReader):
        def __init__(self) -> None:
            self._loop = asyncio.get_running_loop()
            self._limit = 100
            self._buffer = bytearray(b"before\n")
            self._eof = self._paused = False
            self._waiter = self._exception = self._transport = None

    reader = Reader()
    reader.feed_data(b"after|")
    assert await reader.readline() == b"before\n"
    assert await reader.readuntil(b"|") == b"after|"
    reader.feed_eof()
    assert await reader.read() == b""


async def test_the_buffer_may_be_asked_for_while_a_read_waits() -> None:
    reader = StreamReader()
    reading = asyncio.ensure_future(reader.readuntil(b"END"))
    reader.feed_data(b"so far, ")
    await asyncio.sleep(0)
    assert reader._buffer == b"so far, "
    reader.feed_data(b"so good EN")
    await asyncio.sleep(0)
    reader.feed_data(b"D")
    assert await reading == b"so far, so good END"


async def test_every_read_works_on_a_buffer_that_somebody_looked_at() -> None:
    reader = StreamReader(limit=8)
    assert reader._buffer == b""
    reader.feed_data(b"ab|cd;ef")
    assert await reader.readuntil((b";", b"|")) == b"ab|"
    assert await reader.readuntil((b";", b"|")) == b"cd;"
    reading = asyncio.ensure_future(reader.readexactly(3))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already waiting"):
        await reader.read(1)
    reader.feed_data(b"g0123456789")
    assert await reading == b"efg"
    with pytest.raises(asyncio.LimitOverrunError):
        await reader.readuntil(b"\n")
    reader.feed_data(b"\nnext\n")
    with pytest.raises(ValueError, match="longer than limit"):
        await reader.readline()
    assert await reader.readline() == b"next\n"
    reader.feed_data(b"rest")
    reader.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(5)
    assert await reader.readline() == b""


# --- calls that go by way of what subclasses override ---------------------------------------------


async def test_readline_goes_by_way_of_readuntil(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader(StreamReader):
        async def readuntil(self, separator: Any = b"\n") -> Any:
            return (await super().readuntil(separator)).upper()

    reader = Reader()
    reader.feed_data(b"one\ntwo\n")
    assert await reader.readline() == b"ONE\n"
    assert [line async for line in ending(reader)] == [b"TWO\n"]
    mocked: Any
    with mock.patch.object(StreamReader, "readuntil", mock.AsyncMock(return_value=b"mocked")):
        mocked = StreamReader()
        mocked.feed_data(b"one\n")
        assert await mocked.readline() == b"mocked"
    mocked.readuntil = mock.AsyncMock(side_effect=asyncio.IncompleteReadError(b"part", None))
    mocked._buffer.clear()
    assert await mocked.readline() == b"part"


def ending(reader: Any) -> Any:
    reader.feed_eof()
    return reader


async def test_read_to_the_end_goes_by_way_of_read() -> None:
    asked = []

    class Reader(StreamReader):
        async def read(self, n: Any = -1) -> Any:
            asked.append(n)
            return await super().read(n)

    reader = Reader(limit=4)
    reader.feed_data(b"0123456789")
    reader.feed_eof()
    assert await reader.read() == b"0123456789"
    assert asked == [-1, 4, 4, 4, 4]


def plain_transport() -> Any:
    return mock.Mock(**{"get_extra_info.side_effect": lambda name, default=None: default})


@pytest.mark.parametrize("transport", [mock.Mock, mock.MagicMock, plain_transport])
async def test_a_writer_on_a_mock(transport: Any) -> None:
    transport = transport()
    writer = StreamWriter(transport, mock.Mock(), None, asyncio.get_running_loop())
    large = bytes(1_000_000)
    writer.write(large)
    transport.write.assert_called_once_with(large)
    for lines in ([b"one", b"two"], (b"one", b"two")):
        writer.writelines(lines)
        transport.writelines.assert_called_with(lines)
    assert transport.writelines.call_count == 2
    writer.writelines(bytearray(line) for line in (b"one", b"", b"two"))
    transport.writelines.assert_called_with([b"one", b"two"])
    writer.close()
    transport.close.assert_called_once_with()


async def test_a_writer_on_a_protocol_that_somebody_wrote() -> None:
    closed = asyncio.Event()

    class Protocol(asyncio.streams.FlowControlMixin):
        def _get_close_waiter(self, stream: Any) -> Any:
            return closed.wait()

    writer = StreamWriter(mock.Mock(), Protocol(), None, asyncio.get_running_loop())
    waiting = asyncio.ensure_future(writer.wait_closed())
    await asyncio.sleep(0)
    assert not waiting.done()
    closed.set()
    await waiting


# --- asyncio's own classes, imported before, among the installed ----------------------------------


@pytest.mark.parametrize("old", [{"StreamReader"}, {"StreamReaderProtocol"}, {"StreamWriter"},
    {"StreamReader", "StreamWriter"}, {"StreamReader", "StreamReaderProtocol"}, set(THEIRS)],
    ids=lambda old: "+".join(sorted(old)))  # fmt: skip
async def test_old_and_new_classes_mixed(old: Any, connect_sockets: Any) -> None:
    classes = {name: (THEIRS if name in old else OURS)[name] for name in THEIRS}
    loop = asyncio.get_running_loop()
    failed = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    async def upper(reader: Any, writer: Any) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        raise RuntimeError("a handler that fails")

    with reference_impl.install():
        near, far = connect_sockets
        reader = classes["StreamReader"](limit=100)
        served = classes["StreamReaderProtocol"](reader, upper)
        await loop.connect_accepted_socket(lambda: served, near)
        reader = classes["StreamReader"]()
        protocol = classes["StreamReaderProtocol"](reader)
        transport, _ = await loop.create_connection(lambda: protocol, sock=far)
        writer = classes["StreamWriter"](transport, protocol, reader, loop)
        assert isinstance(reader, asyncio.StreamReader)
        assert isinstance(writer, asyncio.StreamWriter)
        writer.writelines([b"hel", b"lo\n"])
        await writer.drain()
        assert await asyncio.wait_for(reader.read(), 10) == b"HELLO\n"
        writer.close()
        await writer.wait_closed()
    assert [str(error) for error in failed] == ["a handler that fails"]


@pytest.fixture
def connect_sockets() -> Iterator[Any]:
    import socket

    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far
