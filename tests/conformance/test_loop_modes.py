"""The modes in which an event loop is certified."""

import asyncio
import sys
from concurrent.futures import Executor

import pytest

from conformance.errors import CannotRun
from conformance.harness.trial import Trial
from conformance.networks import NETWORKS
from conformance.subject.event_loop import loop
from conformance.subject.implementation import implementation
from conformance.subject.loop_modes import MODES, OwnExecutor, OwnTask

HAS_EAGER_TASKS = sys.version_info >= (3, 12)


async def seen() -> dict[str, object]:
    """What a program sees of the mode of its loop."""
    running = asyncio.get_running_loop()
    ran = []

    async def run() -> None:
        ran.append(True)

    task = running.create_task(run())
    eager = bool(ran)
    await task
    executor: Executor | None = getattr(running, "_default_executor", None)
    return {
        "debug": running.get_debug(),
        "eager-tasks": eager,
        "own-tasks": isinstance(task, OwnTask),
        "own-executor": isinstance(executor, OwnExecutor),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("network", ["memory", "tcp"])
def test_a_trials_loop_runs_in_the_mode(mode: str, network: str) -> None:
    if mode == "eager-tasks" and not HAS_EAGER_TASKS:
        pytest.skip("there are no eager tasks before Python 3.12")
    trial = Trial(
        implementation("asyncio"), NETWORKS[network](), "client", loop("asyncio", mode), 10
    )
    try:
        found = trial.run(seen())
    finally:
        trial.close()
    assert {name for name, holds in found.items() if holds} == {mode} - {"plain"}


def test_a_mode_that_there_is_not() -> None:
    with pytest.raises(CannotRun, match="unknown loop mode 'lazy': give one of plain, debug"):
        loop("asyncio", "lazy")


@pytest.mark.skipif(HAS_EAGER_TASKS, reason="there are eager tasks")
def test_eager_tasks_where_there_are_none() -> None:
    with pytest.raises(CannotRun, match=r"eager-tasks needs Python 3\.12"):
        loop("asyncio", "eager-tasks")
