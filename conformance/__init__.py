"""The conformance suite for implementations of the asyncio streams API.

An implementation that has the names of the streams page needs no further code. To plug in one of
another shape, write an adapter: a subclass of `ReaderAdapter` or `PairAdapter`.
"""

from conformance.adapters import PairAdapter, ReaderAdapter

__all__ = ["PairAdapter", "ReaderAdapter"]
