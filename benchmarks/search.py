"""Programs with a planted bug that a run without variation does not meet, and who finds it.

    python -m pip install simloop simloom detangle   # those that your Python can have
    python benchmarks/search.py [--seeds 200] [PROGRAM ...]

Each program is an async function that asserts at its end what has to be so. `fakes.search()` runs
it with each seed, and the other simulators do as their documentation says: their own loop, their
own network, their own search, the same program. A cell says how many of the seeds fail, which is
the first, and how many draws matter of how many when it is shrunk; or what happened instead.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import click
import networks

import fakes

Main = Callable[[], Coroutine[Any, Any, None]]

HOST, PORT = networks.HOST, 8080
HOUR = 3600.0


# --- a lost update --------------------------------------------------------------------------------


async def ask(line: bytes, host: str = HOST) -> bytes:
    """Send a line to the server; return its answer."""
    reader, writer = await asyncio.open_connection(host, PORT)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    return answer


async def two_clients(add: Callable[[], Coroutine[Any, Any, None]], apart: float) -> None:
    """Let two clients add one each, one some time after the other."""

    async def later() -> None:
        await asyncio.sleep(apart)
        await add()

    await asyncio.gather(add(), later())


async def lost_in_the_network(apart: float = 0.002) -> None:
    """The clients read the number, and write one more back: the window is a round trip."""
    stored = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal stored
        line = await reader.readline()
        if line != b"get\n":
            stored = int(line)
        writer.write(b"%d\n" % stored)
        writer.close()

    async def add() -> None:
        value = int(await ask(b"get\n"))
        await ask(b"%d\n" % (value + 1))

    server = await asyncio.start_server(serve, HOST, PORT)
    await two_clients(add, apart)
    server.close()
    assert stored == 2


async def lost_in_a_turn(apart: float = 0.002) -> None:
    """The server lets others run between reading the number and writing it."""
    stored = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal stored
        await reader.readline()
        value = stored
        await asyncio.sleep(0)
        stored = value + 1
        writer.write(b"added\n")
        writer.close()

    async def add() -> None:
        await ask(b"add\n")

    server = await asyncio.start_server(serve, HOST, PORT)
    await two_clients(add, apart)
    server.close()
    assert stored == 2


async def lost_in_threads(apart: float = 0.002) -> None:
    """The server reads and writes the number in threads, as with a blocking database."""
    stored = 0

    def load() -> int:
        return stored

    def store(value: int) -> None:
        nonlocal stored
        stored = value

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        value = await asyncio.to_thread(load)
        await asyncio.to_thread(store, value + 1)
        writer.write(b"added\n")
        writer.close()

    async def add() -> None:
        await ask(b"add\n")

    server = await asyncio.start_server(serve, HOST, PORT)
    await two_clients(add, apart)
    server.close()
    assert stored == 2


# --- a client that retries ------------------------------------------------------------------------


class Bank:
    """A server that crashes; `disk` is what survives."""

    def __init__(self) -> None:
        self.disk: list[bytes] = []

    async def __call__(self) -> None:
        """Serve."""
        server = await asyncio.start_server(self.serve, "bank", PORT)
        await server.serve_forever()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a payment, and say so."""
        try:
            payment = await reader.readline()
            if payment:
                self.disk.append(payment)
                await asyncio.sleep(0.05)  # tells the branch offices
                writer.write(b"paid\n")
        finally:
            writer.close()


async def pay(payment: bytes) -> None:
    """Pay until it is confirmed: the bug, since the bank cannot tell it from another payment."""
    while True:
        try:
            if await asyncio.wait_for(ask(payment, "bank"), 2) == b"paid\n":
                return
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(0.5)


async def paid_twice(bank: Bank) -> None:
    """Pay three times, and look at the books."""
    payments = [b"first\n", b"second\n", b"third\n"]
    await asyncio.sleep(0.1)
    for payment in payments:
        await pay(payment)
        await asyncio.sleep(0.5)
    assert bank.disk == payments


# --- a keep-alive ---------------------------------------------------------------------------------


async def kept_alive() -> None:
    """The server closes what is idle for an hour; the client asks a moment before that."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await asyncio.wait_for(reader.readline(), HOUR):
                writer.write(line)
        except TimeoutError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, PORT)
    reader, writer = await asyncio.open_connection(HOST, PORT)
    for _ in range(3):
        writer.write(b"still there?\n")
        assert await reader.readline() == b"still there?\n"
        await asyncio.sleep(HOUR - 0.001)
    writer.close()
    server.close()


# --- who finds it ---------------------------------------------------------------------------------


def searched(main: Main, seeds: int, **options: Any) -> str:
    """Search with the fakes."""
    try:
        fakes.search(main, seeds=seeds, **options)
    except fakes.Found as found:
        report = found.report
        shrunk = report.shrunk
        draws = f", {len(shrunk.draws)} of {shrunk.before} draws" if shrunk else ""
        return f"{len(report.failures)} of {seeds}, first {next(iter(report.failures))}{draws}"
    return "not found"


def searched_with_crashes(seeds: int) -> str:
    """Search `paid_twice()`, with a bank that crashes."""

    def network() -> fakes.Network:
        network = fakes.Network()
        host = network.host("bank")
        bank = Bank()
        host.start(bank)
        banks[network] = bank
        return network

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        await paid_twice(banks[loop.network])

    banks: dict[fakes.Network, Bank] = {}
    return searched(main, seeds, network=network, faults=[fakes.Crash("bank")], within=3)


def first_failure(run: Callable[[int], object], seeds: int) -> str:
    """Run with each seed; return how many fail, and the first."""
    failed = []
    for seed in range(seeds):
        try:
            run(seed)
        except AssertionError:
            failed.append(seed)
    return f"{len(failed)} of {seeds}, first {failed[0]}" if failed else "not found"


def with_simloop(main: Main, seeds: int) -> str:
    """simloop's runs."""
    simloop = importlib.import_module("simloop")

    def run(seed: int) -> None:
        loop = simloop.SimLoop(seed=seed)
        loop.net.set_defaults(latency=(0.0, 0.001))  # as the fakes vary it
        try:
            loop.run_until_complete(loop.net.host(HOST).create_task(main()))
        finally:
            loop.close()

    return first_failure(run, seeds)


