"""Faults: of one direction, of one connection, from in between; hosts that crash."""

import asyncio
import gc
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import fakes

A_DAY = 86_400  # seconds, more than any timeout that a connection has by itself

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def now() -> float:
    return asyncio.get_running_loop().time()


def run(main: Callable[[fakes.Network], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """Run a program on a network of a host "server" that echoes at port 7, and a client's."""
    network = fakes.Network(**options)
    server = network.host("server")

    async def serve_and_main() -> Any:
        with server:
            serving = await asyncio.start_server(echo, None, 7)
        try:
            return await main(network)
        finally:
            serving.close()

    return fakes.run(serve_and_main(), network=network)


async def connect() -> Streams:
    return await asyncio.open_connection("server", 7)


async def ask(streams: Streams, data: bytes = b"hello") -> bytes:
    reader, writer = streams
    writer.write(data)
    return await reader.readexactly(len(data))


# --- one direction --------------------------------------------------------------------------------


async def seen_by(network: fakes.Network, connection: bool) -> list[str]:
    """Send a request, and say what of it and its answer crossed the wire."""
    trace = fakes.Trace(network)
    streams = await connect()
    link: Any = network.established()[0] if connection else network.link("localhost", "server")
    await ask(streams)
    link.partition(from_client=False)
    asking = asyncio.create_task(ask(streams, b"again"))
    await asyncio.sleep(5)
    assert not asking.done()
    said = [
        f"{'>' if segment.from_client else '<'} {segment.data.decode()}"
        + (" lost" if segment.arrives is None else "")
        for segment in trace.segments
        if segment.kind == "DATA"
    ]
    link.heal()
    assert await asking == b"again"
    streams[1].close()
    return said


@pytest.mark.parametrize("connection", [False, True])
def test_the_request_arrives_and_the_answer_is_lost(connection: bool) -> None:
    said = run(lambda network: seen_by(network, connection))
    assert said == ["> hello", "< hello", "> again", "< again lost"]


def test_a_direction_by_its_sender() -> None:
    async def main(network: fakes.Network) -> None:
        streams = await connect()
        network.link("localhost", "server").partition(sender="localhost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(streams), 5)
        streams[1].close()
        with pytest.raises(ValueError, match="not 'nobody'"):
            network.link("localhost", "server").partition(sender="nobody")

    run(main)


@pytest.mark.parametrize("from_client", [False, True])
def test_handshakes_are_lost_in_either_direction(from_client: bool) -> None:
    async def main(network: fakes.Network) -> float:
        network.link("localhost", "server").partition(from_client=from_client)
        with pytest.raises(TimeoutError):
            await asyncio.open_connection("10.0.0.2", 7)
        return now()

    assert run(main) == 127.0


def test_answers_that_are_lost_time_out_at_both_ends() -> None:
    async def main(network: fakes.Network) -> tuple[float, list[int | None]]:
        reader, writer = await connect()
        await ask((reader, writer))
        network.link("localhost", "server").partition(from_client=False)
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await reader.read()
        return now(), []

    assert run(main)[0] == pytest.approx(924.6)


@pytest.mark.parametrize("connection", [False, True])
def test_a_direction_is_held_up(connection: bool) -> None:
    async def main(network: fakes.Network) -> tuple[bytes, float]:
        streams = await connect()
        link: Any = network.established()[0] if connection else network.link("localhost", "server")
        link.stall(from_client=True)
        asking = asyncio.create_task(ask(streams))
        await asyncio.sleep(3000)  # far beyond any timeout
        assert not asking.done()
        link.heal()
        answer = await asking
        streams[1].close()
        return answer, now()

    assert run(main) == (b"hello", 3000.0)


# --- one connection -------------------------------------------------------------------------------


def test_one_connection_of_a_pool() -> None:
    async def main(network: fakes.Network) -> list[str]:
        pool = [await connect() for _ in range(4)]
        [second] = network.established(pool[1][1].get_extra_info("sockname"))
        second.reset()
        third = network.established(7)[1]  # the second is over
        third.partition()
        outcomes = []
        for streams in pool:
            try:
                await asyncio.wait_for(ask(streams), 5)
                outcomes.append("answers")
            except (ConnectionResetError, TimeoutError) as exc:
                outcomes.append(type(exc).__name__)
            streams[1].close()
        return outcomes

    assert run(main) == ["answers", "ConnectionResetError", "TimeoutError", "answers"]


def test_what_a_connection_says_of_itself() -> None:
    async def main(network: fakes.Network) -> None:
        _, writer = await connect()
        [connection] = network.established()
        assert connection.client == writer.get_extra_info("sockname")
        assert connection.server == writer.get_extra_info("peername")
        assert (connection.client_host, connection.server_host) == ("localhost", "server")
        assert connection.number == 1
        assert repr(connection).startswith("<fakes.Connection #1 (")
        assert network.established(8) == []
        writer.close()
        await asyncio.sleep(1)
        assert network.established() == []

    run(main)


# --- ended from in between ------------------------------------------------------------------------


@pytest.mark.parametrize("connection", [False, True])
@pytest.mark.parametrize("size", [0, 3, 5, 8])
def test_an_answer_that_ends_too_early(size: int, connection: bool) -> None:
    async def main(network: fakes.Network) -> bytes:
        link: Any = network.link("localhost", "server")
        if not connection:
            link.end_after(size, from_client=False)
        reader, writer = await connect()
        if connection:
            network.established()[0].end_after(size, from_client=False)
        writer.write(b"12345678")
        answer = await reader.read()
        writer.write(b"nobody is there")
        await asyncio.sleep(1)
        writer.write(b"nobody is there")
        with pytest.raises(ConnectionError):
            await writer.drain()
        writer.close()
        return answer

    assert run(main) == b"12345678"[:size]


def test_bytes_are_counted_in_both_directions_together() -> None:
    async def main(network: fakes.Network) -> bytes:
        network.link("localhost", "server").end_after(12)
        reader, writer = await connect()
        writer.write(b"12345678")
        answer = await reader.read()
        writer.close()
        return answer

    assert run(main) == b"1234"


def test_one_connection_is_reset_after_some_bytes() -> None:
    async def main(network: fakes.Network) -> None:
        one, other = await connect(), await connect()
        network.established()[0].reset_after(7)
        with pytest.raises(ConnectionResetError):
            await ask(one)
        assert await ask(other) == b"hello"
        for _, writer in (one, other):
            writer.close()

    run(main)


def test_healing_disarms_it() -> None:
    async def main(network: fakes.Network) -> None:
        link = network.link("localhost", "server")
        streams = await connect()
        link.reset_after(7)
        link.heal()
        assert await ask(streams) == b"hello"
        streams[1].close()

    run(main)


@pytest.mark.parametrize("method", ["end_after", "reset_after"])
def test_sizes_are_not_negative(method: str) -> None:
    async def main(network: fakes.Network) -> None:
        _, writer = await connect()
        for one in (network.link("localhost", "server"), network.established()[0]):
            with pytest.raises(ValueError, match="0 or more bytes, not -1"):
                getattr(one, method)(-1)
        writer.close()

    run(main)


# --- a slow reader --------------------------------------------------------------------------------


@pytest.mark.parametrize("connection", [False, True])
def test_a_slow_reader_makes_the_writer_wait(connection: bool) -> None:
    async def main(network: fakes.Network) -> float:
        if not connection:
            network.link("localhost", "server").slow_reader(100_000, client=False)
        reader, writer = await connect()
        if connection:
            network.established()[0].slow_reader(100_000, client=False)
        reading = asyncio.create_task(reader.readexactly(10_000_000))
        for _ in range(100):
            writer.write(bytes(100_000))
            await writer.drain()
        waited = now()
        await reading
        assert now() == pytest.approx(100, rel=0.01)
        writer.close()
        return waited

    # What the kernels' buffers hold (4 MiB and 256 KiB) is not waited for; but a kernel that was
    # full reports a socket as writable when a third of its buffer is free again.
    assert 50 < run(main) < 75


def test_the_other_direction_is_not_slow() -> None:
    async def main(network: fakes.Network) -> None:
        network.link("localhost", "server").slow_reader(1, client=True)
        reader, writer = await connect()
        writer.write(bytes(100_000))
        await writer.drain()
        writer.write_eof()
        await reader.readexactly(5)
        assert now() == pytest.approx(5)
        network.link("localhost", "server").heal()
        writer.transport.abort()

    run(main)


def test_a_rate_is_positive() -> None:
    with pytest.raises(ValueError, match="positive number of bytes per second, not 0"):
        fakes.Network().link("localhost", "localhost").slow_reader(0)


# --- names ----------------------------------------------------------------------------------------


def test_an_answer_of_the_name_server_changes() -> None:
    async def main() -> list[str]:
        network = asyncio.get_running_loop().network  # type: ignore[attr-defined]
        network.dns.answers("db", ["10.1.0.1"], ["10.1.0.2", "10.1.0.3"])
        seen = []
        for _ in range(3):
            infos = await asyncio.get_running_loop().getaddrinfo("db", 5432)
            seen.append(",".join(str(info[4][0]) for info in infos if info[1] == 1))
        return seen

    assert fakes.run(main()) == ["10.1.0.1", "10.1.0.2,10.1.0.3", "10.1.0.2,10.1.0.3"]


# --- crashes --------------------------------------------------------------------------------------


class Service:
    """A server that answers with how often it was started; it leaves traces of its clean-up."""

    def __init__(self) -> None:
        self.starts = 0
        self.cleaned_up: list[str] = []
        self.ticks: list[float] = []

    async def __call__(self) -> None:
        self.starts += 1
        asyncio.get_running_loop().call_later(0.5, self.tick)
        generator = self.generate()
        try:
            await anext(generator)
            async with (
                await asyncio.start_server(self.serve, None, 80) as server,
                asyncio.TaskGroup() as group,
            ):
                group.create_task(self.work())
                await server.serve_forever()
        finally:
            self.cleaned_up.append("server")

    def tick(self) -> None:
        self.ticks.append(now())
        asyncio.get_running_loop().call_later(0.5, self.tick)

    async def generate(self) -> Any:
        try:
            yield
        finally:
            self.cleaned_up.append("generator")

    async def work(self) -> None:
        try:
            await asyncio.sleep(10**6)
        finally:
            self.cleaned_up.append("work")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(100):
                writer.write(b"%d" % self.starts)
        finally:
            self.cleaned_up.append("handler")
            writer.close()


async def crashing(
    network: fakes.Network, service: Service, main: Callable[[fakes.Host], Coroutine[Any, Any, Any]]
) -> Any:
    host = network.host("database")
    host.start(service)
    await asyncio.sleep(0.1)
    return await main(host)


def with_crash(main: Callable[[fakes.Host], Coroutine[Any, Any, Any]], **options: Any) -> Service:
    service = Service()
    network = fakes.Network()
    fakes.run(crashing(network, service, main), network=network, **options)
    return service


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_ran_on_a_crashed_host_never_runs_again(seed: int) -> None:
    async def main(host: fakes.Host) -> None:
        reader, writer = await asyncio.open_connection("database", 80)
        writer.write(b"?")
        assert await reader.read(100) == b"1"
        host.crash()
        assert not host.up
        await asyncio.sleep(1000)
        gc.collect()
        writer.close()

    service = with_crash(main, seed=seed)
    gc.collect()
    assert service.cleaned_up == []
    assert service.ticks == []
    assert service.starts == 1


def test_garbage_that_is_collected_during_a_crash_does_not_run_either() -> None:
    async def main(host: fakes.Host) -> None:
        streams = [await asyncio.open_connection("database", 80) for _ in range(5)]
        await asyncio.sleep(1)
        sys.setprofile(lambda *_: gc.collect())  # at each call
        try:
            host.crash()
        finally:
            sys.setprofile(None)
        del streams

    gc.freeze()  # only what the run makes is looked at, which is quick
    try:
        service = with_crash(main)
    finally:
        gc.unfreeze()
    gc.collect()
    assert service.cleaned_up == []


def test_a_host_that_is_up_ends_in_order() -> None:
    service = with_crash(lambda host: asyncio.sleep(1))
    assert sorted(service.cleaned_up) == ["generator", "server", "work"]


def test_a_peer_of_a_crashed_host_that_sends_times_out() -> None:
    async def main(host: fakes.Host) -> None:
        reader, writer = await asyncio.open_connection("database", 80)
        begun = now()
        host.crash()
        writer.write(b"?")
        with pytest.raises(TimeoutError):
            await reader.read(100)
        assert now() - begun == pytest.approx(924.6)
        with pytest.raises(TimeoutError):
            await asyncio.open_connection("10.0.0.2", 80)

    with_crash(main)


def test_a_peer_that_only_reads_notices_nothing() -> None:
    async def main(host: fakes.Host) -> None:
        reader, writer = await asyncio.open_connection("database", 80)
        host.crash()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), A_DAY)
        host.restart()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), A_DAY)
        writer.close()

    with_crash(main)


