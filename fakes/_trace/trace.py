"""A record of the wire, in order and with virtual times, as text and as a pcapng file."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes._network.network import Network
from fakes._network.segment import FaultNote, Note, Segment, segment_of
from fakes._public import public
from fakes._trace.hexdiff import short
from fakes._trace.steps import Step


@public
class Trace:
    """A record of every segment that a network carries, from now until `stop()`.

    ::

        network = fakes.Network()
        trace = fakes.Trace(network)
        fakes.run(main(), network=network)
        print(trace)
        trace.write_pcapng("run.pcapng")  # for Wireshark

    Recording does not change a run.

    Args:
        network: what to observe (default: the network of the running event loop).
        steps: whether to record each step of a task on a `fakes.Loop`, too, from one wait to the
            next (default: no).
        keep: how many segments and steps to keep, the last ones (default: all).

    Raises:
        RuntimeError: no network is given and the running loop, if any, has none.
    """

    def __init__(
        self, network: Network | None = None, *, steps: bool = False, keep: int | None = None
    ) -> None:
        if network is None:
            network = getattr(asyncio.get_running_loop(), "network", None)
            if not isinstance(network, Network):
                raise RuntimeError("the running event loop has no simulated network to trace")
        self.network = network
        self._entries: list[Note | Step | FaultNote] | deque[Note | Step | FaultNote]
        self._entries = [] if keep is None else deque(maxlen=keep)
        self._count = 0
        record = self._entries.append if keep is None else self._record
        self._stop: list[Callable[[], None]] = [network.observe_notes(record)]
        if steps:
            self._stop.append(network.observe_steps(record))

    def _record(self, entry: Note | Step | FaultNote) -> None:
        self._count += 1
        self._entries.append(entry)

    def __repr__(self) -> str:
        """Show how much is recorded."""
        return f"<fakes.Trace {len(self.segments)} segments>"

    @property
    def segments(self) -> list[Segment]:
        """The segments sent so far."""
        return [segment_of(e) for e in self._entries if not isinstance(e, (Step, FaultNote))]

    def stop(self) -> None:
        """Record no more; idempotent."""
        while self._stop:
            self._stop.pop()()

    # --- as text ------------------------------------------------------------------------------

    def __str__(self) -> str:
        """Return one line for each segment, as `text()` does."""
        return self.text()

    def text(self, *, last: int | None = None, folded: bool = False) -> str:
        """Return one line for each segment, in the order in which they were sent.

        A line has the time in seconds from the first segment on (on `fakes.Loop`: from the
        beginning of the run), the number of the connection, who sends to whom, what, and how many
        bytes, with the first of them; and when it arrives, if that is later, or that it is lost.

        Steps, if they are recorded, are between the segments: the time, the task's name, the line
        of the source at which it resumed, and the one at which it waits again. With the steps are
        the faults that the seed causes.

        Args:
            last: only that many lines, the last ones, and those of faults (default: all).
            folded: whether three or more segments of one write, and repeated steps of a task at one
                line, take one line (default: no).
        """
        entries = [
            e if isinstance(e, (Step, FaultNote)) else segment_of(e)
            for e in self._entries
            if not isinstance(e, Step) or e.place or e.then
        ]
        groups = _folded(entries) if folded else [[entry] for entry in entries]
        shown = groups if last is None else groups[-last:] if last else []
        earlier = groups[: len(groups) - len(shown)]
        shown = [group for group in earlier if isinstance(group[0], FaultNote)] + shown
        names = self._names()
        start = self._start()
        rows = [_row(group, names, start) for group in shown]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = [
            f"{time:>{widths[0]}}  {number:<{widths[1]}}  {ends:<{widths[2]}}  {what}".rstrip()
            for time, number, ends, what in rows
        ]
        left_out = max(self._count, len(entries)) - sum(map(len, shown))
        if left_out:
            what = "lines" if any(isinstance(e, Step) for e in self._entries) else "segments"
            lines.insert(0, f"({left_out} {what} before)")
        return "\n".join(lines)

    # --- as pcapng ----------------------------------------------------------------------------

    def pcapng(self, *, tls_keys: str = "") -> bytes:
        """Return the TCP connections as the contents of a pcapng file, for Wireshark.

        The packets have IP and TCP headers, with handshakes, sequence numbers, acknowledgements and
        checksums; the file names the hosts. Unix sockets have no packets and are left out. The
        times are those of `text()`, counted from the beginning of 1970.

        Args:
            tls_keys: the contents of a key log file (`ssl.SSLContext.keylog_filename`), with which
                Wireshark shows what TLS has encrypted (default: none).
        """
        from fakes._trace import pcapng  # few runs are written to a file

        names = {address: name for address, name in self._names().items() if name != address}
        return pcapng.encode(self.segments, names, self._start(), tls_keys)

    def write_pcapng(self, path: str | os.PathLike[str], *, tls_keys: str = "") -> None:
        """Write `pcapng()` to a file.

        Raises:
            OSError: the file cannot be written.
        """
        Path(path).write_bytes(self.pcapng(tls_keys=tls_keys))

    # --- names and times ----------------------------------------------------------------------

    def _names(self) -> dict[str, str]:
        return {
            address: host.name for host in self.network.hosts.values() for address in host.addresses
        }

    def _start(self) -> float:
        """Virtual time has its own zero; a real clock's is far away and means nothing."""
        if not self._entries or getattr(self.network.loop, "seed", None) is not None:
            return 0.0
        first = self._entries[0]
        return first.time if isinstance(first, (Step, FaultNote)) else first[0]


