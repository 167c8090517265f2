"""A lookalike in which every waiter goes on a turn of the event loop later than necessary."""

import asyncio

from .plain import StreamReader, Streams, Waiters


class Late(Waiters):
    """Wakes the waiters in the loop's next turn."""

    def resolve(self, future: "asyncio.Future[None]") -> None:
        self._loop.call_soon(super().resolve, future)


class Reader(StreamReader):
    """A reader whose program goes on later."""

    waiters = Late


streams = Streams(Reader)
