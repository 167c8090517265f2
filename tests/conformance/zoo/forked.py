"""Many certifications for the price of one start: the suite is collected once, and every
certification runs in a fork of the process that did it.

Starting and collecting takes longer than the suite does in memory. A fork is also a fresh process:
what one implementation breaks in it does not reach the next.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pytest

from conformance.certificate import Record, Variant
from conformance.errors import CannotRun
from conformance.implementation import implementation
from conformance.plugin import SESSION


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an implementation on one network.

    Attributes:
        network: the network's name.
        checked: the ids of the clauses that were tested.
        failures: those that failed, with what was seen.
    """

    network: str
    checked: list[str]
    failures: dict[str, str]

    @classmethod
    def of(cls, certificate: dict[str, Any], network: str) -> "Result":
        """Return what a certificate, as its JSON has it, says of one of its networks."""
        tested = [each for each in certificate["clauses"] if network in each["networks"]]
        return cls(
            network,
            [each["id"] for each in tested],
            {
                each["id"]: each["detail"]
                for each in tested
                if each["networks"][network] == "failed"
            },
        )


class ForkedSuite:
    """The suite in a process of its own, which certifies by name whatever it is asked to.

    A context manager: the process ends with the block.
    """

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # our own exit's
        # -P: what is installed is tested, not what the working directory holds.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zoo.forked"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def certify(
        self,
        streams: str,
        network: str,
        *,
        searching: bool = True,
        asked: frozenset[str] | None = None,
    ) -> Result:
        """Certify an implementation on a network.

        Args:
            streams: the implementation, as on the command line.
            network: the network's name.
            searching: whether to run the clauses that are searches, which take half the time.
            asked: the ids of the clauses to test; all of them by default.

        Raises:
            CannotRun: there is no certificate; the message says why.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = [streams, network, searching, asked and sorted(asked)]
        print(json.dumps(request), file=self._process.stdin)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            raise CannotRun(f"the suite's process has ended: {self._errors.read()}")
        certificate, problem = json.loads(answer)
        if problem:
            raise CannotRun(problem)
        return Result.of(certificate, network)

    def __enter__(self) -> "ForkedSuite":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        with self._process:  # closes its input, which ends it, and waits
            pass
        self._errors.close()


def is_search(clause: str) -> bool:
    """Return whether a clause is tested by a search for programs that show a fault.

    A search can find any fault of any read; whether it does so in its time, on each network, is
    not certain.
    """
    return "any-program" in clause


# What follows runs in the process that collects, and in its forks.


class Server:
    """A pytest plug-in that answers requests in place of running the tests.

    Args:
        requests: a line for each: the arguments of `answer()`.
        answers: a line for each: the certificate, and why there is none.
    """

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self.requests = requests
        self.answers = answers

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer until there are no more requests."""
        # A full collection, as many clauses ask for, need not go through all that pytest holds.
        gc.collect()
        gc.freeze()
        for request in self.requests:
            if os.fork() == 0:
                status = 1  # unless it has answered: who asked would wait for ever
                try:
                    answer = self.answer(session, *json.loads(request))
                    print(json.dumps(answer), file=self.answers, flush=True)
                    status = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(status)
            _, status = os.wait()
            if status:
                problem = f"the interpreter ended with status {status}"
                print(json.dumps([None, problem]), file=self.answers, flush=True)
        return True

    def answer(
        self,
        session: pytest.Session,
        streams: str,
        network: str,
        searching: bool,
        asked: list[str] | None,
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Certify, and return the certificate, or why there is none."""
        run = session.config.stash[SESSION]
        items = [
            each
            for each in session.items
            if (variant := Variant.of(each.nodeid)) and variant.network == network
            if searching or not is_search(variant.clause)
            if asked is None or variant.clause in asked
        ]
        if not items:
            return {"clauses": []}, None  # nothing of what is asked is tested on this network
        try:
            run.order = replace(run.order, streams=implementation(streams), networks=(network,))
            run.record = Record(streams, run.order.loop.name, run.order.spec, (network,))
            run.record.expect(each.nodeid for each in items)
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            return run.certificate().to_dict(), None
        except CannotRun as reason:
            return None, str(reason)


def serve() -> None:
    """Collect the suite, and answer the requests on standard input."""
    suite = resources.files("conformance.suite")
    # Out of reach of what the tests, and the implementations, print.
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    pytest.main(
        [
            str(suite),
            f"--config-file={suite / 'pytest.ini'}",
            f"--rootdir={suite}",
            "-pconformance.plugin",
            "--capture=no",
            "--no-header",
            "--no-summary",
            "--quiet",
            "--tb=native",
            "--streams=reference_impl",
        ],
        plugins=[Server(requests, answers)],
    )


if __name__ == "__main__":
    serve()
