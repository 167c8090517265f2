"""Implementations that are right but unlike ours conform: no clause asks for more than it says.

Here each is certified in memory. `tox -e lookalikes` certifies them on every network and loop.
"""

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from conformance.capabilities import LACKABLE

LOOKALIKES = Path(__file__).parent / "lookalikes"

TRANSPORT = "StreamWriter.transport is not offered"
ELSEWHERE = "none of its tests was run (networks chosen: tcp, unix)"
UPGRADE = "StreamWriter.start_tls is not offered"
TLS = {
    f"{function}.{option} is not offered"
    for function in ("open_connection", "start_server", "open_unix_connection", "start_unix_server")
    for option in ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
}

MEGABYTES = (
    *(
        "test_peer_goes_on",
        "test_both_directions",
        "test_held_back_peer",
        "limit_above_the_default",
    ),
    *("test_all_of_more_than_the_limit", "test_reader_flow_control", "test_limit_default"),
)

pytestmark = pytest.mark.pythons("3.14", why="once is enough, and 3.15 has enough to do")


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


@pytest.mark.parametrize("name", ["pieces", "buffered", "a_turn_later"])
def test_it_conforms_at_every_level(name: str, tmp_path: Path) -> None:
    certificate = certified(name, tmp_path, "--network=memory")
    details = {
        each["detail"] for each in certificate["clauses"] if each["verdict"] == "not_applicable"
    }
    assert details == {"none of its tests was run (networks chosen: memory)"}


def test_it_reads_one_byte_at_a_time(tmp_path: Path) -> None:
    """All but the tests that have it read megabytes, which are for the long campaign."""
    file = tmp_path / "certificate.json"
    suite = resources.files("conformance.suite")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(suite), f"--config-file={suite / 'pytest.ini'}"),
            *(f"--rootdir={suite}", "--streams=one_byte:streams", "--streams-network=memory"),
            *("--streams-bound=60", f"--streams-json={file}"),
            *("-k", f"not ({' or '.join(MEGABYTES)})"),
        ],
        cwd=LOOKALIKES,
        env=os.environ | {"PYTHONPATH": str(LOOKALIKES)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert certificate["summary"]["passed"] > 400


@pytest.mark.parametrize("name", ["raw_sockets", "on_trio"])
def test_without_transports_and_tls(name: str, tmp_path: Path) -> None:
    certificate = certified(name, tmp_path, "--network=tcp,unix")
    reasons = {
        each["id"]: set(each["detail"].splitlines())
        for each in certificate["clauses"]
        if each["verdict"] == "not_applicable"
    }
    lacking = set().union(*reasons.values())
    options = {
        *("family", "proto", "flags", "local_addr", "interleave", "reuse_address", "reuse_port")
    }
    assert lacking - {TRANSPORT, UPGRADE, ELSEWHERE} - TLS == {
        f"{function}.{option} is not offered"
        for function in ("open_connection", "start_server")
        for option in options
        if name == "on_trio" and f"{function}.{option}" in LACKABLE
    }
    about_transports = {
        id_ for id_, each in reasons.items() if TRANSPORT in each and UPGRADE not in each
    }
    abort_and_marks = ("drain.abort.", "drain.marks.", "drain.low-water.", "reader.own-abort.")
    assert all(id_.startswith(("transport.", *abort_and_marks)) for id_ in about_transports)
    about_upgrades = {id_ for id_, each in reasons.items() if UPGRADE in each}
    assert {id_ for id_ in about_upgrades if not id_.startswith("start_tls.")} == {
        "tls.end.no-warning"
    }
