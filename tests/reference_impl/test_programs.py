"""Programs as people write them, with the reference in the place of asyncio's streams.

Each runs as a process of its own, with warnings as errors, in asyncio's debug mode and out of it,
and with tasks that begin at once where Python has them.
"""

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import trustme

PROGRAMS = {
    "handlers": """
        class Application:
            async def __call__(self, reader, writer):
                await answer("object", reader, writer)

            async def method(self, reader, writer):
                await answer("method", reader, writer)

        async def answer(name, reader, writer):
            writer.write(name.encode())
            writer.close()
            await writer.wait_closed()

        def plain(reader, writer):
            writer.write(b"plain")
            writer.close()

        async def main():
            for handler in (
                functools.partial(answer, "partial"),
                Application(),
                Application().method,
                lambda reader, writer: answer("lambda", reader, writer),
                plain,
            ):
                async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
                    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                    print((await reader.read()).decode())
                    writer.close()
                    await writer.wait_closed()
        """,
    "sendfile": """
        async def main():
            async def send(reader, writer):
                with open(__file__, "rb") as file:
                    for fallback in (True, False):
                        writer.write(b"<")
                        await writer.drain()
                        await asyncio.get_running_loop().sendfile(
                            writer.transport, file, fallback=fallback
                        )
                        writer.write(b">")
                writer.close()
                await writer.wait_closed()

            async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                file = pathlib.Path(__file__).read_bytes()
                print(await reader.read() == 2 * (b"<" + file + b">"))
                writer.close()
                await writer.wait_closed()
        """,
    "upgrade by the loop": """
        # As it was done before Python 3.11 had StreamWriter.start_tls().
        async def upgraded(reader, writer, **options):
            loop, transport = asyncio.get_running_loop(), writer.transport
            protocol = transport.get_protocol()
            secured = await loop.start_tls(transport, protocol, **options)
            protocol._over_ssl = True
            reader._transport = writer._transport = secured

        async def serve(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            await upgraded(reader, writer, sslcontext=server_context(), server_side=True)
            async for line in reader:
                writer.write(line.upper())
            writer.close()

        async def main():
            async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"STARTTLS\\n")
                print(await reader.readline())
                await upgraded(
                    reader, writer, sslcontext=client_context(), server_hostname="localhost"
                )
                writer.write(b"secret\\n" * 2)
                print(await reader.readexactly(14))
                writer.close()
                await writer.wait_closed()
        """,
    "upgrade of a protocol": """
        # What a server of SMTP does: one protocol, connected twice.
        class Server(asyncio.StreamReaderProtocol):
            def __init__(self):
                self.secured = None
                super().__init__(asyncio.StreamReader(), self.connected)

            def connected(self, reader, writer):
                self.reader, self.writer = reader, writer
                self.serving = asyncio.create_task(self.serve())

            def connection_made(self, transport):
                if self.secured is None:
                    super().connection_made(transport)
                else:
                    self.reader._transport = transport
                    self.writer._transport = self._transport = transport
                    self._over_ssl = True

            async def serve(self):
                print(await self.reader.readline())
                self.reader._buffer.clear()  # what was sent before TLS is not to be trusted
                self.secured = asyncio.sslproto.SSLProtocol(
                    asyncio.get_running_loop(), self, server_context(), None, server_side=True
                )
                transport = self._transport
                transport.set_protocol(self.secured)
                self.writer.write(b"go\\n")
                self.secured.connection_made(transport)
                line = await self.reader.readline()
                self.writer.write(line.upper())
                self.writer.close()

        async def main():
            loop = asyncio.get_running_loop()
            protocols = []
            server = await loop.create_server(
                lambda: protocols.append(Server()) or protocols[-1], "127.0.0.1", 0
            )
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"STARTTLS\\nRCPT TO: <forged>\\n")
                await reader.readline()
                await writer.start_tls(client_context(), server_hostname="localhost")
                writer.write(b"secret\\n")
                print(await reader.read())
                writer.close()
                await writer.wait_closed()
        """,
    "subclasses": """
        class Reader(asyncio.StreamReader):
            _closing = _waiting = _error = None  # names of its own
            _seen = 0

            def feed_data(self, data):
                self._seen += len(data)
                super().feed_data(data)

        class Writer(asyncio.StreamWriter):
            def write(self, data):
                super().write(data.encode() if isinstance(data, str) else data)

        class Protocol(asyncio.StreamReaderProtocol):
            _closing = _closed_by_us = False

            def eof_received(self):
                print("eof")
                return super().eof_received()

        async def connect(host, port):
            loop = asyncio.get_running_loop()
            reader = Reader(limit=100, loop=loop)
            protocol = Protocol(reader, loop=loop)
            transport, _ = await loop.create_connection(lambda: protocol, host, port)
            return reader, Writer(transport, protocol, reader, loop)

        async def main():
            async def echo(reader, writer):
                async for line in reader:
                    writer.write(line)
                    await writer.drain()
                writer.close()

            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                reader, writer = await connect(*server.sockets[0].getsockname())
                writer.write("text\\n")
                print(await reader.readline(), reader._seen)
                writer.write_eof()
                print(await reader.read())
                writer.close()
                await writer.wait_closed()
        """,
    "subprocess": """
        async def main():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "for line in iter(input, ''): print(line[::-1], flush=True)",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )
            process.stdin.write(b"abc\\n")
            await process.stdin.drain()
            print(await process.stdout.readline())
            print(await process.communicate(b"def\\n\\n"), process.returncode)
        """,
    "names imported before": """
        # These were copied before anything was installed: see HEAD.
        async def main():
            async def echo(reader, writer):
                assert isinstance(reader, asyncio.StreamReader)
                writer.write(await reader.readline())
                writer.close()

            async with await start_server(echo, "127.0.0.1", 0) as server:
                reader, writer = await open_connection(*server.sockets[0].getsockname())
                writer.write(b"hello\\n")
                print(await reader.read(), isinstance(writer, asyncio.StreamWriter))
                writer.close()
                await writer.wait_closed()
                loop = asyncio.get_running_loop()
                old = StreamReader()
                transport, protocol = await loop.create_connection(
                    lambda: StreamReaderProtocol(old), *server.sockets[0].getsockname()
                )
                writer = StreamWriter(transport, protocol, old, loop)
                writer.writelines([b"hello ", b"again\\n"])
                print(await old.read())
                writer.close()
                await writer.wait_closed()
        """,
}

