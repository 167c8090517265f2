"""The command line."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import resources
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import report
from conformance.badge import badge
from conformance.certificate import FAILED, NOT_APPLICABLE, Certificate
from conformance.clauses import named
from conformance.description import description
from conformance.errors import CannotRun
from conformance.html import certificate_page, description_page, matrix_page
from conformance.junit import junit_xml
from conformance.matrix import Matrix, read_certificate
from conformance.plugin import SESSION
from conformance.session import Order, Session, writable, write

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

CONFORMS, DEVIATES, CANNOT_RUN = 0, 1, 2  # exit statuses

MOST_WORKERS = 64
"""More processes than anybody has a use for; a machine takes thousands of them badly."""


def cannot_run_in_one_line(command: Callable[P, None]) -> Callable[P, None]:
    """Turn `CannotRun` into one line on standard error and exit status 2."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CannotRun as reason:
            click.echo(f"streamcert: {reason}", err=True)
            sys.exit(CANNOT_RUN)

    return run


def file_option(name: str, parameter: str, help: str, **more: Any) -> Callable[[F], F]:
    """Return the option `name`, which takes a file."""
    return click.option(name, parameter, type=Path, metavar="FILE", help=help, **more)


@click.group()
@click.version_option(package_name="streamcert", message="%(prog)s %(version)s")
def cli() -> None:
    """Certify implementations of the asyncio streams API, clause by clause."""


@cli.command()
@click.argument("implementation")
@click.option(
    "--loop",
    default="asyncio",
    show_default=True,
    metavar="LOOP",
    help="The event loop: asyncio, uvloop or module:factory.",
)
@click.option(
    "--network",
    metavar="NAMES",
    help="The networks, separated by commas: memory, tls-memory, tcp, unix, tls.  "
    "[default: all; in memory only with asyncio's loop]",
)
@click.option(
    "--spec",
    metavar="X.Y",
    help="The Python version whose documentation counts.  "
    "[default: the running one for asyncio, the newest for everything else]",
)
@click.option(
    "-n",
    "workers",
    default="auto",
    show_default="one for each core",
    metavar="WORKERS",
    help="Processes to run the tests in; 0 runs them in this one.",
)
@click.option(
    "--bound",
    default="1",
    show_default=True,
    metavar="SECONDS",
    help="Without progress after which a test is a hang; give more to what is slow.",
)
@file_option(
    "--known-deviations",
    "known_file",
    "Deviations that are known: only others fail, and those that are gone.",
)
@file_option(
    "--write-known-deviations",
    "new_known_file",
    "Write the deviations seen to FILE, keeping the reasons of --known-deviations.",
)
@file_option("--json", "json_file", "Write the certificate to FILE.")
@file_option("--html", "html_file", "Write the certificate to FILE as a page.")
@file_option("--junit-xml", "junit_file", "Write the certificate to FILE as JUnit XML.")
@file_option("--badge", "badge_file", "Write an SVG badge to FILE.")
@cannot_run_in_one_line
def certify(
    implementation: str,
    loop: str,
    network: str | None,
    spec: str | None,
    workers: str,
    bound: str,
    known_file: Path | None,
    new_known_file: Path | None,
    json_file: Path | None,
    html_file: Path | None,
    junit_file: Path | None,
    badge_file: Path | None,
) -> None:
    """Certify IMPLEMENTATION: package.module or package.module:attribute.

    Exit status: 0 it conforms, 1 it deviates, 2 it cannot be certified. With --known-deviations:
    0 as long as nothing else deviates, at any level, and everything in the file still does.
    """
    if not is_duration(bound):
        raise CannotRun(f"--bound takes a number of seconds, not {bound!r}")
    if workers != "auto" and workers not in map(str, range(MOST_WORKERS + 1)):
        raise CannotRun(f"-n takes auto or a number from 0 to {MOST_WORKERS}, not {workers!r}")
    known = None if known_file is None else str(known_file)
    # Whatever is wrong is said here, before the tests.
    order = Order.of(implementation, loop, network, spec, known, None)
    outputs = [
        (writable(file), content)
        for file, content in (
            (json_file, Certificate.to_json),
            (new_known_file, order.known.updated),
            (html_file, certificate_page),
            (junit_file, junit_xml),
            (badge_file, badge),
        )
        if file is not None
    ]
    options = {
        "--streams": implementation,
        "--streams-loop": loop,
        "--streams-network": network,
        "--streams-spec": spec,
        "--streams-bound": bound,
        "--streams-known-deviations": known,
        "--numprocesses": workers,
    }
    certificate = run_suite(
        [f"{name}={value}" for name, value in options.items() if value is not None]
    ).certificate()
    if certificate.summary[NOT_APPLICABLE] == len(certificate.verdicts):
        raise CannotRun(f"no clause applies to {implementation}: it offers nothing of the page")
    gone = order.known.gone(certificate)
    report.show(certificate, Console(highlight=False), gone)
    for file, content in outputs:
        write(file, content(certificate))
    if known_file is None:
        sys.exit(CONFORMS if certificate.conforms else DEVIATES)
    sys.exit(DEVIATES if certificate.summary[FAILED] or gone else CONFORMS)


