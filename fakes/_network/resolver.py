"""Names and addresses: `getaddrinfo()` and `getnameinfo()` of the simulated network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from fakes._kernel.addresses import ip_address, is_address, is_loopback
from fakes._network.environment import Environment
from fakes._network.host import Host

# The C library's own functions, which format numbers and know services without any network: saved
# here, because the module's may be replaced.
_getaddrinfo, _getnameinfo = socket.getaddrinfo, socket.getnameinfo

# How a seed other than 0 varies lookups: one may take up to this many seconds longer.
LOOKUP_VARIATION = 0.005

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Resolver:
    """The network's names. Use it as `network.dns`.

    Every host's name resolves to its addresses; `add()` makes further names.

    Attributes:
        delay: seconds that the lookup of a name takes (default 0).
    """

    def __init__(self, environment: Environment, hosts: Mapping[str, Host]) -> None:
        self._environment = environment
        self._hosts = hosts
        self.delay = 0.0
        self._failures: dict[str, Exception] = {}
        self._answers: dict[str, list[tuple[str, ...]]] = {}  # the next answers; the last one stays
        self._records: dict[str, tuple[str, ...]] = {"localhost": ("127.0.0.1", "::1")}

    def add(self, name: str, *addresses: str) -> None:
        """Make a name resolve to addresses, in that order.

        Raises:
            ValueError: an address is malformed.
        """
        self._answers.pop(name.lower(), None)
        self._records[name.lower()] = tuple(str(ip_address(a)) for a in addresses)

    def answers(self, name: str, *answers: Iterable[str]) -> None:
        """Make a name resolve to other addresses with each lookup; the last answer stays.

        So does the name of a service that moves, or of a load balancer that rotates its list.

        Raises:
            ValueError: an address is malformed, or there is no answer.
        """
        if not answers:
            raise ValueError(f"answers({name!r}) needs one answer or more")
        self._answers[name.lower()] = [tuple(str(ip_address(a)) for a in one) for one in answers]

    def fail(self, name: str, error: Exception | None = None) -> None:
        """Make lookups of a name fail, until `heal()`, after the usual delay.

        Args:
            name: the name.
            error: the exception that they raise (default: `socket.gaierror`, EAI_AGAIN).
        """
        if error is None:
            error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        self._failures[name.lower()] = error

    def heal(self, name: str) -> None:
        """Make lookups of a name work again."""
        self._failures.pop(name.lower(), None)

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses of a name.

        Raises:
            socket.gaierror: the name is unknown.
        """
        name = name.lower().removesuffix(".")
        answers = self._answers.get(name)
        if answers:
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if name in self._records:
            return self._records[name]
        host = self._hosts.get(name)
        if host is None:
            unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            unknown.add_note(
                f"No simulated host is called {name!r}: add it with network.host({name!r}), or the "
                f"name with network.dns.add({name!r}, ...)."
            )
            raise unknown
        return host.addresses

    async def lookup(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """As `getaddrinfo()`, in the time that it takes: numeric addresses take none."""
        name = _name(host)
        if name and not _is_numeric(name) and not flags & socket.AI_NUMERICHOST:
            delay = self.delay
            if self._environment.varies:
                delay += LOOKUP_VARIATION * self._environment.chances("lookup").random()
            await asyncio.sleep(delay)
            failure = self._failures.get(name.lower())
            if failure is not None:
                raise failure.with_traceback(None)
        return self.getaddrinfo(name, port, family, type, proto, flags)

    def getaddrinfo(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Return the result that `socket.getaddrinfo()` would.

        Raises:
            socket.gaierror: the name or the service is unknown.
        """
        name = _name(host)
        flags &= ~socket.AI_ADDRCONFIG

        def numeric(address: str | None) -> list[AddressInfo]:
            flags_ = flags | socket.AI_NUMERICHOST
            return [*_getaddrinfo(address, port, family, type, proto, flags_)]

        if not name or _is_numeric(name) or flags & socket.AI_NUMERICHOST:
            return numeric(name)
        found: list[AddressInfo] = []
        missing: socket.gaierror | None = None
        for address in self.addresses(name):
            try:
                found += numeric(address)
            except socket.gaierror as exc:  # an address of the other family
                missing = exc
        if not found:
            raise missing or socket.gaierror(
                socket.EAI_NODATA, "No address associated with hostname"
            )
        if flags & socket.AI_CANONNAME:
            found[0] = (*found[0][:3], name, found[0][4])
        return found

    def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Return `(host, service)` as `socket.getnameinfo()` would.

        Raises:
            socket.gaierror: the address has no name, and the flags have NI_NAMEREQD.
        """
        # The C library looks up only the service: it knows other names.
        plain = flags & ~socket.NI_NAMEREQD | socket.NI_NUMERICHOST
        ip, service = _getnameinfo(sockaddr, plain)
        if flags & socket.NI_NUMERICHOST:
            return ip, service
        if is_loopback(ip.partition("%")[0]):
            return "localhost", service
        for host in self._hosts.values():
            if ip in host.addresses:
                return host.name, service
        if flags & socket.NI_NAMEREQD:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ip, service


def _name(host: str | bytes | None) -> str | None:
    """Return a host's name as text.

    Raises:
        TypeError: it is of another type; the message is that of `socket.getaddrinfo()`.
    """
    if isinstance(host, bytes):
        return host.decode("idna")
    if host is not None:
        if not isinstance(host, str):
            raise TypeError("getaddrinfo() argument 1 must be string or None")
        host.encode("idna")
    return host


def _is_numeric(host: str) -> bool:
    """Whether the C library takes a host for a number: an address, or "127.1" and the like."""
    if is_address(host):
        return True
    try:
        socket.inet_aton(host)
    except (OSError, ValueError):
        return False
    return " " not in host
