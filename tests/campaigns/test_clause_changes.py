"""The page about changed clauses has every change, and nothing else."""

from typing import Any

from campaigns.clause_changes import __main__ as changes
from campaigns.clause_changes.__main__ import Reason


def clause(text: str = "It does.", level: str = "documented", since: str = "3.4") -> dict[str, Any]:
    return {"text": text, "level": level, "since": since}


BEFORE = {
    "stays": clause(),
    "goes": clause(),
    "moves": clause(),
    "ages": clause(),
    "means": clause(),
    "reads": clause("It does so."),
}
AFTER = {
    "stays": clause(),
    "moves": clause(level="robust"),
    "ages": clause(since="3.12"),
    "means": clause("It may."),
    "reads": clause("So it does."),
    "comes": clause("It is new.", "inherited"),
}
REASONS = [
    Reason("Nobody said so.", ("goes", "moves", "ages")),
    Reason("It asked more.", ("means",)),
]


def test_each_that_changed_is_on_the_page_with_its_reason() -> None:
    assert [*changes.complaints(BEFORE, AFTER, REASONS)] == []
    page = changes.page("abc", BEFORE, AFTER, REASONS)
    for line in (
        "| documented | 6 | 4 |",
        "| inherited | 0 | 1 |",
        "| `goes` | documented | Nobody said so. |",
        "| `moves` | documented | robust | Nobody said so. |",
        "| `ages` | 3.4 | 3.12 | Nobody said so. |",
        "| `means` | It does. | It may. |",
        "| `comes` | inherited | It is new. |",
    ):
        assert line in page.splitlines(), line
    assert "1 more texts were only reworded" in page
    assert "`stays`" not in page
    assert "`reads`" not in page


def test_what_lacks_a_reason_or_has_a_wrong_one_is_a_complaint() -> None:
    reasons = [*REASONS[1:], Reason("Who knows?", ("stays", "means"))]
    assert [*changes.complaints(BEFORE, AFTER, reasons)] == [
        *(
            f"{id_}: removed, or of another level or version, and no reason says why"
            for id_ in ("goes", "moves", "ages")
        ),
        "means: has 2 reasons",
        "stays: has a reason, and did not change",
    ]
