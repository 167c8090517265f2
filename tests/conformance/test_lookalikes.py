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

TRANSPORT = "StreamWriter.transport is not offered"
UPGRADE = "StreamWriter.start_tls is not offered"
TLS = {
    f"{function}.{option} is not offered"
    for function in ("open_connection", "start_server", "open_unix_connection", "start_unix_server")
    for option in ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
}

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


def test_raw_sockets_lack_transports_and_tls(tmp_path: Path) -> None:
    certificate = certified("raw_sockets", tmp_path)
    reasons = {
        each["id"]: set(each["detail"].splitlines())
        for each in certificate["clauses"]
        if each["verdict"] == "not_applicable"
    }
    assert all(each <= {TRANSPORT, UPGRADE} | TLS for each in reasons.values()), reasons
    about_transports = {id_ for id_, each in reasons.items() if TRANSPORT in each}
    assert {id_ for id_ in about_transports if not id_.startswith("transport.")} == {
        *("drain.abort.waiting", "drain.abort.raises", "drain.marks.high", "drain.marks.zero"),
        *("drain.low-water.not-before", "drain.low-water.not-later"),
        "reader.own-abort.ends-reads",
    }
    about_upgrades = {id_ for id_, each in reasons.items() if UPGRADE in each}
    assert all(id_.startswith("start_tls.") for id_ in about_upgrades)
