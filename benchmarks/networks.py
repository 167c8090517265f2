"""Echoes and bytes per second: one program, over the kernel's loopback and over simulated networks.

    python -m pip install async-solipsism simloop simloom detangle seedloop  # what yours can have
    python benchmarks/networks.py [--rounds 7] [--json FILE]

The program is an echo server and one client. It does two things: messages of 32 bytes, each sent
when the one before has come back (echoes per second, a round trip each), and 64 KiB pieces, sent as
fast as flow control allows and read back meanwhile (bytes per second, counted once). It is there
twice: on transports and protocols, which shows the network, and on asyncio's streams, which most
programs use and which have a cost of their own, the same over every network.

All networks take turns within each round, and the time is the processor's, so that what else the
machine does changes little; the figures are medians over the rounds. The modes take turns, too: as
a test that varies nothing (seed 0; simloop and simloom vary the order of callbacks even so), with
another seed in each round, and with a seed and a record of what happened, which is how failures are
searched for. With a seed simloop's packets take up to 1 ms, as the fakes' do; simloom, detangle and
seedloop have latencies of their own. seedloop has neither protocols nor streams: it hands messages,
any objects, from endpoint to endpoint, so that it has a figure for echoes, by tasks, alone.
"""

from __future__ import annotations

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
from time import process_time
from typing import Any, NamedTuple

import click

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
    start = process_time()
    await exchange(reader, writer, count)
    seconds = process_time() - start
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
    start = process_time()
    client.send()
    await client.done
    seconds = process_time() - start
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


# --- the program, on messages ---------------------------------------------------------------------


async def message_client(world: Any, count: int) -> float:
    """Send messages to an endpoint that sends them back, each when the one before has come."""
    client, server = (world.net.bind(address, reliable=True) for address in (0, 1))

    async def serve() -> None:
        while True:
            sender, data = await server.recv()
            await server.send(sender, data)

    serving = asyncio.ensure_future(serve())
    start = process_time()
    for _ in range(count):
        await client.send(1, MESSAGE)
        await client.recv()
    seconds = process_time() - start
    serving.cancel()
    return seconds


def message_programs(echoes: int, pieces: int) -> dict[str, tuple[Callable[..., Any], float]]:
    """Return those of `programs()` that make sense where objects are handed over, not bytes."""
    return {"echoes/s": (lambda world: message_client(world, echoes), echoes)}


# --- the networks ---------------------------------------------------------------------------------


def on_solipsism(program: Program, seed: int) -> float:
    """async-solipsism: in-memory sockets under a virtual clock."""
    loop = importlib.import_module("async_solipsism").EventLoop()
    try:
        seconds: float = loop.run_until_complete(program())
    finally:
        loop.close()
    return seconds


def on_fakes(program: Program, seed: int) -> float:
    """These fakes, with seed 0."""
    import fakes

    return fakes.run(program())


def on_fakes_with_a_seed(program: Program, seed: int) -> float:
    """These fakes, which a seed varies."""
    import fakes

    return fakes.run(program(), seed=seed)


def on_fakes_with_a_trace(program: Program, seed: int) -> float:
    """These fakes, varied by a seed, and with a trace: as the pytest markers run a test."""
    import fakes

    network = fakes.Network()
    fakes.Trace(network)
    return fakes.run(program(), seed=seed, network=network)


def on_simloop(program: Program, seed: int, latest: float = 0.0) -> float:
    """simloop: a loop and a network of its own, where programs run on named hosts."""
    simloop = importlib.import_module("simloop")
    loop = simloop.SimLoop(seed=seed)
    try:
        loop.net.set_defaults(latency=(0.0, latest))
        task = loop.net.host(HOST).create_task(program())
        seconds: float = loop.run_until_complete(task)
    finally:
        loop.close()
    return seconds


def on_simloop_varied(program: Program, seed: int) -> float:
    """simloop, with a latency that the seed varies as it does the fakes'."""
    return on_simloop(program, seed, 0.001)


def on_simloom(program: Program, seed: int) -> float:
    """simloom: a loop and a network of its own."""
    result: float = importlib.import_module("simloom").run(program, seed=seed).value
    return result


def on_detangle(program: Program, seed: int | None, **options: Any) -> float:
    """detangle: a loop and a network of its own."""
    detangle = importlib.import_module("detangle")
    result: float = detangle.run(program, seed=seed, max_steps=10**9, **options)
    return result


