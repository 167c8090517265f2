"""Public names: users see `fakes.Loop`, whatever file it is in."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def public(thing: T) -> T:
    """Make a class or a function of the package appear as one of `fakes` itself."""
    thing.__module__ = "fakes"
    return thing
