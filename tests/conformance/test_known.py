"""Known deviations: the file, and what it makes of a certificate."""

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.results.certificate import Certificate, Finding, Record, Variant
from conformance.results.known_deviations import NOT_LOOKED_INTO, KnownDeviations
from conformance.results.terminal import certificate_text

FAILING, PASSING = [each.id for each in clauses().values() if each.level == "documented"][:2]


@pytest.fixture
def certificate() -> Certificate:
    record = Record("some.streams", "asyncio", "3.15", ("tcp",))
    record.add(f"file.py::test[{Variant(FAILING, 'tcp', 'client').id}]", Finding("1", "2"))
    record.add(f"file.py::test[{Variant(PASSING, 'tcp', 'client').id}]", None)
    return record.certificate()


def test_what_is_listed_is_known_and_still_a_deviation(certificate: Certificate) -> None:
    marked = KnownDeviations({FAILING: "a good reason"}).marked(certificate)
    assert marked.summary["failed"] == 0
    assert marked.summary["known"] == 1
    assert not marked.conforms
    detail = next(each.detail for each in marked.verdicts if each.clause.id == FAILING)
    assert detail == "known: a good reason\nexpected 1; saw 2 (client on tcp)"
    text = certificate_text(marked)
    assert "a good reason" in text
    assert "deviates from specification 3.15 in 1 clause; 1 deviation known" in text


def test_what_is_not_listed_stays_a_failure(certificate: Certificate) -> None:
    known = KnownDeviations({PASSING: "a reason"})
    assert known.marked(certificate).summary["failed"] == 1


def test_a_listed_deviation_that_is_gone_is_reported(certificate: Certificate) -> None:
    gone = KnownDeviations({PASSING: "a reason"}).gone(certificate)
    assert gone == [PASSING]
    text = certificate_text(certificate, gone)
    assert f"! {PASSING}  passes: no longer a deviation" in text
    assert "1 clause listed as known passed" in text


def test_a_listed_clause_that_was_not_run_is_not_gone(certificate: Certificate) -> None:
    another = next(each for each in clauses() if each not in (FAILING, PASSING))
    assert KnownDeviations({another: "a reason"}).gone(certificate) == []


def test_a_written_file_is_read_back_and_keeps_its_reasons(
    certificate: Certificate, tmp_path: Path
) -> None:
    file = tmp_path / "known.toml"
    file.write_text(KnownDeviations({}).updated(certificate), encoding="utf-8")
    assert KnownDeviations.read(file).reasons == {FAILING: NOT_LOOKED_INTO}
    reason = 'a "quoted" reason\nof two lines'
    again = KnownDeviations({FAILING: reason, PASSING: "gone"}).updated(certificate)
    file.write_text(again, encoding="utf-8")
    assert KnownDeviations.read(file).reasons == {FAILING: reason}
    assert clauses()[FAILING].text in again


def test_nothing_to_list_is_a_file_too(certificate: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    fine = replace(
        certificate, verdicts=tuple(each for each in certificate.verdicts if not each.findings)
    )
    file.write_text(KnownDeviations({}).updated(fine), encoding="utf-8")
    assert KnownDeviations.read(file).reasons == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[nonsense", "is not TOML"),
        ('["no.such.clause"]\nreason = "x"', "lists 'no.such.clause', which is not a clause"),
        (f'["{FAILING}"]', f"gives no reason for {FAILING}"),
        ('readexactly.eof.partial.reason = "x"', 'or write \\["its.id"\\], in quotes'),
        (f'["{FAILING}"]\nreason = " "', f"gives no reason for {FAILING}"),
        (f'"{FAILING}" = "x"', f"gives no reason for {FAILING}"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(CannotRun, match=message.replace(".", r"\.")) as error:
        KnownDeviations.read(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"cannot read .*: No such file"):
        KnownDeviations.read(tmp_path / "missing.toml")


def test_a_flaky_deviation_is_written_as_such_and_may_pass(tmp_path: Path) -> None:
    record = Record("some.streams", "asyncio", "3.15", ("tcp",))
    finding = Finding("1", "2", flaky=True)
    record.add(f"file.py::test[{Variant(FAILING, 'tcp', 'client').id}]", finding)
    file = tmp_path / "known.toml"
    file.write_text(KnownDeviations({}).updated(record.certificate()), encoding="utf-8")
    known = KnownDeviations.read(file)
    assert known.flaky == {FAILING}
    passed = Record("some.streams", "asyncio", "3.15", ("tcp",))
    passed.add(f"file.py::test[{Variant(FAILING, 'tcp', 'client').id}]", None)
    assert known.gone(passed.certificate()) == []
