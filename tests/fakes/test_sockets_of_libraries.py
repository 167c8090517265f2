"""Sockets that a program makes itself, by the module `socket`: over the kernel and over the fakes.

Each program runs on both and sees the same. Nothing in it knows which of the two it is on.
"""

import asyncio
import contextlib
import errno
import fcntl
import functools
import os
import re
import select
import selectors
import signal
import socket
import ssl
import stat
import struct
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from fcntl import fcntl as fcntl_by_name
from socket import socket as socket_by_name
from typing import Any

import pytest

import fakes

Seen = list[Any]
NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def seen_by(call: Callable[..., Any], *args: Any) -> Any:
    """What a call returns or raises; ports, which the kernel chooses, read PORT."""
    try:
        result = call(*args)
    except OSError as exc:
        return type(exc).__name__, errno.errorcode.get(exc.errno or 0)
    except (TypeError, ValueError, OverflowError) as exc:
        return type(exc).__name__, str(exc)
    return re.sub(r"\b[1-9]\d{3,4}\b", "PORT", repr(result))


async def listening(family: int = socket.AF_INET) -> socket.socket:
    sock = socket.create_server((LOOPBACK[socket.AddressFamily(family)], 0), family=family)
    sock.setblocking(False)
    return sock


async def pair(family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, the second from accept()."""
    loop = asyncio.get_running_loop()
    with await listening(family) as server:
        client = socket.socket(family)
        client.setblocking(False)
        accepting = asyncio.ensure_future(loop.sock_accept(server))
        await loop.sock_connect(client, server.getsockname())
        accepted, _ = await accepting
        return client, accepted


async def readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(sock, told.set)
    await told.wait()
    loop.remove_reader(sock)


async def a_server_on_a_socket_of_its_own(path: str) -> Seen:
    seen: Seen = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    for family in LOOPBACK:
        sock = await listening(family)
        async with await asyncio.start_server(handler, sock=sock):
            reader, writer = await asyncio.open_connection(*sock.getsockname()[:2])
            writer.write(b"hello\n")
            seen.append(await reader.read())
            writer.close()
        seen.append(sock.fileno())
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        async with await asyncio.start_unix_server(handler, sock=unix):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"unix\n")
            seen.append(await reader.read())
            writer.close()
    return seen


async def connecting_by_hand(path: str) -> Seen:
    """connect_ex() and add_writer(), as libraries do that know no event loop."""
    loop = asyncio.get_running_loop()
    seen: Seen = []
    server = await listening()
    for address in (server.getsockname(), ("127.0.0.1", 9)):
        sock = socket.socket()
        sock.setblocking(False)
        seen.append(errno.errorcode[sock.connect_ex(address)])
        writable = asyncio.Event()
        loop.add_writer(sock.fileno(), writable.set)
        await writable.wait()
        loop.remove_writer(sock.fileno())
        seen.append(errno.errorcode.get(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
        seen.append(errno.errorcode.get(sock.connect_ex(address)))
        seen.append(seen_by(sock.getpeername))
        sock.close()
        seen.append(seen_by(sock.connect_ex, address))
    server.close()
    return seen


async def blocking_at_once(path: str) -> Seen:
    """What a blocking socket can do without waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, address = server.accept()
        seen = [address == client.getsockname(), client.gettimeout(), accepted.getblocking()]
        client.sendall(b"hello")
        seen += [accepted.recv(2), accepted.recv(10, socket.MSG_PEEK), accepted.recv(10)]
        accepted.close()
        seen.append(client.recv(10))
        client.close()
        seen.append(seen_by(socket.create_connection, ("127.0.0.1", 9)))
    return seen


async def files_of_sockets(path: str) -> Seen:
    one, other = socket.socketpair()
    with one.makefile("w", newline="\n") as out, other.makefile("r") as into:
        one.close()  # the file keeps it open
        out.write("a line\nanother")
        out.flush()
        line = into.readline()
    rest = other.recv(100)
    other.close()
    return [line, rest, one.fileno(), seen_by(one.send, b"x")]


async def every_method_of_a_connection(path: str) -> Seen:
    seen: Seen = []
    for family in LOOPBACK:
        one, other = await pair(family)
        calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
            (one.accept, ()),
            (one.bind, (("127.0.0.1", 0),)),
            (one.listen, ()),
            (one.send, (b"1",)),
            (one.sendall, (b"2",)),
            (one.sendmsg, ([b"3", b"4"],)),
            (one.sendto, (b"5", other.getsockname())),
            (one.sendto, (b"6", 0, other.getsockname())),
            (other.recv, (1,)),
            (other.recvfrom, (1,)),
            (other.recvmsg, (1,)),
            (other.recv, (100,)),
            (other.recv, (0,)),
            (other.recv, (100,)),
            (one.connect_ex, (other.getsockname(),)),
            (one.getpeername, ()),
            (one.getsockname, ()),
            (one.gettimeout, ()),
            (one.getblocking, ()),
            (one.get_inheritable, ()),
            (one.set_inheritable, (True,)),
            (one.get_inheritable, ()),
            (one.settimeout, (-1,)),
            (one.settimeout, (2,)),
            (one.gettimeout, ()),
            (one.settimeout, (0,)),
            (lambda one=one: (one.family, one.type, one.timeout), ()),
            (one.shutdown, (9,)),
            (one.shutdown, (socket.SHUT_WR,)),
            (one.send, (b"x",)),
            (other.recv, (1,)),
            (other.send, (b"back",)),
            (one.recv_into, (bytearray(10),)),
            (one.recvfrom_into, (bytearray(10),)),
            (one.close, ()),
            (one.close, ()),
            (one.fileno, ()),
            (one.getsockname, ()),
            (one.setblocking, (False,)),
            (one.detach, ()),
        ]
        seen += [seen_by(call, *args) for call, args in calls]
        other.close()
    return seen