def test_after_the_restart_an_old_connection_is_reset_and_a_new_one_served() -> None:
    async def main(host: fakes.Host) -> None:
        reader, writer = await asyncio.open_connection("database", 80)
        host.crash()
        writer.write(b"?")
        await asyncio.sleep(2)
        host.restart()
        assert host.up
        begun = now()
        with pytest.raises(ConnectionResetError):
            await reader.read(100)
        assert now() - begun < 2  # when the kernel sends it again
        writer.close()
        reader, writer = await asyncio.open_connection("database", 80)
        writer.write(b"?")
        assert await reader.read(100) == b"2"
        writer.close()

    assert with_crash(main).starts == 2


def test_a_quick_restart() -> None:
    async def main(host: fakes.Host) -> None:
        reader, writer = await asyncio.open_connection("database", 80)
        host.restart()
        writer.write(b"?")
        with pytest.raises(ConnectionResetError):
            await reader.read(100)
        writer.close()

    assert with_crash(main).cleaned_up[:0] == []


def test_an_end_that_is_sent_to_a_restarted_host_is_answered_by_a_reset() -> None:
    async def main(host: fakes.Host) -> None:
        reader, writer = await asyncio.open_connection("database", 80)
        host.restart()
        writer.write_eof()
        with pytest.raises(ConnectionResetError):
            await reader.read(100)
        writer.close()

    with_crash(main)


