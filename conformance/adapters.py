"""Adapters, to plug in a reader alone, or a pair, without the names of the streams page.

An adapter is a class of a few lines. Where it has nothing to offer (a reader alone cannot serve),
the clauses that ask for it are not applicable. It lists what else it lacks as every implementation
does: see `conformance.subject.capabilities`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar


class ReaderAdapter(ABC):
    """Plugs in a reader alone, which the suite feeds by hand.

    Attributes:
        distribution: the name of the distribution that is certified with this adapter, such as
            `"aiohttp"`: the certificate states its version.
        without: the capabilities that it lacks, such as `"StreamReader.readuntil"`; clauses about
            these are not applicable.
    """

    network: ClassVar[str] = "reader"
    distribution: str | None = None
    without: Collection[str] = frozenset()

    @abstractmethod
    def reader(self, limit: int) -> Any:
        """Return a new reader, inside a running event loop.

        Args:
            limit: the number of bytes that it may search for a separator.
        """

    @abstractmethod
    def feed_data(self, reader: Any, data: bytes) -> None:
        """Give `reader` a piece of received bytes."""

    @abstractmethod
    def feed_eof(self, reader: Any) -> None:
        """Feed EOF to `reader`."""

    async def close(self, reader: Any) -> None:
        """Release the resources of `reader`; called at the end of each test, for each reader."""
        return


class PairAdapter(ABC):
    """Plugs in streams that come as a connected pair, or have their own way to connect.

    The suite tests one end and uses the other as the far end, so a failure may be a fault of
    either.

    Attributes:
        distribution: the name of the distribution that is certified with this adapter, such as
            `"asyncssh"`: the certificate states its version.
        virtual_time: whether the pair works on the fakes' loop, in virtual time; `False` if it uses
            real sockets or threads.
        without: the capabilities that its ends lack, such as `"StreamWriter.start_tls"`; clauses
            about these are not applicable.
        far_without: the capabilities that only the second end lacks.
        one_end: whether only the first end is under test, and the second is a helper; otherwise the
            suite tests each clause on both.
        unread_capacity: the greatest number of bytes that the pair holds for an end that does not
            read. Tests that fill it write 1 MiB more than that, so a pair that moves bytes slowly
            should not claim more than it holds.
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
            limit: the number of bytes that a reader may search for a separator.
        """

    async def close(self, ends: tuple[tuple[Any, Any], tuple[Any, Any]]) -> None:
        """Release the resources of `ends`; called at the end of each test, for each pair.

        The suite has closed the writers of both ends before.

        Args:
            ends: the result of `pair()`.
        """
        return
