"""The options of a certification, for the command line and for pytest alike.

pytest loads this wherever the package is installed, so it imports nothing of the suite.
"""

from typing import NamedTuple


class Option(NamedTuple):
    """An option: `--name` of `streamcert certify` and `explain`, `--streams-name` of pytest.

    Attributes:
        name: its name.
        metavar: the name of its value.
        help: its purpose.
        default: its value if it is not given.
        multiple: whether it can be given more than once.
    """

    name: str
    metavar: str
    help: str
    default: str | None = None
    multiple: bool = False

    @property
    def key(self) -> str:
        """The name of the attribute of `RawRequest` that holds its value."""
        return self.name.replace("-", "_")


HOW = (
    Option("loop", "LOOP", "The event loop: asyncio, uvloop or module:factory.", "asyncio"),
    Option(
        "loop-mode",
        "MODE",
        "How the loop runs: plain, debug, eager-tasks, own-tasks or own-executor.",
        "plain",
    ),
    Option(
        "network",
        "NAMES",
        "The networks, separated by commas.  "
        "[default: all; those in memory only with asyncio's loop, whose transports the fakes "
        "replace]",
    ),
    Option(
        "spec",
        "X.Y",
        "The Python version whose documentation counts.  "
        "[default: the running one for asyncio, the newest for everything else]",
    ),
    Option(
        "bound",
        "SECONDS",
        "Seconds of real time without progress after which a test counts as hung. "
        "Raise it for slow implementations.",
        "1",
    ),
    Option(
        "known-deviations",
        "FILE",
        "TOML file of accepted deviations. Fails only on new ones, and on listed ones that no "
        "longer occur.",
    ),
)
"""How to certify."""

WHICH = (
    Option(
        "clause",
        "GLOB",
        "Test only the clauses whose ids match, such as 'readuntil.*'. Can be given repeatedly.",
        multiple=True,
    ),
    Option(
        "failed-first",
        "CERTIFICATE.json",
        "Begin with the clauses that failed in that certificate.",
    ),
)
"""The tests to run."""

JSON = Option("json", "FILE", "Write the certificate to FILE.")