async def every_method_of_a_new_socket(path: str) -> Seen:
    seen: Seen = []
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        calls: list[Callable[[socket.socket], Any]] = [
            lambda sock: sock.accept(),
            lambda sock: sock.recv(1),
            lambda sock: sock.send(b"x"),
            lambda sock: sock.getpeername(),
            lambda sock: sock.getsockname(),
            lambda sock: sock.shutdown(socket.SHUT_RDWR),
            lambda sock: (sock.gettimeout(), sock.getblocking(), sock.proto),
            lambda sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12),
            lambda sock: sock.detach() > 0,
        ]
        for call in calls:
            sock = socket.socket(family)
            seen.append(seen_by(call, sock) if call is not calls[0] else None)
            sock.close()
    for arguments in ((socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK),):
        with socket.socket(*arguments) as sock:
            seen += [sock.getblocking(), sock.type]
    with socket_by_name() as sock:
        seen.append(sock.family)
    return seen


async def a_detached_socket(path: str) -> Seen:
    one, other = socket.socketpair()
    again = socket.socket(fileno=one.detach())
    again.send(b"x")
    seen = [other.recv(1), again.family, seen_by(one.fileno) if one is not again else "-1"]
    again.close()
    other.close()
    return seen


async def calls_by_number(path: str) -> Seen:
    """What `os` and `fcntl` do with the number of a socket."""
    one, other = await pair()
    number, seen = one.fileno(), list[Any]()
    into = bytearray(2)
    for call in (
        lambda: os.get_inheritable(number),
        lambda: fcntl_by_name(number, fcntl.F_GETFD),
        lambda: fcntl.fcntl(one, fcntl.F_SETFD, 0),
        lambda: (os.get_inheritable(number), one.get_inheritable()),
        lambda: os.set_inheritable(number, False),
        lambda: fcntl.fcntl(number, fcntl.F_GETFD),
        lambda: (os.get_blocking(number), fcntl.fcntl(number, fcntl.F_GETFL) & os.O_NONBLOCK),
        lambda: one.settimeout(5),
        lambda: (os.get_blocking(number), fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE),
        lambda: fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL)),
        lambda: one.setblocking(True),
        lambda: os.get_blocking(number),
        lambda: os.set_blocking(number, False),
        lambda: os.get_blocking(number),
        lambda: os.read(number, 5),
        lambda: os.write(number, b"hello"),
        lambda: other.recv(10),
        lambda: os.write(other.fileno(), b"you"),
        lambda: os.read(number, 2),
        lambda: os.writev(number, [b"a ", b"vector"]),
        lambda: other.recv(10),
        lambda: os.write(other.fileno(), b"in parts"),
        lambda: os.readv(number, [into, bytearray(1)]),
        lambda: into,
        lambda: os.read(number, 9),
        lambda: stat.S_ISSOCK(os.fstat(number).st_mode),
        lambda: os.fstat(number).st_uid == os.getuid(),
        lambda: os.close(other.detach()),
        lambda: os.read(number, 2),
        lambda: os.read(number, 2),
        lambda: os.close(one.detach()),
        lambda: os.get_blocking(number),
        lambda: fcntl.fcntl(number, fcntl.F_GETFD),
    ):
        seen.append(seen_by(call))
        await asyncio.sleep(0.01)
    return seen


