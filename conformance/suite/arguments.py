"""Which values of each argument that is a number the suite tries, in each way to call its function.

An argument that is right at one value may be wrong at another, and one that is right in one way to
connect or to serve may be ignored in another.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from conformance.harness.clause import ClauseMark

HEAD = """
## The values of each argument

For each argument that is a number, and each way to call its function: values far apart whose effect
is tested, and the clauses that ask for it. *with TLS* is with `ssl`; *happy eyeballs* is a host
with `happy_eyeballs_delay`.

| Argument | Way | Values | Clauses |
|---|---|---|---|
"""


class Tried(NamedTuple):
    """The values that are tried of an argument, in one way.

    Attributes:
        argument: the function or method and the argument, as `"read.n"`.
        way: the kind of address, and whether with TLS.
        values: the values: two at least, far apart.
        tests: the names of the tests, without `test_`, by module: `"ways:limit_with_tls"`.
    """

    argument: str
    way: str
    values: tuple[float, ...]
    tests: tuple[str, ...]


SECONDS = (0.25, 3, 400)  # far apart, and from every default
LIMITS = (1, 5_000_000)  # bytes
MOST = math.inf  # connections: the most that the kernel keeps
BACKLOGS = (0, 1, MOST)

HANDSHAKE, SHUTDOWN = "ssl_handshake_timeout", "ssl_shutdown_timeout"
CONNECT, UNIX_CONNECT = "open_connection", "open_unix_connection"
SERVE, UNIX_SERVE = "start_server", "start_unix_server"

WAYS = {
    CONNECT: ("host", "happy eyeballs", "sock"),
    UNIX_CONNECT: ("path", "sock"),
    SERVE: ("host", "sock"),
    UNIX_SERVE: ("path", "sock"),
}
"""The ways to call each function; each is with TLS or without."""


def unix_timeouts(function: str, tests: str) -> Iterator[Tried]:
    """Yield the tried values of the timeouts of a function for Unix sockets.

    Args:
        function: the function.
        tests: the common beginning of the tests' names.
    """
    for argument, what in ((HANDSHAKE, "handshake"), (SHUTDOWN, "shutdown")):
        for address in WAYS[function]:
            yield Tried(
                *(f"{function}.{argument}", f"{address} with TLS", SECONDS),
                (f"ways:{tests}_{what}_timeouts",),
            )


TABLE = (
    Tried(f"{CONNECT}.limit", "host", LIMITS, ("ways:limit_with_an_address",)),
    Tried(f"{CONNECT}.limit", "happy eyeballs", LIMITS, ("ways:limit_with_happy_eyeballs",)),
    Tried(f"{CONNECT}.limit", "sock", LIMITS, ("ways:limit_with_a_socket",)),
    Tried(f"{CONNECT}.limit", "host with TLS", LIMITS, ("ways:limit_with_tls",)),
    Tried(
        *(f"{CONNECT}.limit", "happy eyeballs with TLS", LIMITS),
        ("ways:limit_with_tls_and_happy_eyeballs",),
    ),
    Tried(f"{CONNECT}.limit", "sock with TLS", LIMITS, ("ways:limit_with_tls_over_a_socket",)),
    Tried(f"{CONNECT}.{HANDSHAKE}", "host with TLS", SECONDS, ("ways:handshake_timeouts",)),
    Tried(
        f"{CONNECT}.{HANDSHAKE}", "happy eyeballs with TLS", SECONDS, ("ways:handshake_timeouts",)
    ),
    Tried(
        *(f"{CONNECT}.{HANDSHAKE}", "sock with TLS", SECONDS),
        ("ways:handshake_timeouts_with_a_socket",),
    ),
    Tried(f"{CONNECT}.{SHUTDOWN}", "host with TLS", SECONDS, ("ways:shutdown_timeouts",)),
    Tried(
        *(f"{CONNECT}.{SHUTDOWN}", "happy eyeballs with TLS", SECONDS),
        ("ways:shutdown_timeouts_in_each_way",),
    ),
    Tried(
        *(f"{CONNECT}.{SHUTDOWN}", "sock with TLS", SECONDS),
        ("ways:shutdown_timeouts_in_each_way",),
    ),
    Tried(
        *(f"{CONNECT}.happy_eyeballs_delay", "happy eyeballs", (0, 0.25, 3, 100)),
        ("ways:happy_eyeballs_delays",),
    ),
    Tried(
        *(f"{CONNECT}.interleave", "host", (0, 1, 4)),
        ("values:interleave_of_many", "connecting:interleave_zero"),
    ),
    Tried(
        *(f"{CONNECT}.interleave", "happy eyeballs", (0, 1, 4)),
        (
            "values:interleave_of_many_with_happy_eyeballs",
            "connecting:interleave_zero_with_happy_eyeballs",
        ),
    ),
    Tried(f"{UNIX_CONNECT}.limit", "path", LIMITS, ("ways:unix_limit_with_a_path",)),
    Tried(f"{UNIX_CONNECT}.limit", "sock", LIMITS, ("ways:unix_limit_with_a_socket",)),
    Tried(f"{UNIX_CONNECT}.limit", "path with TLS", LIMITS, ("ways:unix_limit_with_tls",)),
    Tried(f"{UNIX_CONNECT}.limit", "sock with TLS", LIMITS, ("ways:unix_limit_with_tls",)),
    *unix_timeouts(UNIX_CONNECT, "unix"),
    Tried(f"{SERVE}.limit", "host", LIMITS, ("ways:server_limit_with_an_address",)),
    Tried(f"{SERVE}.limit", "sock", LIMITS, ("ways:server_limit_with_a_socket",)),
    Tried(f"{SERVE}.limit", "host with TLS", LIMITS, ("ways:server_limit_with_an_address",)),
    Tried(f"{SERVE}.limit", "sock with TLS", LIMITS, ("ways:server_limit_with_tls_on_a_socket",)),
    Tried(f"{SERVE}.backlog", "host", BACKLOGS, ("ways:backlog_in_each_way",)),
    Tried(f"{SERVE}.backlog", "sock", BACKLOGS, ("ways:backlog_in_each_way",)),
    Tried(f"{SERVE}.backlog", "host with TLS", BACKLOGS, ("ways:backlog_with_tls",)),
    Tried(f"{SERVE}.backlog", "sock with TLS", BACKLOGS, ("ways:backlog_with_tls",)),
    Tried(f"{SERVE}.{HANDSHAKE}", "host with TLS", SECONDS, ("ways:server_handshake_timeouts",)),
    Tried(
        *(f"{SERVE}.{HANDSHAKE}", "sock with TLS", SECONDS),
        ("ways:server_handshake_timeouts_in_each_way",),
    ),
    Tried(f"{SERVE}.{SHUTDOWN}", "host with TLS", SECONDS, ("ways:server_shutdown_timeouts",)),
    Tried(
        *(f"{SERVE}.{SHUTDOWN}", "sock with TLS", SECONDS),
        ("ways:server_shutdown_timeouts_in_each_way",),
    ),
    Tried(f"{UNIX_SERVE}.limit", "path", LIMITS, ("ways:unix_server_limit_with_a_path",)),
    Tried(f"{UNIX_SERVE}.limit", "sock", LIMITS, ("ways:unix_server_limit_with_a_socket",)),
    Tried(f"{UNIX_SERVE}.limit", "path with TLS", LIMITS, ("ways:unix_server_limit_with_tls",)),
    Tried(f"{UNIX_SERVE}.limit", "sock with TLS", LIMITS, ("ways:unix_server_limit_with_tls",)),
    Tried(f"{UNIX_SERVE}.backlog", "path", BACKLOGS, ("unix:backlog_in_each_way",)),
    Tried(f"{UNIX_SERVE}.backlog", "sock", BACKLOGS, ("unix:backlog_in_each_way",)),
    Tried(f"{UNIX_SERVE}.backlog", "path with TLS", BACKLOGS, ("unix:backlog_with_tls",)),
    Tried(f"{UNIX_SERVE}.backlog", "sock with TLS", BACKLOGS, ("unix:backlog_with_tls",)),
    *unix_timeouts(UNIX_SERVE, "unix_server"),
    Tried(f"start_tls.{HANDSHAKE}", "", SECONDS, ("ways:upgrade_handshake_timeouts",)),
    Tried(f"start_tls.{SHUTDOWN}", "", SECONDS, ("ways:upgrade_shutdown_timeouts",)),
    Tried("StreamReader.limit", "", (1, 20_000_000), ("values:limits_far_apart",)),
    Tried("read.n", "", (1, 1_000_000), ("values:at_most_far_apart",)),
    Tried("readexactly.n", "", (1, 3_000_000), ("values:exactly_far_apart",)),
    Tried(
        *("set_write_buffer_limits.high", "", (1, 20_000_000)),
        ("values:limits_far_apart_are_set", "values:high_marks_far_apart"),
    ),
    Tried(
        *("set_write_buffer_limits.low", "", (1, 20_000_000)),
        ("values:limits_far_apart_are_set",),
    ),
)
"""All values that are tried."""

NONE = {
    (f"{CONNECT}.happy_eyeballs_delay", "host"): "to give it is a way of its own",
    (f"{CONNECT}.happy_eyeballs_delay", "sock"): "the page says that neither should be given",
    (f"{CONNECT}.interleave", "sock"): "the page says that neither should be given",
    **{
        (f"{CONNECT}.{argument}", f"{way} with TLS"): "TLS begins when the connection is made"
        for argument in ("happy_eyeballs_delay", "interleave")
        for way in WAYS[CONNECT]
    },
    **{
        (f"{function}.{argument}", way): "without `ssl` it is refused, as other clauses ask"
        for function, ways in WAYS.items()
        for argument in (HANDSHAKE, SHUTDOWN)
        for way in ways
    },
}
"""The ways in which an argument is not tried, and why."""


def values(marks: dict[str, ClauseMark]) -> str:
    """Return the table as Markdown.

    Args:
        marks: the mark of each test, by the name that `Tried` has for it.
    """
    lines = []
    for each in TABLE:
        asking = dict.fromkeys(f"`{marks[test].clause}`" for test in each.tests)
        numbers = ", ".join(
            "as many as the kernel keeps" if n == MOST else f"{n:_}" for n in each.values
        )
        lines.append(f"| `{each.argument}` | {each.way} | {numbers} | {', '.join(asking)} |")
    lines += ["", "Nothing is tried of:", ""]
    lines += [f"- `{argument}`, {way}: {why}." for (argument, way), why in NONE.items()]
    return HEAD + "\n".join(lines) + "\n"
