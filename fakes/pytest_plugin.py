"""The pytest plug-in: tests on the simulated network, over many seeds, traced when they fail.

* `@pytest.mark.fakes` on an `async def` test runs it on a `fakes.Loop`. With pytest-asyncio that
  runs the test, in strict mode too, and its async fixtures, on that loop; so does the plug-in of
  anyio, and a `unittest.IsolatedAsyncioTestCase`. Without them this plug-in runs the test itself.
* `@pytest.mark.fakes_seeds(100)` does the same, with each of the seeds 0 to 99.
* `@pytest.mark.fakes_search(200)` on an `async def` test runs it as `fakes.search()` does: with 200
  seeds, as one test, and with what fails shrunk. It takes the arguments of `fakes.search()`.
* All three take the arguments of `fakes.Loop`: `turn_time`, `thread_time`, `faults`, `within`,
  `time_limit`, `deterministic`, `start_date`.
* `pytest --fakes` does for every async test what the marker does; `@pytest.mark.fakes(False)`
  leaves one out.
* A test with Hypothesis has a new loop, and a new network, for each example.
* The fixtures `fakes_…` give a network, a loop, `fakes.run()`, a transport, pairs, scripts and the
  trace, to `async def` tests and to plain ones.

A test that fails is reported with what crossed its wire, and with the command that replays it.
It is loaded by every pytest where the package is installed, so it does nothing for tests that use
neither the markers nor the fixtures.
"""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
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
    """The simulation of one test."""

    seed: int | str
    network: fakes.Network
    trace: fakes.Trace | None
    options: dict[str, Any] = field(default_factory=dict)
    opened: list[asyncio.Transport | asyncio.StreamWriter] = field(default_factory=list)
    make_network: Callable[[], fakes.Network] | None = None  # unless the project has its own
    is_used: bool = False  # by a loop that another plug-in has asked for
    has_loop: bool = False  # or has had one

    def renew(self) -> None:
        """Make a network without leftovers of the previous run, and its trace."""
        if self.make_network is None:
            return
        from fakes._trace.trace import Trace

        self.network.vanish()
        self.network = self.make_network()
        if self.trace is not None:
            self.trace.stop()
            self.trace = Trace(self.network)

    def new_loop(self) -> fakes.Loop:
        """Return a loop with the test's seed, over its network."""
        from fakes._loop.virtual import Loop

        self.has_loop = True
        return Loop(seed=self.seed, network=self.network, **self.options)

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
        """Close all that the fixtures have opened, while there is a loop for it; idempotent."""
        for connection in self.opened:
            connection.close()
        self.opened.clear()


