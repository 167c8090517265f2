"""Scripted peers: as server and as client, over simulated and real networks; and how they fail."""

import asyncio
import contextlib
import ssl
import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

import fakes
from fakes._trace.hexdiff import side_by_side

Main = Callable[[], Coroutine[Any, Any, None]]


def on_virtual_time(main: Main) -> None:
    fakes.run(main())


def on_real_time(main: Main) -> None:
    with asyncio.Runner(loop_factory=fakes.network_loop(asyncio.SelectorEventLoop)) as runner:
        runner.run(main())


def on_uvloop(main: Main) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=fakes.network_loop(uvloop.Loop)) as runner:
        runner.run(main())


def on_the_kernel(main: Main) -> None:
    with asyncio.Runner() as runner:
        runner.run(main())


@pytest.fixture(params=[on_virtual_time, on_real_time, on_uvloop, on_the_kernel])
def run(request: pytest.FixtureRequest) -> Callable[[Main], None]:
    chosen: Callable[[Main], None] = request.param
    return chosen


async def connect(
    server: fakes.ScriptedServer, **kwargs: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("localhost", server.port, **kwargs)


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection for the time of a block, whatever happens to it."""
    _, writer = await asyncio.open_connection(host, port)
    try:
        yield writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


# --- plays that succeed ---------------------------------------------------------------------------


def test_a_server_that_keeps_to_its_script(run: Callable[[Main], None]) -> None:
    script = (
        fakes.Script("mail")
        .send(b"220 hello\r\n")
        .expect(b"HELO me\r\n")
        .send(b"250 ")
        .send(b"hi\r\n")
        .expect_until(b"\r\n")
        .expect_size(4)
        .expect_eof()
        .send(b"bye\r\n")
        .close()
    )

    async def main() -> None:
        async with script.serve("localhost") as server:
            reader, writer = await connect(server)
            assert await reader.readline() == b"220 hello\r\n"
            writer.write(b"HELO ")
            writer.write(b"me\r\n")
            assert await reader.readline() == b"250 hi\r\n"
            writer.write(b"anything\r\nsize")
            writer.write_eof()
            assert await reader.read() == b"bye\r\n"
            writer.close()
            await writer.wait_closed()
        assert server.received == [b"HELO me\r\nanything\r\nsize"]

    run(main)


def test_a_client_that_keeps_to_its_script(run: Callable[[Main], None]) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(echo, "localhost", 0, family=2)
        port = server.sockets[0].getsockname()[1]
        script = fakes.Script().send(b"to be").send_eof().expect(b"to be").expect_eof()
        assert await script.play("127.0.0.1", port) == b"to be"
        server.close()
        await server.wait_closed()

    run(main)


def test_a_reset_by_the_script_reaches_the_program(run: Callable[[Main], None]) -> None:
    async def main() -> None:
        async with fakes.Script().expect(b"x").reset().serve("localhost") as server:
            reader, writer = await connect(server)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()

    run(main)


def test_a_reset_by_the_program_is_what_the_script_expects(run: Callable[[Main], None]) -> None:
    async def main() -> None:
        async with fakes.Script().send(b"unread").expect_reset().serve("localhost") as server:
            ended = asyncio.Event()

            class Deaf(asyncio.Protocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    assert isinstance(transport, asyncio.Transport)
                    transport.pause_reading()
                    asyncio.get_running_loop().call_later(0.05, transport.abort)

                def connection_lost(self, exc: Exception | None) -> None:
                    ended.set()

            await asyncio.get_running_loop().create_connection(Deaf, "localhost", server.port)
            await ended.wait()

    run(main)


def test_each_connection_has_its_script() -> None:
    failing = fakes.Script("first try").expect(b"GET\n").reset()
    working = fakes.Script("second try").expect(b"GET\n").send(b"yes\n").close()

    async def ask() -> bytes:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("db", 5432)
            try:
                writer.write(b"GET\n")
                return await reader.readline()
            except ConnectionResetError:
                await asyncio.sleep(1)
            finally:
                writer.close()
        raise AssertionError("never answered")

    async def main() -> None:
        async with fakes.serve_scripts([failing, working], "db", 5432) as server:
            assert await ask() == b"yes\n"
        assert server.received == [b"GET\n", b"GET\n"]

    fakes.run(main())


def test_a_server_on_a_simulated_host_has_its_address() -> None:
    async def main() -> None:
        async with fakes.Script().ignore_rest().serve("mail.example", 25):
            _, writer = await asyncio.open_connection("mail.example", 25)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, fakes.Loop)
            assert (
                writer.get_extra_info("peername")[0] in loop.network.hosts["mail.example"].addresses
            )
            writer.write(b"whatever")
            writer.close()

    fakes.run(main())


def test_a_pause_takes_virtual_time_and_reads_nothing() -> None:
    script = fakes.Script().pause(3600).expect(bytes(100_000)).send(b"done").close()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with script.serve("slow", 1) as _server:
            reader, writer = await asyncio.open_connection("slow", 1)
            writer.transport.set_write_buffer_limits(0)
            writer.write(bytes(100_000))
            await writer.drain()
            assert loop.time() >= 3600
            assert await reader.read() == b"done"
            writer.close()
        return loop.time()

    network = fakes.Network(send_buffer=1000, receive_buffer=1000)
    assert fakes.run(main(), network=network) == 3600


def test_unix_path() -> None:
    async def main() -> None:
        async with fakes.Script().expect(b"x").send(b"y").close().serve(path="/run/x.sock"):
            reader, writer = await asyncio.open_unix_connection("/run/x.sock")
            writer.write(b"x")
            assert await reader.read() == b"y"
            writer.close()
        server = await asyncio.start_unix_server(lambda r, w: w.close(), "/run/y.sock")
        assert await fakes.Script().expect_eof().play(path="/run/y.sock") == b""
        server.close()

    fakes.run(main())


def test_over_a_given_socket() -> None:
    async def main() -> None:
        network = asyncio.get_running_loop().network  # type: ignore[attr-defined]
        one, other = network.socketpair()
        reader, writer = await asyncio.open_connection(sock=one)
        playing = asyncio.create_task(fakes.Script().expect(b"x").send(b"y").play(sock=other))
        writer.write(b"x")
        assert await reader.read() == b"y"
        assert await playing == b"x"
        writer.close()

    fakes.run(main())


@pytest.mark.parametrize("loop", [on_virtual_time, on_the_kernel])
def test_over_tls(
    loop: Callable[[Main], None], contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server_side, client_side = contexts
    script = fakes.Script().expect(b"secret").send(b"kept").close()

    async def main() -> None:
        async with script.serve("localhost", ssl=server_side) as server:
            reader, writer = await connect(server, ssl=client_side)
            writer.write(b"secret")
            assert await reader.read() == b"kept"
            writer.close()

    loop(main)


# --- plays that fail ------------------------------------------------------------------------------


def test_a_mismatch_ends_the_test_with_both_sides_shown(run: Callable[[Main], None]) -> None:
    script = (
        fakes.Script("mail")
        .expect(b"HELO me\r\n")
        .send(b"250 hi\r\n")
        .expect(b"MAIL FROM:<a@example.org>\r\n")
        .send(b"250 ok\r\n")
    )

    async def main() -> None:
        async with script.serve("localhost") as server:
            reader, writer = await connect(server)
            writer.write(b"HELO me\r\n")
            await reader.readline()
            writer.write(b"MAIL FROM:<b@example.org>\r\n")
            try:
                await asyncio.Event().wait()  # the program waits forever; the script ends that
            finally:
                writer.close()

    with pytest.raises(fakes.ScriptMismatch) as caught:
        run(main)
    assert str(caught.value) == (
        textwrap.dedent("""\
        script 'mail', step 3 of 4 (after 9 bytes): expected other bytes
          they part at byte 11:
          offset  expected                            received
               0  4d 41 49 4c 20 46 52 4f |MAIL FRO|  4d 41 49 4c 20 46 52 4f |MAIL FRO|
               8  4d 3a 3c 61 40 65 78 61 |M:<a@exa|  4d 3a 3c 62 40 65 78 61 |M:<b@exa|
                           ^^                                  ^^
              16  6d 70 6c 65 2e 6f 72 67 |mple.org|  6d 70 6c 65 2e 6f 72 67 |mple.org|
              24  3e 0d 0a                |>..     |  3e 0d 0a                |>..     |
          before it: send b'250 hi\\r\\n'
          after it:  send b'250 ok\\r\\n'""")
    )


def test_a_wrong_byte_is_noticed_before_the_rest_comes() -> None:
    async def main() -> None:
        async with fakes.Script().expect(b"a" * 100).serve("h", 1):
            _, writer = await asyncio.open_connection("h", 1)
            writer.write(b"ab")
            await asyncio.sleep(3600)

    with pytest.raises(fakes.ScriptMismatch, match="part at byte 1:"):
        fakes.run(main())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (fakes.Script().expect(b"abcdef"), "ended its data after 3 of 6 bytes"),
        (fakes.Script().expect_until(b"\n"), r"before b'\\n' came; received b'abc'"),
        (fakes.Script().expect_size(7), "after 3 of 7 bytes; received b'abc'"),
        (fakes.Script().expect_eof(), "expected EOF; received 3 bytes"),
        (fakes.Script().expect_reset(), "expected a reset; received 3 bytes"),
        (fakes.Script().expect(b"abc").expect_reset(), "expected a reset; the other side ended"),
        (fakes.Script().expect(b"ab").close(), "expected nothing before closing; received 1 byte"),
        (fakes.Script().expect(b"ab"), "finished, and expected nothing more; received 1 byte"),
        (fakes.Script(), "finished, and expected nothing more; received 3 bytes"),
    ],
    ids=str,
)
def test_what_else_can_come(script: fakes.Script, message: str) -> None:
    async def main() -> None:
        async with script.serve("h", 1):
            _, writer = await asyncio.open_connection("h", 1)
            writer.write(b"abc")
            writer.close()

    with pytest.raises(fakes.ScriptMismatch, match=message):
        fakes.run(main())


def test_a_reset_instead_of_bytes() -> None:
    async def main() -> None:
        async with fakes.Script().send(b"x").expect(b"abc").serve("h", 1):
            _, writer = await asyncio.open_connection("h", 1)
            assert isinstance(writer.transport, asyncio.Transport)
            writer.transport.pause_reading()
            await asyncio.sleep(1)
            writer.write(b"a")
            writer.transport.abort()  # with x unread
            await asyncio.sleep(1)

    with pytest.raises(fakes.ScriptMismatch, match=r"ConnectionResetError.*after 1 of 3 bytes"):
        fakes.run(main())


def say(
    data: bytes,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
    """A handler that sends something and waits for the end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        try:
            await reader.read()
        except ConnectionResetError:
            pass
        finally:
            writer.close()

    return handler


def test_a_client_gets_its_mismatch_too() -> None:
    async def main() -> None:
        server = await asyncio.start_server(say(b"no"), "h", 1)
        try:
            await fakes.Script().expect(b"yes").play("h", 1)
        finally:
            server.close()

    network = fakes.Network()
    with network.host("h"), pytest.raises(fakes.ScriptMismatch, match="part at byte 0:"):
        fakes.run(main(), network=network)


def test_a_client_reports_what_comes_after_its_script() -> None:
    async def main() -> None:
        server = await asyncio.start_server(say(b"yes, and"), "localhost", 1)
        try:
            await fakes.Script().expect(b"yes").play("localhost", 1)
        finally:
            server.close()

    with pytest.raises(fakes.ScriptMismatch, match="expected nothing more; received 5 bytes"):
        fakes.run(main())


def test_a_script_that_is_not_finished_says_what_it_waits_for(
    run: Callable[[Main], None],
) -> None:
    script = fakes.Script("queue").expect(b"QUIT\r\n").send(b"bye").close()

    async def main() -> None:
        server = script.serve("localhost", patience=0.05)
        await server.__aenter__()
        async with connected("localhost", server.port) as writer:
            writer.write(b"QU")
            await server.__aexit__(None, None, None)  # while the connection is open

    with pytest.raises(fakes.ScriptUnfinished) as caught:
        run(main)
    assert str(caught.value) == textwrap.dedent("""\
        script 'queue' is not finished: step 1 of 3 still waits: expect b'QUIT\\r\\n'
          received for it so far: b'QU'
          not reached: send b'bye'
          not reached: close""")


def test_a_connection_that_never_came() -> None:
    async def main() -> None:
        async with fakes.Script("lonely").expect(b"x").serve("h", 1):
            pass

    with pytest.raises(fakes.ScriptUnfinished, match="'lonely' still waits for a connection"):
        fakes.run(main())


def test_a_connection_too_many() -> None:
    async def main() -> None:
        async with fakes.Script().serve("h", 1), connected("h", 1), connected("h", 1):
            await asyncio.sleep(3600)

    with pytest.raises(fakes.ScriptMismatch, match="number 2 came, and there are scripts for 1"):
        fakes.run(main())


def test_an_error_of_the_test_itself_stays_and_gets_a_note() -> None:
    async def main() -> None:
        async with fakes.Script("p").expect(b"x").serve("h", 1):
            _, writer = await asyncio.open_connection("h", 1)
            writer.close()
            raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        fakes.run(main())
    [note] = caught.value.__notes__
    assert "script 'p' is not finished: step 1 of 1 still waits: expect b'x'" in note


def test_a_mismatch_explains_the_error_that_it_causes() -> None:
    async def main() -> None:
        async with fakes.Script().expect(b"x").serve("h", 1):
            reader, writer = await asyncio.open_connection("h", 1)
            writer.write(b"y")
            try:
                await reader.readexactly(1)
            except asyncio.CancelledError:
                raise RuntimeError("the program fails in its own way") from None

    with pytest.raises(fakes.ScriptMismatch) as caught:
        fakes.run(main())
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_deadlock_names_the_step() -> None:
    async def main() -> None:
        async with fakes.Script("bank").expect(b"pay").serve("h", 1):
            reader, writer = await asyncio.open_connection("h", 1)
            try:
                await reader.read()
            finally:
                writer.close()

    with pytest.raises(fakes.Deadlock, match="script 'bank', step 1: expect b'pay'"):
        fakes.run(main())


def test_a_time_out_of_a_client_names_the_step() -> None:
    async def main() -> None:
        server = await asyncio.start_server(say(b""), "localhost", 1)
        try:
            async with asyncio.timeout(5):
                await fakes.Script("c").expect(b"hi").play("localhost", 1)
        finally:
            server.close()

    with pytest.raises(TimeoutError) as caught:
        fakes.run(main())
    assert caught.value.__cause__ is not None
    assert "step 1 of 1 still waits: expect b'hi'" in caught.value.__cause__.__notes__[0]


def test_the_outer_cancellation_wins() -> None:
    async def main() -> None:
        async with asyncio.timeout(5), fakes.Script().expect(b"x").serve("h", 1):
            _, writer = await asyncio.open_connection("h", 1)
            try:
                await asyncio.sleep(3600)
            finally:
                writer.close()

    with pytest.raises(TimeoutError):
        fakes.run(main())


def test_scripts_share_a_beginning() -> None:
    start = fakes.Script("s").expect(b"a")
    one, other = start.send(b"1"), start.send(b"2")
    assert repr(start) == "<fakes.Script 's': expect b'a'>"
    assert repr(one) == "<fakes.Script 's': expect b'a'; send b'1'>"
    assert repr(other) == "<fakes.Script 's': expect b'a'; send b'2'>"


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="separator must not be empty"):
        fakes.Script().expect_until(b"")
    with pytest.raises(ValueError, match="size must be 0 or more bytes, not -1"):
        fakes.Script().expect_size(-1)


# --- differences ----------------------------------------------------------------------------------


def test_a_long_difference_shows_the_rows_around_the_first() -> None:
    text = side_by_side(b"a" * 1000, b"a" * 500 + b"b" * 600)
    assert "part at byte 500:" in text
    assert "… and" in text
    assert len(text.splitlines()) < 12


def test_one_is_the_beginning_of_the_other() -> None:
    lines = side_by_side(b"12345678", b"12345678abc").splitlines()
    assert lines[0] == "  they part at byte 8:"
    assert lines[2].split() == ["0", *(2 * [*(str(n) for n in range(31, 39)), "|12345678|"])]
    assert lines[3].endswith("61 62 63                |abc     |")
