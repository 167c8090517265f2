"""A run with every hardship there is, with four seeds; prints the SHA-256 of the traces.

python tests/fakes/hard_run.py
"""

import asyncio
import contextlib
import hashlib
import socket

import fakes


async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def ask(name: str, size: int) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(name, 80, happy_eyeballs_delay=0.1)
        try:
            writer.write(bytes(size))
            await reader.readexactly(size)
        finally:
            writer.close()
        await writer.wait_closed()


async def program(network: fakes.Network) -> None:
    server, silent = network.host("server"), network.host("silent")
    network.dns.add("both", silent.addresses[0], *server.addresses)
    network.dns.delay = 0.02
    link = network.link("localhost", "server")
    silent.drop()
    with server:
        serving = await asyncio.start_server(repeat, None, 80)
    for size in (1, 5000):
        await asyncio.gather(*(ask(name, size) for name in ("server", "both", "silent", "both")))
    network.dns.fail("both", socket.gaierror(socket.EAI_AGAIN, "not now"))
    await ask("both", 1)
    network.dns.heal("both")
    link.reset_after(3000)
    await ask("server", 5000)
    link.heal()
    link.refuse()
    await ask("server", 1)
    link.heal()
    asking = asyncio.create_task(ask("both", 300_000))
    for cut in (link.partition, link.stall):
        await asyncio.sleep(0.15)
        cut()
        await asyncio.sleep(5)
        link.heal()
    await asking
    serving.close()
    await asyncio.sleep(1000)  # until the last segment has arrived


def main() -> None:
    digest = hashlib.sha256()
    for seed in range(4):
        network = fakes.Network(link=fakes.Link(latency=0.01, jitter=0.02, segment_size=1460))
        trace = fakes.Trace(network)
        fakes.run(program(network), seed=seed, network=network)
        digest.update(str(trace).encode())
        digest.update(trace.pcapng())
    print(digest.hexdigest())


if __name__ == "__main__":
    main()