async def asked_whether_it_is_ready(path: str) -> Seen:
    """What `select.select()` and `select.poll()` say of sockets, without waiting."""
    every = select.POLLIN | select.POLLOUT | select.POLLPRI | select.POLLRDHUP

    def asked(*socks: socket.socket) -> Any:
        poll = select.poll()
        for sock in socks:
            poll.register(sock, every)
        numbers = [sock.fileno() for sock in socks]
        told = sorted((numbers.index(number), events) for number, events in poll.poll(0))
        ready = select.select(socks, numbers, socks, 0)
        return told, [len(each) for each in ready], ready[0] == list(socks)[: len(ready[0])]

    server = await listening()
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    new = socket.socket()
    seen: Seen = [asked(server), asked(udp), asked(new), asked(new, server)]
    new.close()
    udp.sendto(b"hello", udp.getsockname())
    connecting = socket.socket()
    connecting.setblocking(False)
    connecting.connect_ex(server.getsockname())
    await asyncio.sleep(0.05)
    seen += [asked(server), asked(udp), asked(server, udp, connecting)]
    one, other = await pair()
    seen += [asked(one, other)]
    for act in (
        lambda: other.send(b"hello"),
        lambda: one.recv(100),
        lambda: other.shutdown(socket.SHUT_WR),
        lambda: one.shutdown(socket.SHUT_WR),
    ):
        act()
        await asyncio.sleep(0.05)
        seen += [asked(one), asked(other)]
    poll = select.poll()
    poll.register(one, select.POLLIN)
    poll.modify(one.fileno(), select.POLLOUT)
    seen += [[events for _, events in poll.poll(0)]]
    poll.unregister(one)
    seen += [poll.poll(0), seen_by(lambda: poll.modify(one, 0))]
    poll.register(one)
    number = one.fileno()
    for sock in (one, other, server, udp, connecting):
        sock.close()
    seen += [[events for _, events in poll.poll(0)]]
    seen += [seen_by(lambda: select.select([number], [], [], 0))]
    return seen


