"""A trial, and the wires it is made with, on every network: with asyncio's own streams."""

import asyncio
import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.clauses import clauses
from conformance.errors import Deviation, Hang
from conformance.harness.clause import clause
from conformance.harness.expect import expect_error
from conformance.harness.reading import take
from conformance.harness.trial import LONGEST, Trial
from conformance.networks import NETWORKS
from conformance.networks.wire import give_way
from conformance.run.session import forget_frames
from conformance.subject.capabilities import ARGUMENTS
from conformance.subject.event_loop import loop
from conformance.subject.implementation import Implementation, implementation

Make = Callable[..., Trial]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes trials of asyncio, and closes them."""
    made = []

    def make(
        network: str = "tcp", role: str = "client", *, loop_name: str = "asyncio", bound: float = 10
    ) -> Trial:
        made.append(
            Trial(implementation("asyncio"), NETWORKS[network](), role, loop(loop_name), bound)
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


NETWORK = pytest.mark.parametrize("network", NETWORKS)
ROLE = pytest.mark.parametrize("role", ["client", "server"])
LOOP = pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])


@NETWORK
@ROLE
@LOOP
def test_both_ends_meet(make: Make, network: str, role: str, loop_name: str) -> None:
    trial = make(network, role, loop_name=loop_name)

    async def test() -> None:
        reader, writer, wire = await trial.connect(limit=100)
        await wire.send(b"to the implementation")
        assert await reader.readexactly(21) == b"to the implementation"
        writer.write(b"to the wire")
        assert await wire.receive(11) == b"to the wire"
        await wire.send_eof()
        assert await reader.read() == b""
        writer.close()
        assert await wire.receive_rest() == b""

    trial.run(test())
    assert trial.reported == []


@pytest.mark.parametrize("opened", [None, (1, 2, 3)])
def test_what_is_not_a_pair_is_shown(opened: object) -> None:
    async def open_connection(*_: object) -> object:
        return opened

    streams = Implementation(
        "x", SimpleNamespace(open_connection=open_connection, capabilities={"open_connection"})
    )
    trial = Trial(streams, NETWORKS["memory"](), "client", loop("asyncio"))
    try:
        with pytest.raises(Deviation, match="expected a connection's reader and writer") as raised:
            trial.run(trial.connect())
    finally:
        trial.close()
    assert raised.value.seen == repr(opened)


@LOOP
def test_after_an_exit_the_loop_is_not_stopped_by_what_was_to_stop_it(
    make: Make, loop_name: str
) -> None:
    trial = make(loop_name=loop_name)

    async def test() -> None:
        trial.loop.call_soon(sys.exit, "enough")
        trial.loop.call_soon(trial.loop.stop)  # as when the run ends in the same turn
        await trial.loop.create_future()

    with pytest.raises(SystemExit):
        trial.run(test())
    trial.run(trial.turns())


@NETWORK
@ROLE
def test_a_wire_takes_nothing_until_it_is_asked(make: Make, network: str, role: str) -> None:
    trial = make(network, role)
    size = trial.network.unread_capacity + 1_000_000

    async def test() -> None:
        _, writer, wire = await trial.connect()
        writer.write(bytes(size))
        await wire.settle()
        if not network.startswith("tls"):  # asyncio's TLS does not count what its carrier holds
            assert writer.transport.get_write_buffer_size() > 0
        received = 0
        while received < size:
            received += len(await wire.receive_some())
        assert received == size

    trial.run(test())


@pytest.mark.parametrize("network", ["memory", "tcp", "tls", "tls-memory"])
@ROLE
def test_a_reset_is_seen_at_both_ends(make: Make, network: str, role: str) -> None:
    trial = make(network, role)

    async def test() -> None:
        reader, _, wire = await trial.connect()
        await wire.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        _, writer, wire = await trial.connect()
        await wire.send(b"unread")
        await wire.settle()
        writer.transport.abort()
        assert await wire.receive_to_end() in [(b"", "eof"), (b"", "reset")]

    trial.run(test())


@NETWORK
def test_a_wire_tells_an_early_end_from_what_was_expected(make: Make, network: str) -> None:
    trial = make(network)

    async def test() -> None:
        _, writer, wire = await trial.connect()
        writer.write(b"abc")
        writer.close()
        with pytest.raises(Deviation, match="expected 4 bytes on the wire; saw b'abc', then"):
            await wire.receive(4)

    trial.run(test())


def test_a_wire_tells_too_much_from_what_was_expected(make: Make) -> None:
    trial = make("memory")

    async def test() -> None:
        _, writer, wire = await trial.connect()
        writer.write(b"abcde")
        with pytest.raises(Deviation, match="expected 4 bytes on the wire, no more; saw b'abcde'"):
            await wire.receive(4)

    trial.run(test())


def test_exact_pieces_stay_apart_in_memory(make: Make) -> None:
    trial = make("memory")

    async def test() -> None:
        reader, _, wire = await trial.connect()
        for piece in (b"one", b"two", b"three"):
            await wire.send(piece)
            await wire.settle()
            assert await reader.read(100) == piece

    trial.run(test())


# Hangs.


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def waiting_forever(_trial: Trial) -> None:
    await never()


async def waiting_while_bytes_move(trial: Trial) -> None:
    waiting = trial.start(never())
    while not waiting.done():
        trial.progress.steps += 1
        await asyncio.sleep(0)


async def spinning(_trial: Trial) -> None:
    while True:
        pass


async def spinning_in_a_callback(trial: Trial) -> None:
    def spin() -> None:
        while True:
            pass

    trial.loop.call_soon(spin)
    await never()


async def waiting_for_what_has_failed(trial: Trial) -> None:
    def fail() -> None:
        raise LookupError("the reason")

    trial.loop.call_soon(fail)
    await never()


async def uncancellable(_trial: Trial) -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await never()


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (
            waiting_forever,
            r"expected waiting_forever\(\) to return; saw a hang after 0.2 s without progress: "
            r"waiting_forever\(\) waits in test_trial.py:\d+ never\(\) at `await asyncio.get_run",
        ),
        (
            waiting_while_bytes_move,
            r"expected waiting_while_bytes_move\(\) to return; saw a hang after 4 s, although "
            r"bytes move: give it more with --bound: ",
        ),
        (
            spinning,
            r"expected spinning\(\) to give control back to the event loop; saw a hang: it never "
            r"does, in test_trial.py:\d+ spinning\(\) at `(pass|while True:)`",
        ),
        (
            spinning_in_a_callback,
            r"expected spinning_in_a_callback.<locals>.spin\(\) to give control back",
        ),
        (
            waiting_for_what_has_failed,
            r"never\(\) at `await asyncio.get_run.*`; the loop's exception handler got "
            r"LookupError: the reason",
        ),
        (uncancellable, r"uncancellable\(\) waits in test_trial.py:\d+ never\(\) at `await as"),
    ],
)
def test_a_hang_ends_with_where_it_was(make: Make, test: Any, message: str) -> None:
    trial = make("tcp", bound=0.2)
    with pytest.raises(Hang, match=message):
        trial.run(test(trial))


def test_much_in_one_moment_of_virtual_time_is_no_hang(make: Make) -> None:
    bound = 0.01
    trial = make("memory", bound=bound)

    async def test() -> str:
        begun = time.monotonic()
        while time.monotonic() < begun + 3 * LONGEST * bound:
            await give_way()
        return "done"

    assert trial.run(test()) == "done"


def test_waiting_in_virtual_time_takes_no_time(make: Make) -> None:
    trial = make("memory")
    begun = time.monotonic()
    with pytest.raises(Hang, match="after 20 s"):
        trial.run(never())
    assert trial.loop.time() >= 20
    assert time.monotonic() - begun < 20


class Slow(asyncio.StreamReader):
    """A reader that takes ten seconds for every byte."""

    async def read(self, n: int = -1) -> bytes:
        await asyncio.sleep(10)
        return await super().read(min(n, 1))


def test_a_slow_reader_is_no_hang_as_long_as_the_test_gets_bytes(make: Make) -> None:
    trial = make("memory")

    async def test() -> bytes:
        reader = Slow()
        reader.feed_data(b"slowly")
        return await take(reader, 6)

    assert trial.run(test()) == b"slowly"  # after a minute: three times the bound


def test_what_is_reported_to_the_loop_is_kept(make: Make) -> None:
    trial = make("memory")

    async def test() -> None:
        trial.loop.call_exception_handler({"message": "something"})

    trial.run(test())
    assert [each["message"] for each in trial.reported] == ["something"]


@NETWORK
def test_a_test_may_leave_everything_open(make: Make, network: str) -> None:
    trial = make(network)

    async def test() -> None:
        await trial.connect()
        served = await trial.serve()
        await trial.accept(served)
        trial.start(never())

    trial.run(test())


def test_other_peoples_tests_have_no_trial(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("def test_it(trial):\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert process.returncode == 1
    assert "`trial` is for tests of the suite, which are marked @clause" in process.stdout
    assert "Traceback" not in process.stdout


def test_what_a_test_starts_is_not_kept_alive_by_it(make: Make) -> None:
    trial = make()

    async def starts() -> None:
        async def wait() -> None:
            await asyncio.get_running_loop().create_future()

        trial.start(wait())
        await trial.turns()
        gc.collect()
        messages = [each["message"] for each in trial.reported]
        assert messages == ["Task was destroyed but it is pending!"]

    trial.run(starts())


def test_what_a_failed_test_held_is_let_go_although_its_exceptions_are_kept() -> None:
    held: list[weakref.ref[object]] = []

    def fail(error: type[Exception]) -> None:
        thing = set[object]()
        held.append(weakref.ref(thing))
        raise error

    def fail_twice() -> None:
        try:
            fail(KeyError)
        except KeyError:
            fail(ValueError)

    with pytest.raises(ValueError) as caught:  # noqa: PT011  # it has no message
        fail_twice()
    forget_frames(caught.value)
    assert [each() for each in held] == [None, None]


# Arguments that an event loop does not take.


async def opened(trial: Trial) -> None:
    """Give `interleave`, of which uvloop knows nothing."""
    await trial.streams.open_connection("127.0.0.1", 1, interleave=1)


async def opened_as_an_error(trial: Trial) -> None:
    """Expect another error."""
    await expect_error(ConnectionRefusedError, opened(trial))


async def opened_in_a_task(trial: Trial) -> None:
    """Wait for what cannot come."""
    opening = trial.start(opened(trial))
    await asyncio.Event().wait()
    await opening


REFUSED = pytest.mark.parametrize("test", [opened, opened_as_an_error, opened_in_a_task])


@REFUSED
def test_clauses_about_other_things_are_not_asked(make: Make, test: Callable[..., Any]) -> None:
    @clause("connecting.refused")
    async def asked(trial: Trial) -> None:
        await test(trial)

    with pytest.raises(pytest.skip.Exception, match=r"create_connection\(\) takes no interleave$"):
        asked(make(loop_name="uvloop"))


@REFUSED
def test_clauses_about_the_argument_are_asked(make: Make, test: Callable[..., Any]) -> None:
    @clause("connecting.interleave.zero")
    async def asked(trial: Trial) -> None:
        await test(trial)

    with pytest.raises((TypeError, Deviation, Hang)):
        asked(make(loop_name="uvloop", bound=0.2))


@pytest.mark.parametrize(
    "argument", sorted({each for names in ARGUMENTS.values() for each in names})
)
def test_a_clause_names_the_argument(argument: str) -> None:
    assert any(argument in each.text for each in clauses().values())
