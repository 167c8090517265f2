"""The description as a whole: its clauses, and its sentences that no test can check."""

import json
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from conformance.clauses import LEVELS, UNTESTABLE, Clause, clauses, link


@dataclass(frozen=True, slots=True)
class Untestable:
    """A sentence of the description that no test can decide.

    Attributes:
        sentence: the sentence, in our own words.
        source: where it comes from, as in `Clause`.
        reason: why no test can decide it.
    """

    sentence: str
    source: str
    reason: str

    @property
    def link(self) -> str | None:
        """The address of the source, where it has one."""
        return link(self.source)


@dataclass(frozen=True, slots=True)
class Description:
    """The whole description.

    Attributes:
        clauses: the sentences that are true or false of an implementation, in the description's
            order.
        untestable: the rest.
    """

    clauses: tuple[Clause, ...]
    untestable: tuple[Untestable, ...]

    @property
    def levels(self) -> dict[str, int]:
        """How many clauses have each level."""
        return {name: sum(each.level == name for each in self.clauses) for name in LEVELS}

    def to_json(self) -> str:
        """Return the description as JSON text.

        It is an object with `levels` (the number of clauses of each), `clauses` (the fields of
        `Clause`, and `link`) and `untestable` (the fields of `Untestable`, and `link`).
        """
        data: dict[str, Any] = {
            "levels": self.levels,
            "clauses": [
                {
                    "id": each.id,
                    "section": each.section,
                    "level": each.level,
                    "since": each.since,
                    "text": each.text,
                    "why": each.why,
                    "quote": each.quote,
                    "source": each.source,
                    "link": each.link,
                    "needs": list(each.needs),
                }
                for each in self.clauses
            ],
            "untestable": [
                {
                    "sentence": each.sentence,
                    "source": each.source,
                    "reason": each.reason,
                    "link": each.link,
                }
                for each in self.untestable
            ],
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def description() -> Description:
    """Return the description that this suite certifies against.

    The sentences that no test can check are in `clauses/untestable.toml`: an array of tables
    `[[untestable]]`, each with the fields of `Untestable`.
    """
    file = resources.files("conformance.clauses") / UNTESTABLE
    entries = (
        tomllib.loads(file.read_text(encoding="utf-8"))["untestable"] if file.is_file() else []
    )
    return Description(tuple(clauses().values()), tuple(Untestable(**each) for each in entries))
