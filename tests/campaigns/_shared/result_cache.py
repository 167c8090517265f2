"""Results that are kept from one run of a campaign to the next, while they would be the same.

A campaign that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from .forked_suite import ROOT


class ResultCache:
    """Results by name, each with a digest of everything that it depends on, in a file that grows.

    Args:
        file: their file; it is made when there is something to keep.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, tuple[str, Any]] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    name, state, result = json.loads(line)
                except ValueError:
                    continue  # the run was ended while it wrote the line
                self._kept[name] = state, result

    def get(self, name: str, state: str) -> Any:
        """Return the result of that name, or `None` if its digest differs."""
        kept, result = self._kept.get(name, ("", None))
        return result if kept == state else None

    def last(self, name: str) -> Any:
        """Return the result of that name, whatever has changed since; `None` if there is none."""
        return self._kept.get(name, ("", None))[1]

    def keep(self, name: str, state: str, result: Any) -> None:
        """Keep a result, which JSON can hold."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._kept[name] = state, result
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, state, result], ensure_ascii=False) + "\n")


def digest(parts: Iterable[str]) -> str:
    """Return a digest of texts."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() + b"\0")
    return found.hexdigest()


@cache
def code_of(*folders: Path) -> str:
    """Return a digest of the Python code in folders of this repository."""
    return digest(
        text
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*.py"))
        for text in (str(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))
    )


@cache
def suite() -> str:
    """Return a digest of everything that each verdict depends on: the suite and its networks."""
    return code_of(Path("conformance"), Path("fakes"))
