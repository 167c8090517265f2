"""Segments as a pcapng file, like a capture of the same traffic.

The plan. `encode()` goes through the segments in the order of time, and inserts the
acknowledgements that the receiving kernels would have sent: one for each segment that arrives, at
that time. For each direction of a connection it counts as a kernel does: the next sequence number
to send, and the next one expected. Every segment becomes an IP packet with a TCP header, in one
block of a pcapng file whose link type is "raw IP": no Ethernet, since there is none.

The capture is made at both ends: a segment has the time when it was sent, an acknowledgement the
time when it was sent back. Real windows are unknown; they are announced as large.

Sources: pcapng (draft-ietf-opsawg-pcapng), RFC 9293 (TCP), RFC 768 (UDP), RFC 792 and
RFC 4443 (ICMP), RFC 791 (IPv4), RFC 8200 (IPv6).
"""

from __future__ import annotations

import ipaddress
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fakes._network.segment import Segment

LINKTYPE_RAW = 101
NANOSECONDS = 9  # as a power of ten
MOST_DATA = 65495  # the largest IPv4 packet, which is the MTU of a loopback, too
_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58  # IP protocols
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_FLAGS = {
    "SYN": _SYN,
    "SYN-ACK": _SYN | _ACK,
    "ACK": _ACK,
    "DATA": _PSH | _ACK,
    "FIN": _FIN | _ACK,
    "RST": _RST | _ACK,
}
_WINDOW = 65535
# Maximum segment size; no operation; window scale 14: the largest window there is.
_SYN_OPTIONS = struct.pack("!BBHBBBB", 2, 4, MOST_DATA, 1, 3, 3, 14)


def encode(
    segments: Sequence[Segment],
    names: Mapping[str, str] | None = None,
    start: float = 0.0,
    tls_keys: str = "",
) -> bytes:
    """Return a pcapng file with the segments of TCP connections, and UDP's datagrams.

    Args:
        segments: in the order in which they were sent.
        names: host names by IP address, for the reader to show.
        start: the time that becomes the file's zero, in seconds.
        tls_keys: a TLS key log, for the reader to decrypt with.
    """
    blocks = [_section_header(), _interface()]
    if names:
        blocks.append(_name_resolution(names))
    if tls_keys:
        blocks.append(_decryption_secrets(tls_keys.encode("ascii")))
    blocks += [
        _packet(round((time - start) * 10**NANOSECONDS), packet, comment)
        for time, packet, comment in _packets(segments)
    ]
    return b"".join(blocks)


# --- TCP ------------------------------------------------------------------------------------------


@dataclass
class _Direction:
    """The counts of one end's kernel for a connection."""

    address: Any
    next: int  # the next sequence number
    arrived: int  # the part that the other end has: the number that it acknowledges
    under_way: deque[int] = field(default_factory=deque)  # where the segments end that will arrive
    lost: deque[int] = field(default_factory=deque)  # where the segments begin that were lost


def _packets(segments: Sequence[Segment]) -> Iterator[tuple[float, bytes, str]]:
    """Yield `(time, IP packet, comment)` in the order of time."""
    directions: dict[tuple[int, bool], _Direction] = {}
    resets = {(s.connection, s.from_client, s.time) for s in segments if s.kind == "RST"}
    for time, segment, is_arrival in _events(segments):
        if segment.kind in ("DATAGRAM", "UNREACHABLE"):
            yield time, _datagram(segment), "" if segment.arrives is not None else "lost"
            continue
        here, there = _ends(directions, segment)
        if is_arrival:
            here.arrived = here.under_way.popleft()
            # An end that answers with a reset does not acknowledge as well.
            if (segment.connection, not segment.from_client, time) not in resets:
                yield time, _ip(there, here, there.next, here.arrived, _ACK), ""
            continue
        comment = "lost" if segment.arrives is None else ""
        yield from ((time, packet, comment) for packet in _sent(here, there, segment))


def _events(segments: Iterable[Segment]) -> list[tuple[float, Segment, bool]]:
    """Return the sent segments and, of those to acknowledge, the arrivals, in order of time.

    An immediate arrival follows its segment directly; a later arrival comes before the segments
    that are sent at that time, which may be answers to it.
    """
    events: list[tuple[tuple[float, int, int], Segment, bool]] = []
    for number, segment in enumerate(segments):
        if not isinstance(segment.source, tuple):
            continue  # a Unix socket
        events.append(((segment.time, number, 0), segment, False))
        if segment.arrives is not None and segment.kind in ("DATA", "FIN"):
            order = number if segment.arrives == segment.time else -1
            events.append(((segment.arrives, order, 1), segment, True))
    events.sort(key=lambda event: event[0])
    return [(key[0], segment, is_arrival) for key, segment, is_arrival in events]


def _ends(
    directions: dict[tuple[int, bool], _Direction], segment: Segment
) -> tuple[_Direction, _Direction]:
    """Return the counts of the segment's sender, and of its receiver."""
    number, from_client = segment.connection, segment.from_client
    for key, address in (
        ((number, from_client), segment.source),
        ((number, not from_client), segment.destination),
    ):
        if key not in directions:
            # A kernel would draw it by chance; a recorded run is the same every time.
            first = (number * 0x01000193 + key[1] * 0x00010001) & 0xFFFFFFFF
            directions[key] = _Direction(address, first + 1, first + 1)
    return directions[number, from_client], directions[number, not from_client]


