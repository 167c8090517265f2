"""The buffer of bytes that were received and not yet read.

Plan. Pieces stay the ``bytes`` objects they arrived as: a first one, `head`, read up to `start`,
and a queue of more. A read gets a slice, a join, or, if it takes exactly one piece, the piece
itself. Three exceptions bound the time and the memory:

* A small piece is joined to the rest of the head when that is no longer than the piece, so that
  messages that are cut by the pieces they arrive in are mostly found within the head.
* Other small pieces are gathered in a ``bytearray`` behind the queue. It is sealed into one piece
  when it is full, when a large piece follows, or when its turn to be read comes.
* Pieces larger than a block are cut into blocks, so that a head that is almost read holds less
  than a block of memory for nothing. And blocks are small enough to come from the C library's heap
  and to go back to it: with blocks of 256 KiB, bulk reading on uvloop takes twice as long, because
  the kernel has to provide their pages again and again.

A read of more than a block needs none of that: pieces are gathered in a ``BytesIO``, which hands
them out as ``bytes`` without a copy. `read()` to EOF takes 0.6 of the time that joining blocks in
the end takes (Python 3.15, asyncio's loop).

Positions are counted from the beginning of the head, read or not, so that reading within it moves
nothing but `start`. The reader does that itself, before `ready`, to save a call: a fifth of the
time of reading a short line. And it feeds the two most frequent kinds of pieces itself.

Programs that look into asyncio's buffer (``reader._buffer``) find a ``bytearray`` there, and change
it. On the first access the buffer becomes `Exposed`: from then on, everything held is in one
``bytearray``.

Cost. A byte is copied at most twice on the way in (gathered, sealed; joining copies at most as many
again as arrive) and once on the way out, and a search goes on where the last one for the same
separators ended. So an operation is linear in the bytes that it returns and those that arrived
since the last, whatever the pieces were; memory is the bytes held plus a constant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import accumulate, chain

SMALL = 4 * 1024  # bytes; tuning: smaller pieces are gathered
BLOCK = 64 * 1024  # bytes; tuning: the most that a piece holds
WINDOW = 1024  # bytes; tuning: a search for several separators begins with this and doubles it

NOTHING = bytearray()  # gathered, and never changed

Separators = tuple[bytes, ...]


class Buffer:
    """A queue of bytes: fed in pieces of any size, taken in others, searched for separators."""

    __slots__ = (
        "_more",
        "_separators",
        "_wanted",
        "apart",
        "gathered",
        "head",
        "ready",
        "sealed",
        "searched",
        "start",
        "whole",
    )

    def __init__(self) -> None:
        """Begin empty."""
        self.head = b""  # empty only if there is nothing behind it
        self.start = 0
        self.sealed = 0  # the end of the pieces; the gathered bytes are behind it
        # The head may be read up to here without further checks: all of it, once some of it was
        # taken. The reader may set it back at any time. A piece that is fed is not ready, because a
        # read may wait.
        self.ready = 0
        # The length of the head, if the head is everything, unread and not ready; 0 if there is
        # nothing. Otherwise -1. A read that wants exactly the head, as most waiting reads do, has
        # to check only this: it saves a fifth of the byte codes of its part of an echo.
        self.whole = 0
        # Both are made when a second piece arrives, because most messages arrive in one.
        self._more: deque[bytes] | None = None
        self.gathered: bytearray = NOTHING
        # Where everything goes instead: a `BytesIO` while a large read waits, or the exposed
        # `bytearray`.
        self.apart: BytesIO | bytearray | None = None
        self._wanted = 0  # the bytes that the `BytesIO` is for
        # No match of these separators lies between `start` and `searched`.
        self._separators: Separators = ()
        self.searched = 0

    @property
    def size(self) -> int:
        """The bytes held."""
        return self.sealed - self.start + len(self.gathered)

    def feed(self, data: bytes | memoryview) -> int:
        """Append *data*; return the bytes held. It is ``bytes`` if it is no more than a block."""
        if self.apart is not None:
            return self._put_together(data)
        length = len(data)
        if length <= BLOCK and not self.head:
            self.head = data  # type: ignore[assignment]  # bytes, as it is no more than a block
            self.sealed = self.whole = length
            return length
        self.whole = -1
        if length < SMALL:
            gathered = self.gathered
            if not gathered and self.sealed == len(self.head) <= length + self.start:
                return self._join(data)
            if gathered is NOTHING:
                gathered = self.gathered = bytearray(data)
            else:
                gathered += data
            if len(gathered) >= BLOCK:
                self._seal()
            return self.size
        self._seal()
        self._queue([bytes(data[i : i + BLOCK]) for i in range(0, length, BLOCK)])
        if not self.head:
            self._next()
        return self.size

    def _join(self, data: bytes | memoryview) -> int:
        """Append *data* to the rest of the head, the only piece; return the bytes held."""
        self.head = self.head[self.start :] + data
        self.searched = self.searched - self.start if self.searched > self.start else 0
        self.start = self.ready = 0
        self.sealed = self.whole = len(self.head)
        return self.sealed

    def gather(self, wanted: int) -> None:
        """Gather all pieces, up to *wanted* bytes, until `settle()` or `spread()`."""
        together = BytesIO()
        if self.head:
            together.write(self.head[self.start :])
            for piece in self._more or ():
                together.write(piece)
            together.write(self.gathered)
            self._more = None
            self.gathered.clear()
            self.head = b""
            self.sealed = together.tell()
            self.start = self.ready = self.searched = 0
        self.whole = -1
        self.apart = together
        self._wanted = wanted

    def _put_together(self, data: bytes | memoryview) -> int:
        assert isinstance(self.apart, BytesIO)
        missing = self._wanted - self.sealed
        if len(data) < missing:
            self.apart.write(data)
            self.sealed += len(data)
            return self.sealed
        view = memoryview(data)
        self.apart.write(view[:missing])
        self.settle()
        rest = view[missing:]
        return self.feed(rest if len(rest) > BLOCK else bytes(rest)) if rest else self.sealed

    def settle(self) -> None:
        """End `gather()`: make the gathered bytes the head, to be taken immediately."""
        if self.apart is not None:
            assert isinstance(self.apart, BytesIO)
            self.head = self.apart.getvalue()
            self.sealed = self.whole = len(self.head)
            self.apart = None

    def spread(self) -> None:
        """End `gather()`: nobody takes the bytes immediately, so cut them into blocks."""
        self.settle()
        data = self.head
        if len(data) > BLOCK:
            self.whole = -1
            self.head = data[:BLOCK]
            blocks = [data[i : i + BLOCK] for i in range(BLOCK, len(data), BLOCK)]
            self._more = deque(chain(blocks, self._more or ()))

    def take(self, count: int) -> bytes:
        """Remove and return the first *count* bytes; as many must be held."""
        head = self.head
        start = self.start
        stop = start + count
        self.whole = -1
        if stop < len(head):
            self.start = stop
            self.ready = len(head)
            return head[start:stop]
        if stop == self.sealed == len(head) and not self.gathered:
            self.head = b""
            self.start = self.sealed = self.ready = self.searched = self.whole = 0
            return head[start:]
        parts = []
        while stop >= len(self.head) > 0:
            parts.append(self.head[self.start :] if self.start else self.head)
            stop -= len(self.head)
            self._advance()
        if stop:
            parts.append(self.head[:stop])
            self.start = stop
        self.ready = len(self.head)
        return b"".join(parts)

    def _advance(self) -> None:
        """Drop the head, which is all read, and make the next piece the head."""
        length = len(self.head)
        self.start = 0
        self.sealed -= length
        self.searched = self.searched - length if self.searched > length else 0
        self._next()

    def _next(self) -> None:
        if not self._more:
            self._seal()
        self.head = self._more.popleft() if self._more else b""

    def _seal(self) -> None:
        gathered = self.gathered
        if gathered:
            most = BLOCK + SMALL  # as large as small pieces get, rather than a tiny rest
            with memoryview(gathered) as view:
                self._queue([bytes(view[i : i + most]) for i in range(0, len(view), most)])
            gathered.clear()

    def _queue(self, pieces: Sequence[bytes]) -> None:
        if self._more is None:
            self._more = deque()
        self._more.extend(pieces)
        self.sealed += sum(map(len, pieces))

    def expose(self, instead: bytearray | None = None) -> bytearray:
        """Hold everything, or *instead* if given, in one ``bytearray`` from now on; return it."""
        self.settle()
        held = self.take(self.size)
        self.gathered = self.apart = bytearray(held) if instead is None else instead
        self.ready = 0
        self.whole = -1
        self.__class__ = Exposed
        return self.gathered

    def find(self, separators: Separators, longest: int, clear: int = 0) -> tuple[int, int] | None:
        """Return the first separator to be complete, as ``(begin, end)`` counted from `start`.

        Of those that end together it is the shortest. *longest* is the length of the longest
        separator; none may be empty. None begins within the first *clear* bytes: this is for
        callers that do not remember how far the last search came.
        """
        if separators != self._separators:
            self._separators = separators
            self.searched = 0
        # Where a match that is not excluded can begin.
        position = self.searched - longest + 1
        if position < self.start:
            position = self.start
        if self.sealed == len(self.head) and not self.gathered:
            match = first_match(self.head, position, separators, longest)
            if match:
                return match[0] - self.start, match[1] - self.start
            self.searched = self.sealed
            return None
        before = b""  # bytes that may begin a match that ends in the next piece
        for base, piece in self._pieces(position):
            begin = position - base if position > base else 0
            # With the bytes before it: every match that ends within the first longest - 1 bytes of
            # the piece.
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
        self.searched = self.sealed + len(self.gathered)
        return None

    def _pieces(self, position: int) -> Iterable[tuple[int, bytes | bytearray]]:
        """Return each piece and where it begins, from the one on that holds *position*."""
        gathered = self.sealed, self.gathered
        if position >= gathered[0]:
            return (gathered,)
        if not self._more:
            return (0, self.head), gathered
        if position < len(self.head):
            bases = accumulate(map(len, chain((self.head,), self._more)), initial=0)
            return zip(bases, chain((self.head,), self._more, (self.gathered,)), strict=True)
        # The bytes that have arrived since the last search are at the end: search from there.
        pieces: deque[tuple[int, bytes | bytearray]] = deque((gathered,))
        for piece in reversed(self._more):
            base = pieces[0][0]
            if base <= position:
                break
            pieces.appendleft((base - len(piece), piece))
        return pieces


class Exposed(Buffer):
    """A buffer that is one ``bytearray``, which programs read and change too.

    It has no head that could be ready: every read has to call it. `gathered` is everything.
    """

    __slots__ = ()

    def feed(self, data: bytes | memoryview) -> int:
        """Append *data*; return the bytes held."""
        self.gathered += data
        return len(self.gathered)

    def take(self, count: int) -> bytes:
        """Remove and return the first *count* bytes; as many must be held."""
        data = bytes(self.gathered[:count])
        del self.gathered[:count]
        return data

    def gather(self, wanted: int) -> None:
        """Do nothing: everything is in one place. So do the two methods that end it."""

    def settle(self) -> None:
        """See `gather()`."""

    def spread(self) -> None:
        """See `gather()`."""

    def expose(self, instead: bytearray | None = None) -> bytearray:
        """Return the ``bytearray``, after replacing it by *instead* if that is given."""
        if instead is not None:
            self.gathered = self.apart = instead
        return self.gathered

    def conceal(self) -> bytearray:
        """Be an ordinary buffer again; nothing may be held. Return its `gathered`."""
        self.gathered = bytearray()
        self.apart = None
        self.whole = 0
        self.__class__ = Buffer  # type: ignore[assignment]  # which is why it is done
        return self.gathered

    def find(self, separators: Separators, longest: int, clear: int = 0) -> tuple[int, int] | None:
        """Return the result of `Buffer.find()`."""
        return first_match(self.gathered, clear, separators, longest)


def first_match(
    piece: bytes | bytearray, begin: int, separators: Separators, longest: int
) -> tuple[int, int] | None:
    """Find in one piece, from *begin* on, the match that `Buffer.find()` finds in all of them."""
    if len(separators) == 1:
        at = piece.find(separators[0], begin)
        return (at, at + longest) if at >= 0 else None
    # Do not search for one separator far beyond the match of another: search a window, and double
    # it while it has no match.
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
