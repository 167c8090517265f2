"""The caller makes no difference: the task that made the connection, another, or none at all."""

import asyncio
from collections.abc import Callable

from conformance.harness.clause import HALF_CLOSED, clause
from conformance.harness.expect import expect
from conformance.harness.reading import take
from conformance.harness.trial import Trial


async def by_a_callback(trial: Trial, call: Callable[..., object], *arguments: object) -> object:
    """Return what a call returns that a callback of the event loop makes, outside of any task."""
    made: asyncio.Future[object] = trial.loop.create_future()

    def make() -> None:
        try:
            made.set_result(call(*arguments))
        except Exception as error:
            made.set_exception(error)

    trial.loop.call_soon(make)
    return await made


async def by_another_task(trial: Trial, call: Callable[..., object], *arguments: object) -> object:
    """Return what a call returns that another task makes."""

    async def make() -> object:
        return call(*arguments)

    return await trial.start(make())


BY = (by_a_callback, by_another_task)


@clause("write.sends")
async def test_write(trial: Trial) -> None:
    for by in BY:
        _, writer, wire = await trial.connect()
        writer.write(b"one ")
        await by(trial, writer.write, b"two ")
        await by(trial, writer.writelines, [b"three ", b"four "])
        writer.write(b"five")
        expect(await wire.receive(23), b"one two three four five", f"written {by.__name__}:")


@clause("write_eof.ends-the-stream", networks=HALF_CLOSED)
async def test_write_eof(trial: Trial) -> None:
    for by in BY:
        _, writer, wire = await trial.connect()
        writer.write(b"the end")
        await by(trial, writer.write_eof)
        expect(await wire.receive_rest(), b"the end", "bytes:")


@clause("close.ends-the-stream")
async def test_close(trial: Trial) -> None:
    for by in BY:
        _, writer, wire = await trial.connect()
        expect(await by(trial, writer.is_closing), False, "is_closing()")
        writer.write(b"the end")
        await by(trial, writer.close)
        expect(await by(trial, writer.is_closing), True, "is_closing()")
        expect(await wire.receive_rest(), b"the end", "bytes:")


@clause("get_extra_info.default")
async def test_get_extra_info(trial: Trial) -> None:
    for by in BY:
        _, writer, _ = await trial.connect()
        expect(await by(trial, writer.get_extra_info, "no such name", 5), 5)


@clause("reader.at-eof.true-at-the-end")
async def test_at_eof(trial: Trial) -> None:
    for by in BY:
        reader, _, wire = await trial.connect()
        expect(await by(trial, reader.at_eof), False, "at_eof()")
        await wire.send(b"abc")
        await wire.send_eof()
        expect(await take(reader, 3), b"abc")
        expect(await reader.read(1), b"")
        expect(await by(trial, reader.at_eof), True, "at_eof() at the end:")


@clause("read.n.every-byte-in-order")
async def test_reads_in_turn(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"onetwothree")
    expect(await take(reader, 3), b"one")
    expect(await trial.start(take(reader, 3)), b"two")
    expect(await trial.start(take(reader, 5)), b"three")
