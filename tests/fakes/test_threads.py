"""Threads beside the simulation: who waits for whom, and what is said of a wait that lasts."""

import asyncio
import concurrent.futures
import os
import queue
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import fakes
from fakes._loop import standing, threads


def test_a_job_waits_for_what_the_loop_does_later() -> None:
    async def main() -> tuple[str, float]:
        items: queue.Queue[str] = queue.Queue()
        loop = asyncio.get_running_loop()
        loop.call_later(60, items.put, "an item")
        return await asyncio.to_thread(items.get), loop.time()

    assert fakes.run(main()) == ("an item", 60.0)


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, queue.LifoQueue])
def test_a_consumer_and_a_producer_in_threads(kind: Callable[[], Any]) -> None:
    async def main() -> list[int]:
        items = kind()
        consumers = [asyncio.to_thread(items.get) for _ in range(3)]
        tasks = [asyncio.create_task(each) for each in consumers]
        await asyncio.sleep(1)
        for number in range(3):
            await asyncio.to_thread(items.put, number)
        return sorted(await asyncio.gather(*tasks))

    assert fakes.run(main()) == [0, 1, 2]


def test_a_lock_that_the_loop_lets_go() -> None:
    async def main() -> float:
        lock = threading.Lock()
        lock.acquire()

        def job() -> None:
            with lock:
                pass

        asyncio.get_running_loop().call_later(5, lock.release)
        await asyncio.to_thread(job)
        return asyncio.get_running_loop().time()

    assert fakes.run(main()) == 5.0


def test_virtual_time_does_not_run_ahead_of_a_thread_at_work() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        at_work = threading.Event()

        def thread() -> None:
            at_work.set()
            sum(range(3_000_000))  # real work
            loop.call_soon_threadsafe(answer.set_result, "in time")

        threading.Thread(target=thread).start()
        at_work.wait()
        async with asyncio.timeout(0.001):
            return await answer, loop.time()

    assert fakes.run(main()) == ("in time", 0.0)


def test_a_thread_that_was_there_before_and_has_ended_does_not_count() -> None:
    over = threading.Event()
    before = threading.Thread(target=over.wait)
    before.start()

    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        over.set()
        before.join()

        def thread() -> None:
            sum(range(3_000_000))  # real work
            loop.call_soon_threadsafe(answer.set_result, "in time")

        threading.Thread(target=thread).start()
        async with asyncio.timeout(0.001):
            return await answer, loop.time()

    assert fakes.run(main()) == ("in time", 0.0)


def tick() -> None:
    asyncio.get_running_loop().call_later(0.1, tick)


def test_virtual_time_does_not_run_ahead_of_a_job_that_has_called_the_loop() -> None:
    """As a2wsgi's, each of which calls the loop with every part of its response."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        tick()

        def job() -> None:
            for _ in range(10):
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
                sum(range(100_000))  # real work

        await asyncio.to_thread(job)
        return loop.time()

    assert fakes.run(main()) == 0.0


def test_a_call_that_a_job_makes_before_it_waits_is_not_late() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        tick()
        times: list[float] = []

        def job() -> None:
            for _ in range(50):
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
                time.sleep(0.25)
                times.append(time.monotonic())

        await asyncio.to_thread(job)
        return times

    assert fakes.run(main(), deterministic=True) == [0.25 * (1 + each) for each in range(50)]


def test_a_job_that_asks_again_and_again_for_an_answer_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop cannot know that it waits, and goes on after a while."""
    monkeypatch.setattr(threads, "LONG", 0.05)

    async def main() -> int:
        loop = asyncio.get_running_loop()

        def job() -> int:
            answer = asyncio.run_coroutine_threadsafe(asyncio.sleep(10, 42), loop)
            while not answer.done():
                time.sleep(0.001)
            return answer.result()

        return await asyncio.to_thread(job)

    assert fakes.run(main()) == 42


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("thread_time", [0.0, 0.1])
def test_jobs_queue_behind_one_that_waits_for_the_loop(
    deterministic: bool, thread_time: float
) -> None:
    """As those of asgiref's thread for code that is sensitive to threads."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()

        async def answer(number: int) -> int:
            await asyncio.sleep(5)
            return number

        def ask(number: int) -> int:
            if deterministic:
                time.sleep(1)
            return asyncio.run_coroutine_threadsafe(answer(number), loop).result()

        with concurrent.futures.ThreadPoolExecutor(1) as one_thread:
            jobs = [loop.run_in_executor(one_thread, ask, number) for number in range(3)]
            return await asyncio.gather(*jobs)

    ran = fakes.run(main(), seed=1, thread_time=thread_time, deterministic=deterministic)
    assert ran == [0, 1, 2]


def test_a_real_loop_in_a_thread_has_real_time() -> None:
    """Its timers wait in `select()`, which takes real time."""

    async def main() -> tuple[int, float]:
        answer = await asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(0.01, 42)))
        return answer, asyncio.get_running_loop().time()

    assert fakes.run(main(), deterministic=True) == (42, 0.0)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("made_here", [False, True])
def test_a_real_loop_that_has_nothing_to_do_does_not_hold_virtual_time(
    made_here: bool, deterministic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As dramatiq's, which runs a task now and then. It waits for a call from another thread."""

    async def main() -> tuple[int, float]:
        loops: queue.Queue[asyncio.AbstractEventLoop] = queue.Queue()
        own = asyncio.new_event_loop() if made_here else None

        def run() -> None:
            loop = own or asyncio.new_event_loop()
            loops.put(loop)
            loop.run_forever()
            loop.close()

        thread = threading.Thread(target=run)
        thread.start()
        other = loops.get()
        await asyncio.sleep(10)
        future = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, 42), other)
        answer = await asyncio.wait_for(asyncio.wrap_future(future), 0.001)
        await asyncio.sleep(10)
        other.call_soon_threadsafe(other.stop)
        thread.join()
        return answer, asyncio.get_running_loop().time()

    with caplog.at_level("WARNING", "fakes"):
        assert fakes.run(main(), deterministic=deterministic) == (42, 20.0)
    assert not caplog.records


