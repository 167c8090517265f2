"""UDP, and Unix datagrams: over the kernel's loopback and over the fakes; and what links do."""

import asyncio
import contextlib
import errno
import functools
import os
import re
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import fakes

Seen = list[Any]


def outcome(call: Callable[..., Any], *args: Any) -> Any:
    try:
        return call(*args)
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, type(exc).__name__)
    except (TypeError, ValueError, OverflowError) as exc:
        return type(exc).__name__


async def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coroutine
    except (OSError, ValueError, TypeError) as exc:
        return type(exc).__name__, getattr(exc, "errno", None)


def new(family: int = socket.AF_INET, *address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    if address:
        sock.bind(*address)
    return sock


class Told(asyncio.DatagramProtocol):
    """Writes down what it is told, without the ports."""

    def __init__(self) -> None:
        self.seen: Seen = []
        self.more = asyncio.Event()
        self.transport: asyncio.DatagramTransport

    def note(self, *what: Any) -> None:
        self.seen.append(what)
        self.more.set()

    async def until(self, count: int) -> None:
        while len(self.seen) < count:
            self.more.clear()
            await self.more.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.note("data", data, addr[0])

    def error_received(self, exc: Exception) -> None:
        self.note("error", type(exc).__name__)

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost", exc)


async def endpoints(path: str) -> Seen:
    """Both kinds: one that is bound, and one that is connected to it."""
    loop = asyncio.get_running_loop()
    seen: Seen = []
    for host in ("127.0.0.1", "::1"):
        there, server = await loop.create_datagram_endpoint(Told, (host, 0))
        address = there.get_extra_info("sockname")
        here, client = await loop.create_datagram_endpoint(Told, remote_addr=address[:2])
        seen += [
            here.get_extra_info("peername") == address,
            there.get_extra_info("peername"),
            here.get_extra_info("socket").type,
            here.get_write_buffer_size(),  # type: ignore[attr-defined]  # typeshed lacks it
        ]
        for data in (b"one", b"two", b"", bytes(65_000)):
            here.sendto(data)
            await asyncio.sleep(0)
        there.sendto(b"back", here.get_extra_info("sockname"))
        expected = 4 if here_sends_nothing(seen) else 3
        await server.until(expected)
        await client.until(1)
        here.sendto(b"at him", address)
        await server.until(expected + 1)
        seen += [server.seen, client.seen]
        with pytest.raises(ValueError, match="Invalid address"):
            here.sendto(b"to another", ("127.0.0.9", 9))
        here.close()
        seen.append(here.is_closing())
        await client.until(2)
        there.abort()
        await server.until(expected + 2)
    return seen


def here_sends_nothing(seen: Seen) -> bool:
    """Whether asyncio's sendto() sends an empty datagram: since 3.13, and some of 3.12."""
    return sys.version_info >= (3, 12, 5)


async def nobody_there(path: str) -> Seen:
    """A connected socket is told that its datagram was refused; another is not."""
    loop = asyncio.get_running_loop()
    gone = new(socket.AF_INET, ("127.0.0.1", 0))
    address = gone.getsockname()
    gone.close()
    transport, protocol = await loop.create_datagram_endpoint(Told, remote_addr=address)
    transport.sendto(b"x")
    await protocol.until(1)
    transport.close()
    await protocol.until(2)
    seen: Seen = [protocol.seen]
    with new() as sock:
        sock.connect(address)
        seen.append(outcome(sock.send, b"x"))
        await asyncio.sleep(0.01)
        seen += [outcome(sock.recv, 1), outcome(sock.recv, 1)]
        seen.append(outcome(sock.send, b"x"))
        await asyncio.sleep(0.01)
        seen += [outcome(sock.send, b"y"), sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) > 0]
    with new() as sock:
        seen.append(outcome(sock.sendto, b"x", address))
        await asyncio.sleep(0.01)
        seen.append(outcome(sock.recv, 1))
    return seen