@cli.command("clauses")
@file_option("--json", "json_file", "Write all that is known of them to FILE instead.")
@file_option("--html", "html_file", "Write a page that shows them to FILE instead.")
@cannot_run_in_one_line
def list_clauses(json_file: Path | None, html_file: Path | None) -> None:
    """List the clauses: id, level, version, text."""
    described = description()
    if json_file is not None:
        write(writable(json_file), described.to_json())
    if html_file is not None:
        write(writable(html_file), description_page(described))
    if json_file is None and html_file is None:
        for clause in described.clauses:
            click.echo(f"{clause.id}  [{clause.level}, since {clause.since}]\n    {clause.text}")


@cli.command()
@click.argument("clause")
@click.argument("implementation", required=False)
@click.option(
    "--loop",
    default="asyncio",
    show_default=True,
    metavar="LOOP",
    help="The event loop: asyncio, uvloop or module:factory.",
)
@click.option(
    "--network",
    metavar="NAMES",
    help="The networks, separated by commas: memory, tls-memory, tcp, unix, tls.  "
    "[default: all; in memory only with asyncio's loop]",
)
@cannot_run_in_one_line
def explain(clause: str, implementation: str | None, loop: str, network: str | None) -> None:
    """Say what CLAUSE says and why it matters, and what IMPLEMENTATION does about it.

    Where the implementation fails the clause in memory, what crossed the wire is shown.
    """
    found = named(clause)
    console = Console(highlight=False)
    if implementation is None:
        report.explain(found, console)
        return
    order = Order.of(implementation, loop, network, None, None, None)
    report.explain(found, console)
    session = run_suite(
        [
            f"--streams={implementation}",
            f"--streams-loop={loop}",
            f"--streams-network={','.join(order.networks)}",
            f"--streams-clause={clause}",
            "--numprocesses=1",
        ]
    )
    report.explain_verdict(session.certificate(), found, session.wires, console)


@cli.command()
@click.argument(
    "certificates",
    nargs=-1,
    required=True,
    type=Path,
    metavar="CERTIFICATE.json...",
)
@file_option("--html", "html_file", "Write the page to FILE.", required=True)
@click.option(
    "--note",
    "notes",
    multiple=True,
    metavar="TEXT",
    help="A line to stand under the heading; may be given more than once.",
)
@cannot_run_in_one_line
def matrix(certificates: tuple[Path, ...], html_file: Path, notes: tuple[str, ...]) -> None:
    """Put certificates side by side, clause by clause, on one page."""
    found = Matrix.of([read_certificate(file) for file in certificates])
    write(writable(html_file), matrix_page(found, notes))


def is_duration(text: str) -> bool:
    """Return whether `text` is a number of seconds that can pass."""
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def run_suite(arguments: list[str]) -> Session:
    """Run the suite in pytest, showing progress on standard error; return what it recorded.

    Args:
        arguments: pytest's arguments beside those that select the suite.

    Raises:
        CannotRun: the run did not end.
    """
    suite = resources.files("conformance.suite")
    run = Run()
    with isolated_pytest(), run.progress:
        status = pytest.main(
            [
                str(suite),
                f"--config-file={suite / 'pytest.ini'}",
                f"--rootdir={suite}",
                "-pconformance.plugin",
                "-pxdist.plugin",
                "--tb=native",  # nobody sees them; and to read sources for them can itself fail
                "--max-worker-restart=1000000",  # a crash costs its own test only
                *arguments,
            ],
            plugins=[run],
        )
    if run.session is None or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise CannotRun(f"the run broke off: {run.problem or f'pytest ended with {status!r}'}")
    return run.session


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

    Attributes:
        session: the certification, once pytest has set it up.
        problem: what went wrong beside the tests, if anything did.
        progress: the progress bar.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self.problem: str | None = None
        self.failures = 0
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
            self.progress.update(self.bar, completed=len(self.session.record.seen))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what keeps the suite from being collected."""
        if report.failed:
            self.problem = str(report.longrepr).strip().splitlines()[-1]

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note an error inside pytest."""
        self.problem = str(excrepr).strip().splitlines()[-1]

    def _start(self, total: int) -> None:
        if total:
            self.progress.update(self.bar, description="testing", total=total)