def with_simloom(main: Main, seeds: int) -> str:
    """simloom's runs."""
    simloom = importlib.import_module("simloom")
    return first_failure(lambda seed: simloom.run(main, seed=seed), seeds)


def with_detangle(main: Main, seeds: int) -> str:
    """detangle's random walks."""
    detangle = importlib.import_module("detangle")
    return first_failure(lambda seed: detangle.run(main, seed=seed), seeds)


# --- the same with crashes ------------------------------------------------------------------------


async def crashed(seed: int, crash: Callable[[], object], restart: Callable[[], object]) -> None:
    """Crash the bank, and start it again, when `fakes.Crash("bank")` might; its chance is ours."""
    chance = random.Random(seed)
    if chance.random() < 0.9:
        await asyncio.sleep(3 * chance.random())
        crash()
        await asyncio.sleep(chance.random())
        restart()


async def paid_beside(bank: Bank, crashing: Coroutine[Any, Any, None]) -> None:
    """Pay, while the bank crashes; it is over within a minute, or never."""
    task = asyncio.ensure_future(crashing)
    try:
        await asyncio.wait_for(paid_twice(bank), 60)
    finally:
        task.cancel()


def crashes_with_simloop(seeds: int) -> str:
    """simloop cancels what runs on the host; the test starts its program again."""
    simloop = importlib.import_module("simloop")

    def run(seed: int) -> None:
        loop = simloop.SimLoop(seed=seed)
        loop.net.set_defaults(latency=(0.0, 0.001))
        bank, host = Bank(), loop.net.host("bank")

        def start() -> None:
            host.create_task(bank())

        def restart() -> None:
            host.restart()
            start()

        start()
        main = paid_beside(bank, crashed(seed, host.crash, restart))
        try:
            loop.run_until_complete(loop.net.host(HOST).create_task(main))
        finally:
            loop.close()

    return first_failure(run, seeds)


def crashes_with_simloom(seeds: int) -> str:
    """simloom never runs again what ran on the host, and starts its program itself."""
    simloom = importlib.import_module("simloom")

    def run(seed: int) -> None:
        async def main(world: Any) -> None:
            bank, host = Bank(), world.host("bank")
            host.spawn(bank)
            await paid_beside(bank, crashed(seed, host.crash, host.restart))

        simloom.run(main, seed=seed)

    return first_failure(run, seeds)


def crashes_with_detangle(seeds: int) -> str:
    """detangle cancels what runs on the host; the test starts its program again."""
    detangle = importlib.import_module("detangle")

    def run(seed: int) -> None:
        async def main() -> None:
            bank, network = Bank(), detangle.network()

            def start() -> None:
                detangle.spawn(bank(), host="bank")

            def restart() -> None:
                network.restart("bank")
                start()

            start()
            await paid_beside(bank, crashed(seed, partial(network.crash, "bank"), restart))

        detangle.run(main, seed=seed)

    return first_failure(run, seeds)


PROGRAMS: dict[str, tuple[Main | None, Callable[[int], str]]] = {
    main.__name__: (main, partial(searched, main))
    for main in (lost_in_the_network, lost_in_a_turn, lost_in_threads, kept_alive)
} | {"paid_twice": (None, searched_with_crashes)}

OTHERS: dict[str, tuple[Callable[[Main, int], str], Callable[[int], str]]] = {
    "simloop": (with_simloop, crashes_with_simloop),
    "simloom": (with_simloom, crashes_with_simloom),
    "detangle": (with_detangle, crashes_with_detangle),
}


def plain(main: Main) -> str:
    """Run it once, as a unit test does, on the kernel's network where that takes no hour."""
    try:
        fakes.run(main())
    except AssertionError:
        return "fails"
    return "passes"


def outcome(search: Callable[[], str]) -> str:
    """Return what a search says, or what it raises."""
    start = time.perf_counter()
    try:
        said = search()
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"[:60]
    return f"{said} ({time.perf_counter() - start:.1f} s)"


@click.command()
@click.argument("programs", nargs=-1, type=click.Choice([*PROGRAMS]), metavar="[PROGRAM]...")
@click.option("--seeds", default=200, show_default=True)
def main(programs: tuple[str, ...], seeds: int) -> None:
    """Search each program, or those named, for its bug with each simulator."""
    for name, (program, search) in PROGRAMS.items():
        if programs and name not in programs:
            continue
        once = f"once, with seed 0: {plain(program)}" if program is not None else ""
        print(f"{name}  {once}")
        print(f"    {'fakes':12}{outcome(partial(search, seeds))}", flush=True)
        for other, (run, run_with_crashes) in OTHERS.items():
            if not networks.available(other):
                continue
            alone = run_with_crashes if program is None else partial(run, program)
            said = outcome(partial(alone, seeds))
            print(f"    {other:12}{said}", flush=True)


if __name__ == "__main__":
    main()
