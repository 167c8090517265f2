"""What a signal handler raises ends the run: pytest-timeout's interruption is one."""

import asyncio
import gc
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

import fakes

pytest_plugins = ["pytester"]


class Interruption(BaseException):
    """What the handler raises, as pytest's `Failed` no `Exception`."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Call it, and the handler of a signal raises, there and then."""

    def handler(signum: int, frame: Any) -> NoReturn:
        raise Interruption

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda: signal.raise_signal(signal.SIGALRM)
    assert signal.getsignal(signal.SIGALRM) is handler
    signal.signal(signal.SIGALRM, before)


async def wait_a_day() -> None:
    await asyncio.sleep(86400)
    raise AssertionError("the run went on")


def test_in_a_callback(interrupt: Callable[[], None]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        await wait_a_day()

    with pytest.raises(Interruption):
        fakes.run(main())


@pytest.mark.parametrize("running", [True, False], ids=["beginning", "ending"])
def test_as_the_loop_begins_and_ends_to_run(
    interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch, running: bool
) -> None:
    set_running = asyncio.events._set_running_loop
    times = 0

    def interrupted(loop: asyncio.AbstractEventLoop | None) -> None:
        nonlocal times
        set_running(loop)
        if (loop is not None) == running:
            times += 1
            if times == 1:
                interrupt()

    async def main() -> str:
        await asyncio.sleep(1)
        return "done"

    went_on = False

    async def sleeps() -> None:
        nonlocal went_on
        await asyncio.sleep(86400)
        went_on = True

    monkeypatch.setattr(asyncio.events, "_set_running_loop", interrupted)
    with pytest.raises(Interruption):
        fakes.run(main())
    assert fakes.run(main()) == "done"
    times = 0
    with pytest.raises(Interruption):
        fakes.search(sleeps, seeds=1)
    assert went_on != running  # where it begins, it ends before
    assert fakes.run(main()) == "done"


def test_it_is_not_reported_again(
    interrupt: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def other() -> None:
        interrupt()

    async def main() -> None:
        asyncio.create_task(other())  # noqa: RUF006  # it is forgotten
        await wait_a_day()

    with pytest.raises(Interruption):
        fakes.run(main())
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_in_a_task_that_nobody_waits_for(interrupt: Callable[[], None]) -> None:
    async def other() -> None:
        interrupt()

    async def main() -> None:
        task = asyncio.create_task(other())
        task.add_done_callback(lambda task: task.exception())
        await wait_a_day()

    with pytest.raises(Interruption):
        fakes.run(main())


@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_in_a_program_that_catches_everything(
    interrupt: Callable[[], None], caught: type[BaseException]
) -> None:
    async def main() -> None:
        while True:
            try:
                await asyncio.sleep(1)
                interrupt()
            except asyncio.CancelledError:
                raise
            except caught:
                pass

    with pytest.raises(Interruption):
        fakes.run(main())


def test_while_the_loop_waits_for_a_thread(interrupt: Callable[[], None]) -> None:
    """The thread goes on; neither the run nor its clean-up waits for it."""
    over, begun = threading.Event(), threading.Event()

    def send() -> None:
        begun.wait()  # not while the coroutine runs: its clean-up would be what is interrupted
        signal.pthread_kill(main, signal.SIGALRM)

    def work() -> None:
        threading.Thread(target=send).start()
        while not over.is_set():
            time.sleep(0.001)  # at work: nobody can let it go on

    main = threading.main_thread().ident or 0

    async def clean() -> None:
        asyncio.get_running_loop().call_soon(begun.set)
        try:
            await asyncio.to_thread(work)
        finally:
            await asyncio.sleep(60)
            cleaned.append(True)

    cleaned: list[bool] = []
    with pytest.raises(Interruption):
        fakes.run(clean())
    over.set()
    assert cleaned


def test_a_thread_gets_the_locks_that_the_loop_took(
    interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop asks whether the thread's work is done, and has its lock when the signal comes."""
    over = threading.Event()
    worker: list[threading.Thread] = []
    enter = threading.Condition.__enter__

    def enter_and_interrupt(condition: threading.Condition) -> bool:
        entered = enter(condition)
        asks = sys._getframe(1).f_code.co_name == "done"
        if asks and worker and threading.current_thread() is threading.main_thread():
            monkeypatch.undo()
            interrupt()
        return entered

    def work() -> None:
        worker.append(threading.current_thread())
        while not over.is_set():
            time.sleep(0.001)

    async def main() -> None:
        await asyncio.to_thread(work)

    monkeypatch.setattr(threading.Condition, "__enter__", enter_and_interrupt)
    with pytest.raises(Interruption):
        fakes.run(main())
    over.set()
    worker[0].join(timeout=60)
    assert not worker[0].is_alive()


def test_as_a_task_is_to_be_called_again(
    interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clean-up waits for that task in vain; it is not what is reported."""
    call_soon = asyncio.BaseEventLoop.call_soon

    def call_soon_interrupted(loop: Any, callback: Any, *args: Any, **context: Any) -> Any:
        if getattr(callback, "__self__", None) is task:
            monkeypatch.undo()
            interrupt()
        return call_soon(loop, callback, *args, **context)

    task: asyncio.Task[None] | None = None

    async def goes_on() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    async def main() -> None:
        nonlocal task
        going_on = asyncio.create_task(goes_on())
        await asyncio.sleep(0)
        monkeypatch.setattr(fakes.Loop, "call_soon", call_soon_interrupted)
        task = going_on
        await asyncio.sleep(60)

    with pytest.raises(Interruption):
        fakes.run(main())


def test_of_a_search_it_is_no_failure(interrupt: Callable[[], None]) -> None:
    async def main() -> None:
        if asyncio.get_running_loop().seed == 3:  # type: ignore[attr-defined]  # fakes.Loop's
            interrupt()

    with pytest.raises(Interruption):
        fakes.search(main, seeds=10)


def test_handlers_are_what_they_were(interrupt: Callable[[], None]) -> None:
    """The fixture looks at the one of SIGALRM."""

    async def main() -> None:
        signal.signal(signal.SIGALRM, own)

    def own(signum: int, frame: Any) -> None:
        pass

    before = signal.getsignal(signal.SIGALRM)
    fakes.run(main())
    assert signal.getsignal(signal.SIGALRM) is own
    signal.signal(signal.SIGALRM, before)


# --- pytest-timeout -------------------------------------------------------------------------------

HANGS = """
    import asyncio, pytest, threading, time

    @pytest.mark.timeout(1)
    @pytest.mark.fakes
    async def test_a_task_that_never_waits():
        while True:
            await asyncio.sleep(0)

    @pytest.mark.timeout(1)
    @pytest.mark.fakes
    async def test_one_that_catches_everything():
        while True:
            try:
                await asyncio.sleep(1)
                time.sleep(0.001)
            except asyncio.CancelledError:
                raise
            except BaseException:
                pass

    @pytest.mark.timeout(1)
    @pytest.mark.fakes
    async def test_a_thread():
        over = threading.Event()
        def work():
            while not over.is_set():
                time.sleep(0.001)
        try:
            await asyncio.to_thread(work)
        finally:
            over.set()

    @pytest.mark.timeout(1)
    @pytest.mark.fakes_search(20)
    async def test_a_search(fakes_seed):
        while fakes_seed == 3:
            await asyncio.sleep(0)

    @pytest.mark.timeout(4)
    @pytest.mark.fakes_search(40)
    async def test_a_search_in_other_processes(fakes_seed):
        if fakes_seed < 5:
            time.sleep(0.3)     # so that it takes more than this process
        while fakes_seed == 33:
            await asyncio.sleep(0)

    @pytest.mark.timeout(1)
    def test_plain(fakes_run):
        async def main():
            while True:
                await asyncio.sleep(1)
        fakes_run(main())

    def test_next():
        pass
"""


@pytest.mark.pythons("oldest", "newest", why="it waits for real timeouts")
@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, method: str
) -> None:
    pytest.importorskip("pytest_timeout")
    pytester.makepyfile(textwrap.dedent(HANGS))
    loaded = request.config.pluginmanager.has_plugin("fakes")
    options = [] if loaded else ["-p", "fakes.pytest_plugin"]
    for plugin in ("randomly", "asyncio", "aiohttp"):
        options += ["-p", f"no:{plugin}"]
    # What a busy machine needs to import the network is no part of it.
    options += ["-o", "timeout_func_only=true", "--timeout-method", method]
    result = pytester.runpytest_subprocess(*options, timeout=120)
    if method == "signal":
        result.assert_outcomes(failed=6, passed=1)
        assert len(re.findall("^E +Failed: Timeout", result.stdout.str(), re.MULTILINE)) == 6
    else:  # it says where each thread stands, and ends the process
        assert result.ret == 1
        assert "Timeout" in result.stdout.str() + result.stderr.str()
        assert "test_next" not in result.stdout.str()
