"""Certify again and again, on busy cores and in random order: not one verdict may differ.

    tox -e stability [-- OPTIONS]
    python tests/conformance/stability.py [OPTIONS] [-- PYTEST OPTIONS]

Each repetition certifies each implementation on all networks, in two processes, in the order that
its seed says, while a process of normal priority on each core does nothing but keep it busy. Every
certificate is kept, and compared with the implementation's first: the verdict of each clause, the
networks, and what was expected and seen where. Whatever differs is written to the log, and the exit
status is then 1.

A run that was broken off goes on where it was: certificates that are in the folder are not made
again. To look into a difference, run the seed alone: `--first-seed SEED --times 1`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

HOUR = 3600  # seconds, after which a certification counts as one that does not end

BUSY = """
import os
while os.getppid() == {parent}:
    for _ in range(1_000_000):
        pass
"""
"""The program that keeps a core busy, until whoever started it is gone."""


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    options = parsed(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "log.txt"
    first: dict[str, dict[str, Any]] = {}
    runs, differing = 0, 0
    began = time.monotonic()
    with busy_cores(), log.open("a", encoding="utf-8") as file:

        def say(line: str) -> None:
            print(line, flush=True)
            print(line, file=file, flush=True)

        say(f"# {options.times} times {' and '.join(options.implementations)}, {time.ctime()}")
        for seed in range(options.first_seed, options.first_seed + options.times):
            for name in options.implementations:
                certificate = options.folder / f"{name.replace(':', '.')}-{seed}.json"
                started = time.monotonic()
                problem = None
                if certificate.exists():
                    took = "done before"
                else:
                    problem = certify(name, seed, certificate, options)
                    took = f"{time.monotonic() - started:.1f} s"
                if problem is None:
                    found = json.loads(certificate.read_text(encoding="utf-8"))
                    differences = list(between(first.setdefault(name, found), found))
                else:
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
    return 1 if differing else 0


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Certify again and again, under load and in random order, and compare."
    )
    parser.add_argument("--times", type=int, default=100, help="repetitions (default: 100)")
    parser.add_argument(
        "--implementations",
        type=lambda text: text.split(","),
        default=["reference_impl", "asyncio"],
        help="separated by commas (default: reference_impl,asyncio)",
    )
    parser.add_argument("--network", help="the networks, separated by commas (default: all)")
    parser.add_argument("--first-seed", type=int, default=1, help="then one more each time")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("build/stability"),
        help="where the certificates and log.txt go (default: build/stability)",
    )
    parser.add_argument("pytest_options", nargs="*", help="after --: given to pytest")
    return parser.parse_args(arguments)


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
    implementation: str, seed: int, certificate: Path, options: argparse.Namespace
) -> str | None:
    """Write the certificate; return why there is none, if there is none."""
    suite = resources.files("conformance.suite")
    command = [
        *(sys.executable, "-P", "-m", "pytest", str(suite), "--numprocesses=2"),
        *(f"--config-file={suite / 'pytest.ini'}", f"--rootdir={suite}"),
        *("-pstreamcert", "-pxdist", "-prandomly"),
        *(f"--randomly-seed={seed}", "--randomly-dont-reset-seed"),
        *(f"--streams={implementation}", f"--streams-json={certificate}"),
        *([f"--streams-network={options.network}"] if options.network else []),
        *options.pytest_options,
    ]
    environment = os.environ | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # as in `streamcert certify`
        "PYTHONHASHSEED": str(seed),  # the order of sets is of the seed, too
    }
    try:
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=HOUR
        )
    except subprocess.TimeoutExpired:
        return "it did not end within an hour"
    if certificate.exists():
        return None
    lines = (process.stdout + process.stderr).strip().splitlines()
    return lines[-1] if lines else f"exit status {process.returncode}"


def between(first: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Say in what two certificates of one implementation differ, clause by clause."""
    expected = {each["id"]: each for each in first["clauses"]}
    found = {each["id"]: each for each in other["clauses"]}
    for id_ in expected | found:
        for key in ("verdict", "networks", "detail"):
            before, now = expected.get(id_, {}).get(key), found.get(id_, {}).get(key)
            if before != now:
                yield f"{id_} {key}: first {before!r}, now {now!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
