"""A lookalike whose `async` names return awaitables that are not coroutines.

The page marks them as async, so it fails that clause; it must not fail any other.
"""

from collections.abc import Coroutine, Generator
from typing import Any

from . import plain

NAMES = {
    plain.StreamReader: ("read", "readline", "readexactly", "readuntil", "__anext__"),
    plain.StreamWriter: ("drain", "wait_closed", "start_tls"),
    plain.Streams: ("open_connection", "open_unix_connection", "start_server", "start_unix_server"),
}


class Promise:
    """Awaits a coroutine when it is awaited itself.

    Args:
        coroutine: the coroutine.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._coroutine.__await__())

    def __del__(self) -> None:
        self._coroutine.close()


def promising(kind: type) -> type:
    """Return a subclass whose coroutine methods return promises."""

    def method(name: str) -> Any:
        def call(self: Any, *args: Any, **options: Any) -> Promise:
            return Promise(getattr(super(made, self), name)(*args, **options))

        return call

    made = type(kind.__name__, (kind,), {name: method(name) for name in NAMES[kind]})
    return made


streams = promising(plain.Streams)(promising(plain.StreamReader))
streams.StreamWriter = promising(plain.StreamWriter)
