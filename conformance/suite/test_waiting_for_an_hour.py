"""Calls and connections last for an hour: none gives up by itself."""

import asyncio
from collections.abc import Awaitable, Callable

from conformance.harness.clause import UPGRADED, Some, clause
from conformance.harness.expect import expect, expect_pending
from conformance.harness.expectations import expect_talk
from conformance.harness.patterns import fill
from conformance.harness.reading import next_line, take
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import upgraded

LASTING = Some(
    ("memory", "tls-memory"), "it lasts for an hour, which only virtual time makes short"
)
PLAIN_LASTING = Some(("memory",), f"{LASTING.why}; and TLS has a timeout for its end")
UPGRADED_LASTING = Some(("memory",), f"{UPGRADED.why}; and {LASTING.why}")

HOUR = 3600  # seconds

# Reads.


async def expect_line_after_an_hour(
    trial: Trial, name: str, read: Callable[[asyncio.StreamReader], Awaitable[bytes]]
) -> None:
    """Expect `read`, called `name`, to wait for an hour in the middle of a line of five bytes."""
    reader, _, wire = await trial.connect()
    reading = trial.start(read(reader))
    await wire.send(b"li")
    await trial.pass_time(HOUR)
    expect_pending(reading, f"{name}, for an hour,")
    await wire.send(b"ne\n")
    await wire.send_eof()
    expect(await reading, b"line\n", "after an hour:")


@clause("read.all.waits-for-eof", networks=LASTING)
async def test_read_all(trial: Trial) -> None:
    await expect_line_after_an_hour(trial, "read()", lambda reader: reader.read())


@clause("read.n.waits-for-a-byte", networks=LASTING)
async def test_read(trial: Trial) -> None:
    await expect_line_after_an_hour(trial, "read(n)", lambda reader: take(reader, 5))


@clause("readline.waits-for-newline", networks=LASTING)
async def test_readline(trial: Trial) -> None:
    await expect_line_after_an_hour(trial, "readline()", lambda reader: reader.readline())


@clause("readexactly.waits-for-n-bytes", networks=LASTING)
async def test_readexactly(trial: Trial) -> None:
    await expect_line_after_an_hour(trial, "readexactly(5)", lambda reader: reader.readexactly(5))


@clause("readuntil.waits-for-separator", networks=LASTING)
async def test_readuntil(trial: Trial) -> None:
    await expect_line_after_an_hour(trial, "readuntil()", lambda reader: reader.readuntil(b"e\n"))


@clause("reader.iteration.as-lines-come", networks=LASTING)
async def test_iteration(trial: Trial) -> None:
    await expect_line_after_an_hour(trial, "async for", next_line)


# Writing and closing.


@clause("drain.waits", networks=LASTING)
async def test_drain(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    draining = trial.start(writer.drain())
    await trial.pass_time(HOUR)
    expect_pending(draining, "drain(), for an hour,")
    expect(await wire.receive(len(data)), data, "bytes:")
    await draining


@clause("wait_closed.waits-while-open", networks=LASTING)
async def test_wait_closed_while_open(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    waiting = trial.start(writer.wait_closed())
    await trial.pass_time(HOUR)
    expect_pending(waiting, "wait_closed(), for an hour before close(),")
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await waiting


@clause("wait_closed.waits-until-sent", networks=PLAIN_LASTING)
async def test_wait_closed_until_sent(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    await fill(trial, writer)
    writer.close()
    waiting = trial.start(writer.wait_closed())
    await trial.pass_time(HOUR)
    expect_pending(waiting, "wait_closed(), while the peer does not read for an hour,")
    await wire.receive_rest()
    await wire.close()
    await waiting


@clause("close.sends-first", networks=PLAIN_LASTING)
async def test_close_with_much_unsent(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    writer.close()
    await trial.pass_time(HOUR)
    expect(await wire.receive_rest(), data, "bytes, after an hour:")


# Connections on which nothing happens.


async def expect_open_after_an_hour(trial: Trial, connection: Connection) -> None:
    """Expect a connection to be open, and to work, when an hour has passed."""
    await expect_talk(connection)
    await trial.pass_time(HOUR)
    expect(connection.writer.is_closing(), False, "is_closing(), after an hour:")
    await expect_talk(connection)


@clause("is_closing.open", networks=LASTING)
async def test_open(trial: Trial) -> None:
    await expect_open_after_an_hour(trial, await trial.connect())


@clause("start_tls.stays-open", networks=UPGRADED_LASTING)
async def test_upgraded(trial: Trial) -> None:
    await expect_open_after_an_hour(trial, await upgraded(trial))


@clause("write_eof.reading-goes-on", networks=PLAIN_LASTING)
async def test_after_write_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    writer.write_eof()
    await trial.pass_time(HOUR)
    await wire.send(b"an answer")
    expect(await take(reader, 9), b"an answer", "after an hour:")


@clause("write.after-peer-eof", networks=PLAIN_LASTING)
async def test_after_the_peers_end(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send_eof()
    expect(await reader.read(), b"")
    await trial.pass_time(HOUR)
    writer.write(b"an answer")
    expect(await wire.receive(9), b"an answer", "after an hour:")
