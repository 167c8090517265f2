"""Readers without a connection, to decide in which turn of the loop bytes arrive."""

from asyncio import StreamReader

from conformance.errors import NotApplicable
from conformance.harness.trial import Trial

LIMIT = 64 * 1024
"""The default limit of readers, in bytes."""


def by_hand(trial: Trial, limit: int = LIMIT, *needs: str) -> StreamReader:
    """Return a reader that the test feeds itself.

    The page advises against making readers, and does not say how they are fed. So only clauses
    about such readers need them.

    Args:
        trial: the trial.
        limit: the reader's limit in bytes.
        needs: the methods that the test calls beside `feed_data()` and `feed_eof()`.

    Raises:
        NotApplicable: the implementation has no such readers.
    """
    try:
        reader = trial.streams.StreamReader(limit=limit, loop=trial.loop)
    except Exception as error:
        raise NotApplicable("a StreamReader cannot be made by hand") from error
    for method in ("feed_data", "feed_eof", *needs):
        if not hasattr(reader, method):
            raise NotApplicable(f"StreamReader.{method}() is not offered")
    return reader
