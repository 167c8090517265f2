"""Run other people's test suites on asyncio's streams, and on the reference in their place.

    tox -e suites [-- [NAME ...] [--sources FOLDER] [--folder FOLDER]]

Each suite of suites.toml runs twice in an environment of its own: once as it is, and once after
`reference_impl.install()`. Nothing else differs, so the outcome of each test has to be the same. A
test with another outcome is run again, alone, both ways; if it differs again it has to be listed in
differences.toml, with the reason. The exit status is 1 if one is not, or if one that is listed does
not differ any more.

Suites come from PyPI, or from their repositories; --sources names a folder to look in before, for
NAME or NAME-VERSION. Servers are what Debian's packages redis-server, mariadb-server, nats-server
and memcached install. Suites whose server is missing are skipped, with a message. When all suites
have been tried, in one run or in several, the table is written to docs/generated/suites.md.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import click

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PAGE = ROOT / "docs" / "generated" / "suites.md"
IMPLEMENTATIONS = ("asyncio", "reference_impl")
LONG = 1200  # seconds, after which a suite counts as one that does not end

Outcomes = dict[str, str]


class Skipped(Exception):
    """A suite cannot be run here; the message gives the reason."""


class Row(NamedTuple):
    """The result of a suite."""

    name: str
    counts: tuple[Counter[str], Counter[str]]
    differences: dict[str, tuple[str, str]]
    skipped: str = ""


class Options(NamedTuple):
    """The folders that the command line names."""

    folder: Path
    sources: Path | None


SUITES: dict[str, dict[str, Any]] = tomllib.loads((HERE / "suites.toml").read_text())


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*SUITES]), metavar="[NAME]...")
@click.option(
    "--sources", type=click.Path(path_type=Path), help="A folder with the suites' sources."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=ROOT / ".suites",
    help="Where environments and logs are kept.",
)
def main(names: tuple[str, ...], sources: Path | None, folder: Path) -> None:
    """Run other people's test suites on asyncio's streams, and on the reference in their place.

    Exit status: 1 if a test differs that differences.toml does not list, or if one that it lists
    does not differ.
    """
    sys.exit(run(names, Options(folder, sources)))


def run(names: tuple[str, ...], options: Options) -> int:
    """Run suites, by default all; return the exit status."""
    suites = SUITES
    options.folder.mkdir(parents=True, exist_ok=True)
    reasons = listed()
    wrong = 0
    for name in names or suites:
        row = tried(name, suites[name], options)
        keep(row, options.folder)
        print(line(row, reasons), flush=True)
        if row.skipped:
            continue
        for test, (theirs, ours) in row.differences.items():
            reason = reason_for(name, test, reasons)
            wrong += reason is None
            print(f"    {test}: {theirs}, {ours} with the reference", flush=True)
            print(f"        {reason or 'NOT LISTED in differences.toml'}", flush=True)
        for pattern in reasons.get(name, {}):
            if not any(pattern in test for test in row.differences):
                wrong += 1
                print(f"    {pattern}: listed in differences.toml, and no difference", flush=True)
    rows = [found for name in suites if (found := kept(name, options.folder))]
    if len(rows) == len(suites):
        PAGE.write_text(page(rows, reasons), encoding="utf-8")
    return 1 if wrong else 0


def keep(row: Row, folder: Path) -> None:
    """Keep the result of a suite, for the page, which may be made of several runs."""
    (folder / f"row-{row.name}.json").write_text(json.dumps(row))


def kept(name: str, folder: Path) -> Row | None:
    """Return the result of a suite's last run."""
    file = folder / f"row-{name}.json"
    if not file.exists():
        return None
    name, (theirs, ours), differences, skipped = json.loads(file.read_text())
    return Row(name, (Counter(theirs), Counter(ours)), differences, skipped)


def listed() -> dict[str, dict[str, str]]:
    """Return the reasons for differences: by suite, by a part of the test's name."""
    return tomllib.loads((HERE / "differences.toml").read_text())


def reason_for(suite: str, test: str, reasons: dict[str, dict[str, str]]) -> str | None:
    """Return why a test differs, if that is listed."""
    return next((why for part, why in reasons.get(suite, {}).items() if part in test), None)


