"""What the suite asks of the kernel about an implementation."""

import itertools
import socket
import threading

from conformance.networks.kernel import open_kernel_sockets


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
