"""Certify in a process of its own, and read the certificate."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.errors import CannotRun

from .forked_suite import TESTS

HOUR = 3600  # seconds, after which a certification counts as one that does not end

CERTIFY = (sys.executable, "-P", "-m", "conformance", "certify")
"""The command, on the Python that runs."""


def certificate_of(
    implementation: str,
    *options: str,
    file: Path | None = None,
    command: Sequence[str | Path] = CERTIFY,
    json_option: str = "--json",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Return the certificate of an implementation, as JSON has it.

    Args:
        implementation: its name, or pytest's option for it.
        options: more arguments.
        file: where to keep the certificate; nowhere by default.
        command: the command to run instead of `streamcert certify` on this Python.
        json_option: the option for the certificate's file.
        environment: the variables that differ from this process's.
        folder: the working directory.

    Raises:
        CannotRun: there is none; the message says why in one line.
    """
    with tempfile.TemporaryDirectory() as scratch:
        target = file or Path(scratch, "certificate.json")
        target.unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        path = [str(TESTS), *filter(None, [inherited.get("PYTHONPATH")])]  # for our own streams
        inherited["PYTHONPATH"] = os.pathsep.join(path)
        try:
            process = subprocess.run(
                [*command, implementation, *options, f"{json_option}={target}"],
                env=inherited | dict(environment or {}),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=HOUR,
            )
        except subprocess.TimeoutExpired:
            raise CannotRun("it did not end within an hour") from None
        if target.exists():
            certificate: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
            return certificate
    said = re.findall(r"^(?:streamcert|ERROR): (.*)$", process.stderr, re.MULTILINE)
    lines = said or (process.stdout + process.stderr).strip().splitlines()
    raise CannotRun(lines[-1] if lines else f"exit status {process.returncode}")
