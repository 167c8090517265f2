"""Print the status and the headers that an HTTP server sends for a URL.

Usage: python -m reference_impl.examples.http_headers URL
"""

from __future__ import annotations

import argparse
import asyncio
import urllib.parse

import reference_impl

from ._command import Failure, fail, reason, run


async def print_headers(url: urllib.parse.SplitResult, timeout: float) -> None:  # noqa: ASYNC109
    """Ask for *url* with HEAD and print the headers of the answer.

    Raises:
        Failure: the server cannot be reached or does not speak HTTP.
    """
    host = url.hostname or ""
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
    query = f"HEAD {target} HTTP/1.0\r\nHost: {url.netloc.rpartition('@')[2]}\r\n\r\n"
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await reference_impl.open_connection(host, port, ssl=secure or None)
            try:
                writer.write(query.encode("latin-1"))
                status = await reader.readline()
                if not status.startswith(b"HTTP/"):
                    raise Failure(f"{host} port {port} does not speak HTTP")
                line = status
                while text := line.decode("latin-1").rstrip():
                    print(text)
                    line = await reader.readline()
                # There is no body to wait for, and the written data is sent.
                writer.close()
                await writer.wait_closed()
            finally:
                writer.close()
    except OSError as error:
        raise Failure(f"no answer from {host} port {port}: {reason(error)}") from None
    except ValueError:
        raise Failure(f"{host} port {port} sent a header that is too long") from None


def checked(text: str) -> urllib.parse.SplitResult:
    """Return *text* as a URL that can be asked for, or exit with what is wrong with it."""
    try:
        url = urllib.parse.urlsplit(text)
        _ = url.port
    except ValueError as error:
        fail(f"{text!r} is not a URL: {error}")
    if url.scheme not in ("http", "https") or not url.hostname:
        fail(f"{text!r} is not an http:// or https:// URL, like https://www.python.org/")
    if not text.isascii() or not text.isprintable() or " " in text:
        fail(f"{text!r} has characters that a URL cannot have: percent-encode them")
    return url


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m reference_impl.examples.http_headers",
        description="Print the status and the headers that an HTTP server sends for a URL.",
        epilog="Certificates of https servers are checked; $SSL_CERT_FILE names your own.",
    )
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--timeout", type=float, default=30.0, help="in seconds (default: 30)")
    arguments = parser.parse_args()
    run(print_headers(checked(arguments.url), arguments.timeout))


if __name__ == "__main__":
    main()
