"""The far end: another process, on blocking sockets, so that it costs the near end nothing.

    python benchmarks/wire/far.py DIRECTORY

It listens on two ports, plain and TLS, writes the authority of its certificate to DIRECTORY/ca.pem
and the near end's certificate to DIRECTORY/near.pem, and prints the ports. A connection begins with
a line that says what to do on it:

    send PATTERN TIMES      send a pattern, again and again, and then EOF
    echo                    send everything back
    sink                    receive everything; then send a byte
    call PORT TIMES TLS     connect to PORT so often, each time exchange a line; then send a byte
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from pathlib import Path

KIB = 1024

# Each pattern, the large frame but for its padding: the near end, which has these too, must not
# allocate and free anything large, because the C library treats what comes after differently.
PATTERNS = {
    "bulk": bytes(64 * KIB),
    "line": b"x" * 79 + b"\n",
    "frame": (60).to_bytes(4, "big") + bytes(60),
    "large frame": (1024 * KIB - 4).to_bytes(4, "big"),
    "head": b"GET / HTTP/1.1\r\n" + b"x-name: some value\r\n" * 14 + b"\r\n",
}
LENGTHS = {name: len(pattern) for name, pattern in PATTERNS.items()} | {"large frame": 1024 * KIB}
HELLO = b"a line of thirty-two bytes, or so\n"


class Far:
    """Serves every connection in a thread."""

    def __init__(self, directory: Path) -> None:
        """Make the certificates."""
        import trustme

        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "ca.pem")
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(directory / "near.pem")
        self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self.server_context)
        self.client_context = ssl.create_default_context(cafile=directory / "ca.pem")

    def listen(self, tls: bool) -> int:
        """Listen on a free port, in the background; return it."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self.serve, args=(connection, tls), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    def serve(self, connection: socket.socket, tls: bool) -> None:
        """Do what the first line of a connection says."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        with contextlib.suppress(OSError):  # the near end has closed first
            if tls:
                connection = self.server_context.wrap_socket(connection, server_side=True)
            command, rest = received(connection, b"")
            match command.split(":"):
                case "send", pattern, times:
                    send(connection, PATTERNS[pattern].ljust(LENGTHS[pattern]), int(times))
                case ["echo"]:
                    echo(connection, rest)
                case ["sink"]:
                    sink(connection)
                case "call", port, times, over:
                    self.call(int(port), int(times), over == "tls")
                    connection.sendall(b".")
                    sink(connection)
        connection.close()

    def call(self, port: int, times: int, tls: bool) -> None:
        """Connect to the near end, exchange a line and close, again and again."""
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", port)) as plain:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
                if tls:
                    with self.client_context.wrap_socket(
                        plain, server_hostname="127.0.0.1"
                    ) as secured:
                        secured.sendall(HELLO)
                        received(secured, b"")
                else:
                    plain.sendall(HELLO)
                    received(plain, b"")


def received(connection: socket.socket, data: bytes) -> tuple[str, bytes]:
    """Return the line that arrives next, and what came with it."""
    while b"\n" not in data:
        piece = connection.recv(64 * KIB)
        if not piece:
            raise ConnectionResetError("closed before a line was complete")
        data += piece
    line, _, rest = data.partition(b"\n")
    return line.decode(), rest


def send(connection: socket.socket, pattern: bytes, times: int) -> None:
    """Send as much as possible in one go, end, and wait until the near end has closed."""
    together = max(1, 256 * KIB // len(pattern))
    for start in range(0, times, together):
        connection.sendall(pattern * min(together, times - start))
    if isinstance(connection, ssl.SSLSocket):
        connection.unwrap()
    else:
        connection.shutdown(socket.SHUT_WR)
        sink(connection)


def echo(connection: socket.socket, data: bytes) -> None:
    """Send back *data* and what comes after it."""
    if data:
        connection.sendall(data)
    while data := connection.recv(64 * KIB):
        connection.sendall(data)


def sink(connection: socket.socket) -> None:
    """Receive all there is."""
    space = bytearray(1024 * KIB)
    while connection.recv_into(space):
        pass


if __name__ == "__main__":
    far = Far(Path(sys.argv[1]))
    print(far.listen(tls=False), far.listen(tls=True), flush=True)
    sys.stdin.read()  # until whoever started it goes
