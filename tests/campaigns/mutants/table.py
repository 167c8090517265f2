"""The result of the campaigns as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from .._shared.markdown import code, generated, table
from .accepted import KINDS, Accepted
from .campaign import KILLED, Campaign, Mutated
from .operators import OPERATORS, RULES, Mutant

SURVIVING = "unexplained"
OUTCOMES = (KILLED, *KINDS, SURVIVING)

PLACE = "<!-- figures of the mutants: `tox -e mutants` -->"
HEAD = (
    f"| Mutants of | tried | {' | '.join(OUTCOMES)} | killed of those not equivalent |",
    f"|---|{'---:|' * (len(OUTCOMES) + 2)}",
)
"""The table of figures in the README, and where it is."""

Outcomes = dict[Mutant, str]


def outcome(mutant: Mutant, campaign: Campaign, accepted: Accepted) -> str:
    """Return the outcome of a mutant: one of `OUTCOMES`."""
    if campaign.verdict(mutant) == KILLED:
        return KILLED
    entry = accepted.of(mutant)
    return entry.kind if entry else SURVIVING


def outcomes(mutants: Iterable[Mutant], campaign: Campaign, accepted: Accepted) -> Outcomes:
    """Return the outcome of each mutant."""
    return {mutant: outcome(mutant, campaign, accepted) for mutant in mutants}


def _sample(every: int) -> str:
    return "" if every == 1 else f" (one in {every})"


def summary(found: Outcomes, every: int) -> str:
    """Return the counts in words; one mutant in `every` was tried."""
    counts = Counter(found.values())
    parts = ", ".join(f"{counts[each]} {each}" for each in OUTCOMES)
    return (
        f"{len(found)} mutants{_sample(every)}: {parts}; "
        f"{_score(counts)} of those that are not equivalent killed"
    )


def _score(counts: Counter[str]) -> str:
    score = 100 * counts[KILLED] / max(1, counts.total() - counts["equivalent"])
    return f"{score:.1f} %"


def with_figures(readme: str, mutated: Mutated, found: Outcomes, every: int) -> str:
    """Return the README with new figures of one implementation, in its row of the table.

    Args:
        readme: the README as it is.
        mutated: the implementation.
        found: the outcome of each mutant that was tried.
        every: one in so many mutants was tried.

    Returns:
        the new README.

    Raises:
        ValueError: the README has no place for the table.
    """
    counts = Counter(found.values())
    figures = [
        f"{len(found)}{_sample(every)}",
        *(counts[each] for each in OUTCOMES),
        _score(counts),
    ]
    link = f"(docs/generated/{mutated.page})"
    row = f"| [{mutated.title}]{link} | {' | '.join(map(str, figures))} |"
    before, place, after = readme.partition(PLACE)
    if not place:
        raise ValueError(f"the README has no line {PLACE}")
    lines = after.lstrip("\n").split("\n")
    end = next(n for n, line in enumerate(lines) if not line.startswith("|"))
    rows = [line for line in lines[2:end] if link not in line]
    new = "\n".join([*HEAD, *rows, row, *([""] if end == 0 else []), *lines[end:]])
    return f"{before}{place}\n\n{new}"


def page(campaign: Campaign, found: Outcomes, accepted: Accepted, every: int) -> str:
    """Return the page about the mutants of one implementation; one in `every` was tried."""
    mutated = campaign.mutated
    clauses = {each.clause for tried in campaign.results.values() for each in tried if each.clause}
    survivors = [mutant for mutant, each in found.items() if each == SURVIVING]
    left_out = "".join(f"\n- `{name}`: {why}" for name, why in mutated.left_out.items())
    options = "" if mutated.name == "reference" else f" --subject {mutated.name}"
    options += "" if every == 1 else f" --every {every}"
    return (
        generated(f"tox -e mutants{options and ' --'}{options}")
        + f"""\
# Mutants of {mutated.title}

A mutant is the implementation with one small mistake in it. Each was certified by the conformance
suite alone. {summary(found, every)}. The tests of {len(clauses)} different clauses were
the first to fail.

Survivors are of three kinds:

{table(["kind", "what it is", "mutants"], _kinds(found), 1)}

Each is tried on {", ".join(map(str, mutated.configurations))}, in this order, until one of
them kills it; one that is listed below on its own is tried on the first that runs its lines, each
test on one network, without the searches for programs that show a fault. Only the tests that run
the changed lines are run. Never mutated are:

{_bullets(f"{what}: {why}" for what, why in RULES.items())}{left_out}

The tool is our own, in `tests/campaigns/mutants`: the well-kept ones either start the suite again
for each mutant (cosmic-ray), which costs seconds of imports and collection where a fork costs a
twentieth of a second, or change only what is inside functions and put a trampoline around each
(mutmut), which certifies something other than the module as it is imported.

## By module

{_counts("module", lambda mutant: f"`{mutant.module}`", found)}

## By operator

{_counts("operator", lambda mutant: mutant.operator, found)}

{_bullets(f"{name}: {what}" for name, what in OPERATORS.items())}

## Unexplained survivors

{_bullets(code(mutant.id) for mutant in survivors) or "None."}

{_explained(found, accepted)}"""
    )


def _kinds(found: Outcomes) -> list[tuple[str, str, int]]:
    counts = Counter(found.values())
    return [(kind, what, counts[kind]) for kind, what in KINDS.items()]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _counts(title: str, group: Callable[[Mutant], str], found: Outcomes) -> str:
    counts: dict[str, Counter[str]] = {}
    for mutant, each in found.items():
        counts.setdefault(group(mutant), Counter())[each] += 1
    rows = [(name, c.total(), *(c[each] for each in OUTCOMES)) for name, c in counts.items()]
    return table([title, "mutants", *OUTCOMES], rows, len(OUTCOMES) + 1)


def _explained(found: Outcomes, accepted: Accepted) -> str:
    groups: dict[tuple[str, str, str, str], list[Mutant]] = {}
    for mutant, each in found.items():
        if each in KINDS:
            entry = accepted.of(mutant)
            assert entry is not None
            group = (entry.kind, mutant.module, mutant.function, entry.reason)
            groups.setdefault(group, []).append(mutant)
    parts = []
    for kind, what in KINDS.items():
        parts.append(f"## {kind.capitalize()}: {what}\n")
        for (of_kind, module, function, reason), members in groups.items():
            if of_kind == kind:
                lines = _bullets(
                    f"{mutant.operator}: {code(mutant.shown)} in {code(mutant.source)}"
                    for mutant in members
                )
                parts.append(f"`{module}`: `{function or 'the module'}`\n\n{reason}\n\n{lines}\n")
    return "\n".join(parts)
