"""The conformance suite for implementations of the asyncio streams API.

An implementation that has the names of the streams page needs no code to be certified. One that is
shaped differently is plugged in by an adapter: a subclass of `ReaderAdapter` or `PairAdapter`.
"""

from conformance.adapters import PairAdapter, ReaderAdapter

__all__ = ["PairAdapter", "ReaderAdapter"]