def on_seedloop(program: Program, seed: int) -> float:
    """seedloop, which hands objects from endpoint to endpoint: no streams, no bytes."""
    seedloop = importlib.import_module("seedloop")
    took = []

    async def scenario(world: Any) -> None:
        took.append(await program(world))  # type: ignore[call-arg]  # one of message_programs()

    seedloop.replay(scenario, seed=seed)
    return took[0]


class Way(NamedTuple):
    """One way to run the program.

    Attributes:
        name: of the network.
        package: what is installed for it, if anything.
        run: runs a program with a seed and returns the seconds that it says.
        messages: whether the program is the one on messages.
    """

    name: str
    package: str | None
    run: Callable[[Program, int], float]
    messages: bool = False


SIMLOOP = Way("simloop", "simloop", on_simloop_varied)
SIMLOOM = Way("simloom", "simloom", on_simloom)
SEEDLOOP = Way("seedloop", "seedloop", on_seedloop, messages=True)

# As a unit test runs: nothing is varied that can be left as it is.
QUIET = (
    Way("kernel loopback", None, lambda program, seed: asyncio.run(program())),
    Way("async-solipsism", "async-solipsism", on_solipsism),
    Way("simloop", "simloop", lambda program, seed: on_simloop(program, 0)),
    Way("simloom", "simloom", lambda program, seed: on_simloom(program, 0)),
    Way("detangle", "detangle", lambda program, seed: on_detangle(program, None)),
    Way("fakes", "streamcert", on_fakes),
)

# simloop, simloom and seedloop keep a record of every run, so that they have one way for two modes.
MODES = {
    "seed 0": QUIET,
    "a seed": (
        SIMLOOP,
        SIMLOOM,
        SEEDLOOP,
        Way("detangle", "detangle", on_detangle),
        Way("fakes", "streamcert", on_fakes_with_a_seed),
    ),
    "a seed and a record": (
        SIMLOOP,
        SIMLOOM,
        SEEDLOOP,
        Way("detangle", "detangle", lambda program, seed: on_detangle(program, seed, trace=True)),
        Way("fakes", "streamcert", on_fakes_with_a_trace),
    ),
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


def measure(rounds: int, echoes: int, pieces: int) -> dict[Way, dict[str, float]]:
    """Return the medians of what each way does in a second, for each program."""
    ways = dict.fromkeys(way for ways in MODES.values() for way in ways if available(way.package))
    rates: dict[Way, dict[str, list[float]]] = {way: {} for way in ways}
    for number in range(rounds + 1):
        for way, seen in rates.items():
            chosen = message_programs if way.messages else programs
            for unit, (program, amount) in chosen(echoes, pieces).items():
                gc.collect()
                seconds = way.run(program, number)
                if number:  # the first round is for warming up
                    seen.setdefault(unit, []).append(amount / seconds)
    return {
        way: {unit: statistics.median(values) for unit, values in seen.items()}
        for way, seen in rates.items()
    }


@click.command()
@click.option("--rounds", default=7, show_default=True)
@click.option("--echoes", default=3000, show_default=True, help="Round trips in each round.")
@click.option("--pieces", default=1000, show_default=True, help="Pieces of 64 KiB in each round.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
def main(rounds: int, echoes: int, pieces: int, file: Path | None) -> None:
    """Measure a client and a server on each network, and print tables."""
    medians = measure(rounds, echoes, pieces)
    units = list(programs(1, 1))
    print(f"Python {platform.python_version()}, medians of {rounds} rounds")
    found = []
    for mode, ways in MODES.items():
        print(f"\n{mode:26}" + "".join(f"{unit:>20}" for unit in units))
        for way in ways:
            if way not in medians:
                print(f"{way.name:26}  not installed")
                continue
            row = medians[way]
            found.append({"mode": mode, "network": way.name, **row})
            cells = (f"{row[unit]:20,.0f}" if unit in row else f"{'':20}" for unit in units)
            print(f"{f'{way.name} {version(way.package)}':26}" + "".join(cells))
        *others, ours = ways
        if not any(way in medians for way in others):
            continue
        ratios = (
            medians[ours][unit]
            / max(medians[way].get(unit, 0.0) for way in others if way in medians)
            for unit in units
        )
        print(f"{'fakes / the best other':26}" + "".join(f"{ratio:19.2f}x" for ratio in ratios))
    if file:
        file.write_text(json.dumps({"python": sys.version, "medians": found}, indent=2))


if __name__ == "__main__":
    main()
