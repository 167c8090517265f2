"""The subjects: adapters of docs/field, and event loops under asyncio's streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ADAPTERS = Path(__file__).parents[3] / "docs" / "field"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to certify.

    Attributes:
        name: its name on the page, and in the ids of its findings.
        distribution: the distribution that it comes from; empty for the standard library.
        target: the object that is plugged in.
        what: a description of that object.
        options: those of `streamcert certify`.
        stands_on: the implementation whose streams it uses: their findings are its own, too.
    """

    name: str
    distribution: str
    target: str
    what: str
    options: Sequence[str] = ()
    stands_on: str = ""

    @property
    def adapter(self) -> Path | None:
        """The file of the adapter, if there is one."""
        file = ADAPTERS / f"{self.target.partition(':')[0]}.py"
        return file if file.exists() else None


SLOW = ("--bound=5",)
"""For subjects that move bytes slowly, and more slowly on a busy machine."""

SUBJECTS = (
    Subject("pipes", "", "pipes:Pipes", "the pipes of asyncio's subprocesses", stands_on="asyncio"),
    Subject(
        "asyncssh",
        "asyncssh",
        "asyncssh_streams:Forwarded",
        "SSHReader and SSHWriter, over a local SSH connection",
        SLOW,
    ),
    Subject(
        "pyserial-asyncio-fast",
        "pyserial-asyncio-fast",
        "serial_port:Port",
        "a serial port's streams, over a pseudo-terminal",
        SLOW,
        stands_on="asyncio",
    ),
    Subject(
        "aioquic",
        "aioquic",
        "aioquic_streams:Stream",
        "a stream's reader and writer, over a local QUIC connection",
        SLOW,
        stands_on="asyncio",
    ),
    Subject("aiohttp", "aiohttp", "aiohttp_reader:Reader", "its StreamReader, fed by hand"),
    Subject("anyio", "anyio", "anyio_streams:Streams", "TCP streams on asyncio, through a shim"),
    Subject(
        "uvloop",
        "uvloop",
        "asyncio",
        "the event loop, under asyncio's streams",
        ("--loop=uvloop",),
        stands_on="uvloop",
    ),
    Subject(
        "rloop",
        "rloop",
        "rloop_streams",
        "the event loop, under asyncio's streams, on TCP",
        ("--loop=rloop:new_event_loop", "--network=tcp"),
        stands_on="rloop",
    ),
    Subject(
        "rsloop",
        "rsloop",
        "rsloop_streams",
        "the event loop, under its own streams and asyncio's",
        ("--loop=rsloop:new_event_loop", "--network=tcp,unix,tls"),
        stands_on="asyncio",
    ),
    Subject(
        "looptime",
        "looptime",
        "asyncio",
        "asyncio's loop with compacted time, under asyncio's streams",
        ("--loop=looptime:new_event_loop",),
        stands_on="asyncio",
    ),
    Subject(
        "async-solipsism",
        "async-solipsism",
        "solipsism:Streams",
        "asyncio's streams on the loop's own network",
        ("--loop=async_solipsism:EventLoop",),
        stands_on="asyncio",
    ),
    Subject(
        "simloop",
        "simloop",
        "simloop_network:Streams",
        "asyncio's streams on the loop's own network",
        ("--loop=simloop:SimLoop",),
        stands_on="asyncio",
    ),
)
