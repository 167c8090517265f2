"""Unmodified libraries for sessions: SSH, FTP, mail, proxies; each with a fault in the middle."""

import asyncio
import contextlib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from here import link_to, network_here

import fakes

DAY = 86400.0
RunTwice = Callable[..., Any]


def test_asyncssh_keepalive_notices_a_partition() -> None:
    """Keys and what they encrypt are drawn from the system, so traces are not compared."""
    asyncssh = pytest.importorskip("asyncssh")

    class Anybody(asyncssh.SSHServer):  # type: ignore[misc,name-defined]  # imported just now
        def begin_auth(self, username: str) -> bool:
            return False

    async def work(process: Any) -> None:
        if process.command == "forever":
            await asyncio.sleep(10 * DAY)
        process.stdout.write("up\n")
        process.exit(0)

    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        key = asyncssh.generate_private_key("ssh-ed25519")
        with network_here().host("server"):
            server = await asyncssh.listen(
                None, 22, server_factory=Anybody, server_host_keys=[key], process_factory=work
            )
        options = {"known_hosts": None, "client_keys": None, "config": None, "username": "me"}
        async with asyncssh.connect(
            "server", 22, keepalive_interval=15, keepalive_count_max=3, **options
        ) as client:
            output = (await client.run("uptime")).stdout
            loop.call_later(100, link_to("server").partition)
            lost = await client.run("forever", check=True)
            assert lost.exit_status is None  # and that is all that `check` says of it
            noticed = loop.time()
        server.close()
        return output, noticed

    network = fakes.Network(link=fakes.Link(latency=0.01))
    network.host("server")
    output, noticed = fakes.run(main(), network=network, seed=1)
    assert output == "up\n"
    assert 145 < noticed < 161  # three keepalives of 15 seconds without an answer


def test_aiosmtplib_sends_a_mail_that_was_cut_off_again_to_aiosmtpd(run_twice: RunTwice) -> None:
    aiosmtplib = pytest.importorskip("aiosmtplib")
    smtp = pytest.importorskip("aiosmtpd.smtp")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "me@here.example", "you@there.example", "hello"
    mail.set_content("text\n" * 1000)

    class Inbox:
        def __init__(self) -> None:
            self.mails: list[bytes] = []

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            self.mails.append(envelope.content)
            return "250 OK"

    async def main() -> list[int]:
        inbox, counts = Inbox(), []
        with network_here().host("mail"):
            server = await asyncio.get_running_loop().create_server(
                lambda: smtp.SMTP(inbox), None, 25
            )
        link_to("mail").reset_after(2000)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await aiosmtplib.send(mail, hostname="mail", port=25)
        counts.append(len(inbox.mails))
        link_to("mail").heal()
        await aiosmtplib.send(mail, hostname="mail", port=25)
        counts.append(len(inbox.mails))
        server.close()
        await asyncio.sleep(1)
        return counts

    assert run_twice(main, "mail") == [0, 1]


def test_aioftp_gives_up_when_no_answer_comes(run_twice: RunTwice) -> None:
    aioftp = pytest.importorskip("aioftp")
    data = bytes(range(256)) * 400

    async def main() -> int:
        loop = asyncio.get_running_loop()
        with network_here().host("files"):
            user = aioftp.User(base_path="/")
            server = aioftp.Server([user], path_io_factory=aioftp.MemoryPathIO)
            await server.start("files", 21)
        client = aioftp.Client(socket_timeout=30)
        await client.connect("files", 21)
        await client.login()
        async with client.upload_stream("data") as upload:
            await upload.write(data)
        async with client.download_stream("data") as download:
            assert await download.read() == data
        link_to("files").partition()
        start = loop.time()
        with pytest.raises(asyncio.TimeoutError):
            await client.stat("data")
        gave_up = loop.time() - start
        link_to("files").heal()
        client.close()
        await server.close()
        return round(gave_up)

    assert run_twice(main, "files") == 30


def test_telnetlib3_tells_of_a_reset(run_twice: RunTwice) -> None:
    telnetlib3 = pytest.importorskip("telnetlib3")

    async def shell(reader: Any, writer: Any) -> None:
        writer.write("login: ")
        name = await reader.readline()
        writer.write(f"hello {name}")
        await asyncio.sleep(DAY)

    async def main() -> list[str]:
        with network_here().host("board"):
            server = await telnetlib3.create_server("board", 23, shell=shell, connect_maxwait=0.5)
        reader, writer = await telnetlib3.open_connection(
            "board", 23, connect_minwait=0.1, connect_maxwait=0.5
        )
        seen = [await reader.read(7)]
        writer.write("me\r\n")
        seen.append(await reader.readline())
        link_to("board").reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        server.close()
        await server.wait_closed()
        return seen

    assert run_twice(main, "board") == ["login: ", "hello me\r\n"]


