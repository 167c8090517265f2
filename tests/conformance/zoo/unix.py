"""Broken Unix streams, argument by argument."""

from typing import Any

from reference_impl import open_unix_connection, start_unix_server

from .specimen import Specimen, specimen

UNIX = ("unix",)


def opening(name: str, *fails: str) -> Specimen:
    """Return a specimen that ignores an argument of `open_unix_connection()`."""

    async def broken(path: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await open_unix_connection(path, **options)

    broken.__name__ = f"opens_without_{name}"
    fault = f"open_unix_connection() ignores `{name}`."
    return specimen(fault, *fails, networks=UNIX, replaces=open_unix_connection)(broken)


def serving(name: str, *fails: str) -> Specimen:
    """Return a specimen that ignores an argument of `start_unix_server()`."""

    async def broken(client_connected_cb: Any, path: Any = None, **options: Any) -> Any:
        options.pop(name, None)
        return await start_unix_server(client_connected_cb, path, **options)

    broken.__name__ = f"serves_without_{name}"
    fault = f"start_unix_server() ignores `{name}`."
    return specimen(fault, *fails, networks=UNIX, replaces=start_unix_server)(broken)


opens_without_limit = opening(
    "limit",
    "unix.open.limit.given",
    "readline.limit.exceeded",
    "readline.limit.exceeded-without-newline",
    "readuntil.limit.exceeded-before-separator",
    "readuntil.limit.exceeded-without-separator",
    "readuntil.limit.data-is-kept",
    "readuntil.limit.other-separator",
    "readuntil.limit.consumed-is-a-count",
    "readuntil.tuple.limit.exceeded",
    "readuntil.tuple.limit.shortest-matched",
    "reader.iteration.limit",
    "reader.errors.pickle",
)


@specimen(
    "A socket has to be non-blocking, or is refused.",
    "unix.open.sock.blocking",
    networks=UNIX,
    replaces=open_unix_connection,
)
async def refuses_blocking_sockets(path: Any = None, **options: Any) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await open_unix_connection(path, **options)


@specimen(
    "A listening socket has to be non-blocking, or is refused.",
    "unix.serve.sock.blocking",
    networks=UNIX,
    replaces=start_unix_server,
)
async def refuses_blocking_listeners(
    client_connected_cb: Any, path: Any = None, **options: Any
) -> Any:
    if options.get("sock") is not None and options["sock"].getblocking():
        raise ValueError("the socket must be non-blocking")
    return await start_unix_server(client_connected_cb, path, **options)


@specimen(
    "Without server_hostname, the certificate has to be for localhost.",
    "unix.open.ssl.server-hostname.required",
    "unix.open.ssl.server-hostname.required-to-check",
    networks=UNIX,
    replaces=open_unix_connection,
)
async def calls_itself_localhost(path: Any = None, **options: Any) -> Any:
    if options.get("ssl"):
        options.setdefault("server_hostname", "localhost")
    return await open_unix_connection(path, **options)