@pytest.mark.skipif(not hasattr(select, "poll"), reason="not on Windows")
def test_a_thread_that_waits_for_a_pipe_does_not_hold_virtual_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As watchdog's, which waits for files and for a pipe that ends it."""

    async def main() -> float:
        one, other = os.pipe()
        poll = select.poll()
        poll.register(one, select.POLLIN)
        thread = threading.Thread(target=poll.poll)
        thread.start()
        await asyncio.sleep(10)
        os.write(other, b"x")
        thread.join()
        os.close(one)
        os.close(other)
        return asyncio.get_running_loop().time()

    with caplog.at_level("WARNING", "fakes"):
        assert fakes.run(main()) == 10.0
    assert not caplog.records


@pytest.mark.skipif(standing.READ is None, reason="the number of read() is unknown")
@pytest.mark.parametrize("line", [False, True])
def test_a_thread_that_reads_a_pipe_does_not_hold_virtual_time(
    line: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As a server of pygls's that reads requests from a pipe."""

    async def main() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        one, other = os.pipe()
        read: asyncio.Future[bytes] = loop.create_future()

        def serve() -> None:
            with open(one, "rb") as file:
                data = file.readline() if line else os.read(one, 10)
            loop.call_soon_threadsafe(read.set_result, data)

        thread = threading.Thread(target=serve)
        thread.start()
        loop.call_later(10, os.write, other, b"x\n")
        loop.call_later(10.001, int)
        result = await read
        thread.join()
        os.close(other)
        return result, loop.time()

    with caplog.at_level("WARNING", "fakes"):
        assert fakes.run(main()) == (b"x\n", 10.0)
    assert not caplog.records


def test_virtual_time_does_not_run_ahead_of_a_process_whose_output_a_thread_reads() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.001, int)

        def job() -> str:
            return subprocess.run(
                [sys.executable, "-c", "print('hello')"], capture_output=True, text=True
            ).stdout

        answer = loop.create_future()
        thread = threading.Thread(
            target=lambda: loop.call_soon_threadsafe(answer.set_result, job())
        )
        thread.start()
        return await answer, loop.time()

    assert fakes.run(main()) == ("hello\n", 0.0)


