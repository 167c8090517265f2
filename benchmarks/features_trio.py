"""The features of features.py that trio's testing streams can be asked for, over these.

    python -m pip install trio trustme
    python benchmarks/features_trio.py

They are pairs, not a network: who connects where, and what sockets are told, has no counterpart.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trustme
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

BOUND = 5  # seconds of real time until a program is said to hang


async def received(stream: Any) -> bytes:
    """Return all that comes until the end."""
    data = bytearray()
    async for piece in stream:
        data += piece
    return bytes(data)


async def half_close() -> None:
    """A side that has ended its data still receives."""
    one, other = memory_stream_pair()
    await one.send_all(b"all")
    await one.send_eof()
    await other.send_all(b"got " + await received(other))
    await other.aclose()
    assert await received(one) == b"got all"


async def end_after_data() -> None:
    """What was sent before closing arrives, all of it, then the end."""
    one, other = memory_stream_pair()
    await one.send_all(bytes(1_000_000))
    await one.aclose()
    assert len(await received(other)) == 1_000_000


async def reset_on_unread_data() -> None:
    """Closing with unread data resets the connection."""
    one, other = memory_stream_pair()
    await one.send_all(b"unread")
    await other.aclose()
    try:
        await one.receive_some()
    except trio.BrokenResourceError:
        return
    raise AssertionError("an orderly end")


async def flow_control(pair: Callable[[], Any] = memory_stream_pair) -> None:
    """A sender waits for a peer that does not read."""
    one, _ = pair()
    with trio.move_on_after(1) as scope:
        for _ in range(1000):
            await one.send_all(bytes(100_000))
    assert scope.cancelled_caught, "100 MB were taken"


async def flow_control_in_lockstep() -> None:
    """The same, over the pair whose every send waits until it is received."""
    await flow_control(lockstep_stream_pair)


async def write_to_closed_peer() -> None:
    """Sending to a peer that has closed fails."""
    one, other = memory_stream_pair()
    await other.aclose()
    try:
        await one.send_all(b"x")
    except trio.BrokenResourceError:
        return
    raise AssertionError("no error")


async def tls() -> None:
    """TLS, with certificates checked."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    one, other = memory_stream_pair()
    near = trio.SSLStream(one, client, server_hostname="localhost")
    far = trio.SSLStream(other, server, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, b"secret")
        assert await far.receive_some() == b"secret"


async def threads() -> None:
    """trio.to_thread.run_sync() runs in a thread."""
    assert await trio.to_thread.run_sync(threading.get_ident) != threading.get_ident()


async def virtual_hours() -> None:
    """Ten hours' sleep takes no time."""
    before = time.monotonic()
    await trio.sleep(36000)
    assert time.monotonic() - before < BOUND, "waited"


async def no_hang() -> None:
    """Waiting for what never comes is an error, not a hang."""
    scope = trio.CancelScope()
    token = trio.lowlevel.current_trio_token()
    threading.Timer(BOUND, token.run_sync_soon, [scope.cancel]).start()
    with scope:
        await trio.sleep_forever()
    raise AssertionError("it hangs")


def outcome(feature: Callable[[], Awaitable[None]]) -> str:
    """Return "yes", or what happened instead."""

    try:
        trio.run(feature, clock=MockClock(autojump_threshold=0))
    except AssertionError as exc:
        return f"no: {exc}"
    return "yes"


def main() -> None:
    """Try everything and print a table."""
    print(f"{'':26}trio {trio.__version__}")
    for feature in (
        half_close,
        end_after_data,
        reset_on_unread_data,
        flow_control,
        flow_control_in_lockstep,
        write_to_closed_peer,
        tls,
        threads,
        virtual_hours,
        no_hang,
    ):
        print(f"{feature.__name__:26}{outcome(feature)}", flush=True)


if __name__ == "__main__":
    main()
