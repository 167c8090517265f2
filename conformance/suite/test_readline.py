"""`StreamReader.readline()`."""

from asyncio import CancelledError
from contextlib import suppress

from conformance.errors import NotApplicable
from conformance.harness.by_hand import by_hand
from conformance.harness.clause import BY_HAND, clause
from conformance.harness.expect import expect, expect_bytes, expect_error, expect_pending
from conformance.harness.reading import take
from conformance.harness.trial import Trial

LIMIT = 16  # bytes


@clause("readline.returns-a-line")
async def test_returns_a_line(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\ntwo\nthree\n")
    for line in (b"one\n", b"two\n", b"three\n"):
        expect(await reader.readline(), line)


@clause("readline.waits-for-newline")
async def test_waits_for_newline(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one")
    reading = trial.start(reader.readline())
    await wire.settle()
    expect_pending(reading, "readline(), without a newline,")
    await wire.send(b" and a half\n")
    expect(await reading, b"one and a half\n")


@clause("readline.leaves-the-rest")
async def test_leaves_the_rest(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"header\nbo")
    await wire.send(b"dy")
    expect(await reader.readline(), b"header\n")
    expect(await take(reader, 4), b"body")


@clause("readline.any-split")
async def test_any_split(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    lines = [b"ab\n", b"\n", b"c\n"]
    data = b"".join(lines)
    for cut in range(1, len(data)):
        reading = trial.start(reader.readline())
        await wire.send(data[:cut])
        await wire.arrived()
        await trial.turns(5)
        await wire.send(data[cut:])
        expect([await reading, await reader.readline(), await reader.readline()], lines)


@clause("readline.only-newline-ends-a-line")
async def test_only_newline_ends_a_line(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    line = bytes(byte for byte in range(256) if byte != 0x0A) + b"\xe2\x80\xa8\r\n"
    await wire.send(line)
    expect(await reader.readline(), line)


@clause("readline.empty-line")
async def test_empty_line(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"\n\r\n\n")
    for line in (b"\n", b"\r\n", b"\n"):
        expect(await reader.readline(), line)


@clause("readline.eof.returns-partial")
async def test_eof_returns_partial(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\ntw")
    await wire.send_eof()
    expect(await reader.readline(), b"one\n")
    expect(await reader.readline(), b"tw")


@clause("readline.eof.returns-partial")
async def test_eof_while_it_waits(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    reading = trial.start(reader.readline())
    await wire.send(b"tw")
    await wire.settle()
    await wire.send_eof()
    expect(await reading, b"tw")


@clause("readline.eof.nothing-left")
async def test_eof_with_nothing_left(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\n")
    await wire.send_eof()
    expect(await reader.readline(), b"one\n")
    expect(await reader.readline(), b"")
    expect(await reader.readline(), b"")


@clause("readline.limit.fits")
async def test_line_that_fits_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    line = b"x" * (LIMIT - 1) + b"\n"
    await wire.send(line * 3)
    for _ in range(3):
        expect(await reader.readline(), line)


@clause("readline.limit.newline-not-counted")
async def test_newline_is_not_counted(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    line = b"x" * LIMIT + b"\n"
    await wire.send(line)
    expect(await reader.readline(), line)


@clause("readline.limit.exceeded")
async def test_line_that_exceeds_the_limit(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    await wire.send(b"x" * (LIMIT + 1) + b"\n")
    await wire.settle()
    await expect_error(ValueError, reader.readline())


@clause("readline.limit.exceeded-without-newline")
async def test_limit_exceeded_without_newline(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)
    reading = trial.start(reader.readline())
    await wire.send(b"x" * (LIMIT + 1))
    await expect_error(ValueError, reading)


@clause("readline.limit.exceeded-without-newline", roles=BY_HAND)
async def test_limit_exceeded_at_the_end_of_the_stream(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"x" * (LIMIT + 1))
    reader.feed_eof()
    await expect_error(ValueError, reader.readline())


@clause("readline.limit.next-line-follows", roles=BY_HAND)
async def test_next_line_follows(trial: Trial) -> None:
    # Fed by hand, because the result depends on the content of the buffer.
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"x" * 3 * LIMIT + b"\nnext\n")
    await expect_error(ValueError, reader.readline())
    expect(await reader.readline(), b"next\n")


@clause("readline.limit.discards-what-came", roles=BY_HAND)
async def test_discards_what_came(trial: Trial) -> None:
    reader = by_hand(trial, LIMIT)
    reader.feed_data(b"x" * 3 * LIMIT)
    await expect_error(ValueError, reader.readline())
    reader.feed_data(b"next\n")
    expect(await reader.readline(), b"next\n")


@clause("readline.limit.peer-goes-on")
async def test_peer_goes_on(trial: Trial) -> None:
    reader, _, wire = await trial.connect(limit=LIMIT)

    async def send() -> None:
        for _ in range(8):
            await wire.send(b"x" * 10 * LIMIT)
        await wire.send_eof()

    sending = trial.start(send())
    while True:
        try:
            if not await reader.readline():
                break
        except ValueError:
            pass
        except Exception as error:
            raise NotApplicable("readline() raises no ValueError") from error
    await sending


@clause("readline.cancelled-loses-nothing")
async def test_cancelled(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    got = []
    for piece in (b"on", b"e\nt", b"wo"):
        reading = trial.start(reader.readline())
        await wire.send(piece)
        await wire.settle()
        reading.cancel()
        with suppress(CancelledError):
            got.append(await reading)
    await wire.send(b"\n")
    await wire.send_eof()
    while line := await reader.readline():
        got.append(line)
    expect(got, [b"one\n", b"two\n"])


@clause("readline.cancelled-loses-nothing")
async def test_cancelled_while_its_line_arrives(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    got = b""
    for turns in range(10):  # cancelled somewhere between the line's arrival and its return
        reading = trial.start(reader.readline())
        await trial.turns(2)
        await wire.send(b"abc\n")
        await trial.turns(turns)
        reading.cancel()
        with suppress(CancelledError):
            got += await reading
    await wire.send_eof()
    while line := await reader.readline():
        got += line
    expect(got, b"abc\n" * 10)


@clause("readline.returns-bytes")
async def test_returns_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"one\ntw")
    await wire.send_eof()
    for _ in range(3):
        expect_bytes(await reader.readline(), "readline()")
