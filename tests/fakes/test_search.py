"""`fakes.search()`: what it finds, how it shrinks it, what it says, and where it runs."""

import _thread
import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import itertools
import os
import pickle
import re
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

import fakes
from fakes._tools.search import _can_fork

ENDS = pytest.mark.pythons("oldest", "newest", why="processes are much the same on every Python")

Main = Callable[[], Coroutine[Any, Any, object]]


async def ask(line: bytes, port: int = 7) -> bytes:
    """Send a line to the server; return its answer."""
    reader, writer = await asyncio.open_connection("localhost", port)
    writer.write(line)
    answer = await reader.read()
    writer.close()
    return answer


async def lost_update() -> None:
    """Two clients read a number and write one more back: one of them is lost, with some seeds."""
    stored = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal stored
        line = await reader.readline()
        if line == b"get\n":
            writer.write(b"%d" % stored)
        else:
            stored = int(line)
        writer.close()

    async def add(after: float) -> None:
        await asyncio.sleep(after)
        value = int(await ask(b"get\n"))
        await ask(b"%d\n" % (value + 1))

    server = await asyncio.start_server(serve, "localhost", 7)
    await asyncio.gather(add(0), add(0.03))
    server.close()
    assert stored == 2


async def never_fails() -> None:
    """Do nothing wrong."""
    await asyncio.sleep(1)


async def always_fails() -> None:
    """Fail whatever the seed."""
    await asyncio.sleep(fakes.chance().random())
    raise KeyError("always")


def found(main: Main, **options: Any) -> fakes.Found:
    with pytest.raises(fakes.Found) as raised:
        fakes.search(main, **{"seeds": 50, **options})
    return raised.value


@functools.cache
def found_once() -> fakes.Found:
    """What is found in the program of most of these tests."""
    return found(lost_update)


# --- what is found --------------------------------------------------------------------------------


def test_a_program_that_never_fails() -> None:
    report = fakes.search(never_fails, seeds=20)
    assert str(report) == "0 of 20 seeds fail"
    assert not report.failures


def test_a_lost_update_is_found_shrunk_and_shown() -> None:
    error = found_once()
    report = error.report
    assert 0 not in report.failures
    assert 0 < len(report.failures) < 50
    first = min(report.failures, key=int)
    assert str(report).startswith(f"{len(report.failures)} of 50 seeds fail; the first is {first}")
    shrunk = report.shrunk
    assert shrunk is not None
    assert shrunk.minimal
    assert shrunk.number == first
    assert 0 < len(shrunk.draws) < shrunk.before / 2
    assert f"seed {first}: of {shrunk.before} draws {len(shrunk.draws)} draws matter" in str(report)
    # What ran stands between what crossed the wire.
    lines = [line for line in str(report).splitlines() if re.match(r"\d+\.\d{6}  ", line)]
    assert any("DATA" in line and " > localhost:7 " in line for line in lines)
    assert any("test_search.py" in line and "readline()" in line for line in lines)
    assert "AssertionError at" in str(report)
    assert isinstance(error.__cause__, AssertionError)


def test_each_draw_that_is_left_matters() -> None:
    shrunk = found_once().report.shrunk
    assert shrunk is not None
    kept = [(draw.concern, draw.number) for draw in shrunk.draws]

    def fails(draws: list[tuple[str, int]]) -> bool:
        text = "/".join([str(shrunk.number), *(f"{c}:{n}" for c, n in draws)])
        try:
            fakes.run(
                lost_update(),
                seed=text if draws else f"{shrunk.number}/",
                turn_time=0.005,
                thread_time=0.005,
            )
        except AssertionError:
            return True
        return False

    assert fails(kept)
    for draw in kept:
        assert not fails([other for other in kept if other != draw])


def test_the_same_search_finds_the_same() -> None:
    one, other = (str(found(lost_update, seeds=20)) for _ in range(2))
    assert one == other


def test_a_failure_that_chance_does_not_matter_to() -> None:
    error = found(always_fails, seeds=range(3, 9))
    assert "6 of 6 seeds fail; the first is 3" in str(error)
    assert "it fails whatever chance decides" in str(error)
    assert error.report.shrunk is not None
    assert error.report.shrunk.seed == "3/"


