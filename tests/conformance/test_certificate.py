"""From outcomes to verdicts to certificates."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jsonschema
import pytest

from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.results.certificate import (
    Certificate,
    Circumstances,
    Finding,
    Record,
    Variant,
    where,
)
from conformance.results.terminal import certificate_text

DOCUMENTED = next(each for each in clauses().values() if each.level == "documented").id
CUSTOMARY = next(each for each in clauses().values() if each.level == "customary").id


def nodeid(clause: str, network: str = "tcp", role: str = "client", test: str = "test_it") -> str:
    return f"test_file.py::{test}[{Variant(clause, network, role).id}]"


def certified(outcomes: Mapping[str, Finding | None], spec: str = "3.15") -> Certificate:
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
    assert (
        f"some.streams conforms to specification 3.15 in the 2 of {len(clauses())} clauses that "
        "apply to it; it fails 1 clause beyond the description"
    ) in " ".join(text.split())


# What else a certificate says.


def test_a_finding_says_in_which_test_and_where() -> None:
    finding = Finding("1", "2", "conformance/suite/test_read.py", 86, "test_it")
    certificate = certified({nodeid(DOCUMENTED): finding})
    (told,) = next(each for each in certificate.to_dict()["clauses"] if each["id"] == DOCUMENTED)[
        "findings"
    ]
    assert told == {
        "expected": "1",
        "seen": "2",
        "flaky": False,
        "file": "conformance/suite/test_read.py",
        "line": 86,
        "test": "test_it",
        "variants": [{"network": "tcp", "role": "client"}],
    }
    assert "  test     conformance/suite/test_read.py:86 test_it\n" in certificate_text(certificate)


def test_what_passes_when_it_is_tried_again_is_flaky_and_has_failed() -> None:
    certificate = certified(
        {
            nodeid(DOCUMENTED): Finding("1", "2", flaky=True),
            nodeid(CUSTOMARY): Finding("1", "2", flaky=True),
            nodeid(CUSTOMARY, "unix"): Finding("1", "2"),
        }
    )
    verdict = verdict_on(certificate, DOCUMENTED)
    assert (verdict.verdict, verdict.flaky) == ("failed", True)
    assert verdict.detail == ("flaky, passed when tried again: expected 1; saw 2 (client on tcp)")
    assert not verdict_on(certificate, CUSTOMARY).flaky
    assert "the test passed when it was tried again" in certificate_text(certificate)


def test_an_interrupted_run_has_a_certificate_of_what_was_seen() -> None:
    record = Record("some.streams", "asyncio", "3.15", ("tcp",))
    record.expect([nodeid(DOCUMENTED), nodeid(CUSTOMARY)])
    record.add(nodeid(DOCUMENTED), None)
    certificate = record.certificate(incomplete=True)
    assert not certificate.complete
    assert not certificate.conforms
    assert verdict_on(certificate, CUSTOMARY).detail == "not run: the run was interrupted before"
    text = certificate_text(certificate)
    assert "Interrupted: 1 tests were not run." in text
    assert "some.streams: no verdict: interrupted" in text


def test_a_part_of_the_suite_is_said_to_be_a_part() -> None:
    record = Record(
        "some.streams",
        "uvloop",
        "3.15",
        ("memory",),
        Circumstances(versions={"streamcert": "1.2"}, without=("limit",), part="--clause 'read.*'"),
    )
    record.add(nodeid(DOCUMENTED, "memory"), None)
    certificate = record.certificate()
    data = certificate.to_dict()
    assert (data["part"], data["applied"], data["without"]) == ("--clause 'read.*'", 1, ["limit"])
    assert data["versions"] == {"streamcert": "1.2"}
    assert data["when"].endswith("+00:00")
    text = certificate_text(certificate)
    assert "Only a part of the suite was run: --clause 'read.*'" in text
    assert "Declared missing: limit" in text
    assert "the fakes' transports stand in for those of the event loop" in text
    assert f"does not deviate in what was tested: 1 of {len(clauses())} clauses" in text


def test_what_follows_from_the_failure_of_a_clause_is_not_held_against_it() -> None:
    needing = next(each for each in clauses().values() if "readuntil.tuple.one" in each.needs)
    finding = Finding("1", "2")
    certificate = certified({nodeid("readuntil.tuple.one"): finding, nodeid(needing.id): finding})
    assert verdict_on(certificate, "readuntil.tuple.one").verdict == "failed"
    assert verdict_on(certificate, needing.id).verdict == "not_applicable"
    assert verdict_on(certificate, needing.id).detail == (
        "it needs what readuntil.tuple.one asks for, which fails"
    )
    assert verdict_on(certified({nodeid(needing.id): finding}), needing.id).verdict == "failed"
