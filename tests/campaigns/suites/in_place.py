"""A pytest plug-in, and a runner of unittest's tests: streams in place, outcomes kept.

It is loaded before anything else, in the suite's own environment, and needs nothing but the
reference. Environment variables have the request: STREAMS, the implementation, and OUTCOMES, the
file to write the outcome of each test to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import unittest
from pathlib import Path
from types import FrameType
from typing import Any

if os.environ["STREAMS"] == "reference_impl":
    import reference_impl

    reference_impl.install()

LONG = 60  # seconds; a test that takes as long hangs

outcomes: dict[str, str] = {}


def write() -> None:
    """Write the outcomes so far."""
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(outcomes))


# For pytest.


def pytest_runtest_logreport(report: Any) -> None:
    """Keep the worst outcome of a test: of its set-up, itself, or its tear-down."""
    if report.failed or report.when == "call" or report.skipped:
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if outcomes.get(report.nodeid) != "failed":
            outcomes[report.nodeid] = outcome


def pytest_collectreport(report: Any) -> None:
    """Keep that something could not be collected."""
    if report.failed:
        outcomes[report.nodeid] = "failed"


def pytest_sessionfinish() -> None:
    """Write the outcomes."""
    write()


# For unittest.


class Result(unittest.TextTestResult):
    """Keeps the outcome of each test, and lets none take long."""

    def startTest(self, test: unittest.TestCase) -> None:
        """Begin to count the time."""
        super().startTest(test)
        outcomes[test.id()] = "passed"
        signal.alarm(LONG)

    def stopTest(self, test: unittest.TestCase) -> None:
        """End that."""
        signal.alarm(0)
        super().stopTest(test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Keep it."""
        super().addSkip(test, reason)
        outcomes[test.id()] = "skipped"

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        """Keep it."""
        super().addExpectedFailure(test, err)
        outcomes[test.id()] = "xfailed"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        """Keep it."""
        super().addFailure(test, err)
        outcomes[test.id()] = "failed"

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        """Keep it."""
        super().addError(test, err)
        outcomes[test.id()] = "failed"

    def addSubTest(self, test: unittest.TestCase, subtest: Any, err: Any) -> None:
        """Keep one that fails."""
        super().addSubTest(test, subtest, err)
        if err is not None:
            outcomes[test.id()] = "failed"


def too_long(signum: int, frame: FrameType | None) -> None:
    """End a test that hangs."""
    raise TimeoutError(f"the test took more than {LONG} seconds")


def main(names: list[str]) -> None:
    """Run the tests of modules, or tests by their names."""
    signal.signal(signal.SIGALRM, too_long)
    tests = unittest.TestSuite()
    for name in names:
        tests.addTests(unittest.defaultTestLoader.loadTestsFromName(name))
    runner = unittest.TextTestRunner(verbosity=1)
    runner.resultclass = Result  # type: ignore[assignment]  # typeshed: a function
    runner.run(tests)
    write()


if __name__ == "__main__":
    main(sys.argv[1:])