PRINTED = {
    "handlers": "partial\nobject\nmethod\nlambda\nplain\n",
    "sendfile": "True\n",
    "upgrade by the loop": "b'STARTTLS\\n'\nb'SECRET\\nSECRET\\n'\n",
    "upgrade of a protocol": "b'STARTTLS\\n'\nb'SECRET\\n'\n",
    "subclasses": "b'text\\n' 5\neof\nb''\n",
    "subprocess": "b'cba\\n'\n(b'fed\\n', None) 0\n",
    "names imported before": "b'hello\\n' True\nb'hello again\\n'\n",
}

HEAD = """
import asyncio, asyncio.sslproto, functools, pathlib, ssl, sys
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter, open_connection, start_server

if sys.argv[2] == "reference_impl":
    import reference_impl
    reference_impl.install()

FOLDER = pathlib.Path(sys.argv[1])

def server_context():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FOLDER / "server.pem")
    return context

def client_context():
    return ssl.create_default_context(cafile=FOLDER / "ca.pem")
"""
TAIL = """
def new_loop():
    loop = asyncio.new_event_loop()
    if "eager" in sys.argv:
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop

with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main())
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    return folder


@pytest.mark.parametrize("how", ["dev", "plain", "eager"])
@pytest.mark.parametrize("streams", ["asyncio", "reference_impl"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_it_does_on_asyncio(
    name: str, streams: Any, how: Any, certificates: Any, tmp_path: Path
) -> None:
    if how == "eager" and not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("tasks begin at once from Python 3.12 on")
    if streams == "asyncio" and how != "plain":
        pytest.skip("asyncio is asked once only: it is what the others are compared with")
    program = tmp_path / "program.py"
    program.write_text(HEAD + textwrap.dedent(PROGRAMS[name]) + TAIL)
    process = subprocess.run(
        [
            *(sys.executable, "-W", "error", *(("-X", "dev") if how == "dev" else ())),
            *(str(program), str(certificates), streams, how),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    # A busy machine may be slow, and debug mode says so.
    assert [line for line in process.stderr.splitlines() if " took " not in line] == []
    assert process.stdout == PRINTED[name]
