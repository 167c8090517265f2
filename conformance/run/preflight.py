"""Checks before the tests: whether the implementation can be certified at all.

An implementation that fails here would fail most tests, each with a message about something else.
"""

import asyncio
import inspect
import socket
from collections.abc import Collection, Coroutine
from contextlib import closing, suppress
from typing import Any, TypeVar

from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.errors import CannotRun, Hang, shown, users_code
from conformance.harness.hang import hang_of, watchdog
from conformance.networks import NETWORKS
from conformance.networks.adapter import network_of
from conformance.subject.capabilities import ATTRIBUTES, CUSTOMARY
from conformance.subject.event_loop import Loop, end
from conformance.subject.implementation import Implementation
from fakes import NotSimulated

T = TypeVar("T")

PATIENCE = 5.0  # seconds that anything here may take


def check(streams: Implementation, loop: Loop, networks: tuple[str, ...]) -> None:
    """Check that `streams` can be certified on `loop` and `networks`.

    Raises:
        CannotRun: it cannot; the message says why, and what to do.
    """
    if isinstance(streams.adapter, ReaderAdapter):
        _check_reader(streams.name, streams.adapter, loop)
    elif isinstance(streams.adapter, PairAdapter):
        _check_pair(streams, streams.adapter, loop)
    elif loop.name not in ("asyncio", "uvloop") and not all(
        NETWORKS[each].in_memory for each in networks
    ):
        _check_kernel(loop)


def _check_reader(name: str, adapter: ReaderAdapter, loop: Loop) -> None:
    async def make() -> None:
        reader = _not_async(name, "reader", adapter.reader(2**16))
        _see_that_it_has(name, "StreamReader", reader, adapter.without)
        _not_async(name, "feed_data", adapter.feed_data(reader, b"?"))
        _not_async(name, "feed_eof", adapter.feed_eof(reader))
        await _closing(name, adapter, reader)

    with users_code(f"certify {name}: cannot make a reader and feed it"):
        _run(network_of(adapter).new_loop(loop), make())


def _not_async(name: str, method: str, returned: T) -> T:
    """Return what a method of an adapter returned, unless that is a coroutine."""
    if inspect.iscoroutine(returned):
        returned.close()
        raise CannotRun(
            f"cannot certify {name}: {method}() of the adapter is async: write it as `def`"
        )
    return returned


async def _closing(name: str, adapter: ReaderAdapter | PairAdapter, made: Any) -> None:
    """Let an adapter release the resources of what it made."""
    with users_code(f"certify {name}: close() of the adapter fails"):
        closing: object = adapter.close(made)
        if not inspect.isawaitable(closing):
            raise CannotRun(
                f"cannot certify {name}: close() of the adapter returned {shown(closing)}: write "
                "it as `async def`"
            )
        await closing


def _see_that_it_has(name: str, kind: str, made: object, without: Collection[str]) -> None:
    """Check that an adapter's ends have the page's names, except those in `without`."""
    names = [each for each in ATTRIBUTES[kind] if "." not in each and each not in CUSTOMARY]
    lacking = [each for each in names if not hasattr(made, each)]
    if lacking == names:
        raise CannotRun(
            f"cannot certify {name}: the adapter returned {shown(made)} for a {kind}: it has "
            f"none of {', '.join(names)}"
        )
    lacking = [each for each in lacking if f"{kind}.{each}" not in without]
    if lacking:
        declared = ", ".join(repr(f"{kind}.{each}") for each in lacking)
        raise CannotRun(
            f"cannot certify {name}: a {type(made).__qualname__} has no {', '.join(lacking)}: "
            f"if that is so, add to `without`: {declared}"
        )


