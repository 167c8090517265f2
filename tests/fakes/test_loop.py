"""The virtual-time loop: time, order, threads, deadlocks."""

import asyncio
import concurrent.futures
import contextlib
import importlib
import math
import os
import re
import socket
import sys
import threading
import time
import traceback
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fakes
from fakes._loop import virtual


def test_time_starts_at_zero_and_jumps() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert loop.time() == 0.0
        await asyncio.sleep(86400)
        return loop.time()

    before = time.monotonic()
    assert fakes.run(main()) == 86400.0
    assert time.monotonic() - before < 60  # a day has not passed


def test_timers_of_one_time_run_in_the_order_of_their_calls() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        for number in range(50):
            loop.call_at(1.0, seen.append, number)
        await asyncio.sleep(1)
        return seen

    assert fakes.run(main()) == list(range(50))


def test_settled_once_nothing_is_left_to_run_at_this_instant() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, fakes.Loop)
        assert loop.is_settled()
        (_, writer), (reader, other) = await fakes.open_stream_pair()
        writer.write(b"x")
        ran: list[str] = []
        loop.call_soon(loop.call_soon, ran.append, "soon")
        loop.call_at(loop.time(), ran.append, "at")
        loop.call_later(1, ran.append, "later")
        loop.call_soon_threadsafe(ran.append, "from a thread")
        turns = 0
        while not loop.is_settled():
            turns += 1
            await asyncio.sleep(0)
        assert (sorted(ran), loop.time()) == (["at", "from a thread", "soon"], 0.0)
        assert 1 < turns < 10
        reading = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        assert reading.done()  # it had arrived
        for each in (writer, other):
            each.close()
            await each.wait_closed()

    fakes.run(main())


@pytest.mark.parametrize("what", ["callback", "timer", "call", "arrival"])
def test_not_settled_while_something_is_due(what: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, fakes.Loop)
        one, other = loop.network.socketpair()
        with one, other:
            if what == "callback":
                loop.call_soon(print)
            elif what == "timer":
                loop.call_at(loop.time(), print)
            elif what == "call":
                loop.call_soon_threadsafe(print)
            else:
                loop.add_reader(other, print)
                one.send(b"x")
            assert not loop.is_settled()
            loop.remove_reader(other)

    fakes.run(main())


def test_deadlock_names_the_tasks_the_places_and_the_causes() -> None:
    async def waits_for_event() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(waits_for_event(), name="the waiting one")
        await task

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    message = str(caught.value)
    assert "2 tasks are waiting:" in message
    assert "the waiting one" in message
    assert "await asyncio.Event().wait()" in message
    assert __file__ in message
    assert "the task the waiting one" in message  # what main() waits for
    assert " at 0x" not in message  # the same in every run
    assert [task.get_name() for task in caught.value.tasks][1] == "the waiting one"


