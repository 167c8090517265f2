"""The command line, as a user has it: a process, its output, its exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.cli import cli

PLUGGED = Path(__file__).parent / "plugged"
ENDS = pytest.mark.pythons("oldest", "newest", why="long, and much the same on every Python")


def run(*arguments: str, cwd: Path = PLUGGED) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return what runs a command that cannot be run, in a folder, and returns what it says."""

    def run(*arguments: str, cwd: Path = PLUGGED) -> str:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.delitem(sys.modules, "mine", raising=False)
        with pytest.raises(SystemExit) as ended:
            cli(arguments, prog_name="streamcert")
        assert ended.value.code == 2
        said, errors = capsys.readouterr()
        assert said == ""
        assert errors.count("\n") == 1
        return errors

    return run


def test_the_reference_conforms_at_every_level(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    process = run("certify", "reference_impl", "--json", str(file), "-n1")
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert process.returncode == 0, process.stdout + process.stderr
    assert certificate["conforms"]
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert certificate["summary"]["not_applicable"] == 0, process.stdout
    assert "reference_impl conforms to specification 3.15\n" in process.stdout
    schema = json.loads((resources.files("conformance") / "certificate.schema.json").read_text())
    jsonschema.validate(certificate, schema)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_module"], "cannot import 'no_such_module': ModuleNotFoundError"),
        (["asyncio:nothing"], "cannot find 'asyncio:nothing': the module has no attribute"),
        (["misbehaving:nameless"], "misbehaving:nameless lacks open_connection, start_server, "),
        ([""], "no name: '': give package.module or package.module:attribute"),
        (["asyncio:"], "no name: 'asyncio:': give"),
        (["./streams.py"], "no name: './streams.py': give"),
        (["asyncio", "--loop", "other"], "unknown loop 'other': give asyncio, uvloop or"),
        (
            ["asyncio", "--loop", "builtins:dict"],
            "cannot use loop 'builtins:dict': it makes no event",
        ),
        (["asyncio", "--loop", "no_such:loop"], "cannot import 'no_such'"),
        (["asyncio", "--network", "tcp,carrier-pigeon"], "unknown network carrier-pigeon: give"),
        (["asyncio", "--network", ""], "unknown network"),
        (["asyncio", "--spec", "2.7"], "unknown specification '2.7': give a version from 3.11 to"),
        (["asyncio", "--spec", "new"], "unknown specification 'new'"),
        (["asyncio", "--json", "no/such/folder/file"], "cannot write 'no/such/folder/file': No"),
        (["asyncio", "--bound", "long"], "--bound takes a number of seconds, not 'long'"),
        (["asyncio", "--bound", "0"], "--bound takes a number of seconds, not '0'"),
        (["asyncio", "--html", "."], "cannot write '.': Is a directory"),
        (["asyncio", "--junit-xml", "/proc/x"], "cannot write '/proc/x': No such file"),
        (["asyncio", "--known-deviations", "."], "cannot read '.': Is a directory"),
        (["asyncio", "--known-deviations", "none.toml"], "cannot read 'none.toml': No such"),
        (["asyncio", "--known-deviations", "partly.py"], "'partly.py' is not TOML: "),
        (["asyncio", "-n", "many"], "-n takes auto or a number from 0 to 64, not 'many'"),
        (["asyncio", "-n", "-1"], "-n takes auto or a number from 0 to 64, not '-1'"),
        (["asyncio", "-n", "1000000"], "-n takes auto or a number from 0 to 64, not '1000000'"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(
    arguments: list[str], message: str, refused: Callable[..., str]
) -> None:
    assert refused("certify", *arguments).startswith(f"streamcert: {message}")


@ENDS
def test_a_process_that_cannot_do_its_work_says_so_and_ends_with_2() -> None:
    process = run("certify", "partly:Nothing", "-n0")
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr == (
        "streamcert: no clause applies to partly:Nothing: it offers nothing of the page\n"
    )


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit('bye')", "cannot import 'mine': SystemExit: bye"),
        ("raise KeyboardInterrupt", "cannot import 'mine': KeyboardInterrupt"),
        ("class E(BaseException): ...\nraise E('a\\nb')", "cannot import 'mine': E: a b"),
        ("def (", "cannot import 'mine': SyntaxError: invalid syntax"),
        ("def __getattr__(name): raise OSError(name)", "cannot find 'mine:it': OSError: "),
        ("class it: capabilities = 5", "mine:it.capabilities is 5: give a set of names"),
        ("class it: capabilities = 'ab'", "mine:it.capabilities is 'ab': give a set of names"),
        ("class it: capabilities = [3]", "mine:it.capabilities has 3: it may have open_connection"),
        (
            "import conformance\nclass it(conformance.ReaderAdapter): ...",
            "cannot plug in 'mine:it'",
        ),
    ],
)
def test_whatever_the_users_module_does_is_said_in_one_line(
    program: str, message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "mine.py").write_text(program)
    assert refused("certify", "mine:it", cwd=tmp_path).startswith(f"streamcert: {message}")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit(4)", "cannot make a loop with 'mine:loop': SystemExit: 4"),
        ("raise KeyboardInterrupt", "cannot make a loop with 'mine:loop': KeyboardInterrupt"),
        ("pass", "cannot use loop 'mine:loop': it makes no event loop but None"),
    ],
)
def test_whatever_the_users_loop_does_is_said_in_one_line(
    program: str, message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "mine.py").write_text(f"def loop(): {program}")
    said = refused("certify", "asyncio", "--loop", "mine:loop", cwd=tmp_path)
    assert said == f"streamcert: {message}\n"


