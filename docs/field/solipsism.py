"""asyncio's streams on async-solipsism's network, which has no sockets of the kernel's.

streamcert certify solipsism:Streams --loop async_solipsism:EventLoop
"""

import asyncio
from typing import Any

from conformance import PairAdapter


class Streams(PairAdapter):
    """A connection to a server of its own."""

    distribution = "async-solipsism"
    virtual_time = False  # not the fakes' own
    without = frozenset({"StreamWriter.start_tls"})

    async def pair(self, limit: int) -> Any:
        """Connect by the loop's own network."""
        accepted = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda *ends: accepted.set_result(ends), "localhost", 7, limit=limit
        )
        near = await asyncio.open_connection("localhost", 7, limit=limit)
        server.close()
        return near, await accepted
