"""The virtual-time loop: time, order, threads, deadlocks."""

import asyncio
import threading
import time

import pytest

import fakes


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


def test_deadlock_names_the_tasks_the_places_and_the_causes() -> None:
    async def waits_for_event() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(waits_for_event(), name="the waiting one")
        await task

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    message = str(caught.value)
    assert "2 tasks waiting" in message
    assert "the waiting one" in message
    assert "await asyncio.Event().wait()" in message
    assert __file__ in message
    assert "the task the waiting one" in message  # what main() waits for
    assert " at 0x" not in message  # the same in every run
    assert [task.get_name() for task in caught.value.tasks][1] == "the waiting one"


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


def test_signals_are_refused_by_name() -> None:
    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(2, print)

    with pytest.raises(fakes.NotSimulated, match="signals are not simulated"):
        fakes.run(main())
