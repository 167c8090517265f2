"""The pytest plug-in, used as its users use it: in test suites of their own."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

import fakes

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.pythons("newest", why="long, and much the same on every Python")

Suite = Callable[..., pytest.RunResult]

ECHO = """
    import asyncio
    import pytest
    import fakes

    async def echo(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def ask(data):
        reader, writer = await asyncio.open_connection("localhost", 7)
        writer.write(data)
        answer = await reader.readexactly(len(data))
        writer.close()
        await writer.wait_closed()
        return answer
"""


@pytest.fixture
def run(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Suite:
    """Run a test suite with the plug-in, as if it were installed with an entry point."""

    def run(suite: str, *arguments: str, asyncio_mode: str | None = None) -> pytest.RunResult:
        pytester.makepyfile(textwrap.dedent(ECHO) + textwrap.dedent(suite))
        loaded = request.config.pluginmanager.has_plugin("fakes")
        options = [] if loaded else ["-p", "fakes.pytest_plugin"]
        # Other plug-ins that happen to be installed have no part in this.
        options += ["-p", "no:randomly", "-p", "no:hypothesispytest", "-W", "error"]
        if asyncio_mode is None:
            options += ["-p", "no:asyncio", "-p", "no:aiohttp"]  # which stands on the first
        else:
            options += ["--asyncio-mode", asyncio_mode]
            options += ["-o", "asyncio_default_fixture_loop_scope=function"]
        # In a process of its own: what a failing suite leaves to the collector stays there.
        return pytester.runpytest_subprocess(*options, *arguments)

    return run


def test_an_async_test_runs_on_the_simulated_loop(run: Suite) -> None:
    run("""
        @pytest.mark.fakes
        async def test_it(fakes_network, fakes_seed):
            loop = asyncio.get_running_loop()
            assert isinstance(loop, fakes.Loop)
            assert loop.network is fakes_network
            assert loop.seed == fakes_seed == 0
            server = await asyncio.start_server(echo, "localhost", 7)
            assert await ask(b"x") == b"x"
            await asyncio.sleep(86400)
            server.close()
    """).assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_with_pytest_asyncio(run: Suite, mode: str) -> None:
    run(
        """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def server():
            server = await asyncio.start_server(echo, "localhost", 7)
            yield server
            server.close()

        @pytest.mark.asyncio
        @pytest.mark.fakes
        async def test_fixtures_are_on_the_loop_of_the_test(server, fakes_network):
            assert server.get_loop() is asyncio.get_running_loop()
            assert asyncio.get_running_loop().network is fakes_network
            assert await ask(b"x") == b"x"
            await asyncio.sleep(86400)

        @pytest.mark.asyncio
        @pytest.mark.fakes_seeds(3)
        async def test_seeds(server, fakes_seed):
            assert asyncio.get_running_loop().seed == fakes_seed
            assert await ask(b"x") == b"x"

        @pytest.mark.asyncio
        async def test_others_keep_their_loop():
            assert not isinstance(asyncio.get_running_loop(), fakes.Loop)

        @pytest.mark.fakes
        async def test_without_its_marker():
            assert isinstance(asyncio.get_running_loop(), fakes.Loop)
        """,
        asyncio_mode=mode,
    ).assert_outcomes(passed=6)


def test_pytest_asyncio_keeps_the_loop_factories_of_the_project(
    run: Suite, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest("""
        import asyncio

        class Own(asyncio.SelectorEventLoop):
            pass

        def pytest_asyncio_loop_factories(config, item):
            return {"own": Own}
    """)
    run(
        """
        @pytest.mark.asyncio
        async def test_it():
            assert type(asyncio.get_running_loop()).__name__ == "Own"
        """,
        asyncio_mode="strict",
    ).assert_outcomes(passed=1)


def test_a_wider_scope_is_refused(run: Suite) -> None:
    result = run(
        """
        @pytest.mark.asyncio(loop_scope="module")
        @pytest.mark.fakes
        async def test_it():
            pass
        """,
        asyncio_mode="strict",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*a simulated loop lives for one test*")


def test_with_the_anyio_plug_in(run: Suite) -> None:
    pytest.importorskip("anyio")
    run("""
        @pytest.fixture
        def anyio_backend():
            return "asyncio", {"loop_factory": fakes.Loop}

        @pytest.mark.anyio
        async def test_it():
            assert isinstance(asyncio.get_running_loop(), fakes.Loop)
            await asyncio.sleep(86400)
    """).assert_outcomes(passed=1)


SEEDED = """
    @pytest.mark.fakes_seeds(20)
    async def test_it(fakes_seed):
        server = await asyncio.start_server(echo, "localhost", 7)
        assert await ask(b"ping") == b"ping"
        server.close()
        assert fakes_seed != 17
"""


@pytest.mark.parametrize("asyncio_mode", [None, "strict"])
def test_the_report_of_a_deadlock_shows_the_line_of_the_test_and_not_the_loop(
    run: Suite, asyncio_mode: str | None
) -> None:
    result = run(
        """
        @pytest.mark.fakes
        async def test_that_waits():
            await asyncio.Event().wait()
        """,
        asyncio_mode=asyncio_mode,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [">       await asyncio.Event().wait()", "E*fakes.Deadlock: nothing*"]
    )
    result.stdout.no_fnmatch_line("*_run_once*")
    result.stdout.no_fnmatch_line("*run_forever*")


def test_each_seed_is_a_test_and_the_failing_one_can_be_replayed(run: Suite) -> None:
    result = run(SEEDED)
    result.assert_outcomes(passed=19, failed=1)
    module = "test_each_seed_is_a_test_and_the_failing_one_can_be_replayed.py"
    result.stdout.fnmatch_lines(
        [
            "*fakes: what crossed the wire*",
            "*localhost:32768 > localhost:7  SYN*",
            "*DATA*b'p*",
            "*fakes: replay*",
            f"pytest '{module}::test_it[[]seed17]' --fakes-seed 17",
        ]
    )
    again = run(SEEDED, f"{module}::test_it[seed17]", "--fakes-seed", "17")
    again.assert_outcomes(failed=1)
    run(SEEDED, "--fakes-seed", "17").assert_outcomes(failed=1)
    run(SEEDED, "--fakes-seed", "1000").assert_outcomes(passed=1)


def test_with_xdist(run: Suite) -> None:
    pytest.importorskip("xdist")
    result = run(SEEDED, "-n", "2")
    result.assert_outcomes(passed=19, failed=1)
    result.stdout.fnmatch_lines(
        ["*fakes: what crossed the wire*", "pytest 'test_with_xdist.py*seed17]' --fakes-seed 17"]
    )


def test_how_much_is_traced(run: Suite) -> None:
    suite = """
        @pytest.mark.fakes
        async def test_it():
            server = await asyncio.start_server(echo, "localhost", 7)
            await ask(b"x")
            server.close()
            assert False
    """
    none = run(suite, "--fakes-trace", "0")
    none.stdout.no_fnmatch_line("*what crossed the wire*")
    none.stdout.fnmatch_lines("*--fakes-seed 0*")
    run(suite, "--fakes-trace", "2").stdout.fnmatch_lines("(? segments before)")


def test_plain_tests_and_every_fixture(run: Suite) -> None:
    run("""
        def test_run(fakes_run, fakes_network, fakes_trace):
            async def main():
                loop = asyncio.get_running_loop()
                assert loop.network is fakes_network
                server = await asyncio.start_server(echo, "localhost", 7)
                answer = await ask(b"x")
                server.close()
                return answer
            assert fakes_run(main()) == b"x"
            assert "DATA 1 byte b'x'" in str(fakes_trace)

        def test_loop(fakes_loop):
            async def main():
                await asyncio.sleep(60)
            fakes_loop.run_until_complete(main())
            assert fakes_loop.time() == 60

        def test_transport(fakes_transport):
            class Hello(asyncio.Protocol):
                def connection_made(self, transport):
                    transport.write(b"hello")
            fakes_transport.connect(Hello())
            assert fakes_transport.written == b"hello"

        @pytest.mark.fakes
        async def test_stream_pair(fakes_stream_pair):
            (r1, w1), (r2, w2) = await fakes_stream_pair()
            w1.write(b"x")
            assert await r2.readexactly(1) == b"x"

        @pytest.mark.fakes
        async def test_transport_pair(fakes_transport_pair):
            (t1, p1), (t2, p2) = await fakes_transport_pair(asyncio.Protocol, asyncio.Protocol)
            assert t1.get_extra_info("peername") == t2.get_extra_info("sockname")

        @pytest.mark.fakes
        async def test_script(fakes_script):
            async with fakes_script.expect(b"x").send(b"y").close().serve("localhost", 7):
                assert await ask(b"x") == b"y"

        @pytest.mark.fakes_seeds(2)
        def test_seeds(fakes_run, fakes_seed):
            async def main():
                return asyncio.get_running_loop().seed
            assert fakes_run(main()) == fakes_seed

        def test_nothing_to_do_with_it():
            pass
    """).assert_outcomes(passed=9)


def test_a_network_of_the_projects_own(run: Suite) -> None:
    run("""
        @pytest.fixture
        def fakes_network():
            return fakes.Network(link=fakes.Link(latency=0.5))

        @pytest.mark.fakes
        async def test_it():
            server = await asyncio.start_server(echo, "localhost", 7)
            await ask(b"x")
            server.close()
            assert asyncio.get_running_loop().time() >= 2
    """).assert_outcomes(passed=1)


def test_a_module_can_be_marked_as_a_whole(run: Suite) -> None:
    run("""
        pytestmark = pytest.mark.fakes_seeds(2)

        class TestIt:
            async def test_it(self, fakes_seed):
                assert asyncio.get_running_loop().seed == fakes_seed
    """).assert_outcomes(passed=2)


@pytest.mark.parametrize("arguments", ["", "0", "'many'", "2, 3", "count=2"])
def test_a_marker_that_makes_no_sense(run: Suite, arguments: str) -> None:
    result = run(f"""
        @pytest.mark.fakes_seeds({arguments})
        def test_it():
            pass
    """)
    assert result.ret != 0
    assert "fakes_seeds takes the number of seeds, 1 or more" in result.stdout.str() + str(
        result.stderr
    )


def test_unittest_needs_no_plug_in(run: Suite) -> None:
    """As docs/fakes.md says: a loop factory from Python 3.13 on, and before it fakes.run()."""
    run("""
        import sys
        import unittest

        @unittest.skipIf(sys.version_info < (3, 13), "loop_factory came with Python 3.13")
        class WithAFactory(unittest.IsolatedAsyncioTestCase):
            loop_factory = fakes.Loop

            async def test_it(self):
                await asyncio.sleep(86400)

        class Anywhere(unittest.TestCase):
            def test_it(self):
                async def main():
                    await asyncio.sleep(86400)
                    return asyncio.get_running_loop().time()
                self.assertEqual(fakes.run(main()), 86400)
    """).assert_outcomes(
        **({"passed": 2} if sys.version_info >= (3, 13) else {"passed": 1, "skipped": 1})
    )


def test_it_is_light_to_import() -> None:
    """It comes with every run of pytest, so it brings neither asyncio nor the network."""
    program = "import sys, fakes.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    costly = {"asyncio", "fakes._loop.virtual", "fakes._network.network"}
    assert not costly & set(loaded.stdout.split())


def test_every_public_name_can_be_had() -> None:
    names = [name for module in fakes._MODULES.values() for name in module]
    assert sorted(names) == sorted(fakes.__all__)
    assert all(hasattr(fakes, name) for name in names)
    assert not hasattr(fakes, "no_such_name")


# --- many seeds -----------------------------------------------------------------------------------

RACE = """
    async def lost(stored):
        value = stored[0]
        await asyncio.sleep(0)
        stored[0] = value + 1

    async def race(window):
        stored = [0]

        async def add(reader, writer):
            await reader.readline()
            await lost(stored)
            writer.close()

        async def client(after):
            await asyncio.sleep(after)
            reader, writer = await asyncio.open_connection("localhost", 7)
            writer.write(b"add" + bytes([10]))
            await reader.read()
            writer.close()

        server = await asyncio.start_server(add, "localhost", 7)
        await asyncio.gather(client(0), client(window))
        server.close()
        assert stored == [2]
"""


def with_race(suite: str) -> str:
    return textwrap.dedent(RACE) + textwrap.dedent(suite)


def test_many_failures_are_one_summary_and_one_of_each_kind(run: Suite) -> None:
    result = run("""
        @pytest.mark.fakes_seeds(20)
        async def test_it(fakes_seed):
            assert fakes_seed % 4 != 1, f"never the same message {fakes_seed}"
            if fakes_seed % 4 == 2:
                raise KeyError(fakes_seed)
            if fakes_seed % 4 == 3:
                assert fakes_seed < 0

        @pytest.mark.fakes_seeds(3)
        async def test_right():
            pass
    """)
    result.assert_outcomes(passed=8, failed=15)
    text = result.stdout.str()
    assert "test_it[[]seed*]: 15 of 20 seeds fail; the first is 1" in text.replace(
        "[seed", "[[]seed"
    )
    assert text.count("fakes: replay") == 3  # of each kind one, of 15 failures
    assert "test_right" not in text


def test_seeds_take_the_options_of_a_loop(run: Suite) -> None:
    result = run(
        with_race("""
        @pytest.mark.fakes_seeds(60, turn_time=0.005)
        async def test_it():
            await race(0.004)

        @pytest.mark.fakes(turn_time=1)
        async def test_quiet():
            await race(0.004)
            assert asyncio.get_running_loop().time() < 0.01

        @pytest.mark.fakes(speed=1)
        async def test_wrong():
            pass
        """),
        "-q",
    )
    result.stdout.fnmatch_lines(["*test_it*: * of 60 seeds fail; the first is *"])
    result.stdout.fnmatch_lines(["*takes turn_time, *deterministic and start_date, not speed*"])


def test_a_search_is_one_test_and_shrinks_what_fails(run: Suite) -> None:
    result = run(
        with_race("""
        @pytest.mark.fakes_search(100)
        async def test_it():
            await race(0.004)

        @pytest.mark.fakes_search
        async def test_right(fakes_network, fakes_seed, fakes_script, fakes_trace, tmp_path):
            assert asyncio.get_running_loop().network is fakes_network
            assert fakes_seed == fakes_network.seed
            with (tmp_path / "seeds").open("a") as file:
                print(fakes_seed, file=file)
            seeds = (tmp_path / "seeds").read_text().split()
            assert len(seeds) == len(set(seeds))
            async with fakes_script.expect(b"x").send(b"x").ignore_rest().serve("localhost", 7):
                await ask(b"x")
            assert len(fakes_trace.segments) > 5
        """)
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*assert stored == [[]2]*",
            "* of 100 seeds fail; the first is *",
            "seed *: of * draws * matter* (* runs):",
            "what ran and what crossed the wire:",
            "replay: FAKES_SEED=* pytest *::test_it",
        ]
    )


def test_a_shrunk_failure_is_replayed(run: Suite) -> None:
    suite = with_race("""
        @pytest.mark.fakes_search(100, thread_time=0)
        async def test_it():
            await race(0.004)
        """)
    first = run(suite)
    match = re.search(r"replay: FAKES_SEED=(\S+) ", first.stdout.str())
    assert match is not None
    again = run(suite, f"--fakes-seed={match[1]}")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines([f"seed {match[1]} fails", "*what ran and what crossed the wire*"])
    run(suite, "--fakes-seed=0").assert_outcomes(passed=1)
    wrong = run(suite, "--fakes-seed=a/b")
    assert "invalid _seed value: 'a/b'" in wrong.stderr.str()


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_a_search_with_pytest_asyncio(run: Suite, mode: str) -> None:
    result = run(
        with_race("""
        @pytest.mark.asyncio
        @pytest.mark.fakes_search(100)
        async def test_it():
            await race(0.004)
        """),
        asyncio_mode=mode,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["* of 100 seeds fail; the first is *"])


def test_a_search_that_cannot_be(run: Suite) -> None:
    result = run("""
        @pytest.fixture
        def fakes_network():
            return fakes.Network()

        @pytest.mark.fakes_search
        async def test_it(fakes_network):
            pass

        @pytest.mark.fakes_search
        def test_plain():
            pass
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*give the marker network=*", "*fakes_search runs async tests*"])


# --- with other plug-ins, and whole suites --------------------------------------------------------

SIMULATED = """
    def simulated():
        return isinstance(asyncio.get_running_loop(), fakes.Loop)
"""

ASYNC_FIXTURE = """
    @FIXTURE
    async def server():
        server = await asyncio.start_server(echo, "localhost", 7)
        yield server
        server.close()
        assert server.get_loop() is asyncio.get_running_loop()
"""


def suite(text: str, fixture: str = "") -> str:
    parts = [SIMULATED, ASYNC_FIXTURE.replace("FIXTURE", fixture) if fixture else "", text]
    return "".join(textwrap.dedent(part) for part in parts)


def test_nothing_appears_in_tests_that_do_not_use_it(run: Suite) -> None:
    shown = run(
        """
        def test_plain(request):
            assert not [name for name in request.fixturenames if "fakes" in name]
        """,
        "--setup-show",
    )
    shown.assert_outcomes(passed=1)
    assert "fakes" not in shown.stdout.str().partition("collected")[2]


def test_strict_mode_runs_fixtures_on_the_loop_of_a_test_with_our_marker_alone(run: Suite) -> None:
    run(
        suite(
            """
            @pytest.mark.fakes
            async def test_it(server, fakes_network):
                assert server.get_loop() is asyncio.get_running_loop()
                assert asyncio.get_running_loop().network is fakes_network
                await asyncio.sleep(86400)

            @pytest.mark.fakes_seeds(2)
            async def test_seeds(server, fakes_seed):
                assert server.get_loop() is asyncio.get_running_loop()
                assert asyncio.get_running_loop().seed == fakes_seed

            class TestMethods:
                pytestmark = pytest.mark.fakes

                async def test_it(self, server):
                    assert server.get_loop() is asyncio.get_running_loop()
            """,
            "__import__('pytest_asyncio').fixture",
        ),
        asyncio_mode="strict",
    ).assert_outcomes(passed=4)


def test_async_fixtures_that_would_run_elsewhere_are_refused(run: Suite) -> None:
    tests = """
        @pytest.mark.fakes
        async def test_it(server):
            pass

        @pytest.mark.fakes_search
        async def test_search(server):
            pass
    """
    result = run(suite(tests, "pytest.fixture"))
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "the async fixture 'server' is not run on the loop of this test: install pytest-*",
            "the async fixture 'server' is not run on the loop of this test: each of its runs*",
        ]
    )


