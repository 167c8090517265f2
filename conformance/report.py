"""The certificate as a person reads it in a terminal."""

from collections.abc import Sequence
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from conformance.certificate import (
    FAILED,
    KNOWN,
    NOT_APPLICABLE,
    PASSED,
    Certificate,
    Verdict,
    where,
)
from conformance.clauses import DECISIVE


def show(certificate: Certificate, console: Console, gone: Sequence[str] = ()) -> None:
    """Print the certificate: deviations, sections, and the conclusion.

    The deviations come first, so that what a terminal shows in the end is the summary.

    Args:
        certificate: the certificate.
        console: where to print it.
        gone: the ids of clauses that were listed as known deviations and have passed.
    """
    parts: list[RenderableType] = [heading(certificate)]
    parts += [
        deviation(certificate, each) for each in certificate.verdicts if each.verdict == FAILED
    ]
    parts += [known(each) for each in certificate.verdicts if each.verdict == KNOWN]
    parts += [
        Text.assemble("\n", ("! ", "bold yellow"), (id_, "bold"), "  passes: no longer a deviation")
        for id_ in gone
    ]
    parts += [Text(), sections(certificate), Text(), conclusion(certificate, gone)]
    console.print(Group(*parts), crop=False)


def certificate_text(certificate: Certificate, gone: Sequence[str] = ()) -> str:
    """Return what `show()` prints as plain text, 100 columns wide."""
    console = Console(file=StringIO(), width=100)
    show(certificate, console, gone)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def heading(certificate: Certificate) -> Text:
    """Return what was certified, and against what."""
    text = Text.assemble(
        "Conformance of ", (certificate.implementation, "bold"), " to the asyncio streams API"
    )
    text.append(
        f"\nPython {certificate.python}, loop {certificate.loop}, "
        f"specification {certificate.spec}, networks {', '.join(certificate.networks)}"
    )
    return text


def sections(certificate: Certificate) -> Table:
    """Return the table of how many clauses passed, failed and do not apply, by section."""
    counts: dict[str, dict[str, int]] = {}
    for each in certificate.verdicts:
        row = counts.setdefault(each.clause.section, {})
        row[each.verdict] = row.get(each.verdict, 0) + 1
    table = Table(box=None, padding=(0, 2), show_footer=True)
    table.add_column("Section", footer="All")
    for title, verdict in (
        ("passed", PASSED),
        ("failed", FAILED),
        ("known", KNOWN),
        ("not applicable", NOT_APPLICABLE),
    ):
        table.add_column(title, justify="right", footer=str(certificate.summary[verdict]))
    for section, row in counts.items():
        failed = row.get(FAILED, 0)
        table.add_row(
            section,
            Text(str(row.get(PASSED, 0))),
            Text(str(failed), style="bold red" if failed else "dim"),
            Text(str(row.get(KNOWN, 0)), style="dim"),
            Text(str(row.get(NOT_APPLICABLE, 0)), style="dim"),
        )
    return table


def deviation(certificate: Certificate, verdict: Verdict) -> RenderableType:
    """Return one failed clause: its text, what was expected and seen, and how to run it alone."""
    clause = verdict.clause
    parts: list[RenderableType] = [
        Text(),
        Text.assemble(("✗ ", "bold red"), (clause.id, "bold"), f"  ({clause.level})"),
        Padding(Text(clause.text), (0, 0, 0, 2)),
    ]
    for finding, variants in verdict.findings.items():
        table = Table.grid(padding=(0, 1))
        table.add_row("  expected", Text(finding.expected))
        table.add_row("  seen", Text(finding.seen))
        table.add_row("  as", Text(where(variants)))
        parts.append(table)
    loop = "" if certificate.loop == "asyncio" else f" --streams-loop {certificate.loop}"
    command = (
        f"pytest --pyargs conformance --streams {certificate.implementation}{loop} -k {clause.id}:"
    )
    for line in (clause.link or clause.source, command):
        # Never wrapped, so that it can be copied.
        parts.append(Text(f"  {line}", "dim", no_wrap=True, overflow="ignore"))
    return Group(*parts)


def known(verdict: Verdict) -> RenderableType:
    """Return one known deviation: its id and the reason that is given for it."""
    reason = verdict.detail.splitlines()[0]
    return Group(
        Text(),
        Text.assemble(("~ ", "bold yellow"), (verdict.clause.id, "bold")),
        Padding(Text(reason), (0, 0, 0, 2)),
    )


def conclusion(certificate: Certificate, gone: Sequence[str]) -> Text:
    """Return the last line: whether it conforms, and what else there is to say."""
    decisive = [
        each
        for each in certificate.verdicts
        if each.verdict in (FAILED, KNOWN) and each.clause.level in DECISIVE
    ]
    deviations = certificate.summary[FAILED] + certificate.summary[KNOWN]
    name = certificate.implementation
    if certificate.conforms:
        text = Text.assemble((f"{name} conforms", "bold green"))
        text.append(f" to specification {certificate.spec}")
    else:
        text = Text.assemble((f"{name} deviates", "bold red"))
        text.append(f" from specification {certificate.spec} in {counted(len(decisive))}")
    if deviations > len(decisive):
        text.append(f"; {counted(deviations - len(decisive))} beyond the description")
    if certificate.summary[KNOWN]:
        text.append(f"; {certificate.summary[KNOWN]} of all these known")
    if gone:
        text.append(
            f"\n{counted(len(gone))} listed as known passed: remove from the file what is gone"
        )
    return text


def counted(number: int) -> str:
    """Return `number` with the noun that goes with it."""
    return f"{number} clause{'' if number == 1 else 's'}"