async def asked_by_selectors(path: str) -> Seen:
    seen: Seen = []
    one, other = socket.socketpair()
    for kind in (selectors.DefaultSelector, selectors.PollSelector, selectors.SelectSelector):
        with kind() as selector:
            selector.register(one, selectors.EVENT_READ)
            seen.append(selector.select(0))
            other.send(b"x")
            seen += [events for _, events in selector.select(0)]
            one.recv(1)
            selector.modify(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
            seen += [events for _, events in selector.select(0)]
            selector.unregister(one)
    with select.epoll() as poll:
        poll.register(one.fileno(), select.EPOLLOUT)
        seen += [seen_by(poll.register, one), [events for _, events in poll.poll(0, 1)]]
        poll.unregister(one)
        seen += [seen_by(poll.unregister, one), seen_by(poll.modify, one, select.EPOLLIN)]
        poll.register(one, select.EPOLLOUT)
        one.close()
        seen += [poll.poll(0)]
    other.close()
    with select.epoll() as poll, select.epoll.fromfd(os.dup(poll.fileno())) as same:
        seen += [same.poll(0), select.select.__name__]
    return [*seen, poll.closed]


async def while_connecting(path: str) -> Seen:
    seen: Seen = []
    server = await listening()
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(server.getsockname())
    seen += [seen_by(sock.getsockname)[:13]]
    server.close()
    sock.close()
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    first = socket.create_connection(full.getsockname())
    waiting = socket.socket()
    waiting.setblocking(False)
    seen += [errno.errorcode[waiting.connect_ex(full.getsockname())]]
    asyncio.get_running_loop().add_writer(waiting, seen.append, "writable")
    await asyncio.sleep(0.05)
    poll = select.poll()
    poll.register(waiting)
    seen += [poll.poll(0), select.select([waiting], [waiting], [waiting], 0)]
    asyncio.get_running_loop().remove_writer(waiting)
    for each in (waiting, first, full):
        each.close()
    return seen


async def who_is_at_the_other_end(path: str) -> Seen:
    one, other = socket.socketpair()
    who = struct.unpack("iii", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    one.close()
    other.close()
    pairs = [seen_by(socket.socketpair, each) for each in (socket.AF_INET, socket.AF_INET6)]
    return [who == (os.getpid(), os.getuid(), os.getgid()), *pairs]


async def both_versions_of_ip(path: str) -> Seen:
    """An IPv6 socket for IPv4 as well: its addresses are IPv4-mapped."""
    loop = asyncio.get_running_loop()
    seen: Seen = []
    server = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    server.setblocking(False)
    port = server.getsockname()[1]
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", port)),
        (socket.AF_INET6, ("::ffff:127.0.0.1", port)),
        (socket.AF_INET6, ("::1", port)),
    ):
        client = socket.socket(family)
        client.setblocking(False)
        accepting = asyncio.ensure_future(loop.sock_accept(server))
        await loop.sock_connect(client, address)
        accepted, peer = await accepting
        seen += [
            peer == accepted.getpeername(),
            *(seen_by(name) for name in (accepted.getpeername, accepted.getsockname)),
            *(seen_by(name) for name in (client.getpeername, client.getsockname)),
        ]
        accepted.close()
        client.close()
    only = socket.socket()
    seen.append(seen_by(only.bind, ("127.0.0.1", port)))
    only.close()
    server.close()
    with socket.create_server(("", 0), family=socket.AF_INET6) as six:
        seen.append(seen_by(socket.create_connection, ("127.0.0.1", six.getsockname()[1])))
    return seen


async def states_of_connections(path: str) -> Seen:
    def state(sock: socket.socket) -> int:
        return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0])

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as fresh:
        seen: Seen = [state(server), state(fresh)]
    for ending in ("shutdown", "reset", "close"):
        client, accepted = await pair()
        seen.append((ending, state(client), state(accepted)))
        with client, accepted:
            if ending == "shutdown":
                client.shutdown(socket.SHUT_WR)
                await readable(accepted)
                # FIN_WAIT1 until the end is acknowledged, for which a kernel may take its time.
                seen.append((state(client) in (4, 5), state(accepted)))
                accepted.shutdown(socket.SHUT_WR)
                await readable(client)
                seen.append((state(client), state(accepted)))
            else:
                reset = struct.pack("ii", int(ending == "reset"), 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                client.close()
                await readable(accepted)
                seen.append(state(accepted))
    return seen


async def addresses_in_use(path: str) -> Seen:
    seen: Seen = []
    for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        one, other, third = socket.socket(), socket.socket(), socket.socket()
        for sock in (one, other):
            if option is not None:
                sock.setsockopt(socket.SOL_SOCKET, option, 1)
        one.bind(("127.0.0.1", 0))
        seen.append(seen_by(other.bind, one.getsockname()))
        seen.append(seen_by(one.listen))
        seen.append(seen_by(other.listen))
        seen.append(seen_by(third.bind, one.getsockname()))
        seen.append(seen_by(third.bind, ("0.0.0.0", one.getsockname()[1])))
        # An address of this test alone: others listen at other ports of 127.0.0.2 and 127.0.0.3.
        seen.append(seen_by(third.bind, ("127.9.8.7", one.getsockname()[1]))[:4])
        for sock in (one, other, third):
            sock.close()
    with socket.socket() as sock:
        seen.append(seen_by(sock.bind, ("192.0.2.1", 0)))
        seen.append(seen_by(sock.bind, ("127.0.0.1", 70000)))
    return seen


SETTINGS: list[tuple[int, int, list[Any]]] = [
    (socket.SOL_SOCKET, socket.SO_REUSEADDR, [1, 0, 5]),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT, [1]),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, [1, 0, 7]),
    (socket.SOL_SOCKET, socket.SO_BROADCAST, [1]),
    (socket.SOL_SOCKET, socket.SO_OOBINLINE, [1]),
    (socket.SOL_SOCKET, socket.SO_DONTROUTE, [1]),
    (socket.SOL_SOCKET, socket.SO_PRIORITY, [3]),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, [1, 10_000]),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, [1, 10_000]),
    (socket.SOL_SOCKET, socket.SO_LINGER, [struct.pack("ii", 1, 5), b"x"]),
    (socket.SOL_SOCKET, socket.SO_ERROR, [1]),
    (socket.SOL_SOCKET, socket.SO_TYPE, [1]),
    (socket.SOL_SOCKET, socket.SO_ACCEPTCONN, [1]),
    (socket.SOL_SOCKET, socket.SO_RCVLOWAT, [1]),
    (socket.SOL_SOCKET, socket.SO_SNDLOWAT, [1]),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, [1, 0]),
    (socket.IPPROTO_TCP, socket.TCP_QUICKACK, [0, 1]),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, [10, 0, 40_000]),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, [5, 0, 40_000]),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, [3, 0, 128]),
    (socket.IPPROTO_TCP, socket.TCP_SYNCNT, [2, 0, 128]),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, [3000, -1]),
    (socket.IPPROTO_IP, socket.IP_TOS, [16]),
    (socket.IPPROTO_IP, socket.IP_TTL, [3, 0, 256]),
    (socket.SOL_SOCKET, 7777, [1]),
    (socket.IPPROTO_TCP, 7777, [1]),
    (7777, 1, [1]),
]


