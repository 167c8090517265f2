"""Compare the clauses with those of an older commit, into docs/generated/clause_changes.md.

    python -m campaigns.clause_changes OLD

OLD is a commit, which has to be in the repository. reasons.toml says why a clause was removed, or
has another level, version or meaning: the exit status is 1 if one that was removed, or has another
level or version, lacks a reason, and if a reason is of a clause that did not change. A text without
a reason was only reworded: such texts are counted, and not listed.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from conformance.clauses import LEVELS, UNTESTABLE

from .._shared.markdown import code, generated, table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CLAUSES = "conformance/clauses/"
PAGE = ROOT / "docs" / "generated" / "clause_changes.md"

Fields = Mapping[str, Any]
"""A clause as its file has it: `text`, `level`, `since`, …"""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some clauses changed.

    Attributes:
        why: the reason, in one sentence.
        clauses: their ids.
    """

    why: str
    clauses: tuple[str, ...]


@click.command()
@click.argument("old")
def main(old: str) -> None:
    """Write the page that compares the clauses with those of the commit OLD."""
    before, after, reasons = at(old), now(), read_reasons()
    problems = list(complaints(before, after, reasons))
    PAGE.write_text(page(old, before, after, reasons), encoding="utf-8")
    click.echo("\n".join(problems))
    sys.exit(bool(problems))


def at(commit: str) -> dict[str, Fields]:
    """Return the clauses of a commit, by id."""
    names = git("ls-tree", "--name-only", commit, CLAUSES).split()
    return parsed(git("show", f"{commit}:{name}") for name in names if is_of_clauses(name))


def now() -> dict[str, Fields]:
    """Return the clauses of the files as they are, by id."""
    files = sorted((ROOT / CLAUSES).iterdir())
    return parsed(file.read_text(encoding="utf-8") for file in files if is_of_clauses(file.name))


def is_of_clauses(name: str) -> bool:
    """Return whether a file's name is that of a section."""
    return name.endswith(".toml") and not name.endswith(UNTESTABLE)


def parsed(texts: Iterator[str]) -> dict[str, Fields]:
    """Return the clauses of the files with these texts."""
    entries = [entry for text in texts for entry in tomllib.loads(text).items()]
    return {id_: fields for id_, fields in entries if isinstance(fields, dict)}


def git(*arguments: str) -> str:
    """Return git's output."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_reasons() -> list[Reason]:
    """Return the reasons of reasons.toml."""
    entries = tomllib.loads((HERE / "reasons.toml").read_text(encoding="utf-8"))["reason"]
    return [Reason(each["why"], tuple(each["clauses"])) for each in entries]


def changed(before: Mapping[str, Fields], after: Mapping[str, Fields], field: str) -> list[str]:
    """Return the ids of the clauses that both have, and whose `field` differs."""
    both = [id_ for id_ in before if id_ in after]
    return [id_ for id_ in both if before[id_].get(field) != after[id_].get(field)]


def complaints(
    before: Mapping[str, Fields], after: Mapping[str, Fields], reasons: list[Reason]
) -> Iterator[str]:
    """Yield, in words, changes without a reason, and reasons without a change."""
    explained = [id_ for reason in reasons for id_ in reason.clauses]
    gone = [id_ for id_ in before if id_ not in after]
    moved = [*changed(before, after, "level"), *changed(before, after, "since")]
    for id_ in dict.fromkeys([*gone, *moved]):
        if id_ not in explained:
            yield f"{id_}: removed, or of another level or version, and no reason says why"
    for id_, count in Counter(explained).items():
        if id_ not in {*gone, *moved, *changed(before, after, "text")}:
            yield f"{id_}: has a reason, and did not change"
        if count > 1:
            yield f"{id_}: has {count} reasons"


def page(
    old: str, before: Mapping[str, Fields], after: Mapping[str, Fields], reasons: list[Reason]
) -> str:
    """Return the page."""
    explained = {id_ for reason in reasons for id_ in reason.clauses}
    added = {id_: fields for id_, fields in after.items() if id_ not in before}
    worded = [id_ for id_ in changed(before, after, "text") if id_ not in explained]
    why = {id_: reason.why for reason in reasons for id_ in reason.clauses}
    parts = [
        generated(f"python -m campaigns.clause_changes {old}").strip(),
        "# How the clauses changed",
        f"This page compares the clauses of commit {code(old)} with those of today. It gives "
        "the reason for each clause that is removed, or has another level, version or meaning. The "
        "command in the first line of this page, run in `tests`, writes it.",
        "## Counts by level",
        counts(before, after),
        "## Removed",
        table(
            ("Clause", "Level", "Why"),
            (
                (code(id_), fields["level"], why.get(id_, ""))
                for id_, fields in before.items()
                if id_ not in after
            ),
        ),
    ]
    for title, field in (("Another level", "level"), ("Another version", "since")):
        rows = [
            (code(id_), before[id_][field], after[id_][field], why.get(id_, ""))
            for id_ in changed(before, after, field)
        ]
        parts += [f"## {title}", table(("Clause", "Before", "Now", "Why"), rows)]
    parts += ["## Another meaning", *meanings(before, after, reasons)]
    parts.append(f"{len(worded)} more texts were only reworded; their meaning is the same.")
    rows_added = [(code(id_), fields["level"], fields["text"]) for id_, fields in added.items()]
    parts += [f"## Added: {len(added)}", table(("Clause", "Level", "Text"), rows_added)]
    return "\n\n".join(parts) + "\n"


def counts(before: Mapping[str, Fields], after: Mapping[str, Fields]) -> str:
    """Return a table of how many clauses there are of each level."""
    old, new = (Counter(each["level"] for each in some.values()) for some in (before, after))
    rows = [(level, old[level], new[level]) for level in LEVELS]
    return table(("Level", "Before", "Now"), [*rows, ("all", len(before), len(after))], numbers=2)


def meanings(
    before: Mapping[str, Fields], after: Mapping[str, Fields], reasons: list[Reason]
) -> Iterator[str]:
    """Yield the texts that mean something else, reason by reason."""
    texts = changed(before, after, "text")
    for reason in reasons:
        rows = [
            (code(id_), before[id_]["text"], after[id_]["text"])
            for id_ in reason.clauses
            if id_ in texts
        ]
        if rows:
            yield reason.why
            yield table(("Clause", "Before", "Now"), rows)


if __name__ == "__main__":
    main()