@ENDS
@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk always full")
def test_a_disk_that_is_full_in_the_end_is_said_in_one_line(option: str) -> None:
    process = run("certify", "partly:Lines", "-n0", option, "/dev/full")
    assert process.returncode == 2
    assert process.stderr == "streamcert: cannot write '/dev/full': No space left on device\n"
    assert "partly:Lines conforms" in process.stdout  # so that not all is lost


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "readexactly.eof.partiall"], "no clause 'readexactly.eof.partiall': do you"),
        (["explain", "qqq"], "no clause 'qqq': list them: streamcert clauses"),
        (["explain", "readexactly.eof.partial", "no_such"], "cannot import 'no_such'"),
        (["explain", "readexactly.eof.partial", "asyncio", "--loop", "x"], "unknown loop 'x'"),
        (["explain", "readexactly.eof.partial", "asyncio", "--network", "x"], "unknown network x"),
        (["clauses", "--json", "."], "cannot write '.': Is a directory"),
        (["clauses", "--html", "/proc/x"], "cannot write '/proc/x': No such file"),
        (["matrix", "none.json", "--html", "m.html"], "cannot read 'none.json': No such file"),
        (["matrix", ".", "--html", "m.html"], "cannot read '.': Is a directory"),
        (["matrix", "partly.py", "--html", "m.html"], "'partly.py' is not a certificate: it is"),
    ],
)
def test_what_the_other_commands_cannot_do_is_said_in_one_line(
    arguments: list[str], message: str, refused: Callable[..., str]
) -> None:
    assert refused(*arguments).startswith(f"streamcert: {message}")


def test_the_clauses_are_listed() -> None:
    process = run("clauses")
    assert process.returncode == 0
    assert "readexactly.returns-n-bytes  [documented, since 3.4]\n    readexactly(n) " in (
        process.stdout
    )


def test_a_clause_is_explained() -> None:
    process = run("explain", "readexactly.eof.partial")
    assert process.returncode == 0
    assert process.stdout.startswith("readexactly.eof.partial  (documented, since Python 3.4)\n")
    assert "\nWhy: It is the only way" in process.stdout
    assert "#asyncio.StreamReader.readexactly\n" in process.stdout


@ENDS
def test_what_an_implementation_does_about_a_clause_is_explained_with_the_wire() -> None:
    process = run("explain", "readexactly.returns-n-bytes", "misbehaving:one_short")
    assert process.returncode == 0
    assert "misbehaving:one_short on Python" in process.stdout
    assert "failed (memory failed" in process.stdout
    assert "What crossed the wire (as client on memory):\n" in process.stdout
    assert "DATA 6 bytes b'abcdef'" in process.stdout


