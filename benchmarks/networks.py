"""Echoes and bytes per second: one program, over the kernel's loopback and over simulated networks.

    python -m pip install async-solipsism simloop simloom   # those that your Python can have
    python benchmarks/networks.py [--rounds 7] [--json FILE]

The program is an echo server and one client. It does two things: messages of 32 bytes, each sent
when the one before has come back (echoes per second, a round trip each), and 64 KiB pieces, sent as
fast as flow control allows and read back meanwhile (bytes per second, counted once). It is there
twice: on transports and protocols, which shows the network, and on asyncio's streams, which most
programs use and which have a cost of their own, the same over every network.

All networks take turns within each round, so that what else the machine does falls on all of them;
the figures are medians over the rounds. The networks are as they come, with no latency where that
can be set.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.metadata
import json
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from time import perf_counter
from typing import Any

Program = Callable[[], Coroutine[Any, Any, float]]

MESSAGE = b"x" * 31 + b"\n"
PIECE = b"y" * 65536
HOST, PORT = "127.0.0.1", 8989


# --- the program, on streams ----------------------------------------------------------------------


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def stream_client(exchange: Callable[..., Awaitable[None]], count: int) -> float:
    """Serve, connect, and return the seconds that the exchange takes."""
    server = await asyncio.start_server(echo, HOST, PORT)
    reader, writer = await asyncio.open_connection(HOST, PORT)
    start = perf_counter()
    await exchange(reader, writer, count)
    seconds = perf_counter() - start
    writer.close()
    await asyncio.sleep(0.01)  # for the server's side to end, out of the measurement
    server.close()
    return seconds


async def stream_echoes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
) -> None:
    """Make round trips."""
    for _ in range(count):
        writer.write(MESSAGE)
        await reader.readexactly(len(MESSAGE))


async def stream_bulk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
) -> None:
    """Send pieces, and read them back meanwhile."""

    async def send() -> None:
        for _ in range(count):
            writer.write(PIECE)
            await writer.drain()

    sending = asyncio.ensure_future(send())
    left = count * len(PIECE)
    while left:
        left -= len(await reader.read(65536))
    await sending


# --- the program, on protocols --------------------------------------------------------------------


class Echo(asyncio.Protocol):
    """Sends back what comes, and reads no more while it cannot."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # a stream transport

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)

    def pause_writing(self) -> None:
        """Read no more."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self.transport.resume_reading()


class Client(asyncio.Protocol):
    """Sends `count` payloads, and is done when all have come back.

    `window` is how many it sends ahead of what has come back; None for as many as flow control
    allows.
    """

    transport: asyncio.Transport

    def __init__(self, payload: bytes, count: int, window: int | None) -> None:
        self.payload = payload
        self.unsent = count
        self.left = count * len(payload)
        self.window = window
        self.writing = True
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # a stream transport

    def send(self) -> None:
        """Send what may be sent."""
        while self.unsent and self.writing:
            self.unsent -= 1
            self.transport.write(self.payload)
            if self.window is not None:
                break

    def data_received(self, data: bytes) -> None:
        """Count it, and send the next payload if it waits for this one."""
        self.left -= len(data)
        if not self.left:
            self.done.set_result(None)
        elif self.window is not None and self.left % len(self.payload) == 0:
            self.send()

    def pause_writing(self) -> None:
        """Send no more."""
        self.writing = False

    def resume_writing(self) -> None:
        """Send on."""
        self.writing = True
        self.send()


async def protocol_client(payload: bytes, count: int, window: int | None) -> float:
    """Serve, connect, and return the seconds that the exchange takes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, HOST, PORT)
    transport, client = await loop.create_connection(
        lambda: Client(payload, count, window), HOST, PORT
    )
    start = perf_counter()
    client.send()
    await client.done
    seconds = perf_counter() - start
    transport.close()
    await asyncio.sleep(0.01)  # for the server's side to end, out of the measurement
    server.close()
    return seconds