_Entry = Segment | Step | FaultNote


def _folded(entries: list[_Entry]) -> list[list[_Entry]]:
    """Group the segments of one write, from three on, and repeated steps of a task."""
    groups: list[list[_Entry]] = []
    for entry in entries:
        before = groups[-1] if groups else []
        if before and _go_together(before[-1], entry):
            before.append(entry)
        else:
            groups.append([entry])
    folded: list[list[_Entry]] = []
    for group in groups:
        if len(group) < 3 and isinstance(group[0], Segment):
            folded += [[entry] for entry in group]
        else:
            folded.append(group)
    return folded


def _go_together(one: _Entry, other: _Entry) -> bool:
    if isinstance(one, FaultNote) or isinstance(other, FaultNote):
        return False
    if isinstance(one, Step) or isinstance(other, Step):
        return isinstance(one, Step) and isinstance(other, Step) and other.repeats(one)
    return (
        one.kind == other.kind == "DATA"
        and (one.connection, one.from_client, one.time)
        == (other.connection, other.from_client, other.time)
        and (one.arrives is None) == (other.arrives is None)
    )


def _row(group: list[_Entry], names: dict[str, str], start: float) -> tuple[str, str, str, str]:
    first = group[0]
    times = f" ({len(group)} times)" if len(group) > 1 else ""
    if isinstance(first, FaultNote):
        return f"{first.time - start:.6f}", "", "", first.text
    if isinstance(first, Step):
        return f"{first.time - start:.6f}", "", first.task, f"{first}{times}"
    segments = [segment for segment in group if isinstance(segment, Segment)]
    return (
        f"{first.time - start:.6f}",
        f"#{first.connection}",
        f"{_name(first, True, names)} > {_name(first, False, names)}",
        _what(segments, start),
    )


def _what(segments: list[Segment], start: float) -> str:
    segment, last = segments[0], segments[-1]
    what = segment.kind
    data = b"".join(each.data for each in segments)
    if data:
        size = len(data)
        what += f" {size} byte{'' if size == 1 else 's'}"
        if len(segments) > 1:
            what += f" in {len(segments)} segments"
        what += f" {short(data, count=False)}"
    if len(segments) > 1 and segment.arrives is not None and last.arrives is not None:
        return f"{what}  (arrive {segment.arrives - start:.6f} to {last.arrives - start:.6f})"
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
