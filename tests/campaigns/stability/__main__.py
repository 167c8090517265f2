"""Certify again and again, on busy cores and in random order: not one verdict may differ.

    tox -e stability [-- OPTIONS [-- PYTEST OPTIONS]]

Each repetition certifies each implementation on all networks, in two processes, in the order that
its seed says. Unless `--idle` is given, a process of normal priority on each core does nothing but
keep it busy. Every certificate is kept, and compared with the implementation's first: the verdict
of each clause, the networks, and the expected and seen values. Every difference is written to the
log, and the exit status is then 1. A clause that a certificate calls flaky, because its test failed
and then passed, may differ: there the implementation itself is random.

A run that was broken off goes on where it was: certificates that are in the folder are not made
again. To look into a difference, run the seed alone: `--first-seed SEED --times 1`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import resources
from pathlib import Path
from typing import Any

import click

from conformance.errors import CannotRun

from .._shared.certifying import certificate_of

BUSY = """
import os
while os.getppid() == {parent}:
    for _ in range(1_000_000):
        pass
"""
"""The program that keeps a core busy, until its parent is gone."""


@click.command()
@click.option("--times", default=100, show_default=True, help="Repetitions.")
@click.option(
    "--implementations",
    default="reference_impl,asyncio",
    show_default=True,
    help="Separated by commas, with @loop behind it for another loop than asyncio's, as in "
    "asyncio@uvloop.",
)
@click.option("--network", help="The networks, separated by commas (default: all).")
@click.option("--busy/--idle", default=True, show_default=True, help="Keep the cores busy.")
@click.option("--first-seed", default=1, show_default=True, help="Then one more each time.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("build/stability"),
    show_default=True,
    help="Where the certificates and log.txt go.",
)
@click.argument("pytest_options", nargs=-1)
def main(
    times: int,
    implementations: str,
    network: str | None,
    busy: bool,
    first_seed: int,
    folder: Path,
    pytest_options: tuple[str, ...],
) -> None:
    """Certify again and again, under load and in random order, and compare.

    PYTEST_OPTIONS follow a `--`. Exit status: 1 if a verdict differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    first: dict[str, dict[str, Any]] = {}
    names = implementations.split(",")
    options = [*([f"--streams-network={network}"] if network else []), *pytest_options]
    runs, differing = 0, 0
    began = time.monotonic()
    with busy_cores() if busy else nullcontext(), log.open("a", encoding="utf-8") as file:

        def say(line: str) -> None:
            print(line, flush=True)
            print(line, file=file, flush=True)

        say(f"# {times} times {' and '.join(names)}, {time.ctime()}")
        for seed in range(first_seed, first_seed + times):
            for name in names:
                certificate = folder / f"{name.replace(':', '.')}-{seed}.json"
                started = time.monotonic()
                try:
                    if certificate.exists():
                        took = "done before"
                        found = json.loads(certificate.read_text(encoding="utf-8"))
                    else:
                        found = certify(name, seed, certificate, options)
                        took = f"{time.monotonic() - started:.1f} s"
                    differences = list(between(first.setdefault(name, found), found))
                except CannotRun as problem:
                    took = f"{time.monotonic() - started:.1f} s"
                    differences = [f"no certificate: {problem}"]
                runs += 1
                differing += bool(differences)
                say(f"{name}  seed {seed}  {took}  differences: {len(differences)}")
                for difference in differences:
                    say(f"    {difference}")
        minutes = (time.monotonic() - began) / 60
        for name, found in first.items():
            counts = ", ".join(f"{count} {what}" for what, count in found["summary"].items())
            say(f"# {name}, Python {found['python']}: {counts}")
        say(f"# {runs} certifications in {minutes:.1f} minutes, {differing} of them differ")
    sys.exit(bool(differing))


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy for as long as the block runs."""
    program = [sys.executable, "-c", BUSY.format(parent=os.getpid())]
    processes = []
    for core in os.sched_getaffinity(0):
        process = subprocess.Popen(program)
        os.sched_setaffinity(process.pid, {core})
        processes.append(process)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def certify(
    implementation: str, seed: int, certificate: Path, options: Sequence[str]
) -> dict[str, Any]:
    """Write the certificate, and return it.

    Raises:
        CannotRun: there is none.
    """
    suite = resources.files("conformance.suite")
    streams, _, loop = implementation.partition("@")
    return certificate_of(
        f"--streams={streams}",
        "--streams-again",
        *([f"--streams-loop={loop}"] if loop else []),
        *options,
        file=certificate,
        command=[
            *(sys.executable, "-P", "-m", "pytest", str(suite), "--numprocesses=2"),
            *(f"--config-file={suite / 'pytest.ini'}", f"--rootdir={suite}"),
            *("-pstreamcert", "-pxdist", "-prandomly"),
            *(f"--randomly-seed={seed}", "--randomly-dont-reset-seed"),
        ],
        json_option="--streams-json",
        environment={
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # as in `streamcert certify`
            "PYTHONHASHSEED": str(seed),  # the order of sets depends on the seed, too
        },
    )


def between(first: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Yield the differences between two certificates of one implementation, clause by clause."""
    expected = {each["id"]: each for each in first["clauses"]}
    found = {each["id"]: each for each in other["clauses"]}
    for id_ in expected | found:
        if expected.get(id_, {}).get("flaky") or found.get(id_, {}).get("flaky"):
            continue  # the certificate itself reports both verdicts
        for key in ("verdict", "networks", "detail"):
            before, now = expected.get(id_, {}).get(key), found.get(id_, {}).get(key)
            if before != now:
                yield f"{id_} {key}: first {before!r}, now {now!r}"


if __name__ == "__main__":
    main()