async def by_hand(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    with new(socket.AF_INET, ("127.0.0.1", 0)) as server, new() as client:
        address = server.getsockname()
        seen.append(outcome(client.getsockname))
        seen.append(await loop.sock_sendto(client, b"hello", address))
        seen.append(outcome(client.getsockname)[0])
        data, source = await loop.sock_recvfrom(server, 3)
        seen += [data, source == ("127.0.0.1", client.getsockname()[1])]
        receiving = asyncio.ensure_future(loop.sock_recvfrom_into(client, into := bytearray(9)))
        await asyncio.sleep(0.01)
        await loop.sock_sendto(server, b"back", source)
        seen += [(await receiving)[0], into]
        await loop.sock_connect(client, address)
        seen.append(outcome(client.getpeername) == address)
        client.send(b"a")
        client.sendall(b"b")
        client.sendmsg([b"c", b"d"])
        client.sendto(b"e", address)
        await asyncio.sleep(0.01)
        seen += [server.recv(1, socket.MSG_PEEK), server.recv(10), server.recvfrom(10)[0]]
        seen += [server.recvmsg(10)[0], server.recv_into(bytearray(5)), outcome(server.recv, 1)]
        with new() as stranger:
            stranger.sendto(b"from elsewhere", client.getsockname())
            server.sendto(b"from the peer", client.getsockname())
            await asyncio.sleep(0.01)
            seen += [client.recv(99), outcome(client.recv, 99)]
    return seen


def bind_twice(sock: socket.socket) -> None:
    sock.bind(("127.0.0.1", 0))
    sock.bind(("127.0.0.1", 0))


def send_closed(sock: socket.socket) -> None:
    sock.close()
    sock.sendto(b"x", ("127.0.0.1", 9))


async def what_fails(path: str) -> Seen:
    seen: Seen = []
    calls: list[Callable[[socket.socket], Any]] = [
        lambda sock: sock.send(b"x"),
        lambda sock: sock.recv(1),
        lambda sock: sock.getpeername(),
        lambda sock: sock.listen(),
        lambda sock: sock.accept(),
        lambda sock: sock.shutdown(socket.SHUT_WR),
        lambda sock: sock.sendto(b"x", ("127.0.0.1", 0)),
        lambda sock: sock.sendto(bytes(65_508), ("127.0.0.1", 9)),
        lambda sock: sock.sendto(b"x", ("255.255.255.255", 9)),
        lambda sock: sock.sendto(b"x", ("127.0.0.1", 70_000)),
        lambda sock: sock.sendto("x", ("127.0.0.1", 9)),  # type: ignore[call-overload]  # wrong
        lambda sock: sock.sendto(b"x", "127.0.0.1"),
        lambda sock: sock.sendto(b"x"),  # type: ignore[call-overload]  # no address
        lambda sock: sock.bind(("192.0.2.1", 0)),
        bind_twice,
        lambda sock: (sock.type, sock.gettimeout(), sock.getsockname()),
        lambda sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
        send_closed,
    ]
    for call in calls:
        with new() as sock:
            seen.append(outcome(call, sock))
    return seen


async def ports_in_use(path: str) -> Seen:
    seen: Seen = []
    for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        with new() as one, new() as other, new() as third:
            for sock in (one, other):
                if option is not None:
                    sock.setsockopt(socket.SOL_SOCKET, option, 1)
            one.bind(("127.0.0.1", 0))
            address = one.getsockname()
            seen += [outcome(other.bind, address), outcome(third.bind, address)]
            if option == socket.SO_REUSEADDR:
                third.sendto(b"x", address)
                await asyncio.sleep(0.01)
                seen += [outcome(one.recv, 1), outcome(other.recv, 1)]
    return seen


async def both_versions(path: str) -> Seen:
    seen: Seen = []
    with new(socket.AF_INET6) as server, new() as four, new(socket.AF_INET6) as six:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        port = server.getsockname()[1]
        four.sendto(b"4", ("127.0.0.1", port))
        six.sendto(b"6", ("::1", port))
        await asyncio.sleep(0.01)
        for sock in (four, six):
            data, source = server.recvfrom(9)
            server.sendto(data * 2, source)
            await asyncio.sleep(0.01)
            seen += [data, source[0], sock.recvfrom(9)[0]]
        six.sendto(b"m", ("::ffff:127.0.0.1", port))
        await asyncio.sleep(0.01)
        seen.append(server.recvfrom(9)[1][0])
    return seen


async def a_full_receive_buffer(path: str) -> Seen:
    """What does not fit is lost; what came first stays."""
    with new(socket.AF_INET, ("127.0.0.1", 0)) as server, new() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(server.getsockname())
        for number in range(100):
            client.send(struct.pack("I", number) + bytes(996))
        await asyncio.sleep(0.01)
        got = []
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(struct.unpack("I", server.recv(2000)[:4])[0])
        return [got == list(range(len(got))), 5 <= len(got) <= 15]


async def unix_datagrams(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    seen: Seen = []
    with new(socket.AF_UNIX, path) as server, new(socket.AF_UNIX) as client:
        seen.append(outcome(client.sendto, b"x", path + "-no"))
        seen.append(outcome(client.send, b"x"))
        client.sendto(b"unnamed", path)
        await asyncio.sleep(0.01)
        seen.append(server.recvfrom(99))
        client.bind(path + "-client")
        client.connect(path)
        client.send(b"named")
        await asyncio.sleep(0.01)
        data, source = server.recvfrom(99)
        seen += [data, source == path + "-client", client.getpeername() == path]
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(b"x")
                count += 1
        seen.append(count)
        room = asyncio.Event()
        loop.add_writer(client.fileno(), room.set)
        await asyncio.sleep(0.01)
        seen.append(room.is_set())
        for _ in range(count):
            server.recv(1)
        await room.wait()
        loop.remove_writer(client.fileno())
    with new(socket.AF_UNIX) as sock:
        seen.append(outcome(sock.bind, path))
    return seen


async def what_recvmsg_tells(path: str) -> Seen:
    """Where a datagram was sent to, and what has become of those that were refused."""
    seen: Seen = []
    nobody = new(socket.AF_INET, ("127.0.0.1", 0))
    gone = nobody.getsockname()
    nobody.close()
    with new(socket.AF_INET6) as sock, new() as four:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, 25, 1)  # IPV6_RECVERR
        sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        seen.append(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO))
        sock.bind(("::", 0))
        port = sock.getsockname()[1]
        four.sendto(b"4", ("127.0.0.1", port))
        await asyncio.sleep(0.01)
        data, ancillary, flags, source = sock.recvmsg(100, 1024)
        seen += [data, ancillary, flags, source[0]]
        sock.sendmsg([b"back"], ancillary, 0, source)
        sock.sendto(b"refused", ("::ffff:127.0.0.1", gone[1]))
        await asyncio.sleep(0.01)
        seen.append(four.recvfrom(9)[0])
        data, ancillary, flags, there = sock.recvmsg(100, 1024, socket.MSG_ERRQUEUE)
        seen += [data, ancillary, flags, there[0]]
        seen.append(outcome(sock.recvmsg, 100, 1024, socket.MSG_ERRQUEUE))
        seen.append(outcome(sock.recv, 1))
    return seen


