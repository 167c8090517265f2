"""The command: `tox -e mutants -- OPTIONS`, or `python -m mutants` from tests/conformance."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .campaign import CONFIGURATIONS, ROOT, Campaign, CannotTry, all_mutants
from .equivalents import Equivalents, as_entries
from .operators import OPERATORS, Mutant
from .table import SURVIVING, outcome, page
from .worker import KILLED

PAGE = ROOT / "docs" / "mutants.md"


@click.command()
@click.option("--module", "modules", multiple=True, metavar="NAME", help="Only this module's.")
@click.option("--function", metavar="TEXT", help="Only those in functions whose name has TEXT.")
@click.option("--operator", "operators", multiple=True, type=click.Choice([*OPERATORS]))
@click.option("--mutant", "ids", multiple=True, metavar="ID", help="Only this one.")
@click.option("--network", metavar="NAMES", help="Only on these networks, separated by commas.")
@click.option("--once", is_flag=True, help="Only on the first network that runs its lines.")
@click.option("--first", is_flag=True, help=f"Only on {CONFIGURATIONS[0]}.")
@click.option("--unlisted", is_flag=True, help="Only those not listed as equivalent.")
@click.option("--listed", "doubted", is_flag=True, help="Only those listed, as if they were not.")
@click.option("--list", "only_list", is_flag=True, help="List the mutants, and try none.")
@click.option("--show", is_flag=True, help="Show what became of each.")
@click.option("-n", "processes", default=os.cpu_count() or 1, help="How many at once.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=ROOT / ".mutants",
    help="Where results are kept: a campaign that was stopped goes on from there.",
)
def main(
    modules: tuple[str, ...],
    function: str | None,
    operators: tuple[str, ...],
    ids: tuple[str, ...],
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
    """Certify every mutant of the reference, and write docs/mutants.md.

    With options that choose among them, only these are tried, and nothing is written.

    Exit status: 0 if there is no survivor that is not listed as equivalent, and the list is true.
    """
    everyone = all_mutants()
    listed = Equivalents.read()
    chosen = [
        mutant
        for mutant in everyone
        if (not modules or mutant.module in modules)
        and (function is None or function in mutant.function)
        and (not operators or mutant.operator in operators)
        and (not ids or mutant.id in ids)
        and not (unlisted and mutant.key in listed.reasons)
        and not (doubted and mutant.key not in listed.reasons)
    ]
    if only_list or not chosen:
        click.echo("\n".join(mutant.id for mutant in chosen) or "no such mutant")
        return
    options = () if network is None else (f"--streams-network={network}",)
    campaign = Campaign(folder, options, processes, once)
    try:
        believed = Equivalents({}) if doubted else listed
        campaign.run(chosen, CONFIGURATIONS[: 1 if first else None], believed)
    except CannotTry as reason:
        sys.exit(str(reason))
    if show:
        for mutant in chosen:
            show_results(mutant, campaign)
    problems = problems_of(chosen, campaign, listed)
    if len(chosen) == len(everyone) and not (network or once or first):
        problems += [f"listed, and no longer there: {key}" for key in listed.gone(everyone)]
        PAGE.write_text(page(everyone, campaign, listed), encoding="utf-8")
    survivors = [each for each in chosen if outcome(each, campaign, listed) == SURVIVING]
    killed = sum(campaign.verdict(each) == KILLED for each in chosen)
    click.echo(as_entries(survivors), nl=False)
    click.echo("\n".join(problems), nl=bool(problems))
    click.echo(
        f"{len(chosen)} mutants: {killed} killed, {len(chosen) - killed - len(survivors)} listed "
        f"as equivalent, {len(survivors)} survive; {campaign.seconds / 60:.1f} minutes of CPU"
    )
    sys.exit(bool(survivors or problems))


def problems_of(chosen: list[Mutant], campaign: Campaign, listed: Equivalents) -> list[str]:
    """Return what is wrong with the list, of these mutants."""
    return [
        f"listed, and killed: {mutant.id}"
        for mutant in chosen
        if mutant.key in listed.reasons and campaign.verdict(mutant) == KILLED
    ]


def show_results(mutant: Mutant, campaign: Campaign) -> None:
    """Print what became of a mutant in each configuration that it was tried on."""
    for result in campaign.results[mutant.key]:
        by = f" by {result.killer or 'the import'}: {result.seen}" if result.seen else ""
        click.echo(f"{mutant.id}\n    {result.verdict}{by} ({result.tests} tests)")


if __name__ == "__main__":
    main()