def test_threads_that_ask_again_and_again_see_all_that_the_loop_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "LONG", 3600)

    async def main() -> tuple[int, list[float]]:
        loop = asyncio.get_running_loop()
        seen: list[float] = []
        asked, answered = threading.Event(), threading.Event()

        async def answer() -> int:
            for _ in range(20):
                await asyncio.sleep(1)
            return 42

        def job() -> int:
            future = asyncio.run_coroutine_threadsafe(answer(), loop)
            while not future.done():
                time.sleep(0.001)
            seen.append(loop.time())
            return future.result()

        def thread() -> None:
            while not asked.is_set():
                time.sleep(0.001)
            seen.append(loop.time())
            loop.call_soon_threadsafe(answered.set)

        result = await asyncio.to_thread(job)
        other = threading.Thread(target=thread)
        other.start()
        loop.call_later(10, asked.set)
        while not answered.is_set():  # noqa: ASYNC110  # time has to pass
            await asyncio.sleep(3)
        seen.append(loop.time())
        other.join()
        return result, seen

    assert fakes.run(main()) == (42, [20.0, 30.0, 32.0])


def test_a_thread_that_asks_in_vain_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no deadlock: the thread may give up by itself."""
    monkeypatch.setattr(threads, "LONG", 0.3)

    async def main() -> None:
        def ask(records: list[Any] = caplog.handler.records) -> None:
            while not records:
                time.sleep(0.001)

        await asyncio.to_thread(ask)

    with caplog.at_level("WARNING", "fakes"):
        fakes.run(main())
    assert "virtual time stands still: asyncio_0 stands in" in caplog.text
    assert ".ask" in caplog.text


def test_a_thread_that_sleeps_a_few_times_is_at_work() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def thread() -> None:
            for _ in range(threads.NAPS - 1):
                time.sleep(0.001)
            loop.call_soon_threadsafe(answer.set_result, "in time")

        threading.Thread(target=thread).start()
        async with asyncio.timeout(0.001):
            return await answer, loop.time()

    assert fakes.run(main()) == ("in time", 0.0)


def test_a_thread_that_serves_requests_of_the_loop() -> None:
    """As aiosqlite's: it takes functions from a queue, and answers by `call_soon_threadsafe()`."""

    async def main() -> tuple[list[int], float]:
        loop = asyncio.get_running_loop()
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def serve() -> None:
            while (request := requests.get()) is not None:
                future, number = request
                loop.call_soon_threadsafe(future.set_result, number * number)

        worker = threading.Thread(target=serve)
        worker.start()
        answers = []
        for number in range(100):
            future: asyncio.Future[int] = loop.create_future()
            requests.put((future, number))
            answers.append(await asyncio.wait_for(future, 0.001))
        requests.put(None)
        worker.join()
        return answers, loop.time()

    assert fakes.run(main()) == ([number * number for number in range(100)], 0.0)


def test_a_loop_in_a_thread_of_its_own() -> None:
    loop = fakes.Loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def wait(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return loop.time()

    try:
        assert asyncio.run_coroutine_threadsafe(wait(10), loop).result() == 10.0
        assert asyncio.run_coroutine_threadsafe(wait(10), loop).result() == 20.0
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_threads_that_wait_for_each_other_are_a_deadlock() -> None:
    items: queue.Queue[str] = queue.Queue()

    async def main() -> None:
        await asyncio.to_thread(items.get)

    with pytest.raises(
        fakes.Deadlock, match=r"1 task is waiting:(.|\n)*the thread asyncio_0 stand"
    ):
        fakes.run(main())
    items.put("or this process would never end")


@pytest.mark.parametrize(
    ("made", "where"),
    [(queue.Queue, r"Queue.get, "), (queue.SimpleQueue, r"SimpleQueue\.get\(\)")],
)
def test_a_thread_that_outlives_the_run_is_reported(
    made: Any, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    items = made()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(items.get), 5)

    with caplog.at_level("WARNING", "fakes"):
        fakes.run(main())
    items.put("or this process would never end")
    assert re.search(
        rf"when the simulation has ended, and the process does not end before it: asyncio_0 stands "
        rf"in {where}",
        caplog.text,
    )


def test_a_future_that_nobody_resolves() -> None:
    future: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def main() -> None:
        await asyncio.to_thread(future.result)

    with pytest.raises(fakes.Deadlock, match=r"the thread asyncio_0 stands in"):
        fakes.run(main())
    future.set_result(None)


def test_a_long_wait_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "LONG", 0.0)

    async def main() -> None:
        def job(records: list[Any] = caplog.handler.records) -> None:
            while not records:
                pass  # at work until it is reported

        await asyncio.to_thread(job)

    with caplog.at_level("WARNING", "fakes"):
        fakes.run(main())
    assert "virtual time stands still: asyncio_0 stands in" in caplog.text
    assert "test_a_long_wait_is_reported" in caplog.text