def tried(name: str, suite: dict[str, Any], options: Options) -> Row:
    """Run a suite both ways; repeat the tests that differ."""
    try:
        with running(suite.get("server"), options.folder):
            command, cwd = prepared(name, suite, options)

            def run(name: str, implementation: str, command: list[str]) -> Outcomes:
                variables = suite.get("environment", {})
                return outcomes(name, implementation, command, cwd, options.folder, variables)

            first, second = (run(name, each, command) for each in IMPLEMENTATIONS)
            different = [test for test in first | second if first.get(test) != second.get(test)]
            if different and "modules" not in suite:
                # A busy machine fails tests that depend on time: run those alone once more.
                alone = again_only(command, different)
                for found, implementation in zip((first, second), IMPLEMENTATIONS, strict=True):
                    found |= run(f"{name}-again", implementation, alone)
                different = [test for test in different if first.get(test) != second.get(test)]
    except Skipped as reason:
        return Row(name, (Counter(), Counter()), {}, str(reason))
    return Row(
        name,
        (Counter(first.values()), Counter(second.values())),
        {test: (first.get(test, "not run"), second.get(test, "not run")) for test in different},
    )


def outcomes(
    name: str,
    implementation: str,
    command: list[str],
    cwd: Path,
    folder: Path,
    environment: dict[str, str],
) -> Outcomes:
    """Run the command with an implementation in place; return the outcome of each test."""
    file = folder / f"{name}-{implementation}.json"
    file.unlink(missing_ok=True)
    variables = {
        **os.environ,
        **environment,
        "STREAMS": implementation,
        "OUTCOMES": str(file),
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, ROOT))),
    }
    began = time.monotonic()
    with (folder / f"{name}-{implementation}.log").open("w") as log:
        try:
            subprocess.run(
                command,
                cwd=cwd,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=LONG,
            )
        except subprocess.TimeoutExpired:
            raise Skipped(f"it did not end within {LONG} seconds on {implementation}") from None
    if not file.exists():
        raise Skipped(f"it did not start on {implementation}: see {log.name}")
    took = time.monotonic() - began
    print(f"# {name} on {implementation}: {took:.0f} s", file=sys.stderr, flush=True)
    found: Outcomes = json.loads(file.read_text())
    return found


