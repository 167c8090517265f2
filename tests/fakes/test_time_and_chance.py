"""`deterministic=True`: the standard library's clocks and chance are the simulation's."""

import asyncio
import concurrent.futures
import ctypes
import datetime
import functools
import gc
import os
import platform
import queue
import random
import secrets
import select
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from random import randint
from time import monotonic
from typing import Any

import pytest
import trustme

import fakes
from fakes._loop import time_and_chance
from fakes._loop.pipes import is_of_this_process

START = 1767225600  # the beginning of 2026


class Held:
    """What holds a function in each of the ways in which libraries do."""

    in_the_class = staticmethod(time.time)

    def __init__(self) -> None:
        self.in_the_object = time.time

    def as_a_default(self, clock: Callable[[], float] = time.time) -> float:
        return clock()


held = Held()
partial = functools.partial(time.time)

CLOCKS: dict[str, tuple[Callable[[], Any], Any]] = {
    "time": (lambda: time.time(), START + 0.5),
    "time_ns": (lambda: time.time_ns(), START * 10**9 + 500_000_000),
    "monotonic": (lambda: time.monotonic(), 0.5),
    "monotonic_ns": (lambda: time.monotonic_ns(), 500_000_000),
    "perf_counter": (lambda: time.perf_counter(), 0.5),
    "perf_counter_ns": (lambda: time.perf_counter_ns(), 500_000_000),
    "CLOCK_REALTIME": (lambda: time.clock_gettime(time.CLOCK_REALTIME), START + 0.5),
    "CLOCK_MONOTONIC": (lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC), 500_000_000),
    "gmtime": (lambda: time.gmtime()[:6], (2026, 1, 1, 0, 0, 0)),
    "localtime": (lambda: time.mktime(time.localtime()), START),
    "ctime": (lambda: time.ctime() == time.ctime(START), True),
    "asctime": (lambda: time.asctime() == time.ctime(START), True),
    "strftime": (lambda: time.strftime("%s"), str(START)),
    "now": (lambda: datetime.datetime.now().timestamp(), START + 0.5),
    "now(tz)": (lambda: datetime.datetime.now(datetime.UTC).timestamp(), START + 0.5),
    "now(tz=)": (lambda: datetime.datetime.now(tz=datetime.UTC).timestamp(), START + 0.5),
    "datetime.today": (lambda: datetime.datetime.today().timestamp(), START + 0.5),
    "date.today": (lambda: datetime.date.today(), datetime.date.fromtimestamp(START)),
    "imported by name": (lambda: monotonic(), 0.5),
    "in a class": (lambda: held.in_the_class(), START + 0.5),
    "in an object": (lambda: held.in_the_object(), START + 0.5),
    "as a default": (lambda: held.as_a_default(), START + 0.5),
    "in a partial": (lambda: partial(), START + 0.5),
}

DRAWS: dict[str, Callable[[], Any]] = {
    "random": lambda: random.random(),
    "getrandbits": lambda: random.getrandbits(64),
    "randbytes": lambda: random.randbytes(8),
    "gauss": lambda: random.gauss(0, 1),
    "uniform": lambda: random.uniform(0, 1),
    "randint": lambda: randint(1, 2**64),
    "choices": lambda: random.choices(range(1000), k=8),
    "sample": lambda: random.sample(range(1000), 8),
    "shuffle": lambda: (things := list(range(50)), random.shuffle(things)),
    "Random()": lambda: random.Random().random(),
    "random.seed()": lambda: (random.seed(), random.random())[1],
    "SystemRandom": lambda: random.SystemRandom().random(),
    "urandom": lambda: os.urandom(8),
    "getrandom": lambda: os.getrandom(8),
    "RAND_bytes": lambda: ssl.RAND_bytes(8),
    "token_hex": lambda: secrets.token_hex(8),
    "choice": lambda: secrets.choice(range(2**60)),
    "uuid1": lambda: uuid.uuid1(),
    "uuid1(clock_seq)": lambda: uuid.uuid1(clock_seq=1),
    "uuid4": lambda: uuid.uuid4(),
    "getnode": lambda: uuid.getnode(),
    "a name of a file": lambda: next(tempfile._RandomNameSequence()),  # type: ignore[attr-defined]
    **{
        name: lambda name=name: getattr(uuid, name)()  # type: ignore[misc]
        for name in ("uuid6", "uuid7", "uuid8")
        if hasattr(uuid, name)
    },
}