def programs(echoes: int, pieces: int) -> dict[str, tuple[Program, float]]:
    """Return each program, and how much it does: echoes, or megabytes."""
    megabytes = pieces * len(PIECE) / 1e6
    return {
        "echoes/s": (lambda: protocol_client(MESSAGE, echoes, 1), echoes),
        "MB/s": (lambda: protocol_client(PIECE, pieces, None), megabytes),
        "echoes/s, streams": (lambda: stream_client(stream_echoes, echoes), echoes),
        "MB/s, streams": (lambda: stream_client(stream_bulk, pieces), megabytes),
    }


# --- the networks ---------------------------------------------------------------------------------


def on_kernel(program: Program) -> float:
    """asyncio's own loop and a real socket."""
    return asyncio.run(program())


def on_fakes(program: Program) -> float:
    """These fakes."""
    import fakes

    return fakes.run(program())


def on_solipsism(program: Program) -> float:
    """async-solipsism: in-memory sockets under a virtual clock."""
    loop = importlib.import_module("async_solipsism").EventLoop()
    try:
        seconds: float = loop.run_until_complete(program())
    finally:
        loop.close()
    return seconds


def on_simloop(program: Program) -> float:
    """simloop: a loop and a network of its own, where programs run on named hosts."""
    simloop = importlib.import_module("simloop")
    loop = simloop.SimLoop(seed=0)
    try:
        loop.net.set_defaults(latency=(0.0, 0.0))
        task = loop.net.host(HOST).create_task(program())
        seconds: float = loop.run_until_complete(task)
    finally:
        loop.close()
    return seconds


def on_simloom(program: Program) -> float:
    """simloom: a loop and a network of its own."""
    result: float = importlib.import_module("simloom").run(program, seed=0).value
    return result


NETWORKS: dict[str, tuple[str | None, Callable[[Program], float]]] = {
    "kernel loopback": (None, on_kernel),
    "async-solipsism": ("async-solipsism", on_solipsism),
    "simloop": ("simloop", on_simloop),
    "simloom": ("simloom", on_simloom),
    "fakes": ("streamcert", on_fakes),
}


# --- measuring ------------------------------------------------------------------------------------


def available(package: str | None) -> bool:
    """Whether a package is installed."""
    try:
        return package is None or bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def version(package: str | None) -> str:
    """Return the version of a package, or of Python."""
    return platform.python_version() if package is None else importlib.metadata.version(package)


def measure(rounds: int, echoes: int, pieces: int) -> dict[str, dict[str, float]]:
    """Return the medians of what each network does in a second, for each program."""
    rates: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds + 1):
        for name, (package, run) in NETWORKS.items():
            if not available(package):
                continue
            seen = rates.setdefault(name, {})
            for unit, (program, amount) in programs(echoes, pieces).items():
                gc.collect()
                seconds = run(program)
                if number:  # the first round is for warming up
                    seen.setdefault(unit, []).append(amount / seconds)
    return {
        name: {unit: statistics.median(values) for unit, values in seen.items()}
        for name, seen in rates.items()
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--echoes", type=int, default=3000, help="round trips in each round")
    parser.add_argument("--pieces", type=int, default=1000, help="pieces of 64 KiB in each round")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    options = parser.parse_args()
    medians = measure(options.rounds, options.echoes, options.pieces)
    units = list(programs(1, 1))
    print(f"Python {platform.python_version()}, medians of {options.rounds} rounds")
    print(f"{'network':26}" + "".join(f"{unit:>20}" for unit in units))
    for name, (package, _) in NETWORKS.items():
        if name not in medians:
            print(f"{name:26}  not installed")
            continue
        row = medians[name]
        print(f"{f'{name} {version(package)}':26}" + "".join(f"{row[u]:20,.0f}" for u in units))
    best = {
        unit: max(row[unit] for name, row in medians.items() if name != "fakes") for unit in units
    }
    ratios = "".join(f"{medians['fakes'][unit] / best[unit]:19.2f}x" for unit in units)
    print(f"{'fakes / the best other':26}{ratios}")
    if options.json:
        options.json.write_text(json.dumps({"python": sys.version, "medians": medians}, indent=2))


if __name__ == "__main__":
    main()
