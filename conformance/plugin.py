"""The pytest plug-in: the `--streams…` options, and the `trial` fixture that the suite runs on.

It is loaded by every pytest where the package is installed, so it imports the suite's machinery
only when `--streams` asks for it.
"""

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from conformance.errors import CannotRun

if TYPE_CHECKING:
    from conformance.session import Session
    from conformance.trial import Trial

SESSION: "pytest.StashKey[Session]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--streams…` options."""
    group = parser.getgroup("streams", "conformance of asyncio streams (streamcert)")
    group.addoption(
        "--streams",
        metavar="IMPLEMENTATION",
        help="certify this implementation: package.module or package.module:attribute",
    )
    group.addoption(
        "--streams-loop",
        metavar="LOOP",
        default="asyncio",
        help="the event loop: asyncio (default), uvloop or module:factory",
    )
    group.addoption(
        "--streams-network",
        metavar="NAMES",
        help="the networks to run on, separated by commas (default: all; in memory only with "
        "asyncio's loop)",
    )
    group.addoption(
        "--streams-clause",
        metavar="ID",
        help="test this clause only, and keep what crossed the wire where it fails in memory",
    )
    group.addoption(
        "--streams-spec",
        metavar="X.Y",
        help="the Python version whose documentation counts (default: the running one for "
        "asyncio itself, the newest for everything else)",
    )
    group.addoption(
        "--streams-bound",
        metavar="SECONDS",
        type=float,
        default=1.0,
        help="without progress after which a test on a kernel's network is a hang (default: 1)",
    )
    group.addoption(
        "--streams-known-deviations",
        metavar="FILE",
        help="a file of deviations that are known and do not count as failures",
    )
    group.addoption("--streams-json", metavar="FILE", help="write the certificate to FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Set a certification up, if one is asked for."""
    config.addinivalue_line(
        "markers", "streams_clause(mark): the clause of the streams API that the test checks"
    )
    if config.getoption("--streams") is None:
        return
    from conformance.session import Session

    try:
        session = Session(config)
    except CannotRun as reason:
        raise pytest.UsageError(str(reason)) from None
    config.stash[SESSION] = session
    config.pluginmanager.register(session)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of the suite once for each network and role that it runs on."""
    mark = metafunc.definition.get_closest_marker("streams_clause")
    if mark is None:
        return
    session = metafunc.config.stash.get(SESSION, None)
    if session is None:
        raise pytest.UsageError("say what to certify: --streams IMPLEMENTATION")
    session.parametrize(metafunc, mark.args[0])


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> "Iterator[Trial]":
    """One run of one test: the implementation, a network, a role and an event loop."""
    # What the test before left goes now. Then tests that collect garbage look through what they
    # have made themselves, and not each time through thousands of tests and their modules.
    gc.collect()
    gc.freeze()
    made = request.config.stash[SESSION].trial(*request.param)
    yield made
    made.close()