BUFFERS = [(socket.SOL_SOCKET, socket.SO_SNDBUF), (socket.SOL_SOCKET, socket.SO_RCVBUF)]


async def every_option(path: str) -> Seen:
    seen: Seen = []
    for level, option, values in SETTINGS:
        with socket.socket() as sock:
            size = 8 if option == socket.SO_LINGER and level == socket.SOL_SOCKET else 4
            if (level, option) in BUFFERS:  # how large they are at first is up to the kernel
                row = [sock.getsockopt(level, option) > 0]
            else:
                row = [seen_by(sock.getsockopt, level, option, size)]
            for value in values:
                row.append(seen_by(sock.setsockopt, level, option, value))
                row.append(seen_by(sock.getsockopt, level, option, size))
            seen.append((level, option, row))
    with socket.socket(socket.AF_INET6) as sock:
        for option, value in (
            (socket.IPV6_V6ONLY, 1),
            (socket.IPV6_UNICAST_HOPS, 3),
            (socket.IPV6_TCLASS, 16),
        ):
            seen.append(seen_by(sock.getsockopt, socket.IPPROTO_IPV6, option))
            sock.setsockopt(socket.IPPROTO_IPV6, option, value)
            seen.append(seen_by(sock.getsockopt, socket.IPPROTO_IPV6, option))
    return seen


