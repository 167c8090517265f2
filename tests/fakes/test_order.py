"""What asyncio keeps in sets is in the order of its beginning: the same in every run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

import fakes

MANY = 30  # that they happen to be in order in memory is unlikely


async def wait_until_cancelled(number: int, ended: list[int]) -> None:
    try:
        await asyncio.sleep(1000)
    finally:
        ended.append(number)


async def tasks_left_at_the_end(ended: list[int]) -> None:
    tasks = [asyncio.create_task(wait_until_cancelled(number, ended)) for number in range(MANY)]
    await asyncio.sleep(1)
    asyncio.get_running_loop().kept = tasks  # type: ignore[attr-defined]


async def task_group(ended: list[int]) -> None:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("the others are cancelled")

    async with asyncio.TaskGroup() as group:
        for number in range(MANY):
            group.create_task(wait_until_cancelled(number, ended))
        group.create_task(fail())


async def wait_for_all(ended: list[int]) -> None:
    tasks = [asyncio.create_task(asyncio.sleep(1, number)) for number in range(MANY)]
    done, _ = await asyncio.wait(tasks)
    ended += [task.result() for task in done]


async def generators_left_at_the_end(ended: list[int]) -> None:
    async def count(number: int) -> AsyncIterator[int]:
        try:
            yield number
        finally:
            ended.append(number)

    generators = [count(number) for number in range(MANY)]
    for each in generators:
        await anext(each)
    asyncio.get_running_loop().kept = generators  # type: ignore[attr-defined]


async def connections_of_a_server(ended: list[int]) -> None:
    accepted: list[int] = []

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.number = len(accepted)
            accepted.append(self.number)

        def connection_lost(self, exc: Exception | None) -> None:
            ended.append(self.number)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Protocol, "localhost", 80)
    clients = [await loop.create_connection(asyncio.Protocol, "localhost", 80) for _ in range(MANY)]
    await asyncio.sleep(1)
    server.close_clients()  # type: ignore[attr-defined]  # since 3.13; here always
    await asyncio.sleep(1)
    server.close()
    assert len(clients) == MANY


@pytest.mark.parametrize(
    "program",
    [
        tasks_left_at_the_end,
        task_group,
        wait_for_all,
        generators_left_at_the_end,
        connections_of_a_server,
    ],
    ids=lambda program: program.__name__,
)
def test_it_is_the_order_of_the_beginning(
    program: Callable[[list[int]], Awaitable[None]],
) -> None:
    async def main() -> None:
        with contextlib.suppress(ExceptionGroup):
            await program(ended)

    ended: list[int] = []
    fakes.run(main())
    assert ended == list(range(MANY))


def test_tasks_are_asyncios() -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(1), name="one")
        assert isinstance(task, asyncio.Task)
        assert repr(task).startswith("<Task pending name='one' coro=<sleep()")
        assert len({task, asyncio.current_task()}) == 2
        await task

    fakes.run(main())


def test_the_traceback_of_a_tasks_source_ends_where_it_was_made() -> None:
    async def on_the_loop() -> None:
        task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
        assert f"created at {__file__}" in repr(task)
        await task

    fakes.run(on_the_loop(), debug=True)