def _check_pair(streams: Implementation, adapter: PairAdapter, loop: Loop) -> None:
    doing = f"certify {streams.name}: cannot make a pair"

    async def make() -> None:
        with users_code(doing):
            making: object = adapter.pair(2**16)
            if not inspect.isawaitable(making):
                raise CannotRun(
                    f"cannot certify {streams.name}: pair() returned {shown(making)}: write it as "
                    "`async def`, let it return the two ends, and give them back in close()"
                )
            ends = await making
        try:
            (reader, writer), (far_reader, far_writer) = ends
        except (TypeError, ValueError):
            raise CannotRun(
                f"cannot certify {streams.name}: pair() returned {shown(ends)} and not two ends, "
                "each a (reader, writer)"
            ) from None
        _see_that_it_has(streams.name, "StreamReader", reader, streams.without)
        _see_that_it_has(streams.name, "StreamWriter", writer, streams.without)
        if not adapter.one_end:  # otherwise it is a helper, and is complete
            _see_that_it_has(streams.name, "StreamReader", far_reader, streams.far_without)
            _see_that_it_has(streams.name, "StreamWriter", far_writer, streams.far_without)
        connected = await _are_connected(streams, *ends)
        for each in (writer, far_writer):
            with suppress(Exception):
                each.close()
        await _closing(streams.name, adapter, ends)
        if not connected:
            raise CannotRun(
                f"cannot certify {streams.name}: the ends that pair() returned are not connected: "
                f"what one writes does not reach the other within {PATIENCE:g} s"
            )

    try:
        with users_code(doing):
            _run(network_of(adapter).new_loop(loop), make())
    except CannotRun as reason:
        if isinstance(reason.__cause__, NotSimulated):
            raise CannotRun(
                f"{reason}: if it needs the real thing, set virtual_time = False"
            ) from None
        raise


async def _are_connected(streams: Implementation, one: Any, other: Any) -> bool:
    """Return whether a byte passes between two ends, in one way or the other.

    The clauses check everything else.
    """
    if {"StreamReader.read", "StreamWriter.write"} & (streams.without | streams.far_without):
        return True

    async def pass_byte(writer: Any, reader: Any) -> bool:
        with suppress(Exception):
            writer.write(b"?")
            return bool(await reader.read(1))
        return False

    async def flush(writer: Any) -> None:
        with suppress(Exception):
            await writer.drain()

    waiting = {
        asyncio.ensure_future(pass_byte(one[1], other[0])),
        asyncio.ensure_future(pass_byte(other[1], one[0])),
    }
    flushing = [asyncio.ensure_future(flush(each)) for _, each in (one, other)]
    while waiting:
        done, waiting = await asyncio.wait(
            waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if not done or any(each.result() for each in done):
            break
    for each in (*waiting, *flushing):
        each.cancel()
    return bool(done) and any(each.result() for each in done)


def _check_kernel(loop: Loop) -> None:
    """Check that connections that `loop` makes are the kernel's."""
    reason = "nothing has come there"
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)

        async def connect() -> None:
            running = asyncio.get_running_loop()
            transport, _ = await running.create_connection(
                asyncio.Protocol, *listener.getsockname()
            )
            transport.close()

        try:
            _run(loop.factory(), connect())
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
        with suppress(BlockingIOError):
            listener.accept()[0].close()
            return
    raise CannotRun(
        f"cannot certify on loop {loop.name!r}: it does not connect to a socket of the kernel's "
        f"({reason}); a loop with a network of its own needs a PairAdapter: see docs/certify.md"
    )


def _run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on `loop`, for as long as it may take, and end the loop."""
    task = loop.create_task(main)
    try:
        with watchdog(4 * PATIENCE):
            loop.run_until_complete(asyncio.wait([task], timeout=2 * PATIENCE))
            if not task.done():
                raise hang_of(task, [], f"after {2 * PATIENCE:g} s")
            return task.result()
    except Hang as hang:
        raise TimeoutError(hang.seen) from None
    finally:
        task.cancel()
        for each in asyncio.all_tasks(loop):
            each.cancel()
        with suppress(Exception):
            loop.run_until_complete(asyncio.sleep(0))
            if task.done() and not task.cancelled():
                task.exception()  # errors after its forced end do not matter
            end(loop)
