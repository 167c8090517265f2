"""The pages of findings keep to their form, and explain every deviation in the matrix."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from campaigns.findings import __main__ as findings
from campaigns.matrix import slim
from conformance.clauses import clauses

TLS, FOUND = findings.findings()
MATRIX = slim.read(findings.PAGE.parent / "generated" / "matrix")


def deviations() -> Iterator[tuple[str, str, int, str]]:
    """Give each clause that fails in the matrix: by what, on which loop and Python."""
    for certificate in MATRIX.values():
        loop = certificate["loop"].partition(":")[0]
        minor = int(certificate["python"].split(".")[1])
        for each in certificate["clauses"]:
            # The matrix may be older than the withdrawal of a clause.
            if each["verdict"] == "failed" and each["id"] in clauses():
                yield each["id"], loop, minor, certificate["implementation"]


def test_every_deviation_in_the_matrix_is_explained_by_a_finding() -> None:
    assert [
        deviation
        for deviation in deviations()
        if not any(
            (deviation[1], deviation[2]) in finding.listed
            and any(fnmatchcase(deviation[0], pattern) for pattern in finding.clauses)
            for finding in FOUND
        )
    ] == []


def test_the_matrix_has_every_python_and_loop() -> None:
    assert set(MATRIX) == {
        f"{implementation}-3.{minor}-{loop}"
        for implementation in ("asyncio", "reference_impl")
        for minor in findings.MINORS
        for loop in findings.LOOPS
    }


def test_the_reference_deviates_on_no_loop_that_works() -> None:
    assert [
        (clause, loop, minor)
        for clause, loop, minor, implementation in deviations()
        if implementation == "reference_impl" and loop != "rloop"
    ] == []


def test_the_numbers_run_from_1_in_the_overview_and_below_it() -> None:
    assert sorted(each.number for each in FOUND) == list(range(1, len(FOUND) + 1))


@pytest.mark.parametrize("finding", FOUND, ids=lambda finding: str(finding.number))
def test_a_finding_keeps_to_its_form(finding: findings.Finding) -> None:
    lines = [line for line in finding.program.splitlines() if line.strip()]
    assert len(lines) <= 20
    assert lines[-1] == findings.LOOPS["asyncio"]
    compile(finding.program, f"finding {finding.number}", "exec")
    for pattern in finding.clauses:
        assert any(fnmatchcase(each, pattern) for each in clauses()), f"{pattern} is no clause"
    assert finding.level == finding.listed_level
    wrong = frozenset().union(*(each.on for each in finding.seen if not each.right))
    assert wrong, "nothing deviates"
    assert wrong <= finding.listed, "the overview does not list all that was seen"
    for loop in ("asyncio", "uvloop"):
        told = {minor for each in finding.seen for on, minor in each.on if on == loop}
        assert told == set(findings.MINORS), f"of {loop} not every Python is spoken of"


# `tox -m findings` runs them all; these take no time.
@pytest.mark.parametrize("number", [29, 40, 45])
def test_a_program_prints_what_the_page_says(number: int) -> None:
    finding = next(each for each in FOUND if each.number == number)
    assert [*findings.differences([finding], TLS, ["asyncio"])] == [
        f"1 programs were run on Python 3.{findings.RUNNING} with asyncio"
    ]


def test_what_a_program_prints_otherwise_is_told() -> None:
    finding = next(each for each in FOUND if each.number == 40)
    everywhere = frozenset({("asyncio", findings.RUNNING)})
    other = findings.Finding(
        number=40,
        title="",
        program=finding.program,
        seen=(findings.Seen(everywhere, "refused", False),),
        clauses=(),
        listed=everywhere,
        level=finding.level,
        listed_level=finding.level,
    )
    assert [*findings.differences([other], TLS, ["asyncio"])][:-1] == [
        "40 on asyncio: the page says 'refused', not 'accepted'"
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("all", {11, 12, 13, 14, 15}),
        ("every Python", {11, 12, 13, 14, 15}),
        ("3.11, 3.13 to 3.15", {11, 13, 14, 15}),
        ("3.15; all over TLS", {11, 12, 13, 14, 15}),
        ("all (over TLS)", {11, 12, 13, 14, 15}),
        ("", set()),
    ],
)
def test_pythons_in_words(text: str, found: set[int]) -> None:
    assert findings.minors(text) == found
