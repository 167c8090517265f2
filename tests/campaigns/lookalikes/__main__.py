"""Certify the lookalikes on every network and both loops, into docs/generated/lookalikes.md.

    tox -e lookalikes [-- NAME ...] [-- --clause GLOB ...]

The certificates are kept in build/lookalikes, and the page has all existing ones, even those of
other Pythons from earlier runs. With --clause, only these clauses are tested, on asyncio's loop,
and nothing is written. The exit status is 1 if a lookalike fails a clause that it should keep.
"""

import json
import sys
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import click

from conformance.clauses import DECISIVE, LEVELS
from conformance.errors import CannotRun
from conformance.networks import NETWORKS

from .._shared.certifying import certificate_of
from .._shared.markdown import generated, passed_and_failed

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CERTIFICATES = ROOT / "build" / "lookalikes"
PAGE = ROOT / "docs" / "generated" / "lookalikes.md"


class Lookalike(NamedTuple):
    """A lookalike.

    Attributes:
        unlike: its differences from the reference.
        fails: patterns of the ids of the clauses that it has to fail, besides `BEYOND`.
        keeps: the levels of the clauses that it has to keep.
    """

    unlike: str
    fails: tuple[str, ...] = ()
    keeps: Collection[str] = LEVELS


LOOKALIKES = {
    "plain": Lookalike("written from the description alone; others exchange a part of it"),
    "pieces": Lookalike("a reader keeps the pieces that it received in a list"),
    "buffered": Lookalike("a connection is a `BufferedProtocol`"),
    "one_byte": Lookalike("the transport is given a buffer of one byte"),
    "a_turn_later": Lookalike("whoever waits goes on a turn of the loop later than he could"),
    "by_the_clock": Lookalike(
        "what a transport says is handed on two milliseconds later",
        (
            *("reader.flow.peer-is-held-back", "drain.abort.loop", "costs.delays"),
            *("start_tls.early-handshake", "start_tls.peer-is-held-back"),
        ),
    ),
    "on_demand": Lookalike(
        "it receives only while a read waits",
        (
            "reader.by-hand.transport",
            "transport.pause-reading.reads",
            "reader.feed-eof.peer-leaves",
        ),
    ),
    "short_reads": Lookalike("`read(n)` returns one byte, however many there are"),
    "cut_up": Lookalike(
        "a write goes out in pieces, `read(n)` returns any number of bytes, of a class of their own"
    ),
    "ducks": Lookalike(
        "readers, writers, servers and exceptions of no common class, with slots, false, and not "
        "to be hashed; methods without a name; a server lists its sockets only while it listens"
    ),
    "not_by_hand": Lookalike(
        "readers and writers that a program can neither make nor feed",
        (
            *("reader.by-hand.*", "reader.reset.exception", "drain.reader-exception"),
            "reader.set-exception.connection",
        ),
    ),
    "knows_nothing": Lookalike(
        "transports without what only some are to know", ("get_extra_info.known",)
    ),
    "awaitables": Lookalike(
        "the `async` methods return awaitables that are no coroutines",
        ("async.returns-a-coroutine",),
    ),
    "left_open": Lookalike(
        "the other choice, wherever the description leaves one",
        (
            *("*.class", "unix.open.path.missing", "unix.open.refused"),
            *("serving.flags.no-host", "start_tls.own-end"),
            "handlers.coroutine.of-any-shape",
        ),
    ),
    "strict": Lookalike(
        "misuse, and what else no page describes, raises exceptions of its own; a separator counts "
        "towards the limit (only clauses that the pages state are for it)",
        keeps=DECISIVE,
    ),
    "raw_sockets": Lookalike(
        "`loop.sock_recv()` and `sock_sendall()`; no transports, no TLS; a write waits for a turn",
        ("write.immediately",),
    ),
    "on_trio": Lookalike(
        "connections of trio's, in a thread, and its ports, which are numbers; no transports, "
        "no TLS; a write waits for the thread",
        ("write.immediately", "connecting.port.string", "serving.port.string"),
    ),
}
BEYOND = (
    "serving.cancelled.at-any-moment",
    "unix.serve.cancelled.at-any-moment",
    "server.*.under-way",
    "server.*.client-under-way",
    "serving.descriptors.*",
    "handlers.plain.context",
    "unix.open.backlog-full",
    "write_eof.after-reset.not-noticed",
    "costs.memory.*",
)
"""Clauses of level robust that an implementation written from the description need not keep."""

