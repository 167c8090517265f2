"""Calls that would leave the simulated network for the real one, and what they say."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import importlib
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fakes


@pytest.fixture
def outside() -> Iterator[tuple[str, int]]:
    """A real server, of which a simulation must not hear."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def by_socket(address: tuple[str, int]) -> None:
    socket.create_connection(address)


def by_method(address: tuple[str, int]) -> None:
    with socket.socket() as sock:
        sock.connect(address)


def by_http(address: tuple[str, int]) -> None:
    http.client.HTTPConnection(*address).request("GET", "/")


def by_urllib(address: tuple[str, int]) -> None:
    urllib.request.urlopen(f"http://{address[0]}:{address[1]}/")


def by_udp(address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", address)


def by_lookup(address: tuple[str, int]) -> None:
    socket.getaddrinfo("localhost", 80)


def by_old_lookup(address: tuple[str, int]) -> None:
    socket.gethostbyname("localhost")


def by_serving(address: tuple[str, int]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))


def by_packets(address: tuple[str, int]) -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC)


def by_icmp(address: tuple[str, int]) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def by_the_routing_tables(address: tuple[str, int]) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def by_another_loop(address: tuple[str, int]) -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(*address), 5))


def by_a_thread_of_its_own(address: tuple[str, int]) -> None:
    raised: list[BaseException] = []

    def connect() -> None:
        try:
            by_socket(address)
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    raise raised[0]


