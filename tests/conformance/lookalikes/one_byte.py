"""A lookalike that reads one byte at a time from its transport.

It is as slow as that sounds: certify it with `--bound 60`.
"""

import buffered
from plain import Streams


class OneByte(buffered.Buffered):
    """Lends the transport a buffer of one byte."""

    def get_buffer(self, sizehint: int) -> bytearray:
        del self.buffer[1:]
        return self.buffer


streams = Streams(protocol=OneByte)
