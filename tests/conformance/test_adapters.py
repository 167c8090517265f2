"""Adapters: a reader alone, pairs, and objects that offer only part of the page.

The worked examples are in plugged/partly.py.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance import ReaderAdapter
from conformance.errors import CannotRun, NotApplicable
from conformance.implementation import Implementation, implementation
from conformance.loops import loop
from conformance.session import chosen_networks

PLUGGED = Path(__file__).parent / "plugged"


def certified(name: str, tmp_path: Path, *arguments: str) -> Any:
    file = tmp_path / "certificate.json"
    process = subprocess.run(
        [
            *(sys.executable, "-m", "conformance", "certify", f"partly:{name}"),
            *("-n0", "--json", str(file), *arguments),
        ],
        cwd=PLUGGED,
        capture_output=True,
        text=True,
    )
    assert file.exists(), process.stdout + process.stderr
    return process, json.loads(file.read_text(encoding="utf-8"))


def verdicts(certificate: Any, section: str) -> dict[str, int]:
    found = [each["verdict"] for each in certificate["clauses"] if each["section"] == section]
    return {verdict: found.count(verdict) for verdict in set(found)}


def test_a_reader_alone(tmp_path: Path) -> None:
    process, certificate = certified("Reader", tmp_path)
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert certificate["networks"] == ["memory"]
    assert verdicts(certificate, "StreamReader.readuntil")["passed"] > 30
    assert verdicts(certificate, "StreamWriter: writing").keys() == {"not_applicable"}
    details = {each["id"]: each["detail"] for each in certificate["clauses"]}
    assert details["write.order"] == "StreamWriter is not offered\na reader alone has no sides"


def test_a_reader_of_lines_only(tmp_path: Path) -> None:
    process, certificate = certified("Lines", tmp_path)
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert verdicts(certificate, "StreamReader.readline")["passed"] > 10
    assert verdicts(certificate, "StreamReader.readexactly").keys() == {"not_applicable"}


@pytest.mark.parametrize("name", ["Pair", "SocketPair"])
def test_a_pair(name: str, tmp_path: Path) -> None:
    process, certificate = certified(name, tmp_path)
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert verdicts(certificate, "StreamReader.readuntil")["passed"] > 30
    assert verdicts(certificate, "StreamWriter: drain")["passed"] > 10


def test_an_object_that_only_connects(tmp_path: Path) -> None:
    process, certificate = certified("Client", tmp_path, "--network", "memory")
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert verdicts(certificate, "Connecting: open_connection")["passed"] > 10
    assert verdicts(certificate, "Server objects").keys() == {"not_applicable"}


class Anything(ReaderAdapter):
    def reader(self, limit: int) -> Any: ...

    def feed_data(self, reader: Any, data: bytes) -> None: ...

    def feed_eof(self, reader: Any) -> None: ...


@pytest.mark.parametrize("target", [Anything, Anything()])
def test_an_adapter_is_a_class_or_an_object(target: object) -> None:
    plugged = Implementation("some:adapter", target)
    assert isinstance(plugged.adapter, Anything)
    with pytest.raises(NotApplicable, match="start_server is not offered"):
        plugged.start_server  # noqa: B018  # what is tested is the access
    on = loop("asyncio")
    assert chosen_networks(plugged, on, None) == ("memory",)
    with pytest.raises(CannotRun, match="some:adapter is an adapter: it runs on memory, not tcp"):
        chosen_networks(plugged, on, "tcp")


def test_another_loop_is_certified_on_the_kernels_networks_unless_told_otherwise() -> None:
    plugged = implementation("asyncio")
    assert "memory" in chosen_networks(plugged, loop("asyncio"), None)
    assert chosen_networks(plugged, loop("uvloop"), None) == ("tcp", "unix", "tls")
    assert chosen_networks(plugged, loop("uvloop"), "memory") == ("memory",)


def test_a_capability_that_there_is_not() -> None:
    class Wrong:
        capabilities = frozenset({"open_connection", "fly"})

    with pytest.raises(CannotRun, match=r"x\.capabilities has fly: it may have open_connection, "):
        Implementation("x", Wrong)


def test_a_capability_without_its_name() -> None:
    class Wrong:
        capabilities = frozenset({"open_connection"})

    with pytest.raises(CannotRun, match="x lacks open_connection: "):
        Implementation("x", Wrong)