def test_a_deadlock_names_the_line_of_the_program_and_that_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with anyio, whose own line says nothing."""
    library = tmp_path / "site-packages" / "library_of_waits.py"
    library.parent.mkdir()
    library.write_text("async def wait(event):\n    await event.wait()\n")
    monkeypatch.syspath_prepend(library.parent)
    wait = importlib.import_module("library_of_waits").wait

    async def main() -> None:
        await wait(asyncio.Event())

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    message = str(caught.value)
    line = main.__code__.co_firstlineno + 1
    assert f'main, "{__file__}:{line}"\n      await wait(asyncio.Event())' in message
    assert f'by way of wait, "{library}:2"\n    for Event.wait() of' in message


def test_a_deadlock_names_the_call_of_the_loop_and_its_socket() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        with one, other:
            await loop.sock_recv(one, 1)

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    assert "await loop.sock_recv(one, 1)" in str(caught.value)
    assert "for sock_recv() of <fakes.Socket fd=1048577 " in str(caught.value)


@pytest.mark.parametrize("limit", [None, 60])
def test_the_traceback_ends_where_the_first_task_waits(limit: float | None) -> None:
    async def waits() -> None:
        if limit is not None:
            await asyncio.sleep(limit + 1)
        await asyncio.Event().wait()

    async def main() -> None:
        await waits()

    with pytest.raises((fakes.Deadlock, fakes.TimeLimitExceeded)) as caught:
        fakes.run(main(), time_limit=limit)
    *_, before, last = traceback.extract_tb(caught.value.__traceback__)
    assert before.line == "await waits()"
    assert last.line == f"await asyncio.{'Event().wait()' if limit is None else 'sleep(limit + 1)'}"


def test_a_deadlock_names_what_a_gather_waits_for_and_a_task_that_has_failed() -> None:
    """The failure is why the others wait: nobody else would tell of it before the end."""

    async def fails() -> None:
        raise ValueError("broken")

    async def main() -> None:
        task = asyncio.create_task(fails(), name="the broken one")
        try:
            await asyncio.gather(asyncio.Event().wait(), asyncio.sleep(1))
        finally:
            assert task.exception()  # after the deadlock: asyncio need not report it

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    message = str(caught.value)
    assert re.search(r"for gather\(\) of Task-\d\n", message)
    line = fails.__code__.co_firstlineno + 1
    assert f'the broken one has failed at "{__file__}:{line}", and nobody awaits it: ' in message
    assert "ValueError('broken')" in message


def test_a_program_that_never_waits_is_reported_and_time_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(virtual, "BUSY", 2000)

    async def main(seconds: float) -> float:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.call_later(seconds, over.set)
        await asyncio.to_thread(sum, range(100_000))
        while not over.is_set():  # noqa: ASYNC110  # that is the mistake
            await asyncio.sleep(0)
        return loop.time()

    with caplog.at_level("WARNING", "fakes"):
        assert fakes.run(main(3600)) == 3600.0
        with pytest.raises(fakes.TimeLimitExceeded, match=r"await asyncio\.sleep\(0\)"):
            fakes.run(main(3600), time_limit=60)
        with pytest.raises(fakes.TimeLimitExceeded, match=r"await asyncio\.sleep\(0\)"):
            fakes.run(main(math.inf), time_limit=60)
    records = [record for record in caplog.records if record.name == "fakes"]
    assert len(records) == 3
    for record in records:
        assert "not waited for 2,000 turns" in record.getMessage()
        assert f'main, "{__file__}:' in record.getMessage()
        assert record.getMessage().endswith(": await asyncio.sleep(0)")


def test_a_busy_program_does_not_overtake_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "BUSY", 2000)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(3600, int)
        job = loop.run_in_executor(None, sum, range(3_000_000))
        while not job.done():  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)
        return loop.time()

    assert fakes.run(main()) == 0.0


def test_a_callback_that_sleeps_makes_others_late() -> None:
    """It sleeps in real time, too, unless the run is deterministic."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        ran: list[float] = []
        loop.call_later(0.001, lambda: ran.append(loop.time()))
        time.sleep(0.01)  # noqa: ASYNC251  # that is the mistake
        await asyncio.sleep(0)
        return ran

    assert fakes.run(main()) == [0.01]


def test_debug_mode_reports_a_callback_that_sleeps_in_virtual_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        time.sleep(5)  # noqa: ASYNC251  # that is the mistake

    fakes.run(main(), deterministic=True, debug=True)
    assert "took 5.000 seconds" in caplog.text


def test_a_program_that_only_sleeps_in_the_loop_reaches_the_time_limit() -> None:
    async def main() -> None:
        while True:
            time.sleep(10)  # noqa: ASYNC251  # that is the mistake
            await asyncio.sleep(0)

    with pytest.raises(fakes.TimeLimitExceeded):
        fakes.run(main(), time_limit=60, deterministic=True)


def test_a_thread_takes_no_virtual_time_and_answers_come_in_order() -> None:
    async def main() -> tuple[list[int], float]:
        release = threading.Event()
        done: list[int] = []

        def job(number: int) -> int:
            if number == 0:
                release.wait()
            else:
                release.set()
            return number

        async def call(number: int) -> None:
            done.append(await asyncio.to_thread(job, number))

        async with asyncio.TaskGroup() as group:
            group.create_task(call(0))
            group.create_task(call(1))
        return done, asyncio.get_running_loop().time()

    assert fakes.run(main()) == ([0, 1], 0.0)


