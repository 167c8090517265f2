"""The fuzzing of the reader, for a short while; and that it finds faults of others."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def fuzz(streams: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "campaigns.fuzz", "--inputs=400", f"--streams={streams}"],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_nothing_is_found_in_the_reference() -> None:
    process = fuzz("reference_impl")
    assert process.returncode == 0, process.stderr
    assert process.stdout == "400 inputs, nothing found\n"


@pytest.mark.parametrize("name", ["loses_a_byte", "forgets_to_wake", "counts_the_separator"])
def test_it_finds_what_is_wrong(name: str) -> None:
    process = fuzz(f"campaigns.siege.broken:{name}")
    assert process.returncode == 1
    assert "AssertionError" in process.stderr