@pytest.mark.parametrize("seed", [0, 3])
def test_what_was_sent_before_the_crash_arrives(seed: int) -> None:
    network = fakes.Network(link=fakes.Link(latency=0.1))

    async def main() -> bytes:
        host = network.host("server")

        async def serve() -> None:
            async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"hello")
                await asyncio.Event().wait()

            async with await asyncio.start_server(greet, None, 80) as server:
                await server.serve_forever()

        host.start(serve)
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("server", 80)
        await asyncio.sleep(0.15)  # it is on its way
        host.crash()
        data = await reader.readexactly(5)
        writer.close()
        return data

    assert fakes.run(main(), network=network, seed=seed) == b"hello"


def test_a_program_that_nothing_refers_to_goes_on() -> None:
    """asyncio itself keeps only a weak reference to a task."""
    network = fakes.Network()
    ended: list[str] = []

    async def program() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def main() -> None:
        host = network.host("host")
        host.start(program)
        await asyncio.sleep(1)
        gc.collect()
        host.crash()
        gc.collect()
        await asyncio.sleep(1)

    fakes.run(main(), network=network)
    assert ended == []


def test_a_crashed_client_says_nothing() -> None:
    network = fakes.Network()

    async def main() -> list[str]:
        seen: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(str(await reader.read(100)))
            try:
                seen.append(str(await asyncio.wait_for(reader.read(100), 100)))
            except TimeoutError:
                seen.append("nothing")
            writer.close()

        async def client() -> None:
            _, writer = await asyncio.open_connection("localhost", 80)
            try:
                writer.write(b"hello")
                await asyncio.Event().wait()
            finally:
                writer.close()
                seen.append("clean-up")

        server = await asyncio.start_server(serve, "10.0.0.1", 80)
        network.dns.add("localhost", "10.0.0.1")
        host = network.host("client")
        host.start(client)
        await asyncio.sleep(1)
        host.crash()
        await asyncio.sleep(1000)
        server.close()
        return seen

    assert fakes.run(main(), network=network) == ["b'hello'", "nothing"]