def _sent(here: _Direction, there: _Direction, segment: Segment) -> Iterator[bytes]:
    flags = _FLAGS[segment.kind]
    if segment.kind in ("SYN", "SYN-ACK"):
        yield _ip(here, there, here.next - 1, there.arrived, flags, options=_SYN_OPTIONS)
        return
    length = len(segment.data) + (segment.kind == "FIN")
    sequence = here.next
    if length and segment.arrives is not None and here.lost:
        sequence = here.lost.popleft()  # sent again
    else:
        here.next += length
        if length and segment.arrives is None:
            here.lost.append(sequence)
    if length and segment.arrives is not None:
        here.under_way.append(sequence + length)
    data = memoryview(segment.data)
    for offset in range(0, max(len(data), 1), MOST_DATA):
        piece = bytes(data[offset : offset + MOST_DATA])
        yield _ip(here, there, sequence + offset, there.arrived, flags, piece)


def _ip(
    here: _Direction,
    there: _Direction,
    sequence: int,
    acknowledged: int,
    flags: int,
    data: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """Return an IP packet from one end to the other."""
    source, destination = _address(here.address), _address(there.address)
    header = struct.pack(
        "!HHIIBBHHH",
        here.address[1],
        there.address[1],
        sequence & 0xFFFFFFFF,
        acknowledged & 0xFFFFFFFF if flags & _ACK else 0,
        (5 + len(options) // 4) << 4,
        flags,
        _WINDOW,
        0,  # the checksum, for now
        0,
    )
    tcp = header + options + data
    return _in_ip(source, destination, _TCP, _with_checksum(source, destination, _TCP, tcp, 16))


def _datagram(segment: Segment) -> bytes:
    """Return the IP packet of a UDP datagram, or of the message "port unreachable" (ICMP)."""
    source, destination = _address(segment.source), _address(segment.destination)
    if segment.kind == "DATAGRAM":
        return _in_ip(source, destination, _UDP, _udp(segment, source, destination))
    # It quotes the beginning of the datagram that it answers: the headers, in the other direction.
    ports = struct.pack("!HHHH", segment.destination[1], segment.source[1], 8, 0)
    quoted = _in_ip(destination, source, _UDP, ports)
    if source.version == 6:
        message = struct.pack("!BBHI", 1, 4, 0, 0) + quoted  # destination unreachable: port
        message = _with_checksum(source, destination, _ICMP6, message, 2)
        return _in_ip(source, destination, _ICMP6, message)
    message = struct.pack("!BBHI", 3, 3, 0, 0) + quoted  # destination unreachable: port
    message = message[:2] + struct.pack("!H", _checksum(message)) + message[4:]
    return _in_ip(source, destination, _ICMP, message)


def _udp(segment: Segment, source: _Address, destination: _Address) -> bytes:
    length = 8 + len(segment.data)
    header = struct.pack("!HHHH", segment.source[1], segment.destination[1], length, 0)
    return _with_checksum(source, destination, _UDP, header + segment.data, 6)


def _address(name: Any) -> _Address:
    return ipaddress.ip_address(name[0].partition("%")[0])


def _with_checksum(
    source: _Address, destination: _Address, protocol: int, packet: bytes, place: int
) -> bytes:
    """Return a packet with its checksum, two bytes that are zero yet, in its place."""
    pseudo = source.packed + destination.packed + struct.pack("!IHH", len(packet), 0, protocol)
    checksum = _checksum(pseudo + packet)
    return packet[:place] + struct.pack("!H", checksum) + packet[place + 2 :]


def _in_ip(source: _Address, destination: _Address, protocol: int, packet: bytes) -> bytes:
    addresses = source.packed + destination.packed
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(packet), protocol, 64) + addresses + packet
    before = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(packet), 0, 0x4000, 64, protocol)
    checksum = struct.pack("!H", _checksum(before + b"\0\0" + addresses))
    return before + checksum + addresses + packet


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071): the complement of the sum of 16-bit words.

    A sum with end-around carry is a remainder modulo 65535, with 65535 for zero (unless all of the
    data is zero, which no packet is).
    """
    if len(data) % 2:
        data += b"\0"
    return 65535 - (int.from_bytes(data, "big") % 65535 or 65535)


# --- pcapng ---------------------------------------------------------------------------------------


def _section_header() -> bytes:
    length_unknown = 0xFFFFFFFFFFFFFFFF
    return _block(0x0A0D0D0A, struct.pack("<IHHQ", 0x1A2B3C4D, 1, 0, length_unknown))


def _interface() -> bytes:
    name = _option(2, b"simulated network")
    resolution = _option(9, bytes([NANOSECONDS]))
    return _block(1, struct.pack("<HHI", LINKTYPE_RAW, 0, 0) + name + resolution + _option(0, b""))


def _name_resolution(names: Mapping[str, str]) -> bytes:
    records = b"".join(
        _option(
            1 if ipaddress.ip_address(address).version == 4 else 2,
            ipaddress.ip_address(address).packed + name.encode() + b"\0",
        )
        for address, name in names.items()
    )
    return _block(4, records + _option(0, b""))


def _decryption_secrets(keys: bytes) -> bytes:
    tls_key_log = 0x544C534B
    return _block(10, struct.pack("<II", tls_key_log, len(keys)) + _padded(keys))


def _packet(time: int, packet: bytes, comment: str) -> bytes:
    options = _option(1, comment.encode()) + _option(0, b"") if comment else b""
    head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
    return _block(6, head + _padded(packet) + options)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