async def arguments(path: str) -> Seen:
    loop = asyncio.get_running_loop()
    make = loop.create_datagram_endpoint
    with new() as sock, socket.socket() as stream:
        return [
            await awaited(make(Told)),
            await awaited(make(Told, "127.0.0.1")),
            await awaited(make(Told, sock=stream)),
            await awaited(make(Told, ("127.0.0.1", 0), sock=sock)),
            await awaited(make(Told, ("127.0.0.1", 0), ("::1", 9))),
            await awaited(make(Told, ("192.0.2.1", 0))),
        ]


PROGRAMS = [
    endpoints,
    nobody_there,
    by_hand,
    what_fails,
    ports_in_use,
    both_versions,
    a_full_receive_buffer,
    unix_datagrams,
    what_recvmsg_tells,
    arguments,
]


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:  # of pytest's, paths may be too long
        yield os.path.join(folder, "socket")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_sees_the_same_over_the_kernel(program: Callable[[str], Any], path: str) -> None:
    over_the_kernel = asyncio.run(program(path))
    in_memory = fakes.run(program(path))
    for number, (real, simulated) in enumerate(zip(over_the_kernel, in_memory, strict=True)):
        assert simulated == real, f"number {number}"


# --- links ----------------------------------------------------------------------------------------


def received_over(link: fakes.Link, seed: int = 0, count: int = 100) -> list[tuple[float, int]]:
    """The times at which datagrams arrive that are sent every millisecond, and their numbers."""
    network = fakes.Network(link=link)
    network.host("server")

    async def main() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        got: list[tuple[float, int]] = []

        class Server(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                got.append((loop.time(), struct.unpack("I", data[:4])[0]))

        with network.host("server"):
            server, _ = await loop.create_datagram_endpoint(Server, ("0.0.0.0", 53))
        client, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("server", 53), family=socket.AF_INET
        )
        for number in range(count):
            client.sendto(struct.pack("I", number) + bytes(96))
            await asyncio.sleep(0.001)
        await asyncio.sleep(10)
        client.close()
        server.close()
        return got

    return fakes.run(main(), seed=seed, network=network)


def test_latency_and_bandwidth() -> None:
    got = received_over(fakes.Link(latency=0.5), count=3)
    assert [number for _, number in got] == [0, 1, 2]
    assert [time for time, _ in got] == pytest.approx([0.5, 0.501, 0.502])
    got = received_over(fakes.Link(bandwidth=100), count=3)
    assert [time for time, _ in got] == pytest.approx([1, 2, 3])


