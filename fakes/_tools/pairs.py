"""Two connected ends, without servers and names, on any event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeVar, overload

from fakes._asyncio.transport import SocketTransport
from fakes._kernel.socket import Socket
from fakes._network.network import Network
from fakes._public import public

P = TypeVar("P", bound=asyncio.BaseProtocol)
Q = TypeVar("Q", bound=asyncio.BaseProtocol)


@public
def open_socket_pair(
    *, family: int = socket.AF_INET, network: Network | None = None
) -> tuple[Socket, Socket]:
    """Return two connected sockets of the simulated network.

    For `open_connection(sock=...)`, `loop.create_connection(sock=...)` and `loop.sock_*()` on a
    loop that carries a network (`fakes.Loop`, `fakes.network_loop()`).

    Args:
        family: `socket.AF_INET` (the default) or `AF_INET6` for TCP, `AF_UNIX` for a Unix pair.
        network: the network between them (default: the running loop's, or a new one).

    Raises:
        RuntimeError: no event loop runs.
    """
    return _network(network).socketpair(family)


@public
async def open_transport_pair(
    one: Callable[[], P], other: Callable[[], Q], *, network: Network | None = None
) -> tuple[tuple[asyncio.Transport, P], tuple[asyncio.Transport, Q]]:
    """Return two connected `(transport, protocol)` pairs, on any event loop.

    It is a TCP connection with the network's buffers, and with the faults of its link from
    localhost to localhost. Both `connection_made()` have been called.

    Args:
        one, other: called without arguments, they make the protocols.
        network: the network between them (default: the running loop's, or a new one).
    """
    loop = asyncio.get_running_loop()
    pairs: list[Any] = []
    waiters = []
    for sock, factory in zip(
        _network(network).socketpair(socket.AF_INET), (one, other), strict=True
    ):
        waiter = loop.create_future()
        protocol = factory()
        pairs.append((SocketTransport(loop, sock, protocol, waiter=waiter), protocol))
        waiters.append(waiter)
    await asyncio.gather(*waiters)
    return pairs[0], pairs[1]


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@overload
async def open_stream_pair(
    *, limit: int = 2**16, network: Network | None = None
) -> tuple[Pair, Pair]: ...


@overload
async def open_stream_pair(
    streams: Any, *, limit: int = 2**16, network: Network | None = None
) -> tuple[tuple[Any, Any], tuple[Any, Any]]: ...


@public
async def open_stream_pair(
    streams: Any = asyncio, *, limit: int = 2**16, network: Network | None = None
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return two connected `(reader, writer)` pairs, on any event loop.

    Args:
        streams: a module or any object that has `StreamReader`, `StreamReaderProtocol` and
            `StreamWriter` (default: `asyncio`).
        limit: the readers' buffer limit, in bytes (default 64 KiB).
        network: the network between them (default: the running loop's, or a new one).

    Raises:
        AttributeError: `streams` lacks one of the names.
    """
    loop = asyncio.get_running_loop()
    readers = [streams.StreamReader(limit=limit) for _ in range(2)]
    (one, first), (other, second) = await open_transport_pair(
        lambda: streams.StreamReaderProtocol(readers[0]),
        lambda: streams.StreamReaderProtocol(readers[1]),
        network=network,
    )
    return (
        (readers[0], streams.StreamWriter(one, first, readers[0], loop)),
        (readers[1], streams.StreamWriter(other, second, readers[1], loop)),
    )


def _network(given: Network | None) -> Network:
    loop = asyncio.get_running_loop()
    network = given if given is not None else getattr(loop, "network", None)
    if not isinstance(network, Network):
        network = Network()
    network.attach(loop)
    return network
