"""The pytest plug-in, used as its users use it: in test suites of their own."""

import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

import fakes

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.pythons("oldest", "newest", why="long, and much the same on every Python")

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
            options += ["-p", "no:asyncio"]
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
    assert not {"asyncio", "fakes.loop", "fakes.network"} & set(loaded.stdout.split())


def test_every_public_name_can_be_had() -> None:
    names = [name for module in fakes._MODULES.values() for name in module]
    assert sorted(names) == sorted(fakes.__all__)
    assert all(hasattr(fakes, name) for name in names)
    assert not hasattr(fakes, "no_such_name")
