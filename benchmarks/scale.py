"""Many connections in one simulated network: what each costs in time and in memory.

    python benchmarks/scale.py [--connections 10 100 1000 10000] [--day 1000] [--json FILE]

Three measurements, on `asyncio`'s streams over the fakes:

* N connections are opened, all of them open at once; then each exchanges ten messages (a round trip
  each), all of them at the same time; then all are closed. Shown is the time that each part takes,
  by connection and by message.
* The memory that an idle connection holds: both ends, with their transports and streams.
* A simulated day of clients that poll a server every ten minutes, each over a connection of its own
  that stays open.

The times are the processor's, so that what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import sys
import tracemalloc
from pathlib import Path
from time import process_time

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


def exchange(count: int) -> dict[str, float]:
    """Return seconds: to open `count` connections, for ten messages on each, and to close them."""
    network = a_network()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(MESSAGES):
            writer.write(b"ping")
            await reader.readexactly(4)

    async def main() -> dict[str, float]:
        server = await serve(network)
        start = process_time()
        connections = await open_many(count)
        opened = process_time()
        await asyncio.gather(*(talk(*connection) for connection in connections))
        exchanged = process_time()
        for _, writer in connections:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in connections))
        closed = process_time()
        server.close()
        return {"open": opened - start, "exchange": exchanged - opened, "close": closed - exchanged}

    return fakes.run(main(), network=network)


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[10, 100, 1000, 10000])
    parser.add_argument("--repeat", type=int, default=3, help="times; the fastest counts")
    parser.add_argument("--day", type=int, default=1000, help="clients that poll for a day")
    parser.add_argument(
        "--no-gc", action="store_true", help="without the garbage collector, to see its share"
    )
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, the fastest of {options.repeat}")
    print(f"{'connections':>11}{'open, us':>12}{'message, us':>14}{'close, us':>12}{'all, s':>10}")
    rows = []
    if options.no_gc:
        gc.disable()
    exchange(10)  # warming up
    for count in options.connections:
        runs = []
        for _ in range(options.repeat):
            gc.collect()
            runs.append(exchange(count))
        seconds = min(runs, key=lambda run: sum(run.values()))
        row = {
            "connections": count,
            "open": 1e6 * seconds["open"] / count,
            "message": 1e6 * seconds["exchange"] / (count * MESSAGES),
            "close": 1e6 * seconds["close"] / count,
            "all": sum(seconds.values()),
        }
        rows.append(row)
        print(
            f"{count:11}{row['open']:12.0f}{row['message']:14.1f}{row['close']:12.0f}"
            f"{row['all']:10.2f}"
        )
    memory = idle_memory(1000)
    print(f"an idle connection holds {memory:,.0f} bytes: both ends, transports, streams, a task")
    day = a_day(options.day)
    print(
        f"a day of {day['clients']} clients: {day['polls']} polls in {day['seconds']:.1f} s, "
        f"{1e6 * day['seconds'] / day['polls']:.0f} us each"
    )
    if options.json:
        figures = {"exchange": rows, "idle bytes": memory, "day": day}
        options.json.write_text(json.dumps({"python": sys.version, **figures}, indent=2))


if __name__ == "__main__":
    main()
