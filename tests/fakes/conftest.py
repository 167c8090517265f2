"""What the tests of TLS share: making certificates takes time."""

import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme

import fakes


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def contexts(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, with a certificate for `localhost`, and a client's that trusts it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def run_twice() -> Callable[..., Any]:
    """Run a program on two networks with such hosts and links, with one seed, and compare."""

    def run(
        main: Callable[[], Coroutine[Any, Any, Any]], *hosts: str, seed: int = 1, **link: float
    ) -> Any:
        runs = []
        for _ in range(2):
            network = fakes.Network(link=fakes.Link(**{"latency": 0.01, **link}))  # type: ignore[arg-type]
            for host in hosts:
                network.host(host)
            trace = fakes.Trace(network)
            result = fakes.run(main(), network=network, seed=seed, deterministic=True)
            runs.append((result, str(trace)))
        assert runs[0] == runs[1]
        return runs[0][0]

    return run
