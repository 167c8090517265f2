"""The process behind `ForkedSuite`: it collects the suite once, and forks for each request.

    python -m campaigns._shared.bench [PYTEST OPTIONS]

Requests and answers are lines of JSON on standard input and output; the first line names the
subject, and the number of forks that may run at the same time. If a request names lines of the
subject, the subject is certified once under `coverage`, so that only the tests that run these lines
are run.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import pickle
import resource
import selectors
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import resources
from importlib.abc import SourceLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn

import pytest

import conformance
from conformance.errors import CannotRun
from conformance.networks import NETWORKS
from conformance.results.certificate import Variant
from conformance.run.session import FINDING, SESSION
from conformance.subject.implementation import implementation

from .forked_suite import Answer, Failure, Lines, Request, Subject, is_about_costs, is_search
from .result_cache import digest, suite

SILENCE_BOUND = 90  # seconds; the suite itself stops a test without progress after 20
MEMORY_BOUND = 1 << 30  # bytes, beside what the process has from the beginning

QUICK = 0.1  # seconds of processor time; slower tests run last, whatever they found

_SETUP = "setup"  # the coverage context of the subject's import

Send = Callable[[dict[str, Any]], None]


class Bench:
    """A pytest plug-in that answers requests in place of running the tests.

    Args:
        requests: the file descriptor to read from.
        answers: the file descriptor to write to.
    """

    def __init__(self, requests: int, answers: int) -> None:
        self.requests = requests
        self.answers = answers
        self.failure: pytest.TestReport | None = None
        self.killed: dict[int, int] = {}  # when each test failed last: a number that grows
        self._baseline: Baseline | None = None

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Add an option."""
        parser.addoption(
            "--bench-bound",
            metavar="SECONDS",
            type=float,
            default=10.0,
            help="processor time after which a test does not end (default: 10; most take 0.01)",
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test's first failure."""
        if report.failed and self.failure is None:
            self.failure = report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer until there are no more requests."""
        if session.testsfailed or not session.items:
            raise pytest.UsageError("the suite cannot be collected, or no test applies")
        self.config = session.config
        self.items = session.items
        self.variants = [Variant.of(each.nodeid) for each in self.items]
        self.networks_of: dict[str, set[str]] = {}
        for variant in filter(None, self.variants):
            self.networks_of.setdefault(variant.clause, set()).add(variant.network)
        self.numbers = {item.nodeid: number for number, item in enumerate(self.items)}
        self.bound: float = self.config.getoption("--bench-bound")
        # A full collection, which many clauses need, does not have to search all the objects of
        # pytest.
        gc.collect()
        gc.freeze()
        lines = _Lines(self.requests)
        while not lines.waiting:
            lines.read()
            if lines.over:
                return True
        head = json.loads(lines.waiting.popleft())
        self.subject = Subject(**head["subject"])
        self.kept_baseline = head["baseline"] and Path(head["baseline"])
        self._serve(lines, head["processes"])
        return True

    # In this process.

    def _serve(self, lines: _Lines, processes: int) -> None:
        selector = selectors.DefaultSelector()
        selector.register(self.requests, selectors.EVENT_READ, lines)
        running: set[Child] = set()
        while lines.waiting or running or not lines.over:
            while lines.waiting and len(running) < processes:
                message = json.loads(lines.waiting.popleft())
                try:
                    child = self._started(message["number"], _request(message["request"]))
                except CannotRun as reason:
                    self._answer(message["number"], str(reason))
                    continue
                if child is None:
                    self._answer(message["number"], "", Answer(0, ()))
                    continue
                running.add(child)
                selector.register(child.pipe, selectors.EVENT_READ, child)
            for key, _ in selector.select(timeout=1):
                key.data.read()
            if lines.over and self.requests in selector.get_map():
                selector.unregister(self.requests)
            for child in [*running]:
                if child.over or time.monotonic() > child.heard + SILENCE_BOUND:
                    selector.unregister(child.pipe)
                    running.remove(child)
                    self._finish(child)

    def _started(self, number: int, request: Request) -> Child | None:
        """Fork for a request; return `None` if it has no test to run."""
        chosen = self._chosen(request)
        if not chosen:
            return None
        return Child(partial(self._attempt, request, chosen), number, request, chosen)

    def _finish(self, child: Child) -> None:
        ended = child.wait()
        began: list[int] = []
        failures: list[Failure] = []
        over = False
        for message in child.messages():
            if "test" in message:
                began.append(message["test"])
            elif "failure" in message:
                failures.append(Failure(**message["failure"]))
            elif "problem" in message:
                self._answer(child.number, message["problem"])
                return
            else:
                over = True
                unusable = message["unusable"]
        if not over:
            unusable = ""
            # Before any test, the implementation itself has ended the process.
            test = self.items[began[-1]].nodeid if began else ""
            seen = f"the process ended with {ended}"
            failures.append(Failure(test, "the interpreter to survive", seen))
        wanted = {*child.request.asked, *(child.request.clauses or ())}
        if failures and failures[0].test:
            self.killed[self.numbers[failures[0].test]] = child.number + 1
        pairs = [variant[:2] for each in began if (variant := self.variants[each])]
        checked = tuple(dict.fromkeys(pair for pair in pairs if pair[0] in wanted))
        answer = Answer(len(began), tuple(failures), checked, unusable, child.seconds)
        self._answer(child.number, "", answer)

    def _answer(self, number: int, problem: str, answer: Answer | None = None) -> None:
        message = {"number": number, "problem": problem, "answer": answer and asdict(answer)}
        data = (json.dumps(message) + "\n").encode()
        while data:
            data = data[os.write(self.answers, data) :]

    # Which tests.

    def _chosen(self, request: Request) -> list[int]:
        """Return the numbers of the tests to run, those first that are likely to fail soon.

        A test that failed for the last mistakes is likely to fail for the next one.
        """
        chosen = [
            number
            for number, variant in enumerate(self.variants)
            if variant is not None
            if not request.networks or variant.network in request.networks
            if request.clauses is None or variant.clause in request.clauses
            if variant.clause in request.asked or self._is_asked(variant.clause, request)
        ]
        if request.reach is None:
            return chosen
        baseline = self.baseline()
        reached = baseline.reached(request.reach)
        chosen = [
            number
            for number in chosen
            if number not in baseline.failing
            if reached is None or number in reached or self._variant(number).clause in request.asked
        ]
        first = self.numbers.get(request.first)
        networks = [*NETWORKS]

        def order(number: int) -> tuple[bool, int, int, int, float]:
            seconds = baseline.seconds[number]
            recent = -self.killed.get(number, 0) if seconds < QUICK else 0
            network = networks.index(self._variant(number).network)
            return number != first, recent, network, baseline.reach.get(number, 0), seconds

        chosen.sort(key=order)
        if not request.once:
            return chosen
        earliest: dict[tuple[str, str], int] = {}
        for number in chosen:
            test = self.items[number].nodeid.partition("[")[0]
            earliest.setdefault((test, self._variant(number).role), number)
        return [*earliest.values()]

    def _is_asked(self, clause: str, request: Request) -> bool:
        """Return whether a request asks for a clause, by its kind and by its networks."""
        return (
            (request.searches or not is_search(clause))
            and (request.costs or not is_about_costs(clause))
            and self.networks_of[clause].isdisjoint(request.not_on)
        )

    def _variant(self, number: int) -> Variant:
        variant = self.variants[number]
        assert variant is not None
        return variant

    def baseline(self) -> Baseline:
        """Return what the tests do to the subject; find it out on the first call.

        Raises:
            CannotRun: the subject fails, although it is right.
        """
        if self._baseline is None:
            file = self.kept_baseline and self.kept_baseline / f"{self._state()}.pickle"
            if file is not None and file.exists():
                self._baseline = pickle.loads(file.read_bytes())
                return self._baseline
            child = Child(self._observe)
            child.wait()
            *_, found = child.messages() or [{"problem": "it ended"}]
            if "problem" in found:
                raise CannotRun(f"without any mistake: {found['problem']}")
            self._baseline = pickle.loads(bytes.fromhex(found["baseline"]))
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(pickle.dumps(self._baseline))
        return self._baseline

    def _state(self) -> str:
        """Return a digest of everything that the baseline depends on."""
        files = [Path(file).read_text(encoding="utf-8") for file in self.subject.modules.values()]
        return digest([sys.version, suite(), *self.config.invocation_params.args, *files])

    # In the forked processes.

    def _observe(self, send: Send) -> None:
        """Send the baseline."""
        import coverage

        watch = coverage.Coverage(data_file=None, include=[*self.subject.modules.values()])
        watch.set_option("run:core", "ctrace")  # sysmon notes a line in one context only
        watch.start()
        watch.switch_context(_SETUP)
        self._plug_in(self.subject.streams, anew=True)
        refusals = Refusals()
        seconds: list[float] = []
        failing: set[int] = set()
        for number, item in enumerate(self.items):
            send({"test": number})  # it ends here if nothing waits for the baseline any more
            watch.switch_context(str(number))
            start = time.process_time()
            refusals.test = number
            self._run(item)
            seconds.append(time.process_time() - start)
            if self.failure is not None:
                if self.subject.is_right:
                    send({"problem": f"{item.nodeid} fails\n{self.failure.longreprtext}"})
                    return
                failing.add(number)
                self.failure = None
        watch.stop()
        data = watch.get_data()
        contexts = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        baseline = Baseline(contexts, seconds, failing, refusals.tests)
        send({"baseline": pickle.dumps(baseline).hex()})

    def _attempt(self, request: Request, numbers: Iterable[int], send: Send) -> None:
        """Run the tests of these `numbers`; send each number, and the failures."""
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BOUND, used + MEMORY_BOUND))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, self.bound)
        if request.source is not None:
            sys.meta_path.insert(0, Replacing(*request.source, self.subject))
        try:
            self._plug_in(request.streams, anew=request.source is not None)
        except CannotRun as reason:
            if request.source is None:
                send({"problem": str(reason)})
            else:
                send({"unusable": f"cannot be certified: {reason.__cause__ or reason!r:.200}"})
            return
        except BaseException as error:
            send({"unusable": f"cannot be certified: {error!r:.200}"})
            return
        for number in numbers:
            send({"test": number})
            signal.setitimer(signal.ITIMER_PROF, self.bound)
            self._run(self.items[number])
            if self.failure is None:
                continue
            properties = dict(self.failure.user_properties)
            finding = properties.get(FINDING)
            expected, seen = (
                map(str, finding[:2])
                if isinstance(finding, list)
                else ("", self.failure.longreprtext)
            )
            failure = Failure(self.items[number].nodeid, expected[:500], seen[:500])
            send({"failure": asdict(failure)})
            if request.until_failure:
                break
            self.failure = None
        send({"unusable": ""})

    def _plug_in(self, streams: str, *, anew: bool) -> None:
        """Certify the request's implementation; first import the subject again, if need be."""
        if anew:
            module = self.subject.streams.partition(":")[0]
            packages = {name.rpartition(".")[0] for name in self.subject.modules}
            for name in [*sys.modules]:
                if name in self.subject.modules or name == module or name in packages - {"asyncio"}:
                    del sys.modules[name]
        session = self.config.stash[SESSION]
        session.request = replace(session.request, streams=implementation(streams))

    def _run(self, item: pytest.Item) -> None:
        self.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _request(data: dict[str, Any]) -> Request:
    """Return the request that JSON holds."""
    for name in ("networks", "clauses", "asked", "source", "not_on"):
        if data[name] is not None:
            data[name] = tuple(data[name])
    if data["reach"] is not None:
        data["reach"] = tuple((file, first, last) for file, first, last in data["reach"])
    return Request(**data)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The effects of the tests on the subject.

    Attributes:
        contexts: for each file, the contexts in which each line ran: numbers of tests, or `_SETUP`.
        seconds: how long each test took, of processor time.
        failing: the tests that fail.
        refusing: the tests that call a function with arguments that it does not take. They depend
            on it, even if they have run no line of it.
        reach: how many lines each test ran.
    """

    contexts: dict[str, dict[int, list[str]]]
    seconds: list[float]
    failing: set[int]
    refusing: set[int]
    reach: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for lines in self.contexts.values():
            for contexts in lines.values():
                for context in contexts:
                    if context.isdecimal():
                        self.reach[int(context)] = self.reach.get(int(context), 0) + 1

    def reached(self, spans: Iterable[Lines]) -> set[int] | None:
        """Return the tests that may depend on some lines; `None` if every test may."""
        found = set[str]()
        for file, first, last in spans:
            lines = self.contexts.get(file, {})
            for line in range(first, last + 1):
                found.update(lines.get(line, ()))
        if _SETUP in found:
            return None
        return {int(each) for each in found if each} | self.refusing


class Refusals:
    """Notes the tests in which the suite's own code meets a TypeError (from Python 3.12 on)."""

    def __init__(self) -> None:
        self.tests: set[int] = set()
        self.test = 0
        self.suite = str(Path(next(iter(conformance.__path__))))
        if sys.version_info >= (3, 12):
            tool = sys.monitoring.PROFILER_ID
            sys.monitoring.use_tool_id(tool, "refusals")
            sys.monitoring.register_callback(tool, sys.monitoring.events.RAISE, self._raised)
            sys.monitoring.set_events(tool, sys.monitoring.events.RAISE)

    def _raised(self, code: CodeType, _offset: int, error: BaseException) -> None:
        if type(error) is TypeError and code.co_filename.startswith(self.suite):
            raised = error.__traceback__
            if raised is None or raised.tb_next is None:  # by the call, not by code that it ran
                self.tests.add(self.test)


class _Lines:
    """The lines that arrive on a file descriptor."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.rest = b""
        self.waiting: deque[bytes] = deque()
        self.over = False

    def read(self) -> None:
        """Take the lines that have arrived."""
        data = os.read(self.file, 1 << 20)
        self.over = not data
        *whole, self.rest = (self.rest + data).split(b"\n")
        self.waiting.extend(whole)


class Child:
    """A forked process that does something and sends messages.

    Args:
        work: its task; the argument is the function to send with.
        number: the number of the request that it answers.
        request: the request.
        chosen: the tests that it runs.
    """

    def __init__(
        self,
        work: Callable[[Send], None],
        number: int = -1,
        request: Request | None = None,
        chosen: Iterable[int] = (),
    ) -> None:
        self.number = number
        self.request = request or Request(streams="")
        self.chosen = chosen
        self.output = bytearray()
        self.over = False
        self.heard = time.monotonic()
        self.seconds = 0.0
        self.pipe, write = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            self._work(work, write, parent)
        os.close(write)

    def _work(self, work: Callable[[Send], None], write: int, parent: int) -> NoReturn:
        try:
            os.setsid()
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)

            def send(message: dict[str, Any]) -> None:
                if os.getppid() != parent:
                    os._exit(1)  # nothing waits for it any more
                data = json.dumps(message).encode() + b"\n"
                while data:
                    data = data[os.write(write, data) :]

            work(send)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def read(self) -> None:
        """Take the messages that it has sent."""
        data = os.read(self.pipe, 1 << 16)
        self.output += data
        self.over = not data
        self.heard = time.monotonic()

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages that it has sent."""
        return [json.loads(line) for line in self.output.decode().splitlines()]

    def wait(self) -> str:
        """Read the rest, unless it is silent for too long, end it, and return how it ended."""
        if self.number < 0:
            while not self.over:
                self.read()
        if not self.over:
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        _, status, usage = os.wait4(self.pid, 0)
        self.seconds = usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status)
        return signal.Signals(-code).name if code < 0 else f"status {code}"


