"""Wait for data on a socket that is already open.

Usage: python -m reference_impl.examples.wait_for_data
"""

from __future__ import annotations

import argparse
import asyncio
import socket

import reference_impl

from ._command import run


async def wait_for_data() -> None:
    """Read with a stream the data that is sent to one of a pair of connected sockets."""
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await reference_impl.open_connection(sock=ours)  # which owns it now
        asyncio.get_running_loop().call_soon(theirs.send, b"abc")
        data = await reader.read(100)
        print(f"Received {data.decode()!r}")
        writer.close()
        await writer.wait_closed()


def main() -> None:
    """Run the program."""
    argparse.ArgumentParser(
        prog="python -m reference_impl.examples.wait_for_data",
        description="Wait for data on a socket that is already open.",
    ).parse_args()
    run(wait_for_data())


if __name__ == "__main__":
    main()
