"""One certification inside pytest: its tests, and their results."""

import gc
import traceback
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from conformance.clauses import clauses
from conformance.errors import (
    CannotRun,
    Deviation,
    Hang,
    is_suites,
    place_of,
    raised_in,
    seen_of,
)
from conformance.harness.clause import ClauseMark
from conformance.harness.hang import line_of, source_line
from conformance.harness.interrupt import leave_to_parent
from conformance.harness.trial import Trial
from conformance.networks import NETWORKS
from conformance.networks.adapter import network_of
from conformance.results.certificate import (
    Certificate,
    Circumstances,
    Evidence,
    Finding,
    Inapplicable,
    Record,
    Variant,
)
from conformance.results.terminal import certificate_text
from conformance.run import SESSION
from conformance.run.files import write
from conformance.run.request import Request
from conformance.subject import capabilities

__all__ = ["FINDING", "SESSION", "Session"]

# The user properties of a test report that carry what was seen; whether the test passed when it was
# tried again; and the record of the wire, with the traceback.
FINDING = "streams-finding"
FLAKY = "streams-flaky"
EVIDENCE = "streams-evidence"

RAW_REQUEST = "streams-request"
"""The request, as data for a worker."""


class Session:
    """A certification, registered as a plug-in of the pytest run that does it.

    Under pytest-xdist the workers run the tests, and the process that the user started keeps the
    record.

    Args:
        request: what the user asked for.
        is_worker: whether this process runs the tests for another.

    Attributes:
        evidence: evidence on failures, by what was seen and where, if that is wanted.
        interrupted: whether the run ended before all tests were run.
    """

    def __init__(self, request: Request, *, is_worker: bool) -> None:
        self.request = request
        self.is_worker = is_worker
        self.record = Record(
            request.streams.name,
            request.loop.name,
            request.spec,
            request.networks,
            circumstances(request),
        )
        self.evidence: dict[tuple[Finding, Variant], Evidence] = {}
        self.interrupted = False
        self._raised: list[BaseException] = []  # by the test that runs
        if is_worker:
            leave_to_parent()

    def trial(self, network: str, role: str) -> Trial:
        """Return a trial on the network of that name, in that role."""
        adapter = self.request.streams.adapter
        made = NETWORKS[network]() if adapter is None else network_of(adapter)
        if self.request.raw.explain:
            made.start_trace()
        return Trial(self.request.streams, made, role, self.request.loop, self.request.bound)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send the request to a worker before it starts."""
        node.workerinput[RAW_REQUEST] = asdict(self.request.raw)

    # Which tests there are.

    def parametrize(self, metafunc: pytest.Metafunc, mark: ClauseMark) -> None:
        """Make a test for each network and role, with ids from which the record knows them."""
        if mark.clause not in clauses():
            raise pytest.UsageError(f"{metafunc.function.__name__}: no clause {mark.clause!r}")
        variants = [
            Variant(mark.clause, network, role)
            for network in self.request.networks
            if network in mark.networks and clauses()[mark.clause].applies_to(self.request.spec)
            if self.request.clauses is None or mark.clause in self.request.clauses
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
        """Drop the placeholders that pytest leaves for tests that run on no chosen network.

        Put the clauses that the user wants first at the beginning.
        """
        dropped = [
            each
            for each in items
            if each.get_closest_marker("streams_clause") and Variant.of(each.nodeid) is None
        ]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [each for each in items if each not in dropped]
        if self.request.first:
            items.sort(key=self._comes_later)

    def _comes_later(self, item: pytest.Item) -> bool:
        variant = Variant.of(item.nodeid)
        return variant is None or variant.clause not in self.request.first

    # The outcomes.

    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run a test; try it once more if it fails and that is wanted.

        pytest-xdist sends six messages for a test that passes: its start and end, the end of its
        turn, and that setting up, testing and tearing down went well. Reading them took the process
        that keeps the record a third as long as the tests, on the processors of the workers. So the
        worker sends only the messages that the record needs.
        """
        if item.get_closest_marker("streams_clause") is None:
            return None
        # pytest's own hook only calls this function; nothing else gives its result.
        if not self.is_worker:
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = self._run(item, nextitem)
        failed = [each for each in reports if each.failed]
        if failed and self.request.raw.again and self._passes(item, nextitem):
            for each in failed:
                each.user_properties.append((FLAKY, True))
        for report in reports:
            if self.is_worker:
                report.keywords = {}
            if not self.is_worker or report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        if not self.is_worker:
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _passes(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test again; return whether it passes."""
        assert isinstance(item, pytest.Function)
        item._initrequest()  # as when it was collected: its fixture is made again
        return all(each.passed for each in self._run(item, nextitem))

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
        """Run a test, and keep nothing of it alive.

        The objects that are frozen for the garbage collection refer to it, through its exceptions.
        """
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        for error in self._raised:
            forget_frames(error)
        self._raised.clear()
        return reports

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was expected and what was seen into a failing test's report."""
        report = yield
        mark = item.get_closest_marker("streams_clause")
        if mark and call.excinfo and report.failed:
            error = call.excinfo.value
            finding = finding_of(error, mark.args[0])
            report.user_properties.append((FINDING, list(finding)))
            if self.request.raw.explain and isinstance(item, pytest.Function):
                tried = item.funcargs.get("trial")
                wire = tried.network.trace() if isinstance(tried, Trial) else ""
                report.user_properties.append((EVIDENCE, [wire, traceback_of(error)]))
        if call.excinfo:
            self._raised.append(call.excinfo.value)
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which tests are to be reported (in a run without workers)."""
        self.record.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note which tests are to be reported (in a run with workers)."""
        self.record.expect(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a test's outcome."""
        if report.failed:
            properties = dict(report.user_properties)
            given = properties.get(FINDING)
            finding = Finding(*given) if isinstance(given, list) else _crash(report)
            finding = finding._replace(flaky=FLAKY in properties)
            variant, seen = Variant.of(report.nodeid), properties.get(EVIDENCE)
            if variant is not None and isinstance(seen, list):
                self.evidence.setdefault((finding, variant), Evidence(*seen))
            self.record.add(report.nodeid, finding)
        elif report.skipped:
            assert isinstance(report.longrepr, tuple)
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.record.add(report.nodeid, Inapplicable(reason))
        elif report.when == "call":
            self.record.add(report.nodeid, None)

    def pytest_keyboard_interrupt(self) -> None:
        """Note that the certificate will be incomplete."""
        self.interrupted = True

    def pytest_internalerror(self) -> None:
        """Note that the certificate will be incomplete."""
        self.interrupted = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the certificate under pytest's own summary."""
        if self.is_worker:
            return
        try:
            certificate = self.certificate()
            gone = self.request.known.gone(certificate)
            terminalreporter.write_line(certificate_text(certificate, gone))
        except CannotRun as reason:
            terminalreporter.write_line(f"no certificate: {reason}", red=True)

    def pytest_sessionfinish(self) -> None:
        """Write the certificate to the requested file."""
        if self.is_worker:
            gc.freeze()  # the process ends, and sooner if it does not collect garbage first
            return
        gc.unfreeze()
        if self.request.json is None:
            return
        with suppress(CannotRun):  # said in the summary
            text = self.certificate().to_json()
            try:
                write(self.request.json, text)
            except CannotRun as reason:
                pytest.exit(str(reason), pytest.ExitCode.USAGE_ERROR)

    def certificate(self) -> Certificate:
        """Return the certificate, when all tests have run, or the run was interrupted.

        Raises:
            CannotRun: some have not, or none has.
        """
        return self.request.known.marked(self.record.certificate(incomplete=self.interrupted))


def circumstances(request: Request) -> Circumstances:
    """Return the circumstances of a certification that are known before it begins."""
    names = ("streamcert", request.streams.distribution, request.loop.distribution)
    versions = {name: metadata.version(name) for name in names if name is not None}
    return Circumstances(
        versions=versions,
        without=tuple(sorted(request.streams.without)),
        loop_mode=request.loop.mode,
        part=request.part,
    )


def finding_of(error: BaseException, mark: ClauseMark) -> Finding:
    """Return the outcome of a test that `error` ended."""
    code = mark.code
    file, test = place_of(code.co_filename), code.co_name
    line = line_of(error, code) or (error.lines.get(code, 0) if isinstance(error, Hang) else 0)
    place = (file, line or code.co_firstlineno, test)
    if isinstance(error, Deviation):
        return Finding(error.expected, error.seen, *place)
    source = source_line(code.co_filename, line)
    seen = seen_of(error)
    if not raised_in(error):  # the suite itself raised it, when it used what it was given
        inner_file, inner_line = innermost(error)
        if inner_line and inner_line != line:
            source = source_line(inner_file, inner_line)
            seen += f", raised in {place_of(inner_file)}:{inner_line}"
        named = error.name if isinstance(error, AttributeError) and error.obj is not None else None
        if names := capabilities.lackable(named):
            seen += f"; what is not offered belongs in `without`: {' or '.join(names)}"
    return Finding(f"no exception at `{source}`" if source else "no exception", seen, *place)


def innermost(error: BaseException) -> tuple[str, int]:
    """Return the file and the number of the innermost of the suite's lines that `error` left.

    The wrappers of an implementation do not count: their lines say nothing of what was used.
    """
    found = ("", 0)
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if is_suites(file) and file != capabilities.__file__:
            found = file, line
    return found


def traceback_of(error: BaseException) -> str:
    """Return the traceback of `error`, from the suite on; empty if it is the suite's own."""
    if isinstance(error, Deviation) and error.__cause__ is None:
        return ""
    trace = error.__traceback__
    while trace is not None and not is_suites(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def forget_frames(error: BaseException) -> None:
    """Clear the frames that an exception, and those that led to it, have passed through."""
    seen = set[int]()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            traceback.clear_frames(each.__traceback__)
            waiting += [each.__cause__, each.__context__]


def _crash(report: pytest.TestReport) -> Finding:
    """Return the outcome of a test that ended its process."""
    file, _, test = report.nodeid.partition("[")[0].rpartition("::")
    return Finding("the interpreter to survive", str(report.longrepr), file, 0, test)
