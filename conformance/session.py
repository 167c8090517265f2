"""One certification inside pytest: which tests it has, and what came of each."""

from pathlib import Path

import pytest

from conformance.certificate import Certificate, Finding, Record, Variant
from conformance.clauses import clauses
from conformance.errors import CannotRun, Deviation, Hang
from conformance.expect import described
from conformance.implementation import checked_spec, implementation
from conformance.loops import loop
from conformance.marks import ClauseMark
from conformance.networks import NETWORKS, network_names
from conformance.trial import Trial, line_of

FINDING = "streams-finding"  # the user property of a test report that carries what was seen


class Session:
    """A certification, registered as a plug-in of the pytest run that does it.

    Under pytest-xdist the workers run the tests, and the process that the user started keeps the
    record.

    Args:
        config: pytest's configuration, with the `--streams…` options.

    Raises:
        CannotRun: something was asked for that there is not.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.streams = implementation(config.getoption("--streams"))
        self.loop = loop(config.getoption("--streams-loop"))
        wanted = config.getoption("--streams-network")
        self.networks = tuple(NETWORKS) if wanted is None else network_names(wanted)
        spec = config.getoption("--streams-spec")
        self.spec = self.streams.default_spec if spec is None else checked_spec(spec)
        json = config.getoption("--streams-json")
        self.json = None if json is None else writable(Path(json))
        self.record = Record(self.streams.name, self.loop.name, self.spec, self.networks)
        self.is_worker = hasattr(config, "workerinput")

    def trial(self, network: str, role: str) -> Trial:
        """Return a trial on the network of that name, in that role."""
        return Trial(self.streams, NETWORKS[network](), role, self.loop)

    # Which tests there are.

    def parametrize(self, metafunc: pytest.Metafunc, mark: ClauseMark) -> None:
        """Make a test for each network and role, with ids from which the record knows them."""
        if mark.clause not in clauses():
            raise pytest.UsageError(f"{metafunc.function.__name__}: no clause {mark.clause!r}")
        variants = [
            Variant(mark.clause, network, role)
            for network in self.networks
            if network in mark.networks and clauses()[mark.clause].applies_to(self.spec)
            for role in mark.roles
        ]
        metafunc.parametrize(
            "trial",
            [(each.network, each.role) for each in variants],
            ids=[each.id for each in variants],
            indirect=True,
        )

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Drop the placeholders that pytest leaves for tests that run on no network chosen."""
        dropped = [
            each
            for each in items
            if each.get_closest_marker("streams_clause") and Variant.of(each.nodeid) is None
        ]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [each for each in items if each not in dropped]

    # What came of them.

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> "object":
        """Put what was expected and what was seen into a failing test's report."""
        report = yield
        mark = item.get_closest_marker("streams_clause")
        if mark and call.excinfo and report.failed:
            finding = finding_of(call.excinfo.value, mark.args[0])
            report.user_properties.append((FINDING, [finding.expected, finding.seen]))
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which tests are to be reported (in a run without workers)."""
        self.record.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note which tests are to be reported (in a run with workers)."""
        self.record.expect(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a test's outcome into the record."""
        finding = None
        if report.failed:
            given = dict(report.user_properties).get(FINDING)
            finding = (
                Finding("the interpreter to survive", str(report.longrepr))
                if given is None
                else Finding(*given)  # type: ignore[misc]  # a pair of strings, put there above
            )
        if finding is not None or report.when == "call":
            self.record.add(report.nodeid, finding)

    def certificate(self) -> Certificate:
        """Return the certificate, when all tests have run.

        Raises:
            CannotRun: some have not.
        """
        return self.record.certificate()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the certificate under pytest's own summary."""
        if self.is_worker:
            return
        from conformance.report import certificate_text

        try:
            certificate = self.certificate()
        except CannotRun as reason:
            terminalreporter.write_line(f"no certificate: {reason}", red=True)
            return
        terminalreporter.write_line(certificate_text(certificate))
        if self.json is not None:
            self.json.write_text(certificate.to_json(), encoding="utf-8")


def finding_of(error: BaseException, mark: ClauseMark) -> Finding:
    """Return what `error`, which ended a test, says of the implementation."""
    text = clauses()[mark.clause].text
    if isinstance(error, Deviation):
        return Finding(error.expected, error.seen)
    if isinstance(error, Hang):
        return Finding(text, f"a hang: {error}")
    line = line_of(error, mark.code)
    return Finding(text, described(error) + (f" at `{line}`" if line else ""))


def writable(path: Path) -> Path:
    """Return `path` if a file can be written there.

    Raises:
        CannotRun: it cannot; better said before the tests than after.
    """
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise CannotRun(f"cannot write {str(path)!r}: {error.strerror}") from error
    return path
