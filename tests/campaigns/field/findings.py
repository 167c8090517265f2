"""The findings of docs/findings-field.md: the clauses that they explain, and their programs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..findings.__main__ import findings as pages_findings

PAGE = Path(__file__).parents[3] / "docs" / "findings-field.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        id: the name of the subject, and a number: `"aiohttp-1"`.
        title: its title.
        program: the program that shows it.
        output: the program's output.
        clauses: the ids of the clauses that fail by it; `*` stands for any text.
        upstream: upstream's reports of it: links, or that none was found.
    """

    id: str
    title: str
    program: str
    output: str
    clauses: tuple[str, ...]
    upstream: str

    @property
    def link(self) -> str:
        """A link to it, for pages in docs/generated."""
        return f"[{self.id}](../findings-field.md#{self.id})"


def findings() -> list[Finding]:
    """Return the findings of the page, in its order."""
    text = PAGE.read_text(encoding="utf-8")
    found = []
    for section in re.split(r'^### (?=<a id=")', text, flags=re.MULTILINE)[1:]:
        head = re.match(r'<a id="([\w-]+-\d+)"></a>(.*)', section)
        program = re.search(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        output = re.search(r"^\*\*Prints:\*\* `(.*)`", section, re.MULTILINE)
        clauses = re.search(r"^Clauses?: (.*?)(?:\n\n|\n*\Z)", section, re.DOTALL | re.MULTILINE)
        upstream = re.search(
            r"^Level: \w+\. Upstream: (.*?)\.\n\n", section, re.DOTALL | re.MULTILINE
        )
        assert head, section
        assert program, section
        assert output, section
        assert clauses, section
        assert upstream, section
        names = tuple(re.findall("`([^`]+)`", clauses[1]))
        title = head[2].strip()
        found.append(Finding(head[1], title, program[1], output[1], names, upstream[1]))
    return found


def explained(name: str, stands_on: str, clause: str) -> list[str]:
    """Return links to the findings that explain why `clause` fails.

    Args:
        name: the name of the subject.
        stands_on: the loop whose findings in docs/findings.md are its own, too; empty for none.
        clause: the id of the clause.
    """
    links = [
        each.link
        for each in findings()
        if each.id.rpartition("-")[0] == name and _fails(clause, each.clauses)
    ]
    if links or not stands_on:
        return links
    _, known = pages_findings()
    return [
        f"[{each.number}](../findings{'-rloop' if each.number in RLOOPS else ''}.md#{each.number})"
        for each in known
        if _fails(clause, each.clauses)
        and any(loop in (stands_on, "asyncio") for loop, _ in each.listed)
    ]


RLOOPS = {*range(60, 69), 78, 93}
"""The findings that are on rloop's own page."""


def _fails(clause: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(clause, each) for each in patterns)
