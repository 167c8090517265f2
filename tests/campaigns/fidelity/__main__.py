"""The suite's verdict on each clause in memory beside that over the kernel: they must be the same.

    tox -m fidelity [-- IMPLEMENTATION | CERTIFICATE.json ...]
                    -- --clause 'drain.*'    ... by these clauses only

Each implementation (by default `asyncio` and `reference_impl`) is certified on the networks
`memory` and `tcp`, `tls-memory` and `tls`; an existing certificate has to have them. A clause whose
verdicts differ, or that is tested only on one of a pair, is printed, with the expected and the seen
values; the exit status is then 1. Some are tested on one side alone, or differ by design: `APART`.
"""

import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from conformance.errors import CannotRun

from .._shared.certifying import certificate_of
from ..matrix import slim

PAIRS = (("memory", "tcp"), ("tls-memory", "tls"))
NETWORKS = [network for pair in PAIRS for network in pair]
APART = (
    # Only in memory: no test waits for minutes in real time, and a kernel does not show that
    # nothing is left to run.
    "*-timeout.default",
    "unix.*.ssl.*-timeout",
    "costs.delays",
    "connecting.happy-eyeballs.delay",
    "costs.waiting",
    "write.immediately",  # only over the kernel, which holds sent data while the loop stands still
    "*.lost.other-errors",  # only in memory: the loopback never fails in this way
    "serving.descriptors.*",  # only over the kernel, whose descriptors run out
    "connecting.descriptors",
    # Between two turns asyncio's own server loses accepted connections; that of fakes does not.
    "server.close.client-under-way",
    "server.serve-forever.cancelled.under-way",
    # asyncio's own create_connection() fails with eager tasks on 3.12; that of fakes does not.
    "connecting.happy-eyeballs.eager-tasks",
    # asyncio's own leaves a connection open that is cancelled when it is made, that of fakes not.
    "connecting.happy-eyeballs.nothing-left-open",
    # Connections that were upgraded, on which asyncio fails these, are tested in memory alone.
    *("close.twice", "close.peer-goes-on.tls", "close.unread.tls"),
)
"""Patterns of the ids of clauses that are not compared."""

ONE_SIDED = (
    "costs.*",  # measured where it is quickest; they are the implementation's own
    "tls.*",  # without TLS underneath on connections that were upgraded, which is in memory alone
)
"""Patterns of the ids of clauses that may be tested on one network of a pair alone."""

OPTIONS = (
    f"--network={','.join(NETWORKS)}",
    "--bound=5",  # seconds: only the network must make a difference, not the load of the machine
    "-n4",  # most of the time is spent on hangs
)


@click.command()
@click.argument("subjects", metavar="[IMPLEMENTATION | CERTIFICATE.json]...", nargs=-1)
@click.option("--clause", "chosen", multiple=True, help="Only the clauses that match.")
def main(subjects: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    """Compare the verdicts in memory with those over the kernel.

    Exit status: 1 if a verdict differs.
    """
    differing = False
    for subject in subjects or ("asyncio", "reference_impl"):
        certificate = read_or_made(subject, chosen)
        found = list(differences(certificate))
        clauses = sum(not set(NETWORKS).isdisjoint(c["networks"]) for c in certificate["clauses"])
        lines = [
            f"{certificate['implementation']} on Python {certificate['python']}: {clauses} clauses "
            f"on {', '.join(NETWORKS)}: {len(found)} with another verdict in memory",
            *found,
        ]
        click.echo("\n  ".join(lines))
        differing |= bool(found)
    sys.exit(differing)


def read_or_made(subject: str, clauses: tuple[str, ...]) -> dict[str, Any]:
    """Return the certificate in a file, or that of an implementation on this Python."""
    if subject.endswith(".json"):
        return slim.certificate(Path(subject))
    try:
        return certificate_of(subject, *OPTIONS, *(f"--clause={each}" for each in clauses))
    except CannotRun as reason:
        sys.exit(f"{subject} cannot be certified: {reason}")


def differences(certificate: dict[str, Any]) -> Iterator[str]:
    """Yield the clauses whose verdict in memory differs from that over the kernel."""
    for clause in certificate["clauses"]:
        verdicts = clause["networks"]
        if any(fnmatchcase(clause["id"], pattern) for pattern in APART):
            continue
        is_one_sided = any(fnmatchcase(clause["id"], pattern) for pattern in ONE_SIDED)
        for memory, kernel in PAIRS:
            one, other = (verdicts.get(each, "not tested") for each in (memory, kernel))
            if one == other or ("not tested" in (one, other) and is_one_sided):
                continue
            yield f"{clause['id']}: {memory} {one}, {kernel} {other}. {clause['detail']}"


if __name__ == "__main__":
    main()
