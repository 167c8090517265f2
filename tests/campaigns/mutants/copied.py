"""CPython's `asyncio.streams`, as a module of its own that can be mutated in memory.

It is the running Python's file, read when it is imported, under another name: the standard
library's own module stays as it is. No copy of the file is kept.
"""

from __future__ import annotations

import asyncio.streams
import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "asyncio.copied_streams"
FILE = str(asyncio.streams.__file__)


class _Finder:
    """Finds the copy, unless a mutant has replaced it."""

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, FILE) if name == NAME else None


if not any(type(each).__name__ == _Finder.__name__ for each in sys.meta_path):
    sys.meta_path.append(_Finder())

_module = importlib.import_module(NAME)


class Streams:
    """The names of the page: those of the copy, and the exceptions."""

    IncompleteReadError = asyncio.IncompleteReadError
    LimitOverrunError = asyncio.LimitOverrunError

    def __getattr__(self, name: str) -> Any:
        """Return the copy's object of that name."""
        return getattr(_module, name)


streams = Streams()
