"""asyncssh's SSHReader and SSHWriter: a connection forwarded by a local SSH server.

streamcert certify asyncssh_streams:Forwarded
"""

import asyncio
from typing import Any

import asyncssh

from conformance import PairAdapter

KEY = asyncssh.generate_private_key("ssh-ed25519")


class Server(asyncssh.SSHServer):
    """Lets everyone in, and hands each forwarded connection to its handler."""

    def __init__(self, accepted: Any) -> None:
        self.accepted = accepted

    def begin_auth(self, username: str) -> bool:
        """Ask for no proof."""
        return False

    def connection_requested(self, *addresses: object) -> Any:
        """Take a connection."""
        return lambda reader, writer: self.accepted.set_result((reader, writer))


class Forwarded(PairAdapter):
    """The client's end of a forwarded connection, and the server's."""

    distribution = "asyncssh"
    virtual_time = False
    without = frozenset(
        {
            # A window takes the place of a limit, and a channel that of a transport.
            *("limit", "StreamWriter.transport", "StreamWriter.start_tls"),
            *("StreamReader.exception", "StreamReader.set_exception"),
            *("StreamReader.set_transport",),
        }
    )

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}

    async def pair(self, limit: int) -> Any:
        """Connect to a server of its own."""
        accepted = asyncio.get_running_loop().create_future()
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: Server(accepted), server_host_keys=[KEY]
        )
        client = await asyncssh.connect(
            "127.0.0.1", server.get_port(), known_hosts=None, config=None, client_keys=None
        )
        reader, writer = await client.open_connection("there", 7, encoding=None)
        self.held[writer] = client, server
        return (reader, writer), await accepted

    async def close(self, ends: Any) -> None:
        """End the connection and the server."""
        client, server = self.held.pop(ends[0][1])
        client.abort()
        server.close()
        await client.wait_closed()
