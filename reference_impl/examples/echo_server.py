"""TCP echo server: send back to each client what it sends, until interrupted.

Usage: python -m reference_impl.examples.echo_server [--host HOST] [--port PORT]
"""

from __future__ import annotations

import argparse

import reference_impl

from ._command import Failure, port, reason, run


async def echo(reader: reference_impl.StreamReader, writer: reference_impl.StreamWriter) -> None:
    """Send back what one client sends."""
    client = writer.get_extra_info("peername")
    count = 0
    try:
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()  # a client that does not read is not read from
            count += len(data)
        writer.close()
        await writer.wait_closed()
        print(f"Echoed {count} bytes to {client}", flush=True)
    except OSError as error:
        print(f"Lost {client} after {count} bytes: {reason(error)}", flush=True)
    finally:
        writer.close()


async def serve(host: str, port: int) -> None:
    """Serve until cancelled.

    Raises:
        Failure: it cannot listen there.
    """
    try:
        server = await reference_impl.start_server(echo, host, port)
    except OSError as error:
        raise Failure(
            f"cannot listen on {host} port {port}: {reason(error)}. Choose another with --port"
        ) from None
    addresses = ", ".join(str(socket.getsockname()) for socket in server.sockets)
    print(f"Serving on {addresses}; interrupt with Ctrl-C", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m reference_impl.examples.echo_server",
        description="Send back to each client what it sends, until interrupted.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port, default=8888, help="0 for any that is free")
    arguments = parser.parse_args()
    run(serve(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