class Replacing:
    """Finds a module's source in memory, in place of its file.

    Args:
        name: the module's full name.
        source: the source.
        subject: the module's file.
    """

    def __init__(self, name: str, source: str, subject: Subject) -> None:
        self.name = name
        self.source = source.encode()
        self.file = subject.modules[name]

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the module is, if it is the one."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(
            name, self.file, loader=_Source(self.file, self.source)
        )


class _Source(SourceLoader):
    def __init__(self, file: str, source: bytes) -> None:
        self.file = file
        self.source = source

    def get_filename(self, _name: str) -> str:
        return self.file

    def get_data(self, _path: str | bytes) -> bytes:
        return self.source


def main(options: list[str]) -> None:
    """Collect the suite, and answer the requests on standard input."""
    suite = resources.files("conformance.suite")
    # The tests, and the implementations, cannot print to it.
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    chosen = [each for each in options if each.startswith("--streams=")]
    status = pytest.main(
        [
            str(suite),
            f"--config-file={suite / 'pytest.ini'}",
            f"--rootdir={suite}",
            *("-pconformance.plugin", "-pno:faulthandler"),
            *("--capture=no", "--no-header", "--no-summary", "--quiet", "--tb=native"),
            *options,
            *([] if chosen else ["--streams=reference_impl"]),
        ],
        plugins=[Bench(requests, answers)],
    )
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
