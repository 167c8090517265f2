"""`StreamWriter` against a model of it: the bytes that arrive, whatever the order of the calls."""

import itertools
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.strategies import lists, sampled_from

from conformance.errors import Deviation
from conformance.harness.clause import HALF_CLOSED, clause
from conformance.harness.expect import expect, expect_that
from conformance.harness.patterns import KIB, fill, pattern
from conformance.harness.trial import Connection, Trial

SMALL, LARGE = b"small", pattern(300 * KIB)

STEPS = ("write", "write much", "writelines", "write_eof", "close", "a turn")
ENDS = ("write_eof", "close")
PROGRAMS = 12

AFTER_MUCH = (
    ("write", "write_eof", "close"),
    ("writelines", "close"),
    ("close", "write_eof"),
)
"""Programs that begin with so much unsent that none of it leaves before the last step."""


class Model:
    """The bytes that a writer's peer has to receive.

    Attributes:
        sent: the bytes that it receives in any case.
        late: those that it may receive after them: they were written to a stream that was being
            closed and had not ended, a case that the description does not mention.
        has_ended: whether write_eof() was called, or close().
        is_closing: whether close() was called first.
    """

    def __init__(self, sent: bytes = b"") -> None:
        self.sent = bytearray(sent)
        self.late = bytearray()
        self.has_ended = False
        self.is_closing = False

    def send(self, data: bytes) -> None:
        """Take written data."""
        if not self.has_ended:
            self.sent += data
        elif self.is_closing:
            self.late += data

    def end(self, by: str) -> None:
        """Take EOF."""
        if not self.has_ended:
            self.has_ended = True
            self.is_closing = by == "close"


async def run(trial: Trial, steps: Sequence[str], *, much: bool = False) -> None:
    """Do the steps, and expect the bytes of the model to arrive.

    Args:
        trial: the trial.
        steps: some of `STEPS`.
        much: whether much is unsent before.
    """
    connection = await trial.connect()
    model = Model(await fill(trial, connection.writer) if much else b"")
    for step in steps:
        await _do(trial, connection, step, model)
    connection.writer.close()
    received, end = await connection.wire.receive_to_end()
    program = ", ".join(steps)
    late = received[len(model.sent) :]
    if not model.late.startswith(late):
        expect(len(received), len(model.sent), f"bytes after {program}:")
    expect_that(
        received.startswith(model.sent),
        f"after {program}: the {len(model.sent)} bytes that were written",
        f"{len(received)} bytes, not all of those",
    )
    expect(end, "eof", f"the end after {program}:")
    await connection.wire.close()


async def _do(trial: Trial, connection: Connection, step: str, model: Model) -> None:
    writer = connection.writer
    try:
        if step == "write":
            writer.write(SMALL)
            model.send(SMALL)
        elif step == "write much":
            writer.write(LARGE)
            model.send(LARGE)
        elif step == "writelines":
            writer.writelines([SMALL, LARGE])
            model.send(SMALL + LARGE)
        elif step == "write_eof":
            writer.write_eof()
        elif step == "close":
            writer.close()
        else:
            await trial.turns(1)
    except Exception as error:
        if not model.has_ended:  # its answer for a stream that has ended is irrelevant here
            raise Deviation(f"{step} on an open stream to raise nothing", repr(error)) from error
    if step in ENDS:
        model.end(step)


@clause("writer.any-order", networks=HALF_CLOSED)
async def test_pairs_of_calls(trial: Trial) -> None:
    for first, second in itertools.product(STEPS[:-1], repeat=2):
        await run(trial, (first, second))
        await run(trial, (first, "a turn", second))


@clause("writer.any-order", networks=HALF_CLOSED)
async def test_calls_with_much_unsent(trial: Trial) -> None:
    for steps in AFTER_MUCH:
        await run(trial, steps, much=True)


@clause("writer.any-program", networks=HALF_CLOSED)
def test_programs(trial: Trial) -> None:
    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=PROGRAMS,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    @given(lists(sampled_from(STEPS), min_size=3, max_size=8))
    def search(steps: list[str]) -> None:
        trial.run(run(trial, steps))

    # Hypothesis notes constants that it finds in the user's modules: not in the user's folder.
    with TemporaryDirectory() as notes:
        set_hypothesis_home_dir(notes)
        try:
            search()
        finally:
            set_hypothesis_home_dir(None)
