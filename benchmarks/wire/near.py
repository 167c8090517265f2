"""The near end, which is measured: one implementation on one loop, in a process of its own.

    python benchmarks/wire/near.py IMPLEMENTATION LOOP PORT DIRECTORY plain|tls

It reads from stdin, line by line, the number of a workload and how much of the usual to do, and
answers with what that cost, as JSON. IMPLEMENTATION is a module, or "floor" for bare protocols.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

from clock import Clock
from programs import There, available


def loop_factory(name: str) -> Any:
    """Return what makes the loop of that name."""
    return importlib.import_module(name).new_event_loop


def main() -> None:
    """Say who it is, then run what is asked for."""
    implementation, loop, port, directory, security = sys.argv[1:]
    tls = security == "tls"
    there = There(int(port), Path(directory), tls)
    streams = None if implementation == "floor" else importlib.import_module(implementation)
    workloads = available()
    about = {
        "python": platform.python_version(),
        "libc": " ".join(platform.libc_ver()),
        "workloads": [one.title for one in workloads],
    }
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        number, share = line.split()
        workload = workloads[int(number)]
        usual = workload.secured if tls else workload.count
        count = max(int(usual * float(share)) // 100 * 100, min(usual, 100))
        program = workload.floor if streams is None else workload.streams
        clock = Clock()
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            runner.run(program(streams, there, clock, count))
        answer = {"seconds": clock.seconds, "faults": clock.faults, "count": count}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
