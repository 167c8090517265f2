"""The high-water and low-water marks of a write buffer."""

from __future__ import annotations

import asyncio
from typing import Any

DEFAULT_HIGH_WATER = 64 * 1024


class WriteFlowControl:
    """The high-water and low-water marks of a write buffer, and the calls to the protocol.

    A class that uses it returns how full its buffer is (`get_write_buffer_size()`) and calls
    `_maybe_pause_protocol()` when it has grown and `_maybe_resume_protocol()` when it has shrunk.
    """

    _loop: asyncio.AbstractEventLoop
    _protocol: Any
    _high_water: int = DEFAULT_HIGH_WATER
    _low_water: int = DEFAULT_HIGH_WATER // 4
    _protocol_paused: bool = False

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the kernel has not taken yet."""
        raise NotImplementedError

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return `(low, high)` in bytes."""
        return (self._low_water, self._high_water)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the high-water and low-water marks, in bytes.

        As asyncio-protocol (3.15) describes it.

        Args:
            high: by default 64 KiB, or four times `low` if that is given.
            low: by default a quarter of `high`.

        Raises:
            ValueError: not `high >= low >= 0`.
        """
        if high is None:
            high = DEFAULT_HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high_water = high
        self._low_water = low
        self._maybe_pause_protocol()

    def _maybe_pause_protocol(self) -> None:
        if not self._protocol_paused and self.get_write_buffer_size() > self._high_water:
            self._protocol_paused = True
            self._tell_protocol("pause_writing")

    def _maybe_resume_protocol(self) -> None:
        if self._protocol_paused and self.get_write_buffer_size() <= self._low_water:
            self._protocol_paused = False
            self._tell_protocol("resume_writing")

    def _tell_protocol(self, method: str) -> None:
        try:
            getattr(self._protocol, method)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._loop.call_exception_handler(
                {
                    "message": f"protocol.{method}() failed",
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
