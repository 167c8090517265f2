"""Each benchmark runs, in its shortest form; `tox -e benchmarks` runs them in full."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

SHORTEST = {
    "streams": (["--rounds=1", "--longest=1", "--held=1"], "reference_impl"),
    "networks": (["--rounds=1", "--echoes=10", "--pieces=2"], "fakes"),
    "scale": (
        ["--connections=2", "--connections=4", "--total=4", "--repeat=1", "--day=1"],
        "connections",
    ),
    "features": (["half_close"], "half_close "),
    "features_others": (["ten_tenths", "told_of_unserved"], "told_of_unserved"),
    "features_trio": ([], "half_close"),
    "search": (["--seeds=3", "kept_alive"], "kept_alive"),
    "growth": (["--rounds=1", "--largest=0.001"], "connections, bytes"),
    "seeds": (["--seeds=1", "--rounds=1"], "fakes_search"),
    "wire": (["--rounds=1", "--share=0.01", "--only=echo, line"], "echo, line"),
}


def test_there_is_a_short_form_of_each() -> None:
    assert SHORTEST.keys() == {file.stem for file in BENCHMARKS.iterdir() if file.name[0] != "_"}


@pytest.mark.pythons("newest", why="long, and much the same on every Python")
@pytest.mark.parametrize("name", SHORTEST)
def test_it_runs(name: str) -> None:
    if name == "features_trio":
        pytest.importorskip("trio")
    arguments, said = SHORTEST[name]
    file = BENCHMARKS / f"{name}.py"
    process = subprocess.run(
        [sys.executable, file if file.is_file() else BENCHMARKS / name, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    assert said in process.stdout
