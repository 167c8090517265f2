"""The certificate, as text for a terminal."""

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from conformance.clauses import DECISIVE, Clause
from conformance.results.certificate import (
    FAILED,
    KNOWN,
    NOT_APPLICABLE,
    PASSED,
    PLAIN_LOOP,
    Certificate,
    Evidence,
    Finding,
    Variant,
    Verdict,
    where,
)


def show(certificate: Certificate, console: Console, gone: Sequence[str] = ()) -> None:
    """Print the certificate: deviations, sections, and the conclusion.

    The deviations come first, so that the summary is at the end of the terminal's output.

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
    """Return the output of `show()` as plain text, 100 columns wide."""
    console = Console(file=StringIO(), width=100)
    show(certificate, console, gone)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def heading(certificate: Certificate) -> Text:
    """Return the subject of the certification, and its specification."""
    text = Text.assemble(
        "Conformance of ", (certificate.implementation, "bold"), " to the asyncio streams API"
    )
    text.append(
        f"\nPython {certificate.python}, loop {certificate.loop}, "
        f"specification {certificate.spec}, networks {', '.join(certificate.networks)}"
    )
    about = certificate.circumstances
    if about.versions:
        text.append("\n" + ", ".join(" ".join(each) for each in about.versions.items()))
    if certificate.stood_in:
        text.append("\nIn memory, the fakes' transports stand in for those of the event loop.")
    if about.without:
        text.append(f"\nDeclared missing: {', '.join(about.without)}")
    if about.loop_mode != PLAIN_LOOP:
        text.append(f"\nLoop mode: {about.loop_mode}")
    if about.part:
        text.append(f"\nOnly a part of the suite was run: {about.part}")
    if not certificate.complete:
        text.append(f"\nInterrupted: {about.missing} tests were not run.")
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
        parts.append(findings_table(finding, variants))
    loop = "" if certificate.loop == "asyncio" else f" --loop {certificate.loop}"
    if certificate.circumstances.loop_mode != PLAIN_LOOP:
        loop += f" --loop-mode {certificate.circumstances.loop_mode}"
    command = f"streamcert explain {clause.id} {certificate.implementation}{loop}"
    for line in (clause.link or clause.source, command):
        # Never wrapped, so that it can be copied.
        parts.append(Text(f"  {line}", "dim", no_wrap=True, overflow="ignore"))
    return Group(*parts)


def findings_table(finding: Finding, variants: Iterable[Variant]) -> Table:
    """Return what was expected and seen, and in which roles and networks."""
    table = Table.grid(padding=(0, 1))
    table.add_row("  expected", Text(finding.expected))
    table.add_row("  seen", Text(finding.seen))
    table.add_row("  as", Text(where(variants)))
    if finding.place:
        table.add_row("  test", Text(finding.place, no_wrap=True, overflow="ignore"))
    if finding.flaky:
        table.add_row("  flaky", Text("the test passed when it was tried again"))
    return table


def explain(clause: Clause, console: Console) -> None:
    """Print a clause: its text, why it matters, and its source."""
    about = f"  ({clause.level}, since Python {clause.since})"
    console.print(Text.assemble((clause.id, "bold"), about))
    console.print(Padding(Text(clause.text), (0, 0, 1, 2)))
    console.print(Text.assemble(("Why: ", "bold"), clause.why))
    if clause.quote:
        console.print(Text.assemble(("The page: ", "bold"), f"“{clause.quote}”"))
    console.print(Text.assemble(("Section: ", "bold"), clause.section))
    source = Text.assemble(("Source: ", "bold"), clause.link or clause.source)
    console.print(source, no_wrap=True, overflow="ignore", crop=False)


def explain_verdict(
    certificate: Certificate,
    clause: Clause,
    evidence: Mapping[tuple[Finding, Variant], Evidence],
    console: Console,
) -> None:
    """Print the result of one clause and, if it failed, the evidence."""
    (verdict,) = (each for each in certificate.verdicts if each.clause == clause)
    name = f"{certificate.implementation} on Python {certificate.python}, loop {certificate.loop}"
    if verdict.verdict == NOT_APPLICABLE:
        console.print(
            Text.assemble(f"\n{name}: ", ("not applicable", "bold"), f": {verdict.detail}")
        )
        return
    networks = ", ".join(f"{network} {result}" for network, result in verdict.networks.items())
    console.print(Text.assemble(f"\n{name}: ", (verdict.verdict, "bold"), f" ({networks})"))
    for finding, variants in verdict.findings.items():
        console.print(findings_table(finding, variants), crop=False)
        shown = [("The test:", source_of(finding))]
        seen = [
            (variant, evidence[finding, variant])
            for variant in variants
            if (finding, variant) in evidence
        ]
        shown += [("Traceback:", each.traceback) for _, each in seen if each.traceback][:1]
        shown += [
            (f"What crossed the wire (as {variant.role} on {variant.network}):", each.wire)
            for variant, each in seen
            if each.wire
        ][:1]
        for title, text in shown:
            if text:
                console.print(Text(f"\n  {title}"), Padding(Text(text), (0, 0, 0, 2)), crop=False)
    if verdict.findings and not any(each.wire for each in evidence.values()):
        console.print(Text("\n  No wire to show: it did not fail on a network in memory.", "dim"))


def source_of(finding: Finding) -> str:
    """Return the source of the test that a finding comes from, with the line marked."""
    module = importlib.import_module(finding.file.removesuffix(".py").replace("/", "."))
    lines, first = inspect.getsourcelines(inspect.unwrap(getattr(module, finding.test)))
    return "\n".join(
        f"{'>' if number == finding.line else ' '} {number:4} {line.rstrip()}"
        for number, line in enumerate(lines, first)
    )


def known(verdict: Verdict) -> RenderableType:
    """Return one known deviation: its id and the reason that is given for it."""
    reason = verdict.detail.splitlines()[0]
    return Group(
        Text(),
        Text.assemble(("~ ", "bold yellow"), (verdict.clause.id, "bold")),
        Padding(Text(reason), (0, 0, 0, 2)),
    )


def conclusion(certificate: Certificate, gone: Sequence[str]) -> Text:
    """Return the last line: whether it conforms, and further remarks."""
    decisive = [
        each
        for each in certificate.verdicts
        if each.verdict in (FAILED, KNOWN) and each.clause.level in DECISIVE
    ]
    deviations = certificate.summary[FAILED] + certificate.summary[KNOWN]
    name = certificate.implementation
    total = len(certificate.verdicts)
    if not certificate.complete:
        text = Text.assemble((f"{name}: no verdict", "bold red"))
        text.append(f": interrupted; {counted(len(decisive))} that decide failed so far")
    elif not certificate.conforms:
        text = Text.assemble((f"{name} deviates", "bold red"))
        text.append(f" from specification {certificate.spec} in {counted(len(decisive))}")
    elif certificate.circumstances.part:
        text = Text.assemble((f"{name} does not deviate", "bold green"))
        text.append(f" in what was tested: {certificate.applied} of {total} clauses")
    else:
        text = Text.assemble((f"{name} conforms", "bold green"))
        text.append(f" to specification {certificate.spec}")
        if certificate.applied < total:
            text.append(f" in the {certificate.applied} of {total} clauses that apply to it")
    if deviations > len(decisive):
        text.append(f"; it fails {counted(deviations - len(decisive))} beyond the description")
    if number := certificate.summary[KNOWN]:
        text.append(f"; {number} deviation{'' if number == 1 else 's'} known")
    if gone:
        text.append(
            f"\n{counted(len(gone))} listed as known passed: remove the entries from the file"
        )
    return text


def counted(number: int) -> str:
    """Return `number` with its noun."""
    return f"{number} clause{'' if number == 1 else 's'}"
