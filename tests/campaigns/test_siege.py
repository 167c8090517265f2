"""The siege, for a short while; and that it finds faults of others."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

BROKEN = [
    "forgets_at_cancel",
    "loses_a_byte",
    "doubles",
    "forgets_to_wake",
    "counts_the_separator",
    "forgets_the_error",
    "wakes_one_drainer",
    "leaves_waiters",
    "reports_twice",
    "never_closes",
]
if sys.version_info >= (3, 12):  # before that, transports copied written data
    BROKEN.append("keeps_the_buffer")

SEEDS = 1000 if sys.version_info[:2] == (3, 14) else 250


def besiege(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "campaigns.siege", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=TESTS, timeout=500)


def test_the_reference_holds_out() -> None:
    process = besiege(f"--seeds={SEEDS}", "--keep-going")
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"{SEEDS:,} seeds, 0 of them wrong" in process.stdout


def test_closing_twice_over_tls_while_the_peer_sends() -> None:
    process = besiege("--first=4002855", "--seeds=1")
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_reference_holds_out_on_the_kernels_sockets(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    process = besiege(f"--on={loop}", "--seeds=60", "--keep-going")
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize(
    "name", ["asyncio", *(f"campaigns.siege.broken:{name}" for name in BROKEN)]
)
def test_it_finds_what_is_wrong(name: str) -> None:
    process = besiege(f"--streams={name}", "--seeds=300")
    assert process.returncode == 1, process.stdout + process.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="what is shrunk shows from Python 3.12 on")
def test_what_is_found_can_be_replayed_and_shrunk() -> None:
    found = besiege(
        "--streams=campaigns.siege.broken:keeps_the_buffer", "--seeds=300", "--shrink"
    ).stdout
    match = re.search(r"^replay: python -m campaigns\.siege (.*)$", found, re.MULTILINE)
    assert match, found
    replayed = besiege(*match[1].split()).stdout
    failure = found.splitlines()[1]
    assert failure in replayed.splitlines()
    assert "WRONG" in replayed
    shrunk = found[found.index("shrunk to: ") :]
    assert shrunk.count("End(") == 2, "one connection is left"
