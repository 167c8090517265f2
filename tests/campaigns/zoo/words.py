"""Wordings that a failure must not have: an implementer who has not read the test has to act on
it."""

import re

SAYS_LITTLE = re.compile(
    r"what the clause says"  # which state is that?
    r"|expected (True|False|None|\d+|\[\]); saw"  # of what?
    r"|done[^;`]*: (True|False); saw"  # what did it return?
    r"|expected the test to end"  # what does it wait for?
)


def says_little(detail: str) -> list[str]:
    """Return the lines of a verdict's detail that leave open what was expected, or seen."""
    return [line for line in detail.splitlines() if SAYS_LITTLE.search(line)]
