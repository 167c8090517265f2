"""The suite's verdict on each clause in memory beside that over the kernel: they must be the same.

    tox -m fidelity                                                       on every Python found
    python tests/fakes/fidelity.py [IMPLEMENTATION | CERTIFICATE.json]... on this one

Each implementation (by default `asyncio` and `reference_impl`) is certified on the networks
`memory` and `tcp`, `tls-memory` and `tls`; of a certificate made before, these are looked at. A
clause whose verdicts differ, or that is tested on one of a pair only, is printed, with what was
expected and seen; the exit status is then 1. Only the time-outs that hold when none is given are
tested in memory alone: nobody waits minutes for the kernel's clock.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAIRS = (("memory", "tcp"), ("tls-memory", "tls"))
NETWORKS = [network for pair in PAIRS for network in pair]
IN_VIRTUAL_TIME = "-timeout.default"  # how the ids of clauses end that are tested only there
BOUND = 5  # seconds: what differs is to be the network, not how busy the machine is
HOUR = 3600  # seconds, after which a certification counts as one that does not end


def main(arguments: list[str]) -> int:
    """Certify and compare; return the exit status."""
    status = 0
    for argument in arguments or ["asyncio", "reference_impl"]:
        made = argument.endswith(".json")
        certificate = json.loads(Path(argument).read_bytes()) if made else certify(argument)
        found = list(differences(certificate))
        clauses = sum(not set(NETWORKS).isdisjoint(c["networks"]) for c in certificate["clauses"])
        print(
            f"{certificate['implementation']} on Python {certificate['python']}: {clauses} clauses "
            f"on {', '.join(NETWORKS)}: {len(found)} with another verdict in memory",
            *found,
            sep="\n  ",
            flush=True,
        )
        status |= bool(found)
    return status


def certify(implementation: str) -> dict[str, Any]:
    """Return the certificate of an implementation, on this Python."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder, "certificate.json")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "conformance", "certify", implementation),
                *(f"--network={','.join(NETWORKS)}", f"--json={certificate}", f"--bound={BOUND}"),
            ],
            env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
            capture_output=True,
            text=True,
            timeout=HOUR,
        )
        if not certificate.exists():
            sys.exit(f"{implementation} cannot be certified: {done.stderr or done.stdout}")
        certified: dict[str, Any] = json.loads(certificate.read_text(encoding="utf-8"))
        return certified


def differences(certificate: dict[str, Any]) -> Iterator[str]:
    """Say which clauses have another verdict in memory than over the kernel."""
    for clause in certificate["clauses"]:
        verdicts = clause["networks"]
        if clause["id"].endswith(IN_VIRTUAL_TIME):
            continue
        for memory, kernel in PAIRS:
            one, other = (verdicts.get(each, "not tested") for each in (memory, kernel))
            if one != other:
                yield f"{clause['id']}: {memory} {one}, {kernel} {other}. {clause['detail']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
