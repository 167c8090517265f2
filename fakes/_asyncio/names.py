"""The methods of a loop that look up names, for those that connect and listen."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fakes._asyncio.real_sockets import simulated, take
from fakes._kernel.addresses import is_address
from fakes._kernel.socket import Socket
from fakes._network.network import Network
from fakes._network.resolver import AddressInfo

if TYPE_CHECKING:
    Base = asyncio.AbstractEventLoop
else:
    Base = object

ProtocolFactory = Callable[[], asyncio.BaseProtocol]
Connection = tuple[asyncio.Transport, Any]

# As asyncio does: the socket's type is enough.
_STREAM_PROTOCOLS = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class Names(Base):
    """Event loop methods over a `Network`, which a subclass sets as `network`."""

    network: Network
    # Whether sockets that are not simulated are left to the loop underneath.
    takes_real_sockets = True

    def _simulated(self, sock: Any) -> Any:
        """Return the simulated socket that `sock` is or stands for; None if it is not ours.

        Raises:
            NotSimulated: it is a real socket with a connection, on a loop that takes none.
        """
        if isinstance(sock, Socket):
            return sock
        return None if self.takes_real_sockets else simulated(sock, self.network)

    def _taken(self, sock: Any) -> Any:
        """As `_simulated()`, for a transport or a server to use from now on."""
        if isinstance(sock, Socket):
            return sock
        return None if self.takes_real_sockets else take(sock, self.network)

    async def getaddrinfo(  # type: ignore[override]  # typeshed repeats the overloads of socket's
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """As `socket.getaddrinfo()`, with the network's names (`Network.dns`)."""
        return await self.network.dns.lookup(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """As `socket.getnameinfo()`, with the network's names."""
        return self.network.dns.getnameinfo(sockaddr, flags)

    async def _resolve(
        self, address: Any, family: int = 0, proto: int = 0, flags: int = 0
    ) -> list[AddressInfo]:
        """As `getaddrinfo()`; but, as in asyncio, an IP address with a number is not looked up.

        So it is returned as it is, even with a port or other arguments that are wrong.
        """
        host, port = address[:2]
        number = _port_number(port)
        if host is not None and number is not None and proto in _STREAM_PROTOCOLS:
            name = host.decode("idna") if isinstance(host, bytes) else host
            for known in (socket.AF_INET, socket.AF_INET6):
                if family in (0, known) and "%" not in name and is_address(name, known):
                    rest = tuple(address[2:]) or (0, 0) if known == socket.AF_INET6 else ()
                    resolved = (name, number, *rest)
                    return [(known, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", resolved)]
        return await self.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
        )

    async def _resolve_some(
        self, address: Any, family: int, proto: int, flags: int
    ) -> list[AddressInfo]:
        """As `_resolve()`, for a client: no address is an error."""
        found = await self._resolve(address, family, proto, flags)
        if not found:
            raise OSError("getaddrinfo() returned empty list")
        return found


def _port_number(port: str | bytes | int | None) -> int | None:
    """Return a port as a number; None for a service's name."""
    if port in (None, "", b""):
        return 0
    try:
        return int(port)
    except (TypeError, ValueError):
        return None
