"""Traces: as text, and as a capture that tshark opens without a complaint."""

import asyncio
import contextlib
import hashlib
import json
import socket
import ssl
import subprocess
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

import fakes


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(100_000):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def talk(network: fakes.Network) -> None:
    """A bit of everything that TCP can do."""
    with network.host("server"):
        server = await asyncio.start_server(repeat, None, 80)
    for host in ("10.0.0.2", "fd00::2"):
        reader, writer = await asyncio.open_connection(host, 80)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(bytes(300_000))
        await reader.readexactly(300_000)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("10.0.0.2", 81)
    server.close()


def traced(
    link: fakes.Link | None = None, seed: int = 0, watched: bool = True
) -> tuple[fakes.Trace, fakes.Network]:
    network = fakes.Network(link=link)
    trace = fakes.Trace(network)
    if not watched:
        trace.stop()
    fakes.run(talk(network), network=network, seed=seed)
    return trace, network


def test_the_text_is_a_sequence_that_reads() -> None:
    network = fakes.Network(link=fakes.Link(latency=0.25))
    trace = fakes.Trace(network)
    script = fakes.Script().expect(b"ping\n").send(b"pong\n").expect_eof().close()

    async def main() -> None:
        async with script.serve("server", 80):
            reader, writer = await asyncio.open_connection("10.0.0.2", 80)
            writer.write(b"ping\n")
            await reader.readline()
            writer.close()
            await writer.wait_closed()

    fakes.run(main(), network=network)
    assert str(trace) == textwrap.dedent("""\
        0.000000  #1  localhost:32768 > server:80  SYN  (arrives 0.250000)
        0.250000  #1  server:80 > localhost:32768  SYN-ACK  (arrives 0.500000)
        0.500000  #1  localhost:32768 > server:80  ACK  (arrives 0.750000)
        0.500000  #1  localhost:32768 > server:80  DATA 5 bytes b'ping\\n'  (arrives 0.750000)
        0.750000  #1  server:80 > localhost:32768  DATA 5 bytes b'pong\\n'  (arrives 1.000000)
        1.000000  #1  localhost:32768 > server:80  FIN  (arrives 1.250000)
        1.250000  #1  server:80 > localhost:32768  FIN  (arrives 1.500000)""")
    assert trace.text(last=1).splitlines()[0] == "(6 segments before)"
    assert repr(trace) == "<fakes.Trace 7 segments>"


def test_unix_sockets_are_in_the_text() -> None:
    network = fakes.Network()
    trace = fakes.Trace(network)

    async def main() -> None:
        async with fakes.Script().expect(b"x").close().serve(path="/run/x"):
            _, writer = await asyncio.open_unix_connection("/run/x")
            writer.write(b"x")
            writer.close()

    fakes.run(main(), network=network)
    assert "client of /run/x > /run/x  DATA 1 byte b'x'" in str(trace)


def test_what_a_partition_loses_is_marked() -> None:
    network = fakes.Network()
    network.host("server")
    trace = fakes.Trace(network)

    async def main() -> None:
        async with fakes.Script().expect(b"x").close().serve("server", 80):
            _, writer = await asyncio.open_connection("server", 80)
            network.link("localhost", "server").partition()
            writer.write(b"x")
            await asyncio.sleep(5)
            network.link("localhost", "server").heal()
            await asyncio.sleep(60)
            writer.close()

    fakes.run(main(), network=network)
    lines = [line for line in str(trace).splitlines() if "DATA" in line]
    assert lines[0].endswith("(lost)")
    assert len(lines) == 2


def test_recording_starts_and_stops_when_told() -> None:
    async def main() -> tuple[fakes.Trace, int]:
        trace = fakes.Trace()
        async with fakes.Script().expect(b"x").expect(b"y").close().serve("server", 80):
            _, writer = await asyncio.open_connection("server", 80)
            writer.write(b"x")
            before = len(trace.segments)
            trace.stop()
            trace.stop()
            writer.write(b"y")
            writer.close()
        return trace, before

    trace, before = fakes.run(main())
    assert len(trace.segments) == before > 0


def test_a_loop_without_a_network() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="has no simulated network"):
            fakes.Trace()

    asyncio.run(main())


def test_real_time_counts_from_the_first_segment() -> None:
    async def main() -> fakes.Trace:
        trace = fakes.Trace()
        async with fakes.Script().expect(b"x").close().serve("server", 80):
            _, writer = await asyncio.open_connection("server", 80)
            writer.write(b"x")
            writer.close()
        return trace

    with asyncio.Runner(loop_factory=fakes.network_loop(asyncio.SelectorEventLoop)) as runner:
        trace = runner.run(main())
    assert str(trace).lstrip().startswith("0.000000")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recording_changes_nothing(seed: int) -> None:
    """The program sees the same pieces at the same times, watched or not."""

    def run(watched: bool) -> list[tuple[float, str, int]]:
        seen: list[tuple[float, str, int]] = []

        class Recorder(asyncio.Protocol):
            def __init__(self, name: str) -> None:
                self.name = name

            def note(self, what: str, size: int = 0) -> None:
                seen.append((asyncio.get_running_loop().time(), f"{self.name} {what}", size))

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                self.note("made")
                for size in (1, 1000, 300_000):
                    transport.write(bytes(size))
                transport.write_eof()

            def data_received(self, data: bytes) -> None:
                self.note("data", len(data))

            def eof_received(self) -> None:
                self.note("eof")

            def connection_lost(self, exc: Exception | None) -> None:
                self.note("lost")

        async def main() -> None:
            loop = asyncio.get_running_loop()
            with network.host("server"):
                server = await loop.create_server(lambda: Recorder("server"), None, 80)
            for number in range(3):
                await loop.create_connection(partial(Recorder, f"client {number}"), "server", 80)
            await asyncio.sleep(10)
            server.close()

        network = fakes.Network(link=fakes.Link(latency=0.01, jitter=0.02) if seed == 2 else None)
        if watched:
            fakes.Trace(network)
        fakes.run(main(), seed=seed, network=network)
        return seen

    assert run(watched=True) == run(watched=False)


