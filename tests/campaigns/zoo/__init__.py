"""Broken implementations, each wrong in one way that a person would write.

    streamcert certify zoo.reading:OnlyMinusOne --network memory

certifies one by hand, in the folder tests/conformance; `tox -e zoo` certifies all on every network
and writes docs/zoo.md.
"""

from . import (  # noqa: F401  # each defines specimens
    closing,
    connecting,
    handlers,
    reader,
    reading,
    reading_until,
    serving,
    tls,
    unix,
    writing,
)
from .specimen import SPECIMENS, Specimen

__all__ = ["SPECIMENS", "Specimen"]