def test_a_crash_twice_and_a_program_started_while_it_is_down() -> None:
    async def main(host: fakes.Host) -> list[str]:
        ran: list[str] = []

        async def late() -> None:
            ran.append("late")

        host.crash()
        host.crash()
        host.start(late)
        await asyncio.sleep(1)
        assert ran == []
        host.restart()
        await asyncio.sleep(1)
        assert ran == ["late"]
        return ran

    assert with_crash(main).starts == 2


def test_programs_given_before_the_run_start_with_it() -> None:
    network = fakes.Network()
    service = Service()
    network.host("database").start(service)

    async def main() -> bytes:
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("database", 80)
        writer.write(b"?")
        answer = await reader.read(100)
        writer.close()
        return answer

    assert fakes.run(main(), network=network) == b"1"
    assert fakes.run(main(), network=network) == b"2"


def test_a_program_that_fails_is_reported() -> None:
    network = fakes.Network()

    async def fail() -> None:
        raise KeyError("broken")

    async def main() -> str:
        said: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        network.host("database").start(fail)
        await asyncio.sleep(1)
        return f"{said[0]['message']}: {said[0]['exception']!r}"

    assert (
        fakes.run(main(), network=network)
        == "a program on host 'database' has failed: KeyError('broken')"
    )


def test_who_waits_for_a_task_of_a_crashed_host_waits_forever() -> None:
    network = fakes.Network()

    async def main() -> None:
        host = network.host("database")
        with host:
            task = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(1)
        host.crash()
        await task

    with pytest.raises(fakes.Deadlock):
        fakes.run(main(), network=network)


