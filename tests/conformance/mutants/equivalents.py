"""The list of mutants that make no difference, `equivalent.toml`, each with the reason."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .operators import Key, Mutant

FILE = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Equivalents:
    """Mutants that no test could kill.

    Attributes:
        reasons: why, by the mutant's key.
    """

    reasons: dict[Key, str]

    @classmethod
    def read(cls, file: Path = FILE) -> Equivalents:
        """Return the list in `file`.

        Raises:
            ValueError: a mutant is listed twice, or without a reason.
        """
        reasons: dict[Key, str] = {}
        for entry in tomllib.loads(file.read_text(encoding="utf-8"))["equivalent"]:
            for operator, source, change in entry["mutants"]:
                key = (entry["module"], entry["function"], operator, source, change)
                if key in reasons or not entry["reason"].strip():
                    raise ValueError(f"{file.name}: twice, or without a reason: {key}")
                reasons[key] = " ".join(entry["reason"].split())
        return cls(reasons)

    def gone(self, mutants: Iterable[Mutant]) -> list[Key]:
        """Return those on the list that are not among `mutants`, which are all."""
        return sorted(self.reasons.keys() - {each.key for each in mutants})


def as_entries(mutants: Iterable[Mutant]) -> str:
    """Return `mutants` as they would stand in the list, the reasons yet to be written."""
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for each in mutants:
        groups.setdefault((each.module, each.function), []).append(each)
    entries = []
    for (module, function), members in groups.items():
        lines = [
            "[[equivalent]]",
            f'module = "{module}"',
            f'function = "{function}"',
            'reason = ""',
            "mutants = [",
        ]
        for each in members:
            texts = (_quoted(text) for text in (each.operator, each.source, each.change))
            lines.append(f"  [{', '.join(texts)}],  # line {each.line}")
        entries.append("\n".join([*lines, "]", ""]))
    return "\n".join(entries)


def _quoted(text: str) -> str:
    """Return `text` as a TOML string: as it is if possible."""
    return f"'{text}'" if "'" not in text else json.dumps(text, ensure_ascii=False)
