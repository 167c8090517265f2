"""The encoder, read back by a decoder of the tests' own; tests/fakes/test_trace.py asks tshark."""

import ipaddress
import struct
from dataclasses import dataclass

import pytest

from fakes import Segment
from fakes._trace import pcapng

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 80)


@dataclass
class Packet:
    """What a reader of the file sees."""

    time: int  # nanoseconds
    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    acknowledged: int
    flags: str
    data: bytes
    comment: str


def blocks(file: bytes) -> list[tuple[int, bytes]]:
    found = []
    while file:
        kind, length = struct.unpack_from("<II", file)
        assert length % 4 == 0
        assert struct.unpack_from("<I", file, length - 4) == (length,)
        found.append((kind, file[8 : length - 4]))
        file = file[length:]
    return found


def ones_complement_sum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + b"\0" * (len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packets(file: bytes) -> list[Packet]:
    found = []
    for kind, body in blocks(file):
        if kind != 6:
            continue
        _, high, low, captured, original = struct.unpack_from("<IIIII", body)
        assert captured == original
        ip, options = body[20 : 20 + captured], body[20 + captured + -captured % 4 :]
        comment = (
            options[4 : 4 + struct.unpack_from("<H", options, 2)[0]].decode() if options else ""
        )
        if ip[0] >> 4 == 4:
            assert ones_complement_sum(ip[:20]) == 0xFFFF
            assert struct.unpack_from("!H", ip, 2) == (len(ip),)
            addresses, tcp = ip[12:20], ip[20:]
        else:
            assert struct.unpack_from("!H", ip, 4) == (len(ip) - 40,)
            assert ip[6] == 6
            addresses, tcp = ip[8:40], ip[40:]
        pseudo = addresses + struct.pack("!II", len(tcp), 6)
        assert ones_complement_sum(pseudo + tcp) == 0xFFFF
        ports = struct.unpack_from("!HH", tcp)
        sequence, acknowledged = struct.unpack_from("!II", tcp, 4)
        half = len(addresses) // 2
        found.append(
            Packet(
                time=high << 32 | low,
                source=(str(ipaddress.ip_address(addresses[:half])), ports[0]),
                destination=(str(ipaddress.ip_address(addresses[half:])), ports[1]),
                sequence=sequence,
                acknowledged=acknowledged,
                flags="".join(name for bit, name in enumerate("FSRPA") if tcp[13] >> bit & 1),
                data=tcp[(tcp[12] >> 4) * 4 :],
                comment=comment,
            )
        )
    return found


def segment(
    time: float,
    arrives: float | None,
    kind: str,
    data: bytes = b"",
    *,
    from_client: bool = True,
    ends: tuple[object, object] = (CLIENT, SERVER),
) -> Segment:
    source, destination = ends if from_client else ends[::-1]
    return Segment(time, arrives, 1, source, destination, from_client, kind, data)


HANDSHAKE = [
    segment(0.0, 0.1, "SYN"),
    segment(0.1, 0.2, "SYN-ACK", from_client=False),
    segment(0.2, 0.3, "ACK"),
]


def relative(found: list[Packet]) -> list[tuple[float, str, str, int, int]]:
    """Times in seconds, directions, flags, and numbers counted from each end's SYN."""
    client = next(p.sequence for p in found if p.source[1] == CLIENT[1])
    server = next((p.sequence for p in found if p.source[1] == SERVER[1]), 0)
    rows = []
    for p in found:
        mine, other = (client, server) if p.source[1] == CLIENT[1] else (server, client)
        acknowledged = p.acknowledged - other if "A" in p.flags else 0
        direction = ">" if mine == client else "<"
        rows.append((p.time / 1e9, direction, p.flags, p.sequence - mine, acknowledged))
    return rows


def test_a_whole_connection() -> None:
    found = packets(
        pcapng.encode(
            [
                *HANDSHAKE,
                segment(0.3, 0.4, "DATA", b"hello"),
                segment(0.35, 0.45, "DATA", b"hi", from_client=False),
                segment(0.6, 0.7, "FIN"),
                segment(0.7, 0.8, "FIN", from_client=False),
            ]
        )
    )
    assert relative(found) == [
        (0.0, ">", "S", 0, 0),
        (0.1, "<", "SA", 0, 1),
        (0.2, ">", "A", 1, 1),
        (0.3, ">", "PA", 1, 1),
        (0.35, "<", "PA", 1, 1),  # sent before the other's data came
        (0.4, "<", "A", 3, 6),
        (0.45, ">", "A", 6, 3),
        (0.6, ">", "FA", 6, 3),
        (0.7, "<", "A", 3, 7),
        (0.7, "<", "FA", 3, 7),
        (0.8, ">", "A", 7, 4),
    ]
    assert [p.data for p in found if p.data] == [b"hello", b"hi"]


def test_what_arrives_at_once_is_acknowledged_before_the_answer() -> None:
    found = packets(
        pcapng.encode(
            [
                segment(0, 0, "SYN"),
                segment(0, 0, "SYN-ACK", from_client=False),
                segment(0, 0, "ACK"),
                segment(0, 0, "DATA", b"ping"),
                segment(0, 0, "DATA", b"pong", from_client=False),
            ]
        )
    )
    assert [row[1:] for row in relative(found)[3:]] == [
        (">", "PA", 1, 1),
        ("<", "A", 1, 5),
        ("<", "PA", 1, 5),
        (">", "A", 5, 5),
    ]


def test_a_lost_segment_is_sent_again_with_its_number() -> None:
    found = packets(
        pcapng.encode(
            [
                *HANDSHAKE,
                segment(1.0, None, "DATA", b"abc"),
                segment(1.1, None, "DATA", b"de"),
                segment(2.0, 2.1, "DATA", b"abc"),
                segment(2.0, 2.1, "DATA", b"de"),
                segment(2.0, 2.1, "DATA", b"f"),
            ]
        )
    )
    assert [(p.sequence - found[0].sequence, p.comment) for p in found if p.data] == [
        (1, "lost"),
        (4, "lost"),
        (1, ""),
        (4, ""),
        (6, ""),
    ]
    answers = [row for row in relative(found) if row[0] == pytest.approx(2.1)]
    assert [row[1:] for row in answers] == [("<", "A", 1, 4), ("<", "A", 1, 6), ("<", "A", 1, 7)]


def test_an_end_that_answers_with_a_reset_does_not_acknowledge() -> None:
    found = packets(
        pcapng.encode(
            [
                *HANDSHAKE,
                segment(1.0, 1.5, "DATA", b"late"),
                segment(1.5, 2.0, "RST", from_client=False),
            ]
        )
    )
    assert [p.flags for p in found] == ["S", "SA", "A", "PA", "RA"]


def test_a_refused_attempt() -> None:
    found = packets(
        pcapng.encode([segment(0, 0.1, "SYN"), segment(0.1, 0.2, "RST", from_client=False)])
    )
    assert [p.flags for p in found] == ["S", "RA"]
    assert found[1].acknowledged == found[0].sequence + 1


def test_data_too_long_for_a_packet_is_cut() -> None:
    data = bytes(range(256)) * 1024
    found = packets(pcapng.encode([*HANDSHAKE, segment(1, 1, "DATA", data)]))
    pieces = [p for p in found if p.data]
    assert b"".join(p.data for p in pieces) == data
    assert max(len(p.data) for p in pieces) == pcapng.MOST_DATA
    assert [p.sequence - pieces[0].sequence for p in pieces] == [
        n * pcapng.MOST_DATA for n in range(len(pieces))
    ]


def test_sequence_numbers_start_over_after_the_last() -> None:
    number = 124_669  # its first sequence number is close to the last that there is
    syn = Segment(0, 0, number, CLIENT, SERVER, True, "SYN")
    data = Segment(0, 0, number, CLIENT, SERVER, True, "DATA", b"x" * 50_000)
    sequences = [p.sequence for p in packets(pcapng.encode([syn, data, data])) if p.data]
    assert sequences[0] > sequences[1] >= 0


def test_version_six() -> None:
    ends = (("fd00::1", 40000, 0, 0), ("fd00::2%eth0", 80, 0, 2))
    found = packets(pcapng.encode([segment(0, 0, "DATA", b"six", ends=ends)]))
    assert (found[0].source, found[0].destination) == (("fd00::1", 40000), ("fd00::2", 80))
    assert found[0].data == b"six"


def test_unix_sockets_have_no_packets() -> None:
    assert packets(pcapng.encode([segment(0, 0, "DATA", b"x", ends=("/run/x", "/run/x"))])) == []


def test_the_blocks() -> None:
    kinds = [kind for kind, _ in blocks(pcapng.encode(HANDSHAKE, {"10.0.0.1": "me"}, 0.0, "KEYS"))]
    assert kinds == [0x0A0D0D0A, 1, 4, 10, 6, 6, 6]
    assert [kind for kind, _ in blocks(pcapng.encode([]))] == [0x0A0D0D0A, 1]


def test_times_count_from_the_start() -> None:
    found = packets(pcapng.encode([segment(1000.5, 1000.5, "SYN")], start=1000.0))
    assert found[0].time == 500_000_000


@pytest.mark.parametrize(
    "data", [b"\1", b"\xff" * 10, b"\xff" * 11, b"\xff\xfe\0\1", bytes(range(255))]
)
def test_the_checksum_makes_the_sum_come_out(data: bytes) -> None:
    checksum = pcapng._checksum(data)
    padded = data + b"\0" * (len(data) % 2)
    assert ones_complement_sum(padded + struct.pack("!H", checksum)) == 0xFFFF
