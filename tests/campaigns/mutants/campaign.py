"""A campaign: every mutant of a subject is certified, on several Pythons and event loops, until one
of them kills it.

Some code runs only on older Pythons or other loops, so a mutant that survives one configuration is
tried on the next.
"""

from __future__ import annotations

import asyncio.streams
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.errors import CannotRun
from conformance.results.certificate import Variant

from .._shared.forked_suite import REFERENCE, ROOT, Answer, ForkedSuite, Request, Subject
from .._shared.result_cache import ResultCache, digest, suite
from ..zoo.certified import PLAIN
from .accepted import FOLDER, Accepted
from .operators import Key, Mutant, mutants

KILLED = "killed"
SURVIVED = "survived"
UNREACHED = "unreached"  # no test of this configuration runs the changed lines

OLDEST = "3.11"
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Configuration:
    """An interpreter and an event loop."""

    python: str
    loop: str

    def __str__(self) -> str:
        return f"Python {self.python} with {self.loop}"


CONFIGURATIONS = tuple(
    Configuration(python, loop)
    for loop in ("asyncio", "uvloop")
    for python in dict.fromkeys((RUNNING, OLDEST))
)


@dataclass(frozen=True, slots=True)
class Mutated:
    """An implementation whose mutants are certified.

    Attributes:
        name: its name.
        title: its description.
        subject: its modules.
        configurations: the interpreters and loops that it is tried on.
        left_out: modules that are not mutated, and why.
        is_ours: whether its source is in this repository. Otherwise another release of it may lack
            mutants that are listed as accepted.
    """

    name: str
    title: str
    subject: Subject
    configurations: tuple[Configuration, ...]
    left_out: dict[str, str]
    is_ours: bool = True

    @property
    def page(self) -> str:
        """The name of its page in docs/generated."""
        return "mutants.md" if self.name == "reference" else f"mutants-{self.name}.md"

    def mutants(self) -> list[Mutant]:
        """Return every mutant of it."""
        return [
            mutant
            for name, file in self.subject.modules.items()
            if (module := name.rpartition(".")[2]) not in self.left_out
            for mutant in mutants(module, Path(file).read_bytes())
        ]

    def accepted(self) -> Accepted:
        """Return its survivors that are accepted."""
        return Accepted.read(FOLDER / f"{self.name}.toml")

    def request(self, mutant: Mutant, killer: str, once: bool) -> Request:
        """Return the request that certifies a mutant."""
        name = next(
            each for each in self.subject.modules if each.rpartition(".")[2] == mutant.module
        )
        file = self.subject.modules[name]
        return Request(
            streams=self.subject.streams,
            source=(name, mutant.applied(Path(file).read_bytes()).decode()),
            reach=((file, *mutant.lines),),
            searches=not once,  # nearly half of the time, and they find nothing new
            once=once,
            first=killer,
            until_failure=True,
        )


