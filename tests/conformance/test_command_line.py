"""The command line, as a user has it: a process, its output, its exit status."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from conformance.clauses import clauses
from conformance.cli import cli
from conformance.run.runner import SILENCE, Run

PLUGGED = Path(__file__).parent / "plugged"
ENDS = pytest.mark.pythons("newest", why="long, and much the same on every Python")


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


@pytest.mark.pythons("3.12", "3.13", "3.14", why="all on the newest; `tox -e readme` on the oldest")
def test_the_reference_conforms_in_memory(tmp_path: Path) -> None:
    """By a third of the clauses on each of the Pythons in between."""
    file = tmp_path / "reference.json"
    third = sorted({each.id for each in clauses().values()})[sys.version_info.minor % 3 :: 3]
    asked = [f"--clause={each}" for each in third]
    process = run(
        *("certify", "reference_impl", "--json", str(file), "-n1", "--network=memory", *asked)
    )
    assert process.returncode == 0, process.stdout + process.stderr
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert certificate["summary"]["failed"] == 0, process.stdout
    answered = [each for each in certificate["clauses"] if each["id"] in third]
    passed = [each for each in answered if each["verdict"] == "passed"]
    assert len(passed) > 150
    for each in answered:
        assert each in passed or each["detail"].startswith(
            # The rest of the tests of these clauses are on networks with TLS.
            (
                "none of its tests was run",
                "start_tls() has a context of its own",
                "the test connects in its own way, and upgrades nothing",
            )
        )


@ENDS
def test_the_reference_conforms_at_every_level(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    process = run("certify", "reference_impl", "--json", str(file), "-n1")
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert process.returncode == 0, process.stdout + process.stderr
    assert certificate["conforms"]
    assert certificate["summary"]["failed"] == 0, process.stdout
    assert certificate["summary"]["not_applicable"] == 0, process.stdout
    conforms = r"^reference_impl conforms to specification 3\.15$"
    assert re.search(conforms, process.stdout, re.MULTILINE), process.stdout
    schema = json.loads((resources.files("conformance") / "certificate.schema.json").read_text())
    jsonschema.validate(certificate, schema)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_module"], "cannot import 'no_such_module': there is no module 'no"),
        (["asyncio:nothing"], "cannot find 'asyncio:nothing': the module has no attribute"),
        (["misbehaving:nameless"], "misbehaving:nameless lacks open_connection, start_server, "),
        ([""], "'' is not an importable name: give package.module or package.module:attribute"),
        (["asyncio:"], "'asyncio:' is not an importable name: give"),
        (["./streams.py"], "'./streams.py' is not an importable name: give"),
        (["asyncio", "--loop", "other"], "unknown loop 'other': give asyncio, uvloop or"),
        (
            ["asyncio", "--loop", "builtins:dict"],
            "cannot use loop 'builtins:dict': it returned {}, not an event loop: it lacks run_",
        ),
        (["asyncio", "--loop", "no_such:loop"], "cannot import 'no_such'"),
        (["asyncio", "--network", "tcp,carrier-pigeon"], "unknown network carrier-pigeon: give"),
        (["asyncio", "--network", ""], "unknown network"),
        (
            ["asyncio", "--network", "ship", "--network", "pigeon"],
            "unknown network pigeon, ship: give",
        ),
        (["asyncio", "--spec", "2.7"], "unknown specification '2.7': give a version from 3.11 to"),
        (["asyncio", "--spec", "new"], "unknown specification 'new'"),
        (["asyncio", "--json", "no/such/folder/file"], "cannot write 'no/such/folder/file': No"),
        (["asyncio", "--bound", "long"], "--bound takes a number of seconds above 0, not 'long'"),
        (["asyncio", "--bound", "0"], "--bound takes a number of seconds above 0, not '0'"),
        (["asyncio", "--json", "x", "--html", "./x"], "two options write to '"),
        (["asyncio", "--html", "."], "cannot write '.': Is a directory"),
        (["asyncio", "--junit-xml", "/proc/x"], "cannot write '/proc/x': No such file"),
        (["asyncio", "--json", ""], "--json takes the name of a file, not ''"),
        (["asyncio", "--write-known-deviations="], "--write-known-deviations takes the name of a"),
        (["asyncio", "--known-deviations", ""], "--known-deviations takes the name of a file, not"),
        (["asyncio", "--failed-first", ""], "--failed-first takes the name of a file, not ''"),
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
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["partly:Nothing", "--clause=readexactly.*"],
            "no clause that you chose applies to partly:Nothing: "
            "StreamReader.readexactly is not offered",
        ),
        (
            ["asyncio", "--spec=3.14", "--network=unix", "--clause=drain.reset.waiting"],
            "no test applies (specification of Python 3.14; networks chosen: unix; "
            "tests chosen: --clause 'drain.reset.waiting'): "
            "choose another network, clause or specification",
        ),
    ],
)
def test_a_process_that_cannot_do_its_work_says_so_and_ends_with_2(
    arguments: list[str], message: str
) -> None:
    process = run("certify", "-n0", *arguments)
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.splitlines()[-1] == f"streamcert: {message}"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit('bye')", "cannot import 'mine': SystemExit: bye"),
        ("raise KeyboardInterrupt", "cannot import 'mine': KeyboardInterrupt"),
        ("class E(BaseException): ...\nraise E('a\\nb')", "cannot import 'mine': E: a b"),
        ("def (", "cannot import 'mine': SyntaxError: invalid syntax"),
        ("import json\njson.loads(5)", "cannot import 'mine': TypeError: the JSON object must be "),
        ("def f():\n  [][0]\nf()", "cannot import 'mine': IndexError: list index out of range (mi"),
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
        ("raise SystemExit(4)", "cannot make a loop with 'mine:loop': SystemExit: 4 (mine.py:1)"),
        (
            "raise KeyboardInterrupt",
            "cannot make a loop with 'mine:loop': KeyboardInterrupt (mine.py:1)",
        ),
        ("pass", "cannot use loop 'mine:loop': it returned None, not an event loop: it lacks "),
    ],
)
def test_whatever_the_users_loop_does_is_said_in_one_line(
    program: str, message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "mine.py").write_text(f"def loop(): {program}")
    said = refused("certify", "asyncio", "--loop", "mine:loop", cwd=tmp_path)
    assert said.startswith(f"streamcert: {message}")


@ENDS
@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk always full")
def test_a_disk_that_is_full_in_the_end_is_said_in_one_line(option: str) -> None:
    process = run("certify", "partly:Lines", "-n0", "--clause=readline.*", option, "/dev/full")
    assert process.returncode == 2
    said = process.stderr.splitlines()
    assert said[-1] == "streamcert: cannot write '/dev/full': No space left on device"
    assert "partly:Lines does not deviate" in process.stdout  # so that not all is lost


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
    assert "\nWhy: Otherwise" in process.stdout
    assert "#asyncio.StreamReader.readexactly\n" in process.stdout


@ENDS
def test_what_an_implementation_does_about_a_clause_is_explained_with_the_wire() -> None:
    clause = "readexactly.returns-n-bytes"
    process = run("explain", clause, "misbehaving:one_short", "--network=memory", "--spec=3.14")
    assert process.returncode == 1
    assert "test     conformance/suite/test_readexactly.py:" in process.stdout
    assert "\n  The test:\n" in process.stdout
    assert re.search(
        r"\n  > +\d+ +expect\(await reader.readexactly\(4\), b.abcd.\)", process.stdout
    )
    assert "misbehaving:one_short on Python" in process.stdout
    assert "failed (memory failed" in process.stdout
    assert "What crossed the wire (as client on memory):\n" in process.stdout
    # Of each test that failed, what crossed the wire in that test.
    failures = process.stdout.split("\n  expected")[1:]
    sent = [re.findall(r"DATA \d bytes (b'\w+')", failure) for failure in failures]
    assert ["b'abcd'"] in sent
    assert ["b'abcd'"] in sent


def test_a_hang_shows_the_line_at_which_each_test_waits() -> None:
    """On an upgraded connection, too, where another test runs this one."""
    clause = "readexactly.returns-n-bytes"
    process = run("explain", clause, "misbehaving:hanging", "--network=memory", "--spec=3.14")
    assert process.returncode == 1
    tests = process.stdout.split("\n  The test:\n")[1:]
    assert len(tests) > 1
    for each in tests:
        assert re.search(r"^  > +\d+ +.*readexactly\(", each, flags=re.MULTILINE), each


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
    part = json.loads((tmp_path / "certificate.json").read_text(encoding="utf-8"))["part"]
    assert part == "-k 'readexactly.returns-n-bytes or readexactly.eof.partial'"
    assert clauses["write.order"]["verdict"] == "not_applicable"


@ENDS
def test_a_wrong_result_is_shown_beside_the_right_one(tmp_path: Path) -> None:
    process, clauses = certify_by_pytest("one_short", tmp_path)
    assert process.returncode == 1
    clause = clauses["readexactly.returns-n-bytes"]
    assert clause["verdict"] == "failed"
    assert clause["networks"] == {"tcp": "failed"}
    assert (
        "expected `await reader.readexactly(4)` to return b'abcd'; saw b'abc' "
        "(client and server on tcp)"
    ) in clause["detail"].splitlines()
    finding = clause["findings"][0]
    assert finding["file"] == "conformance/suite/test_readexactly.py"
    assert finding["test"] == "test_returns_n_bytes"
    assert finding["line"] > 0
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
        ("hanging", "Hanging.readexactly() to return; saw a hang after 0.5 s without progress: "),
        ("unstoppable", "Unstoppable.readexactly() waits in misbehaving.py:"),
        ("spinning", "Spinning.readexactly() to give control back to the event loop; saw a hang"),
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


# What the user interrupts, and what an implementation does.


@ENDS
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_what_was_seen_so_far_is_reported_and_the_workers_are_gone(
    name: str, tmp_path: Path
) -> None:
    file, reached = tmp_path / "certificate.json", tmp_path / "reached"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "conformance", "certify", "misbehaving:waiting", "-n2"),
            *("--network=tcp", "--bound=100", f"--json={file}", "--clause=readexactly.*"),
        ],
        cwd=PLUGGED,
        env=os.environ | {"REACHED": str(reached)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not reached.exists() and process.poll() is None:
        time.sleep(0.01)  # until a test is under way that would not end
    for _ in range(2):  # as timeout(1) does
        os.killpg(process.pid, getattr(signal, name))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    with pytest.raises(ProcessLookupError):  # nobody is left of its group
        os.killpg(process.pid, 0)
    assert errors.splitlines()[-1].startswith("streamcert: interrupted")
    if file.exists():  # one test had ended by then
        certificate = json.loads(file.read_text(encoding="utf-8"))
        assert not certificate["complete"]
        assert not certificate["conforms"]
        assert "no verdict: interrupted" in output


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_import_can_be_interrupted(name: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance", "certify", "odd:slow"],
        cwd=PLUGGED,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors == "streamcert: interrupted\n"


@ENDS
def test_an_interrupt_of_the_implementations_own_ends_one_test(tmp_path: Path) -> None:
    process, clauses = certify_by_pytest(
        "interrupting", tmp_path, "-ktest_returns_n_bytes or test_returns_a_line", "-n0"
    )
    assert process.returncode == 1
    assert clauses["readline.returns-a-line"]["verdict"] == "passed"
    assert (
        "expected the program to go on; saw KeyboardInterrupt"
        in (clauses["readexactly.returns-n-bytes"]["detail"])
    )


@ENDS
def test_what_fails_once_is_flaky(tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    process = run(
        *("certify", "misbehaving:flaky", "-n0", "--network=memory", f"--json={file}"),
        *("--clause=readexactly.returns-n-bytes", "--clause=readline.returns-a-line"),
    )
    assert process.returncode == 1, process.stdout + process.stderr
    certificate = json.loads(file.read_text(encoding="utf-8"))
    assert certificate["part"] == (
        "--clause 'readexactly.returns-n-bytes' --clause 'readline.returns-a-line'"
    )
    found = {each["id"]: each for each in certificate["clauses"]}
    assert found["readexactly.returns-n-bytes"]["flaky"]
    assert found["readexactly.returns-n-bytes"]["verdict"] == "failed"
    assert found["readline.returns-a-line"]["verdict"] == "passed"
    again = tmp_path / "again.json"
    process = run(
        *("certify", "misbehaving:flaky", "-n0", "--network=memory", f"--json={again}"),
        *("--clause=readexactly.returns-n-bytes", "--failed-first", str(file)),
    )
    assert process.returncode == 1, process.stdout + process.stderr


def test_how_far_it_has_come_is_told_where_no_bar_is_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(None)  # type: ignore[arg-type]  # it is only handed on
    run.session = SimpleNamespace(  # type: ignore[assignment]  # what is asked of it
        record=SimpleNamespace(seen=range(5), expected=range(12))
    )
    failed: Any = SimpleNamespace(failed=True)
    run.pytest_runtest_logreport(failed)
    assert capsys.readouterr().err == ""
    run.told -= SILENCE
    run.pytest_runtest_logreport(failed)
    assert re.fullmatch(r"streamcert: 5 of 12 tests, 2 failed, \d+ s\n", capsys.readouterr().err)
