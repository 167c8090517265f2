"""Tests of other files, on connections that start_tls() has upgraded: they are streams like others.

Only in memory: that TLS begins later makes no difference to the network.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Never, Unpack, cast

from conformance.errors import NotApplicable
from conformance.harness.clause import BOTH, ClauseMark, Some, clause
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import upgrade
from conformance.networks.base import ConnectionOptions
from conformance.suite import (
    test_after_errors as after_errors,
)
from conformance.suite import (
    test_again as again,
)
from conformance.suite import (
    test_callers as callers,
)
from conformance.suite import (
    test_cancelled as cancelled,
)
from conformance.suite import (
    test_closing as closing,
)
from conformance.suite import (
    test_draining as draining,
)
from conformance.suite import (
    test_left_behind as left_behind,
)
from conformance.suite import (
    test_losses as losses,
)
from conformance.suite import (
    test_meanwhile as meanwhile,
)
from conformance.suite import (
    test_read as read,
)
from conformance.suite import (
    test_reader as reader,
)
from conformance.suite import (
    test_readexactly as readexactly,
)
from conformance.suite import (
    test_readline as readline,
)
from conformance.suite import (
    test_readuntil as readuntil,
)
from conformance.suite import (
    test_sequences as sequences,
)
from conformance.suite import (
    test_side_by_side as side_by_side,
)
from conformance.suite import (
    test_sizes as sizes,
)
from conformance.suite import (
    test_tls as tls,
)
from conformance.suite import (
    test_transport as transport,
)
from conformance.suite import (
    test_writing as writing,
)

IN_MEMORY = Some(("memory",), "that TLS begins later makes no difference to the network")

MODULES = (
    after_errors,
    again,
    callers,
    cancelled,
    closing,
    draining,
    left_behind,
    losses,
    meanwhile,
    read,
    reader,
    readexactly,
    readline,
    readuntil,
    sequences,
    side_by_side,
    sizes,
    tls,
    transport,
    writing,
)


class Upgrading:
    """A trial whose connections are upgraded before a test gets them.

    Args:
        trial: the trial.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    async def connect(self, **options: Unpack[ConnectionOptions]) -> Connection:
        """Connect as the trial does, and upgrade.

        Raises:
            NotApplicable: the test is about TLS from the beginning, with a context of its own.
        """
        if "ssl" in options:
            raise NotApplicable("start_tls() has a context of its own")
        reader, writer, _ = connection = await self._trial.connect(**options)
        return Connection(reader, writer, await upgrade(self._trial, connection))

    async def unkept(self) -> Connection:
        """Connect as the trial does without keeping anything alive, and upgrade."""
        connection = await self._trial.unkept()
        wire = await upgrade(self._trial, connection)
        return Connection(connection.reader, connection.writer, wire)

    async def refuse(self, *_: object, **__: object) -> Never:
        """Refuse what a test connects by that upgrades nothing.

        Raises:
            NotApplicable: always.
        """
        raise NotApplicable("the test connects in its own way, and upgrades nothing")

    listen = serve = refuse

    def __getattr__(self, name: str) -> Any:
        """Return the trial's attribute."""
        return getattr(self._trial, name)


def on_top(test: Callable[[Trial], None], mark: ClauseMark) -> Callable[[Trial], None]:
    """Return a test as one that runs on upgraded connections."""
    original = inspect.unwrap(test)

    @functools.wraps(original)
    async def run(trial: Trial) -> None:
        await cast(Any, original)(Upgrading(trial))

    return clause(mark.clause, networks=IN_MEMORY)(run)


def applies(mark: ClauseMark) -> bool:
    """Return whether a test is about both roles, and about TLS, too."""
    return "tls-memory" in mark.networks and mark.roles == BOTH


for module in MODULES:
    for name, test in vars(module).items():
        for each in getattr(test, "pytestmark", ()):
            if each.name == "streams_clause" and applies(each.args[0]):
                file = module.__name__.rpartition("_")[2]
                globals()[f"{name}_of_{file}"] = on_top(test, each.args[0])
