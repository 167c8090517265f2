"""Pipes through which a program talks to itself, and signals that it sends itself."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fakes


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Give the two ends of a pipe, which nobody else closes."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def test_a_loop_watches_a_pipe() -> None:
    """As Twisted's reactor, which wakes itself by one."""

    async def main() -> list[tuple[float, bytes]]:
        loop = asyncio.get_running_loop()
        read: list[tuple[float, bytes]] = []
        with pipe() as (one, other):
            loop.add_reader(one, lambda: read.append((loop.time(), os.read(one, 10))))
            os.write(other, b"now")
            loop.call_later(5, os.write, other, b"later")
            await asyncio.sleep(10)
            assert loop.remove_reader(one)
            assert not loop.remove_reader(one)
            os.write(other, b"nobody")
            await asyncio.sleep(10)
        return read

    assert fakes.run(main()) == [(0.0, b"now"), (5.0, b"later")]


def test_a_pipe_that_was_made_before_the_run() -> None:
    async def main(one: int, other: int) -> bytes:
        readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(one, readable.set)
        os.write(other, b"x")
        await readable.wait()
        asyncio.get_running_loop().remove_reader(one)
        return os.read(one, 10)

    with pipe() as (one, other):
        assert fakes.run(main(one, other)) == b"x"


def test_a_pipe_has_room_when_it_has_been_read() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        with pipe() as (one, other):
            os.set_blocking(other, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(other, bytes(1000))
            loop.add_writer(other, writable.set)
            loop.call_later(5, os.read, one, 100_000)
            await writable.wait()
            loop.remove_writer(other)
        return loop.time()

    assert fakes.run(main()) == 5.0


@pytest.mark.parametrize("in_executor", [False, True])
def test_a_thread_wakes_the_loop_by_a_pipe(in_executor: bool) -> None:
    """Virtual time does not run ahead of it, nor of what it has written before it waits."""

    async def main() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[bytes] = loop.create_future()
        seen = threading.Event()
        loop.call_later(0.001, int)
        with pipe() as (one, other):

            def wake() -> None:
                woken.set_result(os.read(one, 10))
                loop.remove_reader(one)
                seen.set()

            def work() -> None:
                sum(range(300_000))  # real work
                os.write(other, b"x")
                seen.wait()

            loop.add_reader(one, wake)
            if in_executor:
                await asyncio.to_thread(work)
            else:
                thread = threading.Thread(target=work)
                thread.start()
                await woken
                thread.join()
            return woken.result(), loop.time()

    assert fakes.run(main()) == (b"x", 0.0)


def test_a_pipe_that_nobody_reads_does_not_stop_the_clock() -> None:
    calls: list[int] = []

    async def main() -> None:
        with pipe() as (one, other):
            asyncio.get_running_loop().add_reader(one, calls.append, 1)
            os.write(other, b"x")
            await asyncio.sleep(5)
            os.read(one, 1)
            await asyncio.Event().wait()

    with pytest.raises(fakes.Deadlock, match=r"await asyncio\.Event\(\)\.wait"):
        fakes.run(main())
    assert len(calls) >= 100


def test_a_deadlock_names_a_pipe_that_is_watched_in_vain() -> None:
    async def main() -> None:
        with pipe() as (one, other):
            asyncio.get_running_loop().add_reader(one, int)
            os.write(other, b"x")
            await asyncio.Event().wait()

    with pytest.raises(fakes.Deadlock, match=r"is called in every turn, .* nothing to <pipe fd="):
        fakes.run(main())


def test_a_pipe_that_is_closed_while_it_is_watched() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pipe() as (one, _):
            copy = os.dup(one)
            loop.add_reader(copy, print)
            os.close(copy)
            await asyncio.sleep(5)
            loop.remove_reader(copy)

    fakes.run(main())


@pytest.mark.parametrize("deterministic", [False, True])
def test_transports_of_pipes(deterministic: bool) -> None:
    async def main() -> tuple[int, bytes, float]:
        loop = asyncio.get_running_loop()
        one, other = os.pipe()
        reader = asyncio.StreamReader()
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(one, "rb", 0)
        )
        writing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(other, "wb", 0))
        writing.write(bytes(300_000))
        received = len(await reader.readexactly(300_000))
        loop.call_later(5, writing.close)
        rest = await reader.read()
        reading.close()
        return received, rest, loop.time()

    assert fakes.run(main(), deterministic=deterministic) == (300_000, b"", 5.0)


