"""Implementations that are right but unlike ours conform: no clause asks for more than it says.

Here each is certified in memory. `tox -e lookalikes` certifies them on every network and loop.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOOKALIKES = Path(__file__).parent / "lookalikes"

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 14), reason="once is enough: on Python 3.14"
)


def certified(name: str, tmp_path: Path, *arguments: str) -> Any:
    file = tmp_path / "certificate.json"
    process = subprocess.run(
        [
            *(sys.executable, "-m", "conformance", "certify", f"{name}:streams", "-n0"),
            *("--json", str(file), *arguments),
        ],
        cwd=LOOKALIKES,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert certificate["summary"]["failed"] == 0, process.stdout
    return certificate


@pytest.mark.parametrize("name", ["plain", "pieces", "buffered", "a_turn_later"])
def test_it_conforms_at_every_level(name: str, tmp_path: Path) -> None:
    certificate = certified(name, tmp_path, "--network=memory")
    details = {
        each["detail"] for each in certificate["clauses"] if each["verdict"] == "not_applicable"
    }
    assert details == {"none of its tests was run (networks chosen: memory)"}