def run(function: Callable[[], Any], seed: int = 1, after: float = 0.5) -> Any:
    """What a function returns in the simulation, after half a second of it."""

    async def main() -> Any:
        await asyncio.sleep(after)
        return function()

    return fakes.run(main(), seed=seed, deterministic=True)


@pytest.mark.filterwarnings("ignore:.*utcnow")
@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock(name: str) -> None:
    read, expected = CLOCKS[name]
    assert run(read) == expected
    if name not in ("ctime", "asctime"):
        assert read() != expected

    async def main() -> Any:
        await asyncio.sleep(0.5)
        return read()

    if name not in ("ctime", "asctime"):
        assert fakes.run(main()) != expected  # without the option


@pytest.mark.filterwarnings("ignore:.*utcnow")
def test_utcnow() -> None:
    assert run(lambda: datetime.datetime.utcnow()) == datetime.datetime(2026, 1, 1, 0, 0, 0, 500000)


def test_a_class_of_dates_of_its_own() -> None:
    class Date(datetime.datetime):
        pass

    assert type(run(lambda: Date.now())) is Date
    assert type(run(lambda: Date.today())) is Date
    assert type(Date.now()) is Date
    assert isinstance(run(lambda: datetime.datetime.now()), datetime.datetime)


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw(name: str) -> None:
    draw = DRAWS[name]
    first = run(draw)
    assert run(draw) == first
    assert run(draw, seed=2) != first
    if name not in ("getnode", "uuid1(clock_seq)"):  # which go on from what they were
        assert run(lambda: [draw() for _ in range(3)]) != [first] * 3
    if name != "getnode":
        assert draw() != first


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of other C libraries it is not")
def test_chance_of_the_c_library() -> None:
    rand = ctypes.CDLL(None).rand
    first = run(lambda: [rand() for _ in range(5)])
    assert run(lambda: [rand() for _ in range(5)]) == first
    assert run(lambda: [rand() for _ in range(5)], seed=2) != first

    async def over_two_waits() -> list[int]:
        drawn = [rand(), rand()]
        await asyncio.sleep(1)
        return [*drawn, *(rand() for _ in range(3))]

    assert fakes.run(over_two_waits(), seed=1, deterministic=True) == first
    ctypes.CDLL(None).srand(7)
    outside = [rand() for _ in range(4)]
    ctypes.CDLL(None).srand(7)
    again = [rand() for _ in range(2)]
    run(rand)
    assert again + [rand() for _ in range(2)] == outside


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of other C libraries it is not")
def test_loops_in_several_threads_leave_the_c_library_its_chance() -> None:
    def make() -> None:
        for seed in range(200):
            fakes.Loop(seed=seed, deterministic=True).close()
        for seed in range(20):
            fakes.run(asyncio.sleep(1), seed=seed, deterministic=True)

    rand = ctypes.CDLL(None).rand
    ctypes.CDLL(None).srand(7)
    outside = [rand() for _ in range(4)]
    ctypes.CDLL(None).srand(7)
    again = [rand() for _ in range(2)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=make) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(before)
    assert again + [rand() for _ in range(2)] == outside


def test_masks_of_aiohttp_s_websocket() -> None:
    """It draws them from what it has made when it was imported."""
    writer = pytest.importorskip("aiohttp._websocket.writer").WebSocketWriter

    class Transport:
        written = b""

        def write(self, data: bytes) -> None:
            self.written += data

        def is_closing(self) -> bool:
            return False

    async def main() -> bytes:
        transport = Transport()
        one = writer(None, transport, use_mask=True)
        for text in (b"hello", b"again"):
            await one.send_frame(text, 1)
            await asyncio.sleep(1)
        return transport.written

    first, again, other = (fakes.run(main(), seed=s, deterministic=True) for s in (1, 1, 2))
    assert first == again != other
    assert fakes.run(main()) not in (first, other)


