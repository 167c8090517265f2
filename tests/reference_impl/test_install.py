"""`install()` and `uninstall()`."""

import asyncio
import asyncio.streams
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import reference_impl

NAMES = [
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
]


def namespace() -> Any:
    return {
        (module.__name__, name): value
        for module in (asyncio, asyncio.streams)
        for name, value in vars(module).items()
        if not name.startswith("__")
    }


@pytest.fixture(autouse=True)
def _restored() -> Iterator[Any]:
    before = namespace()
    yield
    assert namespace() == before


def test_install_and_uninstall() -> None:
    before = namespace()
    reference_impl.install()
    for name in NAMES:
        assert getattr(asyncio, name) is getattr(reference_impl, name)
        assert getattr(asyncio.streams, name) is getattr(reference_impl, name)
    assert asyncio.streams.FlowControlMixin is reference_impl.FlowControlMixin
    changed = {key for key, value in namespace().items() if before[key] is not value}
    assert len(changed) == 2 * len(NAMES) + 1
    reference_impl.uninstall()
    assert namespace() == before


def test_as_a_context_manager_also_when_it_fails() -> None:
    with pytest.raises(KeyError), reference_impl.install():
        dict.fromkeys([False])[asyncio.open_connection is reference_impl.open_connection]


def test_nested() -> None:
    with reference_impl.install():
        with reference_impl.install():
            pass
        assert asyncio.open_connection is reference_impl.open_connection
    with pytest.raises(RuntimeError, match="not installed"):
        reference_impl.uninstall()


def test_what_was_there_before_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = object()
    monkeypatch.setattr(asyncio, "open_connection", mine)
    with reference_impl.install():
        assert asyncio.open_connection is reference_impl.open_connection
    assert asyncio.open_connection is mine
    monkeypatch.undo()


async def test_a_library_that_calls_asyncio() -> None:
    async def handler(reader: Any, writer: Any) -> None:
        writer.write((await reader.readuntil((b"!", b"?"))).upper())
        await writer.drain()
        writer.close()

    with reference_impl.install():
        server = await asyncio.start_server(handler, "127.0.0.1", 0, keep_alive=True)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert isinstance(reader, reference_impl.StreamReader)
            assert isinstance(reader, asyncio.StreamReader)
            writer.write(b"hello?")
            assert await reader.read() == b"HELLO?"
            writer.close()
            await writer.wait_closed()


async def test_subprocesses() -> None:
    program = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('done')"
    with reference_impl.install():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert isinstance(process.stdout, reference_impl.StreamReader)
        assert isinstance(process.stdin, reference_impl.StreamWriter)
        process.stdin.write(b"x" * 1_000_000)
        await process.stdin.drain()
        output, errors = await process.communicate(b"hello")
    assert output == b"X" * 1_000_000 + b"HELLO"
    assert errors == b"done"
    assert process.returncode == 0


async def test_streams_of_a_subprocess_by_hand() -> None:
    program = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"
    with reference_impl.install():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=-1, stdout=-1
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for word, answer in ((b"abc\n", b"cba\n"), (b"12\n", b"21\n")):
            process.stdin.write(word)
            await process.stdin.drain()
            assert await process.stdout.readline() == answer
        process.stdin.close()
        await process.stdin.wait_closed()
        assert await process.stdout.read() == b""
        assert await process.wait() == 0


def test_asyncio_is_left_alone_on_import() -> None:
    assert asyncio.StreamReader.__module__ == "asyncio.streams"
    importlib.import_module("reference_impl._install")
    assert asyncio.StreamReader.__module__ == "asyncio.streams"
