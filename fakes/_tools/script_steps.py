"""The steps of a script."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from fakes._tools.script_protocol import Conversation
from fakes._trace.hexdiff import count, short, side_by_side


class Surprise(Exception):
    """Something happened that a step does not expect."""


class Step(Protocol):
    """`str()` gives the expected event."""

    async def play(self, conversation: Conversation) -> None:
        """Do it, or wait for it.

        Raises:
            Surprise: something else happens.
        """


@dataclass(frozen=True)
class Expect:
    data: bytes

    def __str__(self) -> str:
        return f"expect {short(self.data)}"

    async def play(self, conversation: Conversation) -> None:
        while True:
            received = bytes(conversation.buffer[: len(self.data)])
            if not self.data.startswith(received):
                # With the bytes after it, to show what the program did instead.
                received = bytes(conversation.buffer)
                raise Surprise(f"expected other bytes\n{side_by_side(self.data, received)}")
            if len(received) == len(self.data):
                conversation.take(len(self.data))
                return
            if conversation.ended:
                raise Surprise(
                    f"{conversation.ended} after {len(received)} of {count(self.data)}\n"
                    f"{side_by_side(self.data, received)}"
                )
            await conversation.more()


@dataclass(frozen=True)
class ExpectUntil:
    separator: bytes

    def __str__(self) -> str:
        return f"expect anything up to {short(self.separator)}"

    async def play(self, conversation: Conversation) -> None:
        looked_at = 0
        while True:
            at = conversation.buffer.find(self.separator, looked_at)
            if at >= 0:
                conversation.take(at + len(self.separator))
                return
            looked_at = max(0, len(conversation.buffer) - len(self.separator) + 1)
            if conversation.ended:
                raise Surprise(
                    f"{conversation.ended} before {short(self.separator)} came; received "
                    f"{short(conversation.buffer)}"
                )
            await conversation.more()


@dataclass(frozen=True)
class ExpectSize:
    size: int

    def __str__(self) -> str:
        return f"expect any {self.size} bytes"

    async def play(self, conversation: Conversation) -> None:
        while len(conversation.buffer) < self.size:
            if conversation.ended:
                raise Surprise(
                    f"{conversation.ended} after {len(conversation.buffer)} of {self.size} bytes; "
                    f"received {short(conversation.buffer)}"
                )
            await conversation.more()
        conversation.take(self.size)


@dataclass(frozen=True)
class ExpectEOF:
    def __str__(self) -> str:
        return "expect EOF"

    async def play(self, conversation: Conversation) -> None:
        while not conversation.eof:
            if conversation.buffer:
                _unexpected(conversation, "EOF")
            if conversation.lost:
                if conversation.error is None:
                    return
                raise Surprise(f"expected EOF; {conversation.ended}")
            await conversation.more()
        if conversation.buffer:
            _unexpected(conversation, "EOF")


@dataclass(frozen=True)
class ExpectReset:
    def __str__(self) -> str:
        return "expect a reset"

    async def play(self, conversation: Conversation) -> None:
        while not conversation.was_reset:
            if conversation.buffer:
                _unexpected(conversation, "a reset")
            if conversation.ended:
                raise Surprise(f"expected a reset; {conversation.ended}")
            await conversation.more()


@dataclass(frozen=True)
class IgnoreRest:
    def __str__(self) -> str:
        return "ignore the rest, until the other side ends"

    async def play(self, conversation: Conversation) -> None:
        conversation.dropping = True
        conversation.buffer.clear()
        while not conversation.ended:
            await conversation.more()


@dataclass(frozen=True)
class Send:
    data: bytes

    def __str__(self) -> str:
        return f"send {short(self.data)}"

    async def play(self, conversation: Conversation) -> None:
        conversation.transport.write(self.data)
        await conversation.drained()
        if conversation.lost:
            raise Surprise(f"could not send: {conversation.ended}")


@dataclass(frozen=True)
class Pause:
    seconds: float

    def __str__(self) -> str:
        return f"pause for {self.seconds:g} s"

    async def play(self, conversation: Conversation) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class SendEOF:
    def __str__(self) -> str:
        return "send EOF"

    async def play(self, conversation: Conversation) -> None:
        if not conversation.transport.can_write_eof():
            raise Surprise("TLS cannot close one direction only: use close()")
        try:
            conversation.transport.write_eof()
        except OSError as exc:
            raise Surprise(f"could not send EOF: {exc}") from None


@dataclass(frozen=True)
class Close:
    def __str__(self) -> str:
        return "close"

    async def play(self, conversation: Conversation) -> None:
        if conversation.buffer:
            _unexpected(conversation, "nothing before closing")
        await conversation.close()


@dataclass(frozen=True)
class Reset:
    def __str__(self) -> str:
        return "reset"

    async def play(self, conversation: Conversation) -> None:
        conversation.reset()
        await conversation.close()


def _unexpected(conversation: Conversation, expected: str) -> None:
    received = bytes(conversation.buffer)
    raise Surprise(
        f"expected {expected}; received {count(received)}\n{side_by_side(b'', received)}"
    )
