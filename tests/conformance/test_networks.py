"""The suite's questions to the kernel, and the files of its certificates."""

import itertools
import socket
import ssl
import threading
from pathlib import Path

import pytest

from conformance.networks.kernel import open_kernel_sockets
from conformance.networks.tls import client_context, server_context, show_certificate


def test_open_sockets_are_seen_while_threads_open_and_close_theirs() -> None:
    """An implementation may have threads; what they do meanwhile is no error of the suite's."""
    over = threading.Event()
    rounds = itertools.count()

    def open_and_close() -> None:
        while not over.is_set():
            socket.socket().close()
            next(rounds)

    thread = threading.Thread(target=open_and_close)
    with socket.socket():
        before = open_kernel_sockets()
        thread.start()
        try:
            while next(rounds) < 1000:
                assert before <= open_kernel_sockets()
        finally:
            over.set()
            thread.join()
    assert len(before - open_kernel_sockets()) == 1  # ours


def test_a_certificate_can_be_read_again_from_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """An implementation with a TLS library of its own may read the file at each use."""
    files = []
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", lambda self, file: files.append(file))
    server_context()
    show_certificate(client_context(), name="another.test")
    one, another = (Path(file).read_text(encoding="ascii") for file in files)
    assert "PRIVATE KEY" in one
    assert one != another
