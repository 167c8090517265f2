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