def test_a_writer_notices_that_nobody_reads_any_more() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        one, other = os.pipe()
        lost: asyncio.Future[float] = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_lost(self, exc: Exception | None) -> None:
                lost.set_result(loop.time())

        await loop.connect_write_pipe(Protocol, os.fdopen(other, "wb", 0))
        loop.call_later(5, os.close, one)
        return await lost

    assert fakes.run(main()) == 5.0


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="Linux has it")
def test_an_eventfd() -> None:
    async def main() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        number = os.eventfd(0)
        read: list[tuple[float, int]] = []
        loop.add_reader(number, lambda: read.append((loop.time(), os.eventfd_read(number))))
        loop.call_later(5, os.eventfd_write, number, 3)
        await asyncio.sleep(10)
        loop.remove_reader(number)
        os.close(number)
        return read

    assert fakes.run(main()) == [(5.0, 3)]


def test_a_pipe_to_another_process_is_refused_by_name() -> None:
    async def main(output: Any) -> None:
        loop = asyncio.get_running_loop()
        refused = r"a pipe from or to another process, for which virtual time does not wait"
        with pytest.raises(fakes.NotSimulated, match=refused):
            loop.add_reader(output, print)
        with pytest.raises(fakes.NotSimulated, match=refused):
            await loop.connect_read_pipe(asyncio.Protocol, output)

    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        fakes.run(main(child.stdout))
        child.communicate(b"\n")


def test_what_watches_a_pipe_on_a_host_that_crashes() -> None:
    network = fakes.Network()
    host = network.host("server")
    calls: list[int] = []

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pipe() as (one, other):
            with host:
                loop.add_reader(one, calls.append, 1)
            host.crash()
            os.write(other, b"x")
            await asyncio.sleep(5)
        return loop.time()

    assert (fakes.run(main(), network=network), calls) == (5.0, [])


# --- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "send", [signal.raise_signal, lambda sig: os.kill(os.getpid(), sig)], ids=["raise", "kill"]
)
def test_a_program_sends_itself_a_signal(send: Callable[[int], object]) -> None:
    """As a test of a server's orderly end."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        seen: list[object] = []
        over = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, seen.append, "asked to end")
        loop.add_signal_handler(signal.SIGTERM, over.set)  # in place of the first
        loop.call_later(5, send, signal.SIGTERM)
        await over.wait()
        seen.append(loop.time())
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        return seen

    assert fakes.run(main()) == [5.0]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_thread_sends_a_signal() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, over.set)
        loop.call_later(1, int)
        await asyncio.to_thread(os.kill, os.getpid(), signal.SIGUSR1)
        await over.wait()
        return loop.time()

    assert fakes.run(main()) == 0.0


def test_a_loop_that_is_closed_has_no_signal_handlers() -> None:
    async def main() -> None:
        for sig in (signal.SIGUSR1, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sig, print)

    # A shell lets what it starts in the background ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fakes.run(main())
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_signals_that_nobody_can_handle() -> None:
    async def coroutine() -> None: ...

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="sig 9 cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, print)
        with pytest.raises(ValueError, match="invalid signal number 1000"):
            loop.add_signal_handler(1000, print)
        with pytest.raises(TypeError, match="sig must be an int"):
            loop.add_signal_handler("TERM", print)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            loop.add_signal_handler(signal.SIGTERM, coroutine)

    fakes.run(main())


def test_signals_belong_to_the_main_thread() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)

    thread = threading.Thread(target=lambda: fakes.run(main()))
    thread.start()
    thread.join()