HYPOTHESIS = """
    from hypothesis import HealthCheck, given, settings, strategies

    loops = set()

    @pytest.mark.fakes
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(number=strategies.integers())
    async def test_each_example_has_a_loop_and_a_network(fakes_network, number):
        loop = asyncio.get_running_loop()
        assert loop.network is fakes_network
        assert loop.time() == 0
        assert loop not in loops
        loops.add(loop)
        await asyncio.start_server(echo, "localhost", 7)     # left open
        await asyncio.sleep(86400)

    class TestIt:
        @pytest.mark.fakes
        @settings(deadline=None)
        @given(strategies.integers())
        async def test_it(self, number):
            assert simulated()
            await asyncio.start_server(echo, "localhost", 7)
            assert await ask(b"x") == b"x"
            assert number < 100

    def test_there_were_many():
        assert len(loops) == 20
"""


@pytest.mark.parametrize("mode", [None, "strict", "auto"])
def test_hypothesis(run: Suite, mode: str | None) -> None:
    result = run(suite(HYPOTHESIS), asyncio_mode=mode)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*number=100,*", "*what crossed the wire*", "*DATA 1 byte b'x'*"])


WHOLE = """
    import unittest

    MARK
    async def test_marked(server, fakes_network):
        assert simulated() and server.get_loop() is asyncio.get_running_loop()
        assert asyncio.get_running_loop().network is fakes_network
        await asyncio.sleep(86400)

    @pytest.mark.fakes_seeds(2)
    async def test_seeds(server):
        assert simulated() and server.get_loop() is asyncio.get_running_loop()

    class TestMethods:
        @staticmethod
        async def test_static():
            assert simulated()

    class Cases(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self):
            self.server = await asyncio.start_server(echo, "localhost", 7)

        async def asyncTearDown(self):
            assert simulated()
            self.server.close()

        async def test_async(self):
            assert simulated() and await ask(b"x") == b"x"
            await asyncio.sleep(86400)

        def test_plain(self):
            pass

    class Plain(unittest.TestCase):
        def test_plain(self):
            pass

    def test_plain(request):
        assert not [name for name in request.fixturenames if "fakes" in name]
"""

