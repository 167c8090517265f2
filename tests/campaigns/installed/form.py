"""asyncio's names after `install()`, as a program gets them that does not know the reference."""

import asyncio
from typing import Any

import reference_impl

reference_impl.install()


def __getattr__(name: str) -> Any:
    return getattr(asyncio, name)