def test_two_ways_to_fail_are_told_apart_by_type_and_line() -> None:
    async def main() -> None:
        if fakes.chance().random() < 0.2:
            raise KeyError(fakes.chance().random())  # never the same message
        if fakes.chance().random() < 0.2:
            raise KeyError("another line")

    error = found(main, seeds=100)
    kinds = re.findall(r"^ +(\d+)  KeyError at .*test_search.py:(\d+) ", str(error), re.M)
    assert len(kinds) == 2
    assert sum(int(count) for count, _ in kinds) == len(error.report.failures)
    # The first is shrunk to its own line, not to the other.
    first = error.report.failures[min(error.report.failures, key=int)]
    assert error.report.last is not None
    assert first.is_like(error.report.last.failure)


def test_a_deadlock_and_a_violation_are_failures() -> None:
    async def deadlock() -> None:
        if fakes.chance().random() < 0.5:
            await asyncio.Event().wait()

    async def violation() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, fakes.Loop)
        loop.always("quiet", lambda: fakes.chance().random() < 0.9)
        await asyncio.sleep(1)

    assert "Deadlock at " in str(found(deadlock, seeds=10))
    text = str(found(violation, seeds=100))
    assert re.search(r"^fakes.Violated: 'quiet' does not hold, at 1\.\d{6} s$", text, re.MULTILINE)
    assert text.count("what ran and what crossed the wire") == 1


def test_a_task_that_begins_at_the_end_of_a_run_is_not_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It begins as the others are cancelled, and nobody cancels it."""

    async def main() -> None:
        async def begin_another() -> None:
            try:
                await asyncio.sleep(9)
            finally:
                others.append(weakref.ref(asyncio.create_task(asyncio.sleep(9))))

        task = asyncio.create_task(begin_another())
        await asyncio.sleep(1)
        assert task.done(), "it fails"

    others: list[weakref.ref[asyncio.Task[None]]] = []
    found(main, seeds=2)
    gc.collect()
    assert others
    assert not any(other() for other in others)
    assert "Task was destroyed" not in caplog.text


def test_a_program_that_depends_on_something_else() -> None:
    times = itertools.count()

    async def main() -> None:
        assert next(times) != 5

    assert "it does not fail again" in str(found(main, seeds=20))


def test_the_runs_for_shrinking_are_limited() -> None:
    shrunk = found(lost_update, shrinking_runs=5, seeds=10).report.shrunk
    assert shrunk is not None
    assert not shrunk.minimal
    assert shrunk.runs == 5
    assert found(lost_update, shrinking_runs=0, seeds=10).report.shrunk is None


def test_it_needs_seeds() -> None:
    with pytest.raises(ValueError, match="one seed or more"):
        fakes.search(never_fails, seeds=0)


def test_each_run_has_a_network_of_its_own() -> None:
    made: list[fakes.Network] = []

    def network() -> fakes.Network:
        made.append(fakes.Network(link=fakes.Link(latency=0.1)))
        return made[-1]

    fakes.search(never_fails, seeds=10, network=network)
    assert len({id(one) for one in made}) == 10


# --- replaying ------------------------------------------------------------------------------------


def test_the_command_replays_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import asyncio, fakes

            async def main():
                first = fakes.chance().integer(1, 6)
                second = fakes.chance().integer(1, 6)
                assert first + second < 9, (first, second)

            if __name__ == "__main__":
                try:
                    fakes.search(main)
                except fakes.Found as found:
                    print(found)
            """
        )
    )

    def output(command: list[str], **env: str) -> str:
        environment = {**os.environ, **env}
        environment.pop("PYTEST_CURRENT_TEST", None)
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=100
        ).stdout

    said = output([sys.executable, str(program)])
    replay = re.search(r"^replay: FAKES_SEED='(.*)' (.*)$", said, re.M)
    assert replay is not None, said
    again = output(replay[2].split(), FAKES_SEED=replay[1])
    assert f"seed {replay[1]} fails" in again
    message = re.search(r"AssertionError at .*", said)
    assert message is not None
    assert message[0] in again


def test_in_a_test_the_command_names_it() -> None:
    text = str(found(always_fails, seeds=2))
    assert re.search(
        r"^replay: FAKES_SEED=\S+ pytest \S*test_search.py::test_in_a_test_the_command_names_it$",
        text,
        re.M,
    )


def test_only_the_seed_of_the_environment_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKES_SEED", "3/")
    assert str(fakes.search(lost_update)) == "seed 3/ does not fail"


# --- where it is run ------------------------------------------------------------------------------


class Recorder(Executor):
    """Runs what it is given in another executor, and loses some of it."""

    def __init__(self, lost: int = 0) -> None:
        self.lost = lost
        self.given = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given += 1
        future: Future[Any] = Future()
        if self.given <= self.lost:
            future.set_exception(concurrent.futures.BrokenExecutor("a worker has died"))
        else:
            fn, args = pickle.loads(pickle.dumps((fn, args)))
            future.set_result(pickle.loads(pickle.dumps(fn(*args))))
        return future


