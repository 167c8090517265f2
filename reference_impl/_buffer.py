"""Bytes received and not yet read.

Plan. Pieces stay the ``bytes`` objects they arrived as, in a deque, with an offset into the first;
whoever reads gets a slice, a join, or, when the read covers exactly one piece, the piece itself.
Two exceptions bound the memory:

* Small pieces that follow one another are gathered in a ``bytearray``, which is always the last
  piece. It is sealed into ``bytes`` when it is full, when a large piece follows it, and when it is
  read from; what was sealed is never opened again.
* Pieces larger than a block are cut into blocks, so that what a half-read first piece still holds
  is less than one block.

Cost. A byte is copied at most twice on the way in (gathered, sealed) and once on the way out, and a
search goes on where the last search for the same separators stopped. So each operation is linear
in the bytes that it returns, plus the bytes that arrived since, whatever the pieces were; memory is
the bytes held plus a constant.
"""

from __future__ import annotations

from collections import deque

SMALL = 4096  # bytes; pieces below this size are gathered
BLOCK = 256 * 1024  # bytes; the most one piece holds, and as much as a transport receives at once
TAIL = 64 * 1024  # bytes; a gathered piece is sealed at this size
WINDOW = 1024  # bytes; a search for several separators starts with this much and doubles it


class Buffer:
    """A queue of bytes: fed in pieces of any size, read in others, searched for separators."""

    __slots__ = ("_pieces", "_searched", "_separators", "_start", "size")

    def __init__(self) -> None:
        """Start empty."""
        self.size = 0  # bytes held
        self._pieces: deque[bytes | bytearray] = deque()
        self._start = 0  # how much of the first piece has been read
        # No match of these separators ends within the first `_searched` bytes held.
        self._separators: tuple[bytes, ...] = ()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Append *data*, which nobody will change."""
        pieces = self._pieces
        length = len(data)
        self.size += length
        if not pieces:
            if length <= BLOCK:
                pieces.append(data)
                return
        else:
            last = pieces[-1]
            if length < SMALL:
                if type(last) is bytearray:
                    last += data
                    if len(last) >= TAIL:
                        pieces[-1] = bytes(last)
                elif len(last) < SMALL and (len(pieces) > 1 or not self._start):
                    gathered = bytearray(last)
                    gathered += data
                    pieces[-1] = gathered
                else:
                    pieces.append(data)
                return
            if type(last) is bytearray:
                pieces[-1] = bytes(last)
            if length <= BLOCK:
                pieces.append(data)
                return
        pieces.extend(data[i : i + BLOCK] for i in range(0, length, BLOCK))

    def take(self, count: int) -> bytes:
        """Remove and return the first *count* bytes; at least 1, and as many must be held."""
        pieces = self._pieces
        start = self._start
        head = pieces[0]
        if type(head) is bytearray:
            head = pieces[0] = bytes(head)
        self.size -= count
        self._searched = self._searched - count if self._searched > count else 0
        end = start + count
        if end < len(head):
            self._start = end
            return head[start:end]  # type: ignore[return-value]  # sealed above
        pieces.popleft()
        self._start = 0
        if start:
            head = head[start:]
        missing = end - start - len(head)
        if not missing:
            return head  # type: ignore[return-value]  # sealed above
        parts = [head]
        while missing:
            head = pieces[0]
            if len(head) <= missing:
                parts.append(pieces.popleft())
                missing -= len(head)
            else:
                if type(head) is bytearray:
                    head = pieces[0] = bytes(head)
                parts.append(head[:missing])
                self._start = missing
                break
        return b"".join(parts)

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self.size = self._start = self._searched = 0

    def find(self, separators: tuple[bytes, ...], longest: int) -> tuple[int, int] | None:
        """Find the match that ends first, as ``(begin, end)`` counted from the first byte held.

        Of matches that end together the shortest is returned. *longest* is the length of the
        longest separator; none may be empty.
        """
        if separators != self._separators:
            self._separators = separators
            self._searched = 0
        pieces = self._pieces
        if not pieces:
            return None
        # Where a match that has not been excluded can begin.
        position = self._searched - longest + 1
        if position < 0:
            position = 0
        # The piece that holds the position, and where that piece begins.
        index = 0
        base = -self._start
        if position >= base + len(pieces[0]):
            index = len(pieces)
            base = self.size
            while base > position:
                index -= 1
                base -= len(pieces[index])
        before = b""  # the last longest - 1 bytes ahead of `base`, or as many as there are
        for i in range(index, len(pieces)):
            piece = pieces[i]
            begin = position - base if position > base else 0
            if before:
                # Every match that ends within the first longest - 1 bytes of this piece.
                seam = before + piece[: longest - 1]
                found = _first(seam, 0, separators, longest)
                if found:
                    offset = base - len(before)
                    return found[0] + offset, found[1] + offset
            found = _first(piece, begin, separators, longest)
            if found:
                return found[0] + base, found[1] + base
            if longest > 1:
                before = (before + piece[max(begin, len(piece) - longest + 1) :])[1 - longest :]
            base += len(piece)
        self._searched = self.size
        return None


def _first(
    piece: bytes | bytearray, begin: int, separators: tuple[bytes, ...], longest: int
) -> tuple[int, int] | None:
    """Search one piece from *begin* on; see `Buffer.find`."""
    if len(separators) == 1:
        at = piece.find(separators[0], begin)
        return (at, at + longest) if at >= 0 else None
    # A separator that is far away, or absent, must not be looked for beyond the match of another:
    # look at a window, and double it while nothing is found.
    length = len(piece)
    window = WINDOW
    while begin < length:
        limit = min(begin + window, length)
        found: tuple[int, int] | None = None
        for separator in separators:
            at = piece.find(separator, begin, limit)
            if at >= 0:
                end = at + len(separator)
                if found is None or (end, -at) < (found[1], -found[0]):
                    found = at, end
                    limit = end
        if found or limit == length:
            return found
        begin = max(begin, limit - longest + 1)
        window *= 2
    return None
