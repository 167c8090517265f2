"""Many certifications for the price of one start: the suite is collected once, in a process of its
own, and every certification runs in a fork of that process.

Starting and collecting takes longer than the suite does in memory. A fork is also a fresh process:
damage by one implementation does not reach the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import reference_impl
from conformance.errors import CannotRun

TESTS = Path(__file__).resolve().parents[2]
ROOT = TESTS.parent

Lines = tuple[str, int, int]
"""Some lines of code: the file, the first and the last line."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The sound implementation that the others differ from.

    Attributes:
        streams: the name under which it is plugged in.
        modules: the file of each of its modules, by the module's full name.
        is_right: whether it must pass; otherwise tests that it fails are left out.
    """

    streams: str
    modules: Mapping[str, str]
    is_right: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: the implementation to certify, and the tests to run.

    Attributes:
        streams: the name under which the implementation is plugged in.
        networks: the networks to run on; all by default.
        clauses: the ids of the clauses to test; all by default.
        searches: whether to run the clauses that search for programs, which take a fifth of the
            time; those in `asked` are run in any case.
        costs: the same for the clauses on costs, which take a seventh of the time.
        source: a module of the subject (its full name) and the text to import in place of its file.
        reach: only tests that run one of these lines of the subject; all by default.
        not_on: only clauses that are tested on none of these networks.
        asked: ids of clauses whose tests are run in any case, whatever lines and networks they use.
        once: whether each test is run on one network only, the first of those chosen.
        first: the id of the test to begin with.
        until_failure: whether to stop at the first failure.
    """

    streams: str
    networks: tuple[str, ...] = ()
    clauses: tuple[str, ...] | None = None
    searches: bool = True
    costs: bool = True
    source: tuple[str, str] | None = None
    reach: tuple[Lines, ...] | None = None
    not_on: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    once: bool = False
    first: str = ""
    until_failure: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed.

    Attributes:
        test: its id.
        expected: what was expected.
        seen: what was seen.
    """

    test: str
    expected: str
    seen: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        tests: how many tests were run.
        failures: those that failed.
        checked: the clauses and networks of `Request.asked` or `Request.clauses` that were tested.
        unusable: why it cannot be certified at all; else empty.
        seconds: processor time.
    """

    tests: int
    failures: tuple[Failure, ...]
    checked: tuple[tuple[str, str], ...] = ()
    unusable: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, data: dict[str, Any]) -> Answer:
        """Return the answer that JSON holds."""
        data["failures"] = tuple(Failure(**each) for each in data["failures"])
        data["checked"] = tuple((clause, network) for clause, network in data["checked"])
        return cls(**data)


REFERENCE = Subject(
    "reference_impl",
    {
        f"reference_impl.{file.stem}": str(file)
        # The installed package is mutated, because the forked suite imports that.
        for file in sorted(Path(reference_impl.__file__).parent.glob("_*.py"))
        if file.stem != "__init__"
    },
)


class ForkedSuite:
    """The suite in a process of its own, which certifies implementations by name.

    A context manager: the process ends with the block.

    Args:
        subject: the implementation that the others differ from.
        processes: how many are certified at the same time.
        python: the interpreter.
        options: more options for pytest, such as `--streams-loop=uvloop`.
        folders: where implementations are imported from, beside `tests`.
        baseline: a folder in which to keep the effects of the tests on the subject, which take a
            minute to find out. By default nothing is kept.
    """

    def __init__(
        self,
        subject: Subject = REFERENCE,
        processes: int = 1,
        python: str = sys.executable,
        options: Sequence[str] = (),
        folders: Sequence[Path] = (),
        baseline: Path | None = None,
    ) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # our own exit's
        # Files that killed processes leave in the folder for temporary files are removed with this
        # one.
        self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        path = [str(TESTS), *map(str, folders), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        # -P: the installed package is tested, not the working directory.
        self._process = subprocess.Popen(
            [python, "-P", "-m", "campaigns._shared.bench", *options],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "TMPDIR": self._scratch.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._numbers = count()
        self._waiting: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()
        head = {"subject": asdict(subject), "processes": processes}
        self._send(head | {"baseline": baseline and str(baseline.absolute())})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def submit(self, request: Request) -> Future[Answer]:
        """Begin to certify an implementation.

        Returns:
            A future with the answer. It fails with `CannotRun` if there is no certificate: the
            request names something that is not an implementation, or the suite cannot be run.
        """
        future: Future[Answer] = Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = future
        try:
            self._send({"number": number, "request": asdict(request)})
        except OSError:
            self._give_up()
        return future

    def certify(self, request: Request) -> Answer:
        """Certify an implementation, and return the answer.

        Raises:
            CannotRun: as for `submit()`.
        """
        return self.submit(request).result()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._lock:
            print(json.dumps(message), file=self._process.stdin, flush=True)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            with self._lock:
                future = self._waiting.pop(message["number"])
            if message["problem"]:
                future.set_exception(CannotRun(message["problem"]))
            else:
                future.set_result(Answer.of(message["answer"]))
        self._give_up()

    def _give_up(self) -> None:
        """Fail every future whose answer will not come."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if waiting:
            self._errors.seek(0)
            reason = f"the suite's process has ended: {self._errors.read()[-3000:]}"
            for future in waiting.values():
                future.set_exception(CannotRun(reason))

    def __enter__(self) -> ForkedSuite:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()  # this ends it
        self._reader.join()
        with self._process:
            pass  # it has ended, or is about to
        self._errors.close()
        self._scratch.cleanup()


def is_search(clause: str) -> bool:
    """Return whether a clause is tested by a search for programs that show a fault.

    A search can find any fault of any read, but may not find it in its time, on each network.
    """
    return "any-program" in clause


def is_about_costs(clause: str) -> bool:
    """Return whether the tests of a clause measure time or memory."""
    return clause.startswith("costs.")
