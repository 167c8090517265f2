"""Run the suite in a pytest of its own, with a progress bar instead of pytest's output."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance.errors import CannotRun
from conformance.run import REQUEST, SESSION
from conformance.run.request import Request
from conformance.run.session import Session

SILENCE = 10.0
"""Seconds between reports of the progress if no bar is shown."""


def run_suite(request: Request, workers: str) -> Session:
    """Run the suite in pytest, showing progress on standard error; return what it recorded.

    Args:
        request: what to certify, and how.
        workers: the number of processes, or `auto`.

    Raises:
        CannotRun: the run could not begin, or broke off before any test.
    """
    suite = resources.files("conformance.suite")
    run = Run(request)
    with isolated_pytest(), run.progress:
        status = pytest.main(
            [
                str(suite),
                f"--config-file={suite / 'pytest.ini'}",
                f"--rootdir={suite}",
                "-pconformance.plugin",
                "-pxdist.plugin",
                "--tb=native",  # nobody sees them; and reading the sources for them can itself fail
                "-pno:tmpdir",  # which tidies up after other runs of pytest, perhaps for minutes
                "--max-worker-restart=1000000",  # a crash costs its own test only
                f"--numprocesses={workers}",
            ],
            plugins=[run],
        )
    session = run.session
    ended = (
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    )
    if status is pytest.ExitCode.INTERRUPTED and (session is None or not session.record.seen):
        raise CannotRun("interrupted before any test had ended")
    if session is None or (status not in ended and not session.record.seen):
        raise CannotRun(f"the run ended early: {run.problem or f'pytest ended with {status!r}'}")
    session.interrupted = session.interrupted or status not in ended
    return session


@contextmanager
def isolated_pytest() -> Iterator[None]:
    """Keep pytest, and the workers that it starts, from the user's own plug-ins and options."""
    before = os.environ.copy()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Run:
    """A pytest plug-in that shows progress in place of pytest's own terminal output.

    Args:
        request: what to certify.

    Attributes:
        session: the certification, once pytest has set it up.
        problem: an error outside the tests, if there was one.
        progress: the progress bar.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.session: Session | None = None
        self.problem: str | None = None
        self.failures = 0
        self.workers: list[Any] = []
        self.began = self.told = time.monotonic()
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[red]{task.fields[failures]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.bar = self.progress.add_task("collecting", total=None, failures="")

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Hand the request over, before the plug-in makes one of pytest's options."""
        config.stash[REQUEST] = self.request

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Take over from the terminal reporter."""
        self.session = config.stash[SESSION]
        config.pluginmanager.unregister(config.pluginmanager.getplugin("terminalreporter"))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the bar (in a run without workers)."""
        self._start(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Start the bar (in a run with workers)."""
        self._start(len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Move the bar to the number of tests on record: one can be reported more than once."""
        if report.failed:
            self.failures += 1
            self.progress.update(self.bar, failures=f"{self.failures} failed")
        if self.session is not None:
            self._tell(len(self.session.record.seen), len(self.session.record.expected))

    def _tell(self, seen: int, expected: int) -> None:
        """Show the progress: in a terminal a bar, otherwise a line from time to time."""
        self.progress.update(self.bar, completed=seen)
        now = time.monotonic()
        if self.progress.disable and now > self.told + SILENCE:
            self.told = now
            print(
                f"streamcert: {seen} of {expected} tests, {self.failures} failed, "
                f"{now - self.began:.0f} s",
                file=sys.stderr,
                flush=True,
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_newgateway(self, gateway: Any) -> None:
        """Remember a worker, as soon as there is one."""
        self.workers.append(gateway)

    def pytest_keyboard_interrupt(self) -> None:
        """End the workers, whatever they do: waiting for their tests would take too long."""
        for worker in self.workers:
            worker._io.popen.kill()  # xdist has no other way to end them

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note an error that prevents the collection of the suite."""
        if report.failed:
            self.problem = str(report.longrepr).strip().splitlines()[-1]

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note an error inside pytest."""
        self.problem = str(excrepr).strip().splitlines()[-1]

    def _start(self, total: int) -> None:
        if total:
            self.progress.update(self.bar, description="testing", total=total)
