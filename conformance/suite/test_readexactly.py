"""`StreamReader.readexactly()`."""

from conformance.expect import expect, expect_error
from conformance.marks import clause
from conformance.trial import Trial


@clause("readexactly.returns-n-bytes")
async def test_returns_n_bytes(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abcdef")
    expect(await reader.readexactly(4), b"abcd")
    expect(await reader.readexactly(2), b"ef")


@clause("readexactly.returns-n-bytes")
async def test_waits_for_all_of_them(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    reading = trial.start(reader.readexactly(4))
    await wire.settle()
    expect(reading.done(), False, "readexactly(4) done after 3 bytes:")
    await wire.send(b"def")
    expect(await reading, b"abcd")


@clause("readexactly.eof.partial")
async def test_partial(trial: Trial) -> None:
    reader, _, wire = await trial.connect()
    await wire.send(b"abc")
    await wire.send_eof()
    error = await expect_error(trial.streams.IncompleteReadError, reader.readexactly(4))
    expect(error.partial, b"abc", "partial")
