"""A whole run of pytest with one test on many seeds, each simulator in its own way.

    python -m pip install pytest simloop simloom detangle seedloop   # those that yours can have
    python benchmarks/seeds.py [--seeds 200] [--rounds 5]

The test is a server that echoes lines, and three clients that ask it ten times each; it passes with
every seed. seedloop has no streams: there it is the same exchange between endpoints. Each way is
measured as a process of its own, from the start of Python to its end, in turns; the figures are
medians of the processor's seconds. With no test, it is what
pytest itself costs. A run of each that is not measured has Python compile all modules, as an
installation does once: in some environments Python keeps nothing of that, and would compile them
anew in each run. pytest loads the plug-ins that come with the package, and none of the others'.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import networks

STREAMS = """
import asyncio

async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()

async def ask(name):
    reader, writer = await asyncio.open_connection("127.0.0.1", 8989)
    for number in range(10):
        line = b"%d %d\\n" % (name, number)
        writer.write(line)
        assert await reader.readline() == line
    writer.close()

async def exchange():
    server = await asyncio.start_server(echo, "127.0.0.1", 8989)
    await asyncio.gather(*map(ask, range(3)))
    server.close()
"""

MESSAGES = """
import asyncio

async def echo(endpoint):
    while True:
        sender, line = await endpoint.recv()
        await endpoint.send(sender, line)

async def ask(endpoint, name):
    for number in range(10):
        line = b"%d %d\\n" % (name, number)
        await endpoint.send(0, line)
        assert await endpoint.recv() == (0, line)

async def exchange(world):
    serving = asyncio.ensure_future(echo(world.net.bind(0, reliable=True)))
    clients = [world.net.bind(name, reliable=True) for name in range(1, 4)]
    await asyncio.gather(*(ask(client, client.address) for client in clients))
    serving.cancel()
"""

# The package that each needs, with its plug-ins, and the test.
PLUGINS = {
    "streamcert": ("fakes.pytest_plugin", "conformance.plugin"),
    "simloop": ("simloop._pytest_plugin",),
    "simloom": ("simloom._pytest_plugin",),
    "detangle": ("detangle.pytest_plugin",),
}
WAYS = {
    "no test": (None, ""),
    "fakes_search": (
        "streamcert",
        f"{STREAMS}\nimport pytest\n"
        "@pytest.mark.fakes_search(SEEDS)\nasync def test_it():\n    await exchange()\n",
    ),
    "fakes_seeds": (
        "streamcert",
        f"{STREAMS}\nimport pytest\n"
        "@pytest.mark.fakes_seeds(SEEDS)\nasync def test_it():\n    await exchange()\n",
    ),
    "simloop": (
        "simloop",
        f"{STREAMS}\nimport simloop\n"
        "@simloop.sim_test(seeds=SEEDS)\nasync def test_it():\n"  # its programs run on hosts
        "    await asyncio.get_running_loop().net.host('127.0.0.1').create_task(exchange())\n",
    ),
    "simloom": (
        "simloom",
        f"{STREAMS}\nimport simloom\n"
        "@simloom.test(runs=SEEDS)\nasync def test_it():\n    await exchange()\n",
    ),
    "detangle": (
        "detangle",
        f"{STREAMS}\nimport pytest\n"
        "@pytest.mark.detangle(runs=SEEDS)\nasync def test_it():\n    await exchange()\n",
    ),
    "seedloop": (
        "seedloop",
        f"{MESSAGES}\nimport seedloop\ndef test_it():\n    seedloop.check(exchange, seeds=SEEDS)\n",
    ),
}


def run(package: str | None, source: str, seeds: int, compiled: str) -> float:
    """Run pytest on a test; return the processor's seconds that it took, if the test passes.

    Args:
        package: what the test needs.
        source: the test.
        seeds: with how many seeds.
        compiled: the folder where Python keeps what it compiles.
    """
    environment = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": compiled,
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    plugins = [word for name in PLUGINS.get(package or "", ()) for word in ("-p", name)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "test_seeds.py")
        file.write_text(source.replace("SEEDS", str(seeds)))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *plugins, file.name],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != (0 if source else 5):  # 5: no test was found
        raise SystemExit(done.stdout + done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--seeds", default=200, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(seeds: int, rounds: int) -> None:
    """Measure each way, round by round, and print the medians."""
    ways = {name: way for name, way in WAYS.items() if networks.available(way[0])}
    took: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as compiled:
        for name, (package, source) in list(ways.items()) * (rounds + 1):
            took[name].append(run(package, source, seeds, compiled))
    for name, (package, _) in WAYS.items():
        if name not in ways:
            print(f"{name:14}  {package} is not installed")
            continue
        print(f"{name:14}{statistics.median(took[name][1:]):8.2f} s")


if __name__ == "__main__":
    main()
