"""A lookalike that receives only while a read waits for something: nothing is read ahead."""

import asyncio
from contextlib import suppress
from typing import Any

from .plain import StreamReader, Streams


class OnDemand(StreamReader):
    """A reader whose transport is paused most of the time."""

    def set_transport(self, transport: Any) -> None:
        super().set_transport(transport)
        # Two turns later: a transport that is paused in the turn in which it is made (asyncio's),
        # or in the next (uvloop's), keeps back the end of a TLS handshake until it is resumed.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._begin, transport)

    def _begin(self, transport: Any) -> None:
        if transport is self._transport:  # and not TLS, which receives its handshake
            self._hold_back()

    def feed_data(self, data: Any) -> None:
        super().feed_data(data)
        self._pause()

    def let_close(self) -> None:
        self._resume()

    def take_back(self) -> bytes:
        self._resume()
        return super().take_back()

    async def _wait(self) -> None:
        self._resume()
        await super()._wait()

    def _hold_back(self) -> None:
        if not self._readers:
            self._pause()

    def _let_go_on(self) -> None:
        """Do not resume after a read: only a waiting read does."""

    def _pause(self) -> None:
        if self._transport and not self._holding_back:
            with suppress(NotImplementedError, RuntimeError):
                self._transport.pause_reading()
                self._holding_back = True

    def _resume(self) -> None:
        super()._let_go_on()


streams = Streams(OnDemand)
