"""The examples, run as a user runs them."""

import contextlib
import http.server
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from reference_impl.examples import _command, http_headers

TOO_LONG = 60  # seconds; only a hang takes as long


def command(example: Any, *arguments: Any) -> Any:
    program = f"reference_impl.examples.{example}"
    return [sys.executable, "-W", "error", "-m", program, *arguments]


def run(example: Any, *arguments: Any, **environment: Any) -> Any:
    return subprocess.run(
        command(example, *arguments),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
        check=False,
    )


def succeeded(result: Any) -> Any:
    assert (result.stderr, result.returncode) == ("", 0)
    return result.stdout


def failed(result: Any) -> Any:
    """Return the one line that says what was wrong."""
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def free_port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    return str(port)


@contextlib.contextmanager
def echo_server(*arguments: Any) -> Iterator[Any]:
    with subprocess.Popen(
        command("echo_server", *arguments),
        # Whoever starts tests in the background ignores Ctrl-C, and so would the server.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            yield server
        finally:
            server.kill()


def test_echo() -> None:
    with echo_server("--port", "0") as server:
        first = server.stdout.readline()
        assert first.startswith("Serving on ('127.0.0.1', ")
        port = first.partition(", ")[2].partition(")")[0]
        output = succeeded(run("echo_client", "--port", port, "Grüße"))
        assert output == "Sending 'Grüße'\nReceived 'Grüße'\n"
        assert server.stdout.readline().startswith("Echoed 7 bytes to ('127.0.0.1', ")
        large = "x" * 100_000
        assert f"Received {large!r}" in succeeded(run("echo_client", "--port", port, large))
        server.stdout.readline()
        with socket.create_connection(("127.0.0.1", int(port))) as idle:
            idle.sendall(b"x")
            assert idle.recv(1) == b"x"
            server.send_signal(signal.SIGINT)
            assert server.wait(TOO_LONG) == 130
            assert idle.recv(1) == b""
        assert server.stderr.read() == ""


def test_echo_client_without_a_server(free_port: Any) -> None:
    line = failed(run("echo_client", "--port", free_port))
    assert line.startswith(
        f"error: cannot connect to 127.0.0.1 port {free_port}: Connection refused. Is the server"
    )


def test_echo_server_whose_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = failed(run("echo_server", "--port", port))
    assert line == (
        f"error: cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Choose another with --port"
    )


@pytest.mark.parametrize("text", ["none", "-1", "65536", ""])
def test_a_port_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # argparse writes the message
        _command.port(text)


def test_a_wrong_argument_is_explained_by_usage() -> None:
    result = run("echo_client", "--port", "none")
    assert result.returncode == 2
    assert "invalid port value: 'none'" in result.stderr


def test_wait_for_data() -> None:
    assert succeeded(run("wait_for_data")) == "Received 'abc'\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("X-Path", self.path)
        self.send_header("X-Host", self.headers["Host"])
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def http_server() -> Iterator[Any]:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_headers(
    http_server: Any,
    scheme: Any,
    server_context: ssl.SSLContext,
    authority: trustme.CA,
    tmp_path: Path,
) -> None:
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    if scheme == "https":
        http_server.socket = server_context.wrap_socket(http_server.socket, server_side=True)
    authority_name = f"localhost:{http_server.server_port}"
    output = succeeded(
        run("http_headers", f"{scheme}://{authority_name}/a/b?c=d#e", SSL_CERT_FILE=str(trusted))
    )
    lines = output.splitlines()
    assert lines[0] == "HTTP/1.0 200 OK"
    assert "X-Path: /a/b?c=d" in lines
    assert f"X-Host: {authority_name}" in lines


def test_http_headers_with_an_untrusted_certificate(
    http_server: Any, server_context: ssl.SSLContext
) -> None:
    http_server.socket = server_context.wrap_socket(
        http_server.socket, server_side=True, do_handshake_on_connect=False
    )
    http_server.handle_error = lambda *_: None
    line = failed(run("http_headers", f"https://localhost:{http_server.server_port}"))
    assert "its certificate is not trusted: unable to get local issuer certificate" in line


@pytest.fixture
def answering() -> Iterator[Any]:
    """A server that answers one connection with given bytes."""
    threads = []

    def answering(data: bytes, hang: Any = False) -> Any:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with listener, contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(data)
                    if hang:
                        connection.recv(1)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield answering
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", "does not speak HTTP"),
        (b"220 mail.example ESMTP\r\n", "does not speak HTTP"),
        (b"HTTP/1.0 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "sent a header that is too long"),
    ],
    ids=["nothing", "mail", "long"],
)
def test_http_headers_of_no_http_server(answering: Any, answer: Any, expected: Any) -> None:
    line = failed(run("http_headers", answering(answer)))
    assert line.startswith("error: 127.0.0.1 port ")
    assert line.endswith(expected)


def test_http_headers_of_a_silent_server(answering: Any) -> None:
    url = answering(b"", hang=True)
    assert failed(run("http_headers", "--timeout", "0.2", url)).endswith("it took too long")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("example.com", "is not an http:// or https:// URL"),
        ("ftp://example.com/", "is not an http:// or https:// URL"),
        ("http:///path", "is not an http:// or https:// URL"),
        ("http://example.com:x/", "is not a URL"),
        ("http://[::1/", "is not a URL"),
        ("http://example.com/a b", "has characters that a URL cannot have"),
        ("http://example.com/\r\nX: y", "has characters that a URL cannot have"),
        ("http://example.com/ü", "has characters that a URL cannot have"),
    ],
)
def test_http_headers_of_what_is_no_url(
    url: Any, expected: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        http_headers.checked(url)
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert expected in line


def test_http_headers_where_nobody_listens(free_port: Any) -> None:
    line = failed(run("http_headers", f"http://127.0.0.1:{free_port}/"))
    assert line == f"error: no answer from 127.0.0.1 port {free_port}: Connection refused"


def test_http_headers_of_a_name_that_is_none() -> None:
    line = failed(run("http_headers", "http://no-such-host.invalid/"))
    assert line.startswith("error: no answer from no-such-host.invalid port 80: ")


def test_tls_without_tls(answering: Any) -> None:
    url = answering(b"220 mail.example ESMTP\r\n").replace("http:", "https:")
    line = failed(run("http_headers", url))
    assert "TLS failed" in line or "Connection reset" in line
