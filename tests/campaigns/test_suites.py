"""The short form of `tox -e suites`: CPython's own tests of its streams, and the tool's output."""

import json
import os
import subprocess
import sys
import tomllib
from importlib import util
from pathlib import Path

import pytest
from click.testing import CliRunner

from campaigns.suites.__main__ import listed, main, reason_for

SUITES = Path(__file__).parent / "suites"


@pytest.mark.skipif(
    util.find_spec("test.test_asyncio") is None, reason="this Python came without test.test_asyncio"
)
def test_cpythons_own_tests_of_streams(tmp_path: Path) -> None:
    outcomes = {}
    for streams in ("asyncio", "reference_impl"):
        file = tmp_path / streams
        subprocess.run(
            [sys.executable, str(SUITES / "in_place.py"), "test.test_asyncio.test_streams"],
            env=os.environ | {"STREAMS": streams, "OUTCOMES": str(file)},
            cwd=tmp_path,
            capture_output=True,
            timeout=300,
        )
        outcomes[streams] = json.loads(file.read_text())
    theirs, ours = outcomes.values()
    assert theirs.keys() == ours.keys()
    assert len(theirs) > 60
    different = [test for test, outcome in theirs.items() if ours[test] != outcome]
    assert [test for test in different if not reason_for("cpython", test, listed())] == []
    assert different  # they would not be listed


def test_what_is_listed_is_of_a_suite_and_has_a_reason() -> None:
    suites = tomllib.loads((SUITES / "suites.toml").read_text())
    assert listed().keys() <= suites.keys()
    for reasons in listed().values():
        assert all(len(reason) > 40 for reason in reasons.values())


def test_what_cannot_be_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    result = CliRunner().invoke(main, ["redis", "--folder", str(tmp_path)])
    assert (result.exit_code, result.output) == (
        0,
        "redis: SKIPPED: redis-server is not installed\n",
    )
    result = CliRunner().invoke(main, ["no-such-suite"])
    assert result.exit_code == 2
    assert "'no-such-suite' is not one of" in result.output