SIMULATION: pytest.StashKey[Simulation] = pytest.StashKey()
REPORT: pytest.StashKey[fakes.Report] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--fakes-…` options."""
    group = parser.getgroup("fakes", "simulated networks (streamcert)")
    group.addoption(
        "--fakes",
        action="store_true",
        help="run every async test on a simulated loop and network, as if it were marked "
        "@pytest.mark.fakes; @pytest.mark.fakes(False) exempts one",
    )
    group.addoption(
        "--fakes-time-limit",
        type=float,
        metavar="SECONDS",
        help="end simulated tests that take more virtual seconds, and name the tasks that still "
        "wait (default: no limit)",
    )
    group.addoption(
        "--fakes-deterministic",
        action="store_true",
        help="let the standard library's clocks and random numbers depend on the loop's time and "
        "the seed alone in simulated tests",
    )
    group.addoption(
        "--fakes-seed",
        type=_seed,
        metavar="SEED",
        help="run simulated tests with this seed only, to replay a failure (default: 0, or the "
        "seeds of @pytest.mark.fakes_seeds)",
    )
    group.addoption(
        "--fakes-trace",
        type=int,
        metavar="LINES",
        default=TRACED_LINES,
        help="how many lines of the trace the report of a failed test shows, the last ones; 0 "
        f"records none (default: {TRACED_LINES})",
    )


def _seed(text: str) -> int | str:
    """Return a seed from the command line: a number, or one with the draws that count."""
    from fakes._network.chance import parse_seed

    seed = int(text) if text.isdigit() else text
    parse_seed(seed)
    return seed


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers with pytest."""
    config.addinivalue_line(
        "markers",
        "fakes(**options): run an async test on a simulated loop and network; fakes(False): in "
        "spite of --fakes, do not",
    )
    config.addinivalue_line(
        "markers",
        "fakes_seeds(count, **options): run a test on a simulated loop and network, with each of "
        "the seeds 0 to count - 1",
    )
    config.addinivalue_line(
        "markers",
        "fakes_search(seeds=200, **options): run an async test with many seeds, as one test, and "
        "shrink what fails",
    )


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Make a test once for each seed; mark it before pytest-asyncio looks for its marker."""
    _adopt(metafunc.definition)
    _parametrize(metafunc)
    return (yield)


def _parametrize(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("fakes_seeds")
    if mark is None:
        return
    if len(mark.args) != 1 or not isinstance(mark.args[0], int) or mark.args[0] < 1:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: fakes_seeds takes the number of seeds, 1 or more, as "
            "in @pytest.mark.fakes_seeds(100)"
        )
    only = metafunc.config.getoption("fakes_seed")
    seeds = range(mark.args[0]) if only is None else [only]
    if "fakes_seed" not in metafunc.fixturenames:
        metafunc.fixturenames.append("fakes_seed")
    metafunc.parametrize("fakes_seed", seeds, ids=[f"seed{n}" for n in seeds], indirect=True)


def _marker(item: pytest.Item) -> pytest.Mark | None:
    """Return the marker that makes a test one of ours, if it has one."""
    for name in ("fakes_search", "fakes_seeds", "fakes"):
        mark = item.get_closest_marker(name)
        if mark is not None:
            return None if name == "fakes" and mark.args == (False,) else mark
    return None


def _is_marked(item: pytest.Item) -> bool:
    return _marker(item) is not None


_OPTIONS = (
    "turn_time",
    "thread_time",
    "faults",
    "within",
    "time_limit",
    "deterministic",
    "start_date",
)


def _options(item: pytest.Item) -> dict[str, Any]:
    """Return a marker's arguments for the loop. Fails the test for unknown ones."""
    options: dict[str, Any] = {}
    if item.config.getoption("fakes_time_limit") is not None:
        options["time_limit"] = item.config.getoption("fakes_time_limit")
    if item.config.getoption("fakes_deterministic"):
        options["deterministic"] = True
    mark = _marker(item)
    if mark is None or mark.name == "fakes_search":
        return options
    unknown = sorted(mark.kwargs.keys() - set(_OPTIONS))
    if unknown or (mark.name == "fakes" and mark.args):
        what = ", ".join(unknown) or "arguments without a name"
        known = f"{', '.join(_OPTIONS[:-1])} and {_OPTIONS[-1]}"
        pytest.fail(f"@pytest.mark.{mark.name} takes {known}, not {what}", pytrace=False)
    return {**options, **mark.kwargs}


# --- async tests ----------------------------------------------------------------------------------


def _inner_test(item: pytest.Item) -> Any:
    """Return the async function that Hypothesis calls with each example, or None."""
    hypothesis = getattr(getattr(item, "obj", None), "hypothesis", None)
    # pytest-asyncio and anyio wrap it.
    inner: Any = getattr(hypothesis, "inner_test", None)
    if inner is None:
        return None
    inner = inspect.unwrap(inner)
    inner = getattr(inner, "_anyio_original_func", inner)
    return inner if inspect.iscoroutinefunction(inner) else None


def _is_async(item: pytest.Item) -> bool:
    """Whether an event loop runs a test."""
    function = getattr(item, "obj", None)
    if isinstance(function, staticmethod):
        function = function.__func__
    return (
        inspect.iscoroutinefunction(function)
        or _inner_test(item) is not None
        or _async_case(item) is not None
    )


def _async_case(item: pytest.Item) -> Any:
    """Return the `unittest.IsolatedAsyncioTestCase` that a test is one of, or None."""
    unittest = sys.modules.get("unittest.async_case")
    case = getattr(item, "cls", None)
    if unittest is None or not isinstance(case, type):
        return None
    return case if issubclass(case, unittest.IsolatedAsyncioTestCase) else None


def _is_anyios(item: pytest.Item) -> bool:
    """Whether the plug-in of anyio runs a test."""
    return "anyio_backend" in getattr(item, "fixturenames", ())


def _is_of(item: pytest.Item, marker: str, plugin: str) -> bool:
    """Whether a plug-in runs a test that has its marker."""
    manager = item.config.pluginmanager
    return item.get_closest_marker(marker) is not None and manager.has_plugin(plugin)


def _is_trios(item: pytest.Item) -> bool:
    """Whether pytest-trio runs a test."""
    return _is_of(item, "trio", "trio")


def _is_cooperative(item: pytest.Item) -> bool:
    """Whether pytest-asyncio-cooperative runs a test, with others at the same time."""
    return _is_of(item, "asyncio_cooperative", "asyncio-cooperative")


def _has_loop_factories(config: pytest.Config) -> bool:
    """Whether there is a pytest-asyncio that can run tests on another loop."""
    manager = config.pluginmanager
    hook = getattr(manager.hook, "pytest_asyncio_loop_factories", None)
    return manager.has_plugin("asyncio") and hook is not None


def _adopt(item: pytest.Item) -> None:
    """Mark a test: as ours if all are to be; and for pytest-asyncio if that can run it."""
    if not _is_async(item):
        return
    own = item.get_closest_marker("fakes")
    others = _is_trios(item) or _is_cooperative(item)
    all_are = item.config.getoption("fakes") and not others
    if all_are and own is None and not _is_marked(item):
        item.add_marker(pytest.mark.fakes)
    mark = _marker(item)
    if (
        mark is not None
        and mark.name != "fakes_search"
        and inspect.iscoroutinefunction(getattr(item, "obj", None))
        and _async_case(item) is None
        and item.get_closest_marker("asyncio") is None
        and item.get_closest_marker("anyio") is None
        and not _is_anyios(item)
        and _has_loop_factories(item.config)
    ):
        item.add_marker(pytest.mark.asyncio(loop_scope="function"))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Mark tests before pytest-asyncio looks for its marker."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if isinstance(item, pytest.Item):
            _adopt(item)
    return made


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of unittest, which are made otherwise."""
    _adopt(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests of a plug-in that asks nobody before it runs them."""
    for item in items:
        if _is_marked(item) and _is_cooperative(item):
            raise pytest.UsageError(
                f"{item.nodeid}: pytest-asyncio-cooperative runs it on a real loop, at the same "
                "time as others: remove @pytest.mark.asyncio_cooperative, or exempt it by "
                "@pytest.mark.fakes(False)"
            )


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give pytest-asyncio (1.4 or newer) the loop that a test wants; ours only if it is marked."""
    import asyncio

    # With Hypothesis each example has a loop of its own, which is not one of pytest-asyncio's.
    if not _is_marked(item) or _inner_test(item) is not None:
        return {"asyncio": asyncio.new_event_loop}
    return {"fakes": _current.new_loop}


_ONE_TEST = (
    "a simulated loop lives for one test, and something of a wider scope asks for it: "
    "use loop_scope='function' for the test and for its async fixtures"
)


class _Current:
    """The simulation of the running test: makers of loops do not get the test."""

    simulation: Simulation | None = None

    def new_loop(self) -> fakes.Loop:
        """Return a loop for the test. Fails it if it has one that is open."""
        simulation = self.simulation
        if simulation is None or simulation.network.environment.attached:
            pytest.fail(_ONE_TEST, pytrace=False)
        if simulation.is_used:  # with Hypothesis, by the example before
            simulation.renew()
        simulation.is_used = True
        return simulation.new_loop()

    def check(self, runner: object) -> None:
        """Fail the test if its runner already runs, and not for this test."""
        if runner is not None and not (self.simulation and self.simulation.is_used):
            pytest.fail(_ONE_TEST, pytrace=False)


_current = _Current()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make the simulation of a test that asks for one, by a marker or by a fixture, at first."""
    names = getattr(item, "fixturenames", None)
    if names is None or "_fakes_simulation" in names:
        return
    if _is_marked(item) or any(name.startswith("fakes_") for name in names):
        names.insert(0, "_fakes_simulation")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a marked async test that another plug-in has run on a loop of its own."""
    try:
        yield
    finally:
        simulation = item.stash.get(SIMULATION, None)
        function: Any = getattr(item, "obj", None)
        if (
            simulation is not None
            and not simulation.has_loop
            and function is not None
            and _is_marked(item)
            and item.get_closest_marker("fakes_search") is None
            and inspect.iscoroutinefunction(inspect.unwrap(function))
        ):
            pytest.fail(
                "another plug-in has run this test on a real loop: disable it (-p no:NAME), or "
                "exempt the test by @pytest.mark.fakes(False)",
                pytrace=False,
            )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that nobody else runs."""
    if pyfuncitem.get_closest_marker("fakes_search") is not None:
        _search(pyfuncitem)
        return True
    if not _is_marked(pyfuncitem) or _is_anyios(pyfuncitem):
        return None
    inner = _inner_test(pyfuncitem)
    if inner is not None:

        @functools.wraps(inner)
        def example(*args: Any, **kwargs: Any) -> None:
            _run_example(pyfuncitem, inner, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pyfuncitem.obj.hypothesis, "inner_test", example)
            pyfuncitem.obj(**_arguments(pyfuncitem))
        return True
    # A test that pytest-asyncio runs is no longer a coroutine function here.
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    coroutine = pyfuncitem.obj(**_arguments(pyfuncitem))
    pyfuncitem.stash[SIMULATION].run(coroutine)
    return True


def _arguments(item: pytest.Function) -> dict[str, Any]:
    """Return the fixtures' values that a test takes as arguments."""
    names = item._fixtureinfo.argnames
    return {name: value for name, value in item.funcargs.items() if name in names}


def _own(item: pytest.Function, network: fakes.Network) -> dict[str, Callable[[], object]]:
    """Return the functions that make the fixtures that each run of a test gets again."""
    from fakes._trace.trace import Trace

    return {
        "fakes_network": lambda: network,
        "fakes_seed": lambda: network.seed,
        "fakes_script": lambda: _script(item),
        "fakes_trace": lambda: Trace(network),
    }


def _run_example(item: pytest.Function, function: Any, *args: Any, **kwargs: Any) -> None:
    """Run a test with one example, on a new loop, and on a new network unless it has its own."""
    simulation = item.stash[SIMULATION]
    simulation.renew()

    async def main() -> None:
        own = _own(item, simulation.network)
        await function(*args, **kwargs | {name: own[name]() for name in own if name in kwargs})

    simulation.run(main())


def _has_own_network(item: pytest.Function) -> bool:
    """Whether the project has a fixture `fakes_network` of its own for a test."""
    definitions = item.session._fixturemanager.getfixturedefs("fakes_network", item)
    return definitions is not None and definitions[-1].func.__module__ != __name__


def _search(item: pytest.Function) -> None:
    """Run a test with many seeds; raise the exception of its last run, the shrunk one."""
    import asyncio

    from fakes._network.network import Network
    from fakes._tools.report import Found
    from fakes._tools.search import search

    mark = item.get_closest_marker("fakes_search")
    assert mark is not None
    function = inspect.unwrap(item.obj)  # pytest-asyncio wraps it
    if not inspect.iscoroutinefunction(function) or _inner_test(item) is not None:
        pytest.fail(
            "fakes_search runs async tests only: call fakes.search() in others", pytrace=False
        )
    if _has_own_network(item):
        pytest.fail(
            "each run of fakes_search has a network of its own: instead of a fixture "
            "fakes_network, give the marker network=, a function that makes one",
            pytrace=False,
        )
    simulation = item.stash[SIMULATION]
    names = inspect.signature(function).parameters
    given = {name: value for name, value in item.funcargs.items() if name in names}

    async def main() -> None:
        network = asyncio.get_running_loop().network  # type: ignore[attr-defined]  # fakes.Loop's
        simulation.network = network
        # Each run has its own of these; the values of other fixtures are the same in all.
        own = _own(item, network)
        try:
            await function(**given | {name: make() for name, make in own.items() if name in names})
        finally:
            simulation.close_opened()

    options: dict[str, Any] = {"network": Network, **_options(item), **mark.kwargs}
    if mark.args:
        options["seeds"] = mark.args[0]
    try:
        search(main, only=item.config.getoption("fakes_seed"), **options)
    except Found as found:
        item.stash[REPORT] = found.report
        raise found.__cause__ or found from None


def _script(item: pytest.Item) -> fakes.Script:
    from fakes._tools.script import Script

    return Script(item.name)


def _check(item: pytest.Item) -> None:
    """Fail a marked test that, or whose async fixtures, would not run on the simulated loop."""
    if _is_trios(item):
        pytest.fail(
            "trio runs on no simulated loop: remove @pytest.mark.trio (or trio_mode) from the "
            "test, or exempt it by @pytest.mark.fakes(False)",
            pytrace=False,
        )
    mark = item.get_closest_marker("asyncio")
    manager = item.config.pluginmanager
    by_asyncio = mark is not None and manager.has_plugin("asyncio")
    if mark is not None and by_asyncio:
        if not _has_loop_factories(item.config):
            pytest.fail(
                "this version of pytest-asyncio cannot run tests on another loop: install 1.4 or "
                "newer, or remove @pytest.mark.asyncio (or the auto mode) from the test",
                pytrace=False,
            )
        default = item.config.getini("asyncio_default_test_loop_scope")
        if mark.kwargs.get("loop_scope", default) != "function":
            pytest.fail(_ONE_TEST, pytrace=False)
    fixtures = _async_fixtures(item)
    if not fixtures or _is_anyios(item):
        return
    what = f"the async fixture {fixtures[0]!r} is not run on the loop of this test: "
    if item.get_closest_marker("fakes_search") is not None or _inner_test(item) is not None:
        pytest.fail(
            f"{what}each of its runs has a loop of its own; call its code from the test",
            pytrace=False,
        )
    if not by_asyncio:
        pytest.fail(
            f"{what}install pytest-asyncio 1.4 or newer, and use @pytest_asyncio.fixture",
            pytrace=False,
        )


def _async_fixtures(item: pytest.Item) -> list[str]:
    """Return the names of the async fixtures that a test has."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = {} if info is None else info.name2fixturedefs
    return [
        name
        for name, known in definitions.items()
        if known
        and (
            inspect.iscoroutinefunction(known[-1].func)
            or inspect.isasyncgenfunction(known[-1].func)
        )
    ]


@contextmanager
def _makers_of_loops(item: pytest.Item) -> Iterator[None]:
    """Make other makers of loops make simulated ones for this test."""
    case = _async_case(item)
    with pytest.MonkeyPatch.context() as patch:
        if case is not None and getattr(case, "loop_factory", None) is None:
            import asyncio

            def set_up_runner(self: Any) -> None:
                self._asyncioRunner = asyncio.Runner(debug=True, loop_factory=_current.new_loop)

            # Its `loop_factory` came with Python 3.13.
            patch.setattr(case, "_setupAsyncioRunner", set_up_runner)
        elif _is_anyios(item):
            plugin: Any = item.config.pluginmanager.get_plugin("anyio")
            get_runner = plugin.get_runner

            def get_simulated(name: str, options: dict[str, Any]) -> Any:
                if name == "asyncio" and "loop_factory" not in options:
                    _current.check(plugin._current_runner)
                    return get_runner(name, {**options, "loop_factory": _current.new_loop})
                if name != "asyncio" and not item.config.getoption("fakes"):
                    pytest.fail(
                        f"{name} runs on no simulated loop: set anyio_backend to 'asyncio' for "
                        "this test",
                        pytrace=False,
                    )
                return get_runner(name, options)

            patch.setattr(plugin, "get_runner", get_simulated)
        yield


# --- reports --------------------------------------------------------------------------------------


def _without_the_loop(excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return the error at the end of a run with the traceback of the wait, without the loop's."""
    import fakes

    error = excinfo.value
    if isinstance(error, (fakes.Deadlock, fakes.TimeLimitExceeded)):
        end = fakes.Loop._end_run.__code__
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_code is not end:
            traceback = traceback.tb_next
        if traceback is not None and traceback.tb_next is not None:
            return pytest.ExceptionInfo.from_exception(error.with_traceback(traceback.tb_next))
    return excinfo


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the information to the report of a failure that helps to understand and to replay it."""
    simulation = item.stash.get(SIMULATION, None)
    if simulation is not None and call.excinfo is not None:
        call.excinfo = _without_the_loop(call.excinfo)
    report = yield
    if simulation is None:
        return report
    if item.get_closest_marker("fakes_seeds") is not None:
        # For the summary; a report may come from another process, as its attributes do.
        test = item.nodeid.replace(f"seed{simulation.seed}", "seed*")
        vars(report).update(fakes_test=test, fakes_seed=str(simulation.seed))
    found = item.stash.get(REPORT, None)
    if report.failed and found is not None:
        report.sections.append(("fakes: search", str(found)))
    elif report.failed:
        trace = simulation.trace
        if trace is not None and trace.segments:
            lines = item.config.getoption("fakes_trace")
            text = trace.text(last=lines, folded=True)
            report.sections.append(("fakes: what crossed the wire", text))
        report.sections.append(("fakes: replay", _replay(item, simulation)))
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: Any,
) -> Generator[None, None, None]:
    """Report how many seeds fail, and show one failure of each kind, not one for each seed."""
    stats = terminalreporter.stats
    failed: list[Any] = stats.get("failed", [])
    runs: dict[str, list[Any]] = {}
    for report in (report for reports in stats.values() for report in reports):
        if getattr(report, "when", None) == "call" and hasattr(report, "fakes_test"):
            runs.setdefault(report.fakes_test, []).append(report)
    left_out: set[int] = set()
    lines = []
    for test, reports in sorted(runs.items()):
        failures = [report for report in reports if report.failed]
        if len(reports) == 1 or not failures:
            continue
        failures.sort(key=lambda report: int(report.fakes_seed))
        lines.append(
            f"{test}: {len(failures)} of {len(reports)} seeds fail; "
            f"the first is {failures[0].fakes_seed}"
        )
        known: set[object] = set()
        for report in failures:
            kind = _kind(report)
            if kind in known:
                left_out.add(id(report))
            known.add(kind)
    if lines:
        terminalreporter.section("fakes: seeds")
        for line in lines:
            terminalreporter.write_line(line)
        stats["failed"] = [report for report in failed if id(report) not in left_out]
    try:
        yield
    finally:
        if lines:
            stats["failed"] = failed


def _kind(report: Any) -> object:
    """Return the key that two reports share if they fail in the same way: the line, the type."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return str(report.longrepr)
    name = crash.message.partition(":")[0].partition("\n")[0]
    if name.startswith("assert "):  # pytest has put the values there, which differ
        name = "AssertionError"
    return crash.path, crash.lineno, name


def _replay(item: pytest.Item, simulation: Simulation) -> str:
    seed = shlex.quote(str(simulation.seed))
    return f"pytest {shlex.quote(item.nodeid)} --fakes-seed {seed}"


# --- fixtures -------------------------------------------------------------------------------------


@pytest.fixture
def _fakes_simulation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make the simulation of a test that asks for one, by a marker or by a fixture."""
    item = request.node
    if _is_marked(item):
        _check(item)
    from fakes._network.network import Network
    from fakes._trace.trace import Trace

    network: fakes.Network = request.getfixturevalue("fakes_network")
    seed: int | str = request.getfixturevalue("fakes_seed")
    config = request.config
    trace = None
    if config.getoption("fakes_trace") > 0 and item.get_closest_marker("fakes_search") is None:
        # The steps of a single run are recorded; for many runs it would cost too much.
        trace = Trace(network, steps=config.getoption("fakes_seed") is not None)
    simulation = Simulation(seed, network, trace, _options(item))
    if not _has_own_network(item):
        simulation.make_network = Network
    item.stash[SIMULATION] = _current.simulation = simulation
    if _is_marked(item):
        with _makers_of_loops(item):
            yield
    else:
        yield
    _current.simulation = None
    if simulation.trace is not None:
        simulation.trace.stop()


@pytest.fixture
def fakes_seed(request: pytest.FixtureRequest) -> int | str:
    """The seed of the run: of `fakes_seeds`, or of `--fakes-seed`, or 0."""
    seed: int | str = getattr(request, "param", request.config.getoption("fakes_seed") or 0)
    return seed


@pytest.fixture
def fakes_network() -> fakes.Network:
    """The simulated network of the test, a `fakes.Network`; override it to have another."""
    from fakes._network.network import Network

    return Network()


@pytest.fixture
def fakes_trace(request: pytest.FixtureRequest, _fakes_simulation: None) -> fakes.Trace:
    """A `fakes.Trace` of the wire in this test."""
    from fakes._trace.trace import Trace

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
    from fakes._tools.recording_transport import RecordingTransport

    return RecordingTransport()


@pytest.fixture
def fakes_stream_pair(
    request: pytest.FixtureRequest, _fakes_simulation: None
) -> Iterator[Callable[..., Any]]:
    """`await fakes_stream_pair()`: as `fakes.open_stream_pair()`, over the test's network.

    The connections are closed when the test is over.
    """
    from fakes._tools.pairs import open_stream_pair

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
    from fakes._tools.pairs import open_transport_pair

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
    return _script(request.node)