async def imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail arrives 50 seconds after the client began to wait."""
    writer.write(b"* OK IMAP4rev1 ready\r\n")
    answers = {
        b"CAPABILITY": b"* CAPABILITY IMAP4rev1 IDLE\r\n",
        b"SELECT": b"* 3 EXISTS\r\n",
        b"IDLE": b"+ idling\r\n",
    }
    while words := (await reader.readline()).split():
        writer.write(answers.get(words[1], b""))
        if words[1] == b"IDLE":
            await asyncio.sleep(50)
            writer.write(b"* 4 EXISTS\r\n")
            await reader.readline()
        writer.write(b"%b OK done\r\n" % words[0])
    writer.close()


def test_aioimaplib_waits_for_mail_and_gives_up_without_an_answer(run_twice: RunTwice) -> None:
    aioimaplib = pytest.importorskip("aioimaplib")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        with network_here().host("mail"):
            server = await asyncio.start_server(imap, None, 143)
        client = aioimaplib.IMAP4("mail", 143, timeout=10)
        await client.wait_hello_from_server()
        await client.login("me", "secret")
        seen = [(await client.select()).lines[0]]
        idling = await client.idle_start(timeout=100)
        seen.append(await client.wait_server_push())
        client.idle_done()
        await idling
        link_to("mail").partition()
        start = loop.time()
        with pytest.raises(asyncio.TimeoutError):
            await client.noop()
        seen.append(loop.time() - start)
        link_to("mail").heal()
        server.close()
        return seen

    assert run_twice(main, "mail") == [b"3 EXISTS", [b"4 EXISTS"], 10.0]


def test_python_socks_by_way_of_pproxy(run_twice: RunTwice) -> None:
    """What breaks behind the proxy is the end of data; what breaks before it is a timeout."""
    pproxy = pytest.importorskip("pproxy")
    socks = pytest.importorskip("python_socks")
    client = pytest.importorskip("python_socks.async_.asyncio")

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while data := await reader.read(100):
                writer.write(data.upper())
        writer.close()

    async def main() -> list[Any]:
        loop, network = asyncio.get_running_loop(), network_here()
        with network.host("server"):
            server = await asyncio.start_server(shout, None, 7)
        with network.host("proxy"):
            options = {"rserver": [], "verbose": lambda line: None}
            serving = await pproxy.Server("socks5://0.0.0.0:1080").start_server(options)
        proxy = client.Proxy.from_url("socks5://proxy:1080")
        reader, writer = await asyncio.open_connection(sock=await proxy.connect("server", 7))
        writer.write(b"hello")
        seen: list[Any] = [await reader.readexactly(5)]
        network.link("proxy", "server").reset()
        seen.append(await reader.read())
        writer.close()
        link_to("proxy").partition()
        started = loop.time()
        with pytest.raises(socks.ProxyTimeoutError):
            await proxy.connect("server", 7, timeout=20)
        seen.append(round(loop.time() - started))
        serving.close()
        server.close()
        return seen

    assert run_twice(main, "server", "proxy") == [b"HELLO", b"", 20]


def test_hl7_acknowledgements(run_twice: RunTwice) -> None:
    """Its readers and writers derive from asyncio's."""
    hl7 = pytest.importorskip("hl7")
    mllp = pytest.importorskip("hl7.mllp")
    admission = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\rPID|||1\r"

    async def serve(reader: Any, writer: Any) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()
        writer.close()

    async def main() -> list[Any]:
        with network_here().host("hospital"):
            server = await mllp.start_hl7_server(serve, None, 2575)
        seen: list[Any] = []
        for fault in (link_to("hospital").reset, link_to("hospital").partition):
            reader, writer = await mllp.open_hl7_connection("hospital", 2575)
            for _ in range(2):
                writer.writemessage(hl7.parse(admission))
                try:
                    async with asyncio.timeout(20):
                        seen.append(str((await reader.readmessage()).segment("MSA")[1]))
                except (ConnectionResetError, TimeoutError) as exc:
                    seen.append(type(exc))
                fault()
            writer.close()
            link_to("hospital").heal()
        server.close()
        return seen

    assert run_twice(main, "hospital") == ["AA", ConnectionResetError, "AA", TimeoutError]


def test_prompt_toolkit_asks_over_telnet(run_twice: Callable[..., Any]) -> None:
    """Each session has a pipe for its terminal's input."""
    telnet = pytest.importorskip("prompt_toolkit.contrib.telnet.server")
    shortcuts = pytest.importorskip("prompt_toolkit.shortcuts")
    terminal = b"\xff\xfb\x18\xff\xfa\x18\x00xterm\xff\xf0"
    size = b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0"

    async def main() -> list[str]:
        asked: list[str] = []

        async def interact(connection: Any) -> None:
            for question in ("name: ", "age: "):
                asked.append(await shortcuts.PromptSession().prompt_async(question))

        server = telnet.TelnetServer(interact=interact, host="0.0.0.0", port=23)
        with network_here().host("server"):
            serving = asyncio.create_task(server.run())
        await asyncio.sleep(1)
        _, writer = await asyncio.open_connection("server", 23)
        writer.write(terminal + size)
        await asyncio.sleep(1)
        writer.write(b"Ada\r\n")
        await asyncio.sleep(10)
        link_to("server").reset()
        await asyncio.sleep(1)
        writer.close()
        serving.cancel()
        await asyncio.wait([serving])
        return asked

    assert run_twice(main, "server") == ["Ada", ""]  # the reset ends the session
