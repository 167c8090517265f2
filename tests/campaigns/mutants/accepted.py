"""The survivors that are accepted, each with its kind and the reason: `accepted/SUBJECT.toml`.

An entry lists single mutants by their keys, or covers all survivors of some operators in a
function. The former have to exist; the latter may be any number.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .operators import OPERATORS, Key, Mutant

FOLDER = Path(__file__).with_name("accepted")

KINDS = {
    "equivalent": "nobody can observe it: what is returned, sent and raised is the same",
    "unspecified": "it can be observed, and no clause forbids it: a conforming variant",
    "gap": "it is wrong, and the suite does not notice",
}
"""The kinds of accepted survivors."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Why survivors are accepted.

    Attributes:
        module: the module's name.
        function: the qualified name of the function, `""` for the module, `"*"` for any.
        kind: one of `KINDS`.
        reason: why.
        operators: the operators whose survivors it covers; empty if it lists mutants.
    """

    module: str
    function: str
    kind: str
    reason: str
    operators: tuple[str, ...] = ()

    def is_of(self, mutant: Mutant) -> bool:
        """Return whether it covers all mutants like this one."""
        return (
            mutant.operator in self.operators
            and self.module in (mutant.module, "*")
            and self.function in (mutant.function, "*")
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The accepted survivors.

    Attributes:
        single: the entry, by the mutant's key.
        general: entries on all survivors of some operators; the first that fits counts.
    """

    single: dict[Key, Entry]
    general: tuple[Entry, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Accepted:
        """Return the list in `file`; an empty one if there is none.

        Raises:
            ValueError: a mutant is listed twice, without a reason, or of no kind.
        """
        single: dict[Key, Entry] = {}
        general = []
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        for each in tomllib.loads(text).get("accepted", []):
            entry = Entry(
                each["module"],
                each["function"],
                each["kind"],
                " ".join(each["reason"].split()),
                tuple(each.get("operators", ())),
            )
            if entry.kind not in KINDS or not entry.reason:
                raise ValueError(f"{file.name}: without a kind or a reason: {each}")
            if not set(entry.operators) <= set(OPERATORS):
                raise ValueError(f"{file.name}: no such operator: {entry.operators}")
            if entry.operators:
                general.append(entry)
            for operator, statement, change in each.get("mutants", ()):
                key = (entry.module, entry.function, operator, statement, change)
                if key in single:
                    raise ValueError(f"{file.name}: twice: {key}")
                single[key] = entry
        return cls(single, tuple(general))

    def of(self, mutant: Mutant) -> Entry | None:
        """Return why a survivor is accepted; `None` if it is not."""
        if entry := self.single.get(mutant.key):
            return entry
        return next((each for each in self.general if each.is_of(mutant)), None)

    def gone(self, mutants: Iterable[Mutant]) -> list[Key]:
        """Return those listed that are not among `mutants`, which are all."""
        return sorted(self.single.keys() - {each.key for each in mutants})


def as_entries(entries: Iterable[tuple[Entry, list[Mutant]]]) -> str:
    """Return entries that list mutants, as the file has them."""
    texts = []
    for entry, members in entries:
        lines = [
            "[[accepted]]",
            f"module = {_quoted(entry.module)}",
            f"function = {_quoted(entry.function)}",
            f"kind = {_quoted(entry.kind)}",
            f"reason = {_quoted(entry.reason)}",
            "mutants = [",
        ]
        for each in members:
            key = (_quoted(text) for text in (each.operator, each.statement, each.change))
            lines.append(f"  [{', '.join(key)}],")
        texts.append("\n".join([*lines, "]", ""]))
    return "\n".join(texts)


def unexplained(mutants: Iterable[Mutant]) -> str:
    """Return survivors as entries without a kind and a reason."""
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for each in mutants:
        groups.setdefault((each.module, each.function), []).append(each)
    return as_entries((Entry(*group, "", ""), members) for group, members in groups.items())


def _quoted(text: str) -> str:
    """Return `text` as a TOML string."""
    return f'"{text}"' if not set('"\\') & set(text) else json.dumps(text, ensure_ascii=False)
