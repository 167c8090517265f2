"""The place where a suspended coroutine waits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from pathlib import Path

_ASYNCIO = str(Path(asyncio.__file__).parent)
_STANDARD = str(Path(asyncio.__file__).parents[1])
_FAKES = str(Path(__file__).parents[1])
_INSTALLED = {"site-packages", "dist-packages"}


def waiting_frames(coroutine: object) -> list[types.FrameType]:
    """Return the frames of a suspended coroutine, the innermost last."""
    frames: list[types.FrameType] = []
    while isinstance(coroutine, (Coroutine, Generator)):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        inner = getattr(coroutine, "cr_await", None)
        coroutine = inner if inner is not None else getattr(coroutine, "gi_yieldfrom", None)
    return frames


def is_asyncio(frame: types.FrameType) -> bool:
    """Whether a frame is of asyncio's code."""
    return frame.f_code.co_filename.startswith(_ASYNCIO)


def is_loops(frame: types.FrameType) -> bool:
    """Whether a frame is of asyncio's code or of this package's."""
    return is_asyncio(frame) or frame.f_code.co_filename.startswith(_FAKES)


def is_programs(frame: types.FrameType) -> bool:
    """Whether a frame is of the program's own code, and not of a library's."""
    file = frame.f_code.co_filename
    installed = not _INSTALLED.isdisjoint(Path(file).parts)
    return not (is_loops(frame) or installed or file.startswith(_STANDARD))
