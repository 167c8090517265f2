"""The view of their sockets that transports and servers give."""

from __future__ import annotations

from asyncio import trsock
from typing import Any, NoReturn

from fakes._kernel.errors import NotSimulated
from fakes._kernel.socket import Socket


class TransportSocket:
    """The socket of `get_extra_info("socket")` and `Server.sockets`: to inspect, not to use."""

    __slots__ = ("_sock",)

    def __init__(self, sock: Socket) -> None:
        self._sock = sock

    def __repr__(self) -> str:
        """Show the socket."""
        return f"<fakes.TransportSocket {self._sock!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        """Raise `NotSimulated` for a method that asyncio's object has."""
        why = " is not simulated" if hasattr(trsock.TransportSocket, name) else ""
        raise AttributeError(f"fakes.TransportSocket.{name}{why}", name=name, obj=self)

    @property
    def family(self) -> int:
        """The address family."""
        return self._sock.family

    @property
    def type(self) -> int:
        """`socket.SOCK_STREAM`."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """The protocol number."""
        return self._sock.proto

    @property
    def simulated(self) -> Socket:
        """The socket that the transport uses."""
        return self._sock

    def dup(self) -> NoReturn:
        """Raise `NotSimulated`."""
        raise NotSimulated(
            f"dup() of {self!r} is not simulated, because two would read from one connection: "
            "give its transport another protocol by set_protocol()"
        )

    def fileno(self) -> int:
        """Return a number that no real file has, or -1 when closed."""
        return self._sock.fileno()

    def getsockname(self) -> Any:
        """Return the socket's own address."""
        return self._sock.getsockname()

    def getpeername(self) -> Any:
        """Return the address of the other end."""
        return self._sock.getpeername()

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> Any:
        """Return an option."""
        return self._sock.getsockopt(level, optname, buflen)

    def setsockopt(
        self, level: int, optname: int, value: int | bytes | None, optlen: int | None = None
    ) -> None:
        """Set an option."""
        self._sock.setsockopt(level, optname, value, optlen)

    def shutdown(self, how: int) -> None:
        """Close one direction or both."""
        self._sock.shutdown(how)

    def setblocking(self, flag: bool) -> None:
        """Accept False only."""
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")

    def settimeout(self, value: float | None) -> None:
        """Accept 0 only."""
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout is allowed on transport sockets")

    def gettimeout(self) -> float:
        """Return 0."""
        return 0
