"""What a stretch of a program costs: processor time, page faults, and instructions."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
from time import process_time


class Clock:
    """A context manager that measures what is done inside it.

    Where `CALLGRIND` is in the environment, the process runs under ``valgrind --tool=callgrind
    --instr-atstart=no``, which then counts instructions inside it only.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.seconds = 0.0
        self.faults = 0
        self._counting = "CALLGRIND" in os.environ

    def __enter__(self) -> None:
        """Begin to measure."""
        gc.collect()
        self._instrument("on")
        self.faults -= resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self.seconds -= process_time()

    def __exit__(self, *_: object) -> None:
        """Measure no more."""
        self.seconds += process_time()
        self.faults += resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self._instrument("off")

    def _instrument(self, mode: str) -> None:
        if self._counting:
            subprocess.run(
                ["callgrind_control", f"--instr={mode}", str(os.getpid())],
                check=True,
                stdout=subprocess.DEVNULL,
            )
