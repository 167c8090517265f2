"""Instance checks while this package is in place of asyncio's streams.

The classes here are subclasses of asyncio's, so that ``isinstance(reader, asyncio.StreamReader)``
and annotations with asyncio's names hold for them anywhere. While `install()` has put them in the
place of asyncio's, the reverse has to hold too: a reader of asyncio's own class, made by a module
that imported the class before, is still an `asyncio.StreamReader` everywhere, even within asyncio.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

replaced: dict[type, type] = {}
"""For each installed class of this package, the class that it replaces."""


class Exchangeable(ABCMeta):
    """The class of the classes that can be installed.

    An `ABCMeta`, so that a subclass can be abstract or generic too.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        """Return whether *instance* is of the class, or of the one that it replaces."""
        return super().__instancecheck__(instance) or (
            cls in replaced and isinstance(instance, replaced[cls])
        )

    def __subclasscheck__(cls, subclass: type) -> bool:
        """Return whether *subclass* is one of the class, or of the one that it replaces."""
        return super().__subclasscheck__(subclass) or (
            cls in replaced and issubclass(subclass, replaced[cls])
        )
