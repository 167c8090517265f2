"""A lookalike whose readers keep the received pieces in a list."""

from .plain import Store, StreamReader, Streams


class Pieces(Store):
    """Bytes in the pieces that they arrived in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._taken = 0  # bytes of the first piece
        self._size = 0
        self._looked: dict[bytes, tuple[int, int]] = {}  # searched: pieces, and bytes

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)

    def take(self, count: int) -> bytes:
        self._size -= count
        self._looked.clear()
        taken, used = [], 0
        while count:
            first = self._pieces[used]
            part = first[self._taken : self._taken + count]
            taken.append(part)
            count -= len(part)
            self._taken += len(part)
            if self._taken == len(first):
                used += 1
                self._taken = 0
        del self._pieces[:used]
        return b"".join(taken)

    def find(self, separator: bytes) -> int:
        """Search each piece, and then its border with the next ones."""
        across = len(separator) - 1
        number, begin = self._looked.get(separator, (0, 0))
        while number < len(self._pieces):
            piece, skipped = self._pieces[number], 0 if number else self._taken
            found = piece.find(separator, skipped)
            if found >= 0:
                return begin + found - skipped
            edge = max(len(piece) - across, skipped)
            following = b""
            for each in self._pieces[number + 1 : number + 1 + across]:
                following += each[:across]
            found = (piece[edge:] + following[:across]).find(separator)
            if found >= 0:
                return begin + edge + found - skipped
            if len(following) < across:
                break  # the next bytes may complete it
            number, begin = number + 1, begin + len(piece) - skipped
        self._looked[separator] = (number, begin)
        return -1


class Reader(StreamReader):
    """A reader that keeps pieces."""

    store = Pieces


streams = Streams(Reader)