SUBJECTS = {
    each.name: each
    for each in (
        Mutated(
            "reference",
            "`reference_impl`",
            REFERENCE,
            CONFIGURATIONS,
            {"_install": "no clause is about it; tests/reference_impl/test_install.py is"},
        ),
        Mutated("plain", "the lookalike `plain`", PLAIN, CONFIGURATIONS, {}),
        Mutated(
            "cpython",
            f"CPython's `streams.py`, of Python {platform.python_version()}",
            Subject(
                "campaigns.mutants.copied:streams",
                {"asyncio.copied_streams": str(asyncio.streams.__file__)},
                is_right=False,
            ),
            CONFIGURATIONS[:1],
            {},
            is_ours=False,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a mutant in a configuration.

    Attributes:
        verdict: `KILLED`, `SURVIVED` or `UNREACHED`.
        killer: the id of the test that failed; `""` if it could not be certified at all.
        seen: the implementation's behaviour, in short.
        tests: how many tests were run.
        seconds: processor time.
        once: whether each test was run on one network only.
    """

    verdict: str
    killer: str = ""
    seen: str = ""
    tests: int = 0
    seconds: float = 0.0
    once: bool = False

    @classmethod
    def of(cls, answer: Answer, once: bool) -> Result:
        """Return the result of a mutant from an answer."""
        if answer.unusable:
            return cls(KILLED, "", answer.unusable, 0, answer.seconds)
        if answer.failures:
            failure = answer.failures[0]
            return cls(KILLED, failure.test, failure.seen[:200], answer.tests, answer.seconds)
        if not answer.tests:
            return cls(UNREACHED)
        return cls(SURVIVED, "", "", answer.tests, answer.seconds, once)

    @property
    def clause(self) -> str:
        """The clause that killed it; `""` if the package could not be certified."""
        variant = Variant.of(self.killer)
        return variant.clause if variant else ""


class Campaign:
    """The results so far, kept in a folder so that a campaign that was stopped goes on there.

    Args:
        mutated: whose mutants.
        folder: where results and environments are kept.
        options: more options for pytest, such as `--streams-network=memory`.
        processes: how many mutants are tried at the same time.
        once: whether each test is run on one network only, whatever the mutant.
    """

    def __init__(
        self,
        mutated: Mutated,
        folder: Path,
        options: Sequence[str] = (),
        processes: int = 1,
        once: bool = False,
    ) -> None:
        self.mutated = mutated
        self.folder = folder
        self.options = options
        self.processes = processes
        self.once = once
        self.results: dict[Key, list[Result]] = {}
        self.cache = ResultCache(folder / f"{mutated.name}.jsonl")
        sources = [Path(file).read_text("utf-8") for file in mutated.subject.modules.values()]
        self.state = digest([suite(), sys.version, *sources])

    def run(
        self,
        chosen: Iterable[Mutant],
        configurations: Iterable[Configuration],
        accepted: Accepted,
    ) -> None:
        """Try the `chosen` mutants on each configuration that is still needed.

        One that is listed as accepted is tried on the first that reaches it, and each test on one
        network only.

        Raises:
            CannotRun: the suite does not run, or fails without any mistake.
        """
        pending = [*chosen]
        for configuration in configurations:
            if not pending:
                return
            self._try(configuration, pending, accepted)
            pending = [
                mutant
                for mutant in pending
                if (verdict := self.verdict(mutant)) != KILLED
                and (verdict == UNREACHED or mutant.key not in accepted.single)
            ]

    def verdict(self, mutant: Mutant) -> str:
        """Return the outcome of a mutant: `KILLED` if any configuration killed it."""
        verdicts = {each.verdict for each in self.results.get(mutant.key, ())}
        return next(each for each in (KILLED, SURVIVED, UNREACHED) if each in verdicts)

    @property
    def seconds(self) -> float:
        """The processor time of all results."""
        return sum(each.seconds for tried in self.results.values() for each in tried)

    def _try(self, configuration: Configuration, pending: list[Mutant], accepted: Accepted) -> None:
        """Try mutants on one configuration, unless their results are there already."""
        found: dict[Key, Result] = {}
        for mutant in pending:
            once = self.once or mutant.key in accepted.single
            kept = self.cache.get(self._name(configuration, mutant), self.state)
            if kept and ((result := Result(**kept)).verdict == KILLED or once or not result.once):
                found[mutant.key] = result
        left = [mutant for mutant in pending if mutant.key not in found]
        print(f"{configuration}: {len(left)} mutants to try", flush=True)
        if left:
            found |= self._tried(configuration, left, accepted)
        for mutant in pending:
            self.results.setdefault(mutant.key, []).append(found[mutant.key])

    def _tried(
        self, configuration: Configuration, left: list[Mutant], accepted: Accepted
    ) -> dict[Key, Result]:
        with ForkedSuite(
            self.mutated.subject,
            self.processes,
            self._interpreter(configuration.python),
            (
                f"--streams={self.mutated.subject.streams}",
                f"--streams-loop={configuration.loop}",
                *self.options,
            ),
            baseline=self.folder / "baseline",
        ) as forked:
            waiting: list[tuple[Mutant, bool, Future[Answer]]] = []
            for mutant in left:
                once = self.once or mutant.key in accepted.single
                last = self.cache.last(self._name(configuration, mutant)) or {}
                request = self.mutated.request(mutant, last.get("killer", ""), once)
                waiting.append((mutant, once, forked.submit(request)))
            found = {}
            for mutant, once, future in waiting:
                try:
                    result = Result.of(future.result(), once)
                except CannotRun as reason:
                    raise CannotRun(f"{configuration}:\n{reason}") from None
                self.cache.keep(self._name(configuration, mutant), self.state, asdict(result))
                found[mutant.key] = result
            return found

    def _name(self, configuration: Configuration, mutant: Mutant) -> str:
        return " ".join([str(configuration), *self.options, str(mutant.key)])

    def _interpreter(self, version: str) -> str:
        """Return an interpreter of that version that has the suite's requirements."""
        if version == RUNNING:
            return sys.executable
        environment = self.folder.absolute() / f"python{version}"
        python = environment / "bin" / "python"
        commands = [[str(python), "-m", "pip", "install", "--quiet"]]
        commands[0] += ["--editable", f"{ROOT}[certify,uvloop]", "coverage"]
        if not python.exists():
            make = [sys.executable, "-m", "virtualenv", "--quiet", f"-ppython{version}"]
            commands.insert(0, [*make, str(environment)])
        for command in commands:
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                raise CannotRun(f"Python {version}: {made.stdout}{made.stderr}")
        return str(python)
