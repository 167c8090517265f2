"""Adapters: a reader alone, pairs, and objects that offer only part of the page.

The worked examples are in plugged/partly.py.
"""

import asyncio
import functools
import gc
import importlib
import inspect
import json
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fakes
import reference_impl
from conformance import PairAdapter, ReaderAdapter
from conformance.errors import CannotRun, Deviation, NotApplicable
from conformance.harness.resolving import resolving
from conformance.harness.trial import Trial
from conformance.networks import NETWORKS
from conformance.networks.adapter import network_of
from conformance.run import preflight
from conformance.run.request import chosen_networks
from conformance.subject.capabilities import asked_about
from conformance.subject.event_loop import loop
from conformance.subject.implementation import Implementation, implementation

PLUGGED = Path(__file__).parent / "plugged"
ENDS = pytest.mark.pythons("newest", why="long, and much the same on every Python")


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
    assert certificate["networks"] == ["reader"]
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
    assert chosen_networks(plugged, on, None) == ("reader",)
    with pytest.raises(CannotRun, match="some:adapter is an adapter: leave --network out"):
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
        ({"start_tls"}, r"x\.without has start_tls: it may have StreamWriter\.start_tls, "),
        (
            {"StreamWriter.starttls"},
            r"x\.without has StreamWriter\.starttls: it may have StreamWriter\.start_tls, ",
        ),
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


# What is declared, and what is looked at before the tests.


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Implementation]:
    """Return what plugs in one of the odd ones."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(PLUGGED)])
    return implementation


def tried(streams: Implementation, test: Callable[[Trial], Any], role: str = "client") -> Trial:
    """Run `test` with an adapter; return the trial, closed."""
    assert streams.adapter is not None
    trial = Trial(streams, network_of(streams.adapter), role, loop("asyncio"))
    try:
        trial.run(test(trial))
    finally:
        trial.close()
    return trial


Plug = Callable[[str], Implementation]


def test_what_an_adapter_lacks_its_far_ends_lack(plugged: Plug) -> None:
    async def test(trial: Trial) -> None:
        connection = await trial.connect()
        await connection.wire.send_eof()

    with pytest.raises(NotApplicable, match=r"StreamWriter\.write_eof is not offered"):
        tried(plugged("odd:Serial"), test)


def test_the_far_end_may_lack_more_and_what_was_made_is_torn_down(plugged: Plug) -> None:
    async def test(trial: Trial) -> None:
        reader, writer, wire = await trial.connect()
        writer.write_eof()
        assert await wire.receive_rest() == b""
        await wire.send(b"data")
        assert await reader.read(4) == b"data"
        await wire.send_eof()

    helped = plugged("odd:Helped")
    before = type(helped.adapter).closed  # type: ignore[union-attr]
    with pytest.raises(NotApplicable, match=r"StreamWriter\.write_eof is not offered"):
        tried(helped, test)
    with pytest.raises(NotApplicable, match="only the first end of the pair is under test"):
        tried(helped, test, "server")
    assert type(helped.adapter).closed == before + 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("clause", "lacking"),
    [
        ("drain.waits", {"StreamWriter.drain"}),
        ("start_tls.closed", {"StreamWriter.start_tls"}),
        ("read.all.cancelled-loses-nothing", {"StreamReader.read"}),
        ("readuntil.tuple.empty", {"StreamReader.readuntil", "StreamReader.readuntil.tuple"}),
        ("reader.feed-eof.late-bytes", {"StreamReader.feed_eof"}),
        ("transport.abort.at-once", {"StreamWriter.transport", "StreamWriter.transport.abort"}),
        (
            "get_extra_info.cipher",
            {"StreamWriter.get_extra_info", "StreamWriter.get_extra_info.cipher"},
        ),
        ("server.close-clients.closes", {"Server.close_clients"}),
        ("connecting.refused", set()),
    ],
)
def test_a_clause_is_about_what_its_id_begins_with(clause: str, lacking: set[str]) -> None:
    assert asked_about(clause) == lacking


def test_what_is_lacking_is_not_failed_by_what_comes_before_it(plugged: Plug) -> None:
    # The test closes the connection first, and none is there to be closed.
    with pytest.raises(pytest.skip.Exception, match=r"StreamWriter\.start_tls is not offered"):
        tried(plugged("odd:Forever"), from_suite("test_tls_upgrade", "test_closed"))


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_has_no_close_fails_no_test_at_its_end() -> None:
    names = ("open_connection", "start_server", "StreamReader", "StreamWriter")
    whole = SimpleNamespace(
        **{name: getattr(reference_impl, name) for name in names},
        without={
            *("Server.close", "StreamWriter.close"),
            *("open_unix_connection", "start_unix_server"),
        },
    )
    streams = Implementation("unclosable", whole)
    trial = Trial(streams, NETWORKS["memory"](), "server", loop("asyncio"))

    async def test() -> None:
        await trial.connect()

    trial.run(test())
    trial.close()


def from_suite(module: str, test: str) -> Any:
    """Return a test of the suite's, for `tried()`."""
    run = getattr(importlib.import_module(f"conformance.suite.{module}"), test)

    async def nothing(trial: Trial) -> None:
        pass

    def begin(trial: Trial) -> Any:
        run(trial)
        return nothing(trial)

    return begin


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_writer_that_cannot_write_eof_says_so_itself(role: str, plugged: Plug) -> None:
    async def near(trial: Trial) -> None:
        (await trial.connect()).writer.write_eof()

    async def far(trial: Trial) -> None:
        await (await trial.connect()).wire.send_eof()

    for test in (near, far):
        with pytest.raises(NotApplicable, match=r"StreamWriter\.write_eof is not offered"):
            tried(plugged("odd:Undeclared"), test, role)