def test_a_program_seeds_its_own() -> None:
    def draw() -> list[object]:
        random.seed(17)
        state = random.getstate()
        drawn = [random.random(), random.random()]
        random.setstate(state)
        return [*drawn, random.random()]

    outside = random.getstate()
    generator = random.Random(17)
    first, second = generator.random(), generator.random()
    assert run(draw) == [first, second, first]
    assert random.getstate() == outside


def test_the_same_in_every_process_and_on_every_python() -> None:
    program = (
        "import asyncio, os, random, time, uuid, fakes\n"
        "async def main():\n"
        "    await asyncio.sleep(1)\n"
        "    print(random.random(), os.urandom(4).hex(), uuid.uuid4(), time.time())\n"
        "fakes.run(main(), seed=1, deterministic=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    drawn = run(lambda: (random.random(), os.urandom(4).hex(), uuid.uuid4(), time.time()), after=1)
    assert ended.stdout.split() == [str(value) for value in drawn]
    assert ended.stdout.split()[0] == "0.0183875092371123"


def test_what_is_put_back() -> None:
    before = (time.time, datetime.datetime.__dict__["now"], random.Random.seed, uuid._node)  # type: ignore[attr-defined]

    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fakes.run(fail(), deterministic=True)

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(fakes.Deadlock):
        fakes.run(hang(), deterministic=True)
    gc.collect()
    assert before == (
        time.time,
        datetime.datetime.__dict__["now"],
        random.Random.seed,
        uuid._node,  # type: ignore[attr-defined]
    )
    assert abs(time.time() - datetime.datetime.now().timestamp()) < 60
    assert time.time() > START + 86400
    assert uuid.uuid4() != uuid.uuid4()
    with pytest.raises(ValueError, match="must be non-negative"):
        time.sleep(-1)


def test_errors_are_those_of_the_functions() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="negative"):
            os.urandom(-1)
        with pytest.raises(ValueError, match="non-negative"):
            time.sleep(-1)
        with pytest.raises(TypeError):
            time.sleep("1")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            time.time(1)  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="empty range"):
            random.randint(2, 1)

    fakes.run(main(), deterministic=True)


def test_between_two_runs_of_a_loop_nothing_is_exchanged() -> None:
    with asyncio.Runner(loop_factory=lambda: fakes.Loop(deterministic=True)) as runner:
        draws = []

        async def draw() -> None:
            draws.append(random.random())
            await asyncio.sleep(1)

        runner.run(draw())
        assert time.time() > START + 86400
        runner.run(draw())
        assert runner.get_loop().time() == 2
    assert draws[0] != draws[1]


def test_other_threads_and_real_sockets_are_outside() -> None:
    asked, told = queue.Queue[Any](), queue.Queue[Any]()

    def outside() -> None:
        while (function := asked.get()) is not None:
            told.put(function())

    thread = threading.Thread(target=outside)
    thread.start()

    async def main() -> None:
        for name, (read, expected) in CLOCKS.items():
            if name not in ("ctime", "asctime"):
                asked.put(read)
                assert told.get() != expected, name
        asked.put(random.random)
        one = told.get()
        assert one != random.Random("1 program's random").random()
        with fakes.real_sockets():
            assert time.time() > START + 86400

    fakes.run(main(), seed=1, deterministic=True)
    asked.put(None)
    thread.join()


