"""The reference implementation beside asyncio's streams: speed, growth, and memory.

    python benchmarks/streams.py [--rounds 9] [--longest 64] [--held 8] [--json FILE]

Three tables.

* Speed: what each does in a second. The first rows feed a reader by hand, so that nothing but the
  reader is measured; the last ones are an echo server and a client over the kernel's loopback.
* Growth: what a byte of one line costs, from a line of 64 KiB to the longest, that arrives five
  bytes at a time.
* Memory: the bytes that a reader holds beyond those that were received and not yet read.

Time is processor time, of both ends where there are two. Both implementations take turns within
each round, so that what else the machine does falls on both; the figures are medians over the
rounds, and the ratios are medians of each round's ratio.
"""

from __future__ import annotations

import asyncio
import asyncio.streams
import gc
import json
import platform
import statistics
import sys
import tracemalloc
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from time import process_time
from typing import Any

import click

import reference_impl

IMPLEMENTATIONS: dict[str, Any] = {"asyncio": asyncio.streams, "reference_impl": reference_impl}

KIB = 1024
MIB = 1024 * KIB

# Of an implementation, the seconds that it took.
Measured = Callable[[Any], Coroutine[Any, Any, float]]


# --- a reader that is fed by hand -----------------------------------------------------------------


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut `data` into pieces of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def reading(
    data: bytes, size: int, read: Callable[[Any], Coroutine[Any, Any, bytes]], limit: int = 64 * KIB
) -> Measured:
    """Return what feeds a reader `data` in pieces of `size` bytes and reads after each.

    The feeding counts, as it does in a program. Reads that would have to wait are not begun.
    """

    async def run(streams: Any) -> float:
        fed, taken = 0, 0
        arriving = pieces(data, size)
        expected = len(await one(streams))
        reader = streams.StreamReader(limit)
        start = process_time()
        for piece in arriving:
            reader.feed_data(piece)
            fed += len(piece)
            while fed - taken >= expected:
                taken += len(await read(reader))
        return process_time() - start

    async def one(streams: Any) -> bytes:
        reader = streams.StreamReader(limit)
        for piece in pieces(data, size):
            reader.feed_data(piece)
        return await read(reader)

    return run


def reading_all(data: bytes, size: int) -> Measured:
    """Return what feeds a reader `data` in pieces of `size` bytes and reads all until EOF."""

    async def run(streams: Any) -> float:
        arriving = pieces(data, size)
        reader = streams.StreamReader()
        start = process_time()
        for piece in arriving:
            reader.feed_data(piece)
        reader.feed_eof()
        await reader.read()
        return process_time() - start

    return run


# --- over the kernel's loopback -------------------------------------------------------------------


def over_loopback(
    exchange: Callable[[Any, Any, int], Coroutine[Any, Any, None]], count: int
) -> Measured:
    """Return what lets a client exchange with an echo server, both of the implementation."""

    async def run(streams: Any) -> float:
        over = asyncio.Event()

        async def echo(reader: Any, writer: Any) -> None:
            while data := await reader.read(64 * KIB):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
            over.set()

        async with await streams.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
            start = process_time()
            await exchange(reader, writer, count)
            seconds = process_time() - start
            writer.close()
            await over.wait()
        return seconds

    return run


async def round_trips(reader: Any, writer: Any, count: int) -> None:
    """Send lines, each when the one before has come back."""
    for _ in range(count):
        writer.write(b"a line of thirty-two bytes, or so\n")
        await writer.drain()
        await reader.readline()


async def bulk(reader: Any, writer: Any, count: int) -> None:
    """Send pieces of 64 KiB, and read them back meanwhile."""

    async def send() -> None:
        for _ in range(count):
            writer.write(bytes(64 * KIB))
            await writer.drain()

    sending = asyncio.ensure_future(send())
    left = count * 64 * KIB
    while left:
        left -= len(await reader.read(64 * KIB))
    await sending


# --- the tables -----------------------------------------------------------------------------------


def programs() -> dict[str, tuple[Measured, float, str]]:
    """Return each program of the first table, how much it does, and in what unit."""
    lines = (b"x" * 63 + b"\n") * 16384
    heads = (b"name: value\r\n" * 20 + b"\r\n") * 2000
    texts = (b"x" * 63 + b"\n") * 4096
    frames = bytes(104 * 8192)
    several = (b"\r\n", b"\n")
    whole = bytes(16 * MIB)
    table: dict[str, tuple[Measured, float, str]] = {
        "readline(), 64-byte lines in 64 KiB pieces": (
            reading(lines, 64 * KIB, lambda reader: reader.readline()),
            len(lines) // 64,
            "lines/s",
        ),
        "readline(), 64-byte lines, a piece each": (
            reading(lines, 64, lambda reader: reader.readline()),
            len(lines) // 64,
            "lines/s",
        ),
        "readexactly(104), in 16 KiB pieces": (
            reading(frames, 16 * KIB, lambda reader: reader.readexactly(104)),
            8192,
            "reads/s",
        ),
        'readuntil(b"\\r\\n\\r\\n"), in 1,448-byte pieces': (
            reading(heads, 1448, lambda reader: reader.readuntil(b"\r\n\r\n")),
            2000,
            "reads/s",
        ),
        "read(65536), 64 KiB pieces": (
            reading(whole, 64 * KIB, lambda reader: reader.read(64 * KIB)),
            len(whole) / 1e6,
            "MB/s",
        ),
        "read(1000), in 64 KiB pieces": (
            reading(whole[: 4000 * KIB], 64 * KIB, lambda reader: reader.read(1000)),
            4000 * KIB / 1000,
            "reads/s",
        ),
        "read() of 16 MiB in 64 KiB pieces": (
            reading_all(whole, 64 * KIB),
            len(whole) / 1e6,
            "MB/s",
        ),
    }
    if sys.version_info >= (3, 13):  # asyncio takes tuples from then on
        table['readuntil((b"\\r\\n", b"\\n")), in 64 KiB pieces'] = (
            reading(texts, 64 * KIB, lambda reader: reader.readuntil(several)),
            4096,
            "reads/s",
        )
    table |= {
        "echo of 34-byte lines, loopback": (over_loopback(round_trips, 2000), 2000, "echoes/s"),
        "echo of 64 KiB pieces, loopback": (
            over_loopback(bulk, 500),
            500 * 64 * KIB / 1e6,
            "MB/s",
        ),
    }
    return table


