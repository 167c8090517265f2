"""One scenario over the kernel's loopback and over the fakes: each protocol is told the same.

A scenario is a list of groups of actions on two connected ends. The actions of a group are done in
one go; then the network comes to rest, and what both protocols were told so far is noted, with the
state of the transports. The fakes play first: their rest is exact, since virtual time moves on only
when nothing can happen any more. On the kernel, where rest cannot be seen, the play goes on as soon
as the ends have been told the same as over the fakes, or fails when that has not come in
`PATIENCE` seconds.

The freedoms that the comparison leaves to the kernel:

* the sizes of the pieces in which bytes arrive (adjacent ones are joined);
* how an end's events are interleaved with the other end's (each end's own order is compared).

The words of a TypeError, which are other ones in Python 3.11, are not compared. What over the
kernel is asyncio's own is over the fakes what the same Python's asyncio does, its defects included,
but for one that would break the comparison itself (`LATE_WRITELINES_SPOILS`).
"""

import asyncio
import os
import socket
import ssl
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fakes

PATIENCE = float(os.environ.get("FAKES_PATIENCE", "10"))  # seconds, spent only by failures
EXAMPLES = int(os.environ.get("FAKES_EXAMPLES", "60"))

# What each end of a new connection is asked of its socket.
OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_ERROR),
    (socket.SOL_SOCKET, socket.SO_TYPE),
    (socket.SOL_SOCKET, socket.SO_PROTOCOL),
    (socket.SOL_SOCKET, socket.SO_DOMAIN),
]

# writelines() of Python 3.12 on a transport that is closing: after close() it calls None and keeps
# the chunks, after abort() it has the selector watch a descriptor that is about to be closed, and
# later calls a method of None (finding 16). That call, and nothing else, is left out there.
LATE_WRITELINES_SPOILS = sys.version_info[:2] == (3, 12)

Event = tuple[Any, ...]
Snapshot = tuple[Any, ...]


@dataclass
class Scenario:
    """What both ends are like, and what is done to them."""

    keep_open: tuple[bool, bool]  # what eof_received() returns
    buffered: tuple[bool, bool]  # BufferedProtocol instead of Protocol
    groups: list[list[tuple[int, str, int]]]  # (end, action, size)
    # What an end does from within a callback, the first time that it is called.
    reactions: tuple[dict[str, tuple[str, int]], dict[str, tuple[str, int]]] = ({}, {})


@dataclass
class Wire:
    """What the ends are connected by."""

    unix: bool = False
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None  # with TLS: server's, client's
    upgrade: bool = False  # TLS by start_tls(), not from the start


@dataclass
class Log:
    """What one end was told, and what its calls raised."""

    events: list[Event] = field(default_factory=list)

    def add(self, *event: Any) -> None:
        if event[0] == "data" and self.events and self.events[-1][0] == "data":
            event = ("data", self.events.pop()[1] + event[1])
        self.events.append(event)


def outcome(exc: BaseException | None) -> Event:
    if exc is None:
        return (None,)
    if isinstance(exc, TypeError):
        return ("TypeError",)
    return (type(exc).__name__, exc.errno if isinstance(exc, OSError) else str(exc))


class Base(asyncio.BaseProtocol):
    def __init__(self, log: Log, keep_open: bool, reactions: dict[str, tuple[str, int]]) -> None:
        self.log = log
        self.keep_open = keep_open
        self.reactions = dict(reactions)
        self.made = asyncio.Event()

    def react(self, event: str) -> None:
        if event in self.reactions:
            attempt(self, *self.reactions.pop(event))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # Kept, since a TLS transport that has ended gives none.
        sock = self.sock = transport.get_extra_info("socket")
        self.log.add(
            "made",
            transport.get_extra_info("sockname") == sock.getsockname(),
            transport.get_extra_info("peername") == sock.getpeername(),
            *(int(sock.getsockopt(*option)) for option in OPTIONS if sock.family != socket.AF_UNIX),
            transport.get_extra_info("nothing", "default"),
            transport.get_write_buffer_limits(),
            transport.can_write_eof(),
        )
        self.note_tls()
        self.made.set()

    def note_tls(self) -> None:
        """Log what the transport says of TLS, if it has any."""
        tls = self.transport.get_extra_info("ssl_object")
        if tls is not None:
            names = ("cipher", "compression", "peercert")
            told = [self.transport.get_extra_info(name) for name in names]
            self.log.add("tls", tls.version(), tls.server_side, self.sock.fileno() != -1, *told)

    def eof_received(self) -> bool:
        self.log.add("eof")
        self.react("eof")
        return self.keep_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.log.add("lost", *outcome(exc))
        self.react("lost")

    def pause_writing(self) -> None:
        self.log.add("pause_writing")

    def resume_writing(self) -> None:
        self.log.add("resume_writing")


