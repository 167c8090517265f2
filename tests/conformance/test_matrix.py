"""Certificates side by side."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.results.certificate import Certificate
from conformance.results.html import matrix_page
from conformance.results.matrix import Matrix, read_certificate


def without(certificate: Certificate, *ids: str) -> Certificate:
    """As an older version of the suite would have made it, which lacked these clauses."""
    kept = tuple(each for each in certificate.verdicts if each.clause.id not in ids)
    return replace(certificate, verdicts=kept)


@pytest.fixture
def file(deviating: Certificate, tmp_path: Path) -> Path:
    """A certificate's file."""
    path = tmp_path / "certificate.json"
    path.write_text(deviating.to_json(), encoding="utf-8", errors="backslashreplace")
    return path


def test_what_was_written_is_read(file: Path) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    assert read_certificate(file).to_dict() == data


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"cannot read '.*nothing\.json': No such file"):
        read_certificate(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no JSON", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"", "it is not JSON"),
        (b"[]", r"\$: \[\] is not of type 'object'"),
        (b'{"name": "left-pad"}', r"\$: "),
    ],
)
def test_what_is_no_certificate_is_named_with_the_reason(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(CannotRun, match=rf"some\.json' is not a certificate: {reason}") as raised:
        read_certificate(path)
    assert "\n" not in str(raised.value)


def changed(data: Any, keys: list[Any], value: object) -> None:
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value", "reason"),
    [
        (["clauses", 0, "verdict"], "fine", r"\$\.clauses\[0\]\.verdict: 'fine' is not one of"),
        (["clauses", 0, "networks"], {"x" * 1000: "passed"}, r"\$\.clauses\[0\]\.networks: 'x+…"),
        (["summary", "passed"], 10_000, "its summary is not that of its clauses"),
        (["conforms"], True, "its summary is not that of its clauses"),
    ],
)
def test_a_certificate_that_was_tampered_with_is_none(
    keys: list[Any], value: object, reason: str, file: Path
) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    changed(data, keys, value)
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CannotRun, match=f"is not a certificate: {reason}"):
        read_certificate(file)


def test_any_name_of_a_python_can_be_placed(conforming: Certificate) -> None:
    pythons = ["3.15.0rc1", "3.9.1", "3.11.2", "nightly", "3.11.10"]
    matrix = Matrix.of([replace(conforming, python=each) for each in pythons])
    assert [each.certificate.python for each in matrix.columns] == [
        "nightly",
        *("3.9.1", "3.11.2", "3.11.10", "3.15.0rc1"),
    ]


def test_columns_stand_by_implementation_loop_and_python(conforming: Certificate) -> None:
    wanted = [
        ("a", "asyncio", "3.9.1"),
        ("a", "asyncio", "3.11.2"),
        ("a", "an.other:loop", "3.11.2"),
        ("b", "asyncio", "3.11.2"),
    ]
    matrix = Matrix.of(
        replace(conforming, implementation=implementation, loop=loop, python=python)
        for implementation, loop, python in reversed(wanted)
    )
    found = [each.certificate for each in matrix.columns]
    assert [(each.implementation, each.loop, each.python) for each in found] == wanted
    assert [size for _, size in matrix.spans("implementation")] == [3, 1]
    assert [size for _, size in matrix.spans("implementation", "loop")] == [2, 1, 1]


def test_a_clause_that_a_certificate_lacks_is_blank_there(conforming: Certificate) -> None:
    ids = list(clauses())
    older = replace(without(conforming, ids[1]), implementation="older")
    newer = replace(without(conforming, ids[-1]), implementation="newer")
    matrix = Matrix.of([older, newer])
    rows = {row.clause.id: row for row in matrix.rows}
    assert rows.keys() == set(ids)
    assert matrix.incomplete
    assert [each and each.verdict for each in rows[ids[1]].cells] == ["passed", None]
    assert [each and each.verdict for each in rows[ids[-1]].cells] == [None, "passed"]
    assert not rows[ids[1]].differs  # there is nothing that it could differ from
    sections = [row.clause.section for row in matrix.rows]
    assert sections == sorted(sections, key=sections.index)  # each in one piece
    assert "blank: that certificate" in matrix_page(matrix)


def test_without_anything_missing_nothing_is_said_of_it(conforming: Certificate) -> None:
    matrix = Matrix.of([conforming])
    assert not matrix.incomplete
    assert "blank:" not in matrix_page(matrix)


def test_rows_know_whether_they_fail_and_differ(
    conforming: Certificate, deviating: Certificate, by_level: dict[str, list[str]]
) -> None:
    failing, passing = by_level["documented"][:2]
    rows = {row.clause.id: row for row in Matrix.of([conforming, deviating]).rows}
    assert (rows[failing].fails, rows[failing].differs) == (True, True)
    assert (rows[passing].fails, rows[passing].differs) == (False, False)
    same = {row.clause.id: row for row in Matrix.of([deviating, deviating]).rows}
    assert (same[failing].fails, same[failing].differs) == (True, False)


def test_columns_that_saw_the_same_share_one_detail(deviating: Certificate) -> None:
    other = replace(deviating, implementation="another")
    matrix = Matrix.of([deviating, other])
    failing = next(row for row in matrix.rows if row.fails)
    ((verdict, _), columns), *rest = failing.details.items()
    assert verdict == "failed"
    assert columns == list(matrix.columns)
    assert rest == []


def test_both_wordings_of_a_clause_are_kept(conforming: Certificate) -> None:
    first, *others = conforming.verdicts
    reworded = replace(first, clause=replace(first.clause, text="In other words."))
    matrix = Matrix.of([conforming, replace(conforming, verdicts=(reworded, *others))])
    assert matrix.rows[0].texts == [first.clause.text, "In other words."]
    assert matrix_page(matrix).count("<p>In other words.</p>") == 1


def test_the_head_counts_what_decides_and_what_does_not(deviating: Certificate) -> None:
    (column,) = Matrix.of([deviating]).columns
    assert (column.deciding, column.beyond) == (2, 1)
