"""`StreamReader.readexactly()`."""

from asyncio import CancelledError
from contextlib import suppress

from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, clause
from conformance.harness.expect import expect, expect_bytes, expect_error, expect_pending
from conformance.harness.reading import take_rest
from conformance.harness.trial import Trial

LIMIT = 64  # bytes


@clause("readexactly.returns-n-bytes")
async def test_returns_n_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdef")
    expect(await reader.readexactly(4), b"abcd")
    expect(await reader.readexactly(2), b"ef")


@clause("readexactly.waits-for-n-bytes")
async def test_waits_for_n_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    reading = trial.start(reader.readexactly(4))
    await wire.settle()
    expect_pending(reading, "readexactly(4), after 3 bytes,")
    await wire.send(b"def")
    expect(await reading, b"abcd")


@clause("readexactly.any-split")
async def test_any_split(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    data = b"abcdef"
    for cut in range(1, len(data)):
        reading = trial.start(reader.readexactly(4))
        await wire.send(data[:cut])
        await wire.arrived()
        await trial.turns(5)
        await wire.send(data[cut:])
        expect([await reading, await reader.readexactly(2)], [b"abcd", b"ef"])


@clause("readexactly.zero")
async def test_zero_while_another_read_waits(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.read(1))
    await trial.turns()
    try:
        data = await reader.readexactly(0)
    except Exception:  # it may be refused: no page says what a second read does
        data = b""
    expect(data, b"")
    await wire.send(b"a")
    expect(await reading, b"a", "the other read:")


@clause("readexactly.zero")
async def test_zero(trial: Trial) -> None:
    # A wait here would never end: the wire sends nothing.
    reader, _, wire = await trial.connect()
    expect(await reader.readexactly(0), b"")
    await wire.send(b"abc")
    await wire.settle()
    expect(await reader.readexactly(0), b"")
    await wire.send_eof()
    expect(await reader.readexactly(3), b"abc")
    await wire.settle()
    expect(await reader.readexactly(0), b"", "after the end:")


@clause("readexactly.negative")
async def test_negative(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.settle()
    for n in (-1, -3):
        await expect_error(ValueError, reader.readexactly(n))
    expect(await reader.readexactly(3), b"abc")


@clause("readexactly.more-than-limit")
async def test_more_than_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = bytes(range(256))
    for n in (LIMIT + 1, 2 * LIMIT, 2 * LIMIT + 1, 4 * LIMIT):
        reading = trial.start(reader.readexactly(n))
        await wire.send(data[:n])
        expect(await reading, data[:n])


@clause("readexactly.held-back-peer")
async def test_held_back_peer(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = bytes(range(256)) * 4096  # more than a transport receives in one go
    sending = trial.start(wire.send(data))
    await trial.turns()
    expect(await reader.readexactly(len(data) - 2), data[:-2])
    await sending
    expect(await reader.readexactly(2), data[-2:])


@clause("readexactly.eof.raises")
async def test_eof_raises(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    await expect_error(trial.streams.IncompleteReadError, reader.readexactly(4))


@clause("readexactly.not-an-integer", roles=BY_HAND)
async def test_not_an_integer(trial: Trial) -> None:
    reader = by_hand(trial)
    pieces = [b"a" * 5000, b"b" * 5000]  # too large to be joined
    for piece in pieces:
        reader.feed_data(piece)
    for n in (2.5, 7500.5, "1"):
        await expect_error(TypeError, reader.readexactly(n))  # type: ignore[arg-type]  # so be it
    expect(await reader.readexactly(10000), b"".join(pieces))


@clause("readexactly.eof.raises")
async def test_eof_while_it_waits(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.readexactly(4))
    await wire.send(b"abc")
    await wire.settle()
    await wire.send_eof()
    await expect_error(trial.streams.IncompleteReadError, reading)


@clause("readexactly.eof.after-n-bytes")
async def test_eof_after_n_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    await wire.settle()
    expect(await reader.readexactly(3), b"abc")


@clause("readexactly.eof.partial")
async def test_partial(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(4))
    expect(error.partial, b"abc", "partial")


@clause("readexactly.eof.partial")
async def test_partial_of_more_than_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    data = bytes(range(256)) * 4
    reading = trial.start(reader.readexactly(len(data) + 1))
    await wire.send(data)
    await wire.send_eof()
    error = await expect_error(trial.streams.IncompleteReadError, reading)
    expect(error.partial, data, "partial")


@clause("readexactly.eof.partial-is-empty")
async def test_partial_is_empty(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcd")
    await wire.send_eof()
    await reader.readexactly(4)
    error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(4))
    expect(error.partial, b"", "partial")


@clause("readexactly.eof.partial-is-bytes")
async def test_partial_is_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    for _ in range(2):  # with something in it, and empty
        error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(4))
        expect_bytes(error.partial, "partial")


@clause("readexactly.eof.expected")
async def test_expected(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    for n in (4, 1000):
        error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(n))
        expect(error.expected, n, "IncompleteReadError.expected:")


@clause("readexactly.eof.partial-is-consumed")
async def test_partial_is_consumed(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    await expect_error(trial.streams.IncompleteReadError, reader.readexactly(4))
    expect(await take_rest(reader), b"")


@clause("readexactly.n-by-keyword")
async def test_n_by_keyword(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    expect(await reader.readexactly(n=3), b"abc")


@clause("readexactly.returns-bytes")
async def test_returns_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    for n in (0, 1, 2):
        expect_bytes(await reader.readexactly(n), f"readexactly({n})")


@clause("readexactly.cancelled-loses-nothing")
async def test_cancelled(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    for piece in (b"ab", b"cd", b"ef"):
        reading = trial.start(reader.readexactly(8))
        await wire.send(piece)
        await wire.settle()
        reading.cancel()
        await expect_error(CancelledError, reading)
    await wire.send(b"gh")
    expect(await reader.readexactly(8), b"abcdefgh")


@clause("readexactly.cancelled-loses-nothing")
async def test_cancelled_while_its_bytes_arrive(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    got = b""
    for turns in range(10):  # cancelled somewhere between their arrival and its return
        reading = trial.start(reader.readexactly(3))
        await trial.turns(2)
        await wire.send(b"abc")
        await trial.turns(turns)
        reading.cancel()
        with suppress(CancelledError):
            got += await reading
    got += await reader.readexactly(30 - len(got))
    expect(got, b"abc" * 10)
