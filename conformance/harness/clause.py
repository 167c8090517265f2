"""How a test says which clause it checks, and where that clause makes sense."""

import functools
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple

import pytest

from conformance.errors import NotApplicable
from conformance.trial import Trial

MEMORY = ("memory", "tls-memory")
PLAIN = ("memory", "tcp", "unix")  # no TLS: streams that can be half-closed
TLS = ("tls-memory", "tls")
INTERNET = ("memory", "tcp")  # hosts and ports, no TLS
UNIX = ("unix",)
VIRTUAL = ("tls-memory",)  # TLS in a time of its own, which takes none to pass
EVERY = ("memory", "tls-memory", "tcp", "unix", "tls")
RESETTABLE = ("memory", "tls-memory", "tcp", "tls")  # a Unix socket has no such thing as a reset

CLIENT = ("client",)
SERVER = ("server",)
BOTH = ("client", "server")


class ClauseMark(NamedTuple):
    """What a test's mark says.

    Attributes:
        clause: the id of the clause that it checks.
        networks: the names of the networks that it runs on.
        roles: the sides that the implementation takes in turn.
        code: the test's own code, by which its lines are found in a traceback.
    """

    clause: str
    networks: tuple[str, ...]
    roles: tuple[str, ...]
    code: CodeType


def clause(
    id_: str, *, networks: tuple[str, ...] = EVERY, roles: tuple[str, ...] = BOTH
) -> Callable[[Callable[[Trial], Any]], Callable[[Trial], None]]:
    """Mark a test as one that checks the clause `id_`.

    The test takes one argument, the `Trial`; it may be a coroutine function, which then runs on
    the trial's loop, or a plain function, which runs the trial's loop itself.

    Args:
        id_: the clause's id.
        networks: the networks that it runs on, by name; by default all of them.
        roles: the sides that the implementation takes: `BOTH`, `CLIENT` or `SERVER`.
    """

    def mark(test: Callable[[Trial], Any]) -> Callable[[Trial], None]:
        @functools.wraps(test)
        def run(trial: Trial) -> None:
            try:
                if inspect.iscoroutinefunction(test):
                    trial.run(test(trial))
                else:
                    test(trial)
            except NotApplicable as reason:
                pytest.skip(str(reason))

        marked = ClauseMark(id_, networks, roles, test.__code__)
        pytest.mark.streams_clause(marked)(run)
        # Warnings that the user's project turns into errors are not verdicts on an implementation.
        pytest.mark.filterwarnings("ignore")(run)
        return run

    return mark
