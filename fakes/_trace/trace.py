"""What crossed the wire, in order and with its virtual time: as text, and as a pcapng file."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes import pcapng
from fakes.difference import short
from fakes.link import Segment
from fakes.network import Network


class Trace:
    """A record of every segment that a network carries, from now until `stop()`.

    ::

        network = fakes.Network()
        trace = fakes.Trace(network)
        fakes.run(main(), network=network)
        print(trace)
        trace.write_pcapng("run.pcapng")  # for Wireshark

    Recording changes nothing of a run.

    Arguments:
        network: what to observe (default: the network of the running event loop).

    Attributes:
        segments: what was sent so far, a list of `fakes.Segment`.

    Raises `RuntimeError` if no network is given and the running loop, if any, has none.
    """

    def __init__(self, network: Network | None = None) -> None:
        if network is None:
            network = getattr(asyncio.get_running_loop(), "network", None)
            if not isinstance(network, Network):
                raise RuntimeError("the running event loop has no simulated network to trace")
        self.network = network
        self.segments: list[Segment] = []
        self._stop: Callable[[], None] | None = network.observe(self.segments.append)

    def __repr__(self) -> str:
        """Say how much is recorded."""
        return f"<fakes.Trace {len(self.segments)} segments>"

    def stop(self) -> None:
        """Record no more; idempotent."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    # --- as text ------------------------------------------------------------------------------

    def __str__(self) -> str:
        """Return one line for each segment, as `text()` does."""
        return self.text()

    def text(self, *, last: int | None = None) -> str:
        """Return one line for each segment, in the order in which they were sent.

        A line has the time in seconds from the first segment on (on `fakes.Loop`: from the
        beginning of the run), the number of the connection, who sends to whom, what, and how many
        bytes, with the first of them; and when it arrives, if that is later, or that it is lost.

        Arguments:
            last: only that many lines, the last ones (default: all).
        """
        segments = self.segments if last is None else self.segments[-last:] if last else []
        names = self._names()
        start = self._start()
        rows = [
            (
                f"{segment.time - start:.6f}",
                f"#{segment.connection}",
                f"{_name(segment, True, names)} > {_name(segment, False, names)}",
                _what(segment, start),
            )
            for segment in segments
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = [
            f"{time:>{widths[0]}}  {number:<{widths[1]}}  {ends:<{widths[2]}}  {what}"
            for time, number, ends, what in rows
        ]
        left_out = len(self.segments) - len(segments)
        if left_out:
            lines.insert(0, f"({left_out} segments before)")
        return "\n".join(lines)

    # --- as pcapng ----------------------------------------------------------------------------

    def pcapng(self, *, tls_keys: str = "") -> bytes:
        """Return the TCP connections as the contents of a pcapng file, for Wireshark.

        The packets have IP and TCP headers, with handshakes, sequence numbers, acknowledgements and
        checksums; the file names the hosts. Unix sockets have no packets and are left out. The
        times are those of `text()`, counted from the beginning of 1970.

        Arguments:
            tls_keys: the contents of a key log file (`ssl.SSLContext.keylog_filename`), with which
                Wireshark shows what TLS has encrypted (default: none).
        """
        names = {address: name for address, name in self._names().items() if name != address}
        return pcapng.encode(self.segments, names, self._start(), tls_keys)

    def write_pcapng(self, path: str | os.PathLike[str], *, tls_keys: str = "") -> None:
        """Write `pcapng()` to a file. Raises `OSError` if that is not possible."""
        Path(path).write_bytes(self.pcapng(tls_keys=tls_keys))

    # --- names and times ----------------------------------------------------------------------

    def _names(self) -> dict[str, str]:
        return {
            address: host.name for host in self.network.hosts.values() for address in host.addresses
        }

    def _start(self) -> float:
        """Virtual time has its own zero; a real clock's is far away and says nothing."""
        if not self.segments or getattr(self.network.loop, "seed", None) is not None:
            return 0.0
        return self.segments[0].time


def _what(segment: Segment, start: float) -> str:
    what = segment.kind
    if segment.data:
        size = len(segment.data)
        what += f" {size} byte{'' if size == 1 else 's'} {short(segment.data, count=False)}"
    if segment.arrives is None:
        what += "  (lost)"
    elif segment.arrives != segment.time:
        what += f"  (arrives {segment.arrives - start:.6f})"
    return what


def _name(segment: Segment, source: bool, names: dict[str, str]) -> str:
    address: Any = segment.source if source else segment.destination
    if not isinstance(address, tuple):
        path = os.fsdecode(segment.source or segment.destination) or "socketpair"
        return f"client of {path}" if source == segment.from_client else path
    ip, port = address[:2]
    if ip in names:
        return f"{names[ip]}:{port}"
    version = ipaddress.ip_address(ip)
    if version.is_loopback:
        return f"localhost:{port}"
    return f"[{ip}]:{port}" if version.version == 6 else f"{ip}:{port}"
