"""Plugging in what does not have the shape of the streams page: a reader alone, or a pair.

An adapter is a class of a few lines. Where it has nothing to offer (a reader alone cannot serve),
the clauses that ask for it are not applicable. What else it lacks it says as every implementation
does: see `conformance.capabilities`.
"""

from abc import ABC, abstractmethod
from typing import Any


class ReaderAdapter(ABC):
    """Plugs in a reader alone: something that is fed bytes by hand and read from.

    Attributes:
        without: what it lacks, such as `"StreamReader.readuntil"`; clauses about that are not
            applicable.
    """

    without: frozenset[str] = frozenset()

    @abstractmethod
    def reader(self, limit: int) -> Any:
        """Return a new reader, inside a running event loop.

        Args:
            limit: bytes that it may look through for a separator.
        """

    @abstractmethod
    def feed_data(self, reader: Any, data: bytes) -> None:
        """Give `reader` a piece of received bytes."""

    @abstractmethod
    def feed_eof(self, reader: Any) -> None:
        """Tell `reader` that nothing more will come."""


class PairAdapter(ABC):
    """Plugs in streams that come as a connected pair, made some way of their own.

    The suite tests one end and uses the other as the far end, so what it finds is about the two
    together.

    Attributes:
        virtual_time: whether the pair works on the fakes' loop, in virtual time; `False` where it
            stands on real sockets or threads.
        without: what its ends lack, such as `"StreamWriter.start_tls"`; clauses about that are
            not applicable.
    """

    virtual_time: bool = True
    without: frozenset[str] = frozenset()

    @abstractmethod
    async def pair(self, limit: int) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Return two connected ends, each a `(reader, writer)`.

        Args:
            limit: bytes that a reader may look through for a separator.
        """