class Plain(Base, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.log.add("data", data)
        self.react("data")


class Buffered(Base, asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> memoryview:
        self.buffer = bytearray(1000)
        # Of a bytearray, asyncio's TLS takes a slice, which is a copy, for what comes together
        # with other records: those bytes are lost.
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.log.add("data", bytes(self.buffer[:nbytes]))
        self.react("data")


def act(protocol: Base, action: str, size: int) -> None:
    transport = protocol.transport
    match action:
        case "write":
            transport.write(bytes(index % 251 for index in range(size)))
        case "writelines":
            if LATE_WRITELINES_SPOILS and transport.is_closing():
                return
            # Of empty chunks asyncio's transport of Python 3.12 and 3.13 never gets rid.
            size = max(size, 1)
            transport.writelines([b"a" * size, bytearray(b"b" * size), memoryview(b"c" * size)])
        case "write_wrong":
            transport.write("text")  # type: ignore[arg-type]  # the point of it
        case "limits":
            transport.set_write_buffer_limits(high=size)
        case "write_eof":
            transport.write_eof()
        case "pause":
            transport.pause_reading()
        case "resume":
            transport.resume_reading()
        case "close":
            transport.close()
        case "abort":
            transport.abort()
        case "reset":
            if protocol.sock.fileno() != -1:
                protocol.sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            transport.abort()
        case "raise":
            raise Failure
        case "shutdown":
            protocol.sock.shutdown(size)


class Failure(Exception):
    """What a callback raises when a scenario says so."""


def attempt(protocol: Base, action: str, size: int) -> None:
    try:
        act(protocol, action, size)
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError) as exc:
        protocol.log.add("raised", action, *outcome(exc))


def state(protocol: Base) -> Event:
    transport = protocol.transport

    def answer(ask: Callable[[], object]) -> object:
        try:
            return ask()
        except AttributeError as exc:  # after close(), by some methods of asyncio's TLS transport
            return outcome(exc)

    return (
        transport.is_closing(),
        answer(transport.is_reading),
        answer(transport.get_write_buffer_size),
        protocol.sock.fileno() == -1,
    )


def known(logs: list[Log], protocols: list[Base]) -> Snapshot:
    return tuple((*log.events, state(end)) for log, end in zip(logs, protocols, strict=True))


async def connect(protocols: list[Base], over: Wire, path: str) -> asyncio.AbstractServer:
    """Connect two protocols; return the server, which listens no more."""
    loop = asyncio.get_running_loop()
    client: Callable[[], Base] = lambda: protocols[0]  # noqa: E731
    listening: Callable[[], Base] = lambda: protocols[1]  # noqa: E731
    server: asyncio.Server
    server_side, client_side = over.contexts if over.contexts and not over.upgrade else (None, None)
    name = "localhost" if client_side else None
    if over.unix:
        server = await loop.create_unix_server(listening, path, ssl=server_side)
        await loop.create_unix_connection(client, path, ssl=client_side, server_hostname=name)
    else:
        server = await loop.create_server(listening, "127.0.0.1", 0, ssl=server_side)
        await loop.create_connection(
            client, *server.sockets[0].getsockname(), ssl=client_side, server_hostname=name
        )
    await protocols[1].made.wait()
    server.close()
    if over.contexts and over.upgrade:
        server_side, client_side = over.contexts
        upgraded = await asyncio.gather(
            loop.start_tls(protocols[1].transport, protocols[1], server_side, server_side=True),
            loop.start_tls(
                protocols[0].transport, protocols[0], client_side, server_hostname="localhost"
            ),
        )
        for protocol, transport in zip(reversed(protocols), upgraded, strict=True):
            assert transport is not None
            protocol.transport = transport
            protocol.note_tls()
    return server


async def play(
    scenario: Scenario, over: Wire, path: str, expected: list[Snapshot] | None
) -> list[Snapshot]:
    loop = asyncio.get_running_loop()
    errors: list[Event] = []

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # The names of the loop's own callbacks are no part of the comparison.
        message = context["message"].partition("Exception in callback")
        errors.append((message[0], message[1], *outcome(context["exception"])))

    loop.set_exception_handler(report)
    logs = [Log(), Log()]
    protocols: list[Base] = [
        (Buffered if buffered else Plain)(log, keep_open, reactions)
        for log, keep_open, buffered, reactions in zip(
            logs, scenario.keep_open, scenario.buffered, scenario.reactions, strict=True
        )
    ]
    server = await connect(protocols, over, path)

    async def rest(wanted: Snapshot | None) -> Snapshot:
        if wanted is None:
            await asyncio.sleep(1)
            return known(logs, protocols)
        turns = 0
        give_up = loop.time() + PATIENCE
        while known(logs, protocols) != wanted and loop.time() < give_up:
            turns += 1
            await asyncio.sleep(0 if turns < 50 else 0.001)
        for _ in range(5):  # would there be more?
            await asyncio.sleep(0)
        return known(logs, protocols)

    snapshots: list[Snapshot] = []
    try:
        for number, group in enumerate(
            [[], *scenario.groups, [(0, "abort", 0)], [(1, "abort", 0)]]
        ):
            for end, action, size in group:
                attempt(protocols[end], action, size)
            snapshots.append(await rest(None if expected is None else expected[number]))
            if expected is not None and snapshots[-1] != expected[number]:
                break
    finally:
        for protocol in protocols:
            protocol.transport.abort()
        await server.wait_closed()
    snapshots.append(tuple(errors))
    return snapshots


Factory = Callable[[], asyncio.AbstractEventLoop]


def check(scenario: Scenario, over: Wire, other: Factory = asyncio.SelectorEventLoop) -> None:
    """Compare the virtual loop with another: by default asyncio's, over the kernel."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/s"
        ours = fakes.run(play(scenario, over, path, None))
        with asyncio.Runner(loop_factory=other) as runner:
            others = runner.run(play(scenario, over, path, ours))
        assert others == ours


# What the kernel's buffers take at once, so that the moment at which a write is taken up does
# not depend on their sizes.
sizes = st.sampled_from([0, 1, 7, 1000, 1001, 5000])
ends = st.integers(0, 1)
doings = st.one_of(
    st.tuples(st.sampled_from(["write", "writelines", "limits"]), sizes),
    st.just(("write_wrong", 0)),
    st.tuples(
        st.sampled_from(["write_eof", "pause", "resume", "close", "abort", "reset"]), st.just(0)
    ),
    st.tuples(st.just("shutdown"), st.sampled_from([socket.SHUT_RD, socket.SHUT_WR])),
)
actions = st.tuples(ends, doings).map(lambda pair: (pair[0], *pair[1]))
reactions = st.dictionaries(
    st.sampled_from(["data", "eof", "lost"]), doings | st.just(("raise", 0))
)
both = st.tuples(st.booleans(), st.booleans())
scenarios = st.builds(
    Scenario,
    keep_open=both,
    buffered=both,
    groups=st.lists(st.lists(actions, min_size=1, max_size=3), max_size=6),
)
# With reactions, what an end does depends on whether bytes come in one piece or two, which is the
# kernel's to choose. So one thing is done at a time.
reacting = st.builds(
    Scenario,
    keep_open=both,
    buffered=both,
    groups=st.lists(st.lists(actions, min_size=1, max_size=1), max_size=6),
    reactions=st.tuples(reactions, reactions),
)


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@settings(max_examples=EXAMPLES, deadline=None, derandomize="FAKES_EXAMPLES" not in os.environ)
@given(scenario=scenarios)
# Data for an end that has ended and reads no more is answered with a reset.
@example(
    scenario=Scenario(
        keep_open=(True, True),
        buffered=(False, False),
        groups=[
            [(1, "pause", 0), (1, "shutdown", socket.SHUT_RD), (1, "write_eof", 0)],
            [(0, "write", 1)],
            [(1, "resume", 0)],
        ],
    )
)
def test_actions(unix: bool, scenario: Scenario) -> None:
    check(scenario, Wire(unix))


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@settings(max_examples=EXAMPLES, deadline=None, derandomize="FAKES_EXAMPLES" not in os.environ)
@given(scenario=reacting)
def test_reactions_from_within_callbacks(unix: bool, scenario: Scenario) -> None:
    check(scenario, Wire(unix))


def reads_to_the_end(scenario: Scenario) -> bool:
    """Return whether nobody shuts his own end down for reading.

    Over TLS what comes after that is lost, or not, as the kernel makes pieces: one piece in place
    of two, and asyncio has decrypted both before it meets the end, and hands over what its
    protocol's buffer takes.
    """
    done = [(action, size) for group in scenario.groups for _, action, size in group]
    done += [doing for reactions in scenario.reactions for doing in reactions.values()]
    return ("shutdown", socket.SHUT_RD) not in done


@pytest.mark.parametrize("upgrade", [False, True], ids=["from the start", "start_tls"])
@settings(max_examples=EXAMPLES // 3, deadline=None, derandomize="FAKES_EXAMPLES" not in os.environ)
@given(scenario=(scenarios | reacting).filter(reads_to_the_end))
def test_tls(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], upgrade: bool, scenario: Scenario
) -> None:
    check(scenario, Wire(contexts=contexts, upgrade=upgrade))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@settings(max_examples=EXAMPLES // 3, deadline=None, derandomize="FAKES_EXAMPLES" not in os.environ)
@given(scenario=scenarios | reacting)
def test_the_network_is_the_same_under_other_loops(
    unix: bool, loop: str, scenario: Scenario
) -> None:
    if loop == "uvloop":
        loop_class = pytest.importorskip("uvloop").Loop
    else:
        loop_class = asyncio.SelectorEventLoop
    check(scenario, Wire(unix), fakes.network_loop(loop_class))


class Told(asyncio.Protocol):
    """Notes what flow control says, and counts what arrives."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.received = 0
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def pause_writing(self) -> None:
        self.told.append("pause_writing")
        self.paused.set()

    def resume_writing(self) -> None:
        self.told.append(("resume_writing", self.transport.get_write_buffer_size() <= 1000))
        self.resumed.set()

    def eof_received(self) -> None:
        self.told.append(("eof", self.received))

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.append(("lost", exc, self.received))
        self.lost.set()


@pytest.mark.parametrize("end", ["close", "write_eof", "abort"])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_flow_control(unix: bool, end: str) -> None:
    """A peer that does not read stops the writer; what the kernels hold is the freedom here."""

    async def main() -> tuple[object, ...]:
        loop = asyncio.get_running_loop()
        server: Any
        accepted: asyncio.Future[Told] = loop.create_future()

        def listening() -> Told:
            accepted.set_result(Told())
            return accepted.result()

        with tempfile.TemporaryDirectory() as directory:
            if unix:
                server = await loop.create_unix_server(listening, f"{directory}/s")
                transport, writer = await loop.create_unix_connection(Told, f"{directory}/s")
            else:
                server = await loop.create_server(listening, "127.0.0.1", 0)
                transport, writer = await loop.create_connection(
                    Told, *server.sockets[0].getsockname()
                )
            reader = await accepted
            await asyncio.sleep(0.01)
            server.close()
        reader.transport.pause_reading()
        transport.set_write_buffer_limits(high=100_000, low=1000)
        written = 0
        while not writer.paused.is_set():
            transport.write(bytes(50_000))
            written += 50_000
        over = transport.get_write_buffer_size() > 100_000
        writer.paused.clear()
        if end == "abort":
            transport.abort()
            reader.transport.resume_reading()
            await asyncio.gather(writer.lost.wait(), reader.lost.wait())
            less = reader.received < written
            told = [event[0] if isinstance(event, tuple) else event for event in reader.told]
            return over, less, writer.told, told
        reader.transport.resume_reading()
        await writer.resumed.wait()
        transport.write(bytes(10))
        if end == "close":
            transport.close()
        else:
            transport.write_eof()
        await asyncio.gather(writer.lost.wait(), reader.lost.wait())
        assert reader.received == written + 10
        told = [event if isinstance(event, str) else event[:-1] for event in reader.told]  # type: ignore[index]
        return over, writer.told, told

    ours = fakes.run(main())
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) == ours
