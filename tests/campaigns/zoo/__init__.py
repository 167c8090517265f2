"""Broken implementations, each wrong in one way that a person would write.

Each is the lookalike `plain` with a part exchanged (`sound` names the parts).

    streamcert certify campaigns.zoo.reading:OnlyMinusOne --network memory

certifies one by hand, in the folder tests. `tox -e zoo` certifies all on every network, compares
what fails with zoo.lock, and writes docs/generated/zoo.md; with `--accept` it records what fails.
"""

from . import (  # noqa: F401  # each defines specimens
    again,
    classes,
    closing,
    company,
    connecting,
    costs,
    costs_in_each_way,
    edges,
    failing,
    handlers,
    in_each_state,
    lasting,
    meanwhile,
    more_than_one,
    reader,
    reading,
    reading_until,
    reported,
    security,
    sequences,
    serving,
    several,
    states,
    tls,
    together,
    unix,
    upgraded,
    values,
    ways,
    writing,
)
from .specimen import SPECIMENS, Specimen

__all__ = ["SPECIMENS", "Specimen"]
