"""`Loop.always()` and `Loop.eventually()`."""

import asyncio
import pickle
import re

import pytest

import fakes


def running() -> fakes.Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, fakes.Loop)
    return loop


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


def test_what_is_always_so_is_looked_at_after_every_turn() -> None:
    async def main() -> None:
        taken = 0
        running().always("one holder", lambda: taken <= 1)
        server = await asyncio.start_server(echo, "localhost", 7)
        reader, writer = await asyncio.open_connection("localhost", 7)
        writer.write(b"hello")
        await reader.readexactly(5)
        writer.close()
        await asyncio.sleep(3)
        server.close()
        taken = 2
        await asyncio.sleep(0)
        taken = 0

    with pytest.raises(
        fakes.Violated, match=re.escape("'one holder' does not hold, at 3.000000 s")
    ) as found:
        fakes.run(main())
    assert (found.value.name, found.value.time) == ("one holder", 3.0)
    text = str(found.value)
    assert "DATA 5 bytes b'hello'" in text  # what crossed the wire
    assert "await reader.readexactly(5)" in text  # what ran


def test_a_check_may_assert() -> None:
    async def main(most: int) -> str:
        taken = [1, 2]

        def check() -> None:
            assert len(taken) <= most

        running().always("few", check)
        await asyncio.sleep(1)
        return "done"

    assert fakes.run(main(2)) == "done"
    with pytest.raises(fakes.Violated) as found:
        fakes.run(main(1))
    assert isinstance(found.value.__cause__, AssertionError)


def test_what_a_check_raises_otherwise_ends_the_run() -> None:
    async def main() -> None:
        running().always("broken", lambda: bool({"something": True}["nothing"]))
        await asyncio.sleep(1)

    with pytest.raises(KeyError):
        fakes.run(main())


async def leader(after: float, within: float, until: float) -> None:
    elected: list[str] = []
    running().eventually("a leader", lambda: elected, within=within)
    await asyncio.sleep(after)
    elected.append("a")
    await asyncio.sleep(0)
    elected.clear()  # it was so once
    await asyncio.sleep(until)


def test_what_comes_to_be_so_in_time() -> None:
    fakes.run(leader(after=5, within=10, until=100))


def test_what_does_not_come_to_be_so_in_time() -> None:
    with pytest.raises(fakes.Violated, match=re.escape("in time, at 10.000000 s")):
        fakes.run(leader(after=50, within=10, until=100))


def test_what_has_not_come_to_be_so_when_the_run_is_over() -> None:
    async def main() -> None:
        running().eventually("a leader", lambda: False, within=60)
        await asyncio.sleep(30)

    with pytest.raises(fakes.Violated, match=re.escape("before the run was over, at 30.000000 s")):
        fakes.run(main())


def test_a_violation_ends_a_run_in_which_nothing_else_happens() -> None:
    async def main() -> None:
        running().eventually("a leader", lambda: False, within=60)
        await asyncio.Event().wait()

    with pytest.raises(fakes.Violated, match=re.escape("in time, at 60.000000 s")):
        fakes.run(main())


def test_the_program_ends_in_order_after_a_violation() -> None:
    ended = []

    async def main() -> None:
        broken: list[int] = []
        running().always("whole", lambda: not broken)
        try:
            broken.append(1)
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            ended.append(running().time())

    with pytest.raises(fakes.Violated):
        fakes.run(main())
    assert ended == [1.0]


def test_a_violation_can_be_sent_between_processes() -> None:
    violated = fakes.Violated("whole", 1.5, "does not hold", "0.1 a line")
    copy = pickle.loads(pickle.dumps(violated))
    assert str(copy) == str(violated)
    assert copy.time == 1.5


def test_a_violation_names_the_tasks_as_the_whole_run_does() -> None:
    """It is recorded from the first check on, when some of them run already."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        broken: list[int] = []
        first = asyncio.create_task(asyncio.sleep(1))
        await asyncio.sleep(0)
        loop.always("it holds", lambda: not broken)  # type: ignore[attr-defined]

        async def break_it() -> None:
            await asyncio.sleep(0.5)
            broken.append(1)

        await asyncio.gather(first, break_it())

    for _ in range(2):
        with pytest.raises(fakes.Violated) as caught:
            fakes.run(main())
        assert "Task-3  test_invariants.py" in str(caught.value)