def test_any_thread_may_call() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def thread() -> None:
            time.sleep(0.05)
            loop.call_soon_threadsafe(answer.set_result, "from a thread")

        worker = threading.Thread(target=thread)
        worker.start()
        try:
            return await answer  # nothing else can happen, and yet it is no deadlock
        finally:
            worker.join()

    assert fakes.run(main()) == "from a thread"


def test_coroutines_can_be_run_from_a_thread() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()

        async def double(number: int) -> int:
            await asyncio.sleep(10)
            return 2 * number

        def thread() -> int:
            return asyncio.run_coroutine_threadsafe(double(21), loop).result()

        return await asyncio.to_thread(thread)

    assert fakes.run(main()) == 42


@pytest.mark.parametrize(
    "factory", [None, lambda loop, coro, **given: asyncio.Task(coro, loop=loop)]
)
def test_tasks_have_the_names_that_they_have_in_a_process_of_their_own(factory: Any) -> None:
    """asyncio counts through all loops, so that a second run would have other names."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        made = [loop.create_task(asyncio.sleep(0), name=name) for name in (None, "mine", None)]
        await asyncio.wait(made)
        return [task.get_name() for task in made]

    for _ in range(2):
        assert fakes.run(main()) == ["Task-2", "mine", "Task-3"]


def test_an_idle_thread_of_an_executor_is_no_reason_to_wait() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            assert await loop.run_in_executor(pool, lambda: 1) == 1
            await loop.create_future()

    with pytest.raises(fakes.Deadlock):
        fakes.run(main())


def test_an_error_in_a_thread_is_raised() -> None:
    async def main() -> None:
        await asyncio.to_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        fakes.run(main())


def test_readers_and_writers() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        seen: list[bytes] = []
        loop.add_reader(other, lambda: seen.append(other.recv(2)))
        one.send(b"abcd")
        await asyncio.sleep(1)
        assert seen == [b"ab", b"cd"]
        assert loop.remove_reader(other)
        assert not loop.remove_reader(other)
        writable = asyncio.Event()
        loop.add_writer(one, writable.set)
        await writable.wait()
        loop.remove_writer(one)
        one.close()
        other.close()

    fakes.run(main())


def test_time_goes_on_while_a_watch_leaves_its_socket_as_it_is() -> None:
    async def main() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        calls: list[float] = []
        one, other = fakes.open_socket_pair()
        loop.add_reader(other, lambda: calls.append(loop.time()))
        one.send(b"never read")
        await asyncio.sleep(5)
        assert await asyncio.to_thread(int, "7") == 7
        await asyncio.sleep(5)
        assert {0.0, 5.0, 10.0} == set(calls)
        loop.remove_reader(other)
        before = len(calls)
        await asyncio.sleep(5)
        assert len(calls) == before
        one.close()
        other.close()
        return loop.time(), len(calls)

    runs = [fakes.run(main()) for _ in range(2)]
    assert runs[0] == runs[1]  # to the number of calls
    assert runs[0][0] == 15.0


def test_deadlock_names_the_watch_that_leaves_its_socket_as_it_is() -> None:
    sock: fakes.Socket

    def looks_only() -> None:
        with contextlib.suppress(BlockingIOError):
            sock.recv(1, socket.MSG_PEEK)

    def finds_the_end() -> None:
        assert sock.recv(1) == b""

    async def main(watch: str, callback: Callable[[], None]) -> None:
        nonlocal sock
        sock, other = fakes.open_socket_pair()
        with sock, other:
            getattr(asyncio.get_running_loop(), watch)(sock, callback)
            if callback is looks_only:
                other.send(b"x")
            else:
                other.shutdown(socket.SHUT_WR)
            await asyncio.Event().wait()

    for watch, callback in (
        ("add_reader", looks_only),
        ("add_reader", finds_the_end),
        ("add_writer", looks_only),
    ):
        with pytest.raises(fakes.Deadlock) as caught:
            fakes.run(main(watch, callback))
        message = str(caught.value)
        assert "1 task is waiting:" in message
        assert f"{callback.__name__}>\n    is called in every turn, and does nothing to" in message
        assert (
            "<fakes.Socket fd=1048577 family=AF_INET laddr=('127.0.0.1', 32768) raddr=" in message
        )
        assert " at 0x" not in message


def test_deadlock_does_not_name_a_watch_that_is_over() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        with one, other:
            loop.add_writer(one, loop.remove_writer, one)
            await asyncio.Event().wait()

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    assert "is called in every turn" not in str(caught.value)


@pytest.mark.parametrize("own", [True, False], ids=["its own socket", "another"])
def test_a_watch_that_does_something_has_all_its_calls_before_time_goes_on(own: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        far, near = fakes.open_socket_pair()
        sizes: list[int] = []

        def byte_by_byte() -> None:
            sizes.append(len(other.recv(1)) if own else far.send(b"x"))
            if len(sizes) == 1000:
                loop.remove_reader(other)
                done.set_result(loop.time())

        done = loop.create_future()
        loop.add_reader(other, byte_by_byte)
        one.send(bytes(1000))
        timer = loop.call_later(1, done.cancel)
        assert await done == 0.0
        timer.cancel()
        assert sizes == [1] * 1000
        for sock in (one, other, far, near):
            sock.close()

    fakes.run(main())


def test_a_watch_that_waits_for_a_timer_is_called_at_its_time() -> None:
    """Between one timer and the next it has its turns again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = fakes.open_socket_pair()
        allowed = False
        read: list[tuple[float, bytes]] = []

        def if_allowed() -> None:
            if allowed:
                read.append((loop.time(), other.recv(9)))

        def allow() -> None:
            nonlocal allowed
            allowed = True

        loop.add_reader(other, if_allowed)
        one.send(b"x")
        loop.call_later(5, allow)
        loop.call_later(6, int)
        await asyncio.sleep(7)
        assert read == [(5.0, b"x")]
        one.close()
        other.close()

    fakes.run(main())


