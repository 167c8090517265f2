"""Implementations that are right but unlike ours conform: no clause asks for more than it says.

Here each is certified by a seventh of the clauses that it has to keep, most of them in memory and
without the searches for programs; two or three lookalikes share a clause. `tox -e lookalikes`
certifies them by all clauses, on every network and loop.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from campaigns._shared.certifying import certificate_of
from campaigns._shared.forked_suite import ForkedSuite, Request
from campaigns.lookalikes.__main__ import LOOKALIKES, failed_though_right, may_fail
from campaigns.zoo.certified import PLAIN
from conformance.clauses import DECISIVE, clauses
from conformance.subject.capabilities import LACKABLE

TESTS = Path(__file__).parents[1]

TRANSPORT = "StreamWriter.transport is not offered"
ELSEWHERE = "none of its tests was run"
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
        "much_in_the_end",
        "peer_is_held_back",
    ),
    *("test_all_of_more_than_the_limit", "test_reader_flow_control", "test_limit_default"),
    *("limit_with_", "limit_of_a_", "_far_apart", "after_a_cancelled_drain"),
)

BY_SINGLE_BYTES = {
    *("write.both-directions", "start_tls.both-directions"),
    *("reader.flow.goes-on", "start_tls.reader-flow-control"),
}
"""Clauses with which `short_reads` reads megabytes byte by byte: only for the long campaign."""

pytestmark = pytest.mark.pythons("3.14", why="once is enough, and 3.15 has enough to do")


def seventh_for(name: str) -> list[str]:
    """Return the ids of the clauses that a lookalike is certified by here."""
    start = sorted(LOOKALIKES).index(name) % 7
    levels = {each.id: each.level for each in clauses().values()}
    return [each for each in sorted(levels)[start::7] if not may_fail(name, each, levels[each])]


IN_MEMORY = {*LOOKALIKES} - {"plain", "one_byte", "raw_sockets", "on_trio"}


@pytest.fixture(scope="module")
def suite() -> Iterator[ForkedSuite]:
    with ForkedSuite(PLAIN, options=["--streams-bound=2"]) as suite:
        yield suite


@pytest.mark.parametrize("name", sorted(IN_MEMORY))
def test_it_conforms(name: str, suite: ForkedSuite) -> None:
    streams = f"campaigns.lookalikes.{name}:streams"
    asked = {*seventh_for(name)} - (BY_SINGLE_BYTES if name == "short_reads" else set())
    answer = suite.certify(
        Request(streams=streams, networks=("memory",), clauses=tuple(asked), searches=False)
    )
    assert not answer.unusable
    assert answer.tests > 100
    assert not answer.failures


@pytest.mark.parametrize("name", sorted(IN_MEMORY))
def test_what_it_need_not_keep_decides_nothing(name: str) -> None:
    levels = {each.level for each in clauses().values() if may_fail(name, each.id, each.level)}
    assert name == "awaitables" or not levels.intersection(DECISIVE)


def test_it_reads_one_byte_at_a_time(tmp_path: Path) -> None:
    """All except the tests with which it reads megabytes, which are for the long campaign."""
    file = tmp_path / "certificate.json"
    suite = resources.files("conformance.suite")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(suite), f"--config-file={suite / 'pytest.ini'}"),
            *(
                f"--rootdir={suite}",
                "--streams=campaigns.lookalikes.one_byte:streams",
                "--streams-network=memory",
            ),
            *("--streams-bound=60", f"--streams-json={file}"),
            *("-k", f"not ({' or '.join(MEGABYTES)})"),
            *(f"--streams-clause={each}" for each in seventh_for("one_byte")),
        ],
        cwd=TESTS,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert certificate["summary"]["passed"] > 60


def test_the_other_choice_about_files_of_sockets() -> None:
    certificate = certificate_of(
        "campaigns.lookalikes.left_open:streams",
        *("--network=unix", "-n0", "--bound=2", "--clause=unix.*"),
        folder=TESTS,
    )
    assert certificate["summary"]["passed"] > 60
    assert failed_though_right("left_open", certificate) == []


@pytest.mark.parametrize("name", ["raw_sockets", "on_trio"])
def test_without_transports_and_tls(name: str) -> None:
    certificate = certificate_of(
        *(f"campaigns.lookalikes.{name}:streams", "--network=tcp,unix", "-n0", "--bound=2"),
        *(f"--clause={each}" for each in seventh_for(name)),
        folder=TESTS,
    )
    assert failed_though_right(name, certificate) == []
    reasons = {
        each["id"]: set(each["detail"].splitlines())
        for each in certificate["clauses"]
        if each["verdict"] == "not_applicable"
    }
    lacking = {each for each in set().union(*reasons.values()) if not each.startswith(ELSEWHERE)}
    options = {
        *("family", "proto", "flags", "local_addr", "interleave", "reuse_address", "reuse_port")
    }
    assert lacking - {TRANSPORT, UPGRADE} - TLS <= {
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
    besides_start_tls = {
        *("tls.end.no-warning", "tls.garbage", "tls.cut-off", "tls.close.says-close_notify"),
        *("is_closing.after-peer-eof.tls", "close.peer-ends.reports-nothing"),
        *(f"server.{call}.upgraded" for call in ("wait-closed", "close-clients", "abort-clients")),
    }
    assert {id_ for id_ in about_upgrades if not id_.startswith("start_tls.")} == (
        besides_start_tls.intersection(seventh_for(name))
    )
