"""A transport's information about its connection, which the description leaves to it."""

import asyncio
from typing import Any

from conformance.errors import NotApplicable

_MISSING = object()


def known(source: asyncio.StreamWriter | asyncio.BaseTransport, name: str) -> Any:
    """Return `get_extra_info(name)`.

    The description lists keys that "some transports" know, so a transport that does not know one is
    not wrong.

    Raises:
        NotApplicable: the transport does not know it.
    """
    found = source.get_extra_info(name, _MISSING)
    if found is _MISSING or found is None:
        raise NotApplicable(f"the transport does not know {name!r}")
    return found


def unknown_to(writer: asyncio.StreamWriter, tls: bool, role: str) -> list[str]:
    """Return the names that a transport of CPython's knows, and this writer's does not.

    Args:
        writer: the writer.
        tls: whether its connection speaks TLS.
        role: whether it is the `"client"`, which has verified the peer's certificate, or the
            `"server"`, which has not.
    """
    names = ["socket", "peername", "sockname"]
    if tls:
        names += ["sslcontext", "ssl_object", "cipher", "peercert", "compression"]
    # A known name without a value is None: a certificate, and a compression.
    may_be_none = {"compression", "peercert"} if role == "server" else {"compression"}
    missing = object()
    found = {name: writer.get_extra_info(name, missing) for name in names}
    return [
        name
        for name, value in found.items()
        if value is missing or (value is None and name not in may_be_none)
    ]
