"""How a failure must not read: an implementer who knows nothing of the test has to act on it."""

import re

SAYS_LITTLE = re.compile(
    r"what the clause says"  # and what is that?
    r"|expected (True|False|None|\d+|\[\]); saw"  # of what?
    r"|done[^;`]*: (True|False); saw"  # what did it return?
    r"|expected the test to end"  # for what does it wait?
)


def says_little(detail: str) -> list[str]:
    """Return the lines of a verdict's detail that leave open what was expected, or seen."""
    return [line for line in detail.splitlines() if SAYS_LITTLE.search(line)]
