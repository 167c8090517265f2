"""Bytes for people: a payload in short, and two payloads side by side."""

from __future__ import annotations

_ROW = 8  # bytes
_SHORT = 60  # characters


def side_by_side(expected: bytes, received: bytes) -> str:
    """Return two byte strings beside each other, in hexadecimal and as text, where they differ.

    Rows of eight bytes: one before the first row that differs, that row with a mark below it, and
    two after it.
    """
    part = next(
        (
            at
            for at, (one, other) in enumerate(zip(expected, received, strict=False))
            if one != other
        ),
        min(len(expected), len(received)),
    )
    first = max(0, part // _ROW - 1)
    rows = max(len(expected), len(received)) // _ROW + 1
    last = min(rows, part // _ROW + 3)
    width = len(_row(b"", 0))
    lines = [f"  they part at byte {part}:", f"  offset  {'expected':{width}}  received"]
    for row in range(first, last):
        left, right = _row(expected, row), _row(received, row)
        lines.append(f"  {row * _ROW:6}  {left}  {right}".rstrip())
        if row == part // _ROW:
            mark = " " * (3 * (part % _ROW)) + "^^"
            lines.append(f"  {'':6}  {mark:{width}}  {mark}")
    left_out = rows - last
    if left_out > 0:
        lines.append(f"  … and {left_out} more rows ({len(expected)} and {len(received)} bytes)")
    return "\n".join(lines)


def _row(data: bytes, number: int) -> str:
    piece = data[number * _ROW : (number + 1) * _ROW]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
    return f"{piece.hex(' '):{3 * _ROW - 1}} |{text:{_ROW}}|"


def short(data: bytes | bytearray, *, count: bool = True) -> str:
    """Return a literal of the bytes or, of many, of the first, with their `count` if wanted."""
    text = repr(bytes(data[: _SHORT + 1]))
    if len(text) <= _SHORT and len(data) <= _SHORT:
        return text
    return f"{repr(bytes(data[: _SHORT // 2]))[:_SHORT]}…" + (f" ({len(data)} bytes)" * count)


def count(data: bytes) -> str:
    """Return how many bytes these are, in words."""
    return "1 byte" if len(data) == 1 else f"{len(data)} bytes"
