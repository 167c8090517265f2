"""Socket options: their defaults, their values, and their effects here.

Every option is one of three: it has its effect; it is `KEPT`: it can be set and read, and has no
effect on a simulated network, for the reason given; or it is refused by name. No option is accepted
and ignored in silence.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import NoReturn

from fakes._kernel.errors import NotSimulated, os_error

Option = tuple[int, int]  # level and name

LINGER = struct.Struct("ii")
CREDENTIALS = struct.Struct("iii")  # Linux's `struct ucred`: process, user, group
# The beginning of Linux's `struct tcp_info`: for a listening socket it has the state, the number of
# connections that wait for accept(), and the backlog.
TCP_INFO = struct.Struct("@B7x4x4x4x4xII")
# Bytes that Linux keeps for a socket: net.core.rmem_default, net.core.wmem_default.
DEFAULT_BUFFER = 212_992
LEVELS = {
    socket.SOL_SOCKET,
    socket.IPPROTO_IP,
    socket.IPPROTO_IPV6,
    socket.IPPROTO_TCP,
    socket.IPPROTO_UDP,
}

_SO = socket.SOL_SOCKET
_IP = socket.IPPROTO_IP
_IP6 = socket.IPPROTO_IPV6
_TCP = socket.IPPROTO_TCP
# Of Linux, where `socket` does not name them on every Python.
_IP_MTU_DISCOVER, _IP6_MTU_DISCOVER, _IP6_DONTFRAG = 10, 23, 62
_TCP_USER_TIMEOUT = 18

KEEPALIVE = (_SO, socket.SO_KEEPALIVE)
KEEP_IDLE = (_TCP, socket.TCP_KEEPIDLE)
KEEP_INTERVAL = (_TCP, socket.TCP_KEEPINTVL)
KEEP_COUNT = (_TCP, socket.TCP_KEEPCNT)
USER_TIMEOUT = (_TCP, _TCP_USER_TIMEOUT)
TIMEOUTS = {KEEPALIVE, KEEP_IDLE, KEEP_INTERVAL, KEEP_COUNT, USER_TIMEOUT}
SYN_COUNT = (_TCP, socket.TCP_SYNCNT)
REUSE_ADDRESS = (_SO, socket.SO_REUSEADDR)
REUSE_PORT = (_SO, socket.SO_REUSEPORT)
BROADCAST = (_SO, socket.SO_BROADCAST)
V6_ONLY = (_IP6, socket.IPV6_V6ONLY)

# Linux's values for options that were never set.
DEFAULTS: dict[Option, int | bytes] = {
    (_SO, socket.SO_LINGER): LINGER.pack(0, 0),
    (_SO, socket.SO_RCVTIMEO): bytes(16),
    (_SO, socket.SO_SNDTIMEO): bytes(16),
    (_SO, socket.SO_RCVLOWAT): 1,
    (_SO, socket.SO_SNDLOWAT): 1,
    (_IP, socket.IP_TTL): 64,
    (_IP, _IP_MTU_DISCOVER): 1,
    (_IP6, socket.IPV6_UNICAST_HOPS): 64,
    (_IP6, _IP6_MTU_DISCOVER): 1,
    SYN_COUNT: 6,
    (_TCP, socket.TCP_QUICKACK): 1,
    KEEP_IDLE: 7200,
    KEEP_INTERVAL: 75,
    KEEP_COUNT: 9,
}
# Options that are on or off: set to anything but 0, they report 1.
SWITCHES = {
    BROADCAST,
    KEEPALIVE,
    REUSE_ADDRESS,
    REUSE_PORT,
    V6_ONLY,
    (_SO, socket.SO_DONTROUTE),
    (_SO, socket.SO_OOBINLINE),
    (_TCP, socket.TCP_NODELAY),
    (_TCP, socket.TCP_QUICKACK),
    (_IP6, _IP6_DONTFRAG),
}
# The smallest and the largest that SO_SNDBUF and SO_RCVBUF can be set to, as reported: Linux
# doubles the given value, to allow for its own bookkeeping.
BUFFER_SIZES = {socket.SO_SNDBUF: (4608, 425_984), socket.SO_RCVBUF: (2304, 425_984)}
# The numbers that Linux takes; others are EINVAL.
_RANGES = {
    KEEP_IDLE: range(1, 32768),
    KEEP_INTERVAL: range(1, 32768),
    KEEP_COUNT: range(1, 128),
    SYN_COUNT: range(1, 128),
    USER_TIMEOUT: range(2**31),
    (_IP, socket.IP_TTL): range(1, 256),
}
EFFECTIVE = {
    BROADCAST,
    KEEPALIVE,
    KEEP_COUNT,
    KEEP_IDLE,
    KEEP_INTERVAL,
    REUSE_ADDRESS,
    REUSE_PORT,
    SYN_COUNT,
    USER_TIMEOUT,
    V6_ONLY,
    (_SO, socket.SO_LINGER),
    (_SO, socket.SO_RCVBUF),
    (_SO, socket.SO_SNDBUF),
}
# Options with an effect on a connection, now or when there is one.
APPLIED = TIMEOUTS | {
    (_SO, socket.SO_LINGER),
    (_SO, socket.SO_RCVBUF),
    (_SO, socket.SO_SNDBUF),
}
READ_ONLY = {
    (_SO, socket.SO_ACCEPTCONN),
    (_SO, socket.SO_DOMAIN),
    (_SO, socket.SO_ERROR),
    (_SO, socket.SO_PEERCRED),
    (_SO, socket.SO_PROTOCOL),
    (_SO, socket.SO_SNDLOWAT),
    (_SO, socket.SO_TYPE),
}
# Options that can be set and change nothing, and why.
KEPT: dict[Option, str] = {
    (_SO, socket.SO_DONTROUTE): "every host is reached directly",
    (_SO, socket.SO_OOBINLINE): "there is no urgent data",
    (_SO, socket.SO_PRIORITY): "a link carries all packets alike",
    (_SO, socket.SO_RCVTIMEO): "no call waits",
    (_SO, socket.SO_SNDTIMEO): "no call waits",
    (_IP, socket.IP_TOS): "a link carries all packets alike",
    (_IP, socket.IP_TTL): "every host is reached directly",
    (_IP, _IP_MTU_DISCOVER): "a link carries datagrams of any size",
    (_IP6, socket.IPV6_TCLASS): "a link carries all packets alike",
    (_IP6, socket.IPV6_UNICAST_HOPS): "every host is reached directly",
    (_IP6, _IP6_DONTFRAG): "a link carries datagrams of any size",
    (_IP6, _IP6_MTU_DISCOVER): "a link carries datagrams of any size",
    (_TCP, socket.TCP_NODELAY): "written data is sent immediately",
    (_TCP, socket.TCP_QUICKACK): "received data is acknowledged immediately",
}
_PREFIXES = {_SO: "SO_", _IP: "IP_", _IP6: "IPV6_", _TCP: "TCP_", socket.IPPROTO_UDP: "UDP_"}


def as_int(value: int | bytes) -> int:
    """Return the number that a value stands for."""
    if isinstance(value, bytes):
        return int.from_bytes(value[:4], sys.byteorder, signed=True)
    return int(value)


def name_of(option: Option) -> str | None:
    """Return the name that `socket` has for an option, or None."""
    level, number = option
    prefix = _PREFIXES.get(level, "")
    names = [
        name
        for name, value in vars(socket).items()
        if prefix and name.startswith(prefix) and value == number
    ]
    return min(names, key=len) if names else None


def default(option: Option) -> int | bytes:
    """Return Linux's value for an option that was never set.

    Raises:
        OSError: it has no such option (ENOPROTOOPT).
        NotSimulated: the option is not simulated.
    """
    if option not in DEFAULTS and option not in EFFECTIVE and option not in KEPT:
        refuse(option)
    return DEFAULTS.get(option, 0)


def checked(option: Option, value: int | bytes) -> int | bytes:
    """Return a value as the kernel keeps it.

    Raises:
        OSError: the option cannot be set (ENOPROTOOPT), or not to this value (EINVAL).
        NotSimulated: the option would have an effect that is not simulated.
    """
    if option in READ_ONLY:
        raise os_error(errno.ENOPROTOOPT)
    if option == (_SO, socket.SO_RCVLOWAT) and as_int(value) in (0, 1):
        return 1
    if option not in EFFECTIVE and option not in KEPT:
        refuse(option, f"with the value {value!r}")
    if option in SWITCHES:
        return int(bool(as_int(value)))
    if option[0] == _SO and option[1] in BUFFER_SIZES:
        smallest, largest = BUFFER_SIZES[option[1]]
        return min(max(2 * as_int(value), smallest), largest)
    if option in _RANGES and as_int(value) not in _RANGES[option]:
        raise os_error(errno.EINVAL)
    return value


def refuse(option: Option, how: str = "") -> NoReturn:
    """Raise `NotSimulated` for an option that Linux has, else `OSError` (ENOPROTOOPT)."""
    name = name_of(option)
    if name is None:
        raise os_error(errno.ENOPROTOOPT)
    raise NotSimulated(f"the socket option {name} is not simulated {how}".rstrip())
