"""What a program that never heard of the reference gets from asyncio after `install()`."""

import asyncio
from typing import Any

import reference_impl

reference_impl.install()


def __getattr__(name: str) -> Any:
    return getattr(asyncio, name)
