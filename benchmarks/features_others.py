"""What looptime and mocket are chosen for, tried with each of them and with the fakes.

    python -m pip install looptime mocket aiohttp httpx redis
    python benchmarks/features_others.py [FEATURE ...]

features.py asks every network for what Linux does. These programs ask for what looptime and mocket
do beyond that, each in the way that its own documentation shows, and do the same with the fakes
where they have a way. A cell is "yes", or what happened instead.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import click
import networks

import fakes

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
Program = Callable[[], Coroutine[Any, Any, None]]


# --- looptime: a clock that jumps -----------------------------------------------------------------


def on_looptime(program: Program, **options: Any) -> None:
    """Run a program on asyncio's loop with looptime's clock."""
    loop = importlib.import_module("looptime").new_event_loop(**options)
    try:
        loop.run_until_complete(program())
    finally:
        loop.close()


async def ten_tenths() -> None:
    """Ten sleeps of 0.1 s end at 1.0 to the last digit."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for _ in range(10):
        await asyncio.sleep(0.1)
    assert loop.time() - start == 1.0, loop.time() - start


async def exact_time_of_a_timer() -> None:
    """A timer runs at the very time that it was set for."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    when = loop.time() + 1 / 3
    loop.call_at(when, lambda: done.set_result(loop.time()))
    assert await done == when, f"{await done - when:.1e} s off"


async def subprocesses() -> None:
    """Subprocesses run beside timers that take no time."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await process.wait()


async def slow_subprocess() -> None:
    """A timeout of an hour does not overtake one."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await asyncio.wait_for(process.wait(), 3600)


async def slow_thread() -> None:
    """A timeout of a second does not overtake what really takes a fifth of it."""
    await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.2), 1)


async def for_ever() -> None:
    """Wait for what never comes."""
    await asyncio.get_running_loop().create_future()


def told_of_a_hang(run: Callable[[Program], None], error: str) -> None:
    """Check what is raised by a program that hangs."""
    start = time.monotonic()
    try:
        run(for_ever)
    except Exception as exc:
        name, message = type(exc).__name__, str(exc)
    seconds = time.monotonic() - start
    assert name == error, name
    assert "create_future()" in message, f"after {seconds:.0f} s, not where it waits"


# --- mocket: answers instead of servers -----------------------------------------------------------


def with_mocket(program: Program, **options: Any) -> None:
    """Run a program while mocket answers for the `socket` module."""
    mocket = importlib.import_module("mocket")
    http_entry = importlib.import_module("mocket.mocks.mockhttp").Entry
    redis_entry = importlib.import_module("mocket.mocks.mockredis").Entry
    with mocket.Mocketizer(**({"strict_mode": True} | options)):
        http_entry.single_register("GET", "http://example.test/", body="hello")
        redis_entry.register_response("GET key", "value")
        asyncio.run(program())


def with_scripts(program: Program) -> None:
    """Run a program on the fakes, where scripts are the servers."""
    asked = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
    if program is redis_client:
        script = fakes.Script().expect(asked).send(b"$5\r\nvalue\r\n")
        address = ("localhost", 6379)
    else:
        script = fakes.Script().expect_until(b"\r\n\r\n").send(ANSWER)
        address = ("example.test", 80)

    async def main() -> None:
        async with script.ignore_rest().serve(*address):
            await program()

    fakes.run(main())


async def aiohttp_client() -> None:
    """aiohttp's client gets an answer that was registered."""
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get("http://example.test/") as response:
        assert await response.text() == "hello"


async def httpx_client() -> None:
    """httpx's client does."""
    import httpx

    async with httpx.AsyncClient() as client:
        assert (await client.get("http://example.test/")).text == "hello"


async def redis_client() -> None:
    """redis-py's client does."""
    import redis.asyncio

    client = redis.asyncio.Redis(protocol=2, driver_info=None)
    assert await client.get("key") == b"value"
    await client.aclose()


async def blocking_client() -> None:
    """A program with blocking sockets does."""
    connection = http.client.HTTPConnection("example.test", timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"


def recorded_with_mocket() -> None:
    """What a real server answered once is answered without it."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder
        ) as server,
    ):
        assert server.stdout is not None
        port = int(server.stdout.readline().split(" port ")[1].split()[0])
        bodies: list[bytes] = []

        async def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            bodies.append(connection.getresponse().read())

        recording = {"truesocket_recording_dir": folder, "namespace": "n", "strict_mode": False}
        with_mocket(ask, **recording)
        server.terminate()
        server.wait()
        with_mocket(ask, **recording)
        assert bodies[0] == bodies[1], "another answer"


def recorded_with_fakes() -> None:
    """The same."""
    raise AssertionError("no recording")


def unserved_with_mocket() -> None:
    """What was prepared and never asked for is told."""
    mocket = importlib.import_module("mocket")

    async def nothing() -> None:
        try:
            mocket.Mocket.assert_fail_if_entries_not_served()
        except AssertionError as exc:
            told.append(str(exc))

    told: list[str] = []
    with_mocket(nothing)
    assert told, "not told"


def unserved_with_scripts() -> None:
    """The same."""

    async def main() -> None:
        async with fakes.Script("mail").send(b"220").serve("localhost", 25):
            pass

    try:
        fakes.run(main())
    except fakes.ScriptUnfinished as exc:
        told = str(exc)
    assert "script 'mail' still waits for a connection" in told, "not what"


# --- running --------------------------------------------------------------------------------------


def hang_with_looptime() -> None:
    """A program that hangs is ended, and told where it waits."""
    told_of_a_hang(lambda program: on_looptime(program, idle_timeout=2), "IdleTimeoutError")


def hang_with_fakes() -> None:
    """The same."""
    told_of_a_hang(lambda program: fakes.run(program()), "Deadlock")


def on_fakes(program: Program) -> None:
    """Run a program on the fakes' loop."""
    fakes.run(program())


LOOPTIME: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
    program.__name__: (partial(on_looptime, program), partial(on_fakes, program))
    for program in (ten_tenths, exact_time_of_a_timer, subprocesses, slow_subprocess, slow_thread)
} | {"told_of_a_hang": (hang_with_looptime, hang_with_fakes)}

MOCKET: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
    program.__name__: (partial(with_mocket, program), partial(with_scripts, program))
    for program in (aiohttp_client, httpx_client, redis_client, blocking_client)
} | {
    "recorded_answers": (recorded_with_mocket, recorded_with_fakes),
    "told_of_unserved": (unserved_with_mocket, unserved_with_scripts),
}


def outcome(run: Callable[[], None]) -> str:
    """Return "yes", or what happened instead."""
    try:
        run()
    except AssertionError as exc:
        return f"no: {exc}"
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
    return "yes"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*LOOPTIME, *MOCKET]), metavar="[FEATURE]...")
def main(names: tuple[str, ...]) -> None:
    """Try every feature, or those named, on the other and on the fakes and print two tables."""
    warnings.simplefilter("ignore")
    for other, features in (("looptime", LOOPTIME), ("mocket", MOCKET)):
        installed = networks.available(other)
        title = f"{other} {networks.version(other)}" if installed else f"{other}: not installed"
        print(f"{'':24}{title:44}fakes")
        for name, (run, run_on_fakes) in features.items():
            if not names or name in names:
                cell = outcome(run)[:42] if installed else ""
                print(f"{name:24}{cell:44}{outcome(run_on_fakes)[:60]}", flush=True)


if __name__ == "__main__":
    main()
