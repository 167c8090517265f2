"""The pages: a certificate, a matrix of certificates, and the description as clauses.

Each is one HTML file that needs nothing else, neither from the network nor, for reading, from
JavaScript. The templates are in `templates/`.
"""

from datetime import UTC, datetime
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from conformance.clauses import DECISIVE, LEVELS, Clause
from conformance.clauses.description import Description
from conformance.results.certificate import (
    FAILED,
    KNOWN,
    NOT_APPLICABLE,
    PASSED,
    VERDICTS,
    Certificate,
    Verdict,
    where,
)
from conformance.results.matrix import Matrix

WORDS = {
    PASSED: "passed",
    FAILED: "failed",
    KNOWN: "known deviation",
    NOT_APPLICABLE: "not applicable",
}
MARKS = {PASSED: "✓", FAILED: "✗", KNOWN: "!", NOT_APPLICABLE: "\N{EN DASH}"}


HEADS = (
    ("Implementation", ("implementation",)),
    ("Event loop", ("implementation", "loop")),
    ("Python", ("implementation", "loop", "python")),
    ("Specification", ("implementation", "loop", "python", "spec")),
)
"""The rows of a matrix's head: a title, and the attribute that neighbours under one name share."""


def certificate_page(certificate: Certificate) -> str:
    """Return the page of one certificate."""
    verdicts = certificate.verdicts
    return _rendered(
        "certificate.html",
        certificate=certificate,
        deviations=[each for each in verdicts if each.verdict in (FAILED, KNOWN)],
        levels=_counts([(each.clause.level, each.verdict) for each in verdicts], LEVELS),
        sections=_counts([(each.clause.section, each.verdict) for each in verdicts]),
        networks=_counts(
            [(name, verdict) for each in verdicts for name, verdict in each.networks.items()],
            certificate.networks,
        ),
        by_section=_grouped(verdicts),
        where=where,
        verdict_options=[
            (name, f"{WORDS[name]} ({count})")
            for name, count in certificate.summary.items()
            if count
        ],
        section_options=list(enumerate(_grouped(verdicts), 1)),
    )


def matrix_page(matrix: Matrix, notes: tuple[str, ...] = ()) -> str:
    """Return the page of many certificates side by side.

    Args:
        matrix: the certificates, arranged.
        notes: lines to stand under the heading, such as the versions of the event loops.
    """
    deviating, others = matrix.parts
    details = [
        (row.clause.id, *detail) for row in matrix.rows if row.fails for detail in row.details
    ]
    return _rendered(
        "matrix.html",
        matrix=matrix,
        deviating=deviating,
        others=others,
        notes=notes,
        heads=HEADS,
        anchors={detail: f"detail-{number}" for number, detail in enumerate(details)},
        numbers={title: number for number, title in enumerate(matrix.sections, 1)},
        section_options=list(enumerate(matrix.sections, 1)),
    )


def description_page(description: Description) -> str:
    """Return the page that shows the description as clauses."""
    sections: dict[str, list[Clause]] = {}
    for each in description.clauses:
        sections.setdefault(each.section, []).append(each)
    return _rendered(
        "clauses.html",
        description=description,
        sections=sections,
        counts=_counts([(each.section, each.level) for each in description.clauses]),
        titles={name: name for name in LEVELS},
        section_options=list(enumerate(sections, 1)),
        since_options=[
            (since, since)
            for since in sorted(
                {each.since for each in description.clauses},
                key=lambda since: [int(number) for number in since.split(".")],
            )
        ],
    )


def _grouped(verdicts: tuple[Verdict, ...]) -> dict[str, list[Verdict]]:
    """Return the verdicts by the title of their section, in order."""
    sections: dict[str, list[Verdict]] = {}
    for each in verdicts:
        sections.setdefault(each.clause.section, []).append(each)
    return sections


def _counts(pairs: list[tuple[str, str]], rows: tuple[str, ...] = ()) -> dict[str, dict[str, int]]:
    """Count pairs of a row and a column; `rows` come first, even if they are empty."""
    counts: dict[str, dict[str, int]] = {row: {} for row in rows}
    for row, column in pairs:
        counted = counts.setdefault(row, {})
        counted[column] = counted.get(column, 0) + 1
    return counts


def code(text: str) -> Markup:
    """Return `text` with the parts in back quotes marked up as code."""
    *parts, last = text.split("`")
    if len(parts) % 2:  # a back quote without its other half
        return escape(text)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    marked = (escape(before) + Markup("<code>{}</code>").format(inside) for before, inside in pairs)
    return Markup("").join([*marked, escape(last)])


def breakable(id_: str) -> Markup:
    """Return a clause's id that can be broken after its dots if the line is too short."""
    return Markup(".<wbr>").join(id_.split("."))


def _rendered(template: str, **values: object) -> str:
    environment = Environment(
        loader=PackageLoader("conformance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(code=code, breakable=breakable)
    environment.globals.update(
        words=WORDS,
        marks=MARKS,
        verdicts_known=VERDICTS,
        decisive=DECISIVE,
        level_options=[("decisive", "those that decide"), *((name, name) for name in LEVELS)],
    )
    return environment.get_template(template).render(
        values, date=datetime.now(UTC).date().isoformat(), version=version("streamcert")
    )