def test_a_wake_up_from_outside_does_not_wake_it() -> None:
    network = fakes.Network()

    async def main() -> list[str]:
        woken: list[str] = []
        event = asyncio.Event()

        async def wait() -> None:
            await event.wait()
            woken.append("woken")

        host = network.host("database")
        host.start(wait)
        await asyncio.sleep(1)
        host.crash()
        event.set()
        await asyncio.sleep(1)
        return woken

    assert fakes.run(main(), network=network) == []


def test_connections_of_the_host_to_itself_are_gone() -> None:
    network = fakes.Network()
    seen: list[str] = []

    async def talk() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 7)
        streams = await asyncio.open_connection("127.0.0.1", 7)
        try:
            while True:
                await ask(streams)
                await asyncio.sleep(1)
        finally:
            seen.append("clean-up")
            server.close()

    async def main() -> None:
        host = network.host("database")
        host.start(talk)
        await asyncio.sleep(3.5)
        host.restart()
        await asyncio.sleep(3.5)
        host.crash()
        assert [sock for sock in network.open_sockets() if sock.host is host] == []

    fakes.run(main(), network=network)
    assert seen == []


def test_only_a_simulated_loop_can_crash_a_host() -> None:
    network = fakes.Network()

    async def main() -> None:
        with pytest.raises(fakes.NotSimulated, match=r"Host\.crash"):
            network.local.crash()

    loop_class = fakes.network_loop(asyncio.SelectorEventLoop, network)
    with asyncio.Runner(loop_factory=loop_class) as runner:
        runner.run(main())


# --- faults by the seed ---------------------------------------------------------------------------

EVERY: list[fakes.Fault] = [
    fakes.Partition("localhost", "server"),
    fakes.Stall("localhost", "server"),
    fakes.Refuse("localhost", "server"),
    fakes.Crash("server"),
]


def happened(
    seed: int | str, *faults: fakes.Fault, within: float = 10.0
) -> list[tuple[str, float]]:
    """Run a program for 20 seconds; return what began and ended meanwhile, and when."""
    network = fakes.Network()
    host = network.host("server")
    link = network.link("localhost", "server")
    seen: list[tuple[str, float]] = []

    async def main() -> None:
        before: set[str] = set()
        for _ in range(2000):
            state = {w for w in ("partitioned", "stalled", "refusing") if getattr(link, w)}
            state |= set() if host.up else {"down"}
            seen.extend((f"+{what}", now()) for what in sorted(state - before))
            seen.extend((f"-{what}", now()) for what in sorted(before - state))
            before = state
            await asyncio.sleep(0.01)

    fakes.run(main(), network=network, seed=seed, faults=faults, within=within)
    return seen