LOOPS = ("asyncio", "uvloop")

HEAD = (
    generated("tox -e lookalikes")
    + """\
# Correct implementations that differ from the reference

The implementations in `tests/campaigns/lookalikes` follow the description in other ways than
`reference_impl` does, and share no code with it. If one of them fails a clause, its test asks for
more than the clause says, and has to change. Two kinds of clauses are exceptions: some of level
`robust`, beyond the description, which an implementation written from it alone need not keep
(`BEYOND` in `tests/campaigns/lookalikes/__main__.py`), and those that a lookalike is made to fail,
such as `async.returns-a-coroutine`; for `strict`, all those that no page states. The command
`tox -e lookalikes` certifies them (`one_byte`, which is as slow as it sounds, only by name), and
wrote this page.

Each cell has the number of clauses passed, and after the slash that of clauses failed, all of
those two kinds. `streamcert explain` says on which networks a clause is tested. What a lookalike
lacks, it declares in its `without`.

"""
)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*LOOKALIKES]))
@click.option(
    "--clause",
    "globs",
    multiple=True,
    metavar="GLOB",
    help="Test only these clauses, on asyncio's loop, and write nothing. Can be given repeatedly.",
)
def main(names: tuple[str, ...], globs: tuple[str, ...]) -> None:
    """Certify the lookalikes named, or all but the slow one, and write the page.

    Exit status: 1 if one of them fails a clause that it should keep.
    """
    CERTIFICATES.mkdir(parents=True, exist_ok=True)
    wrong = False
    for name in names or [each for each in LOOKALIKES if each != "one_byte"]:
        for loop in LOOPS[:1] if globs else LOOPS:
            try:
                certificate = certify(name, loop, globs)
            except CannotRun as reason:
                if not globs:
                    raise
                # Mostly it lacks what these clauses are about.
                click.echo(f"{name} {loop}: {reason}")
                continue
            unexpected = failed_though_right(name, certificate)
            wrong |= bool(unexpected)
            click.echo("\n  ".join([f"{name} {loop} {certificate['summary']}", *unexpected]))
    if not globs:
        PAGE.write_text(page(), encoding="utf-8")
    sys.exit(wrong)


def certify(name: str, loop: str, globs: Collection[str] = ()) -> Any:
    """Return the certificate of a lookalike on a loop; keep it, if it is about all clauses."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return certificate_of(
        f"campaigns.lookalikes.{name}:streams",
        "-n0" if globs else "-n2",
        f"--loop={loop}",
        f"--bound={60 if name == 'one_byte' else 1}",
        *(f"--clause={each}" for each in globs),
        file=None if globs else CERTIFICATES / f"{name}-{version}-{loop}.json",
    )


def failed_though_right(name: str, certificate: Any) -> list[str]:
    """Return the clauses that a lookalike should not have failed: id, level and seen value."""
    return [
        f"{each['id']} ({each['level']}): {each['detail']}"
        for each in certificate["clauses"]
        if each["verdict"] == "failed" and not may_fail(name, each["id"], each["level"])
    ]


def may_fail(name: str, clause: str, level: str) -> bool:
    """Return whether a lookalike need not keep a clause of that level."""
    patterns = (*BEYOND, *LOOKALIKES[name].fails)
    return level not in LOOKALIKES[name].keeps or any(fnmatchcase(clause, it) for it in patterns)


def page() -> str:
    """Return the page about all existing certificates."""
    lines = ["| Lookalike | What is unlike |", "|---|---|"]
    lines += [f"| `{name}` | {each.unlike} |" for name, each in LOOKALIKES.items()]
    lines += ["", f"| Lookalike | Python | Loop | {' | '.join(NETWORKS)} | not applicable |"]
    lines += ["|---|---|---|" + "---:|" * (len(NETWORKS) + 1)]
    for name in LOOKALIKES:
        for file in sorted(CERTIFICATES.glob(f"{name}-*.json")):
            lines.append(row(name, json.loads(file.read_text(encoding="utf-8"))))
    return HEAD + "\n".join(lines) + "\n"


def row(name: str, certificate: Any) -> str:
    """Return a certificate as a row."""
    cells = [f"`{name}`", certificate["python"], certificate["loop"]]
    cells += passed_and_failed(certificate, NETWORKS)
    cells.append(str(certificate["summary"]["not_applicable"]))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
