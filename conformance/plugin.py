"""The pytest plug-in: the `--streams…` options, and the `trial` fixture that the suite runs on.

It is loaded by every pytest where the package is installed, so it imports the suite's machinery
only when `--streams` asks for it.
"""

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from conformance.errors import CannotRun
from conformance.run import REQUEST, SESSION
from conformance.run.options import HOW, JSON, WHICH

if TYPE_CHECKING:
    from conformance.harness.trial import Trial


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--streams…` options."""
    group = parser.getgroup("streams", "conformance of asyncio streams (streamcert)")
    group.addoption(
        "--streams",
        metavar="IMPLEMENTATION",
        help="certify this implementation: package.module or package.module:attribute",
    )
    group.addoption(
        "--streams-again",
        action="store_true",
        help="try a test that fails once more; if it passes then, the clause is flaky",
    )
    for each in (*HOW, *WHICH, JSON):
        group.addoption(
            f"--streams-{each.name}",
            metavar=each.metavar,
            default=[] if each.multiple else each.default,
            action="append" if each.multiple else "store",
            help=each.help,
        )


def pytest_configure(config: pytest.Config) -> None:
    """Set up a certification, if the options ask for one."""
    config.addinivalue_line(
        "markers", "streams_clause(mark): the clause of the streams API that the test checks"
    )
    sent: dict[str, Any] | None = getattr(config, "workerinput", {}).get("streams-request")
    if config.getoption("--streams") is None and sent is None and REQUEST not in config.stash:
        return
    from conformance.run import preflight
    from conformance.run.request import RawRequest, Request
    from conformance.run.session import Session

    try:
        request = config.stash.get(REQUEST, None)
        if sent is not None:
            request = Request.of(RawRequest(**sent))
        elif request is None:
            request = Request.of(RawRequest(**_given(config)))
            preflight.check(request.streams, request.loop, request.networks)
        session = Session(request, is_worker=sent is not None)
    except CannotRun as reason:
        raise pytest.UsageError(str(reason)) from None
    config.stash[SESSION] = session
    config.pluginmanager.register(session)


def _given(config: pytest.Config) -> dict[str, Any]:
    """Return the values of pytest's options."""
    given = {each.key: config.getoption(f"--streams-{each.name}") for each in (*HOW, *WHICH, JSON)}
    selections = {"-k": config.getoption("keyword"), "-m": config.getoption("markexpr")}
    chosen = [f"{option} {text!r}" for option, text in selections.items() if text]
    return given | {
        "streams": config.getoption("--streams"),
        "clause": tuple(given["clause"]),
        "again": config.getoption("--streams-again"),
        "part": " ".join(chosen),
    }


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
    if not hasattr(request, "param"):
        pytest.fail("`trial` is for tests of the suite, which are marked @clause", pytrace=False)
    # Collect what the previous test left. Then tests that collect garbage search only their own
    # objects, and not each time thousands of tests and their modules.
    gc.collect()
    gc.freeze()
    made = request.config.stash[SESSION].trial(*request.param)
    yield made
    made.close()
