"""A lookalike whose readers keep the pieces that they received, as they came, in a list."""

from plain import Store, StreamReader, Streams


class Pieces(Store):
    """Bytes in the pieces that they arrived in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def add(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)

    def take(self, count: int) -> bytes:
        taken = []
        while count:
            first = self._pieces.pop(0)
            if len(first) > count:
                self._pieces.insert(0, first[count:])
                first = first[:count]
            taken.append(first)
            count -= len(first)
        return b"".join(taken)

    def find(self, separator: bytes) -> int:
        """Look at each piece, with as much of the next ones as a separator may lie across."""
        begin = 0
        for number, piece in enumerate(self._pieces):
            window = piece
            for following in self._pieces[number + 1 :]:
                if len(window) >= len(piece) + len(separator) - 1:
                    break
                window += following
            found = window.find(separator, 0, len(piece) + len(separator) - 1)
            if found >= 0:
                return begin + found
            begin += len(piece)
        return -1


class Reader(StreamReader):
    """A reader that keeps pieces."""

    store = Pieces


streams = Streams(Reader)
