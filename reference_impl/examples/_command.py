"""The common part of the examples: running, and saying in one line what went wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn


class Failure(Exception):
    """The error and the remedy, for the user to read."""


def run(program: Coroutine[Any, Any, None]) -> None:
    """Run *program*; turn its `Failure` into one line and exit status 1."""
    try:
        asyncio.run(program)
    except Failure as failure:
        fail(str(failure))
    except KeyboardInterrupt:
        sys.exit(130)


def fail(message: str) -> NoReturn:
    """Print *message* in one line to the standard error and exit with status 1."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def port(text: str) -> int:
    """Return a port number, for argparse."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def reason(error: OSError) -> str:
    """Return what went wrong in words, without numbers or addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    if isinstance(error, TimeoutError) and not error.errno:
        return "it took too long"
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
