"""The pytest plug-in: tests on the simulated network, over many seeds, traced when they fail.

* `@pytest.mark.fakes` on an `async def` test runs it on a `fakes.Loop`. Where pytest-asyncio runs
  the test (its marker, or its auto mode), it does so on that loop, and so do its async fixtures;
  without pytest-asyncio this plug-in runs the test itself.
* `@pytest.mark.fakes_seeds(100)` does the same, with each of the seeds 0 to 99.
* The fixtures `fakes_…` give a network, a loop, `fakes.run()`, a transport, pairs, scripts and the
  trace, to `async def` tests and to plain ones.

A test that fails is reported with what crossed its wire, and with the command that replays it.
It is loaded by every pytest where the package is installed, so it does nothing for tests that use
neither the markers nor the fixtures.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    import asyncio

    import fakes

T = TypeVar("T")

TRACED_LINES = 40


@dataclass
class Simulation:
    """What one test runs on."""

    seed: int
    network: fakes.Network
    trace: fakes.Trace | None
    opened: list[asyncio.Transport | asyncio.StreamWriter] = field(default_factory=list)

    def new_loop(self) -> fakes.Loop:
        """Return a loop with the test's seed, over its network."""
        from fakes.loop import Loop

        return Loop(seed=self.seed, network=self.network)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on a new loop."""
        import asyncio

        async def and_close() -> T:
            try:
                return await main
            finally:
                self.close_opened()

        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            return runner.run(and_close())

    def close_opened(self) -> None:
        """Close what the fixtures have opened, while there is a loop for it; idempotent."""
        for connection in self.opened:
            connection.close()
        self.opened.clear()


SIMULATION: pytest.StashKey[Simulation] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--fakes-…` options."""
    group = parser.getgroup("fakes", "simulated networks (streamcert)")
    group.addoption(
        "--fakes-seed",
        type=int,
        metavar="N",
        help="run simulated tests with this seed only, to replay a failure (default: 0, or the "
        "seeds of @pytest.mark.fakes_seeds)",
    )
    group.addoption(
        "--fakes-trace",
        type=int,
        metavar="LINES",
        default=TRACED_LINES,
        help="how much of what crossed the wire is shown of a test that fails; 0 records nothing "
        f"(default: the last {TRACED_LINES} segments)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the markers."""
    config.addinivalue_line("markers", "fakes: run an async test on a simulated loop and network")
    config.addinivalue_line(
        "markers",
        "fakes_seeds(count): run a test on a simulated loop and network, with each of the seeds "
        "0 to count - 1",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test once for each seed."""
    mark = metafunc.definition.get_closest_marker("fakes_seeds")
    if mark is None:
        return
    if len(mark.args) != 1 or mark.kwargs or not isinstance(mark.args[0], int) or mark.args[0] < 1:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: fakes_seeds takes the number of seeds, 1 or more, as "
            "in @pytest.mark.fakes_seeds(100)"
        )
    only = metafunc.config.getoption("fakes_seed")
    seeds = range(mark.args[0]) if only is None else [only]
    if "fakes_seed" not in metafunc.fixturenames:
        metafunc.fixturenames.append("fakes_seed")
    metafunc.parametrize("fakes_seed", seeds, ids=[f"seed{n}" for n in seeds], indirect=True)


def _is_marked(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) is not None for name in ("fakes", "fakes_seeds"))


# --- async tests ----------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tell pytest-asyncio (1.4 or newer) which loop a test wants; ours only if it is marked."""
    import asyncio

    if not _is_marked(item):
        return {"asyncio": asyncio.new_event_loop}
    return {"fakes": _current.new_loop}


_ONE_TEST = (
    "a simulated loop lives for one test, and something of a wider scope asks for it: "
    "use loop_scope='function' for the test and for its async fixtures"
)


class _Current:
    """The simulation of the test that runs now: pytest-asyncio's factories are not told which."""

    simulation: Simulation | None = None

    def new_loop(self) -> fakes.Loop:
        if self.simulation is None:
            pytest.fail(_ONE_TEST, pytrace=False)
        return self.simulation.new_loop()


_current = _Current()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that nobody else runs."""
    # What pytest-asyncio runs is no coroutine function any more when it comes here.
    if not _is_marked(pyfuncitem) or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = inspect.signature(pyfuncitem.obj).parameters
    used = {name: value for name, value in pyfuncitem.funcargs.items() if name in arguments}
    pyfuncitem.stash[SIMULATION].run(pyfuncitem.obj(**used))
    return True


def _check_pytest_asyncio(item: pytest.Item) -> None:
    """Fail a test that pytest-asyncio would not run on the simulated loop, or not on its own."""
    mark = item.get_closest_marker("asyncio")
    manager = item.config.pluginmanager
    if mark is None or not manager.has_plugin("asyncio"):
        return
    if not hasattr(manager.hook, "pytest_asyncio_loop_factories"):
        pytest.fail(
            "this version of pytest-asyncio cannot run tests on another loop: install 1.4 or "
            "newer, or remove @pytest.mark.asyncio (or the auto mode) from the test",
            pytrace=False,
        )
    default = item.config.getini("asyncio_default_test_loop_scope")
    if mark.kwargs.get("loop_scope", default) != "function":
        pytest.fail(_ONE_TEST, pytrace=False)


# --- reports --------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what is needed to understand and to replay it."""
    report = yield
    simulation = item.stash.get(SIMULATION, None)
    if simulation is not None and report.failed:
        trace = simulation.trace
        if trace is not None and trace.segments:
            lines = item.config.getoption("fakes_trace")
            report.sections.append(("fakes: what crossed the wire", trace.text(last=lines)))
        report.sections.append(("fakes: replay", _replay(item, simulation)))
    return report


def _replay(item: pytest.Item, simulation: Simulation) -> str:
    return f"pytest {shlex.quote(item.nodeid)} --fakes-seed {simulation.seed}"


# --- fixtures -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _fakes_simulation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make the simulation of a test that asks for one, by a marker or by a fixture."""
    item = request.node
    if not _is_marked(item) and not any(n.startswith("fakes_") for n in request.fixturenames):
        yield
        return
    if _is_marked(item):
        _check_pytest_asyncio(item)
    from fakes.trace import Trace

    network: fakes.Network = request.getfixturevalue("fakes_network")
    seed: int = request.getfixturevalue("fakes_seed")
    trace = Trace(network) if request.config.getoption("fakes_trace") > 0 else None
    item.stash[SIMULATION] = _current.simulation = Simulation(seed, network, trace)
    yield
    _current.simulation = None
    if trace is not None:
        trace.stop()


@pytest.fixture
def fakes_seed(request: pytest.FixtureRequest) -> int:
    """The seed of the run: of `fakes_seeds`, or of `--fakes-seed`, or 0."""
    if hasattr(request, "param"):
        return int(request.param)
    return int(request.config.getoption("fakes_seed") or 0)


@pytest.fixture
def fakes_network() -> fakes.Network:
    """The simulated network of the test, a `fakes.Network`; override it to have another."""
    from fakes.network import Network

    return Network()


@pytest.fixture
def fakes_trace(request: pytest.FixtureRequest, _fakes_simulation: None) -> fakes.Trace:
    """What crosses the wire in this test, a `fakes.Trace`."""
    from fakes.trace import Trace

    simulation = request.node.stash[SIMULATION]
    if simulation.trace is None:
        simulation.trace = Trace(simulation.network)
    trace: fakes.Trace = simulation.trace
    return trace


@pytest.fixture
def fakes_loop(request: pytest.FixtureRequest, _fakes_simulation: None) -> Iterator[fakes.Loop]:
    """A `fakes.Loop` with the test's seed, over its network; closed when the test is over."""
    loop = request.node.stash[SIMULATION].new_loop()
    yield loop
    loop.close()


@pytest.fixture
def fakes_run(
    request: pytest.FixtureRequest, _fakes_simulation: None
) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """`fakes_run(main())`: as `fakes.run()`, with the test's seed, over its network."""
    run: Callable[[Coroutine[Any, Any, Any]], Any] = request.node.stash[SIMULATION].run
    return run


@pytest.fixture
def fakes_transport() -> fakes.RecordingTransport:
    """A transport without a peer, a `fakes.RecordingTransport`; `connect()` it to a protocol."""
    from fakes.recorder import RecordingTransport

    return RecordingTransport()


@pytest.fixture
def fakes_stream_pair(
    request: pytest.FixtureRequest, _fakes_simulation: None
) -> Iterator[Callable[..., Any]]:
    """`await fakes_stream_pair()`: as `fakes.open_stream_pair()`, over the test's network.

    The connections are closed when the test is over.
    """
    from fakes.pairs import open_stream_pair

    simulation: Simulation = request.node.stash[SIMULATION]

    async def open_pair(*streams: Any, **limit: int) -> Any:
        pair = await open_stream_pair(*streams, network=simulation.network, **limit)
        simulation.opened += [writer for _, writer in pair]
        return pair

    yield open_pair
    simulation.close_opened()


@pytest.fixture
def fakes_transport_pair(
    request: pytest.FixtureRequest, _fakes_simulation: None
) -> Iterator[Callable[..., Any]]:
    """`await fakes_transport_pair(One, Other)`: as `fakes.open_transport_pair()`, likewise."""
    from fakes.pairs import open_transport_pair

    simulation: Simulation = request.node.stash[SIMULATION]

    async def open_pair(one: Callable[[], Any], other: Callable[[], Any]) -> Any:
        pair = await open_transport_pair(one, other, network=simulation.network)
        simulation.opened += [transport for transport, _ in pair]
        return pair

    yield open_pair
    simulation.close_opened()


@pytest.fixture
def fakes_script(request: pytest.FixtureRequest) -> fakes.Script:
    """An empty `fakes.Script` with the test's name."""
    from fakes.script import Script

    return Script(request.node.name)
