"""A lookalike whose transports have no optional information."""

from typing import Any

from .plain import Streams, StreamWriter


class Quiet:
    """A transport that returns the default for every name.

    Args:
        transport: the transport that does the work.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def __getattr__(self, name: str) -> Any:
        """Return the transport's attribute."""
        return getattr(self._transport, name)


class Writer(StreamWriter):
    """A writer on such a transport."""

    @property
    def transport(self) -> Any:
        return Quiet(self._protocol.transport)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


streams = Streams()
streams.StreamWriter = Writer
