"""The command: `tox -e mutants -- OPTIONS`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from conformance.errors import CannotRun

from .._shared.forked_suite import ROOT
from .accepted import Accepted, unexplained
from .campaign import KILLED, SUBJECTS, Campaign
from .operators import OPERATORS, Mutant
from .table import SURVIVING, outcomes, page, summary, with_figures

PAGES = ROOT / "docs" / "generated"
README = ROOT / "README.md"


@click.command()
@click.option("--subject", type=click.Choice([*SUBJECTS]), default="reference", help="Whose.")
@click.option("--module", "modules", multiple=True, metavar="NAME", help="Only this module's.")
@click.option("--function", metavar="TEXT", help="Only those in functions whose name has TEXT.")
@click.option("--operator", "operators", multiple=True, type=click.Choice([*OPERATORS]))
@click.option("--mutant", "ids", multiple=True, metavar="ID", help="Only this one.")
@click.option("--every", type=click.IntRange(1), default=1, help="A sample: one in so many.")
@click.option("--network", metavar="NAMES", help="Only on these networks, separated by commas.")
@click.option("--once", is_flag=True, help="Only on the first network that runs its lines.")
@click.option("--first", is_flag=True, help="Only on the first Python and loop.")
@click.option("--unlisted", is_flag=True, help="Only those not listed as accepted.")
@click.option("--listed", "doubted", is_flag=True, help="Only those listed, as if they were not.")
@click.option("--list", "only_list", is_flag=True, help="List the mutants, and try none.")
@click.option("--show", is_flag=True, help="Show what became of each.")
@click.option("-n", "processes", default=os.cpu_count() or 1, help="How many at a time.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=ROOT / ".mutants",
    help="Where results are kept: a campaign that was stopped goes on from there.",
)
def main(
    subject: str,
    modules: tuple[str, ...],
    function: str | None,
    operators: tuple[str, ...],
    ids: tuple[str, ...],
    every: int,
    network: str | None,
    once: bool,
    first: bool,
    unlisted: bool,
    doubted: bool,
    only_list: bool,
    show: bool,
    processes: int,
    folder: Path,
) -> None:
    """Certify every mutant of an implementation; write its page, and its figures in the README.

    With --every, this is done with a sample, and the page and the README say so. With other options
    that choose among them, only these are tried, and nothing is written. Survivors that are not
    accepted are printed as entries for accepted/SUBJECT.toml.

    Exit status: 0 if no survivor is unexplained, and the list of accepted ones is true.
    """
    mutated = SUBJECTS[subject]
    everyone = mutated.mutants()
    accepted = mutated.accepted()
    sample = everyone[::every]
    chosen = [
        mutant
        for mutant in sample
        if (not modules or mutant.module in modules)
        and (function is None or function in mutant.function)
        and (not operators or mutant.operator in operators)
        and (not ids or mutant.id in ids)
        and not (unlisted and mutant.key in accepted.single)
        and not (doubted and mutant.key not in accepted.single)
    ]
    if only_list or not chosen:
        click.echo("\n".join(mutant.id for mutant in chosen) or "no such mutant")
        return
    options = () if network is None else (f"--streams-network={network}",)
    campaign = Campaign(mutated, folder, options, processes, once)
    try:
        believed = Accepted({}) if doubted else accepted
        campaign.run(chosen, mutated.configurations[: 1 if first else None], believed)
    except CannotRun as reason:
        sys.exit(str(reason))
    if show:
        for mutant in chosen:
            show_results(mutant, campaign)
    found = outcomes(chosen, campaign, accepted)
    problems = [
        f"listed, and killed: {mutant.id}"
        for mutant in chosen
        if mutant.key in accepted.single and found[mutant] == KILLED
    ]
    if len(chosen) == len(sample):
        if mutated.is_ours:
            problems += [f"listed, and no longer there: {key}" for key in accepted.gone(everyone)]
        if not (network or once or first):
            text = page(campaign, found, accepted, every)
            (PAGES / mutated.page).write_text(text, encoding="utf-8")
            readme = with_figures(README.read_text(encoding="utf-8"), mutated, found, every)
            README.write_text(readme, encoding="utf-8")
    survivors = [mutant for mutant, each in found.items() if each == SURVIVING]
    click.echo(unexplained(survivors), nl=False)
    click.echo("\n".join(problems), nl=bool(problems))
    click.echo(f"{subject}: {summary(found, every)}; {campaign.seconds / 60:.1f} minutes of CPU")
    sys.exit(bool(survivors or problems))


def show_results(mutant: Mutant, campaign: Campaign) -> None:
    """Print the result of a mutant in each configuration that it was tried on."""
    for result in campaign.results[mutant.key]:
        by = f" by {result.killer or 'the import'}: {result.seen}" if result.seen else ""
        click.echo(f"{mutant.id}\n    {result.verdict}{by} ({result.tests} tests)")


if __name__ == "__main__":
    main()
