"""The certificate as JUnit XML, which CI services read and show."""

import re

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from conformance.results.certificate import FAILED, KNOWN, NOT_APPLICABLE, Certificate, Verdict

UNREADABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that XML cannot hold, even escaped."""


def junit_xml(certificate: Certificate) -> str:
    """Return the certificate as JUnit XML: a suite with a test case for each clause.

    A case has the clause's section as class name and its id as name. A failure's type is the
    clause's level, since only `documented` and `inherited` ones decide whether the implementation
    conforms. A clause that is not applicable is skipped, and so is a known deviation; the message
    says which.
    """
    suite = TestSuite(
        f"{certificate.implementation} on Python {certificate.python}, loop {certificate.loop}"
    )
    for name in ("implementation", "python", "loop", "spec"):
        suite.add_property(name, getattr(certificate, name))
    suite.add_property("networks", ",".join(certificate.networks))
    suite.add_property("conforms", str(certificate.conforms).lower())
    suite.add_property("complete", str(certificate.complete).lower())
    about = certificate.circumstances
    for name, value in (("when", about.when), ("platform", about.platform), ("part", about.part)):
        if value:
            suite.add_property(name, value)
    for name, version in about.versions.items():
        suite.add_property(f"version of {name}", version)
    suite.add_testcases([_case(each) for each in certificate.verdicts])
    xml = JUnitXml(suite.name)
    xml.add_testsuite(suite)
    encoded: bytes = xml.tostring()  # type: ignore[no-untyped-call]  # the only one it leaves so
    return encoded.decode()


def _case(verdict: Verdict) -> TestCase:
    clause = verdict.clause
    case = TestCase(clause.id, clause.section)
    detail = UNREADABLE.sub(lambda found: ascii(found[0])[1:-1], verdict.detail)
    if verdict.verdict == FAILED:
        failure = Failure(clause.text, clause.level)
        places = dict.fromkeys(finding.place for finding in verdict.findings if finding.place)
        failure.text = "\n".join([detail, *places, "", clause.link or clause.source])
        case.result = [failure]
    elif verdict.verdict == NOT_APPLICABLE:
        case.result = [Skipped(f"not applicable: {detail}")]
    elif verdict.verdict == KNOWN:
        case.result = [Skipped(detail)]  # which starts with "known: " and the reason
    return case