LEFT_OUT = """
    MARK
    @pytest.mark.fakes(False)
    async def test_left_out():
        assert not simulated()
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_a_whole_suite_with_pytest_asyncio(run: Suite, mode: str) -> None:
    mark = "@pytest.mark.asyncio" if mode == "strict" else ""
    text = suite(WHOLE + LEFT_OUT, "__import__('pytest_asyncio').fixture").replace("MARK", mark)
    run(text, "--fakes", asyncio_mode=mode).assert_outcomes(passed=9)


def test_a_whole_suite_with_the_plug_in_of_anyio(run: Suite) -> None:
    pytest.importorskip("anyio")
    backend = """
        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """
    tests = WHOLE.partition("    class TestMethods")[0] + LEFT_OUT
    text = textwrap.dedent(backend) + suite(tests, "pytest.fixture").replace("MARK", "")
    run(text, "--fakes").assert_outcomes(passed=4)


def test_a_whole_suite_without_another_plug_in(run: Suite) -> None:
    text = suite(
        WHOLE.replace("(server, fakes_network)", "(fakes_network)").replace("(server)", "()")
    )
    text = text.replace("MARK", "").replace(
        "and server.get_loop() is asyncio.get_running_loop()", ""
    )
    run(text, "--fakes").assert_outcomes(passed=8)


def test_a_case_of_unittest_can_be_marked(run: Suite) -> None:
    run(
        suite("""
        import unittest

        @pytest.mark.fakes(time_limit=3600)
        class Cases(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                assert simulated()
                await asyncio.sleep(3600)

            async def test_too_long(self):
                await asyncio.sleep(1)

        class Others(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                assert not simulated()
        """)
    ).assert_outcomes(passed=3)


def test_anyio_over_trio_is_refused(run: Suite) -> None:
    pytest.importorskip("anyio")
    result = run("""
        @pytest.fixture
        def anyio_backend():
            return "trio"

        @pytest.mark.anyio
        @pytest.mark.fakes
        async def test_it():
            pass
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["trio runs on no simulated loop: set anyio_backend to 'asyncio'*"])


def test_a_test_of_trio_is_refused(run: Suite, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        def pytest_configure(config):
            config.addinivalue_line("markers", "trio: as pytest-trio has it")
            config.pluginmanager.register(object(), "trio")

        def pytest_pyfunc_call(pyfuncitem):
            return True if pyfuncitem.get_closest_marker("trio") else None
    """)
    suite = """
        @pytest.mark.trio
        async def test_it():
            raise AssertionError

        @pytest.mark.trio
        @pytest.mark.fakes
        async def test_marked():
            pass
    """
    for option in ([], ["--fakes"]):
        result = run(suite, *option)
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["trio runs on no simulated loop: remove @pytest.mark.trio*"])


def test_time_and_chance_by_marker_and_by_option(run: Suite) -> None:
    text = """
        import random
        import time

        @pytest.mark.fakes(deterministic=True, time_limit=3600)
        async def test_marker():
            assert time.monotonic() == 0
            random.seed(1)
            await asyncio.sleep(3600)
            assert time.monotonic() == 3600

        @pytest.mark.fakes(time_limit=3600)
        async def test_too_long():
            await asyncio.sleep(3601)

        @pytest.mark.fakes
        async def test_option():
            assert time.monotonic() == 0
            await asyncio.sleep(61)

        @pytest.mark.fakes_search(5)
        async def test_search():
            assert time.monotonic() < 1
            await asyncio.sleep(61)
    """
    without = run(text)
    without.assert_outcomes(passed=1, failed=3)
    without.stdout.fnmatch_lines(["*the run has not ended after 3600 virtual seconds*"])
    run(text, "--fakes-deterministic").assert_outcomes(passed=3, failed=1)
    both = run(text, "--fakes-deterministic", "--fakes-time-limit", "60")
    both.assert_outcomes(passed=1, failed=3)
    both.stdout.fnmatch_lines(["*the run has not ended after 60 virtual seconds*"])


def test_a_test_that_another_plug_in_runs_on_a_real_loop_is_refused(
    run: Suite, pytester: pytest.Pytester
) -> None:
    """As alt-pytest-asyncio does, which makes a test one that is not async."""
    pytester.makeconftest("""
        import asyncio
        import functools

        def pytest_collection_modifyitems(items):
            for item in items:
                item.obj = in_real_time(item.obj)

        def in_real_time(test):
            @functools.wraps(test)
            def run():
                asyncio.run(test())
            return run
    """)
    result = run("""
        @pytest.mark.fakes
        async def test_that_passes(): pass

        @pytest.mark.fakes
        async def test_that_fails():
            raise ValueError

        @pytest.mark.fakes(False)
        async def test_in_real_time(): pass
    """)
    result.assert_outcomes(failed=2, passed=1)
    refused = "another plug-in has run this test on a real loop: *"
    result.stdout.fnmatch_lines([refused, refused])


@pytest.mark.parametrize("option", ["--fakes", "--strict-markers"])
def test_a_test_that_runs_at_the_same_time_as_others_is_refused(
    run: Suite, pytester: pytest.Pytester, option: str
) -> None:
    """As those of pytest-asyncio-cooperative, which asks no other plug-in before it runs them."""
    pytester.makeconftest("""
        def pytest_configure(config):
            config.addinivalue_line("markers", "asyncio_cooperative: as the plug-in has it")
            config.pluginmanager.register(object(), "asyncio-cooperative")

        def pytest_pyfunc_call(pyfuncitem):
            return True if pyfuncitem.get_closest_marker("asyncio_cooperative") else None
    """)
    mark = "" if option == "--fakes" else "@pytest.mark.fakes"
    result = run(
        f"""
        {mark}
        @pytest.mark.asyncio_cooperative
        async def test_of_the_plug_in(): pass
        """,
        option,
    )
    if option == "--fakes":
        result.assert_outcomes(passed=1)
    else:
        result.stderr.fnmatch_lines(["ERROR: *::test_of_the_plug_in: pytest-asyncio-cooperative *"])
