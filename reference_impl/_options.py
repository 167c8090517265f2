"""The keyword arguments of the four functions, for editors and type checkers."""

from __future__ import annotations

import socket as socket_module
import ssl as ssl_module
from typing import TypedDict


class ClientTls(TypedDict, total=False):
    """The arguments for TLS of a client's connection.

    Attributes:
        ssl: True for the system's authorities, or the settings.
        server_hostname: the name that the server's certificate must be for.
        ssl_handshake_timeout: seconds; 60 by default.
        ssl_shutdown_timeout: seconds; 30 by default.
    """

    ssl: bool | ssl_module.SSLContext | None
    server_hostname: str | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None


class OpenUnixOptions(ClientTls, total=False):
    """The arguments of `open_unix_connection()` beside the path and the limit.

    Attributes:
        sock: a connected Unix socket, in the place of a path.
    """

    sock: socket_module.socket | None


class OpenOptions(ClientTls, total=False):
    """The arguments of `open_connection()` beside the address and the limit.

    Attributes:
        family: the only address family to connect to; any by default.
        proto: for the lookup of the host.
        flags: for the lookup of the host.
        sock: a connected socket, in the place of an address.
        local_addr: the host and port that the connection comes from.
        happy_eyeballs_delay: seconds after which the next address is tried beside the one before.
        interleave: how many addresses of the first family come before the others.
    """

    family: int
    proto: int
    flags: int
    sock: socket_module.socket | None
    local_addr: tuple[str, int] | None
    happy_eyeballs_delay: float | None
    interleave: int | None


class ServeUnixOptions(TypedDict, total=False):
    """The arguments of `start_unix_server()` beside the callback, the path and the limit.

    Attributes:
        sock: a bound Unix socket, in the place of a path.
        backlog: connections that may wait to be accepted; 100 by default.
        ssl: the settings of TLS.
        ssl_handshake_timeout: seconds; 60 by default.
        ssl_shutdown_timeout: seconds; 30 by default.
        start_serving: whether it accepts connections immediately; True by default.
    """

    sock: socket_module.socket | None
    backlog: int
    ssl: ssl_module.SSLContext | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    start_serving: bool


class ServeOptions(ServeUnixOptions, total=False):
    """The arguments of `start_server()` beside the callback, the address and the limit.

    Attributes:
        family: the only address family to serve on; any by default.
        flags: for the lookup of the host; AI_PASSIVE by default.
        reuse_address: whether SO_REUSEADDR is set; True by default on Unix.
        reuse_port: whether other servers may share the port; False by default.
        keep_alive: whether SO_KEEPALIVE is set on the connections.
    """

    family: int
    flags: int
    reuse_address: bool | None
    reuse_port: bool | None
    keep_alive: bool | None
