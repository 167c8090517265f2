"""Bytes received and not yet read.

Plan. Pieces stay the ``bytes`` objects they arrived as: a first one, `head`, read up to `start`,
and a queue of more. Whoever reads gets a slice, a join, or, if it takes exactly one piece, the
piece itself. Three exceptions bound the time and the memory:

* A small piece is joined to what is left of the head when that is no longer than the piece, so that
  messages that are cut by the pieces they arrive in are mostly found within the head.
* Other small pieces are gathered in a ``bytearray`` behind the queue. It is sealed into one piece
  when it is full, when a large piece follows, or when its turn to be read comes.
* Pieces larger than a block are cut into blocks, so that a head that is almost read holds less than
  a block in vain.

Positions are counted from the beginning of the head, read or not, so that reading within it moves
nothing but `start`. The reader does that itself, up to `ready`, to save the call.

Cost. A byte is copied at most twice on the way in (gathered, sealed; joining copies at most as many
again as arrive) and once on the way out, and a search goes on where the last one for the same
separators ended. So an operation is linear in the bytes that it returns and those that arrived
since the last, whatever the pieces were; memory is the bytes held plus a constant.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from itertools import accumulate, chain

SMALL = 4 * 1024  # bytes; smaller pieces are gathered
FULL = 64 * 1024  # bytes; gathered pieces are sealed at this size
BLOCK = 256 * 1024  # bytes; what transports receive at once, and the most that a piece holds
WINDOW = 1024  # bytes; a search for several separators begins with this much and doubles it

Separators = tuple[bytes, ...]


class Buffer:
    """A queue of bytes: fed in pieces of any size, taken in others, searched for separators."""

    __slots__ = (
        "_gathered",
        "_more",
        "_reserved",
        "_separators",
        "end",
        "head",
        "ready",
        "searched",
        "start",
    )

    def __init__(self) -> None:
        """Begin empty."""
        self.head = b""  # empty only if there is nothing behind it
        self.start = 0
        self.end = 0  # of everything held
        self.ready = 0  # how far the head may be read without leaving less than is reserved
        self._reserved = 0
        self._more: deque[bytes] = deque()
        self._gathered = bytearray()
        # No match of these separators lies between `start` and `searched`.
        self._separators: Separators = ()
        self.searched = 0

    @property
    def size(self) -> int:
        """The bytes held."""
        return self.end - self.start

    def feed(self, data: bytes) -> int:
        """Append *data*; return the bytes held."""
        length = len(data)
        if self.head:
            if length < SMALL:
                if self.end == len(self.head) <= length + self.start:
                    return self._join(data)
                gathered = self._gathered
                gathered += data
                if len(gathered) >= FULL:
                    self._seal()
            else:
                self._seal()
                self._more.extend(data[i : i + BLOCK] for i in range(0, length, BLOCK))
            self.end = end = self.end + length
            return end - self.start
        self.end = length
        if length <= BLOCK:
            self.head = data
            self.ready = length if not self._reserved else 0
        else:
            self._more.extend(data[i : i + BLOCK] for i in range(0, length, BLOCK))
            self._next()
        return length

    def _join(self, data: bytes) -> int:
        """Append *data* to what is left of the head, the only piece; return the bytes held."""
        self.head = self.head[self.start :] + data
        self.searched = self.searched - self.start if self.searched > self.start else 0
        self.start = 0
        self.end = len(self.head)
        self.reserve(self._reserved)
        return self.end

    def take(self, count: int) -> bytes:
        """Remove and return the first *count* bytes; as many must be held."""
        start = self.start
        stop = start + count
        if stop <= len(self.head):
            data = self.head[start:stop]
            self.start = stop
            if stop == len(self.head):
                self.advance()
            return data
        parts = []
        while stop >= len(self.head) > 0:
            parts.append(self.head[self.start :] if self.start else self.head)
            stop -= len(self.head)
            self.advance()
        if stop:
            parts.append(self.head[:stop])
            self.start = stop
        return b"".join(parts)

    def advance(self) -> None:
        """Drop the head, which is all read, and make the next piece the head."""
        length = len(self.head)
        self.start = 0
        if self.end == length:
            self.head = b""
            self.end = self.ready = self.searched = 0
            return
        self.end -= length
        self.searched = self.searched - length if self.searched > length else 0
        self._next()

    def _next(self) -> None:
        if not self._more:
            self._seal()
        self.head = self._more.popleft()
        self.reserve(self._reserved)

    def reserve(self, count: int) -> None:
        """Let `ready` leave *count* bytes from now on; 0 for none."""
        self._reserved = count
        self.ready = min(len(self.head), self.end - count)

    def hold(self) -> None:
        """Let `ready` leave everything, whatever arrives, until the next `reserve()`."""
        self._reserved = sys.maxsize
        self.ready = 0

    def _seal(self) -> None:
        if self._gathered:
            self._more.append(bytes(self._gathered))
            self._gathered.clear()

    def find(self, separators: Separators, longest: int) -> tuple[int, int] | None:
        """Return the first separator to be complete, as ``(begin, end)`` counted from `start`.

        Of those that end together it is the shortest. *longest* is the length of the longest
        separator; none may be empty.
        """
        if separators != self._separators:
            self._separators = separators
            self.searched = 0
        # Where a match that is not excluded can begin.
        position = self.searched - longest + 1
        if position < self.start:
            position = self.start
        before = b""  # what may begin a match that ends in the next piece
        for base, piece in self._pieces(position):
            begin = position - base if position > base else 0
            # With what is before it: all that ends within the first longest - 1 bytes of the piece.
            found = before and first_match(before + piece[: longest - 1], 0, separators, longest)
            if found:
                base -= len(before)
            else:
                found = first_match(piece, begin, separators, longest)
            if found:
                offset = base - self.start
                return found[0] + offset, found[1] + offset
            if longest > 1:
                before = (before + piece[max(begin, len(piece) - longest + 1) :])[1 - longest :]
        self.searched = self.end
        return None

    def _pieces(self, position: int) -> Iterable[tuple[int, bytes | bytearray]]:
        """Return each piece and where it begins, from the one on that holds *position*."""
        gathered = self.end - len(self._gathered), self._gathered
        if position >= gathered[0]:
            return (gathered,)
        if not self._more:
            return (0, self.head), gathered
        if position < len(self.head):
            bases = accumulate(map(len, chain((self.head,), self._more)), initial=0)
            return zip(bases, chain((self.head,), self._more, (self._gathered,)), strict=True)
        # What has arrived since the last search is at the end: look for it from there.
        pieces: deque[tuple[int, bytes | bytearray]] = deque((gathered,))
        for piece in reversed(self._more):
            base = pieces[0][0]
            if base <= position:
                break
            pieces.appendleft((base - len(piece), piece))
        return pieces


def first_match(
    piece: bytes | bytearray, begin: int, separators: Separators, longest: int
) -> tuple[int, int] | None:
    """Find in one piece, from *begin* on, what `Buffer.find()` finds in all of them."""
    if len(separators) == 1:
        at = piece.find(separators[0], begin)
        return (at, at + longest) if at >= 0 else None
    # One separator must not be looked for far beyond the match of another: look at a window, and
    # double it while there is nothing in it.
    length = len(piece)
    window = WINDOW
    while begin < length:
        limit = stop = min(begin + window, length)
        found: tuple[int, int] | None = None
        for separator in separators:
            at = piece.find(separator, begin, stop)
            if at >= 0 and (found is None or at + len(separator) < stop or at > found[0]):
                stop = at + len(separator)
                found = at, stop
        if found or limit == length:
            return found
        begin = max(begin, limit - longest + 1)
        window *= 2
    return None
