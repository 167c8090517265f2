"""aioquic's streams over a QUIC connection to a local server.

streamcert certify aioquic_streams:Stream
"""

import asyncio
import ssl
from contextlib import AsyncExitStack
from typing import Any

import trustme
from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration

from conformance import PairAdapter

CERTIFICATE = trustme.CA().issue_cert("localhost")

# A stream's transport has what a stream of QUIC can do; the rest raises NotImplementedError.
NOT_OF_A_STREAM = (
    *("abort", "get_protocol", "set_protocol", "is_reading", "pause_reading", "resume_reading"),
    *("get_write_buffer_size", "get_write_buffer_limits", "set_write_buffer_limits"),
)


def configuration(is_client: bool) -> QuicConfiguration:
    """Return the configuration of one side."""
    made = QuicConfiguration(is_client=is_client, alpn_protocols=["field"])
    made.verify_mode = ssl.CERT_NONE
    if not is_client:
        with CERTIFICATE.private_key_and_cert_chain_pem.tempfile() as file:
            made.load_cert_chain(file, file)
    return made


class Stream(PairAdapter):
    """A bidirectional stream: the client's end, and the server's."""

    distribution = "aioquic"
    virtual_time = False
    without = frozenset(
        {
            # write_eof() ends one direction, and so does close(). The limit is always asyncio's.
            *("joined-directions", "limit", "StreamWriter.start_tls"),
            *(f"StreamWriter.transport.{name}" for name in NOT_OF_A_STREAM),
            *(f"StreamWriter.get_extra_info.{key}" for key in ("peername", "sockname", "socket")),
        }
    )
    unread_capacity = 2**20

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}

    async def pair(self, limit: int) -> Any:
        """Connect to a server of its own, and open a stream by its first byte."""
        accepted = asyncio.get_running_loop().create_future()
        held = AsyncExitStack()
        server = await serve(
            "127.0.0.1",
            0,
            configuration=configuration(is_client=False),
            stream_handler=lambda *ends: accepted.set_result(ends),
        )
        held.callback(server.close)
        port = server._transport.get_extra_info("sockname")[1]
        client = await held.enter_async_context(
            connect("127.0.0.1", port, configuration=configuration(is_client=True))
        )
        reader, writer = await client.create_stream()
        writer.write(b"?")  # a stream is there when something comes on it
        far = await accepted
        await far[0].readexactly(1)
        self.held[writer] = held
        return (reader, writer), far

    async def close(self, ends: Any) -> None:
        """End the connection and the server."""
        await self.held.pop(ends[0][1]).aclose()
