"""What a seed decides: time for turns and threads, interruptions, a test's own chance."""

import asyncio
import contextlib
from collections.abc import Generator
from typing import Any

import pytest

import fakes


def updates_lost(seed: int, window: str, **times: Any) -> int:
    """Two clients of a service add one to a number; return how many of the two are lost."""

    async def main() -> int:
        stored = 0

        def store(value: int) -> None:
            nonlocal stored
            stored = value

        async def add(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            if window == "thread":
                value = await asyncio.to_thread(lambda: stored)
                await asyncio.to_thread(store, value + 1)
            else:
                value = stored
                await asyncio.sleep(0)
                store(value + 1)
            writer.close()

        async def client(after: float) -> None:
            await asyncio.sleep(after)
            reader, writer = await asyncio.open_connection("localhost", 7)
            writer.write(b"add\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(add, "localhost", 7)
        await asyncio.gather(client(0), client(0.005))
        server.close()
        return 2 - stored

    return fakes.run(main(), seed=seed, **times)


def seeds_that_lose(window: str, **times: Any) -> int:
    return sum(updates_lost(seed, window, **times) > 0 for seed in range(100))


def test_a_race_within_a_turn_is_found_if_turns_take_time() -> None:
    assert seeds_that_lose("turn") == 0
    assert seeds_that_lose("turn", turn_time=0.005) > 0


def test_a_race_of_threads_is_found_if_threads_take_time() -> None:
    assert seeds_that_lose("thread") == 0
    assert seeds_that_lose("thread", thread_time=0.02) > 0


@pytest.mark.parametrize("window", ["turn", "thread"])
def test_seed_0_takes_no_time(window: str) -> None:
    assert updates_lost(0, window, turn_time=1.0, thread_time=1.0) == 0


def test_threads_end_in_another_order_by_the_seed() -> None:
    async def main() -> list[int]:
        ended: list[int] = []

        async def work(number: int) -> None:
            await asyncio.to_thread(int)
            ended.append(number)

        await asyncio.gather(*map(work, range(4)))
        return ended

    orders = {tuple(fakes.run(main(), seed=s, thread_time=0.005)) for s in range(20)}
    assert len(orders) > 5
    assert fakes.run(main(), thread_time=0.005) == [0, 1, 2, 3]


def test_a_thread_takes_no_longer_than_it_may() -> None:
    async def main() -> float:
        for _ in range(100):
            await asyncio.to_thread(int)
        return asyncio.get_running_loop().time()

    assert 0.1 < fakes.run(main(), seed=1, thread_time=0.005) < 0.5


def test_times_are_not_negative() -> None:
    with pytest.raises(ValueError, match="turn_time must be 0 or more seconds, not -1"):
        fakes.Loop(turn_time=-1)


# --- a test's own chance --------------------------------------------------------------------------


def drawn(seed: int | str, name: str = "test") -> list[object]:
    async def main() -> list[object]:
        chance = fakes.chance(name)
        return [
            chance.random(),
            chance.integer(3, 5),
            chance.choose("abc"),
            chance.happens(0.5),
            chance.uniform(2, 4),
            chance.shuffled(range(5)),
        ]

    return fakes.run(main(), seed=seed)


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1) != drawn(1, "other")


def test_the_quietest_values() -> None:
    assert drawn("1/") == [0.0, 3, "a", False, 2.0, [0, 1, 2, 3, 4]]


def test_what_is_certain_happens_and_what_is_impossible_does_not() -> None:
    async def main() -> tuple[bool, bool]:
        chance = fakes.chance()
        return chance.happens(1), chance.happens(0)

    assert all(fakes.run(main(), seed=seed) == (True, False) for seed in range(1, 50))
    assert fakes.run(main(), seed="1/") == (True, False)


def test_some_draws_can_count_alone() -> None:
    async def main() -> list[float]:
        chance = fakes.chance()
        return [chance.random() for _ in range(5)]

    every = fakes.run(main(), seed=7)
    assert fakes.run(main(), seed="7/test test:1.3") == [0.0, every[1], 0.0, every[3], 0.0]


@pytest.mark.parametrize("seed", ["x", "7/arrival", "7/arrival:a", "/arrival:1", ""])
def test_a_seed_that_is_none(seed: str) -> None:
    with pytest.raises(ValueError, match="is not a seed"):
        fakes.Loop(seed=seed)


def test_chance_needs_a_simulated_network() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="no simulated network"):
            fakes.chance()
        with pytest.raises(RuntimeError, match="no simulated network"):
            await fakes.interrupted(asyncio.sleep(0))

    asyncio.run(main())


def test_a_name_of_chance_that_is_none() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="'a/b'"):
            fakes.chance("a/b")

    fakes.run(main())


# --- interrupted() --------------------------------------------------------------------------------


async def ten_awaits(progress: list[int]) -> str:
    for number in range(10):
        progress.append(number)
        await asyncio.sleep(0.1)
    return "done"


def test_a_coroutine_is_cancelled_at_any_await() -> None:
    ends = set()

    async def main() -> None:
        progress: list[int] = []
        try:
            ends.add((len(progress), await fakes.interrupted(ten_awaits(progress))))
        except TimeoutError:
            ends.add((len(progress), "cancelled"))

    for seed in range(200):
        fakes.run(main(), seed=seed)
    assert {at for at, end in ends if end == "cancelled"} == set(range(1, 11))
    assert "done" in {end for _, end in ends}


@pytest.mark.parametrize("seed", [0, "5/"])
def test_a_coroutine_is_not_cancelled_by_a_quiet_seed(seed: int | str) -> None:
    assert fakes.run(fakes.interrupted(ten_awaits([])), seed=seed) == "done"


def test_a_coroutine_that_catches_its_cancellation_returns() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "stayed"
        return "done"

    ends = {fakes.run(fakes.interrupted(stubborn()), seed=seed) for seed in range(60)}
    assert ends == {"stayed", "done"}


def test_its_caller_can_be_cancelled_too() -> None:
    async def main() -> str:
        task = asyncio.create_task(fakes.interrupted(asyncio.sleep(100)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return "cancelled" if task.cancelled() else "not"

    assert {fakes.run(main(), seed=seed) for seed in range(20)} == {"cancelled"}


def test_what_it_raises_comes_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError

    async def main() -> str:
        try:
            await fakes.interrupted(fail())
        except (KeyError, TimeoutError) as exc:
            return type(exc).__name__
        return "nothing"

    assert {fakes.run(main(), seed=seed) for seed in range(30)} <= {"KeyError", "TimeoutError"}


def test_other_awaitables_within_it() -> None:
    class Awaitable:
        def __await__(self) -> Generator[None, None, None]:
            yield
            yield

    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            await fakes.interrupted(wait())

    async def wait() -> None:
        await Awaitable()

    for seed in range(30):
        fakes.run(main(), seed=seed)
