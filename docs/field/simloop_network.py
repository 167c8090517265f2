"""asyncio's streams on simloop's network: hosts and links in memory, under virtual time.

streamcert certify simloop_network:Streams --loop simloop:SimLoop
"""

import asyncio
from typing import Any

from conformance import PairAdapter


class Streams(PairAdapter):
    """A client on one host, connected to a server on another."""

    distribution = "simloop"
    virtual_time = False  # not the fakes' own

    async def pair(self, limit: int) -> Any:
        """Connect across a link without latency."""
        network = asyncio.get_running_loop().net  # type: ignore[attr-defined]
        network.set_defaults(latency=(0.0, 0.0))
        network.set_flow_control()  # it is off unless asked for
        accepted = asyncio.get_running_loop().create_future()

        async def serve() -> asyncio.Server:
            return await asyncio.start_server(
                lambda *ends: accepted.set_result(ends), "there", 7, limit=limit
            )

        server = await network.host("there").create_task(serve())
        near = await network.host("here").create_task(
            asyncio.open_connection("there", 7, limit=limit)
        )
        far = await accepted
        server.close()
        return near, far