async def protocols(path: str) -> Seen:
    seen: Seen = []
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for protocol in (0, 1, socket.IPPROTO_TCP, socket.IPPROTO_UDP, 255):
                if (kind, protocol) == (socket.SOCK_DGRAM, 1) and family != socket.AF_UNIX:
                    continue  # ICMP, for users that the system names
                sock = seen_by(socket.socket, family, kind, protocol)
                seen.append(sock if isinstance(sock, tuple) else "a socket")
    return seen


async def names_of_hosts(path: str) -> Seen:
    return [
        seen_by(socket.gethostbyname, "127.0.0.1"),
        seen_by(socket.getaddrinfo, "127.0.0.1", 80, 0, socket.SOCK_STREAM),
        bool(socket.getaddrinfo(socket.gethostname(), 80)),
        isinstance(socket.getfqdn(), str),
        seen_by(
            socket.getnameinfo, ("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        ),
        seen_by(socket.gethostbyname, "no-such-host.invalid")[0],
    ]


PROGRAMS: list[Callable[[str], Any]] = [
    a_server_on_a_socket_of_its_own,
    connecting_by_hand,
    blocking_at_once,
    files_of_sockets,
    every_method_of_a_connection,
    every_method_of_a_new_socket,
    a_detached_socket,
    calls_by_number,
    asked_whether_it_is_ready,
    asked_by_selectors,
    while_connecting,
    who_is_at_the_other_end,
    both_versions_of_ip,
    addresses_in_use,
    states_of_connections,
    every_option,
    protocols,
    names_of_hosts,
]


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:  # of pytest's, paths may be too long
        yield os.path.join(folder, "socket")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_sees_the_same_over_the_kernel(program: Callable[[str], Any], path: str) -> None:
    over_the_kernel = asyncio.run(program(path))
    if os.path.exists(path):
        os.unlink(path)
    in_memory = fakes.run(program(path))
    for number, (real, simulated) in enumerate(zip(over_the_kernel, in_memory, strict=True)):
        assert simulated == real, f"number {number}"


def test_send_and_recv_while_connecting() -> None:
    """Over the kernel's loopback a connection is there at once; so it is a link that takes time."""

    async def main() -> Seen:
        server = await listening()
        sock = socket.socket()
        sock.setblocking(False)
        seen: Seen = [errno.errorcode[sock.connect_ex(server.getsockname())]]
        seen += [seen_by(sock.send, b"x"), seen_by(sock.recv, 1), seen_by(sock.getpeername)]
        seen.append(errno.errorcode[sock.connect_ex(server.getsockname())])
        await asyncio.sleep(3)
        seen.append(sock.connect_ex(server.getsockname()))
        seen.append(errno.errorcode[sock.connect_ex(server.getsockname())])
        sock.close()
        server.close()
        return seen

    network = fakes.Network(link=fakes.Link(latency=1))
    assert fakes.run(main(), network=network) == [
        "EINPROGRESS",
        ("BlockingIOError", "EAGAIN"),
        ("BlockingIOError", "EAGAIN"),
        ("OSError", "ENOTCONN"),
        "EALREADY",
        0,
        "EISCONN",
    ]


@pytest.mark.parametrize("timeout", [None, 5])
def test_select_and_poll_that_would_wait_are_refused(timeout: float | None) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        poll = select.poll()
        poll.register(one, select.POLLIN)
        with pytest.raises(fakes.NotSimulated, match=r"^poll\(\) would wait"):
            poll.poll(timeout)
        with pytest.raises(fakes.NotSimulated, match=r"^select\(\) would wait"):
            select.select([one], [], [], timeout)
        with selectors.DefaultSelector() as selector:
            selector.register(one, selectors.EVENT_READ)
            with pytest.raises(fakes.NotSimulated, match=r"poll\(\) would wait"):
                selector.select(timeout)
        with select.epoll() as edge, pytest.raises(fakes.NotSimulated, match="EPOLLET"):
            edge.register(one, select.EPOLLIN | select.EPOLLET)
        other.send(b"x")
        await asyncio.sleep(0)
        assert select.select([one], [], [], timeout) == ([one], [], [])
        assert poll.poll(timeout) == [(one.fileno(), select.POLLIN)]
        one.close()
        other.close()

    fakes.run(main())


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda sock: sock.recv(1), r"recv\(\)"),
        (lambda sock: sock.accept(), r"accept\(\)"),
        (lambda sock: sock.sendall(bytes(10**8)), r"send\(\)"),
    ],
)
def test_what_would_stop_the_loop_is_refused(call: Callable[[Any], Any], named: str) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        server = socket.create_server(("127.0.0.1", 0))
        with (
            one,
            other,
            server,
            pytest.raises(fakes.NotSimulated, match=named + " on <fakes.Socket"),
        ):
            call(server if "accept" in named else one)

    fakes.run(main())