def test_two_loops_at_once_each_have_their_own() -> None:
    barrier = threading.Barrier(2)
    results = {}
    node = uuid.getnode()

    def in_a_thread(seed: int) -> None:
        async def main() -> None:
            await asyncio.sleep(seed)
            barrier.wait()
            results[seed] = time.monotonic(), random.random()
            barrier.wait()

        fakes.run(main(), seed=seed, deterministic=True)

    threads = [threading.Thread(target=in_a_thread, args=(seed,)) for seed in (1, 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == {
        seed: (seed, random.Random(f"{seed} program's random").random()) for seed in (1, 2)
    }
    assert uuid.getnode() == node  # whichever of them has ended first


# --- sleeping -------------------------------------------------------------------------------------


def test_sleeping_on_the_loop_makes_others_late() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        ran: list[float] = []
        loop.call_later(1, lambda: ran.append(loop.time()))
        time.sleep(10)
        await asyncio.sleep(1)
        return [*ran, loop.time()]

    assert fakes.run(main(), deterministic=True) == [10, 11]


def sleep_twice(seconds: float) -> tuple[float, float, float]:
    time.sleep(seconds)
    between = time.monotonic()
    time.sleep(seconds)
    return between, time.monotonic(), random.random()


@pytest.mark.parametrize("thread_time", [0, 0.5])
def test_jobs_sleep_in_virtual_time(thread_time: float) -> None:
    async def main() -> tuple[float, list[tuple[float, float, float]], float]:
        began = time.monotonic()
        slept = await asyncio.gather(*(asyncio.to_thread(sleep_twice, n) for n in (3, 1, 2)))
        await asyncio.to_thread(time.sleep, 3600)
        return began, slept, time.monotonic()

    results = [
        fakes.run(main(), seed=1, thread_time=thread_time, deterministic=True) for _ in range(5)
    ]
    assert results == results[:1] * 5
    _, slept, over = results[0]
    assert [one[:2] for one in slept] == [(3, 6), (1, 2), (2, 4)]
    assert over >= 3606


def sleep(seconds: float, woke: list[float]) -> None:
    """Sleep, and note when it is over."""
    time.sleep(seconds)
    woke.append(time.monotonic())


def asleep(woke: list[float]) -> list[threading.Thread]:
    """Start two threads that sleep, for 70 and for 30 seconds."""
    threads = [threading.Thread(target=sleep, args=(n, woke)) for n in (70, 30)]
    for each in threads:
        each.start()
    return threads


def test_threads_of_the_program_sleep_in_virtual_time() -> None:
    async def main() -> list[float]:
        woke: list[float] = []
        threads = asleep(woke)
        await asyncio.sleep(100)
        for each in threads:
            each.join()
        return woke

    assert fakes.run(main(), deterministic=True) == [30, 70]


@pytest.mark.parametrize("before", [0, 5])  # the threads sleep before the callback waits, or after
def test_a_callback_waits_for_threads_that_sleep(before: float) -> None:
    """As for pykka's actors: nobody but the threads themselves can let the time pass."""

    async def main() -> tuple[list[float], float]:
        woke: list[float] = []
        threads = asleep(woke)
        await asyncio.sleep(before)
        for each in threads:
            each.join()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(sleep, 10, woke).result()
        return woke, asyncio.get_running_loop().time()

    assert fakes.run(main(), deterministic=True) == ([30, 70, 80], 80)


def select_files(files: list[int], seconds: float) -> list[int]:
    return select.select(files, [], [], seconds)[0]


def poll_files(files: list[int], seconds: float) -> list[int]:
    poll = select.poll()
    for each in files:
        poll.register(each, select.POLLIN)
    return [number for number, _ in poll.poll(seconds * 1000)]


def epoll_files(files: list[int], seconds: float) -> list[int]:
    with select.epoll() as epoll:
        for each in files:
            epoll.register(each, select.EPOLLIN)
        return [number for number, _ in epoll.poll(seconds, 1)]


WAYS = pytest.mark.parametrize(
    "wait",
    [
        pytest.param(select_files, id="select"),
        pytest.param(poll_files, id="poll"),
        pytest.param(
            epoll_files,
            id="epoll",
            marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="Linux has it"),
        ),
    ],
)
Wait = Callable[[list[int], float], list[int]]


@WAYS
def test_waits_for_files_take_virtual_time(wait: Wait) -> None:
    """As trio's loop does in a thread: the clock that it looks at goes on while it waits."""

    async def main() -> tuple[list[list[int]], float]:
        end, other = os.pipe()
        loop = asyncio.get_running_loop()
        found = [wait([], 10), wait([end], 20), await asyncio.to_thread(wait, [], 30)]
        loop.call_later(5, os.write, other, b"x")
        found += [await asyncio.to_thread(wait, [end], seconds) for seconds in (2, 3600)]
        found += [wait([end], 3600)]
        os.close(end)
        os.close(other)
        return [[number - end for number in each] for each in found], loop.time()

    assert fakes.run(main(), deterministic=True) == ([[], [], [], [], [0], [0]], 65)


@WAYS
def test_a_wait_for_another_process_is_in_real_time(wait: Wait) -> None:
    def ask() -> list[int]:
        with subprocess.Popen(["sh", "-c", "echo here"], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            return wait([process.stdout.fileno()], 60)

    async def main() -> float:
        assert await asyncio.to_thread(ask)
        assert ask()
        return asyncio.get_running_loop().time()

    assert fakes.run(main(), deterministic=True) == 0.0


def test_what_another_process_says_last_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends just as somebody asks whose pipe it is."""

    def ask() -> list[int]:
        command = ["sh", "-c", "read go; echo here"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            stdin, number = process.stdin, process.stdout.fileno()

            def asked(number: int) -> bool:
                stdin.close()
                process.wait()
                return is_of_this_process(number)

            monkeypatch.setattr(time_and_chance, "is_of_this_process", asked)
            return [found - number for found in select_files([number], 60)]

    async def main() -> list[int]:
        return ask()

    assert fakes.run(main(), deterministic=True) == [0]


def test_a_callback_waits_for_a_thread_that_waits_for_files() -> None:
    async def main() -> float:
        end, other = os.pipe()
        thread = threading.Thread(target=select_files, args=([end], 60))
        thread.start()
        thread.join()
        os.close(end)
        os.close(other)
        return time.monotonic()

    assert fakes.run(main(), deterministic=True) == 60.0


def test_the_end_of_a_run_waits_for_jobs_that_sleep_and_wakes_threads() -> None:
    ended = []

    def sleep() -> None:
        time.sleep(60)
        ended.append(time.monotonic())

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, sleep)
        thread.start()

    thread = threading.Thread(target=time.sleep, args=(86400,))
    fakes.run(main(), deterministic=True)
    assert len(ended) == 1
    assert 60 <= ended[0] < 61
    thread.join()


def wait_for_an_event() -> bool:
    return threading.Event().wait(60)


def wait_for_an_item() -> bool:
    try:
        return bool(queue.Queue[bool]().get(timeout=60))
    except queue.Empty:
        return False


def wait_for_room() -> bool:
    items = queue.Queue[int](1)
    items.put(1)
    try:
        items.put(2, timeout=60)
    except queue.Full:
        return False
    return True


def wait_for_a_condition() -> bool:
    condition = threading.Condition()
    with condition:
        return condition.wait_for(lambda: False, timeout=60)


def wait_for_a_semaphore() -> bool:
    return threading.Semaphore(0).acquire(timeout=60)


def wait_for_a_thread() -> bool:
    thread = threading.Thread(target=time.sleep, args=(100,))
    thread.start()
    thread.join(60)
    return not thread.is_alive()


def wait_for_a_future() -> bool:
    future: concurrent.futures.Future[bool] = concurrent.futures.Future()
    try:
        return future.result(60)
    except TimeoutError:
        return False


def wait_for_futures() -> bool:
    future: concurrent.futures.Future[bool] = concurrent.futures.Future()
    return future in concurrent.futures.wait([future], 60).done


@pytest.mark.parametrize("here", [True, False], ids=["in the loop's thread", "in another"])
@pytest.mark.parametrize(
    "wait",
    [
        wait_for_an_event,
        wait_for_an_item,
        wait_for_room,
        wait_for_a_condition,
        wait_for_a_semaphore,
        wait_for_a_thread,
        wait_for_a_future,
        wait_for_futures,
    ],
)
def test_a_wait_for_another_thread_ends_in_virtual_time(
    wait: Callable[[], bool], here: bool
) -> None:
    async def main() -> float:
        assert not (wait() if here else await asyncio.to_thread(wait))
        return time.monotonic()

    assert fakes.run(main(), deterministic=True) == 60.0


def test_a_wait_ends_early_when_it_is_over() -> None:
    """As that of a worker of huey's, which its program ends."""

    async def main() -> tuple[list[float], float]:
        ended = threading.Event()
        ticks: list[float] = []

        def work() -> None:
            while not ended.wait(1):
                ticks.append(time.monotonic())

        worker = threading.Thread(target=work)
        worker.start()
        await asyncio.sleep(3.5)
        ended.set()
        worker.join(60)
        return ticks, time.monotonic()

    assert fakes.run(main(), deterministic=True) == ([1.0, 2.0, 3.0], 3.5)


@pytest.mark.parametrize("seconds", [5, 0.5])
def test_a_callback_that_asks_again_and_again_whether_a_thread_has_ended(seconds: float) -> None:
    async def main() -> float:
        ended: list[bool] = []

        def work() -> None:
            sum(range(300_000))  # real work
            time.sleep(3)
            ended.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        while not ended:
            time.sleep(seconds)
        thread.join()
        return time.monotonic()

    assert fakes.run(main(), deterministic=True) == (5.0 if seconds == 5 else 3.0)


def test_a_callback_waits_no_longer_than_until_a_thread_that_sleeps_has_answered() -> None:
    async def main() -> tuple[bool, float]:
        answered = threading.Event()
        timer = threading.Timer(7, answered.set)
        timer.start()
        found = answered.wait(60)
        timer.join()
        return found, time.monotonic()

    assert fakes.run(main(), deterministic=True) == (True, 7.0)


def test_a_lock_of_c_waits_in_real_time() -> None:
    """Its type cannot be changed, and it reads no clock of Python's."""

    async def main() -> float:
        lock = threading.Lock()
        lock.acquire()
        assert not await asyncio.to_thread(lock.acquire, timeout=0.01)
        with pytest.raises(queue.Empty):
            await asyncio.to_thread(queue.SimpleQueue[int]().get, timeout=0.01)
        return time.monotonic()

    assert fakes.run(main(), deterministic=True) == 0.0


def test_a_program_that_looks_at_the_clock_until_time_has_passed() -> None:
    async def main() -> float:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            pass
        return until

    assert fakes.run(main(), deterministic=True) == 5


# --- beside others --------------------------------------------------------------------------------


def test_a_date_to_start_from() -> None:
    async def main() -> datetime.datetime:
        await asyncio.sleep(60)
        return datetime.datetime.now(datetime.UTC)

    start = datetime.datetime(2031, 5, 6, tzinfo=datetime.UTC)
    assert fakes.run(main(), deterministic=True, start_date=start) == start + datetime.timedelta(
        minutes=1
    )
    with pytest.raises(ValueError, match="start_date needs a time zone"):
        fakes.Loop(deterministic=True, start_date=datetime.datetime(2031, 5, 6))


def test_the_network_takes_the_same_draws_with_and_without() -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(1000))
            writer.close()

        async with await asyncio.start_server(echo, "localhost", 7):
            for _ in range(3):
                reader, writer = await asyncio.open_connection("localhost", 7)
                writer.write(b"x" * 1000)
                await reader.read()
                writer.close()

    traces = []
    for deterministic in (False, True):
        network = fakes.Network()
        trace = fakes.Trace(network)
        fakes.run(main(), seed=3, network=network, deterministic=deterministic)
        traces.append(str(trace))
    assert traces[0] == traces[1]


def test_a_search_is_as_deterministic_as_a_run() -> None:
    async def main() -> None:
        drawn = random.random()
        await asyncio.sleep(0.1)
        assert drawn < 0.9

    reports = []
    for _ in range(2):
        with pytest.raises(fakes.Found) as found:
            fakes.search(main, seeds=30, deterministic=True)
        reports.append(found.value.report)
    assert reports[0].failures.keys() == reports[1].failures.keys()
    # What the program draws stays what it is when the network's draws are shrunk.
    assert reports[0].shrunk is not None
    assert reports[0].shrunk.draws == []


def test_freezegun() -> None:
    freeze_time = pytest.importorskip("freezegun").freeze_time
    frozen = 1326499200  # 2012-01-14

    async def inside() -> list[float]:
        times = [time.time()]
        with freeze_time("2012-01-14") as freezer:
            times.append(time.time())
            await asyncio.sleep(60)
            times.append(time.time())
            freezer.tick(10)
            times += [time.time(), datetime.datetime.now(datetime.UTC).timestamp()]
        with freeze_time("2012-01-14", tick=True):
            await asyncio.sleep(60)
            times.append(time.time())
        return [*times, time.time()]

    assert fakes.run(inside(), deterministic=True) == [
        START,
        frozen,
        frozen,
        frozen + 10,
        frozen + 10,
        frozen + 60,
        START + 120,
    ]

    async def outside() -> list[float]:
        await asyncio.sleep(60)
        return [time.time(), time.monotonic(), asyncio.get_running_loop().time()]

    with freeze_time("2012-01-14"):
        assert fakes.run(outside(), deterministic=True) == [frozen, frozen, 60]
        assert fakes.run(outside()) == [frozen, frozen, 60]
    assert fakes.run(outside(), deterministic=True) == [START + 60, 60, 60]


def test_time_machine() -> None:
    travel = pytest.importorskip("time_machine").travel
    then = 1326499200  # 2012-01-14

    async def inside() -> list[float]:
        times = [time.time()]
        with travel("2012-01-14", tick=False):
            await asyncio.sleep(60)
            times += [time.time(), datetime.datetime.now().timestamp()]
        with travel("2012-01-14"):
            times.append(time.time())
            await asyncio.sleep(60)
            times += [time.time(), time.monotonic()]
        return [*times, time.time()]

    expected = [START, then, then, then, then + 60, 120, START + 120]
    assert fakes.run(inside(), deterministic=True) == expected
    assert fakes.run(inside(), deterministic=True) == expected

    async def outside() -> float:
        await asyncio.sleep(60)
        return time.time()

    with travel("2012-01-14", tick=False):
        assert fakes.run(outside(), deterministic=True) == START + 60
        assert time.time() == then
    assert time.time() > START + 86400


# --- TLS ------------------------------------------------------------------------------------------


def tls_contexts(key: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA(key_type=trustme.KeyType[key])
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", key_type=trustme.KeyType[key]).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def shape_of_a_run(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> list[object]:
    """Everything of the segments of a run over TLS but the bytes."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        server, client = contexts
        async with await asyncio.start_server(echo, "localhost", 443, ssl=server):
            for _ in range(4):
                reader, writer = await asyncio.open_connection("localhost", 443, ssl=client)
                writer.write(os.urandom(8).hex().encode() + b"\n")
                await reader.read()
                writer.close()
                await writer.wait_closed()

    network = fakes.Network(link=fakes.Link(latency=0.01, bandwidth=100_000))
    trace = fakes.Trace(network)
    fakes.run(main(), seed=5, network=network, deterministic=True)
    return [
        (one.time, one.arrives, one.connection, one.from_client, one.kind, len(one.data))
        for one in trace.segments
    ]


def test_over_tls_with_rsa_runs_are_equal_but_for_the_bytes() -> None:
    contexts = tls_contexts("RSA")
    shapes = [shape_of_a_run(contexts) for _ in range(5)]
    assert shapes == shapes[:1] * 5


def test_over_tls_with_ecdsa_sizes_vary_as_the_docs_say() -> None:
    contexts = tls_contexts("ECDSA")
    shapes = [shape_of_a_run(contexts) for _ in range(10)]  # of 4 signatures each
    assert shapes != shapes[:1] * 10
