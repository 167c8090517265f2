"""A lookalike in which whoever waits goes on a turn of the event loop later than he could."""

import asyncio

from .plain import StreamReader, Streams, Waiters


class Late(Waiters):
    """Has the loop call, in its next turn, what would let them go on now."""

    def resolve(self, future: "asyncio.Future[None]") -> None:
        self._loop.call_soon(super().resolve, future)


class Reader(StreamReader):
    """A reader whose program goes on later."""

    waiters = Late


streams = Streams(Reader)