async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo, in pieces of 64 KiB, until whatever becomes of the connection."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def ask(name: str, size: int) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(name, 80, happy_eyeballs_delay=0.1)
        try:
            writer.write(bytes(size))
            await reader.readexactly(size)
        finally:
            writer.close()
        await writer.wait_closed()


async def hard_run(network: fakes.Network) -> None:
    """A run with every hardship there is."""
    server, silent = network.host("server"), network.host("silent")
    network.dns.add("both", silent.addresses[0], *server.addresses)
    network.dns.delay = 0.02
    link = network.link("localhost", "server")
    silent.drop()
    with server:
        serving = await asyncio.start_server(repeat, None, 80)
    for size in (1, 5000):
        await asyncio.gather(*(ask(name, size) for name in ("server", "both", "silent", "both")))
    network.dns.fail("both", socket.gaierror(socket.EAI_AGAIN, "not now"))
    await ask("both", 1)
    network.dns.heal("both")
    link.reset_after(3000)
    await ask("server", 5000)
    link.heal()
    link.refuse()
    await ask("server", 1)
    link.heal()
    asking = asyncio.create_task(ask("both", 300_000))
    for cut in (link.partition, link.stall):
        await asyncio.sleep(0.15)
        cut()
        await asyncio.sleep(5)
        link.heal()
    await asking
    serving.close()
    await asyncio.sleep(1000)  # until the last segment has arrived


def test_a_hard_run_has_the_same_trace_in_every_process_and_on_every_python() -> None:
    digest = hashlib.sha256()
    for seed in range(4):
        network = fakes.Network(link=fakes.Link(latency=0.01, jitter=0.02, segment_size=1460))
        trace = fakes.Trace(network)
        fakes.run(hard_run(network), seed=seed, network=network)
        digest.update(str(trace).encode())
        digest.update(trace.pcapng())
    assert digest.hexdigest()[:16] == "bd288efeee3e8325"


# --- tshark ---------------------------------------------------------------------------------------


def tshark(capture: Path, *arguments: str) -> str:
    """Ask Wireshark's command line; skips, aloud, where it is not installed."""
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    try:
        done = subprocess.run(
            ["tshark", "-n", "-r", capture, *checks, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("tshark is not installed: apt-get install tshark")
    assert done.returncode == 0, done.stderr
    return done.stdout


def complaints(capture: Path) -> set[str]:
    """What Wireshark's experts note or warn of, except that connections are closed."""
    packets = json.loads(tshark(capture, "-T", "json", "-Y", "_ws.expert"))
    found: set[str] = set()

    def look(tree: Any) -> None:
        if isinstance(tree, list):
            for branch in tree:
                look(branch)
        elif isinstance(tree, dict):
            if "_ws.expert.message" in tree and int(tree["_ws.expert.severity"]) > 0x200000:
                found.add(str(tree["_ws.expert.message"]))
            for branch in tree.values():
                look(branch)

    look(packets)
    closing = {f"This frame {does} the connection closing" for does in ("initiates", "undergoes")}
    return found - closing


@pytest.mark.parametrize("link", [None, fakes.Link(latency=0.01, jitter=0.01, segment_size=1460)])
@pytest.mark.parametrize("seed", [0, 7])
def test_tshark_finds_nothing_wrong(tmp_path: Path, link: fakes.Link | None, seed: int) -> None:
    capture = tmp_path / "run.pcapng"
    trace, _ = traced(link, seed)
    trace.write_pcapng(capture)
    # The refused attempt is a reset, and the only thing worth a warning.
    assert complaints(capture) == {"Connection reset (RST)"}
    lengths = tshark(capture, "-T", "fields", "-e", "tcp.len", "-Y", "tcp.srcport==80").split()
    assert sum(map(int, lengths)) == 2 * 300_005
    finished = tshark(capture, "-T", "fields", "-e", "tcp.stream", "-Y", "tcp.flags.fin==1")
    assert sorted(finished.split()) == ["0", "0", "1", "1"]
    assert "Bad" not in tshark(capture, "-T", "fields", "-e", "tcp.checksum.status")


def test_tshark_knows_the_hosts_by_name(tmp_path: Path) -> None:
    capture = tmp_path / "run.pcapng"
    trace, _ = traced()
    trace.write_pcapng(capture)
    assert "server" in tshark(capture, "-N", "n", "-T", "fields", "-e", "ip.dst_host")


def test_tshark_reads_what_tls_encrypts(
    tmp_path: Path, authority: trustme.CA, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server_side, _ = contexts
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    client_side.keylog_filename = str(tmp_path / "keys")
    network = fakes.Network()
    trace = fakes.Trace(network)

    async def main() -> None:
        script = fakes.Script().expect_until(b"\r\n\r\n").send(b"HTTP/1.0 204 Fine\r\n\r\n").close()
        async with script.serve("localhost", 443, ssl=server_side):
            reader, writer = await asyncio.open_connection("localhost", 443, ssl=client_side)
            writer.write(b"GET /secret HTTP/1.0\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.0 204")
            writer.close()

    fakes.run(main(), network=network)
    capture = tmp_path / "run.pcapng"
    trace.write_pcapng(capture, tls_keys=(tmp_path / "keys").read_text())
    assert "/secret" in tshark(capture, "-T", "fields", "-e", "http.request.uri")
