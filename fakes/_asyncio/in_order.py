"""A set of weak references that keeps the order in which it was filled."""

from __future__ import annotations

import weakref
from typing import TypeVar

T = TypeVar("T")


class WeakInOrder(weakref.WeakKeyDictionary[T, None]):
    """As `weakref.WeakSet`, as far as event loops use it, and the same in every run."""

    def add(self, item: T) -> None:
        """Add an object at the end, unless it is in."""
        self.setdefault(item)

    def discard(self, item: T) -> None:
        """Remove an object if it is in."""
        self.pop(item, None)
