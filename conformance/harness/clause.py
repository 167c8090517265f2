"""The mark that names the clause of a test, and the networks and roles on which it makes sense."""

import functools
import inspect
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, NamedTuple

import pytest

from conformance.clauses import clauses
from conformance.errors import Deviation, NotApplicable, described
from conformance.harness.interrupt import Interrupted
from conformance.harness.trial import Trial
from conformance.networks import ADAPTER_NETWORKS, NETWORKS
from conformance.networks.base import Network
from conformance.subject.capabilities import asked_about, require


class Some(tuple[str, ...]):
    """Some of the networks, or of the sides that an implementation takes.

    Args:
        names: their names.
        why: why not the others: a feature does not exist there, or makes no difference.
        in_virtual_time: whether time has to be virtual there; it is not in memory on every loop.
    """

    why: str
    in_virtual_time: bool

    def __new__(cls, names: Iterable[str], why: str, *, in_virtual_time: bool = False) -> "Some":
        """Return the names, with the reason."""
        some = super().__new__(cls, names)
        some.why = why
        some.in_virtual_time = in_virtual_time
        return some


def _networks(condition: Callable[[type[Network]], bool]) -> tuple[str, ...]:
    """Return the names of the networks that fulfil `condition`."""
    return tuple(each.name for each in (*NETWORKS.values(), *ADAPTER_NETWORKS) if condition(each))


EVERY = _networks(lambda _: True)
PLAIN = Some(_networks(lambda each: not each.tls), "it is about connections without TLS")
HALF_CLOSED = Some(PLAIN, "TLS has no streams of which one half is closed")
COUNTED = Some(PLAIN, "transports that do TLS count in other ways what they still have to send")
UPGRADED = Some(PLAIN, "the upgrade is that of a connection without TLS")
TLS = Some(_networks(lambda each: each.tls), "it is about TLS")
HOSTS = Some(_networks(lambda each: each.hosts), "it is about hosts and ports")
INTERNET = Some(
    _networks(lambda each: each.hosts and not each.tls),
    "it is about hosts and ports, whether with TLS or without",
)
UNIX = Some(_networks(lambda each: each.paths), "it is about Unix sockets")
VIRTUAL = Some(
    _networks(lambda each: each.in_memory and each.tls),
    "it lasts for minutes, which only virtual time makes short",
    in_virtual_time=True,
)
IN_VIRTUAL_TIME = Some(("memory",), VIRTUAL.why, in_virtual_time=True)
RESETTABLE = Some(_networks(lambda each: each.resets), "a Unix socket has no reset")
ADAPTED = _networks(lambda each: not each.hosts and not each.paths)  # an adapter's own
SERVED = Some((each for each in EVERY if each not in ADAPTED), "an adapter's ends have no handler")

BOTH = ("client", "server")
CLIENT = Some(("client",), "it is about the side that connects")
SERVER = Some(("server",), "it is about the side that serves")
BY_HAND = Some(("client",), "the reader is fed by hand, and has no connection: it is on no side")


class ClauseMark(NamedTuple):
    """The content of a test's mark.

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

    If the event loop refuses an argument that the test gives, the clauses whose sentences name this
    argument fail; a clause about something else is not applicable.

    Args:
        id_: the clause's id.
        networks: the networks that it runs on, by name; by default all of them.
        roles: the sides that the implementation takes: `BOTH`, `CLIENT` or `SERVER`. A selection is
            a `Some`, which says why.
    """

    def mark(test: Callable[[Trial], Any]) -> Callable[[Trial], None]:
        @functools.wraps(test)
        def run(trial: Trial) -> None:
            trial.sentence = clauses()[id_].text
            try:
                for name in sorted({*clauses()[id_].needs} | asked_about(id_)):
                    require(name, trial.without)
                if isinstance(networks, Some) and networks.in_virtual_time:
                    trial.require_virtual_time()
                if inspect.iscoroutinefunction(test):
                    trial.run(test(trial))
                else:
                    test(trial)
            except NotApplicable as reason:
                pytest.skip(str(reason))
            except Interrupted:
                raise
            except KeyboardInterrupt as error:  # which would end the whole run
                raise Deviation("the program to go on", described(error)) from error

        marked = ClauseMark(id_, networks, roles, inspect.unwrap(test).__code__)
        pytest.mark.streams_clause(marked)(run)
        # Warnings that the user's project turns into errors are not verdicts on an implementation.
        pytest.mark.filterwarnings("ignore")(run)
        return run

    return mark
