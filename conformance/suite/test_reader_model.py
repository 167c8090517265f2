"""`StreamReader` against a model of it: programs of many reads that Hypothesis makes."""

from conformance.harness.clause import ADAPTED, BY_HAND, INTERNET, Some, clause
from conformance.harness.trial import Trial
from conformance.suite.reader_model import (
    EVERY_READ,
    READ,
    READ_SOME,
    READEXACTLY,
    READLINE,
    READUNTIL,
    READUNTIL_TUPLE,
    run_programs,
)

TWO = Some((*INTERNET, *ADAPTED), "all methods together are tried there, too")


@clause("read.any-program", networks=TWO, roles=BY_HAND)
def test_programs_of_read(trial: Trial) -> None:
    run_programs(trial, *READ)


@clause("readline.any-program", networks=TWO, roles=BY_HAND)
def test_programs_of_readline(trial: Trial) -> None:
    run_programs(trial, *READLINE)


@clause("readexactly.any-program", networks=TWO, roles=BY_HAND)
def test_programs_of_readexactly(trial: Trial) -> None:
    run_programs(trial, *READEXACTLY)


@clause("readuntil.any-program", networks=TWO, roles=BY_HAND)
def test_programs_of_readuntil(trial: Trial) -> None:
    run_programs(trial, *READUNTIL)


@clause("readuntil.tuple.any-program", networks=TWO, roles=BY_HAND)
def test_programs_of_readuntil_with_tuples(trial: Trial) -> None:
    run_programs(trial, *READUNTIL_TUPLE)


@clause("reader.any-program")
def test_programs_of_every_read(trial: Trial) -> None:
    run_programs(trial, *EVERY_READ, cancelling=False)


@clause("reader.any-program.with-cancellation", roles=BY_HAND)
def test_programs_of_every_read_with_cancellation(trial: Trial) -> None:
    run_programs(trial, *EVERY_READ)


@clause("reader.at-eof.any-program", networks=TWO, roles=BY_HAND)
def test_programs_that_ask_at_eof(trial: Trial) -> None:
    run_programs(trial, *READ_SOME, cancelling=False, asks_at_eof=True)
