"""The conformance suite finds the same in memory as over the kernel, clause by clause."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = [sys.executable, "-m", "campaigns.fidelity"]
TESTS = Path(__file__).parents[1]


SECTIONS = ("handlers", "is_closing", "read", "tls")
"""The sections in which few clauses hang with asyncio, because each hang takes time."""


# `tox -m fidelity` checks all clauses, the reference, too, and every Python.
@pytest.mark.pythons("3.14", why="`tox -m fidelity` asks all")
def test_every_clause_has_the_same_verdict() -> None:
    chosen = [f"--clause={each}.*" for each in SECTIONS]
    done = subprocess.run([*TOOL, "asyncio", *chosen], cwd=TESTS, capture_output=True, text=True)
    told = re.match(r"asyncio on Python 3\.14\.\S+: (\d+) clauses on .*: 0 with", done.stdout)
    assert told, done.stdout + done.stderr
    assert int(told[1]) > 50
    assert done.returncode == 0


def test_the_matrix_has_the_same_verdicts_in_memory_and_over_the_kernel() -> None:
    matrix = TESTS.parent / "docs" / "generated" / "matrix"
    certificates = sorted(matrix.glob("*-asyncio.json"))
    done = subprocess.run([*TOOL, *certificates], cwd=TESTS, capture_output=True, text=True)
    assert done.stdout.count(": 0 with another verdict in memory") == len(certificates), done.stdout
    assert done.returncode == 0


def test_a_difference_is_told(tmp_path: Path) -> None:
    networks = {
        "same": {"memory": "passed", "tcp": "passed", "tls": "failed", "tls-memory": "failed"},
        "other": {"memory": "passed", "tcp": "failed"},
        "untested": {"tls": "passed"},
        "elsewhere": {"unix": "failed"},
    }
    clauses = [
        {"id": name, "networks": verdicts, "detail": "expected this"}
        for name, verdicts in networks.items()
    ]
    certificate = tmp_path / "certificate.json"
    certificate.write_text(json.dumps({"implementation": "x", "python": "3.0", "clauses": clauses}))
    done = subprocess.run([*TOOL, certificate], cwd=TESTS, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "x on Python 3.0: 3 clauses on memory, tcp, tls-memory, tls: 2 with another verdict in "
        "memory",
        "  other: memory passed, tcp failed. expected this",
        "  untested: tls-memory not tested, tls passed. expected this",
    ]
    assert done.returncode == 1
