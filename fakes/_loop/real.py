"""The simulated network under another event loop, in real time."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fakes._asyncio.loop_methods import Networking
from fakes._network.network import Network
from fakes._public import public


@public
def network_loop(
    loop_class: type[asyncio.AbstractEventLoop], network: Network | None = None, seed: int = 0
) -> type[asyncio.AbstractEventLoop]:
    """Return a subclass of a loop class whose connections are of a simulated network.

    Args:
        loop_class: e.g. `asyncio.SelectorEventLoop` or `uvloop.Loop`.
        network: the network underneath each loop of the class (default: a new one for each).
        seed: the seed from which the network draws (default 0).

    The class is made for `asyncio.Runner(loop_factory=...)`. Time is real, and so are threads,
    signals, subprocesses and pipes. Only these methods are replaced: `create_connection()`,
    `create_server()`, the Unix ones, `start_tls()`, `connect_accepted_socket()`, `getaddrinfo()`,
    `getnameinfo()` and the `sock_*()` methods. A loop's network is its attribute `network`.
    """
    given = network

    class NetworkLoop(Networking, loop_class):  # type: ignore[valid-type,misc]  # made at run time
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.network = Network() if given is None else given
            try:
                self.network.attach(self, seed=seed)
            except RuntimeError:
                self.close()
                raise

    NetworkLoop.__name__ = NetworkLoop.__qualname__ = f"Network{loop_class.__name__}"
    return cast("type[asyncio.AbstractEventLoop]", NetworkLoop)