WAYS = [
    by_socket,
    by_method,
    by_http,
    by_urllib,
    by_udp,
    by_lookup,
    by_old_lookup,
    by_serving,
    by_packets,
    by_icmp,
    by_the_routing_tables,
    by_another_loop,
    by_a_thread_of_its_own,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_thread_that_would_leave_is_refused_by_name(
    way: Callable[[Any], None], outside: tuple[str, int]
) -> None:
    async def main() -> None:
        with pytest.raises(fakes.NotSimulated) as caught:
            await asyncio.to_thread(way, outside)
        said = str(caught.value)
        assert "would leave the simulated network" in said
        if way is by_another_loop:  # asyncio's own code calls, and no other
            assert "by way of" in said
        else:
            who = by_socket if way is by_a_thread_of_its_own else way
            assert f'called by {who.__name__}(), "{__file__}:' in said

    fakes.run(main())


def test_a_real_socket_in_the_thread_of_the_loop_is_refused(outside: tuple[str, int]) -> None:
    async def main() -> None:
        with pytest.raises(
            fakes.NotSimulated, match=r"connect\(\) for .*main\(\), .* 'MainThread'"
        ):
            real.connect(outside)

    with socket.socket() as real:
        fakes.run(main())


def test_what_is_meant_to_be_real_is(outside: tuple[str, int]) -> None:
    def visit() -> tuple[str, int]:
        with socket.create_connection(outside) as sock:
            host, port = sock.getpeername()
            return host, port

    async def main() -> None:
        with fakes.real_sockets():
            assert await asyncio.to_thread(visit) == outside
            assert visit() == outside
            with concurrent.futures.ThreadPoolExecutor() as pool:
                assert pool.submit(visit).result() == outside

    fakes.run(main())
    assert visit() == outside


def test_threads_from_before_are_none_of_ours(outside: tuple[str, int]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()

        async def main() -> None:
            pool.submit(by_socket_and_close, outside).result()
            with pytest.raises(fakes.NotSimulated):  # but a job of the loop's is
                await asyncio.get_running_loop().run_in_executor(pool, by_socket, outside)
            pool.submit(by_socket_and_close, outside).result()

        fakes.run(main())


def by_socket_and_close(address: tuple[str, int]) -> None:
    socket.create_connection(address).close()


def test_a_job_that_is_the_call_itself_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(fakes.NotSimulated, match=r"'localhost' would .* a job of the event"):
            await asyncio.to_thread(socket.getaddrinfo, "localhost", 80)

    fakes.run(main())


def test_a_number_is_no_question_to_the_network() -> None:
    async def main() -> None:
        found = await asyncio.to_thread(socket.getaddrinfo, "127.0.0.1", 80)
        assert found[0][4] == ("127.0.0.1", 80)
        one, other = await asyncio.to_thread(socket.socketpair)
        one.close()
        other.close()

    fakes.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_of_a_real_server_is_told_why_it_is_refused(
    host: str, outside: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """As that of a fixture, which a test with a simulated loop asks."""

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection(host, outside[1])
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection(host, 9)
        await asyncio.Event().wait()

    with pytest.raises(fakes.Deadlock) as caught:
        fakes.run(main())
    [told] = caplog.messages
    assert f"nobody listens at port {outside[1]} in the simulation, and the real socket" in told
    assert told in str(caught.value)


def test_a_client_of_a_real_path_is_told_why_nobody_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        for path in (str(tmp_path / "real"), str(tmp_path / "nothing"), str(tmp_path)):
            with pytest.raises(FileNotFoundError):
                await asyncio.open_unix_connection(path)

    with socket.socket(socket.AF_UNIX) as real:
        real.bind(str(tmp_path / "real"))
        fakes.run(main())
    [told] = caplog.messages
    assert f"nobody listens at '{tmp_path}/real' in the simulation, and the real socket" in told


def test_a_thread_may_go_on_when_the_simulation_is_over(outside: tuple[str, int]) -> None:
    over = threading.Event()
    seen: list[Any] = []

    def visit() -> None:
        over.wait()
        with socket.create_connection(outside) as sock:
            seen.append(sock.getpeername())

    thread = threading.Thread(target=visit)

    async def main() -> None:
        thread.start()

    fakes.run(main())
    over.set()
    thread.join()
    assert seen == [outside]


def test_processes_of_an_executor_can_be_started() -> None:
    program = (
        "import asyncio, concurrent.futures, fakes\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    with concurrent.futures.ProcessPoolExecutor(1) as pool:\n"
        "        print(await loop.run_in_executor(pool, abs, -5))\n"
        "if __name__ == '__main__':\n"
        "    fakes.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "5\n", ended.stderr


def test_what_a_machine_is_called_is_no_question_to_the_network() -> None:
    """aiosmtplib asks it in a thread, since a lookup may take long."""
    network = fakes.Network()

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with network.host("here"):
            return [
                await asyncio.to_thread(socket.getfqdn),
                await asyncio.to_thread(socket.gethostname),
                socket.getfqdn(),
                await loop.run_in_executor(None, socket.getfqdn),
            ]

    assert fakes.run(main(), network=network) == ["here", "here", "here", "localhost"]


def test_what_a_callback_asks_for_in_vain_ends_the_run() -> None:
    """A transport of pyserial-asyncio's watches its device when the loop next gets to it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.add_reader, device, print)
        await asyncio.Event().wait()

    device = os.open(os.devnull, os.O_RDONLY)
    with (
        open(device),
        pytest.raises(fakes.NotSimulated, match=rf"{device}, a real device or terminal, is not a"),
    ):
        fakes.run(main())


def test_a_real_loop_for_a_thread_reaches_no_real_network() -> None:
    """As aiosmtpd's Controller makes one, for its server."""
    raised: list[BaseException] = []

    async def serve() -> None:
        try:
            await asyncio.start_server(print, "127.0.0.1", 0)
        except fakes.NotSimulated as exc:
            raised.append(exc)

    async def main() -> None:
        loop = asyncio.new_event_loop()
        assert not isinstance(loop, fakes.Loop)
        thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
        thread.start()
        thread.join()
        loop.close()

    fakes.run(main())
    assert "serve" in str(raised[0])
    assert "would leave the simulated network" in str(raised[0])


@pytest.fixture
def c_ares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module with the name of the real one, and as much of it as is refused."""
    monkeypatch.delitem(sys.modules, "pycares", raising=False)
    (tmp_path / "pycares.py").write_text(
        "class Channel:\n    def getaddrinfo(self, host):\n        return 'from outside'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("pycares", None)


def test_a_known_library_in_c_is_refused_by_name(c_ares: None) -> None:
    def ask() -> str:
        pycares: Any = importlib.import_module("pycares")

        answer: str = pycares.Channel().getaddrinfo("www.example")
        return answer

    async def main() -> list[str]:
        sentence = r"Channel\.getaddrinfo\(\) .* by way of c-ares, .* aiohttp"
        with pytest.raises(fakes.NotSimulated, match=sentence):
            ask()
        with pytest.raises(fakes.NotSimulated, match=sentence):
            await asyncio.to_thread(ask)
        with fakes.real_sockets():
            return [ask(), await asyncio.to_thread(ask)]

    assert fakes.run(main()) == ["from outside"] * 2
    assert ask() == "from outside"


def test_a_type_made_in_c_is_refused_too() -> None:
    pycurl = pytest.importorskip("pycurl")

    def get(port: int) -> None:
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}")
        curl.perform()

    async def main() -> None:
        with pytest.raises(
            fakes.NotSimulated, match=r"Curl\.perform\(\) .* by way of libcurl, .* httpx"
        ):
            get(80)

    fakes.run(main())
    with socket.socket() as nobody:  # outside a run it does what it does
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(pycurl.error, match="Failed to connect"):
            get(nobody.getsockname()[1])


def fail_and_keep_it_to_oneself() -> None:
    with contextlib.suppress(NotImplementedError), socket.socket() as sock:
        sock.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("error", [fakes.Deadlock, fakes.TimeLimitExceeded])
def test_whoever_waits_in_vain_is_told_what_was_refused(error: type[Exception]) -> None:
    """As kazoo's thread, which ends by it while its client waits to be connected."""

    async def main() -> None:
        thread = threading.Thread(target=fail_and_keep_it_to_oneself)
        thread.start()
        thread.join()
        if error is fakes.TimeLimitExceeded:
            await asyncio.sleep(100)
        await asyncio.Event().wait()

    sentence = (
        r"before, this was refused: connect\(\) for \('192.0.2.1', 80\) would leave .* fail_and"
    )
    with pytest.raises(error, match=sentence):
        fakes.run(main(), time_limit=60)


def test_whoever_waits_in_vain_is_told_of_a_blocking_call_in_a_thread() -> None:
    """As that of a server of `socketserver`, whose socket the loop's thread has made."""

    def accept(sock: socket.socket) -> None:
        with contextlib.suppress(NotImplementedError):
            sock.accept()

    async def main() -> None:
        with socket.create_server(("localhost", 80)) as sock:
            thread = threading.Thread(target=accept, args=(sock,))
            thread.start()
            thread.join()
            reader, _ = await asyncio.open_connection("localhost", 80)
            await reader.read()

    sentence = r"before, this was refused: accept\(\) on <fakes.Socket .*> would block the thread"
    with pytest.raises(fakes.Deadlock, match=sentence):
        fakes.run(main())