def prepared(name: str, suite: dict[str, Any], options: Options) -> tuple[list[str], Path]:
    """Return the command that runs a suite, and the folder to run it in."""
    if "modules" in suite:
        if util.find_spec("test.test_asyncio") is None:
            raise Skipped("this Python came without test.test_asyncio")
        modules = [f"test.test_asyncio.{module}" for module in suite["modules"]]
        found = [module for module in modules if util.find_spec(module)]
        return [sys.executable, str(HERE / "in_place.py"), *found], options.folder
    distribution = suite.get("distribution", name)
    source = source_of(distribution, suite, options)
    python = environment_of(distribution, suite, source, options.folder)
    plugins = ("-p", "in_place", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=60")
    # A deprecation is not an error, and a file that cannot be read does not stop the others.
    ini = ("-o", "addopts=", "-o", "filterwarnings=", "--continue-on-collection-errors")
    command = [str(python), "-m", "pytest", "-q", *ini, *plugins]
    more = [each.replace("{folder}", str(options.folder)) for each in suite.get("arguments", ())]
    return [*command, *more, *suite["tests"]], source


def again_only(command: list[str], tests: list[str]) -> list[str]:
    """Return a command of pytest that runs only *tests*."""
    end = command.index("--timeout=60") + 1
    return [*command[:end], *tests]


def source_of(name: str, suite: dict[str, Any], options: Options) -> Path:
    """Return the folder of a suite's source; fetch it if necessary."""
    version = suite["version"]
    for parent in filter(None, (options.sources, options.folder / "sources")):
        for spelling in (name, name.replace("-", "_")):
            for folder in (parent / f"{spelling}-{version}", parent / spelling):
                if folder.is_dir():
                    return Path(folder)
    sources = options.folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    if "repository" in suite:
        tag = suite.get("tag", "{version}").format(version=version)
        command = ["git", "clone", "--quiet", "--depth=1", f"--branch={tag}"]
        command += [suite["repository"], f"{name}-{version}"]
    else:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
        command = [*pip, f"{name}=={version}"]
    if subprocess.run(command, cwd=sources, capture_output=True).returncode:
        raise Skipped(f"its source could not be had: {' '.join(command[-2:])}")
    for archive in sources.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(sources, filter="data")
        archive.unlink()
    return source_of(name, suite, options)


def environment_of(name: str, suite: dict[str, Any], source: Path, folder: Path) -> Path:
    """Return the Python of the environment that a suite runs in; make it if necessary."""
    environment = folder / "environments" / name
    python = environment / "bin" / "python"
    # Some are compiled: a wheel from PyPI is faster than their source.
    pinned = f"{name}=={suite['version']}"
    package = pinned if suite.get("compiled") else str(source / suite.get("package", ""))
    wanted = ["pytest", "pytest-timeout", *suite["requires"], package]
    made = environment / "made"
    if not made.exists() or made.read_text() != str(wanted):
        uv = shutil.which("uv")
        if uv is None:
            raise Skipped("uv is not installed")
        for command in (
            [sys.executable, "-m", "virtualenv", "--quiet", "--clear", str(environment)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *wanted],
        ):
            process = subprocess.run(command, capture_output=True, text=True)
            if process.returncode:
                raise Skipped(f"its environment could not be made: {process.stderr.strip()[-200:]}")
        made.write_text(str(wanted))
    return python


# The servers that suites talk to.


@contextmanager
def running(server: str | None, folder: Path) -> Iterator[None]:
    """Run a server meanwhile, with data of its own."""
    if server is None:
        yield
        return
    if shutil.which(server, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None:
        raise Skipped(f"{server} is not installed")
    data = folder / server
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    start = STARTED.get(server)
    process = start(data) if start else None
    try:
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait(60)


def start_redis(data: Path) -> subprocess.Popen[bytes]:
    """Start Redis at the port that its clients expect."""
    command = ["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--dir", str(data)]
    command += ["--save", "", "--enable-debug-command", "yes"]
    return started(command, data, lambda: answers("127.0.0.1", 6379))


def start_mariadb(data: Path) -> subprocess.Popen[bytes]:
    """Start MariaDB, with the accounts and databases that aiomysql's tests expect."""
    options = [f"--datadir={data}", "--user=root"]
    subprocess.run(
        ["mariadb-install-db", *options, "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
    )
    script = data / "init.sql"
    statements = (
        "CREATE DATABASE test_pymysql",
        "CREATE DATABASE test_pymysql2",
        "ALTER USER 'root'@'localhost' IDENTIFIED BY 'rootpw'",
        "CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY 'rootpw'",
        "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION",
    )
    script.write_text("".join(f"{each};\n" for each in statements))  # the server reads lines
    path = f"{os.environ['PATH']}:/usr/sbin"
    command = [shutil.which("mariadbd", path=path) or "mariadbd", *options, "--port=3306"]
    command += ["--bind-address=127.0.0.1", f"--socket={data}/socket", f"--init-file={script}"]
    command += ["--local-infile=1"]
    return started(command, data, lambda: answers("127.0.0.1", 3306))


def start_memcached(data: Path) -> subprocess.Popen[bytes]:
    """Start memcached at the port that its clients expect."""
    command = ["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", "11211"]
    return started(command, data, lambda: answers("127.0.0.1", 11211))


# The tests of the others start theirs.
STARTED = {"redis-server": start_redis, "mariadbd": start_mariadb, "memcached": start_memcached}


def started(command: list[str], data: Path, ready: Any) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it can be connected to."""
    if ready():
        raise Skipped(f"something else is where {command[0]} is to be")
    with (data / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    for _ in range(600):
        if ready():
            return process
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise Skipped(f"{command[0]} does not start: see {data}/log")


def answers(host: str, port: int) -> bool:
    """Return whether something can be connected to."""
    import socket

    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


# Output.

ORDER = ("passed", "failed", "skipped", "xfailed")


def shown(counts: Counter[str]) -> str:
    """Return counts in words."""
    return ", ".join(f"{counts[each]} {each}" for each in ORDER if counts[each])


def line(row: Row, reasons: dict[str, dict[str, str]]) -> str:
    """Return a suite's line on the terminal."""
    if row.skipped:
        return f"{row.name}: SKIPPED: {row.skipped}"
    same = "the same" if not row.differences else f"{len(row.differences)} different"
    return f"{row.name}: {shown(row.counts[0])}; with the reference {shown(row.counts[1])}: {same}"


def page(rows: list[Row], reasons: dict[str, dict[str, str]]) -> str:
    """Return the page with the table of all suites."""
    lines = [
        "# Other people's test suites",
        "",
        "Generated by `tox -e suites`, which runs each suite unmodified, on asyncio's streams",
        "and after `reference_impl.install()`, in the same environment "
        f"(Python {platform.python_version()} on {platform.system()}).",
        "The log of the run says why a test fails on both: mostly it needs the network, or another",
        "version of a package.",
        "",
        "| Suite | on asyncio | on the reference | different |",
        "|---|---|---|---:|",
    ]
    for row in rows:
        cells = (
            (f"not run: {row.skipped}", "", "")
            if row.skipped
            else (*map(shown, row.counts), str(len(row.differences)))
        )
        version = tomllib.loads((HERE / "suites.toml").read_text())[row.name].get(
            "version", platform.python_version()
        )
        lines.append(f"| {row.name} {version} | {' | '.join(cells)} |")
    for row in rows:
        if row.differences:
            lines += ["", f"## {row.name}", ""]
        for test, (theirs, ours) in row.differences.items():
            reason = reason_for(row.name, test, reasons) or "Not explained."
            lines.append(f"- `{test}`: {theirs} on asyncio, {ours} on the reference. {reason}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
