"""The ends of connections that the tests make: ours, and plain sockets for the far ends."""

import asyncio
import socket
import struct
from typing import Any, Protocol, TypeAlias

import reference_impl
from reference_impl._server import Server


class Peer:
    """The far end of a connection: a plain socket, driven through the loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, count: int = 65536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, count)

    async def receive_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = await self.receive(count - len(data))
            assert piece, f"EOF after {len(data)} of {count} bytes"
            data += piece
        return data

    async def receive_all(self) -> bytes:
        pieces = []
        while piece := await self.receive(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)

    def send_eof(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Connection: TypeAlias = tuple[reference_impl.StreamReader, reference_impl.StreamWriter, Peer]


class Connect(Protocol):
    """What the fixture `connect` is."""

    async def __call__(self, family: str = "tcp", **options: Any) -> Connection: ...


class Serve:
    """What the fixture `serve` is; it keeps the clients that it made."""

    def __init__(self) -> None:
        self.clients: list[Peer] = []

    async def __call__(self, handler: Any, **options: Any) -> tuple[Server, Peer]:
        server = await reference_impl.start_server(handler, "127.0.0.1", 0, **options)
        return server, await self.client_of(server)

    async def client_of(self, server: Server) -> Peer:
        """Connect another client."""
        client = Peer(socket.socket())
        self.clients.append(client)
        address = server.sockets[0].getsockname()
        await asyncio.get_running_loop().sock_connect(client.sock, address)
        return client
