"""Many connections in one simulated network: what each costs in time and in memory.

    python benchmarks/scale.py [--connections 10 --connections 100] [--day 1000] [--json FILE]

Three measurements, on `asyncio`'s streams over the fakes:

* N connections are opened and stay open together; then each exchanges ten messages (a round trip
  each), all of them at the same time; then each ten messages more, ten connections at a time, while
  the others are idle; then all are closed. This is repeated until each row of the table has made as
  many connections and round trips as the others. Beside it, what the interpreter makes of as many
  tasks without any network: N pairs of tasks that exchange messages through `asyncio.Queue`, on
  asyncio's own loop.
* The memory that an idle connection holds: both ends, with their transports and streams.
* A simulated day of clients that poll a server every ten minutes, each over a connection of its own
  that stays open.

The times are the processor's, so that what else the machine does counts little; the rows take
turns, and the least time of several rounds counts, for each column.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import platform
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import click

import fakes

MESSAGES = 10
PORT = 8989


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


Connections = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


async def open_many(count: int) -> Connections:
    """Open connections, a hundred attempts at a time: the server's backlog."""
    connections: Connections = []
    while len(connections) < count:
        attempts = min(100, count - len(connections))
        connections += await asyncio.gather(
            *(asyncio.open_connection("10.0.0.2", PORT) for _ in range(attempts))
        )
    return connections


def a_network() -> fakes.Network:
    """Return a network with a server's host."""
    network = fakes.Network()
    network.host("server", "10.0.0.2")
    return network


async def serve(network: fakes.Network) -> asyncio.Server:
    """Start the server on its host."""
    with network.host("server"):
        return await asyncio.start_server(echo, None, PORT)


def exchange(count: int, times: int) -> dict[str, float]:
    """Return seconds for each part of what is done with `count` connections, `times` times."""
    network = a_network()
    seconds = dict.fromkeys(("open", "message", "message, ten at a time", "close"), 0.0)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(MESSAGES):
            writer.write(b"ping")
            await reader.readexactly(4)

    async def once() -> None:
        with timed(seconds, "open"):
            connections = await open_many(count)
        with timed(seconds, "message"):
            await asyncio.gather(*(talk(*connection) for connection in connections))
        with timed(seconds, "message, ten at a time"):
            for start in range(0, count, 10):
                some = connections[start : start + 10]
                await asyncio.gather(*(talk(*connection) for connection in some))
        with timed(seconds, "close"):
            for _, writer in connections:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for _, writer in connections))

    async def main() -> None:
        server = await serve(network)
        for _ in range(times):
            await once()
        server.close()

    fakes.run(main(), network=network)
    return seconds


def exchange_by_queues(count: int, times: int) -> dict[str, float]:
    """Return the seconds that as many messages take between tasks, without a network."""
    Queue = asyncio.Queue[bytes]
    seconds = {"message, no network": 0.0}

    async def answer(questions: Queue, answers: Queue) -> None:
        while True:
            answers.put_nowait(await questions.get())

    async def talk(questions: Queue, answers: Queue) -> None:
        for _ in range(MESSAGES):
            questions.put_nowait(b"ping")
            await answers.get()

    async def main() -> None:
        pairs = [(Queue(), Queue()) for _ in range(count)]
        answering = [asyncio.ensure_future(answer(*pair)) for pair in pairs]
        await asyncio.sleep(0)
        for _ in range(times):
            with timed(seconds, "message, no network"):
                await asyncio.gather(*(talk(*pair) for pair in pairs))
        for task in answering:
            task.cancel()

    asyncio.run(main())
    return seconds


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the processor time that the block takes."""
    start = process_time()
    yield
    seconds[name] += process_time() - start


def idle_memory(count: int) -> float:
    """Return the bytes that an idle connection holds, both ends together."""
    network = a_network()

    async def main() -> float:
        server = await serve(network)
        await open_and_close(1)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        connections = await open_many(count)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for _, writer in connections:
            writer.close()
        await asyncio.sleep(1)
        server.close()
        return (after - before) / count

    async def open_and_close(count: int) -> None:
        for _, writer in await open_many(count):
            writer.close()

    return fakes.run(main(), network=network)


def a_day(clients: int) -> dict[str, float]:
    """Return what a simulated day of polling costs."""
    network = a_network()
    day, pause = 86400.0, 600.0

    async def poll(offset: float) -> int:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(offset)
        reader, writer = await asyncio.open_connection("10.0.0.2", PORT)
        polls = 0
        while loop.time() + pause <= day:
            writer.write(b"anything new?")
            await reader.read(1000)
            polls += 1
            await asyncio.sleep(pause)
        writer.close()
        return polls

    async def main() -> int:
        server = await serve(network)
        polls = await asyncio.gather(*(poll(pause * n / clients) for n in range(clients)))
        await asyncio.sleep(1)
        server.close()
        return sum(polls)

    start = process_time()
    polls = fakes.run(main(), network=network)
    seconds = process_time() - start
    return {"clients": clients, "polls": polls, "seconds": seconds}


def measure(count: int, total: int) -> dict[str, float]:
    """Return microseconds by connection and by message, with `total` connections made."""
    times = max(1, total // count)
    gc.collect()
    seconds = exchange(count, times)
    gc.collect()
    seconds |= exchange_by_queues(count, times)
    made = count * times
    return {
        part: 1e6 * value / (made * MESSAGES if part.startswith("message") else made)
        for part, value in seconds.items()
    }


@click.command()
@click.option(
    "--connections",
    "counts",
    type=int,
    multiple=True,
    default=(10, 100, 1000, 10000),
    show_default=True,
    help="So many; may be repeated.",
)
@click.option("--total", default=10000, show_default=True, help="Connections made for each row.")
@click.option("--repeat", default=5, show_default=True, help="Rounds; the least time counts.")
@click.option(
    "--day", "clients", default=1000, show_default=True, help="Clients that poll for a day."
)
@click.option("--no-gc", is_flag=True, help="Without the garbage collector, to see its share.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
def main(
    counts: tuple[int, ...], total: int, repeat: int, clients: int, no_gc: bool, file: Path | None
) -> None:
    """Measure and print."""
    if no_gc:
        gc.disable()
    measure(10, 10)  # warming up
    rounds = [{count: measure(count, total) for count in counts} for _ in range(repeat)]
    rows = {
        count: {part: min(figures[count][part] for figures in rounds) for part in rounds[0][count]}
        for count in counts
    }
    print(
        f"Python {platform.python_version()}{', no garbage collector' * no_gc}, "
        f"us of processor time, the least of {repeat}"
    )
    parts = list(next(iter(rows.values())))
    print(f"{'connections':>11}" + "".join(f"{part:>24}" for part in parts))
    for count, row in rows.items():
        print(f"{count:11}" + "".join(f"{row[part]:24.1f}" for part in parts))
    memory = idle_memory(1000)
    print(f"an idle connection holds {memory:,.0f} bytes: both ends, transports, streams, a task")
    day = a_day(clients)
    print(
        f"a day of {day['clients']} clients: {day['polls']} polls in {day['seconds']:.1f} s, "
        f"{1e6 * day['seconds'] / day['polls']:.0f} us each"
    )
    if file:
        figures = {"exchange": rows, "idle bytes": memory, "day": day}
        file.write_text(json.dumps({"python": sys.version, **figures}, indent=2))


if __name__ == "__main__":
    main()