def test_a_blocking_connection_over_a_stalled_link_is_refused() -> None:
    network = fakes.Network()
    network.link("localhost", "localhost").stall()

    async def main() -> None:
        with (
            socket.create_server(("127.0.0.1", 80)),
            socket.socket() as client,
            pytest.raises(fakes.NotSimulated, match=r"connect\(\)"),
        ):
            client.connect(("127.0.0.1", 80))

    fakes.run(main(), network=network)


@pytest.mark.parametrize(
    "arguments",
    [
        (socket.AF_INET, socket.SOCK_RAW),
        (socket.AF_PACKET,),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET),
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
        (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6),
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    ],
)
def test_other_kinds_of_sockets_are_refused_by_name(arguments: tuple[int, ...]) -> None:
    async def main() -> None:
        with pytest.raises(fakes.NotSimulated, match=r"AF_\w+ and SOCK_.* are not simulated"):
            socket.socket(*arguments)

    fakes.run(main())


@pytest.mark.parametrize("name", ["TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_MAXSEG", "TCP_FASTOPEN"])
def test_an_option_that_has_no_effect_here_is_refused_by_name(name: str) -> None:
    async def main() -> None:
        with socket.socket() as sock, pytest.raises(fakes.NotSimulated, match=name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), 1)

    fakes.run(main())


def test_other_commands_by_number_are_refused_by_name() -> None:
    async def main() -> None:
        with socket.socket() as sock:
            with pytest.raises(fakes.NotSimulated, match=r"fcntl\(\) with the command"):
                fcntl.fcntl(sock, fcntl.F_DUPFD, 0)
            with pytest.raises(fakes.NotSimulated, match=r"ioctl\(\) with the request 0x541b"):
                fcntl.ioctl(sock.fileno(), 0x541B, bytes(4))

    fakes.run(main())


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda sock: sock.dup(), "has one owner"),
        (lambda sock: os.dup(sock.fileno()), "has one owner"),
        (lambda sock: os.dup2(sock.fileno(), 9), "has one owner"),
        (lambda sock: socket.fromfd(sock.fileno(), sock.family, sock.type), "has one owner"),
        (lambda sock: socket.socket(fileno=sock.fileno()), "has one owner"),
        (lambda sock: signal.set_wakeup_fd(sock.fileno()), r"set_wakeup_fd\(\) with <fakes.Socket"),
        (lambda sock: os.fdopen(sock.fileno(), "wb"), r"fdopen\(\) on <fakes.Socket .* makefile"),
        (
            lambda sock: ssl.create_default_context().wrap_socket(sock, server_hostname="here"),
            "SSLSocket, a class derived .* for TLS",
        ),
    ],
)
def test_a_second_object_for_a_socket_is_refused_by_name(
    call: Callable[[Any], Any], sentence: str
) -> None:
    async def main() -> None:
        one, other = await pair()
        with one, other, pytest.raises(fakes.NotSimulated, match=sentence):
            call(one)

    fakes.run(main())