@pytest.mark.parametrize("fault", EVERY, ids=lambda fault: type(fault).__name__)
def test_a_fault_happens_by_the_seed(fault: fakes.Fault) -> None:
    runs = [happened(seed, fault) for seed in range(1, 21)]
    assert 10 <= sum(map(bool, runs)) < 21
    assert all(len(run) in (0, 2) for run in runs)
    times = [(run[0][1], run[1][1]) for run in runs if run]
    assert len(set(times)) == len(times)
    assert all(0 <= begins < 10.02 and begins < ends < begins + 1.02 for begins, ends in times)
    assert happened(5, fault) == happened(5, fault)


@pytest.mark.parametrize("seed", [0, "5/"])
def test_a_quiet_seed_has_no_faults(seed: int | str) -> None:
    assert happened(seed, *EVERY) == []


def test_faults_begin_within_a_time() -> None:
    runs = [happened(seed, *EVERY, within=0.5) for seed in range(1, 6)]
    assert all(when < 0.52 for run in runs for what, when in run if what[0] == "+")


def test_a_fault_of_ones_own() -> None:
    class Slow:
        lasts = 2.0

        def begin(self, network: fakes.Network) -> None:
            network.link("localhost", "localhost").change(latency=1)

        def end(self, network: fakes.Network) -> None:
            network.link("localhost", "localhost").change(latency=0)

    async def main() -> float:
        await asyncio.sleep(0.2)
        server = await asyncio.start_server(echo, "127.0.0.1", 7)
        streams = await asyncio.open_connection("127.0.0.1", 7)
        await ask(streams)
        streams[1].close()
        server.close()
        return now()

    times = {fakes.run(main(), seed=seed, faults=[Slow()], within=0.1) > 1 for seed in range(20)}
    assert times == {False, True}


def test_a_reset_by_the_seed() -> None:
    async def main() -> str:
        server = await asyncio.start_server(echo, "127.0.0.1", 7)
        reader, writer = await asyncio.open_connection("127.0.0.1", 7)
        try:
            await asyncio.wait_for(reader.read(), 20)
        except (ConnectionResetError, TimeoutError) as exc:
            return type(exc).__name__
        finally:
            writer.close()
            server.close()
        return "an end"

    reset = [fakes.Reset("localhost", "localhost")]
    assert fakes.run(main(), faults=reset) == "TimeoutError"
    ends = {fakes.run(main(), seed=seed, faults=reset) for seed in range(1, 20)}
    assert ends == {"ConnectionResetError", "TimeoutError"}


def test_the_search_leaves_out_faults_that_do_not_matter() -> None:
    def fresh() -> fakes.Network:
        made = fakes.Network()
        made.host("server")
        return made

    async def main() -> None:
        network = asyncio.get_running_loop().network  # type: ignore[attr-defined]
        for _ in range(1200):
            await asyncio.sleep(0.01)
            assert network.host("server").up, "the server is down"

    with pytest.raises(fakes.Found) as found:
        fakes.search(main, seeds=5, network=fresh, faults=EVERY)
    shrunk = found.value.report.shrunk
    assert shrunk is not None
    assert {draw.concern for draw in shrunk.draws} == {"fault 3"}
    assert "fault 3:0  Crash('server') happens" in str(found.value)
    assert re.search(r"^10\.000000 +Crash\('server'\) begins$", str(found.value), re.MULTILINE)


def test_a_trace_with_steps_shows_the_faults_of_the_seed() -> None:
    async def main() -> None:
        for _ in range(20):
            await asyncio.sleep(1)

    network = fakes.Network()
    trace = fakes.Trace(network, steps=True)
    partition = fakes.Partition("localhost", "localhost", lasts=5)
    fakes.run(main(), seed=1, network=network, faults=[partition], within=1)
    _, begins, ends, last = trace.text(last=1).splitlines()
    time, text = begins.split(maxsplit=1)
    assert float(time) < 1
    assert text == "Partition('localhost', 'localhost', lasts=5) begins"
    assert ends.endswith("Partition('localhost', 'localhost', lasts=5) ends")
    assert last.startswith("20.000000")
