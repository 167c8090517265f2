"""docs/reports.md names clauses that there are."""

import re
from pathlib import Path

from conformance.clauses import clauses

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in PAGE.read_text(encoding="utf-8").splitlines()
    if row.startswith("| [")
]


def test_each_report_has_a_clause_that_there_is_or_a_reason() -> None:
    for report, *_, verdict, clause in ROWS:
        assert (clause == "—" and ":" in verdict) or clause.strip("`") in clauses(), report


def test_each_report_is_there_once_and_leads_to_it() -> None:
    links = [
        re.fullmatch(r"\[(\S+)#(\d+)\]\(https://github.com/(\S+)/issues/(\d+)\)", row[0])
        for row in ROWS
    ]
    assert all(each and each[1] == each[3] and each[2] == each[4] for each in links)
    assert len({row[0] for row in ROWS}) == len(ROWS)
