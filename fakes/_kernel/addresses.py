"""Addresses: their forms, and the errors of wrong ones."""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
from typing import Any

_LONGEST_PATH = 107  # the size of a path in `struct sockaddr_un`, without the zero at the end
# The names of a socket that has none.
NO_NAME: dict[int, Any] = {
    socket.AF_INET: ("0.0.0.0", 0),
    socket.AF_INET6: ("::", 0, 0, 0),
    socket.AF_UNIX: "",
}

# Parsing is slow, and programs use few addresses.
ip_address = functools.lru_cache(4096)(ipaddress.ip_address)


@functools.lru_cache(4096)
def is_unspecified(address: str) -> bool:
    """Whether an IP address is the wildcard address."""
    return ip_address(address).is_unspecified


@functools.lru_cache(4096)
def is_loopback(address: str) -> bool:
    """Whether an IP address is one that each host has for itself."""
    return ip_address(address).is_loopback


@functools.lru_cache(4096)
def normal(address: str) -> tuple[str, int]:
    """Return an IP address as it is usually written, and its version."""
    parsed = ipaddress.ip_address(address)
    return str(parsed), parsed.version


def is_address(host: str, family: int = 0) -> bool:
    """Whether a host is given as an IP address, of a family if one is named."""
    try:
        version = ip_address(host.partition("%")[0]).version
    except ValueError:
        return False
    return not family or (version == 4) == (family == socket.AF_INET)


def plain(address: Any) -> Any:
    """Return a socket address as the network knows it: an IPv4-mapped one is an IPv4 one."""
    if len(address) > 2 and address[0].lower().startswith("::ffff:"):
        mapped = getattr(ip_address(address[0]), "ipv4_mapped", None)
        if mapped is not None:
            return (str(mapped), address[1])
    return address


def in_family(address: Any, family: int) -> Any:
    """Return a socket address as a socket of a family shows it: IPv4 as mapped by an IPv6 one."""
    if family == socket.AF_INET6 and len(address) == 2:
        return (f"::ffff:{address[0]}", address[1], 0, 0)
    return address


def unix_path(path: str | bytes | bytearray | memoryview[Any]) -> str | bytes:
    """Return a Unix path as `getsockname()` gives it: an abstract one as bytes, others as text.

    Raises:
        TypeError: it is not a path.
        OSError: it is too long.
    """
    if isinstance(path, (bytearray, memoryview)):
        path = bytes(path)
    elif not isinstance(path, (str, bytes)):
        raise TypeError(f"a bytes-like object is required, not {type(path).__name__!r}")
    encoded = os.fsencode(path)
    abstract = encoded[:1] == b"\0"
    if len(encoded) > _LONGEST_PATH + abstract:
        raise OSError("AF_UNIX path too long")
    return encoded if abstract else os.fsdecode(encoded)


def check_address(family: int, address: Any, call: str) -> None:
    """Raise the error of `socket.bind()` and `connect()` for an address that is not valid."""
    if not isinstance(address, tuple):
        name = socket.AddressFamily(family).name
        raise TypeError(f"{call}(): {name} address must be tuple, not {type(address).__name__}")
    if family == socket.AF_INET and len(address) != 2:
        raise TypeError("AF_INET address must be a pair (host, port)")
    if not 2 <= len(address) <= 4:
        raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    host, port = address[:2]
    if not isinstance(host, str):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if "\0" in host:
        raise TypeError("host name must not contain null character")
    if not isinstance(port, int):
        raise TypeError(f"{type(port).__name__!r} object cannot be interpreted as an integer")
    if not 0 <= port <= 65535:
        raise OverflowError(f"{call}(): port must be 0-65535.")