def test_what_is_not_simulated_is_refused_by_name() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(fakes.NotSimulated, match="nest_asyncio would replace the methods"):
            hasattr(loop, "_nest_patched")
        with pytest.raises(fakes.NotSimulated, match="subprocesses are not simulated"):
            await asyncio.create_subprocess_exec("true")
        with pytest.raises(fakes.NotSimulated, match="a real socket, connected"):
            await asyncio.open_connection(sock=real)
        with pytest.raises(fakes.NotSimulated, match=f"{device}, a real device .* not a socket of"):
            loop.add_reader(device, print)

    real, other = socket.socketpair()
    device = os.open(os.devnull, os.O_RDONLY)
    with real, other, open(device):
        fakes.run(main())


def test_the_loop_serves_runner_and_unittest() -> None:
    class Case(unittest.IsolatedAsyncioTestCase):
        loop_factory = fakes.Loop

        async def test(self) -> None:
            await asyncio.sleep(1000)
            assert asyncio.get_running_loop().time() == 1000

    result = unittest.TestResult()
    if sys.version_info >= (3, 13):  # the version that brought the hook
        Case("test").run(result)
        assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    with asyncio.Runner(loop_factory=fakes.Loop) as runner:
        runner.run(asyncio.sleep(1))
        assert runner.get_loop().time() == 1


def test_a_timer_that_finds_itself_too_early_does_not_stop_the_clock() -> None:
    """As a protocol that computes when a packet is lost, and is off by a rounding error."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        late = loop.create_future()

        def look() -> None:
            if loop.time() > 0.3:
                late.set_result(loop.time())
            else:
                loop.call_at(0.3, look)

        loop.call_at(0.3, look)
        time: float = await late
        return time

    assert fakes.run(main()) == pytest.approx(0.3, abs=1e-5)


def test_two_loops_in_two_threads_on_one_network_are_refused() -> None:
    network = fakes.Network()
    running, over = threading.Event(), threading.Event()

    async def hold() -> None:
        running.set()
        over.wait()

    async def main() -> None:
        pass

    thread = threading.Thread(target=lambda: fakes.run(hold(), network=network))
    thread.start()
    running.wait()
    ways: list[Callable[[], object]] = [
        lambda: fakes.Loop(network=network),
        lambda: fakes.network_loop(asyncio.SelectorEventLoop, network)(),
    ]
    for make in ways:
        with pytest.raises(RuntimeError, match=r"another event loop, still open: .* of its own"):
            make()
    over.set()
    thread.join()
    fakes.run(main(), network=network)
