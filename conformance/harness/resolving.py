"""A host name for a test, whichever resolver the implementation uses."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest import mock

from conformance.errors import NotApplicable
from conformance.harness.addresses import accepted, bound, family_of
from conformance.harness.expect import expect_that
from conformance.harness.trial import Trial

NAME = "streams.test"
"""A host name that only `resolving()` knows."""

OWN_RESOLVER = "names are looked up by a resolver that nothing can stand in for"


class Lookups:
    """Whether `NAME` has been looked up where `resolving()` answers.

    Attributes:
        made: whether it has. A lookup may be made in any thread.
    """

    def __init__(self, trial: Trial) -> None:
        self.made = False
        self._loop = trial.loop
        self._event = asyncio.Event()

    def note(self) -> None:
        """Note that the name is looked up."""
        self.made = True
        self._loop.call_soon_threadsafe(self._event.set)

    async def first(self, opening: asyncio.Task[Any]) -> None:
        """Wait until the name is looked up, or `opening` has ended without a lookup."""
        waiting = self._loop.create_task(self._event.wait())
        await asyncio.wait([waiting, opening], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


@contextmanager
def resolving(trial: Trial, *hosts: str) -> Iterator[Lookups]:
    """Let `NAME` resolve to the numeric `hosts`, in that order, for every resolver.

    An implementation calls the loop's `getaddrinfo()`, or the socket module's; these still answer
    for any other name.

    Yields:
        The record of the lookups. A test that does not wait for `open_connection()` to end waits
        for the first lookup, because a loop's threads may be slow.

    Raises:
        NotApplicable: the loop's `getaddrinfo()` cannot be replaced; or the name was looked up in
            some other way, as uvloop does, so that the block has seen nothing.
    """
    lookups = Lookups(trial)
    ask_loop: Any = trial.loop.getaddrinfo
    ask_module: Callable[..., Any] = socket.getaddrinfo

    def answer(port: Any, family: int) -> list[Any]:
        lookups.note()
        return [
            (
                family_of(host),
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, int(port or 0), 0, 0) if ":" in host else (host, int(port or 0)),
            )
            for host in hosts
            if family in (0, family_of(host))
        ]

    async def from_loop(host: Any, port: Any, *, family: int = 0, **options: int) -> Any:
        if host == NAME:
            return answer(port, family)
        return await ask_loop(host, port, family=family, **options)

    def from_module(host: Any, port: Any, family: int = 0, *options: int, **more: int) -> Any:
        if host == NAME:
            return answer(port, family)
        return ask_module(host, port, family, *options, **more)

    try:
        trial.loop.getaddrinfo = from_loop  # type: ignore[method-assign]  # for a while
    except AttributeError:
        raise NotApplicable("getaddrinfo() of this event loop cannot be replaced") from None
    try:
        with mock.patch.object(socket, "getaddrinfo", from_module):
            yield lookups
    except Exception as error:
        if lookups.made:
            raise
        raise NotApplicable(OWN_RESOLVER) from error
    finally:
        del trial.loop.getaddrinfo
    if not lookups.made:
        raise NotApplicable(OWN_RESOLVER)


async def tried(trial: Trial, *hosts: str, **options: float | None) -> list[str]:
    """Return the order in which open_connection() tries the addresses of a host.

    An address refuses after the first connection to it, so that each call shows the next one.
    """
    order: list[str] = []
    while len(order) < len(hosts):
        with bound(trial, *hosts) as (port, sockets), resolving(trial, *hosts):
            rest = {
                host: sock for host, sock in zip(hosts, sockets, strict=True) if host not in order
            }
            for sock in rest.values():
                sock.listen()
                sock.setblocking(False)
            _, writer = await trial.streams.open_connection(NAME, port, **options)
            with closing(writer):
                index = accepted(list(rest.values()))
        expect_that(index is not None, f"a connection to one of {list(rest)}", "none")
        order.append(list(rest)[index or 0])
    return order
