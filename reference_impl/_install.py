"""Putting the reference in place of asyncio's streams, and back."""

from __future__ import annotations

import asyncio
import asyncio.streams
from types import TracebackType
from typing import Any

from . import _api, _exchange, _flow_control, _protocol, _reader, _writer

_PUBLIC = {
    "StreamReader": _reader.StreamReader,
    "StreamReaderProtocol": _protocol.StreamReaderProtocol,
    "StreamWriter": _writer.StreamWriter,
    "open_connection": _api.open_connection,
    "open_unix_connection": _api.open_unix_connection,
    "start_server": _api.start_server,
    "start_unix_server": _api.start_unix_server,
}
_REPLACEMENTS: dict[Any, dict[str, Any]] = {
    asyncio: _PUBLIC,
    asyncio.streams: _PUBLIC | {"FlowControlMixin": _flow_control.FlowControlMixin},
}

_replaced: list[tuple[Any, str, Any]] = []  # module, name, the replaced object
_depth = 0


class install:
    """Replace ``asyncio.open_connection()`` and asyncio's other streams by this package's.

    Libraries that look the names up in `asyncio` or `asyncio.streams` when they use them get this
    package's. Libraries that copied a name before (``from asyncio import StreamReader``) keep
    asyncio's, which works together with this package's. Open streams do not change. Calls nest:
    each needs its own `uninstall()`, and the last restores the names from before the first.

    As a context manager it uninstalls at the end::

        with reference_impl.install():
            asyncio.run(main())
    """

    def __init__(self) -> None:
        """Install."""
        global _depth
        if _depth == 0:
            for module, names in _REPLACEMENTS.items():
                for name, replacement in names.items():
                    if hasattr(module, name):  # no Unix sockets on Windows
                        original = getattr(module, name)
                        _replaced.append((module, name, original))
                        setattr(module, name, replacement)
                        if isinstance(original, type):
                            _exchange.replaced[replacement] = original
        _depth += 1

    def __enter__(self) -> install:
        """Return the installation."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Uninstall."""
        uninstall()


def uninstall() -> None:
    """Undo one `install()`.

    Raises:
        RuntimeError: it is not installed.
    """
    global _depth
    if _depth == 0:
        raise RuntimeError("reference_impl is not installed: call install() first")
    _depth -= 1
    if _depth == 0:
        while _replaced:
            setattr(*_replaced.pop())
        _exchange.replaced.clear()
