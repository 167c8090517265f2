"""A lookalike that reads one byte at a time from its transport.

It is as slow as that sounds: certify it with `--bound 60`.
"""

from . import buffered
from .plain import Streams


class OneByte(buffered.Buffered):
    """Lends the transport a buffer of one byte."""

    def get_buffer(self, sizehint: int) -> memoryview:
        return super().get_buffer(sizehint)[:1]


streams = Streams(protocol=OneByte)
