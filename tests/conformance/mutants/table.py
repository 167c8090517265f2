"""The result of a campaign as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from .campaign import CONFIGURATIONS, LEFT_OUT, Campaign
from .equivalents import Equivalents
from .operators import OPERATORS, Mutant
from .worker import KILLED

EQUIVALENT = "equivalent"
SURVIVING = "surviving"


def outcome(mutant: Mutant, campaign: Campaign, listed: Equivalents) -> str:
    """Return what a mutant counts as: `KILLED`, `EQUIVALENT` or `SURVIVING`."""
    if campaign.verdict(mutant) == KILLED:
        return KILLED
    return EQUIVALENT if mutant.key in listed.reasons else SURVIVING


def page(mutants: list[Mutant], campaign: Campaign, listed: Equivalents) -> str:
    """Return the page."""
    outcomes = {mutant: outcome(mutant, campaign, listed) for mutant in mutants}
    total = Counter(outcomes.values())
    clauses = {
        result.clause for tried in campaign.results.values() for result in tried if result.clause
    }
    configurations = ", ".join(map(str, CONFIGURATIONS))
    left_out = "; ".join(f"`{name}` ({reason})" for name, reason in LEFT_OUT.items())
    survivors = [mutant for mutant, found in outcomes.items() if found == SURVIVING]
    return f"""\
# Mutants of the reference

A mutant is `reference_impl` with one small mistake in it. Each was certified by the conformance
suite alone, without the project's unit tests. Of {len(mutants)} mutants the suite kills
{total[KILLED]}: a clause fails, or the module cannot be certified at all. {total[EQUIVALENT]} make
no difference that anybody could observe and are listed below with the reasons;
{total[SURVIVING] or "no"} others survive. The tests of {len(clauses)} different clauses were the
first to fail.

This page is written by

    tox -e mutants

which tries every mutant on {configurations}, in this order, until one of them kills it; a mutant
listed as equivalent is tried on the first that runs its line, each test on one network (with
`--listed`, all of these are tried like the others). Only the tests that run the changed lines are
run. `tox -e mutants -- --help` says how to try some mutants or a single one.

Not mutated are annotations and docstrings, which do nothing at run time; {left_out}; and
`examples`, which is not the API.

The tool is our own, in `tests/conformance/mutants`: the well-kept ones either start the suite anew
for each mutant (cosmic-ray), which costs seconds of imports and collection where a fork costs a
twentieth of a second, or change only what is inside functions and put a trampoline around each
(mutmut), which certifies something other than the module as it is imported; and neither drops
calls, assignments and raises, nor joins what several Pythons and event loops find.

## By module

{_table("module", lambda mutant: f"`{mutant.module}`", outcomes)}

## By operator

{_table("operator", lambda mutant: mutant.operator, outcomes, OPERATORS)}

## By module and operator

Killed of all; with those listed as equivalent behind a plus.

{_crossed(outcomes)}

## Survivors

{_bullets(survivors) or "None."}

## Equivalent mutants

{_equivalents(mutants, outcomes, listed)}"""


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _table(
    title: str,
    group: Callable[[Mutant], str],
    outcomes: dict[Mutant, str],
    meanings: dict[str, str] | None = None,
) -> str:
    counts: dict[str, Counter[str]] = {name: Counter() for name in meanings or ()}
    for mutant, found in outcomes.items():
        counts.setdefault(group(mutant), Counter())[found] += 1
    kinds = (KILLED, EQUIVALENT, SURVIVING)
    columns = [title, "mutants", *kinds, *(["what is wrong in them"] if meanings else [])]
    rows = [_row(columns), _row(["---", *["---:"] * 4, *(["---"] if meanings else [])])]
    for name, count in counts.items():
        cells = [name, count.total(), *(count[kind] for kind in kinds)]
        rows.append(_row([*cells, *([meanings[name]] if meanings else [])]))
    return "\n".join(rows)


def _crossed(outcomes: dict[Mutant, str]) -> str:
    modules = list(dict.fromkeys(mutant.module for mutant in outcomes))
    cells: dict[tuple[str, str], Counter[str]] = {}
    for mutant, found in outcomes.items():
        cells.setdefault((mutant.operator, mutant.module), Counter())[found] += 1
    rows = [_row(["operator", *(f"`{name}`" for name in modules)])]
    rows.append(_row(["---", *["---:"] * len(modules)]))
    for operator in OPERATORS:
        row = [operator]
        for module in modules:
            count = cells.get((operator, module), Counter())
            more = f" + {count[EQUIVALENT]}" if count[EQUIVALENT] else ""
            row.append(f"{count[KILLED]}{more} of {count.total()}" if count else "")
        rows.append(_row(row))
    return "\n".join(rows)


def _bullets(mutants: Iterable[Mutant]) -> str:
    return "\n".join(f"- {_code(mutant.id)}" for mutant in mutants)


def _equivalents(mutants: list[Mutant], outcomes: dict[Mutant, str], listed: Equivalents) -> str:
    groups: dict[tuple[str, str, str], list[Mutant]] = {}
    for mutant in mutants:
        if outcomes[mutant] == EQUIVALENT:
            reason = listed.reasons[mutant.key]
            groups.setdefault((mutant.module, mutant.function, reason), []).append(mutant)
    return "\n".join(
        f"`{module}`: `{function or 'the module'}`\n\n{reason}\n\n{_lines(members)}\n"
        for (module, function, reason), members in groups.items()
    )


def _lines(mutants: list[Mutant]) -> str:
    return "\n".join(
        f"- {mutant.operator}: {_code(mutant.change)} in {_code(mutant.source)}"
        for mutant in mutants
    )


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
