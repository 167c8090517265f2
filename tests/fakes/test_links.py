"""Whatever a link does, TCP keeps its promises: all bytes, in order, then the end; or an error."""

import asyncio
import contextlib
import errno
import socket
from collections import Counter
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes

links = st.builds(
    fakes.Link,
    latency=st.sampled_from([0, 0.001, 0.5]),
    jitter=st.sampled_from([0, 0.002, 1.0]),
    bandwidth=st.sampled_from([None, 1000, 100_000]),
    segment_size=st.sampled_from([None, 40, 536]),
    send_buffer=st.sampled_from([None, 50, 700]),
    receive_buffer=st.sampled_from([None, 50, 700]),
    stall_rate=st.sampled_from([0, 0.3]),
)
hardships = st.lists(
    st.tuples(st.floats(0, 5), st.sampled_from(["stall", "partition", "heal"])), max_size=5
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    link=links,
    hardships=hardships,
    seed=st.integers(0, 5),
    sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=5),
    observed=st.booleans(),
)
def test_all_bytes_arrive_in_order_and_then_the_end(
    link: fakes.Link,
    hardships: list[tuple[float, str]],
    seed: int,
    sizes: list[int],
    observed: bool,
) -> None:
    network = fakes.Network(link=link)
    seen: Counter[str] = Counter()

    def observe(segment: fakes.Segment) -> None:
        if segment.arrives is not None:
            assert segment.arrives >= segment.time
            seen[segment.kind] += 1
            seen["bytes"] += len(segment.data)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(500):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(handler, "127.0.0.1", 80)
        between = network.link("localhost", "localhost")
        for when, hardship in hardships:
            loop.call_at(when, getattr(between, hardship))
        loop.call_at(10.0, between.heal)
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        message = b"".join(bytes([number]) * size for number, size in enumerate(sizes))

        async def send() -> None:
            at = 0
            for size in sizes:
                writer.write(message[at : at + size])
                at += size
                await writer.drain()
            writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            received = group.create_task(reader.read())
        assert received.result() == message
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(1000)
        server.close()
        await server.wait_closed()
        assert network.connections == {}
        if observed:
            assert seen["bytes"] == 2 * len(message)
            assert seen["FIN"] == 2
            assert seen["ACK"] == 1

    if observed:
        network.observe(observe)
    fakes.run(main(), seed=seed, network=network)


@pytest.mark.parametrize("seed", range(3))
def test_misfortune_by_seed(seed: int) -> None:
    """Rates make some connections fail, each in a way that a kernel knows."""
    network = fakes.Network(
        link=fakes.Link(latency=0.01, refuse_rate=0.2, reset_rate=0.3, stall_rate=0.05)
    )
    outcomes: Counter[str] = Counter()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while data := await reader.read(5000):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def client() -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        except ConnectionRefusedError:
            outcomes["refused"] += 1
            return
        try:
            for _ in range(50):
                writer.write(bytes(2000))
                await reader.readexactly(2000)
            outcomes["well"] += 1
        except ConnectionResetError:
            outcomes["reset"] += 1
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 80)
        await asyncio.gather(*(client() for _ in range(60)))
        await asyncio.sleep(100)
        server.close()
        await server.wait_closed()
        assert network.connections == {}

    fakes.run(main(), seed=seed, network=network)
    assert outcomes.total() == 60
    assert all(outcomes[outcome] for outcome in ("refused", "reset", "well"))


def test_reset_now() -> None:
    network = fakes.Network()

    async def main() -> None:
        (reader, writer), (other_reader, other_writer) = await fakes.open_stream_pair()
        network.link("localhost", "localhost").reset()
        for waiting in (reader, other_reader):
            with pytest.raises(ConnectionResetError) as caught:
                await waiting.read()
            assert caught.value.errno == errno.ECONNRESET
        writer.close()
        other_writer.close()

    fakes.run(main(), network=network)


