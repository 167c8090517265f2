"""The transport of a simulated datagram socket: asyncio's own, watched by the network."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import weakref
from collections.abc import Callable
from typing import Any

from fakes._asyncio.private_api import SelectorDatagramTransport
from fakes._kernel.readiness import Watch
from fakes._kernel.socket import Socket


class DatagramTransport(SelectorDatagramTransport):  # type: ignore[misc]  # typeshed lacks it
    """asyncio's transport, so that it behaves as on the running Python."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: Socket,
        protocol: asyncio.DatagramProtocol,
        address: Any,
        waiter: asyncio.Future[None] | None,
        extra: Any,
    ) -> None:
        super().__init__(_Selector(loop, sock), sock, protocol, address, waiter, extra)
        sock.transport = weakref.ref(self)

    def __repr__(self) -> str:
        """Show the state and the addresses."""
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        peer = self._extra.get("peername")
        return f"<fakes.DatagramTransport {state} {self._extra['sockname']} -> {peer}>"

    def vanish(self) -> None:
        """The host has crashed: end without a callback, not even to the protocol."""
        self._sock = None
        self._closing = True
        self._buffer.clear()


class _Selector:
    """An event loop as asyncio's transport needs it: it watches sockets by their numbers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: Socket) -> None:
        self._loop = loop
        self._sock = weakref.ref(sock)
        self._transports: dict[int, object] = weakref.WeakValueDictionary()  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        """Forward everything else to the loop."""
        return getattr(self._loop, name)

    def _watch(self, reading: bool, callback: Callable[..., Any], args: Any, context: Any) -> None:
        sock = self._sock()
        if sock is not None:
            watch = Watch(
                sock.pollable, reading, functools.partial(callback, *args), self._loop, context
            )
            (sock.watch_reading if reading else sock.watch_writing)(watch)

    def _add_reader(
        self,
        fd: int,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> None:
        self._watch(True, callback, args, context)

    def _add_writer(
        self,
        fd: int,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> None:
        self._watch(False, callback, args, context)

    def _remove_reader(self, fd: int) -> bool:
        sock = self._sock()
        return sock is not None and not sock.closed and sock.watch_reading(None)

    def _remove_writer(self, fd: int) -> bool:
        sock = self._sock()
        return sock is not None and not sock.closed and sock.watch_writing(None)
