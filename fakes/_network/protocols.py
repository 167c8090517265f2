"""Which sockets there are: the families, types and protocols that are simulated."""

from __future__ import annotations

import errno
from enum import IntEnum
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SOCK_DGRAM,
    SOCK_STREAM,
    AddressFamily,
    SocketKind,
)

from fakes._kernel.errors import NotSimulated, os_error

IPPROTO_SCTP, IPPROTO_UDPLITE, IPPROTO_MPTCP = 132, 136, 262  # not in every module `socket`

_OF_STREAMS = frozenset({0, IPPROTO_TCP, IPPROTO_MPTCP})
_OF_DATAGRAMS = frozenset({0, IPPROTO_UDP, IPPROTO_UDPLITE})
_OF_UNIX = frozenset({0, int(AF_UNIX)})
_SIMULATED: dict[tuple[int, int], frozenset[int]] = {
    (AF_INET, SOCK_STREAM): _OF_STREAMS,
    (AF_INET6, SOCK_STREAM): _OF_STREAMS,
    (AF_INET, SOCK_DGRAM): _OF_DATAGRAMS,
    (AF_INET6, SOCK_DGRAM): _OF_DATAGRAMS,
    (AF_UNIX, SOCK_STREAM): _OF_UNIX,
    (AF_UNIX, SOCK_DGRAM): _OF_UNIX,
}
_REAL_ONLY: dict[tuple[int, int], str] = {
    (SOCK_DGRAM, IPPROTO_ICMP): "ICMP",
    (SOCK_DGRAM, IPPROTO_ICMPV6): "ICMPv6",
    (SOCK_STREAM, IPPROTO_SCTP): "SCTP",
}


def check_kind(family: int, type: int, proto: int) -> None:
    """Check that such sockets are simulated.

    Raises:
        NotSimulated: they are not.
        OSError: there are none over a kernel, either (EPROTONOSUPPORT).
    """
    protocols = _SIMULATED.get((family, type))
    if protocols is None:
        raise NotSimulated(
            f"sockets of {named(AddressFamily, family)} and {named(SocketKind, type)} are not "
            "simulated"
        )
    if proto in protocols:
        return
    if family != AF_UNIX and (type, proto) in _REAL_ONLY:
        raise NotSimulated(
            f"sockets of {named(AddressFamily, family)} and {named(SocketKind, type)} for "
            f"{_REAL_ONLY[type, proto]} are not simulated"
        )
    raise os_error(errno.EPROTONOSUPPORT)


def named(kind: type[IntEnum], number: int) -> str:
    """Return the name of a number, or that it is unknown."""
    try:
        return kind(number).name
    except ValueError:
        return f"the unknown {kind.__name__} {number}"
