"""Every broken implementation of the zoo is caught: by the clauses that it states, and no others.

On the cheapest network on which it shows; `tox -e zoo` does it on all.
"""

import sys
from collections.abc import Iterator

import pytest
from zoo import SPECIMENS, Specimen
from zoo.forked import ForkedSuite, checked, failures

from conformance.clauses import version
from conformance.errors import CannotRun
from conformance.implementation import NEWEST_SPEC

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != version(NEWEST_SPEC),
    reason="what the suite catches is the same on every Python: on the newest only",
)


@pytest.fixture(scope="module")
def suite() -> Iterator[ForkedSuite]:
    with ForkedSuite() as suite:
        yield suite


@pytest.mark.parametrize("specimen", SPECIMENS.values(), ids=SPECIMENS)
def test_a_specimen_fails_the_clauses_that_name_its_fault(
    specimen: Specimen, suite: ForkedSuite
) -> None:
    network = specimen.networks[0]
    certificate = suite.certify(specimen.name, network)
    stated = specimen.fails & checked(certificate, network)
    found = failures(certificate, network)
    assert stated or not specimen.fails
    assert not stated - found.keys(), f"not caught on {network}"
    assert not {each: found[each] for each in found if each not in stated}


def test_what_is_no_implementation_is_said(suite: ForkedSuite) -> None:
    with pytest.raises(CannotRun, match=r"cannot find .*zoo:nothing"):
        suite.certify("zoo:nothing", "memory")


def test_a_crash_costs_its_own_certification_only(suite: ForkedSuite) -> None:
    with pytest.raises(CannotRun, match="the interpreter ended with status"):
        suite.certify("plugged.misbehaving:crashing", "tls")
    assert failures(suite.certify("reference_impl", "tls"), "tls") == {}
