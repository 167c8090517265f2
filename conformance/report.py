"""The certificate as a person reads it in a terminal."""

from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from conformance.certificate import FAILED, NOT_APPLICABLE, PASSED, Certificate, Verdict, where
from conformance.clauses import DECISIVE


def certificate_text(certificate: Certificate) -> str:
    """Return the certificate as plain text, 100 columns wide."""
    console = Console(file=StringIO(), width=100)
    show(certificate, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def rendered(certificate: Certificate) -> RenderableType:
    """Return the certificate for a rich console: deviations, sections, and the conclusion.

    The deviations come first, so that what a terminal shows in the end is the summary.
    """
    deviations = [each for each in certificate.verdicts if each.verdict == FAILED]
    return Group(
        heading(certificate),
        *(deviation(certificate, each) for each in deviations),
        Text(),
        sections(certificate),
        Text(),
        conclusion(certificate),
    )


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
        ("not applicable", NOT_APPLICABLE),
    ):
        table.add_column(title, justify="right", footer=str(certificate.summary[verdict]))
    for section, row in counts.items():
        failed = row.get(FAILED, 0)
        table.add_row(
            section,
            Text(str(row.get(PASSED, 0))),
            Text(str(failed), style="bold red" if failed else "dim"),
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
        f"pytest --pyargs conformance --streams {certificate.implementation}{loop} -k {clause.id}"
    )
    for line in (clause.link or clause.source, command):
        # Never wrapped, so that it can be copied.
        parts.append(Text(f"  {line}", "dim", no_wrap=True, overflow="ignore"))
    return Group(*parts)


def show(certificate: Certificate, console: Console) -> None:
    """Print the certificate on `console`."""
    console.print(rendered(certificate), crop=False)


def conclusion(certificate: Certificate) -> Text:
    """Return the last line: whether it conforms."""
    decisive = [
        each
        for each in certificate.verdicts
        if each.verdict == FAILED and each.clause.level in DECISIVE
    ]
    others = certificate.summary[FAILED] - len(decisive)
    beside = f"; {counted(others)} beyond the description" if others else ""
    if certificate.conforms:
        return Text.assemble(
            (f"{certificate.implementation} conforms", "bold green"),
            f" to specification {certificate.spec}{beside}",
        )
    return Text.assemble(
        (f"{certificate.implementation} deviates", "bold red"),
        f" from specification {certificate.spec} in {counted(len(decisive))}{beside}",
    )


def counted(number: int) -> str:
    """Return `number` with the noun that goes with it."""
    return f"{number} clause{'' if number == 1 else 's'}"