def test_a_file_is_sent_by_number() -> None:
    """Over the kernel TCP may keep a part of it back for a while."""

    async def main() -> None:
        one, other = await pair()
        with one, other, tempfile.TemporaryFile(buffering=0) as file:
            file.write(b"0123456789")
            file.seek(2)
            assert os.sendfile(one.fileno(), file.fileno(), 1, 3) == 3
            assert os.sendfile(one.fileno(), file.fileno(), None, 4) == 4
            assert other.recv(10) == b"1232345"
            assert file.read() == b"6789"

    fakes.run(main())


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_thread_asks_about_a_socket_as_the_loop_does(deterministic: bool) -> None:
    """As that of a server of `socketserver`, whose socket the loop's thread has made."""

    def ask(sock: socket.socket) -> None:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        assert poll.poll(0) == []
        assert select.select([sock], [sock], [], 0) == ([], [sock], [])
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            assert [events for _, events in selector.select(5)] == [selectors.EVENT_WRITE]
        os.write(sock.fileno(), b"from a thread")
        with pytest.raises(fakes.NotSimulated, match=r"poll\(\) would wait for a simulated socket"):
            poll.poll(5)

    async def main() -> None:
        one, other = socket.socketpair()
        await asyncio.to_thread(ask, one)
        assert other.recv(100) == b"from a thread"
        one.close()
        other.close()

    fakes.run(main(), deterministic=deterministic)


def test_a_class_of_ones_own_is_refused_by_name() -> None:
    class Mine(socket.socket): ...

    async def main() -> None:
        with pytest.raises(fakes.NotSimulated, match=r"Mine, a class derived"):
            Mine()
        with fakes.real_sockets(), Mine() as real:
            assert real.fileno() > 0

    fakes.run(main())


def test_everything_that_a_socket_offers_is_here() -> None:
    """What is left out raises `NotSimulated` by name, and is listed in docs/fakes.md."""
    inherited = {
        name
        for name in dir(socket.socket)
        if not name.startswith("_") and getattr(fakes.Socket, name) is getattr(socket.socket, name)
    }

    async def main() -> None:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            socket.socket(type=kind).close()

    fakes.run(main())  # a kind of socket is imported when one is first made
    # These stand on the others, in Python.
    left = {"close", "makefile", "sendmsg_afalg", "accept", "connect", "connect_ex", "listen"}
    streams = functools.reduce(
        set.union, (set(vars(kind)) for kind in fakes.Socket.__subclasses__()), set[str]()
    )
    assert inherited - left <= streams


def test_a_send_copies_no_more_than_it_takes() -> None:
    """What is sent in many pieces would otherwise be copied again for each of them."""
    data = bytearray(1 << 22)

    async def main() -> None:
        server = await listening()
        over_tcp = socket.socket()
        over_tcp.setblocking(False)
        over_tcp.connect_ex(server.getsockname())
        over_unix, other = socket.socketpair()
        over_unix.setblocking(False)
        await asyncio.sleep(1)
        for one in (over_tcp, over_unix):
            with contextlib.suppress(BlockingIOError):
                while True:
                    one.send(data)
            tracemalloc.start()
            try:
                for _ in range(3):
                    with pytest.raises(BlockingIOError):
                        one.send(data)
                assert tracemalloc.get_traced_memory()[1] < 100_000
            finally:
                tracemalloc.stop()
            one.close()
        other.close()
        server.close()

    fakes.run(main())
