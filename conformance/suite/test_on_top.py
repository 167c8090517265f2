"""Tests of other files, on connections that start_tls() has upgraded: they are streams like others.

Only in memory: that TLS begins later makes no difference to the network.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Unpack, cast

from conformance.errors import NotApplicable
from conformance.harness.clause import BOTH, ClauseMark, Some, clause
from conformance.harness.trial import Connection, Trial
from conformance.harness.upgrading import upgrade
from conformance.networks.base import ConnectionOptions
from conformance.suite import (
    test_closing as closing,
)
from conformance.suite import (
    test_draining as draining,
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
    test_transport as transport,
)
from conformance.suite import (
    test_writing as writing,
)

IN_MEMORY = Some(("memory",), "that TLS begins later makes no difference to the network")

MODULES = (
    closing,
    draining,
    read,
    reader,
    readexactly,
    readline,
    readuntil,
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
    """Return whether a test connects in both roles, and over TLS, too."""
    connects = "connect" in mark.code.co_names
    return connects and "tls-memory" in mark.networks and mark.roles == BOTH


for module in MODULES:
    for name, test in vars(module).items():
        for each in getattr(test, "pytestmark", ()):
            if each.name == "streams_clause" and applies(each.args[0]):
                file = module.__name__.rpartition("_")[2]
                globals()[f"{name}_of_{file}"] = on_top(test, each.args[0])
