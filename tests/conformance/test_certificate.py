"""From outcomes to verdicts to certificates."""

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from conformance.certificate import Certificate, Finding, Record, Variant, where
from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.report import certificate_text

DOCUMENTED = next(each for each in clauses().values() if each.level == "documented").id
CUSTOMARY = next(each for each in clauses().values() if each.level == "customary").id


def nodeid(clause: str, network: str = "tcp", role: str = "client", test: str = "test_it") -> str:
    return f"test_file.py::{test}[{Variant(clause, network, role).id}]"


def certified(outcomes: dict[str, Finding | None], spec: str = "3.15") -> Certificate:
    record = Record("some.streams", "asyncio", spec, ("tcp", "unix"))
    record.expect(outcomes)
    for each, finding in outcomes.items():
        record.add(each, finding)
    return record.certificate()


def verdict_on(certificate: Certificate, clause: str) -> Any:
    return next(each for each in certificate.verdicts if each.clause.id == clause)


def test_a_variant_is_read_back_from_a_test_id() -> None:
    assert Variant.of(nodeid("read.eof", "unix", "server")) == ("read.eof", "unix", "server")
    assert Variant.of("test_file.py::test_it") is None
    assert Variant.of("test_file.py::test_it[NOTSET]") is None


def test_one_failing_test_fails_its_clause_and_its_network() -> None:
    certificate = certified(
        {
            nodeid(DOCUMENTED, "tcp"): None,
            nodeid(DOCUMENTED, "unix"): None,
            nodeid(DOCUMENTED, "unix", test="test_other"): Finding("1", "2"),
        }
    )
    verdict = verdict_on(certificate, DOCUMENTED)
    assert verdict.verdict == "failed"
    assert verdict.networks == {"tcp": "passed", "unix": "failed"}
    assert verdict.detail == "expected 1; saw 2 (client on unix)"
    assert not certificate.conforms
    assert certificate.summary == {
        "passed": 0,
        "failed": 1,
        "known": 0,
        "not_applicable": len(clauses()) - 1,
    }


def test_a_failure_beyond_the_description_does_not_decide() -> None:
    certificate = certified({nodeid(DOCUMENTED): None, nodeid(CUSTOMARY): Finding("1", "2")})
    assert certificate.conforms
    assert verdict_on(certificate, CUSTOMARY).verdict == "failed"


def test_a_clause_newer_than_the_specification_is_not_applicable_and_says_so() -> None:
    newer = next(each for each in clauses().values() if each.since == "3.13").id
    verdict = verdict_on(certified({nodeid(DOCUMENTED): None}, spec="3.12"), newer)
    assert verdict.verdict == "not_applicable"
    assert verdict.detail == "newer than the specification of Python 3.12"


def test_equal_findings_are_told_once_with_all_that_showed_them() -> None:
    finding = Finding("1", "2")
    certificate = certified(
        {
            nodeid(DOCUMENTED, network, role): finding
            for network in ("tcp", "unix")
            for role in ("client", "server")
        }
    )
    assert verdict_on(certificate, DOCUMENTED).detail == (
        "expected 1; saw 2 (client and server on tcp, unix)"
    )


def test_findings_come_in_one_order_in_whatever_order_the_tests_were_run() -> None:
    outcomes = {
        nodeid(DOCUMENTED, test="test_one"): Finding("1", "2"),
        nodeid(DOCUMENTED, test="test_other"): Finding("3", "4"),
    }
    backwards = dict(reversed(outcomes.items()))
    assert certified(outcomes).to_dict()["clauses"] == certified(backwards).to_dict()["clauses"]


def test_where_keeps_apart_what_differs_between_roles() -> None:
    variants = [Variant("a.b", "tcp", "client"), Variant("a.b", "unix", "server")]
    assert where(variants) == "client on tcp; server on unix"


def test_no_certificate_while_tests_are_missing() -> None:
    record = Record("some.streams", "asyncio", "3.15", ("tcp",))
    record.expect([nodeid(DOCUMENTED), nodeid(CUSTOMARY)])
    record.add(nodeid(DOCUMENTED), None)
    with pytest.raises(CannotRun, match="1 of 2 tests"):
        record.certificate()


def test_no_certificate_of_nothing() -> None:
    with pytest.raises(CannotRun, match="no test"):
        Record("some.streams", "asyncio", "3.15", ("tcp",)).certificate()


def test_a_teardown_that_passes_does_not_hide_a_failure() -> None:
    record = Record("some.streams", "asyncio", "3.15", ("tcp",))
    record.add(nodeid(DOCUMENTED), Finding("1", "2"))
    record.add(nodeid(DOCUMENTED), None)
    assert record.certificate().summary["failed"] == 1


def test_the_json_keeps_to_its_schema_and_round_trips() -> None:
    certificate = certified({nodeid(DOCUMENTED): Finding("“1”", "2"), nodeid(CUSTOMARY): None})
    schema = json.loads((resources.files("conformance") / "certificate.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    data = json.loads(certificate.to_json())
    jsonschema.validate(data, schema)
    assert data == certificate.to_dict()
    assert [each["id"] for each in data["clauses"]] == list(clauses())


def test_the_text_shows_each_failure_with_expected_and_seen() -> None:
    text = certificate_text(certified({nodeid(DOCUMENTED): Finding("one thing", "another")}))
    assert DOCUMENTED in text
    assert "one thing" in text
    assert "another" in text
    assert f"streamcert explain {DOCUMENTED} some.streams\n" in text
    assert "some.streams deviates from specification 3.15 in 1 clause" in text


def test_the_text_of_a_conforming_implementation_names_what_lies_beyond() -> None:
    text = certificate_text(
        certified({nodeid(DOCUMENTED): None, nodeid(CUSTOMARY): Finding("1", "2")})
    )
    assert "some.streams conforms to specification 3.15; 1 clause beyond the description" in text
