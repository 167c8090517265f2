"""The command: `tox -e zoo -- OPTIONS`."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from conformance.clauses import clauses
from conformance.networks import NETWORKS, network_names

from .._shared.forked_suite import ROOT, Answer, ForkedSuite
from .._shared.markdown import generated, row
from .._shared.result_cache import ResultCache
from . import SPECIMENS, Specimen, lock
from .certified import PLAIN, Certifier, failed, problems, variant_of

PAGE = ROOT / "docs" / "generated" / "zoo.md"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--network", default=",".join(NETWORKS), metavar="NAMES", help="Only on these.")
@click.option("--accept", is_flag=True, help="Record what they fail in zoo.lock.")
@click.option(
    "--whole", is_flag=True, help="Also look for clauses that are not recorded, as with NAMES."
)
@click.option("--page", "page_only", is_flag=True, help="Only write the page of zoo.lock again.")
@click.option("--show", is_flag=True, help="Show what was seen in each failure of what is stated.")
@click.option(
    "-n",
    "processes",
    default=2 * (os.cpu_count() or 1),
    help="How many at a time (default: two for each core, because some wait).",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=ROOT / ".zoo",
    help="Where results are kept: a campaign that was stopped goes on from there.",
)
def main(
    names: tuple[str, ...],
    network: str,
    accept: bool,
    whole: bool,
    page_only: bool,
    show: bool,
    processes: int,
    folder: Path,
) -> None:
    """Certify every specimen on every network, compare with zoo.lock, write docs/generated/zoo.md.

    By the clauses that it states, and those that zoo.lock records. With NAMES, only specimens whose
    names contain one of them, and by every clause; then the page is written only with --accept.

    Exit status: 0 if each specimen fails the clauses that it states, and what the lock says.
    """
    if page_only:
        PAGE.write_text(page(lock.read()), encoding="utf-8")
        return
    networks = network_names(network)
    chosen = [
        each for each in SPECIMENS.values() if not names or any(n in each.name for n in names)
    ]
    recorded = lock.read()
    cache = ResultCache(folder / "results.jsonl")
    found: dict[str, Answer] = {}
    wrong = differing = 0
    began = time.monotonic()
    with (
        ForkedSuite(PLAIN, processes, baseline=folder / "baseline") as suite,
        ThreadPoolExecutor(processes) as pool,
    ):
        certifier = Certifier(suite, cache)

        def certify(specimen: Specimen) -> Answer:
            known = recorded.get(specimen.name)
            if whole or names or known is None:
                return certifier.certify(specimen, networks)
            return certifier.certify(specimen, networks, set[str]().union(*known.values()))

        for specimen, answer in zip(chosen, pool.map(certify, chosen), strict=True):
            found[specimen.name] = answer
            now = failed(answer, networks)
            lines = problems(specimen, answer)
            wrong += bool(lines)
            differences = lock.differences(specimen.name, recorded.get(specimen.name), now)
            if accept:
                recorded[specimen.name] = recorded.get(specimen.name, {}) | now
            else:
                differing += bool(differences)
                lines += differences
            click.echo("\n    ".join([specimen.name, *lines]))
            if show:
                show_failures(specimen, answer)
    if accept:
        if not names:
            recorded = {name: each for name, each in recorded.items() if name in SPECIMENS}
        lock.write(recorded)
    if (accept or not names) and not wrong:
        PAGE.write_text(page(recorded), encoding="utf-8")
    seconds = sum(each.seconds for each in found.values())
    click.echo(
        f"{len(chosen)} specimens on {', '.join(networks)}: {wrong} not as stated, {differing} "
        f"other than recorded; {seconds / 60:.1f} minutes of processor time, "
        f"{(time.monotonic() - began) / 60:.1f} minutes"
    )
    sys.exit(bool(wrong or differing))


def show_failures(specimen: Specimen, answer: Answer) -> None:
    """Print what was seen in each failure of a clause that a specimen states."""
    for each in answer.failures:
        variant = variant_of(each)
        if variant.clause in specimen.fails:
            click.echo(f"    {variant.id}: expected {each.expected}; seen {each.seen}")


def page(recorded: dict[str, lock.Failed]) -> str:
    """Return the page."""
    rows: dict[str, list[str]] = {}
    for specimen in SPECIMENS.values():
        failures = recorded.get(specimen.name, {})
        caught = {clause for each in failures.values() for clause in each}
        others = caught - set(specimen.fails)
        section = clauses()[specimen.fails[0]].section if specimen.fails else "None"
        rows.setdefault(section, []).append(
            row(
                [
                    f"`{specimen.name.removeprefix('campaigns.zoo.')}`",
                    specimen.fault,
                    ", ".join(f"`{each}`" for each in specimen.fails),
                    len(others) or "",
                    ", ".join(network for network, each in failures.items() if each),
                ]
            )
        )
    parts = [
        generated("tox -e zoo")
        + HEAD.format(
            count=len(SPECIMENS),
            reference=sum(each.is_of_reference for each in SPECIMENS.values()),
        )
    ]
    for section in dict.fromkeys([*(each.section for each in clauses().values()), "None"]):
        if section in rows:
            title = "Controls: nothing is wrong with them" if section == "None" else section
            parts.append(f"## {title}\n\n{TABLE_HEAD}\n" + "\n".join(rows[section]))
    return "\n\n".join(parts) + "\n"


HEAD = """\
# The zoo

Each of these {count} implementations has one fault, as a person would really write it. The table
names the fault, and the clauses that name it. They are made from the lookalike `plain`;
{reference} break the reference, in parts that `plain` does not have. The table counts the other
clauses that fail because of the fault; `tests/campaigns/zoo/zoo.lock` names them, with their
networks. `tox -e zoo` certifies all specimens, compares with that file, and writes this page.
This command, in the folder `tests`, certifies one specimen:

```console
streamcert certify campaigns.zoo.reading:OnlyMinusOne --network memory
```"""

TABLE_HEAD = """\
| Specimen | Fault | Clauses that name it | Others that fail | Networks |
| --- | --- | --- | ---: | --- |"""


if __name__ == "__main__":
    main()
