"""A pytest plug-in that certifies mutants in place of what `--streams` names, one after another.

The suite is imported and collected once. Each mutant is then tried in a process that is forked from
this one and imports the package anew, with the mutant's source in place of the module's file, so
that nothing on the disk changes. Only the tests that run the changed lines are run, as a certified
package without the mistake ran them; the first failure decides.

    python -m pytest SUITE -p conformance.plugin -p mutants.worker --streams reference_impl \
        --mutants PLAN --mutants-results RESULTS
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
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.abc import SourceLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from conformance.certificate import Variant
from conformance.errors import CannotRun
from conformance.implementation import implementation
from conformance.networks import NETWORKS
from conformance.plugin import SESSION
from conformance.session import FINDING

from .operators import Key, Mutant

KILLED = "killed"
SURVIVED = "survived"
UNREACHED = "unreached"  # no test of this configuration runs the changed lines

SILENCE_BOUND = 90  # seconds; a test that waits for nothing is stopped by the suite after 20
MEMORY_BOUND = 1 << 30  # bytes, beside what the process has from the beginning

_SETUP = "setup"  # the coverage context of what runs when the package is imported


@dataclass(frozen=True, slots=True)
class Job:
    """A mutant to try.

    Attributes:
        mutant: the mutant.
        killer: the id of a test that killed it before, if any did, which is then the first to run.
        once: whether each test is run on one network only, the first on which it runs the lines.
    """

    mutant: Mutant
    killer: str = ""
    once: bool = False

    def to_json(self) -> str:
        """Return the job as a line of a plan."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def is_done(self, results: Mapping[Key, Result]) -> bool:
        """Return whether there is a result, not of fewer networks than are asked for here."""
        result = results.get(self.mutant.key)
        return result is not None and (result.verdict == KILLED or self.once or not result.once)

    @classmethod
    def of(cls, line: str) -> Job:
        """Return the job that a line of a plan holds."""
        data = json.loads(line)
        data["mutant"]["lines"] = tuple(data["mutant"]["lines"])
        return cls(Mutant(**data.pop("mutant")), **data)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant.

    Attributes:
        key: the mutant's key.
        verdict: `KILLED`, `SURVIVED` or `UNREACHED`.
        killer: the id of the test that failed; `""` if the package could not be certified.
        seen: what the implementation did, in short.
        tests: how many tests were run.
        seconds: processor time.
        once: whether each test was run on one network only.
    """

    key: Key
    verdict: str
    killer: str = ""
    seen: str = ""
    tests: int = 0
    seconds: float = 0.0
    once: bool = False

    def to_json(self) -> str:
        """Return the result as a line of a file of results."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, line: str) -> Result:
        """Return the result that a line of a file of results holds."""
        data = json.loads(line)
        return cls(tuple(data.pop("key")), **data)

    @property
    def clause(self) -> str:
        """The clause that killed it; `""` if the package could not be certified."""
        variant = Variant.of(self.killer)
        return variant.clause if variant else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--mutants…` options."""
    group = parser.getgroup("mutants")
    group.addoption("--mutants", metavar="PLAN", help="a file of mutants to try")
    group.addoption("--mutants-results", metavar="FILE", help="where each result becomes a line")
    group.addoption("--mutants-processes", metavar="N", type=int, default=1)
    group.addoption(
        "--mutants-bound",
        metavar="SECONDS",
        type=float,
        default=10.0,
        help="processor time after which a test does not end (default: 10; the slowest takes one)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try the mutants, in place of running the tests."""
    options = session.config.option
    plan = Path(options.mutants).read_text(encoding="utf-8")
    jobs = [Job.of(line) for line in plan.splitlines()]
    with open(options.mutants_results, "a", encoding="utf-8") as results:
        for result in Bench(session).results(jobs, options.mutants_processes):
            results.write(result.to_json() + "\n")
            results.flush()
    return True


class Bench:
    """The collected suite, and what it does to the package when there is no mistake in it.

    Args:
        session: pytest's session, after the collection.

    Raises:
        pytest.UsageError: tests cannot be collected, or one fails without any mistake.
    """

    def __init__(self, session: pytest.Session) -> None:
        if session.testsfailed or not session.items:
            raise pytest.UsageError("the suite cannot be collected, or no test applies")
        self.config = session.config
        self.items = session.items
        self.package: str = self.config.getoption("--streams")
        self.bound: float = self.config.getoption("--mutants-bound")
        folder = Path(sys.modules[self.package].__file__ or "").parent
        self.sources = {file.stem: file.read_bytes() for file in folder.glob("*.py")}
        self.numbers = {item.nodeid: number for number, item in enumerate(self.items)}
        self.failure: pytest.TestReport | None = None
        self.config.pluginmanager.register(self)
        gc.collect()
        gc.freeze()  # collections that tests ask for need not look at what pytest has built up
        baseline = Child(self._baseline)
        baseline.wait()
        self.baseline = pickle.loads(bytes(baseline.output) or pickle.dumps("no baseline"))
        if isinstance(self.baseline, str):
            raise pytest.UsageError(f"without any mistake: {self.baseline}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the first failure."""
        if report.failed and self.failure is None:
            self.failure = report

    # In the forked processes.

    def _baseline(self, send: Callable[[bytes], None]) -> None:
        """Send the tests that run each line, and how long each test takes."""
        import coverage

        folder = Path(sys.modules[self.package].__file__ or "").parent
        watch = coverage.Coverage(data_file=None, include=[f"{folder}/*"])
        watch.set_option("run:core", "ctrace")  # sysmon notes a line in one context only
        watch.start()
        watch.switch_context(_SETUP)
        self._plug_in()
        seconds = []
        for number, item in enumerate(self.items):
            watch.switch_context(str(number))
            start = time.process_time()
            self._run(item)
            seconds.append(time.process_time() - start)
            if self.failure is not None:
                send(pickle.dumps(f"{item.nodeid} fails\n{self.failure.longreprtext}"))
                return
        watch.stop()
        tests: dict[str, dict[int, list[str]]] = {
            Path(file).stem: watch.get_data().contexts_by_lineno(file)
            for file in watch.get_data().measured_files()
        }
        send(pickle.dumps(Baseline(tests, seconds)))

    def _attempt(self, job: Job, numbers: Iterable[int], send: Callable[[bytes], None]) -> None:
        """Run the tests of these `numbers` on a mutant; send each number, and what fails."""
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BOUND, used + MEMORY_BOUND))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, self.bound)
        mutant = job.mutant
        name = f"{self.package}.{mutant.module}"
        sys.meta_path.insert(0, Replacing(name, mutant.applied(self.sources[mutant.module])))
        try:
            self._plug_in()
        except BaseException as error:
            send(json.dumps({"seen": f"cannot be certified: {error!r:.200}"}).encode() + b"\n")
            return
        for number in numbers:
            send(b"%d\n" % number)
            signal.setitimer(signal.ITIMER_PROF, self.bound)
            self._run(self.items[number])
            if self.failure is not None:
                properties = dict(self.failure.user_properties)
                finding = properties.get(FINDING)
                seen = finding[1] if isinstance(finding, list) else self.failure.longreprtext
                send(json.dumps({"seen": str(seen)[:200]}).encode() + b"\n")
                return
        send(b'{"seen": null}\n')

    def _plug_in(self) -> None:
        """Import the package anew and certify that."""
        for name in [*sys.modules]:
            if name.partition(".")[0] == self.package:
                del sys.modules[name]
        session = self.config.stash[SESSION]
        try:
            streams = implementation(self.package)
        except CannotRun as reason:
            raise reason.__cause__ or reason from None
        session.order = replace(session.order, streams=streams)

    def _run(self, item: pytest.Item) -> None:
        self.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    # In this process.

    def results(self, jobs: list[Job], processes: int) -> Iterable[Result]:
        """Try the mutants, that many at a time; yield each result as it comes."""
        waiting = deque(jobs)
        selector = selectors.DefaultSelector()
        running: set[Child] = set()
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.popleft()
                numbers = self.baseline.tests_of(job, self.items, self.numbers)
                if not numbers:
                    yield Result(job.mutant.key, UNREACHED)
                    continue
                child = Child(partial(self._attempt, job, numbers), job)
                running.add(child)
                selector.register(child.pipe, selectors.EVENT_READ, child)
            for key, _ in selector.select(timeout=1):
                key.data.read()
            for child in [*running]:
                if child.over or time.monotonic() > child.heard + SILENCE_BOUND:
                    selector.unregister(child.pipe)
                    running.remove(child)
                    yield self._result(child)

    def _result(self, child: Child) -> Result:
        status = child.wait()
        *numbers, last = child.output.decode().splitlines() or [""]
        if last.startswith("{"):
            seen = json.loads(last)["seen"]
        else:
            numbers.append(last)
            seen = f"the process ended with {status}"
        assert child.job is not None
        key, once = child.job.mutant.key, child.job.once
        if seen is None:
            return Result(key, SURVIVED, tests=len(numbers), seconds=child.seconds, once=once)
        killer = self.items[int(numbers[-1])].nodeid if numbers and numbers[-1] else ""
        return Result(key, KILLED, killer, seen, len(numbers), child.seconds, once)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the tests do when there is no mistake.

    Attributes:
        contexts: for each module, by its short name, the contexts in which each line ran: numbers
            of tests, or `_SETUP`.
        seconds: how long each test took, of processor time.
        reach: how many lines each test ran.
    """

    contexts: dict[str, dict[int, list[str]]]
    seconds: list[float]
    reach: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for lines in self.contexts.values():
            for contexts in lines.values():
                for context in contexts:
                    if context.isdecimal():
                        self.reach[int(context)] = self.reach.get(int(context), 0) + 1

    def tests_of(self, job: Job, items: list[pytest.Item], numbers: dict[str, int]) -> list[int]:
        """Return the tests to run on a mutant, those first that are likely to tell it soon."""
        lines = self.contexts.get(job.mutant.module, {})
        first, last = job.mutant.lines
        contexts = {context for line in range(first, last + 1) for context in lines.get(line, ())}
        chosen = (
            [*range(len(items))]
            if _SETUP in contexts
            else [int(context) for context in contexts if context]
        )
        killer = numbers.get(job.killer)

        def order(number: int) -> tuple[bool, int, int, float]:
            variant = Variant.of(items[number].nodeid)
            network = [*NETWORKS].index(variant.network) if variant else 0
            return number != killer, network, self.reach.get(number, 0), self.seconds[number]

        chosen.sort(key=order)
        if not job.once:
            return chosen
        earliest: dict[tuple[str, str], int] = {}
        for number in chosen:
            test = items[number].nodeid.partition("[")[0]
            variant = Variant.of(items[number].nodeid)
            earliest.setdefault((test, variant.role if variant else ""), number)
        return [*earliest.values()]


class Child:
    """A forked process that does something and sends bytes.

    Args:
        work: what it does; it is given the function to send with.
        job: the mutant that it tries.
    """

    def __init__(
        self, work: Callable[[Callable[[bytes], None]], None], job: Job | None = None
    ) -> None:
        self.job = job
        self.output = bytearray()
        self.over = False
        self.heard = time.monotonic()
        self.pipe, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._work(work, write)
        os.close(write)
        self.seconds = 0.0

    def _work(self, work: Callable[[Callable[[bytes], None]], None], write: int) -> NoReturn:
        try:
            os.setsid()
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)

            def send(data: bytes) -> None:
                while data:
                    data = data[os.write(write, data) :]

            work(send)
        finally:
            os._exit(0)

    def read(self) -> None:
        """Take what it has sent."""
        data = os.read(self.pipe, 1 << 16)
        self.output += data
        self.over = not data
        self.heard = time.monotonic()

    def wait(self) -> str:
        """Read the rest, unless it is silent for too long, end it, and return how it ended."""
        if self.job is None:
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
    """

    def __init__(self, name: str, source: bytes) -> None:
        self.name = name
        self.source = source

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the module is, if it is the one."""
        if name != self.name:
            return None
        file = str(Path(path[0], f"{name.rpartition('.')[2]}.py"))
        return importlib.util.spec_from_file_location(name, file, loader=_Source(file, self.source))


class _Source(SourceLoader):
    def __init__(self, file: str, source: bytes) -> None:
        self.file = file
        self.source = source

    def get_filename(self, _name: str) -> str:
        return self.file

    def get_data(self, _path: str | bytes) -> bytes:
        return self.source