def test_unix_sockets_are_observed_and_know_no_links() -> None:
    network = fakes.Network(link=fakes.Link(latency=100))
    seen: list[tuple[str, bytes]] = []
    network.observe(lambda segment: seen.append((segment.kind, segment.data)))

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(handler, "/run/server")
        reader, writer = await asyncio.open_unix_connection("/run/server")
        writer.write(b"ping")
        assert await reader.read() == b"ping"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert asyncio.get_running_loop().time() == 0
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection("/run/server")

    fakes.run(main(), network=network)
    assert seen == [("SYN", b""), ("DATA", b"ping"), ("DATA", b"ping"), ("FIN", b""), ("FIN", b"")]


def test_a_connection_attempt_that_is_given_up_leaves_nothing() -> None:
    network = fakes.Network(link=fakes.Link(latency=1))

    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 80)
        for patience in (0.5, 1.5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(patience):
                    await asyncio.open_connection("127.0.0.1", 80)
        await asyncio.sleep(100)
        assert network.connections == {}
        server.close()
        await server.wait_closed()

    fakes.run(main(), network=network)


def test_servers_that_share_a_port_share_the_connections() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: list[int] = []

        def factory(number: int) -> asyncio.Protocol:
            accepted.append(number)
            return asyncio.Protocol()

        servers = [
            await loop.create_server(partial(factory, number), "127.0.0.1", 80, reuse_port=True)
            for number in range(2)
        ]
        transports = [
            (await loop.create_connection(asyncio.Protocol, "127.0.0.1", 80))[0] for _ in range(20)
        ]
        await asyncio.sleep(1)
        assert set(accepted) == {0, 1}
        for transport in transports:
            transport.close()
        for server in servers:
            server.close()
            await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, "127.0.0.1", 80)

    fakes.run(main())


def test_hosts_of_interleaved_tasks_do_not_mix() -> None:
    network = fakes.Network()
    hosts = [network.host(name) for name in ("a", "b")]

    async def main() -> None:
        async def on(host: fakes.Host) -> None:
            with host:
                await asyncio.sleep(1)
                with network.local:
                    await asyncio.sleep(1)
                    assert network.current_host() is network.local
                assert network.current_host() is host
            assert network.current_host() is network.local

        await asyncio.gather(*(on(host) for host in hosts))

    fakes.run(main(), network=network)


def test_nothing_overtakes_the_segments_that_are_being_sent() -> None:
    # Without latency, the first of them is acknowledged before the second is sent.
    network = fakes.Network(link=fakes.Link(segment_size=100, receive_buffer=1000))
    data = b"".join(bytes([65 + i]) * 300 for i in range(20))

    async def main() -> bytes:
        served: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        served = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda *ends: served.set_result(ends), "localhost", 7, limit=100
        )
        _, writer = await asyncio.open_connection("localhost", 7)
        for start in range(0, len(data), 300):
            writer.write(data[start : start + 300])
        await asyncio.sleep(1)
        writer.close()
        reader, other = await served
        read = await reader.read()
        other.close()
        server.close()
        return read

    assert fakes.run(main(), network=network) == data


def test_a_connection_may_be_reset_before_it_has_a_transport() -> None:
    network = fakes.Network()

    async def main() -> None:
        ours, theirs = network.socketpair(socket.AF_INET)
        network.link("localhost", "localhost").reset()
        reader, writer = await asyncio.open_connection(sock=ours)
        assert writer.get_extra_info("peername") is None
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        theirs.close()

    fakes.run(main(), network=network)


def test_an_end_that_was_lost_is_sent_again_after_its_socket_is_closed() -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        link = loop.network.link("localhost", "localhost")  # type: ignore[attr-defined]
        link.change(latency=0.1)
        accepted: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        accepted = loop.create_future()

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write_eof()
            accepted.set_result((reader, writer))

        server = await asyncio.start_server(serve, "localhost", 7)
        reader, writer = await asyncio.open_connection("localhost", 7)
        assert await reader.read() == b""
        link.partition()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(1)
        link.heal()
        server.close()
        reader, writer = await accepted
        rest = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return rest

    assert fakes.run(main()) == b""
