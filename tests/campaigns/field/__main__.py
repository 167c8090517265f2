"""Certify other people's libraries and loops, into docs/generated/field.md.

    tox -e field [-- NAME ...]

Each name is one of `SUBJECTS`; without any, all are certified. A summary of each certificate is
kept in docs/generated/field, and the page has all that are there. A finding has to explain every
clause that fails: one of docs/findings-field.md, whose programs are run, or of docs/findings.md.
The exit status is 1 if a clause has none, or if a program prints something other than the page
says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from conformance.clauses import DECISIVE
from conformance.errors import CannotRun

from .._shared.certifying import certificate_of
from .._shared.markdown import code, generated, table
from .._shared.programs import output_of
from ..findings.__main__ import findings as pages_findings
from ..findings.__main__ import without_figures
from .findings import Finding, explained, findings
from .subjects import ADAPTERS, SUBJECTS, Subject

ROOT = Path(__file__).resolve().parents[3]
SUMMARIES = ROOT / "docs" / "generated" / "field"
PAGE = SUMMARIES.with_suffix(".md")

HEAD = (
    generated("tox -e field")
    + """\
# The field, certified

These are other people's stream libraries and event loops, each with an adapter in
[docs/field](https://github.com/streamcert/streamcert/tree/main/docs/field), held to the
description of asyncio's streams. Few of them promise to follow it: [the
findings](../findings-field.md) quote for each deviation what the library promises. A clause is *not
applicable* if it is about something that the adapter declares missing, or about another network.
`tox -e field` certifies them, runs the programs of the findings, and wrote this page.

"""
)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([each.name for each in SUBJECTS]))
def main(names: tuple[str, ...]) -> None:
    """Certify the subjects named, or all, run their findings' programs, and write the page."""
    SUMMARIES.mkdir(parents=True, exist_ok=True)
    problems = []
    for subject in SUBJECTS:
        if names and subject.name not in names:
            continue
        try:
            summary = certify(subject)
        except CannotRun as reason:
            problems.append(f"{subject.name}: {reason}")
            continue
        click.echo(f"{subject.name} {summary['summary']}")
        summary_of(subject).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    chosen = [each for each in findings() if not names or each.id.rpartition("-")[0] in names]
    problems += differences(chosen)
    problems += unexplained()
    PAGE.write_text(page(), encoding="utf-8")
    click.echo("\n".join(problems))
    sys.exit(bool(problems))


def certify(subject: Subject) -> dict[str, Any]:
    """Return the summary of the certificate of `subject`.

    Raises:
        CannotRun: it cannot be certified; the message says why.
    """
    certificate = certificate_of(
        subject.target, "-n2", "--spec=3.14", *subject.options, folder=ADAPTERS
    )
    failed = [each for each in certificate["clauses"] if each["verdict"] == "failed"]
    return {
        "subject": subject.name,
        "version": version(subject.distribution) if subject.distribution else "",
        "when": certificate["when"][:10],
        **{key: certificate[key] for key in ("python", "platform", "spec", "summary", "without")},
        "failed": {each["id"]: kept(each) for each in failed},
    }


def kept(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a clause that failed."""
    first = verdict["findings"][0]
    return {
        "level": verdict["level"],
        "flaky": verdict["flaky"],
        "expected": first["expected"],
        "seen": first["seen"],
    }


def differences(chosen: list[Finding]) -> Iterator[str]:
    """Run the programs; yield a line for each that prints something other than the page says."""
    tls, _ = pages_findings()
    for each in chosen:
        printed = output_of(each.program, {"tls.py": tls})
        if without_figures(printed) != without_figures(each.output):
            yield f"{each.id}: the page says {each.output!r}, not {printed!r}"


def summary_of(subject: Subject) -> Path:
    """Return the file of a summary."""
    return SUMMARIES / f"{subject.name}.json"


def summaries() -> Iterator[tuple[Subject, dict[str, Any]]]:
    """Yield the existing summaries, with their subjects."""
    for subject in SUBJECTS:
        file = summary_of(subject)
        if file.exists():
            yield subject, json.loads(file.read_text(encoding="utf-8"))


def unexplained() -> Iterator[str]:
    """Yield a line for each clause that fails and that no finding explains."""
    for subject, summary in summaries():
        for clause in summary["failed"]:
            if not explained(subject.name, subject.stands_on, clause):
                yield f"{subject.name}: no finding explains {clause}"


def page() -> str:
    """Return the page about all summaries that are there."""
    rows, sections = [], []
    for subject, summary in summaries():
        counts = summary["summary"]
        decisive = [each["level"] in DECISIVE for each in summary["failed"].values()]
        rows.append(
            [
                f"[{subject.name}](#{subject.name})",
                subject.what,
                summary["version"] or f"Python {summary['python']}",
                counts["passed"],
                f"{counts['failed']} ({sum(decisive)})",
                counts["not_applicable"],
            ]
        )
        sections.append(section(subject, summary))
    missing = ", ".join(each.name for each in SUBJECTS if not summary_of(each).exists())
    if missing:
        sections.append(f"Not certified yet: {missing}.\n")
    head = ["", "What", "Version", "Passed", "Failed (decisive)", "Not applicable"]
    return HEAD + table(head, rows, numbers=3) + "\n\n" + "\n".join(sections)


def section(subject: Subject, summary: dict[str, Any]) -> str:
    """Return the section about one subject."""
    lines = [f"## {subject.name}", ""]
    command = " ".join(["streamcert certify", subject.target, *subject.options])
    by = f"[{subject.adapter.name}]({url(subject.adapter)})" if subject.adapter else "no adapter"
    lines.append(
        f"`{command}`, by {by}, against specification {summary['spec']}, on Python "
        f"{summary['python']}, {summary['when']}."
    )
    if summary["without"]:
        lines += ["", f"Declared missing: {', '.join(map(code, summary['without']))}."]
    lines += ["", *failures(subject, summary), ""]
    return "\n".join(lines)


def failures(subject: Subject, summary: dict[str, Any]) -> list[str]:
    """Return the table of the clauses that fail, with their findings."""
    if not summary["failed"]:
        return ["No clause fails."]
    rows = [
        [
            f"`{clause}`" + (" (flaky)" if failed["flaky"] else ""),
            failed["level"],
            ", ".join(explained(subject.name, subject.stands_on, clause)) or "**unexplained**",
        ]
        for clause, failed in summary["failed"].items()
    ]
    return [table(["Clause that fails", "Level", "Finding"], rows)]


def url(file: Path) -> str:
    """Return the address of a file of the repository."""
    return f"https://github.com/streamcert/streamcert/blob/main/{file.relative_to(ROOT)}"


if __name__ == "__main__":
    main()
