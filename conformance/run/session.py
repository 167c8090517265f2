"""One certification inside pytest: which tests it has, and what came of each."""

import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from conformance.certificate import Certificate, Finding, Inapplicable, Record, Variant
from conformance.clauses import clauses, named
from conformance.errors import CannotRun, Deviation, Hang, described
from conformance.implementation import Implementation, checked_spec, implementation
from conformance.known import KnownDeviations
from conformance.loops import Loop, loop
from conformance.marks import MEMORY, ClauseMark
from conformance.networks import NETWORKS, network_names
from conformance.report import certificate_text
from conformance.trial import Trial, line_of

# The user properties of a test report that carry what was seen, and what crossed the wire.
FINDING = "streams-finding"
TRACE = "streams-trace"

ADAPTER_NETWORKS = ("memory",)
"""An adapter's ends are connected by itself; no other network could be put between them."""

AS_THE_CLAUSE_SAYS = "what the clause says"


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asked for, found and checked.

    Attributes:
        streams: the implementation.
        loop: the event loop.
        networks: the names of the networks, in the order of `NETWORKS`.
        spec: the specification's version.
        known: the deviations that are known, if the user gave a file of them.
        json: where the certificate is to be written, if anywhere.
    """

    streams: Implementation
    loop: Loop
    networks: tuple[str, ...]
    spec: str
    known: KnownDeviations
    json: Path | None

    @classmethod
    def of(
        cls,
        streams: str,
        loop_name: str,
        networks: str | None,
        spec: str | None,
        known: str | None,
        json: str | None,
    ) -> "Order":
        """Return the order that the user gave in these words.

        Raises:
            CannotRun: something was asked for that there is not; the message says what.
        """
        found = implementation(streams)
        on = loop(loop_name)
        return cls(
            streams=found,
            loop=on,
            networks=chosen_networks(found, on, networks),
            spec=found.default_spec if spec is None else checked_spec(spec),
            known=KnownDeviations({}) if known is None else KnownDeviations.read(Path(known)),
            json=None if json is None else writable(Path(json)),
        )


def chosen_networks(streams: Implementation, on: Loop, text: str | None) -> tuple[str, ...]:
    """Return the names of the networks to run on.

    By default all of them; but those in memory only on asyncio's own loop. The fakes' transports
    do as asyncio's do, and on another loop they would be certified in place of that loop's. Those
    that the implementation lacks are left out.

    Raises:
        CannotRun: there is no such network, or none is left; an adapter is to run on anything but
            `memory`, or an implementation on a network that it lacks.
    """
    if text is not None:
        chosen = network_names(text)
        for each in chosen:
            if streams.adapter is not None and each not in ADAPTER_NETWORKS:
                raise CannotRun(f"{streams.name} is an adapter: it runs on memory, not {each}")
            if each in streams.without:
                raise CannotRun(f"{streams.name} does not run on {each}: it is in its `without`")
        return chosen
    if streams.adapter is not None:
        return ADAPTER_NETWORKS
    possible = [name for name in NETWORKS if on.name == "asyncio" or name not in MEMORY]
    chosen = tuple(name for name in possible if name not in streams.without)
    if not chosen:
        raise CannotRun(f"{streams.name} runs on no network: all are in its `without`")
    return chosen


class Session:
    """A certification, registered as a plug-in of the pytest run that does it.

    Under pytest-xdist the workers run the tests, and the process that the user started keeps the
    record.

    Args:
        config: pytest's configuration, with the `--streams…` options.

    Attributes:
        wires: what crossed the wire in tests that failed in memory, if one clause is tested alone.

    Raises:
        CannotRun: something was asked for that there is not.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.order = Order.of(
            config.getoption("--streams"),
            config.getoption("--streams-loop"),
            config.getoption("--streams-network"),
            config.getoption("--streams-spec"),
            config.getoption("--streams-known-deviations"),
            config.getoption("--streams-json"),
        )
        self.record = Record(
            self.order.streams.name, self.order.loop.name, self.order.spec, self.order.networks
        )
        clause: str | None = config.getoption("--streams-clause")
        self.clause = None if clause is None else named(clause)
        self.wires: dict[Variant, str] = {}
        self.bound: float = config.getoption("--streams-bound")
        self.is_worker = hasattr(config, "workerinput")

    def trial(self, network: str, role: str) -> Trial:
        """Return a trial on the network of that name, in that role."""
        made = NETWORKS[network]()
        if self.clause is not None:
            made.start_trace()
        return Trial(self.order.streams, made, role, self.order.loop, self.bound)

    # Which tests there are.

    def parametrize(self, metafunc: pytest.Metafunc, mark: ClauseMark) -> None:
        """Make a test for each network and role, with ids from which the record knows them."""
        if mark.clause not in clauses():
            raise pytest.UsageError(f"{metafunc.function.__name__}: no clause {mark.clause!r}")
        variants = [
            Variant(mark.clause, network, role)
            for network in self.order.networks
            if network in mark.networks and clauses()[mark.clause].applies_to(self.order.spec)
            if self.clause is None or mark.clause == self.clause.id
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

    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run a test in a worker, and tell the process that keeps the record no more than it needs.

        pytest-xdist sends six messages for a test that passes: its start and end, the end of its
        turn, and that setting up, testing and tearing down went well. To read them took that
        process a third as long as the tests, on the processors that the workers run on.
        """
        if not self.is_worker:
            return None
        # What pytest's own hook does is nowhere else to be had than in the function that it calls.
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                report.keywords = {}
                item.ihook.pytest_runtest_logreport(report=report)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was expected and what was seen into a failing test's report."""
        report = yield
        mark = item.get_closest_marker("streams_clause")
        if mark and call.excinfo and report.failed:
            finding = finding_of(call.excinfo.value, mark.args[0])
            report.user_properties.append((FINDING, [finding.expected, finding.seen]))
            if isinstance(item, pytest.Function) and "trial" in item.funcargs:
                tried = item.funcargs["trial"]
                assert isinstance(tried, Trial)
                report.user_properties.append((TRACE, tried.network.trace()))
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
        if report.failed:
            properties = dict(report.user_properties)
            given = properties.get(FINDING)
            if (variant := Variant.of(report.nodeid)) and (trace := properties.get(TRACE)):
                self.wires.setdefault(variant, str(trace))
            self.record.add(
                report.nodeid,
                Finding("the interpreter to survive", str(report.longrepr))
                if given is None
                else Finding(*given),  # type: ignore[misc]  # a pair of strings, put there above
            )
        elif report.skipped:
            assert isinstance(report.longrepr, tuple)
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.record.add(report.nodeid, Inapplicable(reason))
        elif report.when == "call":
            self.record.add(report.nodeid, None)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the certificate under pytest's own summary."""
        if self.is_worker:
            return
        try:
            certificate = self.certificate()
            gone = self.order.known.gone(certificate)
            terminalreporter.write_line(certificate_text(certificate, gone))
        except CannotRun as reason:
            terminalreporter.write_line(f"no certificate: {reason}", red=True)

    def pytest_sessionfinish(self) -> None:
        """Write the certificate to the file that was asked for."""
        if self.is_worker:
            gc.freeze()  # the process ends, sooner if it looks for no garbage first
            return
        gc.unfreeze()
        if self.order.json is None:
            return
        with suppress(CannotRun):  # said in the summary
            text = self.certificate().to_json()
            try:
                write(self.order.json, text)
            except CannotRun as reason:
                pytest.exit(str(reason), pytest.ExitCode.USAGE_ERROR)

    def certificate(self) -> Certificate:
        """Return the certificate, when all tests have run.

        Raises:
            CannotRun: some have not.
        """
        return self.order.known.marked(self.record.certificate())


def finding_of(error: BaseException, mark: ClauseMark) -> Finding:
    """Return what `error`, which ended a test, says of the implementation."""
    if isinstance(error, Deviation):
        return Finding(error.expected, error.seen)
    if isinstance(error, Hang):
        return Finding(AS_THE_CLAUSE_SAYS, f"a hang: {error}")
    line = line_of(error, mark.code)
    return Finding(AS_THE_CLAUSE_SAYS, described(error) + (f" at `{line}`" if line else ""))


def writable(path: Path) -> Path:
    """Return `path` if a file can be written there.

    Raises:
        CannotRun: it cannot; better said before the tests than after.
    """
    new = not path.exists()
    with writing(path):
        with path.open("a", encoding="utf-8"):
            pass  # nothing is written, nor lost, before the tests have run
        if new:  # several worker processes may look at once
            path.unlink(missing_ok=True)
    return path


def write(path: Path, text: str) -> None:
    """Write `text`; what an implementation said may hold what no encoding has.

    Raises:
        CannotRun: it cannot be written, although `writable()` has looked: the disk is full, say.
    """
    with writing(path):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error in writing the file at `path` into `CannotRun`."""
    try:
        yield
    except OSError as error:
        raise CannotRun(f"cannot write {str(path)!r}: {error.strerror}") from error
