"""Adapters: a reader alone, pairs, and objects that offer only part of the page.

The worked examples are in plugged/partly.py.
"""

import asyncio
import functools
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fakes
import reference_impl
from conformance import ReaderAdapter
from conformance.errors import CannotRun, NotApplicable
from conformance.implementation import Implementation, implementation
from conformance.loops import loop
from conformance.networks import NETWORKS
from conformance.session import chosen_networks
from conformance.trial import Trial

PLUGGED = Path(__file__).parent / "plugged"
ENDS = pytest.mark.pythons("oldest", "newest", why="long, and much the same on every Python")


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


@ENDS
def test_a_reader_alone(tmp_path: Path) -> None:
    process, certificate = certified("Reader", tmp_path)
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert certificate["networks"] == ["memory"]
    assert verdicts(certificate, "StreamReader.readuntil")["passed"] > 30
    assert verdicts(certificate, "StreamWriter: writing").keys() == {"not_applicable"}
    details = {each["id"]: each["detail"] for each in certificate["clauses"]}
    assert details["write.order"] == "StreamWriter is not offered\na reader alone has no sides"


@ENDS
def test_a_reader_of_lines_only(tmp_path: Path) -> None:
    process, certificate = certified("Lines", tmp_path)
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert verdicts(certificate, "StreamReader.readline")["passed"] > 10
    assert verdicts(certificate, "StreamReader.readexactly").keys() == {"not_applicable"}


@ENDS
@pytest.mark.parametrize("name", ["Pair", "SocketPair"])
def test_a_pair(name: str, tmp_path: Path) -> None:
    process, certificate = certified(name, tmp_path)
    assert process.returncode == 0, process.stdout
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert verdicts(certificate, "StreamReader.readuntil")["passed"] > 30
    assert verdicts(certificate, "StreamWriter: drain")["passed"] > 10


@ENDS
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


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ({"StreamWriter.fly"}, r"x\.without has StreamWriter\.fly: it may have StreamWriter, Stre"),
        ({"loopback"}, r"x\.without has loopback: it may have Server\.__aenter__, "),
        ("memory", r"x\.without is 'memory': give a set of names"),
        (7, r"x\.without is 7: give a set of names"),
    ],
)
@pytest.mark.parametrize("kind", [object, Anything])
def test_what_nobody_can_lack(kind: type, without: object, message: str) -> None:
    wrong = type("Wrong", (kind,), {"without": without})
    with pytest.raises(CannotRun, match=message):
        Implementation("x", wrong)


def less(*names: str) -> Implementation:
    """Return the reference, less the names."""
    return Implementation("x", SimpleNamespace(without=set(names), **vars(reference_impl)))


def test_a_function_that_is_lacking_need_not_be_there() -> None:
    class Client:
        without = frozenset({"start_server", "open_unix_connection", "start_unix_server"})
        open_connection = reference_impl.open_connection
        StreamReader = reference_impl.StreamReader
        StreamWriter = reference_impl.StreamWriter

    plugged = Implementation("x", Client)
    assert plugged.open_connection is reference_impl.open_connection
    with pytest.raises(NotApplicable, match="start_server is not offered"):
        plugged.start_server  # noqa: B018  # what is tested is the access


def test_networks_that_are_lacking() -> None:
    on = loop("asyncio")
    plugged = less("memory", "tls-memory", "unix")
    assert chosen_networks(plugged, on, None) == ("tcp", "tls")
    assert chosen_networks(plugged, on, "tls") == ("tls",)
    with pytest.raises(CannotRun, match="x does not run on unix: it is in its `without`"):
        chosen_networks(plugged, on, "tcp,unix")
    nowhere = less("memory", "tls-memory", "tcp", "unix", "tls")
    with pytest.raises(CannotRun, match="x runs on no network"):
        chosen_networks(nowhere, on, None)


async def handle(reader: Any, writer: Any) -> None:
    writer.write(await reader.readline())
    writer.close()


class Handler:
    def __call__(self, reader: Any, writer: Any) -> Any:
        return handle(reader, writer)


@pytest.mark.parametrize("callback", [handle, Handler(), functools.partial(handle)])
def test_what_is_lacking_is_refused_and_the_rest_is_there(callback: Any) -> None:
    streams = less(
        *("StreamReader.__aiter__", "StreamWriter.transport", "Server.close_clients"),
        *("open_connection.ssl", "start_server.backlog"),
    )
    ends = []

    def called(reader: Any, writer: Any) -> Any:
        ends.append((reader, writer))
        return callback(reader, writer)

    async def main() -> None:
        with pytest.raises(NotApplicable, match=r"start_server\.backlog is not offered"):
            await streams.start_server(callback, "localhost", backlog=1)
        server = await streams.start_server(called, "localhost", 7)
        with pytest.raises(NotApplicable, match=r"open_connection\.ssl is not offered"):
            await streams.open_connection("localhost", 7, ssl=True)
        async with server as entered:
            assert entered is server
            reader, writer = await streams.open_connection("localhost", 7)
            writer.write(b"hello\n")
            assert await reader.read() == b"hello\n"
        for one, other in ((reader, writer), *ends):
            assert isinstance(one, streams.StreamReader)
            assert isinstance(other, streams.StreamWriter)
            assert repr(one).startswith("<StreamReader")
            with pytest.raises(NotApplicable, match=r"StreamReader\.__aiter__ is not offered"):
                aiter(one)
            with pytest.raises(NotApplicable, match=r"StreamWriter\.transport is not offered"):
                _ = other.transport
            other.close()
        with pytest.raises(NotApplicable, match=r"Server\.close_clients is not offered"):
            server.close_clients()  # type: ignore[attr-defined]  # since 3.13

    fakes.run(main())


def test_a_coroutine_function_stays_one() -> None:
    given = []

    async def start_server(callback: Any) -> None:
        given.append(callback)

    plugged = Implementation(
        "x",
        SimpleNamespace(
            capabilities={"start_server"}, without={"Server.sockets"}, start_server=start_server
        ),
    )

    async def main() -> None:
        await plugged.start_server(handle)
        await plugged.start_server(Handler())
        await plugged.start_server("not callable")

    asyncio.run(main())
    assert [inspect.iscoroutinefunction(each) for each in given] == [True, False, False]
    assert given[2] == "not callable"


def test_what_is_lacking_ends_a_test_that_waits_for_something_else() -> None:
    trial = Trial(less("open_connection.ssl"), NETWORKS["tcp"](), "client", loop("asyncio"))

    async def test() -> None:
        trial.start(trial.streams.open_connection("localhost", 7, ssl=True))
        await trial.loop.create_future()  # for what the connection would bring

    try:
        with pytest.raises(NotApplicable, match=r"open_connection\.ssl is not offered"):
            trial.run(test())
    finally:
        trial.close()


def test_a_capability_without_its_name() -> None:
    class Wrong:
        capabilities = frozenset({"open_connection"})

    with pytest.raises(CannotRun, match="x lacks open_connection: "):
        Implementation("x", Wrong)
