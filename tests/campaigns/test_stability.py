"""The tool that certifies again and again: it runs, finds differences, and reports them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.pythons("newest", why="the tool is the same on every Python")


def test_a_verdict_that_differs_is_found_and_an_unfinished_run_goes_on(tmp_path: Path) -> None:
    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [
                *(sys.executable, "-m", "campaigns.stability", f"--folder={tmp_path}"),
                *("--times=2", "--implementations=misbehaving:unsteady", "--network=memory"),
                "--idle",
                *("--", "-k", "test_returns_n_bytes or test_returns_a_line"),
            ],
            env=os.environ | {"PYTHONPATH": str(TESTS / "conformance" / "plugged")},
            cwd=TESTS,
            capture_output=True,
            text=True,
            timeout=300,
        )

    process = run()
    assert process.returncode == 1, process.stderr
    lines = process.stdout.splitlines()
    assert lines[1].startswith("misbehaving:unsteady  seed 1 "), lines[1]
    assert lines[1].endswith(" differences: 0")
    assert lines[2].startswith("misbehaving:unsteady  seed 2 "), lines[2]
    assert lines[2].endswith(" differences: 3")
    assert lines[3:6] == [
        "    readexactly.returns-n-bytes verdict: first 'passed', now 'failed'",
        "    readexactly.returns-n-bytes networks: first {'memory': 'passed'}, "
        "now {'memory': 'failed'}",
        "    readexactly.returns-n-bytes detail: first '', "
        "now \"expected `await reader.readexactly(4)` to return b'abcd'; saw b'abc' "
        '(client and server on memory)"',
    ]
    assert lines[-1].endswith(" minutes, 1 of them differ")

    again = run()
    assert again.returncode == 1
    assert "seed 2  done before  differences: 3\n" in again.stdout
    assert (tmp_path / "log.txt").read_text() == process.stdout + again.stdout


def test_no_certificate_is_a_difference_too(tmp_path: Path) -> None:
    process = subprocess.run(
        [
            *(sys.executable, "-m", "campaigns.stability", f"--folder={tmp_path}", "--times=1"),
            *("--implementations=no_such_module", "--idle"),
        ],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 1
    assert "no certificate: " in process.stdout
    assert "cannot import 'no_such_module'" in process.stdout