@ENDS
def test_any_executor_runs_it() -> None:
    executor = Recorder()
    report = found(lost_update, executor=executor).report
    assert executor.given > 10
    assert report.failures == found_once().report.failures


@ENDS
@pytest.mark.parametrize("lost", [1, 20, 10_000])
def test_what_a_worker_loses_is_done_again(lost: int) -> None:
    report = fakes.search(never_fails, seeds=100, executor=Recorder(lost))
    assert str(report) == "0 of 100 seeds fail"
    assert list(found(lost_update, executor=Recorder(lost)).report.failures) == list(
        found_once().report.failures
    )


def test_an_executor_that_takes_nothing() -> None:
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    assert str(fakes.search(never_fails, seeds=10, executor=pool)) == "0 of 10 seeds fail"


@ENDS
def test_a_process_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    program = textwrap.dedent(
        """
        import concurrent.futures, multiprocessing, fakes, test_search
        with concurrent.futures.ProcessPoolExecutor(
            2, multiprocessing.get_context("spawn")
        ) as pool:
            try:
                fakes.search(test_search.lost_update, seeds=50, executor=pool)
            except fakes.Found as found:
                print(found.report.summary())
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=True
    )
    assert result.stdout.strip() == found_once().report.summary()


@ENDS
def test_this_machines_cores(tmp_path: Path) -> None:
    # From a process without other threads, what takes long is done by copies of it, of any
    # function; as long as one of them is alive.
    program = textwrap.dedent(
        """
        import os, fakes
        from fakes._tools import search
        search.ALONE = 0.0
        here = os.getpid()

        async def main():
            if os.getpid() != here and fakes.chance().random() < 0.1:
                if os.path.exists("alive"):
                    os.rmdir("alive")
                    os._exit(1)
            assert fakes.chance().random() < 0.9

        os.mkdir("alive")
        try:
            fakes.search(lambda: main(), seeds=100)
        except fakes.Found as found:
            print(found.report.summary(), os.path.exists("alive"))
        """
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
        cwd=tmp_path,
    )
    assert re.fullmatch(r"\d+ of 100 seeds fail; the first is \d+ False\n", result.stdout)


def test_a_process_with_a_thread_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    from fakes._tools import search

    monkeypatch.setattr(search, "ALONE", 0.0)
    ran_in: list[int] = []

    async def main() -> None:
        ran_in.append(os.getpid())

    # As a thread of a C library, it is none that the module `threading` knows of.
    began, over, ended = (_thread.allocate_lock() for _ in range(3))
    for each in (began, over, ended):
        each.acquire()

    def stand() -> None:
        began.release()
        over.acquire()
        ended.release()

    _thread.start_new_thread(stand, ())
    began.acquire()
    try:
        fakes.search(main, seeds=100)
    finally:
        over.release()
        ended.acquire()
    assert ran_in == [os.getpid()] * 100


@ENDS
def test_progress_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from fakes._tools import search

    monkeypatch.setattr(search, "SHOWN_EVERY", 0.0)
    said: list[str] = []
    found(lost_update, executor=Recorder(), progress=said.append)
    assert any(re.fullmatch(r"\d+ of 50 seeds, \d+ fail", line) for line in said)
    assert re.fullmatch(r"\d+ of 50 seeds fail; shrinking seed \d+", said[-1])


# --- on a cluster ---------------------------------------------------------------------------------


def killed_once(folder: str) -> Main:
    """Return a program that fails with some seeds, and whose first run in a worker kills it."""

    async def main() -> None:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)
            os._exit(1)
        assert fakes.chance().random() < 0.9

    return main


@pytest.mark.pythons("oldest", "newest", why="it starts processes, the same on every Python")
def test_a_cluster_of_two_workers_one_of_which_is_killed(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    folder = tmp_path / "alive"
    program = killed_once(str(folder))
    alone = found(program, seeds=100).report
    folder.mkdir()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        report = found(program, seeds=100, executor=client.get_executor()).report
    assert not folder.exists()  # a worker has removed it, and died
    assert report.failures.keys() == alone.failures.keys()
    assert report.summary() == alone.summary()
    assert report.shrunk == alone.shrunk


def test_it_does_not_fork_beside_a_thread_that_threading_does_not_know() -> None:
    over = _thread.allocate_lock()
    with over:
        _thread.start_new_thread(over.acquire, ())
        assert not _can_fork()
