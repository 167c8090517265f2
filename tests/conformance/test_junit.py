"""JUnit XML."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from junitparser import JUnitXml

from conformance.clauses import clauses
from conformance.results.certificate import Certificate
from conformance.results.junit import junit_xml


def cases(certificate: Certificate) -> dict[str, ET.Element]:
    root = ET.fromstring(junit_xml(certificate))
    assert root.tag == "testsuites"
    return {each.attrib["name"]: each for each in root.iterfind("testsuite/testcase")}


def test_there_is_a_case_for_each_clause_in_its_section(conforming: Certificate) -> None:
    found = cases(conforming)
    assert list(found) == list(clauses())
    assert all(found[id_].attrib["classname"] == each.section for id_, each in clauses().items())
    assert all(len(each) == 0 for each in found.values())  # all passed


def test_the_suite_counts_and_says_what_was_certified(deviating: Certificate) -> None:
    suite = ET.fromstring(junit_xml(deviating)).find("testsuite")
    assert suite is not None
    assert suite.attrib["name"] == f"other.streams:<b> on Python {deviating.python}, loop uvloop"
    skipped = deviating.summary["known"] + deviating.summary["not_applicable"]
    counts = {"tests": len(clauses()), "failures": 2, "errors": 0, "skipped": skipped}
    assert {name: int(suite.attrib[name]) for name in counts} == counts
    properties = {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")}
    assert properties.pop("when").endswith("+00:00")
    assert properties.pop("platform")
    assert properties == {
        "implementation": "other.streams:<b>",
        "python": deviating.python,
        "loop": "uvloop",
        "spec": "3.12",
        "networks": "tcp,unix",
        "conforms": "false",
        "complete": "true",
    }


def test_a_failure_tells_the_clause_what_was_expected_and_what_was_seen(
    deviating: Certificate, by_level: dict[str, list[str]]
) -> None:
    clause = clauses()[by_level["documented"][0]]
    (failure,) = cases(deviating)[clause.id]
    assert failure.tag == "failure"
    assert failure.attrib == {"message": clause.text, "type": "documented"}
    assert failure.text is not None
    assert "expected one thing; saw <script>alert('&')</script>" in failure.text
    assert "\nconformance/suite/test_read.py:86 test_it\n" in failure.text
    assert clause.link is not None
    assert clause.link in failure.text


@pytest.mark.parametrize(
    ("said", "written"),
    [("\x00", r"\x00"), ("\x1b[1m", r"\x1b[1m"), ("\udcff", r"\udcff"), ("a\tb ü 😀", "a\tb ü 😀")],
)
def test_what_xml_cannot_hold_is_escaped(
    said: str, written: str, deviating: Certificate, by_level: dict[str, list[str]]
) -> None:
    id_ = by_level["robust"][0]
    verdicts = [
        replace(each, detail=said) if each.clause.id == id_ else each for each in deviating.verdicts
    ]
    (failure,) = cases(replace(deviating, verdicts=tuple(verdicts)))[id_]
    assert failure.text is not None
    assert failure.text.splitlines()[0] == written


def test_a_known_deviation_is_skipped_with_its_reason(
    deviating: Certificate, by_level: dict[str, list[str]]
) -> None:
    (skipped,) = cases(deviating)[by_level["inherited"][0]]
    assert skipped.tag == "skipped"
    assert skipped.attrib["message"].startswith("known: on the list\nexpected these; saw those")


def test_what_is_not_applicable_is_skipped_with_the_reason(
    deviating: Certificate, by_level: dict[str, list[str]]
) -> None:
    (skipped,) = cases(deviating)[by_level["customary"][0]]
    assert skipped.tag == "skipped"
    assert skipped.attrib["message"].startswith("not applicable: none of its tests was run")


def test_a_reader_of_junit_xml_reads_it(deviating: Certificate) -> None:
    (suite,) = JUnitXml.fromstring(junit_xml(deviating).encode())
    assert (suite.tests, suite.failures) == (len(clauses()), 2)
