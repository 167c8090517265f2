"""`StreamWriter`: writing, and half-closing."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from conformance.harness.clause import (
    ADAPTED,
    CLIENT,
    HALF_CLOSED,
    PLAIN,
    RESETTABLE,
    TLS,
    Some,
    clause,
)
from conformance.harness.expect import expect, expect_raises, expect_that
from conformance.harness.expectations import expect_both_directions, lost
from conformance.harness.patterns import KIB, fill, overfill, pattern
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Trial
from conformance.networks.wire import Wire

SOCKETS = Some(
    (each for each in PLAIN if each not in ADAPTED), f"{PLAIN.why}, over TCP or a Unix socket"
)
RESET_AND_HALF_CLOSED = Some(
    (each for each in HALF_CLOSED if each in RESETTABLE), f"{HALF_CLOSED.why}, and {RESETTABLE.why}"
)


async def expect_rest(wire: Wire, writer: asyncio.StreamWriter, *allowed: bytes) -> None:
    """Close the writer; expect the rest of the bytes until EOF to be one of `allowed`."""
    writer.close()
    rest = await wire.receive_rest()
    names = " or ".join(map(repr, allowed))
    expect_that(rest in allowed, f"{names} on the wire, then the end", rest)


@clause("write.sends")
async def test_sends(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"all of \x00 it")
    expect(await wire.receive(11), b"all of \x00 it")
    await expect_rest(wire, writer, b"")


@clause("write.data-by-keyword")
async def test_data_by_keyword(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(data=b"by name")
    expect(await wire.receive(7), b"by name")


@clause("write.order")
async def test_order(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    # Large and small ones alternate, so that a small one could overtake one that has to wait.
    pieces = [pattern(size) for size in (1, 100_000, 2, 300_000, 3, 50, 200_000, 5)]
    for piece in pieces[:3]:
        writer.write(piece)
    writer.writelines(pieces[3:6])
    for piece in pieces[6:]:
        writer.write(piece)
    expected = b"".join(pieces)
    expect(await wire.receive(len(expected)), expected, "bytes:")


@clause("write.bytearray")
async def test_bytearray(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(bytearray(b"from a bytearray"))
    expect(await wire.receive(16), b"from a bytearray")


@clause("write.memoryview")
async def test_memoryview(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(memoryview(b"not this, but this, not that")[10:18])
    writer.write(b".")
    expect(await wire.receive(9), b"but this.")


def wide(data: bytes) -> memoryview:
    """Show `data` as numbers of four bytes."""
    return memoryview(data).cast("i")


def table(data: bytes) -> memoryview:
    """Show `data` as a table of bytes with rows of 1 KiB."""
    return memoryview(data).cast("B", (len(data) // KIB, KIB))


@clause("write.memoryview.wide-items")
async def test_memoryview_of_wide_items(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    writer.write(wide(data))
    await expect_all(wire, writer, data)


Write = Callable[[asyncio.StreamWriter, memoryview], None]

WRITES: tuple[Write, ...] = (
    lambda writer, view: writer.write(view),
    lambda writer, view: writer.writelines([view]),
)


@clause("write.memoryview.many-dimensions")
async def test_memoryview_of_many_dimensions(trial: Trial) -> None:
    for write in WRITES:
        _, writer, wire = await trial.connect()
        data = overfill(trial)
        try:
            write(writer, table(data))
        except Exception:
            data = b""
        await expect_all(wire, writer, data)


async def expect_all(wire: Wire, writer: asyncio.StreamWriter, expected: bytes) -> None:
    """Close the writer; expect `expected`, of any length, and then EOF on the wire."""
    writer.close()
    received = await wire.receive_rest()
    expect(len(received), len(expected), "the number of bytes that arrived:")
    expect(received, expected, "bytes:")


@clause("write.memoryview.not-contiguous")
async def test_memoryview_not_contiguous(trial: Trial) -> None:
    for write in WRITES:
        _, writer, wire = await trial.connect()
        expected = b"ace."
        try:
            write(writer, memoryview(b"abcdef")[::2])
        except Exception:
            expected = b"."
        await trial.turns()
        writer.write(b".")
        await expect_rest(wire, writer, expected)
        expect(trial.reported, [], "the loop's exception handler was told")


@clause("write.wrong-type")
async def test_wrong_type(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    for wrong in ("text", 7, ["list"]):
        with expect_raises(TypeError):
            writer.write(wrong)  # type: ignore[arg-type]  # what the clause is about
    writer.write(b"right")
    await expect_rest(wire, writer, b"right")


@clause("write.empty")
async def test_empty(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    for empty in (b"", bytearray(), memoryview(b"")):
        writer.write(empty)
    await writer.drain()
    writer.write(b"something")
    writer.write(b"")
    await expect_rest(wire, writer, b"something")


@clause("write.without-drain")
async def test_without_drain(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    writer.write(data)
    # The writer stays open, so that close() cannot be the call that sends the rest.
    expect(await wire.receive(len(data)), data, "bytes:")


@clause("write.without-drain")
async def test_while_a_drain_waits(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    draining = trial.start(writer.drain())
    await trial.turns()
    writer.write(b"written meanwhile")
    writer.writelines([b", and ", b"more"])
    data += b"written meanwhile, and more"
    expect(await wire.receive(len(data)), data, "bytes:")
    await draining


@clause("write.without-drain", networks=PLAIN, roles=CLIENT)
async def test_however_much_waits(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    data = bytes(8 * KIB * KIB)
    for _ in range(5):
        writer.write(data)
    writer.transport.abort()


@clause("write.bytearray.later-changes")
async def test_later_changes(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    buffer = bytearray(b"first ")
    writer.write(buffer)
    buffer[:] = b"second"
    writer.write(buffer)
    buffer[:] = b"------"
    expect(await wire.receive(12), b"first second")


@clause("write.bytearray.later-changes")
async def test_later_changes_while_the_peer_is_slow(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    buffer = bytearray(data)
    writer.write(buffer)
    await trial.turns()
    buffer[:] = bytes(len(buffer))
    received = await wire.receive(len(data))
    changed = sum(one != two for one, two in zip(received[::KIB], data[::KIB], strict=True))
    expect(changed, 0, "bytes sent that were written after write(), in a sample of each KiB:")


@clause("write.both-directions")
async def test_both_directions(trial: Trial) -> None:
    await expect_both_directions(trial, await trial.connect(), 2 * KIB * KIB)


@clause("write.many-small")
async def test_many_small(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = pattern(3000)
    for each in range(3000):
        writer.write(data[each : each + 1])
    expect(await wire.receive(3000), data, "bytes:")


@clause("write.after-close")
async def test_after_close(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"before")
    writer.close()
    with suppress(Exception):  # an implementation may refuse it
        writer.write(b"after")
    expect(await wire.receive_rest(), b"before", "bytes:")


@clause("write.after-write-eof", networks=HALF_CLOSED)
async def test_write_after_write_eof(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write_eof()
    with expect_raises(RuntimeError):
        writer.write(b"more")
    expect(await wire.receive_rest(), b"", "bytes:")


@clause("write.after-reset", networks=RESETTABLE)
async def test_after_reset(trial: Trial) -> None:
    connection = await trial.connect()
    await lost(trial, connection)
    for _ in range(10):
        connection.writer.write(b"anybody there?")
        await trial.turns(1)


@clause("write.after-peer-eof", networks=HALF_CLOSED)
async def test_much_unsent_as_the_peer_ends(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    await wire.send_eof()
    await wire.settle()
    writer.write(b"the last words")
    received = await wire.receive(len(data) + 14)
    expect(received[len(data) :], b"the last words", "what follows:")


@clause("write.after-peer-eof", networks=HALF_CLOSED)
async def test_after_peer_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send(b"request")
    await wire.send_eof()
    expect(await take_rest(reader), b"request")
    await wire.settle()
    writer.write(b"answer")
    await writer.drain()
    await expect_rest(wire, writer, b"answer")


@clause("writelines.list")
async def test_list(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.writelines([b"one\n", b"two", b"three"])
    expect(await wire.receive(12), b"one\ntwothree")


@clause("writelines.data-by-keyword")
async def test_lines_by_keyword(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.writelines(data=[b"by ", b"name"])
    expect(await wire.receive(7), b"by name")


@clause("writelines.iterable")
async def test_iterable(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.writelines((b"tu", b"ple,"))
    writer.writelines(each for each in (b"gener", b"ator,"))
    writer.writelines(iter([b"itera", b"tor,"]))
    writer.writelines({b"dict": 1, b"ionary": 2})
    expect(await wire.receive(35), b"tuple,generator,iterator,dictionary")


@clause("writelines.bytes-like")
async def test_bytes_like(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    view = memoryview(bytearray(b"?three,?"))[1:7]
    writer.writelines([bytearray(b"one,"), memoryview(b"?two,?")[1:5], view, b"four"])
    expect(await wire.receive(18), b"one,two,three,four")


@clause("writelines.large")
async def test_writelines_large(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    third = len(data) // 3
    writer.writelines([data[:third], data[third : 2 * third], data[2 * third :]])
    expect(await wire.receive(len(data)), data, "bytes:")


@clause("writelines.wide-items")
async def test_writelines_of_wide_items(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    writer.writelines([wide(data), b"end"])
    await expect_all(wire, writer, data + b"end")


@clause("writelines.nothing")
async def test_writelines_of_nothing(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.writelines([])
    writer.writelines(iter(()))
    await writer.drain()
    writer.write(b"something")
    writer.writelines([])
    await expect_rest(wire, writer, b"something")


def empty_last(writer: asyncio.StreamWriter) -> None:
    writer.writelines([b"hello", b""])


def empty_first(writer: asyncio.StreamWriter) -> None:
    writer.writelines([b"", b"hel", b"", b"lo"])


def empty_alone(writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.writelines([b""])


@clause("writelines.empty-elements")
async def test_empty_elements(trial: Trial) -> None:
    ways: tuple[Callable[[asyncio.StreamWriter], None], ...]
    ways = (empty_last, empty_first, empty_alone)
    for way in ways:
        _, writer, wire = await trial.connect()
        way(writer)
        await trial.turns()
        writer.close()
        expect(await wire.receive_rest(), b"hello", "bytes:")
        await wire.close()
        await writer.wait_closed()


@clause("writelines.wrong-type")
async def test_writelines_wrong_type(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    for wrong in (["text"], [7], "text", b"bytes"):
        with expect_raises(TypeError):
            writer.writelines(wrong)  # type: ignore[arg-type]  # what the clause is about
    writer.write(b"right")
    await expect_rest(wire, writer, b"right")


@clause("writelines.fails-midway")
async def test_iterable_fails_midway(trial: Trial) -> None:
    _, writer, wire = await trial.connect()

    def failing() -> Iterator[bytes]:
        yield b"one,"
        raise LookupError("no second")

    with expect_raises(LookupError):
        writer.writelines(failing())
    writer.write(b"end")
    await expect_rest(wire, writer, b"end", b"one,end")


@clause("writelines.fails-midway")
async def test_wrong_type_midway(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    with expect_raises(Exception):
        writer.writelines([b"one,", 7, b"three,"])  # type: ignore[list-item]  # on purpose
    writer.write(b"end")
    await expect_rest(wire, writer, b"end", b"one,end")


@clause("writelines.later-changes")
async def test_writelines_later_changes(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    buffer = bytearray(b"first ")
    writer.writelines([buffer])
    buffer[:] = b"second"
    writer.writelines([buffer])
    buffer[:] = b"------"
    expect(await wire.receive(12), b"first second")


@clause("writelines.later-changes")
async def test_writelines_later_changes_while_the_peer_is_slow(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    buffer = bytearray(b"second")
    writer.writelines([data, buffer])
    await trial.turns()
    buffer[:] = b"------"
    received = await wire.receive(len(data) + 6)
    expect(received[-6:], b"second", "the last element:")


@clause("writelines.after-write-eof", networks=HALF_CLOSED)
async def test_writelines_after_write_eof(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write_eof()
    with expect_raises(RuntimeError):
        writer.writelines([b"more"])
    expect(await wire.receive_rest(), b"", "bytes:")


@clause("write_eof.ends-the-stream", networks=HALF_CLOSED)
async def test_ends_the_stream(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write_eof()
    expect(await wire.receive_rest(), b"", "bytes:")


@clause("write_eof.after-the-data", networks=HALF_CLOSED)
async def test_after_the_data(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"the last words")
    writer.write_eof()
    expect(await wire.receive_rest(), b"the last words", "bytes:")


@clause("write_eof.after-the-data", networks=HALF_CLOSED)
async def test_after_data_that_waits(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = overfill(trial)
    writer.write(data)
    writer.write_eof()
    await wire.settle()
    received = await wire.receive_rest()
    expect(len(received), len(data), "the number of bytes that arrived:")
    expect(received, data, "bytes:")


@clause("write_eof.reading-goes-on", networks=HALF_CLOSED)
async def test_reading_goes_on(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    writer.write(b"request")
    writer.write_eof()
    expect(await wire.receive_rest(), b"request", "bytes:")
    await wire.send(b"answer")
    expect(await take(reader, 6), b"answer")
    await wire.send_eof()
    expect(await take_rest(reader), b"")


@clause("write_eof.twice", networks=HALF_CLOSED)
async def test_write_eof_twice(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    writer.write(b"request")
    writer.write_eof()
    writer.write_eof()
    expect(await wire.receive_rest(), b"request", "bytes:")
    writer.write_eof()
    await wire.send(b"answer")
    expect(await take(reader, 6), b"answer")


@clause("write_eof.twice", networks=HALF_CLOSED)
async def test_write_eof_twice_while_sending(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    for _ in range(3):
        writer.write_eof()
        await wire.settle()
    expect(await wire.receive_rest(), data, "all that was written before:")


@clause("write_eof.after-reset", networks=RESET_AND_HALF_CLOSED)
async def test_write_eof_after_reset(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.reset()
    with suppress(Exception):
        await take_rest(reader)  # until the implementation has noticed
    await trial.turns()
    writer.write_eof()


@clause("write_eof.does-not-close", networks=HALF_CLOSED)
async def test_does_not_close(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    writer.write_eof()
    expect(await wire.receive_rest(), b"", "bytes:")
    await trial.turns()
    expect(writer.is_closing(), False, "is_closing() after write_eof():")
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    await trial.turns()
    expect(writer.is_closing(), False, "is_closing() when both directions have ended:")


@clause("can_write_eof.tells-the-truth")
async def test_tells_the_truth(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    if writer.can_write_eof():
        writer.write_eof()
        expect(await wire.receive_rest(), b"", "bytes:")


@clause("can_write_eof.false.raises")
async def test_write_eof_that_is_not_supported(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    if not writer.can_write_eof():
        with expect_raises(NotImplementedError):
            writer.write_eof()
        expect(writer.is_closing(), False, "is_closing() afterwards:")
        writer.write(b"still here")
        expect(await wire.receive(10), b"still here")


@clause("can_write_eof.plain", networks=SOCKETS)
async def test_can_write_eof_on_plain(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    expect(writer.can_write_eof(), True, "can_write_eof()")
    writer.write_eof()
    expect(writer.can_write_eof(), True, "can_write_eof() after write_eof():")


@clause("can_write_eof.plain", networks=SOCKETS)
async def test_can_write_eof_meanwhile(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await fill(trial, writer)
    expect(writer.can_write_eof(), True, "can_write_eof() with much unsent:")
    await wire.send_eof()
    expect(await take_rest(reader), b"")
    expect(writer.can_write_eof(), True, "can_write_eof() when the peer has half-closed:")


@clause("can_write_eof.tls", networks=TLS)
async def test_can_write_eof_over_tls(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    expect(writer.can_write_eof(), False, "can_write_eof()")