def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('No click', name='click')")
    process = run("--version", cwd=tmp_path)
    assert process.returncode == 1
    assert process.stderr == (
        "streamcert: the command line needs click: "
        "install it with pip install 'streamcert[certify]'\n"
    )


# What an implementation does to whoever runs it. These use pytest's own way in, to run only some
# clauses.

ON_TCP = ["--streams-network=tcp", "-kreadexactly.returns-n-bytes or readexactly.eof.partial"]


def certify_by_pytest(name: str, tmp_path: Path, *arguments: str) -> tuple[Any, dict[str, Any]]:
    file = tmp_path / "certificate.json"
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--pyargs", "conformance", "-pno:cacheprovider"),
            *(f"--streams=misbehaving:{name}", f"--streams-json={file}", *ON_TCP, *arguments),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PLUGGED)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    clauses = json.loads(file.read_text(encoding="utf-8"))["clauses"]
    return process, {each["id"]: each for each in clauses}


@ENDS
def test_a_sound_reader_passes(tmp_path: Path) -> None:
    process, clauses = certify_by_pytest("sound", tmp_path)
    assert process.returncode == 0, process.stdout
    assert clauses["readexactly.returns-n-bytes"]["verdict"] == "passed"
    assert clauses["readexactly.eof.partial"]["verdict"] == "passed"
    assert clauses["write.order"]["verdict"] == "not_applicable"


@ENDS
def test_a_wrong_result_is_shown_beside_the_right_one(tmp_path: Path) -> None:
    process, clauses = certify_by_pytest("one_short", tmp_path)
    assert process.returncode == 1
    clause = clauses["readexactly.returns-n-bytes"]
    assert clause["verdict"] == "failed"
    assert clause["networks"] == {"tcp": "failed"}
    assert "expected b'abcd'; saw b'abc' (client and server on tcp)" in clause["detail"]
    assert "misbehaving:one_short deviates" in process.stdout


@ENDS
def test_a_crash_costs_its_own_tests_only(tmp_path: Path) -> None:
    _, clauses = certify_by_pytest(
        "crashing", tmp_path, "-n1", "--max-worker-restart=100", "-ktest_returns_n_bytes"
    )
    assert clauses["readexactly.returns-n-bytes"]["verdict"] == "failed"
    assert "crashed" in clauses["readexactly.returns-n-bytes"]["detail"]


@ENDS
def test_printing_disturbs_nothing(tmp_path: Path) -> None:
    process, clauses = certify_by_pytest("chatty", tmp_path)
    assert process.returncode == 0
    assert clauses["readexactly.returns-n-bytes"]["verdict"] == "passed"


@ENDS
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("hanging", "a hang: still waiting at `"),
        ("unstoppable", "a hang: still waiting at `"),
        ("spinning", "a hang: never gives control back at `"),
    ],
)
def test_a_hang_is_a_verdict(name: str, seen: str, tmp_path: Path) -> None:
    _, clauses = certify_by_pytest(
        name, tmp_path, "-ktest_returns_n_bytes and client", "--streams-bound=0.5"
    )
    clause = clauses["readexactly.returns-n-bytes"]
    assert clause["verdict"] == "failed"
    assert seen in clause["detail"]


@ENDS
@pytest.mark.parametrize("network", ["memory", "tcp"])
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("loop_stopper", "Event loop stopped"),
        ("loop_closer", "Event loop stopped"),
        ("quitter", "SystemExit: enough"),
        ("leaking", None),
    ],
)
def test_the_others_are_judged_whatever_one_does(
    name: str, seen: str | None, network: str, tmp_path: Path
) -> None:
    _, clauses = certify_by_pytest(
        name,
        tmp_path,
        f"--streams-network={network}",
        "-ktest_returns_n_bytes or test_returns_a_line",
        "-n0",
        "-pno:randomly",
    )
    assert clauses["readline.returns-a-line"]["verdict"] == "passed"
    clause = clauses["readexactly.returns-n-bytes"]
    assert clause["verdict"] == ("failed" if seen else "passed")
    assert (seen or "") in clause["detail"]