def test_a_writer_that_cannot_write_eof_need_not_say_that_it_can(plugged: Plug) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"StreamWriter\.write_eof is not offered"):
        tried(plugged("odd:Undeclared"), from_suite("test_callers", "test_write_eof"))


@pytest.mark.parametrize("test", ["test_frees_the_socket", "test_receives_no_more"])
def test_what_is_lost_may_raise_any_error(test: str, plugged: Plug) -> None:
    tried(plugged("odd:Foreign"), from_suite("test_closing", test))


@pytest.mark.parametrize(
    ("name", "known"), [("partly:Reader", True), ("partly:Pair", True), ("odd:Pipes", False)]
)
def test_when_bytes_have_arrived_is_known_in_memory_only(
    name: str, known: bool, plugged: Plug
) -> None:
    async def test(trial: Trial) -> None:
        await (await trial.connect()).wire.received()

    if known:
        tried(plugged(name), test)
    else:
        with pytest.raises(NotApplicable, match="when a pair's bytes have arrived cannot be known"):
            tried(plugged(name), test)


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("test_writer_model", "test_pairs_of_calls"),
        ("test_writer_model", "test_calls_with_much_unsent"),
        ("test_closing", "test_twice_changes_nothing"),
    ],
)
def test_writes_that_come_too_late_may_be_refused(module: str, test: str, plugged: Plug) -> None:
    tried(plugged("odd:Refusing"), from_suite(module, test))


def test_a_pair_that_never_connects_is_said_in_one_line(
    plugged: Plug, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preflight, "PATIENCE", 0.1)
    with pytest.raises(CannotRun) as error:
        preflight.check(plugged("odd:Forever"), loop("asyncio"), ("pair",))
    gc.collect()
    assert re.sub(r"odd\.py:\d+", "odd.py:N", str(error.value)) == (
        "cannot certify odd:Forever: cannot make a pair: TimeoutError: a hang after 0.2 s: "
        "Forever.pair() waits in odd.py:N Forever.pair() at `await asyncio.Event().wait()`"
    )
    assert not caplog.records


@pytest.mark.parametrize(
    ("lacking", "use"),
    [
        ("limit", lambda streams: streams.LimitOverrunError),
        ("limit", lambda streams: streams.StreamReader(limit=5)),
        ("StreamReader.__init__", lambda streams: streams.StreamReader()),
        ("StreamReader.feed_data", lambda streams: streams.StreamReader().feed_data),
    ],
)
def test_what_is_lacking_of_readers_made_by_hand(
    lacking: str, use: Callable[[Any], object]
) -> None:
    streams = less(lacking)

    async def test() -> None:
        assert isinstance(reference_impl.StreamReader(), streams.StreamReader)
        with pytest.raises(NotApplicable, match="is not offered"):
            use(streams)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("lacking", "use"),
    [
        ("StreamWriter.get_extra_info.cipher", lambda _, w: w.get_extra_info(name="cipher")),
        ("StreamWriter.get_extra_info.cipher", lambda _, w: w.transport.get_extra_info("cipher")),
        ("StreamWriter.transport.abort", lambda _, w: w.transport.abort()),
        ("StreamReader.readuntil.tuple", lambda r, _: r.readuntil((b"x", b"y"))),
    ],
)
def test_what_is_lacking_of_a_part(lacking: str, use: Callable[[Any, Any], Any]) -> None:
    trial = Trial(less(lacking), NETWORKS["memory"](), "client", loop("asyncio"))

    async def test() -> None:
        reader, writer, wire = await trial.connect()
        assert writer.get_extra_info("no such", default=7) == 7
        assert not writer.transport.is_closing()
        await wire.send(b"line\n")
        assert await reader.readuntil(b"\n") == b"line\n"
        used = use(reader, writer)
        await used

    try:
        with pytest.raises(NotApplicable, match=f"{lacking} is not offered"):
            trial.run(test())
    finally:
        trial.close()


