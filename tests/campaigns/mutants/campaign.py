"""A campaign: every mutant is tried, on several Pythons and event loops, until one kills it.

What only older Pythons or other loops lack is made up for in code that runs on those only, so a
mutant that survives one configuration is tried on the next.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .equivalents import Equivalents
from .operators import Key, Mutant, mutants
from .worker import KILLED, SURVIVED, UNREACHED, Job, Result

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "reference_impl"
LEFT_OUT = {
    "__init__": "it only names what is in the others",
    "_install": "no clause is about it; tests/reference_impl/test_install.py is",
}
"""The modules that are not mutated, and why. Nor is `examples`, which is not the API."""

OLDEST = "3.11"


class CannotTry(Exception):
    """The suite cannot be run on mutants; the message says why."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """An interpreter and an event loop."""

    python: str
    loop: str

    def __str__(self) -> str:
        return f"Python {self.python} with {self.loop}"


RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
CONFIGURATIONS = tuple(
    Configuration(python, loop)
    for loop in ("asyncio", "uvloop")
    for python in dict.fromkeys((RUNNING, OLDEST))
)


def all_mutants() -> list[Mutant]:
    """Return every mutant of the reference."""
    return [
        mutant
        for file in sorted((ROOT / PACKAGE).glob("*.py"))
        if file.stem not in LEFT_OUT
        for mutant in mutants(file.stem, file.read_bytes())
    ]


def fingerprint() -> str:
    """Return a digest of all that a result depends on: the reference and the suite."""
    digest = hashlib.sha256()
    for package in (PACKAGE, "conformance", "fakes", Path(__file__).parent.relative_to(ROOT)):
        for file in sorted((ROOT / package).rglob("*.py")):
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


class Campaign:
    """The results so far, kept in a folder so that a campaign that was stopped goes on there.

    Args:
        folder: where results and environments are kept.
        options: more options for pytest, such as `--streams-network=memory`.
        processes: how many mutants are tried at once.
        once: whether each test is run on one network only, whatever the mutant.
    """

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        processes: int = 1,
        once: bool = False,
    ) -> None:
        self.once = once
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.options = options
        self.processes = processes
        self.fingerprint = fingerprint()
        self.results: dict[Key, list[Result]] = {}

    def run(
        self,
        chosen: Iterable[Mutant],
        configurations: Iterable[Configuration],
        listed: Equivalents,
    ) -> None:
        """Try the `chosen` mutants on each configuration that is still needed.

        One that is `listed`, because it makes no difference anywhere, is tried on the first that
        reaches it, and each test on one network only.

        Raises:
            CannotTry: the suite does not run, or fails without any mistake.
        """
        pending = [*chosen]
        for configuration in configurations:
            if not pending:
                return
            for key, result in self._tried(configuration, pending, listed).items():
                self.results.setdefault(key, []).append(result)
            pending = [
                mutant
                for mutant in pending
                if (verdict := self.verdict(mutant)) != KILLED
                and (verdict == UNREACHED or mutant.key not in listed.reasons)
            ]

    def verdict(self, mutant: Mutant) -> str:
        """Return what has become of a mutant: `KILLED` if any configuration killed it."""
        verdicts = {each.verdict for each in self.results.get(mutant.key, ())}
        return next(each for each in (KILLED, SURVIVED, UNREACHED) if each in verdicts)

    @property
    def seconds(self) -> float:
        """The processor time of all results."""
        return sum(each.seconds for tried in self.results.values() for each in tried)

    def _tried(
        self, configuration: Configuration, pending: list[Mutant], listed: Equivalents
    ) -> dict[Key, Result]:
        """Try mutants on one configuration, unless their results are there already."""
        parts = [configuration.python, configuration.loop, *self.options]
        parts += ["once"] * self.once
        file = self.folder / f"{' '.join(parts).replace('/', '_')}.jsonl"
        old = file.with_suffix(".old.jsonl")
        results, killers = read_results(file, self.fingerprint)
        if not results:
            killers = read_results(old, "")[1] | killers
            write_killers(old, killers)
            file.write_text(self.fingerprint + "\n", encoding="utf-8")
        every = [
            Job(mutant, killers.get(mutant.key, ""), self.once or mutant.key in listed.reasons)
            for mutant in pending
        ]
        jobs = [job for job in every if not job.is_done(results)]
        print(f"{configuration}: {len(jobs)} mutants to try", flush=True)
        if jobs:
            self._work(configuration, jobs, file)
        results, _ = read_results(file, self.fingerprint)
        return {mutant.key: results[mutant.key] for mutant in pending}

    def _work(self, configuration: Configuration, jobs: list[Job], file: Path) -> None:
        python = self._interpreter(configuration.python)
        suite = ROOT / "conformance" / "suite"  # not an installed copy: ROOT is imported from
        with tempfile.TemporaryDirectory() as scratch:
            plan = Path(scratch, "plan")
            plan.write_text("".join(f"{job.to_json()}\n" for job in jobs), encoding="utf-8")
            command = [
                *(python, "-m", "pytest", str(suite), "-q"),
                *(f"--config-file={suite / 'pytest.ini'}", f"--rootdir={suite}"),
                *("-p", "conformance.plugin", "-p", "mutants.worker"),
                *(f"--streams={PACKAGE}", f"--streams-loop={configuration.loop}"),
                *(f"--mutants={plan}", f"--mutants-results={file}"),
                *(f"--mutants-processes={self.processes}", *self.options),
            ]
            # What killed processes leave in the folder for temporary files goes with the scratch.
            environment = os.environ | {
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parents[1])]),
                "TMPDIR": scratch,
            }
            process = subprocess.run(command, env=environment, capture_output=True, text=True)
        results, _ = read_results(file, self.fingerprint)
        if not all(job.is_done(results) for job in jobs):
            raise CannotTry(f"{configuration}:\n{process.stdout[-3000:]}\n{process.stderr[-3000:]}")

    def _interpreter(self, version: str) -> str:
        """Return an interpreter of that version that has the suite's requirements."""
        if version == RUNNING:
            return sys.executable
        environment = self.folder / f"python{version}"
        python = environment / "bin" / "python"
        commands = [[str(python), "-m", "pip", "install", "--quiet"]]
        commands[0] += ["--editable", f"{ROOT}[certify,uvloop]", "coverage"]
        if not python.exists():
            make = [sys.executable, "-m", "virtualenv", "--quiet", f"-ppython{version}"]
            commands.insert(0, [*make, str(environment)])
        for command in commands:
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                raise CannotTry(f"Python {version}: {made.stdout}{made.stderr}")
        return str(python)


def read_results(file: Path, expected: str) -> tuple[dict[Key, Result], dict[Key, str]]:
    """Return a file's results, if they are of the `expected` fingerprint, and all its killers."""
    if not file.exists():
        return {}, {}
    head, *lines = file.read_text(encoding="utf-8").splitlines() or [""]
    found = {result.key: result for result in map(Result.of, lines)}
    killers = {key: result.killer for key, result in found.items() if result.killer}
    return (found if head == expected else {}), killers


def write_killers(file: Path, killers: dict[Key, str]) -> None:
    """Write which test killed which mutant, as a file of results of no fingerprint."""
    lines = [Result(key, KILLED, killer).to_json() for key, killer in killers.items()]
    file.write_text("\n".join(["", *lines, ""]), encoding="utf-8")