def test_loss_duplication_and_order() -> None:
    numbers = [n for _, n in received_over(fakes.Link(loss_rate=0.3), seed=1)]
    assert 50 < len(numbers) < 90
    assert numbers == sorted(set(numbers))
    numbers = [n for _, n in received_over(fakes.Link(duplicate_rate=0.3), seed=0)]
    assert 110 < len(numbers) < 150
    assert set(numbers) == set(range(100))
    numbers = [n for _, n in received_over(fakes.Link(reorder_rate=0.3), seed=0)]
    assert numbers != sorted(numbers)
    assert sorted(numbers) == list(range(100))
    numbers = [n for _, n in received_over(fakes.Link(jitter=0.05), seed=0)]
    assert numbers != sorted(numbers)
    assert [n for _, n in received_over(fakes.Link(loss_rate=1))] == []


def test_a_seed_decides() -> None:
    link = fakes.Link(loss_rate=0.2, duplicate_rate=0.2, reorder_rate=0.2, jitter=0.01)
    runs = [received_over(link, seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_a_partition_loses_and_a_stall_holds() -> None:
    network = fakes.Network()
    network.host("server")
    link = network.link("localhost", "server")

    async def main() -> Seen:
        loop = asyncio.get_running_loop()
        with network.host("server"):
            server = new(socket.AF_INET, ("0.0.0.0", 53))
        with server, new() as client:
            client.connect(("server", 53))
            link.partition()
            client.send(b"lost")
            link.heal()
            link.stall()
            loop.call_later(5, link.heal)
            client.send(b"held")
            received = await loop.sock_recvfrom(server, 99)
            return [received, loop.time(), client.getsockname() == received[1]]

    assert fakes.run(main(), network=network)[0][0] == b"held"


def test_a_trace_and_a_capture(tmp_path: Any) -> None:
    network = fakes.Network(link=fakes.Link(latency=0.25))
    trace = fakes.Trace(network)

    async def main() -> None:
        with new() as client:
            client.connect(("127.0.0.1", 53))
            client.send(b"who are you?")
            await asyncio.sleep(1)
            assert outcome(client.recv, 1) == "ECONNREFUSED"

    fakes.run(main(), network=network)
    assert str(trace) == (
        "0.000000  #1  localhost:32768 > localhost:53  "
        "DATAGRAM 12 bytes b'who are you?'  (arrives 0.250000)\n"
        "0.250000  #1  localhost:53 > localhost:32768  UNREACHABLE  (arrives 0.500000)"
    )
    capture = trace.pcapng()
    assert b"who are you?" in capture
    # The ICMP message: type 3, code 3, and the beginning of the datagram that it answers.
    quoted = struct.pack("!HH", 32768, 53)
    assert capture.count(quoted) == 2
    assert struct.pack("!BB", 3, 3) in capture


def test_ports_of_tcp_and_of_udp_are_others() -> None:
    async def main() -> None:
        with new(socket.AF_INET, ("127.0.0.1", 7)), socket.create_server(("127.0.0.1", 7)):
            pass

    fakes.run(main())


@pytest.mark.parametrize("ip", ["224.0.0.251", "ff02::fb", "255.255.255.255", "10.0.0.255"])
def test_addresses_of_many_are_refused_by_name(ip: str) -> None:
    """A program that takes EADDRNOTAVAIL for an address that comes later would wait forever."""

    async def main() -> None:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sentence = re.escape(f"broadcasts and multicasts ({ip}) are not simulated")
            for call in (sock.bind, sock.connect, functools.partial(sock.sendto, b"x")):
                with pytest.raises(fakes.NotSimulated, match=sentence):
                    call((ip, 5353))

    fakes.run(main())


def test_an_address_of_one_host_may_end_in_255() -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with network.host("one"):
            receiver = new(socket.AF_INET, ("10.1.0.255", 9))
        with new() as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.sendto(b"x", ("10.1.0.255", 9))
        with receiver:
            return await loop.sock_recv(receiver, 1)

    network = fakes.Network()
    network.host("one", "10.1.0.255")
    assert fakes.run(main(), network=network) == b"x"


def test_datagrams_to_many_are_refused_by_name() -> None:
    async def main() -> None:
        with new() as sock:
            with pytest.raises(fakes.NotSimulated, match="broadcasts and multicasts"):
                sock.sendto(b"x", ("224.0.0.1", 9))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            with pytest.raises(fakes.NotSimulated, match="broadcasts and multicasts"):
                sock.sendto(b"x", ("255.255.255.255", 9))
            with pytest.raises(fakes.NotSimulated, match="IP_ADD_MEMBERSHIP"):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes(8))

    fakes.run(main())
