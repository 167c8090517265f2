"""A limit of virtual time: who still waits when it is over, and what is left to clean up."""

import asyncio
import re
import threading

import pytest

import fakes


async def poll() -> None:
    while True:  # noqa: ASYNC110  # it polls, that is the point
        await asyncio.sleep(7)


async def poll_in_a_task() -> None:
    await asyncio.create_task(poll(), name="poller")


@pytest.mark.parametrize("seed", [0, 1])
def test_it_names_who_still_waits_and_where(seed: int) -> None:
    with pytest.raises(fakes.TimeLimitExceeded) as caught:
        fakes.run(poll_in_a_task(), seed=seed, time_limit=3600)
    text = str(caught.value)
    assert text.startswith("the run has not ended after 3600 virtual seconds, 2 tasks are waiting:")
    assert "await asyncio.sleep(7)" in text
    assert "for the task poller" in text
    assert f'waits in poll, "{__file__}:' in text
    assert [task.get_name() for task in caught.value.tasks][1] == "poller"
    assert caught.value.limit == 3600


def test_what_ends_at_the_very_limit_has_ended() -> None:
    async def main() -> float:
        await asyncio.sleep(60)
        return asyncio.get_running_loop().time()

    assert fakes.run(main(), time_limit=60) == 60
    with pytest.raises(fakes.TimeLimitExceeded):
        fakes.run(main(), time_limit=59.999)


def test_a_deadlock_is_said_at_once() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(fakes.Deadlock):
        fakes.run(main(), time_limit=60)


def test_turns_that_take_time_count() -> None:
    """A program that never waits has no limit but this, if its turns take time."""

    async def main() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(fakes.TimeLimitExceeded, match=re.escape("await asyncio.sleep(0)")):
        fakes.run(main(), seed=1, turn_time=0.5, time_limit=60)


def test_the_network_counts() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: None, "localhost", 7)
        async with server:
            reader, writer = await asyncio.open_connection("localhost", 7)
            try:
                await reader.read()
            finally:
                writer.close()

    network = fakes.Network(link=fakes.Link(latency=100))
    with pytest.raises(fakes.TimeLimitExceeded, match="open_connection"):
        fakes.run(main(), network=network, time_limit=60)


def test_callbacks_without_a_task() -> None:
    loop = fakes.Loop(time_limit=60)

    def again() -> None:
        loop.call_later(1, again)

    again()
    with pytest.raises(fakes.TimeLimitExceeded, match=r"no task is waiting\n.*calls .*again") as e:
        loop.run_forever()
    assert " at 0x" not in str(e.value)
    assert loop.time() == 60
    loop.close()


def test_a_thread_that_waits_is_named() -> None:
    async def main() -> None:
        event = threading.Event()
        waiting = asyncio.ensure_future(asyncio.to_thread(event.wait))
        try:
            await poll()
        finally:
            event.set()
            await waiting

    with pytest.raises(fakes.TimeLimitExceeded, match=r"the thread asyncio_0 stands in"):
        fakes.run(main(), time_limit=60)


def test_clean_up_takes_its_time_but_not_forever() -> None:
    cleaned = []

    async def clean() -> None:
        try:
            await poll()
        finally:
            await asyncio.sleep(30)
            cleaned.append(asyncio.get_running_loop().time())

    with pytest.raises(fakes.TimeLimitExceeded):
        fakes.run(clean(), time_limit=60)
    assert cleaned == [90]

    over = False

    async def stubborn() -> None:
        while not over:
            try:
                await poll()
            except asyncio.CancelledError:
                continue

    loop = fakes.Loop(time_limit=60)
    task = loop.create_task(stubborn())
    for _ in range(2):
        with pytest.raises(fakes.TimeLimitExceeded, match="after 60 virtual seconds"):
            loop.run_until_complete(task)
        task.cancel()
    assert loop.time() == 120
    over = True
    loop.run_until_complete(task)
    loop.close()


def test_a_search_finds_the_seed_that_takes_too_long() -> None:
    async def main() -> None:
        if fakes.chance().random() > 0.5:
            await poll()

    with pytest.raises(fakes.Found) as found:
        fakes.search(main, seeds=20, time_limit=60)
    assert isinstance(found.value.__cause__, fakes.TimeLimitExceeded)
    assert 0 < len(found.value.report.failures) < 20
    places = {failure.place.rpartition(":")[0] for failure in found.value.report.failures.values()}
    assert places == {__file__}


def test_a_limit_that_is_none() -> None:
    with pytest.raises(ValueError, match="time_limit must be 0 or more seconds, not -1"):
        fakes.Loop(time_limit=-1)
