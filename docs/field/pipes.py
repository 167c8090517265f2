"""The pipes of asyncio's subprocesses: what is written to one `cat` is read from it.

streamcert certify pipes:Pipes
"""

import asyncio
from asyncio.subprocess import PIPE, Process
from typing import Any

from conformance import PairAdapter

READING = ("is_reading", "pause_reading", "resume_reading")


class Pipes(PairAdapter):
    """Two processes, each of which copies what it reads: one for each direction."""

    virtual_time = False
    # A pipe has one direction, no addresses and no TLS.
    without = frozenset(
        {
            *("joined-directions", "StreamWriter.start_tls"),
            *(f"StreamWriter.transport.{name}" for name in READING),
            *(f"StreamWriter.get_extra_info.{key}" for key in ("peername", "sockname", "socket")),
        }
    )
    unread_capacity = 2**20

    def __init__(self) -> None:
        self.held: dict[Any, list[Process]] = {}

    async def pair(self, limit: int) -> Any:
        """Start two processes; the pipes to one and from the other are an end."""
        there, back = [
            await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, limit=limit)
            for _ in range(2)
        ]
        self.held[there.stdin] = [there, back]
        return (back.stdout, there.stdin), (there.stdout, back.stdin)

    async def close(self, ends: Any) -> None:
        """End the processes."""
        for each in self.held.pop(ends[0][1]):
            if each.returncode is None:
                each.kill()
            await each.wait()