def test_a_slow_pair_does_not_hang_as_long_as_bytes_move(plugged: Plug) -> None:
    async def test(trial: Trial) -> None:
        reader, _, wire = await trial.connect(limit=2**20)
        data = bytes(400_000)  # two seconds: twice the bound
        await wire.send(data)
        assert await reader.readexactly(len(data)) == data

    tried(plugged("odd:Slow"), test)


def test_a_loop_is_taken_for_what_it_does(plugged: Plug) -> None:
    duck = loop("odd:Duck")
    preflight.check(implementation("asyncio"), duck, ("tcp",))
    trial = Trial(implementation("asyncio"), NETWORKS["tcp"](), "client", duck)

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            ended.append(1)

    async def test() -> None:
        async for _ in generate():
            break
        await trial.loop.run_in_executor(None, threads.append, threading.current_thread)
        await (await trial.connect()).wire.settle()
        with (
            pytest.raises(NotApplicable, match=r"getaddrinfo\(\) of this event loop cannot be rep"),
            resolving(trial, "127.0.0.1"),
        ):
            pass

    threads: list[object] = []
    ended: list[int] = []
    before = threading.active_count()
    trial.run(test())
    trial.close()
    assert ended == [1]
    assert threading.active_count() == before
    assert trial.loop.is_closed()


@pytest.mark.parametrize(
    ("role", "method"),
    [("client", "create_unix_connection"), ("server", "create_unix_server")],
)
def test_what_a_loop_lacks_is_not_applicable(role: str, method: str, plugged: Plug) -> None:
    trial = Trial(plugged("asyncio"), NETWORKS["unix"](), role, loop("odd:Poor"))
    try:
        for connect in (trial.connect(), begun(trial)):
            with pytest.raises(NotApplicable, match=rf"the event loop has no {method}\(\)"):
                trial.run(connect)
    finally:
        trial.close()


async def begun(trial: Trial) -> None:
    """Connect in a task that nothing waits for."""
    trial.start(trial.connect())
    await trial.loop.create_future()


def test_a_loop_whose_time_is_not_real_makes_no_hang_of_what_takes_real_time(plugged: Plug) -> None:
    trial = Trial(plugged("asyncio"), NETWORKS["tcp"](), "client", loop("odd:Hasty"))
    ended = threading.Event()

    async def has_ended() -> bool:
        return ended.is_set()

    async def test() -> None:
        await trial.loop.run_in_executor(None, ended.wait, 0.3)
        threading.Timer(0.2, ended.set).start()
        assert await trial.soon(has_ended)

    try:
        trial.run(test())
    finally:
        trial.close()


