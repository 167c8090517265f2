"""The command line."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console

from conformance.clauses import named
from conformance.clauses.description import description
from conformance.errors import CannotRun
from conformance.harness.interrupt import Interrupted, listening
from conformance.networks import NETWORKS
from conformance.results import terminal
from conformance.results.badge import badge
from conformance.results.certificate import FAILED, Certificate
from conformance.results.html import certificate_page, description_page, matrix_page
from conformance.results.junit import junit_xml
from conformance.results.matrix import Matrix, read_certificate
from conformance.run import preflight
from conformance.run.files import path, writable, write
from conformance.run.options import HOW, JSON, WHICH, Option
from conformance.run.request import RawRequest, Request, matching
from conformance.run.runner import run_suite
from conformance.run.session import Session
from conformance.suite.reach import reach

F = TypeVar("F", bound=Callable[..., Any])

CONFORMS, DEVIATES, CANNOT_RUN = 0, 1, 2  # exit statuses

MOST_WORKERS = 64
"""More processes than anybody needs; a machine cannot cope with thousands of them."""


class Commands(click.Group):
    """A group whose commands say in one line, on standard error, why they cannot run."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn `CannotRun`, or an interrupt, into a line and exit status 2."""
        try:
            with listening():
                return super().invoke(ctx)
        except CannotRun as reason:
            click.echo(f"streamcert: {reason}", err=True)
        except Interrupted:
            click.echo("streamcert: interrupted", err=True)
        sys.exit(CANNOT_RUN)


def file_of(_context: click.Context, option: click.Parameter, text: str | None) -> Path | None:
    """Return the path of the file that an option was given."""
    return None if text is None else path(option.opts[0], text)


def file_option(name: str, parameter: str, help: str, **more: Any) -> Callable[[F], F]:
    """Return the option `name`, which takes a file."""
    return click.option(name, parameter, callback=file_of, metavar="FILE", help=help, **more)


@click.group(cls=Commands)
@click.version_option(package_name="streamcert", message="%(prog)s %(version)s")
def cli() -> None:
    """Certify implementations of the asyncio streams API, clause by clause."""


def joined(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> str | None:
    """Return the values of an option that was given repeatedly as one."""
    return ",".join(names) if names else None


def options(*which: Option) -> Callable[[F], F]:
    """Return the options `which`, in that order."""

    def add(command: F) -> F:
        for each in reversed(which):
            more: dict[str, Any] = {"multiple": each.multiple, "help": each.help}
            if each.name == "network":
                names = f"commas (or given repeatedly): {', '.join(NETWORKS)}."
                more["help"] = each.help.replace("commas.", names)
                more |= {"multiple": True, "callback": joined}
            command = click.option(
                f"--{each.name}",
                each.key,
                metavar=each.metavar,
                default=each.default,
                show_default=each.default is not None,
                **more,
            )(command)
        return command

    return add


def outputs(command: F) -> F:
    """Add the options that name files to write to, and the number of workers."""
    for each in reversed(
        (
            click.option(
                "-n",
                "workers",
                default="auto",
                show_default="one for each core",
                metavar="WORKERS",
                help="Processes to run the tests in; 0 runs them in this one.",
            ),
            file_option(
                "--write-known-deviations",
                "new_known_file",
                "Write the deviations seen to FILE, keeping the reasons of --known-deviations.",
            ),
            file_option("--json", "json_file", JSON.help),
            file_option("--html", "html_file", "Write the certificate to FILE as a page."),
            file_option("--junit-xml", "junit_file", "Write the certificate to FILE as JUnit XML."),
            file_option("--badge", "badge_file", "Write an SVG badge to FILE."),
        )
    ):
        command = each(command)
    return command


class Certification:
    """The common part of certify and explain: the checked request, the run, and the files.

    The constructor checks everything that the user gave, before any test runs.

    Args:
        raw: the user's request.
        workers: the number of processes, or `auto`.
        files: the files to write, by the name of the parameter.
    """

    def __init__(self, raw: RawRequest, workers: str, files: dict[str, Path | None]) -> None:
        if workers != "auto" and workers not in map(str, range(MOST_WORKERS + 1)):
            raise CannotRun(f"-n takes auto or a number from 0 to {MOST_WORKERS}, not {workers!r}")
        self.workers = workers
        self.request = Request.of(raw)
        preflight.check(self.request.streams, self.request.loop, self.request.networks)
        contents: dict[str, Callable[[Certificate], str]] = {
            "json_file": Certificate.to_json,
            "new_known_file": self.request.known.updated,
            "html_file": certificate_page,
            "junit_file": junit_xml,
            "badge_file": badge,
        }
        named = [file.absolute() for file in files.values() if file is not None]
        if twice := [each for each in named if named.count(each) > 1]:
            raise CannotRun(f"two options write to {str(twice[0])!r}: give each its own file")
        self.outputs = [
            (writable(file), contents[name]) for name, file in files.items() if file is not None
        ]

    def run(self) -> Session:
        """Run the suite."""
        return run_suite(self.request, self.workers)

    def end(self, certificate: Certificate, gone: Sequence[str]) -> NoReturn:
        """Write the files, and exit with the status that `certificate` deserves."""
        for file, content in self.outputs:
            write(file, content(certificate))
        if not certificate.complete:
            raise CannotRun("interrupted: the certificate has the results so far")
        if self.request.raw.known_deviations is None and not self.request.raw.explain:
            sys.exit(CONFORMS if certificate.conforms else DEVIATES)
        sys.exit(DEVIATES if certificate.summary[FAILED] or gone else CONFORMS)


@cli.command()
@click.argument("implementation")
@options(*HOW)
@options(*WHICH)
@outputs
def certify(implementation: str, workers: str, **given: Any) -> None:
    """Certify IMPLEMENTATION: package.module or package.module:attribute.

    Exit status: 0 it conforms, 1 it deviates, 2 it cannot be certified, or the run was interrupted.
    With --known-deviations: 0 if no other clause fails, at any level, and each clause in the file
    still does. A test that fails runs once more; if it passes then, the clause is flaky.
    """
    raw, files = _parted(given)
    asked = Certification(RawRequest(implementation, again=True, **raw), workers, files)
    certificate = asked.run().certificate()
    if certificate.complete and certificate.applied == 0:
        which = "no clause that you chose applies" if raw["clause"] else "no clause applies"
        chosen = matching(raw["clause"] or ("*",))
        verdicts = [each for each in certificate.verdicts if each.clause.id in chosen]
        reasons = [reason for each in verdicts for reason in each.detail.splitlines()]
        missing = [each for each in reasons if each.endswith(" is not offered")]
        most = Counter(missing or reasons).most_common(3)
        why = "; ".join(reason for reason, _ in most) or "it has none of the streams API"
        raise CannotRun(f"{which} to {implementation}: {why}")
    gone = asked.request.known.gone(certificate)
    terminal.show(certificate, Console(highlight=False), gone)
    asked.end(certificate, gone)


def _parted(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Path | None]]:
    """Return the values of the options of `RawRequest`, and those that are files to write."""
    files = {name: value for name, value in given.items() if name.endswith("_file")}
    return {name: value for name, value in given.items() if name not in files}, files


