"""The names of the package are what users see of it."""

import inspect
import pickle
import subprocess
import sys
import traceback
import typing

import pytest

import fakes


@pytest.mark.parametrize("name", fakes.__all__)
def test_a_public_name_shows_no_private_module(name: str) -> None:
    thing = getattr(fakes, name)
    assert thing.__module__ == "fakes"
    assert pickle.loads(pickle.dumps(thing)) is thing
    typing.get_type_hints(thing)
    assert inspect.getdoc(thing)


def test_an_error_shows_its_public_name_before_anybody_has_looked_it_up() -> None:
    program = (
        "import fakes\n"
        "async def main():\n"
        "    import asyncio\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "fakes.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "\nfakes.Deadlock: nothing is left that could happen" in ended.stderr


def test_an_exception_and_a_segment_can_be_pickled() -> None:
    failure = pickle.loads(pickle.dumps(fakes.ScriptMismatch("other bytes")))
    assert traceback.format_exception_only(failure) == ["fakes.ScriptMismatch: other bytes\n"]
    segment = fakes.Segment(0.0, None, 1, ("10.0.0.1", 1), ("10.0.0.2", 2), True, "SYN")
    assert pickle.loads(pickle.dumps(segment)) == segment
