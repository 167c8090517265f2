"""The clauses: every sentence of the description that can be true or false of an implementation.

They are data: one TOML file for each section of the description, beside this module. A file has a
`title`, an `order` among the sections, and one table for each clause, named by the clause's id:

    ["readuntil.limit.data-is-kept"]
    text = "what holds of an implementation that keeps the clause, in one sentence"
    why = "Otherwise what goes wrong for a program"
    source = "asyncio-stream#asyncio.StreamReader.readuntil"
    quote = "the sentence of the page that states it, where one does"
    level = "documented"
    since = "3.5.2"
"""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from conformance.errors import CannotRun

DOCUMENTATION = "https://docs.python.org/3.15/library"

LEVELS = ("documented", "inherited", "customary", "robust")
"""The authority: the streams page; a page that it refers to; CPython, and programs rely on it;
nobody, but anything else loses bytes, hangs, leaks or misreports."""

DECISIVE = frozenset({"documented", "inherited"})
"""The levels that decide whether an implementation conforms."""


UNTESTABLE = "untestable.toml"
"""The file of sentences that are not clauses because no test can check them; see
`clauses.description`."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One fact of the description.

    Attributes:
        id: its name, in dotted words.
        text: the fact, in one sentence of our own.
        why: the harm to a program where the clause does not hold, beginning with "Otherwise".
        source: where it comes from: `page#anchor` of the Python 3.15 documentation, `CPython` for
            its observed behaviour, or the report (`owner/repository#number`) that it answers.
        level: one of `LEVELS`.
        since: the Python version whose documentation introduced it, such as `"3.13"`.
        section: the title of the section that it belongs to.
        quote: the sentence or signature of the source that states it; empty where CPython or
            nobody does.
        needs: what it makes no sense without: names that an implementation may lack, and ids of
            clauses. Where one of these is lacking, or fails, it is not applicable.
    """

    id: str
    text: str
    why: str
    source: str
    level: str
    since: str
    section: str
    quote: str = ""
    needs: tuple[str, ...] = ()

    @property
    def link(self) -> str | None:
        """The address of the source, where it has one."""
        return link(self.source)

    def applies_to(self, spec: str) -> bool:
        """Whether the documentation of Python `spec` (such as `"3.12"`) has this clause already.

        A clause that came with a bug-fix release (`"3.5.2"`) counts from its feature release on:
        specifications are versioned by feature release.
        """
        return version(self.since) <= version(spec)


def link(source: str) -> str | None:
    """Return the address of a clause's `source`; `None` where it is no page."""
    place, _, anchor = source.partition("#")
    if place.startswith("asyncio-"):
        return f"{DOCUMENTATION}/{place}.html#{anchor}"
    if "/" in place and anchor.isdigit():
        return f"https://github.com/{place}/issues/{anchor}"
    return None


def version(text: str) -> tuple[int, int]:
    """Return `(major, minor)` of a version such as `"3.13"` or `"3.5.2"`."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def named(id_: str) -> Clause:
    """Return the clause of that id.

    Raises:
        CannotRun: there is none; the message names those that are spelled alike.
    """
    if id_ not in clauses():
        alike = difflib.get_close_matches(id_, clauses(), n=3)
        instead = f"do you mean {' or '.join(alike)}?" if alike else "list them: streamcert clauses"
        raise CannotRun(f"no clause {id_!r}: {instead}")
    return clauses()[id_]


@cache
def clauses() -> dict[str, Clause]:
    """Return all clauses by id, section by section in the description's order."""
    files = [
        tomllib.loads(file.read_text(encoding="utf-8"))
        for file in resources.files(__name__).iterdir()
        if file.name.endswith(".toml") and file.name != UNTESTABLE
    ]
    found: dict[str, Clause] = {}
    for file in sorted(files, key=lambda file: int(file["order"])):
        for id_, fields in file.items():
            if not isinstance(fields, dict):
                continue  # the section's own `title` and `order`
            if id_ in found:
                raise ValueError(f"clause {id_} is defined twice")
            needs = tuple(fields.pop("needs", ()))
            found[id_] = Clause(id=id_, section=file["title"], needs=needs, **fields)
    return found
