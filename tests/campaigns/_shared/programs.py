"""Run a program of a page of findings, and return its output."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

LONGEST = 60  # seconds that a program may take


def output_of(program: str, beside: Mapping[str, str] | None = None) -> str:
    """Return a program's output: its last line, of standard error if it prints nothing else.

    Args:
        program: its source.
        beside: the sources of modules that it imports, by the names of their files.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, source in (beside or {}).items():
            Path(folder, name).write_text(source)
        file = Path(folder, "program.py")
        file.write_text(program)
        # A loop's own messages on standard error belong to no finding.
        try:
            done = subprocess.run(
                [sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            return "it does not end"
    return done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]
