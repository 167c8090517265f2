"""Plugging in what does not have the shape of the streams page: a reader alone, or a pair.

An adapter is a class of a few lines. Where it has nothing to offer (a reader alone cannot serve),
the clauses that ask for it are not applicable. What else it lacks it says as every implementation
does: see `conformance.subject.capabilities`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar


class ReaderAdapter(ABC):
    """Plugs in a reader alone: something that is fed bytes by hand and read from.

    Attributes:
        distribution: the name of the distribution that is certified by way of this adapter, such
            as `"aiohttp"`: the certificate states its version.
        without: what it lacks, such as `"StreamReader.readuntil"`; clauses about that are not
            applicable.
    """

    network: ClassVar[str] = "reader"
    distribution: str | None = None
    without: Collection[str] = frozenset()

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

    async def close(self, reader: Any) -> None:
        """Give back what `reader` holds: called at the end of each test, for each reader made."""
        return


class PairAdapter(ABC):
    """Plugs in streams that come as a connected pair, made some way of their own.

    The suite tests one end and uses the other as the far end, so what it finds is about the two
    together.

    Attributes:
        distribution: the name of the distribution that is certified by way of this adapter, such
            as `"asyncssh"`: the certificate states its version.
        virtual_time: whether the pair works on the fakes' loop, in virtual time; `False` where it
            stands on real sockets or threads.
        without: what its ends lack, such as `"StreamWriter.start_tls"`; clauses about that are
            not applicable.
        far_without: what the second end lacks, where that is not the same.
        one_end: whether only the first end is under test, and the second a helper; otherwise each
            clause is tested on both.
        unread_capacity: bytes that the pair holds, at most, for an end that does not read. Tests
            that fill it write 1 MiB more than that, so that a pair that moves bytes slowly should
            not claim more than it holds.
    """

    network: ClassVar[str] = "pair"
    distribution: str | None = None
    virtual_time: bool = True
    without: Collection[str] = frozenset()
    far_without: Collection[str] | None = None
    one_end: bool = False
    unread_capacity: int = 8 * 1024 * 1024

    @abstractmethod
    async def pair(self, limit: int) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Return two connected ends, each a `(reader, writer)`.

        Args:
            limit: bytes that a reader may look through for a separator.
        """

    async def close(self, ends: tuple[tuple[Any, Any], tuple[Any, Any]]) -> None:
        """Give back what `ends` hold: called at the end of each test, for each pair made.

        By then the writers of both ends have been closed.

        Args:
            ends: what `pair()` returned.
        """
        return