def in_turns(program: Measured, rounds: int) -> dict[str, list[float]]:
    """Return the seconds that the program took with each implementation, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPLEMENTATIONS}
    for number in range(rounds + 1):
        # Who begins changes, too.
        for name, streams in sorted(IMPLEMENTATIONS.items(), reverse=bool(number % 2)):
            gc.collect()
            took = asyncio.run(program(streams))
            if number:  # the first round is for warming up
                seconds[name].append(took)
    return seconds


def ratio(seconds: dict[str, list[float]]) -> float:
    """Return how many times faster the reference is: the median of each round's ratio."""
    rounds = zip(seconds["asyncio"], seconds["reference_impl"], strict=True)
    return statistics.median(theirs / ours for theirs, ours in rounds)


def long_line(size: int) -> Measured:
    """Return what reads a line of `size` bytes that arrives five bytes at a time."""

    async def run(streams: Any) -> float:
        reader = streams.StreamReader(limit=size)
        piece = b"xxxxx"
        count, rest = divmod(size - 1, len(piece))
        line = asyncio.ensure_future(reader.readline())
        start = process_time()
        for number in range(count):
            reader.feed_data(piece)
            if number % 256 == 0:
                await asyncio.sleep(0)  # so that the read looks at what there is, time and again
        reader.feed_data(b"x" * rest + b"\n")
        await line
        return process_time() - start

    return run


async def held(streams: Any, received: int, size: int, unread: int) -> int:
    """Return the bytes held beyond `unread`, of `received` that arrived in pieces of `size`."""
    gc.collect()
    tracemalloc.start()
    reader = streams.StreamReader(limit=received)
    for _ in range(received // size):
        reader.feed_data(bytes(size))
    left = received
    while left > unread:
        left -= len(await reader.read(min(1000, left - unread)))
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used - unread


def lengths(longest: int) -> Iterable[int]:
    """Return the lengths of the lines of the second table, in bytes; `longest` is in MiB."""
    size = 64 * KIB
    while size < longest * MIB:
        yield size
        size *= 8
    yield longest * MIB


@click.command()
@click.option("--rounds", default=9, show_default=True)
@click.option("--longest", default=64, show_default=True, help="MiB of the longest line.")
@click.option(
    "--held", "mib", default=8, show_default=True, help="MiB received, of which some are unread."
)
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
def main(rounds: int, longest: int, mib: int, file: Path | None) -> None:
    """Print the reference implementation beside asyncio's streams: speed, growth, and memory."""
    figures: dict[str, Any] = {"python": platform.python_version(), "rounds": rounds}
    names = list(IMPLEMENTATIONS)

    print(f"Python {platform.python_version()}, medians of {rounds} rounds\n")
    print(f"{'speed':52}{'':10}" + "".join(f"{name:>16}" for name in names) + f"{'ratio':>8}")
    figures["speed"] = {}
    for title, (program, amount, unit) in programs().items():
        seconds = in_turns(program, rounds)
        rates = {name: amount / statistics.median(took) for name, took in seconds.items()}
        figures["speed"][title] = rates | {"unit": unit, "ratio": ratio(seconds)}
        row = "".join(f"{rates[name]:16,.0f}" for name in names)
        print(f"{title:52}{unit:10}{row}{ratio(seconds):8.2f}", flush=True)

    print(f"\n{'a line that arrives 5 bytes at a time, ns/byte':62}" + f"{'':32}{'ratio':>8}")
    figures["growth"] = {}
    for size in lengths(longest):
        seconds = in_turns(long_line(size), min(rounds, 3))
        costs = {name: statistics.median(took) / size * 1e9 for name, took in seconds.items()}
        figures["growth"][size] = costs | {"ratio": ratio(seconds)}
        row = "".join(f"{costs[name]:16,.1f}" for name in names)
        print(f"{f'{size // KIB:,} KiB':62}{row}{ratio(seconds):8.2f}", flush=True)

    received = mib * MIB
    print(f"\nbytes held beyond those unread, of {mib} MiB received")
    figures["memory"] = []
    for size in (16, 1024, 64 * KIB, received):
        for unread in (received, received // 2, 1000):
            if size == unread:
                continue  # the piece itself, whoever holds it
            over = {
                name: asyncio.run(held(streams, received, size, unread))
                for name, streams in IMPLEMENTATIONS.items()
            }
            figures["memory"].append(over | {"piece": size, "unread": unread})
            title = f"in pieces of {size:,}, of which {unread:,} are unread"
            row = "".join(f"{over[name]:16,}" for name in names)
            print(f"{title:62}{row}", flush=True)
    if file:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
