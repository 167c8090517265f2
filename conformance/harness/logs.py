"""Records that asyncio's logger receives."""

import logging


class Log(logging.Handler):
    """Keeps the messages of asyncio's logger, from warnings up.

    Attributes:
        messages: the messages.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(record.getMessage())

    def __enter__(self) -> "Log":
        """Begin."""
        logging.getLogger("asyncio").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        logging.getLogger("asyncio").removeHandler(self)
