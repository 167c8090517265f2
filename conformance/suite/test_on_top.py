"""Tests of other files, on connections that start_tls() has upgraded: they are streams like others.

Only in memory: that TLS begins later makes no difference to the network.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Unpack, cast

from conformance.harness.clause import Some, clause
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


class Upgrading:
    """A trial whose connections are upgraded before a test gets them.

    Args:
        trial: the trial.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    async def connect(self, **options: Unpack[ConnectionOptions]) -> Connection:
        """Connect as the trial does, and upgrade."""
        reader, writer, _ = connection = await self._trial.connect(**options)
        return Connection(reader, writer, await upgrade(self._trial, connection))

    def __getattr__(self, name: str) -> Any:
        """Return the trial's attribute."""
        return getattr(self._trial, name)


def on_top(id_: str, test: Callable[[Trial], None]) -> Callable[[Trial], None]:
    """Return a test as one that runs on upgraded connections.

    Args:
        id_: the id of its clause.
        test: the test, a coroutine function.
    """
    original = inspect.unwrap(test)

    @functools.wraps(original)
    async def run(trial: Trial) -> None:
        await cast(Any, original)(Upgrading(trial))

    return clause(id_, networks=IN_MEMORY)(run)


# Writing.

test_order = on_top("write.order", writing.test_order)
test_wide = on_top("write.memoryview.wide-items", writing.test_memoryview_of_wide_items)
test_wide_lines = on_top("writelines.wide-items", writing.test_writelines_of_wide_items)
test_wrong_type = on_top("write.wrong-type", writing.test_wrong_type)
test_many_small = on_top("write.many-small", writing.test_many_small)
test_iterables = on_top("writelines.iterable", writing.test_iterable)
test_after_close = on_top("write.after-close", writing.test_after_close)

test_resumes = on_top("drain.resumes", draining.test_resumes)
test_concurrent = on_top("drain.concurrent", draining.test_concurrent)
test_drain_raises = on_top("drain.cancelled.raises", draining.test_cancelled_raises)
test_abort_raises = on_top("drain.abort.raises", draining.test_abort_raises)

# Reading.

test_all = on_top("read.all.waits-for-eof", read.test_all_waits_for_eof)
test_cancelled = on_top("read.n.cancelled-loses-nothing", read.test_cancelled)
test_exactly = on_top("readexactly.eof.partial", readexactly.test_partial)
test_lines = on_top("readline.leaves-the-rest", readline.test_leaves_the_rest)
test_partial_line = on_top("readline.eof.returns-partial", readline.test_eof_returns_partial)
test_splits = on_top("readuntil.separator.any-split", readuntil.test_separator_split_anywhere)
test_overrun = on_top("readuntil.limit.data-is-kept", readuntil.test_data_is_kept)
test_loop = on_top("reader.iteration.whole-stream", reader.test_iteration_over_the_whole_stream)
test_loop_limit = on_top("reader.iteration.limit", reader.test_iteration_and_the_limit)
test_feed_eof = on_top("reader.feed-eof.ends-reads", reader.test_feed_eof_ends_reads)
test_read_raises = on_top("reader.cancelled.raises", reader.test_cancelled_read_raises)
test_next_read = on_top(
    "reader.concurrent.after-cancelling", reader.test_read_right_after_cancelling_another
)

# Closing.

test_sends_first = on_top("close.sends-first", closing.test_sends_what_waits_first)
test_waiting_drains = on_top("drain.close.waiting", draining.test_close_while_waiting)
test_ends_reads = on_top("close.ends-reads", closing.test_ends_reads)
test_several = on_top("wait_closed.several", closing.test_several)
test_others = on_top("wait_closed.cancelled.leaves-others", closing.test_cancelled_leaves_others)
test_later = on_top("wait_closed.cancelled.later-calls", closing.test_cancelled_and_later_calls)
test_own_exception = on_top("wait_closed.after-reset.own-exception", closing.test_own_exception)
test_same_state = on_top("transport.same-state", transport.test_same_state)
test_unknown = on_top("get_extra_info.default", transport.test_default)