@pytest.mark.filterwarnings("ignore")  # of what it has made and left open
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Apart", "cannot certify odd:Apart: the ends that pair() returned are not connected: "),
        ("Single", "cannot certify odd:Single: pair() returned (<"),
        (
            "Mistaken",
            "cannot certify odd:Mistaken: cannot make a pair: KeyError: 'near' (odd.py:",
        ),
        (
            "MistakenReader",
            "cannot certify odd:MistakenReader: cannot make a reader and feed it: AttributeError: ",
        ),
        ("Generated", "cannot certify odd:Generated: pair() returned <async_generator object "),
        ("Sync", "cannot certify odd:Sync: pair() returned ((1, 2), (3, 4)): write it as `async "),
        (
            "Blocking",
            "cannot certify odd:Blocking: cannot make a pair: TimeoutError: a hang: it never "
            "does, in odd.py:",
        ),
        (
            "AsyncFeeding",
            "cannot certify odd:AsyncFeeding: feed_data() of the adapter is async: write it as",
        ),
        (
            "AsyncReader",
            "cannot certify odd:AsyncReader: reader() of the adapter is async: write it as `def`",
        ),
        (
            "NoReader",
            "cannot certify odd:NoReader: the adapter returned None for a StreamReader: it has "
            "none of read, readline, ",
        ),
        (
            "Strings",
            "cannot certify odd:Strings: the adapter returned 'r' for a StreamReader: it has none ",
        ),
        (
            "SyncClosing",
            "cannot certify odd:SyncClosing: close() of the adapter returned None: write it as ",
        ),
        (
            "LinesOnly",
            "cannot certify odd:LinesOnly: a LineReader has no read, readexactly, readuntil, "
            "at_eof, feed_eof, __aiter__: if that is so, add to `without`: 'StreamReader.read', ",
        ),
        (
            "Outside",
            "cannot certify odd:Outside: cannot make a pair: NotSimulated: subprocess_exec(): "
            "subprocesses are not simulated, ",
        ),
    ],
)
def test_what_is_plugged_in_wrongly_is_said_in_one_line(
    name: str, message: str, plugged: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "Blocking":
        monkeypatch.setattr(preflight, "PATIENCE", 0.1)
    with pytest.raises(CannotRun) as error:
        preflight.check(plugged(f"odd:{name}"), loop("asyncio"), ("pair",))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


class Odd(PairAdapter):
    async def pair(self, limit: int) -> Any: ...


class Needy(Anything):
    def __init__(self, host: str, port: int = 7) -> None: ...


class Ducks:
    async def pair(self, limit: int) -> Any: ...


def function() -> None: ...


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Needy, "x is a class that needs host: plug in an instance of it"),
        (Ducks(), "x lacks .*: an adapter is a subclass of conformance.PairAdapter"),
        (function, "x lacks .*: it is a function: give an attribute that holds what it makes"),
        (type("Wrong", (Odd,), {"unread_capacity": "8M"}), "x.unread_capacity is '8M': give a num"),
        (type("Wrong", (Odd,), {"unread_capacity": 0}), "x.unread_capacity is 0: give a number of"),
        (type("Wrong", (Odd,), {"virtual_time": "no"}), "x.virtual_time is 'no': give True or Fal"),
        (type("Wrong", (Odd,), {"one_end": "yes"}), "x.one_end is 'yes': give True or False"),
        (type("Wrong", (Odd,), {"distribution": "no-such"}), "x.distribution is 'no-such': no dis"),
    ],
)
def test_what_cannot_be_plugged_in_says_what_to_do(target: object, message: str) -> None:
    with pytest.raises(CannotRun, match=message):
        Implementation("x", target)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("odd", "odd lacks .*: give one of its adapters: odd:Serial, odd:Undeclared, "),
        ("odd.py", r"there is no module 'odd.py' \(a module's name has no .py\)"),
        ("odd_one", "there is no module 'odd_one' in '.*' or where Python looks: .*python"),
    ],
)
def test_what_cannot_be_imported_says_what_to_do(name: str, message: str, plugged: Plug) -> None:
    with pytest.raises(CannotRun, match=message):
        plugged(name)


def test_what_the_adapter_itself_raises_is_not_laid_to_a_clause(plugged: Plug) -> None:
    async def test(trial: Trial) -> None:
        await trial.connect(limit=7)

    with pytest.raises(Deviation) as error:
        tried(plugged("odd:LimitMistaken"), test)
    assert error.value.expected == "pair(limit=7) of the adapter to return two ends"
    assert re.fullmatch(r"KeyError: 7, raised in odd\.py:\d+", error.value.seen)


def test_a_pair_that_sends_when_it_is_drained_is_connected(plugged: Plug) -> None:
    preflight.check(plugged("odd:Draining"), loop("asyncio"), ("pair",))


def test_a_class_of_streams_is_not_taken_for_an_object(plugged: Plug) -> None:
    assert "open_connection" in dir(plugged("odd:methods"))
    with pytest.raises(CannotRun, match=r"odd:Methods is a class, and open_connection\(\) are its"):
        plugged("odd:Methods")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("same_loop", "cannot use loop 'odd:same_loop': it returned the same loop twice: let it"),
        ("async_loop", "cannot use loop 'odd:async_loop': it is async: write it as `def`"),
    ],
)
def test_what_is_no_maker_of_loops_says_what_to_do(name: str, message: str, plugged: Plug) -> None:
    with pytest.raises(CannotRun) as error:
        loop(f"odd:{name}")
    assert str(error.value).startswith(message)


def test_a_loop_with_a_network_of_its_own_needs_an_adapter(plugged: Plug) -> None:
    island = loop("odd:Island")
    preflight.check(plugged("asyncio"), island, ("memory",))
    with pytest.raises(CannotRun, match="cannot certify on loop 'odd:Island': it does not connect"):
        preflight.check(plugged("asyncio"), island, ("tcp",))
