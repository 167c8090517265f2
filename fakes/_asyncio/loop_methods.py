"""The methods of an event loop that the simulated network answers.

`Networking` is mixed into a loop class in front of the methods it replaces. It needs only a loop's
public methods, so it serves `fakes.Loop` and, through `fakes.network_loop()`, the loops of asyncio
and uvloop.
"""

from __future__ import annotations

import asyncio
import functools
import ssl as ssl_module
from typing import IO, Any

from fakes._asyncio.clients import Clients
from fakes._asyncio.sendfile import CHUNK, check_arguments, send_file
from fakes._asyncio.servers import Servers
from fakes._asyncio.transport import SocketTransport


class Networking(Clients, Servers):
    """Event loop methods over a `Network`, which a subclass sets as `network`."""

    # --- TLS upgrade --------------------------------------------------------------------------

    async def start_tls(
        self,
        transport: asyncio.WriteTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl_module.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport | None:
        """Put TLS on an open connection; return the transport to use from then on.

        Raises:
            TypeError: a transport that cannot be upgraded; and the errors of the handshake.
        """
        if not getattr(transport, "_start_tls_compatible", False) and self.takes_real_sockets:
            upgrade = super().start_tls
        else:
            # asyncio's method needs a loop's public methods, and those of a transport that
            # SocketTransport has.
            upgrade = functools.partial(asyncio.BaseEventLoop.start_tls, self)  # type: ignore[arg-type]
        return await upgrade(
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    # --- files ----------------------------------------------------------------------------------

    async def sendfile(
        self,
        transport: asyncio.WriteTransport,
        file: IO[bytes],
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool = True,
    ) -> int:
        """Send a file over a transport; return how many bytes were sent.

        Raises:
            RuntimeError: the transport is closing.
            ConnectionError: the connection is lost.
            ValueError: a file that is not binary.
        """
        if isinstance(transport, SocketTransport):
            return await send_file(transport, file, offset, count)
        return await super().sendfile(transport, file, offset, count, fallback=fallback)

    async def sock_sendfile(
        self,
        sock: Any,
        file: IO[bytes],
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool | None = None,
    ) -> int:
        """Send a file over a simulated socket; return how many bytes were sent.

        Raises:
            ValueError: a file that is not binary; and the errors of sending.
        """
        if self._simulated(sock) is None:
            # typeshed has None as the default only of this one.
            return await super().sock_sendfile(sock, file, offset, count, fallback=fallback)
        check_arguments(file, offset, count)
        file.seek(offset)
        sent = 0
        while chunk := file.read(CHUNK if count is None else min(CHUNK, count - sent)):
            await self.sock_sendall(sock, chunk)
            sent += len(chunk)
        return sent
