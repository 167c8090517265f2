"""The segments that a network's observers receive."""

from __future__ import annotations

from typing import Any, NamedTuple

from fakes._public import public


@public
class Segment(NamedTuple):
    """One packet, or its counterpart on a Unix socket, for a network's observers.

    Attributes:
        time: when it was sent, in seconds of the loop's time.
        arrives: when it arrives, or None if it is lost.
        connection: the number of the connection, from 1 on; with UDP of the pair of addresses.
        source, destination: socket addresses, as `getsockname()` gives them; for Unix sockets the
            server's path on either side.
        from_client: whether the end that called connect() sent it; with UDP, that sent first.
        kind: "SYN", "SYN-ACK", "ACK" (the third of the handshake), "DATA", "FIN" or "RST"; with UDP
            "DATAGRAM", and "UNREACHABLE" (ICMP: no socket is bound to the port).
        data: the bytes of a "DATA" segment or a "DATAGRAM".
    """

    time: float
    arrives: float | None
    connection: int
    source: Any
    destination: Any
    from_client: bool
    kind: str
    data: bytes = b""


class FaultNote(NamedTuple):
    """A fault that begins or ends by the seed, for the observers of steps."""

    time: float
    text: str


# The constant part of a connection's segments in one direction: the number of the connection, the
# source, the destination, and whether its client sends.
Ends = tuple[int, Any, Any, bool]

# The note of a segment when it is sent, which is cheap; `segment_of()` makes the segment of it for
# an observer: the time when it is sent, when it arrives, its ends, its kind and its data.
Note = tuple[float, float | None, Ends, str, bytes | memoryview]


def segment_of(note: Note) -> Segment:
    """Return the segment that a note is of."""
    time, arrives, ends, kind, data = note
    return Segment(time, arrives, *ends, kind, bytes(data))