@cli.command("clauses")
@file_option("--json", "json_file", "Write them, with every field, to FILE as JSON.")
@file_option("--html", "html_file", "Write them to FILE as a page.")
@file_option("--reach", "reach_file", "Write where each is tested to FILE, in Markdown.")
def list_clauses(json_file: Path | None, html_file: Path | None, reach_file: Path | None) -> None:
    """List the clauses (id, level, version, text), or write them to files."""
    described = description()
    if json_file is not None:
        write(writable(json_file), described.to_json())
    if html_file is not None:
        write(writable(html_file), description_page(described))
    if reach_file is not None:
        write(writable(reach_file), reach())
    if json_file is None and html_file is None and reach_file is None:
        for clause in described.clauses:
            click.echo(f"{clause.id}  [{clause.level}, since {clause.since}]\n    {clause.text}")


@cli.command()
@click.argument("clause")
@click.argument("implementation", required=False)
@options(*HOW)
@outputs
def explain(clause: str, implementation: str | None, workers: str, **given: Any) -> None:
    """Show what CLAUSE says and why it matters, and whether IMPLEMENTATION keeps it.

    If it fails the clause, show the test, the traceback if it raised an exception, and in memory
    what crossed the wire; the exit status is then 1.
    """
    found = named(clause)
    console = Console(highlight=False)
    if implementation is None:
        terminal.explain(found, console)
        return
    raw, files = _parted(given)
    asked = Certification(
        RawRequest(implementation, clause=(clause,), explain=True, again=True, **raw),
        "1" if workers == "auto" else workers,
        files,
    )
    terminal.explain(found, console)
    session = asked.run()
    certificate = session.certificate()
    terminal.explain_verdict(certificate, found, session.evidence, console)
    asked.end(certificate, ())


@cli.command()
@click.argument(
    "certificates",
    nargs=-1,
    required=True,
    metavar="CERTIFICATE.json...",
)
@file_option("--html", "html_file", "Write the page to FILE.", required=True)
@click.option(
    "--note",
    "notes",
    multiple=True,
    metavar="TEXT",
    help="A line under the heading. Can be given repeatedly.",
)
def matrix(certificates: tuple[str, ...], html_file: Path, notes: tuple[str, ...]) -> None:
    """Put certificates side by side, clause by clause, on one page."""
    found = Matrix.of([read_certificate(path("matrix", file)) for file in certificates])
    write(writable(html_file), matrix_page(found, notes))
