"""TCP echo client: send a message to an echo server and print what comes back.

Usage: python -m reference_impl.examples.echo_client [--host HOST] [--port PORT] [MESSAGE]
"""

from __future__ import annotations

import argparse

import reference_impl

from ._command import Failure, port, reason, run


async def echo(message: str, host: str, port: int) -> None:
    """Send *message* and print the answer.

    Raises:
        Failure: there is no server, or the connection broke.
    """
    try:
        reader, writer = await reference_impl.open_connection(host, port)
    except OSError as error:
        raise Failure(
            f"cannot connect to {host} port {port}: {reason(error)}. Is the server running? "
            "Start one: python -m reference_impl.examples.echo_server"
        ) from None
    try:
        print(f"Sending {message!r}")
        writer.write(message.encode())
        writer.write_eof()
        await writer.drain()
        # An echo may come in several pieces, and is complete when the server closes.
        answer = await reader.read()
        print(f"Received {answer.decode(errors='replace')!r}")
        writer.close()
        await writer.wait_closed()
    except OSError as error:
        raise Failure(f"the connection to {host} port {port} broke: {reason(error)}") from None
    finally:
        writer.close()


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m reference_impl.examples.echo_client",
        description="Send a message to an echo server and print what comes back.",
    )
    parser.add_argument("message", nargs="?", default="Hello, streams!")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port, default=8888)
    arguments = parser.parse_args()
    run(echo(arguments.message, arguments.host, arguments.port))


if __name__ == "__main__":
    main()
